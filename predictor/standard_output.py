"""Standard output belongs to the program's answer: what a user's code prints meanwhile goes to standard error."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any

_lock = threading.Lock()
_users = 0
_before: Any = None


@contextlib.contextmanager
def to_standard_error() -> Iterator[None]:
    """Send what Python code prints to standard error. Of several threads the last one to leave sets it back."""
    global _users, _before
    with _lock:
        _users += 1
        if _users == 1:
            _before, sys.stdout = sys.stdout, sys.stderr
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                sys.stdout, _before = _before, None
