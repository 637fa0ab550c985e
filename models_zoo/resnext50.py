"""ResNeXt-50 32x4d (Xie et al., 2017): ResNet-50 with 32 groups of channels."""

from __future__ import annotations

from typing import Any

from torchvision.models import resnext50_32x4d

from models_zoo._inputs import image


def build() -> Any:
    """resnext50_32x4d with random weights."""
    return resnext50_32x4d()


def inputs(batch: int) -> dict[str, Any]:
    """3 x 224 x 224 pixels."""
    return {"x": image(batch)["pixel_values"]}
