"""VGG-16 (Simonyan and Zisserman, 2015)."""

from __future__ import annotations

from typing import Any

from torchvision.models import vgg16

from models_zoo._inputs import image


def build() -> Any:
    """vgg16 with random weights."""
    return vgg16()


def inputs(batch: int) -> dict[str, Any]:
    """3 x 224 x 224 pixels."""
    return {"x": image(batch)["pixel_values"]}
