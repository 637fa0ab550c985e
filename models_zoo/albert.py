"""ALBERT-Base (Lan et al., 2020): one layer's weights for all 12, width 768."""

from __future__ import annotations

from typing import Any

from transformers import AlbertConfig, AlbertModel

from models_zoo._inputs import TOKENS, token_ids


def build() -> Any:
    """AlbertModel with random weights."""
    return AlbertModel(AlbertConfig(hidden_size=768, num_attention_heads=12, intermediate_size=3072))


def inputs(batch: int, length: int = TOKENS) -> dict[str, Any]:
    """128 tokens, or as many as length says."""
    return token_ids(batch, length)
