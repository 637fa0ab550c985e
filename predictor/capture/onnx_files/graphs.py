"""Nodes and tensors of an optimised ONNX file -> ``Graph``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from predictor.ops import onnx_form
from predictor.ops.arguments import node_arguments
from predictor.records import Graph, OpCall, PythonWork, TensorSpec


def graph_of(data: dict[str, Any], dtype: str, name: str) -> Graph:
    """The graph of nodes and tensors, its floating-point tensors in a dtype."""
    half = "fp32" if dtype in ("fp32", "tf32") else dtype

    def spec(tensor: str) -> TensorSpec | None:
        if tensor not in data["tensors"]:
            return None
        shape, kind = data["tensors"][tensor]
        stride: list[int] = []
        step = 1
        for n in reversed(shape):
            stride.insert(0, step)
            step *= n
        return TensorSpec(tuple(shape), half if kind in ("fp32", "fp16", "bf16") else kind, tuple(stride))

    named = [t for _, inputs, outputs, _ in data["nodes"] for t in (*inputs, *outputs) if t in data["tensors"]]
    numbers = {tensor: number for number, tensor in enumerate(dict.fromkeys(named))}
    calls = []
    for op, inputs, outputs, values in data["nodes"]:
        known = [(t, s) for t in inputs if (s := spec(t)) is not None]
        results = [(t, s) for t in outputs if t and (s := spec(t)) is not None]
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        form = onnx_form(op)
        call = OpCall(
            op,
            node_arguments(values, [spec(t) for t in inputs]),
            tuple(s for _, s in results),
            form.trait,
            input_ids=tuple(numbers[t] for t, _ in known),
            output_ids=tuple(numbers[t] for t, _ in results),
        )
        calls.append(replace(call, macs=form.macs(call)))
    outputs = tuple(numbers[t] for t in data["outputs"] if t in numbers)
    return Graph(name, tuple(calls), dtype, 1, PythonWork(), 0, {}, outputs)
