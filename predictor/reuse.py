"""How cold code is when it runs again: what lay between two runs of it has pushed it out of the caches."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

HALF_DISTANCE = 25
"""Reuse distance at which code is half cold. Of 5 to 80 tried on generated modules on one Xeon host, 15 to 45 describe
the cost of operators replayed in order, and of the Python around them, equally well.
"""


def coldness(sequence: Sequence[Hashable]) -> list[float]:
    """Coldness of every entry of a sequence that runs over and over: 0 just after its last run, towards 1 long after.

    It is ``d / (d + HALF_DISTANCE)``, d the number of distinct other entries since the last equal one (the reuse
    distance, or LRU stack distance, of Mattson et al., 1970), which may lie in the pass before.

    >>> [round(c, 2) for c in coldness("aab")]
    [0.04, 0.0, 0.04]
    """
    recent = list(dict.fromkeys(reversed(sequence)))  # most recent first, as the pass before left them
    found = []
    for entry in sequence:
        distance = recent.index(entry)
        del recent[distance]
        recent.insert(0, entry)
        found.append(distance / (distance + HALF_DISTANCE))
    return found
