"""Multiply-accumulates of captured operators: as their rows count them, or else as fvcore does.

A row counts a captured call. ``handles`` makes of the same functions what ``FlopCountAnalysis.set_op_handle`` takes, so
that the two totals can be compared. One fused multiply-add is 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

from predictor import ops
from predictor.ops.row import Macs
from predictor.records import OpCall, TensorSpec

Handle = Callable[[list[Any], list[Any]], Any]
"""fvcore's: traced inputs and outputs of a node -> multiply-accumulates."""


def count_macs(call: OpCall) -> int:
    """Multiply-accumulates of one call; a composite that nobody counts has those of its parts."""
    row = ops.OPS.get(call.op)
    if row is not None and row.macs is not None:
        return row.macs(call)
    if _qualified(call.op) in _fvcore():
        return fvcore_macs(call)
    return sum(part.macs for part in call.parts)


def fvcore_macs(call: OpCall) -> int:
    """As fvcore's handle counts a call. Raises KeyError where it has none."""
    counted = _fvcore()[_qualified(call.op)](
        [_Value(value) for value in call.args.values()], [_Value(output) for output in call.outputs]
    )
    return int(sum(counted.values()) if isinstance(counted, Counter) else counted)


def handles() -> dict[str, Handle]:
    """Every handle, fvcore's and those of the rows: "aten::name" -> function."""
    counted = {name: row.macs for name, row in ops.OPS.items() if row.macs is not None}
    return {**_fvcore(), **{_qualified(name): _handle(name, macs) for name, macs in counted.items()}}


@cache
def _fvcore() -> dict[str, Handle]:
    from fvcore.nn.flop_count import _DEFAULT_SUPPORTED_OPS

    return {name: handle for name, handle in _DEFAULT_SUPPORTED_OPS.items() if handle is not None}


def _handle(name: str, macs: Macs) -> Handle:
    def handle(inputs: list[Any], outputs: list[Any]) -> int:
        import torch

        schema = torch._C.parse_schema(outputs[0].node().schema())
        args = {a.name: _captured(value) for a, value in zip(schema.arguments, inputs, strict=True)}
        results = tuple(spec for spec in map(_captured, outputs) if isinstance(spec, TensorSpec))
        return macs(OpCall(name, args, results, ops.OPS[name].trait))

    return handle


def _captured(value: Any) -> Any:
    """A traced value as a captured argument. Nobody counts by the dtype."""
    if value.isCompleteTensor():
        return TensorSpec(tuple(value.type().sizes()), "fp32", tuple(value.type().strides()))
    if value.node().kind() == "prim::ListConstruct":
        return tuple(_captured(item) for item in value.node().inputs())
    return value.toIValue()


class _Type:
    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape

    def sizes(self) -> list[int]:
        return list(self._shape)


class _Value:
    """What an fvcore handle reads of a traced value, made from a captured argument."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def isCompleteTensor(self) -> bool:  # noqa: N802 - the name that torch._C.Value has
        return isinstance(self._value, TensorSpec)

    def type(self) -> _Type:
        return _Type(self._value.shape)

    def toIValue(self) -> Any:  # noqa: N802 - the name that torch._C.Value has
        return None if isinstance(self._value, TensorSpec) else self._value

    def node(self) -> _Value:
        return self

    def inputs(self) -> list[_Value]:
        return [_Value(v) for v in self._value]


def _qualified(name: str) -> str:
    return name if "::" in name else f"aten::{name}"
