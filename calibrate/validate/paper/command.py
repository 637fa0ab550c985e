"""``validate paper``: all figures and statements, written to a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from calibrate.validate.paper import figures, statements
from calibrate.validate.paper.drawing import plot, summary
from calibrate.validate.paper.figures.figure09 import GENERATIONS, SHOWN
from calibrate.validate.paper.observations import Observations, measured, published
from calibrate.validate.paper.page import Drawn, page
from calibrate.validate.paper.points import cases_of, left_out, points_of, table
from calibrate.validate.paper.predictions import Predictions
from calibrate.validate.paper.statements import Judged, View
from calibrate.workloads.cases import Case
from predictor.calibration.load import load_calibration
from predictor.errors import PredictorError

PUBLISHED_NOTE = (
    "The paper's own latencies, which its authors published, are means of back-to-back passes. The calibrations of the "
    "paper's GPUs were fitted to them: that predictions lie on them is no test."
)
MEASURED_NOTE = "Measured latencies are of synchronised passes on another host of the calibration's kind."


def write(
    gpu: str,
    out: Path,
    data: Path | None = None,
    names: Sequence[str] = (),
    capture: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> list[Judged]:
    """Write a plot (SVG, PNG) and a table (CSV) for each figure, ``statements.csv`` and ``index.html`` to a folder.

    data: table of published latencies; names: of figures, all if none; capture: whether graphs that are not shipped are
    captured; tell: hears what is left out. Returns the statements. Raises PredictorError for unknown names, a table
    that cannot be read, a folder that cannot be written.
    """
    shown = {name: figures.load(name) for name in names or figures.names()}
    others = sorted({*SHOWN, *(other for gpus in GENERATIONS.values() for other in gpus)} - {gpu})
    observations = Observations(
        {key: seconds for name in (gpu, *others) for key, seconds in measured(name).items()},
        published(data) if data else {},
    )
    predictions = Predictions(gpu, capture)
    predictions.prepare(pair for figure in shown.values() for pair in cases_of(figure, gpu))
    drawn = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, figure in shown.items():
            points = points_of(figure, predictions, observations)
            title = (
                figure.title if all(line.gpu for p in figure.panels for line in p.lines) else f"{figure.title}; {gpu}"
            )
            svg, png = plot(figure, points, title)
            (out / f"{name}.svg").write_text(svg, encoding="utf-8")
            (out / f"{name}.png").write_bytes(png)
            (out / f"{name}.csv").write_text(table(points), encoding="utf-8")
            lacking = left_out(points)
            for line in lacking:
                tell(f"{name} leaves out {line}")
            drawn.append(Drawn(name, figure, svg, summary(points), lacking))
        judged = judge_all(predictions, observations)
        (out / "statements.csv").write_text(statements.table(judged), encoding="utf-8")
        (out / "index.html").write_text(page(gpu, drawn, judged, list(_notes(gpu, observations))), encoding="utf-8")
    except OSError as error:
        raise PredictorError(f"{out} cannot be written: {error}") from None
    return judged


def judge_all(predictions: Predictions, observations: Observations) -> list[Judged]:
    """Every statement about the GPU."""
    gpu = predictions.gpu

    def predicted(case: Case, other: str) -> float | None:
        try:
            return predictions.report(case, other).latency_s
        except PredictorError:
            return None

    was_measured = any(name == gpu for name, _ in observations.measured)
    source = "measured" if was_measured else "published"
    observed = View(lambda case, other: observations.seconds(case, other or gpu))
    return [statements.judge(s, View(predicted), observed, source) for s in statements.of_gpu(gpu)]


def _notes(gpu: str, observations: Observations) -> Iterable[str]:
    calibration = load_calibration(gpu)
    software = calibration.host("eager").environment
    yield f"Predicted for {calibration.gpu}, {calibration.host('eager').label or 'its host'}, torch {software.torch}."
    if any(name == gpu for name, _ in observations.measured):
        yield MEASURED_NOTE
    if observations.published:
        yield PUBLISHED_NOTE
