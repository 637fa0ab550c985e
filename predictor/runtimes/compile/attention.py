"""Attention that a model multiplies out, and for which Inductor puts its fused operator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from predictor.graph.dataflow import Dataflow
from predictor.records import OpCall, TensorSpec, Trait

SOFTMAX = frozenset({"softmax", "_softmax"})

CAST = "_to_copy"
"""A softmax in half precision is one in single precision between two of these, to Inductor, which sees the same."""


@dataclass(frozen=True, slots=True)
class _Value:
    """A number of a value, what it is, and whether it was copied before it was read."""

    id: int
    tensor: TensorSpec
    copied: bool = False


def fused(flow: Dataflow) -> Dataflow:
    """The flow with fused attention where Inductor finds a pattern of it (torch/_inductor/fx_passes/fuse_attention.py):
    in half precision and of four dimensions, two batched products with a softmax between them, and nothing else reads
    what is between. The scores are divided by a number, and perhaps a mask is added, or they are multiplied by one; the
    latter only where queries, keys and values are not copied first. Either none of them is, or all are, as they are
    permuted right before. Its result lies as the layers after it read it, heads side by side: they copy nothing.
    """
    changed: dict[int, OpCall] = {}
    for call in flow.calls:
        if call.op in SOFTMAX:
            changed |= _pattern(flow, call)
    if not changed:
        return flow
    return Dataflow.of([changed.get(i, call) for i, call in enumerate(flow.calls)], flow.outputs).live()


def _pattern(flow: Dataflow, softmax: OpCall) -> dict[int, OpCall]:
    """Calls that are others where a softmax is one of attention, by their index."""
    scores, mask, scaling = _cast(flow, _made_by(flow, softmax.input_ids[0])), None, ""
    if scores is not None and scores.op == "add" and len(scores.tensors) == 2:
        mask = _Value(scores.input_ids[1], scores.tensors[1])
        scores = _made_by(flow, scores.input_ids[0])
    if scores is not None and scores.op in ("div", "mul") and len(scores.tensors) == 1:
        scaling = scores.op
        scores = _made_by(flow, scores.input_ids[0])
    last = _only_reader(flow, softmax.output_ids[0])
    if last is not None and flow.calls[last].op == CAST:
        last = _only_reader(flow, flow.calls[last].output_ids[0])
    if scores is None or last is None or scores.op != "bmm" or flow.calls[last].op != "bmm":
        return {}
    shape = softmax.outputs[0].shape
    if flow.calls[last].outputs[0].itemsize != 2 or len(shape) != 4 or not scaling:
        return {}
    if mask is not None and (scaling == "mul" or not mask.tensor.shape):
        return {}
    weighted = flow.calls[last]
    query = _operand(flow, scores, 0, (*shape[:-1], scores.tensors[0].shape[-1]))
    turned = _operand(flow, scores, 1, (*shape[:-2], scores.tensors[1].shape[-2], shape[-1]))
    value = _operand(flow, weighted, 1, (*shape[:-2], shape[-1], weighted.tensors[1].shape[-1]))
    key = _untransposed(flow, turned) if turned else None
    if query is None or key is None or value is None:
        return {}
    copied = {operand.copied for operand in (query, key, value)}
    are_permuted = all(_is_permuted(flow, operand) for operand in (query, key, value))
    if len(copied) > 1 or (True in copied and (scaling == "mul" or not are_permuted)):
        return {}
    return dict(_replaced(flow, last, (query, key, value, *((mask,) if mask else ())), scores.macs + weighted.macs))


def _cast(flow: Dataflow, call: OpCall | None) -> OpCall | None:
    """A call, or what makes its input if it casts that from half precision."""
    if call is None or call.op != CAST or call.tensors[0].itemsize != 2:
        return call
    return _made_by(flow, call.input_ids[0])


def _replaced(flow: Dataflow, last: int, inputs: tuple[_Value, ...], macs: int) -> Iterator[tuple[int, OpCall]]:
    """Fused attention in the place of the last product, or of the view that parts its heads."""
    product = flow.calls[last]
    query, value = inputs[0].tensor, inputs[2].tensor
    _, heads, rows, cols = shape = (*query.shape[:-1], value.shape[-1])
    at = flow.readers[product.output_ids[0]][0]
    out = TensorSpec(shape, product.outputs[0].dtype, (heads * rows * cols, cols, heads * cols, 1))
    args = dict(zip(("query", "key", "value", "attn_mask"), (v.tensor for v in inputs), strict=False))
    yield (
        at,
        OpCall(
            "scaled_dot_product_attention",
            args,
            (out,),
            Trait.ATTENTION,
            macs,
            input_ids=tuple(v.id for v in inputs),
            output_ids=flow.calls[at].output_ids,
            origin=product.origin,
        ),
    )
    waiting = list(flow.calls[at].output_ids)
    while waiting:
        for reader in flow.readers.get(waiting.pop(), ()):
            call = flow.calls[reader]
            if call.op == "clone":
                yield reader, replace(call, op="view", trait=Trait.VIEW)
            elif call.trait is Trait.VIEW:
                waiting += call.output_ids


def _only_reader(flow: Dataflow, value: int) -> int | None:
    """The one call that reads a value, behind views that nothing else reads either."""
    while len(readers := set(flow.readers.get(value, ()))) == 1 and value not in flow.outputs:
        (reader,) = readers
        if flow.calls[reader].trait is not Trait.VIEW:
            return reader
        value = flow.calls[reader].output_ids[0]
    return None


def _made_by(flow: Dataflow, value: int) -> OpCall | None:
    """The call that makes a value, behind views, where it has but one reader."""
    root = flow.root(value)
    return flow.calls[flow.maker[root]] if root in flow.maker and _only_reader(flow, root) is not None else None


def _operand(flow: Dataflow, product: OpCall, position: int, shape: tuple[int, ...]) -> _Value | None:
    """What an operand of a batched product was before it was expanded, copied and its batch and heads made one."""
    value = _Value(product.input_ids[position], product.tensors[position])
    while value.id in flow.maker:
        call = flow.calls[flow.maker[value.id]]
        if value.tensor.shape == shape and call.op not in ("expand", "clone"):
            return value
        if call.op != "clone" and call.trait is not Trait.VIEW:
            return None
        value = _Value(call.input_ids[0], call.tensors[0], value.copied or call.op == "clone")
    return value if value.tensor.shape == shape else None


PERMUTING = ("transpose", "permute")


def _is_permuted(flow: Dataflow, value: _Value) -> bool:
    return value.id in flow.maker and flow.calls[flow.maker[value.id]].op in PERMUTING


def _untransposed(flow: Dataflow, value: _Value) -> _Value | None:
    if not _is_permuted(flow, value):
        return None
    call = flow.calls[flow.maker[value.id]]
    *outer, cols, rows = value.tensor.shape
    before = _Value(call.input_ids[0], call.tensors[0], value.copied)
    return before if before.tensor.shape == (*outer, rows, cols) else None
