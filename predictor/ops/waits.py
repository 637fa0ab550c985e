"""Operators at which the host waits for the device."""

from __future__ import annotations

from functools import partial

from predictor.kernels.host_copies import HOST_COPY, STAGED
from predictor.ops.elementary import copy_of, scalar_of
from predictor.ops.row import RARE, SPELLED_OTHERWISE, GraphBreak, Operator, always_calls
from predictor.records import READ_AS_LIST, READ_BY_OPERATOR, Kernel, OpCall, Trait


def between_host_and_device(call: OpCall) -> tuple[Kernel, ...]:
    """A copy to the device, or of a value back from it: at the driver's pace where it does not take it over at once."""
    copied = call.outputs[0] if call.outputs else scalar_of(call.tensors[0].dtype)
    if copied.nbytes > STAGED:
        return (Kernel(HOST_COPY, copied.dtype, {"bytes": float(copied.nbytes), "pageable": 1.0}),)
    return copy_of(copied)


_row = partial(Operator, trait=Trait.SYNC, lower=between_host_and_device)

ROWS = (
    _row(("item",), graph_break=GraphBreak.READS_DATA, example=lambda o: partial(o.scalar.item)),
    _row(
        (READ_BY_OPERATOR,),
        graph_break=GraphBreak.READS_DATA,
        untimed=SPELLED_OTHERWISE,
        calls=always_calls("item"),
    ),
    _row(
        (READ_AS_LIST,),
        graph_break=GraphBreak.READS_DATA,
        untimed=SPELLED_OTHERWISE,
        calls=always_calls("to device"),
    ),
    _row(("_local_scalar_dense", "is_nonzero", "equal"), graph_break=GraphBreak.READS_DATA, untimed=RARE),
    _row(("to device",), example=lambda o: partial(o.on_host.to, o.device, copy=True)),
)
