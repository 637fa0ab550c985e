"""Channels-last memory in a capture is where it is in a pass."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from predictor.capture.recorder import capture
from predictor.graph.files import GraphSet
from predictor.records import TODAY, CaptureOptions, Graph
from predictor.runtimes.eager.lowering import lower

LAST = CaptureOptions(channels_last=True)
IMAGE = torch.rand(2, 8, 12, 12)


def net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 1), nn.MaxPool2d(2)
    ).eval()


def captured(module: nn.Module, *inputs: Tensor, options: CaptureOptions = LAST) -> Graph:
    return capture(module, inputs, "fp32", options=options)


def test_every_activation_has_the_strides_that_a_pass_gives_it() -> None:
    module = net()
    strides: list[tuple[int, ...]] = []
    for layer in module:
        layer.register_forward_hook(lambda _, __, output: strides.append(output.stride()))
    with torch.no_grad():
        module.to(memory_format=torch.channels_last)(IMAGE.to(memory_format=torch.channels_last))
    assert [call.outputs[0].stride for call in captured(net(), IMAGE).calls] == strides


def test_a_convolution_is_priced_as_channels_last_and_nothing_is_copied() -> None:
    graph = captured(net(), IMAGE)
    assert [call.op for call in graph.calls] == ["conv2d", "batch_norm", "relu", "conv2d", "max_pool2d"]
    kernels = [kernel for call in lower(graph, TODAY).calls for kernel in call.kernels if kernel.family == "conv"]
    assert [kernel.dims["channels_last"] for kernel in kernels] == [1.0, 1.0]
    plain = [k for call in lower(captured(net(), IMAGE, options=CaptureOptions()), TODAY).calls for k in call.kernels]
    assert [kernel.dims["channels_last"] for kernel in plain if kernel.family == "conv"] == [0.0, 0.0]


def test_three_spatial_dimensions_are_channels_last_too() -> None:
    graph = captured(nn.Conv3d(4, 8, 3), torch.rand(2, 4, 6, 6, 6))
    weight = graph.calls[-1].tensors[1]
    assert (weight.stride[1], graph.calls[-1].outputs[0].stride[1]) == (1, 1)


@pytest.mark.parametrize("last", ["weights", "input"])
def test_where_one_of_a_pair_is_channels_last_the_other_is_copied(last: str) -> None:
    """As cuDNN does; what it writes is channels-last."""
    module: Any = nn.Conv2d(8, 16, 3)
    image = IMAGE.to(memory_format=torch.channels_last) if last == "input" else IMAGE
    module = module.to(memory_format=torch.channels_last) if last == "weights" else module
    calls = captured(module, image, options=CaptureOptions()).calls
    assert [call.op for call in calls] == ["contiguous", "conv2d"]
    assert calls[0].outputs[0].shape == (IMAGE if last == "weights" else module.weight).shape
    assert calls[-1].outputs[0].stride[1] == 1


def test_weights_of_one_pixel_are_in_both_formats_and_are_not_copied() -> None:
    calls = captured(nn.Conv2d(8, 16, 1), IMAGE.to(memory_format=torch.channels_last), options=CaptureOptions()).calls
    assert [call.op for call in calls] == ["conv2d"]


def test_the_user_s_module_and_inputs_keep_their_layout() -> None:
    module, image = net(), IMAGE.clone()
    captured(module, image)
    assert module[0].weight.is_contiguous()
    assert image.is_contiguous()


def test_a_graph_of_contiguous_tensors_is_as_before() -> None:
    graph = captured(net(), IMAGE, options=CaptureOptions())
    assert all(call.outputs[0].is_contiguous for call in graph.calls)
    assert GraphSet("net").notes == CaptureOptions().notes == ()


def test_a_norm_of_a_single_image_lies_in_order_again() -> None:
    """A view of a single sequence has another stride than an image, a norm of it has an image's: a convolution after
    that finds its channels last (DaViT on an H200).
    """

    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.conv = nn.LayerNorm(8), nn.Conv2d(8, 4, 2, 2)

        def forward(self, x: Tensor) -> Tensor:
            image = x.transpose(1, 2).view(1, 8, 4, 4).permute(0, 2, 3, 1)
            normed = self.norm(image).permute(0, 3, 1, 2)
            self.seen = image.stride(), normed.stride()
            out: Tensor = self.conv(normed)
            return out

    module, x = Normed().eval(), torch.rand(1, 16, 8)
    module(x)
    on_cpu = module.seen
    graph = captured(module, x, options=CaptureOptions())
    (norm,) = [call for call in graph.calls if call.op == "layer_norm"]
    assert norm.tensors[0].stride == on_cpu[0] == (8, 32, 8, 1)
    assert norm.outputs[0].stride == (128, 32, 8, 1)
    assert on_cpu[1] == (128, 1, 32, 8)
    (conv,) = [kernel for call in lower(graph, TODAY).calls for kernel in call.kernels if kernel.family == "conv"]
    assert conv.dims["channels_last"] == 1
