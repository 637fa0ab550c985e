"""Kernels that stream tensors: no matrix work, time follows bytes and access pattern.

contiguous: all is read in the order in which it is written; heavy: a transcendental function; run: elements in one run;
channels_last: images with channels last in memory; adaptive: windows that the result's size says; volume: windows of
three dimensions; sampled: at places that a tensor says; steps: elements that a thread writes one after another;
windows: those that an element is the sum of; warps: 32 neighbours of a row of results each.
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


def _pointwise_features(d: Dims, size: int, sms: int) -> list[Array]:
    ratio = log(streamed(d, size) / np.maximum(d["elements"], 1))
    kernel = [d["contiguous"], d["converts"], d["heavy"]]
    return [log(d["elements"]), ratio, d["inputs"], *kernel, *waves(d["elements"] / 512, sms)]


def _copy_features(d: Dims, size: int, sms: int) -> list[Array]:
    run = log(d["run"])
    unrolled = [log(d["steps"]), d["windows"]]
    return [log(d["elements"]), run, d["transposed"], log(d["bytes_read"]), log(d["bytes_written"]), *unrolled]


UNROLLED_STEP_S, FOLDED_WARP_S, FOLDED_WINDOW_S = 1e-7, 5.8e-8, 4.3e-8
"""Of a thread that unrolls a window, each element (256 of them take 29 us on an H200, 81 take 10.4); of a
multiprocessor that folds windows to images, each warp, and each window that its elements are sums of: 102 ns of one,
189 of three (aten/src/ATen/native/cuda/im2col.cuh).
"""


def _copy_issue_s(d: Dims, size: int, sms: int) -> Array:
    """Windows: the elements of each, one after another. Images made of windows: where each element comes from."""
    unrolled_s = np.where(d["steps"] > 1, d["steps"] * UNROLLED_STEP_S, 0.0)
    warp_s = np.where(d["windows"] > 0, FOLDED_WARP_S + FOLDED_WINDOW_S * d["windows"], 0.0)
    return np.asarray(np.maximum(unrolled_s, d["elements"] / WARP / sms * warp_s))


def _cat_features(d: Dims, size: int, sms: int) -> list[Array]:
    ratio = log(streamed(d, size) / np.maximum(d["elements"], 1))
    return [log(d["elements"]), d["inputs"], log(d["run"]), ratio, d["contiguous"], log(d["alignment"])]


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
    rows_s = np.maximum(_pool_warps(d) / sms * warp_s, np.where(adaptive, ADAPTIVE_PIXEL_S * d["window"], 0.0))
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

THREADS_AT_ONCE, THREADS_OF_BLOCK = 2048, 1024
"""Of a multiprocessor."""


def _interpolate_waiting_s(d: Dims, sms: int) -> Array:
    """A thread of most of torch's kernels computes one pixel of all channels or of the whole batch, one after another;
    a step of it waits for its taps, and for those of the threads beside it, which each need a line of the cache where
    pixels lie far apart.
    """
    steps, threads = _steps(d), d["threads"]
    written = d["bytes_written"] / np.maximum(d["elements"], 1)
    pixels_read = d["bytes_read"] / np.maximum(steps * written, 1)
    apart = np.minimum(d["pixel_stride"] * written / LINE_BYTES, 1) * np.sqrt(np.minimum(pixels_read / threads, 1))
    lines = np.where((d["sampled"] > 0) & (d["pixel_stride"] > 1), 0.0, apart)  # a line has the next channels, too
    beside = np.maximum(np.minimum(threads, THREADS_OF_BLOCK), threads / sms)
    reads_s = beside * d["taps"] * lines * LINE_S
    sampled_s = np.where(d["taps"] >= CUBIC_TAPS, d["taps"] * SAMPLED_CUBIC_TAP_S, SAMPLED_STEP_S)
    alone_s = np.where(d["sampled"] > 0, sampled_s, STEP_S + TAP_S * d["taps"])
    step_s = np.maximum(alone_s * np.maximum(threads / (sms * THREADS_AT_ONCE), 1), reads_s)
    return np.asarray(np.where(steps > 1, steps * step_s, 0.0))


def _pool_bytes(d: Dims, size: int) -> Array:
    """Bytes read and written: torch writes the place of each maximum, too, as a number of eight bytes."""
    return streamed(d, size) + 8 * d["maximum"] * d["elements"]


def _fill_features(d: Dims, size: int, sms: int) -> list[Array]:
    return [log(d["elements"]), log(d["bytes_read"] + 1)]


SIZES = ("elements", "bytes_read", "bytes_written")
STREAM: dict[str, float | None] = dict.fromkeys(SIZES)

_stream = partial(Family, flops=elements, nbytes=streamed, sizes=SIZES)

ROWS = (
    _stream(
        name="pointwise",
        dims={**STREAM, "inputs": 1, "contiguous": 1, "converts": 0, "heavy": 0},
        features=_pointwise_features,
        profiler_names=r"elementwise",
    ),
    _stream(
        name="copy",
        dims={**STREAM, "run": 1, "transposed": 0, "steps": 1, "windows": 0},
        features=_copy_features,
        issue_s=_copy_issue_s,
        profiler_names=r"copy|Memcpy|im2col|col2im",
    ),
    _stream(
        name="cat",
        dims={**STREAM, "inputs": 2, "run": 1, "contiguous": 1, "alignment": 16},
        features=_cat_features,
        profiler_names=r"CatArray",
        factor_group="copy",
    ),
    _stream(
        name="pool",
        dims={
            **{**STREAM, "window": 1, "maximum": 0, "channels_last": 0, "adaptive": 0, "volume": 0},
            "warps": 0,
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
        latency_s=_interpolate_waiting_s,
        traffic=lambda d, size: np.minimum(d["bytes_read"], d["taps"] * d["bytes_written"]) + d["bytes_written"],
        profiler_names=r"upsample|interpolate|grid_sampler",
        factor_group="other",
    ),
    Family(
        name="fill",
        dims={"elements": None, "bytes_written": None, "bytes_read": 0},
        flops=elements,
        nbytes=streamed,
        features=_fill_features,
        sizes=("elements", "bytes_written"),
        profiler_names=r"FillFunctor|Memset|arange|tri[lu]_",
        factor_group="other",
    ),
)
