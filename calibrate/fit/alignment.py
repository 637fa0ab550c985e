"""Which family's kernels a profile's kernels are: predicted and profiled kernels of a pass, aligned in issue order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from predictor.kernels.families import FAMILIES

MOST = max(row.most_kernels for row in FAMILIES.values())
"""Kernels that any predicted kernel may have become."""

ODD, MISSING, SURPLUS, DURATION = 3.0, 3.0, 1.0, 0.3
"""Costs of an alignment: a kernel under a family that does not call its kernels so; a predicted kernel without one; a
factor e in launches, and in duration.
"""

REMEMBERED = 32
"""Different predicted kernels whose costs are kept: a model's layers are alike."""


@dataclass(frozen=True, slots=True)
class Part:
    """Kernels of one family in a pass: seconds and launches, predicted and measured."""

    family: str
    predicted_s: float
    measured_s: float
    predicted_launches: int
    measured_launches: int


def align(
    families: Sequence[str],
    launches: Sequence[int],
    predicted_s: Sequence[float],
    names: Sequence[str],
    measured_s: Sequence[float],
) -> list[tuple[int, int]]:
    """Predicted kernel -> the run of measured kernels, [first, end), that it became: the cheapest alignment in order.

    names, measured_s: of the measured kernels; all are given to a predicted one.
    """
    if not names:
        return [(0, 0)] * len(families)
    distinct = sorted(set(names))
    order = np.array([distinct.index(name) for name in names], dtype=int)
    spent = np.log(np.maximum(_ending_at(np.cumsum(measured_s)), 1e-9))
    odd: dict[str, NDArray[np.float64]] = {}
    for family in set(families):
        named = FAMILIES[family]
        fits = np.array([bool(re.search(named.profiler_names, name)) for name in distinct])
        odd[family] = _ending_at(np.cumsum(np.where(fits[order], 0.0, ODD)))[: named.most_kernels]

    @lru_cache(maxsize=REMEMBERED)
    def costs(family: str, expected: int, seconds: float) -> NDArray[np.float64]:
        """[count - 1, end] -> what a predicted kernel costs that became the count kernels before end."""
        counts = np.arange(1, len(odd[family]) + 1)
        cost = DURATION * np.abs(spent[: len(counts)] - np.log(seconds)) + odd[family]
        return cost + SURPLUS * np.abs(np.log(counts / expected))[:, None]

    kernels = list(zip(families, launches, predicted_s, strict=True))
    best = np.full((len(kernels) + 1, len(names) + 1), np.inf)  # [predicted kernels, end]: of an alignment up to there
    best[0, 0] = 0.0
    before = np.full(len(spent) + len(names) + 1, np.inf)
    shifted = _shifted(before, len(spent))
    memory = np.empty_like(spent)
    for row, kernel in enumerate(kernels):
        before[len(spent) :] = best[row]
        cost = costs(*kernel)
        whole = np.add(cost, shifted[: len(cost)], out=memory[: len(cost)])
        np.minimum(whole.min(axis=0), best[row] + MISSING, out=best[row + 1])
    runs, end = [], len(names)
    for row in reversed(range(len(kernels))):
        first = end
        if best[row + 1, end] < best[row, end] + MISSING:
            cost = costs(*kernels[row])[:end, end]
            first -= 1 + int(np.argmin(cost + best[row, end - len(cost) : end][::-1]))
        runs.append((first, end))
        end = first
    return runs[::-1]


def _shifted(padded: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """[count - 1, end] -> the value at end - count, for counts up to most, of values with as many others before them;
    a view.
    """
    return sliding_window_view(padded, len(padded) - most)[most - 1 :: -1]


def _ending_at(cumulated: NDArray[np.float64]) -> NDArray[np.float64]:
    """[count - 1, end] -> the sum of the count values before end."""
    before = np.concatenate([[0.0], cumulated])
    most = min(MOST, len(cumulated))
    return before - _shifted(np.concatenate([np.zeros(most), before]), most)


def by_family(
    families: Sequence[str],
    launches: Sequence[int],
    predicted_s: Sequence[float],
    names: Sequence[str],
    measured_s: Sequence[float],
) -> list[Part]:
    """Predicted and measured kernels of a pass, summed by the predicted family."""
    runs = align(families, launches, predicted_s, names, measured_s)
    parts = []
    for family in sorted(set(families)):
        positions = [i for i, name in enumerate(families) if name == family]
        parts.append(
            Part(
                family,
                sum(predicted_s[i] for i in positions),
                sum(sum(measured_s[slice(*runs[i])]) for i in positions),
                sum(launches[i] for i in positions),
                sum(runs[i][1] - runs[i][0] for i in positions),
            )
        )
    return parts
