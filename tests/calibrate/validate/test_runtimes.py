"""Every runtime against its measurements, and the choice of the fastest."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from calibrate.cli.validate import app as validate
from calibrate.samples.store import SampleFile
from calibrate.validate import accuracy
from predictor.calibration.files import SHIPPED
from predictor.calibration.load import Calibration
from predictor.runtimes import names
from tests.calibrate.builders import row as make_row

H200 = SHIPPED / "h200"
VALIDATION = H200 / "validation"


@pytest.mark.parametrize("runtime", [n for n in names() if n != "eager"])
def test_measurements_of_every_runtime_are_near_their_predictions(runtime: str, h200: Calibration) -> None:
    rows = accuracy.rows(SampleFile(VALIDATION / f"{runtime}.jsonl.gz"), h200, runtime)
    assert len(rows) >= 18
    assert np.mean([abs(row.error()) for row in rows]) < 0.15
    assert accuracy.kernel_errors(rows)[1] < 0.06


def test_what_cannot_be_captured_was_foreseen(h200: Calibration) -> None:
    found = accuracy.refusals(SampleFile(VALIDATION / "cudagraph.jsonl.gz"), "cudagraph")
    assert len(found) == 40
    assert all(one.predicted == one.measured for one in found)


def test_the_choice_of_a_runtime_is_judged_by_what_it_costs() -> None:
    def row(runtime: str, predicted: float, measured: float) -> Any:
        return replace(make_row("a", measured, predicted, "framework", "framework", "framework-bound"), runtime=runtime)

    (choice,) = accuracy.choices([row("eager", 3.0, 3.0), row("compile", 1.0, 2.0), row("onnx", 1.1, 1.6)])
    assert (choice.predicted, choice.measured) == ("compile", "onnx")
    assert choice.loss == pytest.approx(0.25)


def test_the_command_has_a_row_for_each_runtime(tmp_path: Path) -> None:
    """That it has all, the table in the README says, which is compared as a whole."""
    for name in ("onnx", "onnx-cudagraph"):
        shutil.copy(VALIDATION / f"{name}.jsonl.gz", tmp_path)
    result = CliRunner().invoke(validate, ["runtimes", "--gpu", "h200", "--data", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert [line.split()[0] for line in result.stdout.splitlines()[1:3]] == ["onnx", "onnx-cudagraph"]
    assert "The fastest runtime is named for" in result.stdout
