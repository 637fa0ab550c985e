"""Real latencies and kernel times of models, measured in interleaved rounds and kept as data.

Every case runs in a process with no other model or runtime. Many are prepared side by side; when a wave of them is
ready the others are paused, and latencies are taken one at a time, profiles after them. Each result is on disk before
the next is taken. A case that hangs, crashes or asserts on the device costs no other.
"""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from msgspec.structs import replace
from torch.utils._pytree import tree_map_only

from calibrate.measure.programs import record
from calibrate.measure.timers import KernelEvent, Probe, added_ns, busy_ns, pass_seconds, profile_events, short_name
from calibrate.measure.workers import Worker, answered, forking, give_way
from calibrate.samples.environment import check_agreement, describe
from calibrate.samples.records import CaseProfile, CaseRound, Environment, ProgramRecord, Refusal
from calibrate.samples.store import SampleFile
from calibrate.workloads.cases import Case
from calibrate.workloads.device import Run, set_precision
from calibrate.workloads.sources import build, build_inputs
from predictor import runtimes
from predictor.capture.calls import DTYPES
from predictor.errors import one_line

FEW = 4
"""Up to how many programs are captured before it pays to start processes for them."""

FREE_CORES = 2
"""Cores that no preparation takes: one for the device's driver, one for this process."""

HOST_BYTES, DEVICE_BYTES = 4e9, 4e9
"""Memory that must be free on the host and on the device before another process starts."""

OUT_OF_MEMORY = "out of memory"
"""In what torch, CUDA and ONNX Runtime say where others may have taken the memory: such a case is tried again alone."""

DECIMALS = 7
"""Of a pass in seconds: a tenth of a microsecond is far below what passes differ by."""

Seconds = tuple[float, ...]
Profile = tuple[Seconds, int, tuple[str, ...], tuple[tuple[int, int], ...]]
"""What ``records.CaseProfile`` says of kernels: kernels_s, launches, names, order."""

SETTLE_S = 0.2
"""What paused processes had on the device by then is done."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """rounds: interleaved over all cases that are ready; passes: synchronised passes in a round, fewer where they would
    take longer than pass_budget_s, but at least three; profiles: passes under the profiler.

    prepare_limit_s, answer_limit_s: what takes longer to prepare a case, or to answer in a round or a profile, is
    killed; wave: processes that are ready before they are measured, wave_s: seconds after which fewer are;
    total_s: seconds after which no case begins, and those that are ready have been measured.
    """

    rounds: int = 6
    passes: int = 15
    profiles: int = 3
    pass_budget_s: float = 0.3
    prepare_limit_s: float = 600.0
    answer_limit_s: float = 60.0
    wave: int = 24
    wave_s: float = 60.0
    total_s: float = float("inf")


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
    bench: type[Bench] | None = None,
) -> None:
    """Measure every case that is not in the file yet: rounds of latencies, then its kernels; or why it cannot run.
    meanwhile: other work that needs no quiet host; it is done while the first processes prepare; bench: what prepares
    and runs a case, by default a ``Bench``. Where ``protocol.total_s`` ends first, what is missing is measured by the
    next call.
    """
    with Worker(Machine, device) as machine:
        machine.ask("describe")
        environment = machine.answer(protocol.answer_limit_s)
    check_agreement(file, environment, "--data")
    session = max((1 + known.session for known in file.of(Environment)), default=0)
    missing = [c for c in wanted if not _is_complete(c, file, protocol)]
    advance((len(wanted) - len(missing)) * (protocol.rounds + 2))
    if missing or not session:
        file.append([replace(environment, session=session)])
    _Schedule(file, session, device, protocol, advance, bench or Bench).run(groups_of(missing), meanwhile)


def groups_of(cases: Sequence[Case]) -> list[list[Case]]:
    """Cases that share a process: those of one model, dtype and runtime that follow each other.

    Where a compiler and ONNX Runtime had run before in a process, the nodes of a CUDA graph followed each other 0.2 us
    later; and memory that one runtime had freed on a CPU malloc kept for the next, whose passes took a third less.
    """
    return [list(group) for _, group in groupby(cases, lambda c: (c.model, c.dtype, c.runtime))]


@dataclass(slots=True, eq=False)
class _Group:
    """Cases in a process. waiting: not prepared yet, the first of them under way; deadline: when its time is up,
    alone: that nothing else may be prepared or ready meanwhile.
    """

    cases: list[Case]
    alone: bool = False
    worker: Worker | None = None
    waiting: deque[Case] = field(default_factory=deque)
    ready: list[Case] = field(default_factory=list)
    deadline: float = 0.0

    @property
    def running(self) -> Worker:
        """Its process, which has been started."""
        if self.worker is None:
            raise RuntimeError("this group has no process")
        return self.worker


class _Schedule:
    """Groups on their way: queued, preparing, ready, measured."""

    def __init__(
        self,
        file: SampleFile,
        session: int,
        device: str,
        protocol: Protocol,
        advance: Callable[[int], None],
        bench: type[Bench],
    ) -> None:
        self.file, self.session, self.device, self.protocol, self.advance = file, session, device, protocol, advance
        self.bench = bench
        self.queue: deque[_Group] = deque()
        self.preparing: list[_Group] = []
        self.ready: list[_Group] = []
        self.free_bytes = float("inf")
        self.steps: Counter[Case] = Counter()
        self.at_once = max((os.cpu_count() or 1) - FREE_CORES, 2)
        self.started = self.measured = time.monotonic()

    def run(self, groups: Sequence[list[Case]], meanwhile: Callable[[], None] | None) -> None:
        """Measure groups; see ``measure``."""
        self.queue.extend(_Group(cases) for cases in groups)
        try:
            while self.queue or self.preparing or self.ready or meanwhile:
                self._start()
                if meanwhile:
                    meanwhile()
                    meanwhile = None
                self._listen()
                if self._is_late():
                    for group in self.preparing:
                        group.running.kill()
                    self.preparing.clear()
                    self.queue.clear()
                if self._is_due():
                    self._measure_ready()
        finally:
            for group in (*self.preparing, *self.ready):
                group.running.kill()

    def _is_late(self) -> bool:
        cases = sum(len(group.ready) for group in self.ready)
        needed = cases * (self.protocol.rounds * (self.protocol.pass_budget_s / 2 + 0.03) + 0.2) + 5.0
        return time.monotonic() - self.started > self.protocol.total_s - needed

    def _is_due(self) -> bool:
        waited = time.monotonic() - self.measured > self.protocol.wave_s
        full = len(self.ready) >= self.protocol.wave or (waited and self.ready) or not self._has_room()
        return bool(self.ready) and bool(full or not self.preparing)

    def _has_room(self) -> bool:
        if not (self.preparing or self.ready):
            return True
        starting = len([g for g in self.preparing if not g.ready])
        return _available_bytes() > HOST_BYTES and self.free_bytes > DEVICE_BYTES * (1 + starting / 4)

    def _start(self) -> None:
        while self.queue and len(self.preparing) < self.at_once and self._has_room():
            group, others = self.queue[0], [*self.preparing, *self.ready]
            if any(other.alone for other in others) or (group.alone and others):
                return
            self.queue.popleft()
            group.worker = Worker(self.bench, group.cases[0].model, group.cases[0].dtype, self.device)
            group.waiting.extend(sorted(group.cases, key=lambda c: (c.batch, c.length, c.lengths)))
            self.preparing.append(group)
            self._prepare_next(group)

    def _prepare_next(self, group: _Group) -> None:
        case = group.waiting[0]
        group.deadline = time.monotonic() + self.protocol.prepare_limit_s
        group.running.ask("prepare", case)

    def _listen(self) -> None:
        """Hear what those that prepare have to say, for a moment; end those whose time is up."""
        ready = answered([group.running for group in self.preparing], 0.2)
        for group in list(self.preparing):
            if group.running in ready:
                self._hear(group)
            elif time.monotonic() > group.deadline:
                group.running.kill()
                self._lose(
                    group, group.waiting[0], f"took longer than {self.protocol.prepare_limit_s:.0f} s to prepare"
                )

    def _hear(self, group: _Group) -> None:
        case = group.waiting[0]
        try:
            reason, self.free_bytes = group.running.answer(self.protocol.answer_limit_s)
        except RuntimeError as error:
            self._lose(group, case, str(error))
            return
        group.waiting.popleft()
        if reason is None:
            group.ready.append(case)
        elif OUT_OF_MEMORY in reason and not group.alone:
            self.queue.append(_Group([case, *group.waiting], alone=True))
            group.waiting.clear()
        else:
            for refused in (case, *group.waiting):
                self._refuse(refused, reason)
            group.waiting.clear()
        if group.waiting:
            self._prepare_next(group)
            return
        self.preparing.remove(group)
        if group.ready:
            self.ready.append(group)
        else:
            group.running.close()

    def _lose(self, group: _Group, case: Case, reason: str) -> None:
        """A process is lost, and which case it is to blame on: the others of its group begin again without that one."""
        for groups in (self.preparing, self.ready):
            if group in groups:
                groups.remove(group)
        group.running.kill()
        self._refuse(case, reason)
        rest = [c for c in group.cases if c is not case and not _is_complete(c, self.file, self.protocol)]
        if rest:
            self.queue.append(_Group(rest, group.alone))

    def _refuse(self, case: Case, reason: str) -> None:
        self.file.append([Refusal(case, reason, self.session)])
        self._step(case, self.protocol.rounds + 2)

    def _step(self, case: Case, steps: int) -> None:
        """Tell the progress bar, of no case more than its steps: it may begin again."""
        steps = min(steps, self.protocol.rounds + 2 - self.steps[case])
        self.steps[case] += steps
        self.advance(steps)

    def _measure_ready(self) -> None:
        """Take rounds and profiles of what is ready, one at a time, while those that prepare are paused."""
        began = time.monotonic()
        for group in self.preparing:
            group.running.pause()
        time.sleep(SETTLE_S if self.preparing else 0.0)
        for number in range(self.protocol.rounds):
            for group, case in self._runnable():
                self._take_round(group, case, number)
                self._step(case, 1)
        for group in self.ready:  # last: the profiler slows every launch after it
            group.running.ask("open_profiler")
        for group in self.ready:
            with suppress(RuntimeError):  # the cases' own profiles say why
                group.running.answer(self.protocol.answer_limit_s)
        for group, case in self._runnable():
            self._take_profile(group, case)
            self._step(case, 2)
        for group in self.ready:  # all at once: to leave a device takes each a while
            group.running.close()
        self.ready.clear()
        self.free_bytes = float("inf")
        self.measured = time.monotonic()
        for group in self.preparing:
            group.deadline += self.measured - began
            group.running.resume()

    def _runnable(self) -> Iterator[tuple[_Group, Case]]:
        """Groups that are still ready, with each of their cases."""
        for group in list(self.ready):
            for case in group.ready:
                if group in self.ready and not self.file.has(Refusal, case):
                    yield group, case

    def _take_round(self, group: _Group, case: Case, number: int) -> None:
        """Add a round to the file, unless it is there; or why the case, which had run, fails."""
        if self.file.has(CaseRound, (case, number)):
            return
        taken = self._answer(group, case, "round", case, self.protocol.passes, self.protocol.pass_budget_s)
        if taken is not None:
            passes_s, probe_s = taken
            self.file.append([CaseRound(case, number, passes_s, probe_s, self.session)])

    def _take_profile(self, group: _Group, case: Case) -> None:
        """Add a case's kernels to the file, none on a CPU, unless they are there; or why the case fails now."""
        if self.file.has(CaseProfile, case):
            return
        taken = self._answer(group, case, "profile", case, self.protocol.profiles)
        if taken is not None:
            kernels_s, launches, names, order = taken
            self.file.append([CaseProfile(case, kernels_s, launches, names, order, self.session)])

    def _answer(self, group: _Group, case: Case, method: str, *args: Any) -> Any:
        """What a process says of a case; None where the case fails now."""
        group.running.ask(method, *args)
        try:
            return group.running.answer(self.protocol.answer_limit_s)
        except RuntimeError as error:
            self._lose(group, case, str(error))
            return None


def _available_bytes() -> float:
    """Memory that the host has left."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("inf")
    return next((float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), float("inf"))


class Machine:
    """This machine, asked from a process of its own: the one that schedules never opens a GPU."""

    def __init__(self, device: str) -> None:
        self.device = device

    def describe(self) -> Environment:
        """The environment, with the host probe's level."""
        probe = Probe(self.device)
        return describe(self.device, float(np.median([probe() for _ in range(7)])))


class Bench:
    """A model under a runtime, in a process of its own."""

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
        self._runs: dict[Case, Run] = {}
        set_precision(dtype)
        torch.backends.cudnn.allow_tf32 = True  # torch's default: TF32 for convolutions
        self._probe = Probe(device)
        self._load()

    def _load(self) -> None:
        """What is done once for all runtimes and batches."""
        with torch.device(self.device):
            torch.manual_seed(0)
            self._module = build(self._model, self.device)[0].to(DTYPES[self.dtype])

    def _ready(self, case: Case) -> Run:
        """A pass of a case."""
        with torch.device(self.device):
            inputs = build_inputs(self._model, self.device, case.batch, case.length, case.lengths)
        return runtimes.load(case.runtime).prepare(*placed(self._module, inputs, self.dtype, self.device))

    def prepare(self, case: Case) -> tuple[str | None, float]:
        """(why a runtime cannot run a case, in one line, or None; bytes that are free on the device). Raises where the
        failure has harmed what ran before it.
        """
        try:
            run = self._ready(case)
            pass_seconds(run, self.device, 3)
        except Exception as error:
            reason = one_line(error)
            try:
                for earlier in self._runs.values():
                    pass_seconds(earlier, self.device, 1)
            except Exception as harm:
                raise RuntimeError(reason) from harm
            return reason, self._free_bytes()
        self._runs[case] = run
        return None, self._free_bytes()

    def _free_bytes(self) -> float:
        try:
            return float(torch.cuda.mem_get_info()[0]) if self.device == "cuda" else float("inf")
        except RuntimeError:  # the failure that is being told has ended CUDA here
            return float("inf")

    def round(self, case: Case, passes: int, budget_s: float) -> tuple[Seconds, tuple[float, float]]:
        """One round: every pass, and the host probe before and after them."""
        run = self._runs[case]
        first = min(pass_seconds(run, self.device, 2))
        before = self._probe.recent()
        taken = pass_seconds(run, self.device, int(min(passes, max(budget_s / first, 3))))
        after = self._probe()
        return tuple(round(seconds, DECIMALS) for seconds in taken), (before, after)

    def open_profiler(self) -> None:
        """Its first run takes seconds: here, where others can do the same at the same time."""
        if self.device == "cuda":
            profile_events(self._probe)

    def profile(self, case: Case, passes: int) -> Profile:
        """Kernels of a pass, none on a CPU."""
        return _profile(self._runs[case], passes) if self.device == "cuda" else ((), 0, (), ())


def _is_complete(case: Case, file: SampleFile, protocol: Protocol) -> bool:
    if file.has(Refusal, case):
        return True
    return file.has(CaseProfile, case) and all(file.has(CaseRound, (case, n)) for n in range(protocol.rounds))


def complete(wanted: Sequence[Case], file: SampleFile, protocol: Protocol) -> bool:
    """Whether everything about every case is in the file."""
    return all(_is_complete(c, file, protocol) for c in wanted)


def placed(module: torch.nn.Module, inputs: Any, dtype: str, device: str) -> tuple[torch.nn.Module, Any]:
    """Module and inputs on a device, what is floating point in a dtype."""

    def place(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(device, DTYPES[dtype] if tensor.is_floating_point() else tensor.dtype)

    return module.to(device, DTYPES[dtype]), tree_map_only(torch.Tensor, place, inputs)


def _profile(run: Run, passes: int) -> Profile:
    return in_short([profile_events(run) for _ in range(passes)])


def in_short(profiles: Sequence[Sequence[KernelEvent]]) -> Profile:
    """What is kept of profiles of one pass."""
    last = profiles[-1]
    names = sorted({short_name(e.name) for e in last})
    order = tuple((names.index(short_name(e.name)), ns) for e, ns in zip(last, added_ns(last), strict=True))
    return tuple(busy_ns(p) * 1e-9 for p in profiles), len(last), tuple(names), order


@contextmanager
def programs_recorded(wanted: Iterable[tuple[Case, SampleFile]], device: str) -> Iterator[None]:
    """What each runtime does with its case, captured on this machine for those that their file does not have yet: in
    processes of their own while the block runs, where there are many.
    """
    missing = [(case, file) for case, file in wanted if not file.has(ProgramRecord, case)]
    with ExitStack() as stack:
        start: Callable[..., Any] = map
        if len(missing) > FEW:
            pool = ProcessPoolExecutor(mp_context=forking(), initializer=give_way if device == "cuda" else None)
            start = stack.enter_context(pool).map
        programs = start(record, [case for case, _ in missing], [device] * len(missing))
        yield
        for (_, file), program in zip(missing, programs, strict=True):
            file.append([program])


def record_programs(wanted: Iterable[tuple[Case, SampleFile]], device: str) -> None:
    """Record programs, see ``programs_recorded``, and wait for them."""
    with programs_recorded(wanted, device):
        pass
