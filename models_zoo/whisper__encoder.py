"""The encoder of Whisper-Base (Radford et al., 2023): it takes 30 s of audio, whatever was said in them."""

from __future__ import annotations

from typing import Any

import torch
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

BANDS, FRAMES = 80, 3000


def build() -> Any:
    """WhisperEncoder with random weights."""
    return WhisperEncoder(WhisperConfig(d_model=512, encoder_layers=6, encoder_attention_heads=8, encoder_ffn_dim=2048))


def inputs(batch: int) -> dict[str, Any]:
    """A spectrogram of 80 bands and 3000 frames of 10 ms."""
    return {"input_features": torch.rand(batch, BANDS, FRAMES)}
