"""What ``calibrate`` fitted of one kernel family: how its time departs from its roofline, and how it is launched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.calibration.trees import Forest

WINOGRAD = " 3x3"
"""After the name of a fit: that of its factor for the convolutions of ``is_winograd``."""


def is_winograd(dims: Mapping[str, Any]) -> Any:
    """Whether convolutions are of the kind that in single precision takes fewer multiplications by Winograd's algorithm
    (Lavin and Gray, CVPR 2016): three by three, step by step.
    """
    same = [np.equal(dims[name], size) for name, size in {"r": 3, "s": 3, "stride_h": 1, "stride_w": 1}.items()]
    return np.logical_and.reduce([*same, np.equal(dims["dilation"], 1), np.equal(dims["groups"], 1)])


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
        if len(self.patterns) == 1:
            per_group, others = self.patterns[0]
        else:
            per_group, others = self.patterns[np.rint(self.launches.predict(features)).astype(int)].T
        launches: NDArray[np.float64] = np.maximum(per_group * groups + others, 1)
        return launches
