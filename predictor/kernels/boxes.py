"""Boxes of one class in one image, sorted by their scores, compared, and those kept that overlap none before them: the
comparison and the choice go along the boxes one after another.
"""

from __future__ import annotations

import numpy as np

from predictor.kernels.family import Array, Dims, Family, MeasuredIn, log

BOX_S = 1.2e-7
"""Of a box, in the kernels that sort, compare and choose: on an H100 41 us of 300 boxes beside three floors (ONNX
Runtime 1.30, one size: benchmarks/onnx_files, detection_head).
"""

BOX_BYTES = 16


def _pairs(d: Dims) -> Array:
    return d["boxes"] ** 2


def _bytes(d: Dims, size: int) -> Array:
    return BOX_BYTES * d["boxes"]


def _seconds(d: Dims, sms: int) -> Array:
    return BOX_S * d["boxes"]


def _features(d: Dims, size: int, sms: int) -> list[Array]:
    return [log(np.asarray(d["boxes"]))]


ROWS = (
    Family(
        name="box_selection",
        dims={"boxes": None},
        flops=_pairs,
        nbytes=_bytes,
        features=_features,
        sizes=("boxes",),
        profiler_names=r"NMS",
        latency_s=_seconds,
        blocks=lambda d: np.asarray(np.ceil(d["boxes"] / 64) ** 2),
        measured_in=MeasuredIn.NOWHERE,
        factor_group="other",
    ),
)
