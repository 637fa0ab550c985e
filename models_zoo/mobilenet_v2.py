"""MobileNetV2 (Sandler et al., 2018)."""

from __future__ import annotations

from typing import Any

from transformers import MobileNetV2Config, MobileNetV2ForImageClassification

from models_zoo._inputs import image


def build() -> Any:
    """MobileNetV2ForImageClassification with random weights."""
    return MobileNetV2ForImageClassification(MobileNetV2Config(num_labels=1000))


def inputs(batch: int) -> dict[str, Any]:
    """3 x 224 x 224 pixels."""
    return image(batch)
