"""Kernels that stream tensors: no matrix work, time follows bytes and access pattern.

contiguous: all is read in the order in which it is written; heavy: a transcendental function; work: lane cycles of an
element, see ``ops.instructions``, 0 where traffic hides them; run: elements in one run;
axes: dimensions that a copy goes along, none where it is in order; lines: of the cache, that a warp of it reads at
once, or writes to where it joins; reuse: elements written until the same lines are read again; pitch: bytes between two
neighbours that it reads;
divisions: of 64 bits, for each thread; steps: elements that a thread writes one after another; largest: elements of the
largest tensor that is joined;
channels_last: images with channels last in memory; adaptive: windows that the result's size says; volume: windows of
three dimensions; sampled: at places that a tensor says; warps: 32 neighbours of a row of results each.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from predictor.kernels.family import WARP, Array, Dims, Family, log, waves


def streamed(d: Dims, size: int) -> Array:
    """Bytes read and written."""
    return d["bytes_read"] + d["bytes_written"]


def elements(d: Dims) -> Array:
    """One operation an element."""
    return d["elements"]


LANE_CYCLES_PER_S = 128 * 1.755e9
"""Of a multiprocessor: lanes times the clock of an H200."""


def _element_issue_s(d: Dims, size: int, sms: int) -> Array:
    """Instructions of all elements, which the multiprocessors share."""
    return np.asarray(d["elements"] * d["work"] / (sms * LANE_CYCLES_PER_S))


def _pointwise_features(d: Dims, size: int, sms: int) -> list[Array]:
    ratio = log(streamed(d, size) / np.maximum(d["elements"], 1))
    kernel = [d["contiguous"], d["converts"], d["heavy"], d["work"]]
    return [log(d["elements"]), ratio, d["inputs"], *kernel, *waves(d["elements"] / 512, sms)]


def _copy_features(d: Dims, size: int, sms: int) -> list[Array]:
    run = log(d["run"])
    walk = [d["axes"], log(d["lines"] + 1), log(d["reuse"] + 1), _powers(d["pitch"]), d["divisions"], log(d["steps"])]
    return [log(d["elements"]), run, d["transposed"], log(d["bytes_read"]), log(d["bytes_written"]), *walk]


def _powers(x: Array) -> Array:
    """How often 2 divides x, up to ten times, as a set of the cache holds neighbours that lie a power of two apart."""
    return np.asarray(np.sum([x % 2**p == 0 for p in range(1, 11)], axis=0), dtype=float)


WIDE_BYTES = 4
"""Of elements of which a thread copies two, of smaller ones four (aten/src/ATen/native/cuda/CUDALoops.cuh)."""

ELEMENT_S, WIDE_ELEMENT_S = 1.36e-10, 2.75e-10
"""Of a multiprocessor that copies element by element: an element, one of two a thread."""

AXIS_S, WIDE_AXIS_S = 4.8e-11, 2e-11
"""What each dimension adds, a division to find an element's place. Measured on an H200 of tensors that fit in its
cache: 1.76 ps an element of two bytes in two dimensions on all 132, 2.02 in three, 2.49 in four; of four bytes 2.39 in
two and 2.70 in four; deviations are a percent.
"""

WARP_LINES_S, KEPT_FROM = 2.6e-11, 384
"""Of a line of the cache that a warp reads, and elements written meanwhile from which on no line is left in the cache
when its next element is wanted. Measured likewise: where each of 32 threads reads another
line, an element takes 5.9 to 6.4 ps from 512 elements on, 4.9 to 5.2 of 128, 2.4 to 5.4 of 64; of lines that two
threads share 4, that four share 2.4 to 2.9.
"""


DIVISION_S, STEP_ELEMENT_S, COPY_STEP_S = 3e-10, 4e-10, 1.2e-7
"""Of a multiprocessor: a division of 64 bits, by which kernels of pads, rolls and windows find an element's place; an
element of several that a thread writes one after another; and such a step of a thread alone. Measured likewise: a
rolled element takes 4.1 ps on all 132, one of a padded image 4.9 to 6.1, of a padded volume 7.7, one that is folded 24
where windows lie side by side, 43 where three overlap; unrolled windows of 256 pixels 31 us.
"""

MANY_STEPS, LATER_STEP_S = 256, 5.5e-8
"""Steps of a thread after which one takes less, as what it reads is in cache, and what it takes then: unrolled windows
of 256 x 256 pixels, of which each thread writes one, 4.2 to 4.9 ms.
"""


def _copy_issue_s(d: Dims, size: int, sms: int) -> Array:
    """What each element takes, or the lines that it is read from; a copy in order has no axes and takes its bytes."""
    element_s, axis_s = (ELEMENT_S, AXIS_S) if size < WIDE_BYTES else (WIDE_ELEMENT_S, WIDE_AXIS_S)
    kept = np.minimum(d["reuse"] / KEPT_FROM, 1) ** 0.25
    each_s = np.maximum(element_s + axis_s * d["axes"], d["lines"] * WARP_LINES_S * kept) * (d["axes"] > 0)
    found_s = DIVISION_S * d["divisions"] / d["steps"] + STEP_ELEMENT_S * (d["steps"] > 1)
    return np.asarray(d["elements"] * (each_s + found_s) / sms)


def _copy_waiting_s(d: Dims, sms: int) -> Array:
    steps_s = COPY_STEP_S * np.minimum(d["steps"], MANY_STEPS) + LATER_STEP_S * np.maximum(d["steps"] - MANY_STEPS, 0)
    return np.asarray(np.where(d["steps"] > 1, steps_s, 0.0))


def _cat_features(d: Dims, size: int, sms: int) -> list[Array]:
    ratio = log(streamed(d, size) / np.maximum(d["elements"], 1))
    kernel = [d["contiguous"], log(d["alignment"]), d["largest"] / np.maximum(d["elements"], 1)]
    return [log(d["elements"]), d["inputs"], log(d["run"]), ratio, *kernel, d["lines"]]


LONE_JOINED_S, JOINED_S, INPUT_S = 7.9e-10, 5.3e-10, 4.2e-7
"""Of a multiprocessor that joins tensors by strides: an element of the largest, whose blocks fill half of it, one where
blocks of two run side by side, and the least for each tensor, whatever the GPU. Measured on an H200: 5.9 to 6.1 ps an
element of one tensor, 3.6 to 4.2 of two to four, 12 us for 26 tensors of 65,536 elements.
"""


JOINED_LINE_S = 2.6e-9
"""Of a multiprocessor that joins tensors element by element: a line of the cache that a warp of it writes to. Measured
likewise: an element takes 1.7 ps on all 132 where a warp writes to two lines, 5 where to eight, of four tensors of 40
bytes, and 10.5 where to sixteen, of eight of two bytes.
"""


def _cat_issue_s(d: Dims, size: int, sms: int) -> Array:
    """Of each tensor two blocks a multiprocessor, of which two fit, go through its elements (aten/src/ATen/native/cuda/
    Shape.cu, CatArrayBatchedCopy); of tensors that are read in order the lines that are written.
    """
    joined_s = np.maximum(LONE_JOINED_S * d["largest"], JOINED_S * d["elements"]) / sms
    by_strides = (d["contiguous"] == 0) & (d["largest"] > 0)
    lines_s = d["elements"] / WARP * d["lines"] * JOINED_LINE_S / sms
    return np.asarray(np.where(by_strides, np.maximum(joined_s, INPUT_S * d["inputs"]), lines_s))


def _pool_features(d: Dims, size: int, sms: int) -> list[Array]:
    kernel = [d["channels_last"], d["adaptive"], d["volume"]]
    apart = log(d["bytes_read"] / np.maximum(d["elements"], 1))
    warps = log(_pool_warps(d))
    return [log(d["elements"]), d["window"], d["maximum"], log(d["bytes_read"]), apart, *kernel, warps]


ADAPTIVE_WARP_S, ADAPTIVE_STEP_S, APART_STEP_S, ADAPTIVE_PIXEL_S = 3.6e-8, 2.2e-9, 1e-8, 7e-8
"""Of a multiprocessor that pools adaptively, whose windows' places are found by divisions: for each warp, for each
pixel of its windows, where neighbours of a row lie apart, too, and of a thread for each pixel
(aten/src/ATen/native/cuda/AdaptiveAveragePooling.cu). Measured on an H200: 2.27 ns a pixel of windows of 100, 2.2 of
maxima of 1024, 2.8 of 784, 38 ns a warp of windows of one; with channels last 6.9 of 256, 11 of 12; few warps 73 of
348.
"""

LAST_STEP_S, LAST_AT_ONCE = 4.5e-7, 300
"""Of adaptive means with channels last: each pixel of a window, and results of a multiprocessor at once. Measured
likewise: windows of 64 take 28 us, of 784 378; of 7 with 5027 results a multiprocessor 39, of 4 with 3041 20, but of
348 with 803 1159.
"""

VOLUME_WARP_S, VOLUME_STEP_S = 4e-8, 3.9e-9
"""Of a multiprocessor that pools volumes: for each warp, 32 neighbours of a row or fewer, and each pixel of a window.
Measured likewise: 55 ns of 4 pixels, 75 of 8, 145 of 27, means and maxima alike.
"""

VOLUME_BLOCK_STEP_S = 1e-8
"""Of a multiprocessor that pools volumes: a pixel's step of each block, of which it holds eight, however few of a
block's warps have a row. Measured likewise: means of 256 pixels, one of each of 524,288 planes, take 10.2 ms; of 9
pixels, of 1,536 planes, 4.5 us.
"""


def _pool_warps(d: Dims) -> Array:
    """Warps of an adaptive pool; as many as its elements fill where its rows are not known."""
    return np.asarray(np.where(d["warps"] > 0, d["warps"], np.ceil(d["elements"] / WARP)))


OUTPUT_S, MEAN_TAP_S, MAXIMUM_TAP_S = 1.4e-9, 4e-11, 9e-11
"""Of a multiprocessor that pools: for each output, which finds its place by divisions, and for each pixel of its
window. Measured on an H200: 11.9 ps an output of 4 pixels on all 132, 13.5 of 9, 20 of 25, 39 of 81, and of maxima 66
of 81, 127 of 169.
"""

POOL_LINE_S, POOL_STEP_S, POOL_THREADS = 1.9e-10, 2.5e-8, 1024
"""Of a thread that pools a window alone: a line that it reads and no other thread beside it does, a pixel's step, and
its thread block. Measured likewise: means of 196 pixels, whose windows lie side by side, take 38 us where the images of
a block fill it, of 49 pixels 8, of 49 in one small block 2.9.
"""


def _pool_issue_s(d: Dims, size: int, sms: int) -> Array:
    """What each output takes, or the lines of the cache that threads side by side read in their windows; of adaptive
    pools and of volumes what each warp takes for a row of results, however few these are.
    """
    tap_s = np.where(d["maximum"] > 0, MAXIMUM_TAP_S, MEAN_TAP_S)
    output_s = d["elements"] * (OUTPUT_S + tap_s * d["window"]) / sms
    apart = np.where(d["channels_last"] + d["adaptive"] > 0, size, d["bytes_read"] / np.maximum(d["elements"], 1))
    beside = np.maximum(np.minimum(d["elements"], POOL_THREADS), d["elements"] / sms)
    lines_s = beside * d["window"] * np.clip(apart / LINE_BYTES, 1 / 32, 1) * POOL_LINE_S
    adaptive, last = d["adaptive"] > 0, d["channels_last"] > 0
    waves = np.maximum(d["elements"] / sms / LAST_AT_ONCE, 1)
    last_s = np.where(adaptive & last & (d["maximum"] == 0), d["window"] * waves * LAST_STEP_S, 0.0)
    by_rows = (adaptive & ~(last & (d["maximum"] == 0))) | ((d["warps"] > 0) & ~last)
    step_s = np.where(adaptive, np.where(last, APART_STEP_S, ADAPTIVE_STEP_S), VOLUME_STEP_S)
    warp_s = np.where(adaptive, ADAPTIVE_WARP_S, VOLUME_WARP_S) + step_s * d["window"]
    of_blocks_s = d["blocks"] / sms * d["window"] * VOLUME_BLOCK_STEP_S
    rows_s = np.maximum(_pool_warps(d) / sms * warp_s, np.where(adaptive, ADAPTIVE_PIXEL_S * d["window"], of_blocks_s))
    return np.asarray(np.where(by_rows, rows_s, np.maximum(np.maximum(output_s, lines_s), last_s)))


def _pool_waiting_s(d: Dims, sms: int) -> Array:
    return np.asarray(np.where(d["adaptive"] > 0, 0.0, POOL_STEP_S * d["window"]))


def _steps(d: Dims) -> Array:
    return d["elements"] / np.maximum(d["threads"], 1)


def _interpolate_features(d: Dims, size: int, sms: int) -> list[Array]:
    written = d["bytes_written"] / np.maximum(d["elements"], 1)
    threads = [log(d["threads"]), log(_steps(d))]
    kernel = [log(d["pixel_stride"]), d["antialiased"], d["sampled"], d["volume"]]
    return [log(d["elements"]), log(d["bytes_read"]), d["taps"], written, *threads, *kernel]


STEP_S, TAP_S = 150e-9, 12e-9
"""Seconds of a step of a thread that interpolates one image after another, and what each tap adds: measured on an H200,
nearest and linear ones take 180 ns, bilinear ones 190 to 240, trilinear ones 250 to 300, bicubic ones 280 to 390,
whatever the size of the images while their threads do not fill the GPU.
"""

SAMPLED_STEP_S, SAMPLED_CUBIC_TAP_S, CUBIC_TAPS = 2.7e-7, 2.6e-7, 16
"""The same of pixels sampled at given places; of bicubic ones each tap waits for the last, as each may lie outside: on
an H200 64 channels take 20.9 us bilinear, 269.6 bicubic.
"""

LINE_S, LINE_BYTES = 0.57e-9, 128
"""Seconds in which the first cache of a multiprocessor gives one line, a cycle, and its size. Measured on an H200, a
bicubic step takes 9.3 ns a thread of a block where no two threads read the same line: 16 taps, 16 lines.
"""

WRITTEN_S, SECTOR_BYTES = 1.87e-9, 32
"""Seconds in which a multiprocessor writes a sector of a line of which no thread beside writes another, and its size.
Measured on an H200: bicubic ones of channels last that keep their size, which copy, take 1.91 us for 1,024 pixels of a
channel.
"""

THREADS_AT_ONCE, THREADS_OF_BLOCK = 2048, 1024
"""Of a multiprocessor."""


def _interpolate_waiting_s(d: Dims, sms: int) -> Array:
    """A thread of most of torch's kernels computes one pixel of all channels or of the whole batch, one after another;
    a step of it waits for its taps, and for those of the threads beside it, which each need a line of the cache where
    pixels lie far apart. One that only copies waits for what it writes, too.
    """
    steps, threads = _steps(d), d["threads"]
    written = d["bytes_written"] / np.maximum(d["elements"], 1)
    pixels_read = d["bytes_read"] / np.maximum(steps * written, 1)
    apart = np.minimum(d["pixel_stride"] * written / LINE_BYTES, 1) * np.sqrt(np.minimum(pixels_read / threads, 1))
    lines = np.where((d["sampled"] > 0) & (d["pixel_stride"] > 1), 0.0, apart)  # a line has the next channels, too
    beside = np.maximum(np.minimum(threads, THREADS_OF_BLOCK), threads / sms)
    reads_s = beside * d["taps"] * lines * LINE_S
    sectors = np.where(d["taps"] == 1, np.minimum(d["pixel_stride"] * written / SECTOR_BYTES, 1), 0.0)
    sectors = np.where((d["sampled"] == 0) & (d["pixel_stride"] > 1), sectors, 0.0)
    moves_s = np.maximum(reads_s, beside * sectors * WRITTEN_S)
    sampled_s = np.where(d["taps"] >= CUBIC_TAPS, d["taps"] * SAMPLED_CUBIC_TAP_S, SAMPLED_STEP_S)
    alone_s = np.where(d["sampled"] > 0, sampled_s, STEP_S + TAP_S * d["taps"])
    step_s = np.maximum(alone_s * np.maximum(threads / (sms * THREADS_AT_ONCE), 1), moves_s)
    return np.asarray(np.where(steps > 1, steps * step_s, 0.0))


INTERPOLATED = {
    (1, 0): (2.9e-10, 0.0),
    (4, 0): (6.8e-10, 3.2e-10),
    (16, 0): (2.2e-9, 9e-10),
    (1, 1): (1.34e-9, 1.3e-10),
    (8, 1): (1.8e-9, 6e-10),
}
"""Taps, and whether of a volume -> seconds of a multiprocessor for a thread, which finds its place by divisions, and
for each pixel that it makes. Measured on an H200 where threads fill it: nearest ones of images take 2.2 ps a thread on
all 132, bilinear ones 5.2 and 3.2 a pixel, bicubic ones 17 and 8.3, of volumes 10.2 and 1.6, trilinear 13.6 and 5.4;
what a step waits is a part of it.
"""

LAST_THREAD_S = 9e-10
"""The same of a thread whose image has channels last, of one pixel. Measured likewise: nearest 6.2 ps, bilinear 9.2."""


def _interpolate_issue_s(d: Dims, size: int, sms: int) -> Array:
    """What threads and pixels take where they are not at places that a tensor says."""
    usual = (d["sampled"] == 0) & (d["antialiased"] == 0)
    kinds = [usual & (d["taps"] == taps) & (d["volume"] == volume) for taps, volume in INTERPOLATED]
    thread_s = np.select(kinds, [thread_s for thread_s, _ in INTERPOLATED.values()], 0.0)
    pixel_s = np.select(kinds, [pixel_s for _, pixel_s in INTERPOLATED.values()], 0.0)
    last = usual & (d["pixel_stride"] > 1) & (d["threads"] == d["elements"])
    return np.where(last, d["threads"] * LAST_THREAD_S, d["threads"] * thread_s + d["elements"] * pixel_s) / sms


def _pool_bytes(d: Dims, size: int) -> Array:
    """Bytes read and written: torch writes the place of each maximum, too, as a number of eight bytes."""
    return streamed(d, size) + 8 * d["maximum"] * d["elements"]


def _fill_features(d: Dims, size: int, sms: int) -> list[Array]:
    return [log(d["elements"]), log(d["bytes_read"] + 1), d["work"]]


SIZES = ("elements", "bytes_read", "bytes_written")
STREAM: dict[str, float | None] = dict.fromkeys(SIZES)

_WALK: dict[str, float | None] = {"axes": 0, "lines": 0, "reuse": 0, "pitch": 0}

_stream = partial(Family, flops=elements, nbytes=streamed, sizes=SIZES)

ROWS = (
    _stream(
        name="pointwise",
        dims={**STREAM, "inputs": 1, "contiguous": 1, "converts": 0, "heavy": 0, "work": 0},
        features=_pointwise_features,
        issue_s=_element_issue_s,
        profiler_names=r"elementwise",
    ),
    _stream(
        name="copy",
        dims={**STREAM, "run": 1, "transposed": 0, **_WALK, "divisions": 0, "steps": 1},
        features=_copy_features,
        issue_s=_copy_issue_s,
        latency_s=_copy_waiting_s,
        profiler_names=r"copy|Memcpy|im2col|col2im",
    ),
    _stream(
        name="cat",
        dims={**STREAM, "inputs": 2, "run": 1, "contiguous": 1, "alignment": 16, "largest": 0, "lines": 0},
        features=_cat_features,
        issue_s=_cat_issue_s,
        profiler_names=r"CatArray",
        factor_group="copy",
    ),
    _stream(
        name="pool",
        dims={
            **{**STREAM, "window": 1, "maximum": 0, "channels_last": 0, "adaptive": 0, "volume": 0},
            **{"warps": 0, "blocks": 0},
        },
        flops=lambda d: d["elements"] * d["window"],
        nbytes=_pool_bytes,
        factor_group="other",
        features=_pool_features,
        issue_s=_pool_issue_s,
        latency_s=_pool_waiting_s,
        profiler_names=r"pool",
    ),
    _stream(
        name="interpolate",
        dims={
            **{**STREAM, "taps": 1, "threads": None, "pixel_stride": 1, "antialiased": 0, "sampled": 0},
            "volume": 0,
        },
        flops=lambda d: d["elements"] * d["taps"],
        features=_interpolate_features,
        issue_s=_interpolate_issue_s,
        latency_s=_interpolate_waiting_s,
        traffic=lambda d, size: np.minimum(d["bytes_read"], d["taps"] * d["bytes_written"]) + d["bytes_written"],
        profiler_names=r"upsample|interpolate|grid_sampler",
        factor_group="other",
    ),
    Family(
        name="fill",
        dims={"elements": None, "bytes_written": None, "bytes_read": 0, "work": 0},
        flops=elements,
        nbytes=streamed,
        features=_fill_features,
        issue_s=_element_issue_s,
        sizes=("elements", "bytes_written"),
        profiler_names=r"FillFunctor|Memset|arange|tri[lu]_|distribution_elementwise",
        factor_group="other",
    ),
)
