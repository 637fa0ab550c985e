"""GoogLeNet (Szegedy et al., 2015), without the classifiers that training adds."""

from __future__ import annotations

from typing import Any

from torchvision.models import googlenet

from models_zoo._inputs import image


def build() -> Any:
    """googlenet with random weights."""
    return googlenet(aux_logits=False, init_weights=False)


def inputs(batch: int) -> dict[str, Any]:
    """3 x 224 x 224 pixels."""
    return {"x": image(batch)["pixel_values"]}
