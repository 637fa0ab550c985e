"""Lowered programs as plain data, so that a recorded measurement can be predicted again anywhere, without the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from predictor.records import HostCall, Kernel, Program, PythonWork


def program_to_json(program: Program) -> dict[str, Any]:
    """Equal calls are written once: "order" indexes "calls"; the Python before each and after the last comes beside."""
    rows: dict[str, int] = {}
    calls: list[Any] = []
    order: list[int] = []
    for call in program.calls:
        kernels = [[k.family, k.dtype, dict(k.dims)] for k in call.kernels]
        row = [call.op, call.trait, int(call.sync), list(call.parts), list(call.extra), kernels, call.elements]
        index = rows.setdefault(repr(row), len(calls))
        if index == len(calls):
            calls.append(row)
        order.append(index)
    return {
        "runtime": program.runtime,
        "dtype": program.dtype,
        "unmodelled": dict(program.unmodelled),
        "calls": calls,
        "order": order,
        "python": [_python(call.python) for call in program.calls] + [_python(program.tail)],
    }


def program_from_json(data: Mapping[str, Any]) -> Program:
    """The inverse of ``program_to_json``."""
    *before, tail = (PythonWork(*work) for work in data["python"])
    calls = [
        HostCall(op, tuple(Kernel(*k) for k in kernels), tail, trait, tuple(parts), tuple(extra), bool(sync), elements)
        for op, trait, sync, parts, extra, kernels, elements in data["calls"]
    ]
    order = tuple(replace(calls[i], python=work) for i, work in zip(data["order"], before, strict=True))
    return Program(data["runtime"], data["dtype"], order, tail, data["unmodelled"])


def _python(work: PythonWork) -> list[float]:
    return [work.calls, work.cold_lines, work.cold_modules]
