"""Pooling and interpolation of images and sequences."""

from __future__ import annotations

import math
from functools import partial

from predictor.kernels.family import WARP
from predictor.ops import ort
from predictor.ops.arguments import pair, tensor
from predictor.ops.elementary import copy_of, fill_of, product, reduction_of
from predictor.ops.row import LOOP, NO_FUSER, RARE, SPELLED_OTHERWISE, OnnxForm, Operator, always_calls
from predictor.records import Kernel, OpCall, TensorSpec, Trait


def is_channels_last(x: TensorSpec) -> bool:
    """Whether the channels of images (batch, channels, ...) are neighbours in memory, as strides say it to torch
    (``is_channels_last_strides_2d`` in c10/core/MemoryFormat.h): also of one-pixel images, and not of a batch of one
    whose stride is not that of a whole image.
    """
    if len(x.shape) <= 3 or x.shape[1] == 1 or x.stride[1] != 1:
        return False
    least = 0
    for dim in (1, *range(len(x.shape) - 1, 1, -1), 0):
        size, stride = x.shape[dim], x.stride[dim]
        if not size or stride < least or (dim == 0 and least == x.stride[1]):
            return False
        least = stride * size if size > 1 else stride
    return True


ROWS_OF_BLOCK = 8
"""Rows of a plane that a block pools of a volume (aten/src/ATen/native/cuda/AveragePool3d.cu)."""


def pool(call: OpCall, *, spatial: int = 2, maximum: bool = False, adaptive: bool = False) -> tuple[Kernel, ...]:
    """The mean or the largest of a window for every output. spatial: dimensions of the window; adaptive: the size of
    the result says the windows.
    """
    x, out = tensor(call, "self"), call.outputs[0]
    window = max(x.elements / max(out.elements, 1), 1.0)
    if "kernel_size" in call.args:  # a window larger than the image sees the image
        kernel = pair(call.args["kernel_size"], spatial)
        window = math.prod(min(k, n) for k, n in zip(kernel, x.shape[-spatial:], strict=True))
    dims = {
        "elements": out.elements,
        "bytes_read": x.nbytes,
        "bytes_written": out.nbytes,
        "window": window,
        "maximum": float(maximum),
        "channels_last": float(is_channels_last(x)),
        "adaptive": float(adaptive),
        "volume": float(spatial == 3),
    }
    if adaptive or spatial == 3:
        width = out.shape[-1]
        columns = math.ceil(width / WARP)
        dims["warps"] = out.elements // max(width, 1) * columns
        if not adaptive:  # a block has rows of one plane alone
            planes = out.elements // max(width * out.shape[-2], 1)
            dims["blocks"] = planes * columns * math.ceil(out.shape[-2] / ROWS_OF_BLOCK)
    return (Kernel("pool", x.dtype, dims),)


def adaptive_pool(call: OpCall, *, spatial: int = 2, maximum: bool = False) -> tuple[Kernel, ...]:
    """A pool; a mean of all pixels is a reduction, their maximum is not."""
    x, out = tensor(call, "self"), call.outputs[0]
    if maximum or math.prod(out.shape[-spatial:]) != 1:
        return pool(call, spatial=spatial, maximum=maximum, adaptive=True)
    return reduction_of(x, out.elements, range(-spatial, 0))


BICUBIC = 16
"""Pixels that each output of a bicubic interpolation is made of."""

FEWEST_CHANNELS = 16
"""From which torch interpolates images with channels last by a kernel of its own, as its profiles show."""


def interpolate(call: OpCall, *, taps: int, antialiased: bool = False, sampled: bool = False) -> tuple[Kernel, ...]:
    """One kernel. taps: inputs that each output is made of, more where an antialiased image shrinks; sampled: at places
    that a tensor says.
    """
    x, out = tensor(call, "self", "input"), call.outputs[0]
    if not out.elements:
        return ()
    if taps == 4 and not (antialiased or sampled) and x.shape == out.shape:  # torch copies, of bilinear ones alone
        return copy_of(x, out)
    nearest = taps == 1
    if taps == BICUBIC and not (antialiased or sampled) and x.shape[2:] == out.shape[2:]:  # its kernel copies pixels
        taps = 1
    read = float(taps) * (max(x.elements / out.elements, 1.0) if antialiased else 1.0)
    dims = {"elements": out.elements, "bytes_read": x.nbytes, "bytes_written": out.nbytes, "taps": read}
    channels_last = is_channels_last(x)
    own_kernel = taps == 4 and channels_last and x.shape[1] >= FEWEST_CHANNELS
    if sampled:
        threads = out.elements // out.shape[1]
    elif antialiased or own_kernel or (nearest and len(out.shape) == 4):
        threads = out.elements
    else:
        threads = out.elements // out.shape[0] if nearest else math.prod(out.shape[2:])
    dims |= {"threads": threads, "pixel_stride": x.shape[1] if channels_last else 1}
    dims |= {"antialiased": float(antialiased), "sampled": float(sampled), "volume": float(len(out.shape) == 5)}
    return (Kernel("interpolate", x.dtype, dims),)


SAMPLED_TAPS = {"nearest": 1, "linear": 4, "bilinear": 4, "cubic": 16, "bicubic": 16}
"""Mode of ``grid_sample`` -> pixels of an image that each output is made of; of a volume twice as many, but the nearest
one.
"""


def sampled(call: OpCall) -> tuple[Kernel, ...]:
    """Pixels at the places that a tensor says, in one of three modes, by number or by name."""
    mode = call.args.get("interpolation_mode", 0)
    taps = SAMPLED_TAPS[mode] if isinstance(mode, str) else (4, 1, 16)[int(mode)]
    return interpolate(call, taps=2 * taps if taps > 1 and len(call.outputs[0].shape) == 5 else taps, sampled=True)


def affine_grid(call: OpCall) -> tuple[Kernel, ...]:
    """Where each pixel of a picture comes from: coordinates and ones side by side, and their product with a matrix."""
    theta, out = call.tensors[0], call.outputs[0]
    if not out.elements:
        return ()
    spatial = out.shape[-1]
    pixels = out.elements // out.shape[0] // spatial
    coordinate = TensorSpec((out.shape[0], pixels), out.dtype, (pixels, 1))
    lines = fill_of(TensorSpec((max(out.shape[1:-1]),), out.dtype, (1,))) * spatial
    written = copy_of(coordinate) * spatial + fill_of(coordinate)
    return (*lines, *written, *product(theta.dtype, pixels, spatial, spatial + 1, out.shape[0]))


def affine_grid_macs(call: OpCall) -> int:
    """Every coordinate is a sum over one more than there are."""
    out = call.outputs[0]
    return out.elements * (out.shape[-1] + 1)


_row = partial(Operator, trait=Trait.POOL, fused_by=LOOP)
CPU_THREADS = 16
"""Of the host whose passes ``OnnxForm.cpu_elements`` counts in, see ``pricing.program.CPU_ELEMENT_S``."""

FEW_POINTS = 64
"""Places of an image up to which one thread samples all of its channels (onnxruntime, grid_sample.cc)."""

SAMPLED = {"nearest": 50, "linear": 190, "bilinear": 190, "cubic": 290, "bicubic": 290}
"""Elements of a pass that all threads take as long for as one does for a place in a channel: RAFT's lookups in fp16
took 26 ns each on an H100's host; the other modes by the ratio of one thread's times.
"""

PLACED, READ = 135, 37
"""The same where places are found once for all channels, and of reading four neighbours there: 64 channels of 96 x 96
pixels took 410 us an image (calibrations/h100/onnx_files, normed_pixels), in one thread the two are as 3.7 to 1.
"""


def sampled_elements(call: OpCall) -> int:
    """Of sampling at places that a tensor says, on a CPU: image after image, a thread for each channel. With linear
    interpolation and zeros beyond the border places are found first (onnxruntime, grid_sample.cc).
    """
    images, channels, *sides = call.outputs[0].shape
    places, mode = math.prod(sides), str(call.args.get("mode", "linear"))
    each = math.ceil(channels / CPU_THREADS) if places > FEW_POINTS else channels
    linear, is_image = mode in ("linear", "bilinear"), len(sides) == 2
    zeros = call.args.get("padding_mode", "zeros") == "zeros" and not call.args.get("align_corners")
    if linear and is_image and zeros:
        return images * places * (PLACED + READ * each)
    return images * places * each * SAMPLED[mode] * (1 if is_image else 2)  # of a volume twice as many neighbours


_REDUCED = partial(ort.form, trait=Trait.REDUCTION, lower=ort.reduced)
_NEAREST, _LINEAR, _BILINEAR, _TRILINEAR, _BICUBIC = (partial(interpolate, taps=taps) for taps in (1, 2, 4, 8, 16))

_PLACED = always_calls(
    *("linspace", "mul", "select", "copy_") * 2, "select", "fill_", "view", "transpose", "bmm", "view"
)

ROWS = (
    _row(
        ("max_pool2d",),
        lower=partial(pool, maximum=True),
        onnx=ort.form("MaxPool", trait=Trait.POOL, lower=partial(ort.windowed, maximum=True)),
        example=lambda o: partial(o.torch.max_pool2d, o.image, 3, 2, 1),
    ),
    _row(("max_pool2d_with_indices",), lower=partial(pool, maximum=True), untimed=SPELLED_OTHERWISE),
    _row(("max_pool3d_with_indices",), lower=partial(pool, spatial=3, maximum=True), untimed=SPELLED_OTHERWISE),
    _row(("fractional_max_pool2d",), lower=partial(pool, maximum=True), untimed=RARE),
    _row(("fractional_max_pool3d",), lower=partial(pool, spatial=3, maximum=True), untimed=RARE),
    _row(("avg_pool3d",), lower=partial(pool, spatial=3), untimed=RARE),
    _row(("adaptive_avg_pool3d",), lower=partial(adaptive_pool, spatial=3), untimed=RARE),
    _row(
        ("_adaptive_avg_pool3d",), lower=partial(adaptive_pool, spatial=3), fused_by=NO_FUSER, untimed=SPELLED_OTHERWISE
    ),
    _row(("adaptive_max_pool3d",), lower=partial(adaptive_pool, spatial=3, maximum=True), untimed=RARE),
    _row(("max_pool1d",), lower=partial(pool, spatial=1, maximum=True), untimed=RARE),
    _row(
        ("avg_pool2d",),
        lower=pool,
        onnx=ort.form("AveragePool", trait=Trait.POOL, lower=ort.windowed),
        example=lambda o: partial(o.functional.avg_pool2d, o.image, 2),
    ),
    _row(("avg_pool1d",), lower=partial(pool, spatial=1), untimed=RARE),
    _row(
        ("adaptive_avg_pool2d",),
        lower=adaptive_pool,
        onnx=_REDUCED("GlobalAveragePool"),
        example=lambda o: partial(o.functional.adaptive_avg_pool2d, o.image, 1),
    ),
    _row(("_adaptive_avg_pool2d",), lower=adaptive_pool, untimed=SPELLED_OTHERWISE),
    _row(("adaptive_avg_pool1d",), lower=partial(adaptive_pool, spatial=1), untimed=RARE),
    _row(
        ("adaptive_max_pool2d",),
        lower=partial(adaptive_pool, maximum=True),
        onnx=_REDUCED("GlobalMaxPool"),
        untimed=RARE,
    ),
    _row(
        ("upsample_nearest2d",),
        lower=_NEAREST,
        onnx=ort.form("Resize", "Upsample", trait=Trait.POOL, lower=ort.resized),
        example=lambda o: partial(o.functional.interpolate, o.image, scale_factor=2),
    ),
    _row(
        ("upsample_nearest1d", "upsample_nearest3d", "_upsample_nearest_exact1d", "_upsample_nearest_exact2d"),
        lower=_NEAREST,
        untimed=RARE,
    ),
    _row(("upsample_linear1d",), lower=_LINEAR, untimed=RARE),
    _row(
        ("upsample_bilinear2d",),
        lower=_BILINEAR,
        example=lambda o: partial(o.functional.interpolate, o.image, scale_factor=2, mode="bilinear"),
    ),
    _row(("_upsample_bilinear2d_aa",), lower=partial(_BILINEAR, antialiased=True), fused_by=NO_FUSER, untimed=RARE),
    _row(("upsample_trilinear3d",), lower=_TRILINEAR, untimed=RARE),
    _row(("upsample_bicubic2d",), lower=_BICUBIC, untimed=RARE),
    _row(("_upsample_bicubic2d_aa",), lower=partial(_BICUBIC, antialiased=True), fused_by=NO_FUSER, untimed=RARE),
    _row(
        ("grid_sampler_2d",),
        lower=sampled,
        onnx=(OnnxForm(("GridSample",), ort.sampled, Trait.POOL, cpu_elements=sampled_elements),),
        untimed=RARE,
    ),
    _row(("grid_sampler_3d",), lower=sampled, fused_by=NO_FUSER, untimed=RARE),
    _row(("affine_grid_generator",), lower=affine_grid, macs=affine_grid_macs, calls=_PLACED, untimed=RARE),
)
