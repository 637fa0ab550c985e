"""BERT-Base (Devlin et al., 2019) of 6 layers instead of 12."""

from __future__ import annotations

from typing import Any

from transformers import BertConfig, BertModel

from models_zoo._inputs import TOKENS, token_ids


def build() -> Any:
    """BertModel with random weights."""
    return BertModel(BertConfig(num_hidden_layers=6))


def inputs(batch: int, length: int = TOKENS) -> dict[str, Any]:
    """128 tokens, or as many as length says."""
    return token_ids(batch, length)
