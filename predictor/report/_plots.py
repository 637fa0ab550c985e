"""Advice as one figure of four panels: latency over the batch, where the time goes, the runtimes, the roofline. Drawn
with matplotlib (the extra ``plot``), which is imported only here and only when a figure is asked for. Lines differ in
their dashes and bars in their hatches, so that a print in greyscale tells them apart.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from predictor.advice.records import Advice
from predictor.breakdown import OTHERS
from predictor.errors import PredictorError
from predictor.report.text import _number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png", ".pdf")
"""Files that a figure is written to."""

HOST, DEVICE, LATENCY = "#b35900", "#1f5fa8", "#111111"
"""Colours of the lanes, of different brightness."""

INCHES = (12.0, 9.0)
OPERATORS = 8
"""Operators of the breakdown, besides the rest."""

STYLE: dict[str, Any] = {"font.size": 9, "axes.grid": True, "grid.alpha": 0.3, "svg.fonttype": "none"}


def write(advice: Advice, path: Path) -> None:
    """Write the figure to a file. Raises as ``check``, where matplotlib is missing, and where the file cannot be
    written.
    """
    check(path)
    drawn = figure(advice)
    try:
        drawn.savefig(path, dpi=110)
    except OSError as error:
        raise PredictorError(f"cannot write {path}: {error.strerror}") from None


def check(path: Path) -> None:
    """Raises PredictorError for a file of another kind."""
    if path.suffix not in SUFFIXES:
        raise PredictorError(f"a plot is written to {', '.join(SUFFIXES)}, not to {path.name}")


def svg(advice: Advice) -> str:
    """The figure as an SVG element, to stand inside a page."""
    text = io.StringIO()
    figure(advice).savefig(text, format="svg", metadata={"Date": None})
    content = text.getvalue()
    return content[content.index("<svg") :]


def figure(advice: Advice) -> Figure:
    """The figure. Raises PredictorError where matplotlib is missing."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise PredictorError("plots need matplotlib: pip install 'framework-tax-predictor[plot]'") from None
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": "predict"}):
        drawn = Figure(figsize=INCHES, layout="constrained")
        axes = drawn.subplots(2, 2)
        report = advice.report
        tokens = f", length {report.length}" if report.length else ""
        drawn.suptitle(
            f"{report.model}, batch {report.batch}{tokens}, {report.dtype}, {report.runtime} on {report.gpu}", size=12
        )
        _over_batch(axes[0, 0], advice)
        _breakdown(axes[0, 1], advice)
        _runtimes(axes[1, 0], advice)
        _roofline(axes[1, 1], advice)
    return drawn


def _over_batch(axes: Axes, advice: Advice) -> None:
    rows = advice.sizes
    batches = [row.batch for row in rows]
    low, high = ([row.interval_s[end] * 1e3 for row in rows] for end in range(2))
    axes.fill_between(batches, low, high, color="0.85", label="90 % interval")
    axes.plot(batches, [row.latency_s * 1e3 for row in rows], "o-", color=LATENCY, label="latency")
    axes.plot(batches, [row.host_s * 1e3 for row in rows], "--", color=HOST, label="host time")
    axes.plot(batches, [row.device_s * 1e3 for row in rows], ":", color=DEVICE, linewidth=2.2, label="kernels and gaps")
    if advice.crossover and batches[0] < advice.crossover <= batches[-1]:
        axes.axvline(advice.crossover, color="0.4", linewidth=1)
        axes.annotate(
            f"bound by the GPU\nfrom batch {advice.crossover}",
            (advice.crossover, axes.get_ylim()[1]),
            xytext=(-4, -4),
            textcoords="offset points",
            ha="right",
            va="top",
        )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(batches, [str(batch) for batch in batches])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="y", which="minor", labelsize=7)
    axes.set(xlabel="batch size (samples)", ylabel="time (ms)", title="Latency, and what bounds it")
    axes.legend(loc="lower right")


def _breakdown(axes: Axes, advice: Advice) -> None:
    parts = advice.report.breakdown.by("op", top=OPERATORS)[::-1]
    places = np.arange(len(parts))
    host = [part.cost.host_s * 1e3 for part in parts]
    kernels = [part.cost.kernel_s * 1e3 for part in parts]
    axes.barh(places + 0.2, host, 0.38, color=HOST, label="host", edgecolor="black", linewidth=0.4)
    axes.barh(
        places - 0.2, kernels, 0.38, color="#9dc3ee", hatch="////", label="kernels", edgecolor=DEVICE, linewidth=0.4
    )
    axes.set_yticks(places, ["all others" if part.name == OTHERS else part.name for part in parts])
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="time (ms)", title="Where the time goes, by operator")
    axes.legend(loc="lower right")


def _runtimes(axes: Axes, advice: Advice) -> None:
    rows = [row for row in advice.runtimes if row.latency_s is not None and row.interval_s is not None][::-1]
    places = np.arange(len(rows))
    for place, row in zip(places, rows, strict=True):
        latency, (low, high) = (row.latency_s or 0.0) * 1e3, row.interval_s or (0.0, 0.0)
        tied = row.tied
        axes.barh(place, latency, 0.6, color="#c9dcc4" if tied else "0.8", hatch=".." if tied else "", edgecolor="0.3")
        axes.errorbar(
            latency, place, xerr=[[latency - low * 1e3], [high * 1e3 - latency]], color="black", capsize=3, linewidth=1
        )
        axes.annotate(_number(latency), (high * 1e3, place), xytext=(6, 0), textcoords="offset points", va="center")
    axes.margins(x=0.12)
    axes.set_yticks(places, [row.runtime for row in rows])
    axes.grid(visible=False, axis="y")
    tied_title = " (dotted: tied, measure these)" if any(row.tied for row in rows) else ""
    axes.set(xlabel="latency (ms), with its 90 % interval", title=f"Runtimes{tied_title}")


MARKERS = "os^Dv<>Ph*"
"""Of the kernel families."""

FAMILIES_SHOWN = 6
"""Kernel families with a marker of their own."""


def _roofline(axes: Axes, advice: Advice) -> None:
    roofline = advice.roofline
    kernels = [kernel for kernel in roofline.kernels if kernel.flops > 0 and kernel.bytes > 0 and kernel.seconds > 0]
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="arithmetic intensity (FLOP/byte)",
        ylabel="achieved (TFLOP/s)",
        title="Kernels under the roofline (area: share of time)",
    )
    if not kernels:
        return
    total_s = sum(kernel.count * kernel.seconds for kernel in kernels)
    intensities = [kernel.flops / kernel.bytes for kernel in kernels]
    ridge = roofline.peak_flops / roofline.bandwidth_bytes_per_s
    intensity = np.geomspace(min(*intensities, ridge / 10) / 2, max(*intensities, ridge) * 4, 200)
    roof = np.minimum(roofline.peak_flops, intensity * roofline.bandwidth_bytes_per_s)
    axes.plot(intensity, roof / 1e12, "-", color=LATENCY, label="roof: bandwidth, peak")
    moved = float(np.median(np.repeat([k.bytes for k in kernels], [max(k.count, 1) for k in kernels])))
    floor = 1 / (1 / roof + roofline.floor_s / (intensity * moved))
    label = f"with a launch floor of {roofline.floor_s * 1e6:.2g} µs, moving {moved / 1e6:.2g} MB (median)"
    axes.plot(intensity, floor / 1e12, "--", color="0.35", label=label)
    families = list(dict.fromkeys(kernel.family for kernel in kernels))
    for number, family in enumerate(families[:FAMILIES_SHOWN] + ([""] if len(families) > FAMILIES_SHOWN else [])):
        own = [k for k in kernels if (k.family == family if family else k.family in families[FAMILIES_SHOWN:])]
        axes.scatter(
            [k.flops / k.bytes for k in own],
            [k.flops / k.seconds / 1e12 for k in own],
            [12 + 500 * k.count * k.seconds / total_s for k in own],
            marker=MARKERS[number],
            color=str(0.15 + 0.1 * number),
            alpha=0.6,
            edgecolors="black",
            linewidths=0.5,
            label=family or "others",
        )
    legend = axes.legend(loc="best", fontsize=7, framealpha=0.6)
    for handle in legend.legend_handles[2:]:
        handle.set_sizes([25])  # type: ignore[union-attr]
