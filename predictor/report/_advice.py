"""Advice as one screen of a terminal: at most 80 columns, some 45 lines."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import ceil
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

MOST_GAIN = 0.99
"""Above it a gain is told as more than this: none is all of the latency."""


def render(advice: Advice) -> str:
    """The screen."""
    report = advice.report
    tokens = f", length {report.length}" if report.length else ""
    title = f"{report.model}, batch {report.batch}{tokens}, {dtype(report)}, {report.runtime} on {report.gpu}"
    parts = [
        [*_wrapped("", title), *_wrapped("", setting(report))],
        _verdict(advice),
        _sizes(advice),
        ["Free: at most 5 % more latency (~ estimated from the graph)", *chain(*map(_headroom, advice.headroom))],
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
            f"  {name:5}{'#' * max(round(seconds / longest * BAR), 1):{BAR}} {_short(seconds):>5} ms {what}"
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
    return [*lines, f"  {bound_from(advice.crossover)}"]


def bound_from(crossover: int) -> str:
    """From which batch size on the GPU decides, in a sentence."""
    return f"Bound by the GPU {'at every batch size' if crossover == 1 else f'from batch {crossover} on'}."


def _headroom(row: Headroom) -> list[str]:
    """ "batch  1 to 27; 28 costs 5.3%", "batch  nothing; 2 costs 5.2%, then flat to 28"."""
    mark = "" if row.how == "predicted" else "~"
    return _wrapped(f"  {row.dimension:6} ", mark + "; ".join(filter(None, (_free(row), row.note, following(row)))))


def _value(row: Headroom, value: float) -> str:
    return f"x{value:.4g}" if row.dimension == "width" else f"{value:.0f}"


def _free(row: Headroom) -> str:
    """How far a dimension grows: "128 to 448 or more, x3.5"."""
    if row.until == row.now:
        return "nothing"
    values = _value(row, row.until) if row.dimension == "width" else f"{row.now:.0f} to {row.until:.0f}"
    more = " or more" if row.most else ""
    factor = f", x{row.factor:.3g}" if row.dimension == "length" else ""
    return f"{values}{more}{factor}"


def following(row: Headroom) -> str:
    """What comes after that: "2 costs 5.2%, then flat to 28", empty where the search ended."""
    step = row.step
    if step is None:
        return ""
    flat = f", then flat to {_value(row, step.flat_until)}{' or more' if step.most else ''}" if step.is_plateau else ""
    next_one = row.dimension == "depth" and step.value == row.now + 1
    return f"{'one more' if next_one else _value(row, step.value)} costs {_percent(step.growth)}{flat}"


def _percent(share: float) -> str:
    """Rounded up, so that what is not free is never told as the 5 % that are.

    >>> _percent(0.0503), _percent(0.1234), _percent(2.5)
    ('5.1%', '13%', '250%')
    """
    digits = 1 if share < 0.1 else 0
    return f"{ceil(round(share * 100 * 10**digits, 6)) / 10**digits:.{digits}f}%"


def _changes(changes: Sequence[Change]) -> list[str]:
    if not changes:
        return ["Nothing that was tried makes it 3 % faster."]
    rows = []
    for change in changes[:CHANGES]:
        each = "/sample" if change.per_sample else ""
        mark = "~" if change.estimated else ""
        gain = f"{change.gain:.0%}" if change.gain < MOST_GAIN else f">{MOST_GAIN:.0%}"
        rows.append((gain, f"{mark}{milliseconds(change.latency_s)}{each}", change.what))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = ["What to change: gain, latency afterwards"]
    for gain, latency, what in rows:
        lines += _wrapped(f"  {gain:>{widths[0]}} {latency:>{widths[1]}}  ", what)
    return lines


def _modules(advice: Advice) -> list[str]:
    """Empty where the device decides: what the host needs meanwhile costs nothing."""
    if advice.verdict.bound not in ("framework", "borderline"):
        return []
    rows = [
        (
            f"{module.host_share:.0%}",
            f"{module.mac_share:.0%}",
            f"{_short(module.host_s_per_gmac)} ms" if module.host_s_per_gmac else "-",
            _path(module.path),
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


def _path(path: str) -> str:
    """The end of a long path, from a module on.

    >>> _path("efficientnet.encoder.blocks.*.squeeze_excite.reduce")
    '..encoder.blocks.*.squeeze_excite.reduce'
    """
    if len(path) <= PATH:
        return path
    shown = path[2 - PATH :]
    return f"..{shown[shown.find('.') + 1 :]}"


def _runtimes(runtimes: Sequence[RuntimeRow]) -> list[str]:
    able = [row for row in runtimes if row.latency_s is not None and row.interval_s is not None]
    rows = []
    for row in able:
        low, high = map(_short, row.interval_s or ())
        rows.append((row.runtime, _short(row.latency_s or 0.0), f"{low}-{high}", row.bound, "tied" if row.tied else ""))
    tied = [row for row in able if row.tied]
    header = ("runtime", "ms", "90 %", "bound", "tied: measure these" if tied else "")
    lines = [f"  {line}" for line in table([header, *rows], "<>><<")]
    unable: dict[tuple[str, str], list[str]] = {}
    for row in runtimes:
        if row.latency_s is None:
            reason = row.reason.removeprefix(f"{row.runtime} ")
            sentence = row.reason if reason == row.reason else f"it {reason}"
            unable.setdefault(("not priced" if row.untried else "cannot", sentence), []).append(row.runtime)
    for (answer, reason), names in unable.items():
        text = f"{', '.join(names)} {answer}: {shorten(reason, 2 * WIDTH, placeholder=' ...')}"
        lines += [f"  {line}" for line in wrap(text, WIDTH - 2, subsequent_indent="  ")][:3]
    return lines


def _few(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "<1%"


def _trust(advice: Advice) -> list[str]:
    trust = advice.trust
    shares = [
        *([f"{_few(trust.unmodelled_share)} of the kernel time not modelled"] if trust.unmodelled_share else []),
        *([f"{_few(trust.extrapolated_share)} of the kernels extrapolated"] if trust.extrapolated_share else []),
    ]
    text = (
        f"device {trust.device}, host {trust.host}; 9 of 10 measurements within a factor {trust.spread:.2g}"
        f"{''.join(f'; {share}' for share in shares)}"
    )
    return [*_wrapped("Trust: ", text)]
