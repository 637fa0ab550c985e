"""Reductions, and normalisations by rows."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

from predictor.ops import ort
from predictor.ops.arguments import tensor
from predictor.ops.elementary import (
    along,
    contiguous_of,
    copy_of,
    fill_of,
    pointwise_of,
    reduction_of,
    rows_of,
    scalar_of,
    widened,
)
from predictor.ops.row import LOOP, NO_FUSER, NOT_NVFUSER, RARE, SPELLED_OTHERWISE, Fuser, Operator, always_calls
from predictor.records import Kernel, OpCall, TensorSpec, Trait


def reduce(call: OpCall, **kind: float) -> tuple[Kernel, ...]:
    """A row for every element of the result; before sums of truth values or short whole numbers, a cast to long ones.
    kind: dimensions of the kernel besides.
    """
    x, out = tensor(call, "self"), call.outputs[0]
    if not x.elements:
        return ()
    dims = call.args.get("dim")
    axes = dims if isinstance(dims, (tuple, list)) else range(len(x.shape)) if dims is None else (dims,)
    cast = widened(x, out) if call.op in SUMS else ()
    (kernel,) = reduction_of(replace(x, dtype=out.dtype) if cast else x, max(out.elements, 1), axes)
    return (*cast, replace(kernel, dims={**kernel.dims, **kind}))


SUMS = ("sum", "nansum", "prod")
"""Operators whose result is of long numbers where they are given truth values or short ones."""

EXTREME = float("inf"), float("-inf")
"""Orders of norms that are the largest and the smallest magnitude."""


def vector_norm(call: OpCall) -> tuple[Kernel, ...]:
    """A reduction, of powers where its order is none that has a kernel of its own."""
    order = call.args.get("ord", call.args.get("p", 2))
    order = 2.0 if order is None else float(order)
    return reduce(call, compares=float(order in EXTREME), heavy=float(order not in (0, 1, 2, *EXTREME)))


def found(call: OpCall) -> tuple[Kernel, ...]:
    """A reduction that says where it has found what it looks for, as ``max`` along a dimension does, too."""
    return reduce(call, compares=1.0, indexed=float(call.op.startswith("arg") or len(call.outputs) > 1))


compared, of_squares = partial(reduce, compares=1.0), partial(reduce, heavy=1.0)
"""Reductions to the largest or smallest, or to whether any is true; and to variances, by Welford's algorithm."""


def counted(call: OpCall) -> tuple[Kernel, ...]:
    """Which elements are not zero, and their sum."""
    x = tensor(call, "self")
    flags = TensorSpec(x.shape, "bool", x.stride)
    return pointwise_of((x,), flags) + reduce(call)


def trace(call: OpCall) -> tuple[Kernel, ...]:
    """The sum of a diagonal."""
    x = tensor(call, "self")
    return (Kernel("reduce", x.dtype, {"rows": 1, "cols": min(x.shape[-2:]), "inner": 1.0}),) if x.elements else ()


def logsumexp(call: OpCall) -> tuple[Kernel, ...]:
    """The largest, zero where that is infinite (magnitudes, comparison, choice), differences, exponentials, sum,
    logarithm, sum: as torch computes it.
    """
    x, out = tensor(call, "self"), call.outputs[0]
    flags = TensorSpec(out.shape, "bool", out.stride)
    finite = pointwise_of((out,), out) + pointwise_of((out,), flags) + pointwise_of((out, flags), out)
    exponentials = pointwise_of((x, out), x) + pointwise_of((x,), x, heavy=1.0)
    return (
        *reduce(call),
        *finite,
        *exponentials,
        *reduce(call),
        *pointwise_of((out,), out, heavy=1.0),
        *pointwise_of((out, out), out),
    )


def softmax(call: OpCall) -> tuple[Kernel, ...]:
    """A kernel along the rows; before it a cast, unless it is one from half to single precision, which is fused."""
    x, out = tensor(call, "self", "input"), call.outputs[0]
    cast: tuple[Kernel, ...] = ()
    if (x.dtype, out.dtype) not in ((out.dtype, out.dtype), ("fp16", "fp32"), ("bf16", "fp32")):
        cast, x = copy_of(x, out), out
    logarithm = float("log" in call.op)
    return cast + contiguous_of(x) + along(x, "softmax", int(call.args["dim"]), logarithm=logarithm)


def safe_softmax(call: OpCall) -> tuple[Kernel, ...]:
    """A softmax, then zeros for rows that are masked as a whole: which values are -inf, all of a row, a zero, where."""
    out = call.outputs[0]
    flags = TensorSpec(out.shape, "bool", out.stride)
    rows = out.elements // max(out.shape[-1], 1)
    masked = TensorSpec((rows,), "bool", (1,))
    every = (Kernel("reduce", "bool", {"rows": max(rows, 1), "cols": out.shape[-1], "inner": 1.0}),)
    zero = fill_of(scalar_of(out.dtype))
    return (*softmax(call), *pointwise_of((out,), flags), *every, *zero, *pointwise_of((out, masked), out))


def observed(call: OpCall) -> tuple[Kernel, ...]:
    """The smallest and the largest value, their moving averages, scale and zero point of these; then every element
    rounded to a step, and whether it was in range (aten/src/ATen/native/quantized/cuda/FusedObsFakeQuant.cu of torch).
    """
    x, out = tensor(call, "self"), call.outputs[0]
    if not x.elements:
        return ()
    rows = x.shape[int(call.args["ch_axis"])] if call.args.get("per_row_fake_quant") else 1
    extremes = Kernel("reduce", x.dtype, {"rows": rows, "cols": x.elements // rows, "inner": 1.0})
    channels = TensorSpec((rows,), "fp32", (1,))
    small = pointwise_of((channels, channels), channels)
    (rounded,) = pointwise_of((x,), out)
    both = {**rounded.dims, "bytes_written": out.nbytes + out.elements}
    return (extremes, *small, *small, replace(rounded, dims=both))


def layer_norm(call: OpCall) -> tuple[Kernel, ...]:
    """A kernel along the rows."""
    x = tensor(call, "input")
    cols = math.prod(call.args["normalized_shape"])
    return contiguous_of(x) + rows_of("layer_norm", x, x.elements // max(cols, 1), cols)


def rms_norm(call: OpCall) -> tuple[Kernel, ...]:
    """A kernel along the rows that computes no mean."""
    return tuple(
        replace(kernel, dims={**kernel.dims, "rms": 1.0}) if kernel.family == "layer_norm" else kernel
        for kernel in layer_norm(call)
    )


def weight_norm(call: OpCall) -> tuple[Kernel, ...]:
    """A kernel along all dimensions but one."""
    v, dim = tensor(call, "v"), int(call.args.get("dim", 0))
    rows = v.shape[dim]
    dims = {"rows": rows, "cols": v.elements // max(rows, 1), "last": float(dim % len(v.shape) > 0)}
    return (Kernel("weight_norm", v.dtype, dims),) if v.elements else ()


TILE = 1024
"""Elements that are a row's where channels are the last in memory: torch's kernel then shares all evenly."""


def batch_norm(call: OpCall) -> tuple[Kernel, ...]:
    """A row for every channel of every image; where channels are last, as without pixels, the kernel knows no rows."""
    x = tensor(call, "input")
    if not x.elements:
        return ()
    computes = call.args.get("training") or call.args.get("use_input_stats")
    is_last = len(x.shape) == 2 or (not x.is_contiguous and x.stride[1] == 1)
    if is_last:
        dims = {"rows": math.ceil(x.elements / TILE), "cols": min(x.elements, TILE)}
    else:
        dims = {"rows": math.prod(x.shape[:2]), "cols": math.prod(x.shape[2:])}
    if computes:
        dims |= {"of_batch": x.elements // x.shape[1], "last": int(is_last)}
    return (Kernel("batch_norm", x.dtype, dims),)


def group_norm(call: OpCall) -> tuple[Kernel, ...]:
    """A row for every group of every image, copied where its channels are not the first; without pixels torch has no
    factors of channels to compute before it applies them.
    """
    x = tensor(call, "input")
    if not x.elements:
        return ()
    groups = int(call.args.get("num_groups", call.args.get("group", 1)))
    rows = x.shape[0] * groups
    dims = {"rows": rows, "cols": x.elements // rows}
    if x.elements == math.prod(x.shape[:2]):
        dims["flat"] = 1
    return (*contiguous_of(x), Kernel("group_norm", x.dtype, dims))


def norm_macs(call: OpCall) -> int:
    """Multiply-accumulates as fvcore counts them, whose handle takes two to five dimensions alone."""
    return call.tensors[0].elements * (5 if isinstance(call.args.get("weight"), TensorSpec) else 4)


_reduction = partial(Operator, trait=Trait.REDUCTION, lower=reduce, fused_by=LOOP)
_EXTREME = partial(ort.form, trait=Trait.REDUCTION, lower=ort.place_of_extreme)
_BY_LIBRARY = partial(ort.form, trait=Trait.REDUCTION, lower=ort.by_library)
_NORM = partial(ort.form, trait=Trait.REDUCTION, lower=ort.norm)
_SKIPPED = partial(ort.form, trait=Trait.REDUCTION, lower=ort.skipped_norm)
_BY_NVFUSER = frozenset({Fuser.NVFUSER, Fuser.INDUCTOR})

ROWS = (
    _reduction(
        ("mean",),
        fused_by=_BY_NVFUSER,
        onnx=ort.form("ReduceMean", trait=Trait.REDUCTION, lower=ort.mean),
        example=lambda o: partial(o.x.mean, -1),
    ),
    _reduction(
        ("sum",),
        fused_by=_BY_NVFUSER,
        onnx=(
            *ort.form("ReduceSum", trait=Trait.REDUCTION, lower=ort.summed),
            *ort.form("ReduceSumSquare", trait=Trait.REDUCTION, lower=ort.summed_squares),
            *ort.form("ReduceLogSum", trait=Trait.REDUCTION, lower=ort.log_sum),
        ),
        example=lambda o: partial(o.x.sum, -1),
    ),
    _reduction(
        ("amax",),
        lower=compared,
        fused_by=_BY_NVFUSER,
        onnx=_BY_LIBRARY("ReduceMax"),
        example=lambda o: partial(o.x.amax, -1),
    ),
    _reduction(("amin",), lower=compared, onnx=_BY_LIBRARY("ReduceMin"), untimed=RARE),
    _reduction(("max",), lower=found, fused_by=NOT_NVFUSER, example=lambda o: partial(o.x.max, -1)),
    _reduction(("min",), lower=found, fused_by=NOT_NVFUSER, example=lambda o: partial(o.torch.min, o.x, o.y)),
    _reduction(("argmax",), lower=found, onnx=_EXTREME("ArgMax"), example=lambda o: partial(o.x.argmax, -1)),
    _reduction(("argmin",), lower=found, onnx=_EXTREME("ArgMin"), untimed=RARE),
    _reduction(("any",), lower=compared, example=lambda o: partial(o.mask.any)),
    _reduction(("all",), lower=compared, example=lambda o: partial(o.mask.all)),
    _reduction(("prod",), onnx=_BY_LIBRARY("ReduceProd"), untimed=RARE),
    _reduction(("var", "std", "var_mean", "std_mean"), lower=of_squares, untimed=RARE),
    _reduction(("norm",), lower=vector_norm, untimed=RARE),
    _reduction(("nansum",), untimed=RARE),
    _reduction(("aminmax", "_is_all_true", "_is_any_true"), lower=compared, untimed=RARE),
    _reduction(("segment_reduce",), fused_by=NO_FUSER, untimed=RARE),
    _reduction(("count_nonzero",), lower=counted, calls=always_calls("ne", "sum"), untimed=RARE),
    _reduction(("trace",), lower=trace, calls=always_calls("diagonal", "sum"), untimed=RARE),
    _reduction(
        ("linalg_vector_norm",),
        lower=vector_norm,
        onnx=_BY_LIBRARY("ReduceL1", "ReduceL2"),
        example=lambda o: partial(o.torch.linalg.vector_norm, o.x, 2, -1),
    ),
    _reduction(
        ("logsumexp",),
        lower=logsumexp,
        onnx=ort.form("ReduceLogSumExp", trait=Trait.REDUCTION, lower=ort.log_sum_exp),
        calls=always_calls("amax", "squeeze", "abs", "eq", "masked_fill", "sub", "exp", "sum", "log", "add"),
        untimed=RARE,
    ),
    _reduction(
        ("softmax",),
        lower=softmax,
        fused_by=_BY_NVFUSER,
        onnx=(
            *ort.form("Softmax", trait=Trait.REDUCTION, lower=ort.softmax),
            *ort.form("BiasSoftmax", trait=Trait.REDUCTION, lower=ort.biased_softmax),
        ),
        example=lambda o: partial(o.torch.softmax, o.x, -1),
    ),
    _reduction(
        ("log_softmax",),
        lower=softmax,
        fused_by=_BY_NVFUSER,
        onnx=ort.form("LogSoftmax", trait=Trait.REDUCTION, lower=ort.softmax),
        example=lambda o: partial(o.torch.log_softmax, o.x, -1),
    ),
    _reduction(("_softmax", "_log_softmax"), lower=softmax, untimed=SPELLED_OTHERWISE),
    _reduction(("_safe_softmax",), lower=safe_softmax, untimed=SPELLED_OTHERWISE),
    _reduction(
        ("layer_norm",),
        lower=layer_norm,
        macs=norm_macs,
        fused_by=_BY_NVFUSER,
        onnx=(*_NORM("LayerNormalization"), *_SKIPPED("SkipLayerNormalization")),
        example=lambda o: partial(o.torch.layer_norm, o.x, (o.width,), o.vector, o.vector, 1e-5),
    ),
    _reduction(("native_layer_norm",), lower=layer_norm, untimed=SPELLED_OTHERWISE),
    _reduction(
        ("rms_norm",),
        lower=rms_norm,
        onnx=(
            *_NORM("SimplifiedLayerNormalization", "RMSNormalization"),
            *_SKIPPED("SkipSimplifiedLayerNormalization"),
        ),
        example=lambda o: partial(o.torch.rms_norm, o.x, (o.width,), o.vector),
    ),
    _reduction(
        ("batch_norm",),
        lower=batch_norm,
        fused_by=frozenset({Fuser.NNC, Fuser.NVFUSER, Fuser.INDUCTOR}),
        onnx=ort.form("BatchNormalization", trait=Trait.REDUCTION, lower=ort.batch_norm),
        example=lambda o: partial(o.torch.batch_norm, o.image, *[o.channels] * 4, False, 0.1, 1e-5, True),
    ),
    _reduction(("native_batch_norm",), lower=batch_norm, untimed=SPELLED_OTHERWISE),
    _reduction(
        ("group_norm",),
        lower=group_norm,
        macs=norm_macs,
        onnx=(
            *ort.form("InstanceNormalization", trait=Trait.REDUCTION, lower=ort.instance_norm),
            *ort.form("GroupNorm", "GroupNormalization", trait=Trait.REDUCTION, lower=ort.by_channel),
        ),
        example=lambda o: partial(o.torch.group_norm, o.sequence, 4, o.vector, o.vector, 1e-5),
    ),
    _reduction(("native_group_norm",), lower=group_norm, untimed=SPELLED_OTHERWISE),
    _reduction(("_weight_norm_interface",), lower=weight_norm, untimed=RARE),
    _reduction(("_fused_moving_avg_obs_fq_helper",), lower=observed, fused_by=NO_FUSER, untimed=RARE),
)
