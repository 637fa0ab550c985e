"""Statistics of a noisy host: rounds of passes, each beside a host probe -> one measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

QUIET_MARGIN = 0.12
"""How far above the quiet level a host probe may be."""


def lower_quartile(values: Sequence[float]) -> float:
    """25th percentile: what a burst-free host would show."""
    return float(np.percentile(values, 25))


@dataclass(frozen=True, slots=True)
class Round:
    """One round of one case. seconds: lower quartile over its passes; probes: host probe before and after."""

    seconds: float
    probe_before_s: float
    probe_after_s: float

    def quiet(self, level_s: float) -> bool:
        """Whether the host was at its quiet level before and after."""
        return max(self.probe_before_s, self.probe_after_s) <= level_s * (1 + QUIET_MARGIN)


@dataclass(frozen=True, slots=True)
class Measurement:
    """Median over the quiet rounds (the two least disturbed, if none was quiet).

    repeatability: half the difference between the medians of its odd and even rounds, relative to their mean.
    """

    seconds: float
    probe_s: float
    repeatability: float
    quiet_rounds: int


def of_probe(rounds: Sequence[Round]) -> float:
    """Rounds of what is the host's alone -> its time in units of the probe beside it: the median over all rounds. On a
    noisy host one round repeats to a tenth in these units, whether it was quiet or not.
    """
    return float(np.median([2 * r.seconds / (r.probe_before_s + r.probe_after_s) for r in rounds]))


def quiet_level(probes: Sequence[float]) -> float:
    """What the host probe shows when no neighbour disturbs the host: its 20th percentile over a run."""
    return float(np.percentile(probes, 20))


def summarise(rounds: Sequence[Round], level_s: float) -> Measurement:
    """Rounds of one case -> its measurement. level_s: see ``quiet_level``."""
    quiet = [r for r in rounds if r.quiet(level_s)]
    used = quiet or sorted(rounds, key=lambda r: max(r.probe_before_s, r.probe_after_s))[:2]
    seconds = [r.seconds for r in used]
    halves = [float(np.median(h)) for h in (seconds[::2], seconds[1::2]) if h]
    repeatability = abs(halves[0] - halves[-1]) / (halves[0] + halves[-1])
    probe = float(np.median([(r.probe_before_s + r.probe_after_s) / 2 for r in used]))
    return Measurement(float(np.median(seconds)), probe, repeatability, len(quiet))
