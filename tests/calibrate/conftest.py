"""Fixtures of several tests of the calibration."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibrate.samples.model_latencies import Pass, read_passes
from calibrate.validate.runtimes import Evaluated, evaluate
from predictor.calibration import files
from predictor.calibration.files import SHIPPED
from predictor.calibration.load import Calibration, forget
from tests.calibrate.builders import BANDWIDTH, PEAK, PUBLISHED, gemm_table


@pytest.fixture(scope="session")
def h200_validation(h200: Calibration) -> dict[str, Evaluated]:
    """The H200's recorded measurements beside the shipped calibration's predictions, by runtime: evaluated once."""
    return evaluate(h200, SHIPPED / "h200" / "validation", lambda line: None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A GPU of which only the datasheet is known."""
    path = tmp_path / "calibrations" / "x1"
    sheet = {
        **{
            "schema": 3,
            "architecture": "ampere",
            "gpu": "x1",
            "name": "X1",
            "sms": 66,
            "l2_bytes": 10**7,
            "clock_hz": 0.99e9,
            "source": "a leaflet",
        },
        **{"bandwidth_bytes_per_s": BANDWIDTH, "peak_flops": dict.fromkeys(("fp32", "tf32", "fp16", "bf16"), PEAK)},
    }
    files.write_json(path / "datasheet.json", sheet)
    monkeypatch.setenv("PREDICTOR_CALIBRATIONS", str(path.parent))
    forget()
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "gemm.csv"
    path.write_text(gemm_table(0), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def some() -> list[Pass]:
    """Three sessions at a few batches."""
    if not PUBLISHED.is_file():
        pytest.skip("the published measurements are not here")
    sessions = {"v100-eager-fp16-a", "a100-torchscript-fp16-a", "rtx8000-onnx-fp32-a"}
    return [row for row in read_passes(PUBLISHED) if row.session in sessions and row.batch in (1, 32)]
