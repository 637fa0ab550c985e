"""Losses: a pass over the elements, and a mean or a sum of them where one is asked for."""

from __future__ import annotations

from functools import partial

from predictor.ops.elementary import fill_of, pointwise_of, scalar_of
from predictor.ops.row import LOOP, RARE, Operator
from predictor.records import Kernel, OpCall, TensorSpec, Trait

NO_REDUCTION, MEAN = 0, 1
"""``at::Reduction::None`` and ``Mean``; 2 is the sum."""


def loss(call: OpCall, *, passes: int = 1, heavy: bool = False) -> tuple[Kernel, ...]:
    """Passes over the elements, then a reduction. passes: kernels of its formula; heavy: with a transcendental function
    in the last of them.
    """
    x, out = call.tensors[0], call.outputs[0]
    if not x.elements:
        return ()
    inputs = tuple(t for t in call.tensors if t.elements == x.elements)
    each = TensorSpec(x.shape, out.dtype, x.stride)
    arithmetic = pointwise_of(inputs, each) * (passes - 1)
    kernels = (*arithmetic, *pointwise_of(inputs, each, heavy=float(heavy)))
    if call.args.get("reduction", 1) == NO_REDUCTION:
        return kernels
    return (*kernels, Kernel("reduce", x.dtype, {"rows": 1, "cols": x.elements, "inner": 1.0}))


def of_classes(call: OpCall) -> tuple[Kernel, ...]:
    """A number picked out of each row by its class, or of each pixel. Rows: and their mean in the same kernel; where
    none is asked for, a zero as the sum of their weights. Pixels: the mean and that sum begin as zeros, and are divided
    at last.
    """
    x, reduction = call.tensors[0], int(call.args.get("reduction", 1))
    if not x.elements:
        return ()
    rows = x.elements // max(x.shape[1] if len(x.shape) > 1 else x.elements, 1)
    picked, one = (Kernel("gather", x.dtype, {"rows": rows, "cols": 1}),), scalar_of(x.dtype)
    if call.op != "nll_loss2d_forward":
        return picked if reduction != NO_REDUCTION else (*picked, *fill_of(one))
    if reduction == NO_REDUCTION:
        return picked
    divided = pointwise_of((one, one), one) if reduction == MEAN else ()
    return (*fill_of(one), *fill_of(one), *picked, *divided)


def of_margins(call: OpCall) -> tuple[Kernel, ...]:
    """A kernel along the rows."""
    x = call.tensors[0]
    cols = x.shape[-1] if x.shape else 1
    return (Kernel("reduce", x.dtype, {"rows": x.elements // cols, "cols": cols, "inner": 1.0}),) if cols else ()


_row = partial(Operator, trait=Trait.REDUCTION, fused_by=LOOP, untimed=RARE)

ROWS = (
    _row(("mse_loss", "smooth_l1_loss", "huber_loss"), lower=loss),
    _row(("binary_cross_entropy",), lower=partial(loss, heavy=True)),
    _row(("binary_cross_entropy_with_logits",), lower=partial(loss, passes=4, heavy=True)),
    _row(("soft_margin_loss",), lower=partial(loss, passes=5, heavy=True)),
    _row(("nll_loss_forward", "nll_loss2d_forward"), lower=of_classes),
    _row(("multi_margin_loss", "multilabel_margin_loss_forward"), lower=of_margins),
)
