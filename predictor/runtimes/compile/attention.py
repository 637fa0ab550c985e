"""Attention that a model multiplies out, and for which Inductor puts its fused operator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

from predictor.graph.dataflow import Dataflow
from predictor.ops import operator_of
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

    Inductor does not ask whether a fused kernel takes these queries, keys and values. None takes one whose last
    dimension is strided (``check_last_dim_stride_equals_1_dense`` in ATen/native/transformers/sdp_utils_cpp.h): its
    operator is then the two products again, but in single precision (attention.cpp,
    _scaled_dot_product_attention_math).
    """
    changed: dict[int, tuple[OpCall, ...]] = {}
    numbers = count(max((value for call in flow.calls for value in call.output_ids), default=0) + 1)
    for call in flow.calls:
        if call.op in SOFTMAX:
            changed |= _pattern(flow, call, numbers)
    if not changed:
        return flow
    calls = [new for i, call in enumerate(flow.calls) for new in changed.get(i, (call,))]
    return Dataflow.of(calls, flow.outputs).live()


def _pattern(flow: Dataflow, softmax: OpCall, numbers: Iterator[int]) -> dict[int, tuple[OpCall, ...]]:
    """Calls that are others where a softmax is one of attention, by their index. numbers: of new values."""
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
    if any(_is_strided(operand.tensor) for operand in (query, key, value)):
        return dict(_in_single_precision(flow, flow.maker[scores.output_ids[0]], last, numbers))
    inputs = query, key, value, *((mask,) if mask else ())
    return {at: (call,) for at, call in _replaced(flow, last, inputs, scores.macs + weighted.macs)}


def _is_strided(tensor: TensorSpec) -> bool:
    return tensor.shape[-1] > 1 and tensor.stride[-1] != 1


def _single(tensor: TensorSpec) -> TensorSpec:
    return replace(tensor, dtype="fp32")


def _in_single_precision(
    flow: Dataflow, first: int, last: int, numbers: Iterator[int]
) -> Iterator[tuple[int, tuple[OpCall, ...]]]:
    """Two products and what is between them in single precision: what they multiply is cast, and the result back."""
    at = first
    while at != last:
        call = flow.calls[at]
        if at == first:
            yield at, _cast_product(call, (0, 1), numbers)
        elif call.op == CAST:
            yield at, (replace(call, op="view", trait=Trait.VIEW),)
        else:
            yield at, (_all_single(call),)
        following = _only_reader(flow, call.output_ids[0])
        assert following is not None
        at = following
    *casts, product = _cast_product(flow.calls[last], (1,), numbers)
    result = next(numbers)
    back = _cast_to(product, product.outputs[0], flow.calls[last].outputs[0], result)
    yield (
        last,
        (
            *casts,
            replace(product, output_ids=(result,)),
            replace(back, output_ids=product.output_ids),
        ),
    )


def _all_single(call: OpCall) -> OpCall:
    """A call whose tensors are in single precision, those that it makes too."""
    args = {name: _single(value) if isinstance(value, TensorSpec) else value for name, value in call.args.items()}
    return replace(call, args=args, outputs=tuple(map(_single, call.outputs)))


def _cast_product(call: OpCall, places: tuple[int, ...], numbers: Iterator[int]) -> tuple[OpCall, ...]:
    """A product in single precision, behind casts of the operands at some places."""
    ids = list(call.input_ids)
    casts = []
    for place in places:
        cast = _cast_to(call, call.tensors[place], _single(call.tensors[place]), ids[place])
        ids[place] = next(numbers)
        casts.append(replace(cast, output_ids=(ids[place],)))
    return *casts, replace(_all_single(call), input_ids=tuple(ids))


def _cast_to(at: OpCall, tensor: TensorSpec, made: TensorSpec, value: int) -> OpCall:
    """A cast of a value, where a call is."""
    return OpCall(CAST, {"self": tensor}, (made,), operator_of(CAST).trait, input_ids=(value,), origin=at.origin)


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
