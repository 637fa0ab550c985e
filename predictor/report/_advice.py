"""Advice as one screen of a terminal: at most 80 columns, some 45 lines."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import shorten, wrap

from predictor.advice.records import Advice, Change, Headroom, RuntimeRow
from predictor.report._table import table
from predictor.report.text import WIDTH, _number, _short, _wrapped, dtype, milliseconds, setting

BAR = 44
"""Columns of the longer of the two bars."""

CHANGES, MODULES = 7, 3
"""Rows that are shown of the changes and of the modules."""

CELLS = 9
"""Columns of the table of batch sizes that fit."""


def render(advice: Advice) -> str:
    """The screen."""
    report = advice.report
    tokens = f", length {report.length}" if report.length else ""
    title = f"{report.model}, batch {report.batch}{tokens}, {dtype(report)}, {report.runtime} on {report.gpu}"
    parts = [
        [*_wrapped("", title), *_wrapped("", setting(report))],
        _verdict(advice),
        _sizes(advice),
        ["Free until the latency has grown by 5 % (~ estimated from the graph)", *map(_headroom, advice.headroom)],
        _changes(advice.changes),
        _modules(advice),
        _runtimes(advice.runtimes),
        _trust(advice),
    ]
    return "\n\n".join("\n".join(line.rstrip() for line in part) for part in parts if part)


def _verdict(advice: Advice) -> list[str]:
    verdict, report = advice.verdict, advice.report
    idle = f"{verdict.idle_share:.0%}"
    sentence = {
        "framework": f"FRAMEWORK-BOUND: the GPU idles {idle} of the pass, while the host issues its work.",
        "borderline": f"BORDERLINE: host and GPU take about as long ({verdict.ratio:.2g} : 1); the GPU idles {idle}.",
        "compute": f"COMPUTE-BOUND: the GPU's arithmetic decides; it idles {idle} of the pass.",
        "memory": f"MEMORY-BOUND: the GPU's memory traffic decides; it idles {idle} of the pass.",
    }[verdict.bound]
    longest = max(verdict.host_s, verdict.device_s, 1e-12)
    low, high = map(_short, report.interval_s)
    return [
        *_wrapped("", sentence),
        *(
            f"  {name:5}{'#' * max(round(seconds / longest * BAR), 1):{BAR}} {milliseconds(seconds):>8} {what}"
            for name, seconds, what in (("host", verdict.host_s, "to issue"), ("GPU", verdict.device_s, "of kernels"))
        ),
        f"  A pass takes {milliseconds(report.latency_s)}, 90 % interval {low} to {high} ms.",
    ]


def _sizes(advice: Advice) -> list[str]:
    rows = advice.sizes[:CELLS]
    columns = [
        ("batch", *(str(row.batch) for row in rows)),
        ("latency, ms", *(_number(row.latency_s * 1e3) for row in rows)),
        ("GPU busy", *(f"{row.busy_share:.0%}" for row in rows)),
        ("samples/s", *(f"{row.samples_per_s:.0f}" for row in rows)),
    ]
    lines = [f"  {line}" for line in table(columns, "<" + ">" * len(rows), gap=1)]
    if not advice.open_batch:
        return [*lines, "  The model takes no other batch size."]
    if advice.crossover is None:
        return [*lines, f"  Bound by the host at every batch size up to {advice.crossover_limit}."]
    first = advice.crossover <= advice.sizes[0].batch
    return [*lines, f"  Bound by the GPU {'at every batch size' if first else f'from batch {advice.crossover} on'}."]


def _headroom(row: Headroom) -> str:
    sizes = "" if row.dimension == "width" else f"{row.now:.0f} to {row.until:.0f}, "
    more = "at least " if row.most else ""
    value = "nothing" if row.factor == 1 else f"{more}{sizes}x{row.factor:.3g}"
    mark = "" if row.how == "predicted" else "~"
    note = f"; {row.note}" if row.note else ""
    return f"  {shorten(f'{row.dimension:6} {mark}{value}{note}', WIDTH - 2, placeholder=' ...')}"


def _changes(changes: Sequence[Change]) -> list[str]:
    if not changes:
        return ["Nothing that was tried makes it 3 % faster."]
    rows = []
    for change in changes[:CHANGES]:
        each = "/sample" if change.per_sample else ""
        mark = "~" if change.estimated else ""
        rows.append((f"{change.gain:.0%}", f"{mark}{milliseconds(change.latency_s)}{each}", change.what))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = ["What to change: gain, latency afterwards"]
    for gain, latency, what in rows:
        lines += _wrapped(f"  {gain:>{widths[0]}} {latency:>{widths[1]}}  ", what)
    return lines


def _modules(advice: Advice) -> list[str]:
    rows = [
        (
            f"{module.host_share:.0%}",
            f"{module.mac_share:.0%}",
            f"{module.host_s_per_gmac * 1e3:.3g} ms" if module.host_s_per_gmac else "-",
            module.path if len(module.path) <= PATH else f"..{module.path[2 - PATH :]}",
        )
        for module in advice.modules[:MODULES]
        if module.host_share > module.mac_share
    ]
    if not rows:
        return []
    header = ("host", "MACs", "per GMAC", "modules that cost the host most for what they compute")
    return [f"  {line}" for line in table([header, *rows], ">>><")]


PATH = 50
"""Columns of a module's path."""


def _runtimes(runtimes: Sequence[RuntimeRow]) -> list[str]:
    able = [row for row in runtimes if row.latency_s is not None and row.interval_s is not None]
    rows = []
    for row in able:
        low, high = map(_short, row.interval_s or ())
        rows.append((row.runtime, _short(row.latency_s or 0.0), f"{low}-{high}", row.bound, "tied" if row.tied else ""))
    tied = [row for row in able if row.tied]
    header = ("runtime", "ms", "90 %", "bound", "tied: measure these" if tied else "")
    lines = [f"  {line}" for line in table([header, *rows], "<>><<")]
    unable: dict[str, list[str]] = {}
    for row in runtimes:
        if row.latency_s is None:
            reason = row.reason.removeprefix(f"{row.runtime} ")
            unable.setdefault(row.reason if reason == row.reason else f"it {reason}", []).append(row.runtime)
    for reason, names in unable.items():
        text = f"{', '.join(names)} cannot: {shorten(reason, 2 * WIDTH, placeholder=' ...')}"
        lines += [f"  {line}" for line in wrap(text, WIDTH - 2, subsequent_indent="  ")][:3]
    return lines


def _trust(advice: Advice) -> list[str]:
    trust = advice.trust
    shares = [
        *([f"{trust.unmodelled_share:.0%} of the kernel time not modelled"] if trust.unmodelled_share else []),
        *([f"{trust.extrapolated_share:.0%} of the kernels extrapolated"] if trust.extrapolated_share else []),
    ]
    text = (
        f"device {trust.device}, host {trust.host}; 9 of 10 measurements within a factor {trust.spread:.2g}"
        f"{''.join(f'; {share}' for share in shares)}"
    )
    return [*_wrapped("Trust: ", text)]
