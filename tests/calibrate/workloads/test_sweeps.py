"""Seeded cases of every kernel family."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch

from calibrate.workloads import sweeps
from calibrate.workloads.recipes import FamilyRecipe
from predictor.capture.calls import DTYPES
from predictor.kernels.families import FAMILIES


def series_of(row: FamilyRecipe) -> str:
    """A series of a family."""
    return (row.dtypes or ("fp32",))[0] if FAMILIES[row.family].matrix else "any"


EVERY = [(row.family, table + series_of(row)) for table, rows in sweeps.TABLES.items() for row in rows.values()]
"""(Family, series) of every recipe."""


@pytest.mark.parametrize(("family", "series"), EVERY)
def test_a_case_is_one_kernel_of_its_family_and_the_same_on_every_run(family: str, series: str) -> None:
    for index in range(4):
        first, second = (sweeps.make_case(family, series, index, sweeps.QUICK_CPU.scale) for _ in range(2))
        assert first.kernel.family == family
        assert (first.id, first.kernel, first.op) == (second.id, second.kernel, second.op)


@pytest.mark.parametrize(("family", "series"), EVERY)
def test_a_case_runs_for_real(family: str, series: str) -> None:
    dtype = DTYPES["bf16" if series.endswith("bf16") else "fp32"]
    for index in range(3):
        case = sweeps.make_case(family, series, index, sweeps.Scale(elements=1e5, macs=1e7))
        operands = [operand.make(dtype, "cpu") for operand in case.recipe.operands]
        with torch.inference_mode():
            found = case.recipe.call(*operands)
        assert isinstance(found, (torch.Tensor, tuple))


def test_a_plan_is_taken_whole_and_interleaved() -> None:
    """The quick one for a CPU, with a quarter of its samples."""
    quick = sweeps.QUICK_CPU

    def few(counts: dict[str, int]) -> dict[str, int]:
        return {family: count // 4 for family, count in counts.items()}

    plan = replace(quick, counts=few(quick.counts), besides={name: few(of) for name, of in quick.besides.items()})
    taken = list(sweeps.cases(plan))
    assert len(taken) == plan.total
    assert len({case.id for case in taken}) == len(taken)
    assert Counter(case.kernel.family for case in taken) == Counter(plan.counts) + Counter(plan.besides["rare "])
    assert len({case.kernel.family for case in taken[: len(taken) // 4]}) == len(plan.counts)


def test_a_thorough_plan_adds_to_the_cases_of_the_plain_one() -> None:
    plan = sweeps.Plan({"gemm": 3, "fill": 2}, ("fp32", "fp16", "bf16"), sweeps.QUICK_CPU.scale)
    plain, thorough = ({c.id for c in sweeps.cases(p) if c} for p in (plan, plan.times(2)))
    assert plain < thorough
    assert len(thorough) == 2 * len(plain) == plan.times(2).total
    none = list(sweeps.cases(plan.times(2), sorted(thorough)))
    assert none == [None] * len(thorough)
