"""Views and what else puts nothing on the device."""

from __future__ import annotations

from functools import partial

from predictor.ops import ort
from predictor.ops.elementary import dropped
from predictor.ops.row import LOOP, NOT_NVFUSER, RARE, Fuser, Operator
from predictor.records import Kernel, OpCall, Trait


def trained_dropout(call: OpCall) -> tuple[Kernel, ...]:
    """Nothing in evaluation; in training mode a pass."""
    return dropped(call) if call.args.get("train") else ()


_row = partial(Operator, trait=Trait.VIEW, fused_by=LOOP)
_NO_KERNEL = partial(ort.form, trait=Trait.VIEW, lower=ort.nothing)
_MOVED = partial(ort.form, trait=Trait.COPY, lower=ort.moved)

ROWS = (
    _row(("view",), example=lambda o: partial(o.x.view, *o.x.shape[:-1], 4, -1)),
    _row(("transpose",), example=lambda o: partial(o.x.transpose, 1, 2)),
    _row(("permute",), onnx=_MOVED("Transpose"), example=lambda o: partial(o.heads.permute, 0, 2, 1, 3)),
    _row(
        ("expand",),
        onnx=ort.form("Expand", trait=Trait.COPY, lower=ort.spread),
        example=lambda o: partial(o.scalar.expand, 1, 1, *o.square.shape[1:]),
    ),
    _row(
        ("slice",),
        onnx=ort.form("Slice", trait=Trait.COPY, lower=ort.cut),
        example=lambda o: lambda: o.x[:, 1:],
    ),
    _row(("select",), example=lambda o: lambda: o.x[:, 0]),
    _row(
        ("unsqueeze",),
        onnx=_NO_KERNEL("Unsqueeze"),
        fused_by=NOT_NVFUSER,
        example=lambda o: partial(o.x.unsqueeze, 1),
    ),
    _row(("squeeze",), onnx=_NO_KERNEL("Squeeze"), example=lambda o: partial(o.x.squeeze, 0)),
    _row(
        ("split",),
        onnx=ort.form("Split", trait=Trait.COPY, lower=ort.split),
        example=lambda o: partial(o.x.split, o.width // 2, 2),
    ),
    _row(("split_with_sizes", "unsafe_split", "unsafe_split_with_sizes"), untimed=RARE),
    _row(("transpose_", "t_", "squeeze_", "unsqueeze_", "as_strided_"), writes_input=False, untimed=RARE),
    _row(("chunk",), fused_by=NOT_NVFUSER, example=lambda o: partial(o.x.chunk, 2, 2)),
    _row(("unbind",), example=lambda o: partial(o.sequence.unbind, 0)),
    _row(("alias",), onnx=_NO_KERNEL("Identity"), untimed=RARE),
    _row(("t", "as_strided", "unfold", "_unsafe_view"), untimed=RARE),
    _row(("size", "stride", "numel"), onnx=_NO_KERNEL("Shape", "Size"), untimed="it makes no tensor"),
    _row(("empty",), example=lambda o: partial(o.torch.empty, 8, 8, **o.options)),
    _row(("empty_like", "new_empty", "empty_strided", "new_empty_strided", "empty_permuted"), untimed=RARE),
    _row(("lift_fresh",), onnx=_NO_KERNEL("Constant"), is_literal=True, untimed="it comes with detach_, timed there"),
    _row(("detach",), example=lambda o: partial(o.x.detach)),
    _row(("detach_",), writes_input=False, example=lambda o: partial(o.torch.tensor, [], **o.options)),
    _row(
        ("dropout",),
        lower=trained_dropout,
        onnx=_NO_KERNEL("Dropout"),
        fused_by=frozenset({Fuser.NVFUSER, Fuser.NVFUSER_PASCAL, Fuser.INDUCTOR}),
        example=lambda o: partial(o.torch.dropout, o.x, 0.1, False),
    ),
    _row(("dropout_", "feature_dropout", "alpha_dropout"), lower=trained_dropout, untimed=RARE),
)

VIEW = Operator(("view",), Trait.VIEW, fused_by=LOOP)
"""What torch's schema says is a view and has no row of its own."""
