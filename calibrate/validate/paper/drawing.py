"""Points -> a plot, with Matplotlib, without a display."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from calibrate.validate.paper.description import Figure, Line, Panel
from calibrate.validate.paper.points import Point
from predictor.errors import PredictorError

COLOURS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
"""Okabe and Ito's, which colour-blind readers tell apart; in grey the dashes and markers do."""

DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (3, 1)), (0, (8, 2)), (0, (5, 1, 1, 1, 1, 1)), "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

ACROSS = 3
"""Panels in a row."""

WIDTH_IN, HEIGHT_IN = 4.0, 3.2
"""Of a panel, inches."""

DPI = 110


def plot(figure: Figure, points: Sequence[Point], title: str) -> tuple[str, bytes]:
    """(SVG, PNG) of a figure. Raises PredictorError where Matplotlib is not installed."""
    try:
        import matplotlib
        from matplotlib.figure import Figure as Canvas
    except ImportError:
        raise PredictorError("plots need Matplotlib: pip install 'framework-tax-predictor[plot]'") from None
    style = {
        **{"svg.fonttype": "none", "svg.hashsalt": figure.title, "font.family": "sans-serif", "font.size": 9},
        **{"axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 9, "legend.fontsize": 7.5},
    }
    with matplotlib.rc_context(style):
        across = min(ACROSS, len(figure.panels))
        down = -(-len(figure.panels) // across)
        canvas = Canvas(figsize=(WIDTH_IN * across, HEIGHT_IN * down + 0.6), layout="constrained")
        canvas.suptitle(title, fontsize=10, fontweight="bold")
        axes = canvas.subplots(down, across, squeeze=False).flatten()
        for place, panel in zip(axes, figure.panels, strict=False):
            _draw_panel(place, panel, [p for p in points if p.panel is panel])
        for place in axes[len(figure.panels) :]:
            place.set_axis_off()
        _draw_key(canvas, points)
        return _svg(canvas), _png(canvas)


def _draw_panel(axes: Any, panel: Panel, points: Sequence[Point]) -> None:
    axes.set_title(panel.title)
    drawn = [p for p in points if p.report]
    for number, line in enumerate(panel.lines):
        own = [p for p in drawn if p.line is line]
        if own:
            _draw_line(axes, panel, line, own, number)
    if not drawn:
        axes.text(0.5, 0.5, "cannot be predicted from the\nshipped graphs", ha="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    y = panel.lines[0].y
    axes.set_xlabel(panel.x.label)
    axes.set_ylabel(panel.y_label or y.label)
    if panel.ticks:
        axes.set_xticks(range(len(panel.ticks)), panel.ticks, rotation=25, ha="right")
        axes.set_xlim(-0.5, len(panel.ticks) - 0.5)
    elif panel.x.logarithmic:
        axes.set_xscale("log", base=panel.x.logarithmic)
        if panel.x.logarithmic == 2:
            sizes = sorted({p.x for p in drawn})
            axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
            axes.minorticks_off()
    _scale_y(axes, y.logarithmic and not panel.ticks)
    axes.grid(alpha=0.25, linewidth=0.5)
    if len(panel.lines) > 1:
        axes.legend(frameon=False, handlelength=2.6, labelspacing=0.3)


def _scale_y(axes: Any, logarithmic: bool) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if not logarithmic:
        axes.set_ylim(bottom=0)
        return
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _draw_line(axes: Any, panel: Panel, line: Line, points: Sequence[Point], number: int) -> None:
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    ordered = sorted(points, key=lambda p: p.x or 0.0)
    x, y = [p.x for p in ordered], [p.y for p in ordered]
    if panel.joined:
        axes.plot(x, y, color=colour, linestyle=DASHES[number % len(DASHES)], linewidth=1.3, label=line.label)
    else:
        axes.scatter(x, y, color=colour, marker="_", s=60, linewidth=1.8, label=line.label)
    if not line.y.is_latency:
        return
    low, high = zip(*[(r.interval_s[0] * 1e3, r.interval_s[1] * 1e3) for p in ordered if (r := p.report)], strict=True)
    if panel.joined:
        axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
    else:
        axes.vlines(x, low, high, color=colour, alpha=0.25, linewidth=4)
    for name, face in (("measured_s", colour), ("published_s", "none")):
        seen = [(p.x, seconds * 1e3) for p in ordered if (seconds := getattr(p, name)) is not None]
        if seen:
            axes.scatter(*zip(*seen, strict=True), marker=marker, s=18, facecolors=face, edgecolors=colour, zorder=3)


def _draw_key(canvas: Any, points: Sequence[Point]) -> None:
    """What lines, shades and markers mean."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    predicted: Any = (
        Line2D([], [], color="#444444", linewidth=1.3)
        if any(p.panel.joined for p in points)
        else Line2D([], [], color="#444444", marker="_", linestyle="none", markersize=8)
    )
    key: list[Any] = [(predicted, "predicted"), (Patch(color="#444444", alpha=0.2, linewidth=0), "90 % interval")]
    for name, label, face in (("measured_s", "measured", "#444444"), ("published_s", "published in the paper", "none")):
        if any(getattr(p, name) is not None for p in points):
            dot = Line2D([], [], color="#444444", marker="o", linestyle="none", markersize=4.5, markerfacecolor=face)
            key.append((dot, label))
    canvas.legend(*zip(*key, strict=True), loc="outside lower center", ncols=len(key), frameon=False)


def _svg(canvas: Any) -> str:
    """The plot as an element of a page: without the file's head, and without what changes from day to day."""
    text = io.StringIO()
    canvas.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None})
    element = text.getvalue()[text.getvalue().index("<svg") :]
    return re.sub(r"<metadata>.*?</metadata>\s*", "", element, flags=re.DOTALL)


def _png(canvas: Any) -> bytes:
    data = io.BytesIO()
    canvas.savefig(data, format="png", dpi=DPI, metadata={"Software": None})
    return data.getvalue()


def summary(points: Sequence[Point]) -> str:
    """Lines and points in words, for readers of the page who do not see the plot."""
    parts = []
    for _, own in groupby(points, key=lambda p: (id(p.panel), id(p.line))):
        line_points = [p for p in own if p.y is not None]
        if line_points:
            first, last = line_points[0], line_points[-1]
            parts.append(f"{first.panel.title}, {first.line.label}: {first.y:.3g} to {last.y:.3g}")
    return "; ".join(parts)
