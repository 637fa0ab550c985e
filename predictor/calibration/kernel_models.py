"""What ``calibrate`` fitted of one kernel family: how its time departs from its roofline, and how it is launched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.calibration.schema import Fit, FitKey, Kernels, RuntimeCosts, Trees, columns_of
from predictor.calibration.trees import LEAF, Forest
from predictor.errors import PredictorError


@dataclass(frozen=True)
class KernelFit:
    """Fit of one family (and dtype): ``base x exp(residual)``.

    launches: trees that vote for the number of a pattern, (launches per group, others) in patterns: a library runs a
    grouped convolution group by group or at once. error: cross-validated, of log time (root mean square); provenance:
    "measured", "fitted" (from published measurements) or "derived" (another GPU's); exceptions: (dtype, *dimensions in
    the family's order) -> (seconds, launches) of shapes that were measured and that the fit misses; largest: dimension
    -> largest value measured; only: dimension -> its value, of those that never varied; reference_gpu: the GPU that it
    was measured on, where it is another.
    """

    floor_s: float
    residual: Forest
    launches: Forest
    patterns: NDArray[np.float64]
    error: float
    provenance: str
    exceptions: Mapping[tuple[Any, ...], tuple[float, float]]
    largest: Mapping[str, float]
    only: Mapping[str, float]
    reference_gpu: str = ""

    @classmethod
    def of(cls, fit: Fit) -> KernelFit:
        """From a calibration file. Raises ValueError, with the path in the fit, where its arrays are no trees of the
        family's features.
        """
        columns, last = columns_of(fit.family), len(fit.patterns) - 0.5
        return cls(
            floor_s=fit.floor_s,
            residual=_forest(fit.residual, ".residual", columns, -LEAF, LEAF),
            launches=_forest(fit.launches, ".launches", columns, -0.5, last),
            patterns=np.array(fit.patterns, dtype=float),
            error=fit.error.log_rms,
            provenance=fit.provenance,
            exceptions={(s.dtype, *s.dims): (s.seconds, s.launches) for s in fit.exceptions},
            largest=fit.largest,
            only=fit.only,
        )

    def launch_count(self, features: NDArray[np.float64], groups: NDArray[np.float64]) -> NDArray[np.float64]:
        """Launches of kernels, (n,). features: (n, features); groups: (n,), ones where a family has none."""
        if len(self.patterns) == 1:
            per_group, others = self.patterns[0]
        else:
            per_group, others = self.patterns[self.launches.vote(features)].T
        launches: NDArray[np.float64] = np.maximum(per_group * groups + others, 1)
        return launches


def _forest(trees: Trees, place: str, columns: int, low: float, high: float) -> Forest:
    try:
        return Forest.from_record(trees, columns, low, high)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def kernel_fits(kernels: Kernels, path: object) -> dict[FitKey, KernelFit]:
    """The fits of kernels.json. Raises PredictorError, which names the path in the file, where they are damaged."""
    fits = {}
    for number, fit in enumerate(kernels.fits):
        try:
            fits[FitKey(fit.family, fit.units, fit.context)] = KernelFit.of(fit)
        except ValueError as error:
            raise PredictorError(f"{path}: $.fits[{number}]{error}") from None
    return fits


def library_forests(costs: RuntimeCosts, path: object) -> dict[tuple[str, str], Forest]:
    """Family and dtype -> the host cost of a library call by its shape. Raises PredictorError, which names the path in
    the file, where it is damaged.
    """
    forests = {}
    for number, call in enumerate(costs.library_calls):
        place = f".library_calls[{number}].log_seconds"
        try:
            forests[call.family, call.dtype] = _forest(
                call.log_seconds, place, columns_of(call.family) + 1, -LEAF, LEAF
            )
        except ValueError as error:
            raise PredictorError(f"{path}: ${error}") from None
    return forests
