"""MobileBERT (Sun et al., 2020): 24 thin layers with bottlenecks."""

from __future__ import annotations

from typing import Any

from transformers import MobileBertConfig, MobileBertModel

from models_zoo._inputs import TOKENS, token_ids


def build() -> Any:
    """MobileBertModel with random weights."""
    return MobileBertModel(MobileBertConfig())


def inputs(batch: int, length: int = TOKENS) -> dict[str, Any]:
    """128 tokens, or as many as length says."""
    return token_ids(batch, length)
