"""BERT-Base (Devlin et al., 2019): 12 layers, width 768."""

from __future__ import annotations

from typing import Any

from transformers import BertConfig, BertModel

from models_zoo._inputs import token_ids


def build() -> Any:
    """BertModel with random weights."""
    return BertModel(BertConfig())


def inputs(batch: int) -> dict[str, Any]:
    """128 tokens."""
    return token_ids(batch)
