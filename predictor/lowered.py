"""A graph as one runtime runs it, at one batch size or at many.

Lowering is done at a few batch sizes. Between two of them every dimension of every kernel is a line in the batch size,
which further sizes check; where a program changes (a fusion that depends on a size) the range is split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor import runtimes
from predictor.graph.attention import attends, multiplied_out
from predictor.graph.sizes import FINEST
from predictor.records import Graph, HostRow, KernelGroup, Program, SizedProgram, Target

Array = NDArray[np.float64]

STEP = float(FINEST)
"""Dimensions are multiples of it, as the coefficients of sizes are."""


@dataclass(frozen=True, slots=True, eq=False)
class Lowered:
    """A program at several batch sizes, and what a report says of its graph.

    macs: (sizes,); ops: distinct operators, op_of_call: (calls,), positions among them; group_of_kernel: (kernels,),
    position of each kernel's group in the program's; call_macs: (sizes, calls), of all of a call's ``times``; versions:
    of the packages that shaped the graph; attention: see ``records.Report``.
    """

    name: str
    dtype: str
    batches: tuple[int, ...]
    program: SizedProgram
    macs: NDArray[np.int64]
    operators: int
    module_calls: int
    python_calls: int
    versions: Mapping[str, str]
    ops: tuple[str, ...]
    op_of_call: NDArray[np.int64]
    group_of_kernel: NDArray[np.int64]
    call_macs: Array
    assumptions: tuple[str, ...] = ()
    attention: str = "none"


def lower(graph: Graph, runtime: str, target: Target, multiplied: bool = False) -> Lowered:
    """A graph as a runtime runs it on a target, at the graph's size. multiplied: attention is multiplied out."""
    attention = ("multiplied out" if multiplied else "fused") if attends(graph) else "none"
    graph = multiplied_out(graph) if multiplied else graph
    return replace(of_program(graph, runtimes.load(runtime).lower(graph, target)), attention=attention)


def of_program(graph: Graph, program: Program) -> Lowered:
    """What a report needs of a program and the graph that it was lowered from."""
    sized = SizedProgram.of(program)
    labels = {row: HostRow(*row).label for row in {(call.op, call.variant) for call in program.calls}}
    label_of_call = [labels[call.op, call.variant] for call in program.calls]
    ops = tuple(dict.fromkeys(label_of_call))
    number = {op: position for position, op in enumerate(ops)}
    counts = [group.count for group in sized.groups]
    group_of_distinct = np.repeat(np.arange(len(counts)), counts)
    return Lowered(
        name=graph.name,
        dtype=graph.dtype,
        batches=(graph.batch,),
        program=sized,
        macs=np.array([graph.macs], dtype=np.int64),
        operators=sum(call.times for call in graph.calls),
        module_calls=graph.module_calls,
        python_calls=graph.python_calls,
        versions=graph.versions,
        ops=ops,
        op_of_call=np.array([number[label] for label in label_of_call], dtype=np.int64),
        group_of_kernel=group_of_distinct[sized.kernel_of],
        call_macs=np.array([[call.macs * call.times for call in program.calls]], dtype=float),
        assumptions=graph.assumptions,
    )


@dataclass(frozen=True, slots=True, eq=False)
class LoweredRange:
    """A program for every batch size from ``first`` to ``last``: the same calls and kernels, their dimensions lines in
    the batch size, (kernels, dimensions, 2) for each group; likewise the elements of its calls, its MACs and theirs.
    """

    first: int
    last: int
    lowered: Lowered
    lines: tuple[Array, ...]
    kernel_of: NDArray[np.int64]
    group_of_kernel: NDArray[np.int64]
    elements: Array
    macs: Array
    call_macs: Array

    def at(self, batches: Sequence[int]) -> Lowered:
        """The program at some batch sizes."""
        first = self.lowered
        terms = np.array([[1.0, float(batch)] for batch in batches]).T
        groups = []
        for group, lines in zip(first.program.groups, self.lines, strict=True):
            values = np.round((lines @ terms) / STEP) * STEP  # (kernels, dimensions, sizes)
            dims = {name: values[:, position].T for position, name in enumerate(group.dims)}
            groups.append(KernelGroup(group.family, group.dtype, group.in_graph, dims))
        program = SizedProgram(
            first.program.program,
            len(batches),
            tuple(groups),
            self.kernel_of,
            first.program.first_kernel,
            first.program.sync,
            np.round((self.elements @ terms).T),
            first.program.call_times,
            first.program.kernel_times,
            first.program.kernel_share,
        )
        return Lowered(
            first.name,
            first.dtype,
            tuple(batches),
            program,
            np.round(self.macs @ terms).astype(np.int64),
            first.operators,
            first.module_calls,
            first.python_calls,
            first.versions,
            first.ops,
            first.op_of_call,
            self.group_of_kernel,
            np.round((self.call_macs @ terms).T),
            first.assumptions,
            first.attention,
        )


def solve(lowered: Sequence[Lowered]) -> LoweredRange | None:
    """One program for all batch sizes between the first and the last of three or more, in ascending order; None where
    it is not the same program, or a dimension is no line.
    """
    first, last = lowered[0], lowered[-1]
    low, high = first.batches[0], last.batches[0]
    if len({_structure(at_size) for at_size in lowered}) > 1:
        return None
    batches = np.array([at_size.batches[0] for at_size in lowered], dtype=float)
    lines: list[Array] = []
    distinct: list[int] = []
    numbers = np.empty(len(first.program.kernel_of), dtype=np.int64)
    for position in range(len(first.program.groups)):
        members = np.flatnonzero(first.group_of_kernel == position)
        values = np.stack([_dims_of(at_size, position, members) for at_size in lowered])  # (sizes, kernels, dimensions)
        flat, back = np.unique(values.transpose(1, 0, 2).reshape(len(members), -1), axis=0, return_inverse=True)
        values = flat.reshape(len(flat), len(lowered), -1).transpose(1, 0, 2)
        line = _line(values, batches)
        if line is None:
            return None
        numbers[members] = sum(distinct) + np.ravel(back)
        distinct.append(len(flat))
        lines.append(line)
    elements = _line(np.stack([at_size.program.elements[0][:, None] for at_size in lowered]), batches)
    macs = _line(np.array([[[float(at_size.macs[0])]] for at_size in lowered]), batches)
    call_macs = _line(np.stack([at_size.call_macs[0][:, None] for at_size in lowered]), batches)
    if elements is None or macs is None or call_macs is None:
        return None
    return LoweredRange(
        low,
        high,
        first,
        tuple(lines),
        numbers,
        np.repeat(np.arange(len(distinct)), distinct)[numbers] if distinct else numbers,
        elements[:, 0],
        macs[0, 0],
        call_macs[:, 0],
    )


def _structure(lowered: Lowered) -> Any:
    """What must be the same at every size."""
    program = lowered.program.program
    calls = tuple((c.row, c.trait, c.parts, c.extra, c.sync, len(c.kernels), c.python) for c in program.calls)
    groups = tuple((g.family, g.dtype, g.in_graph, tuple(g.dims)) for g in lowered.program.groups)
    unmodelled = tuple(program.unmodelled.items())
    return (
        calls,
        groups,
        lowered.group_of_kernel.tobytes(),
        lowered.program.call_times.tobytes(),
        lowered.program.kernel_times.tobytes(),
        lowered.program.kernel_share.tobytes(),
        unmodelled,
        program.unsupported_reason,
        program.tail,
        lowered.operators,
    )


def _dims_of(lowered: Lowered, position: int, kernels: NDArray[np.intp]) -> Array:
    """(kernels, dimensions) of the kernels of a group."""
    group = lowered.program.groups[position]
    before = sum(other.count for other in lowered.program.groups[:position])
    columns = lowered.program.kernel_of[kernels] - before
    return np.stack([array[0, columns] for array in group.dims.values()], axis=1)


def _line(values: Array, batches: Array) -> Array | None:
    """(items, dimensions, 2): intercept and slope of values (sizes, items, dimensions); None where one is no line."""
    slope = (values[-1] - values[0]) / (batches[-1] - batches[0])
    line = np.stack([values[0] - slope * batches[0], slope], axis=-1)
    fitted = line[..., 0] + line[..., 1] * batches[:, None, None]
    return line if np.allclose(fitted, values, rtol=1e-9, atol=1e-6) else None
