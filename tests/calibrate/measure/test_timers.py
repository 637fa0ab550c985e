"""Timers, and what profiles add up to, by hand."""

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
    busy_ns,
    pass_seconds,
    short_name,
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
