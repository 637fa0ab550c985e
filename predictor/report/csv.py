"""Comma-separated values with a header, times in seconds: a line for each prediction."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from predictor.advice.records import Advice
from predictor.errors import PredictorError
from predictor.records import Compared, Report
from predictor.report.json import row_of

FIELDS = (
    *("model", "runtime", "gpu", "dtype", "batch", "length", "latency_s", "low_s", "high_s", "host_s", "kernel_s"),
    *("bound", "busy_share", "sms_active", "samples_per_s", "macs", "launches", "verdict", "cannot"),
)
"""Columns. low_s, high_s: the 90 % interval; cannot: why a runtime cannot run the model."""


def render(report: Report) -> str:
    """The report as one line."""
    return render_sweep([report])


def render_sweep(reports: Sequence[Report]) -> str:
    """A line for each size."""
    return _table(FIELDS, map(_row, reports))


def render_comparison(rows: Sequence[Compared]) -> str:
    """A line for each runtime."""
    cannot = ({"runtime": row.runtime, "cannot": row.reason} for row in rows if row.report is None)
    return _table(FIELDS, [*(_row(row.report) for row in rows if row.report), *cannot])


def render_breakdown(report: Report, view: str, depth: int | None, top: int | None) -> str:
    """A line for each part."""
    rows = [row_of(part) for part in report.breakdown.by(view, depth, top)]
    return _table(tuple(rows[0]), rows)


def render_advice(advice: Advice) -> str:
    """Raises PredictorError: advice is no table."""
    raise PredictorError("--advise is no table: as text, or --json")


def _row(report: Report) -> dict[str, Any]:
    low, high = report.interval_s
    computed = {"low_s": low, "high_s": high, "sms_active": report.breakdown.sms_active, "cannot": ""}
    return {name: computed[name] if name in computed else getattr(report, name) for name in FIELDS}


def _table(fields: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")
