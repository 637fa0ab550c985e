"""Recipes of calls as published networks make them, in their widths, where a library's choice turns on the shape:
groups of ResNeXt and RegNet, depthwise windows of ConvMixer and PiT, volumes of films, signals of vocoders, and
products and attention of very many very short rows.
"""

from __future__ import annotations

import math

import torch.nn.functional as F

from calibrate.workloads.recipes.base import FamilyRecipe, Operand, Recipe, Rng, Scale, log_uniform, pick
from calibrate.workloads.recipes.matrix import Conv


def _layer(
    rng: Rng, scale: Scale, call: Conv, x: tuple[int, ...], weight: tuple[int, ...], out_elements: float, bias: int
) -> Recipe:
    """A layer on one of a few batches that the scale allows. x, out_elements: of one image or signal; weight: as torch
    has it; bias: its numbers, 0 without one.
    """
    macs = out_elements * math.prod(weight[1:])
    largest = min(scale.elements / max(math.prod(x), out_elements), 4 * scale.macs / macs)
    batches = [batch for batch in (1, 1, 2, 4, 8, 8, 16, 16, 32) if batch <= largest] or [1]
    operands = Operand((pick(rng, *batches), *x)), Operand(weight, warm=False)
    return Recipe(call, (*operands, *((Operand((bias,), warm=False),) if bias else ())))


def conv_grouped(rng: Rng, scale: Scale) -> Recipe:
    """3x3 windows of ResNeXt's and RegNet's groups, at every stage and its first layer."""
    stage: int = pick(rng, 0, 1, 1, 2, 2, 3, 3)
    stride, side = pick(rng, (1, 56), (1, 56), (2, 112)), pick(rng, 1, 1, 1, 8 / 7, 9 / 7)
    width = pick(rng, 4, 8, 8, 16, 16, 24, 32, 32, 40, 48, 56, 64, 64, 112, 128, 128, 232, 256)
    groups = max(pick(rng, 128, 256, 256, 512) * 2**stage // 2 // width, 2)
    channels = min(width * groups, 4096 // width * width)
    size = int(stride[1] * side) >> stage
    call = Conv(F.conv2d, stride[0], 1, channels // width)
    out = channels * math.ceil(size / stride[0]) ** 2
    return _layer(
        rng, scale, call, (channels, size, size), (channels, width, 3, 3), out, channels if rng.random() < 0.2 else 0
    )


def conv_depthwise(rng: Rng, scale: Scale) -> Recipe:
    """Windows of mobile networks' stages, wide windows of few pixels, and those that widen what they halve."""
    kind = pick(rng, "mobile", "mobile", "mobile", "wide", "wide", "widening")
    if kind == "wide":
        channels, side = pick(rng, 96, 192, 256, 384, 512, 768, 1024, 1536), pick(rng, 7, 8, 14, 16, 28, 32, 56)
        window: int = pick(rng, 5, 7, 7, 9, 9, 11, 13)
        call, stride, times = Conv(F.conv2d, 1, window // 2, channels), 1, 1
    elif kind == "widening":
        channels, side, window = pick(rng, 48, 64, 96, 144, 192, 256), pick(rng, 14, 16, 27, 28, 31, 56), 3
        stride, times = 2, 2
        call = Conv(F.conv2d, stride, 1, channels)
    else:
        channels = pick(rng, 16, 32, 48, 64, 72, 96, 120, 144, 192, 240, 288, 384, 480, 576, 672, 960, 1152)
        side, window, stride, times = (
            pick(rng, 7, 8, 14, 16, 28, 32, 56, 64, 112),
            pick(rng, 3, 3, 5),
            pick(rng, 1, 2),
            1,
        )
        call = Conv(F.conv2d, stride, window // 2, channels)
    out = times * channels * math.ceil(side / stride) ** 2
    bias = times * channels if kind != "mobile" or rng.random() < 0.2 else 0
    return _layer(rng, scale, call, (channels, side, side), (times * channels, 1, window, window), out, bias)


def conv3d(rng: Rng, scale: Scale) -> Recipe:
    """Whole and factored windows of networks that classify films, at every stage."""
    stage: int = pick(rng, 0, 0, 1, 1, 2, 3)
    side, depth = pick(rng, 56, 56, 64, 28) >> stage, max(pick(rng, 8, 16, 16, 32) >> stage, 1)
    window = pick(rng, (3, 3, 3), (3, 3, 3), (1, 3, 3), (1, 3, 3), (3, 1, 1), (3, 1, 1), (1, 1, 1))
    stride = pick(rng, (1, 1, 1), (1, 1, 1), tuple(min(extent, 2) if extent > 1 else 1 for extent in window))
    channels: int = 64 * 2**stage
    other = pick(rng, channels, channels, channels * 9 // 4, channels * 18 // 5, channels // 2)
    c_in, c_out = (channels, other) if rng.random() < 0.5 else (other, channels)
    call = Conv(F.conv3d, stride, tuple(extent // 2 for extent in window), 1)
    while side > 1 and c_in * c_out * math.prod(window) * depth * side**2 > scale.macs:  # of a small scale
        side, depth = side // 2, max(depth // 2, 1)
    x = (c_in, depth, side, side)
    out = c_out * math.prod(math.ceil(size / step) for size, step in zip(x[1:], stride, strict=True))
    return _layer(rng, scale, call, x, (c_out, c_in, *window), out, c_out if rng.random() < 0.3 else 0)


def conv_transposed(rng: Rng, scale: Scale) -> Recipe:
    """Layers of vocoders and codecs, which make a signal longer and halve its channels; patches of decoders."""
    if rng.random() < 0.25:
        channels, side, step = pick(rng, 32, 64, 128, 256, 512), pick(rng, 7, 14, 16, 24, 32, 64), pick(rng, 2, 2, 4)
        narrow = max(channels // pick(rng, 1, 2), 1)
        window, out = (channels, narrow, step, step), narrow * (side * step) ** 2
        return _layer(rng, scale, Conv(F.conv_transpose2d, step, 0, 1), (channels, side, side), window, out, narrow)
    channels = pick(rng, 16, 32, 32, 64, 64, 128, 128, 256, 256, 512, 768, 1024)
    step = pick(rng, 2, 2, 3, 4, 4, 5, 6, 8, 8, 10)
    narrow = max(channels // pick(rng, 1, 2, 2, 2), 1)
    length = log_uniform(rng, 32, 32_768 if channels <= 128 else 2048)
    pad: int = pick(rng, 0, math.ceil(step / 2))
    weight = (channels, narrow, pick(rng, 2 * step, 2 * step, step))
    call = Conv(F.conv_transpose1d, step, pad if weight[2] > step else 0, 1)
    return _layer(rng, scale, call, (channels, length), weight, narrow * length * step, narrow)


def conv(rng: Rng, scale: Scale) -> Recipe:
    """Residual units of vocoders and codecs: narrow signals that are long, windows that are dilated."""
    channels = pick(rng, 16, 32, 32, 64, 64, 128, 128, 256, 256, 512, 512, 768)
    window, dilation = pick(
        rng, (3, 1), (3, 3), (3, 5), (7, 1), (7, 3), (7, 5), (7, 9), (11, 1), (11, 3), (11, 5), (1, 1)
    )
    other = pick(rng, channels, channels, channels, 1, 2 * channels)
    length = log_uniform(rng, 64, min(scale.elements / max(channels, other) / 2, 65_536))
    padded = rng.random() < 0.7
    call = Conv(F.conv1d, 1, dilation * (window // 2) if padded else 0, 1, dilation)
    length = max(length, 2 * dilation * window)
    weight = (other, channels, window)
    return _layer(rng, scale, call, (channels, length), weight, other * length, other if rng.random() < 0.9 else 0)


def gemm(rng: Rng, scale: Scale) -> Recipe:
    """Layers across the heads or channels of each pixel, whose rows are many and short; words of odd vocabularies."""
    if rng.random() < 0.25:
        m, n = pick(rng, 1, 8, 16, 128, 128, 512, 1024, 2048), log_uniform(rng, 1000, 150_000)
        k = pick(rng, 256, 512, 640, 768, 768, 1024, 2048)
        m = max(int(min(m, scale.elements / n)), 1)
    else:
        n, k = (pick(rng, 3, 4, 6, 8, 8, 12, 16, 16, 24, 32, 48, 64) for _ in range(2))
        m = log_uniform(rng, 4096, scale.elements / max(n, k) / 2)
    bias = (Operand((n,), warm=False),) if rng.random() < 0.5 else ()
    return Recipe(F.linear, (Operand((m, k)), Operand((n, k), warm=False), *bias))


def attention(rng: Rng, scale: Scale) -> Recipe:
    """Attention along the few frames of every pixel, the few neighbours of every point, narrow heads."""
    heads, head_dim = pick(rng, 1, 2, 2, 4, 8, 8), pick(rng, 8, 8, 16, 32, 32, 40, 64)
    seq: int = pick(rng, 2, 4, 4, 8, 8, 16, 16, 25, 32, 49, 64)
    if rng.random() < 0.25:
        seq, head_dim = pick(rng, 256, 1024, 1024, 2048, 4096), pick(rng, 8, 16, 24)
    macs = 2 * heads * seq * seq * head_dim
    largest = min(scale.elements / (heads * seq * head_dim) / 2, scale.macs / macs)
    batch = log_uniform(rng, min(64, largest / 2), largest) if seq < 256 else pick(rng, 1, 2, 8, 16)

    def heads_of() -> Operand:
        return Operand((batch, seq, heads, head_dim), permute=(0, 2, 1, 3))

    return Recipe(F.scaled_dot_product_attention, (heads_of(), heads_of(), heads_of()))


TYPICAL = (
    FamilyRecipe("conv_grouped", conv_grouped, 300, dtypes=("fp16",)),
    FamilyRecipe("conv_depthwise", conv_depthwise, 200, dtypes=("fp16",)),
    FamilyRecipe("conv3d", conv3d, 150, dtypes=("fp16",)),
    FamilyRecipe("conv_transposed", conv_transposed, 200, dtypes=("fp16",)),
    FamilyRecipe("conv", conv, 200, dtypes=("fp16",)),
    FamilyRecipe("gemm", gemm, 200, dtypes=("fp16",)),
    FamilyRecipe("attention", attention, 150, dtypes=("fp16",)),
)
