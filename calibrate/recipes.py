"""What the kernel sweep runs: for each family, seeded random calls that cover its dimensions.

A recipe is a torch call and its operands. Which kernel that is, with which dimensions, is read off the call by the same
capture that a prediction uses, so the sweep and the cost model cannot disagree about a feature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor to make: its shape in memory, then permuted and expanded. warm: an activation, fresh in cache.

    high: an integer tensor with values below it.
    """

    shape: tuple[int, ...]
    permute: tuple[int, ...] = ()
    expand: tuple[int, ...] = ()
    warm: bool = True
    high: int = 0
    dtype: str = ""

    def make(self, dtype: torch.dtype, device: str) -> torch.Tensor:
        """The tensor on a device."""
        if self.high:
            tensor = torch.randint(self.high, self.shape, device="cpu" if device == "meta" else device)
        elif device == "meta":
            tensor = torch.empty(self.shape, dtype=dtype, device=device)
        else:
            tensor = torch.rand(self.shape, dtype=dtype, device=device)
        tensor = tensor.permute(self.permute) if self.permute else tensor
        return tensor.expand(self.expand) if self.expand else tensor


@dataclass(frozen=True, slots=True)
class Recipe:
    """A call on operands."""

    call: Callable[..., Any]
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """How far the sweep goes: elements of the largest tensor, and multiply-accumulates of the largest call."""

    elements: float
    macs: float


def _log(rng: Rng, low: float, high: float, multiple: int = 1) -> int:
    """Log-uniform integer; mostly a multiple of 64, 32 or 8 where it is large, as widths are."""
    value = float(np.exp(rng.uniform(np.log(low), np.log(max(high, low)))))
    choice = rng.random()
    step = 64 if choice < 0.45 else 32 if choice < 0.6 else 8 if choice < 0.8 else multiple
    if value < 2 * step:
        step = multiple
    return max(round(value / step) * step, int(low))


def _pick(rng: Rng, *values: Any) -> Any:
    return values[int(rng.integers(len(values)))]


def gemm(rng: Rng, scale: Scale) -> Recipe:
    """Linear layers with and without bias, plain products, batched products of two activations."""
    kind = _pick(rng, "linear", "linear", "linear", "nobias", "addmm", "bmm", "bmm", "bmm_nt")
    if kind.startswith("bmm"):
        batch = _log(rng, 2, 4096)
        n, k = _log(rng, 8, 1024), _log(rng, 8, 1024)
        m = _log(rng, 8, max(min(2048, scale.macs / (batch * n * k), scale.elements / (batch * max(n, k))), 8))
        left, right = Operand((batch, m, k)), Operand((batch, k, n))
        if kind == "bmm_nt":
            right = Operand((batch, n, k), permute=(0, 2, 1))
        return Recipe(torch.bmm, (left, right))
    n, k = _log(rng, 16, min(16384, scale.elements**0.5)), _log(rng, 16, min(16384, scale.elements**0.5))
    m = _log(rng, 1, max(min(65536, scale.macs / (n * k), scale.elements / max(n, k)), 1))
    x, bias = Operand((m, k)), Operand((n,), warm=False)
    if kind == "addmm":
        return Recipe(torch.addmm, (bias, x, Operand((k, n), warm=False)))
    weight = Operand((n, k), warm=False)
    return Recipe(F.linear, (x, weight, bias) if kind == "linear" else (x, weight))


def conv(rng: Rng, scale: Scale) -> Recipe:
    """Dense convolutions: images (1x1, square windows, stems and patches) and sequences."""
    if rng.random() < 0.25:
        length = _log(rng, 32, 32768)
        kind = _pick(rng, "pointwise", "dense", "dense", "stem")
        c_in, c_out = _log(rng, 32, 1024), _log(rng, 32, 1024)
        kernel, stride = {"pointwise": (1, 1), "dense": (_pick(rng, 2, 3, 3, 5), _pick(rng, 1, 2, 2))}.get(
            kind, (_pick(rng, 3, 8, 10, 16), _pick(rng, 2, 4, 5))
        )
        c_in = _pick(rng, 1, 1, 80) if kind == "stem" else c_in
        return _sequence_conv(rng, scale, c_in, c_out, length, kernel, stride, 1)
    kind = _pick(rng, "1x1", "1x1", "window", "window", "stem")
    side = _pick(rng, 7, 8, 14, 16, 28, 32, 56, 64, 112, 128, 224, 256)
    if kind == "stem":
        kernel = _pick(rng, 3, 4, 7, 8, 14, 16)
        stride, side = (kernel if kernel > 7 else _pick(rng, 1, 2, 2, kernel)), _pick(rng, 64, 128, 224, 256)
        return _image_conv(rng, scale, _pick(rng, 1, 3, 3, 4), _log(rng, 8, 1024), side, kernel, stride, 1)
    kernel = 1 if kind == "1x1" else _pick(rng, 3, 3, 3, 5, 7)
    return _image_conv(rng, scale, _log(rng, 8, 2048), _log(rng, 8, 2048), side, kernel, _pick(rng, 1, 1, 2), 1)


def conv_grouped(rng: Rng, scale: Scale) -> Recipe:
    """Grouped convolutions: images with square windows, sequences with narrow and very wide windows."""
    kind = _pick(rng, "image", "narrow", "narrow", "wide")
    groups = _pick(rng, 2, 4, 4, 8, 8, 16, 16, 32)
    widths = [w for w in (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768) if w * groups <= 4096]
    width = _pick(rng, *widths) if rng.random() < 0.8 else _log(rng, 2, max(widths))
    c_in = width * groups
    c_out = max(int(width * _pick(rng, 1, 1, 1, 1, 2, 4, 0.5, 0.25)), 1) * groups
    if kind == "image":
        side = _pick(rng, 7, 14, 28, 56, 112)
        return _image_conv(rng, scale, c_in, c_out, side, _pick(rng, 1, 3, 3, 5), _pick(rng, 1, 1, 2), groups)
    if kind == "narrow":
        length = _pick(rng, _log(rng, 16, 1024), 128, 256, 512)
        return _sequence_conv(rng, scale, c_in, c_out, length, _pick(rng, 1, 1, 1, 3), 1, groups)
    width = min(width, max(1536 // groups, 8))
    kernel = _pick(rng, 9, 15, 31, 32, 64, 95, 128, 128)
    return _sequence_conv(rng, scale, width * groups, width * groups, _log(rng, 24, 1024), kernel, 1, groups)


def conv_depthwise(rng: Rng, scale: Scale) -> Recipe:
    """Depthwise convolutions of images, and some of sequences."""
    channels = _log(rng, 8, 2048)
    if rng.random() < 0.15:
        return _sequence_conv(
            rng, scale, channels, channels, _log(rng, 32, 2048), _pick(rng, 3, 4, 7, 15, 31), 1, channels
        )
    side = _pick(rng, 7, 9, 14, 16, 28, 30, 56, 58, 112, 114, 128)
    return _image_conv(rng, scale, channels, channels, side, _pick(rng, 3, 3, 3, 5, 7), _pick(rng, 1, 1, 2), channels)


def _batch(rng: Rng, scale: Scale, pixels: float, macs: float) -> int:
    """A batch that keeps the call within the scale."""
    return _log(rng, 1, max(min(256, scale.elements / pixels, scale.macs / macs), 1))


def _image_conv(
    rng: Rng, scale: Scale, c_in: int, c_out: int, side: int, kernel: int, stride: int, groups: int
) -> Recipe:
    pad = 0 if kernel == stride else _pick(rng, kernel // 2, kernel // 2, 0)
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
    pad = _pick(rng, 0, kernel // 2, kernel // 2)
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
    heads = _pick(rng, 2, 4, 8, 12, 12, 16, 24, 32)
    head_dim = _pick(rng, 32, 64, 64, 64, 80, 96, 128)
    seq = _pick(rng, _log(rng, 16, 2048), 128, 197, 256, 512)
    kv_seq = seq if rng.random() < 0.8 else _log(rng, 16, 2048)
    kind = _pick(rng, "plain", "plain", "causal", "mask")
    kv_seq = seq if kind == "causal" else kv_seq
    per_item = heads * seq * kv_seq * head_dim * 2
    batch = _log(
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


def _sequence(rng: Rng, scale: Scale) -> tuple[int, int, int]:
    """A (batch, length, width) activation."""
    width = _log(rng, 8, 4096)
    rows = _log(rng, 1, max(scale.elements / width, 1))
    batch = max(int(rows ** rng.uniform(0, 0.6)), 1)
    return batch, max(rows // batch, 1), width


def pointwise(rng: Rng, scale: Scale) -> Recipe:
    """One, two and three inputs, broadcast rows and scalars, cheap and transcendental functions, strided inputs."""
    shape = _sequence(rng, scale)
    x = Operand(shape)
    kind = _pick(rng, "one", "heavy", "two", "two", "row", "three", "strided", "scalar", "broadcast", "cast")
    if kind == "one":
        return Recipe(_pick(rng, torch.relu, torch.neg, _inplace), (x,))
    if kind == "heavy":
        return Recipe(_pick(rng, F.gelu, torch.tanh, torch.sigmoid, F.silu), (x,))
    if kind == "row":
        return Recipe(_pick(rng, torch.add, torch.mul), (x, Operand(shape[-1:], warm=False)))
    if kind == "three":
        return Recipe(torch.addcmul, (x, x, x))
    if kind == "strided":
        flipped = Operand((shape[0], shape[2], shape[1]), permute=(0, 2, 1))
        return Recipe(torch.add, (x, flipped))
    if kind == "scalar":
        return Recipe(_pick(rng, _scaled, _power, _clipped), (x,))
    if kind == "broadcast":
        return Recipe(torch.mul, (x, Operand((shape[0], 1, shape[2]))))
    if kind == "cast":
        return Recipe(_pick(rng, _widen, _narrow), (x,))
    return Recipe(_pick(rng, torch.add, torch.mul), (x, x))


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
    """Copies that change layout: transposed matrices, heads to the front and back, slices, plain copies."""
    batch, length, width = _sequence(rng, scale)
    heads = _pick(rng, 2, 4, 8, 12, 16)
    inner = max(width // heads, 1)
    kind = _pick(rng, "plain", "transpose", "transpose", "heads", "heads", "slice", "shift")
    if kind == "plain":
        return Recipe(torch.clone, (Operand((batch, length, width)),))
    if kind == "transpose":
        return Recipe(_dense, (Operand((batch, width, length), permute=(0, 2, 1)),))
    if kind == "heads":
        return Recipe(_dense, (Operand((batch, length, heads, inner), permute=(0, 2, 1, 3)),))
    if kind == "shift":
        return Recipe(_dense, (Operand((batch, length, heads, inner), permute=_pick(rng, (2, 0, 3, 1), (0, 3, 1, 2))),))
    return Recipe(_half, (Operand((batch, length, 2 * max(width // 2, 1))),))


def _dense(x: Any) -> Any:
    return x.clone(memory_format=torch.contiguous_format)


def _half(x: Any) -> Any:
    return x[..., : x.shape[-1] // 2].clone(memory_format=torch.contiguous_format)


def cats(rng: Rng, scale: Scale) -> Recipe:
    """One to four tensors joined along the last or a middle dimension: contiguous, or heads as transposed views."""
    batch, length, width = _sequence(rng, scale)
    count = _pick(rng, 1, 2, 2, 3, 4)
    part = max(length // count, 1)
    if rng.random() < 0.4:
        heads = _pick(rng, 2, 4, 8, 12)
        operand = Operand((batch, part, heads, max(width // heads, 1)), permute=(0, 2, 1, 3))
        return Recipe(_Cat(_pick(rng, 2, 3)), (operand,) * count)
    return Recipe(_Cat(_pick(rng, 1, 2, 2)), (Operand((batch, part, width)),) * count)


@dataclass(frozen=True, slots=True)
class _Cat:
    dim: int

    def __call__(self, *tensors: Any) -> Any:
        return torch.cat(tensors, self.dim)


def softmax(rng: Rng, scale: Scale) -> Recipe:
    """Softmax over the last dimension."""
    cols = _pick(rng, _log(rng, 8, 4096), 128, 197, 512)
    rows = _log(rng, 1, max(scale.elements / cols, 1))
    return Recipe(_softmax, (Operand((rows, cols)),))


def _softmax(x: Any) -> Any:
    return torch.softmax(x, -1)


def layer_norm(rng: Rng, scale: Scale) -> Recipe:
    """Layer norm with weight and bias over the last dimension."""
    cols = _log(rng, 32, 8192)
    rows = _log(rng, 1, max(scale.elements / cols, 1))
    return Recipe(_layer_norm, (Operand((rows, cols)), Operand((cols,), warm=False), Operand((cols,), warm=False)))


def _layer_norm(x: Any, weight: Any, bias: Any) -> Any:
    return F.layer_norm(x, x.shape[-1:], weight, bias)


def batch_norm(rng: Rng, scale: Scale) -> Recipe:
    """Batch norm in evaluation mode over images."""
    side = _pick(rng, 7, 14, 28, 56, 112, 128)
    channels = _log(rng, 8, 2048)
    batch = _log(rng, 1, max(min(256, scale.elements / (channels * side**2)), 1))
    statistics = tuple(Operand((channels,), warm=False) for _ in range(4))
    return Recipe(_batch_norm, (Operand((batch, channels, side, side)), *statistics))


def _batch_norm(x: Any, mean: Any, variance: Any, weight: Any, bias: Any) -> Any:
    return F.batch_norm(x, mean, variance, weight, bias)


def group_norm(rng: Rng, scale: Scale) -> Recipe:
    """Group norm over sequences and images, one channel to many in a group."""
    channels = _log(rng, 32, 1024, 32) // 32 * 32
    groups = _pick(rng, 1, 8, 32, channels)
    length = _log(rng, 16, 32768)
    batch = _log(rng, 1, max(min(256, scale.elements / (channels * length)), 1))
    weights = (Operand((channels,), warm=False), Operand((channels,), warm=False))
    return Recipe(_GroupNorm(groups), (Operand((batch, channels, length)), *weights))


@dataclass(frozen=True, slots=True)
class _GroupNorm:
    groups: int

    def __call__(self, x: Any, weight: Any, bias: Any) -> Any:
        return F.group_norm(x, self.groups, weight, bias)


def reduce(rng: Rng, scale: Scale) -> Recipe:
    """Sums, means and maxima over the last dimension, a middle one, and the pixels of images."""
    batch, length, width = _sequence(rng, scale)
    function = _pick(rng, torch.sum, torch.mean, torch.amax)
    return Recipe(_Reduce(function, _pick(rng, -1, -1, 1)), (Operand((batch, length, width)),))


@dataclass(frozen=True, slots=True)
class _Reduce:
    function: Callable[..., Any]
    dim: int

    def __call__(self, x: Any) -> Any:
        return self.function(x, self.dim)


def gather(rng: Rng, scale: Scale) -> Recipe:
    """Embedding look-ups, and gathers along the last dimension."""
    if rng.random() < 0.3:
        rows, cols = _log(rng, 1, 65536), _log(rng, 8, 512)
        rows = max(min(rows, int(scale.elements / cols)), 1)
        return Recipe(_gather, (Operand((rows, cols)), Operand((rows, cols), high=cols)))
    width, vocabulary = _log(rng, 32, 4096), _log(rng, 16, min(60000, scale.elements / 512))
    count = _log(rng, 1, max(min(65536, scale.elements / width), 1))
    return Recipe(F.embedding, (Operand((count,), high=vocabulary), Operand((vocabulary, width), warm=False)))


def _gather(x: Any, index: Any) -> Any:
    return torch.gather(x, -1, index)


def pool(rng: Rng, scale: Scale) -> Recipe:
    """Max and average pooling of images."""
    side, channels = _pick(rng, 14, 28, 56, 112, 128), _log(rng, 8, 512)
    batch = _log(rng, 1, max(min(256, scale.elements / (channels * side**2)), 1))
    function = _pick(rng, F.max_pool2d, F.avg_pool2d)
    return Recipe(_Pool(function, _pick(rng, 2, 3)), (Operand((batch, channels, side, side)),))


@dataclass(frozen=True, slots=True)
class _Pool:
    function: Callable[..., Any]
    kernel: int

    def __call__(self, x: Any) -> Any:
        return self.function(x, self.kernel, stride=2, padding=self.kernel // 2)


def fill(rng: Rng, scale: Scale) -> Recipe:
    """Zeros in place."""
    return Recipe(torch.Tensor.zero_, (Operand((_log(rng, 1, scale.elements),)),))


def scan(rng: Rng, scale: Scale) -> Recipe:
    """Cumulative sums along the last dimension."""
    cols = _log(rng, 8, 4096)
    rows = _log(rng, 1, max(scale.elements / cols, 1))
    return Recipe(_cumsum, (Operand((rows, cols)),))


def _cumsum(x: Any) -> Any:
    return torch.cumsum(x, -1)


RECIPES: dict[str, Callable[[Rng, Scale], Recipe]] = {
    "gemm": gemm,
    "conv": conv,
    "conv_grouped": conv_grouped,
    "conv_depthwise": conv_depthwise,
    "attention": attention,
    "pointwise": pointwise,
    "copy": copies,
    "cat": cats,
    "softmax": softmax,
    "layer_norm": layer_norm,
    "batch_norm": batch_norm,
    "group_norm": group_norm,
    "reduce": reduce,
    "gather": gather,
    "pool": pool,
    "fill": fill,
    "scan": scan,
}
"""Family -> what its sweep runs."""
