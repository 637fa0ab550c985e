"""MNASNet 1.0 (Tan et al., 2019)."""

from __future__ import annotations

from typing import Any

from torchvision.models import mnasnet1_0

from models_zoo._inputs import image


def build() -> Any:
    """mnasnet1_0 with random weights."""
    return mnasnet1_0()


def inputs(batch: int) -> dict[str, Any]:
    """3 x 224 x 224 pixels."""
    return {"x": image(batch)["pixel_values"]}
