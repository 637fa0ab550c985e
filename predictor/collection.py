"""Garbage collection, left out while many objects are made that are all needed."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

OFTEN = 64
"""Times that collection was left out until all objects are looked at once: it takes as long as two captures."""

_times = count(1)


class _SetAside:
    """Whether the user has set objects aside (``gc.freeze``), which Python tells by counting them all: 30 ms where
    torch's are among them. After a yes they are not counted for as long as collection is left out.
    """

    def __init__(self) -> None:
        self._until = 0

    def known(self, time: int) -> bool:
        if time >= self._until and gc.get_freeze_count():
            self._until = time + OFTEN
        return time < self._until


_set_aside = _SetAside()


@contextmanager
def without_collection(whole: bool = False) -> Iterator[None]:
    """Without garbage collection in the body. What it made counts as old afterwards: Python would look at each of its
    objects, and often at all of the program, as soon as collection is back. Now and then they are. whole: they are this
    time, as the body leaves much behind that is in cycles.

    >>> with without_collection():
    ...     gc.isenabled()
    False
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            time = next(_times)
            if whole or time % OFTEN == 0:
                gc.collect()
            elif not _set_aside.known(time):  # objects that the user has set aside stay there
                gc.freeze()
                gc.unfreeze()
            gc.enable()
