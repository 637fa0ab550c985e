"""Slices of a tensor that ONNX Runtime writes to places that indices say: a thread for every index tuple copies its
slice, an element after another.

A block has 256 threads and stays on one multiprocessor. An element takes every thread a step, whose writes lie in
different lines of the cache: the multiprocessor serves them one by one.
"""

from __future__ import annotations

import numpy as np

from predictor.kernels.family import Array, Dims, Family, MeasuredIn, log

BLOCK = 256
"""Threads of a block (onnxruntime, core/providers/cuda/cu_inc/common.cuh, GridDim)."""

STEP_S = 1.1e-7
"""Of an element where few threads wait: a read, then a write. Measured on an H100: 107 to 113 ns, 32 indices."""

THREAD_S = 1.95e-9
"""Of an element of a thread on a busy multiprocessor. Measured on an H100: 1.89 to 1.99 ns, 127 to 255 indices."""


def _elements(d: Dims) -> Array:
    return d["indices"] * d["slice"]


def _bytes(d: Dims, size: int) -> Array:
    return 2 * size * _elements(d) + 8 * d["indices"]


def _seconds(d: Dims, sms: int) -> Array:
    """Steps after one another: of the slice, each as long as the fullest multiprocessor needs for its threads."""
    threads = np.minimum(d["indices"], BLOCK) * np.ceil(np.ceil(d["indices"] / BLOCK) / sms)
    return d["slice"] * np.maximum(STEP_S, THREAD_S * threads)


def _features(d: Dims, size: int, sms: int) -> list[Array]:
    return [log(d["indices"]), log(d["slice"])]


ROWS = (
    Family(
        name="scattered_slices",
        dims={"indices": None, "slice": None},
        flops=_elements,
        nbytes=_bytes,
        features=_features,
        sizes=("indices", "slice"),
        profiler_names=r"ScatterND",
        latency_s=_seconds,
        blocks=lambda d: np.asarray(np.ceil(d["indices"] / BLOCK)),
        measured_in=MeasuredIn.NOWHERE,
        factor_group="other",
    ),
)
