"""Every runtime against its measurements, and the choice of the fastest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from calibrate.cli.validate import app as validate
from calibrate.samples.records import CaseProfile, CaseRound, Environment, ProgramRecord
from calibrate.samples.store import SampleFile
from calibrate.validate import accuracy
from calibrate.validate.runtimes import Evaluated, evaluate, judge_runtimes
from calibrate.validate.tables import runtimes_text
from predictor.calibration.files import SHIPPED
from predictor.calibration.load import Calibration
from tests.calibrate.builders import row as make_row
from tests.helpers import RUN_ANYTHING, complaint

H200 = SHIPPED / "h200"
VALIDATION = H200 / "validation"


@pytest.mark.parametrize("runtime", [n for n in RUN_ANYTHING if n != "eager"])
def test_measurements_of_every_runtime_are_near_their_predictions(
    runtime: str, h200_validation: dict[str, Evaluated]
) -> None:
    rows = h200_validation[runtime].rows
    assert len(rows) >= 18
    assert np.mean([abs(row.error()) for row in rows]) < 0.15
    assert accuracy.kernel_errors(rows)[1] < 0.06


def test_what_cannot_be_captured_was_foreseen(h200_validation: dict[str, Evaluated]) -> None:
    found = h200_validation["cudagraph"].refusals
    assert len(found) == 40
    assert all(one.predicted == one.measured for one in found)


def test_the_choice_of_a_runtime_is_judged_by_what_it_costs() -> None:
    def row(runtime: str, predicted: float, measured: float) -> Any:
        return replace(make_row("a", measured, predicted, "framework", "framework", "framework-bound"), runtime=runtime)

    (choice,) = accuracy.choices([row("eager", 3.0, 3.0), row("compile", 1.0, 2.0), row("onnx", 1.1, 1.6)])
    assert (choice.predicted, choice.measured) == ("compile", "onnx")
    assert choice.loss == pytest.approx(0.25)


def some(path: Path, runtime: str) -> None:
    """A few of a runtime's measurements on the H200, in a file of their own."""
    file, own = SampleFile(VALIDATION / f"{runtime}.jsonl.gz"), SampleFile(path / f"{runtime}.jsonl.gz")
    cases = {profile.case for profile in file.of(CaseProfile) if profile.case.model in ("bert-base", "resnet50")}
    for kind in (CaseRound, CaseProfile, ProgramRecord):
        own.append([sample for sample in file.of(kind) if sample.case in cases])
    own.append(file.of(Environment))


def test_the_command_prints_a_row_for_each_runtime_that_was_measured(tmp_path: Path, h200: Calibration) -> None:
    for name in ("onnx", "onnx-cudagraph"):
        some(tmp_path, name)
    judged = judge_runtimes(evaluate(h200, tmp_path, print), "fp16")
    for arguments in ([], ["--markdown"]):
        command = ["runtimes", "--gpu", "h200", "--data", str(tmp_path), *arguments]
        result = CliRunner().invoke(validate, command)
        assert result.exit_code == 0, result.output
        assert result.stdout == runtimes_text(judged, markdown=bool(arguments)) + "\n"
    assert [one.runtime for one in judged.runtimes] == ["onnx", "onnx-cudagraph"]
    assert "| onnx-cudagraph | 4 |" in result.stdout


def test_a_file_may_hold_several_runtimes_and_generation_is_judged_apart(tmp_path: Path, h200: Calibration) -> None:
    file, own = SampleFile(H200 / "paper" / "zoo.jsonl.gz"), SampleFile(tmp_path / "some.jsonl.gz")
    for kind in (CaseRound, CaseProfile):
        own.append([s for s in file.of(kind) if s.case.model in ("resnet18", "llama-decode") and s.case.batch == 1])
    own.append(file.of(Environment))
    judged = judge_runtimes(evaluate(h200, tmp_path, print), "fp16", "fp32")
    named = {one.runtime: one.summary for one in judged.runtimes}
    assert {"eager", "torchscript", "cudagraph"} <= {name.removesuffix(", generation") for name in named}
    assert "eager, generation" in named
    assert all(summary.median < 0.25 for summary in named.values())


def test_lengths_are_cases_of_their_own_in_the_choice_of_a_runtime() -> None:
    def row(runtime: str, predicted: float, lengths: str) -> Any:
        row = make_row("a", predicted, predicted, "framework", "framework", "framework-bound")
        return replace(row, runtime=runtime, lengths=lengths)

    both = [row("eager", 2.0, ""), row("compile", 1.0, ""), row("eager", 3.0, "ptb"), row("compile", 4.0, "ptb")]
    assert [choice.predicted for choice in accuracy.choices(both)] == ["compile", "eager"]


def test_no_measurements_are_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(validate, ["runtimes", "--gpu", "h200", "--data", str(tmp_path)])
    assert "no measurements in" in complaint(result)
