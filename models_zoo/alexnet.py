"""AlexNet (Krizhevsky, 2014)."""

from __future__ import annotations

from typing import Any

from torchvision.models import alexnet

from models_zoo._inputs import image


def build() -> Any:
    """alexnet with random weights."""
    return alexnet()


def inputs(batch: int) -> dict[str, Any]:
    """3 x 224 x 224 pixels."""
    return {"x": image(batch)["pixel_values"]}
