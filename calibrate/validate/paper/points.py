"""A figure's points: what is predicted and what was observed of each case, as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from calibrate.validate.paper.description import Figure, Line, Panel
from calibrate.validate.paper.observations import Observations
from calibrate.validate.paper.predictions import Predictions
from calibrate.workloads.cases import Case
from predictor.errors import PredictorError
from predictor.records import Report

COLUMNS = (
    *("panel", "line", "gpu", "model", "runtime", "dtype", "batch", "length", "lengths", "x", "y"),
    *("predicted_ms", "low_ms", "high_ms", "host_ms", "kernel_ms", "busy_share", "sms_active", "bound"),
    *("macs", "launches", "measured_ms", "published_ms", "left_out"),
)
"""Of a figure's table. x, y: as drawn; low_ms, high_ms: the 90 % interval; left_out: why there is no prediction."""


@dataclass(frozen=True, slots=True)
class Point:
    """A case of a line. report: None where it cannot be predicted, for the reason in left_out; seconds observed: None
    where there are none.
    """

    panel: Panel
    line: Line
    gpu: str
    case: Case
    report: Report | None
    left_out: str
    measured_s: float | None
    published_s: float | None

    @property
    def x(self) -> float:
        """Its place."""
        return float(self.panel.x.of(self.case))

    @property
    def y(self) -> float | None:
        """What is drawn, None without a prediction."""
        return float(self.line.y.of(self.report)) if self.report else None


def cases_of(figure: Figure, gpu: str) -> Iterator[tuple[str, Case]]:
    """(GPU, case) of all that a figure shows."""
    for panel in figure.panels:
        for line in panel.lines:
            yield from ((line.gpu or gpu, case) for case in line.cases)


def points_of(figure: Figure, predictions: Predictions, observations: Observations) -> list[Point]:
    """The points of a figure, in the order of its panels and lines."""
    predictions.prepare(cases_of(figure, predictions.gpu))
    return [
        _point(panel, line, case, predictions, observations)
        for panel in figure.panels
        for line in panel.lines
        for case in line.cases
    ]


def _point(panel: Panel, line: Line, case: Case, predictions: Predictions, observations: Observations) -> Point:
    gpu = line.gpu or predictions.gpu
    report, left_out = None, ""
    try:
        report = predictions.report(case, gpu)
    except PredictorError as error:
        left_out = str(error)
    observed = observations.measured.get((gpu, case)), observations.published.get((gpu, case))
    return Point(panel, line, gpu, case, report, left_out, *observed)


def left_out(points: Sequence[Point]) -> list[str]:
    """What a figure lacks, a line for each model, runtime and reason."""
    lacking: dict[tuple[str, str, str], list[int]] = {}
    for point in points:
        if point.left_out:
            lacking.setdefault((point.case.model, point.case.runtime, point.left_out), []).append(point.case.batch)
    return [f"{model}, {runtime}: {reason}" for model, runtime, reason in lacking]


def table(points: Sequence[Point]) -> str:
    """The points as CSV with ``COLUMNS``."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for point in points:
        writer.writerow(_row(point))
    return text.getvalue()


def _row(point: Point) -> dict[str, object]:
    case, report = point.case, point.report
    row: dict[str, object] = {
        **{"panel": point.panel.title, "line": point.line.label, "gpu": point.gpu},
        **{name: getattr(case, name) for name in ("model", "runtime", "dtype", "batch", "length", "lengths")},
        **{"measured_ms": _ms(point.measured_s), "published_ms": _ms(point.published_s), "left_out": point.left_out},
        "x": f"{point.x:.6g}",
    }
    if report:
        low, high = report.interval_s
        row |= {
            **{"y": f"{point.y:.6g}", "predicted_ms": _ms(report.latency_s)},
            **{"low_ms": _ms(low), "high_ms": _ms(high)},
            **{"host_ms": _ms(report.host_s), "kernel_ms": _ms(report.kernel_s)},
            **{"busy_share": f"{report.busy_share:.3f}", "sms_active": f"{report.breakdown.sms_active:.3f}"},
            **{"bound": report.bound, "macs": report.macs, "launches": report.launches},
            "length": report.length,
        }
    return row


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e3:.4g}"
