"""What the instructions of compiled loops cost is what the shipped samples say."""

from __future__ import annotations

import pytest

from benchmarks.inductor_sweep import cycles_by_step
from predictor.runtimes.compile.instructions import (
    BY_A_NUMBER_CYCLES,
    CYCLES,
    INTEGER_CYCLES,
    OF_A_NUMBER,
    USUAL_CYCLES,
)

OPERATOR = {
    **{"divide": "div", "clamp": "clamp", "exp": "exp", "log": "log", "sine": "sin", "cosine": "cos", "power": "pow"},
    **{"square root": "sqrt", "sigmoid": "sigmoid", "silu": "silu", "gelu": "gelu", "tanh": "tanh"},
    **{"softplus": "softplus", "remainder": "remainder"},
}
"""Step -> the operator that decides on its cost."""


def test_cycles_are_those_of_the_measured_loops() -> None:
    found, error = cycles_by_step("h200", "varied")
    assert error < 0.11
    for step, operator in OPERATOR.items():
        assert found[step] == pytest.approx(CYCLES[operator], rel=0.08), step
    assert found["power of a number"] == pytest.approx(OF_A_NUMBER, rel=0.05)
    cheap = [found[step] for step in ("add", "multiply", "choose", "absolute", "floor", "square")]
    assert sum(cheap) / len(cheap) < USUAL_CYCLES
    assert max(cheap) < 1.5 * USUAL_CYCLES


def test_cycles_of_whole_numbers_too() -> None:
    found, error = cycles_by_step("h200", "integers")
    assert error < 0.14
    assert found["integer multiply"] == pytest.approx(INTEGER_CYCLES["mul"], rel=0.1)
    assert found["integer choose"] == pytest.approx(INTEGER_CYCLES["where"], rel=0.1)
    divided = {"integer division": INTEGER_CYCLES["div"], "integer remainder": INTEGER_CYCLES["remainder"]}
    divided |= {"integer division by a number": BY_A_NUMBER_CYCLES["div"]}
    divided |= {"integer remainder of a number": BY_A_NUMBER_CYCLES["remainder"]}
    for step, cycles in divided.items():  # each adds something to a number first
        assert found[step] == pytest.approx(cycles + 1.0, rel=0.1), step
