"""Timers: kernel durations from the profiler, host time from tight loops, latency of passes on a noisy host."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch._C._autograd import DeviceType

from calibrate.samples.rounds import lower_quartile
from calibrate.workloads.device import Run, synchronize

FLUSH_BYTES = 256 * 2**20
"""Written between repeats to push a kernel's inputs out of L2: four times the H200's 60 MB."""

REPEATS = 4
LONG_S = 3e-3

_MARKER = "spin_kernel"  # the kernel of torch.cuda._sleep


@dataclass(frozen=True, slots=True)
class KernelEvent:
    """One kernel or copy on the device, as the profiler saw it."""

    name: str
    start_ns: int
    duration_ns: int


@dataclass(frozen=True, slots=True)
class KernelTime:
    """Device time of one call: of each repeat the seconds of its kernels, overlap counted once; of the last their
    number, and the longest's name.
    """

    repeats_s: tuple[float, ...]
    launches: int
    name: str


def profile_events(run: Run) -> list[KernelEvent]:
    """Every kernel, copy and memset that ``run`` puts on the device, by start time.

    Once the profiler has run in a process every launch stays slower (by a third on one H200 host): whatever times the
    host comes before it.
    """
    activities = [torch.profiler.ProfilerActivity.CUDA]
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=activities) as profiler:
        run()
        torch.cuda.synchronize()
    results = profiler.profiler.kineto_results  # type: ignore[union-attr]
    cuda = DeviceType.CUDA
    events = [
        KernelEvent(e.name(), e.start_ns(), e.duration_ns())
        for e in results.events()
        if e.device_type() == cuda and not e.name().startswith(("Context Sync", "Event Sync", "Stream Wait"))
    ]
    return sorted(events, key=lambda e: e.start_ns)


def short_name(kernel: str) -> str:
    """A kernel's name without return type, arguments and most of its templates."""
    for noise in ("void ", "at::native::", "(anonymous namespace)::", "<unnamed>::"):
        kernel = kernel.replace(noise, "")
    return kernel.split("(")[0][:80]


def added_ns(events: Sequence[KernelEvent]) -> list[int]:
    """Nanoseconds of each event in which none before it ran: kernels that overlap on several streams count once."""
    added, end = [], 0
    for event in events:
        stop = event.start_ns + event.duration_ns
        added.append(max(stop - max(event.start_ns, end), 0))
        end = max(end, stop)
    return added


def busy_ns(events: Sequence[KernelEvent]) -> int:
    """Nanoseconds in which at least one of the events ran."""
    return sum(added_ns(events))


class CaseProfiler:
    """Kernel durations of many small cases in one profiler run, each repeat set off by marker kernels.

    Before each repeat L2 is flushed, then the activations are touched, as the operator before would have left them:
    weights are read cold and activations warm, as in a model. A call of ``LONG_S`` or more is measured once.
    """

    def __init__(self) -> None:
        self.scratch = torch.empty(FLUSH_BYTES, dtype=torch.uint8, device="cuda")

    def once(self, call: Run, warm: Sequence[torch.Tensor]) -> None:
        """One repeat, between markers."""
        self.scratch.zero_()
        for tensor in warm:
            tensor.mul_(1)
        torch.cuda._sleep(1)
        call()
        torch.cuda._sleep(1)

    def repeats(self, call: Run, warm: Sequence[torch.Tensor], count: int) -> list[list[KernelEvent]]:
        """Every kernel of a call, as often as it is repeated."""

        def run() -> None:
            for _ in range(count):
                self.once(call, warm)

        return between_markers(profile_events(run))

    def measure(self, makers: Sequence[Callable[[], tuple[Run, Sequence[torch.Tensor]]]]) -> list[KernelTime | None]:
        """One sample per maker; None where the case could not run. A maker returns the call and its warm tensors."""
        repeats: list[int] = []

        def run() -> None:
            for maker in makers:
                try:
                    call, warm = maker()
                    call()
                    seconds = pass_seconds(call, "cuda", 1)[0]
                except (RuntimeError, NotImplementedError) as error:
                    if "CUDA error" in str(error):
                        raise
                    repeats.append(0)
                    continue
                repeats.append(REPEATS if seconds < LONG_S else 1)
                for _ in range(repeats[-1]):
                    self.once(call, warm)

        groups = between_markers(profile_events(run))
        if len(groups) != sum(repeats):
            raise RuntimeError(f"the profiler lost events: {len(groups)} repeats seen, {sum(repeats)} made")
        samples: list[KernelTime | None] = []
        position = 0
        for count in repeats:
            if not count:
                samples.append(None)
                continue
            case_groups = groups[position : position + count]
            position += count
            repeats_s = tuple(busy_ns(group) * 1e-9 for group in case_groups)
            longest = max(case_groups[-1], key=lambda e: e.duration_ns, default=None)
            samples.append(KernelTime(repeats_s, len(case_groups[-1]), short_name(longest.name) if longest else ""))
        return samples


def launch_counts(calls: Sequence[Run]) -> list[int]:
    """Kernels that each call launches, all in one profiler run: to start and to end one takes as long as many calls."""

    def run() -> None:
        for call in calls:
            torch.cuda._sleep(1)
            call()
            torch.cuda._sleep(1)

    groups = between_markers(profile_events(run))
    if len(groups) != len(calls):
        raise RuntimeError(f"the profiler lost events: {len(groups)} calls seen, {len(calls)} made")
    return [len(group) for group in groups]


def between_markers(events: Sequence[KernelEvent]) -> list[list[KernelEvent]]:
    """What ran between each pair of ``torch.cuda._sleep``."""
    groups: list[list[KernelEvent]] = []
    inside = False
    for event in events:
        if _MARKER in event.name:
            inside = not inside
            if inside:
                groups.append([])
        elif inside:
            groups[-1].append(event)
    return groups


def tight_seconds(call: Run, device: str, count: int) -> float:
    """Host seconds of one call in a loop of ``count``, the device drained before and after."""
    synchronize(device)
    start = time.perf_counter()
    for _ in range(count):
        call()
    seconds = (time.perf_counter() - start) / count
    synchronize(device)
    return seconds


def pass_seconds(run: Run, device: str, passes: int) -> list[float]:
    """Latencies of synchronised passes."""
    synchronize(device)
    latencies = []
    for _ in range(passes):
        start = time.perf_counter()
        run()
        synchronize(device)
        latencies.append(time.perf_counter() - start)
    return latencies


class _ProbeLayer(torch.nn.Module):
    """An encoder layer, too small to keep a device busy."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (torch.nn.Linear(width, width) for _ in range(4))
        self.mlp = torch.nn.Sequential(torch.nn.Linear(width, width), torch.nn.GELU(), torch.nn.Linear(width, width))
        self.before, self.after = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.before(x)
        q, k, v = (part(y).view(*y.shape[:-1], 4, -1).transpose(1, 2) for part in (self.query, self.key, self.value))
        mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(mixed.transpose(1, 2).reshape(x.shape))
        return x + self.mlp(self.after(x))


FRESH_S = 0.02
"""A host is what it was this long ago."""


class Probe:
    """A pass of a fixed small model: how fast the host is right now, in seconds.

    A model, not a loop of calls: on one shared host every generated module ran a sixth slower at one time than at
    another, alike to 3 %, while a loop of small calls, at home in the innermost caches, showed next to nothing.
    """

    def __init__(self, device: str, tokens: int = 16, width: int = 64) -> None:
        self.device = device
        self.model = torch.nn.Sequential(*(_ProbeLayer(width) for _ in range(8))).eval().to(device)
        with torch.inference_mode():
            self.x = torch.ones(1, tokens, width, device=device)
        self._last, self._when = 0.0, -math.inf

    @torch.inference_mode()
    def __call__(self) -> float:
        """Lower quartile of a few passes, about 10 ms in all."""
        self._last = lower_quartile(pass_seconds(lambda: self.model(self.x), self.device, 6)[1:])
        self._when = time.perf_counter()
        return self._last

    def recent(self) -> float:
        """The last reading, while it is fresh; else a new one."""
        return self._last if time.perf_counter() - self._when < FRESH_S else self()
