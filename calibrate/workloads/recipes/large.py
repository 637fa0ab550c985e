"""Recipes of the largest calls that models make: convolutions of volumes and of images as detectors see them, and
batches of as many small products as graphs have edges.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from calibrate.workloads.recipes.base import FamilyRecipe, Operand, Recipe, Rng, Scale, log_uniform, pick
from calibrate.workloads.recipes.matrix import Conv

BEYOND = 6.0
"""Multiply-accumulates of the largest call here, in those of the scale."""


def _convolution(
    rng: Rng, scale: Scale, call: Conv, channels: tuple[int, int], sides: tuple[int, ...], window: tuple[int, ...]
) -> Recipe:
    """A convolution of the largest batch up to 16 that the scale allows; of smaller images where it allows none."""
    c_in, c_out = channels
    strides = call.stride if isinstance(call.stride, tuple) else (call.stride,) * len(sides)

    def is_too_large(batch: int, sides: tuple[int, ...]) -> bool:
        pixels = math.prod(sides)
        out = pixels / math.prod(strides)
        elements = batch * max(c_in * pixels, c_out * out)
        return elements > scale.elements or batch * out * c_in * c_out * math.prod(window) > BEYOND * scale.macs

    batch: int = pick(rng, 1, 1, 2, 4, 8, 16, 16)
    while batch > 1 and is_too_large(batch, sides):
        batch //= 2
    while is_too_large(batch, sides):
        sides = tuple(max(side // 2, extent) for side, extent in zip(sides, window, strict=True))
    x, weight = Operand((batch, c_in, *sides)), Operand((c_out, c_in, *window), warm=False)
    return Recipe(call, (x, weight, *((Operand((c_out,), warm=False),) if rng.random() < 0.6 else ())))


def conv3d(rng: Rng, scale: Scale) -> Recipe:
    """Codecs of videos, which pad by themselves; scans of organs, whose first layers see one channel."""
    window, pad = pick(rng, *(((3, 3, 3), 0),) * 3, *(((3, 3, 3), 1),) * 4, ((1, 3, 3), (0, 1, 1)), ((3, 1, 1), 0))
    stride = pick(rng, 1, 1, 1, 1, 1, 2, (1, 2, 2))
    narrow: int = pick(rng, 1, 1, 3, 4, 8, 16, 16, 32, 32, 64, 64, 128, 128, 256, 256, 512)
    wide = pick(rng, 8, 16, 32, 64) if narrow < 8 else narrow * pick(rng, 1, 1, 1, 2)
    channels = (narrow, wide) if rng.random() < 0.75 else (wide, narrow)
    side: int = pick(rng, 16, 24, 28, 32, 48, 64, 66, 96, 98, 112, 128, 194)
    depth: int = pick(rng, 3, 4, 5, 7, 8, 11, 16, side, side)
    return _convolution(rng, scale, Conv(F.conv3d, stride, pad, 1), channels, (depth, side, side), window)


def conv(rng: Rng, scale: Scale) -> Recipe:
    """Stems, bodies and heads of detectors, of networks that tell pixels apart, of codecs of images."""
    kind = pick(rng, *("body",) * 5, *("head",) * 2, "stem", "dilated", "dilated")
    side: int = pick(rng, 64, 100, 128, 128, 160, 200, 256, 256, 320, 400, 512, 512, 640, 800)
    other = side if rng.random() < 0.6 else 8 * max(int(side * rng.uniform(0.6, 1.4)) // 8, 1)
    if kind == "stem":
        channels, (window, stride) = (pick(rng, 1, 3, 3), pick(rng, 16, 32, 64)), pick(rng, (3, 2), (7, 2), (4, 4))
        return _convolution(
            rng, scale, Conv(F.conv2d, stride, window // 2, 1), channels, (2 * side, 2 * other), (window, window)
        )
    narrow: int = pick(rng, 16, 32, 64, 64, 128, 128, 256, 256, 512)
    wide: int = narrow * pick(rng, 1, 1, 1, 2, 4)
    window = 3 if kind == "dilated" else pick(rng, 1, 3, 3)
    if kind == "head":
        wide = pick(rng, 1, 2, 4, 36, 54, 80, 91, 720, 819)
    dilation = pick(rng, 2, 4, 6, 12, 18, 24) if kind == "dilated" else 1
    side, other = (side // 4, other // 4) if kind == "dilated" else (side, other)
    channels = (narrow, wide) if kind == "head" or rng.random() < 0.6 else (wide, narrow)
    call = Conv(F.conv2d, 1, dilation * (window // 2), 1, dilation)
    return _convolution(rng, scale, call, channels, (side, other), (window, window))


def gemm(rng: Rng, scale: Scale) -> Recipe:
    """A matrix of its own for each edge of a graph, or for each token, times one or a few vectors."""
    m, n, k = pick(rng, 1, 1, 1, 2, 4, 8, 16), pick(rng, 8, 16, 32, 64, 64, 128), pick(rng, 2, 8, 16, 32, 64, 64, 128)
    most = max(scale.elements / max(m * n, n * k, m * k), 2)
    batch = log_uniform(rng, min(512, most / 2), min(most, 400_000))
    if rng.random() < 0.3:
        return Recipe(torch.bmm, (Operand((batch, m, k)), Operand((batch, n, k), permute=(0, 2, 1))))
    if rng.random() < 0.3:
        return Recipe(torch.bmm, (Operand((batch, n, k)), Operand((batch, k, m))))
    return Recipe(torch.bmm, (Operand((batch, m, k)), Operand((batch, k, n))))


LARGE = (
    FamilyRecipe("conv3d", conv3d, 200, dtypes=("fp16",)),
    FamilyRecipe("conv", conv, 240, dtypes=("fp16",)),
    FamilyRecipe("gemm", gemm, 160, dtypes=("fp16",)),
)
