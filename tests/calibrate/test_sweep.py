"""What is measured: seeded cases of every family, generated modules, examples of operators."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

import models_zoo
from calibrate.measure import sweep
from calibrate.measure.operators import example_kernels, examples
from calibrate.measure.shapes import prepare_shapes, run_shapes, shape_samples
from calibrate.measure.shapes import total as shape_cases
from calibrate.samples.store import SampleFile
from calibrate.workloads import architectures, inductor_loops, onnx_convs, onnx_nodes
from calibrate.workloads.modules import generate
from calibrate.workloads.recipes import RECIPES
from predictor.capture.recorder import capture
from predictor.kernels.families import FAMILIES, MeasuredIn
from predictor.runtimes.eager import lowering as eager


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
    assert len({case.kernel.family for case in taken[: len(taken) // 4]}) == len(RECIPES)


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


@pytest.mark.parametrize("seed", range(len(architectures.FAMILIES)), ids=architectures.FAMILIES)
def test_a_library_model_runs_is_modelled_and_is_no_model_of_the_zoo(seed: int) -> None:
    module, inputs = architectures.generate(seed, (128,))
    with torch.inference_mode():
        module(**inputs)
    with torch.device("meta"):
        abstract, again = architectures.generate(seed, (128,))
    program, real = eager.lower(capture(abstract, again)), eager.lower(capture(module, inputs))
    assert program.unmodelled == {}
    assert [(call.op, call.kernels) for call in program.calls] == [(call.op, call.kernels) for call in real.calls]
    assert type(module).__module__ not in zoo_modules()


@pytest.mark.parametrize("seed", range(len(architectures.DEEP)), ids=architectures.DEEP)
def test_a_deep_model_is_modelled_and_is_many_layers_of_one_kind(seed: int) -> None:
    with torch.device("meta"):
        module, inputs = architectures.deep(seed, (128, 256))
    program = eager.lower(capture(module, inputs))
    assert program.unmodelled == {}
    kernels = [kernel for call in program.calls for kernel in call.kernels]
    distinct = {(k.family, tuple(k.dims.items())) for k in kernels}
    assert len(distinct) < 30 < 150 < len(kernels)


@cache
def zoo_modules() -> set[str]:
    """Modules of the library that the zoo's models are from."""
    with torch.device("meta"):
        return {type(models_zoo.build(name, 1)[0]).__module__ for name in models_zoo.names()}


def test_examples_of_operators_run_for_real() -> None:
    table = examples(torch.float32, "cpu", large=False)
    with torch.inference_mode():
        for call in table.values():
            call()
    assert {"nothing", "linear", "conv2d", "layer_norm", "view", "host"} <= set(table)


def test_examples_on_matrix_units_have_their_kernels() -> None:
    kernels = example_kernels()
    assert {"linear", "bmm", "matmul", "einsum", "conv2d grouped", "conv1d depthwise"} <= set(kernels)
    assert {family for of in kernels.values() for family in (of["fp16"].family,)} == {
        name for name, row in FAMILIES.items() if row.matrix and row.measured_in is MeasuredIn.CALLS
    }
    dims = kernels["linear"]["fp16"].dims
    assert [dims[d] for d in ("m", "n", "k", "bias")] == [128, 768, 768, 1]
    assert kernels["conv2d"]["fp32"].dtype == "tf32"


def test_host_costs_of_shapes_are_taken_once_and_scaled_to_a_host(tmp_path: Path) -> None:
    """Real calls on the CPU, of two families; a second run measures nothing."""
    file = SampleFile(tmp_path / "host.jsonl")
    heard: list[int] = []
    run_shapes(prepare_shapes(file, "cpu", 1), file, "cpu", heard.append)
    assert sum(heard) == shape_cases(1) == len(file.values())
    assert {s["family"] for s in file.values()} == {
        family for family, row in FAMILIES.items() if row.matrix and row.measured_in is MeasuredIn.CALLS
    }
    before = file.path.read_bytes()
    run_shapes(prepare_shapes(file, "cpu", 1), file, "cpu", heard.append)
    assert file.path.read_bytes() == before
    raw = {s["key"]: s for s in file.values()}
    for sample in shape_samples(file, reference_s=1.0):
        recorded = raw[sample["key"]]
        assert sample["seconds"] == pytest.approx(recorded["seconds"] / np.mean(recorded["probe_s"]))
        assert 1e-6 < recorded["seconds"] < 10


def test_the_precision_of_matrix_units_follows_the_dtype() -> None:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        sweep.set_precision("tf32")
        assert torch.backends.cuda.matmul.allow_tf32
        sweep.set_precision("fp32")
        assert not torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def test_a_thorough_plan_adds_to_the_cases_of_the_plain_one() -> None:
    plan = sweep.Plan({"gemm": 3, "fill": 2}, ("fp32", "fp16", "bf16"), sweep.QUICK_CPU.scale)
    plain, thorough = ({c.key for c in sweep.cases(p) if c} for p in (plan, plan.times(2)))
    assert plain < thorough
    assert len(thorough) == 2 * len(plain) == plan.times(2).total
    none = list(sweep.cases(plan.times(2), sorted(thorough)))
    assert none == [None] * len(thorough)


@pytest.mark.parametrize("dtype", ["fp32", "fp16"])
def test_convolutions_of_onnx_runtime_are_the_sweeps_own_and_run_for_real(dtype: str) -> None:
    counts = dict.fromkeys(onnx_convs.COUNTS, 4)
    plan = replace(onnx_convs.QUICK, dtypes=(dtype,), counts=counts, scale=sweep.Scale(elements=1e5, macs=1e6))
    taken = [case for case in onnx_convs.cases(plan) if case is not None]
    assert {case.kernel.family for case in taken} == {f"ort_{family}" for family in counts}
    assert {case.kernel.dims["bias"] for case in taken} == {0.0, 1.0}
    for case in taken:
        run, (x,) = onnx_convs.maker(case, "cpu")()
        run()
        dims = case.kernel.dims
        assert tuple(x.shape)[:2] == (dims["batch"], dims["c_in"])
    keys = [case.key for case in taken]
    assert list(onnx_convs.cases(plan, keys)) == [None] * len(keys)


def test_nodes_of_onnx_runtime_are_one_kernel_each_and_run_for_real() -> None:
    taken = [case for case in onnx_nodes.cases(len(onnx_nodes.DRAWN)) if case is not None]
    again = [case for case in onnx_nodes.cases(3) if case is not None]
    assert [(c.key, c.kernel) for c in taken[:3]] == [(c.key, c.kernel) for c in again]
    assert {case.kernel.family for case in taken} == {"ort"}
    assert {"Clip", "MaxPool", "Transpose", "SkipLayerNormalization", "BiasSoftmax", "Gather"} <= {c.op for c in taken}
    assert len({case.kernel.dims["kind"] for case in taken}) == 11  # every kind that prices tell apart
    small = [case for case in taken if case.kernel.dims["elements"] < 3e5]
    assert len(small) > 5
    for case in small:
        run, inputs = onnx_nodes.maker(case, "cpu")()
        run()
        assert all(x.is_floating_point() for x in inputs)
    keys = [case.key for case in taken]
    assert list(onnx_nodes.cases(len(keys), keys)) == [None] * len(keys)


def test_loops_of_inductor_are_one_kernel_each() -> None:
    count = 4 * len(inductor_loops.DRAWN)
    taken = [case for case in inductor_loops.cases(count) if case is not None]
    assert len({case.key for case in taken}) == count
    assert {case.kernel.family for case in taken} == {"triton"}
    assert {case.kernel.dims["rows"] > 0 for case in taken} == {True, False}
    assert {case.kernel.dims["contiguous"] for case in taken} == {0.0, 1.0}
    assert [c.kernel for c in taken[:4]] == [c.kernel for c in inductor_loops.cases(4) if c is not None]


def test_a_loop_of_inductor_compiles_and_runs_for_real() -> None:
    drawn = (case for case in inductor_loops.cases(48) if case is not None and case.kernel.dims["elements"] < 2e5)
    case = next(case for case in drawn if all(operand.warm for operand in case.recipe.operands))
    run, tensors = inductor_loops.maker(replace(case, dtype="fp32"), "cpu")()
    torch.testing.assert_close(run(), case.recipe.call(*tensors), rtol=1e-3, atol=1e-3)
