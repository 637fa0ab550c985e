"""What the commonest operators give, in closed form: shape, strides and dtype, without torch's own functions for meta.

Those are written in Python and take up to two milliseconds a call. A rule here takes floating-point tensors of one
dtype on the meta device, row-major in memory; for all else, wrong arguments among it, it gives None, and torch is
asked. ``tests/predictor/capture/test_shapes.py`` holds each against torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch._C import _VariableFunctions

aten = torch.ops.aten

Rule = Callable[..., torch.Tensor | None]
"""Arguments of an operator -> its result; None where the rule does not say it."""

_FLOATS = frozenset({torch.float16, torch.bfloat16, torch.float32})
_META = torch.device("meta")
_empty_strided = _VariableFunctions.empty_strided  # type: ignore[attr-defined]


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of a tensor whose last dimension is contiguous.

    >>> row_major((2, 3, 4))
    (12, 4, 1)
    """
    strides, step = [0] * len(shape), 1
    for dim in range(len(shape) - 1, -1, -1):
        strides[dim] = step
        step *= shape[dim]
    return tuple(strides)


def _made(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    made: torch.Tensor = _empty_strided(tuple(shape), row_major(shape), dtype=dtype, device=_META)
    return made


_TENSORS = (torch.Tensor, torch.nn.Parameter)


def _is_plain(*tensors: Any) -> bool:
    """Whether tensors are on meta, of one floating-point dtype, row-major, and none of them is empty."""
    dtype = tensors[0].dtype if type(tensors[0]) in _TENSORS else None
    return dtype in _FLOATS and all(
        type(t) in _TENSORS and t.is_meta and t.dtype is dtype and t.layout is torch.strided and _is_row_major(t)
        for t in tensors
    )


def _is_row_major(tensor: torch.Tensor) -> bool:
    shape = tensor.shape
    return 0 not in shape and tensor.stride() == row_major(shape)


def _is_of(shape: Sequence[int], *tensors: Any) -> bool:
    return all(tensor is None or (_is_plain(tensor) and tensor.shape == shape) for tensor in tensors)


def _same(x: Any, *_: Any, **__: Any) -> torch.Tensor | None:
    """Element by element, of one tensor and numbers."""
    return _made(x.shape, x.dtype) if _is_plain(x) and x.dim() else None


def _of_two(x: Any, other: Any, *, alpha: Any = 1) -> torch.Tensor | None:
    if type(other) in (int, float):
        return _same(x)
    if _are_dense(3, x, other) and x.shape == other.shape and x.is_contiguous() and other.is_contiguous():
        return _made(x.shape, x.dtype)  # whatever the stride of a dimension of one is
    if not _is_plain(x, other) or not x.dim() or not other.dim():
        return None
    dims = max(x.dim(), other.dim())
    pairs = list(zip((1,) * (dims - x.dim()) + x.shape, (1,) * (dims - other.dim()) + other.shape, strict=True))
    if any(one != two and 1 not in (one, two) for one, two in pairs):
        return None
    return _made([max(pair) for pair in pairs], x.dtype)


def _range(end: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, **_: Any) -> torch.Tensor | None:
    on_meta = type(device) is torch.device and device.type == "meta"
    if type(end) is not int or end < 1 or not on_meta or dtype not in (None, torch.int64) or layout is not None:
        return None
    return _made((end,), torch.int64)


def _embedding(weight: Any, places: Any, *_: Any, **__: Any) -> torch.Tensor | None:
    if not _is_plain(weight) or weight.dim() != 2 or type(places) is not torch.Tensor:
        return None
    if not places.is_meta or places.dtype not in (torch.int64, torch.int32) or not _is_row_major(places):
        return None
    return _made((*places.shape, weight.shape[1]), weight.dtype)


def _softmax(x: Any, dim: int, dtype: Any = None) -> torch.Tensor | None:
    return _same(x) if _is_plain(x) and dtype is None and -x.dim() <= dim < x.dim() else None


def _are_dense(dims: int | None, *tensors: Any) -> bool:
    """Whether tensors are on meta, of one floating-point dtype, of so many dimensions, and none of them is empty. (A
    product is row-major in memory, whatever the layout of its factors.)
    """
    dtype = tensors[0].dtype if type(tensors[0]) in _TENSORS else None
    return (
        dtype in _FLOATS
        and all(
            type(t) in _TENSORS and t.is_meta and t.dtype is dtype and t.layout is torch.strided and 0 not in t.shape
            for t in tensors
        )
        and (dims is None or all(t.dim() == dims for t in tensors))
    )


def _linear(x: Any, weight: Any, bias: Any = None) -> torch.Tensor | None:
    if not _are_dense(None, x, weight) or x.dim() < 2 or weight.dim() != 2 or x.shape[-1] != weight.shape[1]:
        return None
    if bias is not None and (bias.dtype is not x.dtype or not _is_of(weight.shape[:1], bias)):
        return None
    return _made((*x.shape[:-1], weight.shape[0]), x.dtype)


def _product(left: Any, right: Any) -> torch.Tensor | None:
    if not _are_dense(2, left, right) or left.shape[1] != right.shape[0]:
        return None
    return _made((left.shape[0], right.shape[1]), left.dtype)


def _batched_product(left: Any, right: Any) -> torch.Tensor | None:
    if not _are_dense(3, left, right) or (left.shape[0], left.shape[2]) != right.shape[:2]:
        return None
    return _made((*left.shape[:2], right.shape[2]), left.dtype)


def _product_and_bias(bias: Any, left: Any, right: Any, **scales: Any) -> torch.Tensor | None:
    made = _product(left, right)
    if made is None or scales or bias.dtype is not left.dtype or not _is_of(right.shape[1:], bias):
        return None
    return made


def _conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    groups: int = 1,
) -> torch.Tensor | None:
    if not _is_plain(x, weight) or x.dim() != 4 or weight.dim() != 4:
        return None
    if any(
        isinstance(sizes, str) or len(sizes) != 2 or min(sizes) < least
        for sizes, least in ((stride, 1), (padding, 0), (dilation, 1))
    ):
        return None
    batch, channels, *image = x.shape
    out, per_group, *window = weight.shape
    if groups < 1 or channels != per_group * groups or out % groups:
        return None
    if bias is not None and (bias.dtype is not x.dtype or not _is_of((out,), bias)):
        return None
    sizes = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(image, padding, dilation, window, stride, strict=True)
    ]
    return _made((batch, out, *sizes), x.dtype) if min(sizes) > 0 else None


def _batch_norm(
    x: Any, weight: Any, bias: Any, mean: Any, variance: Any, training: bool, *_: Any
) -> torch.Tensor | None:
    if training or mean is None or variance is None or not _is_plain(x) or x.dim() < 2:
        return None
    given = [tensor for tensor in (weight, bias, mean, variance) if tensor is not None]
    if any(tensor.dtype is not x.dtype for tensor in given) or not _is_of(x.shape[1:2], *given):
        return None
    return _made(x.shape, x.dtype)


def _layer_norm(x: Any, shape: Sequence[int], weight: Any = None, bias: Any = None, *_: Any) -> torch.Tensor | None:
    if not _is_plain(x) or not shape or x.shape[-len(shape) :] != tuple(shape) or x.dim() < len(shape):
        return None
    given = [tensor for tensor in (weight, bias) if tensor is not None]
    if any(tensor.dtype is not x.dtype for tensor in given) or not _is_of(tuple(shape), *given):
        return None
    return _made(x.shape, x.dtype)


def _attention(
    query: Any, key: Any, value: Any, mask: Any = None, dropout: float = 0.0, causal: bool = False, **named: Any
) -> torch.Tensor | None:
    """Of the queries' shape; theirs and the others' strides do not matter."""
    tensors = query, key, value
    if any(type(t) not in _TENSORS or not t.is_meta or t.dim() != 4 or 0 in t.shape for t in tensors):
        return None
    if query.dtype not in _FLOATS or not query.dtype is key.dtype is value.dtype or named.get("enable_gqa"):
        return None
    batch, heads, length, width = query.shape
    steps = key.shape[2]
    if key.shape != (batch, heads, steps, width) or value.shape[:3] != key.shape[:3] or (causal and mask is not None):
        return None
    if mask is not None and not _is_mask(mask, query.dtype, (batch, heads, length, steps)):
        return None
    return _made((batch, heads, length, value.shape[3]), query.dtype)


def _is_mask(mask: Any, dtype: torch.dtype, shape: tuple[int, ...]) -> bool:
    """Whether a tensor is added to scores of a shape, or says which of them count."""
    if type(mask) is not torch.Tensor or not mask.is_meta or mask.dtype not in (torch.bool, dtype) or mask.dim() != 4:
        return False
    return all(own in (1, whole) for own, whole in zip(mask.shape, shape, strict=True))


def _reduced(x: Any, dims: Any, keepdim: bool = False, *, dtype: Any = None) -> torch.Tensor | None:
    if not _is_plain(x) or dtype is not None or not isinstance(dims, (list, tuple)) or not dims:
        return None
    gone = {dim + x.dim() if dim < 0 else dim for dim in dims}
    if len(gone) < len(dims) or not gone <= set(range(x.dim())):
        return None
    shape = [1 if dim in gone else n for dim, n in enumerate(x.shape) if keepdim or dim not in gone]
    return _made(shape, x.dtype)


def _adaptive_pool(x: Any, size: Any) -> torch.Tensor | None:
    if not _is_plain(x) or x.dim() != 4 or not isinstance(size, (list, tuple)) or len(size) != 2:
        return None
    return _made((*x.shape[:2], *size), x.dtype) if min(size) > 0 else None


def _masked_fill(x: Any, mask: Any, value: Any) -> torch.Tensor | None:
    if not _is_plain(x) or type(mask) is not torch.Tensor or not mask.is_meta or mask.dtype is not torch.bool:
        return None
    same = type(value) in (int, float) and mask.shape == x.shape and mask.stride() == x.stride() and x.dim()
    return _made(x.shape, x.dtype) if same else None


def _roll(x: Any, shifts: Any, dims: Any = ()) -> torch.Tensor | None:
    if not dims or len(shifts) != len(dims) or not _is_plain(x) or not all(0 <= dim < x.dim() for dim in dims):
        return None
    return _made(x.shape, x.dtype)


_ACTIVATIONS = ("relu", "relu6", "sigmoid", "tanh", "silu", "gelu", "hardswish", "hardsigmoid", "hardtanh")

RULES: dict[Any, Rule] = {
    aten.arange.default: _range,
    aten.embedding.default: _embedding,
    aten.softmax.int: _softmax,
    aten.linear.default: _linear,
    aten.mm.default: _product,
    aten.bmm.default: _batched_product,
    aten.addmm.default: _product_and_bias,
    aten.conv2d.default: _conv2d,
    aten.batch_norm.default: _batch_norm,
    aten.layer_norm.default: _layer_norm,
    aten.scaled_dot_product_attention.default: _attention,
    aten.adaptive_avg_pool2d.default: _adaptive_pool,
    aten.mean.dim: _reduced,
    aten.sum.dim_IntList: _reduced,
    aten.masked_fill.Scalar: _masked_fill,
    aten.roll.default: _roll,
    **{getattr(aten, name).default: _same for name in _ACTIVATIONS},
    **{getattr(aten, name).Tensor: _of_two for name in ("add", "sub", "mul", "div")},
}
"""By the operator."""
