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
from predictor.advice.records import Headroom
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
        fit = _last_free(passes(question, few).latency_s)
        return Headroom("batch", now, few[fit], fit + 1 == len(few), "predicted", "of powers of two" if fit else "")
    steps = np.unique(np.round(np.geomspace(now, max(LIMIT, 2 * now), 60)).astype(int))
    fit = _last_free(passes(question, steps.tolist()).latency_s)
    until = int(steps[fit])
    if fit + 1 < len(steps) and steps[fit + 1] > until + 1:
        between = np.arange(until, steps[fit + 1])
        until = int(between[_last_free(passes(question, [now, *between.tolist()]).latency_s) - 1])
    return Headroom("batch", now, until, fit + 1 == len(steps), "predicted")


def _last_free(latency_s: NDArray[np.float64]) -> int:
    """The last position before the latency exceeds that of the first by ``GROWTH``."""
    over = np.flatnonzero(latency_s > GROWTH * latency_s[0])
    return int(over[0]) - 1 if len(over) else len(latency_s) - 1


def length_headroom(question: Question) -> Headroom | None:
    """Of the tokens, None for a model without, or where no other length is known. Lengths that the plan knows are
    searched to ``FINEST_LENGTH``; of others each is a capture, so a few are tried and the rest is interpolated.
    """
    now = question.length
    if not now:
        return None
    latencies: dict[int, float] = {}

    def latency_s(length: int) -> float | None:
        """None where the model does not take the length."""
        if length not in latencies:
            try:
                latencies[length] = question.report(length=length).latency_s
            except PredictorError:
                return None
        return latencies[length]

    base_s = latency_s(now) or 0.0
    low, high, stored = now, None, question.is_stored(question.batch, now)
    while high is None and low < LONGEST * now:
        longer = min(2 * low, LONGEST * now)
        if stored:
            while longer > low and not question.is_stored(question.batch, longer):
                longer = (longer - 1) // FINEST_LENGTH * FINEST_LENGTH
        seconds = latency_s(longer) if longer > low else None
        if seconds is None:
            break
        low, high = (low, longer) if seconds > GROWTH * base_s else (longer, None)
    if high is None:
        return Headroom("length", now, low, True, "predicted", "longest that was tried") if low > now else None
    while stored and high - low > FINEST_LENGTH:
        middle = (low + high) // 2 // FINEST_LENGTH * FINEST_LENGTH
        middle = middle if middle > low else low + FINEST_LENGTH
        if middle >= high:
            break
        seconds = latency_s(middle)
        low, high = (low, middle) if seconds is None or seconds > GROWTH * base_s else (middle, high)
    if stored:
        return Headroom("length", now, low, False, "predicted")
    share = np.log(GROWTH * base_s / latencies[low]) / np.log(latencies[high] / latencies[low])
    until = int(np.exp(np.log(low) + share * np.log(high / low)))
    return Headroom("length", now, max(until, low), False, "interpolated", f"between {low} and {high}")


def width_headroom(question: Question) -> Headroom | None:
    """Of the features inside the numbered modules: of the model built anew where its source can do that. Else
    estimated: the products, normalisations and streams there get wider and are priced again, the calls stay. None for a
    program without kernels.
    """
    lowered, _ = question.priced()
    if not len(lowered.program.kernel_of):
        return None
    latency_s = widths_s(question, lowered, WIDTHS)
    last = _last_free(latency_s)
    rebuilt = Rebuilt(question, "width")
    now = rebuilt.now or _features(lowered)
    factor, most, how = WIDTHS[last], last + 1 == len(WIDTHS), "estimated"
    values = [int(now * factor) for factor in WIDTHS[1:] if now * factor % 1 == 0] if rebuilt.now else []
    start = sum(value <= now * factor for value in values) - 1
    found = rebuilt.last_free(values, max(start, 0), GROWTH * float(latency_s[0]))
    if found is not None:
        factor, most, how = max(found[0], now) / now, not found[1], "predicted"
    at = f"{now} to {round(now * factor)} features" if now and factor > 1 else ""
    return Headroom("width", 1.0, factor, most, how, at)


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
    values = list(range(now + 1, now + DEEPEST + 1)) if rebuilt.now else []
    found = rebuilt.last_free(values, max(until - now - 1, 0), GROWTH * now_s)
    if found is not None:
        until, most, how = max(found[0], now), not found[1], "predicted"
    block = f"a block of {blocks.where}" if blocks else "one more"
    return Headroom("depth", now, until, most, how, f"{block} costs {each_s * 1e3:.3g} ms, {each_s / now_s:.1%}")


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
