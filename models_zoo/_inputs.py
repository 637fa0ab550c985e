"""Inputs of the zoo: the sizes of The Framework Tax (Fernandez et al., EMNLP 2023)."""

from __future__ import annotations

import torch

TOKENS = 128
PIXELS = 224
SAMPLES = 32_000  # 2 s at 16 kHz


def token_ids(batch: int, length: int = TOKENS) -> dict[str, torch.Tensor]:
    """(batch, length) token ids on the CPU, the same on every call, from 1000 up: none is padding or special."""
    generator = torch.Generator("cpu").manual_seed(0)
    ids = torch.randint(1000, 30_000, (batch, length), generator=generator, device="cpu")
    return {"input_ids": ids}


def image(batch: int) -> dict[str, torch.Tensor]:
    """(batch, 3, 224, 224) pixels on torch's default device."""
    return {"pixel_values": torch.rand(batch, 3, PIXELS, PIXELS)}


def audio(batch: int) -> dict[str, torch.Tensor]:
    """(batch, 32000) samples on torch's default device."""
    return {"input_values": torch.rand(batch, SAMPLES)}
