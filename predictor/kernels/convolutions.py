"""Convolutions.

batch x (c_in, h, w) -> (c_out, h_out, w_out), kernel r x s; a 1-D convolution has h = r = 1. Grouped and depthwise ones
(as many groups as input channels) run other kernels: families of their own. ONNX Runtime tries the library's algorithms
and keeps the fastest, where torch asks for a guess: again families of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from predictor.kernels.family import Array, Dims, Family, MeasuredIn, aligned, grow_batch, log, tiles
from predictor.records import Variant


def conv_out(size: Array, kernel: Array, stride: Array, padding: Array, dilation: Array) -> Array:
    """Output length of a convolution along one dimension (torch.nn.Conv2d, the formula of its shape section)."""
    return np.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1


def _conv_pixels(d: Dims) -> Array:
    h = conv_out(d["h"], d["r"], d["stride_h"], d["pad_h"], d["dilation"])
    w = conv_out(d["w"], d["s"], d["stride_w"], d["pad_w"], d["dilation"])
    return d["batch"] * h * w


def _conv_flops(d: Dims) -> Array:
    return 2 * _conv_pixels(d) * d["c_out"] * d["c_in"] / d["groups"] * d["r"] * d["s"]


def _conv_bytes(d: Dims, size: int) -> Array:
    weights = d["c_out"] * d["c_in"] / d["groups"] * d["r"] * d["s"]
    return size * (d["batch"] * d["c_in"] * d["h"] * d["w"] + weights + _conv_pixels(d) * d["c_out"])


def _conv_features(d: Dims, size: int, sms: int) -> list[Array]:
    m, n, k = _conv_pixels(d), d["c_out"] / d["groups"], d["c_in"] / d["groups"] * d["r"] * d["s"]
    logs = [log(x) for x in (m, n, k, d["groups"], d["c_in"], d["c_out"], d["batch"], d["h"] * d["w"], d["w"])]
    window = [d["r"] * d["s"], d["s"], d["stride_w"], d["dilation"], d["pad_w"] * 2 / d["s"]]
    flags = [(d["h"] == 1).astype(float), d["bias"], d["channels_last"]]
    flags += [aligned(d["c_in"] / d["groups"]), aligned(n), aligned(d["w"])]
    copies = [log(d["batch"] * d["c_in"] * d["h"] * d["w"]), log(m * d["c_out"])]
    return [*logs, *window, *flags, *copies, *tiles(m, n, np.ones_like(m), sms)]


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
                flops=_conv_flops,
                nbytes=_conv_bytes,
                features=_conv_features,
                sizes=_SIZES,
                profiler_names=_NAMES,
                regimes=(*_SIZES, "channels_last"),
                grow=grow_batch,
                matrix=True,
                same_in_tf32=variant is Variant.DEPTHWISE,
                tf32_by_default=True,
                has_winograd=variant is Variant.USUAL,
                changes_abruptly=True,
                groups_run_at_once=variant is Variant.GROUPED,
                variant=variant,
                measured_in=measured_in,
                stand_in=name if in_session else "",
                most_kernels=192,
            )


ROWS = tuple(_families())
