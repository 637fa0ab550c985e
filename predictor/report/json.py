"""JSON, times in seconds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from predictor.records import Compared, Report
from predictor.report._comparison import eager_latency_s, fastest

FIELDS = (
    *(
        "model",
        "runtime",
        "gpu",
        "dtype",
        "dtype_origin",
        "batch",
        "estimator",
        "latency_s",
        "host_s",
        "kernel_s",
        "max_s",
    ),
    *("bound", "critical_host"),
    *("interval_s", "macs", "launches", "operators", "unmodelled", "unmodelled_share", "extrapolated", "calibration"),
    *("host", "software", "attention"),
    "notes",
)
"""Fields of a report."""


def render(report: Report) -> str:
    """The report as one JSON object."""
    data: dict[str, Any] = {name: getattr(report, name) for name in FIELDS}
    data["costliest"] = [
        {"op": c.op, "count": c.count, "host_s": c.host_s, "kernel_s": c.kernel_s} for c in report.costliest
    ]
    data["correction"] = asdict(report.correction) if report.correction else None
    data["on_cpu"] = [asdict(row) for row in report.on_cpu]
    return json.dumps(data, indent=1)


def render_comparison(rows: Sequence[Compared]) -> str:
    """A model under several runtimes as one JSON object."""
    eager_s = eager_latency_s(rows)
    runtimes: list[dict[str, Any]] = []
    for row in rows:
        if row.report is None:
            runtimes.append({"runtime": row.runtime, "cannot": row.reason})
            continue
        data = {name: getattr(row.report, name) for name in FIELDS}
        data["correction"] = asdict(row.report.correction) if row.report.correction else None
        runtimes.append({**data, "speedup_over_eager": eager_s / row.report.latency_s if eager_s else None})
    return json.dumps({"best": fastest(rows), "runtimes": runtimes}, indent=1)
