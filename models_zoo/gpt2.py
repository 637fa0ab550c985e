"""GPT-2 small (Radford et al., 2019), the prefill of 128 tokens."""

from __future__ import annotations

from typing import Any

from transformers import GPT2Config, GPT2Model

from models_zoo._inputs import token_ids


def build() -> Any:
    """GPT2Model with random weights."""
    return GPT2Model(GPT2Config())


def inputs(batch: int) -> dict[str, Any]:
    """128 tokens."""
    return token_ids(batch)
