"""Kernels of whole models as samples of fits."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from benchmarks.kernel_residuals import Residual
from benchmarks.model_samples import SERIES, aligned, samples
from calibrate.samples.store import SampleFile
from predictor.calibration.files import SHIPPED
from predictor.calibration.load import load_calibration
from predictor.kernels.families import FAMILIES


@pytest.fixture(scope="module")
def models() -> list[list[Residual]]:
    """Twelve models of libraries in eager mode, as an H200 ran them."""
    file = SampleFile(SHIPPED / "h200" / "battery" / "drawn-as_read.jsonl.gz")
    return list(islice(aligned(file, load_calibration("h200"), ["eager"], 60), 12))


def test_each_different_kernel_is_a_sample_once(models: list[list[Residual]]) -> None:
    made = samples(models, {"gemm", "conv", "softmax", "layer_norm"})
    assert {sample.id.family for sample in made} == {"gemm", "conv", "softmax"}  # a formula prices layer norms
    assert len({(s.id.family, s.dtype, tuple(sorted(s.dims.items()))) for s in made}) == len(made) > 100
    assert {sample.id.series for sample in made} == {SERIES}
    assert all(set(sample.dims) <= set(FAMILIES[sample.id.family].dims) for sample in made)


def test_samples_are_of_what_is_predicted(models: list[list[Residual]]) -> None:
    """Of products: an alignment that slips by a kernel would show."""
    predicted = {
        (r.kernel.dtype, tuple(sorted(r.kernel.dims.items()))): r.predicted_s
        for model in models
        for r in model
        if r.kernel.family == "gemm"
    }
    made = samples(models, {"gemm"})
    errors = [s.seconds / predicted[s.dtype, tuple(sorted(s.dims.items()))] - 1 for s in made]
    assert np.median(np.abs(errors)) < 0.1
    assert np.quantile(np.abs(errors), 0.9) < 0.4


def test_models_of_other_launches_are_left_out(models: list[list[Residual]]) -> None:
    """Their kernels may be others'."""
    assert samples(models, {"gemm"})
    twice = [[replace(r, predicted_launches=2 * r.predicted_launches + 1) for r in model] for model in models]
    assert not samples(twice, {"gemm"})
