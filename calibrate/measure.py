"""Real latencies and kernel times of models, measured in interleaved rounds and kept as data."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_map_only

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
from calibrate.programs import record
from calibrate.sources import build, build_inputs
from calibrate.store import SampleFile
from calibrate.sweep import set_precision
from calibrate.workers import Worker, forking
from predictor import runtimes
from predictor.calibration import Calibration
from predictor.capture import DTYPES
from predictor.errors import PredictorError

FEW = 4
"""Up to how many programs are captured before it pays to start processes for them."""

AT_ONCE = max(10, 2 * (os.cpu_count() or 1))
"""Models that are ready to run at the same time, each in a process of its own."""

LONGEST_REASON = 500
"""Characters of why a case cannot run."""

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
    """Measure every case that is not in the file yet: rounds of latencies, then its kernels; or why it cannot run."""
    if "environment" not in file:
        level = float(np.median([Probe(device)() for _ in range(7)]))
        file.append([{"key": "environment", "environment": describe(device, level)}])
    _check_machine(file, device)
    missing = [c for c in wanted if not _is_complete(c, file, protocol)]
    advance((len(wanted) - len(missing)) * (protocol.rounds + 2))
    groups: dict[tuple[str, str, str], list[Case]] = {}
    for case in missing:
        groups.setdefault((case.model, case.dtype, case.runtime), []).append(case)
    waiting = list(groups.items())
    for first in range(0, len(waiting), AT_ONCE):
        _measure_groups(dict(waiting[first : first + AT_ONCE]), file, device, protocol, advance)


def _measure_groups(
    groups: Mapping[tuple[str, str, str], Sequence[Case]],
    file: SampleFile,
    device: str,
    protocol: Protocol,
    advance: Callable[[int], None],
) -> None:
    with ExitStack() as stack:
        workers = {key: stack.enter_context(Worker(Bench, *key, device)) for key in groups}
        for key, cases in groups.items():
            workers[key].ask("prepare", [case.batch for case in cases])
        runnable: list[tuple[Case, Worker]] = []
        alive = dict(workers)
        for key, cases in groups.items():
            try:
                reasons = workers[key].answer()
            except RuntimeError as error:
                reasons = [str(error)] * len(cases)
            if all(reasons):
                del alive[key]
            for case, reason in zip(cases, reasons, strict=True):
                if reason is None:
                    runnable.append((case, workers[key]))
                else:
                    file.append([{"key": f"cannot/{case.key}", "case": case.key, "reason": reason}])
                    advance(protocol.rounds + 2)
        for number in range(protocol.rounds):
            for case, worker in runnable:
                name = f"round/{case.key}/{number}"
                if name not in file:
                    worker.ask("round", case.batch, protocol.passes)
                    file.append([{"key": name, "case": case.key, **worker.answer()}])
                advance(1)
        for worker in alive.values():  # last: the profiler slows every launch after it
            worker.ask("open_profiler")
        for worker in alive.values():
            worker.answer()
        for case, worker in runnable:
            if f"case/{case.key}" not in file:
                worker.ask("profile", case.batch, protocol.profiles)
                file.append([{"key": f"case/{case.key}", **asdict(case), **worker.answer()}])
            advance(2)


class Bench:
    """A zoo model under a runtime, in a process of its own; batches are prepared in ascending order."""

    def __init__(self, model: str, dtype: str, runtime: str, device: str) -> None:
        warnings.simplefilter("ignore")  # in a process of its own: exporters and compilers have much to say
        logging.disable(logging.WARNING)
        self.device, self.dtype = device, dtype
        self._model, self._runtime = model, runtimes.load(runtime)
        self._runs: dict[int, Run] = {}
        set_precision(dtype)
        torch.backends.cudnn.allow_tf32 = True  # torch's default: TF32 for convolutions
        self._probe = Probe(device)
        with torch.device(device):
            torch.manual_seed(0)
            self._module = build(model, device)[0].to(DTYPES[dtype])

    def prepare(self, batches: Sequence[int]) -> list[str | None]:
        """Why a batch cannot run, in one line, or None; what follows a failure is not tried."""
        reasons: list[str | None] = []
        for batch in batches:
            reason = reasons[-1] if reasons else None
            reasons.append(reason or self._prepare(batch))
        return reasons

    def _prepare(self, batch: int) -> str | None:
        try:
            with torch.device(self.device):
                inputs = build_inputs(self._model, self.device, batch)
            run = self._runtime.prepare(*placed(self._module, inputs, self.dtype, self.device))
            pass_seconds(run, self.device, 3)
        except Exception as error:
            return " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_REASON]
        self._runs[batch] = run
        return None

    def round(self, batch: int, passes: int) -> dict[str, Any]:
        """One round: the host probe, passes, the host probe again."""
        run = self._runs[batch]
        first = min(pass_seconds(run, self.device, 2))
        before = self._probe()
        seconds = lower_quartile(pass_seconds(run, self.device, passes if first < LONG_S else max(passes // 4, 3)))
        return {"seconds": seconds, "probe_s": [before, self._probe()]}

    def open_profiler(self) -> None:
        """Its first run takes seconds: here, where others can do the same at the same time."""
        if self.device == "cuda":
            profile_events(self._probe)

    def profile(self, batch: int, passes: int) -> dict[str, Any]:
        """Kernels of a pass, none on a CPU."""
        return _profile(self._runs[batch], passes) if self.device == "cuda" else {}


def _is_complete(case: Case, file: SampleFile, protocol: Protocol) -> bool:
    if f"cannot/{case.key}" in file:
        return True
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


def placed(module: torch.nn.Module, inputs: Any, dtype: str, device: str) -> tuple[torch.nn.Module, Any]:
    """Module and inputs on a device, what is floating point in a dtype."""

    def place(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(device, DTYPES[dtype] if tensor.is_floating_point() else tensor.dtype)

    return module.to(device, DTYPES[dtype]), tree_map_only(torch.Tensor, place, inputs)


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


def record_programs(wanted: Sequence[Case], file: SampleFile, device: str) -> None:
    """What each runtime does with its case, captured on this machine, for those that the file does not have yet."""
    missing = [c for c in wanted if f"program/{c.key}" not in file]
    arguments = [(c.model, c.batch, c.dtype, c.runtime, device) for c in missing]
    with ExitStack() as stack:
        start: Callable[..., Any] = map
        if len(missing) > FEW:
            start = stack.enter_context(ProcessPoolExecutor(mp_context=forking())).map
        for case, found in zip(missing, start(record, *zip(*arguments, strict=True)) if missing else (), strict=True):
            file.append([{"key": f"program/{case.key}", **found}])
