"""torch.compile with ``mode="reduce-overhead"``: Inductor's kernels in CUDA graphs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from predictor.kernels.foreach import FOREACH_COPY
from predictor.records import TODAY, Graph, HostCall, Kernel, Program, PythonWork, Target, TensorSpec, Trait
from predictor.runtimes.compile.lowering import Part, parts
from predictor.runtimes.cudagraph.lowering import replayed
from predictor.runtimes.eager import lowering as eager

NAME = "compile-cudagraph"


def lower(graph: Graph, target: Target = TODAY) -> Program:
    """Graph -> replays of Inductor's kernels, and what eager mode runs between two compiled graphs."""
    compiled = parts(graph)
    calls = tuple(call for part in compiled.parts for call in (_replayed(part) if part.is_compiled else part.calls))
    return Program(NAME, graph.dtype, calls, compiled.tail, compiled.unmodelled, eager.unsupported_reason(graph))


def _replayed(part: Part) -> Iterator[HostCall]:
    """A replay, before it checks, and copies of what the graph is given into the memory that it reads."""
    yield from (call for call in part.calls if call.trait is Trait.GUARD)
    for kernel in _copies(part.given):
        yield HostCall("copy_", (kernel,), PythonWork(), Trait.COPY, uncompiled=True)
    yield from replayed(call for call in part.calls if call.trait is not Trait.GUARD)


def _copies(given: Sequence[TensorSpec]) -> Iterator[Kernel]:
    """What copies tensors: a kernel for all of them, where they are of one dtype, else one for each (``_foreach_copy_``
    of torch/_inductor/cudagraph_trees.py, whose fast route is in aten/src/ATen/native/cuda/ForeachBinaryOpList.cu).
    """
    one_dtype = len({tensor.dtype for tensor in given}) == 1
    for tensors in (given,) if one_dtype else [(tensor,) for tensor in given]:
        sizes = [tensor.elements for tensor in tensors]
        if sum(sizes):
            yield Kernel(FOREACH_COPY, tensors[0].dtype, {"elements": sum(sizes), "largest": max(sizes)})
