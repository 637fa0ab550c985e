"""Sizes in a graph as sums of 1, B, L, BL, L^2 and BL^2 (batch B, length L) with coefficients of their own: captures of
a few small sizes say which.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from operator import mul
from typing import Any

Sizes = tuple[int, int]
"""Batch and sequence length; the length is 0 where a model has none."""

FINEST = Fraction(1, 4096)
"""Coefficients are multiples of it: lengths are halved by poolings, not divided by anything odd."""


def terms_of(sizes: Sequence[Sizes]) -> list[list[int]]:
    """Exponents of batch and length in the terms that some sizes can tell apart."""
    batches = (0, 1) if len({batch for batch, _ in sizes}) > 1 else (0,)
    lengths = (0, 1, 2) if len({length for _, length in sizes}) > 1 else (0,)
    return [[b, n] for n in lengths for b in batches]


def basis(sizes: Sizes, terms: Sequence[Sequence[int]]) -> list[int]:
    """The terms' values at sizes."""
    return [sizes[0] ** b * sizes[1] ** n for b, n in terms]


class Valuation:
    """Numbers that coefficients say at sizes. A graph has few that differ: each is computed once."""

    def __init__(self, sizes: Sizes, terms: Sequence[Sequence[int]]) -> None:
        self._basis = basis(sizes, terms)
        self._known: dict[tuple[float, ...], int] = {}

    def of(self, coefficients: Sequence[float]) -> int:
        """The number, rounded."""
        key = tuple(coefficients)
        known = self._known.get(key)
        if known is None:
            total: float = sum(map(mul, key, self._basis))
            known = self._known[key] = round(total)
        return known


class SizeRule:
    """Numbers at a few sizes -> their coefficients. More sizes than terms check the rule."""

    def __init__(self, sizes: Sequence[Sizes]) -> None:
        self.terms = terms_of(sizes)
        self._basis = [basis(size, self.terms) for size in sizes]
        self._inverse = _inverse(self._basis)
        self._known: dict[tuple[int, ...], dict[str, list[float]]] = {}

    def merge(self, values: Sequence[Any]) -> Any:
        """One tree of several of one form, numbers that differ as {"=": coefficients}. Raises ValueError otherwise."""
        first = values[0]
        if isinstance(first, list) and all(isinstance(v, list) and len(v) == len(first) for v in values):
            return [self.merge(items) for items in zip(*values, strict=True)]
        if isinstance(first, dict) and all(isinstance(v, dict) and list(v) == list(first) for v in values):
            return {name: self.merge([v[name] for v in values]) for name in first}
        if all(type(v) is type(first) and (v == first or (v != v and first != first)) for v in values):
            return first  # or none of them a number
        if all(type(v) is int for v in values):
            return self._solve(tuple(values))
        raise ValueError(f"{first!r} becomes {next(v for v in values if v != first)!r} with other sizes")

    def _solve(self, values: tuple[int, ...]) -> dict[str, list[float]]:
        if values not in self._known:
            exact = [sum(map(mul, row, values)) for row in self._inverse]
            fits = all(sum(map(mul, exact, at)) == value for at, value in zip(self._basis, values, strict=True))
            if not fits or any(c % FINEST for c in exact):
                raise ValueError(f"sizes {values} follow no rule")
            self._known[values] = {"=": [int(c) if c.denominator == 1 else float(c) for c in exact]}
        return self._known[values]


def _inverse(matrix: Sequence[Sequence[int]]) -> list[list[Fraction]]:
    """A left inverse, exact: in floating point a size of a billion is off by more than the finest coefficient. Empty
    where the sizes cannot tell the terms apart.
    """
    terms = len(matrix[0])
    rows = [[*map(Fraction, row), *(Fraction(i == j) for j in range(len(matrix)))] for i, row in enumerate(matrix)]
    for term in range(terms):
        pivot = next((row for row in rows[term:] if row[term]), None)
        if pivot is None:
            return []
        rows.remove(pivot)
        pivot = [value / pivot[term] for value in pivot]
        rows = [[a - row[term] * b for a, b in zip(row, pivot, strict=True)] for row in rows]
        rows.insert(term, pivot)
    return [row[terms:] for row in rows[:terms]]
