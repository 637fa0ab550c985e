"""Kernels of reductions, scans, norms, pools and windows, by the rules of torch's CUDA sources."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from predictor.calibration.load import load_calibration
from predictor.pricing.kernels import price_kernels
from predictor.records import Kernel
from predictor.runtimes.eager import lowering as eager
from tests.helpers import of


def kernels(function: Callable[..., Any], *inputs: torch.Tensor) -> list[Kernel]:
    return [kernel for call in eager.lower(of(function, *inputs)).calls for kernel in call.kernels]


def only(function: Callable[..., Any], *inputs: torch.Tensor) -> dict[str, float]:
    (kernel,) = kernels(function, *inputs)
    return dict(kernel.dims)


STACK = torch.rand(4, 6, 8)


@pytest.mark.parametrize(
    ("axes", "inner", "beside", "whole"),
    [((2,), 1, 1, 1), ((1,), 0, 8, 1), ((0,), 0, 48, 1), ((0, 2), 1, 1, 0), ((0, 1), 0, 8, 1), ((0, 1, 2), 1, 1, 1)],
)
def test_how_a_reduction_lies_in_memory(axes: tuple[int, ...], inner: int, beside: int, whole: int) -> None:
    """Results that are neighbours are made by one thread; dimensions with another between them are not one."""
    dims = only(lambda x: x.sum(axes), STACK)
    assert (dims["inner"], dims["beside"], dims["whole"]) == (inner, beside, whole)
    assert dims["rows"] * dims["cols"] == 4 * 6 * 8


@pytest.mark.parametrize("dtype", [torch.bool, torch.int32, torch.uint8])
@pytest.mark.parametrize("function", [torch.sum, torch.prod, torch.cumsum, torch.cumprod])
def test_short_whole_numbers_are_cast_before_they_are_added_up(function: Any, dtype: torch.dtype) -> None:
    cast, added = kernels(lambda x: function(x, 1), torch.ones(8, 16, dtype=dtype))
    assert (cast.family, cast.dims["elements"]) == ("pointwise", 128)
    assert (added.family, added.dtype) == ("reduce" if function in (torch.sum, torch.prod) else "scan", "int64")


@pytest.mark.parametrize("function", [torch.sum, torch.cumsum, torch.amax, torch.cummax, torch.argmax])
def test_long_ones_and_what_is_only_compared_are_not(function: Any) -> None:
    assert len(kernels(lambda x: function(x, 1), torch.ones(8, 16, dtype=torch.int64))) == 1


@pytest.mark.parametrize(
    ("function", "compares", "heavy"),
    [
        (lambda x: x.sum(1), 0, 0),
        (lambda x: x.amin(1), 1, 0),
        (lambda x: x.argmax(1), 1, 0),
        (lambda x: (x > 0).any(1), 1, 0),
        (lambda x: x.std(1), 0, 1),
        (lambda x: torch.var_mean(x, 1), 0, 1),
        (lambda x: torch.linalg.vector_norm(x, 2, 1), 0, 0),
        (lambda x: torch.linalg.vector_norm(x, 3, 1), 0, 1),
        (lambda x: torch.linalg.vector_norm(x, float("inf"), 1), 1, 0),
    ],
)
def test_what_a_reduction_does_with_each_element(function: Any, compares: int, heavy: int) -> None:
    dims = kernels(function, torch.rand(8, 16))[-1].dims
    assert (dims.get("compares", 0), dims.get("heavy", 0)) == (compares, heavy)


def test_a_scan_goes_down_columns_of_any_dimension_but_the_last() -> None:
    assert only(lambda x: x.cumsum(2), STACK)["down"] == 0
    down = only(lambda x: x.cumsum(1), STACK)
    assert (down["down"], down["stride"], down["indexed"]) == (1, 8, 0)
    alone = only(lambda x: x.logcumsumexp(1), torch.rand(4, 6, 1))
    assert (alone["down"], alone["stride"], alone["heavy"]) == (1, 1, 1)
    assert only(lambda x: x.cummax(1), STACK)["indexed"] == 1


def test_what_a_norm_computes() -> None:
    """Statistics of the batch where none are given; no mean in an RMS norm."""
    image, channels = torch.rand(2, 4, 8, 8), torch.rand(4)
    assert only(lambda x: F.batch_norm(x, None, None, training=True), image)["of_batch"] == 2 * 8 * 8
    assert "of_batch" not in only(F.batch_norm, image, channels, channels)
    assert only(lambda x: F.instance_norm(x), image)["of_batch"] == 8 * 8
    assert only(lambda x: F.rms_norm(x, (8,)), image)["rms"] == 1
    assert "rms" not in only(lambda x: F.layer_norm(x, (8,)), image)


@pytest.mark.parametrize(("pixels", "microseconds"), [(2708, 27.1), (43328, 13.6)])
def test_statistics_of_channels_that_are_last(pixels: int, microseconds: float) -> None:
    """As profiled on an H200: one block of 16 channels takes longer than 85 of sixteen times as many pixels."""
    dims = only(lambda x: F.batch_norm(x, None, None, training=True), torch.rand(pixels, 16))
    assert (dims["of_batch"], dims["last"]) == (pixels, 1)
    priced = price_kernels(load_calibration("h200"), "batch_norm", "fp16", dims)
    assert float(priced.seconds[0]) == pytest.approx(microseconds * 1e-6, rel=0.3)
    assert not priced.extrapolated[0]


def test_a_group_norm_copies_images_whose_channels_are_last() -> None:
    norm, image = (lambda x: F.group_norm(x, 2)), torch.rand(2, 4, 8, 8)
    assert [kernel.family for kernel in kernels(norm, image)] == ["group_norm"]
    last = image.contiguous(memory_format=torch.channels_last)
    assert [kernel.family for kernel in kernels(norm, last)] == ["copy", "group_norm"]
    assert "flat" not in only(norm, image)
    assert only(norm, torch.rand(2, 4))["flat"] == 1


def test_a_logarithm_of_a_softmax_is_told_from_a_softmax() -> None:
    assert only(lambda x: x.softmax(1), STACK)["logarithm"] == 0
    assert only(lambda x: x.log_softmax(1), STACK)["logarithm"] == 1


def test_adaptive_pools() -> None:
    """A mean of all pixels is a reduction, their maximum is not; 33 pixels of a row take two warps."""
    image = torch.rand(2, 4, 66, 66)
    assert kernels(lambda x: F.adaptive_avg_pool2d(x, 1), image)[0].family == "reduce"
    (largest,) = kernels(lambda x: F.adaptive_max_pool2d(x, 1), image)
    assert (largest.family, largest.dims["warps"], largest.dims["window"]) == ("pool", 2 * 4, 66 * 66)
    assert only(lambda x: F.adaptive_avg_pool2d(x, (5, 33)), image)["warps"] == 2 * 4 * 5 * 2


@pytest.mark.parametrize(("mode", "taps"), [("nearest", 1), ("bilinear", 4), ("bicubic", 16)])
def test_pixels_at_given_places(mode: str, taps: int) -> None:
    image, grid = torch.rand(2, 4, 8, 8), torch.rand(2, 5, 5, 2)
    assert only(lambda x, g: F.grid_sample(x, g, mode=mode, align_corners=False), image, grid)["taps"] == taps


@pytest.mark.parametrize(("mode", "taps"), [("nearest", 1), ("bilinear", 8)])
def test_pixels_of_volumes_at_given_places(mode: str, taps: int) -> None:
    volume, grid = torch.rand(2, 4, 6, 6, 6), torch.rand(2, 5, 5, 5, 3)
    dims = only(lambda x, g: F.grid_sample(x, g, mode=mode, align_corners=False), volume, grid)
    assert (dims["taps"], dims["volume"]) == (taps, 1)


def test_windows_unrolled_and_folded() -> None:
    """A kernel for each image, a thread of which writes a whole window; one for all, a pixel the sum of its windows,
    of which it divides to find itself and each.
    """
    unrolled = kernels(lambda x: F.unfold(x, (3, 5)), torch.rand(2, 4, 8, 8))
    assert [kernel.dims["steps"] for kernel in unrolled] == [15, 15]
    assert only(lambda x: F.fold(x, 8, 4, stride=4), torch.rand(2, 3 * 16, 4))["divisions"] == 8 + 4


@pytest.mark.parametrize(
    ("shape", "reduction", "families"),
    [
        ((8, 4), "mean", ["gather"]),
        ((8, 4), "none", ["gather", "fill"]),
        ((2, 4, 3, 3), "mean", ["fill", "fill", "gather", "pointwise"]),
        ((2, 4, 3, 3), "sum", ["fill", "fill", "gather"]),
    ],
)
def test_losses_of_classes(shape: tuple[int, ...], reduction: str, families: list[str]) -> None:
    """As an H200 launched them: of rows one kernel, of pixels four."""
    classes = torch.zeros(shape[0], *shape[2:], dtype=torch.int64)
    found = kernels(lambda x, y: F.nll_loss(x, y, reduction=reduction), torch.rand(shape), classes)
    assert [kernel.family for kernel in found] == families


def test_distances_are_of_pairs() -> None:
    dims = only(lambda x, y: torch.cdist(x, y, p=1.0), torch.rand(5, 3), torch.rand(7, 3))
    assert (dims["paired"], dims["rows"], dims["cols"]) == (1, 35, 3)


@pytest.mark.parametrize(
    ("rows", "cols", "of_batch", "microseconds"),
    [
        (6_144_000, 32, 0, 461.8),
        (40_960, 31, 0, 16.6),
        (20_480, 501, 0, 21.9),
        (1_024, 53_568, 0, 117.4),
        (32, 393_216, 0, 312.6),
        (3_072, 1_536, 1_536, 38.1),
        (768, 1_152, 1_152, 13.2),
    ],
)
def test_a_batch_norm_takes_the_steps_of_its_blocks(rows: int, cols: int, of_batch: int, microseconds: float) -> None:
    """As an H200 ran them: pillars, sleep, long windows of it, images, volumes, standardised weights."""
    dims = {"rows": rows, "cols": cols, "of_batch": of_batch}
    seconds = price_kernels(load_calibration("h200"), "batch_norm", "fp16", dims).seconds
    assert float(seconds[0]) == pytest.approx(microseconds * 1e-6, rel=0.15)


@pytest.mark.parametrize(
    ("dtype", "rows", "cols", "stride", "microseconds"),
    [
        ("fp16", 3_072, 1_590, 3_072, 241.5),
        ("fp16", 1_024, 512, 64, 39.1),
        ("fp16", 6_592, 1_256, 1, 236.8),
        ("fp32", 16_272, 1_408, 1, 869.5),
    ],
)
def test_rows_are_sorted_in_passes_of_a_block(
    dtype: str, rows: int, cols: int, stride: int, microseconds: float
) -> None:
    """As an H200 ran them: features of trees down columns, a middle dimension, rows in order."""
    dims = {"rows": rows, "cols": cols, "k": 0, "stride": stride}
    seconds = price_kernels(load_calibration("h200"), "sort", dtype, dims).seconds
    assert float(seconds[0]) == pytest.approx(microseconds * 1e-6, rel=0.2)


def test_short_rows_are_sorted_where_they_lie() -> None:
    middle = torch.rand(4, 512, 64)
    assert [(k.family, k.dims.get("stride")) for k in kernels(lambda x: x.sort(1).values, middle)] == [("sort", 64)]
    assert [k.family for k in kernels(lambda x: x.topk(4, 1).values, middle)] == ["copy", "sort"]
    assert [k.family for k in kernels(lambda x: x.sort(0).values, torch.rand(5000, 4))] == ["copy", "sort"]


def test_a_matrix_by_a_vector_is_a_row_by_weights() -> None:
    found = only(torch.mv, torch.rand(64, 32), torch.rand(32))
    assert (found["m"], found["n"], found["k"], found["nt"]) == (1, 64, 32, 1)
