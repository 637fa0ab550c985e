"""What nodes of ONNX Runtime took on an H200 and an H100: in models' profiles (calibrations/h200/battery), and alone
(calibrations/h200/onnx_files, calibrations/h100/onnx_files); microseconds of all kernels of a node.
"""

from __future__ import annotations

import math
from typing import Any

import pytest

from predictor.calibration.load import load_calibration
from predictor.ops import onnx_form
from predictor.pricing.kernels import price_kernels
from predictor.records import Kernel, OpCall, TensorSpec


def spec(*shape: int, dtype: str = "fp16") -> TensorSpec:
    return TensorSpec(shape, dtype, tuple(math.prod(shape[i + 1 :]) for i in range(len(shape))))


def kernels(op: str, inputs: list[TensorSpec], output: TensorSpec, **attributes: Any) -> list[Kernel]:
    form = onnx_form(op)
    args = {f"input{i}": tensor for i, tensor in enumerate(inputs)}
    return list(form.lower(OpCall(op, {**args, **attributes}, (output,), form.trait)))


def microseconds(gpu: str, found: list[Kernel]) -> float:
    calibration = load_calibration(gpu)
    return 1e6 * sum(float(price_kernels(calibration, k.family, k.dtype, k.dims).seconds[0]) for k in found)


COUNT = spec(1, dtype="int64")


@pytest.mark.parametrize(
    ("gpu", "shape", "kept", "dtype", "launches", "measured"),
    [
        ("h100", (64, 8), 2, "fp16", 1, 3.4),
        ("h100", (1024, 256), 5, "fp16", 1, 23.3),
        ("h100", (512, 512), 1, "fp32", 1, 52.1),
        ("h200", (2048, 54), 54, "fp16", 1, 20.7),
        ("h200", (1, 8000), 100, "fp16", 1, 32.8),
        ("h200", (8192, 512), 20, "fp16", 1, 398),
        ("h200", (1280, 16384), 100, "fp16", 1, 232),
        ("h200", (2560, 768), 768, "int64", 1, 825),
        ("h200", (80, 16384), 100, "fp16", 3, 51.9 + 7.3 + 1.2),
        ("h200", (16, 72280), 100, "fp16", 3, 43.5 + 11.9 + 1.2),
        ("h100", (1, 48960), 100, "fp16", 3, 34),
        ("h100", (4, 48960), 100, "fp16", 3, 34),
        ("h100", (16, 48960), 100, "fp16", 3, 45),
        ("h100", (32, 48960), 100, "fp16", 3, 72),
    ],
)
def test_the_best_few_take_as_long_as_measured(
    gpu: str, shape: tuple[int, int], kept: int, dtype: str, launches: int, measured: float
) -> None:
    found = kernels("TopK", [spec(*shape, dtype=dtype), COUNT], spec(shape[0], kept, dtype=dtype), axis=-1)
    assert len(found) == launches
    assert microseconds(gpu, found) == pytest.approx(measured, rel=0.15)


@pytest.mark.parametrize(
    ("gpu", "shape", "axis", "dtype", "measured"),
    [
        ("h100", (2, 49, 384), 2, "fp16", 8.8),
        ("h100", (1, 49, 4096), 1, "fp32", 4.1),
        ("h100", (2, 512, 1536), 2, "fp16", 308),
        ("h100", (32, 197, 1536), 2, "fp32", 1544),
        ("h200", (1590, 3072), 0, "fp32", 1590),
        ("h200", (54, 3072), 0, "fp32", 3.7),
        ("h200", (1, 65024), 1, "fp32", 1169),
        ("h200", (16, 65024), 1, "fp32", 7621),
        ("h200", (16, 160), 1, "int64", 1.8),
    ],
)
def test_sums_along_an_axis_take_as_long_as_measured(
    gpu: str, shape: tuple[int, ...], axis: int, dtype: str, measured: float
) -> None:
    x = spec(*shape, dtype=dtype)
    found = kernels("CumSum", [x, COUNT], x, axis=axis)
    assert microseconds(gpu, found) == pytest.approx(measured, rel=0.15, abs=0.6)


def test_a_row_that_is_sorted_whole_takes_as_long_as_measured() -> None:
    """Of 65,024 numbers, all kept: 14 kernels, 50.4 us."""
    x = spec(1, 65_024, dtype="fp32")
    found = kernels("TopK", [x, COUNT], x, axis=-1)
    assert microseconds("h200", found) == pytest.approx(50.4, rel=0.15)


@pytest.mark.parametrize(
    ("gpu", "shape", "out", "axis", "launches", "measured"),
    [
        ("h200", (1024, 32, 32), (1024, 32), -1, 1, 3.4),
        ("h200", (1, 49152), (1,), -1, 1, 3.1),
        ("h200", (1, 199, 50304), (1, 199), -1, 1, 13.0),
        ("h200", (16, 199, 50304), (16, 199), -1, 1, 127),
        ("h100", (1, 128, 3072), (1, 3072), 1, 6, 18.1),
        ("h200", (16, 150, 512, 512), (16, 512, 512), 1, 6, 4337),
    ],
    ids=["a thread a row", "one long row", "long rows", "many long rows", "columns", "classes of pixels"],
)
def test_places_of_the_largest_take_as_long_as_measured(
    gpu: str, shape: tuple[int, ...], out: tuple[int, ...], axis: int, launches: int, measured: float
) -> None:
    found = kernels("ArgMax", [spec(*shape)], spec(*out, dtype="int64"), axis=axis)
    assert len(found) == launches
    assert microseconds(gpu, found) == pytest.approx(measured, rel=0.2)


@pytest.mark.parametrize(
    ("data", "added", "dtype", "measured"),
    [
        ((16384, 128), 65536, "fp32", 100.5),
        ((64, 64), 768, "fp32", 4.4),
        ((8192, 4), 65536, "fp16", 70),
        ((43328, 1), 168896, "fp16", 15.0),
        ((9216, 3), 156672, "fp16", 154),
        ((576, 128), 9792, "fp16", 34),
        ((9216, 128), 156672, "fp16", 340),
        ((11200, 112), 67200, "fp16", 90),
        ((2708, 200), 173312, "fp16", 528),
        ((43328, 200), 2772992, "fp16", 8398),
    ],
)
def test_rows_that_are_added_to_places_take_as_long_as_measured(
    data: tuple[int, int], added: int, dtype: str, measured: float
) -> None:
    """In half precision without the copy of the data, which models leave out where nothing else reads it."""
    rows, places = spec(added, data[1], dtype=dtype), spec(added, data[1], dtype="int64")
    copy, sums = kernels(
        "ScatterElements", [spec(*data, dtype=dtype), places, rows], spec(*data, dtype=dtype), axis=0, reduction="add"
    )
    assert microseconds("h200", [copy, sums] if dtype == "fp32" else [sums]) == pytest.approx(measured, rel=0.2)


@pytest.mark.parametrize(
    ("op", "shape", "window", "measured"),
    [
        ("MaxPool", (16, 512, 56, 56), (3, 3), 301.6),
        ("AveragePool", (2, 512, 56, 56), (5, 5), 69.9),
        ("AveragePool", (2, 64, 4, 112, 112), (5, 5, 5), 246),
        ("MaxPool", (2, 512, 4, 64, 64), (5, 5, 5), 1147),
    ],
)
def test_pools_take_as_long_as_measured(
    op: str, shape: tuple[int, ...], window: tuple[int, ...], measured: float
) -> None:
    found = kernels(op, [spec(*shape)], spec(*shape), kernel_shape=window)
    assert microseconds("h200", found) == pytest.approx(measured, rel=0.1)


def test_a_pools_window_sees_no_more_than_its_image() -> None:
    (pool,) = kernels("AveragePool", [spec(8, 1280, 7, 5)], spec(8, 1280, 1, 1), kernel_shape=(1280, 1280))
    assert pool.dims["window"] == 35


@pytest.mark.parametrize(
    ("gpu", "shape", "out", "mode", "measured"),
    [
        ("h100", (64, 256, 32, 32), (64, 256, 128, 128), "nearest", 809),
        ("h200", (16, 150, 128, 128), (16, 150, 512, 512), "linear", 2729),
        ("h100", (1, 256, 64, 64), (1, 256, 256, 256), "cubic", 137),
    ],
)
def test_images_of_another_size_take_as_long_as_measured(
    gpu: str, shape: tuple[int, ...], out: tuple[int, ...], mode: str, measured: float
) -> None:
    found = kernels("Resize", [spec(*shape), spec(4, dtype="int64")], spec(*out), mode=mode)
    assert len(found) == 2  # where rows and columns come from, then the image
    assert microseconds(gpu, found) == pytest.approx(measured, rel=0.1)


def test_an_image_of_the_same_size_is_copied() -> None:
    (copy,) = kernels("Resize", [spec(16, 256, 8, 8), spec(4, dtype="int64")], spec(16, 256, 8, 8), mode="linear")
    assert (copy.family, copy.dims["contiguous"]) == ("ort", 1)


@pytest.mark.parametrize(
    ("shape", "places", "mode", "measured"),
    [((64, 16, 80, 80), (96, 96), "linear", 159), ((512, 32, 20, 20), (32, 32), "cubic", 729)],
)
def test_images_that_are_sampled_take_as_long_as_measured(
    shape: tuple[int, ...], places: tuple[int, int], mode: str, measured: float
) -> None:
    images, channels = shape[:2]
    x, grid = spec(*shape, dtype="fp32"), spec(images, *places, 2, dtype="fp32")
    found = kernels("GridSample", [x, grid], spec(images, channels, *places, dtype="fp32"), mode=mode)
    assert microseconds("h200", found) == pytest.approx(measured, rel=0.15)


@pytest.mark.parametrize(
    ("shape", "window", "out", "measured"),
    [
        ((1, 256, 64, 64, 64), (3, 3, 3), (64, 64, 64), 3231),
        ((4, 192, 64, 16, 16), (1, 1, 1), (32, 8, 8), 29.2),
        ((2, 64, 2, 14, 14), (5, 5, 5), (1, 7, 7), 17.0),
    ],
)
def test_depthwise_volumes_are_a_kernel_and_a_bias(
    shape: tuple[int, ...], window: tuple[int, ...], out: tuple[int, ...], measured: float
) -> None:
    width = shape[1]
    found = kernels(
        "Conv", [spec(*shape), spec(width, 1, *window), spec(width)], spec(shape[0], width, *out), group=width
    )
    assert len(found) == 2
    assert microseconds("h200", found) == pytest.approx(measured, rel=0.15)


def test_a_volumes_window_of_one_element_is_a_product() -> None:
    x, w, out = spec(2, 32, 4, 8, 8), spec(64, 32, 1, 1, 1), spec(2, 64, 4, 8, 8)
    (product,) = kernels("Conv", [x, w], out)
    assert (product.family, product.dims["m"], product.dims["n"], product.dims["k"]) == ("gemm", 512, 64, 32)


@pytest.mark.parametrize(
    ("shape", "window", "dilation", "measured"),
    [((16, 448, 32, 32), 9, 1, 378), ((1, 40, 28, 28), 5, 2, 4.6), ((1, 40, 28, 28), 5, 1, 2.8)],
    ids=["a large window", "a dilated one", "a square of five"],
)
def test_channels_convolved_alone_take_as_long_as_measured(
    shape: tuple[int, ...], window: int, dilation: int, measured: float
) -> None:
    width, pad = shape[1], dilation * (window // 2)
    more = {"group": width, "dilations": (dilation, dilation), "pads": (pad,) * 4}
    found = kernels("Conv", [spec(*shape), spec(width, 1, window, window)], spec(*shape), **more)
    assert microseconds("h200", found) == pytest.approx(measured, rel=0.35)


@pytest.mark.parametrize(
    ("matrix", "vectors", "measured"),
    [((32, 429), 8192, 68.6), ((429, 32), 8192, 156), ((429, 32), 512, 12.6), ((32, 429), 512, 7.1)],
)
def test_batches_of_vectors_take_as_long_as_measured(matrix: tuple[int, int], vectors: int, measured: float) -> None:
    rows, k = matrix
    *addresses, products = kernels("MatMul", [spec(rows, k), spec(vectors, k, 1)], spec(vectors, rows, 1))
    assert [copy.dims["bytes"] for copy in addresses] == [8 * vectors] * 3
    assert microseconds("h200", [products]) == pytest.approx(measured, rel=0.2)
