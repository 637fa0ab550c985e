"""Inception v3 (Szegedy et al., 2016) at 224 pixels, without the classifier that training adds."""

from __future__ import annotations

from typing import Any

from torchvision.models import inception_v3

from models_zoo._inputs import image


def build() -> Any:
    """inception_v3 with random weights."""
    return inception_v3(aux_logits=False, init_weights=False)


def inputs(batch: int) -> dict[str, Any]:
    """3 x 224 x 224 pixels."""
    return {"x": image(batch)["pixel_values"]}
