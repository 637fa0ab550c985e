"""Convolutions whose channels a library may run one after another, by a choice that no shape tells."""

from __future__ import annotations

import numpy as np
import pytest

from calibrate.fit.kernels import fit_family
from calibrate.samples.kernels import MeasuredKernel
from predictor.calibration.load import load_calibration
from predictor.kernels.convolutions import LONG

DIRECT_S, BY_CHANNEL_S = 2e-5, 1.2e-3


def sample(length: int, by_channel: bool) -> MeasuredKernel:
    sizes = {"batch": 2, "c_in": 64, "c_out": 64, "h": 1, "w": length, "r": 1, "s": 31, "pad_w": 15, "groups": 64}
    seconds, launches = (BY_CHANNEL_S, 65) if by_channel else (DIRECT_S, 2)
    return MeasuredKernel(LONG, "fp16", {name: float(size) for name, size in sizes.items()}, seconds, launches)


def test_what_runs_by_groups_is_no_part_of_the_fit_but_of_its_error_and_exceptions() -> None:
    lengths = np.arange(100, 220)
    fit = fit_family([sample(int(n), n % 3 == 0) for n in lengths], LONG, load_calibration("h100").device)
    assert fit.patterns == [(0, 2)]
    assert {round(shape.seconds, 6) for shape in fit.exceptions} == {BY_CHANNEL_S}
    assert len(fit.exceptions) == sum(lengths % 3 == 0)
    assert fit.error.log_rms == pytest.approx(np.sqrt(np.log(60) ** 2 / 3), rel=0.1)
