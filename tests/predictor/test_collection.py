"""Garbage collection is left out while a model is captured."""

from __future__ import annotations

import gc

from predictor.collection import without_collection


def test_objects_that_are_set_aside_stay_there() -> None:
    gc.freeze()
    aside = gc.get_freeze_count()
    for _ in range(3):
        with without_collection():
            assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0.9 * aside  # some may have ended meanwhile
