"""DistilBERT (Sanh et al., 2019): 6 layers, width 768."""

from __future__ import annotations

from typing import Any

from transformers import DistilBertConfig, DistilBertModel

from models_zoo._inputs import token_ids


def build() -> Any:
    """DistilBertModel with random weights."""
    return DistilBertModel(DistilBertConfig())


def inputs(batch: int) -> dict[str, Any]:
    """128 tokens."""
    return token_ids(batch)
