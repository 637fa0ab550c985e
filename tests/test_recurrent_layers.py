"""Recurrent layers that were measured by themselves on an H200, against what is predicted of them.

Predictions learnt from the even rows of ``calibrations/h200/samples/recurrent.jsonl.gz``; the odd ones are held out.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import recurrent_layers
from benchmarks.recurrent_layers import Row, counted, rows_of, unseen_errors
from predictor.calibration.files import SHIPPED
from predictor.calibration.load import load_calibration

FILE = SHIPPED / "h200/samples/recurrent.jsonl.gz"
ALLOWED = {"recurrence": 0.15, "recurrent_cell": 0.06, "recurrent_product": 0.17}
"""Family -> mean error of its kernels' times that is allowed on layers that were held out."""


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return rows_of(FILE)


@pytest.mark.parametrize("number", [1, 3, 7, 15, 31, 63, 101, 201, 301, 401])
def test_a_layer_that_was_held_out_has_the_kernels_of_its_profile(number: int, rows: list[Row]) -> None:
    predicted, measured = counted(rows[number])
    assert predicted["recurrence"] == measured["recurrence"]
    assert predicted["recurrent_cell"] == measured["recurrent_cell"]
    assert predicted["product"] == pytest.approx(measured["product"], rel=0.05)


def test_times_of_layers_that_were_held_out_are_near(rows: list[Row]) -> None:
    found: dict[str, list[float]] = {}
    for family, _, errors in unseen_errors(rows[::2], rows[1::4], load_calibration("h200").device):
        found.setdefault(family, []).extend(np.abs(np.expm1(errors)).tolist())
    assert set(found) == set(ALLOWED)
    for family, allowed in ALLOWED.items():
        assert np.mean(found[family]) < allowed, family


def test_a_layer_is_drawn_again_by_its_number(rows: list[Row]) -> None:
    for number in (0, 77, 499):
        drawn = recurrent_layers.drawn(number)
        assert {name: rows[number][name] for name in drawn} == drawn
