"""Loops that Inductor makes, each compiled alone: the sweep's cases for the family "triton".

A compiled model's loops run in an order of the compiler's own, so most of a profile cannot be told apart; a loop alone
can.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
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


STEPS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "add": lambda x, y: x + y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / (y + 1.0),
    "choose": lambda x, y: torch.where(x > y, x, y),
    "clamp": lambda x, y: torch.clamp(x, -4.0, 4.0),
    "absolute": lambda x, y: torch.abs(x - y),
    "floor": lambda x, y: torch.floor(x * 8.0),
    "exp": lambda x, y: torch.exp(-x),
    "log": lambda x, y: torch.log(torch.abs(x) + 1.0),
    "sine": lambda x, y: torch.sin(x),
    "cosine": lambda x, y: torch.cos(x + y),
    "power": lambda x, y: torch.pow(torch.abs(x) + 0.5, 1.7),
    "power of a number": lambda x, y: torch.pow(1.3, x),
    "square": lambda x, y: torch.pow(x, 2),
    "square root": lambda x, y: torch.sqrt(torch.abs(x)),
    "sigmoid": lambda x, y: torch.sigmoid(x),
    "silu": lambda x, y: F.silu(x) * y,
    "gelu": lambda x, y: F.gelu(x),
    "tanh": lambda x, y: torch.tanh(x),
    "softplus": lambda x, y: F.softplus(x),
    "whole division": lambda x, y: torch.div(x * 64.0, 3.0, rounding_mode="floor"),
    "remainder": lambda x, y: torch.remainder(x * 64.0, 3.0),
}
"""Name -> a step of a chain."""


INTEGER_STEPS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "integer add": lambda x, y: x + y,
    "integer multiply": lambda x, y: x * y,
    "integer choose": lambda x, y: torch.where(x > y, x - 1, y),
    "bits": lambda x, y: (x & 255) ^ y,
    "shift": lambda x, y: (x >> 1) + y,
    "integer division by a number": lambda x, y: torch.div(x + y, 196, rounding_mode="floor"),
    "integer division": lambda x, y: torch.div(x, y + 3, rounding_mode="floor"),
    "integer remainder of a number": lambda x, y: torch.remainder(x + y, 196),
    "integer remainder": lambda x, y: torch.remainder(x, y + 3),
    "to a float and back": lambda x, y: (x.float() * 0.5).to(x.dtype) + y,
}
"""Name -> a step of a chain of whole numbers."""


@dataclass(frozen=True, slots=True)
class _Steps:
    """A chain."""

    names: tuple[str, ...]

    def __call__(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        for name in self.names:
            x = (STEPS | INTEGER_STEPS)[name](x, y)
        return x


def _stepped(steps: Sequence[str], shape: tuple[int, ...]) -> Recipe:
    return Recipe(_Steps(tuple(steps)), (Operand(shape), Operand(shape)))


def _repeated(rng: Rng) -> Recipe:
    """One step several times."""
    return _stepped([pick(rng, *STEPS)] * pick(rng, 1, 2, 4, 8), _sequence(rng))


def _mixed(rng: Rng) -> Recipe:
    """Several steps."""
    return _stepped([pick(rng, *STEPS) for _ in range(pick(rng, 2, 3, 5, 8, 12))], _sequence(rng))


def _integers(rng: Rng) -> Recipe:
    """Steps of whole numbers, one several times or several."""
    one = [pick(rng, *INTEGER_STEPS)] * pick(rng, 1, 2, 4, 8)
    names = one if rng.random() < 0.6 else [pick(rng, *INTEGER_STEPS) for _ in range(pick(rng, 2, 4, 6))]
    operand = Operand(_sequence(rng), high=1000, dtype="int64")
    return Recipe(_Steps(tuple(names)), (operand, operand))


def _rotary(rng: Rng) -> Recipe:
    """Rotary positions, whose angles are computed for every head again, or given."""
    batch, length, width = _sequence(rng)
    heads = pick(rng, 4, 8, 16)
    half = max(width // heads // 2, 4)
    computed = rng.random() < 0.5

    def call(x: torch.Tensor, angles: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        turned = torch.cat((-x[..., half:], x[..., :half]), -1)
        if computed:
            angles = places[:, None] / 10000.0 ** (torch.arange(2 * half, device=x.device) / half)
        return x * torch.cos(angles).to(x.dtype) + turned * torch.sin(angles).to(x.dtype)

    operands = (
        *(Operand((batch, length, heads, 2 * half), permute=(0, 2, 1, 3)), Operand((length, 2 * half), warm=False)),
        Operand((length,), step=1),
    )
    return Recipe(call, operands)


def _looked_up(rng: Rng) -> Recipe:
    """Rows of tables, added up, and normalised or not."""
    batch, length, width = _sequence(rng)
    rows, normed = pick(rng, 512, 8192, 30000), rng.random() < 0.5
    ids = Operand((batch, length), high=rows)

    def call(ids: torch.Tensor, table: torch.Tensor, places: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        x = F.embedding(ids, table) + places
        return F.layer_norm(x, w.shape, w, w) if normed else x * w

    weights = (Operand((rows, width), warm=False), Operand((length, width), warm=False), Operand((width,), warm=False))
    return Recipe(call, (ids, *weights))


def _across(rng: Rng) -> Recipe:
    """Sums, means and largest values along each dimension, with what is computed before."""
    reduce = pick(rng, torch.sum, torch.mean, torch.amax)
    dim, gelu = pick(rng, 0, 1, 2), rng.random() < 0.5
    shape = _sequence(rng)
    return Recipe(lambda x: reduce(F.gelu(x) if gelu else x * x, dim), (Operand(shape),))


def _joined(rng: Rng) -> Recipe:
    """Tensors put side by side, some of them strided."""
    batch, length, width = _sequence(rng)
    count, dim = pick(rng, 2, 3, 4), pick(rng, 1, 2)
    swapped = rng.random() < 0.4
    one = Operand((batch, width, length), permute=(0, 2, 1)) if swapped else Operand((batch, length, width))
    return Recipe(lambda *xs: torch.cat([torch.relu(x) for x in xs], dim), (one,) * count)


def _root_mean_square(rng: Rng) -> Recipe:
    """A norm as language models write it, of a sum of several tensors."""
    batch, length, width = _sequence(rng)
    count = pick(rng, 1, 2, 4, 6)

    def call(w: torch.Tensor, *xs: torch.Tensor) -> torch.Tensor:
        x = sum(xs[1:], xs[0]).float()
        return w * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)).to(w.dtype)

    return Recipe(call, (Operand((width,), warm=False), *[Operand((batch, length, width))] * count))


REDUCTIONS: tuple[Callable[..., Any], ...] = (
    *(torch.sum, torch.mean, torch.amax, torch.amin, torch.var, torch.std, torch.argmax, torch.softmax, torch.softmax),
    *(F.log_softmax, torch.any, torch.sum, torch.mean),
)


def _reduced(rng: Rng) -> Recipe:
    """A reduction of any dimensions of a tensor that lies in any order, or a normalisation of uneven rows."""
    while True:
        shape = [
            int(np.exp(rng.uniform(np.log(3), np.log(pick(rng, 32, 512, 4096))))) for _ in range(pick(rng, 2, 3, 4))
        ]
        if 1e4 <= np.prod(shape) <= LARGEST / 2:
            break
    order = tuple(int(d) for d in rng.permutation(len(shape))) if rng.random() < 0.3 else tuple(range(len(shape)))
    lying = [shape[order.index(d)] for d in range(len(shape))]
    x = Operand(tuple(lying), permute=order)
    function, dim = pick(rng, *REDUCTIONS), int(rng.integers(len(shape)))
    if rng.random() < 0.15:
        return Recipe(lambda x: F.layer_norm(x, x.shape[-1:]), (x,))
    scaled = rng.random() < 0.4

    def call(x: torch.Tensor) -> Any:
        return function(x * 0.5 if scaled else x, dim)

    return Recipe(call, (x,))


def _windowed(rng: Rng) -> Recipe:
    """A pool, or an image that is interpolated, in either layout."""
    n, c, h, w = _image(rng)
    x = Operand((n, h, w, c), permute=(0, 3, 1, 2)) if rng.random() < 0.35 else Operand((n, c, h, w))
    kind = pick(rng, "max", "max", "mean", "bilinear", "bilinear", "bicubic", "nearest", "adaptive")
    window, stride, side = pick(rng, 2, 3, 3, 5), pick(rng, 1, 2), pick(rng, 1, 2, 3, 5, 7)
    scale, corners = pick(rng, 0.5, 2.0, 2.0, 4.0), rng.random() < 0.3

    def call(x: torch.Tensor) -> torch.Tensor:
        if kind in ("max", "mean"):
            pool = F.max_pool2d if kind == "max" else F.avg_pool2d
            return pool(x, window, stride, window // 2)
        if kind == "adaptive":
            return F.adaptive_avg_pool2d(x, side)
        if kind == "nearest":
            return F.interpolate(x, scale_factor=scale)
        return F.interpolate(x, scale_factor=scale, mode=kind, align_corners=corners)

    return Recipe(call, (x,))


DRAWN: Mapping[str, Sequence[Callable[[Rng], Recipe]]] = {
    "alone": (_chain, _scores, _norm, _batch_norm, _chain, _scores, _pooled, _moved),
    "varied": (_repeated, _mixed, _rotary, _across, _mixed, _looked_up, _joined, _root_mean_square),
    "integers": (_integers,),
    "reduced": (_reduced, _reduced, _windowed),
}
"""Series -> what draws its cases, each in turn. A calibration measures the first, ``benchmarks/inductor_sweep.py`` the
others.
"""


def cases(count: int, done: Container[KernelId] = (), series: str = "alone") -> Iterator[KernelCase | None]:
    """Every case of a sweep of so many, the same on every run; None for one that is done."""
    for index in range(count):
        id = KernelId(FAMILY, series, index)
        yield None if id in done else case_of(id)


def case_of(id: KernelId) -> KernelCase:
    """A case: drawn again until it is one loop."""
    index, drawn = id.index, DRAWN[id.series]
    rng = np.random.default_rng([49979687, index, *([zlib.crc32(id.series.encode())] if id.series != "alone" else [])])
    dtype = MEMORY_DTYPES[(index // len(drawn) + 1) % len(MEMORY_DTYPES)]
    for _ in range(50):
        recipe = drawn[index % len(drawn)](rng)
        try:
            operands = tuple(o.make(DTYPES[dtype], "meta") for o in recipe.operands)
            program = lower(capture(RecipeModule(recipe), operands, dtype, mode=CaptureMode.COMPILED))
        except (PredictorError, RuntimeError):
            continue
        kernels = [kernel for call in program.calls for kernel in call.kernels]
        if len(kernels) == 1 and kernels[0].family == FAMILY and 1e3 <= kernels[0].dims["elements"] <= LARGEST:
            return KernelCase(id, recipe, dtype, kernels[0], "loop")
    raise RuntimeError(f"{drawn[index % len(drawn)].__name__} draws no loop that is one kernel")


def steps_of(id: KernelId) -> tuple[str, ...] | None:
    """The steps of a case that is a chain of ``STEPS``, None for others."""
    drawn = DRAWN[id.series]
    stepped = drawn[id.index % len(drawn)] in (_repeated, _mixed, _integers)
    recipe = case_of(id).recipe if stepped else None
    return recipe.call.names if recipe is not None and isinstance(recipe.call, _Steps) else None


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
