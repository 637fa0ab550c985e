"""WavLM-Base (Chen et al., 2022)."""

from __future__ import annotations

from typing import Any

from transformers import WavLMConfig, WavLMModel

from models_zoo._inputs import audio


def build() -> Any:
    """WavLMModel with random weights."""
    return WavLMModel(WavLMConfig())


def inputs(batch: int) -> dict[str, Any]:
    """2 s of 16 kHz audio."""
    return audio(batch)
