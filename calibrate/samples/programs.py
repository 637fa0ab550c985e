"""Lowered programs as plain data, so that a recorded measurement can be predicted again anywhere, without the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from calibrate.samples.host_rows import row_of_label
from calibrate.samples.records import StoredCall, StoredKernel, StoredProgram
from predictor import runtimes
from predictor.records import NEXT_GRAPH, HostCall, Kernel, Program, PythonWork, Trait


class _Rows:
    """Rows without repetitions, in the order of their first appearance."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self._known: dict[str, int] = {}

    def index(self, row: Any) -> int:
        """Where a row stands; a new one is appended."""
        position = self._known.setdefault(repr(row), len(self.rows))
        if position == len(self.rows):
            self.rows.append(row)
        return position


def stored(program: Program) -> StoredProgram:
    """A program as a file has it: equal kernels and equal calls are written once."""
    kernels, calls = _Rows(), _Rows()
    order: list[int] = []
    for call in program.calls:
        kernel_indices = tuple(
            kernels.index(StoredKernel(k.family, k.dtype, dict(k.dims), k.times, k.at_once)) for k in call.kernels
        )
        row = StoredCall(
            *(call.row.label, call.trait, int(call.sync), call.parts, call.extra, kernel_indices, call.elements),
            call.times,
            call.uncompiled,
        )
        order.append(calls.index(row))
    return StoredProgram(
        program.runtime,
        program.dtype,
        dict(program.unmodelled),
        tuple(kernels.rows),
        tuple(calls.rows),
        tuple(order),
        tuple(_python(work) for work in (*(call.python for call in program.calls), program.tail)),
        program.unsupported_reason,
    )


def restored(program: StoredProgram) -> Program:
    """The inverse of ``stored``."""
    *before, last = program.python
    tail = PythonWork(*last)
    kernels = [Kernel(k.family, k.dtype, k.dims, k.times, k.at_once) for k in program.kernels]
    calls = [
        HostCall(
            op=row_of_label(c.op).op,
            variant=row_of_label(c.op).variant,
            kernels=tuple(kernels[k] for k in c.kernels),
            python=tail,
            trait=Trait(c.trait),
            parts=c.parts,
            extra=c.extra,
            sync=bool(c.sync),
            elements=c.elements,
            times=c.times,
            uncompiled=c.uncompiled,
        )
        for c in program.calls
    ]

    @cache
    def called(index: int, work: tuple[int, float, float]) -> HostCall:
        return replace(calls[index], python=PythonWork(*work))

    order = [called(index, work) for index, work in zip(program.order, before, strict=True)]
    terms = runtimes.load(program.runtime).host_terms
    if terms is not None and terms.recompiles:
        order = [part for call in order for part in _cut(call)]
    return Program(program.runtime, program.dtype, tuple(order), tail, program.unmodelled, program.unsupported_reason)


def _cut(call: HostCall) -> Iterator[HostCall]:
    """A call that reads data, and the graph behind it: in programs from before these were told apart."""
    yield replace(call, uncompiled=call.uncompiled or call.sync)
    if call.sync and not call.uncompiled:
        yield HostCall(NEXT_GRAPH, (), PythonWork(), Trait.GUARD)


def _python(work: PythonWork) -> tuple[int, float, float]:
    return work.calls, work.cold_lines, work.cold_modules
