"""The model built anew, wider or deeper, and predicted as it then is, where its source can do that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from predictor.advice.passes import Question
from predictor.errors import PredictorError
from predictor.graph.files import GraphSet
from predictor.plans import Source


@runtime_checkable
class Reshaping(Protocol):
    """A source that says its width and depth ("width", "depth"; those that it has) and builds with others."""

    @property
    def shape(self) -> Mapping[str, int]:
        """What it has now."""
        ...

    def reshaped(self, dimension: str, value: int) -> Source:
        """The model with another width or depth. Raises PredictorError where it cannot be so."""
        ...


class Rebuilt:
    """Latencies of a model of other widths or depths."""

    def __init__(self, question: Question, dimension: str) -> None:
        self._question, self._dimension = question, dimension
        self._known: dict[int, float | None] = {}

    @property
    def now(self) -> int | None:
        """The width or depth that the source says, None where it builds with no other."""
        source = self._question.plan.source
        return source.shape.get(self._dimension) if isinstance(source, Reshaping) else None

    def latency_s(self, value: int) -> float | None:
        """Seconds at another width or depth, None where the model cannot be so."""
        if value not in self._known:
            self._known[value] = self._predicted_s(value)
        return self._known[value]

    def _predicted_s(self, value: int) -> float | None:
        question, source = self._question, self._question.plan.source
        if not isinstance(source, Reshaping):
            return None
        try:
            grown = source.reshaped(self._dimension, value)
            graphs = GraphSet(question.plan.name, question.batch, question.length)
            return question.report(plan=replace(question.plan, graphs=graphs, source=grown)).latency_s
        except PredictorError:
            return None

    def last_free(self, values: Sequence[int], start: int, limit_s: float) -> tuple[int, int] | None:
        """The largest of ascending values up to which the latency stays below a limit, 0 where the first exceeds it;
        and the least that is known to exceed it, 0 where none does. start: position from which is searched, down and
        then up. Values that the model cannot have are passed over; None where it can have none.
        """
        last = over = 0
        for value in reversed(values[: start + 1]):
            seconds = self.latency_s(value)
            if seconds is not None and seconds <= limit_s:
                last = value
                break
            over = value if seconds is not None else over
        for value in values[start + 1 :] if not over else ():
            seconds = self.latency_s(value)
            if seconds is not None and seconds > limit_s:
                over = value
                break
            last = value if seconds is not None else last
        return (last, over) if last or over else None
