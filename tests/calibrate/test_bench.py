"""Timers and the statistics of a noisy host, by hand."""

from __future__ import annotations

import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from calibrate.measure.timers import (
    FRESH_S,
    KernelEvent,
    Probe,
    Round,
    busy_ns,
    lower_quartile,
    pass_seconds,
    quiet_level,
    short_name,
    summarise,
    tight_seconds,
)


def events(*spans: tuple[int, int]) -> list[KernelEvent]:
    return [KernelEvent("k", start, stop - start) for start, stop in spans]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], 0),
        ([(0, 10)], 10),
        ([(0, 10), (10, 15)], 15),
        ([(0, 10), (20, 25)], 15),
        ([(0, 10), (5, 12)], 12),
        ([(0, 10), (2, 5), (8, 11)], 11),
        ([(0, 10), (0, 10)], 10),
    ],
    ids=["nothing", "one", "in a row", "apart", "overlapping", "inside another", "at once"],
)
def test_overlapping_kernels_count_once(spans: list[tuple[int, int]], expected: int) -> None:
    assert busy_ns(events(*spans)) == expected


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=12))
def test_busy_time_is_the_number_of_busy_nanoseconds(pairs: list[tuple[int, int]]) -> None:
    spans = sorted((start, start + length) for start, length in pairs)
    assert busy_ns(events(*spans)) == len({t for start, stop in spans for t in range(start, stop)})


def test_a_kernels_name_loses_its_noise() -> None:
    assert short_name("void at::native::(anonymous namespace)::add_kernel<float>(int, float*)") == "add_kernel<float>"


def test_the_quiet_level_is_what_the_fastest_fifth_of_probes_shows() -> None:
    assert quiet_level([1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 3.0]) == 1.0


def test_a_measurement_is_the_median_of_its_quiet_rounds() -> None:
    """Two of five rounds ran beside a busy neighbour."""
    quiet = [Round(s, 1.0, 1.05) for s in (2.0, 2.2, 2.1)]
    busy = [Round(4.0, 1.0, 1.9), Round(3.9, 2.0, 1.0)]
    found = summarise([quiet[0], busy[0], quiet[1], busy[1], quiet[2]], 1.0)
    assert found.seconds == 2.1
    assert found.quiet_rounds == 3
    assert found.probe_s == pytest.approx(1.025)


def test_repeatability_compares_odd_and_even_rounds() -> None:
    """Odd rounds 2.0, even rounds 2.2: half their difference over their mean is 0.1 / 2.1."""
    rounds = [Round(s, 1.0, 1.0) for s in (2.0, 2.2, 2.0, 2.2)]
    assert summarise(rounds, 1.0).repeatability == pytest.approx(0.1 / 2.1)


def test_one_round_repeats_itself() -> None:
    assert summarise([Round(2.0, 1.0, 1.0)], 1.0).repeatability == 0.0


def test_the_lower_quartile_forgets_bursts() -> None:
    assert lower_quartile([1.0, 1.0, 1.0, 9.0, 9.0]) == 1.0


def test_timers_see_the_time_that_passes() -> None:
    assert tight_seconds(lambda: time.sleep(0.01), "cpu", 3) >= 0.01
    passes = pass_seconds(lambda: time.sleep(0.01), "cpu", 4)
    assert len(passes) == 4
    assert min(passes) >= 0.01


def test_a_reading_of_the_probe_serves_while_it_is_fresh() -> None:
    probe = Probe("cpu")
    last = probe()
    assert probe.recent() == last
    time.sleep(FRESH_S)
    assert probe.recent() != last


def test_the_host_probe_is_a_small_call() -> None:
    before = torch.is_inference_mode_enabled()
    assert 1e-7 < Probe("cpu")() < 1e-2
    assert torch.is_inference_mode_enabled() == before
