"""The operator table: aten operator -> what it costs on the host, and which kernels it puts on the device.

One row per operator. A row's ``lower`` turns a captured call into kernels of ``families.py``. An operator without a row
is, in this order: split into its parts if it is composite; a pointwise or view operator if torch says so; unmodelled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from predictor.records import Kernel, OpCall, TensorSpec

Lower = Callable[[OpCall], tuple[Kernel, ...]]


@dataclass(frozen=True, slots=True)
class OpKind:
    """A row. name: aten operator; trait: how it behaves; lower: captured call -> kernels."""

    name: str
    trait: str
    lower: Lower


def _nothing(call: OpCall) -> tuple[Kernel, ...]:
    return ()


def _tensor(call: OpCall, *names: str) -> TensorSpec:
    for name in names:
        value = call.args.get(name)
        if isinstance(value, TensorSpec):
            return value
    return call.tensors[0]


def _pair(value: object, count: int = 2) -> tuple[float, ...]:
    if isinstance(value, (tuple, list)):
        return tuple(float(v) for v in value) if len(value) == count else tuple([float(value[0])] * count)
    return tuple([float(value)] * count) if isinstance(value, (int, float)) else tuple([0.0] * count)


# matrix work


def _gemm(
    dtype: str, m: int, n: int, k: int, batch: int = 1, nt: bool = True, bias: bool = False
) -> tuple[Kernel, ...]:
    if min(m, n, k, batch) == 0:
        return ()
    return (Kernel("gemm", dtype, {"m": m, "n": n, "k": k, "batch": batch, "nt": float(nt), "bias": float(bias)}),)


def _linear(call: OpCall) -> tuple[Kernel, ...]:
    x, w = _tensor(call, "input"), _tensor(call, "weight")
    bias = isinstance(call.args.get("bias"), TensorSpec)
    n, k = w.shape if len(w.shape) == 2 else (1, w.shape[0])
    copy = () if x.is_contiguous or not bias or len(x.shape) < 3 else _copy_of(x)
    return copy + _gemm(x.dtype, x.elements // max(k, 1), n, k, bias=bias)


def _column_major(t: TensorSpec) -> bool:
    return len(t.stride) > 1 and t.stride[-2] == 1 and t.shape[-1] > 1


def _mm(call: OpCall) -> tuple[Kernel, ...]:
    a, b = _tensor(call, "self" if "mat1" not in call.args else "mat1"), _tensor(call, "mat2")
    return _gemm(a.dtype, a.shape[-2], b.shape[-1], a.shape[-1], nt=_column_major(b), bias="mat1" in call.args)


def _mv(call: OpCall) -> tuple[Kernel, ...]:
    a = _tensor(call, "self")
    return _gemm(a.dtype, a.shape[0], 1, a.shape[-1])


def _bmm(call: OpCall) -> tuple[Kernel, ...]:
    a, b = _tensor(call, "batch1", "self"), _tensor(call, "batch2", "mat2")
    gemm = _gemm(a.dtype, a.shape[1], b.shape[2], a.shape[2], batch=a.shape[0], nt=_column_major(b))
    added = call.args.get("self")
    if "batch1" in call.args and isinstance(added, TensorSpec) and call.args.get("beta", 1) != 0:
        return _copy_of(added, call.outputs[0]) + gemm
    return gemm


def _conv(call: OpCall) -> tuple[Kernel, ...]:
    x, w = _tensor(call, "input", "self"), _tensor(call, "weight")
    spatial = len(w.shape) - 2
    if spatial not in (1, 2) or call.args.get("transposed"):
        return _as_product(call, x, w)
    unbatched = len(x.shape) == spatial + 1
    shape = (1, *x.shape) if unbatched else x.shape
    stride, dilation = _pair(call.args.get("stride", 1), spatial), _pair(call.args.get("dilation", 1), spatial)
    padding = call.args.get("padding", 0)
    if isinstance(padding, str):
        same = padding == "same"
        pads = tuple((k - 1) * d / 2 if same else 0.0 for k, d in zip(w.shape[2:], dilation, strict=True))
    else:
        pads = _pair(padding, spatial)
    one = spatial == 1
    dims = {
        "batch": shape[0],
        "c_in": shape[1],
        "c_out": w.shape[0],
        "h": 1 if one else shape[2],
        "w": shape[-1],
        "r": 1 if one else w.shape[2],
        "s": w.shape[-1],
        "stride_h": 1 if one else stride[0],
        "stride_w": stride[-1],
        "pad_h": 0 if one else pads[0],
        "pad_w": pads[-1],
        "dilation": dilation[-1],
        "groups": float(call.args.get("groups", 1)),
        "bias": float(isinstance(call.args.get("bias"), TensorSpec)),
        "channels_last": float(not x.is_contiguous and x.stride[-spatial - 1] == 1),
    }
    groups = dims["groups"]
    family = "conv" if groups == 1 else "conv_depthwise" if groups == dims["c_in"] else "conv_grouped"
    return (Kernel(family, x.dtype, dims),)


def _as_product(call: OpCall, x: TensorSpec, w: TensorSpec) -> tuple[Kernel, ...]:
    """A transposed or 3-D convolution as the matrix product that it is: no sweep covers its own kernels."""
    transposed = bool(call.args.get("transposed"))
    pixels = (x if transposed else call.outputs[0]).elements
    groups = int(call.args.get("groups", 1))
    c_out, window = w.shape[0], math.prod(w.shape[1:])
    m = pixels // max(x.shape[1] if transposed else c_out, 1)
    return _gemm(
        x.dtype, m, window if transposed else c_out // groups, c_out // groups if transposed else window, groups
    )


def _attention(call: OpCall) -> tuple[Kernel, ...]:
    q, k, v = (_tensor(call, name) for name in ("query", "key", "value"))
    mask = call.args.get("attn_mask")
    batch = math.prod(q.shape[:-3]) if len(q.shape) > 3 else 1
    heads = q.shape[-3] if len(q.shape) > 2 else 1
    dims = {
        "batch": batch,
        "heads": heads,
        "seq": q.shape[-2],
        "head_dim": v.shape[-1],
        "kv_heads": k.shape[-3] if len(k.shape) > 2 else 1,
        "kv_seq": k.shape[-2],
        "causal": float(bool(call.args.get("is_causal"))),
        "mask": float(isinstance(mask, TensorSpec)),
    }
    extra: tuple[Kernel, ...] = ()
    if isinstance(mask, TensorSpec) and mask.dtype == "bool":  # torch turns a bool mask into an additive one
        out = TensorSpec(mask.shape, q.dtype, mask.stride)
        extra = _fill_of(out) + _pointwise_of((mask,), out)
    return (*extra, Kernel("attention", q.dtype, dims))


# memory work

_HEAVY = frozenset(
    [
        "gelu",
        "tanh",
        "sigmoid",
        "silu",
        "exp",
        "log",
        "pow",
        "sin",
        "cos",
        "erf",
        "softplus",
        "mish",
        "rsqrt",
        "sqrt",
        "elu",
        "log_sigmoid",
    ]
)


def _fast(t: TensorSpec, out: TensorSpec) -> bool:
    return t.elements == 1 or (t.shape == out.shape and t.stride == out.stride and t.is_dense)


def _pointwise_of(inputs: tuple[TensorSpec, ...], out: TensorSpec, heavy: bool = False) -> tuple[Kernel, ...]:
    if out.elements == 0:
        return ()
    dims = {
        "elements": out.elements,
        "bytes_read": sum(min(t.nbytes, t.elements * t.itemsize) for t in inputs),
        "bytes_written": out.elements * out.itemsize,
        "inputs": len([t for t in inputs if t.elements > 1]),
        "contiguous": float(all(_fast(t, out) for t in inputs)),
        "heavy": float(heavy),
    }
    return (Kernel("pointwise", out.dtype, dims),)


def _pointwise(call: OpCall) -> tuple[Kernel, ...]:
    if not call.outputs:
        return ()
    return _pointwise_of(call.tensors, call.outputs[0], call.op.strip("_") in _HEAVY)


def _run(source: TensorSpec) -> tuple[int, bool]:
    """Elements read in one run in the order of the output, and whether the fastest dimension of the source is not the
    last.
    """
    run = 1
    for n, s in zip(reversed(source.shape), reversed(source.stride), strict=True):
        if n != 1 and s != run:
            break
        run *= n
    inner = next((s for n, s in zip(reversed(source.shape), reversed(source.stride), strict=True) if n != 1), 1)
    return run, inner > 1


def _copy_of(source: TensorSpec, out: TensorSpec | None = None) -> tuple[Kernel, ...]:
    """Kernels of writing ``source`` into ``out`` (contiguous if not given)."""
    out = out or TensorSpec(source.shape, source.dtype, source.stride)
    if out.elements == 0:
        return ()
    if source.dtype != out.dtype:
        return _pointwise_of((source,), out)
    run, transposed = _run(source)
    dims = {
        "elements": out.elements,
        "bytes_read": source.nbytes,
        "bytes_written": out.elements * out.itemsize,
        "run": run,
        "transposed": float(transposed),
    }
    return (Kernel("copy", out.dtype, dims),)


def _copy(call: OpCall) -> tuple[Kernel, ...]:
    source = _tensor(call, "src") if call.op == "copy_" else _tensor(call, "self", "input")
    out = call.outputs[0]
    if source.dtype == out.dtype and source.is_dense and (source.shape, source.stride) == (out.shape, out.stride):
        source = out = TensorSpec((out.elements,), out.dtype, (1,))  # one block, whatever the order of its dimensions
    return _copy_of(source, out)


def _fill_of(out: TensorSpec) -> tuple[Kernel, ...]:
    if out.elements == 0:
        return ()
    return (Kernel("fill", out.dtype, {"elements": out.elements, "bytes_written": out.nbytes}),)


def _fill(call: OpCall) -> tuple[Kernel, ...]:
    return _fill_of(call.outputs[0])


def _cat(call: OpCall) -> tuple[Kernel, ...]:
    out = call.outputs[0]
    parts = [t for t in call.tensors if t.elements]
    if not out.elements:
        return ()
    dim = int(call.args.get("dim", 0)) % len(out.shape)
    run = math.prod(out.shape[dim + 1 :]) * (parts[0].shape[dim] if call.op == "cat" else 1)
    dims = {
        "elements": out.elements,
        "bytes_read": sum(t.nbytes for t in parts),
        "bytes_written": out.nbytes,
        "inputs": len(parts),
        "run": run,
        "contiguous": float(all(t.is_contiguous for t in parts)),
    }
    return (Kernel("cat", out.dtype, dims),)


def _pad(call: OpCall) -> tuple[Kernel, ...]:
    x, out = _tensor(call, "self"), call.outputs[0]
    if x.elements == out.elements:
        return _copy_of(x, out)
    target = TensorSpec(x.shape, x.dtype, x.stride)
    dims = {
        "elements": x.elements,
        "bytes_read": x.nbytes,
        "bytes_written": x.elements * x.itemsize,
        "run": x.shape[-1],
        "transposed": 0.0,
    }
    return (*_fill_of(out), Kernel("copy", target.dtype, dims)) if x.elements else _fill_of(out)


def _softmax(call: OpCall) -> tuple[Kernel, ...]:
    x = _tensor(call, "self", "input")
    cols = x.shape[int(call.args["dim"])] if x.shape else 1
    return _rows("softmax", x, x.elements // max(cols, 1), cols)


def _rows(family: str, x: TensorSpec, rows: int, cols: int) -> tuple[Kernel, ...]:
    return (Kernel(family, x.dtype, {"rows": rows, "cols": cols}),) if rows and cols else ()


def _layer_norm(call: OpCall) -> tuple[Kernel, ...]:
    x = _tensor(call, "input")
    cols = math.prod(call.args["normalized_shape"])
    return _rows("layer_norm", x, x.elements // max(cols, 1), cols)


def _weight_norm(call: OpCall) -> tuple[Kernel, ...]:
    v = _tensor(call, "v")
    rows = v.shape[int(call.args.get("dim", 0))]
    return _rows("layer_norm", v, rows, v.elements // max(rows, 1))


def _batch_norm(call: OpCall) -> tuple[Kernel, ...]:
    x = _tensor(call, "input")
    return _rows("batch_norm", x, math.prod(x.shape[:2]), math.prod(x.shape[2:]))


def _group_norm(call: OpCall) -> tuple[Kernel, ...]:
    x = _tensor(call, "input")
    groups = int(call.args.get("num_groups", call.args.get("group", 1)))
    rows = x.shape[0] * groups
    return _rows("group_norm", x, rows, x.elements // max(rows, 1))


def _reduce(call: OpCall) -> tuple[Kernel, ...]:
    x, out = _tensor(call, "self"), call.outputs[0]
    if not x.elements:
        return ()
    dims = call.args.get("dim")
    last = len(x.shape) - 1
    axes = dims if isinstance(dims, (tuple, list)) else (last,) if dims is None else (dims,)
    inner = not axes or any(int(a) % max(len(x.shape), 1) == last for a in axes)
    rows = max(out.elements, 1)
    work = {"rows": rows, "cols": x.elements // rows, "inner": float(inner)}
    return (Kernel("reduce", x.dtype, work),)


def _gather(call: OpCall) -> tuple[Kernel, ...]:
    out = call.outputs[0]
    if not out.elements:
        return ()
    cols = out.shape[-1] if call.op in ("embedding", "index_select", "index") and out.shape else 1
    return (Kernel("gather", out.dtype, {"rows": out.elements // max(cols, 1), "cols": cols}),)


def _pool(call: OpCall) -> tuple[Kernel, ...]:
    x, out = _tensor(call, "self"), call.outputs[0]
    window = x.elements / max(out.elements, 1)
    if "kernel_size" in call.args:  # a window larger than the image sees the image
        spatial = 1 if "1d" in call.op else 2
        kernel = _pair(call.args["kernel_size"], spatial)
        window = math.prod(min(k, n) for k, n in zip(kernel, x.shape[-spatial:], strict=True))
    if "adaptive" in call.op and math.prod(out.shape[2:]) == 1:  # torch computes it as a mean over the pixels
        rows = out.elements
        return (Kernel("reduce", x.dtype, {"rows": rows, "cols": x.elements // rows, "inner": 1.0}),)
    dims = {
        "elements": out.elements,
        "bytes_read": x.nbytes,
        "bytes_written": out.nbytes,
        "window": window,
        "maximum": float("max" in call.op),
    }
    return (Kernel("pool", x.dtype, dims),)


def _interpolate(call: OpCall) -> tuple[Kernel, ...]:
    x, out = _tensor(call, "self", "input"), call.outputs[0]
    return _pointwise_of((TensorSpec(out.shape, x.dtype, tuple(0 for _ in out.shape)),), out, heavy=True)


def _scan(call: OpCall) -> tuple[Kernel, ...]:
    x = _tensor(call, "self")
    cols = x.shape[int(call.args.get("dim", -1))] if x.shape else 1
    return _rows("scan", x, x.elements // max(cols, 1), cols)


def _rows_of_table() -> tuple[OpKind, ...]:
    def kind(names: str, trait: str, lower: Lower) -> list[OpKind]:
        return [OpKind(n, trait, lower) for n in names.split()]

    return (
        *kind("linear", "gemm", _linear),
        *kind("mm addmm", "gemm", _mm),
        *kind("mv", "gemm", _mv),
        *kind("bmm baddbmm", "gemm", _bmm),
        *kind("conv1d conv2d conv3d convolution _convolution", "conv", _conv),
        *kind("scaled_dot_product_attention", "attention", _attention),
        *kind("softmax log_softmax _softmax _log_softmax", "reduction", _softmax),
        *kind("layer_norm native_layer_norm rms_norm", "reduction", _layer_norm),
        *kind("_weight_norm_interface", "reduction", _weight_norm),
        *kind("batch_norm native_batch_norm", "reduction", _batch_norm),
        *kind("group_norm native_group_norm", "reduction", _group_norm),
        *kind("mean sum amax amin max min argmax argmin any all prod var std norm var_mean", "reduction", _reduce),
        *kind("linalg_vector_norm", "reduction", _reduce),
        *kind("embedding index_select gather index take_along_dim index_put_", "gather", _gather),
        *kind("clone _to_copy copy_ repeat roll flip", "copy", _copy),
        *kind("cat stack", "copy", _cat),
        *kind("constant_pad_nd", "copy", _pad),
        *kind("zeros ones full arange fill_ zero_ new_ones new_zeros new_full zeros_like ones_like", "fill", _fill),
        *kind("full_like scalar_tensor tril triu linspace rand randn bernoulli", "fill", _fill),
        *kind("max_pool2d max_pool1d avg_pool2d avg_pool1d", "pool", _pool),
        *kind("adaptive_avg_pool2d adaptive_avg_pool1d adaptive_max_pool2d", "pool", _pool),
        *kind("_adaptive_avg_pool2d max_pool2d_with_indices", "pool", _pool),
        *kind("upsample_nearest2d upsample_bilinear2d upsample_bicubic2d upsample_linear1d", "pool", _interpolate),
        *kind("cumsum cumprod", "scan", _scan),
        *kind("empty empty_like new_empty empty_strided new_empty_strided", "view", _nothing),
        *kind("lift_fresh detach detach_ dropout dropout_ feature_dropout alpha_dropout alias", "view", _nothing),
        *kind(
            "view transpose permute expand slice select unsqueeze squeeze split split_with_sizes chunk",
            "view",
            _nothing,
        ),
        *kind("unbind t as_strided unfold _unsafe_view", "view", _nothing),
        *kind("_local_scalar_dense item is_nonzero equal", "sync", _nothing),
        *kind("pointwise hardswish hardswish_ hardsigmoid mish prelu glu", "pointwise", _pointwise),
    )


OPS: dict[str, OpKind] = {}
"""aten operator -> row."""
for _row in _rows_of_table():
    if _row.name in OPS:
        raise ValueError(f"two rows for {_row.name}")
    OPS[_row.name] = _row

UNMODELLED = OpKind("unmodelled", "unmodelled", _nothing)
"""What an operator gets that nothing in the table stands for: counted, shown, priced as its host call alone."""

WRAPPERS = frozenset(["reshape", "contiguous", "to", "type_as", "flatten"])
"""Composite operators that are a cheap check around parts that they may or may not run."""


def kind_of(op: str, pointwise: bool = False, view: bool = False) -> OpKind:
    """The row of an operator: its own; else what torch says of it (its tag "pointwise", its view schema); else none.

    ``min``, ``max`` and the like are reductions by name and pointwise by overload: torch's tag decides.
    """
    row = OPS.get(op)
    if row is not None and not (pointwise and row.trait == "reduction"):
        return row
    if pointwise:
        return OPS["pointwise"]
    return OPS["view"] if view else UNMODELLED
