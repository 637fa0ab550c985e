"""What the kernel sweep runs: for each family, seeded random calls that cover its dimensions.

A recipe is a torch call and its operands. Which kernel that is, with which dimensions, is read off the call by the same
capture that a prediction uses, so the sweep and the cost model cannot disagree about a feature.
"""

from __future__ import annotations

from collections.abc import Callable

from calibrate.workloads.recipes import matrix, memory
from calibrate.workloads.recipes.base import Operand, Recipe, Rng, Scale

__all__ = ["RECIPES", "Operand", "Recipe", "Scale"]

RECIPES: dict[str, Callable[[Rng, Scale], Recipe]] = {
    "gemm": matrix.gemm,
    "conv": matrix.conv,
    "conv_grouped": matrix.conv_grouped,
    "conv_depthwise": matrix.conv_depthwise,
    "attention": matrix.attention,
    "pointwise": memory.pointwise,
    "copy": memory.copies,
    "cat": memory.cats,
    "softmax": memory.softmax,
    "layer_norm": memory.layer_norm,
    "batch_norm": memory.batch_norm,
    "group_norm": memory.group_norm,
    "reduce": memory.reduce,
    "gather": memory.gather,
    "pool": memory.pool,
    "fill": memory.fill,
    "scan": memory.scan,
    "sort": memory.sort,
    "fft": memory.fft,
    "weight_norm": memory.weight_norm,
    "interpolate": memory.interpolate,
}
"""Family -> what its sweep runs."""
