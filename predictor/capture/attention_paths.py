"""Attention where no fused kernel can compute it."""

from __future__ import annotations

from collections.abc import Mapping
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


def needs_math(described: Mapping[str, Any]) -> bool:
    """Whether attention takes the math path, its operators one by one: no fused kernel reads a mask whose last
    dimension is strided, or takes keys of fewer heads or sequences than queries unless it is told of groups
    (torch/aten/src/ATen/native/transformers/sdp_utils_cpp.h, check_batch_size_and_num_heads_dense).
    """
    mask, query, key = (described.get(name) for name in ("attn_mask", "query", "key"))
    if isinstance(mask, TensorSpec) and mask.shape[-1] > 1 and mask.stride[-1] != 1:
        return True
    if not (isinstance(query, TensorSpec) and isinstance(key, TensorSpec)):
        return False
    if query.shape[:-3] != key.shape[:-3]:
        return True
    return query.shape[-3:-2] != key.shape[-3:-2] and not described.get("enable_gqa")
