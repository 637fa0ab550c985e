"""A kernel's time on a GPU that was not measured, from its time on one that was."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def equal_waves(their_sms: int, sms: int) -> list[tuple[float, float]]:
    """(How many times as large a kernel is that loads each of another GPU's multiprocessors as one here does, weight):
    the powers of two around that, which leave a shape as well aligned as it is, with weights for their logarithms.
    """
    exact = math.log2(their_sms / sms)
    below = math.floor(exact)
    both = [(2.0**below, below + 1 - exact), (2.0 ** (below + 1), exact - below)]
    return [(times, weight) for times, weight in both if weight]


SHARPNESS = 2.0
"""How abruptly one limit takes over from the other: 1 adds them, infinity takes the larger."""


def transferred(seconds: Any, their_roof_s: Any, roof_s: Any, time_factor: float) -> Any:
    """Seconds of a kernel on a GPU that was not measured, from those of one on a GPU that was, which loads each
    multiprocessor as much there as this one does here (``equal_waves``); arrays.

    What it takes beyond its roofline there it owes to the instructions that a multiprocessor issues, and those need
    ``time_factor`` times as long here; the roofline (their_roof_s there, roof_s here) changes with peaks and bandwidth.
    Of the two the larger decides, softly. A kernel that beats its roofline, out of a cache, does so here as well.
    """
    reached = np.minimum(seconds / their_roof_s, 1.0)
    issued = np.maximum(seconds**SHARPNESS - their_roof_s**SHARPNESS, 0.0)
    return ((reached * roof_s) ** SHARPNESS + time_factor**SHARPNESS * issued) ** (1 / SHARPNESS)
