"""What ``predict`` shows besides a report: breakdowns, sweeps, budgets, CSV, traces; and ``predict diff``."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import predictor
from predictor.cli.main import app
from predictor.cli.quantities import duration_s, sizes
from predictor.errors import PredictorError
from tests.helpers import FACTS, complaint

ASKED = ("distilbert", "--gpu", "h200")


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def good(*arguments: str, exit_code: int = 0) -> str:
    result = invoke(*arguments)
    assert (result.exit_code, result.stderr) == (exit_code, "")
    return result.stdout


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# JSON


def test_json_says_its_schema_and_holds_every_breakdown() -> None:
    data = json.loads(good(*ASKED, "--json"))
    assert set(FACTS) <= set(data)
    assert (data["schema"], data["version"], data["length"]) == (1, predictor.__version__, 128)
    assert data["samples_per_s"] == pytest.approx(1 / data["latency_s"])
    assert 0 < data["sms_active"] < data["busy_share"] < 0.5
    views = data["breakdown"]
    assert set(views) == {"op", "module", "layer"}
    assert views["module"][0]["critical_s"] == pytest.approx(data["latency_s"])
    assert views["module"][0]["launches"] == data["launches"]
    assert views["module"][0]["macs"] == data["macs"]
    assert any(row["name"] == "transformer.layer.0.attention.q_lin" for row in views["module"])


def test_generation_is_told_in_tokens_a_second() -> None:
    data = json.loads(good("llama-decode", "--gpu", "h200", "--batch", "8", "--json"))
    assert data["tokens_per_s"] == pytest.approx(8 * data["generated"] / data["latency_s"])
    assert data["generated"] == 1
    assert f"{data['tokens_per_s']:.4g} tokens/s" in good("llama-decode", "--gpu", "h200", "--batch", "8")
    swept = good("llama-decode", "--gpu", "h200", "--batch", "1,8").splitlines()
    assert swept[3].split()[-1] == "tokens/s"
    assert f"{data['tokens_per_s']:.4g}" in swept[5]
    assert json.loads(good(*ASKED, "--json"))["tokens_per_s"] is None
    assert "tokens/s" not in good(*ASKED, "--batch", "1,8")
    assert max(map(len, good("gpt2-generate", "--gpu", "h200").splitlines())) <= 80


# breakdowns


def test_a_tree_of_modules_is_printed_with_what_they_cost() -> None:
    lines = good(*ASKED, "--by", "module", "--depth", "3", "--top", "4").splitlines()
    lines = lines[lines.index("") - 1 :]
    assert lines[2].split() == ["module", "share", "host", "kernels", "launches", "GMACs", "TFLOP/s"]
    assert lines[3].split()[:2] == ["(model)", "100.0%"]
    assert any(line.startswith("    0 ") for line in lines)
    assert max(map(len, lines)) <= 80


def test_a_breakdown_in_json_and_csv_is_the_same() -> None:
    asked = (*ASKED, "--by", "op", "--top", "3")
    as_json, as_csv = json.loads(good(*asked, "--json")), table(good(*asked, "--csv"))
    assert [row["name"] for row in as_json["breakdown"]["op"]] == [row["name"] for row in as_csv]
    assert len(as_csv) == 4
    assert float(as_csv[0]["host_s"]) == as_json["breakdown"]["op"][0]["host_s"]
    assert as_json["latency_s"] > 0


# sweeps


def test_sizes_are_lists_that_double_or_step() -> None:
    assert sizes("--batch", "1,2,4..64") == [1, 2, 4, 8, 16, 32, 64]
    assert sizes("--batch", "3..20") == [3, 6, 12, 20]
    assert sizes("--batch", "64..200+64") == [64, 128, 192, 200]
    assert sizes("--batch", None) is None
    for wrong in ("", "1,", "8..4", "1..8+0", "0..8", "a", "1...3"):
        with pytest.raises(PredictorError, match="--batch"):
            sizes("--batch", wrong)


def test_a_sweep_is_a_table_in_text_json_and_csv() -> None:
    asked = (*ASKED, "--batch", "1,256", "--length", "64,128")
    lines = good(*asked).splitlines()
    lines = lines[lines.index("") - 1 :]
    words = ["batch", "length", "latency", "90", "%", "bound", "busy", "SMs", "samples/s"]
    assert lines[2].split() == words
    assert max(map(len, lines)) <= 80
    reports = json.loads(good(*asked, "--json"))["reports"]
    rows = table(good(*asked, "--csv"))
    for found in (reports, rows):
        assert [(int(r["batch"]), int(r["length"])) for r in found] == [(1, 64), (256, 64), (1, 128), (256, 128)]
    assert [float(row["latency_s"]) for row in rows] == [report["latency_s"] for report in reports]
    assert reports[0]["bound"] == "framework"
    assert rows[-1]["bound"] == "memory" or rows[-1]["bound"] == "compute"


def test_a_comparison_in_csv_has_a_line_for_each_runtime() -> None:
    rows = table(good(*ASKED, "--compare", "--csv"))
    assert {row["runtime"] for row in rows} >= {"eager", "onnx", "cudagraph"}


# budgets


def interval() -> tuple[float, float]:
    low, high = json.loads(good(*ASKED, "--json"))["interval_s"]
    return low * 1e3, high * 1e3


@pytest.mark.parametrize("strict", [False, True])
def test_a_budget_decides_the_exit_code(strict: bool) -> None:
    low, high = interval()
    more = ("--budget-strict",) if strict else ()
    for budget, verdict, code in (
        (high + 0.01, "within", 0),
        ((low + high) / 2, "straddles", 4 if strict else 1),
        (low - 0.01, "over", 1),
    ):
        said = json.loads(good(*ASKED, "--json", "--budget", f"{budget}ms", *more, exit_code=code))
        assert (said["verdict"], said["budget_s"]) == (verdict, pytest.approx(budget / 1e3))


def test_a_budget_of_a_sweep_is_that_of_its_worst_size() -> None:
    text = good(*ASKED, "--batch", "1,512", "--budget", "5ms", exit_code=1)
    header, *rows = text.partition("\n\n")[2].splitlines()[:3]
    assert [line.split()[-1] for line in (header, *rows)] == ["budget", "within", "over"]


def test_a_budget_is_told_in_text() -> None:
    assert "budget       1000 ms kept: the interval ends at" in good(*ASKED, "--budget", "1s")


def test_a_time_wants_its_unit() -> None:
    assert [duration_s("--budget", text) for text in ("5ms", "250us", "0.01s", "1e-3 s")] == [
        *(pytest.approx(0.005), pytest.approx(250e-6), 0.01, 0.001)
    ]
    for wrong in ("5", "ms", "5m", "-5ms", "1.2.3s", ""):
        with pytest.raises(PredictorError, match="--budget wants a time with its unit"):
            duration_s("--budget", wrong)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--budget", "5"), "a time with its unit"),
        (("--budget-strict",), "--budget-strict is of a --budget"),
        (("--top", "3"), "--depth and --top are of a breakdown"),
        (("--by", "modul"), "unknown breakdown 'modul'"),
        (("--trace-measured", "p.json"), "say where both traces go"),
        (("--compare", "--budget", "5ms"), "--budget is of one prediction: leave --compare out"),
        (("--compare", "--batch", "1,2"), "--compare takes one batch size"),
        (("--by", "op", "--batch", "1,2"), "--by takes one batch size"),
        (("--batch", "1,0"), "batch must be 1 or more, not 0"),
        (("--format", "xml"), "unknown format 'xml'"),
        (("--budget", "0ms"), "a time with its unit"),
        (("--advise", "--compare"), "--advise compares the runtimes, too: leave --compare out"),
        (("--batch", f"{10**21}"), "batch is 2147483647 at most"),
        (("--length", f"{2**31}"), "length is 2147483647 at most"),
        (("--batch", "1..100000000000+1"), "is more than 10000 sizes"),
        (("--measured", "nothere.csv"), "no such file: nothere.csv"),
        (("--host", "nowhere"), "unknown host of h200 'nowhere': predict list hosts --gpu h200 tells all"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(more: tuple[str, ...], message: str) -> None:
    assert message in complaint(invoke(*ASKED, *more))


# traces


def test_a_trace_is_written_with_a_measured_one_beside(tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    event = {"ph": "X", "cat": "cpu_op", "name": "aten::linear", "pid": 7, "tid": 7, "ts": 50.0, "dur": 4.0}
    profile.write_text(json.dumps({"traceEvents": [event]}))
    out = tmp_path / "trace.json"
    good(*ASKED, "--trace", str(out), "--trace-measured", str(profile))
    events = json.loads(out.read_text())["traceEvents"]
    names = [event["args"]["name"] for event in events if event.get("name") == "process_name"]
    assert names == ["predicted: distilbert, batch 1, fp16, eager on h200", "measured: 7"]
    assert "cannot write" in complaint(invoke(*ASKED, "--trace", str(tmp_path / "no" / "trace.json")))


# differences


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The same model at two batch sizes, the second bound by the device."""
    folder = tmp_path_factory.mktemp("reports")
    paths = folder / "small.json", folder / "large.json"
    for path, batch in zip(paths, ("1", "128"), strict=True):
        path.write_text(good(*ASKED, "--json", "--batch", batch))
    return str(paths[0]), str(paths[1])


def test_a_difference_is_told_by_operator_and_module(reports: tuple[str, str]) -> None:
    text = good("diff", *reports)
    lines = text.splitlines()
    assert lines[1] == "batch: 1 -> 128"
    assert max(map(len, lines)) <= 80
    for words in ("latency, ms", "linear", "transformer.layer", "times as long"):
        assert words in text
    data: Any = json.loads(good("diff", *reports, "--json"))
    before, after = (json.loads(Path(path).read_text()) for path in reports)
    gained = after["latency_s"] - before["latency_s"]
    assert data["gained_s"] == pytest.approx(gained)
    assert sum(row["gained_s"] for row in data["op"]) == pytest.approx(gained)
    assert data["module"][0]["gained_s"] == pytest.approx(gained)
    assert data["op"][0]["name"] == "linear"


def test_the_same_report_differs_in_nothing(reports: tuple[str, str]) -> None:
    data = json.loads(good("diff", reports[0], reports[0], "--json"))
    assert (data["gained_s"], data["ratio"], data["settings"]) == (0.0, 1.0, {})
    assert "\n  1 times as long" in good("diff", reports[0], reports[0])


def test_a_module_that_is_new_is_told(reports: tuple[str, str], tmp_path: Path) -> None:
    data = json.loads(Path(reports[0]).read_text())
    data["breakdown"]["module"] = [row for row in data["breakdown"]["module"] if "layer.3" not in row["name"]]
    old = tmp_path / "old.json"
    old.write_text(json.dumps(data))
    changes = {row["name"]: row for row in json.loads(good("diff", str(old), reports[0], "--json"))["module"]}
    assert changes["transformer.layer.3"]["before"] is None
    assert changes["transformer.layer.3"]["gained_s"] > 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("{", "is no JSON report"),
        ("[]", "is no report of one prediction"),
        ('{"error": "unknown model", "kind": "bad-request", "exit_code": 2}', "it failed: unknown model"),
        ('{"schema": 99, "latency_s": 1}', "has schema 99"),
        ('{"schema": 1, "latency_s": 1, "breakdown": {"op": []}}', "lacks the whole breakdown"),
    ],
)
def test_what_is_no_report_is_said(content: str | None, message: str, reports: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    if content is not None:
        path.write_text(content)
    assert message in complaint(invoke("diff", reports[0], str(path)))
