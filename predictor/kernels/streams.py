"""Kernels that stream tensors: no matrix work, time follows bytes and access pattern.

contiguous: all is read in the order in which it is written; heavy: a transcendental function; run: elements in one run;
channels_last: images with channels last in memory; adaptive: windows that the result's size says; volume: windows of
three dimensions; sampled: at places that a tensor says.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from predictor.kernels.family import Array, Dims, Family, log, waves


def streamed(d: Dims, size: int) -> Array:
    """Bytes read and written."""
    return d["bytes_read"] + d["bytes_written"]


def elements(d: Dims) -> Array:
    """One operation an element."""
    return d["elements"]


def _pointwise_features(d: Dims, size: int, sms: int) -> list[Array]:
    ratio = log(streamed(d, size) / np.maximum(d["elements"], 1))
    return [log(d["elements"]), ratio, d["inputs"], d["contiguous"], d["heavy"], *waves(d["elements"] / 512, sms)]


def _copy_features(d: Dims, size: int, sms: int) -> list[Array]:
    run = log(d["run"])
    return [log(d["elements"]), run, d["transposed"], log(d["bytes_read"]), log(d["bytes_written"])]


def _cat_features(d: Dims, size: int, sms: int) -> list[Array]:
    ratio = log(streamed(d, size) / np.maximum(d["elements"], 1))
    return [log(d["elements"]), d["inputs"], log(d["run"]), ratio, d["contiguous"]]


def _pool_features(d: Dims, size: int, sms: int) -> list[Array]:
    kernel = [d["channels_last"], d["adaptive"], d["volume"]]
    return [log(d["elements"]), d["window"], d["maximum"], log(d["bytes_read"]), *kernel]


def _interpolate_features(d: Dims, size: int, sms: int) -> list[Array]:
    written = d["bytes_written"] / np.maximum(d["elements"], 1)
    pixels = [log(d["pixels"]), log(d["elements"] / np.maximum(d["pixels"], 1))]
    kernel = [d["channels_last"], d["antialiased"], d["sampled"]]
    return [log(d["elements"]), log(d["bytes_read"]), d["taps"], written, *pixels, *kernel]


def _pool_bytes(d: Dims, size: int) -> Array:
    """Bytes read and written: torch writes the place of each maximum, too, as a number of eight bytes."""
    return streamed(d, size) + 8 * d["maximum"] * d["elements"]


def _fill_features(d: Dims, size: int, sms: int) -> list[Array]:
    return [log(d["elements"])]


SIZES = ("elements", "bytes_read", "bytes_written")
STREAM: dict[str, float | None] = dict.fromkeys(SIZES)

_stream = partial(Family, flops=elements, nbytes=streamed, sizes=SIZES)

ROWS = (
    _stream(
        name="pointwise",
        dims={**STREAM, "inputs": 1, "contiguous": 1, "heavy": 0},
        features=_pointwise_features,
        profiler_names=r"elementwise",
    ),
    _stream(
        name="copy",
        dims={**STREAM, "run": 1, "transposed": 0},
        features=_copy_features,
        profiler_names=r"copy|Memcpy|im2col|col2im",
    ),
    _stream(
        name="cat",
        dims={**STREAM, "inputs": 2, "run": 1, "contiguous": 1},
        features=_cat_features,
        profiler_names=r"CatArray",
        factor_group="copy",
    ),
    _stream(
        name="pool",
        dims={**STREAM, "window": 1, "maximum": 0, "channels_last": 0, "adaptive": 0, "volume": 0},
        flops=lambda d: d["elements"] * d["window"],
        nbytes=_pool_bytes,
        factor_group="other",
        features=_pool_features,
        profiler_names=r"pool",
    ),
    _stream(
        name="interpolate",
        dims={**STREAM, "taps": 1, "pixels": None, "channels_last": 0, "antialiased": 0, "sampled": 0},
        flops=lambda d: d["elements"] * d["taps"],
        features=_interpolate_features,
        traffic=lambda d, size: np.minimum(d["bytes_read"], d["taps"] * d["bytes_written"]) + d["bytes_written"],
        profiler_names=r"upsample|interpolate|grid_sampler",
        factor_group="other",
    ),
    Family(
        name="fill",
        dims={"elements": None, "bytes_written": None},
        flops=elements,
        nbytes=lambda d, size: d["bytes_written"],
        features=_fill_features,
        sizes=("elements", "bytes_written"),
        profiler_names=r"FillFunctor|Memset|arange|tri[lu]_",
        factor_group="other",
    ),
)
