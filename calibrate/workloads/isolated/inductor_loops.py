"""Loops that Inductor makes, each compiled alone: the sweep's cases for the family "triton".

A compiled model's loops run in an order of the compiler's own, so most of a profile cannot be told apart; a loop alone
can.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from calibrate.workloads.cases import KernelId
from calibrate.workloads.device import Run
from calibrate.workloads.loops import CHAINS
from calibrate.workloads.recipes.base import Operand, Recipe, Rng, pick, power_of_two, usual_image, usual_sequence
from calibrate.workloads.sweeps import MEMORY_DTYPES, IsolatedSweep, KernelCase, Made, RecipeModule
from predictor.capture.calls import DTYPES
from predictor.capture.recorder import capture
from predictor.errors import PredictorError
from predictor.records import CaptureMode
from predictor.runtimes.compile.execution import compiled
from predictor.runtimes.compile.lowering import NAME, lower

FAMILY = "triton"
COUNT, QUICK_COUNT = 240, 24
"""Samples of a full and of a quick sweep: each is a compilation of about a second."""

LARGEST = 4e7
"""Elements of the largest tensor."""


def _sequence(rng: Rng) -> tuple[int, int, int]:
    return usual_sequence(rng, LARGEST, 64)


def _image(rng: Rng) -> tuple[int, int, int, int]:
    return usual_image(rng, LARGEST, 128)


def _chain(rng: Rng) -> Recipe:
    shape = _sequence(rng)
    return Recipe(CHAINS[pick(rng, *CHAINS)], (Operand(shape), Operand(shape), Operand(shape[-1:], warm=False)))


def _scores(rng: Rng) -> Recipe:
    """Softmax of attention scores, with what is added to them: nothing, a mask, positions, a transposed tensor."""
    heads, length = pick(rng, 4, 8, 12, 16), pick(rng, 32, 49, 64, 99, 128, 128, 197, 256, 384)
    batch = power_of_two(rng, min(max(LARGEST / heads / length**2, 1), 64))
    shape = (batch, heads, length, length)
    bias = pick(
        rng,
        Operand((batch, 1, 1, length)),
        Operand((length, length), warm=False),
        Operand((batch, heads, length, length), permute=(0, 1, 3, 2)),
        Operand((batch, length, heads, length), permute=(0, 2, 1, 3)),
    )
    half = rng.random() < 0.5

    def call(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        scores = x.float() * 0.125 + y if half else x + y
        return torch.softmax(scores, -1).to(x.dtype)

    return Recipe(call, (Operand(shape), bias))


def _norm(rng: Rng) -> Recipe:
    """Layer normalisation of a sum, of a tensor as it lies or with channels first."""
    batch, length, width = _sequence(rng)
    swapped = rng.random() < 0.5
    x = Operand((batch, width, length), permute=(0, 2, 1)) if swapped else Operand((batch, length, width))
    weight = Operand((width,), warm=False)

    def call(x: torch.Tensor, y: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x + w + y, w.shape, w, w)

    return Recipe(call, (x, Operand((batch, length, width)), weight))


def _batch_norm(rng: Rng) -> Recipe:
    """Batch normalisation and what follows it, in either layout."""
    n, c, h, w = _image(rng)
    last = rng.random() < 0.6
    x = Operand((n, h, w, c), permute=(0, 3, 1, 2)) if last else Operand((n, c, h, w))
    weights = tuple(Operand((c,), warm=False) for _ in range(4))
    add = rng.random() < 0.4

    def call(x: torch.Tensor, y: torch.Tensor, mean: Any, var: Any, weight: Any, bias: Any) -> torch.Tensor:
        normal = F.batch_norm(x, mean, var, weight, bias)
        return torch.relu(normal + y) if add else F.hardtanh(normal, 0.0, 6.0)

    return Recipe(call, (x, x, *weights))


def _pooled(rng: Rng) -> Recipe:
    """Mean over the pixels of a normalised image."""
    n, c, h, w = _image(rng)
    x = Operand((n, h, w, c), permute=(0, 3, 1, 2)) if rng.random() < 0.6 else Operand((n, c, h, w))
    return Recipe(lambda x: torch.relu(x).mean((2, 3)), (x,))


def _moved(rng: Rng) -> Recipe:
    """A tensor written in another order, as heads and layouts want."""
    batch, length, width = _sequence(rng)
    kind = pick(rng, "swap", "image", "heads")
    if kind == "swap":
        return Recipe(lambda x: (x.transpose(1, 2) * 0.5).contiguous(), (Operand((batch, length, width)),))
    if kind == "heads":
        heads = pick(rng, 4, 8, 12, 16)
        operand = Operand((batch, length, heads, max(width // heads, 1)))
        return Recipe(lambda x: (x.transpose(1, 2) * 0.5).contiguous(), (operand,))
    return Recipe(lambda x: (x * 0.5).contiguous(memory_format=torch.channels_last), (Operand(_image(rng)),))


DRAWN: Sequence[Callable[[Rng], Recipe]] = (_chain, _scores, _norm, _batch_norm, _chain, _scores, _pooled, _moved)
"""What draws a case: each in turn."""


def cases(count: int, done: Container[KernelId] = ()) -> Iterator[KernelCase | None]:
    """Every case of a sweep of so many, the same on every run; None for one that is done."""
    for index in range(count):
        id = KernelId(FAMILY, "alone", index)
        yield None if id in done else _case(id)


def _case(id: KernelId) -> KernelCase:
    """A case: drawn again until it is one loop."""
    index = id.index
    rng = np.random.default_rng([49979687, index])
    dtype = MEMORY_DTYPES[(index // len(DRAWN) + 1) % len(MEMORY_DTYPES)]
    for _ in range(50):
        recipe = DRAWN[index % len(DRAWN)](rng)
        try:
            operands = tuple(o.make(DTYPES[dtype], "meta") for o in recipe.operands)
            program = lower(capture(RecipeModule(recipe), operands, dtype, mode=CaptureMode.COMPILED))
        except (PredictorError, RuntimeError):
            continue
        kernels = [kernel for call in program.calls for kernel in call.kernels]
        if len(kernels) == 1 and kernels[0].family == FAMILY and 1e3 <= kernels[0].dims["elements"] <= LARGEST:
            return KernelCase(id, recipe, dtype, kernels[0], "loop")
    raise RuntimeError(f"{DRAWN[index % len(DRAWN)].__name__} draws no loop that is one kernel")


def maker(case: KernelCase, device: str) -> Made:
    """What builds a case on a device: returns the compiled call, and its tensors that are warm in cache."""

    def make() -> tuple[Run, Sequence[torch.Tensor]]:
        torch._dynamo.reset()
        tensors = tuple(o.make(DTYPES[case.dtype], device) for o in case.recipe.operands)
        warm = [t for t, o in zip(tensors, case.recipe.operands, strict=True) if o.warm]
        return compiled(RecipeModule(case.recipe), tensors, "default"), warm

    return make


def _count(quick: bool) -> int:
    return QUICK_COUNT if quick else COUNT


SWEEP = IsolatedSweep(NAME, _count, lambda quick, done: cases(_count(quick), done), maker)
