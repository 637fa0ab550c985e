"""Quick calibrations, made of the first kernels of each series that were recorded on an H100."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace as changed

from calibrate.fit import few_kernels
from calibrate.fit.errors import log_sd
from calibrate.fit.kernels import floor_and_residual, work_of
from calibrate.measure.constants import architecture_of
from calibrate.measure.modules import eager_cases
from calibrate.pipeline import effort_of, fit
from calibrate.samples.files import Samples
from calibrate.samples.kernels import MeasuredKernel
from calibrate.samples.records import (
    CaseRound,
    DeviceConstants,
    Environment,
    ExampleLaunches,
    HostRound,
    KernelSample,
    ProgramRecord,
    ShapeSample,
)
from calibrate.validate.quality import checked
from calibrate.workloads import sweeps
from predictor.calibration import files
from predictor.calibration.files import SHIPPED
from predictor.calibration.load import Calibration, forget, load_calibration
from predictor.calibration.schema import Device, Kernels
from predictor.errors import PredictorError

QUICK = effort_of("cuda", quick=True)
EVERY = 40
"""Of the other kernels one in so many is asked for."""


@pytest.fixture(scope="module")
def recorded() -> Samples:
    return Samples.of(SHIPPED / "h100")


@pytest.fixture(scope="module")
def device() -> Device:
    return files.read(SHIPPED / "h100" / "device.json", Device, "h100")


def kernels_of(samples: Sequence[KernelSample]) -> list[MeasuredKernel]:
    return [MeasuredKernel(s.id.family, s.dtype, s.dims, s.seconds, s.launches, s.op) for s in samples if s.repeats_s]


@pytest.fixture(scope="module")
def quick(recorded: Samples) -> list[MeasuredKernel]:
    """What the quick sweep measures."""
    ids = set(sweeps.identities(QUICK.plan))
    return kernels_of([s for s in recorded.kernels.of(KernelSample) if s.id in ids])


@pytest.fixture(scope="module")
def others(recorded: Samples) -> list[MeasuredKernel]:
    """Some that it does not measure, of the families that it does."""
    ids = set(sweeps.identities(QUICK.plan))
    families = {known.family for known in ids}
    unseen = [s for s in recorded.kernels.of(KernelSample) if s.id not in ids and s.id.family in families]
    return kernels_of(unseen[::EVERY])


def slower(samples: Sequence[MeasuredKernel], times: float, family: str = "") -> list[MeasuredKernel]:
    """Kernels that take longer: of one family, or all."""
    return [replace(s, seconds=s.seconds * times) if family in ("", s.family) else s for s in samples]


def factors_of(kernels: Kernels) -> dict[tuple[str, str], float]:
    return {(factor.family, factor.units): factor.time_factor for factor in kernels.factors}


def test_few_kernels_predict_others_as_well_as_they_say(
    device: Device, quick: list[MeasuredKernel], others: list[MeasuredKernel]
) -> None:
    assert few_kernels.are_few(quick)
    here, kernels = few_kernels.departing("h100", device, quick)
    assert (here.provenance, here.reference_gpu, kernels.fits) == ("fitted", "h200", [])
    ratios = np.concatenate(list(few_kernels.log_ratios(Calibration.of(here, kernels), others).values()))
    assert len(ratios) == len(others)
    assert kernels.log_sd is not None
    assert kernels.log_sd == pytest.approx(log_sd(ratios), rel=0.25)
    assert log_sd(ratios) < 0.2


@pytest.mark.parametrize(("family", "dtype"), [("layer_norm", "fp16"), ("softmax", "fp16"), ("conv_grouped", "fp16")])
def test_a_fit_of_a_few_kernels_alone_would_be_further_off(
    device: Device, quick: list[MeasuredKernel], others: list[MeasuredKernel], family: str, dtype: str
) -> None:
    own, unseen = ([s for s in group if (s.family, s.dtype) == (family, dtype)] for group in (quick, others))
    floor_s, residual = floor_and_residual(own, family, device)
    base, features = work_of(unseen, family, device)
    alone_s = (base + floor_s) * np.exp(residual.predict(features))
    of_own = np.log([s.seconds for s in unseen]) - np.log(alone_s)
    calibration = Calibration.of(*few_kernels.departing("h100", device, quick))
    (of_factors,) = few_kernels.log_ratios(calibration, unseen).values()
    assert 2 * np.mean(np.abs(of_factors)) < np.mean(np.abs(of_own))


def test_a_family_that_departs_is_told_apart(device: Device, quick: list[MeasuredKernel]) -> None:
    before, after = (
        factors_of(few_kernels.departing("h100", device, samples)[1]) for samples in (quick, slower(quick, 1.6, "gemm"))
    )
    assert after["gemm", "half"] == pytest.approx(1.6 * before["gemm", "half"], rel=0.1)
    rest = [key for key in before if key[0] != "gemm" and key[0] in {s.family for s in quick}]
    assert [after[key] for key in rest] == pytest.approx([before[key] for key in rest], rel=0.2)


def test_what_was_not_measured_departs_as_all_do(device: Device, quick: list[MeasuredKernel]) -> None:
    factors = factors_of(few_kernels.departing("h100", device, slower(quick, 1.4))[1])
    assert factors["ort_conv", "half"] == pytest.approx(1.4, rel=0.1)


def test_without_a_datasheet_the_driver_tells_the_architecture(device: Device, quick: list[MeasuredKernel]) -> None:
    assert few_kernels.departing("h100-nvl", device, quick)[1].reference_gpu in ("h100", "h200")
    ampere = changed(device, architecture="ampere", environment=changed(device.environment, sm_clock="990 MHz"))
    assert few_kernels.departing("a99", ampere, quick)[1].time_factor == 2
    with pytest.raises(PredictorError, match="no datasheet of a99"):
        few_kernels.departing("a99", changed(device, architecture=""), quick)


@pytest.mark.parametrize(
    ("capability", "architecture"),
    [
        *(((3, 5), ""), ((5, 2), "maxwell"), ((7, 0), "volta"), ((7, 5), "turing"), ((8, 6), "ampere")),
        *(((8, 9), "ada"), ((9, 0), "hopper"), ((10, 0), "blackwell"), ((12, 0), "blackwell")),
    ],
)
def test_compute_capabilities(capability: tuple[int, int], architecture: str) -> None:
    assert architecture_of(capability) == architecture


def quick_samples(recorded: Samples, out: Path, driver: str, times: float = 1.0) -> None:
    """What a quick calibration measures, in a folder. driver: what it calls the GPU; times: how much longer kernels
    take.
    """
    samples, cases = Samples.of(out), set(eager_cases(QUICK.modules, "cuda"))
    samples.constants.append([changed(e, gpu=driver) for e in recorded.constants.of(Environment)])
    samples.constants.append(recorded.constants.of(DeviceConstants))
    samples.host.append([r for r in recorded.host.of(HostRound) if r.number < QUICK.host_rounds])
    samples.host.append(recorded.host.of(ExampleLaunches))
    samples.host.append([s for s in recorded.host.of(ShapeSample) if s.id.index < QUICK.shapes])
    for kind in (CaseRound, ProgramRecord):
        samples.modules.append([s for s in recorded.modules.of(kind) if s.case in cases])
    ids = set(sweeps.identities(QUICK.plan))
    samples.kernels.append(
        changed(s, repeats_s=tuple(times * seconds for seconds in s.repeats_s))
        for s in recorded.kernels.of(KernelSample)
        if s.id in ids
    )


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of an H100, found before the shipped one."""
    monkeypatch.setenv("PREDICTOR_CALIBRATIONS", str(tmp_path))
    forget()
    return tmp_path / "h100"


def test_a_gpu_that_somebody_measured_keeps_its_kernels(recorded: Samples, mine: Path) -> None:
    quick_samples(recorded, mine, "NVIDIA H100 80GB HBM3")
    fit("h100", mine)
    assert load_calibration("h100").folder == mine
    shipped = files.read(SHIPPED / "h100" / "kernels.json", Kernels)
    assert files.read(mine / "kernels.json", Kernels) == shipped
    findings = {finding.what: finding for finding in checked("h100")}
    assert "1.00 times as long as measured before" in findings["kernels here"].found
    assert not any(finding.fails for finding in findings.values())
    assert load_calibration("h100").host("eager").error < 0.25


def test_kernels_that_clocks_do_not_explain_are_refused(recorded: Samples, mine: Path) -> None:
    quick_samples(recorded, mine, "NVIDIA H100 80GB HBM3", times=1.5)
    with pytest.raises(PredictorError, match=r"kernels here \d+ here: 1.50 times as long as measured before"):
        fit("h100", mine)
    assert not (mine / "kernels.json").exists()


def test_another_gpu_of_that_name_departs_from_its_reference_and_not_from_itself(recorded: Samples, mine: Path) -> None:
    quick_samples(recorded, mine, "NVIDIA H100 PCIe", times=1.2)
    for _ in range(2):  # the second finds the first's
        fit("h100", mine)
        calibration = load_calibration("h100")
        assert (calibration.folder, calibration.device.reference_gpu) == (mine, "h200")
    assert calibration.kernels_error is not None
    assert calibration.kernels_error < 0.25
    assert "compile" in calibration.runtimes
    findings = {finding.what: finding.found for finding in checked("h100")}
    assert "families take 1." in findings["kernels"]
    assert "as on h200's host" in findings["runtimes missing"]
    assert load_calibration("a100").device.reference_gpu == "h200"
