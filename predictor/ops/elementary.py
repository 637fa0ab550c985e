"""The kernels that lowerings are made of: products, passes over elements, copies, fills, and kernels by rows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise, takewhile

from predictor.kernels.family import WARP
from predictor.kernels.unmodelled import UNMODELLED
from predictor.ops.instructions import CAST_CYCLES, line_cycles, offset_cycles
from predictor.ops.walks import axes_of, walk
from predictor.records import Kernel, OpCall, TensorSpec


def product(
    dtype: str, m: float, n: float, k: float, batch: float = 1, nt: bool = True, bias: bool = False
) -> tuple[Kernel, ...]:
    """batch x (m, k) @ (k, n), sizes that are a mean where they need not be whole. nt: the second operand is stored as
    (n, k); bias: added in the epilogue. Of complex numbers it is four products of real ones.
    """
    if min(m, n, k, batch) == 0:
        return ()
    if dtype.startswith("complex"):
        m, k = 2 * m, 2 * k
    return (Kernel("gemm", dtype, {"m": m, "n": n, "k": k, "batch": batch, "nt": float(nt), "bias": float(bias)}),)


def is_vectorised(t: TensorSpec, out: TensorSpec) -> bool:
    """Whether a pointwise kernel reads a tensor in the order in which it writes its result."""
    return out.elements == 1 or (t.shape == out.shape and t.stride == out.stride and t.is_dense)


VECTORISED = {("fp32", "fp16"), ("fp32", "bf16")}
"""(Dtype, dtype) that torch has a kernel of its own to copy from and to."""


def pointwise_of(
    inputs: tuple[TensorSpec, ...],
    out: TensorSpec,
    heavy: float = 0.0,
    converts: bool | None = None,
    cycles: int = 0,
) -> tuple[Kernel, ...]:
    """A pass over every element of ``out``. heavy: transcendental functions of each; converts: whether it turns each
    number into another dtype as it reads it; None: where its inputs are of several; cycles: of a lane for each element,
    beside those that find its place.
    """
    if out.elements == 0:
        return ()
    if converts is None:
        converts = len({t.dtype for t in inputs if t.dtype != "bool"}) > 1
    contiguous = all(is_vectorised(t, out) for t in inputs)
    lines = sum(line_cycles(t, out) for t in inputs if t.elements > 1)
    placing = 0 if contiguous else max(offset_cycles(inputs, out), round(lines))
    dims = {
        "elements": out.elements,
        "bytes_read": sum(min(t.nbytes, t.elements * t.itemsize) for t in inputs),
        "bytes_written": out.elements * out.itemsize,
        "inputs": len([t for t in inputs if t.elements > 1]),
        "contiguous": float(contiguous),
        "converts": float(converts),
        "heavy": float(heavy),
        "work": float(cycles + placing + (CAST_CYCLES if converts else 0)),
    }
    return (Kernel("pointwise", out.dtype, dims),)


def run_length(source: TensorSpec, out: TensorSpec | None = None) -> tuple[int, bool]:
    """Elements read and written in one run in the order of the output, and whether the fastest dimension of the source
    is not that of the output, which is the last one's if not given. Where few elements lie inside of the fastest
    dimension, the threads of a warp still share its runs.
    """
    run, inside = 1, 1
    dims = list(zip(reversed(source.shape), reversed(source.stride), strict=True))
    written: list[int] = []
    if out is not None and out.shape == source.shape:
        order = sorted(range(len(dims)), key=lambda d: out.stride[-1 - d])
        dims, written = [dims[d] for d in order], [out.stride[-1 - d] for d in order if dims[d][0] != 1]
    sizes = [(n, s) for n, s in dims if n != 1]
    for number, (n, s) in enumerate(sizes):
        if s != run or (written and written[number] != run):
            break
        run *= n
    if not sizes or sizes[0][1] <= 1:
        return run, False
    for n, s in sizes:
        if s == 1 and inside <= WARP // 4:
            return max(min(n, WARP // inside), 1), False
        inside *= n
    return run, True


def copy_of(source: TensorSpec, out: TensorSpec | None = None) -> tuple[Kernel, ...]:
    """Writing ``source`` into ``out``, a dense tensor of its shape and dtype if not given."""
    given, out = out, out or source
    if out.elements == 0:
        return ()
    if source.dtype != out.dtype:
        return pointwise_of((source,), out, converts=(source.dtype, out.dtype) not in VECTORISED)
    run, transposed = run_length(source, given)
    written = given.stride if given is not None and given.shape == source.shape else in_order(source.shape)
    dims = {
        "elements": out.elements,
        "bytes_read": source.nbytes,
        "bytes_written": out.elements * out.itemsize,
        "run": run,
        "transposed": float(transposed),
        **walk(axes_of(source.shape, source.stride, written), out.itemsize),
    }
    return (Kernel("copy", out.dtype, dims),)


def widened(x: TensorSpec, out: TensorSpec) -> tuple[Kernel, ...]:
    """The cast of truth values or short whole numbers before they are added up to long ones."""
    return copy_of(x, replace(x, dtype=out.dtype)) if out.dtype == "int64" and x.dtype != "int64" else ()


def element_copy(x: TensorSpec, out: TensorSpec, **dims: float) -> tuple[Kernel, ...]:
    """A kernel that finds the place of each element of ``out`` in ``x`` by itself."""
    if out.elements == 0:
        return ()
    sizes = {"elements": out.elements, "bytes_read": min(x.nbytes, out.nbytes), "bytes_written": out.nbytes}
    return (Kernel("copy", x.dtype, {**sizes, "run": 1, "transposed": 0.0, **dims}),)


def dense(shape: tuple[int, ...], dtype: str) -> TensorSpec:
    """A contiguous tensor."""
    return TensorSpec(shape, dtype, in_order(shape))


def in_order(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of a contiguous tensor."""
    return tuple(math.prod(shape[d + 1 :]) for d in range(len(shape)))


def contiguous_of(x: TensorSpec) -> tuple[Kernel, ...]:
    """The copy that torch makes of a transposed input before kernels that go along its rows."""
    return () if x.is_contiguous else copy_of(x)


def fill_of(out: TensorSpec, cycles: int = 0) -> tuple[Kernel, ...]:
    """Writing a value into every element. cycles: of a lane for each, where it is computed."""
    if out.elements == 0:
        return ()
    work = {"work": float(cycles)} if cycles else {}
    return (Kernel("fill", out.dtype, {"elements": out.elements, "bytes_written": out.nbytes, **work}),)


def rows_of(family: str, x: TensorSpec, rows: int, cols: int) -> tuple[Kernel, ...]:
    """A kernel of a family that goes along the rows of a matrix."""
    return (Kernel(family, x.dtype, {"rows": rows, "cols": cols}),) if rows and cols else ()


def reduction_of(x: TensorSpec, rows: int, axes: Iterable[int]) -> tuple[Kernel, ...]:
    """A reduction to rows elements over some axes, none for all: along the innermost dimension of the memory, or across
    it.
    """
    reduced = {axis % max(len(x.shape), 1) for axis in axes} or set(range(len(x.shape)))
    strides = {d: s for d, (n, s) in enumerate(zip(x.shape, x.stride, strict=True)) if n > 1 and s}
    order = sorted(strides, key=lambda d: strides[d])
    inner = not order or order[0] in reduced
    beside = math.prod(x.shape[d] for d in takewhile(lambda d: d not in reduced, order))
    steps = [(x.shape[d], strides[d]) for d in order if d in reduced]
    whole = all(n * s == above for (n, s), (_, above) in pairwise(steps))
    dims = {"rows": rows, "cols": x.elements // rows, "inner": float(inner), "beside": beside, "whole": float(whole)}
    return (Kernel("reduce", x.dtype, dims),)


def along(x: TensorSpec, family: str, dim: int, **kind: float) -> tuple[Kernel, ...]:
    """A kernel of a family that goes along a dimension of a contiguous tensor. kind: dimensions of it besides."""
    if not x.elements:
        return ()
    cols = x.shape[dim] if x.shape else 1
    stride = math.prod(x.shape[dim % len(x.shape) + 1 :]) if x.shape else 1
    return (Kernel(family, x.dtype, {"rows": x.elements // cols, "cols": cols, "stride": stride, **kind}),)


def dropped(call: OpCall) -> tuple[Kernel, ...]:
    """A pass that writes what is kept, and which."""
    x, out = call.tensors[0], call.outputs[0]
    if not out.elements:
        return ()
    (kept,) = pointwise_of((x,), out)
    return (replace(kept, dims={**kept.dims, "bytes_written": out.elements * (out.itemsize + 1)}),)


def unmodelled(call: OpCall) -> tuple[Kernel, ...]:
    """One kernel that reads every input and writes every output of a call: the least that an operator does of which
    nothing else is known.
    """
    inputs, outputs = call.tensors, call.outputs
    if not any(t.elements for t in (*inputs, *outputs)):
        return ()
    dims = {
        "elements": max(t.elements for t in (*inputs, *outputs)),
        "bytes_read": sum(t.nbytes for t in inputs),
        "bytes_written": sum(t.nbytes for t in outputs),
    }
    dtype = next(t.dtype for t in (*outputs, *inputs) if t.elements)
    return (Kernel(UNMODELLED, dtype, dims),)


WRITTEN_OUT = 512
"""Repetitions up to which every one is a kernel of its own; of more, so many stand for all. A judgement: with 512 the
order of a step's kernels shifts a pass by less than a percent.
"""


def repeated(kernels: tuple[Kernel, ...], times: int) -> tuple[Kernel, ...]:
    """Kernels so many times one after another, in a tuple whose length has a limit."""
    parts = min(times, WRITTEN_OUT)
    if parts == times:
        return kernels * times
    whole, more = divmod(times, parts)
    first = tuple(replace(kernel, times=kernel.times * (whole + 1)) for kernel in kernels)
    rest = tuple(replace(kernel, times=kernel.times * whole) for kernel in kernels)
    return first * more + rest * (parts - more)


def scalar_of(dtype: str) -> TensorSpec:
    """A tensor of one element."""
    return TensorSpec((1,), dtype, (1,))
