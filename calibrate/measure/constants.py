"""Constants of a device: peaks, bandwidth, launch latency, gap between kernels, synchronisation."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from calibrate.measure.timers import pass_seconds, profile_events, tight_seconds
from calibrate.samples.records import DeviceConstants, LaneSeconds
from calibrate.samples.rounds import lower_quartile
from calibrate.workloads.device import Run, set_precision, synchronize
from predictor.capture.calls import DTYPES


def device_constants(device: str, dtypes: tuple[str, ...]) -> DeviceConstants:
    """What a device reaches, measured."""
    cuda = device == "cuda"
    properties = torch.cuda.get_device_properties(0) if cuda else None
    with torch.inference_mode():
        constants = DeviceConstants(
            name=torch.cuda.get_device_name() if cuda else "CPU",
            sms=properties.multi_processor_count if properties else torch.get_num_threads(),
            l2_bytes=getattr(properties, "L2_cache_size", 0),
            peak_flops={dtype: _matrix_peak(device, dtype) for dtype in dtypes},
            bandwidth_bytes_per_s=copy_bandwidth(device),
            launch_s=_launch_s() if cuda else 0.0,
            lanes=_lanes() if cuda else LaneSeconds(0.0, 0.0, 0.0),
            serial=not cuda,
            architecture=architecture_of(torch.cuda.get_device_capability()) if cuda else "",
        )
    set_precision("fp32")
    torch.backends.cudnn.allow_tf32 = True  # torch's default
    return constants


ARCHITECTURE_OF = {(5, 0): "maxwell", (6, 0): "pascal", (7, 0): "volta", (7, 5): "turing", (8, 0): "ampere"} | {
    (8, 9): "ada",
    (9, 0): "hopper",
    (10, 0): "blackwell",
}
"""First compute capability of each architecture (CUDA C++ Programming Guide, compute capabilities)."""


def architecture_of(capability: tuple[int, int]) -> str:
    """NVIDIA's name for a compute capability; empty where it is older than all that are known."""
    return next((ARCHITECTURE_OF[first] for first in sorted(ARCHITECTURE_OF, reverse=True) if first <= capability), "")


def _device_seconds(run: Run, device: str, repeats: int) -> float:
    """Fastest of some repeats, on the device's own clock where it has one."""
    run()
    if device != "cuda":
        return min(pass_seconds(run, device, repeats))
    seconds = []
    for _ in range(repeats):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        run()
        end.record()
        synchronize(device)
        seconds.append(start.elapsed_time(end) * 1e-3)
    return min(seconds)


def _matrix_peak(device: str, dtype: str) -> float:
    """FLOP/s of the fastest of a few square products."""
    set_precision(dtype)
    best = 0.0
    for size in (4096, 8192) if device == "cuda" else (1024,):
        a, b = (torch.rand(size, size, device=device).to(DTYPES[dtype]) for _ in range(2))
        seconds = _device_seconds(lambda a=a, b=b: a @ b, device, 6)  # type: ignore[misc]
        best = max(best, 2 * size**3 / seconds)
    return best


def copy_bandwidth(device: str) -> float:
    """Bytes per second, read and written, of a large copy."""
    elements = 2**29 if device == "cuda" else 2**24
    source = torch.zeros(elements, dtype=torch.float32, device=device)
    target = torch.empty_like(source)
    return 2 * 4 * elements / _device_seconds(lambda: target.copy_(source), device, 6)


def _median_of(measure: Callable[[], float], rounds: int) -> float:
    return float(np.median([measure() for _ in range(rounds)]))


def _lanes() -> LaneSeconds:
    """Launch latency, gap and synchronisation cost, in seconds.

    sync: of an idle device. latency: a synchronised small kernel, less its host cost, its duration and the sync (only
    the sum of latency and sync shows in a pass). gap: small kernels that wait in the stream behind a long one, their
    period less their duration.
    """
    x = torch.ones(1024, device="cuda")

    def add() -> Any:
        return x.add_(1.0)

    def idle_sync() -> float:
        torch.cuda.synchronize()
        start = time.perf_counter()
        torch.cuda.synchronize()
        return time.perf_counter() - start

    for _ in range(20):
        add()
    sync = _median_of(idle_sync, 200)
    host = lower_quartile([tight_seconds(add, "cuda", 50) for _ in range(20)])
    round_trip = lower_quartile(pass_seconds(add, "cuda", 400))
    period = _median_of(lambda: _period(add), 10)
    kernel = float(np.median([e.duration_ns for e in profile_events(lambda: [add() for _ in range(50)])])) * 1e-9
    around = max(round_trip - host - kernel, 0.0)
    return LaneSeconds(around - min(sync, around), max(period - kernel, 0.0), min(sync, around))


def _period(call: Run, count: int = 200) -> float:
    """Seconds per kernel of a stream that never runs dry."""
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda._sleep(20_000_000)  # about 10 ms: the host gets ahead
    start.record()
    for _ in range(count):
        call()
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end)) * 1e-3 / count


def _launch_s() -> float:
    """Host seconds of a bare launch, without the operator around it."""
    return lower_quartile([tight_seconds(lambda: torch.cuda._sleep(1), "cuda", 100) for _ in range(20)])
