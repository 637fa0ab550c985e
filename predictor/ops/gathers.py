"""Reads and writes at places that a tensor of integers says."""

from __future__ import annotations

from functools import partial

from predictor.ops import ort
from predictor.ops.arguments import tensor
from predictor.ops.elementary import copy_of
from predictor.ops.row import LOOP, RARE, Operator
from predictor.records import Kernel, OpCall, TensorSpec, Trait


def gather(call: OpCall, *, by_rows: bool = False) -> tuple[Kernel, ...]:
    """A read for every index. by_rows: of whole rows."""
    out = call.outputs[0]
    if not out.elements:
        return ()
    cols = out.shape[-1] if by_rows and out.shape else 1
    return (Kernel("gather", out.dtype, {"rows": out.elements // max(cols, 1), "cols": cols}),)


def scatter(call: OpCall, *, in_place: bool = False) -> tuple[Kernel, ...]:
    """A write for every index, into a copy unless in place."""
    x, index = tensor(call, "self"), tensor(call, "index")
    if not index.elements:
        return ()
    source = next((call.args[n] for n in ("src", "source") if isinstance(call.args.get(n), TensorSpec)), index)
    copied = () if in_place else copy_of(x, call.outputs[0])
    return (*copied, Kernel("gather", x.dtype, {"rows": max(source.elements, index.elements), "cols": 1}))


_row = partial(Operator, trait=Trait.GATHER, fused_by=LOOP)
_of_rows = partial(_row, lower=partial(gather, by_rows=True))
_GATHERED = partial(ort.form, trait=Trait.COPY, lower=ort.gathered)

ROWS = (
    _of_rows(
        ("embedding",),
        onnx=ort.form("Gather", trait=Trait.COPY, lower=ort.looked_up),
        example=lambda o: partial(o.torch.embedding, o.weight, o.ids),
    ),
    _of_rows(
        ("index_select",),
        example=lambda o: lambda: o.torch.index_select(o.matrix, 0, o.ids[0]),
        example_calls=("select",),
    ),
    _of_rows(
        ("index",),
        onnx=_GATHERED("GatherND"),
        example=lambda o: lambda: o.matrix[o.ids[0]],
        example_calls=("select",),
    ),
    _row(
        ("gather",),
        lower=gather,
        onnx=_GATHERED("GatherElements"),
        example=lambda o: partial(o.torch.gather, o.x, 2, o.index),
    ),
    _row(("take_along_dim",), lower=gather, untimed=RARE),
    _row(("index_put_",), lower=gather, onnx=_GATHERED("ScatterND"), untimed=RARE),
    _row(("scatter",), lower=scatter, onnx=_GATHERED("ScatterElements"), untimed=RARE),
    _row(("scatter_add", "scatter_reduce", "index_add", "index_copy"), lower=scatter, untimed=RARE),
    _row(
        ("scatter_", "scatter_add_", "index_add_", "index_copy_"), lower=partial(scatter, in_place=True), untimed=RARE
    ),
)
