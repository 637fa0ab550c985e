"""The kernels of loops that Inductor has joined, and what they move."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from predictor.graph.dataflow import Dataflow
from predictor.kernels.blocks import blocks_of
from predictor.ops.elementary import fill_of, is_vectorised
from predictor.ops.gathers import WORD_BYTES, shared_run
from predictor.records import Kernel, OpCall, TensorSpec, Trait
from predictor.runtimes.compile.attention import SOFTMAX
from predictor.runtimes.compile.instructions import (
    ELSEWHERE_CYCLES,
    FOUND_CYCLES,
    GATHERED_CYCLES,
    SPLIT_CYCLES,
    STEPPED_CYCLES,
    STRIDED_SPLIT_CYCLES,
    USUAL_CYCLES,
    cycles_of,
    spatial_dims,
    window_of,
)
from predictor.runtimes.compile.loops import (
    SCATTERS,
    THREADS,
    Group,
    Loops,
    finds_places,
    is_reduced_window,
    is_strided,
    is_turned_over,
    rows_of,
)
from predictor.runtimes.fusion import fused_kernel


def _slices(loops: Loops, group: Group) -> list[TensorSpec]:
    """Parts of a loop's result that library calls read, where nothing reads all of it: each is written apart, but for
    a product, which takes its rows as they lie in the whole (``ExternKernel.realize_input`` in torch/_inductor/ir.py).
    """
    flow = loops.flow
    own = {value for i in group.members for value in flow.calls[i].output_ids}
    found: dict[int, TensorSpec] = {}
    for index, value, tensor in sorted((read for v in own for read in flow.reads.get(v, ())), key=lambda read: read[0]):
        if index in group.members:
            continue
        is_whole = tensor.elements >= group.size or flow.calls[index].trait in (Trait.GEMM, Trait.PRODUCT)
        if index in loops.all or is_whole:
            return []
        found[value] = tensor
    return [] if own & flow.outputs else list(found.values())


def _bytes_written(loops: Loops, group: Group) -> float:
    """Bytes of its results that others read, or the model returns; 0 where nobody is known to."""
    flow, members, total = loops.flow, set(group.members), 0.0
    for index in group.members:
        call = flow.calls[index]
        own = set(call.output_ids)
        others = not loops.users.get(index, set()) <= members or any(flow.root(v) in own for v in flow.outputs)
        total += sum(t.elements * t.itemsize for t in call.outputs) if others else 0.0
    return total


def _kernel(loops: Loops, group: Group, rows: int | None = None) -> Kernel:
    kernel = fused_kernel(loops.flow, group.members, "triton", group.inlined, rows)
    puts = [loops.flow.calls[i].tensors[-1] for i in group.members if loops.flow.calls[i].op in SCATTERS]
    if puts:
        moved = float(sum(source.elements * source.itemsize for source in puts))
        return replace(
            kernel, dims={**kernel.dims, "elements": group.size, "bytes_read": moved, "bytes_written": moved}
        )
    written = _bytes_written(loops, group) or kernel.dims["bytes_written"]
    read = max(_bytes_read(loops.flow, group), kernel.dims["bytes_read"])
    elements = max(kernel.dims["elements"], group.size if rows else 0)
    work = float(round(_cycles(loops, group) / max(elements, 1)))  # whole cycles: a size says them exactly
    dims = {"elements": elements, "bytes_read": read, "bytes_written": written, "work": work}
    return replace(kernel, dims={**kernel.dims, **dims})


def _added(call: OpCall) -> Kernel | None:
    """The kernel of a loop that adds elements of half precision to places one by one, where it does. Two neighbours of
    rows of an even width are added by one instruction (``AtomicRMWOpConversion`` of Triton); for one element there is
    none: a thread exchanges the word that it lies in, which its neighbour changes, too, and each that is added to the
    same place meanwhile.
    """
    if not _adds(call) or call.tensors[0].itemsize >= WORD_BYTES or _side_by_side(call) % 2 == 0:
        return None
    into = call.tensors[0]
    rows = call.tensors[-1].elements
    met = min(rows, THREADS) / into.elements
    changes = WORD_BYTES / into.itemsize * (1 + met)
    return Kernel("triton_exchange", into.dtype, {"rows": float(rows), "changes": changes})


def _adds(call: OpCall) -> bool:
    """Whether a call adds to what is in places that a tensor says."""
    adds = ("index_add", "scatter_add", "scatter_reduce")
    return call.op in SCATTERS and (call.op.rstrip("_") in adds or bool(call.args.get("accumulate")))


def _side_by_side(call: OpCall) -> int:
    """Elements that one index puts side by side."""
    index = call.args.get("index")
    if isinstance(index, TensorSpec) and call.op.startswith("scatter"):
        return shared_run(index)
    if isinstance(index, TensorSpec):
        return math.prod(call.tensors[0].shape[int(call.args.get("dim", 0)) + 1 :])
    return call.tensors[-1].elements // max(t.elements for t in call.tensors[1:-1])


def _cycles(loops: Loops, group: Group) -> float:
    """Lane cycles of all that a group computes; of a reduction, of what it reads. What a pointwise loop computes again
    it computes for each of its elements, however few or many a result it is.
    """
    flow = loops.flow
    times = _times(flow, group) if group.rows is None else dict[int, int]()
    total = sum(_own_cycles(flow.calls[i]) for i in group.members if flow.calls[i].outputs)
    for i in group.inlined:
        if flow.calls[i].outputs:
            each = cycles_of(flow.calls[i])
            total += each * group.size * times[i] if group.rows is None else _own_cycles(flow.calls[i])
    if group.rows is not None and group.parts == 1 and _is_stepped(loops, group):
        total += group.size * sum(_stepped_cycles(flow.calls[i]) for i in group.calls)
    elsewhere, gathers = _reads_elsewhere(loops, group, times), _gathers(flow, group)
    return total + group.size * (ELSEWHERE_CYCLES * elsewhere + GATHERED_CYCLES * gathers)


def _times(flow: Dataflow, group: Group) -> dict[int, int]:
    """How often a pointwise loop computes each call that it computes again: for each view of its result that is read,
    as slices are that are joined otherwise.
    """
    times = dict.fromkeys(group.calls, 1)
    for i in sorted(group.inlined, reverse=True):
        views: dict[int, int] = {}
        for reader in group.calls:
            for value in flow.calls[reader].input_ids:
                if flow.maker.get(flow.root(value)) == i:
                    views[value] = max(views.get(value, 1), times[reader])
        times[i] = max(sum(views.values()), 1)
    return times


WINDOW_PLACE_CYCLES = 40.0
"""Lane cycles of a pixel that is averaged with others of a window that is not the whole image, and whose place is found
by divisions. By the samples of an H200 36 and 37 in windows of 49 and 196; 70 in windows of 10 x 10
(``benchmarks.operator_audit --runtimes compile``).
"""


def _own_cycles(call: OpCall) -> float:
    if is_reduced_window(call):
        whole = math.prod(call.outputs[0].shape[-spatial_dims(call.op) :]) == 1
        return call.outputs[0].elements * window_of(call) * (USUAL_CYCLES if whole else WINDOW_PLACE_CYCLES)
    return cycles_of(call) * max(t.elements for t in (*call.outputs, *(call.tensors if rows_of(call) else ())))


def _stepped_cycles(call: OpCall) -> float:
    """What an element of a row that is reduced in steps costs more."""
    return FOUND_CYCLES if finds_places(call) else STEPPED_CYCLES.get(call.op, 0.0)


def _is_stepped(loops: Loops, group: Group) -> bool:
    """Whether its rows are too long to be reduced at once."""
    dims = {"elements": group.size, "rows": group.rows or 0, "strided": is_strided(loops, group)}
    return bool(blocks_of({name: np.array(float(value)) for name, value in dims.items()}).is_stepped)


def _reads_elsewhere(loops: Loops, group: Group, times: Mapping[int, int]) -> int:
    """Reads of tensors at other places than those of its own elements: each place is found by divisions, and read for
    itself. Where tensors are joined, that is all of them. times: that a call is computed.
    """
    flow, found = loops.flow, dict[int, int]()
    computed = {value for i in group.calls for value in flow.calls[i].output_ids}
    for i in group.calls:
        call = flow.calls[i]
        if not call.outputs:
            continue
        whole = call.tensors[0] if rows_of(call) is not None else call.outputs[0]
        for value, tensor in zip(call.input_ids, call.tensors, strict=True):
            if flow.root(value) in computed or tensor.elements <= 1 or _is_table(call, value):
                continue
            in_order = is_vectorised(tensor, whole) or (tensor.elements == whole.elements and tensor.is_contiguous)
            if not in_order or whole.elements < group.size:
                found[value] = max(found.get(value, 1), times.get(i, 1))
    return sum(found.values())


def _gathers(flow: Dataflow, group: Group) -> int:
    """Calls of it that read places which a tensor says."""
    return sum(flow.calls[i].trait is Trait.GATHER for i in group.calls)


def _is_table(call: OpCall, value: int) -> bool:
    return call.trait is Trait.GATHER and value == call.input_ids[0]


def _bytes_read(flow: Dataflow, group: Group) -> float:
    """Bytes that a group reads of what calls have made, several parts of one result added up."""
    seen: dict[int, dict[int, int]] = {}
    computed = {value for i in group.calls for value in flow.calls[i].output_ids}
    for i in group.calls:
        call = flow.calls[i]
        for value, tensor in zip(call.input_ids, call.tensors, strict=True):
            root = flow.root(value)
            if root not in computed:
                gathered = call.trait is Trait.GATHER and value == call.input_ids[0]
                tensor = call.outputs[0] if gathered else tensor
                seen.setdefault(root, {})[value] = min(tensor.nbytes, tensor.elements * tensor.itemsize)
    total = 0.0
    for root, views in seen.items():
        made = flow.calls[flow.maker[root]] if root in flow.maker else None
        whole = made.outputs[made.output_ids.index(root)].nbytes if made is not None else max(views.values())
        total += min(sum(views.values()), max(whole, max(views.values())))
    return total


def _split_scan(whole: Kernel, parts: int) -> Iterator[Kernel]:
    """What scans rows of which each is split: its parts wait for the sums of those before them, which lie in zeros that
    a kernel writes before (``SplitScan`` in torch/_inductor/ir.py).
    """
    yield from fill_of(TensorSpec((2 * parts,), "fp32", (1,)))
    each = STRIDED_SPLIT_CYCLES if whole.dims["strided"] else SPLIT_CYCLES
    yield replace(whole, dims={**whole.dims, "work": whole.dims["work"] + each, "rows": 0.0})


TWICE = SOFTMAX | {"log_softmax", "_log_softmax"}
"""Reductions of rows that are two: the largest, then a sum."""

_GROUP_NORMS = frozenset({"group_norm", "native_group_norm"})


def kernels(loops: Loops, group: Group) -> Iterator[Kernel]:
    """The kernels of a group: mostly one. A reduction whose rows are split takes three: parts of the rows, the rows,
    and the loop that uses them, of a softmax five; that of a group norm channels-last two, for its rows are not what
    the loop runs over.
    """
    flow = loops.flow
    if group.rows is None:
        kernel = _kernel(loops, group)
        added = [found for i in group.members if (found := _added(flow.calls[i])) is not None]
        if added:
            yield max(added, key=lambda found: found.dims["rows"])
            return
        kernel = replace(kernel, dims={**kernel.dims, "strided": float(is_turned_over(loops, group))})
        slices = _slices(loops, group)
        for part in slices:
            share = part.elements / group.size
            parts_dims = {name: kernel.dims[name] * share for name in ("elements", "bytes_read", "bytes_written")}
            yield replace(kernel, dims={**kernel.dims, **parts_dims})
        if not slices:
            yield kernel
        return
    reduction = next(i for i in group.members if rows_of(flow.calls[i]) is not None)
    call = flow.calls[reduction]
    whole, loop = _kernel(loops, group, group.rows), _kernel(loops, group)
    whole = replace(whole, dims={**whole.dims, "strided": float(is_strided(loops, group))})
    if loops.channels_last and call.op in _GROUP_NORMS and len(call.tensors[0].shape) == 4:
        yield replace(whole, dims={**whole.dims, "bytes_written": group.rows * 8.0})
        yield loop
        return
    if group.parts == 1:
        yield whole
        return
    parts = group.rows * group.parts
    if call.trait is Trait.SCAN:
        yield from _split_scan(whole, parts)
        return
    written = parts * 4.0
    of_parts = {"bytes_written": written, "rows": float(parts), "contiguous": 0.0}
    small = {"elements": float(parts), "bytes_read": written, "bytes_written": group.rows * 4.0, "inputs": 1.0}
    for _ in range(2 if call.op in TWICE else 1):  # the largest of a row, then the sum of its exponentials
        yield replace(whole, dims={**whole.dims, **of_parts})
        yield Kernel("triton", "fp32", {**small, "contiguous": 1.0, "kind": 0.0, "rows": float(group.rows)})
    if any(flow.calls[i].outputs[0].elements > group.rows for i in group.members):
        yield loop
