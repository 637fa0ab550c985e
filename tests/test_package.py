"""The package: what a wheel carries, that it works where it is installed, and that no room imports more than it may."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from predictor.errors import EXTRAS
from tests import onnx_models

Bare = Callable[..., subprocess.CompletedProcess[str]]

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
    measured = {"samples", "validation", "battery", "unseen", "mended", "onnx_files", "paper"}
    assert not [name for name in carried if measured & set(name.split("/"))]


def test_the_wheel_carries_every_module_and_no_test(files: list[str], repository: Path) -> None:
    for package in ("predictor", "framework_tax", "calibrate", "models_zoo"):
        for path in (repository / package).rglob("*.py"):
            assert path.relative_to(repository).as_posix() in files
    assert not [name for name in files if name.startswith("tests/")]
    assert {"predictor/py.typed", "framework_tax/py.typed"} <= set(files)
    assert [name for name in files if name.startswith("models_zoo/graphs/")]


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


def needed(installed: Path, extra: str = "") -> set[str]:
    """Distributions that the wheel asks for, and those that they ask for."""
    (wheel,) = metadata.distributions(path=[str(installed)])
    found: set[str] = set()
    waiting = [(wheel, extra)]
    while waiting:
        distribution, of = waiting.pop()
        for line in distribution.requires or ():
            asked = Requirement(line)
            if asked.marker is not None and not asked.marker.evaluate({"extra": of}):
                continue
            if asked.name not in found:
                found.add(asked.name)
                waiting += [(metadata.distribution(asked.name), each) for each in ("", *asked.extras)]
    return found


def linked(folder: Path, distributions: Iterable[str]) -> Path:
    """A folder with links to the packages of some installed distributions, and to nothing else."""
    folder.mkdir()
    for name in distributions:
        distribution = metadata.distribution(name)
        for top in {path.parts[0] for path in distribution.files or ()} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(distribution.locate_file(top))
    return folder


@pytest.fixture(scope="module")
def bare(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Bare:
    """Runs a command of the wheel where only what it depends on without extras can be imported."""
    packages = linked(tmp_path_factory.mktemp("bare") / "packages", needed(installed))
    paths = os.pathsep.join(map(str, (installed, packages)))

    def run_bare(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-S", str(installed / "bin" / command[0]), *command[1:]],
            capture_output=True,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": paths},
            check=False,
        )

    return run_bare


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (("predict", "bert-base", "--gpu", "a100"), "latency"),
        (("predict", "resnet50", "--gpu", "h200", "--compare"), "onnx-cudagraph"),
        (("predict", "list", "models"), "squeezebert"),
        (("predict", "kernel", "gemm", "--gpu", "h100", "--dtype", "bf16", "m=64", "n=64", "k=64"), "roofline"),
    ],
)
def test_shipped_graphs_need_no_extra(command: tuple[str, ...], shown: str, bare: Bare, tmp_path: Path) -> None:
    found = bare(tmp_path, *command)
    assert (found.returncode, found.stderr) == (0, "")
    assert shown in found.stdout


@pytest.mark.parametrize(
    ("command", "library", "extra"),
    [
        (("predict", "model.py:build", "--gpu", "h200"), "torch", "torch"),
        (("predict", "bert-base", "--length", "77", "--gpu", "h200"), "torch", "torch"),
        (("predict", "transformers:bert", "--gpu", "h200"), "transformers", "torch"),
        (("predict", "config.json", "--gpu", "h200"), "transformers", "torch"),
        (("predict", "model.onnx", "--gpu", "h200", "--runtime", "onnx"), "onnx", "onnx"),
        (("predict", "timm:resnet50", "--gpu", "h200"), "timm", "vision"),
        (("calibrate", "--gpu", "h200"), "torch", "torch"),
        (("calibrate", "--probe"), "torch", "torch"),
        (("validate", "--gpu", "h200"), "torch", "torch"),
    ],
)
def test_a_missing_library_is_one_line(
    command: tuple[str, ...], library: str, extra: str, bare: Bare, tmp_path: Path
) -> None:
    (tmp_path / "model.py").write_text("import torch\ndef build(batch):\n    return 1 / 0\n")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "model.onnx").write_bytes(b"no matter")
    found = bare(tmp_path, *command)
    assert found.stderr == f"error: this needs {library}: pip install 'framework-tax-predictor[{extra}]'\n"
    assert (found.returncode, found.stdout) == (2, "")


def test_onnx_files_need_the_extra_onnx_alone(installed: Path, tmp_path: Path) -> None:
    """No torch beside them. Without ONNX Runtime the line names the extra, too."""
    nodes = [onnx_models.node("MatMul", "x,w", "h"), onnx_models.node("Relu", "h", "y")]
    path = str(onnx_models.saved(tmp_path, onnx_models.model(nodes, weights=[onnx_models.weight("w", 64, 64)])))
    for lacking, code in ((set(), 0), ({"onnxruntime", "onnxruntime-gpu"}, 2)):
        packages = linked(tmp_path / f"packages{code}", needed(installed, "onnx") - lacking)
        command = [sys.executable, "-S", str(installed / "bin" / "predict"), path, "--gpu", "h200", "--runtime", "onnx"]
        paths = os.pathsep.join(map(str, (installed, packages)))
        environment = {**os.environ, "PYTHONPATH": paths, "XDG_CACHE_HOME": str(tmp_path / f"cache{code}")}
        found = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert found.returncode == code, found.stderr
        assert code == 0 or "this needs onnxruntime: pip install 'framework-tax-predictor[onnx]'" in found.stderr


def test_every_library_is_in_its_extra(repository: Path) -> None:
    extras = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    called = {"sklearn": "scikit-learn"}
    for library, extra in EXTRAS.items():
        assert called.get(library, library) in {Requirement(line).name for line in extras[extra]}


def test_the_other_import_name_has_the_public_names() -> None:
    import framework_tax
    import predictor

    assert set(dir(framework_tax)) == {*predictor.__all__, "__version__"}
    assert all(getattr(framework_tax, name) is getattr(predictor, name) for name in dir(framework_tax))
    with pytest.raises(AttributeError, match="framework_tax"):
        _ = framework_tax.nothing


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
