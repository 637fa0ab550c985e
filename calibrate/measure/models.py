"""Real latencies and kernel times of models, measured in interleaved rounds and kept as data."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_map_only

from calibrate.measure.programs import record
from calibrate.measure.timers import (
    KernelEvent,
    Probe,
    added_ns,
    busy_ns,
    pass_seconds,
    profile_events,
    short_name,
)
from calibrate.measure.workers import Worker, forking, give_way
from calibrate.samples.environment import check_machine, describe
from calibrate.samples.records import Case
from calibrate.samples.rounds import lower_quartile
from calibrate.samples.store import SampleFile
from calibrate.workloads.device import Run, set_precision
from calibrate.workloads.sources import build, build_inputs
from predictor import runtimes
from predictor.capture.recorder import DTYPES

FEW = 4
"""Up to how many programs are captured before it pays to start processes for them."""

AT_ONCE = max(10, 4 * (os.cpu_count() or 1))
"""Processes that prepare and wait at the same time, where memory has room for them."""

ROOM_BYTES, CARD_BYTES, OWN_BYTES = 1e9, 1.1e9, 12e9
"""Memory for each on the host and on the device (libraries, a context, and what a model keeps between its passes), and
on the device for what this process prepares meanwhile.
"""

ALONE = frozenset(name for name in runtimes.names() if runtimes.load(name).needs_gpu)
"""Runtimes that share no process with others, those that replay CUDA graphs: where a compiler and ONNX Runtime had run
before, a graph's nodes followed each other 0.2 us later. On a CPU none does: memory that one had freed malloc kept for
the next, whose passes took up to a third less.
"""

LONGEST_REASON = 500
"""Characters of why a case cannot run."""

LONG_S = 0.03
"""A pass longer than this is bound by the device, and repeats well: fewer passes make a round."""


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
    wanted: Sequence[Case],
    file: SampleFile,
    device: str,
    protocol: Protocol,
    advance: Callable[[int], None],
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Measure every case that is not in the file yet: rounds of latencies, then its kernels; or why it cannot run.
    meanwhile: other work that needs no quiet host; it is done while the first processes prepare.
    """
    if "environment" not in file:
        level = float(np.median([Probe(device)() for _ in range(7)]))
        file.append([{"key": "environment", "environment": describe(device, level)}])
    check_machine(file, device, "--data")
    missing = [c for c in wanted if not _is_complete(c, file, protocol)]
    advance((len(wanted) - len(missing)) * (protocol.rounds + 2))
    waiting, together = groups_of(missing, device), _at_once(device)
    while waiting or meanwhile:
        now, waiting = waiting[:together], waiting[together:]
        waiting += _measure_groups(now, file, device, protocol, advance, meanwhile)
        meanwhile = None


def groups_of(cases: Sequence[Case], device: str) -> list[list[Case]]:
    """Cases that share a process, see ``ALONE``: of one model and dtype."""
    groups: dict[tuple[str, str, str], list[Case]] = {}
    for case in cases:
        shares = device == "cuda" and case.runtime not in ALONE
        groups.setdefault((case.model, case.dtype, "" if shares else case.runtime), []).append(case)
    return list(groups.values())


def _at_once(device: str) -> int:
    room = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2 / ROOM_BYTES
    if device == "cuda":
        room = min(room, (torch.cuda.mem_get_info()[0] - OWN_BYTES) / CARD_BYTES)
    return int(min(AT_ONCE, max(room, 1)))


def _measure_groups(
    groups: Sequence[Sequence[Case]],
    file: SampleFile,
    device: str,
    protocol: Protocol,
    advance: Callable[[int], None],
    meanwhile: Callable[[], None] | None = None,
) -> list[list[Case]]:
    """Measure groups of cases of one model and dtype each, every group in a process. Returned are those to begin again
    with, a runtime each: what failed together with another runtime, which may have harmed it.
    """
    again: list[list[Case]] = []
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(Bench, cases[0].model, cases[0].dtype, device)) for cases in groups]
        for worker, cases in zip(workers, groups, strict=True):
            worker.ask("prepare", [(case.runtime, case.batch) for case in cases])
        if meanwhile:
            meanwhile()
        runnable: list[tuple[Case, Worker]] = []
        for worker, cases in zip(workers, groups, strict=True):
            of_runtime = dict.fromkeys(case.runtime for case in cases)
            try:
                reasons = worker.answer()
                failed = dict.fromkeys(case.runtime for case, reason in zip(cases, reasons, strict=True) if reason)
                suspects = list(failed)[1:]
            except RuntimeError as error:
                reasons = [str(error)] * len(cases)
                suspects = list(of_runtime) if len(of_runtime) > 1 else []
            again += [[case for case in cases if case.runtime == name] for name in suspects]
            for case, reason in zip(cases, reasons, strict=True):
                if case.runtime in suspects:
                    continue
                if reason is None:
                    runnable.append((case, worker))
                else:
                    file.append([_cannot(case, reason)])
                    advance(protocol.rounds + 2)
        for number in range(protocol.rounds):
            for case, worker in runnable:
                head = {"key": f"round/{case.key}/{number}", "case": case.key}
                _take(case, head, file, worker, "round", protocol.passes)
                advance(1)
        alive = list(dict.fromkeys(worker for _, worker in runnable))
        for worker in alive:  # last: the profiler slows every launch after it
            worker.ask("open_profiler")
        for worker in alive:
            with suppress(RuntimeError):  # the cases' own profiles say why
                worker.answer()
        for case, worker in runnable:
            _take(case, {"key": f"case/{case.key}", **asdict(case)}, file, worker, "profile", protocol.profiles)
            advance(2)
        for worker in workers:  # all at once: to leave a device takes each a while
            worker.close()
    return again


def _take(case: Case, head: Mapping[str, Any], file: SampleFile, worker: Worker, method: str, passes: int) -> None:
    """Add what a worker says of a case to the file, unless it is there; or why the case, which had run, fails now."""
    if head["key"] in file or f"cannot/{case.key}" in file:
        return
    worker.ask(method, case.runtime, case.batch, passes)
    try:
        file.append([{**head, **worker.answer()}])
    except RuntimeError as error:
        file.append([_cannot(case, str(error))])


def _cannot(case: Case, reason: str) -> dict[str, Any]:
    return {"key": f"cannot/{case.key}", "case": case.key, "reason": reason}


class Bench:
    """A model under runtimes, in a process of its own."""

    def __init__(self, model: str, dtype: str, device: str) -> None:
        warnings.simplefilter("ignore")  # in a process of its own: exporters and compilers have much to say
        logging.disable(logging.WARNING)
        if device == "cuda":  # other processes prepare at the same time
            from torch._inductor import config

            torch.set_num_threads(1)
            config.compile_threads = 1
            give_way()
        self.device, self.dtype = device, dtype
        self._model = model
        self._runs: dict[tuple[str, int], Run] = {}
        set_precision(dtype)
        torch.backends.cudnn.allow_tf32 = True  # torch's default: TF32 for convolutions
        self._probe = Probe(device)
        with torch.device(device):
            torch.manual_seed(0)
            self._module = build(model, device)[0].to(DTYPES[dtype])

    def prepare(self, wanted: Sequence[tuple[str, int]]) -> list[str | None]:
        """Why a runtime cannot run a batch, in one line, or None; of a runtime that failed no other batch is tried.
        wanted: (runtime, batch), the batches in ascending order. Raises where a failure has harmed what ran before it.
        """
        failed: dict[str, str] = {}
        reasons: list[str | None] = []
        for runtime, batch in wanted:
            reason = failed.get(runtime) or self._prepare(runtime, batch)
            if reason:
                failed[runtime] = reason
            reasons.append(reason)
        for run in self._runs.values() if failed else ():
            pass_seconds(run, self.device, 1)
        return reasons

    def _prepare(self, runtime: str, batch: int) -> str | None:
        try:
            with torch.device(self.device):
                inputs = build_inputs(self._model, self.device, batch)
            run = runtimes.load(runtime).prepare(*placed(self._module, inputs, self.dtype, self.device))
            pass_seconds(run, self.device, 3)
        except Exception as error:
            return " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_REASON]
        self._runs[runtime, batch] = run
        return None

    def round(self, runtime: str, batch: int, passes: int) -> dict[str, Any]:
        """One round: the host probe, passes, the host probe again."""
        run = self._runs[runtime, batch]
        first = min(pass_seconds(run, self.device, 2))
        before = self._probe.recent()
        seconds = lower_quartile(pass_seconds(run, self.device, passes if first < LONG_S else max(passes // 4, 3)))
        return {"seconds": seconds, "probe_s": [before, self._probe()]}

    def open_profiler(self) -> None:
        """Its first run takes seconds: here, where others can do the same at the same time."""
        if self.device == "cuda":
            profile_events(self._probe)

    def profile(self, runtime: str, batch: int, passes: int) -> dict[str, Any]:
        """Kernels of a pass, none on a CPU."""
        return _profile(self._runs[runtime, batch], passes) if self.device == "cuda" else {}


def _is_complete(case: Case, file: SampleFile, protocol: Protocol) -> bool:
    if f"cannot/{case.key}" in file:
        return True
    return f"case/{case.key}" in file and all(f"round/{case.key}/{n}" in file for n in range(protocol.rounds))


def complete(wanted: Sequence[Case], file: SampleFile, protocol: Protocol) -> bool:
    """Whether everything about every case is in the file."""
    return all(_is_complete(c, file, protocol) for c in wanted)


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


@contextmanager
def programs_recorded(wanted: Iterable[tuple[Case, SampleFile]], device: str) -> Iterator[None]:
    """What each runtime does with its case, captured on this machine for those that their file does not have yet: in
    processes of their own while the block runs, where there are many.
    """
    missing = [(case, file) for case, file in wanted if f"program/{case.key}" not in file]
    arguments = [(c.model, c.batch, c.dtype, c.runtime, device) for c, _ in missing]
    with ExitStack() as stack:
        start: Callable[..., Any] = map
        if len(missing) > FEW:
            pool = ProcessPoolExecutor(mp_context=forking(), initializer=give_way if device == "cuda" else None)
            start = stack.enter_context(pool).map
        found = start(record, *zip(*arguments, strict=True)) if missing else ()
        yield
        for (case, file), program in zip(missing, found, strict=True):
            file.append([{"key": f"program/{case.key}", **program}])


def record_programs(wanted: Iterable[tuple[Case, SampleFile]], device: str) -> None:
    """Record programs, see ``programs_recorded``, and wait for them."""
    with programs_recorded(wanted, device):
        pass
