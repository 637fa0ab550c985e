"""RoBERTa-Base (Liu et al., 2019): BERT-Base, positions counted from the tokens that are no padding."""

from __future__ import annotations

from typing import Any

from transformers import RobertaConfig, RobertaModel

from models_zoo._inputs import TOKENS, token_ids


def build() -> Any:
    """RobertaModel with random weights."""
    return RobertaModel(RobertaConfig(max_position_embeddings=514, type_vocab_size=1))


def inputs(batch: int, length: int = TOKENS) -> dict[str, Any]:
    """128 tokens, or as many as length says."""
    return token_ids(batch, length)
