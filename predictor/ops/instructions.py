"""What an element costs a GPU in instructions where torch's kernels pass over tensors: long functions, and places that
are found by divisions.
"""

from __future__ import annotations

from collections.abc import Sequence

from predictor.kernels.streams import KEPT_FROM
from predictor.ops.walks import axes_of, lines_of, reuse_of
from predictor.records import OpCall, TensorSpec

CYCLES = {
    **{"digamma": 235, "polygamma": 235, "lgamma": 75, "igamma": 235, "igammac": 235, "zeta": 235},
    **{"pow": 92, "float_power": 92, "floor_divide": 125, "erfc": 53, "logit": 53, "sinc": 49, "special_i0": 60},
    **{"elu": 45, "celu": 45, "selu": 45, "asinh": 43, "acosh": 43, "atanh": 38, "log_sigmoid_forward": 40},
    **{"softplus": 58, "mish": 60, "expm1": 36, "log10": 35, "log2": 35, "log": 32, "log1p": 31, "erf": 33},
    **{"sin": 31, "cos": 33, "tan": 30, "gelu": 36, "asin": 31, "acos": 31, "atan": 26, "sinh": 30, "cosh": 24},
    **{"tanh": 24, "silu": 28, "sigmoid": 24, "exp": 16, "logaddexp": 54, "logaddexp2": 54, "atan2": 54, "xlogy": 45},
    **{"remainder": 42, "fmod": 38, "hypot": 30, "erfinv": 24, "glu": 42},
}
"""Lane cycles of an element by operator, where they are more than its traffic hides. Measured on an H200: 12.6 million
elements in fp16, or pairs of 8.4 million (``benchmarks.operator_audit``), as time x multiprocessors x lanes x clock.
"""

CHEAP_EXPONENTS = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0)
"""Of powers that are products, roots and quotients (``pow_tensor_scalar_kernel`` in aten/src/ATen/native/cuda)."""

OFFSET_CYCLES, OFFSET_OF_DIM_CYCLES = 25, 6
"""Lane cycles of an element of a kernel that finds its places by divisions, and more for each tensor and dimension.
Measured likewise: two tensors spread over a third 61 in two dimensions, 75 to 77 in three, images times a number for
each channel 80, along a middle dimension 94.
"""

LINE_CYCLES = 6
"""Lane cycles of an element of a kernel in whose warps each line of the cache that it reads is another one's, for each
of these lines: copies take as much (``kernels.streams.WARP_LINES_S``), a sum with a transposed tensor 190 of 32 lines.
"""

CAST_CYCLES = 60
"""Lane cycles of an element of a kernel that turns numbers into another dtype as it reads or writes them: half
precision to int8 and bool 61, to bfloat16 70.
"""


def cycles_of(call: OpCall) -> int:
    """Lane cycles of one element of a pointwise operator's result."""
    op = call.op.rstrip("_")
    exponent = call.args.get("exponent")
    if op == "pow" and isinstance(exponent, (int, float)) and float(exponent) in CHEAP_EXPONENTS:
        return 0
    return CYCLES.get(op, 0)


def offset_cycles(inputs: Sequence[TensorSpec], out: TensorSpec) -> int:
    """Lane cycles of an element in which a kernel finds its place in every tensor."""
    tensors = [out, *(t for t in inputs if t.elements > 1)]
    return OFFSET_CYCLES + OFFSET_OF_DIM_CYCLES * len(tensors) * merged_dims(tensors, out)


def line_cycles(t: TensorSpec, out: TensorSpec) -> float:
    """Lane cycles of an element in which a kernel reads the lines of a tensor, as it goes along its result; of lines
    that it soon reads again, fewer. Of a tensor that is not spread over the result, none are known.
    """
    if len(t.shape) > len(out.shape):
        return 0.0
    axes = axes_of(out.shape, spread(t, len(out.shape)), out.stride)
    kept: float = min(reuse_of(axes, t.itemsize) / KEPT_FROM, 1.0) ** 0.25
    return LINE_CYCLES * lines_of(axes, t.itemsize) * kept


def merged_dims(tensors: Sequence[TensorSpec], out: TensorSpec) -> int:
    """Dimensions that are left where those are merged that lie behind each other in all tensors, which are spread over
    the shape of the result (``TensorIteratorBase::coalesce_dimensions``).
    """
    order = sorted((d for d, n in enumerate(out.shape) if n > 1), key=lambda d: out.stride[d])
    strides = [spread(t, len(out.shape)) for t in tensors]
    count, run, last = 0, 1, -1
    for d in order:
        if last < 0 or any(s[d] != s[last] * run for s in strides):
            count, run, last = count + 1, 1, d
        run *= out.shape[d]
    return count


def spread(t: TensorSpec, dims: int) -> tuple[int, ...]:
    """Strides of a tensor where it is spread over more dimensions: none along those that it repeats."""
    own = [0 if n == 1 else s for n, s in zip(t.shape, t.stride, strict=True)]
    return (*([0] * (dims - len(own))), *own)
