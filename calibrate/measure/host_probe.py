"""How fast the host at hand is, in ten seconds and without a GPU: what ``predict --host FILE.json`` scales by."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import torch

from calibrate.measure.timers import Probe
from calibrate.samples.environment import cpu_model, versions
from calibrate.samples.rounds import quiet_level
from predictor.calibration.schema import HostProbe

SECONDS = 8.0
"""Of probing: bursts of a shared host last about a second."""

WARM = 20
"""Readings that are not counted: caches and the processor's clock rise."""

TOKENS, WIDTH = 1, 8
"""Of the probe's inputs: a processor computes nothing that counts, all that it does is dispatch."""


def probe_host(seconds: float = SECONDS, tell: Callable[[float], None] | None = None) -> HostProbe:
    """The host at hand: the quiet level of a small model's pass on one core, dispatched as for a GPU, computed in no
    time. tell: is told the seconds of every reading.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        probe = Probe("cpu", TOKENS, WIDTH)
        for _ in range(WARM):
            probe()
        readings: list[float] = []
        end = time.perf_counter() + seconds
        while not readings or time.perf_counter() < end:
            began = time.perf_counter()
            readings.append(probe())
            if tell is not None:
                tell(time.perf_counter() - began)
    finally:
        torch.set_num_threads(threads)
    return HostProbe(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        cpu=cpu_model(),
        versions=versions(),
        cpu_probe_s=quiet_level(readings),
    )
