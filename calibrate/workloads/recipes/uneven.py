"""Recipes of shapes that a library's usual kernels do not fit: convolutions of odd numbers of channels, of several
outputs for each channel, of patches and wide windows; signals that are made longer by half as many channels; products
of odd lengths; masks that are shared; sums over a few parts; functions of a part.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from calibrate.workloads.recipes.base import FamilyRecipe, Operand, Recipe, Rng, Scale, log_uniform, pick
from calibrate.workloads.recipes.matrix import Conv
from calibrate.workloads.recipes.rare_memory import _call

SIDES = (7, 7, 14, 14, 28, 28, 56)
"""Of images, as networks halve those of 224 pixels."""


def _batch(rng: Rng, scale: Scale, elements: float, macs: float) -> int:
    """1 to 32, as far as the call stays within a quarter of the scale."""
    batch: int = pick(rng, 1, 1, 2, 4, 8, 16, 16, 32)
    while batch > 1 and batch * max(elements / scale.elements * 4, macs / scale.macs) > 1:
        batch //= 2
    return batch


def _odd(rng: Rng, most: int) -> int:
    """Channels of networks that grow by a share of themselves: mostly odd, some even, few multiples of eight."""
    channels = int(math.exp(rng.uniform(math.log(5), math.log(most))))
    step = pick(rng, 1, 1, 1, 2, 2, 4)
    return max(channels // step * step, 3)


def _images(
    rng: Rng, scale: Scale, channels: tuple[int, int], side: int, window: int, call: Conv, last: float
) -> Recipe:
    """A convolution of square images. last: the share of those whose channels are last in memory."""
    c_in, c_out = channels
    out = (side / call.stride) ** 2
    macs = out * c_out * c_in / call.groups * window**2
    batch = _batch(rng, scale, max(c_in * side**2, c_out * out), macs)
    shapes = (batch, c_in, side, side), (c_out, c_in // call.groups, window, window)
    if rng.random() < last:
        ordered = ((n, h, w, c) for n, c, h, w in shapes)
        operands = tuple(Operand(shape, permute=(0, 3, 1, 2), warm=i == 0) for i, shape in enumerate(ordered))
    else:
        operands = tuple(Operand(shape, warm=i == 0) for i, shape in enumerate(shapes))
    operands += (Operand((c_out,), warm=False),) if rng.random() < 0.4 else ()
    return Recipe(call, operands)


def conv(rng: Rng, scale: Scale) -> Recipe:
    """Single pixels mostly, from and to odd numbers of channels; some windows of 3 x 3; patches, wide windows of small
    images, signals of speech.
    """
    kind = pick(rng, *("point",) * 9, *("wide",) * 3, *("patch",) * 2, *("signal",) * 4)
    if kind == "signal":
        return _signal(rng, scale)
    if kind == "patch":
        window = pick(rng, 4, 7, 8, 14, 16, 16, 32)
        stride, side = pick(rng, window, window, max(window // 2, 1)), pick(rng, 112, 128, 224, 224, 256)
        channels = pick(rng, 1, 3, 3, 4), pick(rng, 48, 64, 96, 144, 192, 256, 384, 512, 768, 1024)
        return _images(rng, scale, channels, side, window, Conv(F.conv2d, stride, (0, 0), 1), 0.2)
    if kind == "wide":
        window, stride, pad = pick(rng, (3, 1, 1), (3, 1, 1), (3, 2, 1), (2, 2, 0), (5, 1, 2))
        narrow = 16 * int(rng.integers(4, 65))
        channels = narrow, pick(rng, narrow, narrow, 2 * narrow, 16 * int(rng.integers(4, 65)))
        return _images(
            rng, scale, channels, pick(rng, 7, 7, 14, 14, 28), window, Conv(F.conv2d, stride, (pad, pad), 1), 0.2
        )
    window = pick(rng, 1, 1, 1, 1, 1, 3)
    narrow, ratio = _odd(rng, 240), pick(rng, 1, 2, 6, 6, rng.uniform(0.5, 2))
    wide = max(round(narrow * ratio), 3) if rng.random() < 0.7 else _odd(rng, 1400)
    channels = (narrow, wide) if rng.random() < 0.5 else (wide, narrow)
    if rng.random() < 0.22:  # the gates of channels, one pixel of each image
        return _images(rng, scale, channels, 1, 1, Conv(F.conv2d, 1, (0, 0), 1), 0.3)
    stride = pick(rng, 1, 1, 1, 1, 1, 2)
    call = Conv(F.conv2d, stride, (window // 2, window // 2), 1)
    return _images(rng, scale, channels, pick(rng, *SIDES), window, call, 0.4)


def _signal(rng: Rng, scale: Scale) -> Recipe:
    """Layers of codecs of speech: windows of 1, 3 and 7, and of two steps where a signal is made shorter."""
    width: int = pick(rng, 32, 64, 64, 128, 128, 256, 256, 512, 512, 1024)
    stride = pick(rng, 1, 1, 1, 2, 4, 5, 6, 8)
    window = 2 * stride if stride > 1 else pick(rng, 1, 3, 3, 7)
    other = 2 * width if stride > 1 else pick(rng, 1, width // 2, width // 2, width, 2 * width)
    c_in, c_out = (other, width) if stride == 1 and rng.random() < 0.3 else (width, other)
    length = max(log_uniform(rng, 24, 65536), window)
    batch = _batch(rng, scale, length * max(c_in, c_out / stride), length / stride * c_in * c_out * window)
    bias = (Operand((c_out,), warm=False),) if rng.random() < 0.8 else ()
    operands = Operand((batch, c_in, length)), Operand((c_out, c_in, window), warm=False)
    return Recipe(Conv(F.conv1d, stride, pick(rng, 0, 0, window // 2), 1), (*operands, *bias))


def conv_grouped(rng: Rng, scale: Scale) -> Recipe:
    """Groups of odd numbers of channels; of 16 and 32, up to 48 of them; two wide ones; single pixels and 3 x 3."""
    kind, stride = pick(rng, "odd", "narrow", "narrow", "narrow", "halves"), pick(rng, 1, 1, 1, 2)
    if kind == "odd":
        groups, window, width = pick(rng, 2, 2, 3, 4, 4, 6, 8), pick(rng, 1, 1, 3), _odd(rng, 96)
        wider = width if rng.random() < 0.6 else _odd(rng, 96)
    elif kind == "narrow":
        groups, window = pick(rng, 3, 4, 6, 8, 12, 16, 24, 32, 48), pick(rng, 1, 3)
        width = wider = pick(rng, 16, 16, 32, 32, 8, 24)
        stride = 1 if window == 1 else stride
    else:
        groups, window, width = 2, 3, pick(rng, 16, 32, 64, 128, 256)
        wider = width * pick(rng, 1, 2, 2)
    call = Conv(F.conv2d, stride, (window // 2, window // 2), groups)
    return _images(rng, scale, (groups * width, groups * wider), pick(rng, *SIDES), window, call, 0.25)


def conv_depthwise(rng: Rng, scale: Scale) -> Recipe:
    """Several outputs for each channel, as where tokens are pooled, channels last mostly; odd numbers of channels;
    channels last with large windows.
    """
    kind, times = pick(rng, *("pooled",) * 6, *("odd",) * 2, *("last",) * 2), 1
    side, stride = pick(rng, *SIDES, 112), pick(rng, 1, 1, 2)
    if kind == "pooled":
        channels, times = pick(rng, 32, 48, 64, 72, 96, 128, 144, 144, 192, 256, 288, 384), pick(rng, 2, 2, 2, 2, 3, 4)
        side, stride, last = pick(rng, 7, 8, 14, 14, 16, 27, 28, 31, 32, 56), pick(rng, 1, 2, 2), 0.65
        window = pick(rng, 3, 3, 3, 5, 7)
    elif kind == "odd":
        channels, window, last = _odd(rng, 1200), pick(rng, 3, 3, 5, 7), 0.4
    else:
        channels, window, last = 8 * int(rng.integers(4, 97)), pick(rng, 3, 5, 7, 7, 7), 1.0
    call = Conv(F.conv2d, stride, (window // 2, window // 2), channels)
    return _images(rng, scale, (channels, channels * times), side, window, call, last)


def conv_transposed(rng: Rng, scale: Scale) -> Recipe:
    """Decoders of speech: steps of 2 to 8, windows of two steps, half as many channels, up to minutes of samples; each
    channel alone by steps of up to 16. As many images whose channels are last in memory, their weights' likewise.
    """
    if rng.random() < 0.5:
        return _larger_images(rng, scale)
    c_in: int = pick(rng, 32, 64, 64, 96, 128, 128, 128, 192, 256, 256, 384, 512, 768, 1024)
    c_out, groups, stride = max(c_in // pick(rng, 2, 2, 2, 2, 1, 4), 1), 1, pick(rng, 2, 2, 4, 4, 5, 6, 8)
    window, length = stride * pick(rng, 1, 2, 2, 2), log_uniform(rng, 16, 24000)
    if rng.random() < 0.12:
        c_out, groups, stride = c_in, c_in, pick(rng, 2, 4, 16)
        window, length = 2 * stride, log_uniform(rng, 8, 1024)
    batch = _batch(rng, scale, length * max(c_in, c_out * stride), length * c_in * c_out / groups * window)
    bias: tuple[Any, ...] = (Operand((c_out,), warm=False),) if rng.random() < 0.7 else ()
    call = Conv(F.conv_transpose1d, stride, pick(rng, 0, 0, (window - stride) // 2), groups)
    return Recipe(call, (Operand((batch, c_in, length)), Operand((c_in, c_out // groups, window), warm=False), *bias))


def _larger_images(rng: Rng, scale: Scale) -> Recipe:
    """Transposed convolutions of decoders, generators and compiled models, channels last."""
    c_in: int = pick(rng, 16, 32, 48, 64, 64, 96, 128, 128, 160, 256, 256, 384, 512, 768, 1024)
    c_out = pick(rng, c_in, c_in, c_in // 2, c_in // 2, c_in // 4, 1, 3, 4)
    side = pick(rng, 1, 3, 4, 6, 7, 8, 12, 14, 16, 24, 28, 32, 48, 56, 64, 128)
    window, stride, pad = pick(
        rng,
        *((2, 2, 0), (2, 2, 0), (3, 2, 1), (3, 1, 1), (4, 2, 1), (4, 2, 1)),
        *((4, 4, 0), (5, 2, 2), (5, 1, 2), (8, 4, 2)),
    )
    batch = _batch(rng, scale, side**2 * max(c_in, c_out * stride**2), side**2 * c_in * c_out * window**2)
    x = Operand((batch, side, side, c_in), permute=(0, 3, 1, 2))
    weight = Operand((c_in, window, window, c_out), permute=(0, 3, 1, 2), warm=False)
    bias: tuple[Any, ...] = (Operand((c_out,), warm=False),) if rng.random() < 0.4 else ()
    return Recipe(Conv(F.conv_transpose2d, stride, pad, 1), (x, weight, *bias))


def conv3d(rng: Rng, scale: Scale) -> Recipe:
    """First layers of videos: stems and patches."""
    window, stride, pad = pick(
        rng,
        ((3, 7, 7), (2, 4, 4), (1, 3, 3)),
        ((3, 7, 7), (1, 2, 2), (1, 3, 3)),
        ((5, 7, 7), (1, 2, 2), (2, 3, 3)),
        ((2, 4, 4), (2, 4, 4), (0, 0, 0)),
        ((2, 16, 16), (2, 16, 16), (0, 0, 0)),
        ((1, 7, 7), (1, 2, 2), (0, 3, 3)),
    )
    depth, side, c_out = (
        pick(rng, 4, 8, 8, 16, 16, 32),
        pick(rng, 56, 112, 112, 128, 224, 224),
        pick(rng, 24, 45, 64, 96, 192, 384),
    )
    of_pixel = c_out * 3 * math.prod(window) / math.prod(stride)
    while side > 16 and depth * side**2 * max(of_pixel / scale.macs, c_out / scale.elements) > 1:
        side //= 2
    pixels = depth * side**2
    out = pixels / math.prod(stride)
    batch = _batch(rng, scale, max(3 * pixels, c_out * out), out * c_out * 3 * math.prod(window))
    bias = (Operand((c_out,), warm=False),) if rng.random() < 0.6 else ()
    operands = Operand((batch, 3, depth, side, side)), Operand((c_out, 3, *window), warm=False)
    return Recipe(Conv(F.conv3d, stride, pad, 1), (*operands, *bias))


LENGTHS = (49, 50, 65, 77, 98, 99, 145, 197, 257, 393, 577, 785, 1025, 1569)
"""Of sequences of patches, a token of their own beside them in many."""


def gemm(rng: Rng, scale: Scale) -> Recipe:
    """Both products of attention over odd lengths, from one length to another; first products of feed-forward layers,
    whose GELU is part of them, and the same without it.
    """
    if rng.random() < 0.45:
        k, times = pick(rng, 64, 192, 256, 384, 512, 768, 768, 1024, 1280), pick(rng, 2, 4, 4, 4)
        m, n = log_uniform(rng, 8, 16384), times * k
        operands = Operand((n,), warm=False), Operand((m, k)), Operand((n, k), permute=(1, 0), warm=False)
        return Recipe(_activated if rng.random() < 0.75 else torch.addmm, operands)
    m, head = pick(rng, *LENGTHS), pick(rng, 24, 32, 48, 64, 64, 96, 128)
    other = m if rng.random() < 0.6 else pick(rng, *LENGTHS)
    batch = max(_batch(rng, scale, m * other, m * other * head) * pick(rng, 1, 2, 3, 4, 6, 8, 12, 16), 2)
    batch = max(min(batch, int(scale.elements / 4 / (m * other))), 2)
    if rng.random() < 0.5:
        return Recipe(torch.bmm, (Operand((batch, m, head)), Operand((batch, other, head), permute=(0, 2, 1))))
    return Recipe(torch.bmm, (Operand((batch, m, other)), Operand((batch, other, head))))


def _activated(bias: Any, x: Any, weight: Any) -> Any:
    return torch._addmm_activation(bias, x, weight, use_gelu=True)


def attention(rng: Rng, scale: Scale) -> Recipe:
    """Biases by position that a batch shares, of three dimensions, which the faster kernel does not take, or of four;
    masks of their own for each head; heads wider than 256.
    """
    if rng.random() < 0.15:
        head_dim, length = pick(rng, 320, 512, 768, 1024, 1152), pick(rng, 16, 64, 64, 256, 1024)
        shape = pick(rng, 1, 1, 2, 4, 16), pick(rng, 1, 1, 2), length, head_dim
        return Recipe(F.scaled_dot_product_attention, (Operand(shape),) * 3)
    heads, head_dim = pick(rng, 2, 3, 4, 5, 6, 8, 10, 12, 16), pick(rng, 16, 32, 32, 64, 64)
    length = pick(rng, 16, 49, 49, 64, 100, 144, 196, 196, 197, 256)
    most = min(4096, scale.elements / 4 / (heads * length * max(length, head_dim)))
    batch = 2 ** int(rng.integers(0, int(math.log2(max(most, 1))) + 1))
    kind = pick(rng, "three", "three", "three", "shared", "shared", "own", "two")
    shapes = {"three": (heads,), "shared": (1, heads), "own": (batch, heads), "two": ()}
    mask = Operand((*shapes[kind], length, length))
    if kind == "shared":
        mask = Operand((1, heads, length, length), expand=(batch, heads, length, length))
    parts = Operand((batch, length, heads, head_dim), permute=(0, 2, 1, 3))
    return Recipe(F.scaled_dot_product_attention, (parts, parts, parts, mask))


def reduce(rng: Rng, scale: Scale) -> Recipe:
    """Over a few parts of a tensor that lie far apart, as branches are added; the best of a few classes of a pixel."""
    parts, width, side = pick(rng, 2, 2, 3, 4), pick(rng, 16, 32, 64, 64, 128, 256, 512), pick(rng, *SIDES, 112)
    function = pick(rng, torch.sum, torch.sum, torch.mean, torch.amax)
    if rng.random() < 0.25:
        parts, width, function = pick(rng, 2, 5, 19, 21, 21, 150), 1, torch.argmax
        side = pick(rng, 28, 56, 112, 224, 256, 512)
    batch = _batch(rng, scale, parts * width * side**2, 0.0)
    shape = (batch, parts, width, side, side) if width > 1 else (batch, parts, side, side)
    return Recipe(_call(function, 1), (Operand(shape),))


@dataclass(frozen=True, slots=True)
class _OfPart:
    """A function of one of the equal parts of a tensor's last dimension, its heads apart where there are any."""

    function: Callable[[Any], Any]
    parts: int
    heads: int = 0

    def __call__(self, x: Any) -> Any:
        part = x.chunk(self.parts, -1)[int(self.parts > 2)]
        return self.function(part.unflatten(-1, (self.heads, -1)).transpose(1, 2) if self.heads else part)


def _scaled(x: Any) -> Any:
    return x * 0.125


def pointwise(rng: Rng, scale: Scale) -> Recipe:
    """Functions of a part of what one product made: queries that are scaled, halves that are turned, gates."""
    parts, heads, head_dim = pick(rng, 2, 3, 3), pick(rng, 0, 1, 2, 3, 6, 8, 12), pick(rng, 16, 32, 32, 64, 64, 128)
    function = pick(rng, _scaled, _scaled, torch.neg, F.silu, F.gelu, torch.sigmoid)
    rows, width = log_uniform(rng, 16, 4096), parts * max(heads, 1) * head_dim
    batch = _batch(rng, scale, rows * width, 0.0) * pick(rng, 1, 1, 8)
    return Recipe(_OfPart(function, parts, heads), (Operand((batch, rows, width)),))


UNEVEN = (
    FamilyRecipe("conv", conv, 2200, dtypes=("fp16",)),
    FamilyRecipe("conv_grouped", conv_grouped, 440, dtypes=("fp16",)),
    FamilyRecipe("conv_depthwise", conv_depthwise, 400, dtypes=("fp16", "tf32")),
    FamilyRecipe("conv_transposed", conv_transposed, 560, dtypes=("fp16", "tf32")),
    FamilyRecipe("conv3d", conv3d, 70, dtypes=("fp16",)),
    FamilyRecipe("gemm", gemm, 380, dtypes=("fp16",)),
    FamilyRecipe("attention", attention, 200, dtypes=("fp16",)),
    FamilyRecipe("reduce", reduce, 140),
    FamilyRecipe("pointwise", pointwise, 160),
)
