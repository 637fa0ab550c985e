"""MobileNetV3-Large (Howard et al., 2019)."""

from __future__ import annotations

from typing import Any

from torchvision.models import mobilenet_v3_large

from models_zoo._inputs import image


def build() -> Any:
    """mobilenet_v3_large with random weights."""
    return mobilenet_v3_large()


def inputs(batch: int) -> dict[str, Any]:
    """3 x 224 x 224 pixels."""
    return {"x": image(batch)["pixel_values"]}
