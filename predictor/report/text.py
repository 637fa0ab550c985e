"""Text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from predictor.records import Compared, DtypeOrigin, Report
from predictor.report._comparison import eager_latency_s, fastest
from predictor.report._table import table

if TYPE_CHECKING:
    from predictor.advice.records import Advice

_BOUNDS = {
    "framework": "framework-bound: the host issues work more slowly than the device finishes it",
    "compute": "compute-bound: the device's arithmetic decides",
    "memory": "memory-bound: the device's memory traffic decides",
}


def milliseconds(seconds: float) -> str:
    """Three significant digits, of a nanosecond at the least: "4.13 ms"."""
    return f"{round(seconds * 1e3, 6):.3g} ms" if seconds < 1 else f"{seconds * 1e3:.0f} ms"


def gmacs(macs: float) -> str:
    """Billions of multiply-accumulates: "11.2 GMACs"."""
    return f"{macs / 1e9:.3g} GMACs"


def _rate(per_s: float) -> str:
    """Four digits, or as many as a whole number has.

    >>> _rate(67.5432), _rate(18742.6)
    ('67.54', '18743')
    """
    return f"{per_s:.0f}" if per_s >= 1000 else f"{per_s:.4g}"


def _short(seconds: float) -> str:
    """Milliseconds in five characters, for tables: "3.92", "0.004"."""
    return _number(seconds * 1e3)


def _number(value: float) -> str:
    """Three digits, in five characters: "3.92", "0.004", "1480"."""
    return f"{value:.3f}" if value < 1 else f"{value:#.3g}".removesuffix(".") if value < 999.5 else f"{value:.0f}"


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
    """The dtype of a prediction, and why it is that where nobody asked for it: "fp32 (the model's own)"."""
    return report.dtype if report.dtype_origin is DtypeOrigin.ASKED else f"{report.dtype} ({report.dtype_origin})"


def setting(report: Report) -> str:
    """Which software is priced, which attention, on whose host: "torch 1.12.1, attention multiplied out, ..."."""
    names = {"onnxruntime": "ONNX Runtime"}
    software = [f"{names.get(package, package)} {version}" for package, version in report.software.items()]
    attention = [f"attention {report.attention}"] if report.attention != "none" else []
    return ", ".join([*software, *attention, *([report.host] if report.host else [])])


def corrected(report: Report) -> str:
    """What measured latencies changed: "corrected by 3 measured latencies: host x1.31, device x0.97"."""
    correction = report.correction
    if correction is None:
        return ""
    many = "latency" if correction.latencies == 1 else "latencies"
    factors = f"host x{correction.host_factor:.2f}, device x{correction.device_factor:.2f}"
    return f"corrected by {correction.latencies} measured {many}: {factors}"


def _headed(title: str, report: Report) -> list[str]:
    """The first lines: what is predicted, with which software on whose host, and by what it is corrected."""
    return [line for text in (title, setting(report), corrected(report)) for line in _wrapped("", text)]


def render(report: Report) -> str:
    """The report for a person."""
    low, high = report.interval_s
    calibration = report.calibration
    lines = [
        *_headed(f"{report.model}, batch {report.batch}, {dtype(report)}, {report.runtime} on {report.gpu}", report),
        "",
        f"  latency      {milliseconds(report.latency_s)}   "
        f"(90 % interval {milliseconds(low)} to {milliseconds(high)})",
        *_wrapped(
            "  bound        ", f"{_BOUNDS[report.bound]} (the host is {report.critical_host:.0%} of the critical path)"
        ),
        *_wrapped(
            "  host time    ",
            f"{milliseconds(report.host_s)}, {report.operators} operators, {report.module_calls} module calls, "
            f"{report.python_calls} Python calls",
        ),
        f"  kernel time  {milliseconds(report.kernel_s)}, {report.launches} launches, {gmacs(report.macs)}",
        f"  estimator    {report.estimator}; max(host, kernel) gives {milliseconds(report.max_s)}",
        *_wrapped(
            "  device       ",
            f"busy for {report.busy_share:.0%} of the pass, {report.breakdown.sms_active:.0%} of its multiprocessors "
            f"active on average (estimated); {_rate(report.samples_per_s)} samples/s",
        ),
        *(_wrapped("  generation   ", _generation(report)) if report.generated else []),
        *([f"  budget       {_budget(report)}"] if report.budget_s is not None else []),
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
            lines += _wrapped(f"  {row.op:30} {row.count:>5} {seconds}  ", row.reason)
    if report.unmodelled:
        counted = ", ".join(f"{op} x{count}" for op, count in sorted(report.unmodelled.items()))
        share = f"{report.unmodelled_share:.0%} of the kernel time"
        lines += ["", *_wrapped("  not modelled ", f"(priced by their traffic alone, {share}): {counted}")]
    if report.extrapolated:
        counted = ", ".join(f"{family} x{count}" for family, count in sorted(report.extrapolated.items()))
        lines += ["", *_wrapped("  extrapolated beyond the calibrated range: ", counted)]
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


def _settings(reports: Sequence[Report]) -> list[str]:
    """Which software is priced on whose host and by what it is corrected, the runtimes that are alike together."""
    runtimes: dict[str, list[str]] = {}
    for report in reports:
        said = ", ".join(filter(None, (setting(report), corrected(report))))
        runtimes.setdefault(said, []).append(report.runtime)
    if len(runtimes) == 1:
        return _wrapped("", next(iter(runtimes)))
    return [line for said, names in runtimes.items() for line in _wrapped("", f"{', '.join(names)}: {said}")]


def _budget(report: Report) -> str:
    low, high = map(milliseconds, report.interval_s)
    said = {
        "within": f"kept: the interval ends at {high}",
        "over": f"exceeded: the interval begins at {low}",
        "straddles": f"not certain: the interval is {low} to {high}",
    }
    return f"{milliseconds(report.budget_s or 0.0)} {said[report.verdict or '']}"


def _generation(report: Report) -> str:
    """Tokens in a second, and how long one takes."""
    a_token = milliseconds(report.latency_s / report.generated)
    tokens = "a token" if report.generated == 1 else f"{report.generated} tokens"
    return f"{report.tokens_per_s:.4g} tokens/s; {tokens} of each sequence a pass, {a_token} a token"


def render_sweep(reports: Sequence[Report]) -> str:
    """A table, a line for each size."""
    first = reports[0]
    has_lengths = len({report.length for report in reports}) > 1
    rows = [("batch", "length", "latency", "90 %", "bound", "busy", "SMs", "samples/s", "tokens/s", "budget")]
    for r in reports:
        low, high, latency = map(_short, (*r.interval_s, r.latency_s))
        shares = f"{r.busy_share:.0%}", f"{r.breakdown.sms_active:.0%}"
        sizes = str(r.batch), str(r.length), latency, f"{low}-{high}"
        speeds = _rate(r.samples_per_s), _rate(r.tokens_per_s or 0.0)
        rows.append((*sizes, r.bound, *shares, *speeds, r.verdict or ""))
    wanted = {"length": has_lengths, "tokens/s": first.generated, "budget": first.budget_s is not None}
    left_out = {name for name, is_wanted in wanted.items() if not is_wanted}
    shown = [i for i, name in enumerate(rows[0]) if name not in left_out]
    align = "".join("><"[name in ("bound", "budget")] for name in (rows[0][i] for i in shown))
    lines = table([[row[i] for i in shown] for row in rows], align)
    tokens = f", length {first.length}" if first.length and not has_lengths else ""
    title = f"{first.model}{tokens}, {dtype(first)}, {first.runtime} on {first.gpu}, times in ms"
    notes = dict.fromkeys(note for r in reports for note in r.notes)
    legend = "busy: share of the pass in which a kernel runs; SMs: multiprocessors active, on average (estimated)"
    said = [line for note in notes for line in _wrapped("  note: ", note)]
    rows_of_table = [f"  {line}" for line in lines]
    return "\n".join([title, *_settings(reports), "", *rows_of_table, "", *_wrapped("  ", legend), *said])


def render_breakdown(report: Report, view: str, depth: int | None, top: int | None) -> str:
    """A table of operators, or a tree of modules or layers."""
    rows = [(view, "share", "host", "kernels", "launches", "GMACs", "TFLOP/s")]
    parts = report.breakdown.by(view, depth, top)
    path: list[str] = []
    for part in parts:
        del path[part.depth :]
        parent = f"{path[-1]}." if part.depth > 1 else ""
        path.append(part.name)
        cost = part.cost
        rows.append(
            (
                _cut(" " * part.depth + part.name.removeprefix(parent)),
                f"{part.share:.1%}",
                _short(cost.host_s),
                _short(cost.kernel_s),
                str(cost.launches),
                _number(cost.macs / 1e9) if cost.macs else "",
                _number(cost.flops_per_s / 1e12) if cost.flops else "",
            )
        )
    title = f"{report.model}, batch {report.batch}, {dtype(report)}, {report.runtime} on {report.gpu}, times in ms"
    legend = (
        f"share: of the latency, {milliseconds(report.latency_s)}, by the critical path; host and kernels run side by "
        "side. TFLOP/s: while its kernels run."
    )
    lines = table(rows, "<>>>>>>", gap=1)
    return "\n".join([*_headed(title, report), "", *(f"  {line}" for line in lines), "", *_wrapped("  ", legend)])


NAME_WIDTH = 36
"""Columns of a module's name, so that the table fits a terminal."""


def _cut(name: str) -> str:
    """The end of a long name."""
    return name if len(name) <= NAME_WIDTH else f"..{name[2 - NAME_WIDTH :]}"


def render_comparison(rows: Sequence[Compared]) -> str:
    """A table, a line for each runtime; the fastest is marked."""
    able = [row.report for row in rows if row.report]
    eager, best = eager_latency_s(rows), fastest(rows)
    lines = []
    if able:
        first = able[0]
        lines += [
            f"{first.model}, batch {first.batch}, {dtype(first)} on {first.gpu}, times in ms",
            *_settings(able),
            "",
        ]
    table_rows = [("", "runtime", "latency", "90 %", "host", "kernels", "launches", "bound", "gain")]
    for r in able:
        low, high, latency, host, kernels = map(_short, (*r.interval_s, r.latency_s, r.host_s, r.kernel_s))
        gain = f"{eager / r.latency_s:.2f}x" if eager else ""
        marker = "*" if r.runtime == best else ""
        table_rows.append((marker, r.runtime, latency, f"{low}-{high}", host, kernels, str(r.launches), r.bound, gain))
    lines += table(table_rows, "<<>>>>><>", gap=1)
    for row in rows:
        if row.report is None:
            lines += _wrapped(f"  {row.runtime} cannot run: ", row.reason)
    notes = dict.fromkeys(note for r in able for note in r.notes)
    said = [line for note in notes for line in _wrapped("  note: ", note)]
    legend = "  * fastest; gain: over eager" if eager else "  * fastest"
    return "\n".join([*lines, "", legend, *said])


def render_advice(advice: Advice) -> str:
    """Answers for a designer, one screen."""
    from predictor.report._advice import render

    return render(advice)
