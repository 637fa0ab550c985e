"""The kernel that a compiler makes of several operators."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from predictor.graph.dataflow import Dataflow
from predictor.ops import is_transcendental
from predictor.ops.elementary import is_vectorised
from predictor.records import Kernel, TensorSpec, Trait


def read_from_outside(flow: Dataflow, group: Iterable[int]) -> list[TensorSpec]:
    """Tensors that a group reads and does not compute, each once, behind whatever views."""
    group = tuple(group)
    computed = {value for i in group for value in flow.calls[i].output_ids}
    tensors: dict[int, TensorSpec] = {}
    for i in group:
        call = flow.calls[i]
        table = call.input_ids[0] if call.trait is Trait.GATHER and call.outputs else None
        for value, tensor in zip(call.input_ids, call.tensors, strict=True):
            tensor = call.outputs[0] if value == table else tensor  # of a table only the rows that are gathered
            root = flow.root(value)
            if root not in computed and (root not in tensors or tensors[root].elements < tensor.elements):
                tensors[root] = tensor
    return list(tensors.values())


def written_for_others(flow: Dataflow, group: Sequence[int]) -> list[TensorSpec]:
    """Tensors that a group computes and others read, or the model returns."""
    members = set(group)
    written = []
    for i in group:
        for value, tensor in zip(flow.calls[i].output_ids, flow.calls[i].outputs, strict=True):
            if value in flow.outputs or not members.issuperset(flow.readers.get(value, ())):
                written.append(tensor)
    return written or list(flow.calls[group[-1]].outputs[:1])


def fused_kernel(
    flow: Dataflow, group: Sequence[int], family: str, inlined: Iterable[int] = (), rows: int | None = None
) -> Kernel:
    """One kernel of a family: it reads what the group reads from outside and writes what others need. inlined: calls
    that it computes again for itself; rows: of the reduction in it.
    """
    inputs, outputs = read_from_outside(flow, (*inlined, *group)), written_for_others(flow, group)
    largest = max(outputs, key=lambda t: t.elements)
    elements = max(largest.elements, *(t.elements for t in inputs)) if rows and inputs else largest.elements
    dims = {
        "elements": elements,
        "bytes_read": sum(min(t.nbytes, t.elements * t.itemsize) for t in inputs),
        "bytes_written": sum(t.elements * t.itemsize for t in outputs),
        "inputs": len([t for t in inputs if t.elements > 1]),
        "contiguous": float(all(is_vectorised(t, largest) for t in inputs)),
        "kind": float(any(is_transcendental(flow.calls[i].op) for i in (*inlined, *group))),
        "rows": float(rows or 0),
    }
    return Kernel(family, largest.dtype, dims)
