"""Attention where no fused kernel can compute it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from predictor.records import TensorSpec


def math_attention(*args: Any, attn_mask: Any = None, **kwargs: Any) -> Any:
    """Attention as torch computes it where no fused kernel can: a boolean mask is made an additive one first."""
    query, key, value, *rest = args
    mask, *rest = rest or [attn_mask]
    if mask is not None and mask.dtype == torch.bool:
        mask = torch.where(
            mask, torch.zeros((), **like_tensor(query)), torch.full((), float("-inf"), **like_tensor(query))
        )
    math = torch.ops.aten._scaled_dot_product_attention_math.default
    return math.decompose(query, key, value, mask, *rest, **kwargs)[0]


def like_tensor(tensor: torch.Tensor) -> dict[str, Any]:
    return {"dtype": tensor.dtype, "device": tensor.device}


def as_fused(result: torch.Tensor) -> torch.Tensor:
    """Attention's output as the fused kernels lay it out, heads beside head_dim: merging them copies nothing."""
    if result.dim() != 4 or not result.is_meta:
        return result
    batch, heads, length, head_dim = result.shape
    return result.new_empty(batch, length, heads, head_dim).transpose(1, 2)


HALF = ("fp16", "bf16")

MULTIPLE = {**dict.fromkeys(HALF, 8), "fp32": 4}
"""Numbers of a head that a fused kernel reads at once: heads are a multiple of so many wide
(torch/aten/src/ATen/native/transformers/cuda/sdp_utils.cpp, minimum_gemm_alignment).
"""

WIDEST = 256
"""Head that FlashAttention takes (the same file, check_head_dim_size_flash)."""


def needs_math(described: Mapping[str, Any]) -> bool:
    """Whether attention takes the math path, its operators one by one: no fused kernel takes tensors of other than four
    dimensions or reads one whose last dimension is strided; none takes keys of fewer heads or sequences than queries
    unless it is told of groups (torch/aten/src/ATen/native/transformers/sdp_utils_cpp.h, check_tensor_shapes,
    check_last_dim_stride_equals_1_dense, check_batch_size_and_num_heads_dense); none heads of odd widths that cannot be
    padded.
    """
    tensors = [t for t in map(described.get, ("query", "key", "value")) if isinstance(t, TensorSpec)]
    mask = described.get("attn_mask")
    if isinstance(mask, TensorSpec) and _is_strided(mask):
        return True
    if len(tensors) < 3:
        return False
    query, key, _ = tensors
    if any(len(t.shape) != 4 or _is_strided(t) for t in tensors) or query.shape[0] != key.shape[0]:
        return True
    if query.shape[1] != key.shape[1] and not described.get("enable_gqa"):
        return True
    return _is_odd(tensors) and not is_padded(described)


def is_padded(described: Mapping[str, Any]) -> bool:
    """Whether FlashAttention, the one fused kernel that takes heads of other widths than multiples of 8, takes these:
    queries, keys and values are padded first (torch/aten/src/ATen/native/transformers/attention.cpp, pad_last_dim).
    """
    tensors = [t for t in map(described.get, ("query", "key", "value")) if isinstance(t, TensorSpec)]
    if len(tensors) < 3 or not _is_odd(tensors) or described.get("attn_mask") is not None:
        return False
    width = tensors[0].shape[-1]
    is_half = all(t.dtype in HALF for t in tensors)
    return is_half and width <= WIDEST and all(t.shape[-1] == width for t in tensors)


def padded_attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    """Attention of padded heads, of whose result the padding is cut off."""
    width = query.shape[-1]
    wider = (torch.ops.aten.constant_pad_nd(t, [0, -width % MULTIPLE["fp16"]]) for t in (query, key, value))
    return torch.nn.functional.scaled_dot_product_attention(*wider, *args, **kwargs)[..., :width]


def _is_odd(tensors: Sequence[TensorSpec]) -> bool:
    return any(t.shape[-1] % MULTIPLE.get(t.dtype, 1) for t in tensors)


def _is_strided(tensor: TensorSpec) -> bool:
    return tensor.shape[-1] > 1 and tensor.stride[-1] != 1
