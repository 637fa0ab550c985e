"""Which calibrations should not be trusted, and that none is written."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as changed
from typer.testing import CliRunner

from calibrate.cli.calibrate import app
from calibrate.validate import quality
from predictor.calibration import files
from predictor.calibration.files import SHIPPED
from predictor.calibration.load import Calibration, forget, load_calibration
from predictor.calibration.schema import Device, RuntimeCosts
from predictor.predict import Predictor
from predictor.sources import plan_of


@pytest.fixture
def h100() -> Calibration:
    return load_calibration("h100")


def with_costs(calibration: Calibration, **fields: float) -> Calibration:
    costs = calibration.runtime_costs["eager"]
    return replace(calibration, runtime_costs={"eager": changed(costs, **fields)})


def with_device(calibration: Calibration, **fields: float) -> Calibration:
    return replace(calibration, device=changed(calibration.device, **fields))


@pytest.mark.parametrize("gpu", ["h200", "h100"])
def test_the_shipped_measured_calibrations_are_trusted(gpu: str) -> None:
    findings = quality.checked(gpu)
    assert [f for f in findings if f.fails] == []
    assert {"noise modules", "bandwidth", "host eager", "kernels"} <= {f.what for f in findings}


def test_a_host_whose_fit_is_far_off_is_doubted(h100: Calibration) -> None:
    error = changed(h100.runtime_costs["eager"].error, log_sd=2.11)
    (doubt,) = quality.doubts(with_costs(h100, error=error))
    assert doubt.startswith("host eager error 211%")


def test_a_host_of_few_modules_is_doubted(h100: Calibration) -> None:
    error = changed(h100.runtime_costs["eager"].error, modules=3)
    (doubt,) = quality.doubts(with_costs(h100, error=error))
    assert "of 3 modules" in doubt


def test_coefficients_that_are_all_at_their_bounds_are_doubted(h100: Calibration) -> None:
    at_bounds = {"op_factor": 1.0, **dict.fromkeys(("line_s", "module_s", "function_s", "fixed_s"), 0.0)}
    (doubt,) = quality.doubts(with_costs(h100, **at_bounds))
    assert "no cost of a line, a module, a function, fixed" in doubt
    assert quality.doubts(with_costs(h100, fixed_s=0.0)) == []


@pytest.mark.parametrize(("share", "doubted"), [(0.9, False), (0.6, False), (0.3, True)])
def test_a_bandwidth_is_held_against_the_datasheet(share: float, doubted: bool, h100: Calibration) -> None:
    sheet = files.datasheet("h100").bandwidth_bytes_per_s
    found = quality.doubts(with_device(h100, bandwidth_bytes_per_s=share * sheet))
    assert bool(found) is doubted
    assert not doubted or "30% of the datasheet" in found[0]


@pytest.mark.parametrize("factor", [0.2, 2.0])
def test_a_peak_is_held_against_the_datasheet(factor: float, h100: Calibration) -> None:
    peaks = {dtype: factor * flops for dtype, flops in h100.device.peak_flops.items()}
    found = quality.doubts(with_device(h100, peak_flops=peaks))
    assert len(found) == len(peaks)


def test_a_processor_that_copies_slower_than_any_is_doubted(h100: Calibration) -> None:
    """5 GB/s, as a busy machine once measured of itself."""
    serial = changed(h100.device, serial=True, gpu="cpu", bandwidth_bytes_per_s=5e9)
    cpu = replace(h100, gpu="cpu", device=serial)
    assert quality.doubts(cpu) == ["bandwidth 5 GB/s"]
    assert quality.doubts(with_device(cpu, bandwidth_bytes_per_s=2e10)) == []


def test_the_text_fits_80_columns_and_ends_with_a_verdict() -> None:
    done = CliRunner().invoke(app, ["check", "h100"])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("trust it") for line in lines)


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    """A calibration that was written although its measurements failed."""
    folder = tmp_path / "h100"
    folder.mkdir()
    for path in (SHIPPED / "h100").glob("*.json"):
        shutil.copy(path, folder)
    for name, kind in (("device", Device), ("eager", RuntimeCosts)):
        content = files.read(folder / f"{name}.json", kind, "h100")
        environment = changed(content.environment, doubts="host eager error 211%")
        own = {"default_host": None} if kind is Device else {}
        files.write_calibration(folder, [changed(content, environment=environment, **own)])
    forget()
    return folder


def test_what_was_forced_is_marked_for_good(marked: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(marked)])
    assert done.exit_code == 1
    assert "do not trust it: written by --force" in done.stdout
    report = Predictor(str(marked)).report(plan_of("resnet50"))
    assert any("should not be trusted: host eager error 211%" in note for note in report.notes)
