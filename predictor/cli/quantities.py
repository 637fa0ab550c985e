"""Sizes, lists of sizes and durations as they are typed."""

from __future__ import annotations

import re

from predictor.errors import PredictorError

MOST_SIZES = 10_000
"""Sizes of a list: a row each."""

_PART = re.compile(r"(\d+)(?:\.\.(\d+)(?:\+(\d+))?)?\Z")
_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}


def sizes(option: str, text: str | None) -> list[int] | None:
    """Whole numbers: "8", "1,2,8", "4..64" doubles from 4 on (64 is the last), "64..512+64" adds 64. None where nothing
    was typed. Raises PredictorError for anything else.

    >>> sizes("--batch", "1,2,4..20,64..128+32")
    [1, 2, 4, 8, 16, 20, 64, 96, 128]
    """
    if text is None:
        return None
    numbers: list[int] = []
    for part in text.split(","):
        match = _PART.match(part.strip())
        if match is None:
            try:
                numbers.append(int(part))  # of a negative number its own reader complains
                continue
            except ValueError:
                raise PredictorError(
                    f"{option} wants whole numbers, for example 8, 1,2,8 or 4..64 (4, 8, ... 64), not {text!r}"
                ) from None
        first, last, step = (int(group) if group else 0 for group in match.groups())
        if match[2] is None:
            last = first
        if first > last or (match[3] and not step) or (first == 0 and last):
            raise PredictorError(f"{option}: {part.strip()} leads nowhere")
        while first < last:
            if len(numbers) >= MOST_SIZES:
                raise PredictorError(f"{option}: {part.strip()} is more than {MOST_SIZES} sizes")
            numbers.append(first)
            first = first + step if step else 2 * first
        numbers.append(last)
    return list(dict.fromkeys(numbers))


def duration_s(option: str, text: str) -> float:
    """Seconds of "5ms", "250us" or "0.01s". Raises PredictorError for anything else.

    >>> duration_s("--budget", "5ms")
    0.005
    """
    match = re.fullmatch(r"([\d.]+(?:e-?\d+)?)\s*(\D*)", text.strip())
    try:
        if match and match[2] in _UNITS and float(match[1]) > 0:
            return float(match[1]) * _UNITS[match[2]]
    except ValueError:
        pass
    raise PredictorError(f"{option} wants a time with its unit, for example 5ms, 250us or 0.01s, not {text!r}")
