"""ViT-Base (Dosovitskiy et al., 2021), patches of 32 pixels."""

from __future__ import annotations

from typing import Any

from transformers import ViTConfig, ViTModel

from models_zoo._inputs import image


def build() -> Any:
    """ViTModel with random weights."""
    return ViTModel(ViTConfig(patch_size=32))


def inputs(batch: int) -> dict[str, Any]:
    """3 x 224 x 224 pixels."""
    return image(batch)
