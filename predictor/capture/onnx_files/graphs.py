"""Nodes and tensors of an optimised ONNX file -> ``Graph``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from predictor.ops import OnnxForm, onnx_form
from predictor.ops.arguments import node_arguments
from predictor.ops.placement import OF_SIZES, ON_CPU, SIZES, WEIGHTS, computes_sizes, reason_for_cpu
from predictor.records import Graph, OpCall, Origin, PythonWork, TensorSpec, Trait

SINGLE = ("fp32", "tf32")
HALF = ("fp16", "bf16")


def conversions(own: str, dtype: str) -> dict[str, str]:
    """Floating-point types of a file -> those that they run in, where the file is of one and another is asked for.

    A half-precision file's fp32 tensors stay in fp32, in either half-precision type.

    >>> conversions("fp16", "bf16")
    {'fp16': 'bf16'}
    >>> conversions("fp32", "fp16")
    {'fp32': 'fp16', 'bf16': 'fp16'}
    """
    stored = "fp32" if dtype in SINGLE else dtype
    if stored == own:
        return {}
    if own in HALF and stored in HALF:
        return {own: stored}
    return {kind: stored for kind in ("fp32", *HALF) if kind != stored}


def graph_of(data: Mapping[str, Any], own: str, dtype: str, name: str) -> Graph:
    """The graph of nodes and tensors, and where in the model they stand, if the data say that ("scopes"). own: dtype of
    the file, dtype: what it is to run in.
    """
    exchanged = conversions(own, dtype)

    @cache
    def spec(tensor: str) -> TensorSpec | None:
        if tensor not in data["tensors"]:
            return None
        shape, kind = data["tensors"][tensor]
        stride: list[int] = []
        step = 1
        for n in reversed(shape):
            stride.insert(0, step)
            step *= n
        return TensorSpec(tuple(shape), exchanged.get(kind, kind), tuple(stride))

    on_host = _on_host(data, spec)
    named = [t for row in data["nodes"] for t in (*row[2], *row[3]) if t in data["tensors"]]
    numbers = {tensor: number for number, tensor in enumerate(dict.fromkeys(named))}
    calls = []
    origins = [Origin(scope) for scope in data.get("scopes", [""] * len(data["nodes"]))]
    for number, (op, _, inputs, outputs, values, times) in enumerate(data["nodes"]):
        before, after = (spec(t[0]) if t else None for t in (inputs, outputs))
        if op == "Cast" and exchanged and before is not None and after is not None and before.dtype == after.dtype:
            numbers[outputs[0]] = numbers[inputs[0]]  # to what it is already, once the file is converted
            continue
        known = [t for t in inputs if t in numbers]
        results = [(t, s) for t in outputs if t and (s := spec(t)) is not None]
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        form = onnx_form(op)
        call = OpCall(
            op,
            node_arguments({**values, **on_host.get(number, {})}, [spec(t) for t in inputs]),
            tuple(s for _, s in results),
            Trait.HOST if number in on_host else form.trait,
            input_ids=tuple(numbers[t] for t in known),
            output_ids=tuple(numbers[t] for t, _ in results),
            origin=origins[number],
            times=times,
        )
        calls.append(replace(call, macs=_macs(call, form)))
    assumptions = tuple(data["assumptions"])
    outputs = tuple(numbers[t] for t in data["outputs"] if t in numbers)
    return Graph(name, tuple(calls), dtype, 1, PythonWork(), 0, {}, outputs, assumptions)


def _on_host(data: Mapping[str, Any], spec: Callable[[str], TensorSpec | None]) -> dict[int, dict[str, Any]]:
    """Nodes that ONNX Runtime's CUDA provider leaves to the CPU, by position -> what their calls say of that: why, and
    which of their tensors are weights, which lie there. Of a file without opsets nothing is known.
    """
    opsets, weights = data.get("opsets", {}), set(data.get("weights", ()))
    found: dict[int, dict[str, Any]] = {}

    def types(names: Sequence[str]) -> list[str | None]:
        return [known.dtype if (known := spec(name)) is not None else None for name in names]

    sizes: set[str] = set()
    for number, (op, domain, inputs, outputs, values, _) in enumerate(data["nodes"]):
        if not opsets or onnx_form(op).is_control_flow:
            continue
        reason = reason_for_cpu(op, domain, opsets.get(domain, 1), types(inputs), types(outputs), values)
        counts = [read.elements if (read := spec(name)) is not None else 0 for name in inputs]
        is_of_sizes = computes_sizes(op, inputs, types(inputs), counts, sizes, weights)
        if op in SIZES or is_of_sizes:
            sizes.update(outputs)
        if is_of_sizes and op not in SIZES:
            reason = reason or OF_SIZES
        if reason:
            known = [name for name in inputs if spec(name) is not None]
            beside = tuple(position for position, name in enumerate(known) if name in weights)
            found[number] = {ON_CPU: reason, WEIGHTS: beside}
    return found


def _macs(call: OpCall, form: OnnxForm) -> int:
    """Multiply-accumulates of a node; none of one with tensors that its operator cannot have, which is not lowered."""
    try:
        return form.macs(call)
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return 0


def converted(own: str, dtype: str) -> tuple[str, ...]:
    """What was assumed where a file is to run in another dtype than its own."""
    stored = "fp32" if dtype in SINGLE else dtype
    if stored == own:
        return ()
    kept = ", what it does in fp32 itself stays" if own in HALF and stored in HALF else ""
    return (f"the file, of {own}, is converted to {stored}, its inputs and outputs too{kept}",)
