"""What the instructions of a generated loop cost: long chains of transcendental functions are bound by them."""

from __future__ import annotations

import math

from predictor.ops.arguments import pair
from predictor.ops.windows import is_channels_last
from predictor.records import OpCall, Trait

USUAL_CYCLES = 2.0
"""Lane cycles of an element of an addition, a product or a choice: measured, see below, 0 to 2.5."""

CYCLES = {
    **{"div": 7.0, "clamp": 8.0, "clamp_min": 4.0, "clamp_max": 4.0, "hardtanh": 8.0, "remainder": 16.0},
    **{"exp": 8.0, "sigmoid": 12.0, "silu": 14.0, "tanh": 19.0, "log": 24.0, "softplus": 32.0, "gelu": 32.0},
    **{"sqrt": 11.0, "rsqrt": 11.0, "sin": 29.0, "cos": 28.0, "pow": 78.0, "erf": 24.0, "softmax": 12.0},
    **{"argmax": 16.0, "argmin": 16.0, "digamma": 235.0, "lgamma": 75.0, "erfc": 53.0, "atan2": 54.0},
    **{"hardsigmoid": 8.0, "hardswish": 10.0, "mish": 40.0, "log_sigmoid": 32.0, "log_softmax": 12.0},
    **{"elu": 36.0, "celu": 36.0, "selu": 36.0, "asinh": 53.0, "atanh": 40.0, "atan": 42.0, "expm1": 32.0},
    **{"log_sigmoid_forward": 41.0, "sinc": 45.0, "logit": 45.0, "log1p": 30.0, "log2": 35.0, "log10": 33.0},
    **{"tan": 30.0, "acos": 31.0, "erfinv": 32.0, "logaddexp": 53.0, "xlogy": 43.0, "logsumexp": 12.0},
    **{"replication_pad2d": 150.0, "replication_pad3d": 135.0, "triu_indices": 160.0, "tril_indices": 160.0},
    **{"rand": 85.0, "rand_like": 85.0, "randint": 100.0, "randint_like": 100.0, "bernoulli": 85.0},
    **{"cummax": 400.0, "cummin": 400.0, "logcumsumexp": 160.0},
    **{"randn": 140.0, "randn_like": 140.0, "normal": 140.0, "exponential": 110.0},
}
"""Lane cycles of a GPU for one element by operator, where they are not the usual ones of an addition. Measured on an
H200: 270 loops of up to 12 operators, whose times they describe to 10 % (``benchmarks.inductor_sweep --cycles h200``).
Those that the loops do not hold are sums of what they are made of: ``erf``, ``softmax`` and its logarithm, one-sided
clamps, ``hardsigmoid``, ``hardswish``, ``mish``, ``log_sigmoid``, ``rsqrt``. From ``elu`` on: of calls alone of 4 to 13
million elements (``benchmarks.operator_audit --runtimes compile``); edges that are repeated find their places by
choices of 64 bits, places in a triangle by roots in double precision, random numbers by ten rounds of Philox.
"""

INTEGER_CYCLES = {"mul": 9.0, "where": 13.0, "div": 37.0, "floor_divide": 37.0, "remainder": 78.0, "fmod": 78.0}
"""The same of whole numbers of 64 bits."""

BY_A_NUMBER_CYCLES = {"div": 20.0, "floor_divide": 20.0, "remainder": 32.0, "fmod": 32.0}
"""Of those that are divided by a number, which is known as the loop is compiled."""

ELSEWHERE_CYCLES, GATHERED_CYCLES = 4.5, 12.0
"""Of each tensor that an element reads from another place than its own: the place is found by divisions, and no vector
is read; of places that a tensor says. By the loops of a calibration's samples of both kinds, 4.5 and 4.9, 12 and 19.
"""

STEPPED_CYCLES = {
    **dict.fromkeys(("softmax", "_softmax", "log_softmax", "_log_softmax", "logsumexp"), 60.0),
    **dict.fromkeys(("var", "std", "var_mean", "std_mean", "native_layer_norm", "layer_norm"), 30.0),
    **dict.fromkeys(("native_group_norm", "group_norm"), 30.0),
}
"""Of each element of a row that is reduced in steps: a sum of exponentials changes with the largest (``online_softmax_
combine``), a mean with the count (Welford, a division).
"""

SPLIT_CYCLES, STRIDED_SPLIT_CYCLES = 100.0, 550.0
"""Of each element of rows that are scanned in parts, of rows in one piece and of others, of which each thread reads
another line: 117 of 64 rows of 32,000; 572 and 680 of 4,096 and 8,192 rows of 512 (``benchmarks.operator_audit
--runtimes compile``).
"""

FOUND_CYCLES = 27.0
"""The same where the place of the largest is kept beside it."""

OF_A_NUMBER = 37.0
"""Of a number to the power of a tensor: measured likewise."""


INTERPOLATION_CYCLES = {
    **{"upsample_linear1d": 40.0, "upsample_bilinear2d": 80.0, "upsample_trilinear3d": 150.0},
    **{"upsample_bicubic2d": 300.0, "grid_sampler_2d": 250.0},
}
"""Of an element that is made of several, whose places and weights are computed for each: measured likewise
(``benchmarks.operator_audit --runtimes compile``), bilinear 79, trilinear 152, bicubic 230 to 400, bilinear at
places that a tensor says 247.
"""

BICUBIC_SAMPLED, NEAREST_SAMPLED = 1000.0, 110.0
"""The same of images sampled at places that a tensor says, by sixteen or one of their pixels."""

SHARED_CHANNELS = 0.25
"""Share of that which is left where channels are neighbours in memory, and share their places."""

WINDOW_CYCLES, WINDOW_TAP_CYCLES, LARGE_WINDOW_TAP_CYCLES = 8.0, 0.75, 30.0
"""Of each pixel of a window: more of them in larger windows, up to a limit. Measured likewise: maxima of 9 pixels 13,
of 25 27, of 169 30.
"""

ADAPTIVE_TAP = 3.0
"""Of a pixel of windows whose sides differ, which is found by divisions and may be none: 108 of 4, 260 of 9 pixels."""

MEAN_SHARE = 0.7
"""Of a mean instead of a maximum: of 25 pixels 19."""


def window_of(call: OpCall) -> float:
    """Pixels of the window of a pool, however its result's size says them."""
    x, out = call.tensors[0], call.outputs[0]
    if "kernel_size" in call.args:
        return math.prod(pair(call.args["kernel_size"], spatial_dims(call.op)))
    dims = spatial_dims(call.op)
    both = zip(x.shape[-dims:], out.shape[-dims:], strict=True)
    return math.prod(n // m if n % m == 0 else math.ceil((n + m - 1) / m) for n, m in both if m)


def spatial_dims(op: str) -> int:
    """Dimensions of an image, by the name of a pool."""
    return 1 if "1d" in op else 3 if "3d" in op else 2


def _window_cycles(call: OpCall) -> float:
    shared = SHARED_CHANNELS if is_channels_last(call.tensors[0]) else 1.0
    if call.op == "grid_sampler_2d":
        sampled = (INTERPOLATION_CYCLES[call.op], NEAREST_SAMPLED, BICUBIC_SAMPLED)
        return sampled[int(call.args.get("interpolation_mode") or 0)]
    if call.op in INTERPOLATION_CYCLES:
        return INTERPOLATION_CYCLES[call.op] * shared
    if "pool" not in call.op:
        return USUAL_CYCLES
    window = window_of(call)
    tap = min(WINDOW_CYCLES + WINDOW_TAP_CYCLES * window, LARGE_WINDOW_TAP_CYCLES)
    if "adaptive" in call.op:
        tap *= ADAPTIVE_TAP
    return window * tap * shared * (1.0 if "max" in call.op else MEAN_SHARE)


def cycles_of(call: OpCall) -> float:
    """Lane cycles of one element of an operator's result; of a mean that is a reduction, of what it reads."""
    op = call.op.rstrip("_")
    if call.trait is Trait.VIEW:
        return 0.0
    if call.trait is Trait.POOL and call.tensors:
        return _window_cycles(call)
    if op in INTEGER_CYCLES and call.outputs and call.outputs[0].dtype == "int64":
        divides_by_number = op in BY_A_NUMBER_CYCLES and isinstance(call.args.get("other"), (int, float))
        return BY_A_NUMBER_CYCLES[op] if divides_by_number else INTEGER_CYCLES[op]
    if op == "pow" and isinstance(call.args.get("self"), (int, float)):
        return OF_A_NUMBER
    exponent = call.args.get("exponent")
    if op == "pow" and isinstance(exponent, (int, float)) and float(2 * exponent).is_integer():
        return USUAL_CYCLES if float(exponent).is_integer() else CYCLES["sqrt"]
    return CYCLES.get(op, USUAL_CYCLES)
