"""Convolutions.

batch x (c_in, h, w) -> (c_out, h_out, w_out), kernel r x s; a 1-D convolution has h = r = 1. Grouped and depthwise ones
(as many groups as input channels) run other kernels: families of their own. ONNX Runtime tries the library's algorithms
and keeps the fastest, where torch asks for a guess: again families of their own.

Of three dimensions: (c_in, depth, h, w), kernel t x r x s. Transposed: (c_in, h, w) -> (c_out, out_h, out_w), each
pixel of the image spread over a window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from predictor.kernels.family import Array, Dims, Family, MeasuredIn, aligned, grow_batch, log, tile_blocks, tiles
from predictor.records import Variant


def conv_out(size: Array, kernel: Array, stride: Array, padding: Array, dilation: Array) -> Array:
    """Output length of a convolution along one dimension (torch.nn.Conv2d, the formula of its shape section)."""
    return np.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1


def _conv_pixels(d: Dims) -> Array:
    h = conv_out(d["h"], d["r"], d["stride_h"], d["pad_h"], d["dilation"])
    w = conv_out(d["w"], d["s"], d["stride_w"], d["pad_w"], d["dilation"])
    return d["batch"] * h * w


def _volume_pixels(d: Dims) -> Array:
    return _conv_pixels(d) * conv_out(d["depth"], d["t"], d["stride_d"], d["pad_d"], d["dilation"])


@dataclass(frozen=True, slots=True)
class _Work:
    """Sizes of a kind of convolution: pixels that a window is at, elements of a window, and pixels that are read and
    written.
    """

    windows: Callable[[Dims], Array]
    window: Callable[[Dims], Array]
    read: Callable[[Dims], Array]
    written: Callable[[Dims], Array]

    def flops(self, d: Dims) -> Array:
        """Two for each multiply-accumulate."""
        return 2 * self.windows(d) * d["c_out"] * d["c_in"] / d["groups"] * self.window(d)

    def nbytes(self, d: Dims, size: int) -> Array:
        """Images and weights, each once."""
        weights = d["c_out"] * d["c_in"] / d["groups"] * self.window(d)
        return size * (self.read(d) * d["c_in"] + weights + self.written(d) * d["c_out"])

    def blocks(self, d: Dims) -> Array:
        """Tiles of the products that it is, one for each group."""
        return tile_blocks(self.windows(d), d["c_out"] / d["groups"], d["groups"])

    def features(self, d: Dims, size: int, sms: int) -> list[Array]:
        """The same columns for every kind, so that one can stand in for another."""
        pixels, window = self.read(d) / d["batch"], self.window(d)
        m, n, k = self.windows(d), d["c_out"] / d["groups"], d["c_in"] / d["groups"] * window
        logs = [log(x) for x in (m, n, k, d["groups"], d["c_in"], d["c_out"], d["batch"], pixels, d["w"])]
        shape = [window, d["s"], d["stride_w"], d["dilation"], d["pad_w"] * 2 / d["s"]]
        flags = [(d["h"] == 1).astype(float), d["bias"], d["channels_last"]]
        flags += [aligned(d["c_in"] / d["groups"]), aligned(n), aligned(d["w"])]
        copies = [log(self.read(d) * d["c_in"]), log(self.written(d) * d["c_out"])]
        return [*logs, *shape, *flags, *copies, *tiles(m, n, np.ones_like(m), sms)]


def _image(d: Dims) -> Array:
    return d["batch"] * d["h"] * d["w"]


def _volume(d: Dims) -> Array:
    return d["batch"] * d["depth"] * d["h"] * d["w"]


_PLAIN = _Work(_conv_pixels, lambda d: d["r"] * d["s"], _image, _conv_pixels)
_VOLUMES = _Work(_volume_pixels, lambda d: d["t"] * d["r"] * d["s"], _volume, _volume_pixels)
_TRANSPOSED = _Work(_image, lambda d: d["r"] * d["s"], _image, lambda d: d["batch"] * d["out_h"] * d["out_w"])


_DIMS: dict[str, float | None] = {
    **{"batch": None, "c_in": None, "c_out": None, "h": None, "w": None, "r": None, "s": None},
    **{"stride_h": 1, "stride_w": 1, "pad_h": 0, "pad_w": 0, "dilation": 1, "groups": 1, "bias": 0},
    "channels_last": 0,
}
_SIZES = ("batch", "c_in", "c_out", "h", "w")
_NAMES = r"conv|fprop|dgrad|cudnn|DSE|fft|complex|cask|winograd|gemm|cutlass|[nN]hwc|Memset|CUDAFunctor_add|scal_kernel"
"""What a convolution may consist of, the bias added behind it included."""


def _families() -> Iterator[Family]:
    kinds = {"conv": Variant.USUAL, "conv_grouped": Variant.GROUPED, "conv_depthwise": Variant.DEPTHWISE}
    for name, variant in kinds.items():
        for measured_in in (MeasuredIn.CALLS, MeasuredIn.SESSIONS):
            in_session = measured_in is MeasuredIn.SESSIONS
            yield Family(
                name=f"ort_{name}" if in_session else name,
                dims=_DIMS,
                flops=_PLAIN.flops,
                nbytes=_PLAIN.nbytes,
                features=_PLAIN.features,
                blocks=_PLAIN.blocks,
                sizes=_SIZES,
                profiler_names=_NAMES,
                regimes=(*_SIZES, "channels_last"),
                grow=grow_batch,
                matrix=True,
                same_in_tf32=variant is Variant.DEPTHWISE,
                tf32_by_default=True,
                has_winograd=variant is Variant.USUAL,
                changes_abruptly=True,
                groups_run_at_once=variant is not Variant.USUAL,
                variant=variant,
                measured_in=measured_in,
                stand_in=name if in_session else "",
                most_kernels=192,
            )


_other = partial(
    Family,
    profiler_names=_NAMES + r"|vol2col|col2|slow_conv",
    grow=grow_batch,
    matrix=True,
    tf32_by_default=True,
    changes_abruptly=True,
    factor_group="conv",
    most_kernels=192,
)


def _transposed() -> Iterator[Family]:
    for measured_in in (MeasuredIn.CALLS, MeasuredIn.SESSIONS):
        in_session = measured_in is MeasuredIn.SESSIONS
        yield _other(
            name="ort_conv_transposed" if in_session else "conv_transposed",
            dims={**_DIMS, "out_h": None, "out_w": None},
            flops=_TRANSPOSED.flops,
            nbytes=_TRANSPOSED.nbytes,
            features=_TRANSPOSED.features,
            blocks=_TRANSPOSED.blocks,
            sizes=(*_SIZES, "out_h", "out_w"),
            regimes=(*_SIZES, "channels_last"),
            measured_in=measured_in,
            stand_in="conv_transposed" if in_session else "conv",
        )


ROWS = (
    *_families(),
    _other(
        name="conv3d",
        stand_in="conv",
        dims={**_DIMS, "depth": None, "t": None, "stride_d": 1, "pad_d": 0},
        flops=_VOLUMES.flops,
        nbytes=_VOLUMES.nbytes,
        features=_VOLUMES.features,
        blocks=_VOLUMES.blocks,
        sizes=(*_SIZES, "depth"),
        regimes=(*_SIZES, "depth", "channels_last"),
    ),
    *_transposed(),
)
