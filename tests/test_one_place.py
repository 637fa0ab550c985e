"""A thing is added in one place: a file or folder is dropped where its kind is looked for, and everything finds it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import models_zoo
from predictor import report
from predictor.calibration.files import SHIPPED
from predictor.cli.main import app


def predicted(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_report_format_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "latency_only.py").write_text(
        "def render(report):\n"
        "    return f'{report.latency_s:.6f}'\n"
        "def render_comparison(rows):\n"
        "    return ' '.join(row.runtime for row in rows if row.report)\n"
    )
    monkeypatch.setattr(report, "__path__", [*report.__path__, str(tmp_path)])
    asked = ("--model", "resnet50", "--gpu", "h200")
    expected = json.loads(predicted(*asked, "--format", "json"))["latency_s"]
    assert predicted(*asked, "--format", "latency_only") == f"{expected:.6f}\n"
    assert "cudagraph" in predicted(*asked, "--compare", "--format", "latency_only").split()


def test_a_zoo_model_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "two__layers.py").write_text(
        "import torch\n"
        "def build():\n"
        "    return torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.Linear(32, 16))\n"
        "def inputs(batch):\n"
        "    return {'input': torch.empty(batch, 64)}\n"
    )
    monkeypatch.setattr(models_zoo, "__path__", [*models_zoo.__path__, str(tmp_path)])
    assert "two-layers" in predicted("--list-models").split()
    data = json.loads(predicted("--model", "two-layers", "--gpu", "h200", "--batch", "3", "--json"))
    assert (data["macs"], data["launches"]) == (3 * (64 * 32 + 32 * 16), 2)


def test_a_gpu_is_one_folder_with_its_datasheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An H200 at half its clock, peaks and bandwidth takes longer than an H200."""
    sheet = json.loads((SHIPPED / "h200" / "datasheet.json").read_text("utf-8"))
    peaks = {dtype: peak / 2 for dtype, peak in sheet["peak_flops"].items()}
    halved = {name: sheet[name] / 2 for name in ("clock_hz", "bandwidth_bytes_per_s")}
    described = {name: sheet[name] for name in ("architecture", "sms", "l2_bytes")}
    (tmp_path / "slow100").mkdir()
    content = json.dumps({**described, **halved, "name": "Slow 100", "peak_flops": peaks})
    (tmp_path / "slow100" / "datasheet.json").write_text(content)
    monkeypatch.setenv("PREDICTOR_CALIBRATIONS", str(tmp_path))
    assert "slow100" in predicted("--list-gpus")
    asked = ("--model", "resnet50", "--batch", "64", "--json")
    slow, fast = (json.loads(predicted(*asked, "--gpu", gpu)) for gpu in ("slow100", "h200"))
    assert (slow["gpu"], slow["calibration"]["provenance"]) == ("slow100", "derived")
    assert 1.8 < slow["kernel_s"] / fast["kernel_s"] < 2.2
