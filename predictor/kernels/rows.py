"""Kernels that go along the rows of a matrix: normalisations, reductions, scans, sorts, gathers, transforms.

stride: of a row's elements in memory; strided: they are not neighbours; indexed: the place of what is found, too. Of
reductions, inner: along the innermost dimension; beside: results that are neighbours in memory, 0 for all; whole: the
reduced dimensions are one in memory; compares: the largest or smallest, or any; heavy: variances, powers and sums of
exponentials; paired: a row is the distance of two. Of normalisations, of_batch: elements of a channel whose statistics
are computed, 0 where they are given; rms: without a mean; flat: without pixels. Of gathers, written: rows are written
to places that indices say, not read from them; adds: and added to what is there; shared: rows that meet in one place;
apart: each element is found by itself; run: neighbours that share an index.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from predictor.kernels.family import WARP, Array, Dims, Family, aligned, log, row_blocks, waves


def _rows_flops(d: Dims) -> Array:
    return d["rows"] * d["cols"]


def _rows_through(d: Dims, size: int) -> Array:
    return 2 * size * d["rows"] * d["cols"]


def _rows_features(d: Dims, size: int, sms: int) -> list[Array]:
    return [
        log(d["rows"]),
        log(d["cols"]),
        aligned(d["cols"]),
        np.full_like(d["rows"], size),
        *waves(d["rows"], sms),
    ]


def _reduce_bytes(d: Dims, size: int) -> Array:
    return size * (d["rows"] * d["cols"] + d["rows"])


THREADS_OF_SM, AT_ONCE = 2048, 4
"""Threads that a multiprocessor holds, and results that a thread of a reduction makes at once where they are
neighbours, as well as values of a row that it reads at once (aten/src/ATen/native/cuda/Reduce.cuh).
"""

REDUCE_THREADS, SPLIT_VALUES, LEAST_VALUES = 512, 256, 16
"""Of the same file: threads of a block, values of a thread from which blocks share a result, and how few each gets.
"""


def _largest_power(x: Array, most: Array | float) -> Array:
    """Largest power of two that is neither more than ``x`` nor than ``most``, one at the least."""
    return np.asarray(2 ** np.floor(np.log2(np.maximum(np.minimum(x, most), 1))))


@dataclass(frozen=True, slots=True)
class ReductionGrid:
    """How torch shares a reduction: values of a thread, all warps, blocks of a result, and results of a thread."""

    values: Array
    warps: Array
    sharing: Array
    at_once: Array

    @classmethod
    def of(cls, d: Dims, sms: int) -> ReductionGrid:
        """As ``setReduceConfig`` says (aten/src/ATen/native/cuda/Reduce.cuh)."""
        inner, beside = d["inner"] > 0, np.where(d["beside"] > 0, d["beside"], d["rows"])
        at_once = np.where(inner, 1, np.where(beside % AT_ONCE == 0, AT_ONCE, np.where(beside % 2 == 0, 2, 1)))
        loads = inner & (d["cols"] >= 128) & (d["whole"] > 0) & (d["heavy"] == 0)
        fastest = np.where(inner, d["cols"] / np.where(loads, AT_ONCE, 1), d["rows"] / at_once)
        other = np.where(inner, d["rows"], d["cols"])
        most = REDUCE_THREADS / at_once
        across, along = _largest_power(fastest, most), _largest_power(other, most)
        height = np.minimum(along, most / np.minimum(across, WARP))
        width = np.minimum(across, most / height)
        values = np.ceil(d["cols"] / np.where(inner, width, 1))
        split = values >= np.minimum(height * 16, SPLIT_VALUES)
        values = np.where(split, np.ceil(values / height), values)
        results = np.where(inner, 1, width) * np.where(split, 1, height)
        blocks = np.ceil(d["rows"] / at_once / results)
        threads = width * height
        target = sms * np.floor(THREADS_OF_SM / threads)
        wanted = np.minimum(np.ceil(target / blocks), np.ceil(values / LEAST_VALUES))
        shared = split & (values >= SPLIT_VALUES) & (blocks <= target)
        sharing = np.where(shared, np.maximum(wanted, np.ceil(values / SPLIT_VALUES)), 1)
        return cls(np.ceil(values / sharing), blocks * sharing * np.maximum(threads / WARP, 1), sharing, at_once)


def _reduce_features(d: Dims, size: int, sms: int) -> list[Array]:
    grid = ReductionGrid.of(d, sms)
    shared = [log(grid.values), log(grid.warps / sms), log(grid.sharing)]
    kind = [d["compares"], d["heavy"], d["paired"]]
    return [*_rows_features(d, size, sms), d["inner"], d["indexed"], *shared, *kind]


VALUE_STEP_S, SLOW_STEP_S = 5e-8, 2.2e-7
"""Of a thread that reduces, each value after another: sums, and variances, powers, maxima across rows, and dimensions
apart from each other, whose loads wait for each other. Measured on an H200: 64 values of sums 4.2 us, 96 of them 7.7;
94 of a variance 19.6; of maxima across rows 64 values 16.8, with their places 128 values 41.
"""

REDUCE_WARP_S, INDEXED_WARP_S, WARP_VALUE_S, SLOW_VALUE_S = 2.6e-8, 4.5e-8, 1e-9, 5e-9
"""Of a multiprocessor that reduces: for each warp, of those that say places, for each value of a warp, of those that
are slow. Measured likewise: 29 ns a warp of means of 32, 30 of sums of 3, 41 of maxima of 54; with their places 53 of
maxima of 20, 187 of 1024.
"""

PAIR_S = 1.33e-9
"""In which a GPU computes the distance of two points, a block for each: 1.32 ns of 4.2 million pairs of 3 coordinates,
1.34 of a million of 64, measured on an H200; 0.96 of the pairs of one set.
"""


def _reduce_issue_s(d: Dims, size: int, sms: int) -> Array:
    """The values of a thread one after another, or the instructions of all warps, or the blocks of pairs."""
    grid = ReductionGrid.of(d, sms)
    across = (d["inner"] == 0) & ((d["indexed"] > 0) | ((d["compares"] > 0) & (size < 4)))
    slow = across | (d["heavy"] > 0) | ((d["inner"] > 0) & (d["whole"] == 0))
    step_s = np.where(slow, SLOW_STEP_S, VALUE_STEP_S)
    value_s = grid.at_once * np.where(slow | (d["indexed"] > 0), SLOW_VALUE_S, WARP_VALUE_S)
    warp_s = np.where(d["indexed"] > 0, INDEXED_WARP_S, REDUCE_WARP_S) + grid.values * value_s
    threads_s = np.maximum(grid.values * step_s, grid.warps / sms * warp_s)
    return np.asarray(np.where(d["paired"] > 0, d["rows"] * PAIR_S, threads_s))


SCAN_STEP_S, SECTOR_STEP_S, EXPONENTIAL_STEP_S, SECTOR = 4e-8, 1.4e-7, 1.3e-7, 32
"""Of a thread that goes down a column: each element, what is added as far as neighbours of its row do not lie in one
sector of the cache, of so many bytes, and for sums of exponentials (322 ns an element in all). Measured on an H200: 46
ns with 4 bytes beside each other, 74 with 6, 95 with 12, 169 with 32, 190 with 100.
"""

SCAN_THREADS, SCAN_ROUND_S, FULL_ROUND_S, INDEXED_ROUNDS = 512, 1.2e-6, 2.4e-6, 2
"""Of a block that scans rows, and its round of two elements a thread (aten/src/ATen/native/cuda/ScanUtils.cuh), alone
on a multiprocessor and where blocks fill it, and as how many one with places counts: on an H200 1.37 us of 1024
elements and 0.8 of 32, 2.1 where they fill it, and of maxima with their places.
"""


def _scan_rounds(d: Dims) -> tuple[Array, Array]:
    """Rounds of a block that scans rows, and rows of a block: threads are shared as rows and columns are many, but that
    torch subtracts without a sign: of very many rows each has a block (``get_log_num_threads_x_inner_scan``).
    """
    wide, many = np.ceil(np.log2(np.maximum(d["cols"], 1))), np.ceil(np.log2(np.maximum(d["rows"], 1)))
    difference = 9 + wide - many
    across = np.where(difference < 0, 2.0**9, 2 ** np.clip(np.floor(difference / 2), 4, 9))
    return np.ceil(d["cols"] / (2 * across)), SCAN_THREADS / across


def _down(d: Dims) -> Array:
    """Whether a thread goes down each column: along any dimension but the last, whatever lies inside of it."""
    return np.asarray((d["stride"] > 1) | (d["down"] > 0))


def _scan_issue_s(d: Dims, size: int, sms: int) -> Array:
    """Columns: an element after another. Rows: round after round, but for a single one, which all share."""
    step_s = SCAN_STEP_S + SECTOR_STEP_S * np.minimum(d["stride"] * size / SECTOR, 1) + EXPONENTIAL_STEP_S * d["heavy"]
    rounds, rows = _scan_rounds(d)
    waves = np.ceil(d["rows"] / rows) * SCAN_THREADS / (sms * THREADS_OF_SM)
    round_s = np.maximum(waves * FULL_ROUND_S, SCAN_ROUND_S) * np.where(d["indexed"] > 0, INDEXED_ROUNDS, 1)
    row_s = np.where(d["rows"] > 1, rounds * round_s, 0.0)
    return np.asarray(np.where(_down(d), d["cols"] * step_s, row_s))


def _scan_features(d: Dims, size: int, sms: int) -> list[Array]:
    rounds, rows = _scan_rounds(d)
    return [*_strided_features(d, size, sms), d["indexed"], d["heavy"], log(rounds), log(rows), _down(d)]


SOFTMAX_STEP_S, SOFTMAX_WARP_S, LOG_SOFTMAX_WARP_S, PASSES = 1.85e-7, 8e-9, 4e-9, 3
"""Of a thread that goes down a column, each element; of a multiprocessor, each element of a warp, and of one whose
results are no exponentials; and how often it does: for the largest, the sum and the result. Measured on an H200: 550 ns
an element of columns of 192 to 1792 on few threads; 8.4 and 3.8 ns a warp's each time on all.
"""

SOFTMAX_THREADS, SHARED_WIDTH, SHARED_LENGTH = 1024, 64, 64
"""Of a block for columns, the widest rows and the shortest columns whose threads share columns
(aten/src/ATen/native/cuda/SoftMax.cu).
"""

ROW_BYTES_PER_S, ROWS_OF_SM = 9.5e9, 2
"""Of a block that computes a softmax of a long row, and how many run side by side on a multiprocessor: 128,256 elements
of 2 bytes take 28.6 us on an H200, 50,257 of 16 rows 12.6, 223,488 of 4 bytes 55.9 (twice as fast a byte).
"""


def _softmax_grid(d: Dims) -> tuple[Array, Array]:
    """Of columns: elements of a thread, and threads of all blocks."""
    wide = np.minimum(d["stride"], SOFTMAX_THREADS)
    share = (wide <= SHARED_WIDTH) & (d["cols"] >= SHARED_LENGTH)
    of_column = np.where(share, _largest_power(SOFTMAX_THREADS / wide, d["cols"]), 1)
    return np.ceil(d["cols"] / of_column), np.ceil(d["rows"] / wide) * wide * of_column


def _softmax_issue_s(d: Dims, size: int, sms: int) -> Array:
    """Columns: an element after another, thrice. Long rows: what a block reads and writes."""
    steps, threads = _softmax_grid(d)
    warps = np.maximum(threads / WARP / sms, 1)
    warp_s = np.where(d["logarithm"] > 0, LOG_SOFTMAX_WARP_S, SOFTMAX_WARP_S)
    column_s = PASSES * steps * np.maximum(SOFTMAX_STEP_S, warps * warp_s)
    side_by_side = np.maximum(d["rows"] / sms / ROWS_OF_SM, 1)
    row_s = np.where(d["cols"] > SOFTMAX_THREADS, d["cols"] * 2 / ROW_BYTES_PER_S * side_by_side, 0.0)
    return np.asarray(np.where(d["stride"] > 1, column_s, row_s))


def _softmax_features(d: Dims, size: int, sms: int) -> list[Array]:
    steps, threads = _softmax_grid(d)
    return [*_strided_features(d, size, sms), log(steps), log(threads), d["logarithm"]]


PIXEL_STEP_S, FAR_PIXEL_STEP_S, FULL_PIXEL_STEP_S, CACHE_BYTES = 2.3e-7, 3.9e-7, 6e-7, 50e6
"""Of a block that normalises pixels of a channel, each thread one: alone, where the cache does not hold them all, and
where blocks fill a multiprocessor; and what the cache holds. Measured on an H200: 64 channels of 49,152 pixels, 96
steps of 512 threads, 26 us; 32 of volumes of 393,216, 768 steps, 313; 20,480 of 501, 4 steps in 9.7 waves, 22; 6.1
million of 32, 12 steps in 62 waves, 462, and 200 of images, in half precision 7 % off.
"""

MOST_BLOCKS, BLOCKS_OF_SM, LEAST_THREADS = 2**18, 32, 64
"""Of a normalisation of a batch, blocks that then go through several images, and threads of a block at the least
(aten/src/ATen/native/cuda/Normalization.cuh, batch_norm_elemt_cuda_template), and blocks that a multiprocessor holds.
"""

CHANNEL_THREADS, CHANNEL_START_S, CHANNEL_STEP_S = 512, 3.5e-6, 2e-7
"""Of a block that computes the statistics of a channel (aten/src/ATen/native/cuda/Normalization.cuh), which its warps
join, and of each element that a thread adds to them: 49 of a thread take 13 us on an H200 beside what all others do;
3,072 channels of 1,536 take 38 us in 5.8 waves, 1,536 of them 22 in 2.9.
"""


TILE_CHANNELS, THREAD_ELEMENTS, ITER_ELEMENTS, MOST_TILES, FEWEST_TILES = 32, 16, 4, 128, 8
LAST_START_S, LAST_STEP_S = 2.5e-6, 9.5e-7
"""Of statistics where channels are last in memory (the same file, flexible_launch_configs): channels of a block side by
side, elements of a thread and at once, and blocks above each other, which are one where they would be few. What it and
each of a thread's steps take, as each block that it joins the results of is one: on an H200 16 channels of 2,708 take
23.3 us in one block, of 43,328 9.1 in 85.
"""


def _power_below(number: Array) -> Array:
    return np.asarray(2.0 ** np.floor(np.log2(np.maximum(number, 1))))


def _statistics_of_last_s(elements: Array, channels: Array) -> Array:
    """Of the statistics of channels that are last in memory, so many elements each."""
    wide = np.minimum(_power_below(channels), TILE_CHANNELS)
    high = np.minimum(_power_below(np.ceil(elements / THREAD_ELEMENTS)), CHANNEL_THREADS / wide)
    tiles = np.minimum(np.ceil(elements / (high * THREAD_ELEMENTS)), MOST_TILES)
    tiles = np.where(tiles < FEWEST_TILES, 1, tiles)
    joined = np.where(tiles > 1, np.ceil(tiles / high), 0)
    steps = np.ceil(np.ceil(elements / (high * tiles)) / ITER_ELEMENTS) + joined
    return np.asarray(LAST_START_S + LAST_STEP_S * steps)


def _threads_for(elements: Array) -> Array:
    """Threads of a block for so many elements (the same file, getNumThreads)."""
    return np.asarray(2 ** np.clip(np.ceil(np.log2(np.maximum(elements, 1))), np.log2(WARP), np.log2(CHANNEL_THREADS)))


def _batch_norm_issue_s(d: Dims, size: int, sms: int) -> Array:
    """The statistics, where they are computed, and the pixels of all channels, in waves of blocks."""
    channels = d["rows"] * d["cols"] / np.maximum(d["of_batch"], 1)
    waves = np.maximum(channels * CHANNEL_THREADS / (sms * THREADS_OF_SM), 1)
    channel_s = CHANNEL_START_S + d["of_batch"] / CHANNEL_THREADS * CHANNEL_STEP_S
    computed_s = np.where(d["last"] > 0, _statistics_of_last_s(d["of_batch"], channels), channel_s * waves)
    statistics_s = np.where(d["of_batch"] > 0, computed_s, 0.0)
    along = np.maximum(_threads_for(np.floor(d["cols"] / 4)), np.minimum(_threads_for(d["cols"]), LEAST_THREADS))
    beside = np.maximum(np.floor(LEAST_THREADS / along), 1)
    blocks = np.minimum(np.ceil(d["rows"] / beside), MOST_BLOCKS)
    steps = np.ceil(d["cols"] / along) * np.ceil(d["rows"] / beside / blocks)
    at_once = sms * np.minimum(THREADS_OF_SM / (along * beside), BLOCKS_OF_SM)
    alone_s = np.where(_rows_through(d, size) < CACHE_BYTES, PIXEL_STEP_S, FAR_PIXEL_STEP_S)
    pixels_s = steps * np.maximum(blocks / at_once * FULL_PIXEL_STEP_S, alone_s)
    return np.asarray(statistics_s + np.maximum(pixels_s, blocks * BLOCK_S))


def _batch_norm_features(d: Dims, size: int, sms: int) -> list[Array]:
    return [*_rows_features(d, size, sms), log(d["of_batch"] + 1)]


def _group_norm_features(d: Dims, size: int, sms: int) -> list[Array]:
    return [*_rows_features(d, size, sms), d["flat"]]


def _layer_norm_features(d: Dims, size: int, sms: int) -> list[Array]:
    return [*_rows_features(d, size, sms), d["rms"]]


NORM_VECTOR, NORM_WARPS = 4, 4
"""Elements that a thread of a layer norm reads at once, where rows are a multiple of so many long, and warps of the
block that a row has (aten/src/ATen/native/cuda/layer_norm_kernel.cu, vectorized_layer_norm_kernel); other rows have two
kernels, with blocks of 512 threads (RowwiseMomentsCUDAKernel).
"""

HALF_NORM_S, SINGLE_NORM_S = (1.16e-7, 2.8e-8, 1.65e-8), (1.7e-7, 2.9e-8, 2.8e-8)
RMS_NORM_S, ODD_NORM_S = (6.9e-8, 8.7e-8, 1.45e-8), (7e-7, 4.8e-10)
"""Of a multiprocessor: for a row, for each of its 128 elements up to 512, and beyond, of two bytes and of four; without
a mean for a row of two bytes, of four, and for its 128 elements; for a row of any other length and for each element.
Measured on an H200, of long matrices: rows of 128 in half precision 1.10 ns, of 512 1.77, of 1024 2.29; in single 1.51,
2.24, 3.07; without a mean 0.63; of 25 elements 5.3 ns, of 1927 12.2.
"""


def _layer_norm_issue_s(d: Dims, size: int, sms: int) -> Array:
    """Rows, a block each, whose warps join what they add."""
    row_s, first_s, more_s = HALF_NORM_S if size == 2 else SINGLE_NORM_S
    warps = np.ceil(d["cols"] / (NORM_VECTOR * WARP))
    plain_s = row_s + first_s * np.minimum(warps, NORM_WARPS) + more_s * np.maximum(warps - NORM_WARPS, 0)
    rms_s = RMS_NORM_S[0 if size == 2 else 1] + RMS_NORM_S[2] * warps
    of_row_s = np.where(d["rms"] > 0, rms_s, plain_s)
    of_row_s = np.where(d["cols"] % NORM_VECTOR == 0, of_row_s, ODD_NORM_S[0] + ODD_NORM_S[1] * d["cols"])
    return np.asarray(d["rows"] / sms * of_row_s)


def _gather_features(d: Dims, size: int, sms: int) -> list[Array]:
    sizes = [log(d["rows"]), log(d["cols"]), np.full_like(d["rows"], size)]
    return [
        *sizes,
        d["written"],
        d["adds"],
        log(d["shared"] + 1),
        d["selects"],
        _in_vectors(d, size),
        d["apart"],
        log(d["run"]),
    ]


FEW_INDICES, INDEX_S = 16, 0.6e-6
"""Up to so many rows torch selects one after another, and the seconds of each: embeddings on an H200, of 8, 12 and 16
rows, 5.6, 7.8 and 10.8 us; of 20 rows, 1.9 us by another kernel.
"""


VECTOR, BLOCK_S = 16, 0.606e-9
"""Bytes in one of which torch reads rows that consist of them (aten/src/ATen/native/cuda/IndexKernel.cu, vectorized
gather), a block for each row, and the seconds in which a GPU launches a block: a row of 16 to 800 bytes takes 0.606 ns
on an H100 and on an H200, from 20,000 rows to 400,000.
"""


def _in_vectors(d: Dims, size: int) -> Array:
    """Whether each row is read by a block of its own."""
    one_by_one = (d["selects"] > 0) & (d["rows"] <= FEW_INDICES)
    whole = d["cols"] * size % VECTOR == 0
    read = (d["written"] == 0) & (d["shared"] == 0) & (d["apart"] == 0)  # and not added up, as in a bag
    return np.asarray(whole & read & ~one_by_one, dtype=float)


SLICE_BYTES, PLACE_S = 4096, 3.4e-10
"""Of a row that one block reads in vectors, and of a multiprocessor that finds the place of each element by itself:
gathers and scatters of a million elements and more on an H200 take 2.6 ps an element on all 132 and more.
"""


def _gather_issue_s(d: Dims, size: int, sms: int) -> Array:
    """Blocks, or elements one by one but for the few rows that are selected one after another, and bags, which add up
    what they read.
    """
    blocks_s = d["rows"] * np.ceil(d["cols"] * size / SLICE_BYTES) * BLOCK_S
    few = (d["selects"] > 0) & (d["rows"] <= FEW_INDICES)
    bags = (d["shared"] > 0) & (d["written"] == 0)
    each_s = np.where(few | bags, 0.0, d["rows"] * d["cols"] * PLACE_S / sms)
    return np.asarray(np.where(_in_vectors(d, size) > 0, blocks_s, each_s))


def _gather_waiting_s(d: Dims, sms: int) -> Array:
    return np.asarray(d["selects"] * (d["rows"] <= FEW_INDICES) * d["rows"] * INDEX_S)


def _strided_features(d: Dims, size: int, sms: int) -> list[Array]:
    return [*_rows_features(d, size, sms), log(d["stride"])]


def _sort_flops(d: Dims) -> Array:
    return d["rows"] * d["cols"] * np.log2(np.maximum(d["cols"], 2))


def _sort_features(d: Dims, size: int, sms: int) -> list[Array]:
    return [*_rows_features(d, size, sms), log(d["k"])]


FEWEST_SORTED, FEW_SORTED, LEAST_ROOM, BLOCK_SORTED = 32, 128, 1024, 4096
"""Elements that a block sorts by comparing, and digit by digit four at a time and 32 a thread, in powers of two
(aten/src/ATen/native/cuda/Sort.cu, sortKeyValueInplace).
"""

COMPARED_S, FEW_PASS_S, PASS_S, DIGIT_BITS = 3.1e-9, 8.2e-10, 4.5e-10, 4
"""Of a multiprocessor that sorts rows in blocks: an element that is compared, and one in each pass over a digit of so
many bits, of few and of more. Measured on an H200: 58,624 rows of 11 numbers 53 us, 125,312 of 79 in half precision
397, 233,920 of 93 754, 44,249 of 256 653, 6,592 of 1256 237, 16,272 of 1408 in single 870.
"""

APART_SORTED_S = 2.7e-9
"""More of an element that has its neighbours in other lines of the cache, for reading and writing it and its place: on
an H200 20 ps on all 132, rows of 512 and of 1590.
"""


SELECT_START_S, SELECT_PASS_S, SELECT_BITS = 5e-6, 2.2e-7, 2
"""Of a block that selects the best few of a row, and of a pass over a digit of so many bits, for each 1024 elements
(aten/src/ATen/native/cuda/TensorTopK.cu, sbtopk). Measured on an H200: 13,006 rows
of 168 in half precision 106 us, 10,880 of 480 144, 7,680 of 1616 in single 310, 464,256 of 11 920.
"""


LONG_BYTE_S = 2.6e-9
"""Of a multiprocessor that sorts longer rows, a byte of an element: on an H200 6,112 rows of 4,320 in single precision
2.3 ms, 6,256 of 4,288 in half 1.2.
"""


def _block_sorted_s(cols: Array, size: int) -> Array:
    """Of a multiprocessor, for a row that a block sorts: as many elements as it has room for, in each pass."""
    room = np.where(cols <= FEW_SORTED, FEW_SORTED, np.maximum(2 ** np.ceil(np.log2(np.maximum(cols, 1))), LEAST_ROOM))
    pass_s = np.where(cols <= FEW_SORTED, FEW_PASS_S, PASS_S)
    return np.where(cols <= FEWEST_SORTED, FEWEST_SORTED * COMPARED_S, room * pass_s * 8 * size / DIGIT_BITS)


def _sort_issue_s(d: Dims, size: int, sms: int) -> Array:
    """Rows that blocks sort, or select the best few of and sort those; what lies apart takes longer."""
    sorted_s = _block_sorted_s(d["cols"], size) + d["cols"] * APART_SORTED_S * (d["stride"] > 1)
    warps = np.minimum(np.ceil(d["cols"] / WARP), SOFTMAX_THREADS / WARP)
    rounds = np.ceil(d["cols"] / SOFTMAX_THREADS)
    select_s = SELECT_START_S + SELECT_PASS_S * 8 * size / SELECT_BITS * rounds
    best_s = select_s / np.minimum(THREADS_OF_SM / WARP / warps, BLOCKS_OF_SM) + _block_sorted_s(d["k"], size)
    row_s = np.where(d["cols"] <= BLOCK_SORTED, sorted_s, d["cols"] * LONG_BYTE_S * size)
    return np.asarray(d["rows"] * np.where(d["k"] > 0, best_s, row_s) / sms)


def _weight_norm_features(d: Dims, size: int, sms: int) -> list[Array]:
    return [*_rows_features(d, size, sms), d["last"]]


def _fft_flops(d: Dims) -> Array:
    return 5 * d["rows"] * d["cols"] * np.log2(np.maximum(d["cols"], 2))


def _fft_bytes(d: Dims, size: int) -> Array:
    return size * d["rows"] * d["cols"] * np.where(d["real"] > 0, 1.0, 2.0)


def _largest_factor(x: Array) -> Array:
    """Largest prime factor, up to 13; 17 for anything larger: what a Fourier transform is made of."""
    rest, largest = np.maximum(np.rint(x), 1), np.ones_like(x)
    for prime in (2, 3, 5, 7, 11, 13):
        for _ in range(20):
            divides = rest % prime == 0
            if not divides.any():
                break
            rest, largest = np.where(divides, rest / prime, rest), np.where(divides, prime, largest)
    return np.where(rest > 1, 17.0, largest)


def _fft_features(d: Dims, size: int, sms: int) -> list[Array]:
    logs = [log(d["rows"]), log(d["cols"])]
    return [*logs, aligned(d["cols"]), _largest_factor(d["cols"]), d["strided"], d["real"], d["back"]]


_row = partial(
    Family,
    flops=_rows_flops,
    nbytes=_rows_through,
    features=_rows_features,
    sizes=("rows", "cols"),
    blocks=row_blocks,
)
_MATRIX: dict[str, float | None] = {"rows": None, "cols": None}

ROWS = (
    _row(
        name="softmax",
        dims={**_MATRIX, "stride": 1, "logarithm": 0},
        features=_softmax_features,
        issue_s=_softmax_issue_s,
        profiler_names=r"[sS]oft[mM]ax",
    ),
    _row(
        name="layer_norm",
        dims={**_MATRIX, "rms": 0},
        features=_layer_norm_features,
        issue_s=_layer_norm_issue_s,
        profiler_names=r"layer_norm",
        factor_group="norm",
    ),
    _row(
        name="batch_norm",
        dims={**_MATRIX, "of_batch": 0, "last": 0},
        features=_batch_norm_features,
        issue_s=_batch_norm_issue_s,
        profiler_names=r"batch_norm|bn_fw",
        factor_group="norm",
    ),
    _row(
        name="group_norm",
        dims={**_MATRIX, "flat": 0},
        features=_group_norm_features,
        profiler_names=r"GroupNorm|RowwiseMoments|ComputeFusedParams|group_norm",
        factor_group="norm",
    ),
    _row(
        name="weight_norm",
        dims={**_MATRIX, "last": 0},
        features=_weight_norm_features,
        profiler_names=r"weight_norm",
        factor_group="other",
    ),
    _row(
        name="reduce",
        dims={
            **{**_MATRIX, "inner": 1, "indexed": 0, "beside": 0, "whole": 1},
            **{"compares": 0, "heavy": 0, "paired": 0},
        },
        nbytes=_reduce_bytes,
        features=_reduce_features,
        issue_s=_reduce_issue_s,
        profiler_names=r"reduce_kernel|dist_kernel",
        factor_group="norm",
    ),
    _row(
        name="scan",
        dims={**_MATRIX, "stride": 1, "indexed": 0, "heavy": 0, "down": 0},
        features=_scan_features,
        issue_s=_scan_issue_s,
        profiler_names=r"scan",
        factor_group="other",
    ),
    _row(
        name="sort",
        dims={**_MATRIX, "k": 0, "stride": 1},
        flops=_sort_flops,
        issue_s=_sort_issue_s,
        features=_sort_features,
        impossible=lambda d: [(d["k"] > d["cols"], "k={k} is more than there are, cols={cols}")],
        sizes=("rows", "cols", "k"),
        profiler_names=r"[sS]ort|topk|TopK|median",
        factor_group="other",
    ),
    _row(
        name="fft",
        dims={**_MATRIX, "strided": 0, "real": 0, "back": 0},
        flops=_fft_flops,
        nbytes=_fft_bytes,
        features=_fft_features,
        profiler_names=r"fft",
        factor_group="other",
    ),
    _row(
        name="gather",
        dims={**_MATRIX, "written": 0, "adds": 0, "shared": 0, "selects": 0, "apart": 0, "run": 1},
        traffic=lambda d, size: size * d["rows"] * d["cols"],  # rows may be read again and again
        latency_s=_gather_waiting_s,
        issue_s=_gather_issue_s,
        features=_gather_features,
        profiler_names=r"gather|index|embedding",
        factor_group="other",
    ),
)
