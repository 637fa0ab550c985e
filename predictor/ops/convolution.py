"""Convolutions."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

from predictor.ops import node_macs, ort
from predictor.ops.arguments import pair, tensor
from predictor.ops.elementary import copy_of, in_order, product
from predictor.ops.row import LOOP, RARE, SPELLED_OTHERWISE, OnnxForm, Operator
from predictor.ops.windows import is_channels_last
from predictor.records import Kernel, OpCall, TensorSpec, Trait, Variant


def conv(call: OpCall) -> tuple[Kernel, ...]:
    """A convolution; a window that is expanded, one for all channels, is copied first."""
    w = tensor(call, "weight")
    is_expanded = any(n > 1 and not s for n, s in zip(w.shape, w.stride, strict=True))
    return (*(copy_of(w) if is_expanded else ()), *convolved(call))


def convolved(call: OpCall) -> tuple[Kernel, ...]:
    """A kernel of a family by what is convolved and how its channels are grouped, behind a copy of images that lie
    neither in order nor with their channels last as torch sees it: parts of others, and views of a single sequence
    (``input.contiguous`` in aten/src/ATen/native/Convolution.cpp). One over a sequence has an image of height one; its
    copy of channels that are last is part of the kernel.
    """
    x, w = tensor(call, "input", "self"), tensor(call, "weight")
    spatial = len(w.shape) - 2
    transposed = bool(call.args.get("transposed"))
    if spatial not in (1, 2, 3):
        return as_product(call, x, w)
    unbatched = len(x.shape) == spatial + 1
    shape = (1, *x.shape) if unbatched else x.shape
    stride, dilation = pair(call.args.get("stride", 1), spatial), pair(call.args.get("dilation", 1), spatial)
    padding = call.args.get("padding", 0)
    if isinstance(padding, str):
        same = padding == "same"
        pads = tuple((k - 1) * d / 2 if same else 0.0 for k, d in zip(w.shape[2:], dilation, strict=True))
    else:
        pads = pair(padding, spatial)
    flat = spatial == 1
    groups = float(call.args.get("groups", 1))
    dims = {
        "batch": shape[0],
        "c_in": shape[1],
        "c_out": w.shape[1] * groups if transposed else w.shape[0],
        "h": 1 if flat else shape[-2],
        "w": shape[-1],
        "r": 1 if flat else w.shape[-2],
        "s": w.shape[-1],
        "stride_h": 1 if flat else stride[-2],
        "stride_w": stride[-1],
        "pad_h": 0 if flat else pads[-2],
        "pad_w": pads[-1],
        "dilation": dilation[-1],
        "groups": groups,
        "bias": float(isinstance(call.args.get("bias"), TensorSpec)),
        "channels_last": float(not x.is_contiguous and x.stride[-spatial - 1] == 1),
    }
    is_last = is_channels_last(_batched(x, unbatched)) if spatial > 1 else bool(dims["channels_last"])
    if not x.is_contiguous and not is_last:
        copied = TensorSpec(x.shape, x.dtype, in_order(x.shape))
        args = {name: copied if value is x else value for name, value in call.args.items()}
        return (*copy_of(x, copied), *convolved(replace(call, args=args)))
    if transposed and groups == 1 and spatial < 3 and is_of_pixels(dims):
        return (Kernel("conv", x.dtype, dims),)
    if transposed:
        out = call.outputs[0].shape
        dims |= {"out_h": 1 if flat else out[-2], "out_w": out[-1]}
        if spatial == 3:
            dims |= images_above_each_other(shape, w.shape, out, stride, dilation)
            if groups == dims["c_in"] > 1 and not is_of_columns(w):
                return (Kernel("conv_transposed_in_turn", x.dtype, {**dims, "bias": 0}), *bias_added(call))
        return (Kernel("conv_transposed", x.dtype, dims),)
    if spatial == 3:
        volume = {"depth": shape[2], "t": w.shape[2], "stride_d": stride[0], "pad_d": pads[0]}
        if groups == 1 and is_of_pixels(dims) and (w.shape[2], stride[0], pads[0]) == (1, 1, 0):
            return (Kernel("conv", x.dtype, {**dims, "h": shape[2] * shape[-2]}),)  # images above each other
        return (Kernel("conv3d", x.dtype, {**dims, **volume}),)
    if dims["h"] == 1 and not flat and dims["channels_last"] and is_of_pixels(dims):
        dims |= {"h": dims["w"], "w": 1}  # as it lies in memory: a sequence of channels last is copied, this is not
    family = "conv" if groups == 1 else "conv_depthwise" if groups == dims["c_in"] else "conv_grouped"
    return (Kernel(family, x.dtype, dims),)


def _batched(x: TensorSpec, unbatched: bool) -> TensorSpec:
    """Images with their batch, which torch puts before a single one as a view."""
    return replace(x, shape=(1, *x.shape), stride=(x.shape[0] * x.stride[0], *x.stride)) if unbatched else x


def is_of_pixels(dims: dict[str, float]) -> bool:
    """Whether each pixel makes one, as where a window has one and goes step by step."""
    return all(dims[name] == 1 for name in ("r", "s", "stride_h", "stride_w")) and not (dims["pad_h"] or dims["pad_w"])


def is_of_columns(w: TensorSpec) -> bool:
    """Whether windows of volumes are columns of an image, which cuDNN spreads by its kernel for images, all channels at
    once; channels of other windows it spreads one after another.
    """
    depth, _, width = w.shape[2:]
    return depth == width == 1


def bias_added(call: OpCall) -> tuple[Kernel, ...]:
    """The kernel by which torch adds a bias behind a convolution, none where there is none."""
    bias, out = call.args.get("bias"), call.outputs[0]
    if not isinstance(bias, TensorSpec):
        return ()
    dims = {"elements": out.elements, "bytes_read": out.nbytes + bias.nbytes, "bytes_written": out.nbytes, "inputs": 2}
    return (Kernel("pointwise", out.dtype, dims),)


def images_above_each_other(
    x: tuple[int, ...], w: tuple[int, ...], out: tuple[int, ...], stride: tuple[float, ...], dilation: tuple[float, ...]
) -> dict[str, float]:
    """Height of a transposed convolution of volumes as one of images: as many pixels and products, the result as high
    as such an image can become.
    """
    height, window, step = x[2] * x[3], w[2] * w[3], stride[0] * stride[1]
    least = (height - 1) * step + dilation[-1] * (window - 1) + 1
    out_height = min(out[-3] * out[-2], least + max(step, dilation[-1]) - 1)
    return {
        **{"h": height, "r": window, "stride_h": step},
        **{"out_h": out_height, "pad_h": max(least - out_height, 0) / 2},
    }


def as_product(call: OpCall, x: TensorSpec, w: TensorSpec) -> tuple[Kernel, ...]:
    """A convolution of more than three dimensions as a matrix product: no sweep covers its kernels."""
    transposed = bool(call.args.get("transposed"))
    pixels = (x if transposed else call.outputs[0]).elements
    groups = int(call.args.get("groups", 1))
    c_out, window = w.shape[0], math.prod(w.shape[1:])
    m = pixels // max(x.shape[1] if transposed else c_out, 1)
    return product(
        x.dtype, m, window if transposed else c_out // groups, c_out // groups if transposed else window, groups
    )


def conv_macs(call: OpCall) -> int:
    """Every pixel of the result, of a transposed one every pixel of the image, by the window of its group."""
    weight = tensor(call, "weight")
    pixels = tensor(call, "input", "self") if call.args.get("transposed") else call.outputs[0]
    return pixels.elements * math.prod(weight.shape[1:])


ROWS = (
    Operator(
        ("conv2d",),
        Trait.CONV,
        conv,
        conv_macs,
        onnx=(OnnxForm(("Conv", "FusedConv"), ort.conv, Trait.CONV, node_macs.conv_macs),),
        example=lambda o: partial(o.torch.conv2d, o.image, o.window, None, 1, 1),
        variants={
            Variant.DEPTHWISE: lambda o: partial(
                o.torch.conv2d, o.image, o.depthwise_window, None, 1, 1, 1, o.image.shape[1]
            ),
            Variant.GROUPED: lambda o: partial(o.torch.conv2d, o.image, o.grouped_window, None, 1, 1, 1, 4),
        },
    ),
    Operator(
        ("conv1d",),
        Trait.CONV,
        conv,
        conv_macs,
        example=lambda o: partial(o.torch.conv1d, o.sequence, o.window_1d, o.vector, 1, 1),
        variants={
            Variant.DEPTHWISE: lambda o: partial(
                o.torch.conv1d, o.sequence, o.depthwise_window_1d, o.vector, 1, 1, 1, o.width
            ),
            Variant.GROUPED: lambda o: partial(o.torch.conv1d, o.sequence, o.grouped_window_1d, o.vector, 1, 0, 1, 4),
        },
    ),
    Operator(("conv3d",), Trait.CONV, conv, conv_macs, untimed=RARE),
    Operator(("convolution", "_convolution"), Trait.CONV, conv, conv_macs, untimed=SPELLED_OTHERWISE),
    Operator(("_convolution_mode",), Trait.COMPOSITE, macs=conv_macs, fused_by=LOOP, untimed=SPELLED_OTHERWISE),
    Operator(
        ("conv_transpose2d",),
        Trait.COMPOSITE,
        onnx=(OnnxForm(("ConvTranspose",), ort.transposed_conv, Trait.CONV, node_macs.transposed_conv_macs),),
        fused_by=LOOP,
        example=lambda o: partial(o.torch.conv_transpose2d, o.image, o.window, None, 2),
    ),
)
