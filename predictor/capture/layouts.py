"""Channels-last memory: of the copies that a pass runs with, and of what a convolution makes of a mixed pair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch._prims_common import suggest_memory_format

from predictor.capture.shapes import row_major

FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}
"""Dimensions of a tensor -> its channels-last format."""

CONVOLUTIONS = frozenset({"conv2d", "conv3d", "conv_transpose2d", "conv_transpose3d", "convolution", "_convolution"})


def channels_last_copy(stand_in: Callable[[torch.Tensor], torch.Tensor], tensor: torch.Tensor) -> torch.Tensor:
    """A tensor's stand-in; floating-point ones of four or five dimensions with their channels last in memory."""
    copied = stand_in(tensor)
    wanted = FORMATS.get(copied.dim()) if copied.is_floating_point() else None
    return copied if wanted is None else copied.to(memory_format=wanted)


def wanted_by(name: str, args: tuple[Any, ...]) -> torch.memory_format | None:
    """The format that cuDNN copies the input or the weights of a convolution to first, where one of them is
    channels-last and the other is not (aten/src/ATen/native/ConvUtils.h, ``cudnn_conv_suggest_memory_format``). None
    for other calls.
    """
    wanted = _format_of(name, args)
    return None if wanted is None or all(t.is_contiguous(memory_format=wanted) for t in args[:2]) else wanted


def result_of(name: str, args: tuple[Any, ...], result: Any) -> Any:
    """The result of an operator in the layout that it has on a GPU: of a convolution that of its input or weights,
    which torch's function for the meta device forgets; of a layer norm in order, where that keeps the stride of a
    single image, by which torch sees whether its channels are last (aten/src/ATen/native/layer_norm.cpp).
    """
    if name == "layer_norm" and isinstance(result, torch.Tensor) and 1 in result.shape and result.is_contiguous():
        return result if result.stride() == row_major(result.shape) else result.new_empty(result.shape)
    wanted = _format_of(name, args)
    return result if wanted is None else result.contiguous(memory_format=wanted)


def _format_of(name: str, args: tuple[Any, ...]) -> torch.memory_format | None:
    if name not in CONVOLUTIONS or len(args) < 2:
        return None
    wanted = FORMATS.get(args[0].dim())
    return wanted if wanted is not None and wanted in map(suggest_memory_format, args[:2]) else None
