"""How noisy a machine is, before anything is measured on it: whoever calibrates a busy one measures its neighbours."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calibrate.measure.constants import copy_bandwidth
from calibrate.measure.timers import Probe
from calibrate.samples.rounds import quiet_level
from predictor.errors import PredictorError

PROBE_S, SPIN_S = 2.0, 0.5
"""Seconds of probing the host, bursts last about one; and of computing without a pause, a judgement."""

COPIES = 3
"""Measurements of the device's bandwidth."""

LARGEST_SPREAD = 0.6
"""How far the median of the host's probes may lie above its quiet level: 0.02 to 0.14 on the H200's hosts, 0.49 on the
noisiest host that a usable calibration was measured on (the H100's)."""

SMALLEST_CORE = 0.9
"""Share of a core that the process has to get while it computes: all of it on an idle machine, a judgement."""

SMALLEST_REPEAT = 0.8
"""Slowest over fastest measurement of the bandwidth: 0.99 on an H200, a judgement."""

WAIT_S, PAUSE_S = 45.0, 3.0
"""Seconds of waiting for a quieter moment in all, and between two tries, a judgement."""


@dataclass(frozen=True, slots=True)
class Noise:
    """What a few seconds say. level_s: the host's quiet probe; spread: how far its median is above that; core: share of
    a core that the process gets; bandwidths: bytes/s of repeated copies on the device.
    """

    level_s: float
    spread: float
    core: float
    bandwidths: tuple[float, ...]

    @property
    def repeat(self) -> float:
        """Slowest over fastest bandwidth."""
        return min(self.bandwidths) / max(self.bandwidths)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why nothing should be measured now; none on a quiet machine."""
        return tuple(
            text
            for text, holds in (
                (f"this process gets {self.core:.0%} of a core", self.core < SMALLEST_CORE),
                (f"the host probe is {self.spread:.0%} above its quiet level", self.spread > LARGEST_SPREAD),
                (f"the device's bandwidth repeats to {1 - self.repeat:.0%}", self.repeat < SMALLEST_REPEAT),
            )
            if holds
        )


def measure(device: str) -> Noise:
    """The noise right now, in three seconds."""
    probe = Probe(device)
    for _ in range(5):
        probe()
    readings, end = [probe()], time.perf_counter() + PROBE_S
    while time.perf_counter() < end:
        readings.append(probe())
    level = quiet_level(readings)
    bandwidths = tuple(copy_bandwidth(device) for _ in range(COPIES))
    return Noise(level, max(float(np.median(readings)) / level - 1, 0.0), core_share(), bandwidths)


def core_share(seconds: float = SPIN_S) -> float:
    """Processor time that this thread gets for each second in which it never waits."""
    start, start_cpu = time.perf_counter(), time.thread_time()
    while time.perf_counter() - start < seconds:
        pass
    return min((time.thread_time() - start_cpu) / (time.perf_counter() - start), 1.0)


def wait_for_quiet(
    measured: Callable[[], Noise],
    tell: Callable[[str], None],
    wait_s: float = WAIT_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Noise:
    """The noise of a moment that is quiet enough, tried again until so many seconds are over. Raises PredictorError,
    which says what disturbs, where none comes.
    """
    began, told = time.monotonic(), False
    while (noise := measured()).reasons:
        why = ", ".join(noise.reasons)
        if time.monotonic() - began + PAUSE_S >= wait_s:
            raise PredictorError(
                f"this machine is too busy to be measured: {why}. Stop what else runs, or measure all the same: --force"
            )
        if not told:
            tell(f"the machine is busy ({why}): waiting up to {wait_s:.0f} s for a quieter moment")
        told = True
        sleep(PAUSE_S)
    return noise
