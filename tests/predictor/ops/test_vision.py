"""torchvision's operators: kernels and multiply-accumulates by hand, and what a capture assumes that is kept."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from predictor.capture.assumptions import keeps
from predictor.ops import OPS
from predictor.ops.windows import is_channels_last
from predictor.records import CaptureOptions, OpCall, TensorSpec, Trait
from tests.helpers import of

_LIBRARY = torch.library.Library("torchvision", "FRAGMENT")
if not hasattr(torch.ops.torchvision, "nms"):  # torchvision itself may be installed
    _LIBRARY.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def dense(*shape: int) -> TensorSpec:
    stride, step = [], 1
    for n in reversed(shape):
        stride.insert(0, step)
        step *= n
    return TensorSpec(shape, "fp16", tuple(stride))


def call(op: str, out: TensorSpec, **args: Any) -> OpCall:
    return OpCall(f"torchvision::{op}", args, (out,), OPS[f"torchvision::{op}"].trait)


def test_suppression_compares_every_pair_of_boxes_once_and_the_host_waits() -> None:
    kept = TensorSpec((100,), "int64", (1,))
    suppressed = call("nms", kept, dets=dense(100, 4), scores=dense(100), iou_threshold=0.5)
    kernels = OPS[suppressed.op].lower(suppressed)
    assert suppressed.trait is Trait.SYNC
    assert [k.family for k in kernels] == [
        *("sort", "gather", "pointwise", "fill", "scan", "reduce", "copy", "scan", "gather"),
    ]
    pairs = kernels[2].dims
    assert pairs["elements"] == 100 * 101 // 2
    assert pairs["bytes_written"] == 100 * 2 * 8  # 100 boxes are two words of 64


def test_a_region_is_four_pixels_a_sample() -> None:
    """Two samples a side where none are asked for: 16 pixels a bin."""
    out = dense(10, 256, 7, 7)
    x = dense(1, 256, 50, 50)
    (asked,) = OPS["torchvision::roi_align"].lower(call("roi_align", out, input=x, rois=dense(10, 5), sampling_ratio=3))
    (chosen,) = OPS["torchvision::roi_align"].lower(
        call("roi_align", out, input=x, rois=dense(10, 5), sampling_ratio=-1)
    )
    assert (asked.dims["taps"], chosen.dims["taps"]) == (36.0, 16.0)
    assert asked.dims["bytes_read"] == x.nbytes
    assert asked.dims["elements"] == 10 * 256 * 49


def test_a_moved_window_is_written_out_and_multiplied() -> None:
    x, weight, out = dense(2, 16, 8, 8), dense(32, 16, 3, 3), dense(2, 32, 8, 8)
    named = {"input": x, "weight": weight, "offset": dense(2, 18, 8, 8), "bias": dense(32)}
    moved = call("deform_conv2d", out, **named)
    row = OPS[moved.op]
    assert [k.family for k in row.lower(moved)] == ["fill", "fill", "interpolate", "gemm", "pointwise"]
    gemm = row.lower(moved)[3].dims
    assert (gemm["m"], gemm["n"], gemm["k"]) == (2 * 64, 32, 16 * 9)
    assert row.macs is not None
    assert row.macs(moved) == 2 * 64 * 32 * 16 * 9


def test_every_box_is_kept() -> None:
    def forward(boxes: Tensor, scores: Tensor) -> Tensor:
        kept = torch.ops.torchvision.nms(boxes, scores, 0.5)
        return boxes[kept] * 2

    graph = of(forward, torch.rand(20, 4), torch.rand(20))
    assert graph.calls[-1].outputs[0].shape == (20, 4)
    assert keeps(CaptureOptions()) in graph.assumptions


@pytest.mark.parametrize("shape", [(1, 8, 4, 4), (2, 8, 4, 4), (1, 8, 1, 1), (3, 8, 1, 1), (1, 1, 4, 4), (2, 8, 1, 4)])
@pytest.mark.parametrize("lies", ["contiguous", "channels_last", "tokens"])
def test_images_are_channels_last_where_torch_says_so(shape: tuple[int, ...], lies: str) -> None:
    """Held against the layout that torch gives to what it resizes. Tokens that become an image of a batch of one keep a
    stride that is no whole image's.
    """
    n, c, h, w = shape
    image = {
        "contiguous": torch.rand(shape),
        "channels_last": torch.rand(shape).contiguous(memory_format=torch.channels_last),
        "tokens": torch.rand(n, h * w, c).permute(0, 2, 1).reshape(shape),
    }[lies]
    resized = torch.nn.functional.interpolate(image, size=(6, 5), mode="bilinear")
    is_last = resized.stride() == (30 * c, 1, 5 * c, c) and c > 1
    assert is_channels_last(TensorSpec(shape, "fp32", image.stride())) == is_last
