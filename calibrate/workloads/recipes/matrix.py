"""Recipes on the matrix units: products, convolutions, attention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from calibrate.workloads.recipes.base import (
    LENGTHS,
    WIDE,
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


def gemm(rng: Rng, scale: Scale) -> Recipe:
    """Linear layers with and without bias, single products, batched products of two activations.

    More than half have the widths, lengths and batches that models have, the rest any.
    """
    kind = pick(rng, "linear", "linear", "linear", "nobias", "addmm", "bmm", "bmm", "bmm_nt")
    usual = rng.random() < scale.usual
    if kind.startswith("bmm"):
        batch = log_uniform(rng, 2, 4096)
        n, k = log_uniform(rng, 8, 1024), log_uniform(rng, 8, 1024)
        m = log_uniform(rng, 8, max(min(2048, scale.macs / (batch * n * k), scale.elements / (batch * max(n, k))), 8))
        if usual:  # the two products of attention
            m, head = min(pick(rng, *LENGTHS), m), pick(rng, 32, 64, 64, 64, 80, 96, 128)
            n, k = (m, head) if kind == "bmm_nt" else (head, m)
            largest = min(scale.macs / (m * n * k), scale.elements / (m * max(n, k)))
            batch = power_of_two(rng, max(largest / 16, 1)) * pick(rng, 2, 4, 6, 8, 12, 12, 16)
        left, right = Operand((batch, m, k)), Operand((batch, k, n))
        if kind == "bmm_nt":
            right = Operand((batch, n, k), permute=(0, 2, 1))
        return Recipe(torch.bmm, (left, right))
    n, k = log_uniform(rng, 16, min(16384, scale.elements**0.5)), log_uniform(rng, 16, min(16384, scale.elements**0.5))
    if usual:
        n, k = (min(pick(rng, *WIDTHS, *WIDTHS, *WIDE), int(scale.elements**0.5)) for _ in range(2))
    largest = max(min(65536, scale.macs / (n * k), scale.elements / max(n, k)), 1)
    m = log_uniform(rng, 1, largest)
    if usual:
        length = pick(rng, 1, *LENGTHS)
        m = length * power_of_two(rng, max(largest / length, 1)) if length <= largest else m
    x, bias = Operand((m, k)), Operand((n,), warm=False)
    if kind == "addmm":
        return Recipe(torch.addmm, (bias, x, Operand((k, n), warm=False)))
    weight = Operand((n, k), warm=False)
    return Recipe(F.linear, (x, weight, bias) if kind == "linear" else (x, weight))


def conv(rng: Rng, scale: Scale) -> Recipe:
    """Dense convolutions: images (1x1, square windows, stems and patches) and sequences."""
    if rng.random() < 0.25:
        length = log_uniform(rng, 32, 32768)
        kind = pick(rng, "pointwise", "dense", "dense", "stem")
        c_in, c_out = log_uniform(rng, 32, 1024), log_uniform(rng, 32, 1024)
        kernel, stride = {"pointwise": (1, 1), "dense": (pick(rng, 2, 3, 3, 5), pick(rng, 1, 2, 2))}.get(
            kind, (pick(rng, 3, 8, 10, 16), pick(rng, 2, 4, 5))
        )
        c_in = pick(rng, 1, 1, 80) if kind == "stem" else c_in
        return _sequence_conv(rng, scale, c_in, c_out, length, kernel, stride, 1)
    kind = pick(rng, "1x1", "1x1", "window", "window", "stem")
    side = pick(rng, 7, 8, 14, 16, 28, 32, 56, 64, 112, 128, 224, 256)
    if kind == "stem":
        kernel = pick(rng, 3, 4, 7, 8, 14, 16)
        stride, side = (kernel if kernel > 7 else pick(rng, 1, 2, 2, kernel)), pick(rng, 64, 128, 224, 256)
        return _image_conv(rng, scale, pick(rng, 1, 3, 3, 4), log_uniform(rng, 8, 1024), side, kernel, stride, 1)
    kernel = 1 if kind == "1x1" else pick(rng, 3, 3, 3, 3, 3, 5, 7)
    if rng.random() < scale.usual:  # as in residual networks
        narrow, ratio = (
            pick(rng, 16, 24, 32, 48, 64, 64, 96, 128, 128, 160, 192, 256, 256, 384, 512),
            pick(rng, 1, 2, 4, 6),
        )
        wide = narrow * (ratio if kernel == 1 else 1)
        c_in, c_out = (narrow, wide) if rng.random() < 0.5 else (wide, narrow)
        return _image_conv(rng, scale, c_in, c_out, pick(rng, 7, 14, 28, 56, 112), kernel, pick(rng, 1, 1, 1, 2), 1)
    c_in, c_out = log_uniform(rng, 8, 2048), log_uniform(rng, 8, 2048)
    return _image_conv(rng, scale, c_in, c_out, side, kernel, pick(rng, 1, 1, 2), 1)


def conv_grouped(rng: Rng, scale: Scale) -> Recipe:
    """Grouped convolutions: images with square windows, sequences with narrow and very wide windows.

    How the library runs them changes abruptly from shape to shape, so most samples have the widths, lengths and groups
    that models have.
    """
    kind = pick(rng, "image", "image", "narrow", "narrow", "narrow", "wide")
    usual = rng.random() < scale.usual
    if kind == "image":
        groups = pick(rng, 2, 4, 8, 16, 32, 32, 64)
        width = pick(rng, 4, 8, 8, 16, 16, 24, 32, 40, 48, 56, 64, 112) if usual else log_uniform(rng, 2, 256)
        c_in, side = min(width * groups, 4096 // groups * groups), pick(rng, 7, 14, 28, 56, 112)
        return _image_conv(rng, scale, c_in, c_in, side, pick(rng, 1, 3, 3, 3, 5), pick(rng, 1, 1, 2), groups)
    length = pick(rng, *LENGTHS) if usual else log_uniform(rng, 16, 1024)
    if kind == "narrow":
        groups = pick(rng, 2, 4, 4, 4, 8, 16)
        c_in = pick(rng, *WIDTHS) if usual else log_uniform(rng, 2, 512) * groups
        c_out = max(int(c_in / groups * pick(rng, 1, 1, 1, 2, 4, 4, 0.5, 0.25, 0.25)), 1) * groups
        return _sequence_conv(rng, scale, c_in, min(c_out, 8192), length, pick(rng, 1, 1, 1, 3), 1, groups)
    if usual and rng.random() < 0.7:  # the position embedding of wav2vec 2.0 and the speech models after it
        width, seconds = pick(rng, 768, 1024), pick(rng, 1, 2, 5, 10, 15)
        largest = min(scale.elements / (width * 50 * seconds), scale.macs / (width * width / 16 * 128 * 50 * seconds))
        x = Operand((power_of_two(rng, min(largest, 128)), 50 * seconds - 1, width), permute=(0, 2, 1))
        weights = (Operand((width, width // 16, 128), warm=False), Operand((width,), warm=False))
        return Recipe(Conv(F.conv1d, 1, 64, 16), (x, *weights))
    groups = pick(rng, 8, 16, 16, 32)
    width = pick(rng, 256, 512, 768, 768, 1024, 1024, 1280) if usual else log_uniform(rng, 8, 96) * groups
    kernel = pick(rng, 9, 15, 31, 64, 128, 128, 128)
    return _sequence_conv(rng, scale, width, width, length, kernel, 1, groups)


def conv_depthwise(rng: Rng, scale: Scale) -> Recipe:
    """Depthwise convolutions of images, and some of sequences."""
    channels = log_uniform(rng, 8, 2048)
    if rng.random() < 0.15:
        return _sequence_conv(
            rng, scale, channels, channels, log_uniform(rng, 32, 2048), pick(rng, 3, 4, 7, 15, 31), 1, channels
        )
    side = pick(rng, 7, 9, 14, 16, 28, 30, 56, 58, 112, 114, 128)
    return _image_conv(rng, scale, channels, channels, side, pick(rng, 3, 3, 3, 5, 7), pick(rng, 1, 1, 2), channels)


def batch_within(rng: Rng, scale: Scale, pixels: float, macs: float) -> int:
    """A batch that keeps the call within the scale, mostly a power of two."""
    largest = max(min(256, scale.elements / pixels, scale.macs / macs), 1)
    return power_of_two(rng, largest) if rng.random() < 0.7 else log_uniform(rng, 1, largest)


def _image_conv(
    rng: Rng, scale: Scale, c_in: int, c_out: int, side: int, kernel: int, stride: int, groups: int
) -> Recipe:
    pad = 0 if kernel == stride else pick(rng, kernel // 2, kernel // 2, 0)
    out_pixels = (side / stride) ** 2
    batch = batch_within(
        rng, scale, max(c_in * side**2, c_out * out_pixels), out_pixels * c_out * c_in / groups * kernel**2
    )
    shapes = (batch, c_in, side, side), (c_out, c_in // groups, kernel, kernel)
    operands: tuple[Operand, ...]
    if rng.random() < 0.25:  # channels last, weights too, as compilers have them
        last = [(n, h, w, c) for n, c, h, w in shapes]
        operands = Operand(last[0], permute=(0, 3, 1, 2)), Operand(last[1], permute=(0, 3, 1, 2), warm=False)
    else:
        operands = Operand(shapes[0]), Operand(shapes[1], warm=False)
    operands += (Operand((c_out,), warm=False),) if rng.random() < 0.3 else ()
    return Recipe(Conv(F.conv2d, stride, pad, groups), operands)


def _sequence_conv(
    rng: Rng, scale: Scale, c_in: int, c_out: int, length: int, kernel: int, stride: int, groups: int
) -> Recipe:
    pad = pick(rng, 0, kernel // 2, kernel // 2)
    length = max(length, kernel - 2 * pad)
    out = length / stride
    batch = batch_within(rng, scale, max(c_in * length, c_out * out), out * c_out * c_in / groups * kernel)
    swapped = rng.random() < 0.3
    shape = (batch, length, c_in) if swapped else (batch, c_in, length)
    operands: tuple[Operand, ...] = (
        Operand(shape, permute=(0, 2, 1) if swapped else ()),
        Operand((c_out, c_in // groups, kernel), warm=False),
    )
    operands += (Operand((c_out,), warm=False),) if rng.random() < 0.6 else ()
    return Recipe(Conv(F.conv1d, stride, pad, groups), operands)


@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution of a function of torch. stride, pad, dilation: a number for all dimensions or one for each."""

    function: Callable[..., Any]
    stride: Any
    pad: Any
    groups: int
    dilation: int = 1

    def __call__(self, x: Any, weight: Any, bias: Any = None) -> Any:
        return self.function(
            x, weight, bias, stride=self.stride, padding=self.pad, groups=self.groups, dilation=self.dilation
        )


def attention(rng: Rng, scale: Scale) -> Recipe:
    """Fused attention on transposed views, as models call it: unmasked, causal, with an additive mask, across lengths,
    heads that share their keys and values.
    """
    heads = pick(rng, 2, 4, 8, 12, 12, 16, 24, 32)
    head_dim = pick(rng, 32, 64, 64, 64, 80, 96, 128)
    seq = pick(rng, *LENGTHS) if rng.random() < scale.usual else log_uniform(rng, 16, 2048)
    kv_seq = seq if rng.random() < 0.8 else log_uniform(rng, 16, 2048)
    kind = pick(rng, "unmasked", "unmasked", "unmasked", "causal", "causal", "mask", "mask", "grouped")
    kv_seq = seq if kind in ("causal", "grouped") else kv_seq
    per_item = heads * seq * kv_seq * head_dim * 2
    largest = max(min(256, scale.macs / per_item, scale.elements / (heads * head_dim * max(seq, kv_seq))), 1)
    batch = power_of_two(rng, largest) if rng.random() < 0.7 else log_uniform(rng, 1, largest)

    def heads_of(length: int, count: int = heads) -> Operand:
        return Operand((batch, length, count, head_dim), permute=(0, 2, 1, 3))

    if kind == "grouped":
        shared = heads_of(seq, heads // pick(rng, *(n for n in (2, 4, 8) if heads % n == 0)))
        return Recipe(_grouped, (heads_of(seq), shared, shared))
    operands: tuple[Operand, ...] = (heads_of(seq), heads_of(kv_seq), heads_of(kv_seq))
    if kind == "mask":
        operands += (Operand((batch, 1, seq, kv_seq), expand=(batch, heads, seq, kv_seq)),)
    return Recipe(_causal if kind == "causal" else F.scaled_dot_product_attention, operands)


def _grouped(q: Any, k: Any, v: Any) -> Any:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


def _causal(q: Any, k: Any, v: Any) -> Any:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


ROWS = (
    FamilyRecipe("gemm", gemm, 2000),
    FamilyRecipe("conv", conv, 1600),
    FamilyRecipe("conv_grouped", conv_grouped, 2600),
    FamilyRecipe("conv_depthwise", conv_depthwise, 400),
    FamilyRecipe("attention", attention, 500),
)
