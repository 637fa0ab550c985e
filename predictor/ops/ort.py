"""The kernels that ONNX Runtime runs a node with.

Products, convolutions and softmax are the libraries' own kernels, which other runtimes call too; all else are ONNX
Runtime's, one for a node, of family "ort".
"""

from __future__ import annotations

import math
from dataclasses import replace
from enum import IntEnum
from functools import partial
from itertools import combinations, pairwise

from predictor.kernels.convolutions import LONG, LONG_WINDOW, STEM, is_beyond_image, is_stem
from predictor.kernels.ort_places import TILE
from predictor.ops.elementary import dense, pointwise_of, repeated
from predictor.ops.node_macs import einsum_sizes, einsum_terms, operand_shapes
from predictor.ops.row import Lower, OnnxForm, no_kernels
from predictor.records import Kernel, OpCall, TensorSpec, Trait


class Kind(IntEnum):
    """Kinds of ONNX Runtime's kernels, as it has code of its own for them; the number is the family's dimension "kind".

    POINTWISE, TRANSCENDENTAL, CHECKED (pointwise with a choice in it); row-wise ones: SOFTMAX, NORM, REDUCED; MOVED (a
    transpose); CLIPPED (an element at a time); CUT (splits and joins, a vector at a time); GATHERED; POOLED; GELU (by
    its error function); SKIPPED (a norm of a sum); SHUFFLED (what divides for the place of each element: transposes,
    borders of images, channels to pixels); PADDED (borders along other dimensions); SIGMOID and POWER (of every
    element); SPREAD (one tensor over more dimensions); BROADCAST (two tensors, one spread over more than a channel);
    UNEVEN (pieces of several sizes joined or split); SPLIT (equal pieces).
    """

    POINTWISE = 0
    TRANSCENDENTAL = 1
    CHECKED = 2
    SOFTMAX = 3
    NORM = 4
    REDUCED = 5
    MOVED = 6
    CLIPPED = 7
    CUT = 8
    GATHERED = 9
    POOLED = 10
    GELU = 11
    SKIPPED = 12
    SHUFFLED = 13
    PADDED = 14
    SIGMOID = 15
    POWER = 16
    SPREAD = 17
    BROADCAST = 18
    UNEVEN = 19
    SPLIT = 20


ISSUED = frozenset(
    {
        *(Kind.CLIPPED, Kind.GELU, Kind.NORM, Kind.SKIPPED, Kind.SHUFFLED, Kind.PADDED),
        *(Kind.SIGMOID, Kind.POWER, Kind.SPREAD, Kind.BROADCAST, Kind.UNEVEN, Kind.SPLIT),
    }
)
"""Kinds that are bound by instructions or thread blocks rather than by traffic."""


def kernel(
    call: OpCall,
    kind: Kind = Kind.POINTWISE,
    rows: float = 0.0,
    straight: bool | None = None,
    reads_part: bool = False,
    family: str = "ort",
    blocks: float = 0.0,
    steps: float = 0.0,
) -> tuple[Kernel, ...]:
    """One of ONNX Runtime's kernels. rows: of a row-wise one; straight: whether it reads as it writes, or reduces what
    lies side by side; reads_part: of an input no more than it writes; family: "ort" or one that it stands in for;
    blocks, steps: see ``kernels.loops``.
    """
    out, inputs = call.outputs[0], [t for t in call.tensors if t.elements]
    if not out.elements:
        return ()
    if straight is None:
        straight = all(t.elements in (1, out.elements) for t in inputs)
    dims = {
        "elements": max([out.elements, *(t.elements for t in inputs[:1] if rows)]),
        "bytes_read": sum(min(t.nbytes, out.nbytes) if reads_part else t.nbytes for t in inputs),
        "bytes_written": sum(o.nbytes for o in call.outputs),
        "inputs": len([t for t in inputs if t.elements > 1]),
        "contiguous": float(straight),
        "kind": float(kind),
        "rows": rows,
        "blocks": blocks,
        "steps": steps,
    }
    return (Kernel("ort_issued" if family == "ort" and kind in ISSUED else family, out.dtype, dims),)


nothing: Lower = no_kernels


def pointwise(call: OpCall) -> tuple[Kernel, ...]:
    """A pass; of two tensors one that divides for places where either is spread, but for a number, and for a second one
    with a single dimension, a channel's (onnxruntime, binary_elementwise_ops.cc).
    """
    out, (first, *others) = call.outputs[0], call.tensors
    if len(others) != 1 or 1 in (first.elements, others[0].elements):
        return kernel(call)
    is_whole, second = first.elements == out.elements, others[0]
    if is_whole and (second.elements == out.elements or sum(n > 1 for n in second.shape) == 1):
        return kernel(call)
    return placed(call, Kind.BROADCAST, len(out.shape))


def placed(call: OpCall, kind: Kind, rank: int = 0, reads_part: bool = False) -> tuple[Kernel, ...]:
    """A kernel whose threads divide for the place of each element, see ``kernels.ort_places``."""
    names = ("elements", "bytes_read", "bytes_written", "inputs", "kind")
    return tuple(
        replace(whole, family="ort_places", dims={**{name: whole.dims[name] for name in names}, "rank": float(rank)})
        for whole in kernel(call, kind, straight=False, reads_part=reads_part)
    )


def spread(call: OpCall) -> tuple[Kernel, ...]:
    """A tensor repeated, by runs of dimensions that are repeated and that are not, side by side ones taken as one
    (onnxruntime, expand_impl.cu): of one value a fill, of one run a copy; of two with the repeated ones last rows of
    one value each.
    """
    x, out = call.tensors[0], call.outputs[0]
    shape = (1,) * (len(out.shape) - len(x.shape)) + x.shape
    repeats = [a != b for a, b in zip(shape, out.shape, strict=False) if b > 1]
    runs = 1 + sum(a != b for a, b in pairwise(repeats))
    if x.elements <= 1 or runs < 2:
        return copies_of(*[out] * bool(out.elements))
    return placed(call, Kind.SPREAD, 2 if runs == 2 and repeats[-1] else 0)


sigmoid: Lower = partial(kernel, kind=Kind.SIGMOID)
power: Lower = partial(kernel, kind=Kind.POWER)
transcendental: Lower = partial(kernel, kind=Kind.TRANSCENDENTAL)
checked: Lower = partial(kernel, kind=Kind.CHECKED)
clipped: Lower = partial(kernel, kind=Kind.CLIPPED)
gelu: Lower = partial(kernel, kind=Kind.GELU)
shuffled: Lower = partial(kernel, kind=Kind.SHUFFLED, straight=False)
gathered: Lower = partial(kernel, kind=Kind.GATHERED, straight=False)
looked_up: Lower = partial(placed, kind=Kind.GATHERED, reads_part=True)
pooled: Lower = partial(kernel, kind=Kind.POOLED, straight=False)
cut: Lower = partial(kernel, kind=Kind.CUT, straight=False)
quantised: Lower = partial(kernel, kind=Kind.CHECKED, family="ort_quantised")


VECTOR_BYTES, MOST_THREADS, MOST_BLOCKS = 16, 1024, 65_535
"""That a thread of a transpose moves at a time; threads of a block; blocks along the second and third dimension of a
grid.
"""

OF_CUBLAS = ("fp16", "fp32", "fp64")
"""Dtypes of which cuBLAS transposes matrices (onnxruntime, transpose.cc, TryTransposeWithCublas)."""


def moved(call: OpCall) -> tuple[Kernel, ...]:
    """A transpose, dimensions of one left out and those that stay side by side taken as one. Nothing moved is a copy,
    a matrix is cuBLAS's; several go tile by tile; where the last of up to four dimensions stays and is as long as
    vectors, a block takes every place in the first two. All else is an element a thread, which divides for its place
    (onnxruntime, transpose.cc; version 1.30 has no kernel in between).
    """
    x, order = call.tensors[0], call.args.get("perm")
    if not isinstance(order, tuple) or len(order) != len(x.shape) or not x.elements:
        return kernel(call, Kind.MOVED, straight=False)
    shape, order = _merged(x.shape, order)
    if len(order) < 2:
        return kernel(call, Kind.CUT, straight=False)
    if len(order) == 2:
        return kernel(call, Kind.MOVED if x.dtype in OF_CUBLAS else Kind.SHUFFLED, straight=False)
    if order == (0, 2, 1) and max(shape[0], math.ceil(shape[1] / TILE)) <= MOST_BLOCKS:
        batch, rows, cols = map(float, shape)
        return (Kernel("ort_tiled", x.dtype, {"batch": batch, "rows": rows, "cols": cols}),)
    inner, each = shape[-1], VECTOR_BYTES // x.itemsize
    is_whole = order[-1] == len(order) - 1 and inner % each == 0 and inner / each <= MOST_THREADS
    if len(order) > 4 or not is_whole or max(shape[:-2]) > MOST_BLOCKS:
        return kernel(call, Kind.SHUFFLED, straight=False)
    blocks = math.prod(shape[:-2]) * math.ceil(shape[-2] * inner / each / MOST_THREADS)
    return kernel(call, Kind.MOVED, straight=False, blocks=float(blocks))


def _merged(shape: tuple[int, ...], order: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(Shape, order) of a transpose without dimensions of one, those that follow each other before and after as one."""
    axes = [axis for axis in range(len(shape)) if shape[axis] > 1]
    runs: list[list[int]] = []
    for axis in (axes.index(axis) for axis in order if axis in axes):
        if runs and runs[-1][-1] + 1 == axis:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    before = sorted(runs)
    return tuple(math.prod(shape[axes[i]] for i in run) for run in before), tuple(before.index(run) for run in runs)


def padded(call: OpCall) -> tuple[Kernel, ...]:
    """Borders: a copy where there are none, a kernel of images along the last two dimensions, else one that goes
    through all dimensions for each element (onnxruntime, pad.cc, pad_impl.cu).
    """
    shape, out = call.tensors[0].shape, call.outputs[0]
    grown = [axis for axis, (a, b) in enumerate(zip(shape, out.shape, strict=True)) if a != b]
    if not grown:
        return copies_of(out)
    return shuffled(call) if grown[0] >= len(shape) - 2 else kernel(call, Kind.PADDED, straight=False)


def gathered_slices(call: OpCall) -> tuple[Kernel, ...]:
    """Slices from places that index tuples say: sizes from the host, where each slice begins, then the slices
    (onnxruntime, gather_nd.cc).
    """
    indices = call.tensors[1]
    if not call.outputs[0].elements or not indices.shape:
        return gathered(call)
    places = TensorSpec(indices.shape[:-1], "int64", indices.stride[:-1])
    return (*sent(indices.shape[-1]), *gathered(replace(call, outputs=(places,))), *gathered(call))


def scattered(call: OpCall) -> tuple[Kernel, ...]:
    """Slices written to places that index tuples say, see ``kernels.slices``; the data itself is written over, where
    nothing else reads it. Added in half precision, each element is tried again as long as others are added to it.
    """
    data, indices, updates = call.tensors[:3]
    count = math.prod(indices.shape[:-1])
    if not updates.elements or not count:
        return ()
    dims = {"indices": float(count), "slice": updates.elements / count}
    if call.args.get("reduction", "none") != "none" and updates.itemsize == 2:
        dims["tries"] = max(updates.elements / max(data.elements, 1), 1.0)
    return (Kernel("scattered_slices", updates.dtype, dims),)


def sampled(call: OpCall) -> tuple[Kernel, ...]:
    """An image sampled at places that a tensor says."""
    x, out = call.tensors[0], call.outputs[0]
    if not out.elements:
        return ()
    mode = str(call.args.get("mode", "linear")).removeprefix("bi")
    read = float(x.nbytes + call.tensors[1].nbytes)
    dims = {"elements": float(out.elements), "bytes_read": read, "bytes_written": float(out.nbytes)}
    dims |= {"taps": TAPS.get(mode, TAPS["linear"]), "sampled": 1.0}
    return (Kernel("ort_resize", x.dtype, dims),)


def windowed(call: OpCall, maximum: bool = False) -> tuple[Kernel, ...]:
    """A pool by cuDNN: the largest or the mean of a window for every output, see ``kernels.ort_steps``."""
    x, out = call.tensors[0], call.outputs[0]
    window = call.args.get("kernel_shape")
    if not out.elements or not isinstance(window, tuple):
        return pooled(call)
    dims = {"elements": out.elements, "bytes_read": x.nbytes, "bytes_written": out.nbytes}
    seen = math.prod(map(min, window, x.shape[2:]))  # a window larger than the image sees the image
    dims |= {"window": seen, "maximum": maximum, "volume": len(window) == 3}
    return (Kernel("ort_pool", x.dtype, {name: float(size) for name, size in dims.items()}),)


TAPS = {"nearest": 1.0, "linear": 4.0, "cubic": 16.0}
"""Elements that one of an image of another size is made of, by mode."""


def resized(call: OpCall) -> tuple[Kernel, ...]:
    """An image of another size: where its rows and columns come from, then its elements; one of the same is copied."""
    x, out = call.tensors[0], call.outputs[0]
    if x.shape == out.shape or not out.elements:
        return copies_of(*[out] * bool(out.elements))
    dims = {"elements": float(out.elements), "bytes_read": float(x.nbytes), "bytes_written": float(out.nbytes)}
    taps = TAPS.get(str(call.args.get("mode", "nearest")), TAPS["linear"])
    places = TensorSpec((sum(out.shape[2:]),), "int64", (1,))
    return (*copies_of(places), Kernel("ort_resize", x.dtype, {**dims, "taps": taps}))


def scattered_elements(call: OpCall) -> tuple[Kernel, ...]:
    """Elements written to places that indices say, or added there, to a copy of the data."""
    data, _, updates = call.tensors[:3]
    if call.args.get("reduction", "none") == "none" or not updates.elements or not updates.shape:
        return kernel(call, Kind.GATHERED, straight=False)
    axis = int(call.args.get("axis", 0)) % len(updates.shape)
    row = math.prod(updates.shape[axis + 1 :])
    dims = {"elements": updates.elements, "row": row, "shared": updates.elements / max(data.elements, 1)}
    return (*copies_of(data), Kernel("scattered_elements", updates.dtype, dims))


def form(
    *names: str, trait: Trait = Trait.POINTWISE, lower: Lower = pointwise, cpu_passes: int = 1
) -> tuple[OnnxForm, ...]:
    """Nodes that multiply nothing, by default pointwise ones."""
    return (OnnxForm(names, lower, trait, cpu_passes=cpu_passes),)


def copies_of(*tensors: TensorSpec) -> tuple[Kernel, ...]:
    """A kernel for each of some tensors that writes one of its size."""
    return tuple(k for t in tensors for k in kernel(_node_of(t, Trait.COPY)))


def sent(count: int) -> tuple[Kernel, ...]:
    """A copy of so many addresses or sizes from the host."""
    return (Kernel("host_copy", "int64", {"bytes": 8.0 * count}),)


def _node_of(tensor: TensorSpec, trait: Trait) -> OpCall:
    """A node that writes a tensor of the same shape and dtype."""
    return OpCall("", {"input0": tensor}, (tensor,), trait)


def units(dtype: str) -> str:
    """What a product in a dtype runs in: ONNX Runtime allows TF32 by default (option use_tf32 of its CUDA provider)."""
    return "tf32" if dtype == "fp32" else dtype


def product(dtype: str, m: int, n: int, k: int, batch: int, nt: bool, bias: bool = False) -> Kernel:
    """batch x (m, k) @ (k, n). nt: the second operand is stored as (n, k)."""
    dims = {"m": m, "n": n, "k": k, "batch": batch, "nt": float(nt), "bias": float(bias)}
    return Kernel("gemm", units(dtype), dims)


def integer_product(m: int, n: int, k: int) -> Kernel:
    """(m, k) @ (k, n) of integers of eight bits."""
    return Kernel("ort_integer_product", "int8", {"m": m, "n": n, "k": k})


def row_of(tensor: TensorSpec, dtype: str) -> TensorSpec:
    """What a reduction along the last dimension leaves."""
    shape = tensor.shape[:-1]
    return TensorSpec(shape, dtype, tuple(math.prod(shape[i + 1 :]) for i in range(len(shape))))


def gemm(call: OpCall) -> tuple[Kernel, ...]:
    """A product; its bias is first spread over the result: a row by a product with ones, whole ones by a copy
    (onnxruntime, core/providers/cuda/math/gemm.cc).
    """
    a, out = call.tensors[0], call.outputs[0]
    if not out.elements:
        return ()
    m, n = out.shape
    k = a.elements // max(m, 1)
    whole = product(a.dtype, m, n, k, 1, bool(call.args.get("transB")))
    bias = call.tensors[2] if len(call.tensors) > 2 else None
    if bias is None:
        return (whole,)
    added = replace(whole, dims={**whole.dims, "added": 1.0})
    if bias.elements == 1 or (len(bias.shape) > 1 and bias.elements == out.elements and m > 1):
        return (*copies_of(out), added)
    if a.itemsize == 2:
        return (Kernel("ort_bias_rows", a.dtype, {"rows": float(m), "cols": float(n)}), added)
    return (product(a.dtype, m, n, 1, 1, False), added)


OPERANDS = 3
"""Arrays of addresses, of the operands and of the result, that a batch of products takes but where the operands have
equally many matrices (onnxruntime, matmul.cc: CanUseStridedBatchedGemm).
"""


def matmul(call: OpCall) -> tuple[Kernel, ...]:
    """A batch of products, one where the second operand is a matrix; an operand of one dimension is a row or column.
    Batches in which either operand is a vector run kernels of their own.
    """
    (a, b), out = operand_shapes(call), call.outputs[0]
    if not out.elements or not a or not b:
        return ()
    n = 1 if len(b) == 1 else b[-2 if call.args.get("transB") else -1]
    k = a[-2] if call.args.get("transA") and len(a) > 1 else a[-1]
    batch = math.prod(out.shape[: len(out.shape) - 2]) if len(b) > 2 else 1
    rows = out.elements // max(n * batch, 1)
    if not min(rows, n, k, batch):
        return ()
    strided = len(a) > 2 and math.prod(a[:-2]) == math.prod(b[:-2])
    addresses = sent(batch) * OPERANDS if batch > 1 and not strided else ()
    dtype = call.tensors[0].dtype
    if batch > 1 and 1 in (rows, n):
        return (*addresses, Kernel("ort_vector_products", dtype, {"batch": batch, "outputs": rows * n, "k": k}))
    return (*addresses, product(dtype, rows, n, k, batch, bool(call.args.get("transB"))))


def conv(call: OpCall) -> tuple[Kernel, ...]:
    """A convolution of cuDNN; a bias is added by a kernel of its own, part of what is measured but of volumes."""
    x, w = call.tensors[0], call.tensors[1]
    if len(w.shape) not in (3, 4, 5):
        return conv_as_product(call)
    dims = _window(call, w.shape[0])
    if len(w.shape) == 5:
        return (_volume_conv(call, dims), *added_bias(call))
    family = "ort_conv" if dims["groups"] == 1 else "ort_conv_grouped"
    if 1 < dims["groups"] == x.shape[1]:
        is_long = dims["h"] == dims["r"] == 1 and dims["s"] > LONG_WINDOW
        family = LONG if is_long else "ort_conv_in_turn" if is_beyond_image(dims) else "ort_conv_depthwise"
    if is_stem(dims, x.dtype):
        return (Kernel(STEM, x.dtype, {**dims, "bias": 0.0}), *added_bias(call))
    return (Kernel(family, units(x.dtype), dims),)


def _volume_conv(call: OpCall, dims: dict[str, float]) -> Kernel:
    """A convolution of volumes: of single channels a kernel of cuDNN's own, of windows of one element a product."""
    (x, w), out = call.tensors[:2], call.outputs[0]
    if 1 < dims["groups"] == x.shape[1]:
        stream = {"elements": out.elements, "bytes_read": x.nbytes, "bytes_written": out.nbytes}
        stream |= {"window": math.prod(w.shape[2:])}
        return Kernel("ort_conv3d_depthwise", x.dtype, {name: float(size) for name, size in stream.items()})
    if w.elements == w.shape[0] * w.shape[1] and x.shape[2:] == out.shape[2:] and dims["groups"] == 1:
        return product(x.dtype, out.elements // out.shape[1], w.shape[0], w.shape[1], 1, False)
    return Kernel("conv3d", units(x.dtype), {**dims, "bias": 0.0})


def transposed_conv(call: OpCall) -> tuple[Kernel, ...]:
    """A transposed convolution, as cuDNN's gradient of a convolution's input; of volumes the product that it is, with
    what puts images, weights and the result in order, and the bias.
    """
    (x, w), out = call.tensors[:2], call.outputs[0]
    if not out.elements:
        return ()
    if len(w.shape) not in (3, 4):
        c_in, columns = x.shape[1], math.prod(w.shape[1:])
        groups = int(call.args.get("group", 1))
        whole = product(x.dtype, x.elements // max(c_in, 1), columns, c_in // groups, groups, False)
        return (*copies_of(x, w), whole, *copies_of(out), *added_bias(call))
    dims = _window(call, out.shape[1])
    written = {name: side[-1] for name, side in zip(("out_h", "out_w"), _sides(call), strict=True)}
    return (Kernel("ort_conv_transposed", units(call.tensors[0].dtype), {**dims, **written}),)


def added_bias(call: OpCall) -> tuple[Kernel, ...]:
    """A convolution's bias as cuDNN adds it (op_generic_tensor_kernel), which divides for the channel of each element:
    250 to 270 billion in a second on both GPUs.
    """
    return shuffled(_node_of(call.outputs[0], Trait.POINTWISE)) if len(call.tensors) > 2 else ()


DEPTH = ("depth", "t", "stride_d", "pad_d")
"""Size, window, stride and padding of a volume along its third dimension."""


def _window(call: OpCall, c_out: int) -> dict[str, float]:
    """Dimensions of a convolution over one to three dimensions of space, see ``kernels.convolutions``."""
    *before, (h, r, stride_h, pad_h, _), (width, s, stride_w, pad_w, _) = _sides(call)
    x = call.tensors[0]
    volume = {name: size for side in before for name, size in zip(DEPTH, side, strict=False)}
    return {
        **{"batch": x.shape[0], "c_in": x.shape[1], "c_out": c_out, "h": h, "w": width, "r": r, "s": s},
        **{"stride_h": stride_h, "stride_w": stride_w, "pad_h": pad_h, "pad_w": pad_w},
        **{"dilation": max(call.args.get("dilations") or (1,)), "groups": float(call.args.get("group", 1))},
        **{"bias": float(len(call.tensors) > 2), "channels_last": 0.0},
        **volume,
    }


def _sides(call: OpCall) -> list[tuple[float, ...]]:
    """(Size, window, stride, padding, size of the result) of a convolution's height and width.

    cuDNN is given a sequence as an image of one column (onnxruntime, conv.cc; torch gives it one of one row), and
    chooses by that: an image of one column is a sequence here, which has no height. One of one row is turned where its
    channels are convolved alone, for which cuDNN has kernels that take rows but no columns.
    """
    x, w, out = (tensor.shape[2:] for tensor in (*call.tensors[:2], call.outputs[0]))
    strides, pads = call.args.get("strides") or (1,) * len(w), call.args.get("pads") or (0,) * 2 * len(w)
    padding = [(before + after) / 2 for before, after in zip(pads[: len(w)], pads[len(w) :], strict=True)]
    sides: list[tuple[float, ...]] = list(zip(x, w, strides, padding, out, strict=True))
    if len(sides) != 2:
        return [(1, 1, 1, 0, 1), *sides] if len(sides) == 1 else sides
    is_column, is_row = (sides[i][:2] == (1, 1) for i in (1, 0))
    alone = call.args.get("group", 1) == call.tensors[0].shape[1] > 1
    return sides[::-1] if is_column or (is_row and alone) else sides


def conv_as_product(call: OpCall) -> tuple[Kernel, ...]:
    """A convolution over more than three dimensions as the matrix product that it is."""
    x, w, out = call.tensors[0], call.tensors[1], call.outputs[0]
    k = math.prod(w.shape[1:])
    return (product(x.dtype, out.elements // max(out.shape[1], 1), out.shape[1], k, 1, False),)


def recurrent(call: OpCall, gates: int) -> tuple[Kernel, ...]:
    """A recurrent layer as cuDNN runs it, see ``recurrent.cudnn_layers``. gates: products of the state a step. Its two
    directions are on streams of their own: a CUDA graph runs them side by side.
    """
    x, w, r = call.tensors[:3]
    steps, batch = x.shape[:2]
    (rows, k), width = w.shape[1:], w.shape[1] // gates
    state, gated = (TensorSpec((batch, n), x.dtype, (n, 1)) for n in (width, rows))
    of_state = replace(product(x.dtype, batch, rows, r.shape[-1], 1, True), family="ort_recurrent_product")
    step = (of_state, *pointwise_of((gated, gated, state), state, True))
    way = (product(x.dtype, batch * steps, rows, k, 1, True), *repeated(step, steps))
    return tuple(replace(kernel, at_once=float(w.shape[0])) for kernel in way) * w.shape[0]


def einsum(call: OpCall) -> tuple[Kernel, ...]:
    """Products of two operands after one another, by what their indices say, with copies that rearrange them, and the
    result where it is to be rearranged or is a batch of products; once more where a dimension is one, which may stand
    for any (launches of 87 single nodes, ``benchmarks/onnx_files/nodes.py``, summed). Of one operand a transpose or
    a sum.
    """
    terms, result = einsum_terms(str(call.args.get("equation", "")), call.tensors)
    if not terms or len(terms) != len(call.tensors) or not call.outputs[0].elements:
        return ()
    if len(terms) == 1:
        return moved(call) if len(result) == len(terms[0]) else reduced(call)
    sizes = einsum_sizes(terms, call.tensors)
    held, kernels = terms[0], copies_of(call.tensors[0])
    for position, term in enumerate(terms[1:], 1):
        kept = set(result).union(*terms[position + 1 :])
        both, left, right = set(held) & set(term), set(held) - set(term), set(term) - set(held)
        m, n, k, batch = (
            math.prod(sizes[index] for index in indices)
            for indices in (left & kept, right & kept, both - kept, both & kept)
        )
        held = tuple(index for index in dict.fromkeys((*held, *term)) if index in kept)
        if min(m, n, k, batch):
            tensor = call.tensors[position]
            is_last = position == len(terms) - 1
            natural = [i for part in (both & kept, left & kept, right & kept) for i in held if i in part]
            is_batch = bool(both & kept and left & kept and right & kept)
            shape = tuple(sizes[index] for index in held)
            ones = (call.tensors[0], tensor) if 1 in (*call.tensors[0].shape, *tensor.shape) else ()
            kernels += (*copies_of(tensor, *ones), product(tensor.dtype, m, n, k, batch, False))
            if not is_last or is_batch or natural != list(result):
                kernels += copies_of(replace(call.outputs[0], shape=shape, stride=(1,) * len(shape)))
    return kernels


def by_rows(call: OpCall, kind: Kind, in_blocks: bool = False) -> tuple[Kernel, ...]:
    """A kernel that goes along the rows from an axis on. in_blocks: with a thread block for every row."""
    x = call.tensors[0]
    axis = int(call.args.get("axis", -1))
    rows = x.elements // max(math.prod(x.shape[axis:]) if x.shape else 1, 1)
    return kernel(call, kind, rows, straight=True, blocks=float(rows * in_blocks))


norm: Lower = partial(by_rows, kind=Kind.NORM, in_blocks=True)
skipped_norm: Lower = partial(by_rows, kind=Kind.SKIPPED, in_blocks=True)


WARP_COLUMNS, WARP_BYTES = 1024, 4096
"""Elements of the longest row that a warp takes in torch, bytes of the longest in ONNX Runtime
(softmax_warp_forward_resource_efficient: rows of 1,500 in fp16 at the pace of memory, Whisper on an H100).
"""


def biased_softmax(call: OpCall) -> tuple[Kernel, ...]:
    """A softmax of a sum, of short rows by a kernel of ONNX Runtime's own, of longer ones a sum and cuDNN's softmax
    (onnxruntime, contrib_ops/cuda/math/bias_softmax.cc).
    """
    (whole,) = by_rows(call, Kind.SOFTMAX) or (None,)
    if whole is None or not whole.dims["rows"]:
        return () if whole is None else (whole,)
    rows, cols = whole.dims["rows"], whole.dims["elements"] / whole.dims["rows"]
    if cols <= WARP_COLUMNS:
        return (whole,)
    return (*kernel(call, straight=True), Kernel("ort_library_softmax", whole.dtype, {"rows": rows, "cols": cols}))


def softmax(call: OpCall) -> tuple[Kernel, ...]:
    """The code of torch's softmax, which ONNX Runtime has taken over, but for rows that torch gives a block each and
    ONNX Runtime a warp still. Along another axis than the last it is transposed before and after, as operators have
    been defined since opset 13 (onnxruntime, softmax.cc).
    """
    x = call.tensors[0]
    if not x.elements:
        return ()
    axis, last = int(call.args.get("axis", -1)) % max(len(x.shape), 1), len(x.shape) - 1
    if axis < last:
        order = tuple({axis: last, last: axis}.get(place, place) for place in range(len(x.shape)))
        along = _node_of(dense(tuple(x.shape[place] for place in order), x.dtype), Trait.REDUCTION)
        swaps = (OpCall("", {"input0": t, "perm": order}, (t,), Trait.COPY) for t in (x, along.outputs[0]))
        there, back = map(moved, swaps)
        return (*there, *softmax(along), *back)
    cols = x.shape[-1] if x.shape else 1
    if WARP_COLUMNS < cols <= WARP_BYTES // x.itemsize:
        return by_rows(call, Kind.SOFTMAX)
    return (Kernel("softmax", x.dtype, {"rows": x.elements // cols, "cols": cols}),)


def reduced(call: OpCall) -> tuple[Kernel, ...]:
    """A row for every element of the result."""
    x, out = call.tensors[0], call.outputs[0]
    side_by_side = out.elements <= 1 or not x.shape or len(x.shape) - 1 in reduced_axes(x.shape, out.shape)
    return kernel(call, Kind.REDUCED, max(out.elements, 1), straight=side_by_side)


def reduced_axes(x: tuple[int, ...], out: tuple[int, ...]) -> tuple[int, ...]:
    """Axes that a reduction of one shape to another takes, but for those of size one; where several may be meant, those
    that lie side by side, and then the last.
    """
    if len(x) == len(out):
        return tuple(axis for axis, size in enumerate(x) if size != out[axis])
    count = len(x) - len(out)
    runs = [tuple(range(first, first + count)) for first in reversed(range(len(out) + 1))]
    fits = (axes for axes in (*runs, *combinations(range(len(x)), count)) if _without(x, axes) == out)
    return tuple(axis for axis in next(fits, tuple(range(len(x)))) if x[axis] > 1)


def _without(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for axis, size in enumerate(shape) if axis not in axes)


def is_matrix_reduction(call: OpCall) -> bool:
    """Whether ONNX Runtime sums with kernels of its own: along the first dimensions or along the last, those of size
    one aside; cuDNN does otherwise (onnxruntime, reduction_functions.cc, get_applicable_matrix_reduction).
    """
    x = call.tensors[0].shape
    axes = reduced_axes(x, call.outputs[0].shape)
    taken = [axis in axes for axis, size in enumerate(x) if size > 1]
    return sum(a != b for a, b in pairwise(taken)) < 2


MANY_ROWS = 2**16
"""Rows from which a reduction along one axis, of what does not lie side by side, is priced by its rows; a judgement."""


def by_library(call: OpCall) -> tuple[Kernel, ...]:
    """A reduction by cuDNN: a cast to fp32, a pass whose threads go along the last reduced axis, and a cast back."""
    x, out = call.tensors[0], call.outputs[0]
    axes = reduced_axes(x.shape, out.shape)
    side_by_side = out.elements <= 1 or not axes or axes[-1] == len(x.shape) - 1
    rows, steps = max(out.elements, 1), float(x.shape[axes[-1]]) if axes and out.elements > 1 else 0.0
    if rows >= MANY_ROWS and len(axes) == 1 and not side_by_side and x.dtype in ("fp16", "bf16", "fp32"):
        cast = (_pass_of_library(x),) if x.dtype != "fp32" else ()
        reduced_across = Kernel("ort_reduced_across", "fp32", {"rows": rows, "cols": steps})
        return (*_zeroed(), *cast, reduced_across, _pass_of_library(out))
    return kernel(call, Kind.REDUCED, rows, straight=side_by_side, family="ort_reduction", steps=steps)


def _pass_of_library(x: TensorSpec) -> Kernel:
    """From or to single precision, which is scaled where it is one already."""
    dims = {"elements": x.elements, "bytes_read": x.nbytes, "bytes_written": replace(x, dtype="fp32").nbytes}
    return Kernel("ort_tensor_pass", x.dtype, dims)


def _zeroed() -> tuple[Kernel, ...]:
    """A buffer that is added to is zeroed before."""
    return copies_of(TensorSpec((1,), "fp32", (1,)))


SHORT_ROW = 2048
"""Elements up to which a row is one block's, a judgement: seen are 1,024."""


def by_matrix(call: OpCall) -> tuple[Kernel, ...]:
    """A sum by a kernel of ONNX Runtime's own, of short rows with a block each, of columns with several that add to a
    zeroed result, as a whole tensor is a column, see ``kernels.ort_steps``.
    """
    x, out = call.tensors[0], call.outputs[0]
    (whole,) = reduced(call) or (None,)
    if whole is None:
        return ()
    dims = {"rows": out.elements, "cols": x.elements / out.elements}
    if dims["cols"] <= 1:
        return (whole,)
    if whole.dims["contiguous"] and dims["cols"] <= SHORT_ROW:
        return (Kernel("ort_row_sums", out.dtype, dims),)
    if whole.dims["contiguous"] and out.elements > 1:
        return (whole,)
    return (*_zeroed(), Kernel("ort_column_sums", out.dtype, {**dims, "itemsize": float(out.itemsize)}))


def summed(call: OpCall) -> tuple[Kernel, ...]:
    """A sum, see ``is_matrix_reduction``; of integers a block for every result, whatever lies between what it adds
    (onnxruntime, reduce_sum_nd).
    """
    x, out = call.tensors[0], call.outputs[0]
    if x.dtype in ("int32", "int64") and x.elements and out.elements:
        rows = float(out.elements)
        return (Kernel("ort_integer_sums", x.dtype, {"rows": rows, "cols": x.elements / rows, "itemsize": x.itemsize}),)
    return by_matrix(call) if is_matrix_reduction(call) else by_library(call)


def summed_squares(call: OpCall) -> tuple[Kernel, ...]:
    """A product of a tensor with itself, then a sum."""
    x = call.tensors[0]
    return (*kernel(OpCall("", {"input0": x, "input1": x}, (x,), Trait.POINTWISE)), *summed(call))


def log_sum(call: OpCall) -> tuple[Kernel, ...]:
    """A sum, then its logarithm."""
    return (*summed(call), *kernel(_node_of(call.outputs[0], Trait.POINTWISE), Kind.TRANSCENDENTAL))


PART_SIZES, PARTS = (1792, 2304, 2816, 3328), (2, 4, 8, 16, 32, 64, 128, 256)
"""Elements of a part of a long row, of which the size is taken that fills the next of these numbers of parts best
(onnxruntime, topk_hybrid: EstimateBestPartitionSize).
"""

LONG_ROW, MOST_BEST, MOST_JOINED = 8192, 256, 1056
"""Columns from which a row is sorted in parts, the most that are kept of one, and the most blocks that join parts: all
have to be on an H100 or H200 at the same time, eight on a multiprocessor (onnxruntime, IsPreferred, IsSupported).
"""

MOST_IN_BLOCK = 4096
"""Numbers that a block sorts: 16 for each of 256 threads (onnxruntime, TopKImpl)."""

JOINED_AT_ONCE = {1: (), 4: (4,), 8: (8,), 16: (16,), 32: (8, 4), 64: (8, 8), 128: (8, 8, 2), 256: (8, 8, 4)}
"""Most parts -> how many are joined in each step (onnxruntime, GetReductionFactors)."""


def best_few(call: OpCall) -> tuple[Kernel, ...]:
    """The largest or smallest of every row, a block a row; of long rows, where they are few for the number kept, of
    parts, which are then joined; where more are kept than a block sorts every row is sorted, one after another
    (onnxruntime, topk_impl.cuh), see ``kernels.ort_selections``.
    """
    x, out = call.tensors[0], call.outputs[0]
    if not out.elements or not x.shape:
        return ()
    axis = int(call.args.get("axis", -1))
    cols, kept = x.shape[axis], out.shape[axis]
    rows = x.elements // cols

    def of_rows(family: str, rows: int, cols: int) -> Kernel:
        return Kernel(family, x.dtype, {"rows": rows, "cols": cols, "itemsize": float(x.itemsize)})

    if kept > MOST_IN_BLOCK and call.args.get("sorted", 1):
        row = Kernel("sort", x.dtype, {"rows": 1, "cols": cols, "k": 0.0})
        return repeated((row,), rows)
    few_rows = kept >= 64 or (rows <= 4 and kept >= 32) or (rows <= 2 and kept >= 8)
    size = min(PART_SIZES, key=lambda size: _empty_parts(cols, size))
    parts = math.ceil(cols / size)
    if cols < LONG_ROW or not few_rows or kept > MOST_BEST or parts > PARTS[-1] or x.dtype in ("int64", "int32"):
        return (of_rows("ort_top_k", rows, cols),)
    factors = next(factors for most, factors in JOINED_AT_ONCE.items() if parts <= most)
    if factors and rows * math.ceil(parts / factors[0]) > MOST_JOINED:
        return (of_rows("ort_top_k", rows, cols),)
    padded = max(4, 1 << (kept - 1).bit_length())
    joined = [of_rows("ort_top_joined", rows, padded * sum(factors))] if factors else []
    return (of_rows("ort_top_parts", rows * parts, size), *joined, *copies_of(out))


def _empty_parts(cols: int, size: int) -> float:
    """Share of the parts of a row that hold nothing."""
    parts = math.ceil(cols / size)
    filled = next((most for most in PARTS if parts <= most), None)
    return 1 - parts / filled if filled else math.inf


def place_of_extreme(call: OpCall) -> tuple[Kernel, ...]:
    """Where the largest or smallest is: along the last axis a kernel of ONNX Runtime's own; along others cuDNN's, in
    fp32, which a cast goes before, and one of the places to int64 after (onnxruntime, reduction_ops.cc).
    """
    x, out = call.tensors[0], call.outputs[0]
    if not out.elements or not x.elements:
        return ()
    axis = int(call.args.get("axis", 0)) % max(len(x.shape), 1)
    dims = {"rows": out.elements, "cols": x.elements // out.elements, "itemsize": float(x.itemsize)}
    if math.prod(x.shape[axis + 1 :]) == 1:
        return (Kernel("ort_extreme", x.dtype, dims),)
    single, best = (replace(tensor, dtype="fp32") for tensor in (x, out))
    cast = checked(OpCall("Cast", {"input0": x}, (single,), Trait.POINTWISE)) if x.dtype != "fp32" else ()
    found = Kernel("ort_extreme_across", "fp32", {**dims, "itemsize": 4.0})
    return (*_zeroed(), *cast, found, *copies_of(best, best), *checked(_node_of(out, Trait.POINTWISE)))


def log_sum_exp(call: OpCall) -> tuple[Kernel, ...]:
    """The largest is found and taken off, exponentials are summed, and the logarithm gets it back."""
    x, out = call.tensors[0], call.outputs[0]
    passes = (kernel(_node_of(t, Trait.POINTWISE), Kind.TRANSCENDENTAL) for t in (x, x, out, out))
    return (*by_library(call), *by_library(call), *(k for kernels in passes for k in kernels))


def scanned(call: OpCall) -> tuple[Kernel, ...]:
    """Sums along an axis: a thread for every element adds up all before it, of integers of eight bytes a block for
    every row (onnxruntime, cumsum_impl.cu).
    """
    x = call.tensors[0]
    if not x.elements or not x.shape or x.dtype == "int64":
        return kernel(call, straight=False)
    axis = int(call.args.get("axis", x.shape.index(max(x.shape)))) % len(x.shape)
    dims = {"elements": x.elements, "steps": x.shape[axis], "inner": math.prod(x.shape[axis + 1 :])}
    return (Kernel("ort_scan", x.dtype, {**dims, "itemsize": float(x.itemsize)}),)


def mean(call: OpCall) -> tuple[Kernel, ...]:
    """A sum, then a division, or a mean of cuDNN's."""
    return by_matrix(call) + copies_of(call.outputs[0]) if is_matrix_reduction(call) else by_library(call)


def by_channel(call: OpCall) -> tuple[Kernel, ...]:
    """A normalisation of every channel of every instance."""
    return kernel(call, Kind.REDUCED, max(math.prod(call.outputs[0].shape[:2]), 1), straight=True)


STATISTICS = 4
"""Buffers that are zeroed before several instances are normalised: mean, variance, and a scale and an offset that are
not used (onnxruntime, instance_norm.cc).
"""


def instance_norm(call: OpCall) -> tuple[Kernel, ...]:
    """One instance is a batch norm in training; of several it finds the statistics alone, and a pass follows that
    divides for the channel of each element. In half precision the scale and the offset of one are cast.
    """
    out, weights = call.outputs[0], call.tensors[1:3]
    if not out.elements:
        return ()
    rows = math.prod(out.shape[:2])
    dims = {"rows": rows, "cols": out.elements // rows, "itemsize": float(out.itemsize)}
    norm = Kernel("ort_channel_norm", out.dtype, dims)
    if out.shape[0] == 1:
        casts = weights if out.itemsize == 2 else ()
        return (*(k for t in casts for k in checked(_node_of(t, Trait.POINTWISE))), norm)
    channels = TensorSpec((rows,), "fp32", (1,))
    return (*copies_of(*[channels] * STATISTICS), norm, *shuffled(call))


def batch_norm(call: OpCall) -> tuple[Kernel, ...]:
    """A block for the pixels of every channel and image, see ``kernels.ort_steps``. In half precision what it
    normalises with is cast.
    """
    out = call.outputs[0]
    if not out.elements:
        return ()
    rows = math.prod(out.shape[:2])
    cast = call.tensors[1:5] if out.itemsize == 2 else ()
    casts = (k for t in cast for k in checked(_node_of(t, Trait.POINTWISE)))
    return (*casts, Kernel("ort_batch_norm", out.dtype, {"rows": rows, "cols": out.elements // rows}))


POINTERS = 4
"""Copies to the device before pieces of several sizes are joined or split: addresses, sizes, where each ends, and which
piece each place along the axis is of. Equal pieces need none, and three along the last axis are split by a kernel of
its own.
"""


def _are_uneven(pieces: tuple[TensorSpec, ...]) -> bool:
    return len({piece.shape for piece in pieces}) > 1


def _pointers(call: OpCall, pieces: tuple[TensorSpec, ...], whole: TensorSpec) -> tuple[Kernel, ...]:
    if not _are_uneven(pieces):
        return ()
    along = whole.shape[int(call.args.get("axis", 0))]
    return sent(len(pieces)) * (POINTERS - 1) + sent(along)


def joined(call: OpCall) -> tuple[Kernel, ...]:
    """Pieces joined, with copies of where they are."""
    pieces = call.tensors
    return (
        *_pointers(call, pieces, call.outputs[0]),
        *kernel(call, Kind.UNEVEN if _are_uneven(pieces) else Kind.CUT, straight=False),
    )


def split(call: OpCall) -> tuple[Kernel, ...]:
    """Pieces of one tensor, with copies of where they go, but for three along the last axis."""
    x, pieces = call.tensors[0], call.outputs
    if len(pieces) == 3 and pieces[0].shape[-1] != x.shape[-1]:
        return cut(call)
    kind = Kind.UNEVEN if _are_uneven(pieces) else Kind.SPLIT
    whole = (replace(k, dims={**k.dims, "elements": x.elements}) for k in kernel(call, kind, straight=False))
    return (*_pointers(call, pieces, x), *whole)
