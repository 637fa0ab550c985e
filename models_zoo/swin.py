"""Swin-Tiny (Liu et al., 2021).

Of torchvision: small models of transformers' code are among those that host costs are fitted on.
"""

from __future__ import annotations

from typing import Any

from torchvision.models import swin_t

from models_zoo._inputs import image


def build() -> Any:
    """swin_t with random weights."""
    return swin_t()


def inputs(batch: int) -> dict[str, Any]:
    """3 x 224 x 224 pixels."""
    return {"x": image(batch)["pixel_values"]}
