"""Multiply-accumulates of captured operators, counted by fvcore's handles and by ours for the operators it lacks.

The same table serves a captured call and ``FlopCountAnalysis(module, inputs).set_op_handle(**HANDLES)``, so the two
totals can be compared. One fused multiply-add is 1.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from predictor.records import OpCall, TensorSpec

Handle = Callable[[list[Any], list[Any]], Any]


class _Type:
    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape

    def sizes(self) -> list[int]:
        return list(self._shape)


class Value:
    """What an fvcore handle reads of a traced value, made from a captured argument."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def isCompleteTensor(self) -> bool:  # noqa: N802 - the name that torch._C.Value has
        return isinstance(self._value, TensorSpec)

    def type(self) -> _Type:
        return _Type(self._value.shape)

    def toIValue(self) -> Any:  # noqa: N802 - the name that torch._C.Value has
        return None if isinstance(self._value, TensorSpec) else self._value

    def node(self) -> Value:
        return self

    def inputs(self) -> list[Value]:
        return [Value(v) for v in self._value]


def _sizes(value: Any) -> list[int]:
    return list(value.type().sizes())


def attention_macs(inputs: list[Any], outputs: list[Any]) -> int:
    """scaled_dot_product_attention: Q K^T and P V, heads x seq x kv_seq x head_dim each; a causal mask is not
    subtracted.
    """
    query, key, value = (_sizes(v) for v in inputs[:3])
    return math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def baddbmm_macs(inputs: list[Any], outputs: list[Any]) -> int:
    """baddbmm: batch x m x k x n."""
    left, right = _sizes(inputs[1]), _sizes(inputs[2])
    return math.prod(left) * right[-1]


def mv_macs(inputs: list[Any], outputs: list[Any]) -> int:
    """Matrix by vector, and dot product of two vectors: the elements of the first."""
    return math.prod(_sizes(inputs[0]))


def conv_mode_macs(inputs: list[Any], outputs: list[Any]) -> int:
    """A convolution with padding="same" or "valid": output pixels x weights."""
    weight, out = _sizes(inputs[1]), _sizes(outputs[0])
    return out[0] * math.prod(out[2:]) * math.prod(weight)


def rnn_macs(inputs: list[Any], outputs: list[Any]) -> int:
    """Recurrent layers: every weight once for each token."""
    weights = [_sizes(weight) for weight in inputs[2].node().inputs()]
    return math.prod(_sizes(inputs[0])[:-1]) * sum(math.prod(sizes) for sizes in weights if len(sizes) == 2)


def einsum_macs(inputs: list[Any], outputs: list[Any]) -> Any:
    """einsum of two operands: a multiplication for each combination of their indices. fvcore's, which rounds to four
    digits, where an equation names no index.
    """
    equation = str(inputs[0].toIValue()).replace(" ", "")
    operands = [_sizes(operand) for operand in inputs[1].node().inputs()]
    names = equation.split("->")[0].split(",")
    if "." in equation or len(operands) != 2:
        from fvcore.nn.jit_handles import einsum_flop_jit

        return einsum_flop_jit(inputs, outputs)
    sizes = {
        index: size
        for own, operand in zip(names, operands, strict=True)
        for index, size in zip(own, operand, strict=True)
    }
    return math.prod(sizes.values())


OWN_HANDLES: Mapping[str, Handle] = {
    "aten::einsum": einsum_macs,
    "aten::scaled_dot_product_attention": attention_macs,
    "aten::baddbmm": baddbmm_macs,
    "aten::mv": mv_macs,
    **dict.fromkeys(("aten::lstm", "aten::gru", "aten::rnn_tanh", "aten::rnn_relu"), rnn_macs),
    "aten::dot": mv_macs,
    "aten::_convolution_mode": conv_mode_macs,
}
"""Handles for operators that fvcore counts as nothing, or roughly. Pass them to ``FlopCountAnalysis.set_op_handle``."""


@cache
def handles() -> dict[str, Handle]:
    """Every handle, fvcore's and ours: "aten::name" -> function."""
    from fvcore.nn.flop_count import _DEFAULT_SUPPORTED_OPS

    return {**{k: v for k, v in _DEFAULT_SUPPORTED_OPS.items() if v is not None}, **OWN_HANDLES}


_CONVOLUTIONS = (
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "convolution",
)


def _as_traced(call: OpCall) -> tuple[str, list[Value]]:
    """The operator's name and inputs as a trace would show them: there, convolutions are ``_convolution``."""
    args = call.args
    if call.op in _CONVOLUTIONS:
        transposed = call.op.startswith("conv_transpose") or bool(args.get("transposed"))
        x, w = args.get("input"), args.get("weight")
        traced = [x, w, args.get("bias"), None, None, None, transposed, *[None] * 6]  # 13 inputs, as fvcore expects
        return "aten::_convolution", [Value(v) for v in traced]
    return f"aten::{call.op}", [Value(v) for v in args.values()]


def count_macs(call: OpCall) -> int:
    """Multiply-accumulates of one call; a composite without a handle counts its parts."""
    name, inputs = _as_traced(call)
    handle = handles().get(name)
    if handle is None:
        return sum(part.macs for part in call.parts)
    counted = handle(inputs, [Value(o) for o in call.outputs])
    return int(sum(counted.values()) if isinstance(counted, Counter) else counted)
