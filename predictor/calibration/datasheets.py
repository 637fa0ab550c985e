"""A GPU that nobody measured: from its datasheet, and what a measured one reaches of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from predictor.calibration.schema import ARCHITECTURES, Datasheet, Device, Dtype, Environment


def nearest(architecture: str, known: Mapping[str, str]) -> str:
    """The GPU of the nearest architecture, the newer one of two. known: GPU -> its architecture."""
    wanted = ARCHITECTURES.index(architecture)
    return min(known, key=lambda gpu: (abs(ARCHITECTURES.index(known[gpu]) - wanted), -ARCHITECTURES.index(known[gpu])))


def derived_device(gpu: str, sheet: Datasheet, measured: Device, reference: Datasheet) -> Device:
    """A GPU's device, from its datasheet and the share of its own (reference) that a measured one reaches."""
    reached: dict[Dtype, float] = {
        d: peak / reference.peak_flops[d] for d, peak in measured.peak_flops.items() if d in reference.peak_flops
    }
    return Device(
        gpu=gpu,
        provenance="derived",
        reference_gpu=measured.gpu,
        name=sheet.name,
        sms=sheet.sms,
        l2_bytes=sheet.l2_bytes,
        architecture=sheet.architecture,
        peak_flops={d: peak * reached.get(d, reached["fp32"]) for d, peak in sheet.peak_flops.items()},
        bandwidth_bytes_per_s=sheet.bandwidth_bytes_per_s
        * (measured.bandwidth_bytes_per_s / reference.bandwidth_bytes_per_s),
        lanes=measured.lanes,
        serial=False,
        environment=Environment(date=measured.environment.date, source=sheet.source),
    )


def instruction_time_factor(sheet: Datasheet, reference: Datasheet) -> float:
    """How many times as long a multiprocessor takes for an instruction as one of the reference: the ratio of clocks."""
    return reference.clock_hz / sheet.clock_hz


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


def transferred(seconds: Any, their_roof_s: Any, roof_s: Any, slower: float) -> Any:
    """Seconds of a kernel on a GPU that was not measured, from those of one on a GPU that was, which loads each
    multiprocessor as much there as this one does here (``equal_waves``); arrays.

    What it takes beyond its roofline there it owes to the instructions that a multiprocessor issues, and those need
    ``slower`` times as long here; the roofline (their_roof_s there, roof_s here) changes with peaks and bandwidth. Of
    the two the larger decides, softly. A kernel that beats its roofline, out of a cache, does so here as well.
    """
    reached = np.minimum(seconds / their_roof_s, 1.0)
    issued = np.maximum(seconds**SHARPNESS - their_roof_s**SHARPNESS, 0.0)
    return ((reached * roof_s) ** SHARPNESS + slower**SHARPNESS * issued) ** (1 / SHARPNESS)
