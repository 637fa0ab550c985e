"""Runtimes of which some cannot run a model."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from predictor.cli.main import app as predict
from predictor.runtimes import names


def model(tmp_path: Path) -> str:
    path = tmp_path / "waits.py"
    path.write_text(
        "import torch\n"
        "class Waits(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        return x * 2 if (torch.ones(2, device=x.device) > 0).all().item() else x\n"
        "def build(batch):\n"
        "    return Waits(), torch.rand(batch, 64)\n"
    )
    return f"{path}:build"


def test_what_cannot_run_is_exit_code_three_with_the_reason_and_those_that_can(tmp_path: Path) -> None:
    result = CliRunner().invoke(predict, ["--model", model(tmp_path), "--gpu", "h200", "--runtime", "cudagraph"])
    assert result.exit_code == 3
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert "waits for the device" in line
    assert "eager" in line.split("runtimes that can")[1]
    assert result.stdout == ""


def test_a_long_reason_leaves_room_for_the_runtimes_that_can() -> None:
    result = CliRunner().invoke(predict, ["--model", "resnet50", "--gpu", "h200", "--runtime", "bettertransformer"])
    assert result.exit_code == 3
    assert "cudagraph, eager, onnx, onnx-cudagraph, torchscript)" in result.stderr


def test_a_comparison_marks_the_fastest_and_names_what_cannot_run(tmp_path: Path) -> None:
    command = ["--model", model(tmp_path), "--gpu", "h200", "--compare"]
    shown = CliRunner().invoke(predict, command)
    assert shown.exit_code == 0, shown.output
    assert sum(line.startswith("*") for line in shown.stdout.splitlines()) == 1
    assert "cudagraph cannot run: " in shown.stdout
    found = json.loads(CliRunner().invoke(predict, [*command, "--json"]).stdout)
    by_name = {row["runtime"]: row for row in found["runtimes"]}
    assert set(by_name) == set(names())
    assert "waits" in by_name["cudagraph"]["cannot"]
    assert by_name["eager"]["speedup_over_eager"] == 1
    assert (
        found["best"] == min((r for r in by_name.values() if "latency_s" in r), key=lambda r: r["latency_s"])["runtime"]
    )
