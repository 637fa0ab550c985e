"""Recipes on the matrix units: products, convolutions, attention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from calibrate.recipes.base import Operand, Recipe, Rng, Scale, log_uniform, pick


def gemm(rng: Rng, scale: Scale) -> Recipe:
    """Linear layers with and without bias, plain products, batched products of two activations."""
    kind = pick(rng, "linear", "linear", "linear", "nobias", "addmm", "bmm", "bmm", "bmm_nt")
    if kind.startswith("bmm"):
        batch = log_uniform(rng, 2, 4096)
        n, k = log_uniform(rng, 8, 1024), log_uniform(rng, 8, 1024)
        m = log_uniform(rng, 8, max(min(2048, scale.macs / (batch * n * k), scale.elements / (batch * max(n, k))), 8))
        left, right = Operand((batch, m, k)), Operand((batch, k, n))
        if kind == "bmm_nt":
            right = Operand((batch, n, k), permute=(0, 2, 1))
        return Recipe(torch.bmm, (left, right))
    n, k = log_uniform(rng, 16, min(16384, scale.elements**0.5)), log_uniform(rng, 16, min(16384, scale.elements**0.5))
    m = log_uniform(rng, 1, max(min(65536, scale.macs / (n * k), scale.elements / max(n, k)), 1))
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
    kernel = 1 if kind == "1x1" else pick(rng, 3, 3, 3, 5, 7)
    return _image_conv(
        rng, scale, log_uniform(rng, 8, 2048), log_uniform(rng, 8, 2048), side, kernel, pick(rng, 1, 1, 2), 1
    )


def conv_grouped(rng: Rng, scale: Scale) -> Recipe:
    """Grouped convolutions: images with square windows, sequences with narrow and very wide windows."""
    kind = pick(rng, "image", "narrow", "narrow", "wide")
    groups = pick(rng, 2, 4, 4, 8, 8, 16, 16, 32)
    widths = [w for w in (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768) if w * groups <= 4096]
    width = pick(rng, *widths) if rng.random() < 0.8 else log_uniform(rng, 2, max(widths))
    c_in = width * groups
    c_out = max(int(width * pick(rng, 1, 1, 1, 1, 2, 4, 0.5, 0.25)), 1) * groups
    if kind == "image":
        side = pick(rng, 7, 14, 28, 56, 112)
        return _image_conv(rng, scale, c_in, c_out, side, pick(rng, 1, 3, 3, 5), pick(rng, 1, 1, 2), groups)
    if kind == "narrow":
        length = pick(rng, log_uniform(rng, 16, 1024), 128, 256, 512)
        return _sequence_conv(rng, scale, c_in, c_out, length, pick(rng, 1, 1, 1, 3), 1, groups)
    width = pick(rng, *(w for w in (8, 16, 24, 32, 48, 64, 80, 96, 128) if w * groups <= 2048))
    kernel = pick(rng, 9, 15, 31, 32, 64, 95, 128, 128)
    return _sequence_conv(rng, scale, width * groups, width * groups, log_uniform(rng, 24, 1024), kernel, 1, groups)


def conv_depthwise(rng: Rng, scale: Scale) -> Recipe:
    """Depthwise convolutions of images, and some of sequences."""
    channels = log_uniform(rng, 8, 2048)
    if rng.random() < 0.15:
        return _sequence_conv(
            rng, scale, channels, channels, log_uniform(rng, 32, 2048), pick(rng, 3, 4, 7, 15, 31), 1, channels
        )
    side = pick(rng, 7, 9, 14, 16, 28, 30, 56, 58, 112, 114, 128)
    return _image_conv(rng, scale, channels, channels, side, pick(rng, 3, 3, 3, 5, 7), pick(rng, 1, 1, 2), channels)


def _batch(rng: Rng, scale: Scale, pixels: float, macs: float) -> int:
    """A batch that keeps the call within the scale."""
    return log_uniform(rng, 1, max(min(256, scale.elements / pixels, scale.macs / macs), 1))


def _image_conv(
    rng: Rng, scale: Scale, c_in: int, c_out: int, side: int, kernel: int, stride: int, groups: int
) -> Recipe:
    pad = 0 if kernel == stride else pick(rng, kernel // 2, kernel // 2, 0)
    out_pixels = (side / stride) ** 2
    batch = _batch(rng, scale, max(c_in * side**2, c_out * out_pixels), out_pixels * c_out * c_in / groups * kernel**2)
    operands: tuple[Operand, ...] = (
        Operand((batch, c_in, side, side)),
        Operand((c_out, c_in // groups, kernel, kernel), warm=False),
    )
    operands += (Operand((c_out,), warm=False),) if rng.random() < 0.3 else ()
    return Recipe(_Conv(F.conv2d, stride, pad, groups), operands)


def _sequence_conv(
    rng: Rng, scale: Scale, c_in: int, c_out: int, length: int, kernel: int, stride: int, groups: int
) -> Recipe:
    length = max(length, kernel)
    pad = pick(rng, 0, kernel // 2, kernel // 2)
    out = length / stride
    batch = _batch(rng, scale, max(c_in * length, c_out * out), out * c_out * c_in / groups * kernel)
    swapped = rng.random() < 0.3
    shape = (batch, length, c_in) if swapped else (batch, c_in, length)
    operands: tuple[Operand, ...] = (
        Operand(shape, permute=(0, 2, 1) if swapped else ()),
        Operand((c_out, c_in // groups, kernel), warm=False),
    )
    operands += (Operand((c_out,), warm=False),) if rng.random() < 0.6 else ()
    return Recipe(_Conv(F.conv1d, stride, pad, groups), operands)


@dataclass(frozen=True, slots=True)
class _Conv:
    function: Callable[..., Any]
    stride: int
    pad: int
    groups: int

    def __call__(self, x: Any, weight: Any, bias: Any = None) -> Any:
        return self.function(x, weight, bias, stride=self.stride, padding=self.pad, groups=self.groups)


def attention(rng: Rng, scale: Scale) -> Recipe:
    """Fused attention on transposed views, as models call it: plain, causal, with an additive mask, across lengths."""
    heads = pick(rng, 2, 4, 8, 12, 12, 16, 24, 32)
    head_dim = pick(rng, 32, 64, 64, 64, 80, 96, 128)
    seq = pick(rng, log_uniform(rng, 16, 2048), 128, 197, 256, 512)
    kv_seq = seq if rng.random() < 0.8 else log_uniform(rng, 16, 2048)
    kind = pick(rng, "plain", "plain", "causal", "mask")
    kv_seq = seq if kind == "causal" else kv_seq
    per_item = heads * seq * kv_seq * head_dim * 2
    batch = log_uniform(
        rng, 1, max(min(256, scale.macs / per_item, scale.elements / (heads * head_dim * max(seq, kv_seq))), 1)
    )

    def heads_of(length: int) -> Operand:
        return Operand((batch, length, heads, head_dim), permute=(0, 2, 1, 3))

    operands: tuple[Operand, ...] = (heads_of(seq), heads_of(kv_seq), heads_of(kv_seq))
    if kind == "mask":
        operands += (Operand((batch, 1, seq, kv_seq), expand=(batch, heads, seq, kv_seq)),)
    return Recipe(_causal if kind == "causal" else F.scaled_dot_product_attention, operands)


def _causal(q: Any, k: Any, v: Any) -> Any:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)
