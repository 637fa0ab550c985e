"""DeiT-Base, distilled (Touvron et al., 2021): ViT-Base with a second token that learns from a teacher."""

from __future__ import annotations

from typing import Any

from transformers import DeiTConfig, DeiTForImageClassificationWithTeacher

from models_zoo._inputs import image


def build() -> Any:
    """DeiTForImageClassificationWithTeacher with random weights."""
    return DeiTForImageClassificationWithTeacher(DeiTConfig(num_labels=1000))


def inputs(batch: int) -> dict[str, Any]:
    """3 x 224 x 224 pixels."""
    return image(batch)
