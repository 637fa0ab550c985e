"""Factors of a host and a device from a few measured latencies."""

from __future__ import annotations

import math

import numpy as np
import pytest

from predictor.pricing.correction import DEVICES_DIFFER, MEASURED_ERROR, RUNTIMES_DIFFER, Observation, correct

HOSTS, DEVICES = 0.3, 0.2


def observed(
    measured_s: float, host_s: float, kernel_s: float, model: str = "", runtime: str = "eager", error: float = 0.1
) -> Observation:
    """A pass of max(host, kernels)."""
    name = model or f"{measured_s} {host_s} {kernel_s}"

    def latency_s(host: float, device: float) -> float:
        return max(host * host_s, device * kernel_s)

    return Observation(name, name, runtime, measured_s, latency_s, error, error)


def test_one_pass_of_the_host_moves_it_by_the_ratio_of_variances() -> None:
    """The posterior of a normal mean: prior variance of host and runtime over that plus the error's. A residual of one
    standard deviation leaves an error of Student's tails as wide as it is.
    """
    prior, error = HOSTS**2 + RUNTIMES_DIFFER**2, 0.1**2 + MEASURED_ERROR**2
    apart = math.sqrt(error) * (prior + error) / error  # so that the residual is one standard deviation
    found = correct([observed(math.exp(apart), 1.0, 1e-6)], HOSTS, DEVICES)
    assert math.log(found.host_factor_of("eager")) == pytest.approx(apart * prior / (prior + error))
    assert math.log(found.host_factor) == pytest.approx(apart * HOSTS**2 / (prior + error))
    assert found.device_factor == pytest.approx(1)
    assert found.log_sd("eager", 1, 0) == pytest.approx(math.sqrt(1 / (1 / prior + 1 / error)))
    assert found.log_sd("eager", 0, 1) == pytest.approx(DEVICES)


def test_a_pass_of_the_device_moves_the_device_alone() -> None:
    found = correct([observed(0.8, 1e-6, 1.0)], HOSTS, DEVICES)
    error = 0.1**2 + MEASURED_ERROR**2
    expected = math.log(0.8) * DEVICES**2 / (DEVICES**2 + error)
    assert math.log(found.device_factor) == pytest.approx(expected, rel=0.06)  # the error is a little narrower
    assert found.host_factor == pytest.approx(1)


def test_measurements_that_agree_with_the_prediction_change_nothing_but_the_interval() -> None:
    found = correct([observed(1.0, 1.0, 0.1, str(i)) for i in range(5)], HOSTS, DEVICES)
    assert (found.host_factor, found.device_factor) == pytest.approx((1, 1))
    assert found.log_sd("eager", 1, 0) < 0.06 < HOSTS


def test_ten_sizes_of_one_model_say_less_than_ten_models() -> None:
    one = correct([observed(1.5, 1.0, 0.1, "same") for _ in range(10)], HOSTS, DEVICES)
    many = correct([observed(1.5, 1.0, 0.1, str(i)) for i in range(10)], HOSTS, DEVICES)
    assert one.log_sd("eager", 1, 0) > 2 * many.log_sd("eager", 1, 0)
    assert one.host_factor < many.host_factor


def test_another_runtime_has_the_host_s_factor_and_a_deviation_of_its_own() -> None:
    found = correct([observed(2.0, 1.0, 0.1, str(i)) for i in range(5)], HOSTS, DEVICES)
    assert found.host_factor_of("onnx") == found.host_factor < found.host_factor_of("eager")
    assert found.log_sd("onnx", 1, 0) > math.hypot(found.log_sd("eager", 1, 0), RUNTIMES_DIFFER) * 0.9


@pytest.mark.parametrize("seed", range(5))
def test_factors_are_found_again(seed: int) -> None:
    """Of a host 1.6 times as slow and a device 0.8 times, whose passes are bound by either."""
    rng = np.random.default_rng(seed)
    passes = [(float(h), float(k)) for h, k in np.exp(rng.normal(0, 0.7, (10, 2)))]
    noise = np.exp(rng.normal(0, 0.05, 10))
    rows = [
        observed(max(1.6 * h, 0.8 * k) * n, h, k, error=0.05) for (h, k), n in zip(passes, noise.tolist(), strict=True)
    ]
    found = correct(rows, 0.5, 0.3)
    host, device = math.log(found.host_factor_of("eager") / 1.6), math.log(found.device_factor / 0.8)
    assert abs(host) < 3 * found.log_sd("eager", 1, 0)
    assert abs(device) < 3 * found.log_sd("eager", 0, 1)
    assert max(abs(host), abs(device)) < 0.15


def test_a_latency_that_contradicts_the_others_is_named() -> None:
    rows = [observed(1.0, 1.0, 0.1, str(i)) for i in range(5)]
    assert correct(rows, HOSTS, DEVICES).doubtful == ()
    assert correct([*rows, observed(8.0, 1.0, 0.1, "odd")], HOSTS, DEVICES).doubtful == ("odd",)


def test_a_latency_in_the_wrong_unit_stays_finite() -> None:
    found = correct([observed(1e3, 1.0, 0.5)], HOSTS, DEVICES)
    assert all(map(math.isfinite, (found.host_factor, found.device_factor, found.log_sd("eager", 0.5, 0.5))))


def test_a_device_that_was_measured_is_no_other_card() -> None:
    assert correct([observed(1.0, 1e-6, 1.0)], HOSTS, 0.0).log_sd("eager", 0, 1) < DEVICES_DIFFER
