"""MobileBERT (Sun et al., 2020): 24 thin layers with bottlenecks."""

from __future__ import annotations

from typing import Any

from transformers import MobileBertConfig, MobileBertModel

from models_zoo._inputs import token_ids


def build() -> Any:
    """MobileBertModel with random weights."""
    return MobileBertModel(MobileBertConfig())


def inputs(batch: int) -> dict[str, Any]:
    """128 tokens."""
    return token_ids(batch)
