"""How long a capture may go on: a forward that never ends is stopped with a message."""

from __future__ import annotations

import os
import time

from predictor.errors import PredictorError

OPERATORS, SECONDS = "PREDICTOR_CAPTURE_OPERATORS", "PREDICTOR_CAPTURE_SECONDS"
"""Environment variables that raise the limits of one pass."""

DEFAULTS = {OPERATORS: 200_000.0, SECONDS: 120.0}

_TICKS = 1024  # between two looks at the clock


class Stopped(BaseException):
    """A pass went on for too long. No model's ``except Exception`` catches it."""


class Limits:
    """What one pass has left. Raises PredictorError where an environment variable is no positive number."""

    def __init__(self) -> None:
        self._operators = int(_limit(OPERATORS))
        self._seconds = _limit(SECONDS)
        self._end = time.monotonic() + self._seconds
        self._seen = self._ticks = 0

    def operator(self, count: int = 1) -> None:
        """Further operators are about to run. Raises Stopped."""
        self._seen += count
        if self._seen > self._operators:
            raise Stopped(
                f"it runs more than {self._operators:,} operators: does it end? ({OPERATORS} raises the limit)"
            )
        self._look()

    def tick(self) -> None:
        """A function was called, or a line ran again. Raises Stopped."""
        self._ticks += 1
        if self._ticks % _TICKS == 0:
            self._look()

    def _look(self) -> None:
        if time.monotonic() > self._end:
            raise Stopped(f"it runs for more than {self._seconds:g} s: does it end? ({SECONDS} raises the limit)")


def _limit(variable: str) -> float:
    said = os.environ.get(variable)
    try:
        limit = DEFAULTS[variable] if said is None else float(said)
    except ValueError:
        limit = 0.0
    if not limit > 0:
        raise PredictorError(f"the environment variable {variable} is no positive number: {said!r}")
    return limit
