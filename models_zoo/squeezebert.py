"""SqueezeBERT (Iandola et al., 2020): BERT with grouped convolutions."""

from __future__ import annotations

from typing import Any

from transformers import SqueezeBertConfig, SqueezeBertModel

from models_zoo._inputs import token_ids


def build() -> Any:
    """SqueezeBertModel with random weights."""
    return SqueezeBertModel(SqueezeBertConfig())


def inputs(batch: int) -> dict[str, Any]:
    """128 tokens."""
    return token_ids(batch)
