"""Selections by value: how many elements they find is known on the device alone, so the host waits for the count."""

from __future__ import annotations

from functools import partial

from predictor.ops.elementary import copy_of, fill_of, pointwise_of, rows_of, scalar_of
from predictor.ops.row import RARE, GraphBreak, Operator
from predictor.records import Kernel, OpCall, TensorSpec, Trait

_COUNT = scalar_of("int64")


def _flat(t: TensorSpec, dtype: str = "") -> TensorSpec:
    return TensorSpec((t.elements,), dtype or t.dtype, (1,))


def _reduced(t: TensorSpec) -> tuple[Kernel, ...]:
    return (Kernel("reduce", t.dtype, {"rows": 1, "cols": t.elements, "inner": 1.0}),) if t.elements else ()


def _scanned(t: TensorSpec) -> tuple[Kernel, ...]:
    return rows_of("scan", t, 1, t.elements)


def _sorted(t: TensorSpec) -> tuple[Kernel, ...]:
    return (Kernel("sort", t.dtype, {"rows": 1, "cols": t.elements, "k": 0.0}),) if t.elements else ()


def nonzero(call: OpCall) -> tuple[Kernel, ...]:
    """A count, which is copied to the host; a scan of the truth values, whose second kernel writes the places."""
    flat = _flat(call.tensors[0])
    return (*_reduced(flat), *copy_of(_COUNT), *_scanned(flat))


def masked_select(call: OpCall) -> tuple[Kernel, ...]:
    """The places where a mask holds, and what is there."""
    mask, out = call.tensors[1], call.outputs[0]
    flat = _flat(mask)
    return (*_reduced(flat), *copy_of(_COUNT), *_scanned(flat), *rows_of("gather", out, out.elements, 1))


def unique(call: OpCall, *, is_sorted: bool = False) -> tuple[Kernel, ...]:
    """A sort, unless neighbours alone are compared; neighbours that differ, numbered, and the count for the host."""
    flat = _flat(call.tensors[0])
    differ = pointwise_of((flat, flat), _flat(flat, "bool"))
    order = () if is_sorted else _sorted(flat)
    return (
        *order,
        *differ,
        *_scanned(_flat(flat, "int64")),
        *copy_of(_COUNT),
        *rows_of("gather", flat, flat.elements, 1),
    )


def bincount(call: OpCall) -> tuple[Kernel, ...]:
    """The smallest and the largest number, for the host; zeros, and one added for each number."""
    x, out = _flat(call.tensors[0]), call.outputs[0]
    return (*_reduced(x) * 2, *copy_of(_COUNT), *fill_of(out), *rows_of("gather", x, x.elements, 1))


def repeated(call: OpCall) -> tuple[Kernel, ...]:
    """Where each element comes from, repeated as often as a tensor says: a scan of the numbers, their sum for the host,
    and the places written.
    """
    repeats, out = call.tensors[0], call.outputs[0]
    return (*_scanned(_flat(repeats, "int64")), *copy_of(_COUNT), *pointwise_of((repeats,), out))


_row = partial(Operator, trait=Trait.SYNC, graph_break=GraphBreak.READS_DATA, untimed=RARE)

ROWS = (
    _row(("nonzero",), lower=nonzero),
    _row(("masked_select",), lower=masked_select),
    _row(("_unique2", "unique_dim"), lower=unique),
    _row(("unique_consecutive",), lower=partial(unique, is_sorted=True)),
    _row(("bincount",), lower=bincount),
    _row(("repeat_interleave.Tensor",), lower=repeated),
)
