"""No kernel is faster than the card, whatever a fit says; a library call's host cost does not ripple with its shape."""

from __future__ import annotations

import numpy as np
import pytest

from predictor.calibration.files import known_gpus
from predictor.calibration.load import Calibration, load_calibration
from predictor.kernels.convolutions import WINOGRAD_GAIN, is_winograd
from predictor.kernels.families import FAMILIES, itemsize
from predictor.pricing.kernels import price_kernels, with_factor
from predictor.pricing.limits import units
from predictor.pricing.program import library_s

GPUS = [gpu for gpu in known_gpus() if gpu != "cpu"]

SHAPES = 60


def random_dims(family: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Kernels of a family from the smallest to those that exceed every cache."""
    row = FAMILIES[family]
    dims = {name: np.full(SHAPES, default) for name, default in row.dims.items() if default is not None}
    for name, default in row.dims.items():
        if default is None:
            dims[name] = np.exp2(rng.integers(0, 11, SHAPES)).astype(float)
    elements = np.exp2(rng.integers(0, 30, SHAPES)).astype(float)
    dims |= {n: elements * k for n, k in {"elements": 1, "bytes_read": 4, "bytes_written": 4}.items() if n in row.dims}
    if "r" in row.dims:
        dims |= {name: np.full(SHAPES, size) for name, size in {"r": 3.0, "s": 3.0, "pad_h": 1.0, "pad_w": 1.0}.items()}
        dims |= {name: 2.0 ** rng.integers(3, 8, SHAPES) for name in ("h", "w")}
    if "t" in row.dims:
        dims |= {"t": np.full(SHAPES, 3.0), "pad_d": np.full(SHAPES, 1.0)}
    return dims


@pytest.mark.parametrize("gpu", GPUS)
def test_no_kernel_is_faster_than_its_traffic_or_its_flops_on_any_gpu(gpu: str) -> None:
    calibration, rng = load_calibration(gpu), np.random.default_rng(0)
    device = calibration.device
    for family, row in FAMILIES.items():
        dims = random_dims(family, rng)
        for dtype in ("fp32", "tf32", "fp16") if row.matrix else ("fp32", "fp16"):
            if dtype not in device.peak_flops and dtype != "tf32":
                continue
            arrays = {name: np.ravel(a) for name, a in row.complete(dims).items()}
            prices = price_kernels(calibration, family, dtype, dims)

            traffic_s = row.compulsory_bytes(arrays, itemsize(dtype)) / device.bandwidth_bytes_per_s
            exceeds = row.nbytes(arrays, itemsize(dtype)) > device.l2_bytes
            assert np.all(prices.seconds[exceeds] >= traffic_s[exceeds] * (1 - 1e-9)), (family, dtype)
            peak = device.peak_flops.get(dtype, device.peak_flops["fp32"]) if row.matrix else device.peak_flops["fp32"]
            exact = units(calibration, dtype) == "fp32" and row.has_winograd
            gain = np.where(is_winograd(arrays), WINOGRAD_GAIN, 1.0) if exact else 1.0
            assert np.all(prices.seconds >= row.flops(arrays) / peak / gain * (1 - 1e-9)), (family, dtype)


@pytest.mark.parametrize(
    ("elements", "bytes_read", "microseconds"),
    [(118_013_952, 237_257_000, 433.5), (24_576_000, 98_304_000, 89.2), (14_680_064, 58_720_256, 54.9)],
)
def test_a_thread_for_each_element_takes_longer_than_its_traffic(
    elements: int, bytes_read: int, microseconds: float
) -> None:
    """Kernels of TorchScript's fuser as profiled on an H200, in half precision."""
    dims = {"elements": elements, "bytes_read": bytes_read, "bytes_written": 2 * elements, "inputs": 2}
    seconds = price_kernels(load_calibration("h200"), "nnc", "fp16", dims).seconds
    assert float(seconds[0]) == pytest.approx(microseconds * 1e-6, rel=0.12)


@pytest.mark.parametrize("gpu", ["1080ti", "2080ti", "v100"])
def test_winograd_makes_wide_convolutions_faster_and_narrow_ones_not(gpu: str) -> None:
    calibration = load_calibration(gpu)
    image = {"batch": 256, "h": 28, "w": 28, "r": 3, "s": 3, "pad_h": 1, "pad_w": 1}
    seconds, peak = {}, calibration.device.peak_flops["fp32"]
    for channels in (64, 256):
        dims = {**image, "c_in": channels, "c_out": channels}
        flops = 2 * 256 * 28 * 28 * channels**2 * 9
        seconds[channels] = price_kernels(calibration, "conv", "fp32", dims).seconds[0] / (flops / peak)
    assert seconds[64] >= 1 > seconds[256] >= 1 / WINOGRAD_GAIN


def test_fewer_channels_than_a_tile_of_an_exact_convolution_cost_the_whole_tile() -> None:
    dims = {"batch": 512, "c_in": 512, "h": 32, "w": 32, "r": 3, "s": 3, "pad_h": 1, "pad_w": 1, "c_out": [16, 32, 64]}
    pascal, turing = (
        price_kernels(load_calibration(gpu), "conv", "fp32", dims).least_s for gpu in ("1080ti", "2080ti")
    )
    assert pascal / pascal[0] == pytest.approx([1, 1, 2])
    assert turing / turing[0] == pytest.approx([1, 1, 1])


def test_a_factor_below_one_shortens_what_exceeds_the_limit_and_one_above_lengthens_all() -> None:
    assert with_factor(3.0, 1.0, 0.5) == 1.0 + 2.0 * 0.5
    assert with_factor(3.0, 1.0, 2.0) == 3.0 * 2.0
    assert with_factor(0.5, 1.0, 0.5) == 1.0


def test_layouts_are_converted_at_the_speed_of_memory_and_not_at_all_without_matrix_units() -> None:
    dims = {"batch": 256, "c_in": 64, "c_out": 64, "h": 56, "w": 56, "r": 3, "s": 3, "pad_h": 1, "pad_w": 1}
    dims["channels_last"] = [0, 1]
    for gpu in ("3090", "a100", "v100"):
        calibration = load_calibration(gpu)
        first, last = price_kernels(calibration, "conv", "fp16", dims).seconds
        images_s = 2 * 256 * 64 * 56 * 56 * 2 / calibration.device.bandwidth_bytes_per_s
        assert first - last > images_s  # both images, read and written again: twice that, in part from a cache


def _launches(calibration: Calibration, gpu: str) -> None:
    host = calibration.host("eager")
    sizes = 2.0 ** np.arange(5, 12)
    for (family, dtype), forest in host.library_calls.items():
        row = FAMILIES[family]
        dims = {name: np.full(len(sizes), default) for name, default in row.dims.items() if default is not None}
        dims |= {name: sizes for name, default in row.dims.items() if default is None}
        if "r" in row.dims:
            dims |= {name: np.full(len(sizes), size) for name, size in {"r": 3.0, "s": 3.0, "pad_h": 1.0}.items()}
        for launches in (1.0, 4.0):
            seconds = library_s(forest, calibration, family, dtype, dims, np.full(len(sizes), launches))
            assert np.ptp(seconds) < 0.03 * seconds.mean(), (gpu, family, dtype)
        one = {name: values[3:4] for name, values in dims.items()}
        rising = [library_s(forest, calibration, family, dtype, one, np.array([n]))[0] for n in (1.0, 2.0, 4.0, 64.0)]
        assert rising == sorted(rising), (gpu, family, dtype)


@pytest.mark.parametrize("gpu", ["h200", "h100"])
def test_a_library_call_costs_the_host_as_much_at_any_size_and_never_less_with_more_launches(gpu: str) -> None:
    _launches(load_calibration(gpu), gpu)


@pytest.mark.parametrize(("family", "dtype"), [("conv", "tf32"), ("conv", "fp16")])
def test_gpus_without_matrix_units_launch_a_convolution_as_exact_ones_are(family: str, dtype: str) -> None:
    dims = {"batch": 8, "c_in": 256, "c_out": 256, "h": 14, "w": 14, "r": 3, "s": 3, "pad_h": 1, "pad_w": 1}
    pascal, hopper = (
        price_kernels(load_calibration(gpu), family, dtype, dims).launches[0] for gpu in ("1080ti", "h200")
    )
    exact = price_kernels(load_calibration("h200"), family, "fp32", dims).launches[0]
    assert pascal == exact <= hopper


@pytest.mark.parametrize("gpu", ["a100", "l40s"])
def test_a_bias_does_not_make_a_product_extrapolated(gpu: str) -> None:
    dims = {"m": 128, "n": 768, "k": 768}
    calibration = load_calibration(gpu)
    assert not price_kernels(calibration, "gemm", "fp16", {**dims, "bias": 1}).extrapolated[0]
    assert price_kernels(calibration, "gemm", "fp16", {**dims, "m": 1e6}).extrapolated[0]
