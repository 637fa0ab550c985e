"""The error of a fit."""

from __future__ import annotations

import numpy as np
import pytest

from calibrate.fit.errors import log_sd


def test_an_error_is_the_width_that_holds_nine_tenths() -> None:
    ratios = np.random.default_rng(0).normal(0, 0.2, 20_000)
    assert log_sd(ratios) == pytest.approx(0.2, rel=0.03)
