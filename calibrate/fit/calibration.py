"""Every sample of a calibration -> its files. Needs no device: a fit can be repeated anywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from calibrate.fit import few_kernels, runtimes
from calibrate.fit import host as host_fits
from calibrate.fit.kernel_tables import merged
from calibrate.fit.kernels import fit_kernels
from calibrate.samples.files import Samples
from calibrate.samples.host_rows import row_of_label
from calibrate.samples.kernels import MeasuredKernel, measured_kernels
from calibrate.samples.records import CaseProfile, CaseRound, DeviceConstants, fields_of
from calibrate.samples.records import Environment as Recorded
from calibrate.samples.rounds import quiet_level
from predictor.calibration import files
from predictor.calibration.host_costs import host_costs_of
from predictor.calibration.load import Calibration, forget
from predictor.calibration.schema import (
    SCHEMA,
    CallCost,
    Datasheet,
    Device,
    Environment,
    File,
    Fit,
    HostError,
    Kernels,
    NamedHosts,
    RuntimeCosts,
)
from predictor.errors import PredictorError
from predictor.kernels.families import FAMILIES, MeasuredIn
from predictor.records import Kernel
from predictor.runtimes.eager import lowering as eager

Examples = Callable[[], Mapping[str, Mapping[str, Kernel]]]
"""Operator -> dtype -> the kernel on matrix units in the call whose host cost was timed; asked where it is needed."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibration that is not written yet. device: the device's files, none where they stay as they are."""

    device: Sequence[Device | Kernels | NamedHosts]
    costs: Mapping[str, RuntimeCosts]
    calibration: Calibration

    def write(self, out: Path, doubts: str) -> None:
        """Write its files into a folder at once. doubts: what speaks against trusting it, kept in what was measured."""
        here = self.costs[eager.NAME].environment
        files.write_calibration(
            out, [_doubted(content, here, doubts) for content in (*self.device, *self.costs.values())]
        )
        forget()


def _doubted(content: File, here: Environment, doubts: str) -> File:
    """The file with doubts about what was measured ``here``; a device's may be another's."""
    if not isinstance(content, Device | RuntimeCosts) or content.environment != here:
        return content
    environment = msgspec.structs.replace(content.environment, doubts=doubts)
    return msgspec.structs.replace(content, environment=environment)


def fitted(gpu: str, out: Path, examples: Examples, host_only: bool = False) -> Fitted:
    """Samples in ``out`` -> a calibration. host_only: device and kernels stay as they are. A few kernels are not fitted
    alone, see ``few_kernels``. Raises PredictorError where there are no samples.
    """
    opened = Samples.of(out)
    constants, recorded = opened.constants.find(DeviceConstants), opened.constants.find(Recorded, 0)
    if constants is None or recorded is None:
        raise PredictorError(f"{opened.constants.path.parent} holds no samples: run calibrate --gpu {gpu} first")
    probe_s = quiet_level([probe_s for sample in opened.modules.of(CaseRound) for probe_s in sample.probe_s])
    environment = _environment(recorded, probe_s)
    calls = host_fits.host_calls(opened.host, probe_s, constants.serial)
    sampled = measured_kernels(opened.kernels)
    own = [s for s in sampled if s.family not in runtimes.MADE]
    own_fits = bool(own) and not host_only and (constants.serial or not few_kernels.are_few(sampled))
    if own_fits:
        device = _device(gpu, constants, environment, out)
        samples = _without_dispatch(own, calls.hot_s) if constants.serial else own
        derived, published = fits_that_stay(out / "kernels.json", gpu)
        kernels = _kernels(gpu, merged(derived, merged(fit_kernels(samples, device), published)))
    elif own and not host_only:
        here = _device(gpu, constants, environment, out)
        known = few_kernels.measured_in_full(gpu, here, out)
        device, kernels = known or few_kernels.departing(gpu, here, sampled)
    else:
        device = files.read(out / "device.json", Device, gpu)
        kernels = files.read(out / "kernels.json", Kernels, gpu)
    named = _named_hosts(gpu, device, out)
    calibration = Calibration.of(device, kernels, named_hosts=named, folder=out)
    costs = {eager.NAME: _eager_costs(opened, calibration, environment, calls, constants.launch_s, examples)}
    refitted, costs = _with_others(opened, calibration, kernels, costs, own_fits)
    calibration = Calibration.of(device, refitted, costs, named, out)
    return Fitted([] if host_only else [device, refitted, *([named] if named else [])], costs, calibration)


def _named_hosts(gpu: str, device: Device, out: Path) -> NamedHosts | None:
    """Hosts that are known by name and scaled from the host of the device's reference: of the calibration in ``out``,
    or in the first folder that has them.
    """
    for folder in (out, *files.folders_of(gpu)) if device.reference_gpu else ():
        if (folder / "hosts.json").is_file():
            named = files.read(folder / "hosts.json", NamedHosts, gpu)
            if named.reference_gpu == device.reference_gpu:
                return named
    return None


def _environment(recorded: Recorded, probe_s: float) -> Environment:
    """As a calibration describes it. probe_s: of a quiet host."""
    described = {name: value for name, value in fields_of(recorded).items() if name in Environment.__struct_fields__}
    return msgspec.convert({**described, "probe_s": probe_s}, Environment)


def _device(gpu: str, constants: DeviceConstants, environment: Environment, out: Path) -> Device:
    sheet = files.datasheets().get(gpu)
    measured = {name: value for name, value in fields_of(constants).items() if name != "launch_s"}
    return files.converted(
        {
            "schema": SCHEMA,
            "gpu": gpu,
            "provenance": "measured",
            "reference_gpu": None,
            "environment": msgspec.to_builtins(environment),
            **measured,
            "architecture": files.read(sheet, Datasheet, gpu).architecture if sheet else constants.architecture,
        },
        Device,
        out / "device.json",
    )


def _kernels(gpu: str, fits: list[Fit]) -> Kernels:
    return Kernels(
        gpu=gpu, provenance="measured", reference_gpu=None, time_factor=1.0, log_sd=None, factors=[], fits=fits
    )


def _eager_costs(
    opened: Samples,
    calibration: Calibration,
    environment: Environment,
    timed: host_fits.HostCalls,
    launch_s: float,
    examples: Examples,
) -> RuntimeCosts:
    """What eager's calls cost, and the Python around them."""
    assert environment.probe_s is not None
    library_calls, library_s = host_fits.shapes(opened.host, calibration, timed.hot_s, environment.probe_s, examples)
    launches = host_fits.example_launches(opened.host)
    calls = [
        CallCost(
            op=row_of_label(label).op,
            variant=row_of_label(label).variant,
            dtype=dtype,
            hot_s=hot_s,
            cold_s=timed.cold_s[label][dtype],
            launches=launches.get(label, {}).get(dtype, 0.0),
            library_s=library_s.get(label, {}).get(dtype),
        )
        for label, by_dtype in timed.hot_s.items()
        for dtype, hot_s in by_dtype.items()
    ]
    costs = RuntimeCosts(
        gpu=calibration.gpu,
        provenance="measured",
        runtime=eager.NAME,
        base=None,
        environment=environment,
        op_factor=1.0,
        line_s=0.0,
        module_s=0.0,
        call_s=0.0,
        fixed_s=0.0,
        launch_s=launch_s,
        gap_s=None,
        calls=calls,
        typical=host_fits.typical(calls),
        library_calls=library_calls,
        error=HostError(modules=0, log_sd=0.0, log_rms=0.0, mape=0.0, median=0.0),
    )
    host = host_costs_of(eager.NAME, {eager.NAME: costs}, calibration.gpu)
    fitted = host_fits.fit_modules(opened.modules, calibration, host)
    return msgspec.structs.replace(
        costs,
        **fitted.coefficients,
        error=fitted.error,
    )


def _with_others(
    opened: Samples, calibration: Calibration, kernels: Kernels, costs: dict[str, RuntimeCosts], own_fits: bool
) -> tuple[Kernels, dict[str, RuntimeCosts]]:
    """Kernels with those that other runtimes alone make, and the costs of all runtimes that were measured. costs:
    eager's; own_fits: whether kernels are fitted, or stay as they are.
    """
    file = opened.runtimes
    calibration = replace(calibration, runtime_costs=costs)
    measured = [name for name in runtimes.fitted() if any(s.case.runtime == name for s in file.of(CaseProfile))]
    if own_fits:
        ran = {name: runtimes.modules(file, name, calibration, calibration.own_host(eager.NAME)) for name in measured}
        alone = [s for s in measured_kernels(opened.kernels) if s.family in runtimes.MADE]
        seen = [s for modules in ran.values() for s in runtimes.made_kernels(modules, calibration)]
        kernels = msgspec.structs.replace(
            kernels, fits=merged(kernels.fits, runtimes.fit_made([*alone, *seen], calibration.device))
        )
        calibration = Calibration.of(calibration.device, kernels, costs, calibration.named_hosts, calibration.folder)
    for name in measured:
        base = calibration.own_host(runtimes.terms_of(name).base or eager.NAME)
        modules = runtimes.modules(file, name, calibration, base)
        costs = {**costs, name: runtimes.fit_runtime(name, modules, calibration, base)}
        calibration = replace(calibration, runtime_costs=costs)
    return kernels, runtimes.with_same(costs)


def fits_that_stay(path: Path, gpu: str) -> tuple[list[Fit], list[Fit]]:
    """Fits that the calibration has and that stay: of another GPU's kernels, where this one measured none of the
    family, or of a family that no calibration measures; and of published kernels.
    """
    try:
        fits = files.read(path, Kernels, gpu).fits
    except PredictorError:  # none yet, or damaged
        return [], []
    kept = [f for f in fits if f.provenance == "derived" or FAMILIES[f.family].measured_in is MeasuredIn.NOWHERE]
    return kept, [f for f in fits if f.context == "replay"]


def _without_dispatch(
    samples: Sequence[MeasuredKernel], calls: Mapping[str, Mapping[str, float]]
) -> list[MeasuredKernel]:
    """On a CPU a call's time holds its dispatch: the cost of its smallest call is taken off, at most nine tenths."""
    return [replace(s, seconds=max(s.seconds - calls.get(s.op, {}).get("fp32", 0.0), 0.1 * s.seconds)) for s in samples]
