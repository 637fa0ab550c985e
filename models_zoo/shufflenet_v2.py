"""ShuffleNetV2 x1.0 (Ma et al., 2018)."""

from __future__ import annotations

from typing import Any

from torchvision.models import shufflenet_v2_x1_0

from models_zoo._inputs import image


def build() -> Any:
    """shufflenet_v2_x1_0 with random weights."""
    return shufflenet_v2_x1_0()


def inputs(batch: int) -> dict[str, Any]:
    """3 x 224 x 224 pixels."""
    return {"x": image(batch)["pixel_values"]}
