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


def non_negative(
    x: Array, y: Array, whole: Array, alike: Sequence[Sequence[int]] = (), weights: Array | None = None
) -> Array:
    """Non-negative coefficients of ``y = x @ coefficients`` with the least mean absolute error relative to ``whole``,
    which y is a part of; (columns,). alike: groups of columns whose coefficients are of one size, see
    ``SPREAD_OF_ALIKE``; weights: of the rows, None: all alike.
    """
    counts = np.ones(len(y)) if weights is None else weights
    pulled = [column for group in alike for column in group]
    pull = np.zeros((len(pulled), x.shape[1]))
    for group in alike:
        together = np.column_stack([np.delete(x, group, axis=1), x[:, list(group)].sum(axis=1)])
        usual = max(non_negative(together, y, whole, weights=weights)[-1], 1e-9)
        pull[[pulled.index(column) for column in group], list(group)] = SPREAD_OF_ALIKE / usual

    def solve(robust: Array) -> Array:
        scale = np.sqrt(counts * robust) / whole
        aim = np.concatenate([y * scale, np.full(len(pulled), SPREAD_OF_ALIKE)])
        return np.asarray(nnls(np.vstack([x * scale[:, None], pull]), aim)[0], dtype=float)

    return reweighted(solve, lambda coefficients: (x @ coefficients - y) / whole, least_absolute, len(y))
