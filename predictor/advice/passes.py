"""What is asked about, and passes of it at many batch sizes, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor import runtimes
from predictor.errors import PredictorError
from predictor.graph.files import SizeRange
from predictor.lowered import Lowered
from predictor.plans import OPTIONS, MeasuredLatency, Plan, Settings, settings, timelines_of
from predictor.predict import BATCHES
from predictor.records import CaptureMode, PricedProgram, Report, Timelines

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Question:
    """A model at a size on a GPU, see ``Plan.report`` for the arguments. length: 0 where it takes no tokens."""

    plan: Plan
    gpu: str
    runtime: str
    dtype: str | None
    batch: int
    length: int
    host: str | None = None
    attention: str | None = None
    estimator: str = "queue"
    measured: Sequence[MeasuredLatency] = ()

    @property
    def settings(self) -> Settings:
        """The settings, checked. Raises as ``Plan.report``."""
        return settings(
            self.gpu,
            self.runtime,
            self.dtype,
            self.estimator,
            self.host,
            self.attention,
            self.plan.dtype,
            self.measured,
        )

    @property
    def mode(self) -> CaptureMode:
        """Which branch the model's code takes."""
        chosen = self.settings
        return runtimes.load(self.runtime).mode_on(chosen.target)

    @property
    def options(self) -> dict[str, Any]:
        """What is the same of every prediction, see ``Plan.report``."""
        return {name: getattr(self, name) for name in OPTIONS}

    def report(self, **changes: Any) -> Report:
        """The prediction, with something changed."""
        asked = replace(self, **changes)
        return asked.plan.report(
            asked.gpu,
            asked.runtime,
            asked.dtype,
            asked.batch,
            asked.length or None,
            **asked.options,
        )

    def reports(self, batches: Sequence[int]) -> tuple[Report, ...]:
        """The predictions at some batch sizes."""
        return self.plan.reports(
            self.gpu,
            self.runtime,
            self.dtype,
            batches,
            [self.length] if self.length else None,
            **self.options,
        )

    def priced(self) -> tuple[Lowered, PricedProgram]:
        """What runs at the size, and its prices."""
        return self.plan.priced(self.settings, self.batch, self.length or None)

    def is_stored(self, batch: int, length: int) -> bool:
        """Whether the plan knows the graph at a size without capturing it."""
        return self.plan.graphs.holds(self.settings.dtype, self.mode, batch, length)


@dataclass(frozen=True, eq=False)
class Passes:
    """Passes at some batch sizes, arrays (sizes,). device_s: kernels and the gaps between them."""

    batches: NDArray[np.int64]
    latency_s: Array
    host_s: Array
    kernel_s: Array
    device_s: Array


def passes(question: Question, batches: Sequence[int]) -> Passes:
    """Passes at some batch sizes, priced together. Raises as ``Plan.sweep``."""
    chosen = question.settings
    gap_s = chosen.calibration.lanes_of(chosen.host).gap_s
    columns = np.empty((4, len(batches)))
    for positions, priced, timelines in question.plan.timed(chosen, batches, question.length or None):
        columns[0, positions] = outcome_s(timelines, chosen)
        columns[1, positions] = timelines.host_s
        columns[2, positions] = timelines.kernel_s
        columns[3, positions] = device_s(priced, gap_s)
    return Passes(np.array(batches, dtype=np.int64), *columns)


def device_s(priced: PricedProgram, gap_s: float) -> Array:
    """Seconds that the device is occupied for, (sizes,): kernels and a gap behind each."""
    occupied: Array = priced.kernel_s.sum(axis=1) + gap_s * priced.launches.sum(axis=1)
    return occupied


def outcome_s(timelines: Timelines, chosen: Settings) -> Array:
    """Latencies by the estimator that is asked for, (sizes,)."""
    return timelines.latency_s if chosen.estimator == "queue" else timelines.max_s


def latencies_s(priced: PricedProgram, chosen: Settings) -> Array:
    """Latencies of a program with other calls or kernels than the model's, (sizes,)."""
    return outcome_s(timelines_of(priced, chosen), chosen)


class Batches(Enum):
    """Batch sizes that a plan is asked about: any; a few, where each is a capture of its own; or its one."""

    ANY = "any"
    FEW = "few"
    ONE = "one"


SHOWN = 8
"""Batch sizes of a table, besides the one that is asked about."""

DOUBLINGS = 3
"""Of a batch size, where each is a capture."""


def sizes_of(batch: int, batches: Batches) -> list[int]:
    """The batch sizes of a table: powers of two around the one that is asked about."""
    if batches is Batches.ONE:
        return [batch]
    if batches is Batches.FEW:
        return [batch * 2**step for step in range(DOUBLINGS + 1)]
    first = max(batch.bit_length() - 4, 0) if batch >= 2**SHOWN else 0
    return sorted({batch, *(2 ** (first + step) for step in range(SHOWN))})


def opened(question: Question) -> tuple[Question, Batches]:
    """The question about a plan that knows any batch size, captured at a few, where the model's operators allow that;
    and which sizes it can be asked about.
    """
    plan, batch, length = question.plan, question.batch, question.length
    if all(question.is_stored(size, length) for size in (1, batch, max(BATCHES), 1024)):
        return question, Batches.ANY
    dtype, mode = question.settings.dtype, question.mode
    if plan.source is None:
        return question, _few_or_one(question)

    def at(*sizes: int) -> dict[tuple[int, int], Any]:
        return {(size, length): plan.graph_in(dtype, question.runtime, mode, size, length) for size in sizes}

    given = at(batch)[batch, length]
    try:
        graphs = plan.graphs.extended(dtype, mode, at(1), SizeRange(1, 1, length, length))
        graphs = graphs.extended(dtype, mode, at(*BATCHES), SizeRange(2, 0, length, length))
    except (PredictorError, ValueError):
        return question, _few_or_one(question)
    known = graphs.find(dtype, mode, batch, length)
    if known is None or known.calls != given.calls:
        return question, _few_or_one(question)
    return replace(question, plan=plan.with_graphs(graphs)), Batches.ANY


def _few_or_one(question: Question) -> Batches:
    try:
        passes(question, sizes_of(question.batch, Batches.FEW))
    except PredictorError:
        return Batches.ONE
    return Batches.FEW
