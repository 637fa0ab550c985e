"""What a kernel sweep runs: seeded random calls of every family, each of which is one kernel."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from calibrate.workloads.cases import KernelId
from calibrate.workloads.device import Run, set_precision
from calibrate.workloads.recipes import (
    BATCHED,
    COMMON,
    LARGE,
    OPERATORS,
    RARE,
    RECIPES,
    TYPICAL,
    UNEVEN,
    VARIED,
    FamilyRecipe,
    Recipe,
    Scale,
)
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

TABLES = {
    **{"": RECIPES, "rare ": RARE, "common ": COMMON, "varied ": VARIED, "batched ": BATCHED},
    **{"operator ": OPERATORS, "uneven ": UNEVEN, "large ": LARGE, "typical ": TYPICAL},
}
"""Beginning of a series' name -> its recipes."""

ALWAYS = ("", "rare ")
"""Beginnings of the series that a quick sweep has, too."""

ON_REQUEST = 0.4
"""Share where torch runs a dtype only on request: by default fp32 products are exact and convolutions TF32."""


def _share(family: str, dtype: str) -> float:
    """Of a family's samples, those of a dtype with a fit of its own."""
    on_request = "fp32" if FAMILIES[family].tf32_by_default else "tf32"
    return ON_REQUEST if dtype == on_request else 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How many samples of each family: on the matrix units of a dtype with its own fit, elsewhere of all dtypes.
    besides: those of other tables than the first, by the beginning of their series' names (``TABLES``).
    """

    counts: dict[str, int]
    dtypes: tuple[str, ...]
    scale: Scale
    besides: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Samples in all."""
        return sum(self.groups().values())

    def times(self, factor: int) -> Plan:
        """The same with more samples, those of this plan among them."""

        def more(counts: dict[str, int]) -> dict[str, int]:
            return {family: factor * count for family, count in counts.items()}

        besides = {prefix: more(counts) for prefix, counts in self.besides.items()}
        return replace(self, counts=more(self.counts), besides=besides)

    def groups(self) -> dict[tuple[str, str], int]:
        """(Family, series) -> samples. series: a dtype or "any", with the beginning of its table (``TABLES``)."""
        sample_counts = {}
        for prefix, counts in {"": self.counts, **self.besides}.items():
            for family, count in counts.items():
                dtypes = [dtype for dtype in self.dtypes if dtype in (TABLES[prefix][family].dtypes or self.dtypes)]
                fits = Counter(fit_name(family, dtype) for dtype in dtypes)
                for dtype in dtypes if FAMILIES[family].matrix else ("any",):
                    alone = dtype == "any" or fits[fit_name(family, dtype)] == 1
                    share = (_share(family, dtype) if "tf32" in self.dtypes else 1.0) if alone else SHARED
                    sample_counts[family, prefix + dtype] = round(share * count)
        return sample_counts


def _plan(divisor: int, least: int, dtypes: tuple[str, ...], scale: Scale) -> Plan:
    """Of the samples of a full sweep one in so many, and no fewer than ``least`` of a family; but for the usual calls
    and the rare ones, none unless it is full.
    """
    counts = {
        prefix: {
            family: row.samples if divisor == 1 else max(row.samples // divisor, least)
            for family, row in rows.items()
            if _runs_in(row, dtypes)
        }
        for prefix, rows in TABLES.items()
        if divisor == 1 or prefix in ALWAYS
    }
    return Plan(counts.pop(""), dtypes, scale, counts)


def _runs_in(row: FamilyRecipe, dtypes: Sequence[str]) -> bool:
    return not row.dtypes or bool(set(row.dtypes) & set(dtypes))


FULL = _plan(1, 0, MATRIX_DTYPES, Scale(elements=4.2e8, macs=2.4e11))
QUICK_CUDA = _plan(64, 6, MATRIX_DTYPES, Scale(elements=1e8, macs=5e10))
FULL_CPU = _plan(10, 24, ("fp32", "bf16"), Scale(elements=1.6e7, macs=2e9, usual=0.3))
QUICK_CPU = _plan(32, 20, ("fp32",), Scale(elements=4e6, macs=4e8, usual=0.1))


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


def identities(plan: Plan) -> Iterator[KernelId]:
    """Every case of a plan by name, the families interleaved, the same on every run."""
    remaining = plan.groups()
    longest = max(remaining.values())
    for index in range(longest):
        for (family, series), count in remaining.items():
            # spread the shorter families over the whole run
            if (index * count) // longest != ((index + 1) * count) // longest:
                yield KernelId(family, series, (index * count) // longest)


def cases(plan: Plan, done: Container[KernelId] = ()) -> Iterator[KernelCase | None]:
    """Every case of a plan, the families interleaved, the same on every run; None for one that is done."""
    for known in identities(plan):
        yield None if known in done else make_case(known.family, known.series, known.index, plan.scale)


def make_case(family: str, series: str, index: int, scale: Scale) -> KernelCase:
    """The index-th case of a family and series, redrawn until the call is one kernel of the family."""
    rng = np.random.default_rng([zlib.crc32(f"{family}/{series}".encode()), index])
    table = next(table for table in reversed(TABLES) if series.startswith(table))
    dtype, row = series.removeprefix(table), TABLES[table][family]
    of_memory = row.dtypes or MEMORY_DTYPES
    real = of_memory[index % len(of_memory)] if dtype == "any" else dtype
    for _ in range(50):
        recipe = row.draw(rng, scale)
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
                KernelId(family, series, index), recipe, real, Kernel(family, kernel_dtype, kernel.dims), op
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
