"""Seeded cases of every kernel family."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from calibrate.workloads import sweeps
from calibrate.workloads.recipes import RECIPES
from predictor.kernels.families import FAMILIES


@pytest.mark.parametrize("family", RECIPES)
def test_a_case_is_one_kernel_of_its_family_and_the_same_on_every_run(family: str) -> None:
    dtype = "fp32" if FAMILIES[family].matrix else "any"
    for index in range(4):
        first, second = (sweeps.make_case(family, dtype, index, sweeps.QUICK_CPU.scale) for _ in range(2))
        assert first.kernel.family == family
        assert (first.id, first.kernel, first.op) == (second.id, second.kernel, second.op)


@pytest.mark.parametrize("family", RECIPES)
def test_a_case_runs_for_real(family: str) -> None:
    dtype = "fp32" if FAMILIES[family].matrix else "any"
    case = sweeps.make_case(family, dtype, 0, sweeps.Scale(elements=1e5, macs=1e7))
    operands = [operand.make(torch.float32, "cpu") for operand in case.recipe.operands]
    with torch.inference_mode():
        found = case.recipe.call(*operands)
    assert isinstance(found, (torch.Tensor, tuple))


def test_a_plan_is_taken_whole_and_interleaved() -> None:
    taken = list(sweeps.cases(sweeps.QUICK_CPU))
    assert len(taken) == sweeps.QUICK_CPU.total
    assert len({case.id for case in taken}) == len(taken)
    assert Counter(case.kernel.family for case in taken) == Counter(sweeps.QUICK_CPU.counts)
    assert len({case.kernel.family for case in taken[: len(taken) // 4]}) == len(RECIPES)


def test_a_thorough_plan_adds_to_the_cases_of_the_plain_one() -> None:
    plan = sweeps.Plan({"gemm": 3, "fill": 2}, ("fp32", "fp16", "bf16"), sweeps.QUICK_CPU.scale)
    plain, thorough = ({c.id for c in sweeps.cases(p) if c} for p in (plan, plan.times(2)))
    assert plain < thorough
    assert len(thorough) == 2 * len(plain) == plan.times(2).total
    none = list(sweeps.cases(plan.times(2), sorted(thorough)))
    assert none == [None] * len(thorough)
