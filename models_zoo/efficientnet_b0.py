"""EfficientNet-B0 (Tan and Le, 2019)."""

from __future__ import annotations

from typing import Any

from transformers import EfficientNetConfig, EfficientNetForImageClassification

from models_zoo._inputs import image


def build() -> Any:
    """EfficientNetForImageClassification with random weights."""
    return EfficientNetForImageClassification(
        EfficientNetConfig(
            image_size=224,
            width_coefficient=1.0,
            depth_coefficient=1.0,
            hidden_dim=1280,
            dropout_rate=0.2,
            num_labels=1000,
        )
    )


def inputs(batch: int) -> dict[str, Any]:
    """3 x 224 x 224 pixels."""
    return image(batch)
