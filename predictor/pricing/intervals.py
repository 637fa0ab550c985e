"""How far a prediction may be off: errors of the fits, joined into the interval of a latency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.calibration.host_costs import HostCosts
from predictor.calibration.load import TRANSFERS_ALIKE, Calibration
from predictor.pricing.correction import Correction
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
        return math.hypot(calibration.kernels_error, calibration.transfer_error)
    return kernel_fit(calibration, "gemm", "fp16" if "fp16" in calibration.dtypes else "fp32").error


def device_errors(
    groups: Sequence[KernelGroup], group_s: NDArray[np.float64], calibration: Calibration
) -> tuple[float, float]:
    """(Error of the kernel time of a pass that is the single model's, the part that all models on this device share),
    standard deviations of its logarithm. groups: of kernels, group_s: their seconds, (groups,).

    Errors of fits are taken as fully correlated within a family, as independent between families. A transfer from
    another GPU is off for a pass as a whole.
    """
    transfer = calibration.transfer_error
    if calibration.kernels_error is not None:
        of_fits, transferred = calibration.kernels_error, 1.0
    else:
        kernel_s = max(float(group_s.sum()), 1e-12)
        shares: dict[Any, float] = {}
        for group, seconds in zip(groups, group_s.tolist(), strict=True):
            key = group.family, group.dtype
            shares[key] = shares.get(key, 0.0) + seconds / kernel_s
        fits = {key: kernel_fit(calibration, *key) for key in shares}
        of_transfer = {key: transfer if fit.reference_gpu else 0.0 for key, fit in fits.items()}
        of_fits = math.sqrt(
            sum(share**2 * max(fits[key].error ** 2 - of_transfer[key] ** 2, 0.0) for key, share in shares.items())
        )
        transferred = sum(share for key, share in shares.items() if of_transfer[key])
    alike = transfer * TRANSFERS_ALIKE * transferred
    own = transfer * math.sqrt(1 - TRANSFERS_ALIKE**2) * transferred
    return math.hypot(of_fits, own), alike


def log_error(
    groups: Sequence[KernelGroup],
    group_s: NDArray[np.float64],
    extrapolated_s: float,
    unmodelled_s: float,
    timeline: Timeline,
    calibration: Calibration,
    host: HostCosts,
    correction: Correction | None = None,
) -> float:
    """Standard deviation of the logarithm of a latency: the host's fit, and the families' by their share of kernel
    time; with a correction what is left of what all models share, and the single model's.

    groups: of kernels, group_s: their seconds, (groups,); extrapolated_s: of the kernels outside of the calibrated
    range; unmodelled_s: of those of operators that nobody modelled. The two lanes count by how much of the latency each
    explains; kernels outside the calibrated range add their own error. What nobody modelled counts in full, also behind
    a slower host: it may take so much longer that it comes out.
    """
    kernel_s = max(timeline.kernel_s, 1e-12)
    own, alike = device_errors(groups, group_s, calibration)
    of_host = host.error if correction is None else host.model_error
    on_device = math.hypot(own, 0.0 if correction else alike, extrapolated_s / kernel_s * EXTRAPOLATION_ERROR)
    on_host = timeline.host_weight
    of_factors = correction.log_sd(host.runtime, on_host, 1 - on_host) if correction else 0.0
    of_unmodelled = unmodelled_s / kernel_s * UNMODELLED_ERROR
    return math.hypot(on_host * of_host, (1 - on_host) * on_device, of_unmodelled, of_factors)
