"""Kernels that runtimes make, each alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from calibrate.workloads import sweeps
from calibrate.workloads.isolated import inductor_loops, onnx_convs, onnx_nodes


@pytest.mark.parametrize("dtype", ["fp32", "fp16"])
def test_convolutions_of_onnx_runtime_are_the_sweeps_own_and_run_for_real(dtype: str) -> None:
    counts = dict.fromkeys(onnx_convs.COUNTS, 4)
    plan = replace(onnx_convs.QUICK, dtypes=(dtype,), counts=counts, scale=sweeps.Scale(elements=1e5, macs=1e6))
    taken = [case for case in onnx_convs.cases(plan) if case is not None]
    assert {case.kernel.family for case in taken} == {f"ort_{family}" for family in counts}
    assert {case.kernel.dims["bias"] for case in taken} == {0.0, 1.0}
    for case in taken:
        run, (x,) = onnx_convs.maker(case, "cpu")()
        run()
        dims = case.kernel.dims
        assert tuple(x.shape)[:2] == (dims["batch"], dims["c_in"])
    keys = [case.id for case in taken]
    assert list(onnx_convs.cases(plan, keys)) == [None] * len(keys)


def test_nodes_of_onnx_runtime_are_one_kernel_each_and_run_for_real() -> None:
    taken = [case for case in onnx_nodes.cases(len(onnx_nodes.DRAWN)) if case is not None]
    again = [case for case in onnx_nodes.cases(3) if case is not None]
    assert [(c.id, c.kernel) for c in taken[:3]] == [(c.id, c.kernel) for c in again]
    assert {case.kernel.family for case in taken} == set(onnx_nodes.FAMILIES)
    assert all(case.id.family == case.kernel.family for case in taken)
    assert {"Clip", "Transpose", "SkipLayerNormalization", "BiasSoftmax"} <= {c.op for c in taken}
    assert len({case.kernel.dims["kind"] for case in taken}) == 11  # every kind that prices tell apart
    small = [case for case in taken if case.kernel.dims["elements"] < 3e5]
    assert len(small) > 5
    for case in small:
        run, inputs = onnx_nodes.maker(case, "cpu")()
        run()
        assert all(x.is_floating_point() for x in inputs)
    keys = [case.id for case in taken]
    assert list(onnx_nodes.cases(len(keys), keys)) == [None] * len(keys)


@pytest.mark.parametrize("series", inductor_loops.DRAWN)
def test_loops_of_inductor_are_one_kernel_each(series: str) -> None:
    count = 4 * len(inductor_loops.DRAWN[series])
    taken = [case for case in inductor_loops.cases(count, series=series) if case is not None]
    assert len({case.id for case in taken}) == count
    assert {case.kernel.family for case in taken} == {"triton"}
    of_elements = series == "integers"  # passes over whole numbers
    assert {case.kernel.dims["rows"] > 0 for case in taken} == ({False} if of_elements else {True, False})
    assert {case.kernel.dims["contiguous"] for case in taken} == ({1.0} if of_elements else {0.0, 1.0})
    assert [c.kernel for c in taken[:4]] == [c.kernel for c in inductor_loops.cases(4, series=series) if c is not None]


def test_a_loop_of_inductor_compiles_and_runs_for_real() -> None:
    drawn = (case for case in inductor_loops.cases(48) if case is not None and case.kernel.dims["elements"] < 2e5)
    case = next(case for case in drawn if all(operand.warm for operand in case.recipe.operands))
    run, tensors = inductor_loops.maker(replace(case, dtype="fp32"), "cpu")()
    torch.testing.assert_close(run(), case.recipe.call(*tensors), rtol=1e-3, atol=1e-3)
