"""How cold code is when it runs again: what lay between two runs of it has pushed it out of the caches."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

Entry = TypeVar("Entry", bound=Hashable)

HALF_DISTANCE = 25
"""Reuse distance, in operators or modules, at which one is half cold. Of 5 to 80 tried on generated modules on one Xeon
host, 15 to 45 describe the cost of operators replayed in order equally well.
"""

HALF_LINES, STEEPNESS = 800, 3
"""Reuse distance, in distinct lines of Python, at which a function is half cold, and how sharply it gets so: a cache
holds what fits. With 207 modules on an H200's host, 600 to 1600 lines and steepness 2 to 4 describe their latencies
equally well, 4 % better than steepness 1.
"""

OPERATOR_LINES = 10
"""Lines of Python that push as much out of the caches as an operator does: found likewise, 5 to 20 do."""


def coldness(
    sequence: Sequence[Entry],
    half: float = HALF_DISTANCE,
    sizes: Mapping[Entry, float] | None = None,
    steepness: float = 1,
) -> list[float]:
    """Coldness of every entry of a sequence that runs over and over: 0 just after its last run, towards 1 long after.

    It is ``d / (d + half)``, with all three to the power of ``steepness``, d the number (with sizes: the size) of
    distinct other entries since the last equal one (the reuse distance, or LRU stack distance, of Mattson et al.,
    1970), which may lie in the pass before.

    >>> [round(c, 2) for c in coldness("aab")]
    [0.04, 0.0, 0.04]
    >>> [round(c, 2) for c in coldness("aab", half=30, sizes={"a": 10, "b": 15})]
    [0.33, 0.0, 0.25]
    """
    distances = reuse_distances(sequence, sizes)
    scaled = {distance: distance**steepness for distance in set(distances)}
    cold = {distance: power / (power + half**steepness) for distance, power in scaled.items()}
    return [cold[distance] for distance in distances]


def reuse_distances(sequence: Sequence[Entry], sizes: Mapping[Entry, float] | None = None) -> list[float]:
    """Reuse distance of every entry of a sequence that runs over and over: the number (with sizes: the size) of
    distinct other entries since the last equal one.

    >>> reuse_distances("aab")
    [1, 0, 1]
    """
    recent = list(dict.fromkeys(reversed(sequence)))  # most recent first, as the pass before left them
    if len(recent) == len(sequence):  # between two runs of one lie all others
        total = len(recent) if sizes is None else sum(sizes[entry] for entry in recent)
        return [total - (1 if sizes is None else sizes[entry]) for entry in sequence]
    if len(recent) > MANY:
        return list(_distances(sequence, recent, sizes))
    weights: list[float] = [1] * len(recent) if sizes is None else [sizes[entry] for entry in recent]
    numbers = {entry: number for number, entry in enumerate(recent)}  # which a list compares in less time
    if FEW < len(sequence) * len(recent) <= MOST and all(type(w) is int for w in weights) and sum(weights) < EXACT:
        return _at_once([numbers[entry] for entry in sequence], weights)
    result: list[float] = []
    order = list(range(len(recent)))
    index, take, put = order.index, order.pop, order.insert
    take_weight, put_weight = weights.pop, weights.insert
    for number in [numbers[entry] for entry in sequence]:
        position = index(number)
        if position:
            result.append(sum(weights[:position]))
            put(0, take(position))
            put_weight(0, take_weight(position))
        else:
            result.append(0)
    return result


FEW, MOST = 512, 2**18
"""Entries times distinct ones between which distances are found all at once in less time."""

EXACT = 2**24
"""Integers up to it are exact in single precision."""


def _at_once(sequence: Sequence[int], weights: Sequence[float]) -> list[float]:
    """Reuse distances of numbers. weights: of each number, integers, in the order of their last run in the pass before,
    the most recent first.
    """
    entries, distinct = len(sequence), len(weights)
    numbers, places = np.array(sequence), np.arange(entries)
    last = np.full((entries, distinct), -distinct - 1, dtype=np.int32)  # run of each number before each entry
    last[0] = -1 - np.arange(distinct)
    last[places[1:], numbers[:-1]] = places[:-1]
    np.maximum.accumulate(last, axis=0, out=last)
    since = last > last[places, numbers][:, None]
    distances: list[float] = (since.astype(np.float32) @ np.array(weights, np.float32)).astype(np.int64).tolist()
    return distances


MANY = 400
"""Distinct entries from which a tree finds distances faster than a list."""


def _distances(
    sequence: Sequence[Entry], recent: Sequence[Entry], sizes: Mapping[Entry, float] | None
) -> Iterator[float]:
    """Reuse distances, in O(log n) each: sizes stand in the order of their last run, in a binary indexed tree (Fenwick,
    1994) of their sums.
    """
    places = len(recent) + len(sequence)
    sums: list[float] = [0] * (places + 1)
    last: dict[Entry, int] = {}
    total: float = 0

    def add(place: int, size: float) -> None:
        while place <= places:
            sums[place] += size
            place += place & -place

    for place, entry in enumerate(reversed(recent), 1):
        last[entry] = place
        size: float = 1 if sizes is None else sizes[entry]
        total += size
        add(place, size)
    for now, entry in enumerate(sequence, len(recent) + 1):
        place = last[entry]
        before: float = 0
        size = 1 if sizes is None else sizes[entry]
        up_to = place
        while up_to:
            before += sums[up_to]
            up_to &= up_to - 1
        yield total - before
        add(place, -size)
        add(now, size)
        last[entry] = now
