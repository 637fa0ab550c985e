"""What runtimes charge, told apart: fits on the shipped samples."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from calibrate.cli.validate import app as validate
from calibrate.fit import runtimes
from calibrate.samples.store import SampleFile
from calibrate.validate import accuracy
from predictor.calibration.host_costs import HostCosts, host_costs_of, with_rows_of
from predictor.calibration.load import Calibration
from predictor.cli.main import app as predict
from predictor.pricing.program import price
from predictor.records import Program
from predictor.runtimes import names
from tests.calibrate.test_accuracy import row as make_row

H200 = Path(__file__).resolve().parents[2] / "calibrations" / "h200"
VALIDATION = H200 / "validation"


def test_every_runtime_but_eager_has_terms() -> None:
    assert set(runtimes.TERMS) == set(names()) - {"eager"}
    order = runtimes.known()
    for name, terms in runtimes.TERMS.items():
        assert terms.like in ("", "eager") or order.index(terms.like) < order.index(name)


def test_coefficients_are_found_again_where_the_model_is_right() -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.uniform(1, 5, 40), rng.integers(0, 50, 40), np.ones(40)])
    y = x @ np.array([0.8, 0.01, 0.3])
    found, error = runtimes._solve(x, y, [])
    np.testing.assert_allclose(found, [0.8, 0.01, 0.3], rtol=1e-6)
    assert error["mape"] < 1e-6


def test_a_guard_is_not_charged_what_a_call_of_a_compiled_graph_costs(h200: Calibration) -> None:
    """Of guards a model has hundreds. Here each call costs 10 us beyond the operator's own cost, a guard 0.5 us."""
    eager, compiled = h200.host("eager"), h200.host("compile")
    own = {name: {"fp32": (s, s), "fp16": (s, s)} for name, s in (("weight", 5e-7), ("triton", 3e-6))}
    truth, ran = replace(compiled, call_s=0.0, calls={**compiled.calls, **own}), []

    def beyond_s(one: runtimes.Module) -> float:
        last = next(k for call in reversed(one.priced) for k in reversed(call.kernels))
        return last.seconds + h200.lanes.sync_s + h200.lanes.launch_latency_s

    for one in runtimes.modules(SampleFile(H200 / "samples" / "runtimes.jsonl"), "compile", h200, eager):
        host_s = _host_s(one.program, h200, truth) + 1e-5 * sum(call.op != "weight" for call in one.program.calls)
        ran.append(replace(one, latency_s=host_s + beyond_s(one)))
    fitted = runtimes.fit_runtime("compile", ran, h200, eager)
    head = {"runtime": "compile", "environment": compiled.environment, "provenance": "measured"}
    found = host_costs_of(with_rows_of(json.loads((H200 / "eager.json").read_text()), {**head, **fitted}), H200)
    assert len(ran) > 30
    for one in ran:
        assert one.latency_s - beyond_s(one) == pytest.approx(_host_s(one.program, h200, found), rel=0.02)


def _host_s(program: Program, calibration: Calibration, host: HostCosts) -> float:
    priced = price(program, calibration, host)
    return host.fixed_s + float(priced.host_s.sum()) + priced.tail_s


def test_a_coefficient_that_few_modules_show_stays_near_its_like() -> None:
    rng = np.random.default_rng(1)
    x = np.column_stack([rng.integers(20, 60, 12), rng.integers(20, 60, 12), np.zeros(12), np.ones(12)]).astype(float)
    x[0, 2] = 1.0  # one module alone has one such call, and was disturbed
    y = x @ np.array([2e-6, 3e-6, 2e-6, 5e-5])
    y[0] *= 1.5
    free, _ = runtimes._solve(x, y, [])
    pulled, _ = runtimes._solve(x, y, [0, 1, 2])
    assert free[2] > 5e-5
    assert pulled[2] < 1e-5
    assert pulled[:2] == pytest.approx([2e-6, 3e-6], rel=0.15)


@pytest.mark.parametrize("runtime", [n for n in names() if n != "eager"])
def test_measurements_of_every_runtime_are_near_their_predictions(runtime: str, h200: Calibration) -> None:
    rows = accuracy.rows(SampleFile(VALIDATION / f"{runtime}.jsonl"), h200, runtime)
    assert len(rows) >= 18
    assert np.mean([abs(row.error()) for row in rows]) < 0.15
    assert accuracy.kernel_errors(rows)[1] < 0.06


def test_what_cannot_be_captured_was_foreseen(h200: Calibration) -> None:
    found = accuracy.refusals(SampleFile(VALIDATION / "cudagraph.jsonl"), "cudagraph")
    assert len(found) == 40
    assert all(said == could_not for _, said, could_not in found)


def test_the_choice_of_a_runtime_is_judged_by_what_it_costs() -> None:
    def row(runtime: str, predicted: float, measured: float) -> Any:
        return replace(make_row("a", measured, predicted, "framework", "framework", "framework-bound"), runtime=runtime)

    (choice,) = accuracy.choices([row("eager", 3.0, 3.0), row("compile", 1.0, 2.0), row("onnx", 1.1, 1.6)])
    assert (choice.predicted, choice.measured) == ("compile", "onnx")
    assert choice.loss == pytest.approx(0.25)


def test_the_command_has_a_row_for_each_runtime(tmp_path: Path) -> None:
    """That it has all, the table in the README says, which is compared as a whole."""
    for name in ("onnx", "onnx-cudagraph"):
        shutil.copy(VALIDATION / f"{name}.jsonl", tmp_path)
    result = CliRunner().invoke(validate, ["runtimes", "--gpu", "h200", "--data", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert [line.split()[0] for line in result.stdout.splitlines()[1:3]] == ["onnx", "onnx-cudagraph"]
    assert "The fastest runtime is named for" in result.stdout


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


def test_a_comparison_marks_the_fastest_and_names_what_cannot_run(tmp_path: Path) -> None:
    command = ["--model", model(tmp_path), "--gpu", "h200", "--compare"]
    shown = CliRunner().invoke(predict, command)
    assert shown.exit_code == 0, shown.output
    assert sum(line.startswith("*") for line in shown.stdout.splitlines()) == 1
    assert "cudagraph          cannot run: " in shown.stdout
    found = json.loads(CliRunner().invoke(predict, [*command, "--json"]).stdout)
    by_name = {row["runtime"]: row for row in found["runtimes"]}
    assert set(by_name) == set(names())
    assert "waits" in by_name["cudagraph"]["cannot"]
    assert by_name["eager"]["speedup_over_eager"] == 1
    assert (
        found["best"] == min((r for r in by_name.values() if "latency_s" in r), key=lambda r: r["latency_s"])["runtime"]
    )
