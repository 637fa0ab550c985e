"""Copies: of other dtypes and layouts, joined, padded, rearranged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from predictor.kernels.family import WARP
from predictor.kernels.streams import LINE_BYTES
from predictor.ops import ort
from predictor.ops.arguments import pair, tensor
from predictor.ops.elementary import contiguous_of, copy_of, dense, element_copy, fill_of
from predictor.ops.row import EVERY_FUSER, LOOP, NOT_NVFUSER, RARE, SPELLED_OTHERWISE, Operator, always_calls
from predictor.ops.walks import axes_of, walk
from predictor.records import Kernel, OpCall, TensorSpec, Trait


def copy(call: OpCall, *, source: tuple[str, ...] = ("self", "input")) -> tuple[Kernel, ...]:
    """One tensor into another. source: names of the argument that is read."""
    x, out = tensor(call, *source), call.outputs[0]
    if x.dtype == out.dtype and x.is_dense and (x.shape, x.stride) == (out.shape, out.stride):
        x = out = TensorSpec((out.elements,), out.dtype, (1,))  # one block, whatever the order of its dimensions
    return copy_of(x, out)


VECTOR_BYTES = 16
"""The longest word that a thread of a GPU reads at once."""


MOST_JOINED_DIMS = 4
"""Dimensions of tensors that one kernel joins (aten/src/ATen/native/cuda/Shape.cu, CAT_ARRAY_MAX_INPUT_DIMS)."""


CHANNELS_LAST = (0, 2, 3, 1)
"""Dimensions of images in the order of their memory, where channels are last in it."""


def is_channels_last(t: TensorSpec) -> bool:
    """Whether images fill one block of memory with their channels last."""
    return len(t.shape) == len(CHANNELS_LAST) and not t.is_contiguous and channels_last(t).is_contiguous


def channels_last(t: TensorSpec) -> TensorSpec:
    """The view of images with their channels as the last dimension."""
    return TensorSpec(tuple(t.shape[d] for d in CHANNELS_LAST), t.dtype, tuple(t.stride[d] for d in CHANNELS_LAST))


def cat(call: OpCall, *, stacks: bool = False) -> tuple[Kernel, ...]:
    """One kernel that joins tensors; where they have more dimensions than it knows, or several dtypes, a copy of each
    to its place. stacks: along a new dimension, which takes one more dimension only behind all others. An empty tensor
    of one dimension, which joins any, has no strides in common with them: the kernel then reads by strides. Images with
    channels last are joined in the order of their memory, an element at a time.
    """
    out = call.outputs[0]
    parts = [t for t in call.tensors if t.elements]
    if not out.elements:
        return ()
    dim = int(call.args.get("dim", 0)) % len(out.shape)
    dims_joined = len(out.shape) - (stacks and dim < len(out.shape) - 1)
    if dims_joined > MOST_JOINED_DIMS or any(t.dtype != out.dtype for t in parts):
        stride = out.stride[:dim] + out.stride[dim + stacks :]
        return tuple(k for t in parts for k in copy_of(t, TensorSpec(t.shape, out.dtype, stride)))
    has_skipped = any(len(t.shape) == 1 and not t.elements for t in call.tensors) and len(out.shape) > 1
    in_words = stacks or not all(is_channels_last(t) for t in parts)
    if not in_words:
        parts, out, dim = [channels_last(t) for t in parts], channels_last(out), CHANNELS_LAST.index(dim)
    inner = math.prod(out.shape[dim + 1 :])
    run = inner * (1 if stacks else parts[0].shape[dim])
    runs = inner * out.itemsize * (1 if stacks else math.gcd(*(t.shape[dim] for t in parts)))
    contiguous = not has_skipped and all(t.is_contiguous for t in parts)
    alignment = math.gcd(runs, VECTOR_BYTES) if in_words else out.itemsize
    dims = {
        "elements": out.elements,
        "bytes_read": sum(t.nbytes for t in parts),
        "bytes_written": out.nbytes,
        "inputs": len(call.tensors),  # an empty one too: a single one would be copied by another kernel
        "run": run,
        "contiguous": float(contiguous),
        "alignment": alignment,
        "largest": max(t.elements for t in parts),
    }
    if contiguous and alignment < VECTOR_BYTES:
        dims["lines"] = lines_written([inner * (1 if stacks else t.shape[dim]) for t in parts], out.itemsize)
    return (Kernel("cat", out.dtype, dims),)


JOINED_BYTES = {2: 8, 4: 16, 8: 16}
"""Size of an element -> bytes that a thread reads at once and writes element by element (aten/src/ATen/native/cuda/
Shape.cu, CatArrayBatchedCopy_alignedK_contig); others one by one.
"""


def lines_written(runs: Sequence[int], size: int) -> float:
    """Lines of the cache that a warp writes to at once, on average, where it joins runs of so many elements each in
    turn: its threads' elements lie apart, so it opens each line of as many runs as it has elements for.
    """
    row = sum(runs)
    spread = WARP * max(JOINED_BYTES.get(size, size) // size, 1)

    def lines(run: int) -> float:
        each = 1 + (run - 1) * size / LINE_BYTES
        return min(spread / run * min(each, row * size / LINE_BYTES), WARP)

    return sum(run / row * lines(run) for run in runs)


def pad(call: OpCall) -> tuple[Kernel, ...]:
    """A fill, and a copy into the middle; where nothing is added, a copy of what is kept."""
    x, out = tensor(call, "self"), call.outputs[0]
    pads = [int(n) for n in call.args["pad"]]
    pads = [0] * (2 * len(x.shape) - len(pads)) + [n for pair in zip(pads[-2::-2], pads[::-2]) for n in pair]
    shape = tuple(n + min(b, 0) + min(a, 0) for n, b, a in zip(x.shape, pads[::2], pads[1::2], strict=True))
    copied = copy_of(TensorSpec(shape, x.dtype, x.stride), TensorSpec(shape, out.dtype, out.stride))
    return copied if max(pads) <= 0 else (*fill_of(out), *copied)


def put_into(call: OpCall) -> tuple[Kernel, ...]:
    """A copy of the whole, then of what is put into it."""
    whole, part = call.tensors[:2]
    return (*copy_of(whole, call.outputs[0]), *copy_of(part, part))


def rearranged(call: OpCall) -> tuple[Kernel, ...]:
    """A copy of its output's size, the elements read in another order."""
    return element_copy(call.tensors[0], call.outputs[0], transposed=1.0)


def edges_repeated(call: OpCall) -> tuple[Kernel, ...]:
    """A kernel that finds the place of each element by a division for every dimension that is padded."""
    out = call.outputs[0]
    return element_copy(call.tensors[0], out, run=out.shape[-1], divisions=len(call.args["padding"]) / 2)


def flipped(call: OpCall) -> tuple[Kernel, ...]:
    """A copy that reads some dimensions backwards."""
    x, out = tensor(call, "self"), call.outputs[0]
    backwards = {int(d) % len(x.shape) for d in call.args["dims"]}
    read = [-s if d in backwards else s for d, s in enumerate(x.stride)]
    return element_copy(x, out, **walk(axes_of(x.shape, read, out.stride), x.itemsize))


def turned(call: OpCall) -> tuple[Kernel, ...]:
    """By a quarter one dimension is flipped, seen transposed; by a half both are; by nothing, a copy."""
    x, quarters = tensor(call, "self"), int(call.args.get("k", 1)) % 4
    dims = tuple(int(d) for d in call.args.get("dims", (0, 1)))
    if not quarters:
        return copy_of(x)
    chosen = {1: dims[1:], 2: dims, 3: dims[:1]}[quarters]
    return flipped(replace(call, args={**call.args, "dims": chosen}, outputs=(x,)))


def pixels_shuffled(call: OpCall) -> tuple[Kernel, ...]:
    """The copy of a view: channels become pixels."""
    x, factor = tensor(call, "self"), int(call.args["upscale_factor"])
    *before, channels, height, width = x.shape
    *outer, of_channel, of_row, of_pixel = x.stride
    shape = (*before, channels // factor**2, height, factor, width, factor)
    stride = (*outer, of_channel * factor**2, of_row, of_channel * factor, of_pixel, of_channel)
    return copy_of(TensorSpec(shape, x.dtype, stride))


def pixels_unshuffled(call: OpCall) -> tuple[Kernel, ...]:
    """The copy of a view: pixels become channels."""
    x, factor = tensor(call, "self"), int(call.args["downscale_factor"])
    *before, channels, height, width = x.shape
    *outer, of_channel, of_row, of_pixel = x.stride
    shape = (*before, channels, factor, factor, height // factor, width // factor)
    stride = (*outer, of_channel, of_row, of_pixel, of_row * factor, of_pixel * factor)
    return copy_of(TensorSpec(shape, x.dtype, stride))


def channels_shuffled(call: OpCall) -> tuple[Kernel, ...]:
    """The copy of a view: channels of all groups in turn."""
    x, groups = tensor(call, "self"), int(call.args["groups"])
    batch, channels, *rest = x.shape
    outer, of_channel, *strides = x.stride
    each = channels // groups
    shape, stride = (batch, each, groups, *rest), (outer, of_channel, of_channel * each, *strides)
    return copy_of(TensorSpec(shape, x.dtype, stride))


ROLL_DIVISIONS = 2
"""Of an element that is rolled: where it is along the dimension (aten/src/ATen/native/cuda/TensorTransformations.cu,
roll_cuda_kernel).
"""


def rolled(call: OpCall) -> tuple[Kernel, ...]:
    """For each dimension a copy whose threads find the place of each element by itself."""
    x, dims = tensor(call, "self"), call.args.get("dims") or (0,)
    in_order = dense(x.shape, x.dtype)
    times = len(dims) if isinstance(dims, tuple) else 1
    return (*contiguous_of(x), *element_copy(in_order, in_order, divisions=ROLL_DIVISIONS) * times)


def repeated(call: OpCall) -> tuple[Kernel, ...]:
    """A copy of the tensor expanded along a dimension before each of its own."""
    x, out = tensor(call, "self"), call.outputs[0]
    before = len(out.shape) - len(x.shape)
    own = [*(1,) * before, *x.shape]
    shape = tuple(n for size, whole in zip(own, out.shape, strict=True) for n in (whole // max(size, 1), size))
    stride = tuple(s for step in (*(0,) * before, *x.stride) for s in (0, step))
    return copy_of(TensorSpec(shape, x.dtype, stride), TensorSpec(out.shape, out.dtype, out.stride))


UNROLL_DIVISIONS, FOLD_DIVISIONS, READ_DIVISIONS = 2, 8, 4
"""Of a thread that unrolls windows, of one that folds them, and of each element that it adds
(aten/src/ATen/native/cuda/im2col.cuh).
"""


def unrolled(call: OpCall) -> tuple[Kernel, ...]:
    """Windows of each image unrolled by a kernel of its own, whose threads write a window's pixels one by one."""
    x, out = tensor(call, "self"), call.outputs[0]
    images = x.shape[0] if len(x.shape) > 3 else 1
    of_image = TensorSpec((x.elements // max(images, 1),), x.dtype, (1,))
    columns = TensorSpec((out.elements // max(images, 1),), x.dtype, (1,))
    steps = math.prod(pair(call.args["kernel_size"], 2))
    return element_copy(of_image, columns, transposed=1.0, divisions=UNROLL_DIVISIONS, steps=steps) * images


def folded(call: OpCall) -> tuple[Kernel, ...]:
    """A kernel that sums up for each pixel the elements of all windows that hold it."""
    x, out = call.tensors[0], call.outputs[0]
    divisions = FOLD_DIVISIONS + READ_DIVISIONS * x.elements / max(out.elements, 1)
    return element_copy(x, out, transposed=1.0, divisions=divisions)


def placed(call: OpCall) -> tuple[Kernel, ...]:
    """Zeros, and each tensor copied to its place among them."""
    out = call.outputs[0]
    parts = [TensorSpec(t.shape, out.dtype, t.stride) for t in call.tensors]
    return (*fill_of(out), *(kernel for part in parts for kernel in copy_of(part)))


_MOVED = partial(ort.form, trait=Trait.COPY, lower=ort.moved)
_SHUFFLED = partial(ort.form, trait=Trait.COPY, lower=ort.shuffled)

_SPREAD = always_calls("zeros", "diagonal", "copy_")

ROWS = (
    Operator(("clone",), Trait.COPY, copy, fused_by=LOOP, example=lambda o: partial(o.x.clone)),
    Operator(
        ("_to_copy",),
        Trait.COPY,
        copy,
        onnx=(
            *ort.form("Cast", "CastLike", lower=ort.checked),
            *ort.form("QuantizeLinear", "DequantizeLinear", lower=ort.quantised),
        ),
        fused_by=EVERY_FUSER,
        example=lambda o: partial(o.x.to, o.torch.float64),
    ),
    Operator(
        ("copy_",),
        Trait.COPY,
        partial(copy, source=("src",)),
        fused_by=LOOP,
        example=lambda o: partial(o.x.copy_, o.y),
    ),
    Operator(
        ("repeat",),
        Trait.COPY,
        repeated,
        onnx=_MOVED("Tile"),
        fused_by=LOOP,
        example=lambda o: partial(o.x.repeat, 1, 2, 1),
    ),
    Operator(
        ("repeat_interleave",),
        Trait.COMPOSITE,
        fused_by=LOOP,
        example=lambda o: partial(o.x.repeat_interleave, 2, 1),
    ),
    Operator(("roll",), Trait.COPY, rolled, fused_by=LOOP, example=lambda o: partial(o.x.roll, 1, 1)),
    Operator(("flip",), Trait.COPY, flipped, fused_by=LOOP, example=lambda o: partial(o.x.flip, 1)),
    Operator(
        ("cat",),
        Trait.COPY,
        cat,
        onnx=ort.form("Concat", trait=Trait.COPY, lower=ort.joined),
        fused_by=NOT_NVFUSER,
        example=lambda o: partial(o.torch.cat, (o.x, o.y), -1),
    ),
    Operator(
        ("stack",),
        Trait.COPY,
        partial(cat, stacks=True),
        fused_by=LOOP,
        example=lambda o: partial(o.torch.stack, (o.x, o.y)),
    ),
    Operator(("pad",), Trait.COMPOSITE, fused_by=LOOP, example=lambda o: partial(o.functional.pad, o.x, (0, 0, 1, 1))),
    Operator(
        ("constant_pad_nd",),
        Trait.COPY,
        pad,
        onnx=ort.form("Pad", trait=Trait.COPY, lower=ort.padded),
        fused_by=LOOP,
        untimed=SPELLED_OTHERWISE,
    ),
    Operator(
        ("reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d"),
        Trait.COPY,
        edges_repeated,
        fused_by=LOOP,
        untimed=RARE,
    ),
    Operator(
        ("reflection_pad3d", "replication_pad3d"),
        Trait.COPY,
        edges_repeated,
        fused_by=LOOP,
        untimed=RARE,
    ),
    Operator(("diag_embed",), Trait.COPY, placed, fused_by=LOOP, calls=_SPREAD, untimed=RARE),
    Operator(("block_diag",), Trait.COPY, placed, fused_by=LOOP, untimed=RARE),
    Operator(("diagonal_copy",), Trait.COPY, rearranged, fused_by=LOOP, untimed=RARE),
    Operator(("rot90",), Trait.COPY, turned, fused_by=LOOP, untimed=RARE),
    Operator(
        ("select_scatter", "slice_scatter", "diagonal_scatter", "as_strided_scatter"),
        Trait.COPY,
        put_into,
        fused_by=LOOP,
        untimed=RARE,
    ),
    Operator(
        ("_jagged_to_padded_dense_forward", "_padded_dense_to_jagged_forward"), Trait.COPY, rearranged, untimed=RARE
    ),
    Operator(("im2col",), Trait.COPY, unrolled, fused_by=LOOP, untimed=RARE),
    Operator(("col2im",), Trait.COPY, folded, fused_by=LOOP, untimed=RARE),
    Operator(("channel_shuffle",), Trait.COPY, channels_shuffled, fused_by=LOOP, untimed=RARE),
    Operator(
        ("pixel_shuffle",), Trait.COPY, pixels_shuffled, onnx=_SHUFFLED("DepthToSpace"), fused_by=LOOP, untimed=RARE
    ),
    Operator(
        ("pixel_unshuffle",), Trait.COPY, pixels_unshuffled, onnx=_SHUFFLED("SpaceToDepth"), fused_by=LOOP, untimed=RARE
    ),
    # copies only where the layout or the dtype asks for one
    Operator(
        ("reshape",),
        Trait.COMPOSITE,
        onnx=ort.form("Reshape", trait=Trait.VIEW, lower=ort.nothing),
        fused_by=LOOP,
        is_wrapper=True,
        example=lambda o: partial(o.x.reshape, *o.x.shape[:-1], 4, -1),
    ),
    Operator(
        ("flatten",),
        Trait.COMPOSITE,
        onnx=ort.form("Flatten", trait=Trait.VIEW, lower=ort.nothing),
        fused_by=LOOP,
        is_wrapper=True,
        example=lambda o: partial(o.x.flatten, 1),
    ),
    Operator(
        ("contiguous",), Trait.COMPOSITE, fused_by=LOOP, is_wrapper=True, example=lambda o: partial(o.x.contiguous)
    ),
    Operator(
        ("to",),
        Trait.COMPOSITE,
        fused_by=EVERY_FUSER,
        is_wrapper=True,
        example=lambda o: partial(o.x.to, o.dtype),
    ),
    Operator(
        ("type_as",),
        Trait.COMPOSITE,
        fused_by=EVERY_FUSER,
        is_wrapper=True,
        example=lambda o: partial(o.x.type_as, o.y),
    ),
)
