"""Kernel times are judged on kernels that no fit has seen."""

from __future__ import annotations

import numpy as np
import pytest

from calibrate.samples.kernels import MeasuredKernel, read_kernels
from calibrate.validate.kernels import judge_kernels as judge
from predictor.calibration.load import Calibration, load_calibration
from tests.calibrate.builders import SHARED


def test_no_weight_matrix_is_on_both_sides_of_a_split(h200: Calibration) -> None:
    """Times that follow from (n, k) alone, at random: who has seen a pair knows them, who has not cannot."""
    rng = np.random.default_rng(0)
    samples = []
    for _ in range(60):
        n, k, seconds = int(rng.integers(64, 4096)), int(rng.integers(64, 4096)), float(np.exp(rng.normal(-10, 1)))
        samples += [MeasuredKernel("gemm", "bf16", {"m": m, "n": n, "k": k}, seconds) for m in (1, 2, 3, 4, 5, 6, 7, 8)]
    found = {j.predictor: j for j in judge(samples, h200, as_is=False) if j.decade is None}
    assert found["fit"].mape > 0.5


@pytest.mark.skipif(not SHARED.is_dir(), reason="the published measurements are not here")
def test_attention_on_shapes_unseen_is_predicted_to_a_few_percent() -> None:
    for gpu in ("h100", "a100"):
        samples = read_kernels(SHARED / "attention_bf16.csv.gz", gpu)
        found = {j.predictor: j for j in judge(samples, load_calibration(gpu), as_is=False) if j.decade is None}
        assert found["fit"].mape < 0.08
        assert found["fit"].mape < found["roofline"].mape / 4
