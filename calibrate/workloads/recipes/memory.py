"""Recipes that move memory: pointwise, copies, reductions, gathers, pools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from calibrate.workloads.recipes.base import (
    LENGTHS,
    FamilyRecipe,
    Operand,
    Recipe,
    Rng,
    Scale,
    log_uniform,
    pick,
    power_of_two,
    sequence,
)


def pointwise(rng: Rng, scale: Scale) -> Recipe:
    """One, two and three inputs, broadcast rows and scalars, cheap and transcendental functions, strided inputs."""
    shape = sequence(rng, scale)
    x = Operand(shape)
    kind = pick(
        rng, "unary", "transcendental", "binary", "binary", "row", "ternary", "strided", "scalar", "broadcast", "cast"
    )
    if kind == "unary":
        return Recipe(pick(rng, torch.relu, torch.neg, _inplace), (x,))
    if kind == "transcendental":
        return Recipe(pick(rng, F.gelu, torch.tanh, torch.sigmoid, F.silu), (x,))
    if kind == "row":
        return Recipe(pick(rng, torch.add, torch.mul), (x, Operand(shape[-1:], warm=False)))
    if kind == "ternary":
        return Recipe(torch.addcmul, (x, x, x))
    if kind == "strided":
        flipped = Operand((shape[0], shape[2], shape[1]), permute=(0, 2, 1))
        return Recipe(torch.add, (x, flipped))
    if kind == "scalar":
        return Recipe(pick(rng, _scaled, _power, _clipped), (x,))
    if kind == "broadcast":
        return Recipe(torch.mul, (x, Operand((shape[0], 1, shape[2]))))
    if kind == "cast":
        return Recipe(pick(rng, _widen, _narrow), (x,))
    return Recipe(pick(rng, torch.add, torch.mul), (x, x))


def _inplace(x: Any) -> Any:
    return x.add_(1.0)


def _scaled(x: Any) -> Any:
    return x * 0.5


def _power(x: Any) -> Any:
    return torch.pow(x, 3.0)


def _clipped(x: Any) -> Any:
    return F.hardtanh(x, 0.0, 6.0)


def _widen(x: Any) -> Any:
    return x.to(torch.float64)


def _narrow(x: Any) -> Any:
    return x.to(torch.int32)


def copies(rng: Rng, scale: Scale) -> Recipe:
    """Copies that change layout: transposed matrices, heads to the front and back, slices, copies that keep it."""
    batch, length, width = sequence(rng, scale)
    heads = pick(rng, 2, 4, 8, 12, 16)
    inner = max(width // heads, 1)
    kind = pick(rng, "same", "transpose", "transpose", "heads", "heads", "slice", "shift")
    if kind == "same":
        return Recipe(torch.clone, (Operand((batch, length, width)),))
    if kind == "transpose":
        return Recipe(_dense, (Operand((batch, width, length), permute=(0, 2, 1)),))
    if kind == "heads":
        return Recipe(_dense, (Operand((batch, length, heads, inner), permute=(0, 2, 1, 3)),))
    if kind == "shift":
        return Recipe(_dense, (Operand((batch, length, heads, inner), permute=pick(rng, (2, 0, 3, 1), (0, 3, 1, 2))),))
    return Recipe(_half, (Operand((batch, length, 2 * max(width // 2, 1))),))


def _dense(x: Any) -> Any:
    return x.clone(memory_format=torch.contiguous_format)


def _half(x: Any) -> Any:
    return x[..., : x.shape[-1] // 2].clone(memory_format=torch.contiguous_format)


def cats(rng: Rng, scale: Scale) -> Recipe:
    """One to four tensors joined along the last or a middle dimension: contiguous, heads as transposed views, a first
    part of an empty cache.
    """
    batch, length, width = sequence(rng, scale)
    if rng.random() < 0.15 and width % 64 == 0:
        return Recipe(_Cache(width), (Operand((batch, length, 3 * width)),))
    count = pick(rng, 1, 2, 2, 3, 4)
    part = max(length // count, 1)
    if rng.random() < 0.4:
        heads = max(width // 64, 1) if rng.random() < scale.usual else pick(rng, 2, 4, 8, 12)
        operand = Operand((batch, part, heads, max(width // heads, 1)), permute=(0, 2, 1, 3))
        return Recipe(_Cat(pick(rng, 2, 3)), (operand,) * count)
    return Recipe(_Cat(pick(rng, 1, 2, 2)), (Operand((batch, part, width)),) * count)


@dataclass(frozen=True, slots=True)
class _Cache:
    """Heads of 64 out of a packed projection, behind nothing."""

    width: int

    def __call__(self, x: Any) -> Any:
        keys = x.split(self.width, 2)[1]
        return torch.cat((x[:0, 0, 0], keys.view(*keys.shape[:2], -1, 64).transpose(1, 2)), -2)


@dataclass(frozen=True, slots=True)
class _Cat:
    dim: int

    def __call__(self, *tensors: Any) -> Any:
        return torch.cat(tensors, self.dim)


def softmax(rng: Rng, scale: Scale) -> Recipe:
    """Softmax over the last dimension."""
    cols = pick(rng, *LENGTHS) if rng.random() < scale.usual else log_uniform(rng, 8, 4096)
    rows = log_uniform(rng, 1, max(scale.elements / cols, 1))
    if rng.random() < scale.usual:  # the rows of batches of heads
        rows = max(min(cols * pick(rng, 1, 4, 8, 12, 12, 16), int(scale.elements / cols)), 1)
        rows *= power_of_two(rng, scale.elements / (rows * cols))
    return Recipe(_softmax, (Operand((rows, cols)),))


def _softmax(x: Any) -> Any:
    return torch.softmax(x, -1)


def layer_norm(rng: Rng, scale: Scale) -> Recipe:
    """Layer norm with weight and bias over the last dimension."""
    batch, length, cols = sequence(rng, scale)
    rows = batch * length
    return Recipe(_layer_norm, (Operand((rows, cols)), Operand((cols,), warm=False), Operand((cols,), warm=False)))


def _layer_norm(x: Any, weight: Any, bias: Any) -> Any:
    return F.layer_norm(x, x.shape[-1:], weight, bias)


def batch_norm(rng: Rng, scale: Scale) -> Recipe:
    """Batch norm in evaluation mode over images."""
    side = pick(rng, 7, 14, 28, 56, 112, 128)
    channels = log_uniform(rng, 8, 2048)
    batch = log_uniform(rng, 1, max(min(256, scale.elements / (channels * side**2)), 1))
    statistics = tuple(Operand((channels,), warm=False) for _ in range(4))
    return Recipe(_batch_norm, (Operand((batch, channels, side, side)), *statistics))


def _batch_norm(x: Any, mean: Any, variance: Any, weight: Any, bias: Any) -> Any:
    return F.batch_norm(x, mean, variance, weight, bias)


def group_norm(rng: Rng, scale: Scale) -> Recipe:
    """Group norm over sequences and images, one channel to many in a group."""
    channels = log_uniform(rng, 32, 1024, 32) // 32 * 32
    groups = pick(rng, 1, 8, 32, channels)
    length = log_uniform(rng, 16, 32768)
    batch = log_uniform(rng, 1, max(min(256, scale.elements / (channels * length)), 1))
    weights = (Operand((channels,), warm=False), Operand((channels,), warm=False))
    return Recipe(_GroupNorm(groups), (Operand((batch, channels, length)), *weights))


@dataclass(frozen=True, slots=True)
class _GroupNorm:
    groups: int

    def __call__(self, x: Any, weight: Any, bias: Any) -> Any:
        return F.group_norm(x, self.groups, weight, bias)


def reduce(rng: Rng, scale: Scale) -> Recipe:
    """Sums, means and maxima over the last dimension, a middle one, and the pixels of images."""
    batch, length, width = sequence(rng, scale)
    function = pick(rng, torch.sum, torch.mean, torch.amax)
    return Recipe(_Reduce(function, pick(rng, -1, -1, 1)), (Operand((batch, length, width)),))


@dataclass(frozen=True, slots=True)
class _Reduce:
    function: Callable[..., Any]
    dim: int

    def __call__(self, x: Any) -> Any:
        return self.function(x, self.dim)


def gather(rng: Rng, scale: Scale) -> Recipe:
    """Embedding look-ups, and gathers along the last dimension."""
    if rng.random() < 0.3:
        rows, cols = log_uniform(rng, 1, 65536), log_uniform(rng, 8, 512)
        rows = max(min(rows, int(scale.elements / cols)), 1)
        return Recipe(_gather, (Operand((rows, cols)), Operand((rows, cols), high=cols)))
    width, vocabulary = log_uniform(rng, 32, 4096), log_uniform(rng, 16, min(60000, scale.elements / 512))
    count = log_uniform(rng, 1, max(min(65536, scale.elements / width), 1))
    return Recipe(F.embedding, (Operand((count,), high=vocabulary), Operand((vocabulary, width), warm=False)))


def _gather(x: Any, index: Any) -> Any:
    return torch.gather(x, -1, index)


def pool(rng: Rng, scale: Scale) -> Recipe:
    """Max and average pooling of images."""
    side, channels = pick(rng, 14, 28, 56, 112, 128), log_uniform(rng, 8, 512)
    batch = log_uniform(rng, 1, max(min(256, scale.elements / (channels * side**2)), 1))
    function = pick(rng, F.max_pool2d, F.avg_pool2d)
    return Recipe(_Pool(function, pick(rng, 2, 3)), (Operand((batch, channels, side, side)),))


@dataclass(frozen=True, slots=True)
class _Pool:
    function: Callable[..., Any]
    kernel: int

    def __call__(self, x: Any) -> Any:
        return self.function(x, self.kernel, stride=2, padding=self.kernel // 2)


def fill(rng: Rng, scale: Scale) -> Recipe:
    """Zeros in place."""
    return Recipe(torch.Tensor.zero_, (Operand((log_uniform(rng, 1, scale.elements),)),))


def scan(rng: Rng, scale: Scale) -> Recipe:
    """Cumulative sums along the last dimension."""
    cols = log_uniform(rng, 8, 4096)
    rows = log_uniform(rng, 1, max(scale.elements / cols, 1))
    return Recipe(_cumsum, (Operand((rows, cols)),))


def _cumsum(x: Any) -> Any:
    return torch.cumsum(x, -1)


def sort(rng: Rng, scale: Scale) -> Recipe:
    """Full sorts and the largest few along the last dimension."""
    cols = log_uniform(rng, 8, 60_000)
    rows = log_uniform(rng, 1, max(min(scale.elements / 8, 3e7) / cols, 1))
    k = pick(rng, 0, 0, 1, 5, 8, 50)
    return Recipe(_Sort(min(k, cols)), (Operand((rows, cols)),))


@dataclass(frozen=True, slots=True)
class _Sort:
    k: int

    def __call__(self, x: Any) -> Any:
        return torch.topk(x, self.k) if self.k else torch.sort(x)


def fft(rng: Rng, scale: Scale) -> Recipe:
    """Fourier transforms along the last dimension or another one, complex, and real to complex and back."""
    kind = pick(rng, "complex", "complex", "strided", "real", "back")
    cols = (
        pick(rng, 64, 128, 256, 400, 512, 768, 1024, 4096) if rng.random() < scale.usual else log_uniform(rng, 8, 32768)
    )
    rows = log_uniform(rng, 1, max(scale.elements / 8 / cols, 1))
    if kind == "real":
        return Recipe(torch.fft.rfft, (Operand((rows, cols), dtype="float32"),))
    if kind == "back":
        return Recipe(torch.fft.irfft, (Operand((rows, cols // 2 + 1), dtype="complex64"),))
    if kind == "strided":
        inner = pick(rng, 64, 128, 256, 768)
        return Recipe(_fft_middle, (Operand((max(rows // inner, 1), cols, inner), dtype="complex64"),))
    return Recipe(torch.fft.fft, (Operand((rows, cols), dtype="complex64"),))


def _fft_middle(x: Any) -> Any:
    return torch.fft.fft(x, dim=1)


def weight_norm(rng: Rng, scale: Scale) -> Recipe:
    """Weights of convolutions, normalised over all dimensions but the first or the last."""
    width, window = log_uniform(rng, 16, 1024), pick(rng, 1, 3, 7, 15, 31, 64, 128)
    inner = max(min(width // pick(rng, 1, 1, 4, 16), int(scale.elements / (width * window))), 1)
    last = rng.random() < 0.5
    g = Operand((1, 1, window) if last else (width, 1, 1), warm=False)
    return Recipe(_WeightNorm(2 if last else 0), (Operand((width, inner, window), warm=False), g))


@dataclass(frozen=True, slots=True)
class _WeightNorm:
    dim: int

    def __call__(self, v: Any, g: Any) -> Any:
        return torch._weight_norm_interface(v, g, self.dim)[0]


def interpolate(rng: Rng, scale: Scale) -> Recipe:
    """Images made larger and smaller: nearest, bilinear, bicubic; sequences, linear."""
    side, channels = pick(rng, 7, 14, 16, 28, 32, 56, 64, 112, 128), log_uniform(rng, 1, 1024)
    factor = pick(rng, 0.5, 2, 2, 4)
    pixels = channels * side**2 * max(factor, 1) ** 2
    batch = log_uniform(rng, 1, max(min(256, scale.elements / pixels), 1))
    mode = pick(rng, "nearest", "nearest", "bilinear", "bilinear", "bicubic", "linear")
    if mode == "linear":
        return Recipe(_Interpolate(mode, factor), (Operand((batch, channels, side * side)),))
    return Recipe(_Interpolate(mode, factor), (Operand((batch, channels, side, side)),))


@dataclass(frozen=True, slots=True)
class _Interpolate:
    mode: str
    factor: float

    def __call__(self, x: Any) -> Any:
        return F.interpolate(x, scale_factor=self.factor, mode=self.mode)


ROWS = (
    FamilyRecipe("pointwise", pointwise, 1200),
    FamilyRecipe("copy", copies, 700),
    FamilyRecipe("cat", cats, 400),
    FamilyRecipe("softmax", softmax, 300),
    FamilyRecipe("layer_norm", layer_norm, 400),
    FamilyRecipe("batch_norm", batch_norm, 300),
    FamilyRecipe("group_norm", group_norm, 240),
    FamilyRecipe("reduce", reduce, 500),
    FamilyRecipe("gather", gather, 400),
    FamilyRecipe("pool", pool, 200),
    FamilyRecipe("fill", fill, 60),
    FamilyRecipe("scan", scan, 160),
    FamilyRecipe("sort", sort, 240),
    FamilyRecipe("fft", fft, 240),
    FamilyRecipe("weight_norm", weight_norm, 100),
    FamilyRecipe("interpolate", interpolate, 200),
)
