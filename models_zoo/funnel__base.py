"""Funnel Transformer (Dai et al., 2020) without its decoder: three blocks of four layers that pool the sequence."""

from __future__ import annotations

from typing import Any

from transformers import FunnelBaseModel, FunnelConfig

from models_zoo._inputs import TOKENS, token_ids


def build() -> Any:
    """FunnelBaseModel with random weights."""
    return FunnelBaseModel(FunnelConfig())


def inputs(batch: int, length: int = TOKENS) -> dict[str, Any]:
    """128 tokens, or as many as length says."""
    return token_ids(batch, length)
