"""Latencies of the user's own, in Python and in files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from torch import nn, rand
from typer.testing import CliRunner

from predictor import Measured, Predictor, PredictorError, plan, read_measured
from predictor.cli.main import app
from predictor.sources import plan_of
from tests.helpers import complaint

CSV = """model,batch,runtime,latency_ms,length
bert-base,1,eager,16.1,
resnet50,1,eager,17.0,
gpt2,1,torchscript,14.2,128
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text(CSV)
    return path


def test_a_file_corrects_a_prediction_and_the_report_says_so(table: Path) -> None:
    ask = ["--model", "vit-base", "--gpu", "v100"]
    plain, found = (
        json.loads(CliRunner().invoke(app, [*ask, *more, "--json"]).output) for more in ([], ["--measured", str(table)])
    )
    correction = found["correction"]
    assert plain["correction"] is None
    assert correction["latencies"] == 3
    assert correction["host_factor"] > 1.2
    assert found["host_s"] == pytest.approx(plain["host_s"] * correction["host_factor"])
    assert found["kernel_s"] == pytest.approx(plain["kernel_s"] * correction["device_factor"])
    widths = [report["interval_s"][1] / report["interval_s"][0] for report in (plain, found)]
    assert widths[1] < 0.7 * widths[0]
    text = CliRunner().invoke(app, [*ask, "--measured", str(table)]).output
    host, device = correction["host_factor"], correction["device_factor"]
    assert f"corrected by 3 measured latencies: host x{host:.2f}, device x{device:.2f}" in text.splitlines()[2]
    assert all(len(line) <= 80 for line in text.splitlines()[:4])


def test_a_measured_model_is_predicted_as_it_was_measured(table: Path) -> None:
    """Many latencies that agree outweigh the prior."""
    names = ("bert-base", "resnet50", "gpt2", "vit-base", "mobilenet_v2")
    mine = [Measured(name, 1.7 * plan_of(name).report("h200").latency_s) for name in names]
    found = Predictor("h200", measured=mine).report(plan_of("distilbert"))
    assert found.latency_s == pytest.approx(1.7 * plan_of("distilbert").report("h200").latency_s, rel=0.05)
    assert found.correction is not None
    assert found.correction.latencies == 5


def test_one_object_corrects_reports_sweeps_and_comparisons() -> None:
    made, mine = plan_of("bert-base"), (Measured("gpt2", 0.02),)
    report = made.report("v100", batch=4, measured=mine)
    assert report.latency_s > made.report("v100", batch=4).latency_s
    assert made.sweep("v100", batch=4, measured=mine) == pytest.approx(report.latency_s)
    (eager,) = (row.report for row in made.compare("v100", batch=4, measured=mine) if row.runtime == "eager")
    assert eager is not None
    assert eager.latency_s == report.latency_s


def test_what_was_measured_may_be_a_module_a_plan_or_a_name() -> None:
    module, x = nn.Sequential(*(nn.Linear(64, 64) for _ in range(20))), rand(2, 64)
    for model in ((module, x), plan(module, x)):
        assert Measured(model, 1e-3).plan.batch == 2
    assert Measured("resnet50", 1e-3).plan is Measured("resnet50", 2e-3, batch=8).plan
    with pytest.raises(PredictorError, match=r"a plan, \(module, inputs\) or a name, not int"):
        _ = Measured(3, 1e-3).plan


@pytest.mark.parametrize("latency_s", [0.0, -1.0, float("nan"), 1e9, "3"])
def test_a_latency_that_cannot_be_is_refused(latency_s: float) -> None:
    with pytest.raises(PredictorError, match="bert-base: a measured latency is a number of seconds"):
        plan_of("gpt2").report("v100", measured=[Measured("bert-base", latency_s)])


def test_a_latency_that_contradicts_the_others_is_in_the_notes() -> None:
    names = ("bert-base", "resnet50", "vit-base", "gpt2")
    mine = [Measured(name, plan_of(name).report("h200").latency_s) for name in names]
    found = plan_of("distilbert").report("h200", measured=[*mine, Measured("mobilenet_v2", 0.2)])
    assert any("mobilenet_v2, batch 1, eager, 200 ms: such a latency contradicts the others" in n for n in found.notes)


def test_json_is_read_as_a_table_is(table: Path, tmp_path: Path) -> None:
    rows = [
        {"model": "bert-base", "batch": 1, "runtime": "eager", "latency_ms": 16.1},
        {"model": "resnet50", "batch": 1, "runtime": "eager", "latency_ms": 17},
        {"model": "gpt2", "batch": 1, "runtime": "torchscript", "latency_ms": 14.2, "length": 128, "dtype": None},
    ]
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(rows))
    for one, other in zip(read_measured(path), read_measured(table), strict=True):
        for field in ("model", "latency_s", "runtime", "dtype", "batch", "length"):
            assert getattr(one, field) == getattr(other, field)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("latency_ms", "latency"), "row 1: unknown column 'latency': did you mean latency_ms"),
        (("16.1", "fast"), "row 1: latency_ms is a number, not 'fast'"),
        (("17.0", "-3"), "row 2: latency_ms is a positive number"),
        (("16.1", "nan"), "row 1: latency_ms is a positive number"),
        (("resnet50,1", "resnet50,0"), "batch must be 1 or more"),
        (("torchscript", "torchskript"), "row 3: unknown runtime 'torchskript': did you mean torchscript"),
        (("gpt2", ""), "row 3: model is missing"),
        ((CSV, ""), "expected rows with model, batch, runtime, latency_ms"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(change: tuple[str, str], said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(CSV.replace(*change, 1))
    assert said in complaint(CliRunner().invoke(app, ["--model", "gpt2", "--gpu", "v100", "--measured", str(path)]))


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(PredictorError, match=re.escape("no such file")):
        read_measured(tmp_path / "none.csv")
