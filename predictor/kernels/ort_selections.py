"""Kernels that ONNX Runtime finds the largest of a row with: the best few (TopK) and where the best is (ArgMax), whose
time is that of passes of a thread block over its row. Measured on an H200 and an H100, in models and of single nodes,
ONNX Runtime 1.30; the times are beside what families without a fit take beyond their roofline.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from predictor.kernels.family import Array, Dims, Family, MeasuredIn, log, row_blocks

SORTED_COLUMNS = 256
"""Of the longest row that the threads of a block sort at once (BitonicTopK); of longer ones they decide on a byte after
another (RadixTopK, onnxruntime, topk_impl.cuh).
"""

SORT_START_S, SORT_STEP_S, SORT_BUSY_S = 1.1e-6, 1.0e-7, 5e-8
"""Of a block that sorts its row: at the beginning, of each of log2(n) (log2(n) + 1) / 2 steps, and of a step on a
multiprocessor that has more rows. Measured: rows of 8 to 256, 1 to 2,048 of them, 3.4 to 23.5 us, 12 % mean error.
"""

BYTE_START_S, BYTE_S, WIDE_BYTE_S, READING_S = 1.8e-6, 4.0e-6, 9.9e-6, 1.3e-7
"""Of a block that finds the best few of a longer row byte by byte: at the beginning, of a byte, of one of numbers of
eight bytes, which sorts of 64 bits follow, and of a turn of its threads over the row in each reading. Measured: rows of
384 to 16,384 of half precision, single, and int64, 1 to 8,192 of them, 10 % mean error.
"""

ROWS_AT_ONCE = 2.5
"""Such rows that a multiprocessor gets through in the time of one. Measured: 8,192 rows of 512 and 1,280 of 16,384 in
half precision, 2,560 of 768 in int64: 2.2, 2.2, 2.5.
"""

PART_START_S, PART_ITEM_S = 2.9e-6, 3.5e-9
"""Of a part of a row, which a block sorts (FindPartitionTopK), and of each of its elements on a multiprocessor.
Measured: 15 to 640 parts of 2,304 and 3,328: 3 % mean error.
"""

JOINED_ITEM_S = 5.7e-9
"""Of an element that a block sorts when parts are joined (CooperativeReduce). Measured: 1,024 to 2,048, 7 to 14 us."""

FEW_COLUMNS = 128
"""Columns below which a thread goes through its row alone to find its largest, else warps do (onnxruntime,
reduction_functions.cu).
"""

COLUMN_S, LINES = 4.5e-8, 4
"""Of a column of such a row, and how many times its bytes are read where rows are many: every thread reads a line of
the cache of its own. Measured: 149 to 139,712 rows of 32 and 81, 20 % mean error.
"""

COOPERATIVE_S, JOINED_ROW_S, LONG_COLUMNS, SLOWER = 2e-7, 1.3e-6, 8192, 1.4
"""Of warps that look for the largest of a row together: at the beginning, of rows beyond so many columns, where blocks
wait for each other, and by how much it takes longer than its traffic. Measured: 1 to 3,184 rows of 512 to 50,304, 18 %
mean error.
"""

ACROSS_START_S, ACROSS_STEP_S, ACROSS_ELEMENT_S = 1e-7, 5.1e-8, 5.7e-10
"""Of cuDNN where the largest is looked for across rows (reduce_tensor_index_kernel): at the beginning, of a step along
the axis, and of an element on a multiprocessor. Measured: 393,216 to 629 million elements along 17 to 150, 17 % mean
error; along 19 it takes twice as long.
"""


def _elements(d: Dims) -> Array:
    return d["rows"] * d["cols"]


def _bytes(d: Dims, size: int) -> Array:
    return d["itemsize"] * d["rows"] * d["cols"]


def _top_s(d: Dims, sms: int) -> Array:
    others = np.maximum(d["rows"] / sms - 1, 0.0)
    levels = np.ceil(np.log2(np.maximum(d["cols"], 2)))
    steps = levels * (levels + 1) / 2
    sorted_s = SORT_START_S + steps * (SORT_STEP_S + SORT_BUSY_S * others)
    readings = (2 + d["itemsize"]) * np.ceil(d["cols"] / SORTED_COLUMNS)
    byte_s = np.where(d["itemsize"] > 4, WIDE_BYTE_S, BYTE_S)
    row_s = BYTE_START_S + d["itemsize"] * byte_s + READING_S * readings
    return np.where(d["cols"] <= SORTED_COLUMNS, sorted_s, row_s * (1 + others / ROWS_AT_ONCE))


def _parts_s(d: Dims, sms: int) -> Array:
    return np.asarray(PART_START_S + PART_ITEM_S * d["cols"] * np.maximum(d["rows"] / sms, 1.0))


def _joined_s(d: Dims, sms: int) -> Array:
    return np.asarray(JOINED_ITEM_S * d["cols"])


def _extreme_s(d: Dims, sms: int) -> Array:
    together_s = COOPERATIVE_S + np.where(d["cols"] > LONG_COLUMNS, JOINED_ROW_S, 0.0)
    return np.where(d["cols"] < FEW_COLUMNS, 0.0, together_s)


def _column_s(d: Dims, size: int, sms: int) -> Array:
    return np.where(d["cols"] < FEW_COLUMNS, COLUMN_S * d["cols"], 0.0)


def _extreme_bytes(d: Dims, size: int) -> Array:
    return _bytes(d, size) * np.where(d["cols"] < FEW_COLUMNS, LINES, SLOWER)


def _across_s(d: Dims, sms: int) -> Array:
    return np.asarray(ACROSS_START_S + ACROSS_STEP_S * d["cols"])


def _across_issue_s(d: Dims, size: int, sms: int) -> Array:
    return np.asarray(ACROSS_ELEMENT_S * _elements(d) / sms)


def _features(d: Dims, size: int, sms: int) -> list[Array]:
    return [log(d["rows"]), log(d["cols"])]


_of_rows = partial(
    Family,
    dims={"rows": None, "cols": None, "itemsize": None},
    flops=_elements,
    nbytes=_bytes,
    features=_features,
    blocks=row_blocks,
    sizes=("rows", "cols"),
    measured_in=MeasuredIn.NOWHERE,
    factor_group="other",
    closed_form=True,
)

ROWS = (
    _of_rows(name="ort_top_k", profiler_names=r"RadixTopK|BitonicTopK", latency_s=_top_s),
    _of_rows(name="ort_top_parts", profiler_names=r"FindPartitionTopK", latency_s=_parts_s),
    _of_rows(name="ort_top_joined", profiler_names=r"CooperativeReduce", latency_s=_joined_s),
    _of_rows(
        name="ort_extreme",
        profiler_names=r"arg_min_max",
        nbytes=_extreme_bytes,
        traffic=_bytes,
        issue_s=_column_s,
        latency_s=_extreme_s,
    ),
    _of_rows(
        name="ort_extreme_across",
        profiler_names=r"reduce_tensor_index",
        issue_s=_across_issue_s,
        latency_s=_across_s,
    ),
)
