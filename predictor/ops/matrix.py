"""Matrix products."""

from __future__ import annotations

import math
from functools import partial

from predictor.ops import ort
from predictor.ops.arguments import tensor
from predictor.ops.elementary import copy_of, pointwise_of, product
from predictor.ops.row import LOOP, RARE, OnnxForm, Operator
from predictor.records import Kernel, OpCall, TensorSpec, Trait


def linear(call: OpCall) -> tuple[Kernel, ...]:
    """One product with its bias; of a strided input with three or more dimensions a product of its rows, copied where
    they are not evenly spaced, and a sum.
    """
    x, w, bias = tensor(call, "input"), tensor(call, "weight"), call.args.get("bias")
    n, k = w.shape if len(w.shape) == 2 else (1, w.shape[0])
    fused = adds_bias(call)
    copy = () if fused or has_even_rows(x) else copy_of(x)
    biased = isinstance(bias, TensorSpec)
    gemm = product(x.dtype, x.elements // max(k, 1), n, k, bias=biased and fused)
    if fused or not isinstance(bias, TensorSpec):
        return copy + gemm
    out = call.outputs[0]
    return copy + gemm + pointwise_of((out, bias), out)


def adds_bias(call: OpCall) -> bool:
    """Whether a linear layer's bias is added in the product."""
    x = tensor(call, "input")
    return x.is_contiguous or len(x.shape) < 3


def has_even_rows(x: TensorSpec) -> bool:
    """Whether all dimensions but the last are one dimension to the eye of a matrix product."""
    strides, sizes = x.stride[:-1], x.shape[:-1]
    return all(s == n * inner for s, n, inner in zip(strides, sizes[1:], strides[1:], strict=False))


def is_column_major(t: TensorSpec) -> bool:
    """Whether matrices are stored by columns."""
    return len(t.stride) > 1 and t.stride[-2] == 1 and t.shape[-1] > 1


def mm(call: OpCall) -> tuple[Kernel, ...]:
    """One product, of ``addmm`` with its bias."""
    a, b = tensor(call, "self" if "mat1" not in call.args else "mat1"), tensor(call, "mat2")
    return product(a.dtype, a.shape[-2], b.shape[-1], a.shape[-1], nt=is_column_major(b), bias="mat1" in call.args)


def mv(call: OpCall) -> tuple[Kernel, ...]:
    """A product with one column."""
    a = tensor(call, "self")
    return product(a.dtype, a.shape[0], 1, a.shape[-1])


def dot(call: OpCall) -> tuple[Kernel, ...]:
    """A product of one row and one column."""
    a = tensor(call, "self")
    return product(a.dtype, 1, 1, a.elements)


def bmm(call: OpCall) -> tuple[Kernel, ...]:
    """A batch of products; of ``baddbmm`` what is added is copied into the result first."""
    a, b = tensor(call, "batch1", "self"), tensor(call, "batch2", "mat2")
    gemm = product(a.dtype, a.shape[1], b.shape[2], a.shape[2], batch=a.shape[0], nt=is_column_major(b))
    added = call.args.get("self")
    if "batch1" in call.args and isinstance(added, TensorSpec) and call.args.get("beta", 1) != 0:
        return copy_of(added, call.outputs[0]) + gemm
    return gemm


def baddbmm_macs(call: OpCall) -> int:
    """batch x m x k x n."""
    return math.prod(tensor(call, "batch1").shape) * tensor(call, "batch2").shape[-1]


def mv_macs(call: OpCall) -> int:
    """Matrix by vector, and dot product of two vectors: the elements of the first."""
    return tensor(call, "self").elements


def einsum_macs(call: OpCall) -> int:
    """Of two operands: a multiplication for each combination of their indices. fvcore's, which rounds to four digits,
    where an equation names no index.
    """
    equation = str(call.args["equation"]).replace(" ", "")
    operands = [value.shape for value in call.tensors]
    if "." in equation or len(operands) != 2:
        from predictor.ops.macs import fvcore_macs

        return fvcore_macs(call)
    sizes = {
        index: size
        for names, shape in zip(equation.split("->")[0].split(","), operands, strict=True)
        for index, size in zip(names, shape, strict=True)
    }
    return math.prod(sizes.values())


ROWS = (
    Operator(
        ("linear",),
        Trait.GEMM,
        linear,
        onnx=(OnnxForm(("Gemm", "FusedGemm"), ort.gemm, Trait.GEMM, ort.product_macs),),
        example=lambda o: partial(o.functional.linear, o.x, o.weight, o.vector),
    ),
    Operator(("addmm",), Trait.GEMM, mm, example=lambda o: partial(o.torch.addmm, o.vector, o.matrix, o.weight)),
    Operator(("mm",), Trait.GEMM, mm, example=lambda o: partial(o.torch.mm, o.matrix, o.weight)),
    Operator(("mv",), Trait.GEMM, mv, mv_macs, untimed=RARE),
    Operator(("dot",), Trait.GEMM, dot, mv_macs, untimed=RARE),
    Operator(("bmm",), Trait.GEMM, bmm, example=lambda o: partial(o.torch.bmm, o.x, o.sequence)),
    Operator(
        ("baddbmm",),
        Trait.GEMM,
        bmm,
        baddbmm_macs,
        example=lambda o: partial(o.torch.baddbmm, o.square, o.x, o.sequence),
    ),
    Operator(
        ("matmul",),
        Trait.COMPOSITE,
        onnx=(
            OnnxForm(("MatMul", "FusedMatMul"), ort.matmul, Trait.PRODUCT, ort.product_macs),
            OnnxForm(("TransposeMatMul",), ort.matmul, Trait.PRODUCT),
        ),
        fused_by=LOOP,
        example=lambda o: lambda: o.torch.matmul(o.heads, o.heads.transpose(-1, -2)),
    ),
    Operator(
        ("einsum",),
        Trait.COMPOSITE,
        macs=einsum_macs,
        onnx=ort.form("Einsum", trait=Trait.PRODUCT, lower=ort.einsum),
        fused_by=LOOP,
        example=lambda o: partial(o.torch.einsum, "bind,bjnd->bnij", o.heads_last, o.heads_last),
    ),
)
