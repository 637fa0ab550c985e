"""How lowerings read a captured call's arguments."""

from __future__ import annotations

from typing import Any

from predictor.records import OpCall, TensorSpec


def tensor(call: OpCall, *names: str) -> TensorSpec:
    """The first of some arguments that is a tensor; of none, the call's first tensor."""
    for name in names:
        value = call.args.get(name)
        if isinstance(value, TensorSpec):
            return value
    return call.tensors[0]


def pair(value: object, count: int = 2) -> tuple[float, ...]:
    """A number for each dimension, of an argument that may be one for all."""
    if isinstance(value, (tuple, list)):
        return tuple(float(v) for v in value) if len(value) == count else tuple([float(value[0])] * count)
    return tuple([float(value)] * count) if isinstance(value, (int, float)) else tuple([0.0] * count)


def node_arguments(attributes: dict[str, Any], inputs: list[TensorSpec | None]) -> dict[str, Any]:
    """Arguments of an ONNX node as a captured call has them: its tensors by position, those left out not counted among
    ``OpCall.tensors``, then its attributes.
    """
    return {**{f"input{i}": t for i, t in enumerate(inputs) if t is not None}, **attributes}
