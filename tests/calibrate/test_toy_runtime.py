"""A runtime is one folder: dropped where runtimes are looked for, every command finds it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from calibrate.cli.validate import app as validate
from calibrate.measure.modules import cases
from calibrate.pipeline import effort_of, runtimes_to_measure
from calibrate.samples.records import CaseProfile, CaseRound, Environment, ProgramRecord
from calibrate.samples.store import SampleFile
from calibrate.workloads.cases import Case
from predictor import runtimes
from predictor.calibration.files import SHIPPED
from predictor.cli.main import app as predict
from tests.calibrations import edit

TOY = """
from dataclasses import replace

from predictor.records import TODAY, CaptureMode
from predictor.runtimes.runtime import HostTerms, Runtime
from predictor.runtimes.eager.execution import prepare
from predictor.runtimes.eager.lowering import lower as lower_eager


def lower(graph, target=TODAY):
    return replace(lower_eager(graph, target), runtime="toy")


RUNTIME = Runtime("toy", CaptureMode.EAGER, False, lower, prepare, HostTerms(base="eager"))
"""


@pytest.fixture(autouse=True)
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A runtime that does what eager does, in a folder of its own."""
    folder = tmp_path / "runtimes" / "toy"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(TOY, encoding="utf-8")
    monkeypatch.setattr(runtimes, "__path__", [*runtimes.__path__, str(folder.parent)])
    yield
    sys.modules.pop("predictor.runtimes.toy", None)


@pytest.fixture
def calibration(tmp_path: Path) -> str:
    """The H200's calibration, in which the runtime charges the host what eager does."""
    folder = tmp_path / "calibrations" / "h200"
    shutil.copytree(SHIPPED / "h200", folder, ignore=shutil.ignore_patterns("samples", "validation"))
    shutil.copy(folder / "torchscript.json", folder / "toy.json")
    edit(folder / "toy.json", lambda costs: costs.update(runtime="toy"))
    return str(folder)


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """Measurements of a model under the runtime: those of eager, under its name."""
    file, path = SampleFile(SHIPPED / "h200" / "validation" / "eager.jsonl.gz"), tmp_path / "data" / "toy.jsonl.gz"
    case, own = Case("resnet50", 1, "fp16", "eager"), Case("resnet50", 1, "fp16", "toy")
    recorded, profile = file.find(ProgramRecord, case), file.find(CaseProfile, case)
    assert recorded is not None
    assert recorded.program is not None
    assert profile is not None
    rounds = [replace(sample, case=own) for sample in file.of(CaseRound) if sample.case == case]
    program = replace(recorded, case=own, program=replace(recorded.program, runtime="toy"))
    SampleFile(path).append([*file.of(Environment), *rounds, replace(profile, case=own), program])
    return path


def test_predict_and_compare_find_it(calibration: str) -> None:
    asked = ["--model", "resnet50", "--gpu", calibration, "--json"]
    found = CliRunner().invoke(predict, [*asked, "--runtime", "toy"])
    assert found.exit_code == 0, found.output
    predicted = json.loads(found.stdout)
    assert predicted["runtime"] == "toy"
    assert 1e-4 < predicted["latency_s"] < 1e-1
    compared = json.loads(CliRunner().invoke(predict, [*asked, "--compare"]).stdout)
    latencies = {row["runtime"]: row.get("latency_s") for row in compared["runtimes"]}
    assert latencies["toy"] == predicted["latency_s"]


def test_calibrate_measures_its_modules() -> None:
    assert runtimes_to_measure("toy", on_cpu=True) == ("toy",)
    assert "toy" in runtimes_to_measure("all", on_cpu=True)
    count = effort_of("cpu", quick=True).others.under("toy")
    assert {case.runtime for case in cases(count, "toy", "cpu")} == {"toy"}


def test_validate_holds_it_against_measurements(calibration: str, measured: Path) -> None:
    one = ["--runtime", "toy", "--models", "resnet50", "--batches", "1", "--dtypes", "fp16", "--data", str(measured)]
    found = CliRunner().invoke(validate, ["--gpu", calibration, *one])
    assert found.exit_code == 0, found.output
    assert "resnet50" in found.stdout
    table = CliRunner().invoke(validate, ["runtimes", "--gpu", calibration, "--data", str(measured.parent)])
    assert table.exit_code == 0, table.output
    assert [line.split()[:2] for line in table.stdout.splitlines() if line.startswith("toy")] == [["toy", "1"]]
