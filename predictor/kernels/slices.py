"""Slices of a tensor that ONNX Runtime writes to places that indices say: a thread for every index tuple copies its
slice, an element after another. tries: to add an element in half precision, 0 where nothing is added so.

A block has 256 threads and stays on one multiprocessor. An element takes every thread a step, whose writes lie in
different lines of the cache: the multiprocessor serves them one by one.
"""

from __future__ import annotations

import numpy as np

from predictor.kernels.family import Array, Dims, Family, MeasuredIn, log

BLOCK = 256
"""Threads of a block (onnxruntime, core/providers/cuda/cu_inc/common.cuh, GridDim)."""

WARP = 32
"""Threads that step together."""

STEP_S, LANE_S = 2.9e-8, 2.6e-9
"""Of an element of a single thread, a read, then a write, and of each further thread of its warp. Measured: of one
index 28.9 and 30.7 ns on an H200 (a cache that is written at one place), of 32 107 to 113 ns on an H100.
"""

THREAD_S = 1.95e-9
"""Of an element of a thread on a busy multiprocessor. Measured on an H100: 1.89 to 1.99 ns, 127 to 255 indices."""


FIRST_TRY_S, TRY_S = 5.6e-7, 3.1e-7
"""Of an element that is added in half precision, for which there is no addition in memory: it is read, and written if
nobody has written it meanwhile, else again. Measured on an H100: 554 to 645 ns where nothing meets, 128 and 2,048
indices, 4.0 and 4.1 us where twelve do (calibrations/h100/battery: experts by index, sums over neighbours).
"""


def _elements(d: Dims) -> Array:
    return d["indices"] * d["slice"]


def _bytes(d: Dims, size: int) -> Array:
    return 2 * size * _elements(d) + 8 * d["indices"]


def _seconds(d: Dims, sms: int) -> Array:
    """Steps after one another: of the slice, each as long as the fullest multiprocessor needs for its threads."""
    threads = np.minimum(d["indices"], BLOCK) * np.ceil(np.ceil(d["indices"] / BLOCK) / sms)
    step_s = STEP_S + LANE_S * (np.minimum(threads, WARP) - 1)
    tried_s = np.where(d["tries"] > 0, FIRST_TRY_S + TRY_S * (d["tries"] - 1), 0.0)
    return np.asarray(d["slice"] * np.maximum.reduce([step_s, THREAD_S * threads, tried_s]))


def _features(d: Dims, size: int, sms: int) -> list[Array]:
    return [log(d["indices"]), log(d["slice"])]


ROWS = (
    Family(
        name="scattered_slices",
        dims={"indices": None, "slice": None, "tries": 0},
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
