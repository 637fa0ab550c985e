"""Attention multiplied out: what libraries ran before ``scaled_dot_product_attention``, as a change of a graph.

torch has had it since 2.0. Before, and today with ``attn_implementation="eager"`` in transformers, a model multiplies
queries by keys, scales, adds the mask, takes the softmax and multiplies by the values, operator by operator.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from predictor.ops import is_attention
from predictor.records import Graph, OpCall, TensorSpec, Trait

CHOICES = ("sdpa", "eager")
"""How a model attends: as captured, fused where the model asks for it; or multiplied out."""

FIRST_FUSED = 2
"""Major version of torch that has it."""


def attention_of(torch_version: str) -> str:
    """What a version of torch has, "1.12.1" or alike."""
    major = torch_version.split(".")[0]
    return "eager" if major.isdigit() and int(major) < FIRST_FUSED else "sdpa"


def attends(graph: Graph) -> bool:
    """Whether a model calls fused attention, which ``multiplied_out`` changes."""
    return any(is_attention(call.op) for call in graph.calls)


def multiplied_out(graph: Graph) -> Graph:
    """The graph with every fused attention as products, sums and a softmax."""
    last = max((value for call in graph.calls for value in (*call.input_ids, *call.output_ids)), default=0)
    calls: list[OpCall] = []
    for call in graph.calls:
        if is_attention(call.op):
            parts = _Parts(last)
            calls += parts.attention(call)
            last = parts.last
        else:
            calls.append(call)
    return replace(graph, calls=tuple(calls))


def _packed(shape: tuple[int, ...], dtype: str) -> TensorSpec:
    stride, step = [], 1
    for size in reversed(shape):
        stride.append(step)
        step *= size
    return TensorSpec(shape, dtype, tuple(reversed(stride)))


def _swapped(tensor: TensorSpec, first: int, second: int) -> TensorSpec:
    shape, stride = list(tensor.shape), list(tensor.stride)
    for values in (shape, stride):
        values[first], values[second] = values[second], values[first]
    return replace(tensor, shape=tuple(shape), stride=tuple(stride))


@dataclass
class _Parts:
    """Calls in the making. last: the largest number of a value so far."""

    last: int
    calls: list[OpCall] = field(default_factory=list)

    def _new(self) -> int:
        self.last += 1
        return self.last

    def _call(self, op: str, trait: Trait, args: dict[str, Any], input_ids: tuple[int, ...], out: TensorSpec) -> int:
        read = (
            sum(value.nbytes for value in args.values() if isinstance(value, TensorSpec))
            if trait is not Trait.VIEW
            else 0
        )
        output_id = self._new()
        written = out.nbytes if trait is not Trait.VIEW else 0
        call = OpCall(
            op,
            args,
            (out,),
            trait,
            bytes_read=read,
            bytes_written=written,
            input_ids=input_ids,
            output_ids=(output_id,),
        )
        self.calls.append(call)
        return output_id

    def _inside(self, op: str, args: dict[str, Any], input_ids: tuple[int, ...], out: TensorSpec, since: int) -> int:
        """A composite call of all that was made since: its last part makes what it makes."""
        parts = tuple(self.calls[since:])
        self.calls[since:] = [
            OpCall(
                op,
                args,
                (out,),
                Trait.COMPOSITE,
                sum(p.macs for p in parts),
                parts=parts,
                input_ids=input_ids,
                output_ids=(self.last,),
            )
        ]
        return self.last

    def _flat(self, value: int, tensor: TensorSpec) -> tuple[int, TensorSpec]:
        """A batch of matrices, as ``bmm`` takes it: copied where batch and heads do not lie one after another."""
        batch, heads, rows, cols = tensor.shape
        flat = _packed((batch * heads, rows, cols), tensor.dtype)
        size = {"self": tensor, "size": tensor.shape}
        value = self._call("expand", Trait.VIEW, size, (value,), tensor)
        together = batch == 1 or tensor.stride[0] == heads * tensor.stride[1]
        if not together:
            since, read = len(self.calls), value
            packed = _packed(tensor.shape, tensor.dtype)
            value = self._call("clone", Trait.COPY, {"self": tensor}, (value,), packed)
            self._call("_unsafe_view", Trait.VIEW, {"self": packed, "size": flat.shape}, (value,), flat)
            return self._inside("reshape", {"self": tensor, "shape": flat.shape}, (read,), flat, since), flat
        strides = (tensor.stride[1], tensor.stride[2], tensor.stride[3])
        flat = replace(flat, stride=strides)
        return self._call("view", Trait.VIEW, {"self": tensor, "size": flat.shape}, (value,), flat), flat

    def _matmul(self, first: tuple[int, TensorSpec], second: tuple[int, TensorSpec]) -> tuple[int, TensorSpec]:
        since = len(self.calls)
        (a, left), (b, right) = self._flat(*first), self._flat(*second)
        shape = (*first[1].shape[:3], second[1].shape[3])
        flat = _packed((left.shape[0], left.shape[1], right.shape[2]), left.dtype)
        value = self._call("bmm", Trait.GEMM, {"self": left, "mat2": right}, (a, b), flat)
        self.calls[-1] = replace(self.calls[-1], macs=flat.elements * left.shape[2])
        out = _packed(shape, left.dtype)
        self._call("view", Trait.VIEW, {"self": flat, "size": shape}, (value,), out)
        args = {"self": first[1], "other": second[1]}
        return self._inside("matmul", args, (first[0], second[0]), out, since), out

    def attention(self, call: OpCall) -> Iterator[OpCall]:
        """The calls that stand for a fused one, and make what it makes."""
        q, k, v = (call.args[name] for name in ("query", "key", "value"))
        query, key, value, *mask = call.input_ids
        if k.shape[1] != q.shape[1]:  # fewer heads of keys: repeated
            k, v = (_packed((*q.shape[:2], *t.shape[2:]), t.dtype) for t in (k, v))
            key, value = (
                self._call("repeat_interleave", Trait.COPY, {"self": t}, (read,), t)
                for t, read in ((k, key), (v, value))
            )
        turned = _swapped(k, 2, 3)
        key = self._call("transpose", Trait.VIEW, {"self": k, "dim0": 2, "dim1": 3}, (key,), turned)
        scores, shape = self._matmul((query, q), (key, turned))
        scale = call.args.get("scale") or 1 / math.sqrt(q.shape[-1])
        scores = self._call("mul", Trait.POINTWISE, {"self": shape, "other": scale}, (scores,), shape)
        added = call.args.get("attn_mask")
        if added is not None or call.args.get("is_causal"):
            added = added if added is not None else _packed(shape.shape[2:], shape.dtype)
            input_ids = (scores, *mask[:1]) if mask else (scores, self._new())
            scores = self._call("add", Trait.POINTWISE, {"self": shape, "other": added, "alpha": 1}, input_ids, shape)
        scores = self._call("softmax", Trait.REDUCTION, {"self": shape, "dim": -1, "dtype": None}, (scores,), shape)
        result, out = self._matmul((scores, shape), (value, v))
        wanted = call.outputs[0]
        if not wanted.is_contiguous:  # what follows takes heads and queries the other way round, side by side
            apart = _swapped(out, 1, 2)
            packed = _packed(apart.shape, apart.dtype)
            result = self._call("transpose", Trait.VIEW, {"self": out, "dim0": 1, "dim1": 2}, (result,), apart)
            since, read = len(self.calls), result
            self._call("clone", Trait.COPY, {"self": apart}, (result,), packed)
            result = self._inside("contiguous", {"self": apart}, (read,), packed, since)
            self._call("transpose", Trait.VIEW, {"self": packed, "dim0": 1, "dim1": 2}, (result,), wanted)
        self.calls = [replace(part, origin=call.origin) for part in self.calls]
        self.calls[0] = replace(self.calls[0], python=call.python)
        self.calls[-1] = replace(self.calls[-1], output_ids=call.output_ids)
        yield from self.calls
