"""Loops that TorchScript's and Inductor's compilers make of several operators, and ONNX Runtime's own kernels, of which
reductions by cuDNN and passes between numbers and integers of few bits have fits of their own where they were measured.

rows: of a row-wise one, 0 for others; contiguous: all is read in the order in which it is written; kind: 1 for
transcendental functions, further numbers as in ``ops.ort.Kind``.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from predictor.kernels.family import Array, Dims, Family, MeasuredIn, log, waves
from predictor.kernels.streams import SIZES, STREAM, elements, streamed


def _loop_features(d: Dims, size: int, sms: int) -> list[Array]:
    ratio = log(streamed(d, size) / np.maximum(d["elements"], 1))
    cols = np.where(d["rows"] > 0, d["elements"] / np.maximum(d["rows"], 1), 0.0)
    rows = [(d["rows"] > 0).astype(float), log(d["rows"] + 1), log(cols + 1)]
    flags = [d["inputs"], d["contiguous"], d["kind"]]
    return [log(d["elements"]), ratio, *flags, *rows, *waves(d["elements"] / 512, sms)]


def _traffic(d: Dims, size: int) -> Array:
    """Of a slice its part is read, of a running sum the same again and again: as much as is written."""
    return np.minimum(d["bytes_read"], d["inputs"] * d["bytes_written"]) + d["bytes_written"]


_loop = partial(
    Family,
    dims={**STREAM, "inputs": 1, "contiguous": 1, "kind": 0, "rows": 0},
    flops=elements,
    nbytes=streamed,
    features=_loop_features,
    sizes=(*SIZES, "rows"),
    measured_in=MeasuredIn.PROFILES,
)

_ort = partial(_loop, traffic=_traffic)

_ORT = r"onnxruntime::|op_tensor|op_generic|reduce_tensor|pooling|bn_fw|transpose|Memcpy|Memset"

ROWS = (
    _loop(name="nnc", profiler_names=r"^fused_"),
    _loop(name="triton", profiler_names=r"^triton_", factor_group="pointwise"),
    _ort(name="ort", profiler_names=_ORT),
    _ort(name="ort_reduction", profiler_names=_ORT, measured_in=MeasuredIn.SESSIONS, stand_in="ort"),
    _ort(name="ort_quantised", profiler_names=_ORT, measured_in=MeasuredIn.SESSIONS, stand_in="ort"),
)
