"""Kernels of ONNX Runtime's own domain, and those that cuBLAS picks for its products of integers, whose time is that of
steps that wait for each other rather than of arithmetic or traffic: single nodes show which
(``benchmarks/onnx_files/nodes.py``, ONNX Runtime 1.30 on an H100, calibrations/h100/onnx_files/nodes.jsonl.gz).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from predictor.kernels.family import Array, Dims, Family, MeasuredIn, log, row_blocks, tile_blocks
from predictor.kernels.streams import SIZES, STREAM, elements

VECTORS_START_S, VECTOR_OUTPUT_S, VECTOR_STEP_S = 7e-7, 2.3e-9, 6.3e-11
"""Of a batch of products of matrices with vectors (gemvx, gemv2T, gemvNSP and others) at the beginning, of an output on
a multiprocessor, and of each of its k. Measured on an H200 in 16 models, 4 to 8,192 products, 32 to 1,024 outputs, k of
4 to 1,024, in half precision: 23 % mean error, of which more than half is the choice among kernels. Beside what
families without a fit take beyond their roofline.
"""

FEW_ROWS = 16
"""Rows up to which a product of integers has a kernel of its own: measured are 1 and 16, then 128 and more."""

TILE = 128
"""Rows and columns of a thread block's tile of a product of integers."""

INTEGER_START_S, INTEGER_STEP_S = 2.7e-6, 3.52e-8
"""Of a product of integers, and of one of its k: a block goes along k in steps of 16 on units of an older architecture
(i161616gemm_s8), whatever m and n. Measured: 1.2 % mean error of 14 products.
"""

FEW_INTEGER_START_S, FEW_INTEGER_STEP_S = 1.7e-6, 7.2e-9
"""The same of at most ``FEW_ROWS`` rows (gemmSN): 3.6 % mean error of 9 products."""

WARP_THREADS, SM_WARPS, MOST_THREADS = 32, 64, 1024
"""Of a warp, a multiprocessor, a thread block."""

SOFTMAX_WAVE_S = 1.65e-6
"""Of the rows of an attention's scores that the multiprocessors hold at a time, a block of threads a row, beside their
traffic. Measured: 1.9 to 2.1 us with the traffic, 16 to 93 such waves, in fp16 as in fp32.
"""

LIBRARY_SOFTMAX_S = 2.8e-10
"""Of an element of cuDNN's softmax (softmax_fw_kernel) on a multiprocessor, a block of 256 threads a row. Measured on
an H200 beside its traffic, rows of 1,500 in half precision: 93 us for 18,000 of them.
"""

APPEND_BLOCK_S = 7.7e-8
"""Of a multiprocessor for a block that turns a token of a head and puts it into the cache (UnpackRoPEAppend): 0.58 ns
for one of 132. With ``COPY_SHARE`` and what is attended to 7.8 % mean error of 67 nodes.
"""

COPY_SHARE = 0.56
"""Of the bandwidth, what a copy of a cache reaches."""

ROW_START_S = 0.9e-6
"""Of a product of few rows with weights of a few bits, beside its floor."""

ROW_STEP_S = {(4, 2): 7.1e-10, (8, 2): 2.16e-9, (4, 4): 1.39e-9, (8, 4): 1.31e-9}
ROW_WEIGHT_S = {(4, 2): 3e-14, (8, 2): 7e-14, (4, 4): 1.1e-13, (8, 4): 2.7e-13}
"""Of a single row with weights of (bits) and activations of (bytes): a step along k, and a weight beside its traffic.
4 to 6 % mean error.
"""

ROWS_STEP_S = {2: 3.6e-10, 4: 0.0}
ROWS_WEIGHT_S = {2: 6.2e-14, 4: 3.3e-13}
"""The same of each of several rows, of four bits: 7 to 8 % mean error."""

UNPACKED_S = 6.7e-12
"""Of a weight of four bits written in single precision, beside its traffic: that kernel writes one at a time."""

CHANNEL_START_S, CHANNEL_BLOCK_S = 7.3e-7, 7e-7
"""Of a norm of channels by cuDNN in training, whose blocks take a channel of an instance each (bn_fw_tr_1C11), and of a
block, beside what families without a fit take beyond their roofline.
"""

CHANNEL_PAIR_S, CHANNEL_ELEMENT_S, CHANNEL_AGAIN_S = 1.2e-10, 2.5e-10, 3.85e-10
"""Of an element of a block: taken in pairs (singleread_spec, half precision, an even count), one by one (singleread),
read again (kernel_NCHW). With the above 6.5 % mean error of 84 sizes of profiles on an H100 and an H200, 512 to 262,144
elements, 1 to 16,384 blocks.
"""

READ_ONCE = 2**17
"""Bytes of a channel that a block keeps from one reading to the next: 98,304 it does, 262,144 not; where between is a
judgement.
"""

BATCH_START_S, BATCH_BLOCK_S, BATCH_ELEMENT_S = 3e-7, 6.55e-8, 2.2e-10
"""Of a batch norm by cuDNN, a block for every channel of every image (bn_fw_inf_1C11): at the beginning, of a block on
a multiprocessor, and where that is longer of each of its elements. Beside what families without a fit take beyond
their roofline: 7 % mean error of 60 sizes of profiles on an H200, 64 to 4 million blocks of 1 to 3,136 elements.
"""

POOL_START_S, POOL_OUTPUT_S, VOLUME_OUTPUT_S = 4e-7, 5.5e-10, 1.3e-9
POOL_STEP_S = {2: 3e-8, 3: 6e-8}
POOL_ELEMENT_S = {(2, 0): 6.85e-11, (2, 1): 8.4e-11, (3, 0): 2.8e-11, (3, 1): 6.9e-11}
"""Of a pool by cuDNN (pooling_fw_4d and _5d) at the beginning, of an output on a multiprocessor, of one of the mean of
a volume, and of an element of its window by (dimensions, whether the largest is taken): instructions decide, in single
precision as in half. A thread takes a step for each element. Beside what families without a fit take beyond their
roofline: 13 % mean error of 86 single nodes on an H200, 3 thousand to 26 million outputs, windows of 4 to 125.
"""

RESIZE_START_S, RESIZED_S = 3e-7, {"nearest": 3.3e-10, "linear": 4.5e-10, "cubic": 8.8e-10}
"""Of an image of another size at the beginning, and of an output on a multiprocessor, by mode: instructions decide, in
single precision as in half. Beside what families without a fit take beyond their roofline: 8 % mean error of 90 single
nodes on an H100.
"""

SAMPLED_START_S, SAMPLED_S = 5e-7, {"nearest": 1.6e-9, "linear": 1.6e-9, "cubic": 4.5e-9}
"""The same of an image that is sampled at places that a tensor says (GridSample), which divides for the place of each
output: 8 % mean error of 39 single nodes in single precision on an H200.
"""

VOLUME_DEPTHWISE_S, VOLUME_DEPTHWISE_ELEMENT_S, VOLUME_DEPTHWISE_STEP_S = 1.1e-9, 1.4e-10, 1.0e-7
"""Of an output of a depthwise convolution of volumes by cuDNN (convNd_grouped_direct_kernel) on a multiprocessor, of an
element of its window, and what a thread takes for an element: in single precision as in half. Beside what families
without a fit take beyond their roofline and the bias, which a kernel of its own adds: 8 % mean error of 17 single nodes
on an H200, windows of 1 to 125.
"""

SUM_START_S, SUM_BLOCK_S, SUM_ELEMENT_S, SUM_NEXT_S = 3.2e-7, 6.9e-8, 2e-10, 1.7e-8
"""Of sums along rows, a block each (reduce_matrix_columns_kernel): at the beginning, of a block on a multiprocessor,
and where that is longer of each of its elements, and of a row that a block goes on to. Beside what families without a
fit take beyond their roofline, with which 4.4 % mean error of 132 sizes of profiles on an H100 and an H200, 4 to
1,228,800 rows of 7 to 1,024, fp16 and fp32.
"""

MOST_SUM_BLOCKS = 2**15
"""Blocks of such a kernel, which go on to further rows: 32,768 and 65,536 rows take 21.2 and 21.6 us."""

COLUMN_THREADS, COLUMN_BLOCKS, COLUMN_LOADS = 512, 512, 4
"""Of sums down columns (reduce_matrix_rows_kernel): most threads of a block, most blocks, and what a thread reads at
once (onnxruntime, reduction_functions.cu, call_reduce_matrix_rows).
"""

COLUMN_TURN_S, HALF_ADD_S = 2.5e-7, 2.6e-7
"""Of such a kernel's blocks, a turn along what they sum, and an addition in half precision to what another has added
to: there the word, of two columns, is read, compared and exchanged until nobody came between, in single precision
memory adds. Beside what families without a fit take beyond their roofline: 13 % mean error of 24 sizes of profiles on
an H200, 1 to 401,408 columns of 2 to 66,900.
"""

INTEGER_SUM_S, INTEGER_THREADS = 2.2e-7, 256
"""Of a step of the threads of a block that sums integers (reduce_sum_nd_kernel), which adds in double precision and
keeps what that loses, and how many threads it has. Measured on an H200: one sum of 13,264 15.1 us, of 212,224 226.
"""

AT_ONCE = 8
"""Elements of a row that a thread of cuDNN's reductions takes at once (reduce_tensor_kernel_free)."""

ACROSS_START_S, ACROSS_ROW_S, ACROSS_TURN_S = 6.9e-6, 3.2e-9, 4.1e-9
"""Of such a reduction of many rows that lie beside each other: at the beginning, of a row on a multiprocessor, and of
each turn along it after the first. Beside what families without a fit take beyond their roofline, 6 % mean error of 23
sizes of profiles on an H200, 65 thousand to 67 million rows of 2 to 576.
"""

TENSOR_START_S, TENSOR_ELEMENT_S = 6e-7, 3.5e-10
"""Of a pass of cuDNN's over a tensor, which casts or scales it (op_tensor_kernel_alpha2_zero), and of an element on a
multiprocessor. Beside what families without a fit take beyond their roofline, 7 % mean error of 12
sizes of profiles on an H200, 0.4 to 67 million elements.
"""

SCAN_START_S, SCAN_STEP_S = 4e-7, 1.5e-8
"""Of sums along an axis (_CumSumKernel), where each thread adds up all before its element: at the beginning, and of a
step of the thread of the last, which waits for what it reads.
"""

SCAN_WARP_STEP_S, SCAN_ACROSS_S = 7.6e-10, 1.35e-9
"""Of a step of a warp on a multiprocessor, along the last axis, where its threads read the same, and along others.
Beside what families without a fit take beyond their roofline: 8 % mean error of 18 sizes on an H100 and an H200, 49 to
65,024 steps of 6,912 to 9.7 million elements, fp16 and fp32.
"""

EXPERTS_START_S = {2: 5.5e-6, 4: 2.9e-5}
EXPERTS_STEP_S = {2: 1.2e-8, 4: 7e-8}
"""Of a product of all experts at once (MoeFCGemm), of activations of (bytes), and of a step along k of one of its
tiles, which take turns on few multiprocessors; exact in single precision. Measured on an H100: 12 products of 1, 64 and
512 tokens by 8 experts, k of 512 and 1,024; with their arithmetic 19 % mean error.
"""


def _scanned_bytes(d: Dims, size: int) -> Array:
    return 2 * d["itemsize"] * d["elements"]


def _scan_s(d: Dims, sms: int) -> Array:
    along = d["inner"] < WARP_THREADS
    steps = np.where(along, np.minimum(d["steps"] + WARP_THREADS - 1, 2 * d["steps"]), d["steps"] + 1) / 2
    each_s = np.where(along, SCAN_WARP_STEP_S, SCAN_ACROSS_S)
    all_s = each_s * steps * d["elements"] / WARP_THREADS / sms
    return np.asarray(SCAN_START_S + np.maximum(SCAN_STEP_S * d["steps"], all_s))


def _integer_sum_s(d: Dims, sms: int) -> Array:
    """Blocks of results in turns, the steps of each."""
    blocks = sms * SM_WARPS * WARP_THREADS // INTEGER_THREADS
    return np.asarray(INTEGER_SUM_S * np.ceil(d["cols"] / INTEGER_THREADS) * np.ceil(d["rows"] / blocks))


_analytic = partial(Family, measured_in=MeasuredIn.NOWHERE, factor_group="other")


def _macs(d: Dims) -> Array:
    return 2 * d["m"] * d["n"] * d["k"]


def _tiles(d: Dims) -> Array:
    return tile_blocks(d["m"], d["n"])


def _integer_bytes(d: Dims, size: int) -> Array:
    return d["m"] * d["k"] + d["n"] * d["k"] + 4 * d["m"] * d["n"]


def _integer_s(d: Dims, sms: int) -> Array:
    waves = np.ceil(np.ceil(d["m"] / TILE) * np.ceil(d["n"] / TILE) / sms)
    many_s = INTEGER_START_S + INTEGER_STEP_S * d["k"] * waves
    return np.where(d["m"] <= FEW_ROWS, FEW_INTEGER_START_S + FEW_INTEGER_STEP_S * d["k"], many_s)


def _vectors_flops(d: Dims) -> Array:
    return 2 * d["batch"] * d["outputs"] * d["k"]


def _vectors_bytes(d: Dims, size: int) -> Array:
    return size * d["batch"] * (d["outputs"] * d["k"] + d["outputs"] + d["k"])


def _vectors_s(d: Dims, size: int, sms: int) -> Array:
    output_s = VECTOR_OUTPUT_S + VECTOR_STEP_S * d["k"]
    return np.asarray(VECTORS_START_S + d["batch"] * d["outputs"] * output_s / sms)


def _scores(d: Dims) -> Array:
    return d["rows"] * d["cols"]


def _scores_bytes(d: Dims, size: int) -> Array:
    return 2 * size * _scores(d)


def _softmax_s(d: Dims, sms: int) -> Array:
    threads = np.clip(2 ** np.ceil(np.log2(np.maximum(d["cols"], 1))), WARP_THREADS, MOST_THREADS)
    turns = np.ceil(d["cols"] / MOST_THREADS)
    return np.asarray(SOFTMAX_WAVE_S * d["rows"] * turns * threads / WARP_THREADS / (SM_WARPS * sms))


def _appended(d: Dims) -> Array:
    return d["blocks"] * d["head"]


def _appended_bytes(d: Dims, size: int) -> Array:
    return 2 * size * _appended(d)


def _appending_blocks(d: Dims) -> Array:
    return np.asarray(d["blocks"])


def _append_s(d: Dims, sms: int) -> Array:
    return APPEND_BLOCK_S * d["blocks"] / sms


def _copied(d: Dims) -> Array:
    return d["elements"]


def _copied_bytes(d: Dims, size: int) -> Array:
    return 2 * size * d["elements"] / COPY_SHARE


def _by_kind(d: Dims, table: dict[tuple[int, int], float]) -> Array:
    kinds = [(d["bits"] == bits) & (d["itemsize"] == size) for bits, size in table]
    return np.asarray(np.select(kinds, list(table.values()), max(table.values())))


def _few_bits_bytes(d: Dims, size: int) -> Array:
    return d["n"] * d["k"] * d["bits"] / 8 + size * d["rows"] * (d["k"] + d["n"])


def _few_bits_flops(d: Dims) -> Array:
    return 2 * d["rows"] * d["n"] * d["k"]


def _tiles_of_rows(d: Dims) -> Array:
    return tile_blocks(d["rows"], d["n"])


def _few_bits_s(d: Dims, sms: int) -> Array:
    step_s = np.where(d["itemsize"] == 2, ROWS_STEP_S[2], ROWS_STEP_S[4])
    weight_s = np.where(d["itemsize"] == 2, ROWS_WEIGHT_S[2], ROWS_WEIGHT_S[4])
    one_s = _by_kind(d, ROW_STEP_S) * d["k"] + _by_kind(d, ROW_WEIGHT_S) * d["k"] * d["n"]
    each_s = d["rows"] * (step_s * d["k"] + weight_s * d["k"] * d["n"])
    return ROW_START_S + np.where(d["rows"] == 1, one_s, each_s)


def _experts(d: Dims) -> Array:
    return 2 * d["experts"] * d["m"] * d["n"] * d["k"]


def _tiles_of_experts(d: Dims) -> Array:
    return tile_blocks(d["m"], d["n"], d["experts"])


def _experts_bytes(d: Dims, size: int) -> Array:
    return size * d["experts"] * (d["n"] * d["k"] + d["m"] * (d["n"] + d["k"]))


def _experts_s(d: Dims, sms: int) -> Array:
    start_s, step_s = (np.where(d["itemsize"] == 4, by[4], by[2]) for by in (EXPERTS_START_S, EXPERTS_STEP_S))
    return np.asarray(start_s + step_s * d["k"])


def _unpacked(d: Dims) -> Array:
    return d["elements"]


def _unpacked_bytes(d: Dims, size: int) -> Array:
    return d["elements"] * (size + d["bits"] / 8)


def _unpacked_s(d: Dims, sms: int) -> Array:
    return np.where((d["bits"] == 4) & (d["itemsize"] == 4), UNPACKED_S * d["elements"], 0.0)


def _channel_norm_s(d: Dims, size: int, sms: int) -> Array:
    in_pairs = (d["itemsize"] == 2) & (d["cols"] % 2 == 0)
    once_s = np.where(in_pairs, CHANNEL_PAIR_S, CHANNEL_ELEMENT_S)
    element_s = np.where(d["cols"] * d["itemsize"] > READ_ONCE, CHANNEL_AGAIN_S, once_s)
    blocks = np.maximum(d["rows"] / sms, 1.0)
    return np.asarray(CHANNEL_START_S + blocks * (CHANNEL_BLOCK_S + element_s * d["cols"]))


def _batch_norm_s(d: Dims, size: int, sms: int) -> Array:
    block_s = np.maximum(BATCH_BLOCK_S, BATCH_ELEMENT_S * d["cols"])
    return np.asarray(BATCH_START_S + np.maximum(d["rows"] / sms, 1.0) * block_s)


def _stream_bytes(d: Dims, size: int) -> Array:
    return d["bytes_read"] + d["bytes_written"]


def _pool_s(d: Dims, size: int, sms: int) -> Array:
    is_volume, is_largest = d["volume"] > 0, d["maximum"] > 0
    output_s = np.where(is_volume & ~is_largest, VOLUME_OUTPUT_S, POOL_OUTPUT_S)
    of_image, of_volume = (np.where(is_largest, POOL_ELEMENT_S[sides, 1], POOL_ELEMENT_S[sides, 0]) for sides in (2, 3))
    output_s = output_s + d["window"] * np.where(is_volume, of_volume, of_image)
    step_s = np.where(is_volume, POOL_STEP_S[3], POOL_STEP_S[2])
    return np.asarray(POOL_START_S + np.maximum(d["elements"] * output_s / sms, d["window"] * step_s))


def _by_taps(d: Dims, table: Mapping[str, float]) -> Array:
    return np.select([d["taps"] <= 1, d["taps"] <= 8], [table["nearest"], table["linear"]], table["cubic"])


def _resized_s(d: Dims, size: int, sms: int) -> Array:
    sampled = d["sampled"] > 0
    output_s = np.where(sampled, _by_taps(d, SAMPLED_S), _by_taps(d, RESIZED_S))
    return np.asarray(np.where(sampled, SAMPLED_START_S, RESIZE_START_S) + d["elements"] * output_s / sms)


def _volume_macs(d: Dims) -> Array:
    return 2 * d["elements"] * d["window"]


def _volume_s(d: Dims, size: int, sms: int) -> Array:
    output_s = VOLUME_DEPTHWISE_S + VOLUME_DEPTHWISE_ELEMENT_S * d["window"]
    return np.asarray(np.maximum(d["elements"] * output_s / sms, VOLUME_DEPTHWISE_STEP_S * d["window"]))


def _row_bytes(d: Dims, size: int) -> Array:
    return size * d["rows"] * (d["cols"] + 1)


def _sum_s(d: Dims, size: int, sms: int) -> Array:
    blocks = np.minimum(d["rows"], MOST_SUM_BLOCKS)
    block_s = np.maximum(SUM_BLOCK_S, SUM_ELEMENT_S * d["cols"])
    next_s = SUM_NEXT_S * (d["rows"] - blocks) / sms
    return np.asarray(SUM_START_S + np.maximum(blocks / sms, 1.0) * block_s + next_s)


def _power_of_two(at_least: Array) -> Array:
    return np.asarray(2 ** np.ceil(np.log2(at_least)))


def _column_sum_s(d: Dims, sms: int) -> Array:
    wide = _power_of_two(np.minimum(d["rows"], WARP_THREADS))
    tall = _power_of_two(np.maximum(np.minimum(COLUMN_THREADS / wide, d["cols"] // COLUMN_LOADS), 1))
    across = np.clip(d["rows"] // wide, 1, COLUMN_BLOCKS)
    down = np.clip(d["cols"] // tall // COLUMN_LOADS, 1, COLUMN_BLOCKS // across)
    turns = np.ceil(d["rows"] / wide / across) * np.ceil(d["cols"] / tall / COLUMN_LOADS / down)
    added = np.ceil(d["rows"] / wide / across) * down * np.minimum(d["rows"], 2)  # two columns a word
    return np.asarray(COLUMN_TURN_S * turns + np.where(d["itemsize"] == 2, HALF_ADD_S * added, 0.0))


def _across_s(d: Dims, size: int, sms: int) -> Array:
    row_s = ACROSS_ROW_S + ACROSS_TURN_S * (np.ceil(d["cols"] / AT_ONCE) - 1)
    return np.asarray(ACROSS_START_S + row_s * d["rows"] / sms)


def _tensor_pass_s(d: Dims, size: int, sms: int) -> Array:
    return np.asarray(TENSOR_START_S + TENSOR_ELEMENT_S * d["elements"] / sms)


def _features(*names: str) -> Callable[[Dims, int, int], list[Array]]:
    def features(d: Dims, size: int, sms: int) -> list[Array]:
        return [log(np.asarray(d[name])) for name in names]

    return features


_of_rows = partial(
    _analytic,
    closed_form=True,
    dims={"rows": None, "cols": None},
    flops=_scores,
    nbytes=_row_bytes,
    features=_features("rows", "cols"),
    blocks=row_blocks,
    sizes=("rows", "cols"),
)

_of_scores = partial(
    _analytic,
    dims={"rows": None, "cols": None},
    flops=_scores,
    nbytes=_scores_bytes,
    features=_features("rows", "cols"),
    blocks=row_blocks,
    sizes=("rows", "cols"),
)
"""Softmax of scores, row by row."""

ROWS = (
    _analytic(
        name="ort_vector_products",
        closed_form=True,
        dims={"batch": None, "outputs": None, "k": None},
        flops=_vectors_flops,
        nbytes=_vectors_bytes,
        features=_features("batch", "outputs", "k"),
        blocks=lambda d: d["batch"],
        sizes=("batch", "outputs", "k"),
        profiler_names=r"gemm|nvjet|cutlass|gemv|Memset|dot_kernel",
        issue_s=_vectors_s,
    ),
    _analytic(
        name="ort_integer_product",
        dims={"m": None, "n": None, "k": None},
        flops=_macs,
        nbytes=_integer_bytes,
        features=_features("m", "n", "k"),
        blocks=_tiles,
        sizes=("m", "n", "k"),
        profiler_names=r"gemm_s8|gemmSN_kernel_int32",
        matrix=True,
        latency_s=_integer_s,
    ),
    _of_scores(name="ort_attention_softmax", profiler_names=r"attention_softmax", latency_s=_softmax_s),
    _of_scores(
        name="ort_library_softmax",
        profiler_names=r"softmax_fw_kernel",
        latency_s=lambda d, sms: np.asarray(LIBRARY_SOFTMAX_S * d["rows"] * d["cols"] / sms),
    ),
    _analytic(
        name="ort_channel_norm",
        closed_form=True,
        dims={"rows": None, "cols": None, "itemsize": None},
        flops=_scores,
        nbytes=_scores_bytes,
        features=_features("rows", "cols"),
        blocks=row_blocks,
        sizes=("rows", "cols"),
        profiler_names=r"bn_fw_tr",
        issue_s=_channel_norm_s,
    ),
    _analytic(
        name="ort_batch_norm",
        closed_form=True,
        dims={"rows": None, "cols": None},
        flops=_scores,
        nbytes=_scores_bytes,
        features=_features("rows", "cols"),
        blocks=row_blocks,
        sizes=("rows", "cols"),
        profiler_names=r"bn_fw_inf",
        issue_s=_batch_norm_s,
    ),
    _analytic(
        name="ort_pool",
        closed_form=True,
        dims={**STREAM, "window": 1, "maximum": 0, "volume": 0},
        flops=elements,
        nbytes=_stream_bytes,
        features=_features("elements", "window"),
        sizes=SIZES,
        profiler_names=r"pooling_fw",
        issue_s=_pool_s,
    ),
    _analytic(
        name="ort_resize",
        closed_form=True,
        dims={**STREAM, "taps": 1, "sampled": 0},
        flops=elements,
        nbytes=_stream_bytes,
        features=_features("elements", "taps"),
        sizes=SIZES,
        profiler_names=r"_Resize|GridSample",
        issue_s=_resized_s,
    ),
    _analytic(
        name="ort_conv3d_depthwise",
        closed_form=True,
        dims={**STREAM, "window": 1},
        flops=_volume_macs,
        nbytes=_stream_bytes,
        features=_features("elements", "window"),
        sizes=SIZES,
        profiler_names=r"convNd_grouped_direct",
        issue_s=_volume_s,
    ),
    _of_rows(
        name="ort_row_sums",
        profiler_names=r"reduce_matrix_columns",
        issue_s=_sum_s,
    ),
    _of_rows(
        name="ort_column_sums",
        dims={"rows": None, "cols": None, "itemsize": None},
        profiler_names=r"reduce_matrix_rows",
        latency_s=_column_sum_s,
    ),
    _of_rows(
        name="ort_integer_sums",
        dims={"rows": None, "cols": None, "itemsize": None},
        profiler_names=r"reduce_sum_nd",
        latency_s=_integer_sum_s,
    ),
    _of_rows(
        name="ort_reduced_across",
        profiler_names=r"reduce_tensor",
        issue_s=_across_s,
    ),
    _analytic(
        name="ort_tensor_pass",
        closed_form=True,
        dims=STREAM,
        flops=elements,
        nbytes=_stream_bytes,
        features=_features("elements"),
        sizes=SIZES,
        profiler_names=r"op_tensor",
        issue_s=_tensor_pass_s,
    ),
    _analytic(
        name="ort_scan",
        dims={"elements": None, "steps": None, "inner": None, "itemsize": None},
        flops=elements,
        nbytes=_scanned_bytes,
        features=_features("elements", "steps"),
        sizes=("elements", "steps"),
        regimes=("inner",),
        profiler_names=r"_CumSumKernel",
        closed_form=True,
        latency_s=_scan_s,
    ),
    _analytic(
        name="ort_cache_append",
        dims={"blocks": None, "head": None},
        flops=_appended,
        nbytes=_appended_bytes,
        features=_features("blocks", "head"),
        blocks=_appending_blocks,
        sizes=("blocks", "head"),
        profiler_names=r"UnpackRoPEAppend|ConcatNewToPast",
        latency_s=_append_s,
    ),
    _analytic(
        name="ort_cache_copy",
        dims={"elements": None},
        flops=_copied,
        nbytes=_copied_bytes,
        features=_features("elements"),
        sizes=("elements",),
        profiler_names=r"Memcpy DtoD",
    ),
    _analytic(
        name="ort_few_bits",
        dims={"rows": None, "n": None, "k": None, "bits": None, "itemsize": None},
        flops=_few_bits_flops,
        nbytes=_few_bits_bytes,
        features=_features("rows", "n", "k"),
        blocks=_tiles_of_rows,
        sizes=("rows", "n", "k"),
        profiler_names=r"MatMulFloat",
        latency_s=_few_bits_s,
    ),
    _analytic(
        name="ort_experts",
        dims={"experts": None, "m": None, "n": None, "k": None, "itemsize": None},
        flops=_experts,
        nbytes=_experts_bytes,
        features=_features("m", "n", "k"),
        blocks=_tiles_of_experts,
        sizes=("experts", "m", "n", "k"),
        profiler_names=r"MoeFCGemm",
        matrix=True,
        latency_s=_experts_s,
    ),
    _analytic(
        name="ort_unpacked_bits",
        dims={"elements": None, "bits": None, "itemsize": None},
        flops=_unpacked,
        nbytes=_unpacked_bytes,
        features=_features("elements"),
        sizes=("elements",),
        profiler_names=r"Dequantize\dBits",
        latency_s=_unpacked_s,
    ),
)
