"""Regressions in which a measurement that was disturbed counts little: iteratively reweighted least squares."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Array = NDArray[np.float64]

ROUNDS = 9
"""Of reweighting: by then the weights no longer change."""

HOST_REPEATABILITY = 0.03
"""Relative error below which all rows weigh alike: what measurements of the host repeat to."""

SPREAD_OF_ALIKE = 0.3
"""Error of a row that weighs as much as a coefficient twice as large as its like. A judgement: without that, a few rows
may leave one of them without bounds.
"""


def reweighted(
    solve: Callable[[Array], Array],
    errors: Callable[[Array], Array],
    weigh: Callable[[Array], Array],
    rows: int,
    rounds: int = ROUNDS,
) -> Array:
    """Coefficients that solve a least-squares problem whose rows are weighted by their own errors.

    solve: weights of the rows, 1 for all at first -> coefficients; errors: coefficients -> errors of the rows; weigh:
    errors -> weights. See Holland and Welsch, Robust regression using iteratively reweighted least-squares, 1977.
    """
    coefficients = solve(np.ones(rows))
    for _ in range(rounds - 1):
        coefficients = solve(weigh(errors(coefficients)))
    return coefficients


def cauchy(errors: Array) -> Array:
    """Weights of a Cauchy loss, of errors in units of their expected size."""
    return np.asarray(1 / (1 + errors**2))


def least_absolute(errors: Array) -> Array:
    """Weights of the mean absolute error, of relative errors."""
    return np.asarray(1 / np.maximum(np.abs(errors), HOST_REPEATABILITY))


def non_negative(x: Array, y: Array, whole: Array, alike: Sequence[int] = ()) -> Array:
    """Non-negative coefficients of ``y = x @ coefficients`` with the least mean absolute error relative to ``whole``,
    which y is a part of; (columns,). alike: columns whose coefficients are of one size, see ``SPREAD_OF_ALIKE``.
    """
    pull, pulled = np.zeros((len(alike), x.shape[1])), np.zeros(len(alike))
    if len(alike):
        together = np.delete(x, alike, axis=1)
        usual = non_negative(np.column_stack([together, x[:, alike].sum(axis=1)]), y, whole)[-1]
        pull[range(len(alike)), alike] = SPREAD_OF_ALIKE / max(usual, 1e-9)
        pulled[:] = SPREAD_OF_ALIKE

    def solve(weights: Array) -> Array:
        scale = np.sqrt(weights) / whole
        return np.asarray(
            nnls(np.vstack([x * scale[:, None], pull]), np.concatenate([y * scale, pulled]))[0], dtype=float
        )

    return reweighted(solve, lambda coefficients: (x @ coefficients - y) / whole, least_absolute, len(y))
