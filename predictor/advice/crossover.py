"""The batch size from which a pass is bound by the device."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from predictor.advice.passes import Array, Passes, Question, passes

LIMIT = 1024
"""Largest batch size that is searched. A judgement: what fits into memory is not known."""

STEPS = 4
"""Batch sizes between two powers of two that are priced."""


def grid(largest: int) -> list[int]:
    """Batch sizes up to a largest one, ``STEPS`` for each doubling."""
    exponents = range(math.floor(math.log2(largest) * STEPS) + 1)
    return sorted({round(2 ** (step / STEPS)) for step in exponents} | {largest})


def crossing(passed: Passes) -> float | None:
    """Where device time reaches host time for good, interpolated in the logarithm of the batch: 1 where it has at the
    first size, None where it has not at the last.

    >>> import numpy as np
    >>> two = Passes(np.array([1, 4]), *np.array([[1.0, 2.0], [1.0, 1.0], [0.5, 2.0], [0.5, 2.0]]))
    >>> crossing(two)
    2.0
    """
    return interpolated(passed.batches, passed.host_s, passed.device_s)


def interpolated(batches: NDArray[np.int64], host_s: Array, device_s: Array) -> float | None:
    """Where one time reaches another, see ``crossing``; arrays (sizes,)."""
    lead = np.log(host_s / np.maximum(device_s, 1e-12))
    ahead = np.flatnonzero(lead > 0)
    if not len(ahead):
        return float(batches[0])
    last = int(ahead[-1])
    if last + 1 == len(batches):
        return None
    share = lead[last] / (lead[last] - lead[last + 1])
    low, high = np.log(batches[last]), np.log(batches[last + 1])
    return float(np.exp(low + share * (high - low)))


def crossover(question: Question, limit: int = LIMIT) -> float | None:
    """The batch size, not a whole one, at which device time reaches host time; None beyond the limit."""
    return crossing(passes(question, grid(limit)))


def whole(batch: float | None) -> int | None:
    """The least whole batch size from there on."""
    return None if batch is None else math.ceil(round(batch, 6))
