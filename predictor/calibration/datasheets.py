"""A GPU that nobody measured: from its datasheet, and what a measured one reaches of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping

from predictor.calibration.schema import ARCHITECTURES, Datasheet, Device, Dtype, Environment


def nearest(sheet: Datasheet, known: Mapping[str, Datasheet]) -> str:
    """The GPU of the nearest architecture, the newer one of two; of several of one architecture that whose bandwidth
    for each of its FLOP/s is nearest. known: GPU -> its datasheet.
    """
    wanted = ARCHITECTURES.index(sheet.architecture)

    def distance(gpu: str) -> tuple[int, int, float]:
        architecture = ARCHITECTURES.index(known[gpu].architecture)
        return abs(architecture - wanted), -architecture, abs(math.log(_balance(known[gpu]) / _balance(sheet)))

    return min(known, key=distance)


def _balance(sheet: Datasheet) -> float:
    """Bytes that the memory moves for each operation of the fastest units."""
    return sheet.bandwidth_bytes_per_s / max(sheet.peak_flops.values())


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
