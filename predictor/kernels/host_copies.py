"""Copies between the memory of the device and that of the host, over PCI Express.

No calibration measures their bandwidth. pageable: the driver copies it into memory of its own before.
"""

from __future__ import annotations

import numpy as np

from predictor.kernels.family import Array, Dims, Family, MeasuredIn, log

HOST_COPY = "host_copy"
"""Name of the family."""

PCIE_BYTES_PER_S = 2.0e10
"""Of pinned memory over PCI Express 4.0 x16, whose 16 GT/s a lane are 31.5e9 bytes/s before packets' heads; 5.0 has
twice that, 3.0 half.
"""


PAGEABLE_BYTES_PER_S = 1.0e10
"""Of memory that the driver first copies into pinned memory of its own, while the host waits: what a node on the CPU
has made. Measured in sessions of ONNX Runtime on an H100's host: 7.5e9 to 1.0e10 (``benchmarks/onnx_battery.py``).
"""


def _nothing(d: Dims) -> Array:
    return np.zeros_like(d["bytes"])


def _bytes(d: Dims, size: int) -> Array:
    return d["bytes"]


def _seconds(d: Dims, sms: int) -> Array:
    return d["bytes"] / np.where(d["pageable"] > 0, PAGEABLE_BYTES_PER_S, PCIE_BYTES_PER_S)


def _features(d: Dims, size: int, sms: int) -> list[Array]:
    return [log(d["bytes"]), d["pageable"]]


ROWS = (
    Family(
        name=HOST_COPY,
        dims={"bytes": None, "pageable": 0},
        flops=_nothing,
        nbytes=_bytes,
        features=_features,
        sizes=("bytes",),
        profiler_names=r"(?!)",
        latency_s=_seconds,
        blocks=lambda d: np.zeros_like(d["bytes"]),  # a copy engine's work
        measured_in=MeasuredIn.NOWHERE,
        factor_group="other",
    ),
)
