"""Real latencies and kernel times of models, measured in interleaved rounds and kept as data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_map_only

import models_zoo
from calibrate.bench import (
    KernelEvent,
    Probe,
    Run,
    added_ns,
    busy_ns,
    lower_quartile,
    pass_seconds,
    profile_events,
    short_name,
)
from calibrate.environment import describe
from calibrate.programs import program_to_json
from calibrate.store import SampleFile
from calibrate.sweep import set_precision
from predictor import runtimes
from predictor.calibration import Calibration
from predictor.capture import DTYPES, capture
from predictor.errors import PredictorError

LONG_S = 0.03
"""A pass longer than this is bound by the device, and repeats well: fewer passes make a round."""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure."""

    model: str
    batch: int
    dtype: str
    runtime: str

    @property
    def key(self) -> str:
        return f"{self.model}/{self.batch}/{self.dtype}/{self.runtime}"


@dataclass(frozen=True, slots=True)
class Protocol:
    """rounds: interleaved over all cases; passes: synchronised passes in a round; profiles: passes under the
    profiler.
    """

    rounds: int = 6
    passes: int = 15
    profiles: int = 3


def cases(models: Sequence[str], batches: Sequence[int], dtypes: Sequence[str], runtime: str) -> list[Case]:
    """Every combination, the models' order kept."""
    return [Case(m, b, d, runtime) for m in models for d in dtypes for b in batches]


def measure(
    wanted: Sequence[Case], file: SampleFile, device: str, protocol: Protocol, advance: Callable[[int], None]
) -> None:
    """Measure every case that is not in the file yet: its program, its kernels, and rounds of latencies."""
    if "environment" not in file:
        file.append(
            [
                {
                    "key": "environment",
                    "environment": describe(device, float(np.median([Probe(device)() for _ in range(7)]))),
                }
            ]
        )
    _check_machine(file, device)
    missing = [c for c in wanted if not _is_complete(c, file, protocol)]
    advance((len(wanted) - len(missing)) * (protocol.rounds + 2))
    runs = dict(_prepare(missing, device))
    probe = Probe(device)
    for number in range(protocol.rounds):
        for case, run in runs.items():
            key = f"round/{case.key}/{number}"
            if key not in file:
                file.append([{"key": key, "case": case.key, **_round(case, run, device, protocol, probe)}])
            advance(1)
    for case, run in runs.items():  # last: the profiler slows every launch after it
        if f"case/{case.key}" not in file:
            file.append([_describe(case, run, device, protocol)])
        advance(2)


def _is_complete(case: Case, file: SampleFile, protocol: Protocol) -> bool:
    return f"case/{case.key}" in file and all(f"round/{case.key}/{n}" in file for n in range(protocol.rounds))


def complete(wanted: Sequence[Case], file: SampleFile, protocol: Protocol) -> bool:
    """Whether everything about every case is in the file."""
    return all(_is_complete(c, file, protocol) for c in wanted)


def _check_machine(file: SampleFile, device: str) -> None:
    recorded, here = file.samples["environment"]["environment"], describe(device, 0.0)
    for key in ("gpu", "cpu"):
        if recorded.get(key) != here.get(key):
            raise PredictorError(
                f"{file.path} holds measurements of another machine ({recorded.get(key)}, not {here.get(key)}): "
                "choose another --data"
            )


def check_gpu(file: SampleFile, calibration: Calibration) -> None:
    """Measurements are held against a calibration of the same GPU only: raises PredictorError."""
    measured = file.samples.get("environment", {}).get("environment", {}).get("gpu")
    calibrated = calibration.device["environment"].get("gpu")
    if measured != calibrated:
        raise PredictorError(f"{file.path} was measured on {measured or 'a CPU'}, not on {calibrated or 'a CPU'}")


def _prepare(wanted: Sequence[Case], device: str) -> Iterator[tuple[Case, Run]]:
    """Build each model once per dtype, on the device, and hand out its runs with inputs of every batch."""
    built: dict[tuple[str, str], torch.nn.Module] = {}
    for case in wanted:
        key = case.model, case.dtype
        with torch.device(device):
            if key not in built:
                torch.manual_seed(0)
                built[key] = models_zoo.build(case.model, 1)[0].to(DTYPES[case.dtype])
            inputs = models_zoo.build_inputs(case.model, case.batch)
        run = runtimes.load(case.runtime).prepare(*placed(built[key], inputs, case.dtype, device))
        _use(case)
        pass_seconds(run, device, 3)
        yield case, run


def placed(module: torch.nn.Module, inputs: Any, dtype: str, device: str) -> tuple[torch.nn.Module, Any]:
    """Module and inputs on a device, what is floating point in a dtype."""

    def place(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(device, DTYPES[dtype] if tensor.is_floating_point() else tensor.dtype)

    return module.to(device, DTYPES[dtype]), tree_map_only(torch.Tensor, place, inputs)


def _use(case: Case) -> None:
    """torch's default precision: TF32 for convolutions; for matrix products where the dtype says so."""
    set_precision(case.dtype)
    torch.backends.cudnn.allow_tf32 = True


def _describe(case: Case, run: Run, device: str, protocol: Protocol) -> dict[str, Any]:
    _use(case)
    with torch.device("meta"):
        module, inputs = models_zoo.build(case.model, case.batch)
    graph = capture(module, inputs, case.dtype, case.model)
    row: dict[str, Any] = {
        "key": f"case/{case.key}",
        "model": case.model,
        "batch": case.batch,
        "dtype": case.dtype,
        "runtime": case.runtime,
        "macs": graph.macs,
        "program": program_to_json(runtimes.load(case.runtime).lower(graph)),
    }
    if device == "cuda":
        row |= _profile(run, protocol.profiles)
    return row


def _profile(run: Run, passes: int) -> dict[str, Any]:
    """Kernel time of a pass, overlap counted once (median over passes), and the last one's kernels: name index, and the
    nanoseconds that they add to those before.
    """
    profiles: list[list[KernelEvent]] = [profile_events(run) for _ in range(passes)]
    names = sorted({short_name(e.name) for e in profiles[-1]})
    added = added_ns(profiles[-1])
    return {
        "kernel_s": float(np.median([busy_ns(p) for p in profiles])) * 1e-9,
        "launches": len(profiles[-1]),
        "kernel_names": names,
        "kernel_order": [[names.index(short_name(e.name)), ns] for e, ns in zip(profiles[-1], added, strict=True)],
    }


def _round(case: Case, run: Run, device: str, protocol: Protocol, probe: Probe) -> dict[str, Any]:
    _use(case)
    first = min(pass_seconds(run, device, 2))
    passes = protocol.passes if first < LONG_S else max(protocol.passes // 4, 3)
    before = probe()
    seconds = lower_quartile(pass_seconds(run, device, passes))
    return {"seconds": seconds, "probe_s": [before, probe()]}
