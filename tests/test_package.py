"""The package: what a wheel carries, and that every room imports no more than it may."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Names of the files in a wheel built from this checkout."""
    repository, folder = Path(__file__).resolve().parent.parent, tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        str(repository),
        "--no-deps",
        "--quiet",
        "--wheel-dir",
        str(folder),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=180, cwd=folder)
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built).namelist()


def test_the_wheel_carries_the_calibrations_without_their_samples(wheel: list[str]) -> None:
    for name in ("device.json", "kernels.json", "eager.json"):
        assert f"calibrations/h200/{name}" in wheel
    carried = [name for name in wheel if name.startswith("calibrations/")]
    assert not [name for name in carried if "/samples/" in name or "/validation/" in name]


def test_the_wheel_carries_every_module_and_no_test(wheel: list[str], repository: Path) -> None:
    for package in ("predictor", "calibrate", "models_zoo"):
        for path in (repository / package).rglob("*.py"):
            assert path.relative_to(repository).as_posix() in wheel
    assert not [name for name in wheel if name.startswith("tests/")]


def test_the_wheel_has_the_three_commands(wheel: list[str]) -> None:
    assert any(name.endswith(".dist-info/entry_points.txt") for name in wheel)


def test_the_predictor_never_imports_the_calibration() -> None:
    code = """
import sys
import predictor.cli.main, predictor.predict, predictor.capture.recorder, predictor.sources
import predictor.report.text, predictor.report.json
from predictor.runtimes.eager import lowering as eager
print(sorted(name for name in sys.modules if name.split(".")[0] == "calibrate"))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
