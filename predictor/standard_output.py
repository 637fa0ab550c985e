"""Standard output belongs to the program's answer: what a user's code prints meanwhile goes to standard error."""

from __future__ import annotations

import contextlib
import ctypes
import os
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


@contextlib.contextmanager
def process_to_standard_error() -> Iterator[None]:
    """Send what the whole process writes to standard output to standard error, extensions in C and child processes
    included: for a program, not for a library in someone else's process.
    """
    sys.stdout.flush()
    answer = os.dup(1)
    try:
        os.dup2(2, 1)
        with to_standard_error():
            yield
    finally:
        with contextlib.suppress(OSError, TypeError):  # Windows, and a C library that cannot be loaded by itself
            ctypes.CDLL(None).fflush(None)  # what extensions have printed and C still holds
        os.dup2(answer, 1)
        os.close(answer)
