"""Which family's kernels a profile's kernels are: predicted and profiled kernels of a pass, aligned in issue order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

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
    memory = np.empty_like(spent)
    best = np.full(len(names) + 1, np.inf)
    best[0] = 0.0
    taken = np.zeros((len(families), len(names) + 1), dtype=np.int16)
    for row, (family, expected, seconds) in enumerate(zip(families, launches, predicted_s, strict=True)):
        most = len(odd[family])
        cost = np.subtract(spent[:most], np.log(seconds), out=memory[:most])
        np.abs(cost, out=cost)
        cost *= DURATION
        cost += odd[family]
        cost += SURPLUS * np.abs(np.log(np.arange(1, most + 1) / expected))[:, None]
        cost += _shifted(best, most)
        count = cost.argmin(axis=0)
        least = cost[count, np.arange(cost.shape[1])]
        missing_cost = best + MISSING
        better = least < missing_cost
        best = np.where(better, least, missing_cost)
        taken[row] = np.where(better, count + 1, 0)
    runs, end = [], len(names)
    for row in reversed(range(len(families))):
        first = end - int(taken[row, end])
        runs.append((first, end))
        end = first
    return runs[::-1]


def _shifted(values: NDArray[np.float64], most: int, before: float = np.inf) -> NDArray[np.float64]:
    """[count - 1, end] -> the value at end - count, for counts up to most."""
    padded = np.concatenate([np.full(most, before), values])
    return sliding_window_view(padded, len(values))[most - 1 :: -1]


def _ending_at(cumulated: NDArray[np.float64]) -> NDArray[np.float64]:
    """[count - 1, end] -> the sum of the count values before end."""
    before = np.concatenate([[0.0], cumulated])
    most = min(MOST, len(cumulated))
    return before - _shifted(before, most, before=0.0)


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
