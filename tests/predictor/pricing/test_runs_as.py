"""Kernels that run as another family's: a convolution over one pixel is a product."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from calibrate.samples.records import KernelSample
from calibrate.samples.store import SampleFile
from predictor.calibration.files import SHIPPED
from predictor.calibration.load import load_calibration
from predictor.pricing.kernels import kernel_launches, price_kernels

MEASURED = Path(__file__).parents[3] / "calibrations" / "h100" / "designs" / "squeezed.json.gz"
"""Batch, input and output channels, whether a bias is added, seconds."""

SQUEEZED = {"batch": 16, "c_in": 336, "c_out": 88, "r": 1, "s": 1, "bias": 1}


def test_a_convolution_over_one_pixel_is_a_product_and_the_bias_that_is_added() -> None:
    calibration = load_calibration("h100")
    one = price_kernels(calibration, "conv", "fp16", {**SQUEEZED, "h": 1, "w": 1})
    product = price_kernels(calibration, "gemm", "fp16", {"m": 16, "n": 88, "k": 336})
    added = price_kernels(
        *(calibration, "pointwise", "fp16"),
        {"elements": 16 * 88, "bytes_read": 2 * 17 * 88, "bytes_written": 2 * 16 * 88, "inputs": 2},
    )
    assert one.seconds[0] == product.seconds[0] + added.seconds[0]
    assert one.launches[0] == product.launches[0] + added.launches[0]


def test_each_kernel_of_a_group_runs_as_its_own_size_says() -> None:
    calibration = load_calibration("a100")
    sides, biases = np.array([1.0, 7.0, 1.0, 14.0]), np.array([0.0, 1.0, 1.0, 0.0])
    together = {**SQUEEZED, "h": sides, "w": sides, "bias": biases}
    prices, launches = (call(calibration, "conv", "tf32", together) for call in (price_kernels, kernel_launches))
    for i, (side, bias) in enumerate(zip(sides, biases, strict=True)):
        alone = price_kernels(calibration, "conv", "tf32", {**SQUEEZED, "h": side, "w": side, "bias": bias})
        assert alone.seconds[0] == pytest.approx(prices.seconds[i])
        assert alone.launches[0] == prices.launches[i] == launches[i]


def test_squeezed_convolutions_take_what_was_measured_in_mobile_networks() -> None:
    """Kernels of squeezing and exciting layers, from the profiles of 36 networks under a CUDA graph."""
    calibration = load_calibration("h100")
    errors = []
    for line in json.loads(gzip.decompress(MEASURED.read_bytes())):
        batch, c_in, c_out, bias, measured_s = line
        dims = {"batch": batch, "c_in": c_in, "c_out": c_out, "h": 1, "w": 1, "r": 1, "s": 1, "bias": bias}
        errors.append(price_kernels(calibration, "conv", "fp16", dims).seconds[0] / measured_s - 1)
    assert len(errors) > 50
    assert np.mean(np.abs(errors)) < 0.12


@pytest.mark.parametrize("gpu", ["h100", "h200"])
def test_groups_that_one_kernel_convolves_take_what_was_measured(gpu: str) -> None:
    """Windows of 3 x 3 over channels that lie last, samples of both GPUs; the formula was made on the H200's."""
    calibration, errors = load_calibration(gpu), []
    for sample in SampleFile(SHIPPED / gpu / "samples" / "kernels.jsonl.gz").of(KernelSample):
        d = sample.dims
        if sample.id.family != "conv_grouped" or sample.dtype not in ("fp16", "bf16") or not sample.repeats_s:
            continue
        is_window = (d["r"], d["s"], d["dilation"], d["channels_last"]) == (3, 3, 1, 1) and d["h"] > 1
        if is_window and d["c_in"] == d["c_out"] >= 128 and d["c_in"] / d["groups"] in (4, 8, 16, 32):
            prices = price_kernels(calibration, "conv_grouped", sample.dtype, d)
            assert prices.launches[0] - d["bias"] == 1
            errors.append(prices.seconds[0] / sample.seconds - 1)
    assert len(errors) > 40
    assert np.mean(np.abs(errors)) < 0.12


def test_groups_of_sixteen_channels_are_cut_out_one_by_one() -> None:
    """A linear attention's convolutions in a profile of an H200: 48 groups, 96 slices and 48 products of them."""
    dims = {"c_in": 768, "c_out": 768, "h": 7, "w": 7, "r": 1, "s": 1, "groups": 48}
    last = {**dims, "batch": np.array([1.0, 16.0]), "channels_last": 1}
    assert kernel_launches(load_calibration("h200"), "conv_grouped", "fp16", last).tolist() == [144, 144]
    biased = kernel_launches(load_calibration("h200"), "conv_grouped", "bf16", {**last, "bias": 1})
    assert biased.tolist() == [145, 145]
