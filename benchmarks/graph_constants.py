"""What a launch, a gap and a CUDA graph's replay cost by themselves: ``python -m benchmarks.graph_constants OUT.json``.

Chains of N identical kernels on one stream, issued one by one and replayed as a graph, for kernels of several
durations. Latency over N is gap plus duration of a node, its intercept the fixed cost of a replay; the profiler and
CUDA events say how long a kernel runs, so that the gap is what is left.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from calibrate.measure.timers import Probe, pass_seconds, profile_events, tight_seconds
from calibrate.samples.environment import describe
from calibrate.samples.records import fields_of

COUNTS = (1, 2, 10, 30, 100, 300, 1000)
ELEMENTS: Mapping[str, int] = {"1 us": 1 << 8, "2 us": 1 << 20, "3 us": 3 << 20, "10 us": 12 << 20, "30 us": 40 << 20}
"""Names and elements of fp16 tensors that one kernel updates in place; the names are what they take, roughly."""

SLEEP_CYCLES = (0, 1000, 4000, 20_000)
"""Kernels that only wait: no memory, no occupancy."""

REPEATS = 40

Step = Callable[[], Any]


def _steps() -> dict[str, Step]:
    found: dict[str, Step] = {}
    for name, elements in ELEMENTS.items():
        x = torch.zeros(elements, dtype=torch.float16, device="cuda")
        found[f"mul_ fp16, {name}"] = lambda x=x: x.mul_(1.0)
    for cycles in SLEEP_CYCLES:
        found[f"sleep, {cycles} cycles"] = lambda cycles=cycles: torch.cuda._sleep(cycles)
    a = torch.rand(128, 768, dtype=torch.float16, device="cuda")
    w = torch.rand(768, 768, dtype=torch.float16, device="cuda")
    out = torch.empty(128, 768, dtype=torch.float16, device="cuda")
    found["mm 128 x 768 x 768 fp16"] = lambda: torch.mm(a, w, out=out)
    scores = torch.rand(12, 128, 128, dtype=torch.float16, device="cuda")
    found["softmax 12 x 128 x 128 fp16"] = lambda: torch.softmax(scores, dim=-1)
    return found


def _graph(step: Step, count: int) -> torch.cuda.CUDAGraph:
    graph = torch.cuda.CUDAGraph()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        step()
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        for _ in range(count):
            step()
    return graph


def _event_seconds(run: Step) -> list[float]:
    """Device seconds between two events around a run, which the host has queued ahead behind a long kernel."""
    found = []
    for _ in range(10):
        first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        torch.cuda._sleep(4_000_000)
        first.record()
        run()
        last.record()
        torch.cuda.synchronize()
        found.append(first.elapsed_time(last) * 1e-3)
    return found


def _repeated(step: Step, count: int) -> Step:
    def run() -> None:
        for _ in range(count):
            step()

    return run


def _latencies(step: Step, probe: Probe) -> dict[str, Any]:
    """Host latencies of a chain, queued one by one and replayed, by its length; device seconds from events."""
    rows: dict[str, Any] = {}
    for count in COUNTS:
        run, graph = _repeated(step, count), _graph(step, count)
        repeats = REPEATS if count < 1000 else REPEATS // 2
        for warm in (run, graph.replay):
            pass_seconds(warm, "cuda", 3)
        rows[str(count)] = {
            "probe_s": probe(),
            "eager_passes_s": pass_seconds(run, "cuda", repeats),
            "replay_passes_s": pass_seconds(graph.replay, "cuda", repeats),
            "eager_events_s": _event_seconds(run) if count <= 300 else [],
            "replay_events_s": _event_seconds(graph.replay),
            "replay_call_s": [tight_seconds(graph.replay, "cuda", 1) for _ in range(20)],
        }
    rows["eager_call_s"] = [tight_seconds(step, "cuda", 200) for _ in range(7)]
    return rows


def _profiled(step: Step) -> dict[str, Any]:
    """Durations and gaps, nanoseconds, of a hundred kernels in a stream and in a graph, as the profiler has them."""
    rows: dict[str, Any] = {}
    for name, run in {"eager": _repeated(step, 100), "replay": _graph(step, 100).replay}.items():
        events = profile_events(run)
        ends = [e.start_ns + e.duration_ns for e in events]
        rows[name] = {
            "name": events[-1].name[:80],
            "duration_ns": [e.duration_ns for e in events],
            "gap_ns": [b.start_ns - end for b, end in zip(events[1:], ends)],
        }
    return rows


def _line(rows: Mapping[str, Any], key: str) -> tuple[float, float]:
    """(Seconds for each node, fixed seconds) of a chain: a line through lower quartiles."""
    counts = [count for count in COUNTS if rows[str(count)][key]]
    seconds = [float(np.percentile(rows[str(count)][key], 25)) for count in counts]
    slope, fixed = np.polyfit(counts, seconds, 1, w=1 / np.array(seconds))
    return float(slope), float(fixed)


def main() -> None:
    """Measure and write, and print what the numbers mean."""
    start, probe = time.monotonic(), Probe("cuda")
    level = float(np.median([probe() for _ in range(7)]))
    with torch.inference_mode():
        steps = _steps()
        measured = {name: _latencies(step, probe) for name, step in steps.items()}
        empty = [tight_seconds(torch.cuda.synchronize, "cuda", 20) for _ in range(7)]
        profiles = {name: _profiled(step) for name, step in steps.items()}  # last: the profiler slows every launch
    found = {
        **{"environment": fields_of(describe("cuda", level)), "counts": COUNTS, "synchronize_s": empty},
        **{"latencies": measured, "profiles": profiles},
    }
    Path(sys.argv[1]).write_text(json.dumps(found), encoding="utf-8")
    print(f"{'kernel':30} {'duration':>8} {'node':>8} {'gap':>7} {'replay':>8} {'stream gap':>10} {'launch':>7}  us")
    for name, rows in measured.items():
        profile = profiles[name]
        duration = float(np.median(profile["replay"]["duration_ns"])) * 1e-9
        node, fixed = _line(rows, "replay_passes_s")
        stream_gap = float(np.median(profile["eager"]["gap_ns"])) * 1e-9
        launch = min(rows["eager_call_s"])
        values = (duration, node, node - duration, fixed, stream_gap, launch)
        print(f"{name:30} " + " ".join(f"{v * 1e6:8.2f}" for v in values))
    print(f"{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
