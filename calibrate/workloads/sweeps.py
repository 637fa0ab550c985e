"""What a kernel sweep runs: seeded random calls of every family, each of which is one kernel."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from calibrate.workloads.cases import KernelId
from calibrate.workloads.device import Run, set_precision
from calibrate.workloads.recipes import RECIPES, Recipe, Scale
from predictor.capture.calls import DTYPES
from predictor.capture.recorder import capture
from predictor.errors import PredictorError
from predictor.kernels.families import FAMILIES, MATRIX_DTYPES, fit_name
from predictor.records import Kernel
from predictor.runtimes.eager import lowering as eager

MEMORY_DTYPES = ("fp32", "fp16")
"""Element sizes that the memory families are measured in; their fit has the size as a feature."""

SHARED = 0.7
"""Share of the samples that a dtype takes where one fit learns from two."""

ON_REQUEST = 0.4
"""Share where torch runs a dtype only on request: by default fp32 products are exact and convolutions TF32."""


def _share(family: str, dtype: str) -> float:
    """Of a family's samples, those of a dtype with a fit of its own."""
    on_request = "fp32" if FAMILIES[family].tf32_by_default else "tf32"
    return ON_REQUEST if dtype == on_request else 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How many samples of each family: on the matrix units of a dtype with its own fit, elsewhere of all dtypes."""

    counts: dict[str, int]
    dtypes: tuple[str, ...]
    scale: Scale

    @property
    def total(self) -> int:
        """Samples in all."""
        return sum(self.groups().values())

    def times(self, factor: int) -> Plan:
        """The same with more samples, those of this plan among them."""
        return replace(self, counts={family: factor * count for family, count in self.counts.items()})

    def groups(self) -> dict[tuple[str, str], int]:
        """(Family, dtype or "any") -> samples."""
        sample_counts = {}
        for family, count in self.counts.items():
            fits = Counter(fit_name(family, dtype) for dtype in self.dtypes)
            for dtype in self.dtypes if FAMILIES[family].matrix else ("any",):
                alone = dtype == "any" or fits[fit_name(family, dtype)] == 1
                share = (_share(family, dtype) if "tf32" in self.dtypes else 1.0) if alone else SHARED
                sample_counts[family, dtype] = round(share * count)
        return sample_counts


FULL_COUNTS = {family: row.samples for family, row in RECIPES.items()}

FULL = Plan(FULL_COUNTS, MATRIX_DTYPES, Scale(elements=4.2e8, macs=2.4e11))
QUICK_CUDA = Plan({f: max(n // 16, 12) for f, n in FULL_COUNTS.items()}, MATRIX_DTYPES, Scale(elements=1e8, macs=5e10))
FULL_CPU = Plan(
    {f: max(n // 10, 24) for f, n in FULL_COUNTS.items()}, ("fp32", "bf16"), Scale(elements=1.6e7, macs=2e9, usual=0.3)
)
QUICK_CPU = Plan(
    {f: max(n // 16, 20) for f, n in FULL_COUNTS.items()}, ("fp32",), Scale(elements=4e6, macs=4e8, usual=0.1)
)


@dataclass(frozen=True, slots=True)
class KernelCase:
    """One sample to take: a recipe, or what else its maker builds it of, its dtype, and the kernel that the capture
    sees in it.
    """

    id: KernelId
    recipe: Any
    dtype: str
    kernel: Kernel
    op: str


class RecipeModule(torch.nn.Module):
    """A recipe's call as a module, for a capture."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe

    def forward(self, *operands: torch.Tensor) -> Any:
        return self.recipe.call(*operands)


def cases(plan: Plan, done: Container[KernelId] = ()) -> Iterator[KernelCase | None]:
    """Every case of a plan, the families interleaved, the same on every run; None for one that is done."""
    remaining = plan.groups()
    longest = max(remaining.values())
    for index in range(longest):
        for (family, dtype), count in remaining.items():
            # spread the shorter families over the whole run
            if (index * count) // longest != ((index + 1) * count) // longest:
                number = (index * count) // longest
                known = KernelId(family, dtype, number) in done
                yield None if known else make_case(family, dtype, number, plan.scale)


def make_case(family: str, dtype: str, index: int, scale: Scale) -> KernelCase:
    """The index-th case of a family and dtype, redrawn until the call is one kernel of the family."""
    rng = np.random.default_rng([zlib.crc32(f"{family}/{dtype}".encode()), index])
    real = MEMORY_DTYPES[index % len(MEMORY_DTYPES)] if dtype == "any" else dtype
    for _ in range(50):
        recipe = RECIPES[family].draw(rng, scale)
        try:
            operands = tuple(o.make(DTYPES[real], "meta") for o in recipe.operands)
            program = eager.lower(capture(RecipeModule(recipe), operands, real))
        except (PredictorError, RuntimeError):
            continue
        kernels = [k for call in program.calls for k in call.kernels]
        if len(kernels) == 1 and kernels[0].family == family and _fits(kernels[0], scale):
            kernel = kernels[0]
            kernel_dtype = real if FAMILIES[family].matrix else kernel.dtype
            op = next(call.row.label for call in program.calls if call.kernels)
            return KernelCase(
                KernelId(family, dtype, index), recipe, real, Kernel(family, kernel_dtype, kernel.dims), op
            )
    raise RuntimeError(f"no {family} recipe gives one {family} kernel")


def _fits(kernel: Kernel, scale: Scale) -> bool:
    family = FAMILIES[kernel.family]
    dims = family.complete(kernel.dims)
    return float(family.flops(dims)) <= 2 * scale.macs and float(family.nbytes(dims, 4)) <= 16 * scale.elements


Made = Callable[[], tuple[Run, Sequence[torch.Tensor]]]
"""Builds a case on a device: the call, and its tensors that are warm in cache."""

Maker = Callable[[KernelCase, str], Made]
"""What builds a case, given the device."""


def maker(case: KernelCase, device: str) -> Made:
    """What builds a case on a device: returns the call, and its tensors that are warm in cache."""

    def make() -> tuple[Run, Sequence[torch.Tensor]]:
        set_precision(case.dtype)
        tensors = [o.make(DTYPES[case.dtype], device) for o in case.recipe.operands]
        warm = [t for t, o in zip(tensors, case.recipe.operands, strict=True) if o.warm and not o.expand and not o.high]

        def run() -> Any:
            return case.recipe.call(*tensors)

        return run, warm

    return make


@dataclass(frozen=True, slots=True)
class IsolatedSweep:
    """Kernels that a runtime makes and torch does not, each run alone.

    runtime: that makes them; total: how many there are, quick or not; cases: (quick, what is done) -> every case,
    the same on every run, None for one that is done; maker: what builds a case on a device.
    """

    runtime: str
    total: Callable[[bool], int]
    cases: Callable[[bool, Container[KernelId]], Iterator[KernelCase | None]]
    maker: Maker
