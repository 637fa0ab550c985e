"""The probe that needs no GPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from calibrate.cli.calibrate import app
from calibrate.measure import host_probe
from predictor.calibration.files import read
from predictor.calibration.schema import HostProbe
from predictor.sources import plan_of
from tests.helpers import complaint


def test_the_command_writes_what_predict_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_probe, "SECONDS", 0.2)
    path = tmp_path / "mine.json"
    threads = torch.get_num_threads()
    said = CliRunner().invoke(app, ["--probe", "--gpu", "v100", "--out", str(path)])
    assert said.exit_code == 0, said.output
    assert torch.get_num_threads() == threads
    probe = read(path, HostProbe)
    assert 1e-5 < probe.cpu_probe_s < 1
    assert probe.versions["torch"] == torch.__version__
    assert "x as long as h200 host" in said.stdout
    assert "x as long as v100-eager-fp32-a" in said.stdout
    report = plan_of("bert-base").report("v100", host=str(path))
    assert report.host.startswith("a host that was probed")
    assert json.loads(path.read_text())["schema"] == 3


def test_a_probe_goes_to_a_file(tmp_path: Path) -> None:
    assert "--out FILE.json" in complaint(CliRunner().invoke(app, ["--probe", "--out", str(tmp_path)]))


def test_a_probe_computes_next_to_nothing() -> None:
    """Four times the width, sixteen times the arithmetic, take hardly longer: what is timed is dispatch."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    narrow, wide = host_probe.Probe("cpu", host_probe.TOKENS, host_probe.WIDTH), host_probe.Probe("cpu", 1, 32)
    readings = [(narrow(), wide()) for _ in range(30)]
    torch.set_num_threads(threads)
    assert min(second for _, second in readings) < 2 * min(first for first, _ in readings)
