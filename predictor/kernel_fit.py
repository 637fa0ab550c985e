"""What ``calibrate`` fitted of one kernel family: how its time departs from its roofline, and how it is launched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.forest import Forest


@dataclass(frozen=True)
class KernelFit:
    """Fit of one family (and dtype): ``base x exp(residual)``.

    launches: number of a pattern, (launches per group, others) in patterns: a library runs a grouped convolution group
    by group or at once. error: cross-validated, of log time (root mean square); provenance: "measured", "fitted" (from
    published measurements) or "derived" (another GPU's); exceptions: (dtype, *dimensions in the family's order) ->
    (seconds, launches) of shapes that were measured and that the fit misses; largest: dimension -> largest value
    measured; only: dimension -> its value, of those that never varied; borrowed: the GPU that it was measured on, where
    it is another.
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
    borrowed: str = ""

    @classmethod
    def from_json(cls, data: Mapping[str, Any], provenance: str) -> KernelFit:
        """From a calibration file. provenance: of the file, where the fit has none of its own. Raises KeyError,
        TypeError or ValueError for anything else.
        """
        return cls(
            floor_s=float(data["floor_s"]),
            residual=Forest.from_json(data["residual"]),
            launches=Forest.from_json(data["launches"]),
            patterns=np.array(data["patterns"], dtype=float).reshape(-1, 2),
            error=float(data["error"]["log_rms"]),
            provenance=data.get("provenance", provenance),
            exceptions={tuple(shape): (s, launches) for *shape, s, launches in data.get("exceptions", ())},
            largest=data["largest"],
            only=data.get("only", {}),
        )

    def launch_count(self, features: NDArray[np.float64], groups: NDArray[np.float64]) -> NDArray[np.float64]:
        """Launches of kernels, (n,). features: (n, features); groups: (n,), ones where a family has none."""
        found = self.patterns[np.rint(self.launches.predict(features)).astype(int)]
        launches: NDArray[np.float64] = np.maximum(found[:, 0] * groups + found[:, 1], 1)
        return launches
