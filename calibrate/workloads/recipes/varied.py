"""Recipes of shapes that strangers' models have and no zoo does: layers of few or uneven channels on small or oblong
images, long windows of signals, correlations of two images, wide depthwise windows, many features stacked, caches that
begin empty, narrow tables, the largest of a row, triangles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from calibrate.workloads.recipes.base import (
    FamilyRecipe,
    Operand,
    Recipe,
    Rng,
    Scale,
    log_uniform,
    pick,
    power_of_two,
)
from calibrate.workloads.recipes.common_memory import _Cat, _index, _select
from calibrate.workloads.recipes.matrix import Conv
from calibrate.workloads.recipes.rare_memory import _call, _dense


def _channels(rng: Rng, most: float = 512) -> int:
    """As networks are scaled: small multiples of an uneven number, of eight, or any."""
    step = pick(rng, 1, 6, 8, 8, 10, 12, 16, 18, 20, 24)
    return max(min(step * power_of_two(rng, 64) // pick(rng, 1, 1, 1, 2), int(most)), 1)


def _batch(rng: Rng, scale: Scale, elements: float, macs: float) -> int:
    """A batch of one in many cases, else any power of two that keeps the call within a quarter of the scale."""
    largest = min(128, scale.elements / 4 / elements, scale.macs / macs)
    return 1 if rng.random() < 0.3 else power_of_two(rng, max(largest, 1))


def _image_conv(rng: Rng, scale: Scale, c_in: int, c_out: int, side: int, window: int, groups: int = 1) -> Recipe:
    """A convolution of images that are oblong in many cases, its channels last in some."""
    height, width = side, max(int(side * pick(rng, 1, 1, 1, 0.75, 0.5, 2)), 1)
    stride = pick(rng, 1, 1, 1, 2) if window < 7 else pick(rng, 1, 2, 2, 4)
    pad = pick(rng, window // 2, window // 2, window // 2, 0)
    height, width = max(height, window - 2 * pad), max(width, window - 2 * pad)
    pixels = height * width
    macs = pixels / stride**2 * c_in * c_out / groups * window**2
    batch = _batch(rng, scale, pixels * max(c_in, c_out / stride**2), macs)
    shapes = (batch, height, width, c_in), (c_out, window, window, c_in // groups)
    if rng.random() < 0.2:
        operands = tuple(Operand(shape, permute=(0, 3, 1, 2), warm=i == 0) for i, shape in enumerate(shapes))
    else:
        operands = tuple(Operand((n, c, h, w), warm=i == 0) for i, (n, h, w, c) in enumerate(shapes))
    operands += (Operand((c_out,), warm=False),) if rng.random() < 0.5 else ()
    return Recipe(Conv(F.conv2d, stride, (pad, pad), groups), operands)


def conv(rng: Rng, scale: Scale) -> Recipe:
    """1x1 on small images, windows of uneven widths, few outputs, large windows of few inputs, long ones of signals."""
    kind = pick(rng, "point", "point", "point", "window", "window", "window", "few", "large", "signal", "signal")
    side = pick(rng, *range(2, 17), 20, 24, 26, 32, 40, 48, 52, 56, 64, 96, 104, 128)
    if kind == "signal":
        c_in = pick(rng, 1, 2, 4, 8, 12, 16, _channels(rng), _channels(rng), _channels(rng))
        c_out, window, stride = _channels(rng), pick(rng, 1, 3, 5, 7, 9, 15, 17, 25, 31), pick(rng, 1, 1, 2, 4)
        length = max(log_uniform(rng, 16, 16384), window)
        batch = _batch(rng, scale, length * max(c_in, c_out), length / stride * c_in * c_out * window)
        operands = Operand((batch, c_in, length)), Operand((c_out, c_in, window), warm=False)
        bias = (Operand((c_out,), warm=False),) if rng.random() < 0.5 else ()
        return Recipe(Conv(F.conv1d, stride, pick(rng, 0, window // 2, window // 2), 1), (*operands, *bias))
    if kind == "large":
        side = pick(rng, 61, 64, 127, 128, 160, 224, 255, 256, 320, 416)
        c_in, c_out, window = pick(rng, 1, 2, 3, 3, 3, 4, 6), pick(rng, 16, 32, 40, 64, 80, 96), pick(rng, 5, 7, 9, 11)
        return _image_conv(rng, scale, c_in, c_out, side, window)
    window = 1 if kind == "point" else pick(rng, 3, 3, 3, 5)
    c_out = pick(rng, 1, 2, 4, 6, 9, 12, 16, 21) if kind == "few" else _channels(rng)
    return _image_conv(rng, scale, _channels(rng, 1024), c_out, side, window)


def batched_conv(rng: Rng, scale: Scale) -> Recipe:
    """Layers of convolutional networks on batches, where a library's choice turns on the batch: 16 images of few
    channels run another kernel than 15 do.
    """
    batch, window = pick(rng, 4, 8, 8, 16, 16, 16, 16, 32, 32, 64), pick(rng, 1, 1, 1, 1, 3, 3, 3, 3, 5, 7)
    c_in, c_out = _channels(rng, 768), _channels(rng, 768)
    c_out = c_in if rng.random() < 0.3 else c_out
    side = pick(rng, 3, 4, 6, 7, 7, 8, 8, 12, 13, 14, 14, 16, 16, 20, 24, 26, 28, 28, 32, 40, 48, 56, 56, 64, 80)
    height, width = side, max(int(side * pick(rng, 1, 1, 1, 0.75, 0.5)), 1)
    stride = pick(rng, 1, 1, 1, 2) if window > 1 else pick(rng, 1, 1, 1, 1, 1, 2)
    while batch > 4 and batch * height * width * max(c_in, c_out) > scale.elements / 4:
        batch //= 2
    is_last = rng.random() < 0.15
    x = (
        Operand((batch, height, width, c_in), permute=(0, 3, 1, 2))
        if is_last
        else Operand((batch, c_in, height, width))
    )
    shape = (c_out, window, window, c_in) if is_last else (c_out, c_in, window, window)
    operands: tuple[Operand, ...] = (x, Operand(shape, permute=(0, 3, 1, 2) if is_last else (), warm=False))
    operands += (Operand((c_out,), warm=False),) if rng.random() < 0.4 else ()
    return Recipe(Conv(F.conv2d, stride, (window // 2, window // 2), 1), operands)


def conv_grouped(rng: Rng, scale: Scale) -> Recipe:
    """Two groups as in early networks, groups of few outputs, correlations of one image's features with another's."""
    kind = pick(rng, "halves", "halves", "few", "correlation", "correlation")
    if kind == "correlation":  # each image of the batch is a group, or each channel of each
        groups, features = pick(rng, 2, 4, 8, 16, 32, 64), pick(rng, 16, 32, 64, 128, 208, 256)
        window, side = pick(rng, 3, 4, 5, 6, 8), pick(rng, 16, 20, 22, 25, 31)
        outputs = pick(rng, 1, 1, 1, 2, 10)
        operands = (
            Operand((1, groups * features, side, side)),
            Operand((groups * outputs, features, window, window)),
        )
        return Recipe(Conv(F.conv2d, 1, (0, 0), groups), operands)
    groups = 2 if kind == "halves" else pick(rng, 2, 3, 4, 8, 16)
    side, window = pick(rng, 7, 8, 10, 13, 14, 26, 27, 29, 56, 61), pick(rng, 1, 3, 3, 5, 5)
    c_in = groups * pick(rng, 8, 16, 20, 24, 40, 48, 64, 96, 128, 160, 192)
    c_out = groups * (pick(rng, 1, 2, 4, 8) if kind == "few" else pick(rng, 16, 32, 40, 64, 100, 104, 128, 160, 192))
    return _image_conv(rng, scale, c_in, c_out, side, window, groups)


def conv_depthwise(rng: Rng, scale: Scale) -> Recipe:
    """Windows of 3 to 31 on images of 7 to 64, the wide ones that mixers of convolutions have among them."""
    channels, window = pick(rng, 32, 48, 64, 96, 128, 192, 256, 384, 448, 512, 768, 1024), pick(rng, *range(3, 32, 2))
    window = pick(rng, 3, 5, 7, 9, 9, 11, window)
    return _image_conv(rng, scale, channels, channels, pick(rng, 7, 8, 14, 16, 28, 32, 56, 64), window, channels)


def conv_transposed(rng: Rng, scale: Scale) -> Recipe:
    """Long signals of few channels made longer, images made larger a channel at a time, wide windows of images."""
    kind = pick(rng, "signal", "signal", "signal", "each channel", "wide", "wide")
    if kind == "signal":
        c_in, c_out = _channels(rng), pick(rng, 1, 1, 2, _channels(rng), _channels(rng), _channels(rng))
        stride = pick(rng, 1, 2, 2, 4, 4, 5, 8)
        window, length = stride * pick(rng, 1, 2, 2) + pick(rng, 0, 0, 0, 1), log_uniform(rng, 64, 65536)
        macs = length * c_in * c_out * window
        batch = _batch(rng, scale, length * max(c_in, c_out * stride), macs)
        operands = Operand((batch, c_in, length)), Operand((c_in, c_out, window), warm=False)
        bias = (Operand((c_out,), warm=False),) if rng.random() < 0.6 else ()
        return Recipe(Conv(F.conv_transpose1d, stride, pick(rng, 0, (window - stride) // 2), 1), (*operands, *bias))
    side, groups = pick(rng, 7, 8, 10, 16, 20, 32, 40, 64, 128), 1
    if kind == "each channel":
        c_in = c_out = groups = pick(rng, 1, 4, 16, 21, 32, 64, 128, 256)
        stride = pick(rng, 2, 2, 2, 4, 8)
        window, pad = 2 * stride, stride // 2
    else:
        c_in, c_out = _channels(rng, 256), pick(rng, 1, 3, 4, _channels(rng, 256), _channels(rng, 256))
        window, stride = pick(rng, 3, 5, 5, 6), pick(rng, 1, 1, 2, 2)
        pad = pick(rng, window // 2, (window - stride) // 2)
    macs = side**2 * c_in * c_out / groups * window**2
    batch = _batch(rng, scale, side**2 * max(c_in, c_out * stride**2), macs)
    last = rng.random() < 0.3
    x = Operand((batch, side, side, c_in), permute=(0, 3, 1, 2)) if last else Operand((batch, c_in, side, side))
    weight = Operand((c_in, c_out // groups, window, window), warm=False)
    bias = (Operand((c_out,), warm=False),) if rng.random() < 0.6 else ()
    return Recipe(Conv(F.conv_transpose2d, stride, pad, groups), (x, weight, *bias))


def grouped_signal(rng: Rng, scale: Scale) -> Recipe:
    """Long windows of signals in groups, as positions of speech are convolved, some of them with a stride."""
    groups, width = pick(rng, 2, 4, 8, 16, 16, 32), pick(rng, 8, 16, 24, 32, 48, 64, 64, 80)
    window, stride = pick(rng, 3, 5, 9, 19, 31, 64, 95, 128, 128), pick(rng, 1, 1, 1, 2, 2, 4)
    length = log_uniform(rng, 32, 4096)
    channels = groups * width
    batch = _batch(rng, scale, length * channels, length / stride * channels * width * window)
    swapped = rng.random() < 0.4
    x = Operand((batch, length, channels), permute=(0, 2, 1)) if swapped else Operand((batch, channels, length))
    bias = (Operand((channels,), warm=False),) if rng.random() < 0.7 else ()
    weight = Operand((channels, width, window), warm=False)
    return Recipe(Conv(F.conv1d, stride, window // 2, groups), (x, weight, *bias))


def cat(rng: Rng, scale: Scale) -> Recipe:
    """Features stacked along a new last dimension, many inputs, tokens behind a cache, a cache that begins empty."""
    kind = pick(rng, "stack", "stack", "many", "cache", "cache", "empty", "empty")
    if kind in ("cache", "empty"):
        batch, heads, head = pick(rng, 1, 1, 2, 4, 8, 16, 32), pick(rng, 1, 2, 4, 8, 12, 32), pick(rng, 64, 64, 80, 128)
        length, tokens = log_uniform(rng, 8, 2048), pick(rng, 1, 1, 1, 4, 16)
        batch = max(min(batch, int(scale.elements / 4 / (heads * length * head))), 1)
        swapped = rng.random() < 0.5  # as projections leave them

        def part(rows: int, is_swapped: bool) -> Operand:
            if is_swapped:
                return Operand((batch, rows, heads, head), permute=(0, 2, 1, 3))
            return Operand((batch, heads, rows, head))

        if kind == "empty":
            return Recipe(_Cat(-2), (Operand((0,)), part(length, swapped)))
        return Recipe(_Cat(-2), (part(length, False), part(tokens, swapped)))
    count, rows = pick(rng, 2, 3, 4, 6, 8, 12, 16, 24), log_uniform(rng, 16, 262144)
    width = pick(rng, 1, 1, 2, 3, 4, 8) if kind == "many" else 1
    rows = max(min(rows, int(scale.elements / 4 / (count * width))), 1)
    return Recipe(_Cat(-1), tuple(Operand((rows, width)) for _ in range(count)))


def copies(rng: Rng, scale: Scale) -> Recipe:
    """Dimensions in any order, expanded ones and steps; dimensions flipped and rolled, edges repeated, windows folded.
    Whole numbers in some.
    """
    kind = pick(
        rng, *("order",) * 4, *("expand",) * 3, "step", "step", "part", "flip", "flip", "roll", "edges", "edges", "fold"
    )
    whole = {"dtype": pick(rng, "int64", "uint8"), "high": 9} if rng.random() < 0.15 else {}
    if kind in ("edges", "fold"):
        return _padded(rng, scale) if kind == "edges" else _folded(rng, scale)
    count = pick(rng, 2, 3, 3, 4, 4, 5) if kind != "order" else pick(rng, 2, 3, 3, 4, 4, 5, 6)
    elements = log_uniform(rng, 1e4, scale.elements / 4)
    cuts = np.sort(rng.uniform(0, 1, count - 1))
    shares = np.diff(np.concatenate(([0.0], cuts, [1.0])))
    shape = tuple(log_uniform(rng, max(elements**share / 1.5, 1), max(elements**share, 1)) for share in shares)
    if kind == "order":
        return Recipe(_dense, (Operand(shape, permute=tuple(map(int, rng.permutation(count))), **whole),))
    dim = int(rng.integers(count))
    if kind == "expand":
        times = pick(rng, 2, 4, 4, 8, 16, 64)
        narrow = (*shape[:dim], 1, *shape[dim:])
        return Recipe(_dense, (Operand(narrow, expand=(*shape[:dim], times, *shape[dim:]), **whole),))
    if kind == "step":
        steps = tuple(slice(None, None, pick(rng, 1, 2, 2, 3, 4)) for _ in shape)
        return Recipe(_Part(steps), (Operand(shape, **whole),))
    if kind == "part":
        start = int(rng.integers(shape[dim]))
        return Recipe(_Part((*(slice(None),) * dim, slice(start, None))), (Operand(shape, **whole),))
    dims = tuple(map(int, rng.permutation(count)[: pick(rng, 1, 1, 2)]))
    if kind == "flip":
        return Recipe(_call(torch.flip, dims), (Operand(shape, **whole),))
    return Recipe(_call(torch.roll, 1, dims[0]), (Operand(shape, **whole),))


def _padded(rng: Rng, scale: Scale) -> Recipe:
    dims, mode = pick(rng, 1, 2, 2, 2, 3), pick(rng, "reflect", "replicate")
    side = {1: log_uniform(rng, 64, 65536), 2: pick(rng, 8, 14, 32, 56, 64, 128, 256), 3: pick(rng, 8, 16, 32, 48)}[
        dims
    ]
    channels, pad = pick(rng, 1, 3, 8, 32, 64, 128, 256), pick(rng, 1, 1, 2, 3, 5)
    batch = _batch(rng, scale, channels * side**dims, channels * side**dims)
    return Recipe(_call(F.pad, (pad, pad) * dims, mode=mode), (Operand((batch, channels, *[side] * dims)),))


def _folded(rng: Rng, scale: Scale) -> Recipe:
    window, rows, channels = pick(rng, 2, 3, 4, 7, 8, 16), pick(rng, 4, 7, 14, 16, 28), pick(rng, 1, 3, 16, 32, 64)
    stride = pick(rng, window, window, max(window // 2, 1))
    side, width = window + (rows - 1) * stride, channels * window**2
    batch = _batch(rng, scale, width * rows**2, width * rows**2)
    return Recipe(_call(F.fold, (side, side), window, stride=stride), (Operand((batch, width, rows**2)),))


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a tensor, copied."""

    places: tuple[slice, ...]

    def __call__(self, x: Any) -> Any:
        return x[self.places].clone(memory_format=torch.contiguous_format)


def gather(rng: Rng, scale: Scale) -> Recipe:
    """Rows of small and large tables, narrow ones mostly, more or fewer than the table has."""
    cols = 8 * int(rng.integers(1, 17)) if rng.random() < 0.7 else log_uniform(rng, 1, 512)
    rows = log_uniform(rng, 100, max(min(500000, scale.elements / 2 / cols), 100))
    places = log_uniform(rng, 10, max(min(1e6, scale.elements / 2 / cols), 10))
    index, table = Operand((rows,), high=places), Operand((places, cols))
    if rng.random() < 0.4:
        return Recipe(F.embedding, (index, table))
    return Recipe(pick(rng, _index, _select), (table, index))


def batched_gather(rng: Rng, scale: Scale) -> Recipe:
    """Beams of a cache, points and tokens of each of a batch, columns and channels by a list, sums along rows."""
    kind = pick(rng, "beams", "pairs", "pairs", "tokens", "tokens", "behind", "behind", "along", "sums", "sums")
    width, length = pick(rng, 3, 16, 64, 96, 128, 256, 512, 768), pick(rng, 32, 64, 128, 197, 512, 1024, 4096)
    batch = _batch(rng, scale, width * length, width * length)
    count = max(int(length * pick(rng, 0.1, 0.25, 0.5, 1, 2, 4)), 1)
    x, places = Operand((batch, length, width)), Operand((count,), high=length)
    if kind == "beams":
        beams = pick(rng, 1, 2, 4, 5, 8, 10, 16, 20, 32, 64)
        length = max(min(length, int(scale.elements / 4 / (beams * width))), 1)
        return Recipe(_select, (Operand((beams, length, width)), Operand((beams,), high=beams)))
    if kind == "pairs":
        count = log_uniform(rng, 16, max(scale.elements / 4 / width, 16))
        return Recipe(_pairs, (x, Operand((count,), high=batch), Operand((count,), high=length)))
    if kind == "tokens":
        index = Operand((batch, count, 1), high=length, expand=(batch, count, width))
        return Recipe(_Along(1, torch.gather), (x, index))
    if kind == "behind":
        if rng.random() < 0.5:
            return Recipe(_Along(1, torch.index_select), (x, places))
        return Recipe(_columns, (Operand((batch, width, length)), places))
    index = Operand((batch, width, count), high=length)
    if rng.random() < 0.5:
        index = Operand((batch, 1, count), high=length, expand=(batch, width, count))
    rows = Operand((batch, width, length))
    if kind == "along":
        return Recipe(_Along(2, torch.gather), (rows, index))
    add = pick(rng, torch.Tensor.scatter_add_, torch.Tensor.scatter_add_, torch.Tensor.scatter_)
    return Recipe(_Along(2, add), (rows, index, Operand((batch, width, count))))


@dataclass(frozen=True, slots=True)
class _Along:
    """A function of a tensor along a dimension, and of others."""

    dim: int
    function: Callable[..., Any]

    def __call__(self, x: Any, *others: Any) -> Any:
        return self.function(x, self.dim, *others)


def _pairs(x: Any, first: Any, second: Any) -> Any:
    return x[first, second]


def _columns(x: Any, places: Any) -> Any:
    return x[..., places]


def transposed_volume(rng: Rng, scale: Scale) -> Recipe:
    """Volumes made larger, as those of segmented scans are."""
    side, depth = pick(rng, 4, 6, 8, 12, 16, 24, 32), pick(rng, 2, 4, 8, 8, 16, 16)
    c_in, c_out = pick(rng, 8, 16, 32, 32, 64, 128, 256), pick(rng, 1, 8, 16, 32, 64, 128)
    window, stride, pad = pick(rng, (2, 2, 0), (2, 2, 0), (3, 2, 1), (4, 2, 1), (3, 1, 1))
    pixels = depth * side**2
    macs = pixels * c_in * c_out * window**3
    batch = _batch(rng, scale, pixels * max(c_in, c_out * stride**3), macs)
    bias = (Operand((c_out,), warm=False),) if rng.random() < 0.6 else ()
    operands = Operand((batch, c_in, depth, side, side)), Operand((c_in, c_out, *[window] * 3), warm=False)
    return Recipe(Conv(F.conv_transpose3d, stride, pad, 1), (*operands, *bias))


def batched_depthwise(rng: Rng, scale: Scale) -> Recipe:
    """Windows of signals, one for each channel, causal ones among them, and several windows for each channel."""
    channels = pick(rng, 16, 32, 64, 96, 144, 256, 384, 512, 768, 1024, 1536, 2048)
    if rng.random() < 0.4:
        times, side, window = pick(rng, 2, 2, 3, 4), pick(rng, 7, 14, 16, 28, 32, 56, 64), pick(rng, 3, 3, 5, 7)
        batch = _batch(rng, scale, side**2 * channels * times, side**2 * channels * times * window**2)
        x, weight = Operand((batch, channels, side, side)), Operand((channels * times, 1, window, window), warm=False)
        call = Conv(F.conv2d, pick(rng, 1, 1, 2), (window // 2, window // 2), channels)
    else:
        times, length, window = 1, log_uniform(rng, 16, 8192), pick(rng, 2, 3, 4, 4, 5, 7, 9, 15, 31, 31, 63)
        batch = _batch(rng, scale, length * channels, length * channels * window)
        x, weight = Operand((batch, channels, length)), Operand((channels, 1, window), warm=False)
        call = Conv(F.conv1d, 1, pick(rng, window - 1, window // 2), channels)
    bias = (Operand((channels * times,), warm=False),) if rng.random() < 0.7 else ()
    return Recipe(call, (x, weight, *bias))


def volumes(rng: Rng, scale: Scale) -> Recipe:
    """Layers on volumes and videos: cubes, windows of time, of space, each channel alone; channels last in many."""
    window = pick(rng, (3, 3, 3), (3, 3, 3), (3, 1, 1), (1, 3, 3), (1, 1, 1), (3, 7, 7), (5, 5, 5))
    depth, side = pick(rng, 4, 8, 8, 16, 32), pick(rng, 7, 14, 16, 28, 32, 56, 64)
    c_in, c_out = pick(rng, 1, 3, 8, 16, 32, 64, 128, 256), pick(rng, 8, 16, 32, 64, 128, 256)
    groups = 1
    if rng.random() < 0.2:
        groups = c_out = c_in = max(c_in, 16)
    stride = pick(rng, 1, 1, 1, 2, (1, 2, 2))
    pixels = depth * side**2
    macs = pixels * c_in * c_out / groups * window[0] * window[1] * window[2]
    batch = _batch(rng, scale, pixels * max(c_in, c_out), macs)
    shapes = (batch, depth, side, side, c_in), (c_out, *window, c_in // groups)
    if rng.random() < 0.4:
        operands = tuple(Operand(shape, permute=(0, 4, 1, 2, 3), warm=i == 0) for i, shape in enumerate(shapes))
    else:
        operands = tuple(Operand((n, c, *sides), warm=i == 0) for i, (n, *sides, c) in enumerate(shapes))
    operands += (Operand((c_out,), warm=False),) if rng.random() < 0.5 else ()
    return Recipe(Conv(F.conv3d, stride, tuple(size // 2 for size in window), groups), operands)


def decomposition(rng: Rng, scale: Scale) -> Recipe:
    """Of narrow matrices, alone and many at once, as rotations and covariances are."""
    n, batch = pick(rng, 2, 3, 3, 3, 4, 4, 6, 8, 12, 16, 24, 32), log_uniform(rng, 1, 1024)
    call = pick(rng, *(torch.linalg.qr,) * 3, torch.linalg.lu_factor_ex, torch.linalg.inv_ex, torch.linalg.cholesky_ex)
    return Recipe(call, (Operand((batch, n, n), definite=True),))


def batched_cat(rng: Rng, scale: Scale) -> Recipe:
    """Parts of a tensor joined again: pixels beside each other, groups of channels, features of a table; a token or a
    few channels that are one for the whole batch; images with channels last.
    """
    kind = pick(rng, "pixels", "parts", "parts", "few", "few", "last")
    width, side = pick(rng, 3, 8, 16, 32, 64, 96, 128, 256), pick(rng, 8, 14, 16, 28, 32, 56, 64, 112)
    batch = _batch(rng, scale, width * side**2, width * side**2)
    if kind == "pixels":
        return Recipe(_beside, (Operand((batch, width, side, side)),))
    if kind == "parts":
        count = pick(rng, 2, 3, 4, 6, 8, 12, 16, 26)
        batch = _batch(rng, scale, count * width * side, count * width * side)
        return Recipe(_Rejoined(count, pick(rng, 1, -1)), (Operand((batch, count, side, width)),))
    if kind == "few":
        few = pick(rng, 1, 1, 2, 4)
        first = Operand((1, few, width), expand=(batch, few, width))
        return Recipe(_Cat(1), (first, Operand((batch, side**2, width))))
    other = pick(rng, width, 2 * width, max(width // 2, 1))
    images = tuple(Operand((batch, side, side, c), permute=(0, 3, 1, 2)) for c in (width, other))
    return Recipe(_Cat(1), images)


def _beside(x: Any) -> Any:
    return torch.cat([x[..., row::2, column::2] for column in (0, 1) for row in (0, 1)], 1)


@dataclass(frozen=True, slots=True)
class _Rejoined:
    """Parts of the first dimension behind the batch, joined along another."""

    count: int
    dim: int

    def __call__(self, x: Any) -> Any:
        return torch.cat([x[:, part] for part in range(self.count)], self.dim)


def reduce(rng: Rng, scale: Scale) -> Recipe:
    """The largest of a row with its place, or its place alone, of few long rows or many short ones; along columns."""
    rows, cols = log_uniform(rng, 1, 65536), log_uniform(rng, 2, 65536)
    rows = max(min(rows, int(scale.elements / 8 / cols)), 1)
    function = pick(rng, torch.amax, torch.argmax, torch.argmax, _largest, _largest, torch.sum, torch.mean)
    return Recipe(_call(function, pick(rng, -1, -1, -1, 0)), (Operand((rows, cols)),))


def _largest(x: Any, dim: int) -> Any:
    return torch.max(x, dim)[0]


def fill(rng: Rng, scale: Scale) -> Recipe:
    """A matrix above or below its diagonal."""
    side, batch = log_uniform(rng, 4, 2048), pick(rng, 1, 1, 1, 4, 16, 64)
    batch = max(min(batch, int(scale.elements / 8 / side**2)), 1)
    return Recipe(_call(pick(rng, torch.tril, torch.triu)), (Operand((batch, side, side)),))


def pointwise(rng: Rng, scale: Scale) -> Recipe:
    """Powers, choices, and tensors that are repeated along other dimensions than the first, small ones mostly."""
    rows, cols = log_uniform(rng, 1, 4096), log_uniform(rng, 1, 1024)
    rows = max(min(rows, int(scale.elements / 8 / cols)), 1)
    x, kind = Operand((rows, cols)), pick(rng, "pow", "outer", "turned", "repeated", "choice")
    if kind == "pow":
        return Recipe(torch.pow, (x, Operand((rows, cols))) if rng.random() < 0.5 else (Operand((cols,)),) * 2)
    if kind == "outer":
        return Recipe(pick(rng, torch.mul, torch.add, torch.sub), (Operand((rows, 1)), Operand((1, cols))))
    if kind == "turned":
        return Recipe(pick(rng, torch.mul, torch.add), (Operand((cols, rows), permute=(1, 0)), x))
    if kind == "repeated":
        return Recipe(pick(rng, torch.neg, torch.cos, torch.exp), (Operand((rows, 1), expand=(rows, cols)),))
    return Recipe(_choice, (Operand((rows, cols), high=2, dtype="bool"), x, Operand((cols,))))


def _choice(places: Any, x: Any, other: Any) -> Any:
    return torch.where(places, x, other)


def pool(rng: Rng, scale: Scale) -> Recipe:
    """Windows as large as the image, or as long as the sequence, and large ones side by side."""
    kind = pick(rng, "image", "image", "image", "tiles", "tiles", "sequence")
    channels = pick(rng, 3, 8, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048)
    if kind == "sequence":
        length = log_uniform(rng, 16, 2048)
        x = Operand((_batch(rng, scale, channels * length, channels * length), channels, length))
        return Recipe(_call(pick(rng, F.avg_pool1d, torch.max_pool1d), length // pick(rng, 1, 1, 2, 4)), (x,))
    side = pick(rng, 4, 6, 7, 8, 9, 12, 14, 16, 20, 28, 32, 48, 64)
    window = side if kind == "image" else pick(rng, 4, 7, 8, 14, 16, 32)
    side = side if kind == "image" else window * pick(rng, 1, 2, 3, 4, 8)
    batch = _batch(rng, scale, channels * side**2, channels * side**2)
    if rng.random() < 0.2:
        x = Operand((batch, side, side, channels), permute=(0, 3, 1, 2))
    else:
        x = Operand((batch, channels, side, side))
    return Recipe(_call(pick(rng, F.avg_pool2d, F.avg_pool2d, torch.max_pool2d), window), (x,))


VARIED = (
    FamilyRecipe("conv", conv, 900, dtypes=("fp16", "tf32")),
    FamilyRecipe("conv_grouped", conv_grouped, 240, dtypes=("fp16", "tf32")),
    FamilyRecipe("conv_depthwise", conv_depthwise, 240, dtypes=("fp16", "tf32")),
    FamilyRecipe("conv_transposed", conv_transposed, 320, dtypes=("fp16", "tf32")),
    FamilyRecipe("copy", copies, 300),
    FamilyRecipe("cat", cat, 260),
    FamilyRecipe("gather", gather, 200),
    FamilyRecipe("reduce", reduce, 200),
    FamilyRecipe("fill", fill, 40),
    FamilyRecipe("pointwise", pointwise, 160),
    FamilyRecipe("pool", pool, 140),
)

BATCHED = (
    FamilyRecipe("conv", batched_conv, 1500, dtypes=("fp16",)),
    FamilyRecipe("conv_grouped", grouped_signal, 240, dtypes=("fp16", "tf32")),
    FamilyRecipe("conv_depthwise", batched_depthwise, 140, dtypes=("fp16", "tf32")),
    FamilyRecipe("conv_transposed", transposed_volume, 100, dtypes=("fp16", "tf32")),
    FamilyRecipe("conv3d", volumes, 140, dtypes=("fp16", "tf32")),
    FamilyRecipe("decomposition", decomposition, 80, dtypes=("fp32",)),
    FamilyRecipe("gather", batched_gather, 240),
    FamilyRecipe("cat", batched_cat, 160),
)
