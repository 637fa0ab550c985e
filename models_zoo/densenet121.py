"""DenseNet-121 (Huang et al., 2017)."""

from __future__ import annotations

from typing import Any

from torchvision.models import densenet121

from models_zoo._inputs import image


def build() -> Any:
    """densenet121 with random weights."""
    return densenet121()


def inputs(batch: int) -> dict[str, Any]:
    """3 x 224 x 224 pixels."""
    return {"x": image(batch)["pixel_values"]}
