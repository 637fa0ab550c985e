"""Scaled dot-product attention."""

from __future__ import annotations

import math
from functools import partial

from predictor.ops.arguments import tensor
from predictor.ops.elementary import fill_of, pointwise_of, scalar_of
from predictor.ops.row import LOOP, SPELLED_OTHERWISE, Operator, always_calls
from predictor.records import Kernel, OpCall, TensorSpec, Trait

HALF = ("fp16", "bf16")

FASTER = (2, 4)
"""Dimensions of masks that cuDNN's attention takes (aten/src/ATen/native/transformers/sdp_utils_cpp.h,
check_attn_mask_shape); with others it is the memory-efficient kernel's.
"""


def attention(call: OpCall) -> tuple[Kernel, ...]:
    """One fused kernel. A boolean mask is made an additive one before it: 0 and minus infinity become tensors, of which
    one is chosen for each element (aten/src/ATen/native/transformers/attention.cpp, ``convert_boolean_attn_mask``).
    """
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
    if isinstance(mask, TensorSpec):
        behind = zip(mask.shape[:-2], mask.stride[:-2], strict=True)
        dims["masks"] = math.prod(n for n, stride in behind if stride)
        dims["efficient"] = float(len(mask.shape) not in FASTER and q.dtype in HALF)
    extra: tuple[Kernel, ...] = ()
    if isinstance(mask, TensorSpec) and mask.dtype == "bool":
        number, out = scalar_of(q.dtype), TensorSpec(mask.shape, q.dtype, mask.stride)
        extra = (*fill_of(number), *fill_of(number), *pointwise_of((mask, number, number), out))
    return (*extra, Kernel("attention", q.dtype, dims))


def packed(call: OpCall) -> tuple[Kernel, ...]:
    """One kernel for sequences of their own lengths that lie behind each other; or else for a batch of one length, its
    heads beside head_dim.
    """
    q, k, begins = tensor(call, "query"), tensor(call, "key"), call.args.get("cum_seq_q")
    *rows, heads, head_dim = q.shape
    dims: dict[str, float] = {"heads": heads, "head_dim": head_dim}
    if isinstance(begins, TensorSpec):
        longest = float(call.args["max_q"])
        dims |= {"batch": begins.shape[0] - 1, "tokens": math.prod(rows), "longest": longest}
        return (Kernel("attention_packed", q.dtype, dims),)
    causal = float(bool(call.args.get("is_causal")))
    dims |= {"batch": math.prod(rows[:-1]), "seq": rows[-1], "kv_seq": k.shape[-3], "kv_heads": k.shape[-2]}
    return (Kernel("attention", q.dtype, {**dims, "causal": causal, "mask": 0.0}),)


def packed_macs(call: OpCall) -> int:
    """As if all sequences were of the same length."""
    q, k, begins = tensor(call, "query"), tensor(call, "key"), call.args.get("cum_seq_q")
    keys = math.prod(k.shape[:-2]) // max(begins.shape[0] - 1 if isinstance(begins, TensorSpec) else q.shape[0], 1)
    return 2 * q.elements * keys


def attention_macs(call: OpCall) -> int:
    """Q K^T and P V, heads x seq x kv_seq x head_dim each; a causal mask is not subtracted."""
    query, key, value = (tensor(call, name).shape for name in ("query", "key", "value"))
    return math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


ROWS = (
    Operator(
        ("scaled_dot_product_attention",),
        Trait.ATTENTION,
        attention,
        attention_macs,
        is_attention=True,
        example=lambda o: partial(o.functional.scaled_dot_product_attention, o.heads, o.heads, o.heads),
    ),
    Operator(
        ("_flash_attention_forward",),
        Trait.ATTENTION,
        packed,
        packed_macs,
        untimed=SPELLED_OTHERWISE,
        calls=always_calls("scaled_dot_product_attention"),
    ),
    Operator(
        ("_scaled_dot_product_attention_math", "_scaled_dot_product_flash_attention"),
        Trait.COMPOSITE,
        fused_by=LOOP,
        is_attention=True,
        untimed=SPELLED_OTHERWISE,
    ),
)
