"""Calls of torch's operators and layers as models of all kinds make them, one operator or small idiom a call: what
measured kernels are compared with predicted ones on, operator by operator.

A row gives a name, a function (or a layer) and the inputs of each case; a call is named after its row, the shape of
its first input and, unless it is fp16, its dtype.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Made = tuple[nn.Module, Any, str]

CALLS: dict[str, Callable[[], Made]] = {}
"""Name -> what makes a module, its inputs and the dtype."""


class Input(NamedTuple):
    """A tensor that is made when its call is."""

    shape: tuple[int, ...]
    make: Callable[[torch.Generator], Tensor]
    layout: str = ""


Case = Input | tuple[Input, ...]


class _Of(nn.Module):
    """A module of one function, with layers that it uses."""

    def __init__(self, function: Callable[..., Any], *layers: nn.Module) -> None:
        super().__init__()
        self.layers, self.function = nn.ModuleList(layers), function

    def forward(self, *inputs: Any) -> Any:
        return self.function(*self.layers, *inputs)


def _calls(
    name: str,
    function: Callable[..., Any],
    *cases: Case,
    layers: tuple[Callable[[], nn.Module], ...] = (),
    dtype: str = "fp16",
) -> None:
    """A call of a function, which takes its layers and then its inputs, for each case of inputs."""
    for case in cases:
        inputs = (case,) if isinstance(case, Input) else case

        def make(inputs: tuple[Input, ...] = inputs) -> Made:
            random = torch.Generator().manual_seed(0)
            made = tuple(each.make(random) for each in inputs)
            return _Of(function, *(layer() for layer in layers)).eval(), made, dtype

        words = [name, "x".join(map(str, inputs[0].shape)), inputs[0].layout, dtype.replace("fp16", "")]
        key = "_".join(word for word in words if word)
        if key in CALLS:
            raise ValueError(f"two calls have the name {key}")
        CALLS[key] = make


def _layer(name: str, layer: Callable[[], nn.Module], *cases: Case, dtype: str = "fp16") -> None:
    """A call of a layer for each case of inputs."""
    _calls(name, lambda module, *inputs: module(*inputs), *cases, layers=(layer,), dtype=dtype)


_fp32, _bf16 = functools.partial(_calls, dtype="fp32"), functools.partial(_calls, dtype="bf16")


def normal(*shape: int) -> Input:
    """Of the normal distribution."""
    return Input(shape, lambda random: torch.randn(shape, generator=random))


def uniform(*shape: int) -> Input:
    """Between zero and one."""
    return Input(shape, lambda random: torch.rand(shape, generator=random))


def ints(high: int, *shape: int, dtype: torch.dtype = torch.int64) -> Input:
    """Whole numbers below a bound: indices, tokens, classes, pixels."""
    return Input(shape, lambda random: torch.randint(high, shape, generator=random).to(dtype))


def bools(*shape: int, share: float = 0.5) -> Input:
    """A mask that holds for a share of the places."""
    return Input(shape, lambda random: torch.rand(shape, generator=random) < share)


def nhwc(*shape: int) -> Input:
    """An image, or a volume, in channels-last memory."""
    layout = torch.channels_last if len(shape) == 4 else torch.channels_last_3d
    return Input(shape, lambda random: torch.randn(shape, generator=random).to(memory_format=layout), "nhwc")


def definite(*shape: int) -> Input:
    """Symmetric positive definite matrices."""

    def make(random: torch.Generator) -> Tensor:
        square = torch.randn(shape, generator=random)
        return square @ square.mT / shape[-1] + torch.eye(shape[-1])

    return Input(shape, make)


def boxes(*shape: int) -> Input:
    """Boxes by their corners, in pixels."""

    def make(random: torch.Generator) -> Tensor:
        corner, size = torch.rand(2, *shape, 2, generator=random)
        return torch.cat((corner * 500, corner * 500 + size * 100 + 1), -1)

    return Input((*shape, 4), make)


TOKENS, MAP = normal(8, 1024, 1536), normal(16, 64, 112, 112)


# activations

_PLAIN_ACTIVATIONS = """
    relu relu6 leaky_relu elu celu selu gelu silu mish hardswish hardsigmoid hardtanh hardshrink
    softshrink tanhshrink softplus softsign logsigmoid rrelu glu
"""
_ACTIVATIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(F, name) for name in _PLAIN_ACTIVATIONS.split()},
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "gelu_by_hand": lambda x: 0.5 * x * (1 + torch.tanh(0.79788456 * (x + 0.044715 * torch.pow(x, 3)))),
    "threshold": lambda x: F.threshold(x, 0.1, 0.0),
    "squared_relu": lambda x: F.relu(x).square(),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "swiglu_of_halves": lambda x: F.silu(x[..., :768]) * x[..., 768:],
    "geglu_of_chunks": lambda x: (lambda a, b: a * F.gelu(b))(*x.chunk(2, -1)),
    "snake": lambda x: x + (0.5 * x).sin().square(),
}
for _name, _function in _ACTIVATIONS.items():
    _calls(_name, _function, TOKENS)
for _name in ("gelu", "silu", "softplus", "mish", "elu"):
    _fp32(_name, _ACTIVATIONS[_name], MAP)
    _bf16(_name, _ACTIVATIONS[_name], normal(127, 1001), normal(2, 64))
_calls("relu_in_place", lambda x: x.relu_(), MAP)
_calls("silu_nhwc", F.silu, nhwc(16, 64, 112, 112))
_calls("gelu_of_transposed", lambda x: F.gelu(x.transpose(1, 2)), TOKENS)
_calls("relu_of_slice", lambda x: F.relu(x[..., 1:-1]), MAP)
_calls("glu_channels", lambda x: F.glu(x, dim=1), normal(16, 512, 1000), normal(4, 256, 63, 63))
_layer("prelu", nn.PReLU, MAP)
_layer("prelu_channels", lambda: nn.PReLU(64), MAP)


# softmax over widths and dimensions

_calls(
    "softmax", lambda x: x.softmax(-1), normal(8, 12, 197, 197), normal(64, 10), normal(16, 50257), normal(1, 128256)
)
_calls("softmax_rows", lambda x: x.softmax(-1), normal(4, 12, 512, 512), normal(2048, 1500), normal(65536, 20))
_calls("softmax_first", lambda x: x.softmax(0), normal(512, 4096))
_calls("softmax_dim_1", lambda x: x.softmax(1), normal(8, 21, 256, 256), normal(8, 2, 4096), normal(32, 1000, 17))
_calls("softmax_in_fp32", lambda x: x.softmax(-1, dtype=torch.float32).to(x.dtype), normal(2, 32, 512, 512))
_calls("softmax_transposed", lambda x: x.transpose(-1, -2).softmax(-1), normal(8, 12, 256, 256))
_fp32("log_softmax", lambda x: x.log_softmax(-1), normal(4096, 1000), normal(16, 200, 5000), normal(32, 7))
_calls("log_softmax_dim_1", lambda x: x.log_softmax(1), normal(8, 19, 128, 256))
_calls("softmin", lambda x: F.softmin(x, dim=-1), normal(64, 1024, 64))
_calls(
    "masked_softmax", lambda x, m: x.masked_fill(m, -1e4).softmax(-1), (normal(8, 12, 256, 256), bools(8, 1, 1, 256))
)
_calls("sparsemax_parts", lambda x: x.sort(-1, descending=True).values.cumsum(-1) - 1, normal(64, 512))
_calls("gumbel_softmax", lambda x: F.gumbel_softmax(x, hard=True), normal(32, 256, 320))


# elementwise arithmetic

_PLAIN_UNARY = """
    exp exp2 expm1 log log2 log10 log1p sqrt rsqrt square reciprocal abs neg sign sin cos tan asin
    acos atan sinh cosh asinh atanh sinc erf erfc erfinv lgamma digamma round floor ceil trunc frac
    nan_to_num isnan isfinite
"""
_UNARY: dict[str, Callable[..., Any]] = {
    **{name: getattr(torch, name) for name in _PLAIN_UNARY.split()},
    "logit": lambda x: torch.logit(x, eps=1e-3),
    "pow_2": lambda x: x.pow(2),
    "pow_3": lambda x: x**3,
    "pow_5": lambda x: x**5,
    "pow_half": lambda x: x**0.5,
    "pow_float": lambda x: x**2.2,
    "pow_minus_1": lambda x: x**-1,
    "scalar_to_a_power": lambda x: 10000**x,
    "scalar_minus": lambda x: 1.0 - x,
    "scalar_over": lambda x: 1.0 / x,
    "clamp": lambda x: x.clamp(0.1, 0.9),
    "clamp_min": lambda x: x.clamp(min=1e-6),
    "greater": lambda x: x > 0.5,
    "round_and_clamp": lambda x: (x / 0.05).round().clamp(-128, 127) * 0.05,
    "fma": lambda x: x * 2.0 + 1.0,
}
for _name, _function in _UNARY.items():
    _calls(_name, _function, uniform(8, 1024, 1536))
for _name in ("exp", "log", "sin", "tan", "erfinv", "lgamma", "digamma", "pow_float", "square", "round"):
    _fp32(_name, _UNARY[_name], uniform(4, 1000, 999))
_fp32("bessel_i0", torch.special.i0, uniform(1024, 1024))

PAIRED = uniform(8, 512, 2048)
_PLAIN_BINARY = """
    add sub mul div pow atan2 maximum minimum remainder fmod floor_divide hypot copysign xlogy
    logaddexp
"""
_BINARY: dict[str, Callable[..., Any]] = {
    **{name: getattr(torch, name) for name in _PLAIN_BINARY.split()},
    "equal_places": torch.eq,
    "less": torch.lt,
    "lerp_scalar": lambda a, b: torch.lerp(a, b, 0.3),
    "add_alpha": lambda a, b: torch.add(a, b, alpha=0.5),
    "squared_difference": lambda a, b: (a - b) ** 2,
}
for _name, _function in _BINARY.items():
    _calls(_name, _function, (PAIRED, PAIRED))
ADDED = uniform(16, 256, 56, 56)
_calls("add_row", torch.add, (TOKENS, normal(1536)), (normal(64, 1000), normal(1000)))
_calls("mul_channels", torch.mul, (ADDED, normal(256, 1, 1)), (normal(2, 17, 33, 35), normal(17, 1, 1)))
_calls("mul_batch_channels", torch.mul, (ADDED, normal(16, 256, 1, 1)))
_calls("mul_pixels", torch.mul, (ADDED, normal(16, 1, 56, 56)))
_calls("mul_middle", torch.mul, (normal(16, 128, 64, 64), normal(16, 1, 64, 1)))
_calls("mul_nhwc_channels", torch.mul, (nhwc(16, 256, 56, 56), normal(16, 256, 1, 1)))
_calls("add_nhwc_and_nchw", torch.add, (nhwc(16, 256, 56, 56), ADDED))
_calls("add_transposed", lambda a, b: a + b.mT, (normal(2048, 2048), normal(2048, 2048)))
_calls("outer_sum", lambda a, b: a[:, :, None] + b[:, None, :], (normal(8, 1024), normal(8, 1024)))
_calls("outer_difference", lambda a, b: a[:, None] - b[None], (normal(512, 64), normal(512, 64)))
_calls("mul_fp32_by_half", lambda a, b: a.float() * b, (normal(4096, 2048), normal(4096, 2048)))
_calls("mul_by_mask", torch.mul, (normal(32, 512, 768), bools(32, 512, 1)))
_calls("add_to_int", torch.add, (ints(100, 4096, 1024), normal(1024)))
_calls("add_in_place", lambda a, b: a.add_(b), (ADDED, uniform(16, 256, 56, 56)))
_calls("addcmul", torch.addcmul, (normal(8, 512, 1024), normal(8, 512, 1024), normal(1024)))
_calls("addcdiv", torch.addcdiv, (normal(4096, 1024), normal(4096, 1024), uniform(4096, 1024)))
_calls("lerp", torch.lerp, (normal(4096, 1024), normal(4096, 1024), uniform(4096, 1)))
_calls(
    "modulate",
    lambda x, a, b: x * (1 + a[:, None]) + b[:, None],
    (normal(8, 1024, 1152), normal(8, 1152), normal(8, 1152)),
)
_calls("clamp_tensors", torch.clamp, (normal(4096, 1024), uniform(1024), uniform(4096, 1)))
_calls("where", torch.where, (bools(4, 12, 512, 512), normal(4, 12, 512, 512), normal(4, 12, 512, 512)))
_calls("where_scalar", lambda x: torch.where(x > 0, x, 0.01 * x), normal(4096, 1024))
_calls("where_broadcast", torch.where, (bools(16, 512, 1), normal(16, 512, 768), normal(768)))
_calls("masked_fill", lambda x, m: x.masked_fill(m, -1e4), (normal(16, 12, 256, 256), bools(16, 1, 1, 256)))
_calls("masked_fill_causal", lambda x, m: x.masked_fill(m, -1e4), (normal(16, 12, 256, 256), bools(256, 256)))
_calls(
    "bias_of_alibi",
    lambda x, s: x + s[:, None, None] * torch.arange(x.shape[-1], device=x.device),
    (normal(8, 16, 256, 256), normal(16)),
)

IDS = ints(50000, 64, 512, 64)
_INTEGER: dict[str, Callable[..., Any]] = {
    "floor_divide_int": lambda x: x // 7,
    "remainder_int": lambda x: x % 7,
    "divide_int_to_float": lambda x: x / 7,
    "shift_right": lambda x: x >> 2,
    "bitwise_and": lambda x: x & 255,
    "bitwise_xor": lambda x: x ^ 0x5BD1,
    "hash_of_tokens": lambda x: (x * 0x9E3779B1 + 12345) % 100003,
    "equals_pad": lambda x: x == 0,
    "not_equals_pad_to_int": lambda x: x.ne(1).int(),
    "between": lambda x: (x > 10) & (x < 1000),
    "int_to_float": lambda x: x.float(),
    "position_ids": lambda x: x.ne(1).int().cumsum(1).type_as(x) * x.ne(1),
}
for _name, _function in _INTEGER.items():
    _calls(_name, _function, IDS)
_calls(
    "logical_and_not", lambda a, b: torch.logical_and(a, torch.logical_not(b)), (bools(64, 512, 64), bools(64, 512, 64))
)
_calls("bool_or", torch.bitwise_or, (bools(2048, 2048), bools(2048, 2048)))
_calls("minimum_int32", torch.minimum, (ints(99, 2048, 999, dtype=torch.int32), ints(99, 2048, 999, dtype=torch.int32)))
_calls("pixels_to_float", lambda x: (x.float() / 255 - 0.5) / 0.25, ints(256, 32, 3, 224, 224, dtype=torch.uint8))
_calls("float_to_pixels", lambda x: (x * 255).clamp(0, 255).to(torch.uint8), uniform(32, 3, 224, 224))
_calls("unpack_int4", lambda x: torch.stack((x & 15, x >> 4), -1).flatten(-2), ints(256, 4096, 2048, dtype=torch.uint8))
_calls("dequantize_int8", lambda x, s: x.to(s.dtype) * s, (ints(127, 4096, 4096, dtype=torch.int8), normal(4096, 1)))


# reductions over first, middle, last and several dimensions

ROWS, WIDE, STACK = normal(2048, 768), normal(64, 65536), normal(32, 200, 512)
_calls("sum_first", lambda x: x.sum(0), ROWS, normal(64, 64), normal(100000, 32), normal(12, 1024, 1024))
_calls("sum_last", lambda x: x.sum(-1), ROWS, WIDE, normal(1000000, 3), normal(4, 33))
_calls("sum_middle", lambda x: x.sum(1), STACK, normal(8, 4096, 64), normal(4096, 5, 512))
_calls("sum_ends", lambda x: x.sum((0, 2)), STACK)
_calls("sum_all", lambda x: x.sum(), TOKENS, normal(1000))
_calls("sum_of_transposed", lambda x: x.transpose(1, 2).sum(-1), STACK)
_calls("sum_bool", lambda x: x.sum(-1), bools(4096, 2048))
_calls("sum_int", lambda x: x.sum(1), ints(100, 256, 77, 64))
_calls(
    "mean_pixels", lambda x: x.mean((2, 3)), normal(16, 512, 28, 28), normal(64, 2048, 7, 7), normal(2, 24, 255, 255)
)
_calls("mean_pixels_nhwc", lambda x: x.mean((2, 3), keepdim=True), nhwc(16, 512, 28, 28))
_calls("mean_channels", lambda x: x.mean(1, keepdim=True), normal(16, 256, 56, 56), nhwc(16, 64, 56, 56))
_calls("mean_volume", lambda x: x.mean((2, 3, 4)), normal(8, 256, 8, 14, 14))
_calls("mean_time", lambda x: x.mean(1), normal(16, 1500, 384), normal(256, 16, 128))
_calls("mean_square", lambda x: x.pow(2).mean(-1, keepdim=True), normal(8, 512, 4096))
_calls("mean_where", lambda x, m: (x * m).sum(1) / m.sum(1).clamp(min=1e-9), (normal(64, 128, 384), bools(64, 128, 1)))
_calls("std_mean_last", lambda x: torch.std_mean(x, -1), ROWS, normal(32, 80, 3000))
_calls("std_statistics", lambda x: torch.cat((x.mean(-1), x.std(-1)), 1), normal(32, 1536, 300))
_calls("std_over_batch", lambda x: x.std(0, unbiased=False).mean(), normal(16, 512, 16, 16))
_calls("var_first", lambda x: x.var(0), ROWS)
_calls("var_mean_spatial", lambda x: torch.var_mean(x, (2, 3), keepdim=True), normal(8, 128, 128, 128))
_calls("prod_last", lambda x: x.prod(-1), uniform(4096, 64))
_calls("amax_middle", lambda x: x.amax(1), STACK, normal(8, 64, 4096))
_calls("amin_pixels", lambda x: x.amin((-1, -2)), normal(32, 64, 64, 64))
_calls("max_last", lambda x: x.max(-1), normal(4096, 1000), normal(8, 256, 2048))
_calls("max_over_points", lambda x: x.max(2).values, normal(8, 1024, 1024))
_calls("max_over_neighbours", lambda x: x.max(-1)[0], normal(8, 64, 1024, 20))
_calls("max_first", lambda x: x.max(0).values, normal(64, 100000))
_calls("max_all", lambda x: x.max(), TOKENS)
_calls("min_middle", lambda x: x.min(1), normal(16, 512, 1024))
_calls("argmax_last", lambda x: x.argmax(-1), normal(256, 32000), normal(4096, 7), normal(1, 151936))
_calls("argmax_channels", lambda x: x.argmax(1), normal(8, 21, 256, 256))
_calls("argmin_codebook", lambda x: x.argmin(-1), normal(8192, 1024))
_calls("aminmax", lambda x: torch.aminmax(x), TOKENS)
_calls("aminmax_rows", lambda x: torch.aminmax(x, dim=-1), ROWS)
_calls("any_last", lambda x: x.any(-1), bools(4096, 1024, share=0.01))
_calls("all_middle", lambda x: x.all(1), bools(32, 512, 256, share=0.99))
_calls("count_nonzero", lambda x: torch.count_nonzero(x, dim=1), ints(3, 512, 2048))
_calls("nansum", lambda x: torch.nansum(x, -1), ROWS)
_fp32("logsumexp_last", lambda x: x.logsumexp(-1), normal(64, 128, 1000), normal(4096, 9, 9))
_calls("logsumexp_middle", lambda x: x.logsumexp(1), normal(64, 128, 512))
_calls("norm_last", lambda x: x.norm(dim=-1, keepdim=True), normal(8, 4096, 256), normal(100000, 3))
_calls("norm_channels", lambda x: torch.linalg.vector_norm(x, dim=1), normal(8, 256, 64, 64))
_calls("norm_1", lambda x: torch.linalg.vector_norm(x, ord=1, dim=-1), ROWS)
_calls("norm_max", lambda x: torch.linalg.vector_norm(x, ord=math.inf, dim=(-1, -2)), normal(64, 256, 256))
_calls("norm_3", lambda x: torch.linalg.vector_norm(x, ord=3, dim=-1), ROWS)
_calls("norm_all", lambda x: x.norm(), normal(4096, 4096))
_calls("normalize_last", lambda x: F.normalize(x, dim=-1), normal(8, 1024, 512), normal(256, 768))
_calls("normalize_channels", lambda x: F.normalize(x, dim=1), normal(8, 256, 64, 64))
_calls("renorm", lambda x: x.renorm(2, 0, 1.0), normal(10000, 128))
_fp32("sum_last", lambda x: x.sum(-1), normal(2048, 1000), normal(37, 1234567 // 37))
_fp32("sum_first", lambda x: x.sum(0), normal(8192, 1000), normal(3, 2000001))
_bf16("mean_pixels", lambda x: x.mean((2, 3)), normal(8, 320, 64, 64))


# scans

_calls("cumsum_last", lambda x: x.cumsum(-1), normal(64, 32000), normal(4096, 128), normal(1, 1000000))
_calls("cumsum_middle", lambda x: x.cumsum(1), normal(32, 512, 256), normal(2, 4096, 64))
_calls("cumsum_first", lambda x: x.cumsum(0), normal(1000, 512), normal(100000, 8))
_calls("cumsum_int", lambda x: x.cumsum(1), ints(2, 64, 2048), ints(2, 8, 64, 64, dtype=torch.int32))
_calls("cumsum_bool", lambda x: x.cumsum(-1), bools(32, 1000))
_calls("cumprod_rays", lambda x: (1 - x + 1e-7).cumprod(-1), uniform(4096, 192))
_calls("cummax_last", lambda x: x.cummax(-1), normal(256, 2048))
_calls("cummax_time", lambda x: x.cummax(1), normal(8, 1024, 128))
_calls("logcumsumexp", lambda x: x.logcumsumexp(1), normal(8, 512, 256), normal(512, 2048, 1))
_calls("diff", lambda x: x.diff(dim=1), normal(64, 4096, 16))
_fp32(
    "segment_sums",
    lambda x: (lambda c: (c[..., :, None] - c[..., None, :]).tril().exp())(x.cumsum(-1)),
    uniform(8, 32, 16, 64),
)


# sorting and order statistics

_calls("sort_last", lambda x: x.sort(-1), normal(64, 1024), normal(1, 128256), normal(8, 32000), normal(100000, 16))
_calls("sort_middle", lambda x: x.sort(1), normal(16, 512, 64))
_calls("sort_stable_descending", lambda x: x.sort(stable=True, dim=-1, descending=True), normal(16, 8400))
_calls("argsort_last", lambda x: x.argsort(-1), uniform(64, 196), uniform(16, 4096))
_calls("argsort_of_int", lambda x: x.argsort(), ints(64, 32768))
_calls("shuffled_ranks", lambda x: x.argsort(1).argsort(1), uniform(64, 196))
_calls("topk_last", lambda x: x.topk(50), normal(16, 32000), normal(1, 151936), normal(1024, 256))
_calls("topk_2_of_experts", lambda x: x.softmax(-1).topk(2), normal(4096, 8), normal(4096, 64))
_calls("topk_8_of_experts", lambda x: x.topk(8, dim=-1, sorted=False), normal(2048, 256))
_calls("topk_5_of_classes", lambda x: x.topk(5, dim=1), normal(256, 1000))
_calls("topk_300_of_queries", lambda x: x.topk(300, dim=1).indices, normal(8, 8400), normal(1, 27200))
_calls("topk_1000_of_anchors", lambda x: x.flatten(1).topk(1000), normal(4, 91, 13000))
_calls("topk_smallest", lambda x: x.topk(20, largest=False), normal(8, 1024, 1024))
_calls("topk_middle", lambda x: x.topk(4, dim=1), normal(32, 128, 256))
_calls("kthvalue", lambda x: x.kthvalue(16, dim=-1), normal(256, 1000))
_calls("median_last", lambda x: x.median(-1), normal(512, 99))
_calls("median_all", lambda x: x.median(), normal(1000000))
_calls("mode", lambda x: x.mode(-1), ints(10, 128, 64))
_fp32("quantile", lambda x: x.quantile(0.9, dim=-1), uniform(64, 10000))
_fp32("quantiles", lambda x: x.quantile(torch.tensor([0.1, 0.5, 0.9], device=x.device), dim=1), uniform(32, 500, 16))
_fp32(
    "searchsorted_rows",
    torch.searchsorted,
    (Input((4096, 64), lambda r: torch.rand(4096, 64, generator=r).cumsum(-1)), uniform(4096, 128)),
)
_fp32("bucketize", lambda x: torch.bucketize(x, torch.linspace(0, 1, 255, device=x.device)), uniform(32, 1024, 64))
_fp32("histc", lambda x: x.histc(bins=256, min=0, max=1), uniform(1000000))
_calls("bincount", lambda x: x.bincount(minlength=64), ints(64, 16384))
_calls("unique", lambda x: x.unique(return_inverse=True), ints(5000, 20000))
_calls("unique_consecutive", lambda x: torch.unique_consecutive(x), ints(3, 20000))
_calls("nonzero", lambda x: x.nonzero(), bools(512, 512, share=0.1))
_calls(
    "masked_select", lambda x, m: x[m], (normal(64, 128, 256), bools(64, 128)), (normal(8400), bools(8400, share=0.05))
)
_calls("isin", lambda x: torch.isin(x, torch.arange(0, 64, 4, device=x.device)), ints(1000, 64, 512))
_calls("cross_nonzero_tuple", lambda x: torch.where(x), bools(4096, 8, share=0.25))


# indexing: gathers, scatters, embeddings

_calls(
    "gather_last",
    lambda x, i: x.gather(-1, i),
    (normal(64, 32000), ints(32000, 64, 50)),
    (normal(2, 12, 512, 1023), ints(1023, 2, 12, 512, 512)),
)
_calls(
    "gather_tokens",
    lambda x, i: x.gather(1, i[..., None].expand(-1, -1, x.shape[-1])),
    (normal(64, 196, 768), ints(196, 64, 49)),
)
_calls("gather_first", lambda x, i: x.gather(0, i), (normal(5000, 256), ints(5000, 2000, 256)))
_calls("take_along_dim", lambda x, i: torch.take_along_dim(x, i, dim=1), (normal(32, 100, 64), ints(100, 32, 100, 1)))
_calls(
    "index_select_rows",
    lambda x, i: x.index_select(0, i),
    (normal(10000, 128), ints(10000, 100000)),
    (normal(1000, 16), ints(1000, 5000)),
)
_calls("index_select_middle", lambda x, i: x.index_select(1, i), (normal(16, 256, 28, 28), ints(256, 128)))
_calls("index_select_last", lambda x, i: x.index_select(-1, i), (normal(4096, 1024), ints(1024, 512)))
_calls("index_rows", lambda x, i: x[i], (normal(4096, 2048), ints(4096, 4096)), (normal(2708, 64), ints(2708, 10556)))
_calls("index_rows_bf16_int32", lambda x, i: x[i], (normal(9000, 129), ints(9000, 7777, dtype=torch.int32)))
_calls("index_last", lambda x, i: x[..., i], (normal(8, 64, 1024), ints(1024, 300)))
_calls("index_two", lambda x, i, j: x[i, j], (normal(32, 512, 768), ints(32, 1000), ints(512, 1000)))
_calls(
    "index_batched_points",
    lambda x, i: x[torch.arange(len(i), device=x.device)[:, None, None], i],
    (normal(8, 4096, 64), ints(4096, 8, 1024, 32)),
)
_calls("index_apart", lambda x, i, j: x[:, i, :, j], (normal(8, 64, 32, 64), ints(64, 100), ints(64, 100)))
_calls(
    "index_last_token", lambda x, n: x[torch.arange(len(n), device=x.device), n], (normal(32, 512, 1024), ints(512, 32))
)
_calls(
    "index_table_of_bias",
    lambda t, i: t[i.flatten()].view(49, 49, -1).permute(2, 0, 1).contiguous(),
    (normal(169, 12), ints(169, 49, 49)),
)
_calls("index_put", lambda x, i, v: x.index_put((i,), v), (normal(4096, 512), ints(4096, 1000), normal(1000, 512)))
_calls(
    "index_put_accumulate",
    lambda x, i, v: x.index_put((i,), v, accumulate=True),
    (normal(4096, 64), ints(4096, 8192), normal(8192, 64)),
)
_calls("index_put_masked", lambda x, m: x.masked_fill_(m, 0.0), (normal(64, 512, 512), bools(64, 512, 1, share=0.15)))
_calls(
    "index_add_nodes",
    lambda x, i: x.new_zeros(4096, x.shape[1]).index_add_(0, i, x),
    (normal(65536, 64), ints(4096, 65536)),
    (normal(8192, 1024), ints(4096, 8192)),
)
_calls(
    "index_copy_cache",
    lambda x, i, v: x.index_copy_(2, i, v),
    (normal(8, 8, 2048, 128), ints(2048, 16), normal(8, 8, 16, 128)),
)
_calls("index_fill", lambda x, i: x.index_fill(1, i, 0.0), (normal(64, 512, 128), ints(512, 32)))
_calls("scatter_value", lambda x, i: x.scatter(1, i, 1.0), (normal(64, 32000), ints(32000, 64, 512)))
_calls(
    "scatter_one_hot",
    lambda i: torch.zeros(*i.shape, 64, device=i.device).scatter_(-1, i[..., None], 1.0),
    ints(64, 8, 4096),
)
_calls(
    "scatter_back_sorted",
    lambda x, i: torch.zeros_like(x).scatter_(-1, i, x),
    (normal(8, 32000), ints(32000, 8, 32000)),
)
_calls(
    "scatter_add_nodes",
    lambda x, i: x.new_zeros(2708, 64).scatter_add_(0, i[:, None].expand_as(x), x),
    (normal(10556, 64), ints(2708, 10556)),
    (normal(200000, 64), ints(2708, 200000)),
)
_fp32(
    "scatter_add_nodes",
    lambda x, i: x.new_zeros(9999, 33).scatter_add_(0, i[:, None].expand_as(x), x),
    (normal(99999, 33), ints(9999, 99999)),
)
_calls(
    "scatter_add_voxels",
    lambda x, i: x.new_zeros(4, 64, 4096).scatter_add_(2, i[:, None].expand_as(x), x),
    (normal(4, 64, 16384), ints(4096, 4, 16384)),
)
for _reduce in ("mean", "amax"):
    _calls(
        f"scatter_reduce_{_reduce}",
        lambda x, i, r=_reduce: x.new_zeros(4096, 64).scatter_reduce_(
            0, i[:, None].expand_as(x), x, r, include_self=False
        ),
        (normal(32768, 64), ints(4096, 32768)),
    )
_calls(
    "degrees",
    lambda i: torch.zeros(4096, device=i.device).index_add_(0, i, torch.ones_like(i, dtype=torch.float32)),
    ints(4096, 65536),
)
_calls(
    "softmax_of_edges",
    lambda x, i: (lambda e: e / e.new_zeros(4096, 8).index_add_(0, i, e)[i])(x.exp()),
    (normal(65536, 8), ints(4096, 65536)),
)
_fp32(
    "segment_reduce",
    lambda x: torch.segment_reduce(x, "mean", lengths=torch.full((256,), 64, device=x.device)),
    normal(16384, 64),
)
_layer("embedding", lambda: nn.Embedding(50257, 768), ints(50257, 8, 512), ints(50257, 1, 1))
_layer("embedding_wide", lambda: nn.Embedding(4000, 4096), ints(4000, 8, 2048))
_layer(
    "embedding_of_categories",
    lambda: nn.Embedding(100000, 16),
    ints(100000, 4096, 26),
    ints(100000, 128, 13, dtype=torch.int32),
)
_layer("embedding_odd", lambda: nn.Embedding(1001, 37), ints(1001, 512, 50))
_fp32("embedding", F.embedding, (ints(30000, 16, 512), normal(30000, 384)))
for _mode in ("sum", "mean", "max"):
    _layer(f"embedding_bag_{_mode}", functools.partial(nn.EmbeddingBag, 100000, 64, mode=_mode), ints(100000, 2048, 32))
_layer(
    "embedding_bag_offsets",
    lambda: nn.EmbeddingBag(100000, 128, mode="sum"),
    (ints(100000, 40000), Input((4000,), lambda r: torch.arange(0, 40000, 10))),
)
_calls("one_hot", lambda x: F.one_hot(x, 256), ints(256, 16, 1024), ints(256, 64, 7))
_calls("one_hot_to_half", lambda x: F.one_hot(x, 8).permute(2, 1, 0).to(torch.float16), ints(8, 4096, 2))
_calls("beam_reorder", lambda x, i: x.index_select(0, i), (normal(16, 12, 512, 64), ints(16, 16)))


# memory layout: joins, splits, copies of views

_calls("cat_first", lambda a, b: torch.cat((a, b)), (normal(2048, 768), normal(2048, 768)))
_calls(
    "cat_last",
    lambda a, b: torch.cat((a, b), -1),
    (normal(4096, 512), normal(4096, 13)),
    (normal(8, 12, 512, 64), normal(8, 12, 512, 64)),
)
_calls(
    "cat_channels",
    lambda a, b: torch.cat((a, b), 1),
    (normal(8, 256, 56, 56), normal(8, 128, 56, 56)),
    (nhwc(8, 128, 64, 64), nhwc(8, 64, 64, 64)),
)
_calls("cat_cache", lambda a, b: torch.cat((a, b), 2), (normal(8, 8, 2047, 128), normal(8, 8, 1, 128)))
_calls(
    "cat_class_token",
    lambda x, c: torch.cat((c.expand(len(x), -1, -1), x), 1),
    (normal(32, 196, 768), normal(1, 1, 768)),
)
_calls("cat_of_26", lambda x: torch.cat([x[:, n] for n in range(26)], -1), normal(4096, 26, 16))
_calls(
    "cat_dense_block", lambda x: torch.cat([x[:, n * 32 : n * 32 + 32] for n in range(12)], 1), normal(16, 384, 28, 28)
)
_calls("cat_mixed", lambda a, b: torch.cat((a.float(), b), 1), (normal(4096, 64), ints(9, 4096, 8)))
_calls("stack_first", lambda a, b: torch.stack((a, b)), (normal(8, 512, 512), normal(8, 512, 512)))
_calls("stack_last", lambda a, b: torch.stack((a, b), -1).flatten(-2), (normal(8, 12, 512, 32), normal(8, 12, 512, 32)))
_calls("stack_time", lambda x: torch.stack([x[:, t] * 2 for t in range(8)], 1), normal(64, 8, 512))
_calls("chunk_contiguous", lambda x: [part.contiguous() for part in x.chunk(3, -1)], normal(8, 512, 2304))
_calls("split_uneven", lambda x: [part.contiguous() for part in x.split([64, 128, 192], 1)], normal(8, 384, 28, 28))
_calls("split_heads", lambda x: x.view(8, 512, 3, 12, 64).permute(2, 0, 3, 1, 4).contiguous(), normal(8, 512, 2304))
_calls("merge_heads", lambda x: x.transpose(1, 2).reshape(8, 512, -1), normal(8, 12, 512, 64))
_calls("transpose_copy", lambda x: x.mT.contiguous(), normal(4096, 4096), normal(64, 197, 768), normal(1000, 33, 65))
_calls("permute_0213", lambda x: x.permute(0, 2, 1, 3).contiguous(), normal(8, 1024, 16, 64), normal(4, 77, 5, 31))
_calls("permute_0231", lambda x: x.permute(0, 2, 3, 1).contiguous(), normal(16, 256, 56, 56), normal(4, 3, 512, 512))
_calls("permute_0312", lambda x: x.permute(0, 3, 1, 2).contiguous(), normal(16, 56, 56, 256))
_calls("permute_3210", lambda x: x.permute(3, 2, 1, 0).contiguous(), normal(64, 48, 32, 56))
_calls("permute_20413", lambda x: x.permute(2, 0, 4, 1, 3).contiguous(), normal(8, 64, 16, 12, 32))
_calls(
    "permute_of_ints",
    lambda x: x.permute(0, 2, 1).contiguous(),
    ints(9, 64, 128, 256),
    ints(9, 64, 128, 128, dtype=torch.uint8),
)
_calls(
    "to_channels_last",
    lambda x: x.contiguous(memory_format=torch.channels_last),
    normal(32, 3, 224, 224),
    normal(8, 128, 64, 64),
)
_calls("from_channels_last", lambda x: x.contiguous(), nhwc(8, 128, 64, 64))
_calls("expand_contiguous", lambda x: x.expand(64, -1, -1).contiguous(), normal(1, 512, 768))
_calls(
    "expand_grouped_heads",
    lambda x: x[:, :, None].expand(-1, -1, 4, -1, -1).reshape(4, 32, 1024, 128),
    normal(4, 8, 1024, 128),
)
_calls("repeat", lambda x: x.repeat(8, 1, 1), normal(4, 512, 256))
_calls("repeat_last", lambda x: x.repeat(1, 1, 4), normal(32, 512, 64))
_calls("tile", lambda x: x.tile(4, 4), normal(512, 512))
_calls("repeat_interleave", lambda x: x.repeat_interleave(4, dim=1), normal(4, 8, 1024, 128), normal(64, 50, 80))
_calls("repeat_interleave_durations", lambda x, n: x.repeat_interleave(n, dim=0), (normal(512, 384), ints(9, 512)))
_calls("roll_window", lambda x: x.roll((-3, -3), (1, 2)), normal(16, 56, 56, 96), normal(4, 14, 14, 384))
_calls("roll_last", lambda x: x.roll(1, -1), normal(512, 4096))
_calls("flip_time", lambda x: x.flip(1), normal(32, 1024, 256))
_calls("flip_pixels", lambda x: x.flip(-1), normal(16, 3, 512, 512))
_calls("rot90", lambda x: x.rot90(1, (2, 3)), normal(16, 16, 128, 128))
_calls("tril", lambda x: x.tril(), normal(64, 512, 512))
_calls("triu_mask", lambda x: torch.ones(2048, 2048, dtype=torch.bool, device=x.device).triu(1), normal(1))
_calls("triu_float_mask", lambda x: torch.full((1024, 1024), -math.inf, device=x.device).triu(1), normal(1))
_calls("diagonal_copy", lambda x: x.diagonal(dim1=-2, dim2=-1).contiguous(), normal(64, 256, 256))
_calls("diag_embed", lambda x: x.diag_embed(), normal(64, 256))
_calls("trace", lambda x: x.trace(), normal(1024, 1024))
_calls("slice_strided", lambda x: x[:, :, ::2, ::2].contiguous(), normal(16, 64, 112, 112))
_calls(
    "focus_slices",
    lambda x: torch.cat((x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]), 1),
    normal(8, 3, 640, 640),
)
_calls(
    "patch_merging",
    lambda x: torch.cat((x[:, ::2, ::2], x[:, 1::2, ::2], x[:, ::2, 1::2], x[:, 1::2, 1::2]), -1),
    normal(16, 56, 56, 96),
)
_calls(
    "window_partition", lambda x: x.view(16, 8, 7, 8, 7, 96).transpose(2, 3).reshape(-1, 49, 96), normal(16, 56, 56, 96)
)
_calls(
    "window_reverse", lambda x: x.view(16, 8, 8, 7, 7, 96).transpose(2, 3).reshape(16, 56, 56, 96), normal(1024, 49, 96)
)
_calls(
    "patchify",
    lambda x: x.view(32, 3, 14, 16, 14, 16).permute(0, 2, 4, 3, 5, 1).reshape(32, 196, 768),
    normal(32, 3, 224, 224),
)
_calls(
    "unpatchify",
    lambda x: torch.einsum("nhwpqc->nchpwq", x.view(16, 32, 32, 2, 2, 8)).reshape(16, 8, 64, 64),
    normal(16, 1024, 32),
)
_calls("frames_by_unfold", lambda x: x.unfold(-1, 400, 160).contiguous(), normal(16, 160000))
_calls("shift_of_channels", lambda x: torch.cat((x[:, 1:, :8], x[:, -1:, :8].mul(0)), 1), normal(8, 8, 64, 56, 56))
_calls("token_shift", lambda x: F.pad(x, (0, 0, 1, -1)), normal(8, 1024, 768))
_calls(
    "relative_shift",
    lambda x: F.pad(x, (1, 0)).view(8, 8, 512, 256)[:, :, 1:].reshape(8, 8, 256, 511)[..., :256].contiguous(),
    normal(8, 8, 256, 511),
)
_calls("clone", lambda x: x.clone(), TOKENS, normal(16))
_calls("copy_into_slice", lambda c, x: c[:, :, 100:116].copy_(x), (normal(8, 8, 1024, 128), normal(8, 8, 16, 128)))
_calls("copy_of_transposed", lambda a, b: a.copy_(b.mT), (normal(2048, 1024), normal(1024, 2048)))
_calls("fill", lambda x: x.fill_(1.0), normal(4096, 2048))
_calls("zeros_like", torch.zeros_like, normal(4096, 2048))
_calls("new_full", lambda x: x.new_full((64, 512, 256), 2.0), normal(1))
_calls("linspace", lambda x: torch.linspace(0, 1, 100000, device=x.device), normal(1))
_calls(
    "meshgrid_anchors",
    lambda x: (
        torch.stack(
            torch.meshgrid(torch.arange(256, device=x.device), torch.arange(256, device=x.device), indexing="ij"), -1
        ).reshape(-1, 2)
        * 8.0
    ),
    normal(1),
)
_calls(
    "coordinate_channels",
    lambda x: torch.cat((x, torch.linspace(-1, 1, 64, device=x.device, dtype=x.dtype).expand(16, 1, 64, 64)), 1),
    normal(16, 32, 64, 64),
)
for _type in ("float32", "bfloat16", "float8_e4m3fn", "int8", "int64", "bool"):
    _calls(f"to_{_type}", lambda x, kind=_type: x.to(getattr(torch, kind)), TOKENS)
_calls("to_float_of_transposed", lambda x: x.mT.float().contiguous(), normal(16, 512, 512))
_fp32("to_double_and_back", lambda x: (x.double() * 0.1).float(), normal(2048, 2048))


# random numbers

_RANDOM: dict[str, Callable[..., Any]] = {
    "rand_like": torch.rand_like,
    "randn_like": torch.randn_like,
    "bernoulli": lambda x: torch.bernoulli(x.sigmoid()),
    "dropout_on": lambda x: F.dropout(x, 0.1, training=True),
    "randint": lambda x: torch.randint(0, 1000, x.shape, device=x.device),
    "exponential": lambda x: torch.empty_like(x).exponential_(),
    "reparametrise": lambda x: x + torch.exp(0.5 * x) * torch.randn_like(x),
    "drop_path_on": lambda x: x * x.new_empty(len(x), 1, 1).bernoulli_(0.9).div_(0.9),
}
for _name, _function in _RANDOM.items():
    _calls(_name, _function, TOKENS)
_fp32("randn_like", torch.randn_like, normal(64, 4, 64, 64))
_fp32("uniform_in_place", lambda x: torch.empty_like(x).uniform_(-1, 1), normal(2048, 2048))
_calls("randperm", lambda x: torch.randperm(50000, device=x.device), normal(1))
_calls("multinomial", lambda x: torch.multinomial(x, 1), uniform(64, 32000), uniform(4096, 6))
_calls("multinomial_many", lambda x: torch.multinomial(x, 100), uniform(64, 8192))


# convolutions


def _conv(
    name: str, kind: Callable[..., nn.Module], sizes: tuple[Any, ...], *cases: Case, dtype: str = "fp16", **options: Any
) -> None:
    """A convolution of (channels in, channels out, kernel)."""
    _layer(name, functools.partial(kind, *sizes, **options), *cases, dtype=dtype)


_conv("conv2d_1x1", nn.Conv2d, (256, 64, 1), normal(16, 256, 56, 56), nhwc(8, 256, 64, 64), bias=False)
_conv(
    "conv2d_3x3",
    nn.Conv2d,
    (128, 128, 3),
    normal(16, 128, 28, 28),
    nhwc(16, 128, 56, 56),
    normal(1, 128, 7, 7),
    padding=1,
)
_conv("conv2d_3x3", nn.Conv2d, (64, 64, 3), normal(8, 64, 56, 56), padding=1, dtype="fp32")
_conv("conv2d_odd_channels", nn.Conv2d, (33, 65, 3), normal(8, 33, 57, 59), nhwc(8, 33, 57, 61), padding=1)
_conv(
    "conv2d_stem_7x7",
    nn.Conv2d,
    (3, 64, 7),
    normal(16, 3, 224, 224),
    nhwc(8, 3, 224, 224),
    stride=2,
    padding=3,
    bias=False,
)
_conv("conv2d_patches_16", nn.Conv2d, (3, 768, 16), normal(16, 3, 224, 224), stride=16)
_conv("conv2d_stride_2", nn.Conv2d, (128, 256, 3), normal(16, 128, 56, 56), stride=2, padding=1)
_conv("conv2d_one_channel", nn.Conv2d, (1, 32, 3), normal(16, 1, 80, 300), padding=1)
_conv("conv2d_to_one_channel", nn.Conv2d, (64, 1, 7), normal(8, 64, 128, 128), padding=3)
_conv("conv2d_to_images", nn.Conv2d, (128, 3, 3), normal(1, 128, 352, 352), padding=1)
_conv("conv2d_dilated_2", nn.Conv2d, (128, 128, 3), normal(8, 128, 64, 64), padding=2, dilation=2)
_conv("conv2d_dilated_12", nn.Conv2d, (512, 256, 3), normal(2, 512, 33, 33), padding=12, dilation=12)
_conv("conv2d_1x7", nn.Conv2d, (192, 192, (1, 7)), normal(8, 192, 17, 17), padding=(0, 3))
_conv("conv2d_reflect", nn.Conv2d, (64, 64, 3), normal(8, 64, 64, 64), padding=1, padding_mode="reflect")
_conv("conv2d_circular", nn.Conv2d, (32, 32, 3), normal(8, 32, 128, 128), padding=1, padding_mode="circular")
_conv("conv2d_same_even", nn.Conv2d, (32, 32, 4), normal(8, 32, 64, 64), padding="same")
_conv("conv2d_groups_2", nn.Conv2d, (128, 128, 3), normal(8, 128, 28, 28), groups=2, padding=1)
_conv("conv2d_groups_32", nn.Conv2d, (256, 256, 3), normal(8, 256, 28, 28), nhwc(8, 256, 28, 30), groups=32, padding=1)
_conv(
    "depthwise_3x3",
    nn.Conv2d,
    (192, 192, 3),
    normal(16, 192, 56, 56),
    nhwc(16, 192, 28, 28),
    normal(1, 192, 14, 14),
    groups=192,
    padding=1,
)
_conv("depthwise_3x3", nn.Conv2d, (96, 96, 3), normal(8, 96, 56, 56), groups=96, padding=1, dtype="fp32")
_conv("depthwise_5x5_stride_2", nn.Conv2d, (144, 144, 5), normal(16, 144, 56, 56), groups=144, padding=2, stride=2)
_conv("depthwise_7x7", nn.Conv2d, (96, 96, 7), normal(16, 96, 56, 56), nhwc(16, 96, 56, 58), groups=96, padding=3)
_conv("depthwise_31x31", nn.Conv2d, (64, 64, 31), normal(2, 64, 32, 32), groups=64, padding=15)
_conv("depthwise_multiplier_2", nn.Conv2d, (64, 128, 3), normal(8, 64, 56, 56), groups=64, padding=1)
_conv("conv1d_1", nn.Conv1d, (512, 2048, 1), normal(16, 512, 250))
_conv("conv1d_3", nn.Conv1d, (80, 384, 3), normal(8, 80, 3000), normal(1, 80, 100), padding=1)
_conv("conv1d_wave", nn.Conv1d, (1, 512, 10), normal(4, 1, 80000), stride=5, bias=False)
_conv("conv1d_dilated", nn.Conv1d, (64, 128, 3), normal(4, 64, 16000), padding=512, dilation=512)
_conv("conv1d_depthwise_31", nn.Conv1d, (256, 256, 31), normal(16, 256, 500), groups=256, padding=15)
_conv("conv1d_depthwise_causal", nn.Conv1d, (1536, 1536, 4), normal(4, 1536, 1024), groups=1536, padding=3)
_conv("conv1d_positions", nn.Conv1d, (768, 768, 128), normal(2, 768, 249), groups=16, padding=64)
_conv("conv1d_points", nn.Conv1d, (3, 64, 1), normal(16, 3, 4096))
_conv("conv3d_3x3x3", nn.Conv3d, (16, 32, 3), normal(2, 16, 16, 56, 56), nhwc(2, 16, 16, 28, 28), padding=1)
_conv("conv3d_3x3x3", nn.Conv3d, (8, 16, 3), normal(1, 8, 32, 64, 64), padding=1, dtype="fp32")
_conv("conv3d_stem", nn.Conv3d, (3, 64, (3, 7, 7)), normal(1, 3, 16, 112, 112), stride=(1, 2, 2), padding=(1, 3, 3))
_conv("conv3d_time", nn.Conv3d, (64, 64, (3, 1, 1)), normal(2, 64, 16, 28, 28), padding=(1, 0, 0))
_conv("conv3d_tubelets", nn.Conv3d, (3, 384, (2, 16, 16)), normal(2, 3, 16, 224, 224), stride=(2, 16, 16))
_conv("conv3d_depthwise", nn.Conv3d, (64, 64, 3), normal(2, 64, 8, 28, 28), groups=64, padding=1)
_conv("conv_transpose2d_2x2", nn.ConvTranspose2d, (128, 64, 2), normal(8, 128, 32, 32), nhwc(4, 128, 64, 64), stride=2)
_conv("conv_transpose2d_4x4", nn.ConvTranspose2d, (256, 128, 4), normal(8, 256, 16, 16), stride=2, padding=1)
_conv("conv_transpose2d_latent", nn.ConvTranspose2d, (100, 512, 4), normal(64, 100, 1, 1))
_conv(
    "conv_transpose2d_output_padding",
    nn.ConvTranspose2d,
    (64, 32, 3),
    normal(4, 64, 64, 64),
    stride=2,
    padding=1,
    output_padding=1,
    dtype="fp32",
)
_conv(
    "conv_transpose2d_depthwise", nn.ConvTranspose2d, (64, 64, 4), normal(4, 64, 32, 32), stride=2, padding=1, groups=64
)
_conv("conv_transpose1d", nn.ConvTranspose1d, (256, 128, 16), normal(4, 256, 400), stride=8, padding=4)
_conv("conv_transpose3d", nn.ConvTranspose3d, (32, 16, 2), normal(1, 32, 16, 32, 32), stride=2)
_calls(
    "conv2d_dynamic",
    lambda x, w: F.conv2d(x.view(1, -1, 56, 56), w.view(-1, 32, 3, 3), padding=1, groups=8),
    (normal(8, 32, 56, 56), normal(8, 32, 32, 3, 3)),
)
_calls(
    "conv2d_correlation",
    lambda x, w: F.conv2d(x.view(1, -1, 31, 31), w.view(-1, 1, 7, 7), groups=2048).view(8, 256, 25, 25),
    (normal(8, 256, 31, 31), normal(8, 256, 7, 7)),
)


# pooling, resizing, sampling, padding of images

_calls("max_pool2d", lambda x: F.max_pool2d(x, 2), normal(16, 64, 112, 112), nhwc(16, 64, 112, 114))
_calls("max_pool2d_3_stride_2", lambda x: F.max_pool2d(x, 3, 2, 1), normal(16, 64, 112, 112), nhwc(8, 64, 112, 112))
_calls("max_pool2d_5_same", lambda x: F.max_pool2d(x, 5, 1, 2), normal(8, 256, 20, 20))
_calls("max_pool2d_13_same", lambda x: F.max_pool2d(x, 13, 1, 6), normal(8, 512, 19, 19))
_calls(
    "max_pool_and_unpool",
    lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), [2, 2]),
    normal(4, 64, 128, 128),
)
_calls("max_pool1d", lambda x: F.max_pool1d(x, 3, 3), normal(8, 128, 16000))
_calls("max_pool1d_whole", lambda x: F.max_pool1d(x, x.shape[-1]), normal(64, 100, 500))
_calls("max_pool3d", lambda x: F.max_pool3d(x, 2), normal(2, 64, 16, 56, 56))
_calls("avg_pool2d", lambda x: F.avg_pool2d(x, 3, 2, 1), normal(16, 64, 112, 112), nhwc(8, 64, 112, 112))
_calls("avg_pool2d_7", lambda x: F.avg_pool2d(x, 7), normal(64, 1024, 7, 7))
_calls("avg_pool2d_25_same", lambda x: F.avg_pool2d(x, 25, 1, 12), normal(4, 16, 64, 64))
_calls("avg_pool1d_moving", lambda x: F.avg_pool1d(x, 25, 1, 12), normal(64, 321, 336))
_calls("avg_pool3d", lambda x: F.avg_pool3d(x, (1, 2, 2)), normal(2, 64, 16, 56, 56))
_calls("lp_pool2d", lambda x: F.lp_pool2d(x, 2, 2), normal(8, 64, 56, 56))
_calls("fractional_max_pool2d", lambda x: F.fractional_max_pool2d(x, 3, output_ratio=(0.6, 0.6)), normal(8, 32, 64, 64))
for _size in (1, 7):
    _calls(
        f"adaptive_avg_pool2d_{_size}",
        lambda x, n=_size: F.adaptive_avg_pool2d(x, n),
        normal(16, 512, 15, 15),
        nhwc(16, 512, 14, 14),
    )
_calls("adaptive_avg_pool2d_6", lambda x: F.adaptive_avg_pool2d(x, 6), normal(2, 2048, 60, 60))
_calls("adaptive_avg_pool1d", lambda x: F.adaptive_avg_pool1d(x, 50), normal(16, 512, 1000))
_calls("adaptive_avg_pool3d_1", lambda x: F.adaptive_avg_pool3d(x, 1), normal(8, 512, 2, 7, 7))
_calls("adaptive_avg_pool3d_axis", lambda x: F.adaptive_avg_pool3d(x, (None, 7, 7)), normal(2, 256, 8, 16, 16))
_calls("adaptive_max_pool1d_1", lambda x: F.adaptive_max_pool1d(x, 1), normal(16, 1024, 1024))
_calls("adaptive_max_pool2d_1", lambda x: F.adaptive_max_pool2d(x, 1), normal(16, 512, 28, 28))
_calls("adaptive_max_pool2d_7", lambda x: F.adaptive_max_pool2d(x, 7), normal(16, 256, 25, 38))
_calls("adaptive_max_pool3d", lambda x: F.adaptive_max_pool3d(x, (1, 4, 4)), normal(4, 128, 8, 14, 14))
_calls("gem_pool", lambda x: F.avg_pool2d(x.clamp(min=1e-6).pow(3), x.shape[-2:]).pow(1 / 3), uniform(32, 1024, 14, 14))

for _mode in ("nearest", "nearest-exact", "bilinear", "bicubic", "area"):
    _calls(
        f"interpolate_{_mode}_x2",
        lambda x, mode=_mode: F.interpolate(x, scale_factor=2.0, mode=mode),
        normal(8, 64, 64, 64),
    )
_calls("interpolate_nearest_nhwc", lambda x: F.interpolate(x, scale_factor=2), nhwc(8, 128, 64, 64))
_calls("interpolate_bilinear_nhwc", lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), nhwc(4, 128, 64, 64))
_calls(
    "interpolate_bilinear_corners",
    lambda x: F.interpolate(x, (512, 512), mode="bilinear", align_corners=True),
    normal(2, 21, 65, 65),
)
_calls(
    "interpolate_bilinear_down", lambda x: F.interpolate(x, scale_factor=0.5, mode="bilinear"), normal(8, 64, 127, 129)
)
_calls(
    "interpolate_antialias",
    lambda x: F.interpolate(x, (224, 224), mode="bilinear", antialias=True),
    normal(8, 3, 640, 480),
)
_calls(
    "interpolate_bicubic_antialias",
    lambda x: F.interpolate(x, (96, 96), mode="bicubic", antialias=True),
    normal(8, 3, 256, 256),
)
_calls("interpolate_positions", lambda x: F.interpolate(x, (40, 53), mode="bicubic"), normal(1, 768, 14, 14))
_calls("interpolate_linear", lambda x: F.interpolate(x, scale_factor=4, mode="linear"), normal(16, 128, 1000))
_calls("interpolate_nearest_1d", lambda x: F.interpolate(x, scale_factor=300), normal(4, 1, 200))
_calls("interpolate_trilinear", lambda x: F.interpolate(x, scale_factor=2, mode="trilinear"), normal(1, 32, 16, 32, 32))
_calls("interpolate_nearest_3d", lambda x: F.interpolate(x, scale_factor=2), normal(1, 32, 16, 32, 32))
GRID = Input((8, 64, 64, 2), lambda random: torch.rand(8, 64, 64, 2, generator=random) * 2 - 1)
for _mode in ("bilinear", "nearest", "bicubic"):
    _calls(
        f"grid_sample_{_mode}",
        lambda x, g, mode=_mode: F.grid_sample(x, g, mode=mode, align_corners=False),
        (normal(8, 64, 64, 64), GRID),
    )
_calls(
    "grid_sample_border",
    lambda x, g: F.grid_sample(x, g, padding_mode="border", align_corners=True),
    (normal(8, 3, 256, 256), GRID),
)
_fp32(
    "grid_sample_3d",
    lambda x, g: F.grid_sample(x, g, align_corners=True),
    (normal(1, 16, 64, 64, 64), uniform(1, 1, 1, 65536, 3)),
)
_calls(
    "grid_sample_planes",
    lambda x, g: F.grid_sample(x, g, align_corners=False).sum(0),
    (normal(3, 32, 256, 256), uniform(3, 1, 65536, 2)),
)
_calls(
    "deformable_sampling",
    lambda x, g, w: (F.grid_sample(x, g, align_corners=False) * w).sum(-1),
    (normal(64, 32, 32, 32), uniform(64, 300, 4, 2), uniform(64, 1, 300, 4)),
)
_calls(
    "roi_align_by_grids",
    lambda x, g: F.grid_sample(x.expand(100, -1, -1, -1), g, align_corners=False),
    (normal(1, 256, 50, 50), uniform(100, 7, 7, 2)),
)
_calls("affine_grid", lambda t: F.affine_grid(t, [32, 3, 128, 128], align_corners=False), normal(32, 2, 3))
_calls(
    "warp_by_flow",
    lambda x, f: F.grid_sample(x, (f.permute(0, 2, 3, 1) / 64).tanh(), align_corners=True),
    (normal(4, 32, 128, 160), normal(4, 2, 128, 160)),
)
_calls("unfold_3x3", lambda x: F.unfold(x, 3, padding=1), normal(8, 64, 56, 56), normal(1, 3, 224, 224))
_calls("unfold_patches", lambda x: F.unfold(x, 16, stride=16).mT.contiguous(), normal(16, 3, 224, 224))
_calls("unfold_dilated", lambda x: F.unfold(x, 3, dilation=4, padding=4), normal(4, 32, 64, 64))
_calls("fold_overlapping", lambda x: F.fold(x, (56, 56), 7, padding=3, stride=4), normal(8, 49 * 32, 196))
_calls("fold_patches", lambda x: F.fold(x, (224, 224), 16, stride=16), normal(16, 768, 196))
_calls("pixel_shuffle", lambda x: F.pixel_shuffle(x, 2), normal(4, 256, 64, 64), nhwc(4, 256, 48, 48))
_calls("pixel_shuffle_4", lambda x: F.pixel_shuffle(x, 4), normal(1, 48, 180, 320))
_calls("pixel_unshuffle", lambda x: F.pixel_unshuffle(x, 2), normal(8, 64, 128, 128))
_calls("channel_shuffle", lambda x: F.channel_shuffle(x, 2), normal(16, 116, 28, 28), nhwc(16, 116, 28, 28))
_calls(
    "channel_shuffle_by_views",
    lambda x: x.view(16, 3, 80, 28, 28).transpose(1, 2).reshape(16, 240, 28, 28),
    normal(16, 240, 28, 28),
)
for _mode in ("constant", "reflect", "replicate", "circular"):
    _calls(f"pad_{_mode}_2d", lambda x, mode=_mode: F.pad(x, (3, 3, 3, 3), mode), normal(8, 64, 64, 64))
    _calls(f"pad_{_mode}_1d", lambda x, mode=_mode: F.pad(x, (200, 200), mode), normal(4, 8, 16000))
_calls("pad_constant_right", lambda x: F.pad(x, (0, 1, 0, 1)), nhwc(8, 64, 64, 64), normal(8, 3, 333, 500))
_calls("pad_rows", lambda x: F.pad(x, (0, 0, 0, 24), value=-1.0), normal(16, 1000, 256))
_calls("pad_3d", lambda x: F.pad(x, (1, 1, 1, 1, 2, 0), "replicate"), normal(1, 32, 16, 64, 64))
_calls("pad_negative", lambda x: F.pad(x, (-4, -4, -4, -4)), normal(16, 64, 64, 64))
_calls(
    "blur",
    lambda x, k: F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), k.expand(64, 1, 3, 3), stride=2, groups=64),
    (normal(8, 64, 56, 56), normal(1, 1, 3, 3)),
)


# norms

_layer("batch_norm2d", lambda: nn.BatchNorm2d(64), normal(16, 64, 112, 112), nhwc(8, 64, 112, 112))
_layer("batch_norm2d_many_channels", lambda: nn.BatchNorm2d(2048), normal(16, 2048, 7, 7))
_layer("batch_norm2d", lambda: nn.BatchNorm2d(64), normal(4, 64, 56, 56), dtype="fp32")
_layer("batch_norm1d", lambda: nn.BatchNorm1d(512), normal(4096, 512), normal(16, 512, 300))
_layer("batch_norm3d", lambda: nn.BatchNorm3d(32), normal(2, 32, 16, 56, 56))
_layer("batch_norm_of_the_batch", lambda: nn.BatchNorm2d(64, track_running_stats=False), normal(8, 64, 56, 56))
_layer("group_norm_32", lambda: nn.GroupNorm(32, 320), normal(4, 320, 64, 64), nhwc(4, 320, 64, 60))
_layer("group_norm_1", lambda: nn.GroupNorm(1, 96), normal(16, 96, 56, 56))
_layer("group_norm_of_sequences", lambda: nn.GroupNorm(8, 256), normal(16, 256, 1000), normal(64, 256))
_layer("instance_norm2d", lambda: nn.InstanceNorm2d(64), normal(4, 64, 256, 128), nhwc(4, 64, 128, 128))
_layer("instance_norm1d_affine", lambda: nn.InstanceNorm1d(512, affine=True), normal(4, 512, 2000))
_layer("instance_norm3d", lambda: nn.InstanceNorm3d(32), normal(1, 32, 32, 64, 64))
_layer("layer_norm", lambda: nn.LayerNorm(768), normal(32, 197, 768), normal(1, 768), normal(4, 7, 768))
_layer("layer_norm_narrow", lambda: nn.LayerNorm(96), normal(16, 56, 56, 96), normal(100000, 96))
_layer("layer_norm_wide", lambda: nn.LayerNorm(8192), normal(1024, 8192))
_layer("layer_norm_odd", lambda: nn.LayerNorm(333), normal(4096, 333))
_layer("layer_norm_no_affine", lambda: nn.LayerNorm(1152, elementwise_affine=False), normal(8, 1024, 1152))
_layer("layer_norm_2d", lambda: nn.LayerNorm((64, 64)), normal(64, 16, 64, 64))
_layer("layer_norm_3d", lambda: nn.LayerNorm((64, 32, 32)), normal(16, 64, 32, 32))
_layer("layer_norm", lambda: nn.LayerNorm(1000), normal(2000, 1000), dtype="fp32")
_layer("layer_norm", lambda: nn.LayerNorm(1024), normal(4096, 1024), dtype="bf16")
_calls(
    "layer_norm_channels_first",
    lambda m, x: m(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2),
    normal(8, 192, 56, 56),
    layers=(lambda: nn.LayerNorm(192),),
)
_layer("rms_norm", lambda: nn.RMSNorm(2048), normal(4, 1024, 2048))
_layer("rms_norm_heads", lambda: nn.RMSNorm(128), normal(4, 1024, 16, 128), dtype="bf16")
_calls(
    "rms_norm_by_hand",
    lambda x, w: w * (x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype),
    (normal(2, 1024, 2048), normal(2048)),
)
_layer("local_response_norm", lambda: nn.LocalResponseNorm(5), normal(8, 96, 55, 55))
_calls(
    "global_response_norm",
    lambda x: x * (lambda g: g / (g.mean(-1, keepdim=True) + 1e-6))(x.norm(dim=(1, 2), keepdim=True)) + x,
    normal(16, 28, 28, 768),
)
_calls(
    "adaptive_instance_norm",
    lambda x, s: (x - x.mean((2, 3), True)) / (x.std((2, 3), keepdim=True) + 1e-5) * s[..., None, None],
    (normal(4, 256, 64, 64), normal(4, 256)),
)
_calls(
    "reversible_instance_norm",
    lambda x: (x - x.mean(1, True)) / torch.sqrt(x.var(1, keepdim=True, unbiased=False) + 1e-5),
    normal(64, 336, 321),
)
_calls("pixel_norm", lambda x: x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8), normal(8, 512, 64, 64))
_calls(
    "standardised_weights",
    lambda w: (w - w.mean((1, 2, 3), keepdim=True)) / w.std((1, 2, 3), keepdim=True),
    normal(512, 256, 3, 3),
)
_layer("weight_norm_old", lambda: torch.nn.utils.weight_norm(nn.Conv1d(256, 256, 7, padding=3)), normal(4, 256, 1000))
_layer("weight_norm", lambda: nn.utils.parametrizations.weight_norm(nn.Linear(512, 512)), normal(256, 512))
_layer("spectral_norm_old", lambda: torch.nn.utils.spectral_norm(nn.Conv2d(64, 128, 3)), normal(8, 64, 64, 64))
_layer("spectral_norm", lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(512, 512)), normal(256, 512))
_layer("orthogonal", lambda: nn.utils.parametrizations.orthogonal(nn.Linear(64, 64)), normal(256, 64), dtype="fp32")


# losses and distances

_calls("cross_entropy", F.cross_entropy, (normal(4096, 1000), ints(1000, 4096)), (normal(256, 32000), ints(32000, 256)))
_calls("cross_entropy_of_pixels", F.cross_entropy, (normal(8, 21, 128, 128), ints(21, 8, 128, 128)))
_calls(
    "cross_entropy_smooth",
    lambda x, y: F.cross_entropy(x, y, label_smoothing=0.1),
    (normal(1024, 1000), ints(1000, 1024)),
)
_calls(
    "cross_entropy_each", lambda x, y: F.cross_entropy(x, y, reduction="none"), (normal(2048, 5000), ints(5000, 2048))
)
_calls("cross_entropy_of_probabilities", F.cross_entropy, (normal(1024, 1000), uniform(1024, 1000)))
_calls("nll_loss", lambda x, y: F.nll_loss(x, y), (normal(8192, 40), ints(40, 8192)))
for _loss in (F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss, F.binary_cross_entropy_with_logits):
    _calls(_loss.__name__, _loss, (uniform(4096, 1024), uniform(4096, 1024)))
_calls("binary_cross_entropy", F.binary_cross_entropy, (uniform(64, 8400), uniform(64, 8400)))
_calls(
    "kl_div",
    lambda x, y: F.kl_div(x.log_softmax(-1), y.softmax(-1), reduction="batchmean"),
    (normal(512, 1000), normal(512, 1000)),
)
_calls(
    "kl_of_latents",
    lambda m, v: -0.5 * (1 + v - m.pow(2) - v.exp()).sum((1, 2, 3)),
    (normal(8, 4, 64, 64), normal(8, 4, 64, 64)),
)
_calls(
    "focal_loss",
    lambda x, y: (F.binary_cross_entropy_with_logits(x, y, reduction="none") * (x.sigmoid() - y).pow(2)).sum(),
    (normal(8, 8400, 20), uniform(8, 8400, 20)),
)
_calls(
    "dice",
    lambda x, y: 2 * (x * y).sum((2, 3)) / (x.sum((2, 3)) + y.sum((2, 3)) + 1e-5),
    (uniform(8, 4, 256, 256), uniform(8, 4, 256, 256)),
)
_fp32(
    "ctc_loss",
    lambda x, y: nn.CTCLoss()(x.log_softmax(-1), y + 1, [200] * 16, [20] * 16),
    (normal(200, 16, 64), ints(63, 16, 20)),
)
_calls(
    "cosine_similarity",
    lambda a, b: F.cosine_similarity(a, b, dim=-1),
    (normal(4096, 512), normal(4096, 512)),
    (normal(64, 1, 128), normal(1, 512, 128)),
)
_calls("pairwise_distance", F.pairwise_distance, (normal(4096, 256), normal(4096, 256)))
_fp32(
    "cdist_2",
    torch.cdist,
    (normal(8, 1024, 3), normal(8, 1024, 3)),
    (normal(2048, 256), normal(1024, 256)),
    (normal(4, 20, 64), normal(4, 20, 64)),
)
_fp32(
    "cdist_1",
    lambda a, b: torch.cdist(a, b, p=1),
    (normal(8, 300, 4), normal(8, 50, 4)),
    (normal(1024, 64), normal(1024, 64)),
)
_fp32(
    "cdist_exact",
    lambda a, b: torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist"),
    (normal(4, 1024, 3), normal(4, 1024, 3)),
)
_fp32("pdist", F.pdist, normal(512, 32))
_calls(
    "squared_distances",
    lambda a: a.square().sum(-1)[..., None] - 2 * a @ a.mT + a.square().sum(-1)[..., None, :],
    normal(8, 1024, 64),
)
_calls(
    "contrastive",
    lambda a, b: F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T * 14.3,
    (normal(512, 512), normal(512, 512)),
)
_calls("triplet_margin", F.triplet_margin_loss, (normal(1024, 128), normal(1024, 128), normal(1024, 128)))
_calls(
    "charbonnier",
    lambda a, b: torch.sqrt((a - b) ** 2 + 1e-6).mean(),
    (uniform(4, 3, 256, 256), uniform(4, 3, 256, 256)),
)
_calls("total_variation", lambda x: x.diff(dim=-1).abs().mean() + x.diff(dim=-2).abs().mean(), uniform(8, 3, 256, 256))


# matrix products

_calls(
    "matmul",
    torch.matmul,
    (normal(512, 512), normal(512, 512)),
    (normal(2048, 1000), normal(1000, 3000)),
    (normal(127, 129), normal(129, 131)),
)
_fp32("matmul", torch.matmul, (normal(512, 512), normal(512, 512)), (normal(1024, 1024), normal(1024, 1024)))
_bf16("matmul", torch.matmul, (normal(2048, 2048), normal(2048, 2048)))
_calls(
    "matmul_transposed",
    lambda a, b: a @ b.mT,
    (normal(1024, 768), normal(30522, 768)),
    (normal(8, 12, 197, 64), normal(8, 12, 197, 64)),
)
_calls(
    "matmul_first_transposed",
    lambda a, b: a.mT @ b,
    (normal(16, 1024, 256), normal(16, 1024, 256)),
    (normal(50000, 64), normal(50000, 64)),
)
_calls("matmul_vector", torch.matmul, (normal(4096, 4096), normal(4096)), (normal(8, 1024, 256), normal(256)))
_calls("vector_matmul", torch.matmul, (normal(1024), normal(1024, 4096)))
_calls("dot", torch.dot, (normal(100000), normal(100000)))
_calls("mv", torch.mv, (normal(10000, 300), normal(300)))
_calls(
    "matmul_shared_right",
    torch.matmul,
    (normal(64, 200, 256), normal(256, 512)),
    (normal(8, 12, 256, 64), normal(64, 64)),
)
_calls(
    "matmul_shared_left", torch.matmul, (normal(207, 207), normal(64, 207, 64)), (normal(49, 49), normal(32, 8, 49, 32))
)
_calls(
    "matmul_broadcast_batches",
    torch.matmul,
    (normal(8, 1, 64, 128), normal(12, 128, 64)),
    (normal(1, 12, 64, 64), normal(32, 1, 64, 64)),
)
_calls("matmul_batch_by_vector", lambda a, v: a @ v[..., None], (normal(4096, 32, 32), normal(4096, 32)))
_calls("matmul_tall_skinny", torch.matmul, (normal(100000, 64), normal(64, 8)), (normal(16, 4096), normal(4096, 16)))
_calls("matmul_long_inner", torch.matmul, (normal(64, 100000), normal(100000, 64)))
_fp32("bmm_3x3", torch.bmm, (normal(10000, 3, 3), normal(10000, 3, 3)), (normal(16, 3, 3), normal(16, 3, 2048)))
_fp32("bmm_4x4", torch.bmm, (normal(20000, 4, 4), normal(20000, 4, 4)))
_calls("bmm_rotate_points", lambda r, p: p @ r.mT, (normal(64, 3, 3), normal(64, 2048, 3)))
_calls(
    "bmm",
    torch.bmm,
    (normal(96, 197, 197), normal(96, 197, 64)),
    (normal(8, 64, 64), normal(8, 64, 64)),
    (normal(256, 33, 65), normal(256, 65, 31)),
)
_calls(
    "bmm_heads_last",
    lambda a, b: a.transpose(1, 2) @ b.permute(0, 2, 3, 1),
    (normal(8, 512, 12, 64), normal(8, 512, 12, 64)),
)
_calls(
    "addmm",
    torch.addmm,
    (normal(512), normal(2048, 512), normal(512, 512)),
    (normal(256, 256), normal(256, 128), normal(128, 256)),
)
_calls(
    "baddbmm",
    lambda c, a, b: torch.baddbmm(c, a, b, beta=1, alpha=0.125),
    (normal(96, 128, 128), normal(96, 128, 64), normal(96, 64, 128)),
)
_calls("int8_matmul", torch._int_mm, (ints(127, 1024, 1024, dtype=torch.int8), ints(127, 1024, 1024, dtype=torch.int8)))
for _in, _out in ((768, 3072), (1000, 10), (64, 1), (13, 37), (4096, 32000)):
    _layer(f"linear_{_out}", functools.partial(nn.Linear, _in, _out), normal(256, _in))
_layer("linear_3072", lambda: nn.Linear(768, 3072), normal(1, 768), normal(8, 512, 768))
_layer("linear_512", lambda: nn.Linear(512, 512), normal(2048, 512), dtype="fp32")
_calls(
    "linear_of_transposed", lambda m, x: m(x.transpose(1, 2)), normal(32, 96, 321), layers=(lambda: nn.Linear(96, 336),)
)
_calls(
    "linear_of_channels",
    lambda m, x: m(x.permute(0, 2, 3, 1)),
    normal(8, 128, 28, 28),
    layers=(lambda: nn.Linear(128, 512),),
)
_layer("bilinear", lambda: nn.Bilinear(64, 64, 32), (normal(256, 64), normal(256, 64)))
_calls(
    "experts_by_bmm",
    lambda x, w, v: torch.bmm(F.silu(torch.bmm(x, w)), v),
    (normal(8, 256, 512), normal(8, 512, 1024), normal(8, 1024, 512)),
)
_calls(
    "lora",
    lambda x, w, a, b: x @ w + (x @ a) @ b * 2.0,
    (normal(2048, 1024), normal(1024, 1024), normal(1024, 8), normal(8, 1024)),
)

_EINSUMS: dict[str, tuple[tuple[int, ...], ...]] = {
    "bhid,bhjd->bhij": ((8, 12, 256, 64), (8, 12, 256, 64)),
    "bhij,bhjd->bhid": ((8, 12, 256, 256), (8, 12, 256, 64)),
    "bqhd,bkhd->bhqk": ((8, 256, 12, 64), (8, 256, 12, 64)),
    "bhqk,bkhd->bqhd": ((8, 12, 256, 256), (8, 256, 12, 64)),
    "bi,bj->bij": ((4096, 64), (4096, 64)),
    "nkctv,kvw->nctw": ((16, 3, 64, 75, 25), (3, 25, 25)),
    "ncvl,vw->ncwl": ((32, 32, 207, 12), (207, 207)),
    "bhwc,hkc->bhwk": ((16, 14, 14, 64), (14, 14, 64)),
    "bixy,ioxy->boxy": ((16, 32, 16, 16), (32, 32, 16, 16)),
    "bnd,bmd->bnm": ((8, 1024, 128), (8, 1024, 128)),
    "bfd,bgd->bfg": ((2048, 26, 16), (2048, 26, 16)),
    "bld,dn->bldn": ((2, 512, 256), (256, 16)),
    "bldn,bln->bld": ((2, 512, 256, 16), (2, 512, 16)),
    "bhnd,bhne->bhde": ((8, 8, 4096, 32), (8, 8, 4096, 32)),
    "bsd,edf->besf": ((4, 256, 512), (8, 512, 256)),
    "bqc,bchw->bqhw": ((2, 100, 256), (2, 256, 64, 64)),
    "bikc,bjkc->bijc": ((1, 128, 128, 32), (1, 128, 128, 32)),
    "i,j->ij": ((2048,), (64,)),
    "bii->b": ((64, 256, 256),),
}
for _equation, _shapes in _EINSUMS.items():
    _calls(
        f"einsum_{_equation}", functools.partial(torch.einsum, _equation), tuple(normal(*shape) for shape in _shapes)
    )
_calls("outer", torch.outer, (normal(4096), normal(4096)))
_calls("kron", torch.kron, (normal(32, 32), normal(64, 64)))
_calls(
    "tensordot",
    lambda a, b: torch.tensordot(a, b, dims=([2, 3], [0, 1])),
    (normal(8, 128, 16, 64), normal(16, 64, 512)),
)
_calls("cross_product", lambda a, b: torch.cross(a, b, dim=-1), (normal(100000, 3), normal(100000, 3)))
_calls("cross_product_first", lambda a, b: torch.linalg.cross(a, b, dim=1), (normal(64, 3, 4096), normal(64, 3, 4096)))


# attention


def _attention(name: str, query: tuple[int, ...], keys: tuple[int, ...], dtype: str = "fp16", **options: Any) -> None:
    """A scaled dot product of queries and keys of (batch, heads, length, width)."""
    _calls(
        f"attention_{name}",
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **options),
        (normal(*query), normal(*keys), normal(*keys)),
        dtype=dtype,
    )


for _width in (32, 40, 64, 80, 96, 128, 256):
    _attention(f"of_width_{_width}", (4, 8, 512, _width), (4, 8, 512, _width))
    _attention(f"causal_of_width_{_width}", (2, 8, 1024, _width), (2, 8, 1024, _width), is_causal=True)
_attention("of_images", (16, 12, 197, 64), (16, 12, 197, 64))
_attention("of_windows", (1024, 3, 49, 32), (1024, 3, 49, 32))
_attention("of_pixels", (2, 8, 4096, 40), (2, 8, 4096, 40))
_attention("of_pixels_one_head", (1, 1, 4096, 512), (1, 1, 4096, 512))
_attention("to_text", (2, 8, 4096, 40), (2, 8, 77, 40))
_attention("of_queries", (8, 8, 100, 32), (8, 8, 1064, 32))
_attention("of_latents", (4, 8, 64, 64), (4, 8, 4096, 64))
_attention("one_query", (8, 32, 1, 128), (8, 32, 1024, 128))
_attention("one_query_long", (1, 32, 1, 128), (1, 32, 4096, 128), dtype="bf16")
_attention("one_query_grouped", (8, 32, 1, 128), (8, 8, 2048, 128), enable_gqa=True)
_attention("grouped_causal", (2, 32, 1024, 128), (2, 8, 1024, 128), dtype="bf16", enable_gqa=True, is_causal=True)
_attention("of_tiny_sequences", (512, 4, 8, 16), (512, 4, 8, 16))
_attention("fp32", (4, 8, 512, 64), (4, 8, 512, 64), dtype="fp32")
_attention("causal_fp32", (2, 8, 1000, 80), (2, 8, 1000, 80), dtype="fp32", is_causal=True)
_HEADS = (normal(8, 12, 384, 64), normal(8, 12, 384, 64), normal(8, 12, 384, 64))
_attend = F.scaled_dot_product_attention
_calls("attention_bool_mask", lambda q, k, v, m: _attend(q, k, v, attn_mask=m), (*_HEADS, bools(8, 1, 1, 384)))
_calls("attention_full_bool_mask", lambda q, k, v, m: _attend(q, k, v, attn_mask=m), (*_HEADS, bools(8, 1, 384, 384)))
_calls("attention_float_mask", lambda q, k, v, m: _attend(q, k, v, attn_mask=m), (*_HEADS, normal(1, 12, 384, 384)))
_calls(
    "attention_expanded_mask",
    lambda q, k, v, m: _attend(q, k, v, attn_mask=m.expand(8, 12, 384, 384)),
    (*_HEADS, normal(8, 1, 1, 384)),
)
_calls(
    "attention_of_heads_last",
    lambda q, k, v: _attend(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)),
    tuple(normal(8, 384, 12, 64) for _ in "qkv"),
)
_calls(
    "attention_of_packed", lambda x: _attend(*x.view(8, 384, 3, 12, 64).permute(2, 0, 3, 1, 4)), normal(8, 384, 2304)
)
_calls(
    "attention_odd_mask",
    lambda q, k, v, m: _attend(q, k, v, attn_mask=m),
    (normal(4, 8, 333, 64), normal(4, 8, 217, 64), normal(4, 8, 217, 64), normal(333, 217)),
)
_calls("attention_by_hand", lambda q, k, v: (q @ k.mT / 8).softmax(-1) @ v, _HEADS)
_calls(
    "attention_by_hand_of_channels",
    lambda q, k, v: v @ (q.mT @ k / 8).softmax(-1).mT,
    tuple(normal(2, 64, 1024) for _ in "qkv"),
)
_calls(
    "attention_linear",
    lambda q, k, v: q.softmax(-1) @ (k.softmax(-2).mT @ v),
    tuple(normal(4, 8, 4096, 32) for _ in "qkv"),
)
_calls(
    "attention_of_channels",
    lambda q, k, v: (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT).softmax(-1) @ v,
    tuple(normal(2, 4, 48, 16384) for _ in "qkv"),
)
_calls(
    "multi_head_attention",
    lambda m, x: m(x, x, x, need_weights=False)[0],
    normal(8, 256, 512),
    layers=(lambda: nn.MultiheadAttention(512, 8, batch_first=True),),
)
_calls(
    "multi_head_attention_weights",
    lambda m, x: m(x, x, x)[0],
    normal(100, 16, 256),
    layers=(lambda: nn.MultiheadAttention(256, 8),),
)
_calls(
    "multi_head_attention_crossed",
    lambda m, q, x: m(q, x, x)[0],
    (normal(8, 32, 256), normal(8, 600, 256)),
    layers=(lambda: nn.MultiheadAttention(256, 8, batch_first=True),),
)
_layer("encoder_layer", lambda: nn.TransformerEncoderLayer(512, 8, 2048, batch_first=True), normal(8, 256, 512))
_layer(
    "encoder_layer_norm_first",
    lambda: nn.TransformerEncoderLayer(256, 4, 1024, norm_first=True, activation="gelu"),
    normal(100, 16, 256),
)
_layer(
    "decoder_layer",
    lambda: nn.TransformerDecoderLayer(256, 8, 1024, batch_first=True),
    (normal(8, 100, 256), normal(8, 600, 256)),
)
_calls(
    "rope_by_halves",
    lambda x, c, s: x * c + torch.cat((-x[..., 64:], x[..., :64]), -1) * s,
    (normal(4, 32, 512, 128), normal(512, 128), normal(512, 128)),
)
_calls(
    "rope_by_pairs",
    lambda x, c, s: torch.stack((x[..., ::2] * c - x[..., 1::2] * s, x[..., ::2] * s + x[..., 1::2] * c), -1).flatten(
        -2
    ),
    (normal(4, 16, 512, 64), normal(512, 32), normal(512, 32)),
)
_fp32(
    "rope_complex",
    lambda x, a: torch.view_as_real(
        torch.view_as_complex(x.reshape(4, 512, 16, 32, 2)) * torch.polar(torch.ones_like(a), a)
    ).flatten(3),
    (normal(4, 512, 16, 64), normal(512, 1, 32)),
)
_fp32(
    "rope_table",
    lambda x: (lambda a: (a.cos(), a.sin()))(torch.outer(torch.arange(2048, device=x.device).float(), 10000 ** (-x))),
    uniform(64),
)
_fp32(
    "sinusoids_of_steps",
    lambda t: (lambda a: torch.cat((a.sin(), a.cos()), -1))(
        t[:, None] * torch.exp(torch.arange(160, device=t.device) * -0.058)
    ),
    uniform(16),
)
_calls(
    "fourier_features",
    lambda x: (lambda a: torch.cat((x, a.sin().flatten(1), a.cos().flatten(1)), -1))(
        x[..., None] * 2.0 ** torch.arange(10, device=x.device)
    ),
    uniform(65536, 3),
)


# recurrent layers

_layer("lstm_cell", lambda: nn.LSTMCell(512, 512), normal(64, 512))
_layer("gru_cell", lambda: nn.GRUCell(128, 256), normal(256, 128))
_layer("rnn_cell", lambda: nn.RNNCell(64, 128), normal(32, 64))
_layer("lstm", lambda: nn.LSTM(256, 256, batch_first=True), normal(16, 64, 256))
_layer("lstm_both_ways", lambda: nn.LSTM(64, 128, 2, bidirectional=True), normal(50, 32, 64))
_layer("lstm_projected", lambda: nn.LSTM(80, 256, proj_size=64), normal(40, 8, 80))
_layer("gru", lambda: nn.GRU(64, 256, batch_first=True), normal(64, 20, 64))
_layer("gru_wide", lambda: nn.GRU(1024, 1024), normal(16, 8, 1024), dtype="fp32")
_layer("rnn", lambda: nn.RNN(32, 64, nonlinearity="relu"), normal(30, 128, 32))
_calls(
    "lstm_gates_by_hand",
    lambda g, c: (lambda i, f, o, u: o.sigmoid() * (f.sigmoid() * c + i.sigmoid() * u.tanh()).tanh())(*g.chunk(4, 1)),
    (normal(64, 2048), normal(64, 512)),
)
_calls(
    "conv_lstm_gates",
    lambda g, c: (lambda i, f, o, u: o.sigmoid() * (f.sigmoid() * c + i.sigmoid() * u.tanh()).tanh())(*g.chunk(4, 1)),
    (normal(8, 256, 64, 64), normal(8, 64, 64, 64)),
)
_calls(
    "scan_step",
    lambda h, a, b: torch.addcmul(b, a, h),
    (normal(8, 1536, 16), uniform(8, 1536, 16), normal(8, 1536, 16)),
)
_calls(
    "scan_by_cumsum",
    lambda a, x: (lambda s: (x * (-s).exp()).cumsum(1) * s.exp())(a.log().cumsum(1)),
    (uniform(4, 64, 512), normal(4, 64, 512)),
)
_calls(
    "discretise",
    lambda d, a, b, x: (torch.exp(d[..., None] * a), d[..., None] * b[:, :, None] * x[..., None]),
    (uniform(2, 256, 512), normal(512, 16), normal(2, 256, 16), normal(2, 256, 512)),
)


# linear algebra of small matrices

_LINEAR_ALGEBRA: dict[str, Callable[..., Any]] = {
    "inverse": torch.linalg.inv,
    "determinant": torch.linalg.det,
    "log_determinant": lambda x: torch.linalg.slogdet(x)[1],
    "cholesky": torch.linalg.cholesky,
    "qr": torch.linalg.qr,
    "svd": lambda x: torch.linalg.svd(x, full_matrices=False),
    "eigh": torch.linalg.eigh,
    "matrix_exp": torch.linalg.matrix_exp,
    "matrix_power": lambda x: torch.linalg.matrix_power(x, 3),
    "pseudo_inverse": torch.linalg.pinv,
    "lu": torch.linalg.lu_factor,
    "frobenius_norm": torch.linalg.matrix_norm,
}
for _name, _function in _LINEAR_ALGEBRA.items():
    _fp32(_name, _function, definite(256, 3, 3), definite(8, 64, 64))
_fp32("inverse", torch.linalg.inv, definite(1000, 4, 4), definite(512, 512))
_fp32("solve", torch.linalg.solve, (definite(64, 8, 8), normal(64, 8, 1)), (definite(4, 128, 128), normal(4, 128, 16)))
_fp32(
    "solve_triangular",
    lambda a, b: torch.linalg.solve_triangular(a.tril(), b, upper=False),
    (definite(16, 64, 64), normal(16, 64, 32)),
)
_fp32(
    "cholesky_solve",
    lambda a, b: torch.cholesky_solve(b, torch.linalg.cholesky(a)),
    (definite(8, 64, 64), normal(8, 64, 4)),
)
_fp32("least_squares", lambda a, b: torch.linalg.lstsq(a, b).solution, (normal(16, 64, 8), normal(16, 64, 1)))
_fp32(
    "procrustes",
    lambda a, b: (lambda u, s, v: u @ v)(*torch.linalg.svd(a.mT @ b)),
    (normal(32, 100, 3), normal(32, 100, 3)),
)
_fp32("newton_schulz", lambda x: (lambda a: 3.4445 * x + (-4.775 * a + 2.0315 * a @ a) @ x)(x @ x.mT), normal(256, 512))
_fp32(
    "moore_penrose_steps",
    lambda k, z: (
        lambda m: 0.25 * z @ (13 * torch.eye(64, device=k.device) - m @ (15 * torch.eye(64, device=k.device) - m))
    )(k @ z),
    (normal(32, 64, 64), normal(32, 64, 64)),
)


# Fourier transforms and complex numbers

_fp32("rfft", torch.fft.rfft, normal(64, 16000), normal(8, 512, 1000), normal(16, 8191))
_fp32("rfft_time", lambda x: torch.fft.rfft(x, dim=1), normal(32, 336, 321))
_fp32("rfft_and_back", lambda x: torch.fft.irfft(torch.fft.rfft(x, n=4096), n=4096)[..., :2048], normal(4, 256, 2048))
_fp32(
    "long_convolution",
    lambda x, k: torch.fft.irfft(torch.fft.rfft(x, n=2048) * torch.fft.rfft(k, n=2048), n=2048),
    (normal(4, 256, 1024), normal(256, 1024)),
)
_fp32("fft_real", lambda x: torch.fft.fft(torch.fft.fft(x, dim=-1), dim=-2).real, normal(8, 512, 768))
_fp32("rfft2", lambda x: torch.fft.rfft2(x, norm="ortho"), normal(16, 64, 64, 64), normal(8, 14, 14, 384))
_fp32("rfft2_and_back", lambda x: torch.fft.irfft2(torch.fft.rfft2(x), s=(64, 64)), normal(16, 32, 64, 64))
_fp32(
    "global_filter",
    lambda x, w: torch.fft.irfft2(torch.fft.rfft2(x, dim=(1, 2)) * torch.view_as_complex(w), s=(14, 14), dim=(1, 2)),
    (normal(16, 14, 14, 384), normal(14, 8, 384, 2)),
)
_fp32(
    "spectral_convolution",
    lambda x, w: torch.einsum("bix,iox->box", torch.fft.rfft(x)[..., :16], torch.view_as_complex(w)),
    (normal(32, 64, 1024), normal(64, 64, 16, 2)),
)
_fp32("fftn", lambda x: torch.fft.fftn(x, dim=(-3, -2, -1)), normal(2, 8, 32, 32, 32))
_fp32("fftshift", lambda x: torch.fft.fftshift(torch.fft.fft2(x)).abs(), normal(8, 3, 256, 256))
_fp32(
    "autocorrelation",
    lambda q, k: torch.fft.irfft(torch.fft.rfft(q) * torch.conj(torch.fft.rfft(k))),
    (normal(32, 8, 64, 96), normal(32, 8, 64, 96)),
)
_fp32(
    "stft",
    lambda x: torch.stft(x, 400, 160, window=torch.hann_window(400, device=x.device), return_complex=True),
    normal(8, 160000),
)
_fp32(
    "stft_power",
    lambda x: (
        torch.stft(x, 1024, 256, window=torch.hann_window(1024, device=x.device), return_complex=True).abs().square()
    ),
    normal(4, 65536),
)
_fp32(
    "stft_and_back",
    lambda x: torch.istft(
        torch.stft(x, 512, 128, window=torch.hann_window(512, device=x.device), return_complex=True),
        512,
        128,
        window=torch.hann_window(512, device=x.device),
    ),
    normal(4, 64000),
)
_fp32(
    "complex_product",
    lambda a, b: torch.view_as_real(torch.view_as_complex(a) * torch.view_as_complex(b)),
    (normal(1024, 1024, 2), normal(1024, 1024, 2)),
)
_fp32(
    "complex_matmul",
    lambda a, b: (torch.view_as_complex(a) @ torch.view_as_complex(b)).abs(),
    (normal(8, 256, 256, 2), normal(8, 256, 256, 2)),
)
_fp32("complex_exponential", lambda x: torch.exp(1j * x).real, normal(2048, 1024))
_fp32(
    "magnitude_and_phase", lambda x: (lambda c: (c.abs(), c.angle()))(torch.view_as_complex(x)), normal(8, 257, 1001, 2)
)
_fp32("complex_sum", lambda x: torch.view_as_complex(x).sum(1).abs(), normal(64, 512, 32, 2))
_fp32("from_polar", lambda r, t: torch.polar(r, t), (uniform(8, 257, 1001), uniform(8, 257, 1001)))
_fp32(
    "vandermonde_kernel",
    lambda a: torch.exp(torch.view_as_complex(-a.abs())[..., None] * torch.arange(1024, device=a.device)).sum(1).real,
    normal(256, 32, 2),
)


# idioms of vision

_calls(
    "squeeze_excite",
    lambda a, b, x: x * torch.sigmoid(b(F.relu(a(x.mean((2, 3), keepdim=True))))),
    normal(16, 256, 28, 28),
    nhwc(16, 256, 28, 28),
    layers=(lambda: nn.Conv2d(256, 16, 1), lambda: nn.Conv2d(16, 256, 1)),
)
_calls(
    "efficient_channel_attention",
    lambda m, x: x * m(x.mean((2, 3))[:, None]).sigmoid().transpose(1, 2)[..., None],
    normal(16, 256, 28, 28),
    layers=(lambda: nn.Conv1d(1, 1, 5, padding=2),),
)
_calls(
    "cbam_spatial",
    lambda m, x: x * m(torch.cat((x.mean(1, True), x.amax(1, True)), 1)).sigmoid(),
    normal(8, 256, 56, 56),
    layers=(lambda: nn.Conv2d(2, 1, 7, padding=3),),
)
_calls(
    "non_local",
    lambda x: x + (x.flatten(2) @ (x.flatten(2).mT @ x.flatten(2)).softmax(-1)).view_as(x),
    normal(4, 64, 32, 32),
)
_calls("layer_scale", lambda x, r, g: r + g * x, (normal(16, 784, 384), normal(16, 784, 384), normal(384)))
_calls(
    "layer_scale_channels_first",
    lambda x, r, g: r + g[:, None, None] * x,
    (normal(16, 96, 56, 56), normal(16, 96, 56, 56), normal(96)),
)
_calls("pool_former_mixer", lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False) - x, normal(16, 96, 56, 56))
_calls(
    "ghost_halves",
    lambda m, x: torch.cat((x, m(x)), 1),
    normal(16, 40, 28, 28),
    layers=(lambda: nn.Conv2d(40, 40, 3, padding=1, groups=40),),
)
_calls(
    "pyramid_sum",
    lambda a, b: a + F.interpolate(b, size=a.shape[-2:], mode="nearest"),
    (normal(4, 256, 100, 152), normal(4, 256, 50, 76)),
)
_calls(
    "mixture_of_masks",
    lambda w, m: (w[..., None, None] * m[:, None]).sum(2).sigmoid() > 0.5,
    (normal(4, 20, 32), normal(4, 32, 80, 80)),
)
_calls("gram_matrix", lambda x: x.flatten(2) @ x.flatten(2).mT / 4096, normal(4, 128, 64, 64))
_calls(
    "netvlad",
    lambda a, x, c: torch.einsum("bkn,bdn->bkd", a, x) - a.sum(-1)[..., None] * c,
    (uniform(8, 64, 1024), normal(8, 256, 1024), normal(64, 256)),
)
_calls(
    "attention_pool",
    lambda m, x: (m(x).softmax(1) * x).sum(1),
    normal(32, 200, 512),
    layers=(lambda: nn.Linear(512, 1),),
)
_calls(
    "cost_volume",
    lambda a, b: torch.stack([(a[..., n:] * b[..., : 128 - n]).mean(1)[..., :96] for n in range(2)], 1),
    (normal(2, 64, 96, 128), normal(2, 64, 96, 128)),
)
_calls(
    "soft_argmax",
    lambda x: (x.flatten(2).softmax(-1).view_as(x) * torch.arange(64, device=x.device)).sum((2, 3)),
    normal(32, 17, 64, 64),
)
_calls(
    "peaks_of_heatmap", lambda x: (x * (F.max_pool2d(x, 3, 1, 1) == x)).flatten(1).topk(100), uniform(4, 20, 128, 128)
)
_calls(
    "distribution_of_distances",
    lambda x, p: (x.view(4, 4, 16, 8400).softmax(2) * p[:, None]).sum(2),
    (normal(4, 64, 8400), normal(16)),
)
_calls(
    "mask_patches",
    lambda x, i: x.gather(1, i.argsort(1)[:, :49, None].expand(-1, -1, 768)),
    (normal(32, 196, 768), uniform(32, 196)),
)
_calls(
    "merge_masks",
    lambda q, x: torch.einsum("bqc,bchw->bqhw", q, x).sigmoid().flatten(2).sum(-1),
    (normal(2, 100, 256), normal(2, 256, 64, 64)),
)


# idioms of detection


def _overlaps(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of all pairs of boxes."""
    low, high = (
        torch.maximum(a[..., :, None, :2], b[..., None, :, :2]),
        torch.minimum(a[..., :, None, 2:], b[..., None, :, 2:]),
    )
    both = (high - low).clamp(min=0).prod(-1)
    return both / (
        (a[..., 2:] - a[..., :2]).prod(-1)[..., :, None] + (b[..., 2:] - b[..., :2]).prod(-1)[..., None, :] - both
    )


_fp32("overlaps", _overlaps, (boxes(1000), boxes(1000)), (boxes(4000), boxes(50)), (boxes(8, 300), boxes(8, 100)))
_fp32(
    "matrix_nms",
    lambda iou: (lambda u: (1 - u) / (1 - u.amax(0)[:, None] + 1e-6))(iou.triu(1)).amin(0),
    uniform(500, 500),
)
_fp32(
    "boxes_by_corners",
    lambda x: torch.cat((x[..., :2] - x[..., 2:] / 2, x[..., :2] + x[..., 2:] / 2), -1),
    boxes(8, 8400),
)
_fp32(
    "boxes_unbound",
    lambda x: (lambda a, b, c, d: torch.stack(((a + c) / 2, (b + d) / 2, c - a, d - b), -1))(*x.unbind(-1)),
    boxes(8, 900),
)
_calls(
    "decode_boxes",
    lambda d, a: torch.cat((d[..., :2] * 0.1 * a[..., 2:] + a[..., :2], torch.exp(d[..., 2:] * 0.2) * a[..., 2:]), -1),
    (normal(4, 8732, 4), uniform(8732, 4)),
)
_calls(
    "decode_grid",
    lambda x: (lambda y: torch.cat(((y[..., :2] * 2 - 0.5) * 8, (y[..., 2:4] * 2) ** 2 * 16, y[..., 4:]), -1))(
        x.view(8, 3, 85, 80, 80).permute(0, 1, 3, 4, 2).sigmoid()
    ),
    normal(8, 255, 80, 80),
)
_fp32(
    "anchors",
    lambda x: (
        torch.stack(
            torch.meshgrid(torch.arange(100, device=x.device), torch.arange(152, device=x.device), indexing="ij"), -1
        )
        .view(-1, 1, 2)
        .repeat(1, 1, 2)
        * 8
        + x
    ).view(-1, 4),
    normal(9, 4),
)
_calls(
    "clip_boxes",
    lambda x: x.clamp(min=0).minimum(torch.tensor([640.0, 480.0, 640.0, 480.0], device=x.device, dtype=x.dtype)),
    boxes(8, 1000),
)
_calls(
    "best_of_queries",
    lambda s, b: (lambda t: b.gather(1, (t.indices // 91)[..., None].expand(-1, -1, 4)))(
        s.sigmoid().flatten(1).topk(300)
    ),
    (normal(8, 900, 91), boxes(8, 900)),
)
_calls("keep_confident", lambda s, b: b[s.max(-1).values > 0.9], (uniform(8400, 4), boxes(8400)))


# idioms of points, graphs and fields

_fp32(
    "nearest_20_points",
    lambda x: torch.cdist(x, x).topk(20, largest=False).indices,
    normal(4, 1024, 3),
    normal(1, 4096, 3),
)
_fp32(
    "ball_query",
    lambda c, x: (
        torch.where(torch.cdist(c, x) < 0.5, torch.arange(2048, device=x.device), 2048).sort(-1).values[..., :32]
    ),
    (normal(4, 512, 3), normal(4, 2048, 3)),
)
_fp32(
    "farthest_point_step",
    lambda x, d, f: (lambda e: (e, e.argmax(-1)))(
        torch.minimum(d, ((x - x.gather(1, f[:, None, None].expand(-1, 1, 3))) ** 2).sum(-1))
    ),
    (normal(16, 4096, 3), uniform(16, 4096), ints(4096, 16)),
)
_calls(
    "edge_features",
    lambda x, i: (lambda n: torch.cat((n - x[:, :, None], x[:, :, None].expand_as(n)), -1))(
        x[torch.arange(4, device=x.device)[:, None, None], i]
    ),
    (normal(4, 1024, 64), ints(1024, 4, 1024, 20)),
)
_fp32(
    "interpolate_three_neighbours",
    lambda f, d: (lambda t: (f[t.indices] * (1 / (t.values + 1e-8))[..., None]).sum(-2))(d.topk(3, largest=False)),
    (normal(1024, 128), uniform(4096, 1024)),
)
_fp32(
    "voxel_ids",
    lambda x: (lambda v: v[..., 0] * 10000 + v[..., 1] * 100 + v[..., 2])(((x + 5) / 0.1).floor().long().clamp(0, 99)),
    normal(200000, 3),
)
_calls(
    "pillars_to_image",
    lambda x, i: x.new_zeros(64, 432 * 496).index_copy_(1, i, x.t()).view(64, 432, 496),
    (normal(12000, 64), Input((12000,), lambda random: torch.randperm(432 * 496, generator=random)[:12000])),
)
_calls(
    "message_passing",
    lambda x, s, t: torch.zeros_like(x).index_add_(0, t, x[s]),
    (normal(2708, 128), ints(2708, 10556), ints(2708, 10556)),
    (normal(20000, 256), ints(20000, 100000), ints(20000, 100000)),
)
_calls(
    "normalised_messages",
    lambda x, s, t, d: x.new_zeros(x.shape).scatter_add_(0, t[:, None].expand(-1, 64), x[s] * (d[s] * d[t])[:, None]),
    (normal(10000, 64), ints(10000, 80000), ints(10000, 80000), uniform(10000)),
)
_calls(
    "graph_attention_scores",
    lambda a, b, s, t: F.leaky_relu(a[s] + b[t], 0.2),
    (normal(5000, 8), normal(5000, 8), ints(5000, 60000), ints(5000, 60000)),
)
_calls(
    "pool_of_graphs",
    lambda x, g: x.new_zeros(128, 64).scatter_reduce_(0, g[:, None].expand_as(x), x, "amax"),
    (normal(4000, 64), ints(128, 4000)),
)
_fp32(
    "distances_of_edges",
    lambda p, s, t: (p[s] - p[t]).norm(dim=-1, keepdim=True),
    (normal(5000, 3), ints(5000, 100000), ints(5000, 100000)),
)
_fp32(
    "radial_basis",
    lambda d: torch.exp(-10.0 * (d - torch.linspace(0, 5, 50, device=d.device)) ** 2),
    uniform(100000, 1),
)
_fp32("cosine_cutoff", lambda d: 0.5 * (torch.cos(d * math.pi / 5.0) + 1.0) * (d < 5.0), uniform(200000))
_fp32(
    "quaternion_to_matrix",
    lambda q: (lambda r, i, j, k: torch.stack((1 - 2 * (j * j + k * k), 2 * (i * j - k * r), 2 * (i * k + j * r)), -1))(
        *F.normalize(q, dim=-1).unbind(-1)
    ),
    normal(100000, 4),
)
_fp32(
    "project_points",
    lambda p, k: (lambda y: y[..., :2] / y[..., 2:].clamp(min=1e-3))(F.pad(p, (0, 1), value=1.0) @ k.mT),
    (normal(4, 50000, 3), normal(4, 3, 4)),
)
_calls(
    "volume_render",
    lambda s, c: (lambda a: ((a * torch.cumprod(1 - a + 1e-10, -1))[..., None] * c).sum(-2))(1 - torch.exp(-s * 0.01)),
    (uniform(4096, 128), uniform(4096, 128, 3)),
)
_fp32("sine_layer", lambda m, x: torch.sin(30 * m(x)), normal(65536, 256), layers=(lambda: nn.Linear(256, 256),))
_fp32(
    "laplacian", lambda u: u.roll(1, -1) + u.roll(-1, -1) + u.roll(1, -2) + u.roll(-1, -2) - 4 * u, normal(16, 256, 256)
)
_fp32(
    "hash_grid_ids",
    lambda x: ((x[..., 0] * 1) ^ (x[..., 1] * 2654435761) ^ (x[..., 2] * 805459861)) % (1 << 19),
    ints(512, 262144, 3),
)
_fp32(
    "splines",
    lambda x, g: ((x[..., None] >= g[:-1]) & (x[..., None] < g[1:])).float() * (x[..., None] - g[:-1]),
    (uniform(4096, 64), Input((12,), lambda random: torch.linspace(-1, 2, 12))),
)
_fp32("morlet_wavelets", lambda x: torch.cos(1.75 * x) * torch.exp(-(x**2) / 2), normal(1024, 2048))


# idioms of recommenders, tables and time series

_calls(
    "factorisation_machine", lambda x: 0.5 * (x.sum(1) ** 2 - (x**2).sum(1)).sum(1, keepdim=True), normal(4096, 26, 16)
)
_calls(
    "cross_network",
    lambda m, x, y: x * m(y) + y,
    (normal(4096, 416), normal(4096, 416)),
    layers=(lambda: nn.Linear(416, 416),),
)
_calls(
    "cross_network_vector",
    lambda x, y, w: x * (y @ w)[:, None] + y,
    (normal(4096, 416), normal(4096, 416), normal(416)),
)
_calls("dot_interactions", lambda x, i, j: (x @ x.mT)[:, i, j], (normal(2048, 27, 64), ints(27, 351), ints(27, 351)))
_calls("pairs_of_fields", lambda x: torch.stack([x[:, 0] * x[:, n] for n in range(1, 8)], 1), normal(4096, 26, 16))
_calls(
    "interest_of_history",
    lambda h, c: torch.cat((h, c[:, None].expand_as(h), h - c[:, None], h * c[:, None]), -1),
    (normal(512, 100, 64), normal(512, 64)),
)
_calls(
    "two_towers",
    lambda a, b: (F.normalize(a, dim=-1) * F.normalize(b, dim=-1)).sum(-1),
    (normal(8192, 64), normal(8192, 64)),
)
_calls(
    "offset_fields",
    lambda m, x: m(x + torch.arange(26, device=x.device) * 1000),
    ints(1000, 4096, 26),
    layers=(lambda: nn.Embedding(26000, 16),),
)
_calls("numeric_tokens", lambda x, w, b: x[..., None] * w + b, (normal(2048, 32), normal(32, 192), normal(32, 192)))
_calls("mixture_of_towers", lambda g, e: (g.softmax(-1)[..., None] * e).sum(1), (normal(4096, 8), normal(4096, 8, 128)))
_calls(
    "soft_tree",
    lambda m, x: (lambda p: torch.stack((p, 1 - p), -1).prod(-2))(m(x).sigmoid()),
    normal(2048, 64),
    layers=(lambda: nn.Linear(64, 24),),
)
_calls(
    "decompose_series",
    lambda x: x - F.avg_pool1d(torch.cat((x[:, :1].repeat(1, 12, 1), x, x[:, -1:].repeat(1, 12, 1)), 1).mT, 25, 1).mT,
    normal(32, 336, 64),
)
_calls(
    "patches_of_series", lambda x: F.pad(x.mT, (0, 8), "replicate").unfold(-1, 16, 8).contiguous(), normal(32, 336, 64)
)
_calls(
    "last_value_normalised",
    lambda m, x: m((x - x[:, -1:]).mT).mT + x[:, -1:],
    normal(32, 336, 64),
    layers=(lambda: nn.Linear(336, 96),),
)
_calls("lags", lambda x: torch.stack([x[:, 64 - n : 512 - n] for n in (1, 2, 7, 14, 28)], -1), normal(256, 512))


# idioms of audio, speech and sequences

_fp32(
    "log_mel",
    lambda p, m: (m @ p).clamp(min=1e-10).log10().maximum(torch.tensor(-8.0, device=p.device)) / 4 + 1,
    (uniform(8, 201, 3000), uniform(80, 201)),
)
_fp32("preemphasis", lambda x: torch.cat((x[:, :1], x[:, 1:] - 0.97 * x[:, :-1]), 1), normal(16, 160000))
_fp32(
    "mu_law", lambda x: ((x.sign() * torch.log1p(255 * x.abs()) / 5.545 + 1) / 2 * 255 + 0.5).long(), normal(16, 64000)
)
_calls("wave_gate", lambda x: torch.tanh(x[:, :64]) * torch.sigmoid(x[:, 64:]), normal(4, 128, 16000))
_fp32(
    "harmonic_source",
    lambda f: torch.sin(2 * math.pi * (f / 24000).cumsum(1) * torch.arange(1, 9, device=f.device)),
    uniform(4, 24000, 1),
)
_calls(
    "codebook_distances",
    lambda x, c: (x.pow(2).sum(1, keepdim=True) - 2 * x @ c.t() + c.pow(2).sum(1)).argmin(1),
    (normal(8192, 64), normal(1024, 64)),
)
_calls("finite_scalars", lambda x: (lambda z: z + (z.round() - z).detach())(torch.tanh(x) * 3.5), normal(8, 1024, 6))
_fp32("fake_quantize", lambda x: torch.fake_quantize_per_tensor_affine(x, 0.05, 0, -128, 127), normal(4096, 1024))
_fp32(
    "fake_quantize_channels",
    lambda x, s: torch.fake_quantize_per_channel_affine(x, s, torch.zeros(512, device=x.device), 0, -128, 127),
    (normal(512, 2048), uniform(512)),
)
_calls(
    "quantize_tokens",
    lambda x: (lambda s: ((x / s).round().to(torch.int8), s))(x.abs().amax(-1, keepdim=True) / 127),
    normal(2048, 4096),
)
_calls(
    "ternary_weights",
    lambda w: (lambda s: (w * s).round().clamp(-1, 1) / s)(1 / w.abs().mean().clamp(min=1e-5)),
    normal(4096, 2048),
)
_fp32(
    "crf_step",
    lambda a, e, t: (a[:, :, None] + t + e[:, None]).logsumexp(1),
    (normal(64, 32), normal(64, 32), normal(32, 32)),
)
_fp32(
    "viterbi_step",
    lambda a, e, t: (lambda m: (m.values + e, m.indices))((a[:, :, None] + t).max(1)),
    (normal(64, 50), normal(64, 50), normal(50, 50)),
)
_fp32(
    "alignment_step",
    lambda a, x: torch.logaddexp(a, F.pad(a[:, :-1], (1, 0), value=-1e4)) + x,
    (normal(32, 200), normal(32, 200)),
)
_calls(
    "greedy_collapse",
    lambda x: (lambda b: b.masked_fill(F.pad(b[:, 1:] == b[:, :-1], (1, 0)), 0))(x.argmax(-1)),
    normal(16, 500, 64),
)
_calls("length_mask", lambda n: torch.arange(512, device=n.device)[None] >= n[:, None], ints(512, 256))
_calls(
    "causal_and_padding",
    lambda m: torch.ones(512, 512, dtype=torch.bool, device=m.device).tril() & m[:, None, None],
    bools(16, 512),
)
_calls("mask_to_bias", lambda m: (1.0 - m[:, None, None].to(torch.float16)) * -65504.0, bools(64, 512))
_calls(
    "buckets_of_positions",
    lambda n: (lambda d: torch.where(d < 16, d, (16 + (d.float() / 16).log() * 7.7).long().clamp(max=31)))(
        (n[:, None] - n[None]).abs()
    ),
    ints(512, 512),
)
_calls(
    "relative_bias",
    lambda m, i: m(i).permute(2, 0, 1)[None].contiguous(),
    ints(32, 512, 512),
    layers=(lambda: nn.Embedding(32, 12),),
)


# idioms of sampling, diffusion and reinforcement learning

_fp32(
    "top_p",
    lambda x: (
        lambda s: x.masked_fill((s.values.softmax(-1).cumsum(-1) > 0.9).scatter(1, s.indices, s.values > 0), -1e9)
    )(x.sort(-1, descending=True)),
    normal(8, 32000),
    normal(1, 128256),
)
_fp32("top_k_mask", lambda x: x.masked_fill(x < x.topk(50).values[..., -1:], -1e9).softmax(-1), normal(16, 32000))
_fp32(
    "repetition_penalty",
    lambda x, i: (lambda s: x.scatter(1, i, torch.where(s < 0, s * 1.2, s / 1.2)))(x.gather(1, i)),
    (normal(16, 50257), ints(50257, 16, 256)),
)
_fp32(
    "beam_step",
    lambda x, s: (lambda t: (t.values, t.indices // 32000, t.indices % 32000))(
        (x.log_softmax(-1) + s[..., None]).flatten(1).topk(8)
    ),
    (normal(8, 4, 32000), normal(8, 4)),
)
_fp32("sample_token", lambda x: torch.multinomial((x / 0.7).softmax(-1), 1), normal(16, 50257))
_fp32("gumbel_max", lambda x: (x - torch.empty_like(x).exponential_().log()).argmax(-1), normal(64, 32000))
_calls("guidance", lambda x: (lambda u, c: u + 7.5 * (c - u))(*x.chunk(2)), normal(16, 4, 64, 64))
_calls(
    "noise_step",
    lambda x, n, a, t: a[t].sqrt()[:, None, None, None] * x + (1 - a[t]).sqrt()[:, None, None, None] * n,
    (normal(16, 4, 64, 64), normal(16, 4, 64, 64), uniform(1000), ints(1000, 16)),
)
_calls(
    "gated_by_time",
    lambda m, x, t: x + m(F.silu(t))[:, :, None, None],
    (normal(8, 320, 64, 64), normal(8, 1280)),
    layers=(lambda: nn.Linear(1280, 320),),
)
_calls("dueling", lambda v, a: v + a - a.mean(-1, keepdim=True), (normal(4096, 1), normal(4096, 18)))
_calls(
    "squashed_gaussian",
    lambda m, s: torch.tanh(m + s.clamp(-5, 2).exp() * torch.randn_like(m)),
    (normal(4096, 17), normal(4096, 17)),
)
_fp32(
    "gaussian_log_density",
    lambda x, m, s: (-((x - m) ** 2) / (2 * s.exp() ** 2) - s - 0.9189).sum(-1),
    (normal(4096, 17), normal(4096, 17), normal(17)),
)
_fp32(
    "categorical_support",
    lambda x: (x.softmax(-1) * torch.linspace(-10, 10, 51, device=x.device)).sum(-1),
    normal(1024, 18, 51),
)
_fp32("symlog", lambda x: x.sign() * torch.log1p(x.abs()), normal(1024, 1024))
_fp32("returns_by_flip", lambda r: (r * 0.99).flip(1).cumsum(1).flip(1), normal(256, 128))
_fp32(
    "coupling",
    lambda x, s, t: (x * torch.exp(s.tanh()) + t, s.tanh().sum((1, 2, 3))),
    (normal(8, 24, 32, 32), normal(8, 24, 32, 32), normal(8, 24, 32, 32)),
)
_fp32(
    "mixture_density",
    lambda w, x: torch.logsumexp(w.log_softmax(-1) - 0.5 * x.square().sum(-1), -1),
    (normal(4096, 20), normal(4096, 20, 8)),
)
_fp32(
    "sinkhorn_step",
    lambda x: (lambda y: y - y.logsumexp(-2, keepdim=True))(x - x.logsumexp(-1, keepdim=True)),
    normal(16, 256, 256),
)
_fp32(
    "random_projection",
    lambda x, w: torch.cat((torch.cos(x @ w), torch.sin(x @ w)), -1) * 0.0625,
    (normal(8, 1024, 64), normal(64, 256)),
)
