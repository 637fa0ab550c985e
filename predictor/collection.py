"""Garbage collection, left out while many objects are made that are all needed."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

OFTEN, SELDOM = 64, 1024
"""Times that collection was left out until all objects are looked at once, which takes as long as ten captures: as
long as much is found, and at most where it is little each time.
"""

LITTLE = 10
"""Objects of each time that are found in cycles, up to which it is twice as long until the next look."""


class _Looks:
    """When all objects are looked at."""

    def __init__(self) -> None:
        self._times = self._left = OFTEN

    def count(self, times: int) -> None:
        """Collection was left out so many times more."""
        self._left -= times

    @property
    def are_due(self) -> bool:
        """Whether it is time for the next."""
        return self._left <= 0

    def look(self) -> None:
        """Collect what is in cycles."""
        found = gc.collect()
        self._times = min(2 * self._times, SELDOM) if found <= LITTLE * self._times else OFTEN
        self._left = self._times


_looks = _Looks()


class _SetAside:
    """Whether the user has set objects aside (``gc.freeze``), which Python tells by counting them all: 30 ms where
    torch's are among them. After a yes they are not counted for as long as collection is left out.
    """

    def __init__(self) -> None:
        self._times = 0

    def known(self) -> bool:
        self._times -= 1
        if self._times <= 0 and gc.get_freeze_count():
            self._times = OFTEN
        return self._times > 0


_set_aside = _SetAside()


@contextmanager
def without_collection(times: int = 1) -> Iterator[None]:
    """Without garbage collection in the body. What it made counts as old afterwards: Python would look at each of its
    objects, and often at all of the program, as soon as collection is back. Now and then they are. times: that the body
    counts as, more for one that leaves much behind in cycles.

    >>> with without_collection():
    ...     gc.isenabled()
    False
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        _looks.count(times)
        if collects:
            if _looks.are_due:
                _looks.look()
            elif not _set_aside.known():  # objects that the user has set aside stay there
                gc.freeze()
                gc.unfreeze()
            gc.enable()
