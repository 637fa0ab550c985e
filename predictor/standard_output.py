"""Standard output belongs to the program's answer: what a user's code prints meanwhile goes to standard error."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any

_lock = threading.Lock()
_before: list[Any] = []  # standard output as each of those inside found it


@contextlib.contextmanager
def to_standard_error() -> Iterator[None]:
    """Send what Python code prints to standard error. Of several threads the last one to leave sets it back."""
    with _lock:
        _before.append(sys.stdout)
        sys.stdout = sys.stderr
    try:
        yield
    finally:
        with _lock:
            if len(_before) == 1:
                sys.stdout = _before[0]
            _before.pop()
