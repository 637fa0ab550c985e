"""SqueezeBERT (Iandola et al., 2020): BERT with grouped convolutions."""

from __future__ import annotations

from typing import Any

from transformers import SqueezeBertConfig, SqueezeBertModel

from models_zoo._inputs import TOKENS, token_ids


def build() -> Any:
    """SqueezeBertModel with random weights."""
    return SqueezeBertModel(SqueezeBertConfig())


def inputs(batch: int, length: int = TOKENS) -> dict[str, Any]:
    """128 tokens, or as many as length says."""
    return token_ids(batch, length)
