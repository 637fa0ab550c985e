"""Wide ResNet-50-2 (Zagoruyko and Komodakis, 2016): ResNet-50 with inner layers twice as wide."""

from __future__ import annotations

from typing import Any

from torchvision.models import wide_resnet50_2

from models_zoo._inputs import image


def build() -> Any:
    """wide_resnet50_2 with random weights."""
    return wide_resnet50_2()


def inputs(batch: int) -> dict[str, Any]:
    """3 x 224 x 224 pixels."""
    return {"x": image(batch)["pixel_values"]}
