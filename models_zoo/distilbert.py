"""DistilBERT (Sanh et al., 2019): 6 layers, width 768."""

from __future__ import annotations

from typing import Any

from transformers import DistilBertConfig, DistilBertModel

from models_zoo._inputs import TOKENS, token_ids


def build() -> Any:
    """DistilBertModel with random weights."""
    return DistilBertModel(DistilBertConfig())


def inputs(batch: int, length: int = TOKENS) -> dict[str, Any]:
    """128 tokens, or as many as length says."""
    return token_ids(batch, length)
