"""How much wider intervals are than the errors of the fits say, as models show that no fit had seen.

``calibrations/intervals.json`` holds it, made by ``benchmarks/conformal_intervals.py``. See Vovk, Gammerman and Shafer,
Algorithmic Learning in a Random World, 2005, chapter 4: the scores are errors of log latency over their predicted
standard deviation, the quantile is that of the scores with the finite-sample correction.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from predictor.calibration.files import SHIPPED, read_bytes
from predictor.calibration.schema import Provenance
from predictor.errors import PredictorError

FILE = SHIPPED / "intervals.json"

Lane = Literal["host", "device"]
"""Which lane decides on a latency."""


class IntervalScale(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of the predictions of a provenance and a runtime where a lane decides. cases, families: of models that were held
    against measurements; scale: of the standard deviation of log latency; source: which measurements.
    """

    provenance: Provenance
    runtime: str
    lane: Lane
    cases: Annotated[int, Meta(ge=1)]
    families: Annotated[int, Meta(ge=1)]
    scale: Annotated[float, Meta(gt=0, le=100)]
    source: str


class IntervalScales(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file."""

    scales: list[IntervalScale]


@cache
def known_scales() -> dict[tuple[str, str, str], float]:
    """(Provenance, runtime, lane) -> scale; none where the file is missing. Raises PredictorError for a damaged one."""
    if not FILE.exists():
        return {}
    try:
        scales = msgspec.json.decode(read_bytes(FILE), type=IntervalScales).scales
    except msgspec.MsgspecError as error:
        raise PredictorError(f"{FILE}: {error}") from None
    return {(s.provenance, s.runtime, s.lane): s.scale for s in scales}


def interval_scale(provenances: tuple[str, str], runtime: str, lane: Lane) -> float:
    """The scale of a prediction: of its lane, else of the other one, 1 where none is known. provenances: of the
    device's and of the host's figures, of which the weaker counts.
    """
    weaker = next((p for p in ("derived", "fitted") if p in provenances), "measured")
    other = "device" if lane == "host" else "host"
    scales = known_scales()
    return scales.get((weaker, runtime, lane), scales.get((weaker, runtime, other), 1.0))
