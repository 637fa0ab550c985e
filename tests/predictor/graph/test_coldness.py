"""Reuse distances, held against their definition."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.graph.coldness import HALF_DISTANCE, coldness


@given(st.lists(st.sampled_from("abcdefgh"), max_size=40))
def test_coldness_is_that_of_the_distinct_entries_since_the_last_equal_one(sequence: list[str]) -> None:
    twice = sequence * 2
    for position, found in enumerate(coldness(sequence)):
        here = position + len(sequence)
        last = max(i for i in range(here) if twice[i] == twice[here])
        distance = len(set(twice[last + 1 : here]))
        assert found == distance / (distance + HALF_DISTANCE)


@given(st.lists(st.sampled_from("abcdefgh"), max_size=40))
def test_with_sizes_the_distance_is_their_sum(sequence: list[str]) -> None:
    twice, sizes = sequence * 2, {name: float(number) for number, name in enumerate("abcdefgh", start=1)}
    for position, found in enumerate(coldness(sequence, 10.0, sizes)):
        here = position + len(sequence)
        last = max(i for i in range(here) if twice[i] == twice[here])
        distance = sum(sizes[name] for name in set(twice[last + 1 : here]))
        assert found == distance / (distance + 10)


def test_a_steep_law_is_cold_where_a_cache_overflows() -> None:
    found = [coldness(range(length), 100, steepness=3)[0] for length in (51, 101, 201)]
    assert found == [pytest.approx(expected) for expected in (1 / 9, 1 / 2, 8 / 9)]


def test_what_runs_alone_is_hot() -> None:
    assert coldness(["only"] * 5) == [0.0] * 5
    assert coldness([]) == []


def test_coldness_grows_with_distance_and_stays_below_one() -> None:
    found = [coldness(range(length))[0] for length in (2, 10, 26, 1000)]
    assert found == sorted(found)
    assert found[2] == 0.5
    assert found[-1] < 1


def test_many_entries_are_as_cold_as_the_list_of_recent_ones_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tree, which is taken for many distinct entries, finds the same distances."""
    drawn = random.Random(0)
    sequence = [drawn.randrange(60) for _ in range(300)]
    sizes = {entry: drawn.randrange(1, 90) for entry in range(60)}
    for sized in (None, sizes):
        by_list = coldness(sequence, sizes=sized)
        monkeypatch.setattr("predictor.graph.coldness.MANY", 10)
        assert coldness(sequence, sizes=sized) == by_list
        monkeypatch.undo()
