"""Judgements as text: tables for a terminal or in Markdown, and the lines below them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from textwrap import wrap

import numpy as np
from tabulate import DataRow, TableFormat, tabulate

from calibrate.validate import accuracy
from calibrate.validate.accuracy import Row, Summary
from calibrate.validate.kernels import KernelErrors
from calibrate.validate.model_latencies import PassErrors
from calibrate.validate.public_latencies import PublicJudgement
from calibrate.validate.runtimes import RuntimeErrors, RuntimesJudged
from predictor.report._table import table as terminal_table
from predictor.report.text import WIDTH

MARKDOWN = TableFormat(
    lineabove=None,
    linebelowheader=lambda widths, _: f"| {' | '.join(['---'] * len(widths))} |",
    linebetweenrows=None,
    linebelow=None,
    headerrow=DataRow("|", "|", "|"),
    datarow=DataRow("|", "|", "|"),
    padding=1,
    with_header_hide=None,
)
"""A Markdown table without padding: a figure that changes changes its own line alone."""


def percent(share: float, digits: int = 1) -> str:
    """A share as a person reads it; "-" where nothing was measured that it could be of."""
    return "-" if math.isnan(share) else f"{share:.{digits}%}"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], markdown: bool, texts: int = 1) -> str:
    """A table of cells that are text already. texts: columns from the left that are no numbers. In a terminal heads of
    several words stand in several lines where the table would be too wide.
    """
    if markdown:
        return tabulate(rows, head, tablefmt=MARKDOWN, stralign=None, disable_numparse=True)
    align = "".join("<" if column < texts else ">" for column in range(len(head)))
    lines = terminal_table([head, *rows], align)
    if max(map(len, lines)) <= WIDTH:
        return "\n".join(lines)
    words = [name.replace("90 %", "90%").split() for name in head]
    most = max(map(len, words))
    above = [[*[""] * (most - len(parts)), *parts] for parts in words]
    stacked = [[parts[line] for parts in above] for line in range(most)]
    return "\n".join(terminal_table([*stacked, *rows], align, gap=1))


CASES = ("model", "batch", "dtype", "measured", "predicted", "error", "noise", "bound")
MODELS = ("model", "cases", "MAPE", "median", "worst", "framework or device bound right", "kernel time", "launches")
REGIMES = ("regime", "estimator", "cases", "MAPE", "median", "worst", "Kendall tau")
FAMILIES = ("kernel family", "share of time", "share of error", "bias", "launches", "of")


def accuracy_text(found: Sequence[Row]) -> str:
    """Every case, then what they say together, for a terminal."""
    rows = []
    for r in found:
        differs = r.measured_bound and (r.bound == "framework") != (r.measured_bound == "framework")
        said = f"/{r.measured_bound}" if differs else ""
        measured, predicted = r.measured.seconds * 1e3, r.predicted["queue"] * 1e3
        rows.append(
            (
                *(r.model.rpartition("/")[2], str(r.batch), r.dtype, f"{measured:.2f}", f"{predicted:.2f}"),
                *(f"{r.error():+.1%}", percent(r.measured.repeatability), f"{r.bound}{said}"),
            )
        )
    note = "milliseconds; noise: how far measurements repeat; bound: predicted, /measured where that differs"
    blocks = [
        "\n".join(wrap(note, 80)),
        table(CASES, rows, markdown=False),
        table(REGIMES, _regimes(found), markdown=False, texts=2),
    ]
    if families := _families(found):
        blocks.append(f"{_profiled(found)}\n{table(FAMILIES, families, markdown=False)}")
    return "\n\n".join([*blocks, "\n".join(_closing(found))])


def accuracy_markdown(found: Sequence[Row]) -> str:
    """What the cases say together, by model, regime and kernel family, in Markdown."""
    rows = []
    for model, group in accuracy.by_model(found).items():
        s, (seconds, launches) = accuracy.summarise_rows(group, "queue"), accuracy.kernel_errors(group)
        figures = (percent(s.mape), percent(s.median), percent(s.worst), percent(s.bound, 0))
        rows.append((model, str(s.cases), *figures, percent(seconds), percent(launches)))
    blocks = [table(MODELS, rows, markdown=True), table(REGIMES, _regimes(found), markdown=True)]
    if families := _families(found):
        blocks += [f"{_profiled(found)}:", table(FAMILIES, families, markdown=True)]
    return "\n\n".join([*blocks, "\n".join(line[0].upper() + line[1:] + "." for line in _closing(found))])


def _regimes(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    return [
        (regime, estimator, str(s.cases), percent(s.mape), percent(s.median), percent(s.worst), _number(s.tau))
        for regime, estimator, s in _summaries(accuracy.by_regime(rows))
    ]


def _summaries(groups: Mapping[str, Sequence[Row]]) -> list[tuple[str, str, Summary]]:
    return [
        (name, estimator, accuracy.summarise_rows(group, estimator))
        for name, group in groups.items()
        for estimator in accuracy.ESTIMATORS
    ]


def _families(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    return [
        (name, percent(e.time), percent(e.error), f"{e.bias:+.1%}", str(e.predicted_launches), str(e.measured_launches))
        for name, e in accuracy.by_family(rows).items()
    ]


def _profiled(rows: Sequence[Row]) -> str:
    profiled = sum(bool(r.kernels) for r in rows)
    return f"kernels by family, of the {profiled} of {len(rows)} passes in which none overlapped"


def _closing(rows: Sequence[Row]) -> list[str]:
    """Lines on repeatability, kernel time, intervals, and the host probe."""
    repeats = [r.measured.repeatability for r in rows]
    unscaled = np.mean([abs(r.unscaled_s / r.measured.seconds - 1) for r in rows])
    seconds, launches = accuracy.kernel_errors(rows)
    kernels = [f"kernel time against the profiler: MAPE {percent(seconds)}; launches: {percent(launches)}"]
    return [
        f"repeatability of the measurements: mean {percent(float(np.mean(repeats)))}, "
        f"90th percentile {percent(float(np.percentile(repeats, 90)))}",
        *(kernels if seconds == seconds else ()),
        f"the 90 % intervals hold {percent(sum(r.covered for r in rows) / len(rows))} of the measurements",
        f"queue without scaling the host by its probe: MAPE {percent(float(unscaled))}",
    ]


RUNTIMES = (
    *("runtime", "cases", "MAPE", "median", "worst", "bound", "kernel time", "launches", "in 90 %", "repeats"),
    "refusals foreseen",
)


def runtimes_text(judged: RuntimesJudged, markdown: bool) -> str:
    """A line for each runtime, then how often the fastest is named, and what a wrong choice costs."""
    right = sum(c.predicted == c.measured for c in judged.choices)
    said = f"The fastest runtime is named for {right} of {len(judged.choices)} models and batches."
    wrong = [c for c in judged.choices if c.predicted != c.measured]
    lines = [
        f"{c.model}, batch {c.batch}: {c.predicted} instead of {c.measured}, {percent(c.loss)} slower" for c in wrong
    ]
    if not markdown:
        lines = [part for line in lines for part in wrap(line, WIDTH, subsequent_indent="  ")]
    rows = [_runtime(errors) for errors in judged.runtimes]
    shown = table(RUNTIMES, rows, markdown)
    if not markdown:  # what is the same in words leaves room for the rest
        shorter = {"launches": "launch count", "repeats": "noise"}
        shown = table([shorter.get(name, name) for name in RUNTIMES[:-1]], [row[:-1] for row in rows], markdown)
        foreseen = [f"{row[0]} {row[-1]}" for row in rows if row[-1]]
        said = "\n".join(
            [*wrap(f"Refusals that were foreseen: {', '.join(foreseen)}.", WIDTH), said] if foreseen else [said]
        )
    if markdown and lines:
        lines = ["", *(f"- {line}" for line in lines)]  # a list needs an empty line before it
    return "\n".join([shown, "", said, *lines])


def _runtime(errors: RuntimeErrors) -> tuple[str, ...]:
    s = errors.summary
    figures = (
        s.mape,
        s.median,
        s.worst,
        s.bound,
        errors.kernel_time,
        errors.launches,
        errors.covered,
        errors.repeatability,
    )
    refused = f"{errors.refusals_foreseen} of {errors.refusals}" if errors.refusals else ""
    return (errors.runtime, str(s.cases), *(percent(figure) for figure in figures), refused)


def kernels_text(errors: Sequence[KernelErrors]) -> str:
    """A line for each family, dtype, decade of work and predictor."""
    rows = [
        (
            *(e.family, e.dtype, "all" if e.decade is None else f"1e{e.decade}", e.predictor, str(e.kernels)),
            *(percent(e.mape), percent(e.median), percent(e.p90)),
        )
        for e in errors
    ]
    return table(("family", "dtype", "FLOPs", "predictor", *("kernels", "MAPE", "median", "p90")), rows, False, texts=4)


PASSES = (
    *("session", "models", "rows", "MAPE", "median", "tau", "bound right", "in interval", "FLOPs alone"),
    "max(launches, kernels)",
)


SOURCE = 30
"""Columns of a source in a terminal."""


def _middle_out(text: str, most: int) -> str:
    """A text of so many characters at the most.

    >>> _middle_out("NVIDIA/DeepLearningExamples PyTorch/Classification/ConvNets", 24)
    'NVIDIA/Dee..ion/ConvNets'
    """
    left = (most - 2) // 2 - 1
    return text if len(text) <= most else f"{text[:left]}..{text[left + 2 - most :]}"


PUBLIC = ("source", "rows", "predicted/measured", "median", "MAPE", "in 90 %")


def public_text(judgement: PublicJudgement, markdown: bool) -> str:
    """A line for each source, and how many rows were not predicted. In a terminal long sources lose their middle."""
    rows = [
        (
            e.source if markdown else _middle_out(e.source, SOURCE),
            str(e.rows),
            f"{e.bias:.2f}",
            f"{e.median:.1%}",
            f"{e.mape:.1%}",
            f"{e.covered:.0%}",
        )
        for e in judgement.errors
    ]
    skipped = [
        line
        for reason, count in judgement.skipped.most_common()
        for line in wrap(f"not predicted: {count} rows: {reason}", WIDTH, subsequent_indent="  ")
    ]
    return "\n".join([table(PUBLIC, rows, markdown), "", *skipped] if skipped else [table(PUBLIC, rows, markdown)])


def passes_text(errors: Sequence[PassErrors], markdown: bool) -> str:
    """A line for each session or runtime."""
    rows = [
        (
            *(e.name, str(e.models), str(e.rows), percent(e.mape), percent(e.median), _number(e.tau)),
            *(percent(e.bound, 0), percent(e.covered, 0), percent(e.macs_alone, 0), percent(e.max_formula, 0)),
        )
        for e in errors
    ]
    shorter = {"in interval": "in 90 %", "max(launches, kernels)": "max of both"}
    return table(PASSES if markdown else [shorter.get(name, name) for name in PASSES], rows, markdown)
