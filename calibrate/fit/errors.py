"""How far fits are off on what they have not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from predictor.calibration.schema import HostError
from predictor.pricing.intervals import NINETY

Array = NDArray[np.float64]


def log_sd(ratios: Sequence[float] | Array) -> float:
    """Standard deviation of the normal distribution that has as many within its 90 % interval as some log ratios."""
    return float(np.quantile(np.abs(ratios), 0.9) / NINETY)


def error_of(ratios: Sequence[float] | Array) -> HostError:
    """Error of a host fit from log ratios of predicted and measured modules: the standard deviation of the normal
    distribution that has as many within its 90 % interval, root mean square, mean, median.
    """
    return HostError(
        modules=len(ratios),
        log_sd=log_sd(ratios),
        log_rms=float(np.sqrt(np.mean(np.square(ratios)))),
        mape=float(np.mean(np.abs(np.expm1(ratios)))),
        median=float(np.median(np.abs(np.expm1(ratios)))),
    )
