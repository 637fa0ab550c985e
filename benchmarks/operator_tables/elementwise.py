"""Activations, softmax, arithmetic of floats, integers and masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.operator_tables.table import MAP, TOKENS, bf16, bools, calls, fp32, ints, layer, nhwc, normal, uniform

# fmt: off
# A row is a line; what does not fit goes on in the next one.

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
    calls(_name, _function, TOKENS)
for _name in ("gelu", "silu", "softplus", "mish", "elu"):
    fp32(_name, _ACTIVATIONS[_name], MAP)
    bf16(_name, _ACTIVATIONS[_name], normal(127, 1001), normal(2, 64))
calls("relu_in_place", lambda x: x.relu_(), MAP)
calls("silu_nhwc", F.silu, nhwc(16, 64, 112, 112))
calls("gelu_of_transposed", lambda x: F.gelu(x.transpose(1, 2)), TOKENS)
calls("relu_of_slice", lambda x: F.relu(x[..., 1:-1]), MAP)
calls("glu_channels", lambda x: F.glu(x, dim=1), normal(16, 512, 1000), normal(4, 256, 63, 63))
layer("prelu", nn.PReLU, MAP)
layer("prelu_channels", lambda: nn.PReLU(64), MAP)


# softmax over widths and dimensions

calls("softmax", lambda x: x.softmax(-1), normal(8, 12, 197, 197), normal(64, 10), normal(16, 50257), normal(1, 128256))
calls("softmax_rows", lambda x: x.softmax(-1), normal(4, 12, 512, 512), normal(2048, 1500), normal(65536, 20))
bf16("softmax", lambda x: x.softmax(-1), normal(4, 16, 500, 513))
fp32("softmax", lambda x: x.softmax(-1), normal(8, 8, 256, 256), normal(4, 3, 1000, 1025))
calls("softmax_first", lambda x: x.softmax(0), normal(512, 4096))
calls("softmax_dim_1", lambda x: x.softmax(1), normal(8, 21, 256, 256), normal(8, 2, 4096), normal(32, 1000, 17))
calls("softmax_in_fp32", lambda x: x.softmax(-1, dtype=torch.float32).to(x.dtype), normal(2, 32, 512, 512))
calls("softmax_transposed", lambda x: x.transpose(-1, -2).softmax(-1), normal(8, 12, 256, 256))
fp32("log_softmax", lambda x: x.log_softmax(-1), normal(4096, 1000), normal(16, 200, 5000), normal(32, 7))
calls("log_softmax_dim_1", lambda x: x.log_softmax(1), normal(8, 19, 128, 256))
calls("softmin", lambda x: F.softmin(x, dim=-1), normal(64, 1024, 64))
calls("masked_softmax", lambda x, m: x.masked_fill(m, -1e4).softmax(-1), (normal(8, 12, 256, 256), bools(8, 1, 1, 256)))
calls("sparsemax_parts", lambda x: x.sort(-1, descending=True).values.cumsum(-1) - 1, normal(64, 512))
calls("gumbel_softmax", lambda x: F.gumbel_softmax(x, hard=True), normal(32, 256, 320))


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
    calls(_name, _function, uniform(8, 1024, 1536))
for _name in ("exp", "log", "sin", "tan", "erfinv", "lgamma", "digamma", "pow_float", "square", "round"):
    fp32(_name, _UNARY[_name], uniform(4, 1000, 999))
fp32("bessel_i0", torch.special.i0, uniform(1024, 1024))

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
    calls(_name, _function, (PAIRED, PAIRED))
ADDED = uniform(16, 256, 56, 56)
calls("add_row", torch.add, (TOKENS, normal(1536)), (normal(64, 1000), normal(1000)))
calls("mul_channels", torch.mul, (ADDED, normal(256, 1, 1)), (normal(2, 17, 33, 35), normal(17, 1, 1)))
calls("mul_batch_channels", torch.mul, (ADDED, normal(16, 256, 1, 1)))
calls("mul_pixels", torch.mul, (ADDED, normal(16, 1, 56, 56)))
calls("mul_middle", torch.mul, (normal(16, 128, 64, 64), normal(16, 1, 64, 1)))
calls("mul_nhwc_channels", torch.mul, (nhwc(16, 256, 56, 56), normal(16, 256, 1, 1)))
calls("add_nhwc_and_nchw", torch.add, (nhwc(16, 256, 56, 56), ADDED))
calls("add_transposed", lambda a, b: a + b.mT, (normal(2048, 2048), normal(2048, 2048)))
calls("outer_sum", lambda a, b: a[:, :, None] + b[:, None, :], (normal(8, 1024), normal(8, 1024)))
calls("outer_difference", lambda a, b: a[:, None] - b[None], (normal(512, 64), normal(512, 64)))
calls("mul_of_float_and_half", lambda a, b: a.float() * b, (normal(4096, 2048), normal(4096, 2048)))
calls("mul_by_mask", torch.mul, (normal(32, 512, 768), bools(32, 512, 1)))
calls("add_to_int", torch.add, (ints(100, 4096, 1024), normal(1024)))
calls("add_in_place", lambda a, b: a.add_(b), (ADDED, uniform(16, 256, 56, 56)))
calls("addcmul", torch.addcmul, (normal(8, 512, 1024), normal(8, 512, 1024), normal(1024)))
calls("addcdiv", torch.addcdiv, (normal(4096, 1024), normal(4096, 1024), uniform(4096, 1024)))
calls("lerp", torch.lerp, (normal(4096, 1024), normal(4096, 1024), uniform(4096, 1)))
calls("modulate", lambda x, a, b: x * (1 + a[:, None]) + b[:, None],
    (normal(8, 1024, 1152), normal(8, 1152), normal(8, 1152)))
calls("clamp_tensors", torch.clamp, (normal(4096, 1024), uniform(1024), uniform(4096, 1)))
calls("where", torch.where, (bools(4, 12, 512, 512), normal(4, 12, 512, 512), normal(4, 12, 512, 512)))
calls("where_scalar", lambda x: torch.where(x > 0, x, 0.01 * x), normal(4096, 1024))
calls("where_broadcast", torch.where, (bools(16, 512, 1), normal(16, 512, 768), normal(768)))
calls("masked_fill", lambda x, m: x.masked_fill(m, -1e4), (normal(16, 12, 256, 256), bools(16, 1, 1, 256)))
calls("masked_fill_causal", lambda x, m: x.masked_fill(m, -1e4), (normal(16, 12, 256, 256), bools(256, 256)))
calls("bias_of_alibi", lambda x, s: x + s[:, None, None] * torch.arange(x.shape[-1], device=x.device),
    (normal(8, 16, 256, 256), normal(16)))

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
    calls(_name, _function, IDS)
calls("logical_and_not", lambda a, b: torch.logical_and(a, torch.logical_not(b)),
    (bools(64, 512, 64), bools(64, 512, 64)))
calls("bool_or", torch.bitwise_or, (bools(2048, 2048), bools(2048, 2048)))
calls("minimum_int32", torch.minimum, (ints(99, 2048, 999, dtype=torch.int32), ints(99, 2048, 999, dtype=torch.int32)))
calls("pixels_to_float", lambda x: (x.float() / 255 - 0.5) / 0.25, ints(256, 32, 3, 224, 224, dtype=torch.uint8))
calls("float_to_pixels", lambda x: (x * 255).clamp(0, 255).to(torch.uint8), uniform(32, 3, 224, 224))
calls("unpack_int4", lambda x: torch.stack((x & 15, x >> 4), -1).flatten(-2), ints(256, 4096, 2048, dtype=torch.uint8))
calls("dequantize_int8", lambda x, s: x.to(s.dtype) * s, (ints(127, 4096, 4096, dtype=torch.int8), normal(4096, 1)))
