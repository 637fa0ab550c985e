"""Recipes of what image models begin and end with: layers of few channels on large images, whose sizes nearly all
models share and whose algorithms change from one size to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F

from calibrate.workloads.recipes.base import FamilyRecipe, Operand, Recipe, Rng, Scale, pick
from calibrate.workloads.recipes.matrix import Conv

STEMS = (
    *((3, 1, 1), (3, 1, 1), (3, 2, 1), (3, 2, 1), (3, 2, 0), (4, 2, 1), (4, 4, 0), (4, 4, 0), (5, 1, 2), (5, 2, 2)),
    *((7, 1, 3), (7, 2, 3), (7, 2, 3), (7, 2, 3), (7, 4, 3), (8, 4, 0), (8, 8, 0), (9, 1, 4), (11, 4, 2)),
    *((14, 14, 0), (14, 14, 0), (16, 16, 0), (16, 16, 0), (16, 16, 0), (32, 32, 0), (32, 32, 0)),
)
"""Windows of first layers: (size, stride, padding), those that many models share more than once."""

SIDES = (32, 64, 64, 96, 128, 128, 192, 224, 224, 224, 224, 256, 256, 288, 299, 320, 336, 384, 448, 512, 640)
"""Pixels of a side."""


def _images(rng: Rng, scale: Scale, channels: int, side: int) -> tuple[int, int, int, int]:
    """(batch, channels, height, width), a quarter of what the sweep goes to at the most."""
    batch, most = pick(rng, 1, 1, 2, 4, 8, 16, 16, 32, 64, 128), scale.elements / (4 * channels * side**2)
    while batch > max(most, 1):
        batch //= 2
    return batch, channels, side, side


def _last(shape: tuple[int, ...], is_last: bool, warm: bool = True) -> Operand:
    """A tensor of a shape, its channels last in memory or not."""
    n, c, h, w = shape
    return Operand((n, h, w, c), permute=(0, 3, 1, 2), warm=warm) if is_last else Operand(shape, warm=warm)


def conv(rng: Rng, scale: Scale) -> Recipe:
    """A first layer, of images in three channels mostly, or a last one, which makes them."""
    side, is_first = min(pick(rng, *SIDES), int(scale.elements**0.5 / 8)), rng.random() < 0.8
    if is_first:
        size, stride, pad = pick(rng, *STEMS)
        c_in, side = pick(rng, 1, 3, 3, 3, 3, 3, 3, 4), max(side // stride, 1) * stride
        wide = (192, 256, 384, 512, 768, 768, 1024)
        c_out = pick(rng, *wide) if stride >= 8 else pick(rng, 16, 24, 32, 32, 40, 48, 64, 64, 64, 96, 128)
    else:
        (size, stride, pad), c_out = (
            pick(rng, (3, 1, 1), (3, 1, 1), (1, 1, 0), (5, 1, 2), (7, 1, 3)),
            pick(rng, 1, 2, 3, 3, 4),
        )
        c_in = pick(rng, 16, 32, 64, 64, 128, 256)
    batch, _, *pixels = _images(rng, scale, max(c_in, c_out // stride**2), max(side, size))
    while batch > 1 and batch * (side / stride) ** 2 * c_in * c_out * size**2 > scale.macs:
        batch //= 2
    is_last = rng.random() < 0.4
    x = _last((batch, c_in, *pixels), is_last)
    operands = (x, _last((c_out, c_in, size, size), is_last, warm=False))
    bias = (Operand((c_out,), warm=False),) if rng.random() < 0.5 else ()
    return Recipe(Conv(F.conv2d, stride, (pad, pad), 1, 1), (*operands, *bias))


def pool(rng: Rng, scale: Scale) -> Recipe:
    """What follows a first layer, or halves images later, and the mean of a dense network."""
    side, channels = pick(rng, 14, 28, 28, 56, 56, 112, 112, 128), pick(rng, 16, 24, 32, 64, 64, 64, 96, 128, 256, 512)
    kind = pick(rng, (F.max_pool2d, 3, 2, 1), (F.max_pool2d, 3, 2, 1), (F.max_pool2d, 2, 2, 0), (F.avg_pool2d, 2, 2, 0))
    shape = _images(rng, scale, channels, side)
    return Recipe(_Pool(*kind), (_last(shape, rng.random() < 0.5),))


@dataclass(frozen=True, slots=True)
class _Pool:
    function: Callable[..., Any]
    size: int
    stride: int
    pad: int

    def __call__(self, x: Any) -> Any:
        return self.function(x, self.size, stride=self.stride, padding=self.pad)


COMMON = (FamilyRecipe("conv", conv, 700), FamilyRecipe("pool", pool, 240))
