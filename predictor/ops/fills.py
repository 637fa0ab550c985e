"""Tensors made of no tensor's values: constants, ranges, random numbers."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from predictor.ops import ort
from predictor.ops.elementary import fill_of, pointwise_of, scalar_of
from predictor.ops.row import LOOP, NO_FUSER, RARE, Operator, always_calls
from predictor.records import Kernel, OpCall, TensorSpec, Trait

FILLED_LIKE = frozenset({"full_like", "zeros_like", "ones_like", "new_full", "new_zeros", "new_ones"})
"""Operators that take only the shape or the dtype of a tensor, and fill another with a number."""


def fill(call: OpCall) -> tuple[Kernel, ...]:
    """A kernel that writes every element."""
    return fill_of(call.outputs[0])


DRAWN_CYCLES = {"normal": 73, "randn": 73, "randn_like": 73, "randint": 78, "randint_like": 78, "random": 78}
"""Lane cycles of a random number by operator, where it is not one between two bounds."""

UNIFORM_CYCLES = 57
"""Of a uniform one. Measured on an H200: 12.6 million numbers in fp16, 4.2 million in fp32
(``benchmarks.operator_audit``).
"""


def random(call: OpCall) -> tuple[Kernel, ...]:
    """A kernel that draws every element."""
    return fill_of(call.outputs[0], DRAWN_CYCLES.get(call.op.rstrip("_"), UNIFORM_CYCLES))


def triangle(call: OpCall) -> tuple[Kernel, ...]:
    """A pass that reads what it does not write as zero."""
    x, out = call.tensors[0], call.outputs[0]
    return tuple(replace(kernel, dims={**kernel.dims, "bytes_read": x.nbytes}) for kernel in fill_of(out))


def eye(call: OpCall) -> tuple[Kernel, ...]:
    """Zeros, then the diagonal."""
    out = call.outputs[0]
    return fill_of(out) + fill_of(TensorSpec((min(out.shape),), out.dtype, (1,)))


def window(call: OpCall, *, passes: int) -> tuple[Kernel, ...]:
    """A range, and functions of it. passes: kernels of the formula, the last a transcendental one."""
    out = call.outputs[0]
    arithmetic = pointwise_of((out,), out) * (passes - 1)
    return (*fill_of(out), *arithmetic, *pointwise_of((out,), out, heavy=1.0))


def drawn(call: OpCall) -> tuple[Kernel, ...]:
    """A pass that reads what the numbers are drawn with."""
    return pointwise_of(call.tensors, call.outputs[0], heavy=1.0)


def permutation(call: OpCall) -> tuple[Kernel, ...]:
    """Random numbers, and the order that sorts them."""
    out = call.outputs[0]
    return (*fill_of(out), Kernel("sort", "int32", {"rows": 1, "cols": out.elements, "k": 0.0})) if out.elements else ()


def multinomial(call: OpCall) -> tuple[Kernel, ...]:
    """Checks of the weights; one draw, or several without replacement: each weight over a random number, and the
    largest. With replacement: sums up to each weight, and a search in them.
    """
    x, out = call.tensors[0], call.outputs[0]
    if not x.elements:
        return ()
    cols = x.shape[-1]
    rows, draws = x.elements // cols, out.elements // max(x.elements // cols, 1)
    checks = (Kernel("reduce", x.dtype, {"rows": 1, "cols": x.elements, "inner": 1.0}),) * 2
    if call.args.get("replacement") and draws > 1:
        return (*checks, Kernel("scan", x.dtype, {"rows": rows, "cols": cols}), *pointwise_of((x,), out))
    largest = Kernel("reduce", x.dtype, {"rows": rows, "cols": cols, "inner": 1.0, "indexed": 1.0})
    several = Kernel("sort", x.dtype, {"rows": rows, "cols": cols, "k": float(draws)})
    truth, each = scalar_of("bool"), TensorSpec((rows,), "bool", (1,))
    bounds = (*pointwise_of((truth,), truth) * 3, *check(call))  # both, together
    summed = Kernel("reduce", x.dtype, {"rows": rows, "cols": cols, "inner": 1.0})
    empty = Kernel("reduce", "bool", {"rows": 1, "cols": rows, "inner": 1.0})
    sums = (summed, *pointwise_of((each,), each), empty, *pointwise_of((truth,), truth), *check(call))
    return (*checks, *bounds, *sums, *fill_of(x), *pointwise_of((x, x), x), largest if draws == 1 else several)


def check(call: OpCall) -> tuple[Kernel, ...]:
    """A kernel that looks at one truth value."""
    return fill_of(scalar_of("bool"))


_DRAWS = always_calls(
    *("amax", "lt", "amin", "ge", "logical_and", "_assert_async", "sum", "eq", "sum", "_assert_async"),
    *("exponential_", "div", "argmax"),
)
"""Checks of the weights, and a draw without replacement."""

_row = partial(Operator, trait=Trait.FILL, lower=fill, fused_by=LOOP)
_random = partial(_row, lower=random, is_random=True, untimed=RARE)

ROWS = (
    _row(("zeros",), is_constant_factory=True, example=lambda o: partial(o.torch.zeros, 8, 8, **o.options)),
    _row(("ones",), is_constant_factory=True, example=lambda o: partial(o.torch.ones, 8, 8, **o.options)),
    _row(
        ("full",),
        is_constant_factory=True,
        onnx=ort.form("ConstantOfShape", trait=Trait.VIEW, lower=ort.nothing),
        example=lambda o: partial(o.torch.full, (8, 8), 1.0, **o.options),
    ),
    _row(
        ("arange",),
        is_constant_factory=True,
        onnx=ort.form("Range"),
        example=lambda o: partial(o.torch.arange, 32, device=o.device),
    ),
    _row(("linspace", "scalar_tensor"), is_constant_factory=True, untimed=RARE),
    _row(("eye",), lower=eye, onnx=ort.form("EyeLike", "OneHot"), is_constant_factory=True, untimed=RARE),
    _row(("new_ones",), example=lambda o: partial(o.x.new_ones, (8, 8))),
    _row(("new_zeros", "new_full", "ones_like"), untimed=RARE),
    _row(("zeros_like",), example=lambda o: partial(o.torch.zeros_like, o.x)),
    _row(("full_like",), example=lambda o: partial(o.torch.full_like, o.x, 1.0)),
    _row(("fill_",), example=lambda o: partial(o.x.fill_, 1.0)),
    _row(("zero_",), example=lambda o: partial(o.y.zero_)),
    _row(("tril",), lower=triangle, onnx=ort.form("Trilu"), example=lambda o: partial(o.torch.tril, o.matrix)),
    _row(("triu",), lower=triangle, untimed=RARE),
    _row(("tril_indices", "triu_indices", "fill", "logspace"), untimed=RARE),
    _row(("hann_window", "hamming_window"), lower=partial(window, passes=4), untimed=RARE),
    _row(("blackman_window",), lower=partial(window, passes=8), untimed=RARE),
    _row(("bartlett_window",), lower=partial(window, passes=3), untimed=RARE),
    _row(("kaiser_window",), lower=partial(window, passes=1), untimed=RARE),
    # random numbers
    _random(
        ("rand", "randn", "randint", "rand_like", "randn_like", "randint_like", "bernoulli"),
        onnx=ort.form("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli"),
    ),
    _random(("normal_", "bernoulli_", "random_", "exponential_")),
    _random(("uniform_",), fused_by=NO_FUSER),
    _random(("log_normal_", "cauchy_", "geometric_")),
    _random(("normal",), lower=drawn),
    _random(("poisson", "binomial"), lower=drawn, fused_by=NO_FUSER),
    _random(("randperm",), lower=permutation, fused_by=NO_FUSER),
    _random(("multinomial",), lower=multinomial, calls=_DRAWS, fused_by=NO_FUSER),
    _row(("_assert_async",), lower=check, untimed=RARE),
)
