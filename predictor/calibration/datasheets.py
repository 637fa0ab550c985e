"""A GPU that nobody measured: from its datasheet, and what a measured one reaches of its own."""

from __future__ import annotations

from collections.abc import Mapping

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
