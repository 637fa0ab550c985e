"""Kernels that a CUDA graph runs side by side."""

from __future__ import annotations

import pytest

from predictor.calibration.load import load_calibration
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
