"""How far a model grows before its latency does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from predictor.advice.blocks import Blocks, numbered, repeated, sources
from predictor.advice.crossover import LIMIT
from predictor.advice.passes import Batches, Question, latencies_s, passes, sizes_of
from predictor.advice.rebuilt import Rebuilt
from predictor.advice.records import Headroom, Step
from predictor.advice.widening import widened
from predictor.errors import PredictorError
from predictor.lowered import Lowered

GROWTH = 1.05
"""Growth of the latency that ends the headroom: 5 %."""

LONGEST = 8
"""Times the length that is searched."""

FINEST_LENGTH = 8
"""Tokens between two lengths that are told apart: those of the shipped graphs are multiples of it."""

WIDTHS = (1.0, 1.125, 1.25, 1.375, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0)
"""Factors of the width that are tried."""

DEEPEST = 64
"""Further blocks that are counted."""


def batch_headroom(question: Question, few: Sequence[int] = ()) -> Headroom:
    """Of the batch size, exact: every size between the last that is free and the first that is not is priced. few:
    the only sizes that are tried, where each is a capture.
    """
    now = question.batch
    if few:
        until, most, step = _stepped(few, passes(question, few).latency_s)
        return Headroom("batch", now, until, most, "predicted", "of powers of two", step)
    until, most = _flat_batches(question, now)
    if most:
        return Headroom("batch", now, until, most, "predicted")
    now_s, over_s = passes(question, [now, until + 1]).latency_s.tolist()
    step = Step(until + 1, over_s / now_s - 1, *_flat_batches(question, until + 1))
    return Headroom("batch", now, until, most, "predicted", step=step)


def _flat_batches(question: Question, first: int) -> tuple[int, bool]:
    """(The last batch size before the latency exceeds that of the first by ``GROWTH``, whether the search ended)."""
    steps = np.unique(np.round(np.geomspace(first, max(LIMIT, 2 * first), 60)).astype(int))
    fit = _last_free(passes(question, steps.tolist()).latency_s)
    last = int(steps[fit])
    if fit + 1 < len(steps) and steps[fit + 1] > last + 1:
        between = np.arange(last, steps[fit + 1])
        last = int(between[_last_free(passes(question, [first, *between.tolist()]).latency_s) - 1])
    return last, fit + 1 == len(steps)


def _last_free(latency_s: NDArray[np.float64]) -> int:
    """The last position before the latency exceeds that of the first by ``GROWTH``."""
    over = np.flatnonzero(latency_s > GROWTH * latency_s[0])
    return int(over[0]) - 1 if len(over) else len(latency_s) - 1


def _stepped(values: Sequence[float], latency_s: NDArray[np.float64]) -> tuple[float, bool, Step | None]:
    """(The last value that is free, whether the search ended there, the step that follows) of ascending values, of
    which the first is that of now.

    >>> _stepped([1, 2, 4, 8], np.array([1.0, 1.25, 1.25, 2.0]))
    (1, False, Step(value=2, growth=0.25, flat_until=4, most=False))
    """
    step = _last_free(latency_s) + 1
    if step == len(values):
        return values[-1], True, None
    flat = step + _last_free(latency_s[step:])
    growth = float(latency_s[step] / latency_s[0]) - 1
    return values[step - 1], False, Step(values[step], growth, values[flat], flat + 1 == len(values))


def length_headroom(question: Question) -> Headroom | None:
    """Of the tokens, None for a model without, or where no other length is known. Lengths that the plan knows are
    searched to ``FINEST_LENGTH``; of others each is a capture, so a few are tried and the rest is interpolated.
    """
    now = question.length
    if not now:
        return None
    lengths = _Lengths(question)
    now_s = lengths.latency_s(now) or 0.0
    last, over = lengths.flat_from(now)
    if over is None:
        return Headroom("length", now, last, True, "predicted", "longest that was tried") if last > now else None
    last_s, over_s = lengths.latency_s(last) or now_s, lengths.latency_s(over) or now_s
    growth = over_s / now_s - 1
    if lengths.stored:
        flat_until, further = lengths.flat_from(over)
        return Headroom("length", now, last, False, "predicted", "", Step(over, growth, flat_until, further is None))
    share = np.log(GROWTH * now_s / last_s) / np.log(over_s / last_s)
    until = int(np.exp(np.log(last) + share * np.log(over / last)))
    note = f"interpolated from {last}"
    return Headroom("length", now, max(until, last), False, "interpolated", note, Step(over, growth, over))


class _Lengths:
    """Latencies of a model at other lengths. stored: whether those alone are asked for that the plan knows: it knows
    others, or nothing of it was captured, as that is to take no time.
    """

    def __init__(self, question: Question) -> None:
        self._question = question
        self._known: dict[int, float | None] = {}
        known = any(self._is_stored(question.length + step) for step in (-FINEST_LENGTH, FINEST_LENGTH))
        self.stored = known or not question.plan.is_captured

    def latency_s(self, length: int) -> float | None:
        """Seconds, None where the model does not take the length."""
        if length not in self._known:
            try:
                self._known[length] = self._question.report(length=length).latency_s
            except PredictorError:
                self._known[length] = None
        return self._known[length]

    def flat_from(self, first: int) -> tuple[int, int | None]:
        """The last length before the latency exceeds that of the first by ``GROWTH``, and one that does, None where
        the search ended: among the known ones the next, else up to twice as long.
        """
        limit_s, longest = GROWTH * (self.latency_s(first) or 0.0), LONGEST * self._question.length
        low, high = first, None
        while high is None and low < longest:
            longer = min(2 * low, longest)
            while self.stored and longer > low and not self._is_stored(longer):
                longer = (longer - 1) // FINEST_LENGTH * FINEST_LENGTH
            seconds = self.latency_s(longer) if longer > low else None
            if seconds is None:
                break
            low, high = (low, longer) if seconds > limit_s else (longer, None)
        while self.stored and high is not None and high - low > FINEST_LENGTH:
            middle = (low + high) // 2 // FINEST_LENGTH * FINEST_LENGTH
            middle = middle if middle > low else low + FINEST_LENGTH
            seconds = self.latency_s(middle) if middle < high else None
            if seconds is None:
                break
            low, high = (low, middle) if seconds > limit_s else (middle, high)
        return low, high

    def _is_stored(self, length: int) -> bool:
        return self._question.is_stored(self._question.batch, length)


def width_headroom(question: Question) -> Headroom | None:
    """Of the features inside the numbered modules: of the model built anew where its source can do that. Else
    estimated: the products, normalisations and streams there get wider and are priced again, the calls stay. None for a
    program without kernels.
    """
    lowered, _ = question.priced()
    if not len(lowered.program.kernel_of):
        return None
    latency_s = widths_s(question, lowered, WIDTHS)
    factor, most, step = _stepped(WIDTHS, latency_s)
    rebuilt = Rebuilt(question, "width")
    now, how = rebuilt.now or _features(lowered), "estimated"
    values = [int(now * factor) for factor in WIDTHS[1:] if now * factor % 1 == 0] if rebuilt.now else []
    now_s = float(latency_s[0])
    found = rebuilt.last_free(values, _last_up_to(values, now * factor), GROWTH * now_s)
    if found is not None:
        last, over = found
        start_flat = now * (step.flat_until if step else WIDTHS[-1])
        step = _rebuilt_step(rebuilt, now, now_s, over, values, start_flat) if over else None
        factor, most, how = max(last, now) / now, not over, "predicted"
    at = f"{now} to {round(now * factor)} features" if now and factor > 1 else ""
    return Headroom("width", 1.0, factor, most, how, at, step)


def _rebuilt_step(rebuilt: Rebuilt, now: int, now_s: float, over: int, values: Sequence[int], start: float) -> Step:
    """The step at a width of the model built anew. start: the width at which the end of its plateau is looked for."""
    over_s = rebuilt.latency_s(over) or now_s
    wider = [value for value in values if value > over]
    last, end = rebuilt.last_free(wider, _last_up_to(wider, start), GROWTH * over_s) or (over, 0)
    return Step(over / now, over_s / now_s - 1, max(last, over) / now, not end)


def _last_up_to(values: Sequence[int], value: float) -> int:
    """Position of the last of ascending values that does not exceed one, 0 where all do."""
    return max(sum(other <= value for other in values) - 1, 0)


def widths_s(question: Question, lowered: Lowered, factors: tuple[float, ...]) -> NDArray[np.float64]:
    """Latency at several widths, (factors,)."""
    program = widened(lowered, numbered(lowered), factors)
    return latencies_s(question.plan.price(program, question.settings), question.settings)


def _features(lowered: Lowered) -> int:
    """The features that most products with weights read inside the numbered modules, 0 where there are none."""
    inside, counts = numbered(lowered), Counter[int]()
    for _, first, call in sources(lowered):
        for offset, kernel in enumerate(call.kernels):
            if kernel.family == "gemm" and kernel.dims.get("batch", 1) == 1 and inside[first + offset]:
                counts[int(kernel.dims["k"])] += 1
    return counts.most_common(1)[0][0] if counts else 0


def depth_headroom(question: Question, blocks: Blocks | None) -> Headroom | None:
    """Of the blocks that repeat: of the model built anew where its source can do that, else by repeating one. None
    where nothing repeats.
    """
    rebuilt, (_, priced) = Rebuilt(question, "depth"), question.priced()
    now = rebuilt.now or (blocks.count if blocks else 0)
    if not now:
        return None
    now_s = float(latencies_s(priced, question.settings)[0])
    more_s = rebuilt.latency_s(now + 1) if rebuilt.now else None
    if more_s is None and blocks is not None:
        more_s = float(latencies_s(repeated(priced, blocks, blocks.count // 2, 2), question.settings)[0])
    if more_s is None:
        return None
    each_s, free_s = max(more_s - now_s, 0.0), (GROWTH - 1) * now_s
    until = now + (DEEPEST if each_s * DEEPEST <= free_s else int(free_s / each_s))
    most, how = until == now + DEEPEST, "estimated"
    step_s = now_s + (until + 1 - now) * each_s
    values = list(range(now + 1, now + DEEPEST + 1)) if rebuilt.now else []
    found = rebuilt.last_free(values, max(until - now - 1, 0), GROWTH * now_s)
    if found is not None:
        until, most, how = max(found[0], now), not found[1], "predicted"
        step_s = rebuilt.latency_s(found[1]) or now_s
    block = f"a block of {blocks.where}" if blocks else "one more"
    step = None if most else Step(until + 1, step_s / now_s - 1, until + 1)  # blocks add up: nothing is flat
    return Headroom("depth", now, until, most, how, f"{each_s * 1e3:.3g} ms {block}", step)


def headroom(question: Question, batches: Batches, blocks: Blocks | None) -> tuple[Headroom, ...]:
    """All that the model has."""
    few = [] if batches is Batches.ANY else sizes_of(question.batch, batches)
    searches: list[Callable[[], Headroom | None]] = [
        *([lambda: batch_headroom(question, few)] if batches is not Batches.ONE else []),
        lambda: length_headroom(question),
        lambda: width_headroom(question),
        lambda: depth_headroom(question, blocks),
    ]
    return tuple(found for search in searches if (found := search()) is not None)
