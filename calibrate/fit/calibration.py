"""Every sample of a calibration -> its files. Needs no device: a fit can be repeated anywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from calibrate.fit import host as host_fits
from calibrate.fit import runtimes
from calibrate.fit.kernels import fit_kernels
from calibrate.samples.files import Samples
from calibrate.samples.kernels import MeasuredKernel, measured_kernels
from calibrate.samples.records import CaseProfile, CaseRound, DeviceConstants, Environment, fields_of
from calibrate.samples.rounds import quiet_level
from predictor.calibration import files
from predictor.calibration.host_costs import host_costs_of
from predictor.calibration.load import REPLAY, forget, load_calibration
from predictor.errors import PredictorError
from predictor.records import Kernel
from predictor.runtimes.eager import lowering as eager

Examples = Callable[[], Mapping[str, Mapping[str, Kernel]]]
"""Operator -> dtype -> the kernel on matrix units in the call whose host cost was timed; asked where it is needed."""


def fit(gpu: str, out: Path, examples: Examples) -> None:
    """Samples in ``out`` -> calibration files in ``out``. Raises PredictorError where there are no samples."""
    opened = Samples.of(out)
    constants, recorded = opened.constants.find(DeviceConstants), opened.constants.find(Environment, 0)
    if constants is None or recorded is None:
        raise PredictorError(f"{opened.constants.path.parent} holds no samples: run calibrate --gpu {gpu} first")
    probe_s = quiet_level([probe_s for sample in opened.modules.of(CaseRound) for probe_s in sample.probe_s])
    environment = {**fields_of(recorded), "probe_s": probe_s}
    host_calls = host_fits.host_calls(opened.host, probe_s, constants.serial)
    hot, cold = host_calls.hot_s, host_calls.cold_s
    calls = {op: {d: [hot[op][d], cold[op][d]] for d in hot[op]} for op in hot}
    head = {"schema": files.SCHEMA, "gpu": gpu, "provenance": "measured"}
    device = {**head, **{k: v for k, v in fields_of(constants).items() if k != "launch_s"}, "environment": environment}
    kernels = [s for s in measured_kernels(opened.kernels) if s.family not in runtimes.MADE]
    if kernels:
        fits = _published(out / "kernels.json", gpu)
        samples = _without_dispatch(kernels, hot) if constants.serial else kernels
        for family, named in fit_kernels(samples, device).items():
            fits[family] = named | fits.get(family, {})
        files.write_json(out / "kernels.json", {**head, "families": fits})
        files.write_json(out / "device.json", device)
    forget()
    calibration = load_calibration(str(out.resolve()))
    host: dict[str, Any] = {
        **head,
        "runtime": eager.NAME,
        "coefficients": {
            **{"op_factor": 1.0, "line_s": 0.0, "module_s": 0.0, "fixed_s": 0.0},
            "launch_s": constants.launch_s,
        },
        "error": {"log_rms": 0.0},
        "calls": calls,
        "launches": host_fits.example_launches(opened.host),
        **host_fits.shapes(opened.host, calibration, hot, probe_s, examples),
        "typical_s": host_fits.typical(calls),
        "environment": environment,
    }
    fitted = host_fits.fit_modules(opened.modules, calibration, host_costs_of(host, out))
    host["coefficients"] |= fitted["coefficients"]
    host["error"] = fitted["error"]
    files.write_json(out / "eager.json", host)
    forget()
    _fit_others(opened, gpu, out, {**head, "environment": environment})


def _fit_others(opened: Samples, gpu: str, out: Path, head: dict[str, Any]) -> None:
    """A file for every other runtime that was measured; the kernels that only they make join ``kernels.json``."""
    file = opened.runtimes
    calibration = load_calibration(str(out.resolve()))
    measured = [name for name in runtimes.fitted() if any(s.case.runtime == name for s in file.of(CaseProfile))]
    ran = {name: runtimes.modules(file, name, calibration, calibration.host(eager.NAME)) for name in measured}
    alone = [s for s in measured_kernels(opened.kernels) if s.family in runtimes.MADE]
    seen = [s for own in ran.values() for s in runtimes.made_kernels(own, calibration)]
    made = runtimes.fit_made([*alone, *seen], calibration.device)
    if made and len(opened.kernels):
        kernels = files.read_json(out / "kernels.json", gpu)
        files.write_json(out / "kernels.json", {**kernels, "families": {**kernels["families"], **made}})
        forget()
        calibration = load_calibration(str(out.resolve()))
    for name in measured:
        like = runtimes.terms_of(name).base
        costs = calibration.host(like or eager.NAME)
        fitted = runtimes.fit_runtime(name, runtimes.modules(file, name, calibration, costs), calibration, costs)
        files.write_json(out / f"{name}.json", {**head, "runtime": name, **({"like": like} if like else {}), **fitted})
        forget()


def _published(path: Path, gpu: str) -> dict[str, dict[str, Any]]:
    """Fits of published kernels that the calibration has: they stay."""
    try:
        families = files.read_json(path, gpu)["families"]
    except (PredictorError, KeyError):  # none yet, or damaged
        return {}
    return {
        family: {name: fit for name, fit in named.items() if name.endswith(REPLAY)}
        for family, named in families.items()
    }


def _without_dispatch(
    samples: Sequence[MeasuredKernel], calls: Mapping[str, Mapping[str, float]]
) -> list[MeasuredKernel]:
    """On a CPU a call's time holds its dispatch: the cost of its smallest call is taken off, at most nine tenths."""
    return [replace(s, seconds=max(s.seconds - calls.get(s.op, {}).get("fp32", 0.0), 0.1 * s.seconds)) for s in samples]
