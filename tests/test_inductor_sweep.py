"""What the instructions of compiled loops cost is what the shipped samples say."""

from __future__ import annotations

import pytest

from benchmarks.inductor_sweep import cycles_by_step
from predictor.runtimes.compile.instructions import CYCLES, OF_A_NUMBER, USUAL_CYCLES

OPERATOR = {
    **{"divide": "div", "clamp": "clamp", "exp": "exp", "log": "log", "sine": "sin", "cosine": "cos", "power": "pow"},
    **{"square root": "sqrt", "sigmoid": "sigmoid", "silu": "silu", "gelu": "gelu", "tanh": "tanh"},
    **{"softplus": "softplus", "remainder": "remainder"},
}
"""Step -> the operator that decides on its cost."""


def test_cycles_are_those_of_the_measured_loops() -> None:
    found, error = cycles_by_step("h200")
    assert error < 0.11
    for step, operator in OPERATOR.items():
        assert found[step] == pytest.approx(CYCLES[operator], rel=0.08), step
    assert found["power of a number"] == pytest.approx(OF_A_NUMBER, rel=0.05)
    cheap = [found[step] for step in ("add", "multiply", "choose", "absolute", "floor", "square")]
    assert sum(cheap) / len(cheap) < USUAL_CYCLES
    assert max(cheap) < 1.5 * USUAL_CYCLES
