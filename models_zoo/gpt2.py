"""GPT-2 small (Radford et al., 2019), the prefill of 128 tokens."""

from __future__ import annotations

from typing import Any

from transformers import GPT2Config, GPT2Model

from models_zoo._inputs import TOKENS, token_ids


def build() -> Any:
    """GPT2Model with random weights."""
    return GPT2Model(GPT2Config())


def inputs(batch: int, length: int = TOKENS) -> dict[str, Any]:
    """128 tokens, or as many as length says."""
    return token_ids(batch, length)
