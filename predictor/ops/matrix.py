"""Captured calls -> kernels on the matrix units: products, convolutions, attention."""

from __future__ import annotations

import math

from predictor.ops.common import pair, tensor
from predictor.ops.memory import copy_of, fill_of, pointwise_of
from predictor.records import Kernel, OpCall, TensorSpec


def product(
    dtype: str, m: int, n: int, k: int, batch: int = 1, nt: bool = True, bias: bool = False
) -> tuple[Kernel, ...]:
    if min(m, n, k, batch) == 0:
        return ()
    return (Kernel("gemm", dtype, {"m": m, "n": n, "k": k, "batch": batch, "nt": float(nt), "bias": float(bias)}),)


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


def column_major(t: TensorSpec) -> bool:
    return len(t.stride) > 1 and t.stride[-2] == 1 and t.shape[-1] > 1


def mm(call: OpCall) -> tuple[Kernel, ...]:
    a, b = tensor(call, "self" if "mat1" not in call.args else "mat1"), tensor(call, "mat2")
    return product(a.dtype, a.shape[-2], b.shape[-1], a.shape[-1], nt=column_major(b), bias="mat1" in call.args)


def mv(call: OpCall) -> tuple[Kernel, ...]:
    a = tensor(call, "self")
    return product(a.dtype, a.shape[0], 1, a.shape[-1])


def bmm(call: OpCall) -> tuple[Kernel, ...]:
    a, b = tensor(call, "batch1", "self"), tensor(call, "batch2", "mat2")
    gemm = product(a.dtype, a.shape[1], b.shape[2], a.shape[2], batch=a.shape[0], nt=column_major(b))
    added = call.args.get("self")
    if "batch1" in call.args and isinstance(added, TensorSpec) and call.args.get("beta", 1) != 0:
        return copy_of(added, call.outputs[0]) + gemm
    return gemm


def conv(call: OpCall) -> tuple[Kernel, ...]:
    x, w = tensor(call, "input", "self"), tensor(call, "weight")
    spatial = len(w.shape) - 2
    if spatial not in (1, 2) or call.args.get("transposed"):
        return as_product(call, x, w)
    unbatched = len(x.shape) == spatial + 1
    shape = (1, *x.shape) if unbatched else x.shape
    stride, dilation = pair(call.args.get("stride", 1), spatial), pair(call.args.get("dilation", 1), spatial)
    padding = call.args.get("padding", 0)
    if isinstance(padding, str):
        same = padding == "same"
        pads = tuple((k - 1) * d / 2 if same else 0.0 for k, d in zip(w.shape[2:], dilation, strict=True))
    else:
        pads = pair(padding, spatial)
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


def as_product(call: OpCall, x: TensorSpec, w: TensorSpec) -> tuple[Kernel, ...]:
    """A transposed or 3-D convolution as the matrix product that it is: no sweep covers its own kernels."""
    transposed = bool(call.args.get("transposed"))
    pixels = (x if transposed else call.outputs[0]).elements
    groups = int(call.args.get("groups", 1))
    c_out, window = w.shape[0], math.prod(w.shape[1:])
    m = pixels // max(x.shape[1] if transposed else c_out, 1)
    return product(
        x.dtype, m, window if transposed else c_out // groups, c_out // groups if transposed else window, groups
    )


def attention(call: OpCall) -> tuple[Kernel, ...]:
    q, k, v = (tensor(call, name) for name in ("query", "key", "value"))
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
        extra = fill_of(out) + pointwise_of((mask,), out)
    return (*extra, Kernel("attention", q.dtype, dims))


GATES = {"lstm": 4, "gru": 3}
"""Recurrent layer -> how many products of the hidden state a step takes; one for others."""

CHUNKS = 8
"""Parts of the sequence that cuDNN multiplies the input in, where a layer follows a layer: seen on an H100."""


def rnn(call: OpCall) -> tuple[Kernel, ...]:
    """Recurrent layers as cuDNN's standard algorithm runs them: the products of a layer's inputs at once, then for each
    step a product of the hidden state and a kernel of what the gates do. cuDNN's persistent kernels, which torch has it
    use for single layers in half precision and batches of eight and more, are not modelled: they are faster.
    """
    x, params = tensor(call, "input", "data"), call.args["params"]
    layers, both = int(call.args.get("num_layers", 1)), 1 + int(bool(call.args.get("bidirectional")))
    batch_first = bool(call.args.get("batch_first"))
    steps, batch = (x.shape[1], x.shape[0]) if batch_first else (x.shape[0], x.shape[1])
    matrices = [p for p in params if isinstance(p, TensorSpec) and len(p.shape) == 2]
    own = len(matrices) // (layers * both)  # two, and a third for a projection
    chunks = CHUNKS if layers > 1 else 1
    kernels = copy_of(x) if batch_first and batch > 1 else ()
    for first in range(0, len(matrices), own):
        (gates, inputs), *hidden = (m.shape for m in matrices[first : first + own])
        kernels += product(x.dtype, math.ceil(batch * steps / chunks), gates, inputs) * chunks
        width = gates // GATES.get(call.op, 1)
        state, gated = (TensorSpec((batch, n), x.dtype, (n, 1)) for n in (width, gates))
        step = sum((product(x.dtype, batch, n, k) for n, k in hidden), ())
        kernels += (step + pointwise_of((gated, gated, state), state, heavy=True)) * steps
    return kernels
