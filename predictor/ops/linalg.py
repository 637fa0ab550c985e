"""Decompositions of matrices, and what is solved with them.

Arithmetic as LAPACK counts it, of square matrices times the cube of their width (Golub and Van Loan, Matrix
Computations, 4th edition, sections 3.2, 4.2, 5.2, 7.5 and 8.3); of singular values what Jacobi's algorithm takes, which
torch asks cuSOLVER for: six times the cube for each of some 15 sweeps. How many steps follow each other for each column
is a judgement: a blocked factorisation has few, a reduction to a condensed form many, an iteration the most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from predictor.ops.arguments import tensor
from predictor.ops.elementary import copy_of, dense, fill_of, pointwise_of, product, scalar_of
from predictor.ops.row import RARE, Lower, Operator
from predictor.records import Kernel, OpCall, TensorSpec, Trait

BATCHED_WIDTH = 32
"""Width up to which iterations of a batch run at once; wider matrices follow each other (torch's choice of cuSOLVER's
batched routines, aten/src/ATen/native/cuda/linalg/BatchLinearAlgebraLib.cpp).
"""


@dataclass(frozen=True, slots=True)
class Routine:
    """What a routine takes: flops by the cube of the width, steps by the width; batched: whether matrices of any width
    run at once; one_by_one: whether narrow ones follow each other, too. number: that sets it apart for a fit.
    """

    number: int
    flops: float
    steps: float
    batched: bool = False
    one_by_one: bool = False


_TRIANGULAR = 0
CHOLESKY = Routine(1, 1 / 3, 0.25, batched=True)
LU = Routine(2, 2 / 3, 0.75, batched=True)
HOUSEHOLDER = Routine(3, 4 / 3, 0.75)
QR = Routine(4, 8 / 3, 1.5, one_by_one=True)
LEAST_SQUARES = Routine(4, 8 / 3, 1.5)
EIGENVALUES_OF_SYMMETRIC = Routine(5, 9, 12)
EIGENVALUES = Routine(6, 25, 100)
SINGULAR_VALUES = Routine(7, 90, 20)
_SOLUTION = 8
"""Added to the number of a routine of which a system is solved."""

NARROW_STEPS, NARROW_STEP = 4.0, 0.2
"""Of a narrow matrix of which cuSOLVER computes a QR decomposition alone, and for each of its columns. Measured on an
H200: 10.0 us of two columns, 11.4 of four, 13.7 of eight, 24.7 of 24, 27.7 of 32, in 9 to 12 kernels.
"""

TRIANGULAR_STEPS = 0.1
"""Steps by the width of solving a triangular system."""


def _work(matrix: TensorSpec, routine: Routine) -> dict[str, float]:
    """Dimensions of a routine on (..., m, n) matrices, the copy that it works in included."""
    m, n = matrix.shape[-2:]
    batch, width = math.prod(matrix.shape[:-2]), min(m, n)
    is_narrow = width <= BATCHED_WIDTH
    steps = routine.steps * width * (1 if routine.batched or is_narrow else batch)
    if routine.one_by_one and is_narrow:
        steps = (NARROW_STEPS + NARROW_STEP * width) * batch
    return {
        "elements": matrix.elements,
        "flops": routine.flops * batch * m * n * width,
        "steps": steps,
        "width": width,
        "routine": routine.number,
    }


def _triangular_work(matrix: TensorSpec, right: TensorSpec, times: int) -> dict[str, float]:
    """Dimensions of systems of (..., n, n) triangular matrices, one after another."""
    n = matrix.shape[-1]
    return {
        "elements": times * (matrix.elements + right.elements),
        "flops": float(times * n * right.elements),
        "steps": times * TRIANGULAR_STEPS * n,
        "width": n,
        "routine": _TRIANGULAR,
    }


def triangular(matrix: TensorSpec, right: TensorSpec, times: int = 1) -> tuple[Kernel, ...]:
    """Systems of (..., n, n) triangular matrices for the columns of the right side. times: one after another."""
    if not right.elements:
        return ()
    return (Kernel("decomposition", matrix.dtype, _triangular_work(matrix, right, times)),)


def decomposition(call: OpCall, *, routine: Routine) -> tuple[Kernel, ...]:
    """A copy, which the routine works in, and the routine: one call of the library."""
    matrix = call.tensors[0]
    return (Kernel("decomposition", matrix.dtype, _work(matrix, routine)),) if matrix.elements else ()


def solve(call: OpCall, *, routine: Routine) -> tuple[Kernel, ...]:
    """A decomposition, then two triangular systems; of an inverse with the identity on the right."""
    matrix = call.tensors[0]
    right = call.tensors[1] if len(call.tensors) > 1 else matrix
    if not matrix.elements:
        return ()
    dims, behind = _work(matrix, routine), _triangular_work(matrix, right, 2)
    both = {name: dims[name] + behind[name] for name in ("elements", "flops", "steps")}
    return (Kernel("decomposition", matrix.dtype, {**dims, **both, "routine": _SOLUTION + routine.number}),)


def solve_with(call: OpCall, *, matrix: tuple[str, ...], times: int = 1) -> tuple[Kernel, ...]:
    """Triangular systems alone. matrix: names of the argument with the factors; times: of systems that follow."""
    factors = tensor(call, *matrix)
    return triangular(factors, call.outputs[0], times)


def determinant(call: OpCall, *, is_log: bool = False) -> tuple[Kernel, ...]:
    """A decomposition, the product of the diagonal, and its sign: how many pivots are not in their place, in steps for
    each matrix. Of its logarithm the signs of the diagonal besides, and the sum of the logarithms.
    """
    matrix, width = call.tensors[0], call.tensors[0].shape[-1]
    if not matrix.elements:
        return ()
    batch = matrix.elements // width**2
    each, diagonal = dense((batch,), matrix.dtype), dense((batch, width), matrix.dtype)
    pivots, moved, counted = (dense((batch, width), dtype) for dtype in ("int32", "bool", "int64"))
    count = dense((batch,), "int64")
    along = {"rows": batch, "cols": width, "inner": 1.0}
    sign = (
        *fill_of(dense((width,), "int32")),
        *pointwise_of((pivots, dense((width,), "int32")), moved),
        *pointwise_of((moved,), counted),
        Kernel("reduce", "int64", along),
        *pointwise_of((count,), count) * 3,
    )
    multiplied = (Kernel("reduce", matrix.dtype, along), *pointwise_of((each, each), each))
    if not is_log:
        return (*decomposition(call, routine=LU), *sign, *multiplied)
    logarithm = (*pointwise_of((diagonal,), diagonal), *pointwise_of((diagonal,), diagonal, heavy=1.0))
    signs, summed = pointwise_of((diagonal,), diagonal), Kernel("reduce", matrix.dtype, along)
    return (*decomposition(call, routine=LU), *sign, *signs, *multiplied, *logarithm, summed)


def pseudo_inverse(call: OpCall) -> tuple[Kernel, ...]:
    """Singular values, those that are not small inverted, and a product."""
    matrix = call.tensors[0]
    if not matrix.elements:
        return ()
    m, n = matrix.shape[-2:]
    batch = math.prod(matrix.shape[:-2])
    scaled = pointwise_of((matrix,), matrix)
    return (*decomposition(call, routine=SINGULAR_VALUES), *scaled, *product(matrix.dtype, n, m, min(m, n), batch))


EXPONENTIAL_PRODUCTS = 9
"""Of matrices: five of a Taylor polynomial of degree 18 and four squarings (Bader, Blanes and Casas, Mathematics 2019,
whose algorithm torch has); how many squarings depends on the norm, four are a judgement.
"""


def exponential(call: OpCall) -> tuple[Kernel, ...]:
    """Products and sums of powers."""
    matrix, width = call.tensors[0], call.tensors[0].shape[-1]
    each = product(matrix.dtype, width, width, width, math.prod(matrix.shape[:-2]), nt=False)
    return (*each, *pointwise_of((matrix, matrix), matrix)) * EXPONENTIAL_PRODUCTS


def exponential_macs(call: OpCall) -> int:
    """Of the products."""
    matrix = call.tensors[0]
    return EXPONENTIAL_PRODUCTS * matrix.elements * matrix.shape[-1]


def checked(call: OpCall) -> tuple[Kernel, ...]:
    """Whether any matrix failed, copied to the host."""
    info = call.tensors[0]
    whole = {"rows": 1, "cols": max(info.elements, 1), "inner": 1.0}
    return (Kernel("reduce", info.dtype, whole), *copy_of(scalar_of("bool")))


def _row(*aten: str, lower: Lower) -> Operator:
    return Operator(aten, Trait.LINALG, lower, untimed=RARE)


ROWS = (
    _row("_linalg_svd", lower=partial(decomposition, routine=SINGULAR_VALUES)),
    _row("_linalg_eigh", lower=partial(decomposition, routine=EIGENVALUES_OF_SYMMETRIC)),
    _row("linalg_eig", "linalg_eigvals", lower=partial(decomposition, routine=EIGENVALUES)),
    _row("linalg_qr", lower=partial(decomposition, routine=QR)),
    _row("geqrf", "linalg_householder_product", lower=partial(decomposition, routine=HOUSEHOLDER)),
    _row("linalg_cholesky_ex", "cholesky", lower=partial(decomposition, routine=CHOLESKY)),
    _row("linalg_lu", "linalg_lu_factor_ex", "linalg_ldl_factor_ex", lower=partial(decomposition, routine=LU)),
    _row("_linalg_solve_ex", "linalg_inv_ex", lower=partial(solve, routine=LU)),
    _row("linalg_lstsq", lower=partial(solve, routine=LEAST_SQUARES)),
    _row("_linalg_det", lower=determinant),
    _row("_linalg_slogdet", lower=partial(determinant, is_log=True)),
    _row("linalg_pinv", lower=pseudo_inverse),
    _row("linalg_lu_solve", "linalg_ldl_solve", lower=partial(solve_with, matrix=("LU", "LD"), times=2)),
    _row("linalg_solve_triangular", lower=partial(solve_with, matrix=("self",))),
    _row("triangular_solve", lower=partial(solve_with, matrix=("A",))),
    _row("cholesky_solve", lower=partial(solve_with, matrix=("input2",), times=2)),
    _row("cholesky_inverse", lower=partial(solve_with, matrix=("self",), times=2)),
    Operator(("linalg_matrix_exp",), Trait.LINALG, exponential, exponential_macs, untimed=RARE),
    Operator(("_linalg_check_errors",), Trait.SYNC, checked, untimed=RARE),
)
