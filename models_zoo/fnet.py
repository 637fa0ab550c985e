"""FNet-Base (Lee-Thorp et al., 2022): Fourier transforms mix the tokens, 12 layers, width 768."""

from __future__ import annotations

from typing import Any

from transformers import FNetConfig, FNetModel

from models_zoo._inputs import TOKENS, token_ids


def build() -> Any:
    """FNetModel with random weights."""
    return FNetModel(FNetConfig())


def inputs(batch: int, length: int = TOKENS) -> dict[str, Any]:
    """128 tokens, or as many as length says."""
    return token_ids(batch, length)
