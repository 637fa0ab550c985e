"""torch.compile with its default backend, Inductor."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from predictor.graph.dataflow import Dataflow
from predictor.ops import Fuser, GraphBreak, graph_break, is_fused, operator_of
from predictor.ops.arguments import pair
from predictor.ops.matrix import adds_bias
from predictor.records import (
    COMPILED,
    NEXT_GRAPH,
    TODAY,
    UNCOMPILED,
    CaptureMode,
    Graph,
    HostCall,
    Kernel,
    OpCall,
    Program,
    PythonWork,
    Target,
    TensorSpec,
    Trait,
)
from predictor.runtimes.eager import lowering as eager
from predictor.runtimes.fusion import fused_kernel, read_from_outside

NAME = "compile"

AS_EXPORT_BEFORE = ("2.12", CaptureMode.COMPILED_AS_EXPORT)
"""Before this version of torch its compiler answers that it exports, to code that asks
(``tracing_state_functions`` in torch/_dynamo/variables/torch.py of 2.11, and of 2.12).
"""


ALONG_ROWS = frozenset({Trait.REDUCTION, Trait.SCAN})


CHEAP_READS = 4
"""Values that a loop may read and still be computed again by each of its readers, as Inductor does by default."""


CALLS_PER_CONV = 300
"""Convolutions are made channels-last where fewer calls than this come with each (Inductor's ``decide_layout_opt``)."""


def lower(graph: Graph, target: Target = TODAY) -> Program:
    """Graph -> host calls and their kernels, of all parts one after another."""
    unmodelled: Counter[str] = Counter()
    calls = tuple(call for part in parts(graph, unmodelled) for call in part.calls)
    return Program(NAME, graph.dtype, calls, PythonWork(), dict(unmodelled), eager.unsupported_reason(graph))


@dataclass(frozen=True, slots=True)
class Part:
    """What one compiled graph runs, or eager mode between two."""

    is_compiled: bool
    calls: tuple[HostCall, ...]


def parts(graph: Graph, unmodelled: Counter[str]) -> list[Part]:
    """The parts of a pass in their order: one, where nothing breaks the graph. unmodelled: counts what nobody models.

    A part that is compiled is library calls, and between them loops, fused as far as they fit. Before them every weight
    and input is checked, for they might have changed; each graph but the first costs as much again as a pass.
    """
    sections = _sections(graph.calls)
    read_later = [set(graph.outputs)]
    for _, calls in reversed(sections[1:]):
        read_later.append(read_later[-1].union(*(call.input_ids for call in calls)))
    found: list[Part] = []
    for (is_compiled, calls), outputs in zip(sections, reversed(read_later), strict=True):
        if not is_compiled:
            left = (eager.host_call(call, graph.dtype, unmodelled) for call in calls)
            found.append(Part(False, tuple(replace(call, uncompiled=True) for call in left)))
            continue
        lowered = _compiled(replace(graph, calls=calls, outputs=tuple(outputs)), unmodelled)
        begins = [HostCall(NEXT_GRAPH, (), PythonWork(), Trait.GUARD, origin=calls[0].origin)]
        again = begins if any(part.is_compiled for part in found) else []
        found.append(Part(True, (*again, *lowered)))
    return found


def _sections(calls: Sequence[OpCall]) -> list[tuple[bool, tuple[OpCall, ...]]]:
    """Calls between two marks of a capture, and whether they are compiled."""
    sections: list[tuple[bool, list[OpCall]]] = [(True, [])]
    for call in calls:
        if call.op in (COMPILED, UNCOMPILED):
            sections.append((call.op == COMPILED, []))
        else:
            sections[-1][1].append(call)
    return [(is_compiled, tuple(section)) for is_compiled, section in sections if section] or [(True, ())]


def _compiled(graph: Graph, unmodelled: Counter[str]) -> list[HostCall]:
    """The calls of one compiled graph."""
    leaves = [_as_loop(c) for c in graph.leaves if c.trait is not Trait.HOST]
    channels_last = _wants_channels_last(leaves)
    flow = Dataflow.of([part for call in leaves for part in _decomposed(call)], graph.outputs).live().once()
    every = _groups(flow)
    loops = {index for group in every for index in group.members}
    groups = _emitted(flow, every)
    last = {max(group.members): group for group in groups}
    weights = {v for c in flow.calls for v in c.input_ids if v not in flow.maker}
    issued = [HostCall("weight", (), PythonWork(), Trait.GUARD)] * len(weights)
    for index, call in enumerate(flow.calls):
        if index in last:
            origin = flow.calls[last[index].members[0]].origin
            macs = sum(flow.calls[i].macs for i in last[index].members)
            issued += [
                HostCall("triton", (k,), PythonWork(), Trait.POINTWISE, origin=origin, macs=0 if number else macs)
                for number, k in enumerate(_kernels(flow, last[index], loops, channels_last))
            ]
        elif call.trait is not Trait.VIEW and not is_fused(call, Fuser.INDUCTOR):
            issued += _library_calls(call, graph.dtype, channels_last, unmodelled)
    return issued


def _as_loop(call: OpCall) -> OpCall:
    """What is copied to the device is a constant of the compiled graph, which loops compute for themselves."""
    is_upload = call.trait is Trait.SYNC and call.outputs and graph_break(call.op) is GraphBreak.NONE
    return replace(call, op="full", trait=Trait.FILL) if is_upload else call


def _wants_channels_last(calls: list[OpCall]) -> bool:
    convs = [c for c in calls if c.op == "conv2d"]
    return bool(convs) and len(calls) < CALLS_PER_CONV * len(convs)


def _weight(call: OpCall) -> TensorSpec:
    weight: TensorSpec = call.args["weight"]
    return weight


def _decomposed(call: OpCall) -> Iterator[OpCall]:
    """A bias that the library does not add (that of a convolution, of a product in single precision or with a strided
    input) is added by a loop, which is fused with what follows.
    """
    apart = call.trait is Trait.CONV or (
        call.op == "linear" and not (adds_bias(call) and call.outputs[0].itemsize == 2)
    )
    if not apart or not isinstance(call.args.get("bias"), TensorSpec):
        yield call
        return
    x, weight, bias = call.input_ids[:3]
    out = -call.output_ids[0]
    yield replace(call, args={**call.args, "bias": None}, input_ids=(x, weight), output_ids=(out,))
    summands = {"self": call.outputs[0], "other": call.args["bias"]}
    yield OpCall(
        "add",
        summands,
        call.outputs,
        Trait.POINTWISE,
        input_ids=(out, bias),
        output_ids=call.output_ids,
        origin=call.origin,
    )


def _library_calls(call: OpCall, dtype: str, channels_last: bool, unmodelled: Counter[str]) -> Iterator[HostCall]:
    """A library's call, and the loops that bring what it reads into the layout that it wants: for a linear layer the
    loops that make its input do that.
    """
    library = replace(eager.host_call(call, dtype, unmodelled), python=PythonWork())
    if call.op == "linear":
        library = replace(library, kernels=tuple(k for k in library.kernels if k.family != "copy"))
    if call.trait is Trait.CONV and channels_last:
        weight = _weight(call)
        if math.prod(weight.shape[2:]) > 1 and weight.shape[1] > 1:
            yield HostCall("triton", _loop(weight, weight), PythonWork(), Trait.COPY, origin=call.origin)
        library = replace(library, kernels=tuple(_channels_last(k, call) for k in library.kernels))
    if call.trait is Trait.ATTENTION and len(library.kernels) > 1:  # a boolean mask is made an additive one by one loop
        mask = call.args["attn_mask"]
        loop = _loop(mask, replace(mask, dtype=call.outputs[0].dtype))
        yield HostCall("triton", loop, PythonWork(), Trait.POINTWISE, origin=call.origin)
        library = replace(library, kernels=library.kernels[-1:])
    yield library


def _loop(read: TensorSpec, written: TensorSpec) -> tuple[Kernel, ...]:
    """A loop from one tensor to another."""
    dims = {"elements": written.elements, "bytes_read": read.nbytes, "bytes_written": written.nbytes}
    return (Kernel("triton", written.dtype, {**dims, "inputs": 1.0, "contiguous": 0.0, "kind": 0.0, "rows": 0.0}),)


def _channels_last(kernel: Kernel, call: OpCall) -> Kernel:
    """A convolution's kernel in that layout, where one of single pixels is a matrix product. One that is priced as a
    product already (transposed, three-dimensional) stays.
    """
    d = kernel.dims
    if "r" not in d:
        return kernel
    if (d["r"], d["s"], d["stride_h"], d["stride_w"], d["pad_h"], d["pad_w"], d["groups"]) == (1, 1, 1, 1, 0, 0, 1):
        out = call.outputs[0]
        dims = {"m": out.elements // out.shape[1], "n": d["c_out"], "k": d["c_in"], "batch": 1, "nt": 1.0, "bias": 0.0}
        return Kernel("gemm", kernel.dtype, dims)
    return replace(kernel, dims={**d, "channels_last": 1.0})


@dataclass
class _Group:
    """Loops that become one kernel. size: iterations; rows: those of its reduction, none for a pointwise one."""

    members: list[int]
    size: int
    rows: int | None = None
    inlined: set[int] = field(default_factory=set)


def _rows(call: OpCall) -> int | None:
    """Rows of a reduction, None for other loops."""
    if call.op in ("batch_norm", "native_batch_norm") or not call.tensors:
        return None
    x = call.tensors[0]
    kernels = operator_of(call.op).lower(call) if call.trait in (*ALONG_ROWS, Trait.POOL) else ()
    rows = [k.dims["rows"] for k in kernels if "rows" in k.dims]
    return int(rows[0]) if rows and x.elements else None


def _size(call: OpCall) -> int:
    if call.trait in ALONG_ROWS and call.tensors:
        return max(call.tensors[0].elements, call.outputs[0].elements)
    return call.outputs[0].elements if call.outputs else 0


def _groups(flow: Dataflow) -> list[_Group]:
    """Every loop in a group, in issue order: it joins the loops whose results it reads where both run alike."""
    group_of: dict[int, _Group] = {}
    for index, call in enumerate(flow.calls):
        if call.trait is Trait.VIEW or not is_fused(call, Fuser.INDUCTOR) or not _size(call):
            continue
        group = group_of[index] = _Group([index], _size(call), _rows(call))
        for producer in sorted(_sources(flow, index), reverse=True):
            earlier = group_of.get(producer)
            if earlier is None or earlier is group or not _run_alike(earlier, group):
                continue
            if flow.are_joinable(earlier.members, group.members):
                group = _join(group_of, earlier, group)
    return list({id(group): group for group in group_of.values()}.values())


def _join(group_of: dict[int, _Group], first: _Group, second: _Group) -> _Group:
    both = _Group(sorted((*first.members, *second.members)), max(first.size, second.size), first.rows or second.rows)
    group_of.update(dict.fromkeys(both.members, both))
    return both


def _sources(flow: Dataflow, index: int) -> set[int]:
    """Calls that make what a call reads, behind views."""
    roots = (flow.root(value) for value in flow.calls[index].input_ids)
    return {flow.maker[root] for root in roots if root in flow.maker}


def _run_alike(first: _Group, second: _Group) -> bool:
    """Whether two groups run over the same iterations: all of them, or the rows of a reduction."""
    if first.rows is not None and second.rows is not None:
        return (first.rows, first.size) == (second.rows, second.size)
    if first.rows is None and second.rows is None:
        return first.size == second.size
    reduction, loop = (first, second) if first.rows is not None else (second, first)
    return loop.size == reduction.size or (reduction is first and loop.size == reduction.rows)


def _emitted(flow: Dataflow, groups: list[_Group]) -> list[_Group]:
    """Groups that become kernels: not those that their readers compute again for themselves."""
    group_of = {index: group for group in groups for index in group.members}
    readers: dict[int, set[int]] = {}
    for index, call in enumerate(flow.calls):
        if call.trait is not Trait.VIEW:
            for source in _sources(flow, index):
                readers.setdefault(source, set()).add(index)
    returned = {flow.maker[flow.root(v)] for v in flow.outputs if flow.root(v) in flow.maker}
    emitted = []
    for group in groups:
        others = {r for i in group.members for r in readers.get(i, ())} - set(group.members)
        by_loops = all(r in group_of for r in others) and returned.isdisjoint(group.members)
        windows = any(flow.calls[r].trait is Trait.POOL for r in others)
        alone = len({id(group_of[r]) for r in others if r in group_of}) == 1
        cheap = alone or len(read_from_outside(flow, group.members)) <= CHEAP_READS
        if others and by_loops and group.rows is None and cheap and not windows:
            for reader in others:
                group_of[reader].inlined |= {*group.members, *group.inlined}
        else:
            emitted.append(group)
    return emitted


SPLIT_BELOW = 8192
"""Rows of a reduction along a strided dimension below which it is split in two, as profiles on an H200 show it.
Inductor decides by the device's multiprocessors, so smaller devices split less.
"""


FEW_ROWS, MANY_COLS = 264, 8192
"""Fewer rows than the first, each longer than the second, are split along a dimension that is not strided, too: seen
there likewise.
"""


PARTS = 8
"""Parts that a row is split into there: a guess, which decides little."""


UNROLLED = 25
"""Pixels of a window, up to which Inductor writes an average out; above it loops over all, also those that lie outside
of the image.
"""


ITERATION = 24
"""Elements of a pointwise loop that take as long as one pixel of such a window: an average over 1280 x 1280 pixels of
an image of 7 x 7 took 29 ms on an H100 for 20,480 channels and 1.4 ms for 1280, which are 28 and 20 (EfficientNet, the
only model seen to do that); not measured by a calibration.
"""


def _looped(call: OpCall) -> float:
    """Iterations of the loop that averages over large windows, 0 for anything else."""
    if not call.op.startswith("avg_pool"):
        return 0.0
    window = math.prod(pair(call.args["kernel_size"], 1 if "1d" in call.op else 2))
    return call.outputs[0].elements * window if window > UNROLLED else 0.0


def _reads(flow: Dataflow, group: _Group, until: int) -> Iterator[tuple[int, TensorSpec]]:
    """Values that a group reads and does not compute, behind views, with what it sees of each. until: a call, the last
    that counts.
    """
    members = [i for i in (*group.inlined, *group.members) if i <= until]
    computed = {value for i in members for value in flow.calls[i].output_ids}
    for i in members:
        for value, tensor in zip(flow.calls[i].input_ids, flow.calls[i].tensors, strict=True):
            if flow.root(value) not in computed:
                yield flow.root(value), tensor


def _is_strided(flow: Dataflow, group: _Group, reduction: int, loops: set[int]) -> bool:
    """Whether the rows of a reduction are strided, as Inductor tells it (``Reduction.num_splits``): no fewer reads of
    full size are, along what is reduced, than are not. Whatever layout eager mode gives a loop's result, Inductor
    writes it in order.
    """
    call = flow.calls[reduction]
    if any(k.dims.get("inner", 1.0) > 1 for k in operator_of(call.op).lower(call)):
        return not call.tensors[0].is_contiguous
    votes, any_strided = 0, False
    for root, tensor in _reads(flow, group, reduction):
        if tensor.elements == group.size:
            maker = flow.maker.get(root)
            made = flow.calls[maker] if maker is not None else None
            in_order = made is not None and maker in loops and not made.outputs[0].is_contiguous
            strided = tensor.stride[-1] > 1 and not in_order
            votes += 1 if strided else -1
            any_strided |= strided
    return any_strided and votes >= 0


def _slices(flow: Dataflow, group: _Group, loops: set[int]) -> list[TensorSpec]:
    """Parts of a loop's result that library calls read, where nothing reads all of it: each is written apart."""
    own = {value for i in group.members for value in flow.calls[i].output_ids}
    found: dict[int, TensorSpec] = {}
    for index, value, tensor in sorted((read for v in own for read in flow.reads.get(v, ())), key=lambda read: read[0]):
        if index in group.members:
            continue
        if index in loops or tensor.elements >= group.size:
            return []
        found[value] = tensor
    return [] if own & flow.outputs else list(found.values())


_GROUP_NORMS = frozenset({"group_norm", "native_group_norm"})


def _kernels(flow: Dataflow, group: _Group, loops: set[int], channels_last: bool) -> Iterator[Kernel]:
    """The kernels of a group: mostly one. A reduction of few rows that are strided or very long takes three: parts of
    the rows, the rows, and the loop that uses them; that of a group norm channels-last two, for its rows are not what
    the loop runs over. loops: calls that are in any group.
    """
    if group.rows is None:
        kernel = fused_kernel(flow, group.members, "triton", group.inlined)
        looped = ITERATION * sum(_looped(flow.calls[i]) for i in group.members)
        kernel = replace(kernel, dims={**kernel.dims, "elements": max(kernel.dims["elements"], looped)})
        slices = _slices(flow, group, loops)
        for part in slices:
            share = part.elements / group.size
            parts_dims = {name: kernel.dims[name] * share for name in ("elements", "bytes_read", "bytes_written")}
            yield replace(kernel, dims={**kernel.dims, **parts_dims})
        if not slices:
            yield kernel
        return
    reduction = next(i for i in group.members if _rows(flow.calls[i]) is not None)
    call = flow.calls[reduction]
    whole = fused_kernel(flow, group.members, "triton", group.inlined, group.rows)
    loop = fused_kernel(flow, group.members, "triton", group.inlined)
    if channels_last and call.op in _GROUP_NORMS and len(call.tensors[0].shape) == 4:
        yield replace(whole, dims={**whole.dims, "bytes_written": group.rows * 8.0})
        yield loop
        return
    strided, cols = _is_strided(flow, group, reduction, loops), group.size // group.rows
    if group.rows >= (SPLIT_BELOW if strided else FEW_ROWS) or (not strided and cols < MANY_COLS):
        yield whole
        return
    parts = group.rows * PARTS
    written = parts * 4.0
    yield replace(whole, dims={**whole.dims, "bytes_written": written, "rows": float(parts), "contiguous": 0.0})
    small = {"elements": float(parts), "bytes_read": written, "bytes_written": group.rows * 4.0, "inputs": 1.0}
    yield Kernel("triton", "fp32", {**small, "contiguous": 1.0, "kind": 0.0, "rows": float(group.rows)})
    yield loop
