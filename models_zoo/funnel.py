"""Funnel Transformer (Dai et al., 2020): three blocks of four layers that pool the sequence, and a decoder."""

from __future__ import annotations

from typing import Any

from transformers import FunnelConfig, FunnelModel

from models_zoo._inputs import TOKENS, token_ids


def build() -> Any:
    """FunnelModel with random weights."""
    return FunnelModel(FunnelConfig())


def inputs(batch: int, length: int = TOKENS) -> dict[str, Any]:
    """128 tokens, or as many as length says."""
    return token_ids(batch, length)
