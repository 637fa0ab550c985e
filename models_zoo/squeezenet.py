"""SqueezeNet 1.0 (Iandola et al., 2016)."""

from __future__ import annotations

from typing import Any

from torchvision.models import squeezenet1_0

from models_zoo._inputs import image


def build() -> Any:
    """squeezenet1_0 with random weights."""
    return squeezenet1_0()


def inputs(batch: int) -> dict[str, Any]:
    """3 x 224 x 224 pixels."""
    return {"x": image(batch)["pixel_values"]}
