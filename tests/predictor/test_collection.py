"""Garbage collection is left out while a model is captured."""

from __future__ import annotations

import gc

import pytest

from predictor import collection
from predictor.collection import LITTLE, without_collection

OFTEN, SELDOM = 64, 1024
"""As outside of tests, which are looked at more seldom."""


def test_objects_that_are_set_aside_stay_there() -> None:
    gc.freeze()
    aside = gc.get_freeze_count()
    for _ in range(3):
        with without_collection():
            assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0.9 * aside  # some may have ended meanwhile


@pytest.mark.parametrize(("cycles", "looks"), [(0, 4), (LITTLE + 5, SELDOM // OFTEN)])
def test_objects_are_looked_at_less_often_where_little_is_found(
    cycles: int, looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "OFTEN", OFTEN)
    monkeypatch.setattr(collection, "SELDOM", SELDOM)
    monkeypatch.setattr(collection, "_looks", collection._Looks())
    found: list[int] = []

    def look(phase: str, info: dict[str, int]) -> None:
        if phase == "stop" and info["generation"] == 2:
            found.append(info["collected"])

    gc.collect()
    gc.callbacks.append(look)
    try:
        for _ in range(SELDOM):
            with without_collection():
                for _ in range(cycles):
                    alone: list[object] = []
                    alone.append(alone)
    finally:
        gc.callbacks.remove(look)
    assert len(found) == looks
    assert sum(found) >= cycles * (SELDOM - 1)
