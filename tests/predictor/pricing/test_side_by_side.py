"""Kernels that a CUDA graph runs side by side."""

from __future__ import annotations

from dataclasses import replace

import pytest

from predictor.calibration.load import load_calibration
from predictor.calibration.schema import TYPICAL
from predictor.pricing.kernels import price_kernels
from predictor.pricing.program import price
from predictor.records import HostCall, Kernel, Program, PythonWork, Trait

PRODUCT = {"m": 8.0, "n": 1024.0, "k": 256.0}


def priced(trait: Trait, at_once: float) -> tuple[float, float, int]:
    """(Kernel seconds, host seconds, launches) of ten products in one call under ONNX Runtime."""
    calibration = load_calibration("h100")
    kernel = Kernel("gemm", "fp16", PRODUCT, times=10, at_once=at_once)
    call = HostCall("replay" if trait is Trait.REPLAY else "LSTM", (kernel,), PythonWork(), trait)
    program = Program("onnx-cudagraph", "fp16", (call,), PythonWork(), {})
    found = price(program, calibration, calibration.host("onnx-cudagraph"))
    return float(found.kernel_s.sum()), float(found.host_s.sum()), int(found.launches.sum())


def test_two_at_once_take_half_the_time_in_a_graph_and_as_many_launches() -> None:
    alone, _, launches = priced(Trait.REPLAY, 1.0)
    both, _, as_many = priced(Trait.REPLAY, 2.0)
    assert both == pytest.approx(alone / 2)
    assert launches == as_many == 10


def test_a_host_issues_them_one_after_another() -> None:
    assert priced(Trait.RNN, 2.0)[0] == pytest.approx(priced(Trait.RNN, 1.0)[0])


def test_a_replay_pays_nothing_for_the_products_in_it() -> None:
    assert priced(Trait.REPLAY, 1.0)[1] < 2e-5
    assert priced(Trait.RNN, 1.0)[1] > 5e-5  # the host calls the library for each


def test_a_step_of_a_layer_takes_a_third_of_what_a_librarys_call_takes_before_its_launch() -> None:
    host = load_calibration("h100").host("onnx-cudagraph")
    library_s = host.typical[Trait.GEMM].hot_s - host.typical[TYPICAL].hot_s
    in_layer, in_attention = (priced(trait, 1.0)[1] for trait in (Trait.RNN, Trait.ATTENTION))
    assert in_attention - in_layer == pytest.approx(10 * library_s * 2 / 3)


POSITIONS = {"batch": 1, "c_in": 768, "c_out": 768, "h": 1, "w": 99, "r": 1, "s": 128, "pad_w": 64, "groups": 16}
"""WavLM's convolution over positions: 64 kernels, 520 us from a host and 281 in a graph, in fp16 on an H200."""


def test_groups_that_a_host_has_side_by_side_already_gain_less_in_a_graph() -> None:
    calibration = load_calibration("h200")
    host = calibration.host("onnx-cudagraph")
    kernel = Kernel("ort_conv_grouped", "fp16", {name: float(size) for name, size in POSITIONS.items()})
    call = HostCall("replay", (kernel,), PythonWork(), Trait.REPLAY)
    program = Program("onnx-cudagraph", "fp16", (call,), PythonWork(), {})
    in_graph = float(price(program, calibration, host).kernel_s.sum())
    prices = price_kernels(calibration, kernel.family, kernel.dtype, kernel.dims)
    alone, launches = float(prices.seconds[0]), int(prices.launches[0])
    at_host = alone / launches / host.launch_s
    assert 1 < at_host < 4
    assert in_graph == pytest.approx(alone * at_host / 4)
    assert in_graph / alone == pytest.approx(281 / 520, rel=0.15)


def test_a_step_of_a_recurrent_layer_calls_the_products_library_from_a_host() -> None:
    """400 LSTM steps in 800 launches: passes of 5.3 to 6.4 ms were measured, at host speeds of 1 to 1.15 times this,
    and 4.0 to 4.5 are priced where each is a launch alone.
    """
    calibration = load_calibration("h200")
    gates = {"elements": 1024.0, "bytes_read": 4096.0, "bytes_written": 512.0, "inputs": 3.0, "contiguous": 1.0}
    step = Kernel("gemm", "fp16", PRODUCT), Kernel("pointwise", "fp16", {**gates, "converts": 0.0, "heavy": 1.0})
    call = HostCall("lstm", tuple(replace(kernel, times=400) for kernel in step), PythonWork(), Trait.RNN)
    program = Program("eager", "fp16", (call,), PythonWork(), {})
    assert 4.6e-3 < float(price(program, calibration, calibration.host("eager")).host_s.sum()) < 5.9e-3
