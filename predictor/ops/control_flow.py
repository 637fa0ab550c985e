"""Nodes of ONNX that run graphs inside of them; what these do stands beside them, as nodes of its own."""

from __future__ import annotations

from predictor.ops import ort
from predictor.ops.row import RARE, OnnxForm, Operator, no_kernels
from predictor.records import Kernel, OpCall, Trait


def stacked(call: OpCall) -> tuple[Kernel, ...]:
    """What every round of a loop gives is copied into one tensor, the last results of the node."""
    count = int(call.args.get("stacked", 0))
    return ort.copies_of(*call.outputs[len(call.outputs) - count :]) if count > 0 else ()


CONDITION = Kernel("host_copy", "bool", {"bytes": 1})
COUNTER = Kernel("host_copy", "int64", {"bytes": 8, "pageable": 1})


def told_to_the_host(call: OpCall) -> tuple[tuple[Kernel, ...], ...]:
    """Before a branch the host reads the condition; a node with results stands behind what ran."""
    return () if call.outputs else ((CONDITION,),)


def rounds_of_a_loop(call: OpCall) -> tuple[tuple[Kernel, ...], ...]:
    """In every round the host reads the condition, and the device the number of the round."""
    return () if call.outputs else ((CONDITION,), (COUNTER,))


ROWS = (
    Operator(
        (),
        Trait.COMPOSITE,
        onnx=(OnnxForm(("If",), no_kernels, Trait.SYNC, is_control_flow=True, rounds=told_to_the_host),),
        untimed=RARE,
    ),
    Operator(
        (),
        Trait.COMPOSITE,
        onnx=(
            OnnxForm(("Loop",), stacked, Trait.SYNC, is_control_flow=True, rounds=rounds_of_a_loop),
            OnnxForm(("Scan",), stacked, Trait.POINTWISE, is_control_flow=True),
        ),
        untimed=RARE,
    ),
)
