"""What the lowering functions share: reading a captured call's arguments."""

from __future__ import annotations

from predictor.records import OpCall, TensorSpec


def tensor(call: OpCall, *names: str) -> TensorSpec:
    for name in names:
        value = call.args.get(name)
        if isinstance(value, TensorSpec):
            return value
    return call.tensors[0]


def pair(value: object, count: int = 2) -> tuple[float, ...]:
    if isinstance(value, (tuple, list)):
        return tuple(float(v) for v in value) if len(value) == count else tuple([float(value[0])] * count)
    return tuple([float(value)] * count) if isinstance(value, (int, float)) else tuple([0.0] * count)
