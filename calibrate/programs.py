"""Lowered programs as plain data, so that a recorded measurement can be predicted again anywhere, without the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from predictor.records import HostCall, Kernel, Program


def program_to_json(program: Program) -> dict[str, Any]:
    """Equal calls are written once: "order" indexes "calls"; the Python calls before each come beside it."""
    rows: dict[str, int] = {}
    calls: list[Any] = []
    order: list[int] = []
    for call in program.calls:
        kernels = [[k.family, k.dtype, dict(k.dims)] for k in call.kernels]
        row = [call.op, call.trait, int(call.sync), list(call.parts), list(call.extra), kernels]
        index = rows.setdefault(repr(row), len(calls))
        if index == len(calls):
            calls.append(row)
        order.append(index)
    return {
        "runtime": program.runtime,
        "dtype": program.dtype,
        "tail_cold_python_calls": program.tail_cold_python_calls,
        "unmodelled": dict(program.unmodelled),
        "calls": calls,
        "order": order,
        "cold_python_calls": [call.cold_python_calls for call in program.calls],
    }


def program_from_json(data: Mapping[str, Any]) -> Program:
    """The inverse of ``program_to_json``."""
    calls = [
        HostCall(op, tuple(Kernel(*k) for k in kernels), 0.0, trait, tuple(parts), tuple(extra), bool(sync))
        for op, trait, sync, parts, extra, kernels in data["calls"]
    ]
    order = tuple(
        replace(calls[i], cold_python_calls=cold)
        for i, cold in zip(data["order"], data["cold_python_calls"], strict=True)
    )
    return Program(data["runtime"], data["dtype"], order, data["tail_cold_python_calls"], data["unmodelled"])
