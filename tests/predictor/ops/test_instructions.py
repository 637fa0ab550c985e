"""Lane cycles of elements, and the dimensions that a kernel finds its places in."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from predictor.capture.recorder import capture
from predictor.ops.instructions import CAST_CYCLES, CYCLES, LINE_CYCLES, OFFSET_CYCLES, OFFSET_OF_DIM_CYCLES
from predictor.records import Kernel
from predictor.runtimes.eager import lowering as eager
from tests.helpers import Function


def kernel(function: Any, *inputs: torch.Tensor) -> Kernel:
    """The only one of a call."""
    calls = eager.lower(capture(Function(function), inputs, "fp16")).calls
    (found,) = (kernel for call in calls for kernel in call.kernels)
    return found


IMAGES, ROWS = torch.rand(16, 256, 56, 56), torch.rand(64, 128)


@pytest.mark.parametrize(
    ("tensors", "dims"),
    [
        ((torch.rand(64, 1), torch.rand(1, 128)), 2),
        ((torch.rand(8, 64, 1), torch.rand(8, 1, 128)), 3),
        ((IMAGES, torch.rand(256, 1, 1)), 3),
        ((IMAGES, torch.rand(16, 256, 1, 1)), 2),
        ((ROWS, torch.rand(128)), 2),
        ((ROWS, torch.rand(64, 300)[:, :256:2]), 2),
        ((torch.rand(2, 64, 128), torch.rand(2, 64, 128)[:, :, :64].repeat(1, 1, 2)), 0),
    ],
)
def test_dimensions_that_lie_behind_each_other_everywhere_are_one(tensors: Any, dims: int) -> None:
    work = next(k for k in _kernels(torch.add, *tensors) if k.family == "pointwise").dims["work"]
    assert work == (OFFSET_CYCLES + 3 * dims * OFFSET_OF_DIM_CYCLES if dims else 0)


def test_a_transposed_tensor_is_read_line_by_line() -> None:
    """Each thread of a warp reads a line of its own, which takes more than finding places does."""
    (kernel,) = _kernels(torch.add, ROWS, torch.rand(128, 64).t())
    assert kernel.dims["work"] > OFFSET_CYCLES + 6 * OFFSET_OF_DIM_CYCLES
    assert kernel.dims["work"] <= 32 * LINE_CYCLES


def _kernels(function: Any, *inputs: torch.Tensor) -> list[Kernel]:
    return [k for call in eager.lower(capture(Function(function), inputs, "fp16")).calls for k in call.kernels]


def test_functions_casts_and_powers() -> None:
    assert kernel(torch.lgamma, ROWS).dims["work"] == CYCLES["lgamma"]
    assert kernel(torch.relu, ROWS).dims["work"] == 0
    assert kernel(lambda x: x**2, ROWS).dims["work"] == 0
    assert kernel(lambda x: x**1.7, ROWS).dims["work"] == CYCLES["pow"]
    assert kernel(lambda x: x.to(torch.int8), ROWS).dims["work"] == CAST_CYCLES
    assert kernel(torch.randn_like, ROWS).dims["work"] == 73
    assert "work" not in kernel(torch.zeros_like, ROWS).dims
