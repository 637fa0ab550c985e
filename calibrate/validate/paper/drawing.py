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

LEGEND_COLUMNS = 2
LEGEND_ROW = 0.075
"""Height of a row of the legend, over that of a panel."""

LEAST_RANGE = 6.0
"""Top over bottom of a logarithmic axis, at the least: what is flat is to look flat."""

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
    drawn = [p for p in points if _heights(p)]
    if not drawn:
        axes.text(0.5, 0.5, "cannot be predicted from\nthe shipped graphs", ha="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    lines = [line for line in panel.lines if any(p.line is line for p in drawn)]
    for line in lines:
        draw = _draw_line if panel.joined else _draw_cloud
        number = panel.lines.index(line) % len(COLOURS)
        draw(axes, line, sorted((p for p in drawn if p.line is line), key=lambda p: p.x), number)
    y = panel.lines[0].y
    axes.set_xlabel(panel.x.label)
    axes.set_ylabel(panel.y_label or y.label)
    if panel.ticks:
        axes.set_xticks(range(len(panel.ticks)), panel.ticks, rotation=25, ha="right")
        axes.set_xlim(-0.5, len(panel.ticks) - 0.5)
    else:
        axes.set_xscale("log", base=panel.x.base)
        axes.xaxis.set_major_formatter("{x:g}")
        if panel.x.base == 2:
            axes.set_xticks(sorted({p.x for p in drawn}))
            axes.minorticks_off()
    heads = -(-len(panel.lines) // LEGEND_COLUMNS) if len(panel.lines) > 1 else 0
    _scale_y(axes, y.logarithmic and not panel.ticks, heads * LEGEND_ROW)
    axes.grid(alpha=0.25, linewidth=0.5)
    if heads:
        style: dict[str, Any] = {"handlelength": 2.6, "labelspacing": 0.3, "columnspacing": 1.2, "borderaxespad": 0.2}
        axes.legend(loc="upper left", ncols=LEGEND_COLUMNS, frameon=False, **style)


def _heights(point: Point) -> list[float]:
    """All that is drawn of a point."""
    seen = [point.measured_s, point.published_s] if point.line.y.is_latency else []
    return [y for y in (point.y, *(s * 1e3 if s else None for s in seen)) if y is not None]


def _scale_y(axes: Any, logarithmic: bool, headroom: float) -> None:
    """headroom: part of the height that is left for the legend."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if not logarithmic:
        axes.set_ylim(bottom=0)
        return
    axes.set_yscale("log")
    bottom, top = axes.get_ylim()
    missing = max(LEAST_RANGE / (top / bottom), 1.0) ** 0.5
    bottom, top = bottom / missing, top * missing
    axes.set_ylim(bottom, top * (top / bottom) ** (headroom / (1 - headroom)))
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _draw_line(axes: Any, line: Line, points: Sequence[Point], number: int) -> None:
    """A line of what is predicted, its interval shaded; measured points filled, published ones hollow."""
    colour, marker = COLOURS[number], MARKERS[number]
    predicted = [p for p in points if p.report]
    x = [p.x for p in predicted]
    alone: dict[str, Any] = {"marker": "_", "markersize": 14, "markeredgewidth": 1.6} if len(x) == 1 else {}
    style: dict[str, Any] = {"color": colour, "linestyle": DASHES[number], "linewidth": 1.3}
    axes.plot(x, [p.y for p in predicted], **style, **alone)
    observed = any(p.measured_s or p.published_s for p in points) and line.y.is_latency
    inside = colour if any(p.measured_s for p in points) else "none"
    label: dict[str, Any] = {"marker": marker, "markersize": 4, "markerfacecolor": inside} if observed else {}
    axes.plot([], [], label=line.label, **label, **style)
    if not line.y.is_latency:
        return
    if predicted:
        axes.fill_between(x, *_interval(predicted), color=colour, alpha=0.10, linewidth=0)
        if alone:  # an area has no width there
            axes.vlines(x, *_interval(predicted), color=colour, alpha=0.25, linewidth=3)
    for name, face in (("measured_s", colour), ("published_s", "none")):
        seen = [(p.x, seconds * 1e3) for p in points if (seconds := getattr(p, name)) is not None]
        if seen:
            axes.scatter(*zip(*seen, strict=True), marker=marker, s=18, facecolors=face, edgecolors=colour, zorder=3)


def _draw_cloud(axes: Any, line: Line, points: Sequence[Point], number: int) -> None:
    """What is predicted as hollow markers on their intervals; observed points small and black, measured ones filled."""
    colour = COLOURS[number]
    predicted = [p for p in points if p.report]
    style: dict[str, Any] = {"marker": MARKERS[number], "facecolors": "none", "linewidth": 1.2, "label": line.label}
    axes.scatter([p.x for p in predicted], [p.y for p in predicted], edgecolors=colour, s=34, zorder=3, **style)
    if not line.y.is_latency:
        return
    if predicted:
        axes.vlines([p.x for p in predicted], *_interval(predicted), color=colour, alpha=0.25, linewidth=3)
    for name, face in (("measured_s", "black"), ("published_s", "white")):
        seen = [(p.x, seconds * 1e3) for p in points if (seconds := getattr(p, name)) is not None]
        if seen:
            dot: dict[str, Any] = {"marker": "o", "s": 9, "facecolors": face, "edgecolors": "black", "linewidth": 0.8}
            axes.scatter(*zip(*seen, strict=True), zorder=4, **dot)


def _interval(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    """Lower and upper ends, milliseconds."""
    reports = [p.report for p in points if p.report]
    return [r.interval_s[0] * 1e3 for r in reports], [r.interval_s[1] * 1e3 for r in reports]


def _draw_key(canvas: Any, points: Sequence[Point]) -> None:
    """What lines, shades and markers mean."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    predicted: Any = (
        Line2D([], [], color="#444444", linewidth=1.3)
        if any(p.panel.joined for p in points)
        else Line2D([], [], color="#444444", marker="s", linestyle="none", markersize=6, markerfacecolor="none")
    )
    key: list[Any] = [(predicted, "predicted"), (Patch(color="#444444", alpha=0.2, linewidth=0), "90 % interval")]
    for name, label, face in (("measured_s", "measured", "#444444"), ("published_s", "published in the paper", "none")):
        if any(getattr(p, name) is not None for p in points):
            dot = Line2D([], [], color="#444444", marker="o", linestyle="none", markersize=4, markerfacecolor=face)
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
