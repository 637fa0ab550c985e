"""Calibrate, predict, validate on this machine's processor: real measurements from end to end.

Structure and orders of magnitude are asserted, never times: other things run on the machine.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from calibrate.cli.calibrate import app as calibrate
from calibrate.cli.validate import app as validate
from calibrate.samples.records import CaseProfile, CaseRound, DeviceConstants, Environment, KernelSample
from calibrate.samples.store import SampleFile
from calibrate.validate import quality
from calibrate.validate.accuracy import rows
from predictor.calibration.load import forget, load_calibration
from predictor.cli.main import app as predict
from predictor.kernels.families import FAMILIES, MeasuredIn

COMMAND = str(Path(sys.executable).parent / "calibrate")
SAMPLES = ("constants", "host", "kernels", "modules", "runtimes")
FILES = ("device.json", "kernels.json", "eager.json", "torchscript.json", "bettertransformer.json")
PATIENCE_S = 240


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / "samples" / f"{name}.jsonl.gz").read_bytes() for name in SAMPLES}


@dataclass(frozen=True)
class Interrupted:
    """A calibration that was stopped twice and then ended well: what was on disk and what it said each time.

    stopped: exit code and messages after Ctrl-C, and the calibration's own files then; killed: host and kernel samples
    when it was killed, of the kernel samples without the half line; output, messages: of its last part.
    """

    folder: Path
    stopped: tuple[int, str, list[str]]
    host_when_stopped: bytes
    killed: tuple[bytes, bytes]
    output: str
    messages: str


FEW = ("gemm", "pointwise")
"""Families that are fitted where it does not matter which."""


def keep_families(path: Path, families: Sequence[str]) -> None:
    """Leave out the samples of other kernels."""
    file = SampleFile(path)
    kept = [sample for sample in file.of(KernelSample) if sample.id.family in families]
    environments = file.of(Environment)
    path.unlink()
    SampleFile(path).append([*environments, *kept])


def start(folder: Path) -> subprocess.Popen[str]:
    command = [COMMAND, "--device", "cpu", "--quick", "--runtime", "torchscript", "--force", "--out", str(folder)]
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=os.environ, preexec_fn=heard)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    begun = time.monotonic()
    while not condition():
        assert process.poll() is None, "the calibration ended before it was interrupted"
        assert time.monotonic() - begun < PATIENCE_S
        time.sleep(0.02)


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@pytest.fixture(scope="session")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Interrupted:
    """A quick calibration of this processor: Ctrl-C in the host costs, a kill in the kernel sweep that leaves half a
    line, then it goes on to its end.
    """
    folder = tmp_path_factory.mktemp("calibrations") / "cpu"
    host, kernels = folder / "samples" / "host.jsonl.gz", folder / "samples" / "kernels.jsonl.gz"
    process = start(folder)
    wait_for(lambda: size_of(host) > 0, process)
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=PATIENCE_S)
    stopped = process.returncode, messages, [name for name in FILES if (folder / name).exists()]
    host_when_stopped = host.read_bytes()
    process = start(folder)
    wait_for(lambda: size_of(kernels) > 0, process)
    process.kill()
    process.communicate()
    killed = host.read_bytes(), kernels.read_bytes()
    with kernels.open("ab") as file:
        file.write(killed[1][:20])
    process = start(folder)
    output, messages = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, messages
    return Interrupted(folder, stopped, host_when_stopped, killed, output, messages)


@pytest.fixture(scope="session")
def calibrated(interrupted: Interrupted) -> Path:
    """The folder of a quick calibration of this processor."""
    return interrupted.folder


@pytest.fixture
def cpu(calibrated: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The calibration, where the commands look."""
    monkeypatch.setenv("PREDICTOR_CALIBRATIONS", str(calibrated.parent))
    forget()
    return calibrated


@pytest.fixture(scope="session")
def measured(calibrated: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """(file of measurements, printed text) of a validation on two models."""
    data = tmp_path_factory.mktemp("validation") / "cpu.jsonl.gz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREDICTOR_CALIBRATIONS", str(calibrated.parent))
        result = CliRunner().invoke(validate, list(arguments(data)))
    assert result.exit_code == 0, result.output
    return data, result.stdout


def arguments(data: Path) -> tuple[str, ...]:
    models = ("--gpu", "cpu", "--models", "distilbert,mobilenet_v2", "--batches", "1,2")
    return (*models, "--dtypes", "fp32", "--rounds", "2", "--data", str(data))


def test_a_fit_that_failed_is_not_written_unless_forced(
    calibrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cpu"
    shutil.copytree(calibrated / "samples", folder / "samples")
    keep_families(folder / "samples" / "kernels.jsonl.gz", FEW)
    monkeypatch.setattr(quality, "LARGEST_ERROR", 0.0)  # no fit is as good as that
    refit = ["--device", "cpu", "--refit", "--out", str(folder)]
    refused = CliRunner().invoke(calibrate, refit)
    assert refused.exit_code == 2
    assert "nothing written, the measurements failed:" in refused.stderr
    assert "host eager error" in refused.stderr
    assert [path.name for path in folder.iterdir()] == ["samples"]
    assert CliRunner().invoke(calibrate, [*refit, "--force"]).exit_code == 0
    for name in ("device.json", "eager.json"):
        assert "host eager error" in json.loads((folder / name).read_text("utf-8"))["environment"]["doubts"]
    assert CliRunner().invoke(calibrate, ["check", str(folder)]).exit_code == 1


def test_a_calibration_is_files_of_json_and_its_samples(calibrated: Path) -> None:
    found = sorted(str(path.relative_to(calibrated)) for path in calibrated.rglob("*") if path.is_file())
    assert found == sorted([*FILES, *(f"samples/{name}.jsonl.gz" for name in SAMPLES)])


def test_a_calibration_describes_this_machine(cpu: Path) -> None:
    calibration = load_calibration("cpu")
    assert calibration.provenance == "measured"
    assert calibration.lanes.serial
    assert 1e8 < calibration.device.peak_flops["fp32"] < 1e14
    assert 1e8 < calibration.device.bandwidth_bytes_per_s < 1e13
    assert calibration.device.environment.torch.startswith("2.")
    assert {key.family for key in calibration.fits} >= {
        f.name for f in FAMILIES.values() if f.measured_in is MeasuredIn.CALLS and not f.stand_in
    }


def test_host_costs_are_of_the_order_of_microseconds(cpu: Path) -> None:
    host = load_calibration("cpu").host("eager")
    costs = {row.label: of["fp32"].hot_s for row, of in host.calls.items()}
    assert len(costs) > 80
    assert min(costs.values()) >= 1e-8
    assert max(costs.values()) < 1e-2
    assert 1e-7 < costs["add"] < 1e-3
    assert costs["view"] < costs["layer_norm"]
    assert min(host.line_s, host.module_s, host.fixed_s) >= 0


def test_a_prediction_is_made_from_the_new_calibration(cpu: Path) -> None:
    result = CliRunner().invoke(predict, ["--model", "distilbert", "--gpu", "cpu", "--dtype", "fp32", "--json"])
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert (found["gpu"], found["dtype"], found["calibration"]["provenance"]) == ("cpu", "fp32", "measured")
    assert found["latency_s"] == pytest.approx(found["host_s"] + found["kernel_s"], rel=0.05)
    assert 2e-3 < found["latency_s"] < 20
    assert found["calibration"]["age_days"] <= 1


def test_twice_the_batch_takes_longer(cpu: Path) -> None:
    latencies = []
    for batch in ("1", "8"):
        result = CliRunner().invoke(
            predict, ["--model", "mobilenet_v2", "--gpu", "cpu", "--dtype", "fp32", "--batch", batch, "--json"]
        )
        latencies.append(json.loads(result.stdout)["latency_s"])
    assert 2 < latencies[1] / latencies[0] < 20


def test_a_validation_prints_a_line_for_each_case_and_the_summaries(measured: tuple[Path, str]) -> None:
    _, text = measured
    cases = [line for line in text.splitlines() if re.match(r"(distilbert|mobilenet_v2) +[12] +fp32 ", line)]
    assert len(cases) == 4
    for words in ("measured", "predicted", "error", "bound", "MAPE", "queue", "max", "flops", "repeatability"):
        assert words in text


def test_predictions_are_of_the_order_of_the_measurements(cpu: Path, measured: tuple[Path, str]) -> None:
    found = rows(SampleFile(measured[0]), load_calibration("cpu"), "eager")
    assert len(found) == 4
    assert all(1e-3 < row.measured.seconds < 20 for row in found)
    ratios = [row.predicted["queue"] / row.measured.seconds for row in found]
    assert 1 / 4 < statistics.geometric_mean(ratios) < 4
    assert min(ratios) > 1 / 10
    assert max(ratios) < 10


def test_a_validation_is_kept_as_data_with_its_environment(measured: tuple[Path, str]) -> None:
    file = SampleFile(measured[0])
    assert "torch" in file.of(Environment)[0].versions
    assert len(file.of(CaseProfile)) == 4
    assert len(file.of(CaseRound)) == 8
    for sample in file.of(CaseRound):
        assert len(sample.passes_s) >= 3
        assert not sample.summarised
        assert min(*sample.passes_s, *sample.probe_s) > 0


def test_a_second_validation_measures_nothing(cpu: Path, measured: tuple[Path, str]) -> None:
    data, text = measured
    before = data.read_bytes()
    result = CliRunner().invoke(validate, list(arguments(data)))
    assert result.exit_code == 0
    assert text.endswith(result.stdout)
    assert "MAPE" in result.stdout
    assert data.read_bytes() == before


def test_a_second_calibration_in_a_folder_of_any_name_measures_nothing_and_gives_the_same(
    calibrated: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "my-laptop"
    shutil.copytree(calibrated, folder)
    result = CliRunner().invoke(calibrate, ["--device", "cpu", "--quick", "--force", "--out", str(folder)])
    assert result.exit_code == 0, result.output
    assert f"written to {folder}" in result.stdout
    assert contents(folder) == contents(calibrated)
    for name in FILES:
        assert (folder / name).read_bytes() == (calibrated / name).read_bytes()


def test_samples_of_another_machine_are_refused_and_kept(calibrated: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cpu"
    shutil.copytree(calibrated, folder)
    path = folder / "samples" / "constants.jsonl.gz"
    (here,), constants = SampleFile(path).of(Environment), SampleFile(path).of(DeviceConstants)
    path.unlink()
    SampleFile(path).append([replace(here, cpu="Abacus 3000"), *constants])
    before = contents(folder)
    result = CliRunner().invoke(calibrate, ["--device", "cpu", "--quick", "--out", str(folder)])
    assert result.exit_code == 2
    assert f"another machine: cpu Abacus 3000 there, {here.cpu} here: choose another --out" in result.stderr
    assert contents(folder) == before


def test_ctrl_c_keeps_the_samples_and_writes_no_calibration(interrupted: Interrupted) -> None:
    code, messages, files = interrupted.stopped
    assert code == 130
    assert "interrupted; the samples so far are kept" in messages
    assert "Traceback" not in messages
    assert files == []
    assert interrupted.host_when_stopped


def test_an_interrupted_calibration_continues_from_its_samples(interrupted: Interrupted) -> None:
    host, kernels = (interrupted.folder / "samples" / f"{name}.jsonl.gz" for name in ("host", "kernels"))
    assert interrupted.killed[0].startswith(interrupted.host_when_stopped)
    assert host.read_bytes().startswith(interrupted.killed[0])
    assert kernels.read_bytes().startswith(interrupted.killed[1])
    assert len(kernels.read_bytes()) > len(interrupted.killed[1])
    assert "kernels.jsonl.gz: dropped a half-written line" in interrupted.messages
    assert f"written to {interrupted.folder}" in interrupted.output


def test_another_host_measures_its_own_part_alone_and_can_be_fitted_again(cpu: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cpu"
    command = [COMMAND, "--device", "cpu", "--quick", "--host-only", "--force", "--out", str(folder)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert found.returncode == 0, found.stderr
    assert not (folder / "samples" / "kernels.jsonl.gz").exists()
    for name in ("device.json", "kernels.json"):
        assert (folder / name).read_bytes() == (cpu / name).read_bytes()
    assert load_calibration(str(folder)).host("eager").error < 2
    before = (folder / "eager.json").read_bytes()
    refitted = CliRunner().invoke(calibrate, ["--device", "cpu", "--refit", "--force", "--out", str(folder)])
    assert refitted.exit_code == 0, refitted.output
    assert (folder / "eager.json").read_bytes() == before


def test_runtimes_are_compared_on_this_machine(cpu: Path) -> None:
    result = CliRunner().invoke(predict, ["--model", "distilbert", "--gpu", "cpu", "--compare", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert {row["runtime"] for row in found["runtimes"]} == {"eager", "torchscript", "bettertransformer"}
    assert found["best"] == min(found["runtimes"], key=lambda row: float(row["latency_s"]))["runtime"]
