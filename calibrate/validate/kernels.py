"""How well kernel times are predicted that a fit has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibrate.fit.kernels import by_fit, unseen_seconds, work_of
from calibrate.samples.kernels import MeasuredKernel
from predictor.calibration.load import Calibration
from predictor.kernels.families import FAMILIES
from predictor.pricing.kernels import kernel_fit


@dataclass(frozen=True, slots=True)
class KernelErrors:
    """Relative errors over a group of kernels: MAPE, median and 90th percentile of a predictor.

    decade: of the work in FLOPs, None for all.
    """

    family: str
    dtype: str
    decade: int | None
    predictor: str
    kernels: int
    mape: float
    median: float
    p90: float


def judge_kernels(samples: Sequence[MeasuredKernel], calibration: Calibration, as_is: bool) -> list[KernelErrors]:
    """How well kernels are predicted, per family, dtype and decade of work.

    as_is: with the calibration's own fits, for kernels that they have not seen. Otherwise with fits made here on three
    quarters and asked about the rest, four times; a weight matrix (n, k) or a shape is in one part only. Beside them:
    roofline, whose floor is the calibration's, and constant FLOP/s, the samples' median.
    """
    judged: list[KernelErrors] = []
    for (family, _), group in by_fit(samples).items():
        base, features = work_of(group, family, calibration.device)
        seconds = np.array([s.seconds for s in group])
        flops = np.concatenate([_flops(family, s) for s in group])
        fit = kernel_fit(calibration, family, group[0].dtype, "replay")
        predictors = {
            "fit": (base + fit.floor_s) * np.exp(fit.residual.predict(features))
            if as_is
            else unseen_seconds(group, family, calibration.device),
            "roofline": base + fit.floor_s,
            "constant FLOP/s": flops / float(np.median(flops / seconds)),
        }
        decades = np.floor(np.log10(np.maximum(flops, 1))).astype(int)
        dtypes = np.array([s.dtype if FAMILIES[family].matrix else "any" for s in group])
        for dtype in np.unique(dtypes).tolist():
            for decade in (None, *np.unique(decades[dtypes == dtype]).tolist()):
                chosen = (dtypes == dtype) & (True if decade is None else decades == decade)
                for name, predicted in predictors.items():
                    errors = np.abs(predicted[chosen] / seconds[chosen] - 1)
                    figures = (float(errors.mean()), float(np.median(errors)), float(np.percentile(errors, 90)))
                    judged.append(KernelErrors(family, dtype, decade, name, int(chosen.sum()), *figures))
    return judged


def _flops(family: str, sample: MeasuredKernel) -> NDArray[np.float64]:
    row = FAMILIES[family]
    return np.ravel(row.flops(row.complete(sample.dims)))
