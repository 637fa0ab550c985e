"""torch.compile with its default backend, Inductor."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from predictor.graph.dataflow import Dataflow
from predictor.ops import GraphBreak, graph_break, is_attention, operator_of
from predictor.ops.fills import FILLED_LIKE
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
from predictor.runtimes.compile import attention
from predictor.runtimes.compile.kernels import kernels
from predictor.runtimes.compile.layout import is_convolution, is_of_images, wants_channels_last
from predictor.runtimes.compile.loops import SCATTERS, Loops, groups, is_library_call
from predictor.runtimes.eager import lowering as eager

NAME = "compile"

AS_EXPORT_BEFORE = ("2.12", CaptureMode.COMPILED_AS_EXPORT)
"""Before this version of torch its compiler answers that it exports, to code that asks
(``tracing_state_functions`` in torch/_dynamo/variables/torch.py of 2.11, and of 2.12).
"""


def lower(graph: Graph, target: Target = TODAY) -> Program:
    """Graph -> host calls and their kernels, of all parts one after another."""
    compiled = parts(graph)
    calls = tuple(call for part in compiled.parts for call in part.calls)
    return Program(NAME, graph.dtype, calls, compiled.tail, compiled.unmodelled, eager.unsupported_reason(graph))


@dataclass(frozen=True, slots=True)
class Part:
    """What one compiled graph runs, or eager mode between two. given: what a graph reads of the model's inputs, and of
    what eager mode has made.
    """

    is_compiled: bool
    calls: tuple[HostCall, ...]
    given: tuple[TensorSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Compiled:
    """What runs of a graph: its parts in their order, one where nothing breaks it; the Python after the last operator,
    where eager mode runs that; and counts of operators that nobody models.
    """

    graph: Graph
    parts: tuple[Part, ...]
    tail: PythonWork
    unmodelled: Mapping[str, int]


_latest: list[Compiled] = []


def parts(graph: Graph) -> Compiled:
    """The parts of a pass. The latest is kept, for two runtimes ask for the same graph one after another."""
    for compiled in _latest[:1]:
        if compiled.graph is graph:
            return compiled
    unmodelled: Counter[str] = Counter()
    found = tuple(_parts(graph, unmodelled))
    tail = PythonWork() if not found or found[-1].is_compiled else graph.tail
    compiled = Compiled(graph, found, tail, dict(unmodelled))
    _latest[:] = [compiled]
    return compiled


def _parts(graph: Graph, unmodelled: Counter[str]) -> list[Part]:
    """The parts of a pass in their order. unmodelled: counts what nobody models.

    A part that is compiled is library calls, and between them loops, fused as far as they fit. Before them every weight
    and input is checked, for they might have changed, and before the first part the modules that are looked at one by
    one; each graph but the first costs as much again as a pass.
    """
    sections = _sections(graph.calls)
    read_later = [set(graph.outputs)]
    for _, calls in reversed(sections[1:]):
        read_later.append(read_later[-1].union(*(call.input_ids for call in calls)))
    found: list[Part] = []
    outside = set(graph.inputs)
    for (is_compiled, calls), outputs in zip(sections, reversed(read_later), strict=True):
        if not is_compiled:
            outside.update(value for call in calls for value in call.output_ids)
            left = (eager.host_call(call, graph.dtype, unmodelled) for call in calls)
            found.append(Part(False, tuple(replace(call, uncompiled=True) for call in left)))
            continue
        lowered = _compiled(replace(graph, calls=calls, outputs=tuple(outputs)), unmodelled)
        is_next = any(part.is_compiled for part in found)
        checks = _next_graph(calls[0]) if is_next else _checks(graph.checked_modules)
        found.append(Part(True, (*checks, *lowered), _given(calls, outside)))
    return found


def _next_graph(first: OpCall) -> Sequence[HostCall]:
    """What is checked before a graph behind another one. first: the graph's first call."""
    return [HostCall(NEXT_GRAPH, (), PythonWork(), Trait.GUARD, origin=first.origin)]


def _checks(modules: int) -> Sequence[HostCall]:
    """What is checked of modules before the first graph."""
    return [HostCall(CHECKED_MODULE, (), PythonWork(), Trait.GUARD, times=modules)] if modules else []


def _given(calls: Sequence[OpCall], outside: Set[int]) -> tuple[TensorSpec, ...]:
    """Of values from outside those that calls read, as the first of them sees each."""
    first: dict[int, TensorSpec] = {}
    for call in calls:
        for value, tensor in zip(call.input_ids, call.tensors, strict=False):
            if value in outside:
                first.setdefault(value, tensor)
    return tuple(first.values())


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
    leaves = [_of_numbers(_as_loop(c)) for c in _seen(graph.calls) if c.trait is not Trait.HOST]
    flow = attention.fused(Dataflow.of(leaves, graph.outputs).live())
    channels_last = wants_channels_last(flow.calls)
    flow = Dataflow.of([_not_copied(flow, call) for call in flow.calls], graph.outputs)
    flow = Dataflow.of([part for call in flow.calls for part in _padded(call)], graph.outputs)
    flow = Dataflow.of([part for call in flow.calls for part in _decomposed(call)], graph.outputs).live().once()
    flow = Dataflow.of([part for call in flow.calls for part in _around_attention(flow, call)], flow.outputs)
    loops = Loops.of(flow, channels_last)
    last = {max(group.members): group for group in groups(loops)}
    weights = {v for c in flow.calls for v in c.input_ids if v not in flow.maker}
    issued = [HostCall("weight", (), PythonWork(), Trait.GUARD)] * len(weights)
    issued += _seeds(flow.calls, loops)
    explained: set[int] = set()
    for index, call in enumerate(flow.calls):
        if index in last:
            own = last[index].calls - explained  # what a later loop computes again is explained by the first
            explained |= own
            origin, macs = flow.calls[min(own)].origin, sum(flow.calls[i].macs for i in own)
            issued += [
                HostCall("triton", (k,), PythonWork(), Trait.POINTWISE, origin=origin, macs=0 if number else macs)
                for number, k in enumerate(kernels(loops, last[index]))
            ]
        for copied in (*loops.copied.get(index, ()), *_laid_out(call, loops, weights)):
            issued.append(HostCall("triton", _loop(copied, copied), PythonWork(), Trait.COPY, origin=call.origin))
        if is_library_call(call):
            if call.trait not in CALLED_DIRECTLY:
                issued.append(HostCall(FALLBACK, (), PythonWork(), Trait.HOST, origin=call.origin))
            issued += _library_calls(call, graph.dtype, channels_last, unmodelled)
    return issued


def _seeds(calls: Sequence[OpCall], loops: Loops) -> Iterator[HostCall]:
    """A call that draws a seed for each loop of random numbers, where there are any
    (``inductor_seeds`` in torch/_inductor/lowering.py).
    """
    drawn = [i for i in loops.all if operator_of(calls[i].op).is_random]
    if drawn:
        seeds = OpCall(
            "randint", {}, (TensorSpec((len(drawn),), "int64", (1,)),), Trait.FILL, origin=calls[drawn[0]].origin
        )
        yield replace(eager.host_call(seeds, "int64", Counter()), python=PythonWork())


CHECKED_MODULE = "checked module"
"""What a module costs that is looked at before compiled code runs, see ``predictor.capture.compiled_checks``."""

FALLBACK = "fallback"
"""What calling an operator costs beside its own cost, where the compiled code calls it by its schema
(``FallbackKernel`` in torch/_inductor/ir.py): its arguments are told from Python's one by one, its results are tensors
whose sizes are asserted.
"""

CALLED_DIRECTLY = frozenset({Trait.CONV, Trait.GEMM, Trait.PRODUCT})
"""Traits of operators that it calls as eager mode's Python does, into memory of its own (``ExternKernelOut``)."""


def _seen(calls: Iterable[OpCall]) -> Iterator[OpCall]:
    """The operators that a compiler sees: the parts of composite ones, but custom ones as they are."""
    for call in calls:
        if call.parts and not (call.trait is Trait.OPAQUE and call.outputs):
            yield from _seen(call.parts)
        elif call.trait is not Trait.COMPOSITE:
            yield call


def _as_loop(call: OpCall) -> OpCall:
    """What is copied to the device is a constant of the compiled graph, which loops compute for themselves."""
    is_upload = call.trait is Trait.SYNC and call.outputs and graph_break(call.op) is GraphBreak.NONE
    return replace(call, op="full", trait=Trait.FILL) if is_upload else call


def _of_numbers(call: OpCall) -> OpCall:
    """What is filled as another tensor is shaped reads nothing of that."""
    if call.op not in FILLED_LIKE:
        return call
    args = {name: value for name, value in call.args.items() if not isinstance(value, TensorSpec)}
    return replace(call, args={**args, "size": call.outputs[0].shape, "dtype": call.outputs[0].dtype}, input_ids=())


def _not_copied(flow: Dataflow, call: OpCall) -> OpCall:
    """A copy that lies as what it is of, and one tensor that is joined with empty ones, are that itself, but where an
    input would be returned, or something is written into (``remove_noop_ops`` in fx_passes/post_grad.py of
    torch/_inductor, ``cat`` in decomposition.py).
    """
    if call.op not in COPYING or len(call.tensors) != len(call.input_ids):
        return call
    held = [(v, tensor) for v, tensor in zip(call.input_ids, call.tensors, strict=True) if tensor.elements]
    if len(held) != 1 or not flow.written.isdisjoint((held[0][0], *call.output_ids)):
        return call
    value, tensor = held[0]
    is_input = flow.root(value) not in flow.maker and any(flow.root(v) in call.output_ids for v in flow.outputs)
    lies_so = tensor.is_dense if len(call.tensors) > 1 else tensor.stride == call.outputs[0].stride
    is_same = (tensor.shape, tensor.dtype) == (call.outputs[0].shape, call.outputs[0].dtype)
    if lies_so and is_same and not is_input:
        return replace(call, op="view", args={"self": tensor}, trait=Trait.VIEW, macs=0, input_ids=(value,))
    return replace(call, op="clone", args={"self": tensor}, input_ids=(value,)) if len(call.tensors) > 1 else call


COPYING = frozenset({"clone", "repeat", "cat"})
"""Operators that may give what they are given."""


def _passed_on(call: OpCall, number: int) -> int:
    """The value that the parts of a call pass on, of up to three: below zero, where a capture has none."""
    return -3 * call.output_ids[0] - number


ALIGNMENT = 8
"""Elements of half precision that the sizes of a product are padded to (``get_alignment_size_dtype`` in
torch/_inductor/fx_passes/pad_mm.py).
"""

COMPUTE_BOUND = 200.0
"""Products by an element that is read or written from which on it is tried whether they run faster padded: half of a
GPU's FLOPs by its bytes (``is_mm_compute_bound``), as torch knows them, 295 on an H100, of an H200 less. On that one a
product of 149 was not padded, ones of 253 were.
"""

UNALIGNED_FLOPS, ALIGNED_FLOPS, PADDED_BYTES, PADDED_S = 1.7e14, 6.0e14, 3.0e12, 1.5e-6
"""What decides the trial, in a second: FLOPs of a product as it is and padded, bytes that the loops move that pad; and
seconds that the one of the weights takes beside. Measured on an H200, 6,144 x 2,730 x 1,024.
"""

FASTER = 1.1
"""How many times as long as padded a product must take (``is_padded_faster``)."""


def _is_faster_padded(m: int, n: int, k: int) -> bool:
    """Whether a product of these sizes runs faster, as far as is known without a trial."""
    if m * n * k <= COMPUTE_BOUND * (m * k + n * k + m * n):
        return False
    padded = n * k + (m * k if k % ALIGNMENT else 0)
    padding_s = PADDED_S + 4 * padded / PADDED_BYTES
    return 2 * m * n * k / UNALIGNED_FLOPS > FASTER * (2 * m * n * k / ALIGNED_FLOPS + padding_s)


def _padded(call: OpCall) -> Iterator[OpCall]:
    """A large product in half precision with weights of a size that is no multiple of eight: loops pad them, and what
    they are multiplied with where it is too short, and the result is a part of what the library makes.
    """
    x, weight = call.args.get("input"), call.args.get("weight")
    if call.op != "linear" or not isinstance(x, TensorSpec) or not isinstance(weight, TensorSpec):
        yield call
        return
    (n, k), m = weight.shape, x.elements // max(x.shape[-1], 1)
    wide, deep = (math.ceil(size / ALIGNMENT) * ALIGNMENT for size in (n, k))
    if (wide, deep) == (n, k) or x.itemsize != 2 or not _is_faster_padded(m, n, k):
        yield call
        return
    padded_x, padded_weight = _dense((*x.shape[:-1], deep), x.dtype), _dense((wide, deep), weight.dtype)
    out = _dense((*call.outputs[0].shape[:-1], wide), call.outputs[0].dtype)
    made, of_x, of_weight = (_passed_on(call, number) for number in (1, 2, 3))
    inputs = [call.input_ids[0], of_weight, *call.input_ids[2:]]
    if deep != k:
        inputs[0] = of_x
        yield replace(_copied(call, call.input_ids[0], x, of_x, padded_x), op="constant_pad_nd")
    yield replace(_copied(call, call.input_ids[1], weight, of_weight, padded_weight), op="constant_pad_nd")
    args = {**call.args, "input": padded_x, "weight": padded_weight}
    yield replace(call, args=args, outputs=(out,), input_ids=tuple(inputs), output_ids=(made,))
    part = replace(call.outputs[0], stride=out.stride)
    yield replace(call, op="slice", args={"self": out}, outputs=(part,), trait=Trait.VIEW, macs=0, input_ids=(made,))


def _dense(shape: tuple[int, ...], dtype: str) -> TensorSpec:
    return TensorSpec(shape, dtype, tuple(math.prod(shape[i + 1 :]) for i in range(len(shape))))


SUMMED = frozenset({"mv", "dot", "vdot"})
"""Products with a vector, which are a loop that multiplies and sums (``mv`` in torch/_inductor/decomposition.py)."""


def _decomposed(call: OpCall) -> Iterator[OpCall]:
    """What is put into a copy of a tensor is put there by a loop of its own, or by a library, after the loop that
    copies. A bias that the
    library does not add (that of a convolution, of a product in single precision or with a strided input) is added by
    a loop, which is fused with what follows.
    """
    if call.op in SCATTERS and not call.op.endswith("_"):
        out = _passed_on(call, 1)
        yield _copied(call, call.input_ids[0], call.tensors[0], out, call.outputs[0])
        op = "index_put_" if call.op == "_unsafe_index_put" else f"{call.op}_"
        yield replace(call, op=op, input_ids=(out, *call.input_ids[1:]))
        return
    if call.op in SUMMED:
        matrix, vector = call.tensors
        args = {"self": matrix, "other": vector, "dim": (-1,)}
        yield replace(call, op="sum", args=args, trait=Trait.REDUCTION)
        return
    if call.op == "addmv":
        added, matrix, vector = call.tensors
        out, args = _passed_on(call, 1), {"self": matrix, "other": vector, "dim": (-1,)}
        summed = replace(call, op="sum", args=args, trait=Trait.REDUCTION)
        yield replace(summed, input_ids=call.input_ids[1:], output_ids=(out,))
        sums = {"self": added, "other": call.outputs[0]}
        yield replace(call, op="add", args=sums, trait=Trait.POINTWISE, macs=0, input_ids=(call.input_ids[0], out))
        return
    apart = call.trait is Trait.CONV or (
        call.op == "linear" and not (adds_bias(call) and call.outputs[0].itemsize == 2)
    )
    if not apart or not isinstance(call.args.get("bias"), TensorSpec):
        yield call
        return
    x, weight, bias = call.input_ids[:3]
    out = _passed_on(call, 1)
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


def _around_attention(flow: Dataflow, call: OpCall) -> Iterator[OpCall]:
    """Fused attention takes a mask in its own dtype and layout: each call has a loop that writes it so, but where the
    graph is given it in that dtype. Its result lies as its queries do: where that is not heads side by side, a loop
    brings it there.
    """
    if not is_attention(call.op):
        yield call
        return
    mask, query, out = call.args.get("attn_mask"), call.args["query"], call.outputs[0]
    names = [name for name, value in call.args.items() if isinstance(value, TensorSpec)]
    position = names.index("attn_mask") if "attn_mask" in names else -1
    is_given = position >= 0 and flow.root(call.input_ids[position]) not in flow.maker
    if isinstance(mask, TensorSpec) and not (is_given and mask.dtype == out.dtype):
        written = _passed_on(call, 2)
        read, mask = call.input_ids[position], replace(mask, dtype=out.dtype)
        yield _copied(call, read, call.args["attn_mask"], written, mask)
        input_ids = (*call.input_ids[:position], written, *call.input_ids[position + 1 :])
        call = replace(call, args={**call.args, "attn_mask": mask}, input_ids=input_ids)
    if len(query.shape) == 4 and query.is_contiguous and not out.is_contiguous:
        apart = _passed_on(call, 3)
        yield replace(call, output_ids=(apart,))
        yield _copied(call, apart, replace(out, stride=query.stride), call.output_ids[0], out)
    else:
        yield call


def _copied(call: OpCall, read: int, tensor: TensorSpec, written: int, out: TensorSpec) -> OpCall:
    return OpCall(
        "clone", {"self": tensor}, (out,), Trait.COPY, input_ids=(read,), output_ids=(written,), origin=call.origin
    )


def _laid_out(call: OpCall, loops: Loops, waiting: set[int]) -> Iterator[TensorSpec]:
    """What loops bring into the layout that a convolution wants: its input, where no loop can write it so, and its
    weight before the first call that has it. waiting: weights that none has had yet.
    """
    if not is_convolution(call):
        return
    x, weight = call.tensors[0], call.args["weight"]
    channels_last = loops.channels_last and is_of_images(call)
    maker = loops.flow.maker.get(loops.flow.root(call.input_ids[0]))
    readers = loops.users.get(maker, set()) - loops.all if maker is not None else set()
    is_written_so = maker in loops.written and all(loops.flow.calls[i].trait is Trait.CONV for i in readers)
    is_made_so = channels_last and maker is not None and is_of_images(loops.flow.calls[maker])
    if not (is_written_so or is_made_so or _lies(x, channels_last) or maker in loops.copied):
        yield x
    if channels_last and call.input_ids[1] in waiting:
        waiting.remove(call.input_ids[1])
        if math.prod(weight.shape[2:]) > 1 and not _lies(weight, channels_last):
            yield weight


def _lies(tensor: TensorSpec, channels_last: bool) -> bool:
    """Whether a tensor lies as a convolution wants it."""
    return tensor.shape[1] == 1 or tensor.stride[1] == 1 if channels_last else tensor.is_contiguous


def _library_calls(call: OpCall, dtype: str, channels_last: bool, unmodelled: Counter[str]) -> Iterator[HostCall]:
    """A library's call, and the loops that bring what it reads into the layout that it wants: for a linear layer the
    loops that make its input do that.
    """
    library = replace(eager.host_call(call, dtype, unmodelled), python=PythonWork())
    if call.op == "linear" or call.trait is Trait.CONV:
        library = replace(library, kernels=tuple(k for k in library.kernels if k.family != "copy"))
    pools_images = call.trait is Trait.POOL and len(call.outputs[0].shape) == 4
    if channels_last and (is_of_images(call) or pools_images):
        library = replace(library, kernels=tuple(_channels_last(k, call) for k in library.kernels))
    yield library


def _loop(read: TensorSpec, written: TensorSpec) -> tuple[Kernel, ...]:
    """A loop from one tensor to another."""
    dims = {"elements": written.elements, "bytes_read": read.nbytes, "bytes_written": written.nbytes}
    return (Kernel("triton", written.dtype, {**dims, "inputs": 1.0, "contiguous": 0.0, "kind": 0.0, "rows": 0.0}),)


def _channels_last(kernel: Kernel, call: OpCall) -> Kernel:
    """A convolution's or a pool's kernel in that layout, where a convolution of single pixels is a matrix product. One
    that is priced as a product already (transposed, three-dimensional) stays.
    """
    d = kernel.dims
    if kernel.family == "pool":
        return replace(kernel, dims={**d, "channels_last": 1.0})
    if "r" not in d:
        return kernel
    if (d["r"], d["s"], d["stride_h"], d["stride_w"], d["pad_h"], d["pad_w"], d["groups"]) == (1, 1, 1, 1, 0, 0, 1):
        out = call.outputs[0]
        dims = {"m": out.elements // out.shape[1], "n": d["c_out"], "k": d["c_in"], "batch": 1, "nt": 1.0, "bias": 0.0}
        return Kernel("gemm", kernel.dtype, dims)
    return replace(kernel, dims={**d, "channels_last": 1.0})
