"""A report as text for a terminal, and as JSON in seconds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from predictor.records import Compared, Report

JSON_FIELDS = (
    *("model", "runtime", "gpu", "dtype", "batch", "estimator", "latency_s", "host_s", "kernel_s", "max_s"),
    *("bound", "critical_host"),
    *("interval_s", "macs", "launches", "operators", "unmodelled", "extrapolated", "calibration", "notes"),
)
"""Fields of the JSON report, times in seconds."""

_BOUNDS = {
    "framework": "framework-bound: the host issues work more slowly than the device finishes it",
    "compute": "compute-bound: the device's arithmetic decides",
    "memory": "memory-bound: the device's memory traffic decides",
}


def as_json(report: Report) -> str:
    """The report as one JSON object."""
    data: dict[str, Any] = {name: getattr(report, name) for name in JSON_FIELDS}
    data["costliest"] = [
        {"op": c.op, "count": c.count, "host_s": c.host_s, "kernel_s": c.kernel_s} for c in report.costliest
    ]
    return json.dumps(data, indent=1)


def milliseconds(seconds: float) -> str:
    """Three significant digits: "4.13 ms"."""
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds * 1e3:.0f} ms"


def as_text(report: Report) -> str:
    """The report for a person."""
    low, high = report.interval_s
    calibration = report.calibration
    lines = [
        f"{report.model}, batch {report.batch}, {report.dtype}, {report.runtime} on {report.gpu}",
        "",
        f"  latency      {milliseconds(report.latency_s)}   "
        f"(90 % interval {milliseconds(low)} to {milliseconds(high)})",
        f"  bound        {_BOUNDS[report.bound]}",
        f"{'':15}(the host is {report.critical_host:.0%} of the critical path)",
        f"  host time    {milliseconds(report.host_s)}   {report.operators} operators, "
        f"{report.module_calls} module calls, {report.python_calls} Python calls",
        f"  kernel time  {milliseconds(report.kernel_s)}   {report.launches} launches, {report.macs / 1e9:.2f} GMACs",
        f"  estimator    {report.estimator}; max(host, kernel) gives {milliseconds(report.max_s)}",
        "",
        f"  {'costliest operators':30} {'count':>5} {'host':>10} {'kernel':>10}",
    ]
    for cost in report.costliest:
        lines.append(
            f"  {cost.op:30} {cost.count:>5} {milliseconds(cost.host_s):>10} {milliseconds(cost.kernel_s):>10}"
        )
    if report.unmodelled:
        counted = ", ".join(f"{op} x{count}" for op, count in sorted(report.unmodelled.items()))
        lines += ["", f"  not modelled (their kernels count as nothing): {counted}"]
    if report.extrapolated:
        counted = ", ".join(f"{family} x{count}" for family, count in sorted(report.extrapolated.items()))
        lines += ["", f"  extrapolated beyond the calibrated range: {counted}"]
    versions = calibration["versions"]
    lines += [
        "",
        f"  calibration  {calibration['provenance']} on {calibration['device']}, {calibration['date'][:10]} "
        f"({calibration['age_days']} days ago), host {calibration['host']}, torch {versions.get('torch', '?')}",
    ]
    lines += [f"  note         {note}" for note in report.notes]
    return "\n".join(lines)


def _best(found: Sequence[Compared]) -> str:
    able = [(one.report.latency_s, one.runtime) for one in found if one.report]
    return min(able)[1] if able else ""


def comparison_as_json(found: Sequence[Compared]) -> str:
    """A model under several runtimes as one JSON object, times in seconds."""
    eager = next((one.report.latency_s for one in found if one.report and one.runtime == "eager"), None)
    rows: list[dict[str, Any]] = []
    for one in found:
        if one.report is None:
            rows.append({"runtime": one.runtime, "cannot": one.reason})
            continue
        data = {name: getattr(one.report, name) for name in JSON_FIELDS}
        rows.append({**data, "speedup_over_eager": eager / one.report.latency_s if eager else None})
    return json.dumps({"best": _best(found), "runtimes": rows}, indent=1)


def comparison_as_text(found: Sequence[Compared]) -> str:
    """A table, a line for each runtime; the fastest is marked."""
    able = [one.report for one in found if one.report]
    eager = next((r.latency_s for r in able if r.runtime == "eager"), None)
    lines = []
    if able:
        first = able[0]
        lines += [f"{first.model}, batch {first.batch}, {first.dtype} on {first.gpu}", ""]
    columns = ("runtime", "latency", "90 % interval", "host", "kernels", "launches", "bound", "over eager")
    lines.append("  {:18} {:>9} {:>20} {:>9} {:>9} {:>8}  {:9} {:>10}".format(*columns))
    for one in found:
        if one.report is None:
            lines.append(f"  {one.runtime:18} cannot run: {one.reason}")
            continue
        r, mark = one.report, "*" if one.runtime == _best(found) else " "
        low, high = (milliseconds(s) for s in r.interval_s)
        gain = f"{eager / r.latency_s:.2f}x" if eager else ""
        lines.append(
            f"{mark} {r.runtime:18} {milliseconds(r.latency_s):>9} {low + ' to ' + high:>20} "
            f"{milliseconds(r.host_s):>9} {milliseconds(r.kernel_s):>9} {r.launches:>8}  {r.bound:9} {gain:>10}"
        )
    notes = dict.fromkeys(note for r in able for note in r.notes)
    return "\n".join([*lines, "", "  * fastest", *(f"  note: {note}" for note in notes)])
