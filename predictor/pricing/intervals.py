"""How far a prediction may be off: errors of the fits, joined into the interval of a latency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.calibration.host_costs import HostCosts
from predictor.calibration.load import Calibration
from predictor.pricing.kernels import kernel_fit
from predictor.records import KernelGroup, Timeline

NINETY = 1.645
"""Standard deviations that hold 90 % of a normal distribution."""

EXTRAPOLATION_ERROR = 0.5
"""Error of log time that a kernel outside of its calibrated range adds. A judgement, not measured."""

UNMODELLED_ERROR = 1.0
"""Error of log time that kernels of operators add that nobody modelled, by their share of the kernel time. A judgement:
for those that stream, their traffic is right within a factor of 2; for those that compute, it is a lower bound.
"""


def interval(latency_s: float, log_sd: float) -> tuple[float, float]:
    """5th and 95th percentile of a log-normal latency: its median and the standard deviation of its logarithm."""
    return latency_s * math.exp(-NINETY * log_sd), latency_s * math.exp(NINETY * log_sd)


def typical_error(calibration: Calibration) -> float:
    """Error of kernel times, standard deviation of their logarithm: of a pass, or where that is not known of a
    half-precision product, or of what there is.
    """
    if calibration.kernels_error is not None:
        return calibration.kernels_error
    return kernel_fit(calibration, "gemm", "fp16" if "fp16" in calibration.dtypes else "fp32").error


def log_error(
    groups: Sequence[KernelGroup],
    group_s: NDArray[np.float64],
    extrapolated_s: float,
    unmodelled_s: float,
    timeline: Timeline,
    calibration: Calibration,
    host: HostCosts,
) -> float:
    """Standard deviation of the logarithm of a latency: the host's fit, and the families' by their share of kernel
    time.

    groups: of kernels, group_s: their seconds, (groups,); extrapolated_s: of the kernels outside of the calibrated
    range; unmodelled_s: of those of operators that nobody modelled. The two lanes count by how much of the latency each
    explains. Errors within a family are taken as fully correlated, between families as independent; kernels outside
    the calibrated range add their own. What nobody modelled counts in full, also behind a slower host: it may take so
    much longer that it comes out.
    """
    kernel_s = max(timeline.kernel_s, 1e-12)
    if calibration.kernels_error is not None:
        of_fits = calibration.kernels_error**2
    else:
        shares: dict[Any, float] = {}
        for group, seconds in zip(groups, group_s.tolist(), strict=True):
            key = group.family, group.dtype
            shares[key] = shares.get(key, 0.0) + seconds
        of_fits = sum((s / kernel_s * kernel_fit(calibration, *key).error) ** 2 for key, s in shares.items())
    on_device = math.sqrt(of_fits + (extrapolated_s / kernel_s * EXTRAPOLATION_ERROR) ** 2)
    on_host = timeline.host_weight
    of_unmodelled = unmodelled_s / kernel_s * UNMODELLED_ERROR
    return math.sqrt((on_host * host.error) ** 2 + ((1 - on_host) * on_device) ** 2 + of_unmodelled**2)
