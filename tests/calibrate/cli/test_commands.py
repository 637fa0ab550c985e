"""Bad input to ``calibrate`` and ``validate``: one clear line, exit code 2, nothing written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from calibrate.cli.calibrate import app as calibrate
from calibrate.cli.validate import app as validate
from calibrate.samples.records import CaseProfile, CaseRound, Environment, ProgramRecord
from calibrate.samples.store import SampleFile
from calibrate.validate import accuracy
from calibrate.validate.tables import accuracy_markdown, accuracy_text
from calibrate.workloads.cases import Case
from predictor.calibration.files import SHIPPED
from predictor.calibration.load import Calibration
from tests.helpers import complaint

BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parents[3]


def refused(app: typer.Typer, *arguments: str) -> str:
    return complaint(CliRunner().invoke(app, list(arguments)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say what to calibrate: --gpu NAME or --device cpu"),
        (("--device", "cpux"), "unknown device 'cpux': did you mean cpu"),
        (("--device", "cpu", "--gpu", "h200"), "contradict"),
        (("--device", "cpu", "--runtime", "eagr"), "unknown runtime 'eagr': did you mean eager?"),
        (("--device", "cpu", "--refit", "--out", "nowhere/cpu"), "holds no samples"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_calibrate_says_what_is_wrong(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused(calibrate, *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--gpu", "h20"), "unknown GPU 'h20': did you mean h200 or b200?"),
        (("--gpu", "h200", "--models", "bert-base,bert-bse"), "unknown model 'bert-bse': did you mean bert-base"),
        (("--gpu", "h200", "--batches", "1,0"), "batch must be 1 or more, not 0"),
        (("--gpu", "h200", "--batches", "1,x"), "whole numbers"),
        (("--gpu", "h200", "--dtypes", "fp61"), "unknown dtype of h200 'fp61': did you mean fp16"),
        (("--gpu", "h200", "--runtime", "eagr"), "unknown runtime 'eagr': did you mean eager?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_validate_says_what_is_wrong(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused(validate, *arguments)


@pytest.mark.parametrize(
    "command",
    [("calibrate", "--gpu", "h200", "--out", "out/h200"), ("validate", "--gpu", "h200", "--data", "out/v.jsonl.gz")],
    ids=lambda command: command[0],
)
def test_a_request_for_cuda_without_cuda_is_one_line(command: tuple[str, ...], tmp_path: Path) -> None:
    """CUDA is hidden, so this holds on a GPU machine as well."""
    found = subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        check=False,
    )
    assert found.returncode == 2
    assert found.stdout == ""
    assert len(found.stderr.splitlines()) == 1
    assert found.stderr.startswith("error: h200 needs CUDA")
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]


def test_recorded_measurements_are_compared_without_the_gpu(tmp_path: Path, h200: Calibration) -> None:
    """What the file holds is not measured again: the shipped tables are made anywhere."""
    file, data = SampleFile(SHIPPED / "h200" / "validation" / "eager.jsonl.gz"), tmp_path / "eager.jsonl.gz"
    models = ("bert-base", "resnet50")
    for kind in (CaseRound, CaseProfile, ProgramRecord):
        SampleFile(data).append([sample for sample in file.of(kind) if sample.case.model in models])
    SampleFile(data).append(file.of(Environment))
    before, rows = data.read_bytes(), accuracy.rows(SampleFile(data), h200, "eager")
    arguments = ["--gpu", "h200", "--data", str(data), "--models", ",".join(models)]
    text = CliRunner().invoke(validate, arguments)
    assert (text.exit_code, text.stderr, text.stdout) == (0, "", accuracy_text(rows) + "\n")
    assert sum(line.startswith("bert-base ") for line in text.stdout.splitlines()) == 8
    for words in ("MAPE", "framework-bound", "compute-bound", "queue", "max", "flops", "repeatability"):
        assert words in text.stdout
    table = CliRunner().invoke(validate, [*arguments, "--markdown"])
    assert (table.exit_code, table.stdout) == (0, accuracy_markdown(rows) + "\n")
    assert "| bert-base | 8 |" in table.stdout
    more = CliRunner().invoke(validate, [*arguments[:-1], "bert-base,resnet50,gpt2"])
    assert (more.exit_code, more.stdout) == (0, text.stdout)
    assert more.stderr.endswith("what is in the file already is compared\n")
    assert data.read_bytes() == before


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ("nobody", "unknown model"),
        ("config.json", "write a factory"),
        ("benchmarks/unseen_models.py:nobody", "unknown function"),
        ("nowhere.py:make", "no such file"),
    ],
)
def test_models_to_validate_are_of_the_zoo_or_made_by_a_factory(
    models: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert said in refused(validate, "--gpu", "h200", "--models", models)


def test_measurements_of_a_factory_s_model_are_predicted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU: what is measured already is not measured again."""
    monkeypatch.chdir(ROOT)
    model, data = "benchmarks/unseen_models.py:electra", tmp_path / "eager.jsonl.gz"
    file, case = SampleFile(Path("calibrations/h100/mended/eager.jsonl.gz")), Case(model, 1, "fp16", "eager")
    of_case = [file.find(kind, case) for kind in (CaseProfile, ProgramRecord)]
    SampleFile(data).append([*file.of(Environment), *of_case, *(r for r in file.of(CaseRound) if r.case == case)])
    options = ["--batches", "1", "--dtypes", "fp16", "--rounds", "3", "--data", str(data)]
    result = CliRunner().invoke(validate, ["--gpu", "h100", "--models", model, *options])
    assert result.exit_code == 0, result.output
    assert "unseen_models.py:electra" in result.stdout
