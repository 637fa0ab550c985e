"""How well measured designs rank themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from benchmarks.ranked_designs import repeated_tau
from calibrate.samples.rounds import Round


def rounds(seconds: list[list[float]], probes: list[list[float]] | None = None) -> list[list[Round]]:
    """Rounds of designs, each beside probes before and after that show the same."""
    probes = probes or [[1.0] * len(own) for own in seconds]
    return [[Round(s, p, p) for s, p in zip(*own, strict=True)] for own in zip(seconds, probes, strict=True)]


def test_measurements_that_repeat_rank_themselves_without_a_fault() -> None:
    assert repeated_tau(rounds([[1, 1], [2, 2], [3, 3]])) == (1, 1)


def test_halves_that_disagree_about_one_pair_of_three() -> None:
    """The first half says 1 < 2 < 3, the second 1 < 3 < 2; all: logs 0, 1.24, 0.90 or so, as the second half does."""
    halves, ceiling = repeated_tau(rounds([[1, 1], [2, 6], [3, 2]]))
    assert halves == pytest.approx(1 / 3)
    assert ceiling == pytest.approx((1 / 3 + 1) / 2)


def test_a_host_that_gets_slower_from_round_to_round_is_no_fault_where_the_probe_says_so() -> None:
    slow = [[1.0, 2.0], [1.0, 1.0]]  # of two designs, measured at different times
    truth = [[s * seconds for s in own] for own, seconds in zip(slow, (2.0, 3.0), strict=True)]
    assert repeated_tau(rounds(truth, slow)) == (1, 1)
    assert repeated_tau(rounds(truth))[0] < 1


def test_the_ceiling_is_what_a_perfect_prediction_reaches() -> None:
    drawn = np.random.default_rng(0)
    truth = drawn.normal(0, 0.2, 300)
    measured = truth[:, None] + drawn.normal(0, 0.1, (300, 4))
    _, ceiling = repeated_tau(rounds(np.exp(measured).tolist()))
    assert ceiling == pytest.approx(kendalltau(truth, measured.mean(axis=1)).statistic, abs=0.02)
