"""Convolutions.

batch x (c_in, h, w) -> (c_out, h_out, w_out), kernel r x s; a 1-D convolution has h = r = 1. Grouped and depthwise ones
(as many groups as input channels) run other kernels: families of their own. ONNX Runtime tries the library's algorithms
and keeps the fastest, where torch asks for a guess: again families of their own.

Of three dimensions: (c_in, depth, h, w), kernel t x r x s. Transposed: (c_in, h, w) -> (c_out, out_h, out_w), each
pixel of the image spread over a window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

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


def _is_depthwise(d: Dims) -> NDArray[np.bool_]:
    return np.asarray((d["groups"] == d["c_in"]) & (d["groups"] > 1))


SPECIAL_WINDOWS = (1, 3, 5, 7)
"""Sides of square windows that cuDNN has kernels for, of depthwise convolutions channels-last (``conv2d_c1_k1_nhwc``),
in steps of up to 2 and without dilation. It computes all others directly (``conv2d_grouped_direct_kernel``), where
every multiplication reads its two operands again.
"""


def is_direct(d: Dims) -> NDArray[np.bool_]:
    """Whether convolutions are depthwise ones channels-last that cuDNN has no special kernel for, several outputs for
    each channel among them.
    """
    last = _is_depthwise(d) & (d["channels_last"] == 1) & (d["h"] > 1)
    square = np.isin(d["r"], SPECIAL_WINDOWS) & np.equal(d["r"], d["s"]) & np.equal(d["dilation"], 1)
    steps = np.equal(d["stride_h"], d["stride_w"]) & np.less_equal(d["stride_w"], 2)
    return np.asarray(last & (~(square & steps) | (d["c_out"] > d["c_in"])))


def of_library(d: Dims, size: int) -> NDArray[np.bool_]:
    """Whether convolutions are depthwise ones that cuDNN computes, no kernel of torch's own: channels last in memory,
    or in half precision windows over sequences and small square ones of images (use_cudnn_depthwise and what it asks,
    aten/src/ATen/native/Convolution.cpp).
    """
    stride, width, few = d["stride_w"], d["w"], d["batch"] == 1
    square = (d["r"] == d["s"]) & np.isin(d["s"], (1, 3, 5)) & (width >= 7)
    many = (d["c_in"] >= 512) | ((d["c_in"] >= 256) & (width >= 28))
    wide = np.where(few, True, many) & (d["s"] > 1)
    point = np.where(few, width <= 28, (d["batch"] <= 16) & (d["c_in"] >= 128) & (width <= 7)) & (d["s"] == 1)
    image = square & ((stride == 1) | ((stride == 2) & (wide | point)))
    sequence = (d["h"] == 1) & (stride == 1)
    even = (d["stride_h"] == stride) | (d["h"] == 1)
    taken = even & (d["c_in"] >= 32) & (d["dilation"] == 1) & (sequence | image)
    last = (d["channels_last"] > 0) & (d["h"] > 1)
    return np.asarray(_is_depthwise(d) & (last | (taken & (size == 2))))


FEW_CHANNELS = 128
"""Channels from which on cuDNN computes several outputs for each of them at once where they are last in memory, by
windows of 3 x 3 step by step in half precision; larger windows and steps it takes channel by channel however many there
are. In single precision it never does.
"""

GROUP_START_S, GROUP_ROW_S, GROUP_PIXEL_S = 1.1e-6, 4.75e-7, 5.7e-11
"""Seconds of the kernel of one channel (convolve_common_engine_float_NHWC), more for each row of its window and each
pixel of all images. Fitted, as the price of a formula, to what an H200 takes for 72 convolutions, 6 % off: of small
images with windows of 3 3.1 us a kernel, of 5 4.3, of 7 5.4; of 100,352 pixels with windows of 3 10.4, of 25,088 with
windows of 7 7.7.
"""


def is_by_groups(d: Dims, size: int) -> NDArray[np.bool_]:
    """Whether cuDNN computes several outputs for each channel one channel after another."""
    several = _is_depthwise(d) & (d["c_out"] > d["c_in"]) & (d["channels_last"] == 1) & (d["h"] > 1) & (size == 2)
    small = (d["r"] == 3) & (d["s"] == 3) & (d["stride_h"] == 1) & (d["stride_w"] == 1) & (d["dilation"] == 1)
    return np.asarray(several & ~(small & (d["c_in"] >= FEW_CHANNELS)))


def _by_groups(d: Dims) -> list[Array]:
    return [is_by_groups(d, 2).astype(float)]


UNROLLED_SMS_S, ANY_SMS_S = (0.75e-9, 62e-12, 0.0), (1.32e-9, 44e-12, 180e-12)
"""Seconds that one multiprocessor takes for an output of torch's own depthwise kernel, for each element of its window
and each row of it: of square windows of 1, 3 and 5, which it knows beforehand, and of any others. Of 594 and 714 calls
on an H200 the medians are 4 and 12 % off.
"""

DIRECT_SMS_S = 500e-12
"""Seconds that one multiprocessor takes for a multiplication of cuDNN's direct kernel: an H200 does 0.2 to 0.3 trillion
of them a second, in half precision and in single.
"""


def _depthwise_s(d: Dims, size: int, sms: int) -> Array:
    known = (d["r"] == d["s"]) & np.isin(d["s"], (1, 3, 5))
    an_output, an_element, a_row = (np.where(known, *both) for both in zip(UNROLLED_SMS_S, ANY_SMS_S, strict=True))
    output_s = an_output + an_element * d["r"] * d["s"] + a_row * d["r"]
    direct_s = DIRECT_SMS_S * d["r"] * d["s"] * is_direct(d)
    output_s = np.where(of_library(d, size), direct_s, output_s)
    return np.asarray(_conv_pixels(d) * d["c_out"] * output_s / sms)


def of_channels_in_turn(d: Dims, size: int) -> tuple[NDArray[np.bool_], Mapping[str, Dims]]:
    """Convolutions that are a kernel for each channel, and the bias that torch adds behind. size: of an element."""
    return is_by_groups(d, size), {"conv_in_turn": {**d, "bias": 0 * d["bias"]}, "pointwise": _bias_added(d, size)}


def _in_turn_s(d: Dims, size: int, sms: int) -> Array:
    """Kernels that a few thread blocks compute, one after another."""
    return np.asarray(d["groups"] * (GROUP_START_S + GROUP_ROW_S * d["r"] + GROUP_PIXEL_S * _conv_pixels(d)))


CHANNEL_IN_TURN_S, CHANNEL_PIXELS = 3.5e-6, 128
"""Seconds of cuDNN's kernel for one channel of a depthwise convolution that its kernels for all channels cannot do
(``implicit_convolve_sgemm``), under ONNX Runtime, and pixels of one of its thread blocks. Fitted, as the price of a
formula, to what an H200 takes: 512 kernels of 4.4 and 4.2 us, windows of 3 x 3, of 1,024 pixels and of 16,384; in a
CUDA graph 0.7 and 4.0, as eight blocks leave room for other channels and 128 do not.
"""


def _channels_in_turn_s(d: Dims, sms: int) -> Array:
    """Kernels of one channel, one after another."""
    return np.asarray(d["groups"] * CHANNEL_IN_TURN_S)


def is_beyond_image(d: Mapping[str, float]) -> bool:
    """Whether the elements of a window lie as far from each other as its image is long, so that one of them sees it:
    the widest windows of DeepLab's pyramid. cuDNN's kernels that take all channels at once do not do that.
    """
    return d["h"] > 1 and d["w"] > 1 and d["dilation"] >= min(d["h"], d["w"])


STEM = "ort_conv_stem"
"""Convolutions by cuDNN's kernel for first layers (``image_first_layer``), under ONNX Runtime."""

STEM_LAUNCHES, STEM_START_S, STEM_PIXEL_S = 6, 1.6e-5, 4.28e-8
"""Its launches, with those that turn the image, the weights and the result and clear what is padded; what they take at
the beginning, and a multiprocessor for an output pixel. Fitted, as the price of a formula, to what an H200 takes, 4 %
off: 41 us of 50,176 pixels, 45 of 65,536, 95 of 200,704, 186 of 401,408, 436 of 1,048,576.
"""

STEM_PIXELS = 20_000
"""Output pixels of all images from which it is chosen: of 12,544 it is not, of 50,176 it is; where between is a
judgement.
"""


def is_stem(d: Mapping[str, float], dtype: str) -> bool:
    """Whether ONNX Runtime runs a convolution by that kernel: the stem of a ResNet, in half precision."""
    sizes = tuple(d[name] for name in ("c_in", "c_out", "r", "s", "stride_h", "stride_w", "pad_h", "pad_w", "dilation"))
    pixels = d["batch"] * math.ceil(d["h"] / 2) * math.ceil(d["w"] / 2)
    return dtype == "fp16" and sizes == (3, 64, 7, 7, 2, 2, 3, 3, 1) and pixels >= STEM_PIXELS


def _stem_s(d: Dims, size: int, sms: int) -> Array:
    return np.asarray(STEM_PIXEL_S * _conv_pixels(d) / sms)


VOLUME_START_S, VOLUME_SMS_S = 2.2e-6, 1.92e-8
"""Seconds of cuDNN's kernel for one channel of a transposed convolution of volumes (``dgrad_alg1_nd_float_engine``),
and more that a multiprocessor takes for each pixel that it makes: a tile of 128 channels is computed for one. Fitted,
as the price of a formula, to kernels of an H200 in half precision: 6,144 pixels take 3.9 us, 3,145,728 take 575.
"""


def _volumes_in_turn_s(d: Dims, size: int, sms: int) -> Array:
    """Kernels of one channel of all volumes, one after another."""
    return np.asarray(d["groups"] * VOLUME_SMS_S * d["batch"] * d["out_h"] * d["out_w"] / sms)


ADDED_BIAS_S = 5.0e-10
"""Seconds that one multiprocessor takes for an element to which cuDNN adds a bias, by a kernel of its own behind the
convolution (op_generic_tensor_kernel), which divides for its channel: 250 to 270 billion in a second on an H200 and an
H100, in half precision as in single.
"""

ROW_WISE_S, ROW_WISE_ELEMENT_S, SEQUENCE_ELEMENT_S, ROW_WISE_STEP_S = 5.3e-10, 8.8e-11, 1.85e-10, 1.1e-7
"""Seconds that one multiprocessor takes for an output of cuDNN's direct kernel where channels are apart in memory
(conv2d_grouped_direct_kernel), for each element of its window, and for one of a window over a sequence; what a thread
takes for an element. Measured in sessions of ONNX Runtime on an H200: 142 calls, windows of 3 to 7 by as many and of 3
to 31, in fp16 as in TF32.
"""

TILED_S, TILED_ELEMENT_S, TILED_STRIDE, PACKED_S = 1.3e-10, 3.4e-11, 1.3, 5.5e-10
"""The same of its kernels for square windows of 1, 3, 5 and 7 in half precision (conv2d_c1_k1_nchw_shmem_tiling: an
output and an element, and how many times longer in steps of two), and of one for 3 x 3 step by step in single precision
(hw_packed). 158 calls.
"""


def _session_depthwise_s(d: Dims, size: int, sms: int) -> Array:
    """Seconds of depthwise convolutions for whose algorithms ONNX Runtime asks cuDNN, beside their traffic."""
    square = np.equal(d["r"], d["s"]) & np.isin(d["r"], (1, 3, 5, 7)) & np.equal(d["dilation"], 1) & (d["h"] > 1)
    steps = np.equal(d["stride_h"], d["stride_w"]) & np.less_equal(d["stride_w"], 2)
    element_s = np.where(d["h"] > 1, ROW_WISE_ELEMENT_S, SEQUENCE_ELEMENT_S)
    direct_s = ROW_WISE_S + element_s * d["r"] * d["s"]
    tiled_s = (TILED_S + TILED_ELEMENT_S * d["r"] * d["s"]) * np.where(d["stride_w"] > 1, TILED_STRIDE, 1.0)
    packed = square & np.equal(d["r"], 3) & np.equal(d["stride_w"], 1) & np.equal(d["stride_h"], 1)
    outputs = _conv_pixels(d) * d["c_out"] / sms
    direct_s = np.maximum(outputs * direct_s, ROW_WISE_STEP_S * d["r"] * d["s"])
    if size == 2:
        return np.where(square & steps, outputs * tiled_s, direct_s)
    return np.where(packed, outputs * PACKED_S, direct_s)


def _bias_s(d: Dims, sms: int) -> Array:
    return np.asarray(ADDED_BIAS_S * d["bias"] * _conv_pixels(d) * d["c_out"] / sms)


@dataclass(frozen=True, slots=True)
class _Work:
    """Sizes of a kind of convolution: pixels that a window is at, elements of a window, pixels that are read and
    written, and the share of those read that windows touch.
    """

    windows: Callable[[Dims], Array]
    window: Callable[[Dims], Array]
    read: Callable[[Dims], Array]
    written: Callable[[Dims], Array]
    touched: Callable[[Dims], Array]

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

    def traffic(self, d: Dims, size: int) -> Array:
        """The same of the part of the image that windows touch."""
        return self.nbytes(d, size) - size * self.read(d) * d["c_in"] * (1 - self.touched(d))

    def features(self, d: Dims, size: int, sms: int) -> list[Array]:
        """The same columns for every kind, so that one can stand in for another."""
        pixels, window = self.read(d) / d["batch"], self.window(d)
        m, n, k = self.windows(d), d["c_out"] / d["groups"], d["c_in"] / d["groups"] * window
        logs = [log(x) for x in (m, n, k, d["groups"], d["c_in"], d["c_out"], d["batch"], pixels, d["w"])]
        shape = [window, d["s"], d["stride_w"], d["dilation"], d["pad_w"] * 2 / d["s"]]
        flags = [(d["h"] == 1).astype(float), d["bias"], d["channels_last"]]
        flags += [aligned(d["c_in"] / d["groups"]), aligned(n), aligned(d["w"])]
        copies = [log(self.read(d) * d["c_in"]), log(self.written(d) * d["c_out"])]
        ways = [of_library(d, size).astype(float), is_direct(d).astype(float)]
        steps = (d["stride_w"] == 1) & (d["stride_h"] == 1)
        ways += [aligned(d["h"] * d["w"]), aligned(d["batch"]), ((window == 1) & steps).astype(float)]
        ways += [(size_of % 64 == 0).astype(float) for size_of in (d["c_in"], d["c_out"])]
        return [*logs, *shape, *flags, *copies, *ways, *tiles(m, n, np.ones_like(m), sms)]


def _strides(d: Dims) -> Array:
    """Share of the image that windows touch."""
    return np.minimum(d["r"] / d["stride_h"], 1.0) * np.minimum(d["s"] / d["stride_w"], 1.0)


def _image(d: Dims) -> Array:
    return d["batch"] * d["h"] * d["w"]


def _volume(d: Dims) -> Array:
    return d["batch"] * d["depth"] * d["h"] * d["w"]


def _volume_strides(d: Dims) -> Array:
    return _strides(d) * np.minimum(d["t"] / d["stride_d"], 1.0)


_PLAIN = _Work(_conv_pixels, lambda d: d["r"] * d["s"], _image, _conv_pixels, _strides)
_VOLUMES = _Work(_volume_pixels, lambda d: d["t"] * d["r"] * d["s"], _volume, _volume_pixels, _volume_strides)
_TRANSPOSED = _Work(
    _image, lambda d: d["r"] * d["s"], _image, lambda d: d["batch"] * d["out_h"] * d["out_w"], lambda d: np.ones(1)
)


WINOGRAD_GAIN = 2.25
"""How many times fewer multiplications a 3x3 convolution takes by Winograd's algorithm, whose outputs are computed two
by two: 16 instead of 36 (Lavin and Gray, CVPR 2016, section 4.1).
"""

WINOGRAD_CHANNELS, WINOGRAD_INPUTS, WINOGRAD_PIXELS = 128, 64, 512
"""Output channels, input channels and output pixels of all images from which cuDNN takes Winograd's algorithm. Its
kernels (``winograd_128x128_ldg1_ldg4_tile148n``) multiply tiles of 128 channels by 128 squares of four pixels: half of
the channels would leave nothing of the gain, and few inputs leave little to multiply beside the transforms. On a 1080
Ti and a 2080 Ti convolutions of 16 to 64 channels gain nothing (NAS-Bench-201 at batch 256).
"""


def is_winograd(d: Dims) -> Array:
    """Whether convolutions are such as cuDNN computes by Winograd's algorithm in single precision (Lavin and Gray, CVPR
    2016): three by three, step by step, of enough channels and pixels to fill its tiles.
    """
    same = [np.equal(d[name], size) for name, size in {"r": 3, "s": 3, "stride_h": 1, "stride_w": 1}.items()]
    single = [np.equal(d["dilation"], 1), np.equal(d["groups"], 1)]
    fills = [np.greater_equal(d["c_out"], WINOGRAD_CHANNELS), np.greater_equal(d["c_in"], WINOGRAD_INPUTS)]
    pixels = np.greater_equal(np.multiply(np.multiply(d["batch"], d["h"]), d["w"]), WINOGRAD_PIXELS)
    return np.asarray(np.logical_and.reduce([*same, *single, *fills, pixels]))


ALIGNED_PIXELS, MANY_IMAGES = 8, 16
"""Channels of which a convolution over single pixels has a multiple where it is a product in any case, and images from
which on it is not where it has none: some are, others cuDNN pads and turns first (tensorTransformGeneric, 17 to 22 us).
Of 94 on an H200 with fewer images all are products.
"""


def of_one_pixel(d: Dims, size: int) -> tuple[NDArray[np.bool_], Mapping[str, Dims]]:
    """Convolutions over a single pixel, as where channels are squeezed and excited: cuDNN runs kernels of cuBLAS there,
    the product of images and channels, and torch adds the bias by a kernel of its own, but where many images have
    channels that do not fit. size: of an element.
    """
    one = np.logical_and.reduce([np.equal(d[name], 1) for name in ("h", "w", "r", "s", "groups")])
    one = one & np.equal(_conv_pixels(d), d["batch"])
    fits = (d["c_in"] % ALIGNED_PIXELS == 0) & (d["c_out"] % ALIGNED_PIXELS == 0)
    one = one & (fits | (d["batch"] < MANY_IMAGES) | (size > 2))
    ones = np.ones_like(d["batch"])
    product = {"m": d["batch"], "n": d["c_out"], "k": d["c_in"], "batch": ones, "nt": ones, "bias": 0 * ones}
    return one, {"gemm": product, "pointwise": _bias_added(d, size)}


def _bias_added(d: Dims, size: int) -> Dims:
    """The kernel that adds a bias, of no elements where there is none."""
    elements = _conv_pixels(d) * d["c_out"]
    return {
        "elements": elements * d["bias"],
        "bytes_read": size * (elements + d["c_out"]) * d["bias"],
        "bytes_written": size * elements * d["bias"],
        "inputs": 2 * np.ones_like(elements),
    }


CORES_STEP_S, CORES_TILE, CORES_LAUNCHES = 9.4e-8, 128, 2
"""Seconds that a multiprocessor takes for each product of a sum in a tile of 128 pixels by 128 channels, where cuDNN
multiplies half precision without tensor cores (``precomputed_convolve_sgemm<128, 6, 7, ...>``); tile and launches, of
which the first computes where pixels are. Fitted, as the price of a formula, to what an H200 takes for nine shapes of 8
to 3,042 tiles, up to 15 % off: sums of 25,088 products in one wave take 2.9 ms.
"""

WIDE_RESULT, LARGE_WINDOW, FEW_INPUTS, EVEN_INPUTS, MUCH_WORK = 768, 49, 16, 4, 4e8
"""Channels of the result, elements of the window, channels of the image, what these are a multiple of, and FLOPs from
which on cuDNN's guess is that kernel, of images with channels apart that are not padded. So it was in all nine shapes
on an H200; with less work (four shapes of 51 to 385 million) or fewer channels tensor cores compute most of them.
"""


def is_without_tensor_cores(d: Dims, size: int) -> NDArray[np.bool_]:
    """Whether cuDNN computes convolutions in half precision by kernels that use no tensor cores."""
    window = d["r"] * d["s"]
    bare = np.logical_and.reduce([np.equal(d[name], 0) for name in ("pad_h", "pad_w", "channels_last")])
    plain = bare & np.equal(d["dilation"], 1) & np.equal(d["groups"], 1) & (d["h"] > 1) & (size == 2)
    inputs = (d["c_in"] >= FEW_INPUTS) & (d["c_in"] % EVEN_INPUTS == 0)
    large = (d["c_out"] >= WIDE_RESULT) & (window >= LARGE_WINDOW) & (_PLAIN.flops(d) >= MUCH_WORK)
    return np.asarray(plain & inputs & large)


def _cores_s(d: Dims, size: int, sms: int) -> Array:
    """Waves of tiles, each of which adds up its products one after another."""
    blocks = np.ceil(_conv_pixels(d) / CORES_TILE) * np.ceil(d["c_out"] / CORES_TILE)
    return np.asarray(np.ceil(blocks / sms) * d["c_in"] * d["r"] * d["s"] * CORES_STEP_S)


def is_product_of_pixels(d: Dims, size: int) -> NDArray[np.bool_]:
    """Whether convolutions are products of pixels and channels as they lie in memory, channels last in half precision:
    the longest kernel of 248 samples of an H200 is cuBLAS's in 209, the bias that is added in 30.
    """
    ones = [np.equal(d[name], 1) for name in ("r", "s", "stride_h", "stride_w", "groups", "channels_last")]
    fits = (d["c_in"] % ALIGNED_PIXELS == 0) & (d["c_out"] % ALIGNED_PIXELS == 0)
    bare = np.equal(d["pad_h"], 0) & np.equal(d["pad_w"], 0)
    return np.asarray(np.logical_and.reduce(ones) & bare & fits & (d["h"] > 1) & (size == 2))


BIAS_WORK = 60
"""Instructions of an element to which torch adds the bias of its channel where channels are last: its kernel finds the
place by a division. With it 134 products of pixels in three models on an H200 are 8 % off.
"""


def of_other_libraries_or_cores(d: Dims, size: int) -> tuple[NDArray[np.bool_], Mapping[str, Dims]]:
    """Convolutions of torch's calls that are products of cuBLAS, and those that no tensor core computes, with the bias
    that torch adds behind either. size: of an element.
    """
    one, products = of_one_pixel(d, size)
    cores, pixels = is_without_tensor_cores(d, size), is_product_of_pixels(d, size)
    product = {**products["gemm"], "m": np.where(one | pixels, _conv_pixels(d), 0.0)}
    on_cores = {**d, "batch": d["batch"] * cores, "bias": 0 * d["bias"]}
    bias = {**_bias_added(d, size), "contiguous": 1.0 - pixels, "work": BIAS_WORK * pixels}
    return one | cores | pixels, {"gemm": product, "conv_on_cores": on_cores, "pointwise": bias}


TOGETHER_S = {4: 1.9e-7, 8: 4.6e-7, 16: 5.1e-7, 32: 1.2e-6}
"""Channels of a group -> seconds that a multiprocessor takes for 128 pixels of it, where cuDNN convolves all groups by
one kernel (``implicit_gemm_*_nhwckrsc_nhwc``): windows of 3 x 3 in half precision, channels last. Measured on an H200.
"""

TOGETHER_PIXELS, TOGETHER_START_S, LEAST_TOGETHER = 128, 2.4e-6, 128
"""Pixels of a thread block, what the kernel takes beside, and channels of all groups from which on it is chosen, as it
was in all 43 samples of an H200.
"""


def of_groups_together(d: Dims, size: int) -> tuple[NDArray[np.bool_], Mapping[str, Dims]]:
    """Convolutions whose groups one kernel computes, and the bias that torch adds behind it. size: of an element."""
    windows = np.logical_and.reduce([np.equal(d[name], n) for name, n in (("r", 3), ("s", 3), ("dilation", 1))])
    channels = np.isin(d["c_in"] / d["groups"], tuple(TOGETHER_S)) & np.equal(d["c_in"], d["c_out"])
    last = (d["channels_last"] == 1) & (d["h"] > 1) & (d["c_in"] >= LEAST_TOGETHER) & (size == 2)
    return windows & channels & last, {"conv_together": {**d, "bias": 0 * d["bias"]}, "pointwise": _bias_added(d, size)}


def _together_s(d: Dims, size: int, sms: int) -> Array:
    """Thread blocks of so many pixels of a group, which the multiprocessors share."""
    channels = d["c_in"] / d["groups"]
    block_s = np.select([channels <= of for of in TOGETHER_S], list(TOGETHER_S.values()), TOGETHER_S[32])
    return np.asarray(_conv_pixels(d) / TOGETHER_PIXELS * d["groups"] * block_s / sms)


SLICED_CHANNELS, OF_A_GROUP = 16, 3
"""Channels of a group whose convolution by single pixels cuDNN runs group by group where they lie last in half
precision, and kernels of a group: its channels are cut out of the image, its weights too (``nhwcSliceCKernel``), then
comes the product.
"""


def _launches(d: Dims, size: int, voted: Array) -> Array:
    """Launches of grouped convolutions. voted: by the calls that a fit has seen."""
    by_pixels = np.logical_and.reduce([np.equal(d[name], 1) for name in ("r", "s", "stride_h", "stride_w")])
    channels = np.equal(d["c_in"], SLICED_CHANNELS * d["groups"]) & np.equal(d["c_out"], d["c_in"])
    sliced = by_pixels & channels & (d["channels_last"] == 1) & (d["h"] > 1) & (size == 2)
    return np.where(sliced, OF_A_GROUP * d["groups"] + d["bias"], voted)


def _uneven(d: Dims) -> Iterator[tuple[NDArray[np.bool_], str]]:
    yield d["c_in"] % d["groups"] != 0, "c_in of {c_in} is not divided by groups of {groups}"
    yield d["c_out"] % d["groups"] != 0, "c_out of {c_out} is not divided by groups of {groups}"


def _impossible(d: Dims) -> Iterator[tuple[NDArray[np.bool_], str]]:
    """Windows that do not fit into their image."""
    yield from _uneven(d)
    yield (
        (conv_out(d["h"], d["r"], d["stride_h"], d["pad_h"], d["dilation"]) < 1),
        "a window of r={r}, dilation {dilation}, is higher than its image of h={h}, pad_h={pad_h}",
    )
    yield (
        (conv_out(d["w"], d["s"], d["stride_w"], d["pad_w"], d["dilation"]) < 1),
        "a window of s={s}, dilation {dilation}, is wider than its image of w={w}, pad_w={pad_w}",
    )


def _depthwise_impossible(d: Dims) -> Iterator[tuple[NDArray[np.bool_], str]]:
    yield d["groups"] != d["c_in"], "it has as many groups as c_in={c_in}, not {groups}: say groups={c_in}"
    yield from _impossible(d)


def _volume_impossible(d: Dims) -> Iterator[tuple[NDArray[np.bool_], str]]:
    yield from _impossible(d)
    yield (
        (conv_out(d["depth"], d["t"], d["stride_d"], d["pad_d"], d["dilation"]) < 1),
        "a window of t={t}, dilation {dilation}, is deeper than its image of depth={depth}, pad_d={pad_d}",
    )


def _transposed_impossible(d: Dims) -> Iterator[tuple[NDArray[np.bool_], str]]:
    """Outputs that are not those of the image (torch.nn.ConvTranspose2d, the formula of its shape section)."""
    yield from _uneven(d)
    for size, window, side in (("h", "r", "h"), ("w", "s", "w")):
        stride, dilation = d[f"stride_{side}"], d["dilation"]
        least = (d[size] - 1) * stride - 2 * d[f"pad_{side}"] + dilation * (d[window] - 1) + 1
        out, further = d[f"out_{side}"], np.maximum(stride, dilation)
        why = f"out_{side}={{out_{side}}} is not what {size}={{{size}}}, {window}={{{window}}} and its stride give"
        yield (out < least) | (out >= least + further), why


_DIMS: dict[str, float | None] = {
    **{"batch": None, "c_in": None, "c_out": None, "h": None, "w": None, "r": None, "s": None},
    **{"stride_h": 1, "stride_w": 1, "pad_h": 0, "pad_w": 0, "dilation": 1, "groups": 1, "bias": 0},
    "channels_last": 0,
}
_SIZES = ("batch", "c_in", "c_out", "h", "w")
_NAMES = (
    r"conv|fprop|dgrad|cudnn|DSE|fft|complex|cask|winograd|gemm|cutlass|nvjet|[nN]hwc|Memset|CUDAFunctor(OnSelf)?_add"
    r"|scal_kernel"
)
"""What a convolution may consist of, the bias added behind it included."""


LONG = "ort_conv_long"
"""Depthwise windows of more than ``LONG_WINDOW`` over sequences, as ONNX Runtime runs them."""

LONG_WINDOW = 24
"""Beyond it cuDNN runs half of them channel by channel, some sixty times as long as the rest, by a choice that is the
same in each session but follows nothing that we know. Measured on an H100 (calibrations/h100/onnx_files): of windows of
17 none of 36, of 31 to 65 half of 300.
"""


RUNS_AS = {
    Variant.USUAL: of_other_libraries_or_cores,
    Variant.GROUPED: of_groups_together,
    Variant.DEPTHWISE: of_channels_in_turn,
}
"""Kind of convolution -> which of its calls of torch are kernels of another family."""


def _families() -> Iterator[Family]:
    kinds = {"conv": Variant.USUAL, "conv_grouped": Variant.GROUPED, "conv_depthwise": Variant.DEPTHWISE}
    for name, variant in kinds.items():
        for measured_in in (MeasuredIn.CALLS, MeasuredIn.SESSIONS):
            in_session = measured_in is MeasuredIn.SESSIONS
            depthwise_s = _session_depthwise_s if in_session else _depthwise_s
            issue_s = depthwise_s if variant is Variant.DEPTHWISE else None
            yield Family(
                name=f"ort_{name}" if in_session else name,
                dims=_DIMS,
                flops=_PLAIN.flops,
                nbytes=_PLAIN.nbytes,
                traffic=_PLAIN.traffic,
                issue_s=issue_s,
                latency_s=_bias_s if in_session and variant is Variant.DEPTHWISE else None,
                features=_PLAIN.features,
                later=_by_groups if variant is Variant.DEPTHWISE and not in_session else None,
                blocks=_PLAIN.blocks,
                sizes=_SIZES,
                profiler_names=_NAMES,
                regimes=(*_SIZES, "channels_last"),
                grow=grow_batch,
                matrix=True,
                same_in_tf32=variant is Variant.DEPTHWISE,
                tf32_by_default=True,
                has_winograd=variant is Variant.USUAL,
                converts_layouts=variant is Variant.USUAL,
                changes_abruptly=True,
                may_run_by_groups=variant is Variant.DEPTHWISE and in_session,
                groups_run_at_once=variant is not Variant.USUAL,
                variant=variant,
                impossible=_depthwise_impossible if variant is Variant.DEPTHWISE else _impossible,
                measured_in=measured_in,
                stand_in=name if in_session else "",
                most_kernels=192,
                runs_as=RUNS_AS[variant] if not in_session else of_one_pixel if variant is Variant.USUAL else None,
                launches=_launches if variant is Variant.GROUPED and not in_session else None,
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


_of_formula = partial(
    _other,
    dims=_DIMS,
    flops=_PLAIN.flops,
    nbytes=_PLAIN.nbytes,
    traffic=_PLAIN.traffic,
    features=_PLAIN.features,
    blocks=_PLAIN.blocks,
    sizes=_SIZES,
    regimes=(*_SIZES, "channels_last"),
    measured_in=MeasuredIn.NOWHERE,
    closed_form=True,
    changes_abruptly=False,
)
"""Convolutions that a formula prices, which families with fits find by ``runs_as``."""

_in_turn = partial(_of_formula, launches=lambda d, size, voted: d["groups"], groups_run_at_once=True)
"""Of them those of a kernel for each channel."""


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
            impossible=_transposed_impossible,
            regimes=(*_SIZES, "channels_last"),
            measured_in=measured_in,
            stand_in="conv_transposed" if in_session else "conv",
        )


def _with_long(families: Iterable[Family]) -> Iterator[Family]:
    """Families, and that of long windows behind depthwise ones of sessions, which stand in for it."""
    for family in families:
        yield family
        if family.variant is Variant.DEPTHWISE and family.measured_in is MeasuredIn.SESSIONS:
            yield replace(family, name=LONG, stand_in=family.name)


ROWS = (
    *_with_long(_families()),
    _of_formula(
        name="conv_together",
        issue_s=_together_s,
        latency_s=lambda d, sms: np.full_like(d["batch"], TOGETHER_START_S),
        impossible=_impossible,
    ),
    _of_formula(
        name="conv_on_cores",
        issue_s=_cores_s,
        impossible=_impossible,
        launches=lambda d, size, voted: np.full_like(d["batch"], CORES_LAUNCHES),
    ),
    _in_turn(name="conv_in_turn", issue_s=_in_turn_s, impossible=_depthwise_impossible),
    _in_turn(
        name="ort_conv_in_turn",
        variant=Variant.DEPTHWISE,
        latency_s=_channels_in_turn_s,
        group_blocks=lambda d: np.ceil(_conv_pixels(d) / CHANNEL_PIXELS),
        impossible=_depthwise_impossible,
    ),
    _of_formula(
        name=STEM,
        issue_s=_stem_s,
        latency_s=lambda d, sms: np.full_like(d["batch"], STEM_START_S),
        impossible=_impossible,
        launches=lambda d, size, voted: np.full_like(d["batch"], STEM_LAUNCHES),
    ),
    _in_turn(
        name="conv_transposed_in_turn",
        dims={**_DIMS, "out_h": None, "out_w": None},
        flops=_TRANSPOSED.flops,
        nbytes=_TRANSPOSED.nbytes,
        traffic=None,
        features=_TRANSPOSED.features,
        issue_s=_volumes_in_turn_s,
        latency_s=lambda d, sms: VOLUME_START_S * d["groups"],
        blocks=_TRANSPOSED.blocks,
        sizes=(*_SIZES, "out_h", "out_w"),
        impossible=_transposed_impossible,
    ),
    _other(
        name="conv3d",
        stand_in="conv",
        dims={**_DIMS, "depth": None, "t": None, "stride_d": 1, "pad_d": 0},
        flops=_VOLUMES.flops,
        nbytes=_VOLUMES.nbytes,
        traffic=_VOLUMES.traffic,
        features=_VOLUMES.features,
        blocks=_VOLUMES.blocks,
        sizes=(*_SIZES, "depth"),
        impossible=_volume_impossible,
        regimes=(*_SIZES, "depth", "channels_last"),
    ),
    *_transposed(),
)
