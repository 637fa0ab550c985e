"""The package: what a wheel carries, that it works where it is installed, and that no room imports more than it may."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

COMMANDS = ("predict", "calibrate", "validate")


def pip(*arguments: str, folder: Path) -> None:
    """Run pip without looking anything up: the build's own needs are installed."""
    subprocess.run([sys.executable, "-m", "pip", *arguments, "--no-deps", "--quiet"], check=True, cwd=folder)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from this checkout."""
    repository, folder = Path(__file__).resolve().parent.parent, tmp_path_factory.mktemp("wheel")
    pip("wheel", str(repository), "--no-build-isolation", "--wheel-dir", str(folder), folder=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def files(wheel: Path) -> list[str]:
    """Names of the files in the wheel."""
    return zipfile.ZipFile(wheel).namelist()


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, installed into an empty folder of its own."""
    folder = tmp_path_factory.mktemp("installed")
    pip("install", str(wheel), "--no-index", "--target", str(folder), folder=folder)
    return folder


def test_the_wheel_carries_the_calibrations_without_their_samples(files: list[str]) -> None:
    for name in ("device.json", "kernels.json", "eager.json"):
        assert f"calibrations/h200/{name}" in files
    carried = [name for name in files if name.startswith("calibrations/")]
    assert not [name for name in carried if "/samples/" in name or "/validation/" in name]


def test_the_wheel_carries_every_module_and_no_test(files: list[str], repository: Path) -> None:
    for package in ("predictor", "calibrate", "models_zoo"):
        for path in (repository / package).rglob("*.py"):
            assert path.relative_to(repository).as_posix() in files
    assert not [name for name in files if name.startswith("tests/")]


def run(installed: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the installed wheel from a folder, with the wheel's packages before all others."""
    return subprocess.run(
        [sys.executable, str(installed / "bin" / command[0]), *command[1:]],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed)},
        check=False,
    )


def test_an_installed_wheel_predicts_what_the_checkout_does(installed: Path, tmp_path: Path) -> None:
    from predictor import Predictor
    from predictor.sources import plan_of

    for model, runtime in (("distilbert", "eager"), ("resnet50", "cudagraph")):
        found = run(installed, tmp_path, "predict", "--model", model, "--gpu", "v100", "--runtime", runtime, "--json")
        assert (found.returncode, found.stderr) == (0, "")
        assert json.loads(found.stdout)["latency_s"] == Predictor("v100", runtime).report(plan_of(model)).latency_s


def test_an_installed_wheel_captures_a_users_module_with_its_own_code(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        "import predictor, torch\n"
        "def build(batch):\n"
        f"    assert predictor.__file__.startswith({str(installed)!r})\n"
        "    return torch.nn.Linear(8, 4), torch.empty(batch, 8)\n"
    )
    found = run(installed, tmp_path, "predict", "--model", "model.py:build", "--gpu", "h200", "--batch", "3", "--json")
    assert (found.returncode, found.stderr) == (0, "")
    assert json.loads(found.stdout)["macs"] == 3 * 8 * 4


@pytest.mark.parametrize("name", COMMANDS)
def test_an_installed_wheel_has_the_command(name: str, installed: Path, tmp_path: Path) -> None:
    found = run(installed, tmp_path, name, "--help")
    assert found.returncode == 0
    assert "Usage" in found.stdout


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
