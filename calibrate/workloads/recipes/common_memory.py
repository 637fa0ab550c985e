"""Recipes of what streams in most models: two precisions in one operator, factors of rows and columns, activations,
joined features of different widths, rows at places that a list says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from calibrate.workloads.recipes.base import WIDTHS, FamilyRecipe, Operand, Recipe, Rng, Scale, log_uniform, pick

ACTIVATIONS = (
    *(F.silu, F.silu, F.gelu, F.softplus, F.mish, F.hardswish, F.elu, F.leaky_relu, F.relu6, F.logsigmoid),
    *(torch.tanh, torch.sigmoid, torch.exp, torch.log, torch.sqrt, torch.rsqrt, torch.sin, torch.cos, torch.erf),
)
"""Of one tensor."""


def _matrix(rng: Rng, scale: Scale) -> tuple[int, int]:
    """Rows and columns of activations: tokens and features, or any numbers."""
    cols = pick(rng, *WIDTHS, 64, 64, 128) if rng.random() < 0.7 else log_uniform(rng, 1, 4096)
    return log_uniform(rng, 1, max(min(65536, scale.elements / 2 / cols), 1)), cols


def pointwise(rng: Rng, scale: Scale) -> Recipe:
    """A factor in another precision, or of a whole row, column, head or tensor; an activation."""
    kind = pick(rng, "row", "row", "column", "matrix", "heads", "one", "activation", "activation", "activation")
    rows, cols = _matrix(rng, scale)
    x = Operand((rows, cols))
    if kind == "activation":
        return Recipe(_Activation(pick(rng, *ACTIVATIONS)), (x,))
    other = pick(rng, "", "float32", "float32", "float16", "bfloat16", "int64")
    function = pick(rng, torch.mul, torch.mul, torch.add)
    if kind == "heads":
        tokens, head = max(rows // 12, 1), pick(rng, 32, 64, 64, 128)
        heads = Operand((1, tokens, 12, head), permute=(0, 2, 1, 3))
        return Recipe(_Binary(function, other, True), (heads, _of_dtype((tokens, head), other)))
    shape = {"row": (cols,), "column": (rows, 1), "matrix": (rows, cols), "one": ()}[kind]
    return Recipe(_Binary(function, other, rng.random() < 0.5), (x, _of_dtype(shape, other)))


BITS = {"float32": ("int32", 2**30), "float16": ("int16", 2**14), "bfloat16": ("int16", 2**14)}
"""Dtype -> integers of its size, below which all of them are numbers of it that are not large."""


def _of_dtype(shape: tuple[int, ...], dtype: str) -> Operand:
    """A tensor of a dtype, whatever a capture turns numbers with a point into: as its bits."""
    bits, high = BITS.get(dtype, (dtype, 100 if dtype else 0))
    return Operand(shape, dtype=bits, high=high)


@dataclass(frozen=True, slots=True)
class _Binary:
    """An operator of two tensors. dtype: of the other one; is_first: whether it comes second."""

    function: Callable[..., Any]
    dtype: str
    is_first: bool

    def __call__(self, x: Any, other: Any) -> Any:
        other = other.view(getattr(torch, self.dtype)) if self.dtype in BITS else other
        return self.function(x, other) if self.is_first else self.function(other, x)


@dataclass(frozen=True, slots=True)
class _Activation:
    function: Callable[..., Any]

    def __call__(self, x: Any) -> Any:
        return self.function(x)


def cats(rng: Rng, scale: Scale) -> Recipe:
    """Features of different widths: of rows, and of images as skip connections join them."""
    count, size = pick(rng, 2, 2, 2, 3, 4), pick(rng, 1, 2, 3, 8, 16, 32, 64)
    widths = [size * int(rng.integers(1, 17)) for _ in range(count)]
    if rng.random() < 0.5:
        rows = log_uniform(rng, 1, max(min(65536, scale.elements / 2 / sum(widths)), 1))
        return Recipe(_Cat(-1), tuple(Operand((rows, width)) for width in widths))
    side = pick(rng, 7, 14, 20, 28, 40, 56, 80)
    batch = pick(rng, 1, 1, 2, 8, 16, 64)
    batch = max(min(batch, int(scale.elements / 2 / sum(widths) / side**2)), 1)
    last = rng.random() < 0.3
    shapes = [(batch, side, side, width) if last else (batch, width, side, side) for width in widths]
    return Recipe(_Cat(1), tuple(Operand(shape, permute=(0, 3, 1, 2) if last else ()) for shape in shapes))


@dataclass(frozen=True, slots=True)
class _Cat:
    dim: int

    def __call__(self, *tensors: Any) -> Any:
        return torch.cat(tensors, self.dim)


def gather(rng: Rng, scale: Scale) -> Recipe:
    """Rows at places that a list says, in brackets and by name."""
    cols = pick(rng, 1, 2, 3, 4, 8, 16, 32, 64, 64, 128, 256, 512, 768, 1024)
    rows = log_uniform(rng, 1, max(min(65536, scale.elements / 2 / cols), 1))
    places = max(int(rows * pick(rng, 0.1, 0.5, 1, 1, 2, 8)), 1)
    read = _index if rng.random() < 0.7 else _select
    return Recipe(read, (Operand((places, cols)), Operand((rows,), high=places)))


def _index(x: Any, index: Any) -> Any:
    return x[index]


def _select(x: Any, index: Any) -> Any:
    return torch.index_select(x, 0, index)


COMMON = (
    FamilyRecipe("pointwise", pointwise, 900),
    FamilyRecipe("cat", cats, 300),
    FamilyRecipe("gather", gather, 300),
)
