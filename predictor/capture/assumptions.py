"""What a capture takes for granted where a model decides by values that nobody computes: floating-point tensors, and
what comes of them.

Integers that a model makes of them (the indices of ``topk``, the token of ``argmax``) get values that are spread evenly
over the choices, so that what is looked up, counted and split by them has the sizes of an even load. A selection keeps
the share that the options of the capture say, a condition holds, a number that Python reads is 1. What a graph rests on
is noted with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
from predictor.records import CaptureOptions

__all__ = [
    "ALL_BLOCKS",
    "DISTINCT",
    "EVALUATION",
    "EVEN",
    "HOLDS",
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
    if not x.dim():  # of one number
        return torch.zeros(index.shape, dtype=torch.int64)
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


@dataclass(frozen=True, slots=True)
class Decision:
    """An operator whose result has a size, or is a Python value, that values decide.

    result: what it gives without values, of the options of the capture and its arguments; assumption: what is assumed
    by that, of the options and the tensor without values.
    """

    result: Callable[..., Any]
    assumption: Callable[[CaptureOptions, torch.Tensor], str]


def number(options: CaptureOptions, x: torch.Tensor) -> Any:
    """What Python reads from a tensor whose value nobody knows."""
    if x.dtype == torch.bool:
        return True
    return 1.0 if x.dtype.is_floating_point else 1


def _true(options: CaptureOptions, *operands: torch.Tensor) -> bool:
    return True


def places(options: CaptureOptions, mask: torch.Tensor) -> torch.Tensor:
    """What ``nonzero`` finds in a tensor whose values nobody knows: (kept, dimensions), on meta if it is large. The
    places that are kept are spread evenly.
    """
    elements = mask.numel()
    kept = math.ceil(round(options.keep * elements, 9))
    if elements > MOST:
        return torch.empty(kept, mask.dim(), dtype=torch.int64, device="meta")
    flat = (torch.arange(kept) * elements) // max(kept, 1)
    columns: list[torch.Tensor] = []
    for size in reversed(mask.shape):  # torch.unravel_index asks for the device, which a capture says is the GPU
        columns.insert(0, flat % size)
        flat = flat // size
    return torch.stack(columns, dim=1) if columns else torch.zeros(kept, 0, dtype=torch.int64)


def _unique(options: CaptureOptions, x: torch.Tensor, *rest: Any, **named: Any) -> tuple[torch.Tensor, ...]:
    """Of ``_unique2``: values, where each came from, how many of each."""
    count = x.numel()
    values = torch.empty(count, dtype=x.dtype, device="meta")
    return values, torch.arange(count).view(x.shape), torch.ones(count, dtype=torch.int64)


def _unique_dim(
    options: CaptureOptions, x: torch.Tensor, dim: int = 0, *rest: Any, **named: Any
) -> tuple[torch.Tensor, ...]:
    count = x.shape[dim]
    return torch.empty_like(x), torch.arange(count), torch.ones(count, dtype=torch.int64)


def _repeated(options: CaptureOptions, repeats: torch.Tensor, **named: Any) -> torch.Tensor:
    return torch.arange(repeats.numel())


def keeps(options: CaptureOptions, x: torch.Tensor | None = None) -> str:
    """What is assumed of a selection by values.

    >>> keeps(CaptureOptions(keep=0.3))
    'a selection by values keeps 30 %'
    """
    return KEEPS.format(share="everything" if options.keep == 1 else f"{100 * options.keep:g} %")


def _read(options: CaptureOptions, x: torch.Tensor) -> str:
    return HOLDS if x.dtype == torch.bool else ONE


def _always(assumption: str) -> Callable[[CaptureOptions, torch.Tensor], str]:
    return lambda options, x: assumption


def _unsuppressed(options: CaptureOptions, boxes: torch.Tensor, scores: torch.Tensor, overlap: float) -> torch.Tensor:
    return torch.arange(math.ceil(options.keep * scores.numel()))


DECIDED: dict[str, Decision] = {
    "item": Decision(number, _read),
    "_local_scalar_dense": Decision(number, _read),
    "is_nonzero": Decision(_true, _always(HOLDS)),
    "equal": Decision(_true, _always(HOLDS)),
    "nonzero": Decision(places, keeps),
    "_unique2": Decision(_unique, _always(DISTINCT)),
    "unique_dim": Decision(_unique_dim, _always(DISTINCT)),
    "unique_consecutive": Decision(_unique, _always(DISTINCT)),
    "repeat_interleave.Tensor": Decision(_repeated, _always(ONE)),
    "torchvision::nms": Decision(_unsuppressed, keeps),
}
"""What is taken for granted where an operator has no values."""

SIZED_BY_VALUES = frozenset({*DECIDED, "repeat_interleave"})
"""Operators that need the values of the tensors that have some."""

SHAPED_LIKE = frozenset({"expand_as", "view_as", "reshape_as"})
"""Operators that take only the shape of their second tensor: the values of the first stay known."""

COUNTING = frozenset({"_grouped_mm", "histc", "bincount", "one_hot", "grouped_mm_fallback", "eq", "masked_select"})
"""Operators by which a model sees how often something was chosen."""


SETTLED = {
    **dict.fromkeys(("bitwise_or", "__or__", "logical_or", "bitwise_or_"), True),
    **dict.fromkeys(("bitwise_and", "__and__", "logical_and", "bitwise_and_"), False),
}
"""Operator -> the value that settles its result in one operand, whatever the other is."""


def either(name: str, args: tuple[Any, ...]) -> torch.Tensor | None:
    """The result of ``and`` and ``or`` where one operand settles it, whatever the other is; None where it does not."""
    settles = SETTLED.get(name)
    pair = [a for a in args if isinstance(a, torch.Tensor) and a.dtype == torch.bool]
    if settles is None or len(pair) != 2 or pair[0].is_meta == pair[1].is_meta:
        return None
    known = pair[1] if pair[0].is_meta else pair[0]
    shape = (pair[0].to("meta") | pair[1].to("meta")).shape
    return torch.full(shape, settles) if bool((known == settles).all()) else None
