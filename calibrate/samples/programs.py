"""Lowered programs as plain data, so that a recorded measurement can be predicted again anywhere, without the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from calibrate.workloads.sources import build
from predictor import runtimes
from predictor.errors import CannotRunError
from predictor.predict import graph_of
from predictor.records import HostCall, Kernel, Program, PythonWork, Trait


class _Rows:
    """Rows without repetitions, in the order of their first appearance."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self._known: dict[str, int] = {}

    def index(self, row: Any) -> int:
        """Where a row stands; a new one is appended."""
        found = self._known.setdefault(repr(row), len(self.rows))
        if found == len(self.rows):
            self.rows.append(row)
        return found


def program_to_json(program: Program) -> dict[str, Any]:
    """Equal kernels and equal calls are written once: calls index "kernels", "order" indexes "calls"; the Python before
    each and after the last comes beside.
    """
    kernels, calls = _Rows(), _Rows()
    order: list[int] = []
    for call in program.calls:
        own = [kernels.index([k.family, k.dtype, dict(k.dims)]) for k in call.kernels]
        row = [call.op, call.trait, int(call.sync), list(call.parts), list(call.extra), own, call.elements]
        order.append(calls.index(row))
    said = {"cannot": program.cannot} if program.cannot else {}
    return {
        **said,
        "runtime": program.runtime,
        "dtype": program.dtype,
        "unmodelled": dict(program.unmodelled),
        "kernels": kernels.rows,
        "calls": calls.rows,
        "order": order,
        "python": [_python(call.python) for call in program.calls] + [_python(program.tail)],
    }


def program_from_json(data: Mapping[str, Any]) -> Program:
    """The inverse of ``program_to_json``."""
    *before, tail = (PythonWork(*work) for work in data["python"])
    kernels = [Kernel(*row) for row in data["kernels"]]
    calls = [
        HostCall(
            op, tuple(kernels[k] for k in own), tail, Trait(trait), tuple(parts), tuple(extra), bool(sync), elements
        )
        for op, trait, sync, parts, extra, own, elements in data["calls"]
    ]
    order = tuple(replace(calls[i], python=work) for i, work in zip(data["order"], before, strict=True))
    return Program(data["runtime"], data["dtype"], order, tail, data["unmodelled"], data.get("cannot", ""))


def record(name: str, batch: int, dtype: str, runtime: str, device: str) -> dict[str, Any]:
    """What a runtime does with a model of ``sources``: its program as data, and its MACs; or why it cannot run."""
    with torch.device("meta"):
        module, inputs = build(name, device, batch)
    try:
        graph = graph_of(module, inputs, dtype, runtime, name)
    except CannotRunError as error:
        return {"cannot": str(error)}
    return {"program": program_to_json(runtimes.load(runtime).lower(graph)), "macs": graph.macs}


def _python(work: PythonWork) -> list[float]:
    return [work.calls, work.cold_lines, work.cold_modules]
