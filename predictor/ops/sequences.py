"""Scans, sorts and Fourier transforms: along a dimension, each element depends on many."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from predictor.ops import ort
from predictor.ops.arguments import tensor
from predictor.ops.elementary import along, copy_of, fill_of, pointwise_of, widened
from predictor.ops.row import LOOP, RARE, Operator
from predictor.records import Kernel, OpCall, TensorSpec, Trait


def scan(call: OpCall, *, heavy: float = 0.0) -> tuple[Kernel, ...]:
    """A kernel along the rows, after a cast of truth values or short whole numbers. heavy: of exponentials."""
    x, out, dim = tensor(call, "self"), call.outputs[0], int(call.args.get("dim", -1))
    indexed = len(call.outputs) > 1
    cast = () if indexed else widened(x, out)
    x = replace(x, dtype=out.dtype) if cast else x
    down = bool(x.shape) and dim % len(x.shape) != len(x.shape) - 1
    return cast + along(x, "scan", dim, indexed=float(indexed), heavy=heavy, down=float(down))


SORTED_IN_PLACE = 4096
"""Elements of a row up to which a block sorts it where it lies (aten/src/ATen/native/cuda/Sort.cpp,
should_use_small_sort).
"""


def sort(call: OpCall, *, k: float = 0.0) -> tuple[Kernel, ...]:
    """Sorting along a dimension, made the last one, but of short rows, which are sorted where they lie. k: of the
    largest that are wanted, 0 for all.
    """
    x = tensor(call, "self")
    if not x.elements:
        return ()
    dim = int(call.args.get("dim", -1)) if x.shape else 0
    cols = x.shape[dim] if x.shape else 1
    swapped = bool(x.shape) and dim % len(x.shape) != len(x.shape) - 1
    dims = {"rows": x.elements // cols, "cols": cols, "k": k}
    if swapped and not k and cols <= SORTED_IN_PLACE:
        return (Kernel("sort", x.dtype, {**dims, "stride": max(x.stride[dim], 1)}),)
    return (*(copy_of(x.transposed(dim)) if swapped else ()), Kernel("sort", x.dtype, dims))


FEW_TIMES, FEW_POWER = 10, 0.145
"""Of how many elements the others are few: so many times a power of their number (aten/src/ATen/native/
TensorCompare.cpp, isin_Tensor_Tensor_out).
"""


def is_in(call: OpCall) -> tuple[Kernel, ...]:
    """Which elements are among others: each compared with each where those are few, else all joined and sorted,
    neighbours compared, and the answers put back.
    """
    x, out = call.tensors[0], call.outputs[0]
    others = call.tensors[1].elements if len(call.tensors) > 1 else 1
    if out.elements and others < int(FEW_TIMES * x.elements**FEW_POWER):
        equal = TensorSpec((x.elements, others), "bool", (others, 1))
        each = TensorSpec(equal.shape, x.dtype, (1, 0))
        answers = Kernel("reduce", "bool", {"rows": x.elements, "cols": others, "inner": 1.0})
        return (*fill_of(out), *pointwise_of((each, call.tensors[-1]), equal), answers, *copy_of(out))
    count = sum(t.elements for t in call.tensors)
    if not out.elements:
        return ()
    joined = TensorSpec((count,), x.dtype, (1,))
    order = Kernel("sort", x.dtype, {"rows": 1, "cols": count, "k": 0.0})
    back = Kernel("gather", "bool", {"rows": count, "cols": 1})
    return (*copy_of(joined), order, *pointwise_of((joined, joined), joined), back)


def topk(call: OpCall) -> tuple[Kernel, ...]:
    """The k largest along a dimension."""
    return sort(call, k=float(call.args.get("k", 0)))


def fft(call: OpCall, *, real: bool = False, back: bool = False) -> tuple[Kernel, ...]:
    """One transform for each dimension. real: the last one of them is between real and complex numbers, of which the
    others see half; back: from the complex ones, which are copied, as the library overwrites them, and scaled.
    """
    x, out = tensor(call, "self"), call.outputs[0]
    whole = out if back else x
    if not whole.elements:
        return ()
    asked = call.args["dim"]
    axes = [int(axis) for axis in (asked if isinstance(asked, (tuple, list)) else (asked,))]
    half = min(x.elements, out.elements) if real else whole.elements
    kernels = []
    for number, axis in enumerate(axes):
        cols = whole.shape[axis]
        is_last = axis % len(whole.shape) == len(whole.shape) - 1
        is_real = real and number == len(axes) - 1
        dims = {"rows": (whole.elements if is_real else half) // cols, "cols": cols, "strided": float(not is_last)}
        dims |= {"real": float(is_real), "back": float(is_real and back)}
        kernels.append(Kernel("fft", "complex64", dims))
    return tuple(kernels)


ROWS = (
    Operator(
        ("cumsum",),
        Trait.SCAN,
        scan,
        onnx=ort.form("CumSum", trait=Trait.REDUCTION, lower=ort.scanned),
        fused_by=LOOP,
        example=lambda o: partial(o.x.cumsum, -1),
    ),
    Operator(("cumprod", "cummax", "cummin"), Trait.SCAN, scan, fused_by=LOOP, untimed=RARE),
    Operator(("logcumsumexp",), Trait.SCAN, partial(scan, heavy=1.0), fused_by=LOOP, untimed=RARE),
    Operator(("sort",), Trait.SORT, sort, example=lambda o: partial(o.x.sort)),
    Operator(
        ("topk",),
        Trait.SORT,
        topk,
        onnx=ort.form("TopK", trait=Trait.REDUCTION, lower=ort.best_few),
        example=lambda o: partial(o.x.topk, 4),
    ),
    Operator(("kthvalue", "median", "nanmedian", "mode"), Trait.SORT, partial(sort, k=1.0), untimed=RARE),
    Operator(("isin",), Trait.SORT, is_in, untimed=RARE),
    Operator(("_fft_c2c",), Trait.FFT, fft, untimed=RARE),
    Operator(("_fft_r2c",), Trait.FFT, partial(fft, real=True), untimed=RARE),
    Operator(("_fft_c2r",), Trait.FFT, partial(fft, real=True, back=True), untimed=RARE),
)
