"""BERT-Base (Devlin et al., 2019) of width 384 instead of 768: heads of 64, as there, feed-forward layers of 1536."""

from __future__ import annotations

from typing import Any

from transformers import BertConfig, BertModel

from models_zoo._inputs import TOKENS, token_ids


def build() -> Any:
    """BertModel with random weights."""
    return BertModel(BertConfig(hidden_size=384, num_attention_heads=6, intermediate_size=1536))


def inputs(batch: int, length: int = TOKENS) -> dict[str, Any]:
    """128 tokens, or as many as length says."""
    return token_ids(batch, length)
