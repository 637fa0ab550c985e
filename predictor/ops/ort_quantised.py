"""Products and convolutions of integers, of eight bits or fewer, as nodes of ONNX Runtime.

Its CUDA provider multiplies integers of eight bits (``MatMulInteger`` of signed ones, ``QAttention``) and weights of a
few bits with activations in floating point (``MatMulNBits``); it has no convolution of integers: those nodes run on the
CPU (``placement``), and pairs of ``QuantizeLinear`` and ``DequantizeLinear`` around a convolution are passes around one
in floating point.
"""

from __future__ import annotations

import math

from predictor.ops import ort
from predictor.ops.elementary import unmodelled
from predictor.ops.row import ONNX_ALONE, OnnxForm, Operator
from predictor.records import Kernel, OpCall, TensorSpec, Trait


def integer_macs(call: OpCall) -> int:
    """Of a product of two tensors, the first and the second."""
    return _macs(call, call.tensors[0], call.tensors[1], bool(call.args.get("transB")))


def scaled_macs(call: OpCall) -> int:
    """Of a product of two tensors, each followed by a scale and a zero point."""
    return _macs(call, call.tensors[0], call.tensors[3], bool(call.args.get("transB")))


def _macs(call: OpCall, a: TensorSpec, b: TensorSpec, transposed: bool) -> int:
    along = b.shape[-1 if transposed or len(b.shape) == 1 else -2]
    return call.outputs[0].elements * along


def integer_conv_macs(call: OpCall) -> int:
    """Of a convolution whose weights are the second tensor."""
    return call.outputs[0].elements * math.prod(call.tensors[1].shape[1:])


def scaled_conv_macs(call: OpCall) -> int:
    """Of a convolution whose input and weights are each followed by a scale and a zero point."""
    return call.outputs[0].elements * math.prod(call.tensors[3].shape[1:])


def few_bits_macs(call: OpCall) -> int:
    """Of weights of a few bits: K for every element of the result."""
    return call.outputs[0].elements * int(call.args["K"])


def integer_matmul(call: OpCall) -> tuple[Kernel, ...]:
    """A product of integers; with a zero point sums along rows and columns are taken off it."""
    a, out = call.tensors[0], call.outputs[0]
    k = a.shape[-1]
    n = out.shape[-1] if out.shape else 1
    if not out.elements or not k:
        return ()
    whole = ort.integer_product(out.elements // n, n, k)
    offsets = [t for i, t in enumerate(call.tensors[:2]) if f"input{2 + i}" in call.args]
    sums = [
        k for t in offsets for k in ort.reduced(OpCall("", {"input0": t}, (ort.row_of(t, out.dtype),), Trait.REDUCTION))
    ]
    return (*sums, whole, *(ort.copies_of(out) if offsets else ()))


FEW_ROWS = 16
"""Rows up to which weights of four bits are multiplied as they are packed: of single nodes on an H100 4 and 16 are, 64
are not (``benchmarks/onnx_files/nodes.py``, few_bits).
"""


def few_bits(call: OpCall) -> tuple[Kernel, ...]:
    """One kernel that reads the packed weights, of a single row, or of few with weights of four bits; of more rows the
    weights are first written in floating point, then multiplied.
    """
    x, out = call.tensors[0], call.outputs[0]
    k, n = int(call.args["K"]), int(call.args["N"])
    rows = x.elements // max(k, 1)
    if not min(rows, k, n):
        return ()
    bits = float(call.args.get("bits") or 4)
    kind = {"bits": bits, "itemsize": float(out.itemsize)}
    if rows == 1 or (rows <= FEW_ROWS and bits == 4):
        return (Kernel("ort_few_bits", out.dtype, {"rows": rows, "n": n, "k": k, **kind}),)
    unpacked = Kernel("ort_unpacked_bits", out.dtype, {"elements": n * k, **kind})
    return (unpacked, ort.product(out.dtype, rows, n, k, 1, True))


def eight_bit_gemm(call: OpCall) -> tuple[Kernel, ...]:
    """A product in floating point of eight bits."""
    a, out = call.tensors[0], call.outputs[0]
    m, n = out.elements // max(out.shape[-1], 1), out.shape[-1]
    k = a.elements // max(m, 1)
    dims = {"m": m, "n": n, "k": k, "batch": 1, "nt": float(bool(call.args.get("transB"))), "bias": 0.0}
    return (Kernel("ort_gemm_8bit", a.dtype, dims),) if min(m, n, k) else ()


def gemm_macs(call: OpCall) -> int:
    """Of a product whose second operand may be transposed."""
    return integer_macs(call)


_FORMS = (
    OnnxForm(
        ("MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"), integer_matmul, Trait.PRODUCT, integer_macs
    ),
    OnnxForm(("MatMulNBits", "MatMulBnb4"), few_bits, Trait.PRODUCT, few_bits_macs),
    OnnxForm(("GemmFloat8",), eight_bit_gemm, Trait.GEMM, gemm_macs),
    OnnxForm(("QLinearMatMul", "QGemm"), unmodelled, Trait.PRODUCT, scaled_macs),
    OnnxForm(("ConvInteger",), unmodelled, Trait.CONV, integer_conv_macs),
    OnnxForm(("QLinearConv",), unmodelled, Trait.CONV, scaled_conv_macs),
    *ort.form("DynamicQuantizeLinear", trait=Trait.REDUCTION, lower=ort.checked),
    *ort.form("QLinearAdd", "QLinearMul", "QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax", "QLinearWhere"),
    *ort.form("QLinearConcat", trait=Trait.COPY, lower=ort.cut),
    *ort.form("QLinearAveragePool", trait=Trait.POOL, lower=ort.pooled),
    *ort.form("QLinearGlobalAveragePool", "QLinearReduceMean", trait=Trait.REDUCTION, lower=ort.reduced),
)

ROWS = tuple(Operator((), form.trait, onnx=(form,), untimed=ONNX_ALONE) for form in _FORMS)
