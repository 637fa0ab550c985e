"""Profiled kernels find the predicted ones that they are."""

from __future__ import annotations

import re

import pytest

from calibrate.fit.alignment import align, by_family
from predictor.kernels.families import FAMILIES

GEMM, ADD, NORM = (
    "nvjet_sm90_hsh_64x64",
    "vectorized_elementwise_kernel<4, CUDAFunctor_add",
    "vectorized_layer_norm_kernel",
)


def test_kernels_in_order_are_matched_one_to_one() -> None:
    runs = align(["gemm", "pointwise", "layer_norm"], [1, 1, 1], [5e-6, 1e-6, 3e-6], [GEMM, ADD, NORM], [5e-6] * 3)
    assert runs == [(0, 1), (1, 2), (2, 3)]


def test_a_product_takes_the_helpers_around_it() -> None:
    names = [ADD, "Memset", "scal_kernel", "sgemm_largek", "splitKreduce_kernel", NORM]
    parts = by_family(
        ["pointwise", "gemm", "layer_norm"], [1, 1, 1], [1e-6, 2e-5, 3e-6], names, [1e-6, 1e-6, 1e-6, 2e-5, 2e-6, 3e-6]
    )
    found = {p.family: (p.measured_launches, p.predicted_launches, round(p.measured_s * 1e6)) for p in parts}
    assert found == {"pointwise": (1, 1, 1), "gemm": (4, 1, 24), "layer_norm": (1, 1, 3)}


def test_a_convolution_may_be_many_kernels() -> None:
    names = [ADD, *["cudnn::nchwToNhwcKernel", "sm90_xmma_fprop_implicit_gemm", "DSE::vector_fft"] * 20, ADD]
    runs = align(["pointwise", "conv_grouped", "pointwise"], [1, 50, 1], [1e-6, 1e-3, 1e-6], names, [1e-6] * 62)
    assert runs == [(0, 1), (1, 61), (61, 62)]


def test_a_kernel_that_nobody_predicted_goes_to_a_neighbour() -> None:
    runs = align(["gemm", "layer_norm"], [1, 1], [5e-6, 3e-6], [GEMM, "reduce_kernel<512>", NORM], [5e-6, 2e-6, 3e-6])
    assert [end - first for first, end in runs] in ([2, 1], [1, 2])


def test_a_predicted_kernel_may_have_none() -> None:
    assert align(["gemm", "scan", "layer_norm"], [1, 1, 1], [5e-6] * 3, [GEMM, NORM], [5e-6] * 2) == [
        *((0, 1), (1, 1), (1, 2))
    ]


def test_where_nothing_ran_every_predicted_kernel_has_none() -> None:
    assert align(["gemm", "conv"], [1, 1], [5e-6] * 2, [], []) == [(0, 0)] * 2


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_says_what_a_profiler_calls_its_kernels(family: str) -> None:
    assert not re.fullmatch(FAMILIES[family].profiler_names, "")
    assert FAMILIES[family].most_kernels >= 1
