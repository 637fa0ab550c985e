"""Figures, pages, and what records and plans show of themselves."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from predictor.advice import Advice
from predictor.cli.main import app
from predictor.errors import PredictorError
from predictor.report import _page, _plots
from predictor.report.json import render
from predictor.sources import plan_of

PLAN = plan_of("distilbert")


@cache
def advice() -> Advice:
    return PLAN.advise("h200")


# figures


def test_a_figure_has_four_panels_with_units_and_what_was_predicted() -> None:
    over_batch, breakdown, runtimes, roofline = _plots.figure(advice()).axes
    labels = [axes.get_xlabel() for axes in (over_batch, breakdown, runtimes, roofline)]
    assert [label for label in labels if "(" not in label] == []
    lines = {line.get_label(): line for line in over_batch.get_lines()}
    latencies = [row.latency_s * 1e3 for row in advice().sizes]
    assert list(lines["latency"].get_ydata()) == pytest.approx(latencies)
    assert len({line.get_linestyle() for name, line in lines.items() if not name.startswith("_")}) == 3
    assert len(runtimes.patches) == sum(row.latency_s is not None for row in advice().runtimes)
    hatches = {patch.get_hatch() for patch in breakdown.patches}
    assert len(hatches) == 2  # host and kernels differ without colour
    assert "launch floor" in " ".join(text.get_text() for text in roofline.get_legend().get_texts())


def test_no_kernel_is_above_its_roof_by_more_than_the_fits_allow() -> None:
    roofline = advice().roofline
    kernels = [kernel for kernel in roofline.kernels if kernel.family == "gemm"]
    assert kernels
    for kernel in kernels:
        assert kernel.flops / kernel.seconds <= 1.05 * roofline.peak_flops
    total_s = sum(kernel.count * kernel.seconds for kernel in roofline.kernels)
    assert total_s == pytest.approx(advice().report.kernel_s)


@pytest.mark.parametrize(("name", "magic"), [("plot.svg", b"<?xml"), ("plot.png", b"\x89PNG"), ("plot.pdf", b"%PDF")])
def test_a_figure_is_written_as_its_name_says(tmp_path: Path, name: str, magic: bytes) -> None:
    _plots.write(advice(), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(magic)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PredictorError, match="svg"):
        _plots.write(advice(), tmp_path / "plot.gif")
    with pytest.raises(PredictorError, match="cannot write"):
        _plots.write(advice(), tmp_path / "missing" / "plot.svg")


# pages


class Tags(HTMLParser):
    """Tags that are open, and addresses that are loaded."""

    VOID = frozenset({"meta", "br", "path", "use", "rect", "image"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        names = ("src", "href", "xlink:href")
        self.loaded += [value for name, value in attributes if name in names and value and not value.startswith("#")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_a_page_is_whole_and_loads_nothing(tmp_path: Path) -> None:
    _page.write(advice(), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text("utf-8")
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert {"svg", "table"} <= tags.seen
    assert "script" not in tags.seen
    assert tags.loaded == []
    assert "@import" not in text
    ET.fromstring(re.sub(r"\A.*?(<svg.*</svg>).*\Z", r"\1", text, flags=re.S))


def test_a_page_says_what_the_advice_says() -> None:
    text = _page.body(advice())
    assert "Framework-bound" in text
    assert f"from batch {advice().crossover} on" in text
    for change in advice().changes:
        assert change.what in text


def test_names_of_a_model_are_no_html() -> None:
    text = _page._table(("<b>",), [("<script>",)])
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


# the command


def test_the_command_writes_both_and_prints_the_report(tmp_path: Path) -> None:
    plot, page = tmp_path / "out.svg", tmp_path / "out.html"
    asked = ["distilbert", "--gpu", "h200", "--plot", str(plot), "--html", str(page)]
    result = CliRunner().invoke(app, asked)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "latency " in result.stdout
    assert plot.is_file()
    assert page.is_file()


def test_a_wrong_name_of_a_plot_is_told_before_anything_is_captured(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["no-such-model", "--gpu", "h200", "--plot", str(tmp_path / "out.jpg")])
    assert result.exit_code == 2
    assert "out.jpg" in result.stderr


# what records and plans show


def test_a_report_shows_itself() -> None:
    report = PLAN.report("h200")
    assert str(report).startswith("distilbert, batch 1")
    assert report.to_json() == render(report)
    assert report.to_dict()["latency_s"] == report.latency_s
    assert "<table>" in report._repr_html_()
    frame = report.to_pandas("module", depth=1)
    assert frame["critical_s"][0] == pytest.approx(report.latency_s)
    assert frame["name"][0] == "(model)"


def test_advice_shows_itself() -> None:
    assert json.loads(advice().to_json())["advice"]["crossover_batch"] == advice().crossover
    assert "<svg" not in advice()._repr_html_()
    assert list(advice().to_pandas()["batch"]) == [row.batch for row in advice().sizes]


def test_a_plan_shows_what_it_knows() -> None:
    assert str(PLAN).startswith("distilbert: batch 1, length 128, any dtype; captured: ")
    data = json.loads(PLAN.to_json())
    assert data == json.loads(json.dumps(PLAN.to_dict()))
    assert {"dtype": "fp16", "mode": "eager"}.items() <= next(
        row for row in data["captured"] if (row["dtype"], row["mode"]) == ("fp16", "eager")
    ).items()
    assert len(PLAN.to_pandas()) == len(data["captured"])
    assert PLAN._repr_html_().startswith("<p>distilbert")
