"""How far a long measurement is, and how long the rest will take.

Its stages differ: a kernel takes milliseconds, a module under a compiler a second. So the rest is estimated stage by
stage: by what the steps of a stage have taken so far, and of a stage that has not begun by what they usually take, on a
machine as slow as this one has been until now.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import typer

KNOWN_SHARE = 0.02
"""A step that takes less than this share of what is usual was not measured: it was in the file. A judgement."""

TRUST = 0.05
"""Share of a stage after which what its steps have taken counts as much as what is usual. A judgement."""

TRUST_S = 20.0
"""Seconds after which the speed of this machine counts as much as the usual one. A judgement."""

BAR_STEPS = 1000
"""Of the bar, so that it moves smoothly."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a measurement: how many steps it has, and what one usually takes."""

    steps: int
    usual_s: float


class Progress:
    """The stages of a measurement and the time that they took. clock: seconds; show: is called after every advance."""

    def __init__(self, stages: Mapping[str, Stage], clock: Callable[[], float] = time.monotonic) -> None:
        self.stages = dict(stages)
        self.show: Callable[[], None] = lambda: None
        self.stage = next(iter(self.stages), "")
        self._clock = clock
        self._done = dict.fromkeys(self.stages, 0)
        self._measured = dict.fromkeys(self.stages, 0)
        self._took_s = dict.fromkeys(self.stages, 0.0)
        self._last = clock()

    def of(self, stage: str) -> Callable[[int], None]:
        """What a stage, which begins now, tells of the steps that it has done; what was prepared before is none's."""
        self._last = self._clock()
        return lambda steps: self.advance(stage, steps)

    def advance(self, stage: str, steps: int) -> None:
        """So many more steps of a stage are done: they took the time since the last call."""
        now = self._clock()
        took_s, self._last = now - self._last, now
        self.stage = stage
        self._done[stage] = min(self._done[stage] + steps, self.stages[stage].steps)
        if took_s >= KNOWN_SHARE * self.stages[stage].usual_s * steps:
            self._measured[stage] += steps
            self._took_s[stage] += took_s
        self.show()

    @property
    def left_s(self) -> float:
        """Seconds that the rest will take."""
        usual_s = sum(stage.usual_s * self._measured[name] for name, stage in self.stages.items())
        speed = (TRUST_S + sum(self._took_s.values())) / (TRUST_S + usual_s)
        return sum(self._left_s(name, speed) for name in self.stages)

    def _left_s(self, name: str, speed: float) -> float:
        stage = self.stages[name]
        trusted = TRUST * stage.steps
        each_s = (trusted * stage.usual_s * speed + self._took_s[name]) / (trusted + self._measured[name] or 1)
        return (stage.steps - self._done[name]) * each_s

    @property
    def share(self) -> float:
        """Of the whole that is done, by what is usual, 0 to 1."""
        whole = sum(stage.usual_s * stage.steps for stage in self.stages.values())
        done = sum(stage.usual_s * self._done[name] for name, stage in self.stages.items())
        return done / whole if whole else 1.0

    @property
    def text(self) -> str:
        """What a person reads: "kernels, 3 min left"."""
        return f"{self.stage}, {_about(self.left_s)} left"


def _about(seconds: float) -> str:
    """As exact as an estimate is: "25 s", "4 min"."""
    return f"{5 * max(round(seconds / 5), 1)} s" if seconds < 90 else f"{seconds / 60:.0f} min"


@contextmanager
def bar(label: str, stages: Mapping[str, Stage]) -> Iterator[Progress]:
    """A progress bar on standard error, where that is a terminal, with the time that is left."""
    progress = Progress(stages)
    shown: Any
    with typer.progressbar(
        length=BAR_STEPS,
        label=label,
        show_eta=False,
        show_percent=True,
        width=24,
        file=sys.stderr,
        item_show_func=lambda _: progress.text,
    ) as shown:
        progress.show = lambda: shown.update(max(round(BAR_STEPS * progress.share) - shown.pos, 0))
        yield progress
