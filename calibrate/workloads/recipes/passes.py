"""Recipes of operators that few models call, each a pass over elements: functions of every kind, tensors that are
spread over each other in any dimensions, casts, random numbers.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from calibrate.workloads.recipes.base import FamilyRecipe, Operand, Recipe, Rng, Scale, log_uniform, pick
from calibrate.workloads.recipes.rare_memory import _call

ONE = (
    *(
        torch.digamma,
        torch.lgamma,
        torch.erf,
        torch.erfc,
        torch.erfinv,
        torch.expm1,
        torch.log,
        torch.log2,
        torch.log10,
    ),
    *(torch.log1p, torch.sin, torch.cos, torch.tan, torch.asin, torch.acos, torch.atan, torch.sinh, torch.cosh),
    *(torch.asinh, torch.atanh, torch.tanh, torch.exp, torch.sqrt, torch.rsqrt, torch.sigmoid, torch.sinc, torch.logit),
    *(F.gelu, F.silu, F.mish, F.elu, F.celu, F.selu, F.softplus, F.hardswish, F.hardsigmoid, F.softshrink, F.relu6),
    *(torch.abs, torch.neg, torch.floor, torch.round, torch.sign, torch.reciprocal, torch.square, torch.frac),
)
"""Functions of one tensor, each a kernel."""

TWO = (
    *(
        torch.floor_divide,
        torch.remainder,
        torch.fmod,
        torch.atan2,
        torch.hypot,
        torch.pow,
        torch.logaddexp,
        torch.xlogy,
    ),
    *(torch.add, torch.sub, torch.mul, torch.div, torch.maximum, torch.minimum, torch.eq, torch.lt, torch.ge),
)
"""Functions of two."""

DTYPES = ("float32", "float16", "bfloat16", "int64", "int32", "int8", "uint8", "bool")


def _shape(rng: Rng, scale: Scale, dims: int) -> list[int]:
    """Of a tensor of so many dimensions, large in many cases."""
    least = min(pick(rng, 1e3, 1e4, 1e5, 1e6), scale.elements / 100) if dims > 1 else 10.0
    while True:
        shape = [log_uniform(rng, 2, pick(rng, 16, 64, 512, 4096)) for _ in range(dims)]
        elements = 1
        for n in shape:
            elements *= n
        if least <= elements <= scale.elements / 4:
            return shape


def _spread(rng: Rng, shape: list[int]) -> Operand:
    """A tensor of one where it repeats itself, in any dimensions."""
    return Operand(tuple(1 if rng.random() < 0.5 else n for n in shape))


def pointwise(rng: Rng, scale: Scale) -> Recipe:
    """Functions of one and two tensors, that lie alike, are spread over each other, or turned; casts; three tensors."""
    kind = pick(
        rng, "one", "one", "one", "two", "two", "spread", "spread", "spread", "outer", "turned", "cast", "three"
    )
    shape = _shape(rng, scale, pick(rng, 1, 2, 3, 3, 4, 4))
    x = Operand(tuple(shape))
    if kind == "one":
        return Recipe(pick(rng, *ONE), (x,))
    if kind == "two":
        return Recipe(pick(rng, *TWO), (x, x))
    if kind == "spread":
        return Recipe(pick(rng, torch.add, torch.sub, torch.mul, torch.div, *TWO), (x, _spread(rng, shape)))
    if kind == "outer":
        return Recipe(pick(rng, torch.add, torch.sub, torch.mul), (_spread(rng, shape), _spread(rng, shape)))
    if kind == "turned":
        order = tuple(int(d) for d in rng.permutation(len(shape)))
        lying = [0] * len(shape)
        for d, n in zip(order, shape, strict=True):
            lying[d] = n
        turned = Operand(tuple(lying), permute=order)
        return Recipe(pick(rng, torch.add, torch.mul, torch.maximum), (turned, x))
    if kind == "cast":
        source = pick(rng, "", "int64", "int32", "uint8", "bool")
        given = Operand(tuple(shape), high=2 if source == "bool" else 100, dtype=source) if source else x
        return Recipe(_call(torch.Tensor.to, getattr(torch, pick(rng, *DTYPES))), (given,))
    weight = _spread(rng, shape) if rng.random() < 0.5 else x
    return Recipe(pick(rng, torch.addcmul, torch.lerp, torch.addcdiv), (x, x, weight))


def fill(rng: Rng, scale: Scale) -> Recipe:
    """Random numbers of several distributions, ranges, ones."""
    x = Operand(tuple(_shape(rng, scale, pick(rng, 1, 2, 3))))
    kind = pick(
        rng, torch.rand_like, torch.rand_like, torch.randn_like, torch.randn_like, _exponential, torch.ones_like
    )
    return Recipe(kind, (x,))


def _exponential(x: Any) -> Any:
    return x.exponential_()


OPERATORS = (FamilyRecipe("pointwise", pointwise, 420), FamilyRecipe("fill", fill, 80))
