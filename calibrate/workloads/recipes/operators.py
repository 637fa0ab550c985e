"""Recipes of operators that few models call and whose kernels other recipes do not reach: reductions over any
dimensions, variances and norms, scans down columns, statistics of a batch, adaptive pools, sampled pixels, windows
unrolled and folded, distances of points.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F

from calibrate.workloads.recipes.base import FamilyRecipe, Operand, Recipe, Rng, Scale, log_uniform, pick, power_of_two
from calibrate.workloads.recipes.rare_memory import _call, _image

SIDES = (4, 6, 7, 8, 10, 12, 14, 15, 16, 20, 24, 25, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128)
"""Of images, those of detectors and of decoders among them."""


def _fitting(rng: Rng, scale: Scale, elements: float, most: int = 128) -> int:
    """A batch whose tensors have up to a quarter of the scale's elements: one in many cases, else any power of two."""
    return 1 if rng.random() < 0.25 else power_of_two(rng, max(min(most, scale.elements / 4 / elements), 1))


def _shape(rng: Rng, scale: Scale, rank: int) -> tuple[int, ...]:
    """Sizes of so many dimensions, small ones and large ones in any order, whose tensor is no larger than a quarter."""
    while True:
        shape = tuple(log_uniform(rng, 2, pick(rng, 16, 256, 4096)) for _ in range(rank))
        if math.prod(shape) <= scale.elements / 4:
            return shape


def reduce(rng: Rng, scale: Scale) -> Recipe:
    """Sums, extremes with and without places, variances, norms, truth values, over the first dimensions, those in the
    middle, the last ones and several apart; distances of points.
    """
    kind = pick(
        rng, "sum", "sum", "mean", "extreme", "extreme", "place", "variance", "variance", "norm", "truth", "pairs"
    )
    if kind == "pairs":
        width, rows = log_uniform(rng, 2, 256), log_uniform(rng, 2, 2048)
        most = max(min(2048, scale.elements / 32 / rows / width), 2)
        a, b = (Operand((n, width), high=2**30, dtype="int32") for n in (rows, log_uniform(rng, 2, most)))
        return Recipe(_distances, (a, b))
    shape = _shape(rng, scale, pick(rng, 2, 2, 3, 3, 3, 4))
    one: tuple[int, ...] = (int(rng.integers(len(shape))),)
    sets = [one, one, (0,), (len(shape) - 2,), (len(shape) - 2, len(shape) - 1), (0, len(shape) - 1)]
    dims = pick(rng, *sets, *([(0, 2), (1, 2), (0, 1)] if len(shape) > 2 else []))
    x = Operand(shape)
    if kind == "place":
        return Recipe(_call(pick(rng, torch.argmax, torch.argmin, _extreme), dims[0]), (x,))
    if kind == "truth":
        x = Operand(shape, high=2, dtype="bool")
        return Recipe(_call(pick(rng, torch.any, torch.all), dims[0]), (x,))
    if kind == "norm":
        order = pick(rng, 1, 2, 3, 1.5, math.inf, -math.inf)
        return Recipe(_call(torch.linalg.vector_norm, order, dims), (x,))
    functions = {
        "sum": (torch.sum, torch.sum, torch.nansum),
        "mean": (torch.mean,),
        "extreme": (torch.amax, torch.amin),
        "variance": (torch.var, torch.std, torch.var_mean, torch.std_mean),
    }
    return Recipe(_call(pick(rng, *functions[kind]), dims), (x,))


def _extreme(x: Any, dim: int) -> Any:
    return torch.min(x, dim)[0]


def _distances(a: Any, b: Any) -> Any:
    """Of points whose coordinates are the bits of whole numbers, as torch has no such kernel of half precision."""
    return torch.cdist(a.view(torch.float32), b.view(torch.float32), p=1.0)


def scan(rng: Rng, scale: Scale) -> Recipe:
    """Sums, products, extremes and sums of exponentials down columns, narrow ones mostly, and along rows."""
    function = pick(rng, torch.cumsum, torch.cumsum, torch.cumprod, torch.logcumsumexp, _largest_so_far)
    if rng.random() < 0.6:
        width, length = log_uniform(rng, 1, 1024), log_uniform(rng, 2, 32768)
        length = max(min(length, int(scale.elements / 8 / width)), 2)
        batch = _fitting(rng, scale, width * length * 8, 64)
        return Recipe(_call(function, 1), (Operand((batch, length, max(width, 2))),))
    cols = log_uniform(rng, 2, 65536)
    rows = log_uniform(rng, 2, max(min(scale.elements / 8 / cols, 1e5), 2))
    return Recipe(_call(function, -1), (Operand((rows, cols)),))


def _largest_so_far(x: Any, dim: int) -> Any:
    return torch.cummax(x, dim)[0]


def softmax(rng: Rng, scale: Scale) -> Recipe:
    """Of channels of images, of the first dimension, of few very long rows."""
    function, kind = pick(rng, torch.softmax, torch.log_softmax), pick(rng, "channels", "channels", "first", "long")
    if kind == "long":
        cols = log_uniform(rng, 2048, 300_000)
        return Recipe(_call(function, -1), (Operand((log_uniform(rng, 1, 256), cols)),))
    if kind == "first":
        rows, cols = log_uniform(rng, 2, 4096), log_uniform(rng, 2, 8192)
        return Recipe(_call(function, 0), (Operand((rows, max(min(cols, int(scale.elements / 8 / rows)), 2))),))
    channels, side = pick(rng, 2, 3, 5, 9, 17, 19, 21, 32, 40, 64, 80, 100, 150, 256), pick(rng, *SIDES, 160, 256, 512)
    width = max(int(side * pick(rng, 1, 1, 2, 0.5)), 1)
    batch = _fitting(rng, scale, channels * side * width, 32)
    return Recipe(_call(function, 1), (Operand((batch, channels, side, width)),))


def layer_norm(rng: Rng, scale: Scale) -> Recipe:
    """Without a mean: rows of tokens, of heads, of any width."""
    cols = pick(rng, 64, 96, 128, 128, 256, 512, 768, 1024, 2048, 3072, 4096, 5120, 8192, log_uniform(rng, 8, 8192))
    rows = log_uniform(rng, 1, max(min(scale.elements / 8 / cols, 262_144), 1))
    return Recipe(_call(_rms_norm, cols), (Operand((rows, cols)), Operand((cols,), warm=False)))


def _rms_norm(x: Any, weight: Any, cols: int) -> Any:
    return F.rms_norm(x, (cols,), weight)


def batch_norm(rng: Rng, scale: Scale) -> Recipe:
    """By statistics of the batch, of images, sequences and volumes, and of each image."""
    channels, side = pick(rng, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024), pick(rng, *SIDES, 192, 256)
    kind = pick(rng, "images", "images", "sequence", "volume")
    shape = {"images": (side, side), "sequence": (log_uniform(rng, 16, 16384),), "volume": (8, side, side)}[kind]
    batch = _fitting(rng, scale, channels * math.prod(shape), 64)
    function = pick(rng, _normed_by_image, _normed_by_batch)
    factors = (Operand((channels,), warm=False), Operand((channels,), warm=False)) if rng.random() < 0.5 else ()
    return Recipe(function, (Operand((batch, channels, *shape)), *factors))


def _normed_by_batch(x: Any, weight: Any = None, bias: Any = None) -> Any:
    return F.batch_norm(x, None, None, weight, bias, training=True)


def _normed_by_image(x: Any, weight: Any = None, bias: Any = None) -> Any:
    return F.instance_norm(x, weight=weight, bias=bias)


def group_norm(rng: Rng, scale: Scale) -> Recipe:
    """Of rows without pixels, of sequences, of images that are small or oblong."""
    groups = pick(rng, 1, 2, 4, 8, 16, 32, 32)
    channels = groups * pick(rng, 1, 2, 3, 4, 8, 10, 16, 32)
    shape = pick(rng, (), (), (log_uniform(rng, 2, 8192),), (pick(rng, *SIDES), pick(rng, *SIDES)))
    batch = _fitting(rng, scale, channels * math.prod(shape), 64) if shape else log_uniform(rng, 1, 16384)
    factors = tuple(Operand((channels,), warm=False) for _ in range(2))
    return Recipe(_call(_group_norm, groups), (Operand((batch, channels, *shape)), *factors))


def _group_norm(x: Any, weight: Any, bias: Any, groups: int) -> Any:
    return F.group_norm(x, groups, weight, bias)


def pool(rng: Rng, scale: Scale) -> Recipe:
    """Adaptive ones of any size, the largest of a whole image, windows of volumes that lie apart or overlap."""
    kind = pick(rng, "mean", "mean", "maximum", "whole", "whole", "volume", "volume", "adaptive volume", "sequence")
    channels = pick(rng, 3, 16, 32, 64, 96, 128, 256, 384, 512, 768, 1024, 2048)
    if kind == "sequence":
        length = log_uniform(rng, 16, 8192)
        x = Operand((_fitting(rng, scale, channels * length), channels, length))
        size = pick(rng, 1, 2, 5, 8, 16, 50, 100, 256)
        return Recipe(
            _call(pick(rng, F.adaptive_avg_pool1d, F.adaptive_max_pool1d), max(min(size, length // 2), 1)), (x,)
        )
    side = pick(rng, *SIDES)
    if "volume" in kind:
        depth, side = pick(rng, 2, 4, 8, 16, 32), min(side, 64)
        x = Operand((_fitting(rng, scale, channels * depth * side**2, 32), channels, depth, side, side))
        if kind == "volume":
            window, stride = pick(rng, (2, 2, 2), (1, 2, 2), (1, 3, 3), (2, 3, 3)), pick(rng, 1, 2, 2, (1, 2, 2))
            return Recipe(_call(pick(rng, F.max_pool3d, F.avg_pool3d), window, stride), (x,))
        size = pick(rng, 1, 2, 4, 7, (None, 7, 7), (None, 1, 1), (1, 4, 4))
        return Recipe(_call(pick(rng, F.adaptive_avg_pool3d, F.adaptive_max_pool3d), size), (x,))
    width = max(int(side * pick(rng, 1, 1, 1, 1.5, 0.5)), 1)
    shape = (_fitting(rng, scale, 4 * channels * side * width), channels, side, width)
    if kind == "whole":
        return Recipe(_call(F.adaptive_max_pool2d, 1), (Operand(shape),))
    size = pick(rng, 2, 3, 4, 5, 6, 7, 8, 10, 14, 16, side * 2, max(side // 2, 1), (1, None), (None, 1))
    function = F.adaptive_max_pool2d if kind == "maximum" else F.adaptive_avg_pool2d
    return Recipe(_call(function, size), (_image(rng, shape, last=0.15),))


def interpolate(rng: Rng, scale: Scale) -> Recipe:
    """Pixels at given places of images and volumes in all modes; the nearest one of volumes and of sequences."""
    kind = pick(rng, "image", "image", "image", "sampled volume", "volume", "volume", "sequence")
    channels = pick(rng, 1, 2, 3, 8, 16, 32, 48, 64, 96, 128, 256)
    if kind == "sequence":
        length, factor = log_uniform(rng, 16, 8192), pick(rng, 2, 2, 3, 4, 8)
        batch = _fitting(rng, scale, channels * length * factor)
        mode = pick(rng, "nearest", "linear", "nearest-exact")
        return Recipe(_call(F.interpolate, scale_factor=factor, mode=mode), (Operand((batch, channels, length)),))
    side = pick(rng, *SIDES)
    if kind == "volume":
        depth, side, factor = pick(rng, 2, 4, 8, 16, 32), min(side, 64), pick(rng, 2, 2, 2, (1, 2, 2), 4)
        large = 8 if factor == 2 else 64
        x = Operand((_fitting(rng, scale, large * channels * depth * side**2, 8), channels, depth, side, side))
        mode = pick(rng, "nearest", "nearest", "trilinear")
        return Recipe(_call(F.interpolate, scale_factor=factor, mode=mode), (x,))
    size, spatial = pick(rng, *SIDES), 2
    if kind == "sampled volume":
        side, size, spatial = min(side, 64), min(size, 64), 3
    places = size**spatial if rng.random() < 0.7 else log_uniform(rng, 16, 65536)
    grid = (size,) * spatial if places == size**spatial else (*(1,) * (spatial - 1), places)
    batch = _fitting(rng, scale, channels * max(side**spatial, places), 32)
    mode = pick(rng, "bilinear", "nearest", "bicubic") if spatial == 2 else pick(rng, "bilinear", "nearest")
    options = {
        "mode": mode,
        "padding_mode": pick(rng, "zeros", "zeros", "border", "reflection"),
        "align_corners": False,
    }
    return Recipe(
        _call(F.grid_sample, **options),
        (Operand((batch, channels, *(side,) * spatial)), Operand((batch, *grid, spatial))),
    )


def copy(rng: Rng, scale: Scale) -> Recipe:
    """Windows of one image unrolled, apart and overlapping, and windows of images folded."""
    window = pick(rng, 2, 3, 3, 4, 5, 7, 8, 14, 16, 32)
    stride = pick(rng, window, window, 1, 2, max(window // 2, 1), max(window - 3, 1))
    count, channels = pick(rng, 2, 4, 7, 8, 14, 16, 28, 32, 56), pick(rng, 1, 3, 3, 16, 32, 64, 96, 128, 192)
    side, pad = (count - 1) * stride + window, 0
    columns = channels * window**2 * count**2
    if columns > scale.elements / 4:
        return Recipe(_call(F.unfold, 3, padding=1), (Operand((1, channels, 28, 28)),))
    if rng.random() < 0.5:
        x = Operand((1, channels, side, side))
        return Recipe(_call(F.unfold, window, padding=pad, stride=stride), (x,))
    x = Operand((_fitting(rng, scale, max(columns, channels * side**2), 32), channels * window**2, count**2))
    return Recipe(_call(F.fold, (side, side), window, padding=pad, stride=stride), (x,))


def sort(rng: Rng, scale: Scale) -> Recipe:
    """Many of the largest of few or many rows, as detectors keep their candidates."""
    rows, cols = log_uniform(rng, 1, 1024), log_uniform(rng, 64, 100_000)
    rows = max(min(rows, int(scale.elements / 16 / cols)), 1)
    k = min(pick(rng, 1, 3, 5, 20, 50, 100, 200, 300, 500, 1000, 2000), cols)
    return Recipe(_call(torch.topk, k), (Operand((rows, cols)),))


OPERATORS = (
    FamilyRecipe("reduce", reduce, 320),
    FamilyRecipe("scan", scan, 180),
    FamilyRecipe("softmax", softmax, 140),
    FamilyRecipe("layer_norm", layer_norm, 70),
    FamilyRecipe("batch_norm", batch_norm, 110),
    FamilyRecipe("group_norm", group_norm, 80),
    FamilyRecipe("pool", pool, 240),
    FamilyRecipe("interpolate", interpolate, 240),
    FamilyRecipe("copy", copy, 120),
    FamilyRecipe("sort", sort, 90),
)
