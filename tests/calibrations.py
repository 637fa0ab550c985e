"""Parts of calibrations that several test files make."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from predictor.calibration.schema import Device, Environment, LaneTimes


def device(peak_flops: dict[str, float], bandwidth_bytes_per_s: float, sms: int) -> Device:
    """A GPU of which only the roofline matters."""
    return Device(
        gpu="x",
        provenance="measured",
        reference_gpu=None,
        name="X",
        sms=sms,
        l2_bytes=10**7,
        architecture="",
        peak_flops=peak_flops,
        bandwidth_bytes_per_s=bandwidth_bytes_per_s,
        lanes=LaneTimes(launch_latency_s=1e-6, gap_s=1e-6, sync_s=5e-6),
        serial=False,
        environment=Environment(date="2026-01-01"),
    )


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a calibration file by hand, and accept the change."""
    data = json.loads(path.read_text(encoding="utf-8"))
    data.pop("digest", None)
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")
