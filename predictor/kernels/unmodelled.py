"""What stands for the kernels of operators that nobody modelled: their traffic over the bandwidth, and a floor.

No calibration measures it, so its price has the floor and the efficiency that are typical of pointwise kernels.
"""

from __future__ import annotations

from predictor.kernels.family import Array, Dims, Family, MeasuredIn, log
from predictor.kernels.streams import SIZES, STREAM, elements, streamed

UNMODELLED = "unmodelled"
"""Name of the family."""


def _features(d: Dims, size: int, sms: int) -> list[Array]:
    return [log(d["elements"])]


ROWS = (
    Family(
        name=UNMODELLED,
        dims=STREAM,
        flops=elements,
        nbytes=streamed,
        features=_features,
        sizes=SIZES,
        profiler_names=r"(?!)",
        measured_in=MeasuredIn.NOWHERE,
        factor_group="other",
    ),
)
