"""Decompositions and solutions of systems, as cuSOLVER's and cuBLAS's routines compute them: little arithmetic at a
time, in many steps of which each waits for the one before.

elements: of all matrices; flops: as LAPACK counts them, of all; steps: that follow each other; width: of a matrix;
routine: a number for each (``ops.linalg``). Where no calibration has measured them their price is analytic, and counts
as extrapolated.
"""

from __future__ import annotations

import numpy as np

from predictor.kernels.family import Array, Dims, Family, log

SHARE_OF_PEAK = 0.1
"""Of the peak outside of the matrix units, what their arithmetic reaches. A judgement: half of it is products of a
matrix with a vector, or of panels of 32 columns.
"""

STEP_S = 2.5e-6
"""Seconds of a step: a small kernel that starts when the one before is done. A judgement, from the floor of pointwise
kernels on an H200 (1.4 us) and the launch in between; twice as much doubles what small matrices take.
"""


def _flops(d: Dims) -> Array:
    return d["flops"] / SHARE_OF_PEAK


def _bytes(d: Dims, size: int) -> Array:
    return 2 * size * d["elements"]


def _steps_s(d: Dims, sms: int) -> Array:
    return d["steps"] * STEP_S


def _features(d: Dims, size: int, sms: int) -> list[Array]:
    batch = d["elements"] / np.maximum(d["width"], 1) ** 2
    return [log(d["elements"]), log(d["steps"]), log(d["width"]), log(batch), d["routine"]]


ROWS = (
    Family(
        name="decomposition",
        dims={"elements": None, "flops": None, "steps": None, "width": 0, "routine": 0},
        flops=_flops,
        nbytes=_bytes,
        features=_features,
        sizes=("elements", "flops", "steps"),
        latency_s=_steps_s,
        profiler_names=r"getrf|geqrf|potrf|syev|gesvd|trsm|laswp|cusolver|getr[si]|orgqr|larf|lacpy|batch_|gemv|gemm|copy",
        most_kernels=192,
        factor_group="other",
    ),
)
