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


def host_of_a_layer(kernels: tuple[Kernel, ...], before: int = 0) -> float:
    """Host seconds of a call of torch's recurrent layers in eager mode, behind so many operators of other kinds."""
    calibration = load_calibration("h200")
    others = (HostCall(f"other{number}", (), PythonWork(), Trait.HOST) for number in range(before))
    call = HostCall("lstm", kernels, PythonWork(), Trait.RNN)
    program = Program("eager", "fp16", (*others, call), PythonWork(), {})
    return float(price(program, calibration, calibration.host("eager")).host_s[0, -1])


STEPS = (
    Kernel("recurrent_product", "fp16", {**PRODUCT, "m": 1.0}, times=500),
    Kernel("recurrent_cell", "fp16", {"elements": 256.0, "gates": 4.0}, times=500),
)


def test_a_cold_call_pays_for_its_steps_as_a_warm_one_does() -> None:
    """A step takes 12.2 to 13.4 us of the host in loops and in models: 1,000 launches of a GRU behind convolutions of a
    denoiser took 6.7 ms, of which 1.3 were once taken off because the call is cold.
    """
    warm, cold = (host_of_a_layer(STEPS, before) for before in (0, 100))
    assert warm < cold < 1.02 * warm
    assert 500 * 12.2e-6 < cold < 500 * 13.4e-6


def test_a_narrow_layers_call_takes_more_than_its_launches() -> None:
    """77 single layers of one kernel in a tight loop: 92 to 130 us, with the Python and the states before, 25 us."""
    dims = {"gates": 4.0, "width": 128.0, "batch": 1.0, "steps": 8.0, "half": 1.0}
    kernels = Kernel("gemm", "fp16", PRODUCT), Kernel("recurrence", "fp16", dims)
    assert 7e-5 < host_of_a_layer(kernels) < 1.1e-4


def test_steps_of_a_recurrence_take_as_long_on_another_card_as_its_clock_is_slower() -> None:
    dims = {"gates": 4.0, "width": 128.0, "batch": 4.0, "steps": 256.0, "half": 1.0}
    here, there = (load_calibration(gpu) for gpu in ("h200", "a100"))
    seconds = [float(price_kernels(gpu, "recurrence", "fp16", dims).seconds[0]) for gpu in (here, there)]
    assert seconds[0] == pytest.approx(447e-6, rel=0.1)
    assert seconds[1] / seconds[0] == pytest.approx(there.time_factor, rel=0.02)
