"""Advice as one page of HTML that needs nothing else: the figure inside it, tables, no scripts, no network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from predictor.errors import PredictorError
from predictor.report._advice import bound_from, following
from predictor.report.text import _number, dtype, milliseconds, setting

if TYPE_CHECKING:
    from predictor.advice.records import Advice, Headroom
    from predictor.records import Report

CSS = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 68rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.05rem; margin: 1.8rem 0 .4rem; }
p { margin: .3rem 0; } caption { text-align: left; padding: 0 0 .3rem; } .setting, .note, caption { color: #555; }
.verdict { font-size: 1.15rem; margin: 1rem 0; padding: .7rem 1rem; border-left: .4rem solid #b35900;
  background: #f6f1ea; }
table { border-collapse: collapse; margin: .3rem 0; } th, td { padding: .2rem .7rem; border-bottom: 1px solid #ddd; }
th { text-align: left; font-weight: 600; background: #f4f4f4; } td.n, th.n { text-align: right;
  white-space: nowrap; font-variant-numeric: tabular-nums; } td:first-child { white-space: nowrap; }
svg { width: 100%; height: auto; } .wide { overflow-x: auto; }
"""

PARTS = 12
"""Rows of the table of modules."""


def write(advice: Advice, path: Path) -> None:
    """Write the page to a file. Raises PredictorError where that fails, or matplotlib is missing."""
    content = page(advice)
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise PredictorError(f"cannot write {path}: {error.strerror}") from None


def page(advice: Advice) -> str:
    """The whole page. Raises PredictorError where matplotlib is missing."""
    from predictor.report import _plots

    title = f"{advice.report.model} on {advice.report.gpu}"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n"
        f"{body(advice, _plots.svg(advice))}\n</body>\n</html>\n"
    )


def body(advice: Advice, svg: str = "") -> str:
    """What the page says. svg: the figure, left out where it is empty."""
    report = advice.report
    tokens = f", length {report.length}" if report.length else ""
    title = f"{report.model}, batch {report.batch}{tokens}, {dtype(report)}, {report.runtime} on {report.gpu}"
    return "\n".join(
        [
            f"<h1>{escape(title)}</h1>",
            f'<p class="setting">{escape(setting(report))}</p>',
            f'<p class="verdict">{escape(_verdict(advice))}</p>',
            f'<div class="wide">{svg}</div>' if svg else "",
            *_section("Over the batch size", _sizes(advice)),
            *_section("Free: at most 5 % more latency", _headroom(advice.headroom)),
            *_section("What to change", _changes(advice)),
            *_section("Which runtime", _runtimes(advice)),
            *_section("Where the time goes, by module", _modules(report)),
            *_section("How far to trust it", _trust(advice)),
        ]
    )


def report_table(report: Report) -> str:
    """A prediction as a small table, as a notebook shows it."""
    low, high = report.interval_s
    rows = [
        ("latency", f"{milliseconds(report.latency_s)} (90 %: {milliseconds(low)} to {milliseconds(high)})"),
        ("bound", f"{report.bound} (the host is {report.critical_host:.0%} of the critical path)"),
        ("host time", milliseconds(report.host_s)),
        ("kernel time", f"{milliseconds(report.kernel_s)}, {report.launches} launches"),
        ("device busy", f"{report.busy_share:.0%}, {report.samples_per_s:.4g} samples/s"),
        ("calibration", f"{report.calibration['provenance']}, host {report.calibration['host_provenance']}"),
    ]
    title = f"{report.model}, batch {report.batch}, {dtype(report)}, {report.runtime} on {report.gpu}"
    return _table([], rows, caption=title)


def _verdict(advice: Advice) -> str:
    verdict, report = advice.verdict, advice.report
    said = {
        "framework": "Framework-bound: the host issues work more slowly than the GPU finishes it.",
        "borderline": "Borderline: host and GPU take about as long.",
        "compute": "Compute-bound: the GPU's arithmetic decides.",
        "memory": "Memory-bound: the GPU's memory traffic decides.",
    }[verdict.bound]
    low, high = map(milliseconds, report.interval_s)
    return (
        f"{said} A pass takes {milliseconds(report.latency_s)} ({low} to {high}); the host needs "
        f"{milliseconds(verdict.host_s)}, the GPU {milliseconds(verdict.device_s)}, and idles {verdict.idle_share:.0%}."
    )


def _sizes(advice: Advice) -> str:
    rows = [
        (
            str(row.batch),
            _number(row.latency_s * 1e3),
            f"{_number(row.interval_s[0] * 1e3)} to {_number(row.interval_s[1] * 1e3)}",
            _number(row.host_s * 1e3),
            _number(row.device_s * 1e3),
            f"{row.busy_share:.0%}",
            f"{row.samples_per_s:.0f}",
        )
        for row in advice.sizes
    ]
    header = ("batch", "latency, ms", "90 %", "host, ms", "kernels and gaps, ms", "GPU busy", "samples/s")
    if not advice.open_batch:
        caption = "The model takes no other batch size."
    elif advice.crossover is None:
        caption = f"Bound by the host at every batch size up to {advice.crossover_limit}."
    else:
        caption = bound_from(advice.crossover)
    return _table(header, rows, numbers=range(7), caption=caption)


def _headroom(rows: Sequence[Headroom]) -> str:
    cells = [
        (
            row.dimension,
            "" if row.dimension == "width" else f"{row.now:.0f}",
            "" if row.dimension == "width" else f"{row.until:.0f}",
            f"{'at least ' if row.most else ''}x{row.factor:.3g}",
            following(row),
            row.how,
            row.note,
        )
        for row in rows
    ]
    return _table(("dimension", "now", "until", "factor", "then", "how", ""), cells, numbers=(1, 2, 3))


def _changes(advice: Advice) -> str:
    rows = [
        (
            f"{change.gain:.0%}",
            f"{milliseconds(change.latency_s)}{' a sample' if change.per_sample else ''}",
            change.what,
            "estimated from the graph" if change.estimated else "predicted anew",
        )
        for change in advice.changes
    ]
    return _table(("gain", "latency", "change", "how"), rows, numbers=(0, 1)) if rows else "<p>Nothing gains 3 %.</p>"


def _runtimes(advice: Advice) -> str:
    rows = []
    for row in advice.runtimes:
        if row.latency_s is None or row.interval_s is None:
            rows.append((row.runtime, "", "", "", f"{'not priced: ' if row.untried else ''}{row.reason}"))
            continue
        low, high = (_number(seconds * 1e3) for seconds in row.interval_s)
        tied = "tied: measure these" if row.tied else ""
        rows.append((row.runtime, _number(row.latency_s * 1e3), f"{low} to {high}", row.bound, tied))
    return _table(("runtime", "latency, ms", "90 %", "bound", ""), rows, numbers=(1, 2))


def _modules(report: Report) -> str:
    rows = [
        (
            part.name,
            f"{part.share:.1%}",
            _number(part.cost.host_s * 1e3),
            _number(part.cost.kernel_s * 1e3),
            str(part.cost.launches),
            _number(part.cost.macs / 1e9),
        )
        for part in report.breakdown.by("layer", depth=4, top=PARTS)
    ]
    header = ("module", "share of latency", "host, ms", "kernels, ms", "launches", "GMACs")
    return _table(header, rows, numbers=range(1, 6))


def _trust(advice: Advice) -> str:
    trust, report = advice.trust, advice.report
    rows = [
        ("device", f"{trust.device}: {report.calibration['device']}"),
        ("host", f"{trust.host}: {report.host or report.calibration['host']}"),
        ("9 of 10 measurements", f"within a factor {trust.spread:.2g}"),
        ("not modelled", f"{trust.unmodelled_share:.0%} of the kernel time"),
        ("extrapolated", f"{trust.extrapolated_share:.0%} of the kernels"),
    ]
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in report.notes)
    return _table([], rows) + notes


def _section(title: str, content: str) -> tuple[str, str]:
    return f"<h2>{escape(title)}</h2>", f'<div class="wide">{content}</div>'


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = (), caption: str = "") -> str:
    """A table. numbers: columns that are flush right."""
    right = set(numbers)

    def row(cells: Sequence[str], tag: str) -> str:
        marks = (' class="n"' if position in right else "" for position in range(len(cells)))
        return "".join(f"<{tag}{mark}>{escape(cell)}</{tag}>" for cell, mark in zip(cells, marks, strict=True))

    lines = [f"<tr>{row(cells, 'td')}</tr>" for cells in rows]
    head = f"<thead><tr>{row(header, 'th')}</tr></thead>" if header else ""
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{title}{head}<tbody>\n" + "\n".join(lines) + "\n</tbody></table>"
