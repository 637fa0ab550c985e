"""Figures, from their descriptions to the page."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

import models_zoo
from calibrate.validate.paper import command, figures, observations, points, statements
from calibrate.validate.paper.predictions import NO_GRAPH, Predictions
from calibrate.workloads.cases import Case
from predictor import runtimes
from predictor.errors import PredictorError

pytest.importorskip("matplotlib")

HEAD = "session,gpu,runtime,precision,model,batch,input_size,latency_ms,macs,nn_calls\n"
ROWS = """\
rtx8000-eager-fp16-a,rtx8000,eager,fp16,bert,1,128,10.5,1,1
rtx8000-eager-fp16-a,rtx8000,eager,fp16,bert,2,128,10.9,1,1
rtx8000-eager-fp16-b,rtx8000,eager,fp16,bert,1,128,99.0,1,1
a100-eager-fp32-a,a100,eager,fp32,bert,1,128,9.5,1,1
rtx8000-eager-fp16-a,rtx8000,eager,fp16,gernet,1,224,5.0,1,1
"""


@pytest.fixture
def published(tmp_path: Path) -> Path:
    path = tmp_path / "published.csv"
    path.write_text(HEAD + ROWS, encoding="utf-8")
    return path


@pytest.fixture
def first_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "STATEMENTS", statements.STATEMENTS[:1])


@pytest.mark.usefixtures("first_statement")
def test_a_figure_end_to_end(tmp_path: Path, published: Path) -> None:
    told: list[str] = []
    judged = command.write("rtx8000", tmp_path / "out", published, ["figure03"], tell=told.append)

    with (tmp_path / "out" / "figure03.csv").open(encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
        assert tuple(reader.fieldnames or ()) == points.COLUMNS
    row = next(r for r in rows if (r["panel"], r["line"], r["batch"]) == ("fp16", "latency", "1"))
    assert float(row["published_ms"]) == 10.5  # of the session with more rows
    assert float(row["low_ms"]) < float(row["predicted_ms"]) < float(row["high_ms"])
    assert row["y"]
    assert float(row["x"]) == 1
    kernels = next(r for r in rows if (r["panel"], r["line"], r["batch"]) == ("fp16", "kernel time", "128"))
    assert float(kernels["y"]) == pytest.approx(float(kernels["kernel_ms"]), rel=1e-3)

    assert (tmp_path / "out" / "figure03.png").read_bytes().startswith(b"\x89PNG")
    assert not told
    assert len(judged) == 1
    with (tmp_path / "out" / "statements.csv").open(encoding="utf-8") as file:
        assert tuple(csv.DictReader(file).fieldnames or ()) == statements.COLUMNS
    _check_page((tmp_path / "out" / "index.html").read_text(encoding="utf-8"))


def _check_page(page: str) -> None:
    """It refers to nothing outside of itself: no address but the names of namespaces, no script, no style sheet."""
    addresses = set(re.findall(r"https?://[^\"'\s<>)]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"<script|<link|<img|@import|\ssrc=", page)
    links = re.findall(r"href=\"(#[^\"]*)\"", page)
    assert all(f'id="{link[1:]}"' in page for link in links)
    assert page.count("<svg") == 1


@pytest.mark.usefixtures("first_statement")
def test_the_same_figure_is_the_same_file(tmp_path: Path) -> None:
    command.write("rtx8000", tmp_path / "one", names=["table3"])
    command.write("rtx8000", tmp_path / "two", names=["table3"])
    assert (tmp_path / "one" / "table3.svg").read_bytes() == (tmp_path / "two" / "table3.svg").read_bytes()


def test_figures_show_models_and_runtimes_that_exist() -> None:
    cases = {case for name in figures.names() for _, case in points.cases_of(figures.load(name), "h200")}
    assert {case.model for case in cases} <= set(models_zoo.names())
    assert {case.runtime for case in cases} <= set(runtimes.names())


def test_all_figures_and_tables_of_the_paper_are_there() -> None:
    numbers = (1, *range(3, 14))
    assert figures.names() == [*(f"figure{n:02}" for n in numbers), "table1", "table3"]


def test_an_unknown_figure_is_refused() -> None:
    with pytest.raises(PredictorError, match="figure99"):
        figures.load("figure99")


def test_nothing_is_captured_unless_asked_for() -> None:
    with pytest.raises(PredictorError, match=re.escape(NO_GRAPH)):
        Predictions("rtx8000").report(Case("roberta", 3, "fp16", "eager", lengths="ptb"))


def test_what_lacks_is_named_once() -> None:
    figure = figures.load("figure05")
    found = points.points_of(figure, Predictions("rtx8000"), observations.Observations())
    assert points.left_out(found) == []
    missing = [p for p in found if p.report is None]
    assert not missing


def test_padding_that_is_skipped_makes_a_pass_faster() -> None:
    predictions = Predictions("rtx8000")
    sparse, padded = (Case("bert-base", 128, "fp16", r, lengths="ptb") for r in ("bettertransformer", "eager"))
    assert predictions.report(sparse).latency_s < predictions.report(padded).latency_s / 2


def test_published_rows_of_other_models_and_unreliable_sessions_are_left_out(published: Path) -> None:
    rows = observations.published(published)
    assert set(rows) == {("rtx8000", Case("bert-base", batch, "fp16", "eager")) for batch in (1, 2)}


def test_a_table_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(PredictorError, match="published latencies"):
        observations.published(path)


def test_measurements_lie_with_their_calibration() -> None:
    assert 1e-3 < observations.measured("h200")["h200", Case("bert-base", 1, "fp16", "eager")] < 20e-3
    assert observations.measured("rtx8000") == {}
