"""Longformer-Base (Beltagy et al., 2020): attention within windows of 512 tokens; shorter inputs are padded to one."""

from __future__ import annotations

from typing import Any

from transformers import LongformerConfig, LongformerModel

from models_zoo._inputs import TOKENS, token_ids


def build() -> Any:
    """LongformerModel with random weights."""
    return LongformerModel(LongformerConfig())


def inputs(batch: int, length: int = TOKENS) -> dict[str, Any]:
    """128 tokens, or as many as length says."""
    return token_ids(batch, length)
