"""JSON, times in seconds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from predictor.advice.records import Advice
from predictor.breakdown import VIEWS, Part
from predictor.records import Compared, Report
from predictor.report._comparison import eager_latency_s, fastest
from predictor.version import VERSION

SCHEMA = 1
"""Of what is printed. A field that is added leaves it as it is; one that goes, or means something else, raises it."""

FIELDS = (
    *("model", "runtime", "gpu", "dtype", "dtype_origin", "batch", "length", "estimator"),
    *("latency_s", "host_s", "kernel_s", "max_s", "busy_share", "samples_per_s", "bound", "critical_host"),
    *("generated", "tokens_per_s"),
    *("interval_s", "macs", "launches", "operators", "module_calls", "python_calls"),
    *("host", "software", "attention"),
    *("unmodelled", "unmodelled_share", "extrapolated", "calibration", "notes", "budget_s", "verdict"),
)
"""Fields of a report."""


def head() -> dict[str, Any]:
    """What every answer begins with: the version of its format, and of the program."""
    return {"schema": SCHEMA, "version": VERSION}


def facts(report: Report) -> dict[str, Any]:
    """The fields of a report, without its breakdown."""
    data = {name: getattr(report, name) for name in FIELDS}
    data["sms_active"] = report.breakdown.sms_active
    data["costliest"] = [
        {"op": c.op, "count": c.count, "host_s": c.host_s, "kernel_s": c.kernel_s} for c in report.costliest
    ]
    data["correction"] = asdict(report.correction) if report.correction else None
    data["on_cpu"] = [asdict(row) for row in report.on_cpu]
    return data


def render(report: Report) -> str:
    """The report as one JSON object, with all that it can be broken down by."""
    views = {view: report.breakdown.by(view) for view in VIEWS}
    return _dump({**head(), **facts(report)}, views)


def render_breakdown(report: Report, view: str, depth: int | None, top: int | None) -> str:
    """The report with one breakdown."""
    return _dump({**head(), **facts(report)}, {view: report.breakdown.by(view, depth, top)})


def render_sweep(reports: Sequence[Report]) -> str:
    """Reports of a model at many sizes, without their breakdowns, as one JSON object."""
    return json.dumps({**head(), "reports": [facts(report) for report in reports]}, indent=1)


def render_comparison(rows: Sequence[Compared]) -> str:
    """A model under several runtimes as one JSON object."""
    eager_s = eager_latency_s(rows)
    runtimes: list[dict[str, Any]] = []
    for row in rows:
        if row.report is None:
            runtimes.append({"runtime": row.runtime, "cannot": row.reason})
            continue
        data = facts(row.report)
        runtimes.append({**data, "speedup_over_eager": eager_s / row.report.latency_s if eager_s else None})
    return json.dumps({**head(), "best": fastest(rows), "runtimes": runtimes}, indent=1)


def render_advice(advice: Advice) -> str:
    """The report with the advice."""
    return json.dumps({**head(), **facts(advice.report), "advice": advice.to_dict()}, indent=1)


def row_of(part: Part) -> dict[str, Any]:
    """A row of a breakdown."""
    cost = {**asdict(part.cost), "flops_per_s": part.cost.flops_per_s}
    return {"name": part.name, "depth": part.depth, "share": part.share, **cost}


def _dump(data: Mapping[str, Any], views: Mapping[str, Iterable[Part]]) -> str:
    """JSON in which a row of a breakdown is a line."""
    tables = []
    for view, parts in views.items():
        rows = ",\n".join(f"   {json.dumps(row_of(part))}" for part in parts)
        tables.append(f"  {json.dumps(view)}: [\n{rows}\n  ]")
    breakdown = ",\n".join(tables)
    return f'{json.dumps(data, indent=1)[:-2]},\n "breakdown": {{\n{breakdown}\n }}\n}}'
