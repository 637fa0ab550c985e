"""The statistics of a noisy host, by hand."""

from __future__ import annotations

import pytest

from calibrate.samples.rounds import Round, lower_quartile, quiet_level, summarise


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
