"""Recipes on the matrix units of what fewer models run: tiny products, patches, stems, dilated and long windows,
volumes, transposed convolutions, grouped products, unusual heads.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F

from calibrate.workloads.recipes.base import (
    LENGTHS,
    WIDTHS,
    FamilyRecipe,
    Operand,
    Recipe,
    Rng,
    Scale,
    log_uniform,
    pick,
    power_of_two,
)
from calibrate.workloads.recipes.matrix import Conv, batch_within


def gemm(rng: Rng, scale: Scale) -> Recipe:
    """Layers of tiny networks, single outputs, batches of tiny matrices."""
    kind = pick(rng, "tiny", "tiny", "column", "batch", "decode")
    if kind == "batch":
        m, n, k = (pick(rng, 2, 3, 4, 8, 16, 32) for _ in range(3))
        batch = log_uniform(rng, 1, min(65536, scale.elements / 1024))
        return Recipe(torch.bmm, (Operand((batch, m, k)), Operand((batch, k, n))))
    if kind == "decode":  # one token, wide weights
        m, n, k = pick(rng, 1, 2, 4, 8, 16), pick(rng, *WIDTHS, 32000, 50257), pick(rng, *WIDTHS)
    elif kind == "column":
        m, n, k = log_uniform(rng, 1, 65536), pick(rng, 1, 1, 2, 3, 5, 10), log_uniform(rng, 2, 2048)
    else:
        m, n, k = power_of_two(rng, 4096), log_uniform(rng, 1, 512), log_uniform(rng, 1, 1024)
    m = max(int(min(m, scale.elements / max(n, k))), 1)
    operands = Operand((m, k)), Operand((n, k), warm=False)
    return Recipe(F.linear, (*operands, Operand((n,), warm=False)) if rng.random() < 0.7 else operands)


def gemm_grouped(rng: Rng, scale: Scale) -> Recipe:
    """Rows of several experts by their matrices, and batches of products, in groups."""
    experts = pick(rng, 2, 4, 8, 8, 16, 32, 64)
    n, k = (pick(rng, 128, 256, 384, 512, 768, 1024, 1408, 2048, 4096) for _ in range(2))
    n, k = (min(size, int((scale.elements / experts) ** 0.5) // 8 * 8) for size in (n, k))
    rows = max(8 * power_of_two(rng, min(scale.macs / (n * k), scale.elements / max(n, k), 65536) / 8), experts)
    rows = rows // experts * experts
    ends = Operand((experts,), step=rows // experts, start=rows // experts, dtype="int32")
    swapped = rng.random() < 0.5  # as the weights of linear layers are stored
    shape, order = ((experts, n, k), (0, 2, 1)) if swapped else ((experts, k, n), ())
    return Recipe(_grouped, (Operand((rows, k)), Operand(shape, permute=order, warm=False), ends))


def _grouped(x: Any, weight: Any, ends: Any) -> Any:
    return torch._grouped_mm(x, weight, ends)


def conv(rng: Rng, scale: Scale) -> Recipe:
    """Patches, stems, dilated windows of images and sequences, long windows, windows of one row or column."""
    kind = pick(rng, "patches", "patches", "merge", "stem", "stem", "dilated", "wavenet", "long", "long", "narrow")
    if kind in ("wavenet", "long"):
        return _sequence(rng, scale, is_long=kind == "long")
    c_in, c_out = log_uniform(rng, 16, 512), log_uniform(rng, 16, 512)
    side, stride, dilation, window = pick(rng, 14, 28, 32, 56, 64), 1, 1, (3, 3)
    if kind == "patches":
        stride = pick(rng, 8, 14, 16, 16, 32, 32)
        window, c_in, c_out = (stride, stride), pick(rng, 1, 3, 3, 3, 4), pick(rng, 64, *WIDTHS)
        side = max(pick(rng, 128, 224, 224, 256, 384, 512) // stride, 1) * stride
    elif kind == "merge":
        stride = pick(rng, 2, 2, 4)
        window, c_in, c_out = (stride, stride), *_widened(rng)
    elif kind == "stem":
        size, stride = pick(rng, (3, 1), (3, 2), (5, 2), (7, 2), (7, 2), (7, 4), (8, 4), (11, 4), (4, 4))
        window, c_in, c_out = (size, size), pick(rng, 1, 3, 3, 3, 4, 9), pick(rng, 16, 32, 64, 64, 96, 128)
        side = pick(rng, 32, 64, 84, 128, 224, 224, 256, 384)
    elif kind == "dilated":
        dilation, side = pick(rng, 2, 4, 6, 12, 18, 24, 36), pick(rng, 28, 32, 56, 64)
    else:
        size = pick(rng, 3, 5, 7, 9)
        window = pick(rng, (1, size), (size, 1))
    pads = tuple(0 if stride == s else dilation * (s - 1) // 2 for s in window)
    return _images(rng, scale, (c_in, c_out), side, window, Conv(F.conv2d, stride, pads, 1, dilation))


def _widened(rng: Rng) -> tuple[int, int]:
    c_in = pick(rng, 64, 96, 128, 192, 256, 384, 512)
    return c_in, c_in * pick(rng, 1, 2, 2)


def _images(
    rng: Rng, scale: Scale, channels: tuple[int, int], side: int, window: tuple[int, ...], call: Conv
) -> Recipe:
    """A convolution of squares, or of cubes where the window has three dimensions, in either memory format."""
    c_in, c_out = channels
    depth = pick(rng, 4, 8, 8, 16, 16) if len(window) == 3 else 1
    volume = (max(depth, window[0]), side, side) if len(window) == 3 else (side, side)
    stride = call.stride if isinstance(call.stride, tuple) else (call.stride,) * len(volume)
    pixels = math.prod(volume)
    out = math.prod(max(n / s, 1) for n, s in zip(volume, stride, strict=True))
    macs = out * c_out * c_in / call.groups * math.prod(window)
    batch = batch_within(rng, scale, max(c_in * pixels, c_out * out), macs)
    shapes = (batch, c_in, *volume), (c_out, c_in // call.groups, *window)
    operands: tuple[Operand, ...] = tuple(Operand(shape, warm=i == 0) for i, shape in enumerate(shapes))
    if rng.random() < 0.3:  # channels last
        order = (0, len(volume) + 1, *range(1, len(volume) + 1))
        last = [(shape[0], *shape[2:], shape[1]) for shape in shapes]
        operands = tuple(Operand(shape, permute=order, warm=i == 0) for i, shape in enumerate(last))
    operands += (Operand((c_out,), warm=False),) if rng.random() < 0.5 else ()
    return Recipe(call, operands)


def _sequence(rng: Rng, scale: Scale, is_long: bool) -> Recipe:
    """Dilated windows of two or three, or long ones."""
    channels = log_uniform(rng, 16, 512)
    c_in = pick(rng, channels, channels, channels, 1, 2, 80)
    kernel, stride, dilation = pick(rng, 2, 3, 3), 1, 2 ** int(rng.integers(0, 10))
    if is_long:
        kernel, stride, dilation = pick(rng, 4, 5, 7, 8, 11, 15, 16, 25, 33, 65), pick(rng, 1, 1, 2, 4), 1
    length = max(log_uniform(rng, 32, 65536), dilation * kernel + 1)
    macs = length / stride * channels * c_in * kernel
    batch = batch_within(rng, scale, max(c_in, channels) * length, macs)
    pad = pick(rng, 0, dilation * (kernel - 1) // 2, dilation * (kernel - 1) // 2)
    bias = (Operand((channels,), warm=False),) if rng.random() < 0.8 else ()
    operands = Operand((batch, c_in, length)), Operand((channels, c_in, kernel), warm=False)
    return Recipe(Conv(F.conv1d, stride, pad, 1, dilation), (*operands, *bias))


def conv_grouped(rng: Rng, scale: Scale) -> Recipe:
    """Position embeddings of speech models of any width, and grouped windows of sequences and of images."""
    kind = pick(rng, "positions", "positions", "sequence", "image")
    if kind == "image":
        groups = pick(rng, 2, 3, 4, 8, 16)
        c_in = pick(rng, 24, 48, 96, 120, 240, 384, 480, 960) // groups * groups
        window = pick(rng, (1, 1), (3, 3), (3, 3), (5, 5))
        call = Conv(F.conv2d, pick(rng, 1, 1, 2), (window[0] // 2, window[1] // 2), groups)
        return _images(rng, scale, (c_in, c_in), pick(rng, 7, 14, 28, 56), window, call)
    if kind == "positions":
        width, kernel, groups = pick(rng, 256, 384, 512, 512, 640, 768, 1024, 1280), pick(rng, 64, 95, 128, 128), 16
        length = pick(rng, 24, 49, 99, 99, 149, 249, 499, 749)
    else:
        groups = pick(rng, 2, 4, 8, 16)
        width, kernel = groups * pick(rng, 8, 16, 24, 32, 64, 96), pick(rng, 3, 5, 7, 9, 25, 41)
        length = pick(rng, 128, 512, 2048, 8192)
    macs = length * width * width / groups * kernel
    batch = batch_within(rng, scale, width * length, macs)
    swapped = rng.random() < 0.6
    x = Operand((batch, length, width), permute=(0, 2, 1)) if swapped else Operand((batch, width, length))
    weights = (Operand((width, width // groups, kernel), warm=False), Operand((width,), warm=False))
    return Recipe(Conv(F.conv1d, 1, kernel // 2, groups), (x, *weights))


def conv_depthwise(rng: Rng, scale: Scale) -> Recipe:
    """Sequences with windows up to 129, windows of one column, large windows, dilated ones, channels last."""
    channels = log_uniform(rng, 16, 2048)
    kind = pick(rng, "sequence", "sequence", "sequence", "column", "large", "dilated", "plain")
    if kind == "sequence":
        kernel, dilation = pick(rng, 2, 3, 4, 5, 7, 9, 15, 17, 31, 31, 65, 129), pick(rng, 1, 1, 1, 2, 4, 8, 64)
        length = log_uniform(rng, 16, 16384)
        batch = batch_within(rng, scale, channels * length, channels * length * kernel)
        swapped = rng.random() < 0.3
        x = Operand((batch, length, channels), permute=(0, 2, 1)) if swapped else Operand((batch, channels, length))
        bias = (Operand((channels,), warm=False),) if rng.random() < 0.5 else ()
        call = Conv(F.conv1d, 1, dilation * (kernel - 1) // 2 + dilation, channels, dilation)
        return Recipe(call, (x, Operand((channels, 1, kernel), warm=False), *bias))
    side, dilation, stride, window = pick(rng, 7, 14, 28, 56, 112), 1, pick(rng, 1, 1, 2), (3, 3)
    if kind == "column":
        size = pick(rng, 7, 9, 11, 21, 31, 65)
        window, stride = pick(rng, (size, 1), (1, size)), 1
    elif kind == "large":
        size = pick(rng, 5, 7, 7, 7, 9, 11, 13, 31)
        window = (size, size)
    elif kind == "dilated":
        dilation = pick(rng, 2, 3, 4)
    pads = tuple(dilation * (s - 1) // 2 for s in window)
    call = Conv(F.conv2d, stride, pads, channels, dilation)
    return _images(rng, scale, (channels, channels), side, window, call)


def conv3d(rng: Rng, scale: Scale) -> Recipe:
    """Windows of volumes, windows of space or time alone, patches of videos."""
    kind = pick(rng, "cube", "cube", "space", "time", "point", "patches", "stem")
    c_in, c_out = pick(rng, 16, 32, 64, 64, 128, 256, 512), pick(rng, 16, 32, 64, 64, 128, 256, 512)
    side, stride = pick(rng, 7, 8, 14, 16, 28, 32, 56), pick(rng, (1, 1, 1), (1, 1, 1), (2, 2, 2), (1, 2, 2))
    windows = {"cube": (3, 3, 3), "space": (1, 3, 3), "time": (3, 1, 1), "point": (1, 1, 1)}
    window = windows.get(kind, (3, 7, 7))
    if kind == "patches":
        window = pick(rng, (2, 16, 16), (2, 16, 16), (2, 14, 14), (2, 8, 8), (1, 16, 16), (2, 4, 4), (4, 4, 4))
        stride, c_in, c_out = window, pick(rng, 1, 3, 3, 3), pick(rng, 96, 128, 384, 768, 1024)
        side = max(pick(rng, 64, 112, 224, 224) // window[1], 1) * window[1]
    elif kind == "stem":
        window = pick(rng, (3, 7, 7), (3, 7, 7), (1, 7, 7), (3, 3, 3), (5, 7, 7))
        stride, c_in, side = pick(rng, (1, 2, 2), (2, 2, 2)), pick(rng, 1, 3, 3), pick(rng, 56, 112, 112, 224)
    pads = (0, 0, 0) if kind == "patches" else tuple(size // 2 for size in window)
    groups = c_in if kind == "cube" and rng.random() < 0.1 else 1
    c_out = c_in if groups > 1 else c_out
    return _images(rng, scale, (c_in, c_out), side, window, Conv(F.conv3d, stride, pads, groups))


def conv_transposed(rng: Rng, scale: Scale) -> Recipe:
    """Images made larger in decoders and generators, sequences in vocoders."""
    c_in = pick(rng, 16, 32, 64, 64, 96, 128, 256, 256, 512, 1024)
    c_out = max(c_in // pick(rng, 1, 2, 2, 2, 4), 1) if rng.random() < 0.85 else pick(rng, 1, 3)
    bias = (Operand((c_out,), warm=False),) if rng.random() < 0.7 else ()
    if rng.random() < 0.4:
        stride = pick(rng, 2, 2, 3, 4, 5, 8, 8)
        kernel, length = stride * pick(rng, 1, 2, 2), log_uniform(rng, 8, 16384)
        macs = length * c_in * c_out * kernel
        batch = batch_within(rng, scale, length * max(c_in, c_out * stride), macs)
        operands = Operand((batch, c_in, length)), Operand((c_in, c_out, kernel), warm=False)
        return Recipe(Conv(F.conv_transpose1d, stride, (kernel - stride) // 2, 1), (*operands, *bias))
    side = pick(rng, 1, 4, 7, 8, 14, 16, 28, 32, 56, 64, 128)
    kernel, stride, pad = pick(
        rng, (2, 2, 0), (2, 2, 0), (4, 2, 1), (4, 2, 1), (4, 4, 0), (4, 1, 0), (3, 1, 1), (3, 2, 1)
    )
    macs = side**2 * c_in * c_out * kernel**2
    batch = batch_within(rng, scale, side**2 * max(c_in, c_out * stride**2), macs)
    last = rng.random() < 0.25
    x = Operand((batch, side, side, c_in), permute=(0, 3, 1, 2)) if last else Operand((batch, c_in, side, side))
    weight = Operand((c_in, c_out, kernel, kernel), warm=False)
    return Recipe(Conv(F.conv_transpose2d, stride, pad, 1), (x, weight, *bias))


def attention(rng: Rng, scale: Scale) -> Recipe:
    """Heads of other widths, a single one, few queries of many keys, very many short sequences."""
    kind = pick(rng, "widths", "widths", "single", "decode", "decode", "short", "across")
    heads, head_dim = (
        pick(rng, 1, 2, 3, 4, 6, 8, 12, 16),
        pick(rng, 8, 16, 24, 32, 40, 48, 72, 88, 96, 112, 160, 192, 256),
    )
    seq = kv_seq = pick(rng, *LENGTHS)
    if kind == "single":
        heads, head_dim = 1, pick(rng, 32, 64, 128, 256, 384, 512, 512, 768)
    elif kind == "decode":
        heads, head_dim, seq = pick(rng, 8, 12, 16, 32), pick(rng, 64, 64, 80, 128), pick(rng, 1, 1, 1, 4)
        kv_seq = log_uniform(rng, 16, 8192)
    elif kind == "short":
        seq = kv_seq = pick(rng, 2, 4, 8, 9, 16, 25, 49)
    elif kind == "across":
        kv_seq = log_uniform(rng, 16, 4096)
    per_item = heads * max(seq, kv_seq) * head_dim
    largest = min(scale.macs / (per_item * min(seq, kv_seq) * 2), scale.elements / per_item, 4096)
    batch = power_of_two(rng, max(largest, 1))

    def heads_of(length: int) -> Operand:
        return Operand((batch, length, heads, head_dim), permute=(0, 2, 1, 3))

    operands: tuple[Operand, ...] = (heads_of(seq), heads_of(kv_seq), heads_of(kv_seq))
    if kind in ("decode", "short") and rng.random() < 0.5:
        operands += (Operand((batch, 1, seq, kv_seq), expand=(batch, heads, seq, kv_seq)),)
    return Recipe(F.scaled_dot_product_attention, operands)


ROWS = (
    FamilyRecipe("gemm_grouped", gemm_grouped, 160, dtypes=("bf16",)),
    FamilyRecipe("conv3d", conv3d, 200),
    FamilyRecipe("conv_transposed", conv_transposed, 180),
)

RARE = (
    FamilyRecipe("gemm", gemm, 250),
    FamilyRecipe("conv", conv, 400),
    FamilyRecipe("conv_grouped", conv_grouped, 150),
    FamilyRecipe("conv_depthwise", conv_depthwise, 140),
    FamilyRecipe("attention", attention, 140),
)
