"""Reads and writes at places that a tensor of integers says."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise

import numpy as np

from predictor.ops import ort
from predictor.ops.arguments import tensor
from predictor.ops.elementary import copy_of, fill_of, pointwise_of, rows_of
from predictor.ops.row import LOOP, NO_FUSER, RARE, SPELLED_OTHERWISE, Operator
from predictor.records import Kernel, OpCall, TensorSpec, Trait


def gather(call: OpCall) -> tuple[Kernel, ...]:
    """A read for every index, of neighbours where one index stands for several."""
    out, index = call.outputs[0], next((t for t in call.tensors if t.dtype in INDICES), None)
    dims = {"rows": out.elements, "cols": 1, "selects": 0.0}
    run = shared_run(index) if index else 1
    if run > 1:
        dims["run"] = run
    return (Kernel("gather", out.dtype, dims),) if out.elements else ()


INDICES = ("int64", "int32")
"""Dtypes of indices."""


def shared_run(index: TensorSpec) -> int:
    """Neighbours that share an index: of one that is expanded along the last dimensions."""
    run = 1
    for n, s in zip(reversed(index.shape), reversed(index.stride), strict=True):
        if s and n != 1:
            break
        run *= n
    return run


def look_up(call: OpCall) -> tuple[Kernel, ...]:
    """A row of a table for every index; these are copied first where they are no list, of whatever step."""
    out, index = call.outputs[0], tensor(call, "indices")
    if not out.elements:
        return ()
    steps = [(n, step) for n, step in zip(index.shape, index.stride, strict=True) if n != 1]
    if not all(step == n * inner for (_, step), (n, inner) in pairwise(steps)):
        return (*copy_of(index), *rows_read(out, out.shape[-1]))
    return rows_read(out, out.shape[-1], of_slices=index.is_contiguous)


def select(call: OpCall) -> tuple[Kernel, ...]:
    """A slice for every index; behind a first dimension, or of indices that lie apart, each element for itself
    (aten/src/ATen/native/cuda/IndexKernelUtils.h, fast_gather_kernel_eligible).
    """
    x, index, out = tensor(call, "self"), tensor(call, "index"), call.outputs[0]
    dim = int(call.args.get("dim", 0)) % max(len(x.shape), 1)
    of_slices = has_slices(x, dim) and index.is_contiguous
    return rows_read(out, out.elements // max(index.elements, 1), of_slices=of_slices)


VECTOR_BYTES = 16
"""That a thread reads of a slice at once, of which the step from slice to slice is a multiple."""


def has_slices(x: TensorSpec, dim: int) -> bool:
    """Whether what lies behind a dimension is one slice of memory for each of its indices, and nothing before it: also
    where there is a gap behind each slice.
    """
    if math.prod(x.shape[:dim]) != 1:
        return False
    slices = TensorSpec(x.shape[dim + 1 :], x.dtype, x.stride[dim + 1 :])
    return x.is_contiguous or (slices.is_contiguous and x.stride[dim] * x.itemsize % VECTOR_BYTES == 0)


def index(call: OpCall) -> tuple[Kernel, ...]:
    """A slice for every index; of several indices, or behind a first dimension, each element for itself."""
    x, out = tensor(call, "self"), call.outputs[0]
    dim, indexed = 0, list[int]()
    for one in call.args.get("indices") or ():
        width = len(one.shape) if isinstance(one, TensorSpec) and one.dtype == "bool" else 1
        indexed += range(dim, dim + width) if isinstance(one, TensorSpec) else ()
        dim += width
    last = indexed[-1] if indexed else 0
    of_slices = len(indexed) < 2 and has_slices(x, last)
    return rows_read(out, math.prod(x.shape[last + 1 :]), selects=False, of_slices=of_slices)


def rows_read(out: TensorSpec, cols: int, *, selects: bool = True, of_slices: bool = True) -> tuple[Kernel, ...]:
    """Rows of so many elements, which a list of indices says. selects: as ``index_select`` reads them; of_slices: where
    each row is a slice of what is read, else each element is found by itself.
    """
    if not out.elements:
        return ()
    dims = {"rows": out.elements // max(cols, 1), "cols": cols, "selects": float(selects)}
    return (Kernel("gather", out.dtype, dims if of_slices else {**dims, "apart": 1.0}),)


def scatter(call: OpCall, *, in_place: bool = False, adds: bool = False, by_rows: bool = False) -> tuple[Kernel, ...]:
    """A write for every index, into a copy unless in place. adds: to what is there; by_rows: of whole slices, which a
    list of indices says.
    """
    x, index = tensor(call, "self"), tensor(call, "index")
    if not index.elements:
        return ()
    source = next((call.args[n] for n in ("src", "source") if isinstance(call.args.get(n), TensorSpec)), index)
    copied = () if in_place else copy_of(x, call.outputs[0])
    places = max(source.elements, index.elements)
    cols = places // index.elements if by_rows else 1
    dim = int(call.args.get("dim", 0))
    listed = index.elements if by_rows or not index.shape else index.shape[dim]
    shared = listed / max(x.shape[dim], 1) if x.shape else 1.0
    run = 1 if by_rows else shared_run(index)
    return (*copied, written(x.dtype, places // cols, cols, adds=adds, shared=shared, run=run))


ADDED, COMPARED = ("sum", "mean"), ("amax", "amin")
"""Reductions that add, and that compare; the others multiply."""

WORD_BYTES, ELEMENTS_OF_SCATTER = 4, 8
"""Of the shortest word that is exchanged in memory if it is still the same (aten/src/ATen/cuda/Atomic.cuh), and
elements of a thread of a scatter (aten/src/ATen/native/cuda/ScatterGatherKernel.cu).
"""


def exchanged(added: Kernel, reduce: str, itemsize: int, each: int = 1) -> Kernel:
    """The kernel of a sum at places, as another reduction. Instructions add in memory, and compare integers; else
    neighbours and all that meet in a place contend for the word that it lies in: a product changes it each time, of n
    in any order the logarithm of n are larger than all before. each: elements of a thread.
    """
    if reduce in ADDED or (reduce in COMPARED and added.dtype in INDICES):
        return added
    contend = added.dims["shared"] * max(WORD_BYTES / itemsize, 1)
    changes = math.log1p(contend) if reduce in COMPARED else contend
    rows = added.dims["rows"] * added.dims["cols"]
    return Kernel("exchange", added.dtype, {"rows": rows, "changes": changes, "each": float(each)})


def reduced_into(call: OpCall, *, in_place: bool = False) -> tuple[Kernel, ...]:
    """A reduction for every index, into a tensor that is copied twice unless in place (aten/src/ATen/native/
    TensorAdvancedIndexing.cpp, scatter_reduce_two): the places are emptied first where what is there is not included;
    a mean is divided by how many there are, which ones are added up for.
    """
    x, index, out = tensor(call, "self"), tensor(call, "index"), call.outputs[0]
    if not index.elements:
        return ()
    source, included = tensor(call, "src"), call.args.get("include_self", True)
    (added,) = scatter(call, in_place=True, adds=True)
    emptied = () if included else scatter(call, in_place=True)
    copied = () if in_place else copy_of(x, out) * 2
    reduce = str(call.args.get("reduce"))
    if reduce != "mean":
        return (*copied, *emptied, exchanged(added, reduce, x.itemsize, ELEMENTS_OF_SCATTER))
    flags = TensorSpec(out.shape, "bool", out.stride)
    counted = (*fill_of(source), *fill_of(out), added)
    at_least_one = pointwise_of((out,), flags) + pointwise_of((out, flags), out)
    return (*copied, *emptied, added, *counted, *at_least_one, *pointwise_of((out, out), out))


def reduced_by_rows(call: OpCall, *, in_place: bool = False) -> tuple[Kernel, ...]:
    """A reduction of whole slices, which a list of indices says."""
    found = scatter(call, in_place=in_place, adds=True, by_rows=True)
    itemsize = tensor(call, "self").itemsize
    return (*found[:-1], *(exchanged(added, str(call.args.get("reduce")), itemsize) for added in found[-1:]))


def called_by_scatter_reduce(call: OpCall) -> tuple[str, ...]:
    """Operators whose kernels those of ``scatter_reduce`` are."""
    begun = () if call.args.get("include_self", True) else ("scatter_",)
    counted = ("ones_like", "zeros_like", "scatter_add_", "eq", "masked_fill_", "div_")
    return (*begun, "scatter_add_", *(counted if call.args.get("reduce") == "mean" else ()))


def written(dtype: str, rows: float, cols: float, *, adds: bool = False, shared: float = 1.0, run: int = 1) -> Kernel:
    """Rows written to places that indices say. adds: to what is there; shared: rows that meet in one place; run:
    neighbours that share an index.
    """
    found = {"written": 1.0, "adds": float(adds), "shared": float(shared)}
    return Kernel("gather", dtype, {"rows": rows, "cols": cols, **found, **({"run": run} if run > 1 else {})})


def bag(call: OpCall) -> tuple[Kernel, ...]:
    """Rows read, and the sum or the largest of each bag written. The family's rows are read and written, so of every
    two rows that are read or written it has one.
    """
    weight, indices, out = tensor(call, "weight"), tensor(call, "indices"), call.outputs[0]
    if not out.elements:
        return ()
    cols = weight.shape[1]
    dims = {"rows": (indices.elements + out.elements / cols) / 2, "cols": cols}
    return (Kernel("gather", weight.dtype, {**dims, "shared": indices.elements * cols / out.elements}),)


def bag_traffic(call: OpCall) -> tuple[int, int]:
    """Every row that is gathered, with its index; one row for each bag."""
    weight, indices = tensor(call, "weight"), tensor(call, "indices")
    others = sum(t.nbytes for t in call.tensors if t is not weight)
    return indices.elements * weight.shape[1] * weight.itemsize + others, call.outputs[0].nbytes


def renormalise(call: OpCall) -> tuple[Kernel, ...]:
    """The rows of a table that indices say, read and written."""
    weight, indices = tensor(call, "self"), tensor(call, "indices")
    return rows_of("gather", weight, indices.elements, weight.shape[-1])


def renormalised_traffic(call: OpCall) -> tuple[int, int]:
    """The rows that indices say, with the indices."""
    weight, indices = tensor(call, "self"), tensor(call, "indices")
    rows = indices.elements * weight.shape[-1] * weight.itemsize
    return rows + indices.nbytes, rows


def _indexed(call: OpCall) -> int:
    """Elements at the places that indices say, None among them for whole dimensions; a mask may hold everywhere."""
    x, indices = tensor(call, "self"), call.args.get("indices") or ()
    sizes, dim, shapes = 1, 0, []
    for index in indices:
        if not isinstance(index, TensorSpec):
            sizes *= x.shape[dim]
        elif index.dtype == "bool":
            sizes *= index.elements
        else:
            shapes.append(index.shape)
        dim += len(index.shape) if isinstance(index, TensorSpec) and index.dtype == "bool" else 1
    return sizes * math.prod(np.broadcast_shapes(*shapes)) * math.prod(x.shape[dim:])


def index_put(call: OpCall, *, in_place: bool = False) -> tuple[Kernel, ...]:
    """A write for every index, into a copy unless in place; where writes add up, the indices are sorted first."""
    x = tensor(call, "self")
    places = _indexed(call)
    if not places:
        return ()
    copied = () if in_place else copy_of(x, call.outputs[0])
    adds_up = bool(call.args.get("accumulate"))
    order = (Kernel("sort", "int64", {"rows": 1, "cols": places, "k": 0.0}),) if adds_up else ()
    return (*copied, *order, written(x.dtype, places, 1, adds=adds_up, shared=places / max(x.elements, 1)))


def index_put_traffic(call: OpCall) -> tuple[int, int]:
    """Indices and values, and the places that are written."""
    x = tensor(call, "self")
    read = sum(t.nbytes for t in call.tensors if t is not x)
    written = _indexed(call) * x.itemsize
    return (read, written) if call.op.endswith("_") else (read + x.nbytes, written + x.nbytes)


def index_fill(call: OpCall, *, in_place: bool = False) -> tuple[Kernel, ...]:
    """A value written into slices, of a copy unless in place."""
    x, index = tensor(call, "self"), tensor(call, "index")
    if not x.elements or not index.elements:
        return ()
    copied = () if in_place else copy_of(x, call.outputs[0])
    listed = x.shape[int(call.args["dim"])] if x.shape else 1
    places = x.elements // listed * index.elements
    return (*copied, written(x.dtype, places, 1))


def histogram(call: OpCall) -> tuple[Kernel, ...]:
    """Zeros, and one added for each element."""
    x, out = call.tensors[0], call.outputs[0]
    added = written(x.dtype, x.elements, 1, adds=True, shared=x.elements / max(out.elements, 1))
    return (*fill_of(out), added) if x.elements else fill_of(out)


def unpool(call: OpCall) -> tuple[Kernel, ...]:
    """Zeros, and every element written to the place that it came from."""
    x, out = call.tensors[0], call.outputs[0]
    return (*fill_of(out), written(x.dtype, x.elements, 1)) if x.elements else fill_of(out)


_row = partial(Operator, trait=Trait.GATHER, fused_by=LOOP)
_alone = partial(_row, fused_by=NO_FUSER)

ROWS = (
    _row(
        ("embedding",),
        lower=look_up,
        onnx=ort.form("Gather", trait=Trait.COPY, lower=ort.looked_up),
        example=lambda o: partial(o.torch.embedding, o.weight, o.ids),
    ),
    _row(
        ("index_select",),
        lower=select,
        example=lambda o: lambda: o.torch.index_select(o.matrix, 0, o.ids[0]),
        example_calls=("select",),
    ),
    _row(
        ("index",),
        lower=index,
        onnx=ort.form("GatherND", trait=Trait.COPY, lower=ort.gathered_slices),
        example=lambda o: lambda: o.matrix[o.ids[0]],
        example_calls=("select",),
    ),
    _row(
        ("gather",),
        lower=gather,
        onnx=ort.form("GatherElements", trait=Trait.COPY, lower=ort.gathered),
        example=lambda o: partial(o.torch.gather, o.x, 2, o.index),
    ),
    _row(("take_along_dim",), lower=gather, untimed=RARE),
    _row(("take", "_unsafe_index"), lower=gather, untimed=RARE),
    _alone(("nonzero_static",), lower=gather, untimed=RARE),
    _alone(
        ("_embedding_bag_forward_only", "_embedding_bag"),
        lower=bag,
        traffic=bag_traffic,
        untimed=SPELLED_OTHERWISE,
    ),
    _alone(("embedding_renorm_",), lower=renormalise, traffic=renormalised_traffic, untimed=RARE),
    _row(
        ("index_put_", "_index_put_impl_"),
        lower=partial(index_put, in_place=True),
        traffic=index_put_traffic,
        onnx=ort.form("ScatterND", trait=Trait.COPY, lower=ort.scattered),
        untimed=RARE,
    ),
    _row(("index_put", "_unsafe_index_put"), lower=index_put, traffic=index_put_traffic, untimed=RARE),
    _row(("index_fill",), lower=index_fill, untimed=RARE),
    _row(("index_fill_",), lower=partial(index_fill, in_place=True), untimed=RARE),
    _alone(("histc",), lower=histogram, untimed=RARE),
    _row(("max_unpool2d", "max_unpool3d", "unfold_backward"), lower=unpool, untimed=RARE),
    _row(
        ("scatter", "put"),
        lower=scatter,
        onnx=ort.form("ScatterElements", "Scatter", trait=Trait.COPY, lower=ort.scattered_elements),
        untimed=RARE,
    ),
    _row(("scatter_", "put_"), lower=partial(scatter, in_place=True), untimed=RARE),
    _row(("scatter_add",), lower=partial(scatter, adds=True), untimed=RARE),
    _row(("scatter_add_",), lower=partial(scatter, in_place=True, adds=True), untimed=RARE),
    _row(("scatter_reduce",), lower=reduced_into, calls=called_by_scatter_reduce, untimed=RARE),
    _row(
        ("scatter_reduce_",),
        lower=partial(reduced_into, in_place=True),
        calls=called_by_scatter_reduce,
        untimed=RARE,
    ),
    _row(("index_copy",), lower=partial(scatter, by_rows=True), untimed=RARE),
    _row(("index_copy_",), lower=partial(scatter, in_place=True, by_rows=True), untimed=RARE),
    _row(("index_add",), lower=partial(scatter, adds=True, by_rows=True), untimed=RARE),
    _row(("index_add_",), lower=partial(scatter, in_place=True, adds=True, by_rows=True), untimed=RARE),
    _alone(("index_reduce",), lower=reduced_by_rows, untimed=RARE),
    _alone(("index_reduce_",), lower=partial(reduced_by_rows, in_place=True), untimed=RARE),
)
