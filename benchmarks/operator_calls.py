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

        words = [name, "x".join(map(str, inputs[0].shape)), *([] if dtype == "fp16" else [dtype])]
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
    return Input(shape, lambda random: torch.randn(shape, generator=random).to(memory_format=layout))


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
