"""RegNetY-3.2GF (Radosavovic et al., 2020).

Of torchvision: small models of transformers' code are among those that host costs are fitted on.
"""

from __future__ import annotations

from typing import Any

import torch
from torchvision.models.regnet import BlockParams, RegNet

from models_zoo._inputs import image


def build() -> Any:
    """RegNet with random weights; its widths are computed with tensors that have values on any default device."""
    with torch.device("cpu"):
        blocks = BlockParams.from_init_params(depth=21, w_0=80, w_a=42.63, w_m=2.66, group_width=24, se_ratio=0.25)
    return RegNet(blocks)


def inputs(batch: int) -> dict[str, Any]:
    """3 x 224 x 224 pixels."""
    return {"x": image(batch)["pixel_values"]}
