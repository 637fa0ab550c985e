"""Loops that TorchScript's and Inductor's compilers make of several operators, and ONNX Runtime's own kernels. Of these
what is bound by instructions or thread blocks rather than by traffic, reductions by cuDNN, and passes between numbers
and integers of few bits have fits of their own where they were measured.

rows: of a row-wise one, 0 for others; contiguous: all is read in the order in which it is written; kind: 1 for
transcendental functions, further numbers as in ``ops.ort.Kind``; work: of a generated loop, lane cycles of an element,
0 where nobody has counted them; strided: its rows do not lie in one piece. Of ONNX Runtime's kernels, blocks: thread
blocks, where they are many for what is in them; steps: that every thread takes one after another.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from predictor.kernels.blocks import blocks_of
from predictor.kernels.family import Array, Dims, Family, MeasuredIn, aligned, log, waves
from predictor.kernels.streams import LANE_CYCLES_PER_S, SIZES, STREAM, elements, streamed

NORM, CLIPPED, GELU, SHUFFLED, PADDED = 4, 7, 11, 13, 14
SIGMOID, POWER, SPREAD, BROADCAST, UNEVEN, SPLIT = 15, 16, 17, 18, 19, 20
"""Numbers of ``ops.ort.Kind`` whose kernels are bound by what they issue or by their blocks."""

BLOCK_S = 8.4e-8
"""Of a multiprocessor, from one thread block to the next where blocks have next to nothing to do. Measured: transposes
of 3,168 to 32,768 blocks on an H200, 0.63 to 0.64 ns for one of 132.
"""

NORM_S, NORM_TURN_S, NORM_THREADS = 5.7e-8, 5.9e-8, 128
"""Of a multiprocessor for a row that is normalised by a block of 128 threads (cuApplyLayerNorm): what a block takes,
and each turn of its threads along the row. Measured: 8,192 to 32,768 rows of 128 to 2,048 on an H200 and an H100.
"""

STEP_S = 6.2e-8
"""Of a step of cuDNN's reductions (reduce_tensor_kernel_free), whose threads go along the last reduced axis one element
after another. Measured: 59 to 65 ns, rows of 256 to 4,096.
"""

ELEMENTS_PER_S = {
    **{CLIPPED: 3.0e9, GELU: 2.45e9, SHUFFLED: 2.0e9, PADDED: 8.0e7},
    **{SIGMOID: 3.2e9, POWER: 1.9e9, SPREAD: 4.0e9, BROADCAST: 2.9e9, UNEVEN: 3.5e9, SPLIT: 4.7e9},
}
"""Elements that a multiprocessor gets through in a second: instructions decide, in fp16 as in fp32, from cache as from
memory. Measured: Clip 390, Gelu 320 billion on the 132 of an H200. A transpose of five or more dimensions that do not
merge: 250 to 270 billion, fp16, in one model's profile (Hiera on an H100). Borders along other dimensions than the
last two: 10.3 to 10.9 billion, 0.5 to 22 million elements in fp16 on an H200. Sigmoids of 3 to 94 million elements 350
to 460 billion, powers of 4 million 231, tensors that are spread alone 500 to 530, beside another 320 to 390, uneven
pieces 390 to 460, equal ones that are split 560 to 600, on both.
"""


START_S = {SIGMOID: 3e-7, POWER: 4.5e-7, SPREAD: 1.5e-7, BROADCAST: 2.5e-7, UNEVEN: 5e-7}
"""Of what has long code for an element, beside what any kernel takes: medians of several hundred of up to 300,000
elements on both GPUs.
"""


NNC_ELEMENTS_PER_S = 2.27e9
"""Elements that a multiprocessor gets through in a second in a loop of TorchScript's, an element a thread with 64 bits
of indices. Measured: 300 billion on the 132 of an H200, medians of what adds, multiplies and activates 5 to 472 million
elements 240 to 310, in half precision, from two tensors in order as from one that is spread.
"""


def _nnc_s(d: Dims, sms: int) -> Array:
    return np.asarray(d["elements"] / NNC_ELEMENTS_PER_S / sms)


def _loop_features(d: Dims, size: int, sms: int) -> list[Array]:
    ratio = log(streamed(d, size) / np.maximum(d["elements"], 1))
    cols = np.where(d["rows"] > 0, d["elements"] / np.maximum(d["rows"], 1), 0.0)
    rows = [(d["rows"] > 0).astype(float), log(d["rows"] + 1), log(cols + 1)]
    flags = [d["inputs"], d["contiguous"], d["kind"]]
    return [log(d["elements"]), ratio, *flags, *rows, *waves(d["elements"] / 512, sms)]


USUAL_WORK, HEAVY_WORK = 4.0, 12.0
"""Lane cycles of an element of a loop of which they are not known, and beside them where it computes a transcendental
function: about a chain of two operators.
"""


def _work(d: Dims) -> Array:
    return np.where(d["work"] > 0, d["work"], USUAL_WORK + HEAVY_WORK * d["kind"])


STEPPED, ACROSS = 9.0, 40.0
"""Lane cycles of an element more, where rows are reduced in steps, and where rows that lie in pieces are reduced at
once: what a block reads side by side belongs to several rows, and is handed from thread to thread. By the samples of
reductions of an H200.
"""


def _loop_issue_s(d: Dims, size: int, sms: int) -> Array:
    """Instructions of a generated loop, which its blocks share, or what it takes to launch these."""
    blocks = blocks_of(d)
    at_once = (d["rows"] > 0) & ~blocks.is_stepped & (d["strided"] > 0)
    cycles = (_work(d) + STEPPED * blocks.is_stepped + ACROSS * at_once) * d["elements"] * blocks.padded
    issued_s = cycles / (np.minimum(blocks.count, sms) * LANE_CYCLES_PER_S)
    return np.asarray(np.maximum(issued_s, blocks.count * BLOCK_S / sms))


def _triton_features(d: Dims, size: int, sms: int) -> list[Array]:
    beside_traffic = _loop_issue_s(d, size, sms) * TRAFFIC / np.maximum(streamed(d, size), 1.0)
    cols = d["elements"] / np.maximum(d["rows"], 1)
    row = np.maximum(log(cols), 0.0)
    unused = np.where(d["rows"] > 0, np.ceil(row) - row, 0.0)  # a block is as wide as a power of two
    run = [blocks_of(d).is_stepped.astype(float), np.where(d["rows"] > 0, aligned(cols), 0.0)]
    return [*_loop_features(d, size, sms), log(_work(d)), log(beside_traffic + 1), d["strided"], unused, *run]


def _traffic(d: Dims, size: int) -> Array:
    """Of a slice its part is read, of a running sum the same again and again: as much as is written."""
    return np.minimum(d["bytes_read"], d["inputs"] * d["bytes_written"]) + d["bytes_written"]


def _ort_features(d: Dims, size: int, sms: int) -> list[Array]:
    beside_traffic = (_issue_s(d, size, sms) + _waiting_s(d, sms)) * TRAFFIC / np.maximum(streamed(d, size), 1.0)
    return [*_loop_features(d, size, sms), log(d["blocks"] + 1), log(d["steps"] + 1), log(beside_traffic + 1)]


TRAFFIC = 3e12
"""Bytes in a second, about, that decide whether a kernel is bound by its traffic."""


def _issue_s(d: Dims, size: int, sms: int) -> Array:
    """Elements of which each takes many instructions, or thread blocks that take their turns."""
    rates = [np.where(d["kind"] == kind, d["elements"] / rate, 0.0) for kind, rate in ELEMENTS_PER_S.items()]
    turns = np.ceil(d["elements"] / np.maximum(d["rows"], 1) / NORM_THREADS)
    block_s = np.where(d["kind"] == NORM, NORM_S + NORM_TURN_S * turns, BLOCK_S)
    return np.asarray((np.sum(rates, axis=0) + d["blocks"] * block_s) / sms)


def _waiting_s(d: Dims, sms: int) -> Array:
    starts = [np.where(d["kind"] == kind, start_s, 0.0) for kind, start_s in START_S.items()]
    return np.asarray(STEP_S * d["steps"] + np.sum(starts, axis=0))


_loop = partial(
    Family,
    dims={**STREAM, "inputs": 1, "contiguous": 1, "kind": 0, "rows": 0},
    flops=elements,
    nbytes=streamed,
    features=_loop_features,
    sizes=(*SIZES, "rows"),
    measured_in=MeasuredIn.PROFILES,
)

_ort = partial(
    _loop,
    dims={**STREAM, "inputs": 1, "contiguous": 1, "kind": 0, "rows": 0, "blocks": 0, "steps": 0},
    features=_ort_features,
    sizes=(*SIZES, "rows", "blocks"),
    traffic=_traffic,
    issue_s=_issue_s,
    latency_s=_waiting_s,
)

_ORT = r"onnxruntime::|op_tensor|op_generic|reduce_tensor|pooling|bn_fw|transpose|Memcpy|Memset"

ROWS = (
    _loop(name="nnc", profiler_names=r"^fused_", beyond_s=_nnc_s),
    _loop(
        name="triton",
        profiler_names=r"^triton_",
        factor_group="pointwise",
        dims={**STREAM, "inputs": 1, "contiguous": 1, "kind": 0, "rows": 0, "work": 0, "strided": 0},
        features=_triton_features,
        issue_s=_loop_issue_s,
    ),
    _ort(name="ort", profiler_names=_ORT),
    _ort(name="ort_issued", profiler_names=_ORT, stand_in="ort", factor_group="ort"),
    _ort(name="ort_reduction", profiler_names=_ORT, measured_in=MeasuredIn.SESSIONS, stand_in="ort"),
    _ort(name="ort_quantised", profiler_names=_ORT, measured_in=MeasuredIn.SESSIONS, stand_in="ort"),
)
