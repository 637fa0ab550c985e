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
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from calibrate.cli.calibrate import app as calibrate
from calibrate.cli.validate import app as validate
from calibrate.samples.store import SampleFile
from calibrate.validate.accuracy import rows
from predictor.calibration.load import forget, load_calibration
from predictor.cli.main import app as predict
from predictor.kernels.families import FAMILIES, MeasuredIn

COMMAND = str(Path(sys.executable).parent / "calibrate")
SAMPLES = ("constants", "host", "kernels", "modules", "runtimes")
FILES = ("device.json", "kernels.json", "eager.json", "torchscript.json")
PATIENCE_S = 240


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / "samples" / f"{name}.jsonl").read_bytes() for name in SAMPLES}


@pytest.fixture(scope="session")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a quick calibration of this processor."""
    folder = tmp_path_factory.mktemp("calibrations") / "cpu"
    found = subprocess.run(
        [COMMAND, "--device", "cpu", "--quick", "--runtime", "torchscript", "--out", str(folder)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert f"written to {folder}" in found.stdout
    return folder


@pytest.fixture
def cpu(calibrated: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The calibration, where the commands look."""
    monkeypatch.setenv("PREDICTOR_CALIBRATIONS", str(calibrated.parent))
    forget()
    return calibrated


@pytest.fixture(scope="session")
def measured(calibrated: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """(file of measurements, printed text) of a validation on two models."""
    data = tmp_path_factory.mktemp("validation") / "cpu.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREDICTOR_CALIBRATIONS", str(calibrated.parent))
        result = CliRunner().invoke(validate, list(arguments(data)))
    assert result.exit_code == 0, result.output
    return data, result.stdout


def arguments(data: Path) -> tuple[str, ...]:
    models = ("--gpu", "cpu", "--models", "distilbert,mobilenet_v2", "--batches", "1,2")
    return (*models, "--dtypes", "fp32", "--rounds", "2", "--data", str(data))


def test_a_calibration_is_files_of_json_and_its_samples(calibrated: Path) -> None:
    found = sorted(str(path.relative_to(calibrated)) for path in calibrated.rglob("*") if path.is_file())
    assert found == sorted([*FILES, *(f"samples/{name}.jsonl" for name in SAMPLES)])


def test_a_calibration_describes_this_machine(cpu: Path) -> None:
    calibration = load_calibration("cpu")
    assert calibration.provenance == "measured"
    assert calibration.lanes.serial
    assert 1e8 < calibration.device["peak_flops"]["fp32"] < 1e14
    assert 1e8 < calibration.device["bandwidth_bytes_per_s"] < 1e13
    assert calibration.device["environment"]["versions"]["torch"].startswith("2.")
    assert {family for family, _ in calibration.fits} >= {
        f.name for f in FAMILIES.values() if f.measured_in is MeasuredIn.CALLS
    }


def test_host_costs_are_of_the_order_of_microseconds(cpu: Path) -> None:
    host = load_calibration("cpu").host("eager")
    costs = {op: of["fp32"][0] for op, of in host.calls.items()}
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
    samples = SampleFile(measured[0]).samples
    assert {"cpu", "date", "versions"} <= set(samples["environment"]["environment"])
    assert sum(key.startswith("case/") for key in samples) == 4
    rounds = [sample for key, sample in samples.items() if key.startswith("round/")]
    assert len(rounds) == 8
    assert all(len(sample["probe_s"]) == 2 and sample["seconds"] > 0 for sample in rounds)


def test_a_second_validation_measures_nothing(cpu: Path, measured: tuple[Path, str]) -> None:
    data, text = measured
    before = data.read_bytes()
    result = CliRunner().invoke(validate, list(arguments(data)))
    assert result.exit_code == 0
    assert text.endswith(result.stdout)
    assert "MAPE" in result.stdout
    assert data.read_bytes() == before


def test_a_second_calibration_measures_nothing_and_gives_the_same(calibrated: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cpu"
    shutil.copytree(calibrated, folder)
    result = CliRunner().invoke(calibrate, ["--device", "cpu", "--quick", "--out", str(folder)])
    assert result.exit_code == 0, result.output
    assert contents(folder) == contents(calibrated)
    assert (folder / "device.json").read_bytes() == (calibrated / "device.json").read_bytes()
    assert (folder / "kernels.json").read_bytes() == (calibrated / "kernels.json").read_bytes()


def test_the_folder_of_a_calibration_may_have_any_name(calibrated: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my-laptop"
    shutil.copytree(calibrated, folder)
    result = CliRunner().invoke(calibrate, ["--device", "cpu", "--quick", "--refit", "--out", str(folder)])
    assert result.exit_code == 0, result.output
    assert f"written to {folder}" in result.stdout


def test_samples_of_another_machine_are_refused_and_kept(calibrated: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cpu"
    shutil.copytree(calibrated, folder)
    path = folder / "samples" / "constants.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        if line["key"] == "environment":
            line["environment"]["cpu"] = "Abacus 3000"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    before = contents(folder)
    result = CliRunner().invoke(calibrate, ["--device", "cpu", "--quick", "--out", str(folder)])
    assert result.exit_code == 2
    assert "another machine (Abacus 3000" in result.stderr
    assert contents(folder) == before


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    start = time.monotonic()
    while not condition():
        assert process.poll() is None, "the calibration ended before it was interrupted"
        assert time.monotonic() - start < PATIENCE_S
        time.sleep(0.02)


def lines_of(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_an_interrupted_calibration_continues_from_its_samples(tmp_path: Path) -> None:
    """Ctrl-C in the host costs, a kill in the kernel sweep that leaves half a line, then it ends well."""
    folder = tmp_path / "cpu"
    host, kernels = folder / "samples" / "host.jsonl", folder / "samples" / "kernels.jsonl"

    def start() -> subprocess.Popen[str]:
        command = [COMMAND, "--device", "cpu", "--quick", "--runtime", "torchscript", "--out", str(folder)]
        heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=os.environ, preexec_fn=heard)

    process = start()
    wait_for(lambda: lines_of(host) >= 1, process)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "interrupted; the samples so far are kept" in complaint
    assert "Traceback" not in complaint
    assert not any((folder / name).exists() for name in FILES)
    first = host.read_bytes()
    assert first

    process = start()
    wait_for(lambda: lines_of(kernels) >= 9, process)
    process.kill()
    process.communicate()
    assert host.read_bytes().startswith(first)
    with kernels.open("ab") as file:
        file.write(b'{"key": "gemm/fp32/1", "sec')
    killed = {path.name: path.read_bytes() for path in (host, kernels)}

    process = start()
    output, complaint = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, complaint
    assert "kernels.jsonl: dropped a half-written line" in complaint
    assert f"written to {folder}" in output
    assert host.read_bytes().startswith(killed["host.jsonl"])
    whole = killed["kernels.jsonl"].rpartition(b"\n")[0] + b"\n"
    assert kernels.read_bytes().startswith(whole)
    assert lines_of(kernels) > whole.count(b"\n")
    forget()
    assert load_calibration(str(folder)).host("eager").runtime == "eager"


def test_another_host_measures_its_own_part_alone(cpu: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cpu"
    command = [COMMAND, "--device", "cpu", "--quick", "--host-only", "--out", str(folder)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert found.returncode == 0, found.stderr
    assert not (folder / "samples" / "kernels.jsonl").exists()
    for name in ("device.json", "kernels.json"):
        assert (folder / name).read_bytes() == (cpu / name).read_bytes()
    assert load_calibration(str(folder)).host("eager").error < 2


def test_runtimes_are_compared_on_this_machine(cpu: Path) -> None:
    result = CliRunner().invoke(predict, ["--model", "distilbert", "--gpu", "cpu", "--compare", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert {row["runtime"] for row in found["runtimes"]} == {"eager", "torchscript"}
    assert found["best"] in ("eager", "torchscript")
