"""Matrix products."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

from predictor.ops import node_macs, ort
from predictor.ops.arguments import tensor
from predictor.ops.elementary import copy_of, fill_of, pointwise_of, product
from predictor.ops.row import LOOP, RARE, OnnxForm, Operator, always_calls
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
    """Whether all dimensions but the last are one dimension to the eye of a matrix product, which does not see those of
    one element.
    """
    rows = [(n, s) for n, s in zip(x.shape[:-1], x.stride[:-1], strict=True) if n != 1]
    return all(s == n * inner for (_, s), (n, inner) in pairwise(rows))


def is_column_major(t: TensorSpec) -> bool:
    """Whether matrices are stored by columns."""
    return len(t.stride) > 1 and t.stride[-2] == 1 and t.shape[-1] > 1


def copied(*operands: TensorSpec) -> tuple[Kernel, ...]:
    """Copies of operands that have their elements side by side neither in rows nor in columns, which cuBLAS does not
    take (aten/src/ATen/native/cuda/Blas.cpp, prepare_batch_matrix_for_cublas).
    """
    strided = [t for t in operands if len(t.shape) > 1 and not t.is_contiguous and 1 not in t.stride[-2:]]
    return tuple(kernel for t in strided for kernel in copy_of(t))


def mm(call: OpCall) -> tuple[Kernel, ...]:
    """One product, of ``addmm`` with its bias."""
    a, b = tensor(call, "self" if "mat1" not in call.args else "mat1"), tensor(call, "mat2")
    return copied(a, b) + product(
        a.dtype, a.shape[-2], b.shape[-1], a.shape[-1], nt=is_column_major(b), bias="mat1" in call.args
    )


def activated(call: OpCall) -> tuple[Kernel, ...]:
    """``addmm`` and an activation, both in the product's epilogue; a ReLU costs nothing there."""
    kernels = mm(call)
    if not kernels or not call.args.get("use_gelu"):
        return kernels
    *copies, gemm = kernels
    return (*copies, replace(gemm, dims={**gemm.dims, "gelu": 1.0}))


def activated_macs(call: OpCall) -> int:
    """m x n x k."""
    return tensor(call, "mat1").elements * tensor(call, "mat2").shape[-1]


def mv(call: OpCall) -> tuple[Kernel, ...]:
    """A product with one column, which is that of one row with the matrix as weights."""
    a = tensor(call, "self")
    return product(a.dtype, 1, a.shape[0], a.shape[-1], nt=not is_column_major(a))


def dot(call: OpCall) -> tuple[Kernel, ...]:
    """A product of one row and one column."""
    a = tensor(call, "self")
    return product(a.dtype, 1, 1, a.elements)


def bmm(call: OpCall) -> tuple[Kernel, ...]:
    """A batch of products; of ``baddbmm`` what is added is copied into the result first."""
    a, b = tensor(call, "batch1", "self"), tensor(call, "batch2", "mat2")
    whole = product(a.dtype, a.shape[1], b.shape[2], a.shape[2], batch=a.shape[0], nt=is_column_major(b))
    gemm = copied(a, b) + whole
    added = call.args.get("self")
    if "batch1" in call.args and isinstance(added, TensorSpec) and call.args.get("beta", 1) != 0:
        return copy_of(added, call.outputs[0]) + gemm
    return gemm


def baddbmm_macs(call: OpCall) -> int:
    """batch x m x k x n."""
    return math.prod(tensor(call, "batch1").shape) * tensor(call, "batch2").shape[-1]


def scaled_mm(call: OpCall) -> tuple[Kernel, ...]:
    """One product of matrices of eight bits an element."""
    a, b = call.tensors[:2]
    if not a.elements or not b.elements:
        return ()
    dims = {"m": a.shape[0], "n": b.shape[1], "k": a.shape[1], "nt": float(is_column_major(b))}
    return (Kernel("gemm_8bit", a.dtype, dims),)


def mm_macs(call: OpCall) -> int:
    """Of two matrices, or batches of them, the first two tensors."""
    a, b = call.tensors[:2]
    return a.elements * b.shape[-1]


def matmul_macs(call: OpCall) -> int:
    """Every element of the result is a sum over the last dimension of the first operand, both broadcast."""
    return call.outputs[0].elements * (call.tensors[0].shape[-1] if call.tensors[0].shape else 1)


def _groups(call: OpCall) -> tuple[int, float]:
    """(Groups with any rows, rows of each), the rows shared evenly: a router's choice is not known."""
    a, b = call.tensors[:2]
    if len(a.shape) == len(b.shape) == 3:
        return a.shape[0], a.shape[1]
    rows = a.shape[0] if len(b.shape) == 3 else b.shape[-1] if len(a.shape) == 3 else a.shape[-1]
    groups = (b if len(b.shape) == 3 else a if len(a.shape) == 3 else call.outputs[0]).shape[0]
    groups = max(min(groups, rows), 1)
    return groups, rows / groups


def grouped_mm(call: OpCall) -> tuple[Kernel, ...]:
    """Products of the experts of a mixture, as a batch of products of the same size, as many as have any rows.

    Which rows are a group's: of the first operand (rows, k) x (groups, k, n); of the second (groups, m, k) x (k, rows);
    or of what is summed over, (m, rows) x (rows, n).
    """
    a, b = call.tensors[:2]
    groups, rows = _groups(call)
    m: float
    n: float
    m, n = (a.shape[-2], rows) if len(a.shape) == 3 and len(b.shape) == 2 else (rows, b.shape[-1])
    k: float = a.shape[-1]
    if len(a.shape) == len(b.shape) == 2:
        m, k = a.shape[0], rows
    if a.itemsize > 1:
        dims = {"m": m, "n": n, "k": k, "batch": groups, "nt": float(is_column_major(b)), "bias": 0.0}
        return (Kernel("gemm_grouped", a.dtype, dims),) if m * n * k * groups else ()
    return (Kernel("gemm_8bit", a.dtype, {"m": m, "n": n, "k": k, "batch": groups, "nt": 1.0}),) if m * n * k else ()


def grouped_macs(call: OpCall) -> int:
    """Of every row with the matrix of its group."""
    a, b = call.tensors[:2]
    return (
        a.elements * b.shape[-1] if len(b.shape) == 3 or len(a.shape) == 2 else a.elements // a.shape[0] * b.shape[-1]
    )


def grouped_traffic(call: OpCall) -> tuple[int, int]:
    """Matrices of the groups that have any rows, and all else."""
    experts = next((t for t in call.tensors[:2] if len(t.shape) == 3), None)
    read = sum(t.nbytes for t in call.tensors)
    if experts is not None and experts.shape[0]:
        read -= experts.nbytes // experts.shape[0] * (experts.shape[0] - _groups(call)[0])
    return read, call.outputs[0].nbytes


def addbmm(call: OpCall) -> tuple[Kernel, ...]:
    """A product for each of the batch, each added to the sum of those before."""
    a, b = tensor(call, "batch1"), tensor(call, "batch2")
    each = product(a.dtype, a.shape[1], b.shape[2], a.shape[2], nt=is_column_major(b))
    return copy_of(call.outputs[0]) + each * a.shape[0]


def addmv(call: OpCall) -> tuple[Kernel, ...]:
    """What is added is copied into the result; a product with one column."""
    a = tensor(call, "mat")
    return copy_of(call.outputs[0]) + product(a.dtype, 1, a.shape[0], a.shape[-1], nt=not is_column_major(a))


def matrix_macs(call: OpCall) -> int:
    """A matrix by a vector: its elements."""
    return tensor(call, "mat").elements


def outer_sum(call: OpCall) -> tuple[Kernel, ...]:
    """A pass over the result."""
    return pointwise_of(call.tensors, call.outputs[0])


def conv_tbc(call: OpCall) -> tuple[Kernel, ...]:
    """A sequence (time, batch, channels) convolved: the bias copied, a product for each place of the window."""
    x, w, out = tensor(call, "self"), tensor(call, "weight"), call.outputs[0]
    rows = out.elements // max(w.shape[2], 1)
    return copy_of(out) + product(x.dtype, rows, w.shape[2], w.shape[1], nt=False) * w.shape[0]


def conv_tbc_macs(call: OpCall) -> int:
    """Rows of the result by the weights."""
    w = tensor(call, "weight")
    return call.outputs[0].elements * w.shape[0] * w.shape[1]


def distances(call: OpCall) -> tuple[Kernel, ...]:
    """Euclidean distances of two sets of points as torch computes them from a product: squares and their sums, ones,
    both joined to the coordinates, the product, and of that the root.
    """
    a, b, out = tensor(call, "x1"), tensor(call, "x2"), call.outputs[0]
    kernels: tuple[Kernel, ...] = ()
    for points in (a, b):
        rows = points.elements // max(points.shape[-1], 1)
        ones = TensorSpec((rows,), points.dtype, (1,))
        joined = TensorSpec((rows, points.shape[-1] + 2), points.dtype, (points.shape[-1] + 2, 1))
        summed = {"rows": rows, "cols": points.shape[-1], "inner": 1.0}
        kernels += (*pointwise_of((points,), points), Kernel("reduce", points.dtype, summed), *fill_of(ones))
        kernels += copy_of(joined)
    batch = math.prod(out.shape[:-2])
    whole = product(a.dtype, a.shape[-2], b.shape[-2], a.shape[-1] + 2, batch)
    root = pointwise_of((out,), out, heavy=1.0)
    return (*kernels, *pointwise_of((a,), a), *whole, *pointwise_of((out,), out), *root)


def distances_macs(call: OpCall) -> int:
    """Of the product, which sums over two more columns than there are coordinates."""
    return call.outputs[0].elements * (tensor(call, "x1").shape[-1] + 2)


def each_distance(call: OpCall) -> tuple[Kernel, ...]:
    """A kernel that sums over the coordinates for every pair."""
    out, width = call.outputs[0], call.tensors[0].shape[-1]
    dims = {"rows": out.elements, "cols": width, "inner": 1.0, "paired": 1.0}
    return (Kernel("reduce", out.dtype, dims),) if out.elements and width else ()


def each_distance_macs(call: OpCall) -> int:
    """A power for every coordinate of every pair."""
    return call.outputs[0].elements * call.tensors[0].shape[-1]


@dataclass(frozen=True, slots=True)
class Trilinear:
    """Sizes of a product of three tensors in one space: of the whole space, of what the first step sums over, the
    second, and of the dimension that both go along step by step.
    """

    space: int
    first: int
    second: int
    steps: int

    @classmethod
    def of(cls, call: OpCall) -> Trilinear:
        """Of a call of ``_trilinear``, whose tensors lack the dimensions of expand1 to expand3."""
        tensors = list(call.tensors[:3])
        gaps = [{int(d) for d in call.args[f"expand{i}"]} for i in (1, 2, 3)]
        rank = len(tensors[0].shape) + len(gaps[0])
        sizes = [1] * rank
        for operand, missing in zip(tensors, gaps, strict=True):
            for dim, n in zip([d for d in range(rank) if d not in missing], operand.shape, strict=True):
                sizes[dim] = max(sizes[dim], n)
        summed = {int(d) for d in call.args["sumdim"]}
        first = math.prod(sizes[d] for d in summed & gaps[2])
        second = math.prod(sizes[d] for d in summed - gaps[2])
        return cls(math.prod(sizes), first, second, sizes[int(call.args.get("unroll_dim", 1))])


def trilinear(call: OpCall) -> tuple[Kernel, ...]:
    """For each place along a dimension a product of the first two tensors, one with the third, and a sum."""
    sizes, out = Trilinear.of(call), call.outputs[0]
    if not sizes.space:
        return ()
    rows = tensor(call, "i1").shape[0]
    first = product(out.dtype, rows, sizes.space / sizes.steps / sizes.first / rows, sizes.first)
    second = product(out.dtype, 1, 1, sizes.second, batch=sizes.space / sizes.steps / sizes.first / sizes.second)
    place = TensorSpec((max(out.elements // sizes.steps, 1),), out.dtype, (1,))
    return fill_of(out) + (*first, *second, *pointwise_of((place, place), place)) * sizes.steps


def trilinear_macs(call: OpCall) -> int:
    """Of both steps."""
    sizes = Trilinear.of(call)
    return sizes.space + sizes.space // max(sizes.first, 1)


def mv_macs(call: OpCall) -> int:
    """Matrix by vector, and dot product of two vectors: the elements of the first."""
    return tensor(call, "self").elements


def einsum_macs(call: OpCall) -> int:
    """Those of its parts; of a trace, which shows none: of two operands a multiplication for each combination of their
    indices, else fvcore's count, which rounds to four digits.
    """
    if call.parts:
        return sum(part.macs for part in call.parts)
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
        onnx=(OnnxForm(("Gemm", "FusedGemm"), ort.gemm, Trait.GEMM, node_macs.product_macs),),
        example=lambda o: partial(o.functional.linear, o.x, o.weight, o.vector),
    ),
    Operator(("addmm",), Trait.GEMM, mm, example=lambda o: partial(o.torch.addmm, o.vector, o.matrix, o.weight)),
    Operator(("_addmm_activation",), Trait.GEMM, activated, activated_macs, untimed=RARE, calls=always_calls("addmm")),
    Operator(("mm",), Trait.GEMM, mm, mm_macs, example=lambda o: partial(o.torch.mm, o.matrix, o.weight)),
    Operator(("mv",), Trait.GEMM, mv, mv_macs, untimed=RARE),
    Operator(("dot", "vdot"), Trait.GEMM, dot, mv_macs, untimed=RARE),
    Operator(("addmv",), Trait.GEMM, addmv, matrix_macs, untimed=RARE),
    Operator(("addr",), Trait.POINTWISE, outer_sum, fused_by=LOOP, untimed=RARE),
    Operator(("_scaled_mm", "_int_mm"), Trait.GEMM, scaled_mm, mm_macs, untimed=RARE),
    Operator(
        ("_grouped_mm", "_scaled_grouped_mm"),
        Trait.GEMM,
        grouped_mm,
        grouped_macs,
        traffic=grouped_traffic,
        untimed=RARE,
    ),
    Operator(("addbmm",), Trait.GEMM, addbmm, baddbmm_macs, untimed=RARE),
    Operator(("conv_tbc",), Trait.CONV, conv_tbc, conv_tbc_macs, untimed=RARE),
    Operator(
        ("_euclidean_dist",),
        Trait.GEMM,
        distances,
        distances_macs,
        calls=always_calls(*("pow", "sum", "ones_like") * 2, "mul", "cat", "cat", "matmul", "clamp_min", "sqrt"),
        untimed=RARE,
    ),
    Operator(("_cdist_forward",), Trait.REDUCTION, each_distance, each_distance_macs, untimed=RARE),
    Operator(("_trilinear",), Trait.GEMM, trilinear, trilinear_macs, untimed=RARE),
    Operator(("bmm",), Trait.GEMM, bmm, mm_macs, example=lambda o: partial(o.torch.bmm, o.x, o.sequence)),
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
        macs=matmul_macs,
        onnx=(
            OnnxForm(("MatMul", "FusedMatMul"), ort.matmul, Trait.PRODUCT, node_macs.product_macs),
            OnnxForm(("TransposeMatMul",), ort.matmul, Trait.PRODUCT, node_macs.product_macs),
        ),
        fused_by=LOOP,
        example=lambda o: lambda: o.torch.matmul(o.heads, o.heads.transpose(-1, -2)),
    ),
    Operator(
        ("einsum",),
        Trait.COMPOSITE,
        macs=einsum_macs,
        onnx=(OnnxForm(("Einsum",), ort.einsum, Trait.PRODUCT, node_macs.einsum_macs),),
        fused_by=LOOP,
        example=lambda o: partial(o.torch.einsum, "bind,bjnd->bnij", o.heads_last, o.heads_last),
    ),
)
