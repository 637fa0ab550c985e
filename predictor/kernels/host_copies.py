"""Copies between the memory of the device and that of the host, over PCI Express.

No calibration measures their bandwidth. pageable: the driver copies it into memory of its own before, and has sent one
part while it copies the next; replayed: by a CUDA graph.
"""

from __future__ import annotations

import numpy as np

from predictor.kernels.family import Array, Dims, Family, MeasuredIn, log

HOST_COPY = "host_copy"
"""Name of the family."""

STAGED = 2**16
"""Bytes up to which a copy to the device returns before it is done: the driver has taken them over (CUDA C++
Programming Guide, asynchronous concurrent execution).
"""

PAGEABLE_BYTES_PER_S = 1.0e10
"""Of memory that the driver first copies into pinned memory of its own, while the host waits: what a node on the CPU
has made. Measured in sessions of ONNX Runtime on an H100's host: 7.5e9 to 1.0e10 (``benchmarks/onnx_battery.py``).
"""


BETWEEN_S = 2.8e-6
"""Beside its bytes, of a copy between kernels, in a stream as in a CUDA graph: multiprocessors and copy engine wait for
each other. Measured on an H200 as what CUDA graphs of ONNX Runtime take beyond their kernels and 0.07 us for each: 2.8
to 3.2 us, 22 models with 72 to 480 copies; in streams that the device bounds 1.8 to 3.2, four models with 120 to 312.
On an H100 in graphs with 16 to 232 of them 1.4 to 3.0, half of them above 2.6 (calibrations/h100/battery).
"""


def _nothing(d: Dims) -> Array:
    return np.zeros_like(d["bytes"])


def _pinned_bytes(d: Dims, size: int) -> Array:
    return np.where(d["pageable"] > 0, 1.0, np.maximum(d["bytes"], 1.0))  # its logarithm is a feature


def _waits_s(d: Dims, sms: int) -> Array:
    staging_s = np.where(d["pageable"] > 0, d["bytes"] / PAGEABLE_BYTES_PER_S, 0.0)
    between_s = np.where((d["replayed"] > 0) | (d["pageable"] == 0), BETWEEN_S, 0.0)
    return np.asarray(staging_s + between_s)


def _features(d: Dims, size: int, sms: int) -> list[Array]:
    return [log(d["bytes"]), d["pageable"]]


ROWS = (
    Family(
        name=HOST_COPY,
        dims={"bytes": None, "pageable": 0, "replayed": 0},
        flops=_nothing,
        nbytes=_pinned_bytes,
        features=_features,
        sizes=("bytes",),
        profiler_names=r"Memcpy (HtoD|DtoH)",
        latency_s=_waits_s,
        over_link=True,
        blocks=lambda d: np.zeros_like(d["bytes"]),  # a copy engine's work
        measured_in=MeasuredIn.NOWHERE,
        factor_group="other",
    ),
)
