"""Operators on every element by itself."""

from __future__ import annotations

import operator
from dataclasses import replace
from functools import partial
from typing import Any

from predictor.ops import ort
from predictor.ops.elementary import copy_of, dropped, fill_of, pointwise_of, scalar_of
from predictor.ops.instructions import CYCLES, cycles_of
from predictor.ops.row import EVERY_FUSER, LOOP, NO_FUSER, NOT_NNC, NOT_NVFUSER, RARE, Example, Fuser, Operator
from predictor.records import Kernel, OpCall, TensorSpec, Trait, Variant


def pointwise(call: OpCall) -> tuple[Kernel, ...]:
    """A pass over the elements."""
    return pointwise_of(call.tensors, call.outputs[0], cycles=cycles_of(call)) if call.outputs else ()


def transcendental(call: OpCall, *, functions: int = 1) -> tuple[Kernel, ...]:
    """A pass that computes transcendental functions, so many of each element."""
    if not call.outputs:
        return ()
    return pointwise_of(call.tensors, call.outputs[0], heavy=float(functions), cycles=cycles_of(call))


def masked_scatter(call: OpCall) -> tuple[Kernel, ...]:
    """A copy, unless in place; how many truth values come before each, and a pass over the elements."""
    x, mask, source = call.tensors[:3]
    out = call.outputs[0]
    if not out.elements:
        return ()
    copied = () if call.op.endswith("_") else copy_of(x, out)
    scan = Kernel("scan", "int64", {"rows": 1, "cols": mask.elements})
    return (*copied, scan, *pointwise_of((out, mask, source), out))


def masked_fill(call: OpCall) -> tuple[Kernel, ...]:
    """A copy, unless in place, and a pass over the elements."""
    x, out = call.tensors[0], call.outputs[0]
    copied = () if call.op.endswith("_") else copy_of(x, out)
    return (*copied, *pointwise_of((out, *call.tensors[1:]), out)) if out.elements else ()


def renormalised(call: OpCall) -> tuple[Kernel, ...]:
    """Norms, a factor of each, and a product."""
    x = call.tensors[0]
    if not x.elements:
        return ()
    rows = x.shape[int(call.args["dim"])]
    factor = TensorSpec((rows,), x.dtype, (1,))
    norms = Kernel("reduce", x.dtype, {"rows": rows, "cols": x.elements // rows, "inner": 1.0})
    return (norms, *pointwise_of((factor,), factor), *pointwise_of((x, factor), x))


def power(call: OpCall) -> tuple[Kernel, ...]:
    """A number to the power of a tensor: the number becomes a tensor first, of the widest dtype of its kind."""
    number = call.args.get("self")
    if isinstance(number, TensorSpec):
        return transcendental(call)
    base = scalar_of("int64" if isinstance(number, int) else "fp64")
    return (*fill_of(base), *pointwise_of((base, *call.tensors), call.outputs[0], heavy=1.0, cycles=CYCLES["pow"]))


def infinite(call: OpCall, *, answers: int = 1) -> tuple[Kernel, ...]:
    """Magnitudes, then passes that write truth values (aten/src/ATen/native/TensorCompare.cpp): of ``isinf`` whether
    they are infinity, of ``isfinite`` that they are not, that a number is itself, and both.
    """
    x, out = call.tensors[0], call.outputs[0]
    return (*pointwise_of((x,), x), *pointwise_of((x,), out) * answers)


def fake_quantised(call: OpCall) -> tuple[Kernel, ...]:
    """Values as they would come back from whole numbers, and which were in range: one kernel; by channel one for each
    of the two (aten/src/ATen/native/quantized/cuda/FakeQuantizeCore.cu).
    """
    x, out, mask = call.tensors[0], call.outputs[0], call.outputs[-1]
    if not x.elements:
        return ()
    if "axis" not in call.args:
        (rounded,) = pointwise_of((x,), out)
        return (replace(rounded, dims={**rounded.dims, "bytes_written": out.nbytes + mask.nbytes}),)
    dim = int(call.args["axis"])
    shape = tuple(n if d == dim else 1 for d, n in enumerate(x.shape))
    by_channel = [TensorSpec(shape, t.dtype, tuple(int(n > 1) for n in shape)) for t in call.tensors[1:3]]
    return tuple(k for each in (mask, out) for k in pointwise_of((x, *by_channel), each, converts=False))


def _row(*aten: str, fused_by: frozenset[Fuser] = EVERY_FUSER, **fields: Any) -> Operator:
    fields = {"untimed": "" if "example" in fields else RARE, **fields}
    return Operator(aten, Trait.POINTWISE, fields.pop("lower", pointwise), fused_by=fused_by, **fields)


def _transcendental(*aten: str, fused_by: frozenset[Fuser] = EVERY_FUSER, **fields: Any) -> Operator:
    return _row(*aten, fused_by=fused_by, **{"lower": transcendental, "is_transcendental": True, **fields})


def _of_x(name: str) -> Example:
    """The function of that name in torch, of one activation."""
    return lambda o: partial(getattr(o.torch, name), o.x)


ROWS = (
    _row(
        "add",
        onnx=ort.form("Add", "Sum", "Mean"),
        example=lambda o: partial(operator.add, o.x, o.y),
        variants={
            Variant.BROADCAST: lambda o: partial(operator.add, o.x, o.vector),
            Variant.SCALAR: lambda o: partial(operator.add, o.x, 1.0),
        },
    ),
    _row("add_", fused_by=LOOP, example=lambda o: partial(o.x.add_, o.y)),
    _row(
        "sub",
        onnx=ort.form("Sub"),
        example=lambda o: partial(operator.sub, o.x, o.y),
        variants={
            Variant.BROADCAST: lambda o: partial(operator.sub, o.x, o.column),
            Variant.SCALAR: lambda o: partial(operator.sub, o.x, 1.0),
        },
    ),
    _row("rsub", fused_by=NOT_NNC, example=lambda o: partial(operator.sub, 1.0, o.x)),
    _row(
        "mul",
        onnx=ort.form("Mul"),
        example=lambda o: partial(operator.mul, o.x, o.y),
        variants={
            Variant.BROADCAST: lambda o: partial(operator.mul, o.x, o.vector),
            Variant.SCALAR: lambda o: partial(operator.mul, o.x, 0.5),
        },
    ),
    _row("mul_", fused_by=LOOP, example=lambda o: partial(o.y.mul_, o.x)),
    _row(
        "div",
        onnx=ort.form("Div"),
        example=lambda o: partial(operator.truediv, o.x, o.y),
        variants={
            Variant.BROADCAST: lambda o: partial(operator.truediv, o.x, o.column),
            Variant.SCALAR: lambda o: partial(operator.truediv, o.x, 2.0),
        },
    ),
    _row("remainder", "fmod", "lerp", onnx=ort.form("Mod")),
    _row("floor_divide", "floor_divide_", fused_by=LOOP),
    _row("complex", "linalg_cross", fused_by=LOOP),
    _transcendental("polar", fused_by=LOOP),
    _row("renorm", lower=renormalised, fused_by=LOOP),
    _row("native_dropout", "_fused_dropout", lower=dropped, is_random=True, fused_by=LOOP),
    _row("addcmul", example=lambda o: partial(o.torch.addcmul, o.x, o.x, o.y)),
    _transcendental(
        "pow",
        lower=power,
        onnx=ort.form("Pow", lower=ort.power),
        example=lambda o: partial(o.torch.pow, o.x, 3.0),
    ),
    _row("neg", onnx=ort.form("Neg"), example=_of_x("neg")),
    _row("abs", onnx=ort.form("Abs", "Sign"), example=_of_x("abs")),
    _row("reciprocal", onnx=ort.form("Reciprocal"), example=_of_x("reciprocal")),
    _row("floor", "ceil", "round", "trunc", "frac", onnx=ort.form("Floor", "Ceil", "Round")),
    # comparisons and choices
    _row("eq", onnx=ort.form("Equal", lower=ort.checked), example=lambda o: partial(operator.eq, o.x, o.y)),
    _row("ne", example=lambda o: partial(operator.ne, o.x, o.y)),
    _row("gt", onnx=ort.form("Greater", lower=ort.checked), example=lambda o: partial(operator.gt, o.x, 0.5)),
    _row("lt", onnx=ort.form("Less", lower=ort.checked), example=lambda o: partial(operator.lt, o.x, 0.5)),
    _row("le", onnx=ort.form("LessOrEqual"), example=lambda o: partial(operator.le, o.x, o.column)),
    _row("ge", onnx=ort.form("GreaterOrEqual"), example=lambda o: partial(operator.ge, o.x, o.column)),
    _row(
        "where",
        only_tagged=True,
        onnx=ort.form("Where", lower=ort.checked),
        example=lambda o: partial(o.torch.where, o.mask, o.x, o.y),
    ),
    _row(
        "masked_fill",
        lower=masked_fill,
        fused_by=LOOP,
        example=lambda o: partial(o.x.masked_fill, o.mask, 0.0),
    ),
    _row("masked_scatter", "masked_scatter_", lower=masked_scatter, fused_by=LOOP),
    _row("maximum", fused_by=LOOP, onnx=ort.form("Max"), example=lambda o: partial(o.torch.maximum, o.x, o.y)),
    _row("minimum", fused_by=LOOP, onnx=ort.form("Min")),
    _row(
        "clamp",
        onnx=ort.form("Clip", lower=ort.clipped),
        example=lambda o: partial(o.torch.clamp, o.x, 0.0, 6.0),
    ),
    _row("clamp_min", "clamp_max", fused_by=LOOP),
    _row("isnan", fused_by=NOT_NVFUSER, healthy_answer=False, onnx=ort.form("IsNaN", lower=ort.checked)),
    _row("isinf", lower=infinite, fused_by=LOOP, healthy_answer=False, onnx=ort.form("IsInf")),
    _row("isfinite", lower=partial(infinite, answers=3), fused_by=LOOP, healthy_answer=True),
    _row("bucketize", "searchsorted", fused_by=LOOP),
    # of bits and truth values
    _row(
        "bitwise_not", fused_by=NOT_NNC, onnx=ort.form("BitwiseNot"), example=lambda o: partial(operator.invert, o.mask)
    ),
    _row(
        "bitwise_and",
        fused_by=LOOP,
        onnx=ort.form("BitwiseAnd", "BitShift"),
        example=lambda o: partial(operator.and_, o.mask, o.mask),
    ),
    _row("bitwise_or", "bitwise_xor", fused_by=LOOP, onnx=ort.form("BitwiseOr", "BitwiseXor")),
    _row("logical_not", fused_by=LOOP, onnx=ort.form("Not", lower=ort.checked)),
    Operator(("__and__", "__or__", "__xor__"), Trait.COMPOSITE, fused_by=NOT_NVFUSER, untimed=RARE),
    _row("logical_and", fused_by=LOOP, onnx=ort.form("And", lower=ort.checked)),
    _row("logical_or", fused_by=LOOP, onnx=(*ort.form("Or", lower=ort.checked), *ort.form("Xor"))),
    # activation functions
    _row("relu", onnx=ort.form("Relu"), example=_of_x("relu")),
    _row("relu_", fused_by=LOOP, example=_of_x("relu_")),
    _row("relu6", fused_by=NOT_NVFUSER),
    _row("threshold", onnx=ort.form("ThresholdedRelu")),
    _row("hardshrink", fused_by=NOT_NVFUSER, onnx=ort.form("Shrink")),
    _row("softshrink", fused_by=LOOP),
    _row("hardtanh", fused_by=NOT_NVFUSER, example=lambda o: partial(o.functional.hardtanh, o.x, 0.0, 6.0)),
    _row(
        "hardswish",
        fused_by=NOT_NVFUSER,
        onnx=ort.form("HardSwish"),
        example=lambda o: partial(o.functional.hardswish, o.x),
    ),
    _row("hardswish_", fused_by=LOOP),
    _row(
        *("fake_quantize_per_tensor_affine_cachemask", "_fake_quantize_per_tensor_affine_cachemask_tensor_qparams"),
        "fake_quantize_per_channel_affine_cachemask",
        lower=fake_quantised,
        fused_by=NO_FUSER,
    ),
    _row("prelu", "glu", fused_by=LOOP, onnx=ort.form("PRelu")),
    _row("hardsigmoid", fused_by=NOT_NVFUSER, onnx=ort.form("HardSigmoid")),
    _row("leaky_relu", onnx=ort.form("LeakyRelu"), example=lambda o: partial(o.functional.leaky_relu, o.x)),
    _transcendental(
        "gelu",
        onnx=(
            *ort.form("Gelu", lower=ort.gelu),
            *ort.form("BiasGelu", lower=ort.transcendental),
            *ort.form("FastGelu"),
        ),
        example=lambda o: partial(o.functional.gelu, o.x),
    ),
    _transcendental("sigmoid", onnx=ort.form("Sigmoid", lower=ort.sigmoid), example=_of_x("sigmoid")),
    _transcendental(
        "silu",
        onnx=ort.form("QuickGelu", "Swish", lower=ort.sigmoid),
        example=lambda o: partial(o.functional.silu, o.x),
    ),
    _transcendental("softplus", lower=partial(transcendental, functions=2), onnx=ort.form("Softplus", "Softsign")),
    _transcendental("mish", lower=partial(transcendental, functions=2), fused_by=NOT_NVFUSER, onnx=ort.form("Mish")),
    _transcendental("elu", fused_by=NOT_NVFUSER, onnx=ort.form("Elu", "Selu", "Celu")),
    _transcendental("log_sigmoid_forward", fused_by=LOOP),
    Operator(("log_sigmoid",), Trait.COMPOSITE, fused_by=LOOP, is_transcendental=True, untimed=RARE),
    # functions
    _transcendental("tanh", onnx=ort.form("Tanh", lower=ort.transcendental), example=_of_x("tanh")),
    _transcendental("sqrt", onnx=ort.form("Sqrt", lower=ort.transcendental), example=_of_x("sqrt")),
    _transcendental("rsqrt", example=_of_x("rsqrt")),
    _transcendental("exp", onnx=ort.form("Exp", lower=ort.transcendental), example=_of_x("exp")),
    _transcendental("log", onnx=ort.form("Log", lower=ort.transcendental), example=_of_x("log")),
    _transcendental("sin", onnx=ort.form("Sin"), example=_of_x("sin")),
    _transcendental("cos", onnx=ort.form("Cos"), example=_of_x("cos")),
    _transcendental("erf", onnx=ort.form("Erf", lower=ort.transcendental), example=_of_x("erf")),
    _row(
        *("expm1", "log2", "log10", "log1p", "erfc", "tan", "acos", "asin", "atan", "cosh", "sinh"),
        onnx=ort.form("Tan", "Acos", "Asin", "Atan", "Cosh", "Sinh", "Acosh", "Asinh", "Atanh"),
    ),
    _row("atan2", "lgamma", fused_by=NOT_NVFUSER),
)

POINTWISE = Operator(("pointwise",), Trait.POINTWISE, pointwise, fused_by=LOOP)
"""What torch tags as pointwise and has no row of its own."""
