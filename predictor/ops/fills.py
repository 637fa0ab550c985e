"""Tensors made of no tensor's values: constants, ranges, random numbers."""

from __future__ import annotations

from functools import partial

from predictor.ops import ort
from predictor.ops.elementary import fill_of, scalar_of
from predictor.ops.row import LOOP, RARE, Operator
from predictor.records import Kernel, OpCall, TensorSpec, Trait


def fill(call: OpCall) -> tuple[Kernel, ...]:
    """A kernel that writes every element."""
    return fill_of(call.outputs[0])


def eye(call: OpCall) -> tuple[Kernel, ...]:
    """Zeros, then the diagonal."""
    out = call.outputs[0]
    return fill_of(out) + fill_of(TensorSpec((min(out.shape),), out.dtype, (1,)))


def check(call: OpCall) -> tuple[Kernel, ...]:
    """A kernel that looks at one truth value."""
    return fill_of(scalar_of("bool"))


_row = partial(Operator, trait=Trait.FILL, lower=fill, fused_by=LOOP)

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
    _row(("tril",), onnx=ort.form("Trilu"), example=lambda o: partial(o.torch.tril, o.matrix)),
    _row(("triu", "rand", "randn", "bernoulli"), untimed=RARE),
    _row(("_assert_async",), lower=check, untimed=RARE),
)
