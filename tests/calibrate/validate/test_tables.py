"""Tables of accuracy: they fit a terminal, and say nothing of what was not measured."""

from __future__ import annotations

from calibrate.validate.tables import accuracy_text, percent
from tests.calibrate.builders import row

ROWS = [
    row("mobilenet_v2", 1e-3, 1.1e-3, "framework", "framework", "framework-bound"),
    row("mobilenet_v2", 0.2, 0.18, "framework", "device", "crossover"),
    row("bert", 4e-3, 4e-3, "memory", "device", "compute-bound"),
]


def test_a_share_of_nothing_is_no_number() -> None:
    assert (percent(float("nan")), percent(0.123), percent(0.5, 0)) == ("-", "12.3%", "50%")


def test_a_table_of_cases_fits_a_terminal_and_has_no_nan() -> None:
    for rows in (ROWS, ROWS[:1]):
        text = accuracy_text(rows)
        assert max(map(len, text.splitlines())) <= 80
        assert "nan" not in text


def test_what_bounds_a_pass_is_said_twice_where_prediction_and_profile_differ() -> None:
    bounds = [line.split()[-1] for line in accuracy_text(ROWS).splitlines()[4:7]]
    assert bounds == ["framework", "framework/device", "memory"]
