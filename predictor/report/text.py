"""Text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from predictor.records import Compared, DtypeOrigin, Report
from predictor.report._comparison import eager_latency_s, fastest

_BOUNDS = {
    "framework": "framework-bound: the host issues work more slowly than the device finishes it",
    "compute": "compute-bound: the device's arithmetic decides",
    "memory": "memory-bound: the device's memory traffic decides",
}


def milliseconds(seconds: float) -> str:
    """Three significant digits: "4.13 ms"."""
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds * 1e3:.0f} ms"


WIDTH = 80
"""Columns of a terminal: longer sentences continue on the next line."""


def _wrapped(label: str, text: str) -> list[str]:
    """Lines of a sentence behind a label."""
    return wrap(
        text,
        WIDTH,
        initial_indent=label,
        subsequent_indent=" " * len(label),
        break_long_words=False,
        break_on_hyphens=False,
    )


def dtype(report: Report) -> str:
    """The dtype of a prediction, and why it is that where nobody asked for it: "fp32 (the module's own)"."""
    return report.dtype if report.dtype_origin is DtypeOrigin.ASKED else f"{report.dtype} ({report.dtype_origin})"


def render(report: Report) -> str:
    """The report for a person."""
    low, high = report.interval_s
    calibration = report.calibration
    lines = [
        f"{report.model}, batch {report.batch}, {dtype(report)}, {report.runtime} on {report.gpu}",
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
    if report.on_cpu:
        lines += ["", "  on the CPU, not on the GPU (why, count, host, device)"]
        for row in report.on_cpu:
            seconds = f"{milliseconds(row.host_s):>10} {milliseconds(row.kernel_s):>10}"
            lines.append(f"  {row.op:30} {row.count:>5} {seconds}   {row.reason}")
    if report.unmodelled:
        counted = ", ".join(f"{op} x{count}" for op, count in sorted(report.unmodelled.items()))
        share = f"{report.unmodelled_share:.0%} of the kernel time"
        lines += ["", f"  not modelled (priced by their traffic alone, {share}): {counted}"]
    if report.extrapolated:
        counted = ", ".join(f"{family} x{count}" for family, count in sorted(report.extrapolated.items()))
        lines += ["", f"  extrapolated beyond the calibrated range: {counted}"]
    versions = calibration["versions"]
    lines += [
        "",
        *_wrapped(
            "  calibration  ",
            f"{calibration['provenance']} on {calibration['device']}, {calibration['date'][:10]} "
            f"({calibration['age_days']} days ago), host {calibration['host']}, torch {versions.get('torch', '?')}",
        ),
    ]
    for note in report.notes:
        lines += _wrapped("  note         ", note)
    return "\n".join(lines)


def render_comparison(rows: Sequence[Compared]) -> str:
    """A table, a line for each runtime; the fastest is marked."""
    able = [row.report for row in rows if row.report]
    eager, best = eager_latency_s(rows), fastest(rows)
    lines = []
    if able:
        first = able[0]
        lines += [f"{first.model}, batch {first.batch}, {dtype(first)} on {first.gpu}", ""]
    columns = ("runtime", "latency", "90 % interval", "host", "kernels", "launches", "bound", "over eager")
    lines.append("  {:18} {:>9} {:>20} {:>9} {:>9} {:>8}  {:9} {:>10}".format(*columns))
    for row in rows:
        if row.report is None:
            lines.append(f"  {row.runtime:18} cannot run: {row.reason}")
            continue
        r, marker = row.report, "*" if row.runtime == best else " "
        low, high = (milliseconds(s) for s in r.interval_s)
        gain = f"{eager / r.latency_s:.2f}x" if eager else ""
        lines.append(
            f"{marker} {r.runtime:18} {milliseconds(r.latency_s):>9} {low + ' to ' + high:>20} "
            f"{milliseconds(r.host_s):>9} {milliseconds(r.kernel_s):>9} {r.launches:>8}  {r.bound:9} {gain:>10}"
        )
    notes = dict.fromkeys(note for r in able for note in r.notes)
    said = [line for note in notes for line in _wrapped("  note: ", note)]
    return "\n".join([*lines, "", "  * fastest", *said])
