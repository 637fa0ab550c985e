"""Results of operators that torch has no rule for on the meta device, against torch's own on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from predictor.capture.device_paths import SHAPES
from predictor.runtimes.eager import lowering as eager
from tests.helpers import of

aten = torch.ops.aten
X, SCALES, ZEROS = torch.rand(6, 8), torch.rand(6), torch.zeros(6, dtype=torch.int32)


@pytest.mark.parametrize(
    ("operator", "inputs"),
    [
        (aten.fake_quantize_per_tensor_affine_cachemask, (X, 0.1, 0, 0, 255)),
        (aten.fake_quantize_per_channel_affine_cachemask, (X, SCALES, ZEROS, 0, 0, 255)),
        (aten.geqrf, (torch.rand(3, 6, 4),)),
        (partial(aten.linalg_lstsq, driver="gels"), (torch.rand(2, 6, 4), torch.rand(2, 6, 3))),
        (partial(aten.linalg_lstsq, driver="gels"), (torch.rand(4, 4), torch.rand(4, 3))),
        (aten._ctc_loss, (torch.rand(20, 2, 9), torch.ones(2, 5, dtype=torch.int64), (20, 20), (5, 5))),
    ],
)
def test_shapes_are_those_of_torch(operator: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    given = [value.to("meta") if isinstance(value, torch.Tensor) else value for value in inputs]
    name = getattr(operator, "func", operator).__name__
    made, real = SHAPES[name](*given), operator(*inputs)
    assert [(a.shape, a.dtype) for a in made] == [(b.shape, b.dtype) for b in real]
    assert made[0].stride() == real[0].stride()


@pytest.mark.parametrize(
    ("function", "measured_s"),
    [
        (lambda x, s, z: torch.fake_quantize_per_tensor_affine(x, 0.05, 0, -128, 127), 8.2e-6),
        (lambda x, s, z: torch.fake_quantize_per_channel_affine(x, s, z, 0, -128, 127), 9.3e-6),
    ],
)
def test_weights_rounded_to_whole_numbers(function: Callable[..., Any], measured_s: float, h200: Any) -> None:
    """Measured on an H200: 4096 x 1024 by one scale, 512 x 2048 by channel (two kernels)."""
    rows, cols = (4096, 1024) if measured_s < 9e-6 else (512, 2048)
    graph = of(function, torch.empty(rows, cols), torch.empty(rows), torch.zeros(rows, dtype=torch.int32))
    kernels = [kernel for call in eager.lower(graph).calls for kernel in call.kernels]
    assert {kernel.family for kernel in kernels} == {"pointwise"}
    seconds = sum(h200.kernel_seconds(k.family, k.dtype, **k.dims) for k in kernels)
    assert seconds == pytest.approx(measured_s, rel=0.3)


@pytest.mark.parametrize("function", [lambda x: x.max(0), lambda x: x.sort(0), lambda x: x.median(0)])
def test_places_within_one_number(function: Callable[..., Any]) -> None:
    assert of(lambda x: function(x.sum())[0], X).calls


def test_a_norm_of_one_dimension_or_of_six_is_counted_like_any_other() -> None:
    """fvcore's own handle takes two to five dimensions."""
    for shape in ((8,), (2, 2, 2, 2, 2, 8)):
        weight, elements = torch.ones(8), torch.Size(shape).numel()
        (call,) = of(lambda x, w: F.layer_norm(x, (8,), w), torch.rand(shape), weight).calls
        assert call.macs == 5 * elements


@pytest.mark.parametrize("q", [0.5, torch.tensor([0.1, 0.9])])
@pytest.mark.parametrize("function", [torch.quantile, torch.nanquantile])
def test_a_quantile_is_captured_whatever_says_it(function: Callable[..., Any], q: Any) -> None:
    """Torch makes a tensor of a number, and compares its device with the other's, within one operator."""
    asked = q if isinstance(q, float) else q.tolist()
    graph = of(lambda x: function(x, asked if isinstance(asked, float) else x.new_tensor(asked), dim=1), X)
    assert any("quantile" in call.op for call in graph.calls)
