"""ResNet-152 (He et al., 2016)."""

from __future__ import annotations

from typing import Any

from transformers import ResNetConfig, ResNetForImageClassification

from models_zoo._inputs import image


def build() -> Any:
    """ResNetForImageClassification with random weights."""
    return ResNetForImageClassification(ResNetConfig(depths=[3, 8, 36, 3], num_labels=1000))


def inputs(batch: int) -> dict[str, Any]:
    """3 x 224 x 224 pixels."""
    return image(batch)
