"""Nodes of ONNX that run graphs inside of them; what these do stands beside them, as nodes of its own."""

from __future__ import annotations

from predictor.ops import ort
from predictor.ops.row import RARE, OnnxForm, Operator, no_kernels
from predictor.records import Kernel, OpCall, Trait


def stacked(call: OpCall) -> tuple[Kernel, ...]:
    """What every round of a loop gives is copied into one tensor, the last results of the node."""
    count = int(call.args.get("stacked", 0))
    return ort.copies_of(*call.outputs[len(call.outputs) - count :]) if count > 0 else ()


ROWS = (
    Operator(
        (),
        Trait.COMPOSITE,
        onnx=(OnnxForm(("If",), no_kernels, Trait.SYNC, is_control_flow=True),),
        untimed=RARE,
    ),
    Operator(
        (),
        Trait.COMPOSITE,
        onnx=(OnnxForm(("Loop", "Scan"), stacked, Trait.POINTWISE, is_control_flow=True),),
        untimed=RARE,
    ),
)
