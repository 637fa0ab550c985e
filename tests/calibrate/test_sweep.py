"""What is measured: seeded cases of every family, generated modules, examples of operators."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from calibrate import sweep
from calibrate.host import examples
from calibrate.modules import generate
from calibrate.recipes import RECIPES
from predictor.capture import capture
from predictor.families import FAMILIES
from predictor.runtimes import eager


@pytest.mark.parametrize("family", RECIPES)
def test_a_case_is_one_kernel_of_its_family_and_the_same_on_every_run(family: str) -> None:
    dtype = "fp32" if FAMILIES[family].matrix else "any"
    for index in range(4):
        first, second = (sweep.make_case(family, dtype, index, sweep.QUICK_CPU.scale) for _ in range(2))
        assert first.kernel.family == family
        assert (first.key, first.kernel, first.op) == (second.key, second.kernel, second.op)


@pytest.mark.parametrize("family", RECIPES)
def test_a_case_runs_for_real(family: str) -> None:
    dtype = "fp32" if FAMILIES[family].matrix else "any"
    case = sweep.make_case(family, dtype, 0, sweep.Scale(elements=1e5, macs=1e7))
    operands = [operand.make(torch.float32, "cpu") for operand in case.recipe.operands]
    with torch.inference_mode():
        found = case.recipe.call(*operands)
    assert isinstance(found, (torch.Tensor, tuple))


def test_a_plan_is_taken_whole_and_interleaved() -> None:
    taken = list(sweep.cases(sweep.QUICK_CPU))
    assert len(taken) == sweep.QUICK_CPU.total
    assert len({case.key for case in taken}) == len(taken)
    assert Counter(case.kernel.family for case in taken) == Counter(sweep.QUICK_CPU.counts)
    assert len({case.kernel.family for case in taken[: len(taken) // 4]}) == len(FAMILIES)


@pytest.mark.parametrize("seed", range(8))
def test_a_generated_module_runs_is_modelled_and_is_the_same_on_every_run(seed: int) -> None:
    module, x = generate(seed)
    with torch.inference_mode():
        first = module(x)
    again, same = generate(seed)
    with torch.inference_mode():
        assert torch.equal(again(same), first)
    program = eager.lower(capture(module, x))
    assert program.unmodelled == {}
    assert any(call.kernels for call in program.calls)


def test_generated_modules_differ() -> None:
    assert len({str(generate(seed)[0]) for seed in range(12)}) > 9


def test_examples_of_operators_run_for_real() -> None:
    table = examples(torch.float32, "cpu")
    with torch.inference_mode():
        for call in table.values():
            call()
    assert {"nothing", "linear", "conv2d", "layer_norm", "view", "host"} <= set(table)


def test_the_precision_of_matrix_units_follows_the_dtype() -> None:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        sweep.set_precision("tf32")
        assert torch.backends.cuda.matmul.allow_tf32
        sweep.set_precision("fp32")
        assert not torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
