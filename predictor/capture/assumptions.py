"""What a capture takes for granted where a model decides by values that nobody computes: floating-point tensors, and
what comes of them.

Integers that a model makes of them (the indices of ``topk``, the token of ``argmax``) get values that are spread evenly
over the choices, so that what is looked up, counted and split by them has the sizes of an even load. A selection keeps
everything, a condition holds, a number that Python reads is 1. What a graph rests on is noted with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from predictor.capture.assumption_texts import (
    ALL_BLOCKS,
    DISTINCT,
    EVALUATION,
    EVEN,
    HOLDS,
    KEEPS,
    ONE,
    PADDING,
)

__all__ = [
    "ALL_BLOCKS",
    "DISTINCT",
    "EVALUATION",
    "EVEN",
    "HOLDS",
    "KEEPS",
    "ONE",
    "PADDING",
]

RESTS_ON = "_rests_on"
"""Attribute of a tensor whose values are assumed: the assumption."""

MOST = 2**22
"""Elements of a tensor that gets assumed values; a larger one has none."""


def _index_dim(bound: Mapping[str, Any]) -> int | None:
    dim = bound.get("dim")
    return int(dim) if isinstance(dim, int) else None


def spread(shape: tuple[int, ...], choices: int, dim: int) -> torch.Tensor:
    """Indices below ``choices`` in a tensor of a shape, distinct along a dimension, all of them equally often.

    >>> spread((2, 2), 4, -1).tolist()
    [[0, 1], [2, 3]]
    """
    if not shape:
        return torch.zeros((), dtype=torch.int64)
    along = shape[dim]
    others = [n for i, n in enumerate(shape) if i != dim % len(shape)]
    return (torch.arange(math.prod(shape)) % max(choices, 1)).view(*others, along).movedim(-1, dim)


def _chosen(bound: Mapping[str, Any], index: torch.Tensor) -> torch.Tensor:
    x = bound["self"]
    dim = _index_dim(bound)
    if dim is None and "descending" not in bound and "k" not in bound:  # of the flattened tensor
        return torch.zeros(index.shape, dtype=torch.int64)
    dim = -1 if dim is None else dim
    if index.dim() == x.dim():
        return spread(tuple(index.shape), x.shape[dim], dim)
    return spread((*index.shape, 1), x.shape[dim], -1).squeeze(-1)


def _rounded(bound: Mapping[str, Any], result: torch.Tensor) -> torch.Tensor:
    return torch.ones(result.shape, dtype=result.dtype)


CHOICES: dict[str, tuple[Callable[[Mapping[str, Any], torch.Tensor], torch.Tensor], str]] = {
    **dict.fromkeys(("topk", "sort", "argsort", "argmax", "argmin", "max", "min"), (_chosen, EVEN)),
    **dict.fromkeys(("kthvalue", "median", "mode"), (_chosen, EVEN)),
    "_to_copy": (_rounded, ONE),
}
"""Operator -> the values of the integers that it makes of numbers, and what is assumed by that."""


def with_values(name: str, bound: Mapping[str, Any], result: Any) -> Any:
    """The result of an operator, integers on meta exchanged for such with assumed values."""
    if name not in CHOICES:
        return result
    values, assumption = CHOICES[name]

    def exchanged(value: Any) -> Any:
        whole = isinstance(value, torch.Tensor) and value.is_meta and value.dtype in (torch.int64, torch.int32)
        if not whole or value.numel() > MOST:
            return value
        known = values(bound, value).to(value.dtype)
        setattr(known, RESTS_ON, assumption)
        return known

    if isinstance(result, (tuple, list)):
        return (
            type(result)(exchanged(v) for v in result) if type(result) in (tuple, list) else _named(result, exchanged)
        )
    return exchanged(result)


def _named(result: Any, exchanged: Callable[[Any], Any]) -> tuple[Any, ...]:
    return tuple(exchanged(v) for v in result)


def places(mask: torch.Tensor, keep: float = 1.0) -> torch.Tensor:
    """What ``nonzero`` finds in a tensor whose values nobody knows: (kept, dimensions), on meta if it is large."""
    elements = mask.numel()
    kept = math.ceil(keep * elements)
    if elements > MOST:
        return torch.empty(kept, mask.dim(), dtype=torch.int64, device="meta")
    flat = (torch.arange(kept) * elements) // max(kept, 1)
    columns = torch.unravel_index(flat, mask.shape) if mask.dim() else ()
    return torch.stack(columns, dim=1) if columns else torch.zeros(kept, 0, dtype=torch.int64)


def keeps(share: float) -> str:
    """What is assumed of a selection that keeps a share of its elements.

    >>> keeps(0.3)
    'a selection by values keeps 30 %'
    """
    return KEEPS.format(share="everything" if share == 1 else f"{100 * share:g} %")


def number(dtype: torch.dtype) -> Any:
    """What Python reads from a tensor whose value nobody knows."""
    if dtype == torch.bool:
        return True
    return 1.0 if dtype.is_floating_point else 1


def _unique(x: torch.Tensor, *options: Any, **named: Any) -> tuple[torch.Tensor, ...]:
    """Of ``_unique2``: values, where each came from, how many of each."""
    count = x.numel()
    values = torch.empty(count, dtype=x.dtype, device="meta")
    return values, torch.arange(count).view(x.shape), torch.ones(count, dtype=torch.int64)


def _unique_dim(x: torch.Tensor, dim: int = 0, *options: Any, **named: Any) -> tuple[torch.Tensor, ...]:
    count = x.shape[dim]
    return torch.empty_like(x), torch.arange(count), torch.ones(count, dtype=torch.int64)


def _repeated(repeats: torch.Tensor, **named: Any) -> torch.Tensor:
    return torch.arange(repeats.numel())


DECIDED: dict[str, tuple[Callable[..., Any], str]] = {
    "item": (lambda x: number(x.dtype), ONE),
    "_local_scalar_dense": (lambda x: number(x.dtype), ONE),
    "is_nonzero": (lambda x: True, HOLDS),
    "equal": (lambda a, b: True, HOLDS),
    "nonzero": (places, KEEPS.format(share="everything")),
    "_unique2": (_unique, DISTINCT),
    "unique_dim": (_unique_dim, DISTINCT),
    "unique_consecutive": (_unique, DISTINCT),
    "repeat_interleave": (_repeated, ONE),
}
"""Operators whose result has a size, or is a Python value, that values decide: what they give without values, and what
is assumed by that.
"""

COUNTING = frozenset({"_grouped_mm", "histc", "bincount", "one_hot", "grouped_mm_fallback", "eq", "masked_select"})
"""Operators by which a model sees how often something was chosen."""


def assumption_of(name: str, x: torch.Tensor) -> str:
    """What is assumed where an operator of ``DECIDED`` has no values."""
    return HOLDS if name in ("item", "_local_scalar_dense") and x.dtype == torch.bool else DECIDED[name][1]


def either(name: str, args: tuple[Any, ...]) -> torch.Tensor | None:
    """The result of ``and`` and ``or`` where one operand settles it, whatever the other is; None where it does not."""
    settles = {"bitwise_or": True, "__or__": True, "logical_or": True, "bitwise_or_": True}.get(name)
    if settles is None:
        settles = {"bitwise_and": False, "__and__": False, "logical_and": False, "bitwise_and_": False}.get(name)
    pair = [a for a in args if isinstance(a, torch.Tensor) and a.dtype == torch.bool]
    if settles is None or len(pair) != 2 or pair[0].is_meta == pair[1].is_meta:
        return None
    known = pair[1] if pair[0].is_meta else pair[0]
    shape = (pair[0].to("meta") | pair[1].to("meta")).shape
    return torch.full(shape, settles) if bool((known == settles).all()) else None
