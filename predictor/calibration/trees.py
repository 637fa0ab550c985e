"""Regression trees as plain arrays: what ``calibrate`` fits with scikit-learn, evaluated with numpy."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.calibration.schema import Trees

FEATURE, NUMBER, LEAVES = "<i1", "<f4", "<f2"

LEAF = 10.0
"""Largest magnitude of a leaf that is a logarithm of times: a factor of 22,000."""

ROWS = 128
"""Rows that go through all trees together: what they touch stays in the cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Sum of trees, prediction = initial + sum of the leaves' values; or a vote of trees, whose leaves are numbers of
    classes.

    sizes: nodes of each tree. feature, number: one entry per node, the trees one after another, each level by level
    from its root, so that the children of its j-th inner node (from 0) are its nodes 2j + 1 and 2j + 2. At an inner
    node feature is the column to compare and number the threshold: up to it the first child, above it the second. At a
    leaf feature is -1 and number the value. Raises ValueError where the arrays are no such trees.
    """

    initial: float
    sizes: NDArray[np.int64]
    feature: NDArray[np.int64]
    number: NDArray[np.float64]
    _roots: NDArray[np.int64] = field(init=False, repr=False)
    _left: NDArray[np.int64] = field(init=False, repr=False)
    _limit: NDArray[np.float32] = field(init=False, repr=False)
    _depth: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.feature.shape == self.number.shape == (self.sizes.sum(),):
            raise ValueError("tree arrays of different lengths")
        inner = self.feature >= 0
        roots = np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64) if len(self.sizes) else self.sizes
        before: NDArray[np.int64] = np.cumsum(inner) - inner  # inner nodes before each node
        before_in_tree: NDArray[np.int64] = before - np.repeat(before[roots], self.sizes) if len(roots) else before
        total = np.add.reduceat(inner, roots) if len(roots) else roots
        if not np.array_equal(self.sizes, 2 * total + 1) or np.any(inner & (before_in_tree > np.arange(len(inner)))):
            raise ValueError("a tree's leaves do not match its inner nodes")
        itself = np.arange(len(inner))
        left = np.where(inner, np.repeat(roots, self.sizes) + 2 * before_in_tree + 1, itself)
        if np.any(inner & (left <= itself)):
            raise ValueError("a node's children do not come after it")
        object.__setattr__(self, "_roots", roots)
        object.__setattr__(self, "_left", left)
        object.__setattr__(self, "_limit", np.where(inner, _floor_to_single(self.number), np.float32(np.inf)))
        object.__setattr__(self, "_depth", _depth(roots, inner, left))

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """x: (samples, features) -> (samples,). Compares in single precision, as scikit-learn's trees do."""
        sums = [leaves.sum(axis=1) for leaves in self._leaves(x)]
        return self.initial + (np.concatenate(sums) if sums else np.zeros(len(x)))

    def vote(self, x: NDArray[np.float64]) -> NDArray[np.int64]:
        """x: (samples, features) -> (samples,): the number that most trees say, of those the smallest; leaves are
        numbers of classes. Without trees ``initial``.
        """
        votes = [_commonest(np.rint(leaves).astype(np.int64)) for leaves in self._leaves(x)]
        return np.concatenate(votes) if votes else np.full(len(x), round(self.initial), dtype=np.int64)

    def _leaves(self, x: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
        """Values of the leaves that samples reach, (samples, trees), some samples at a time; nothing without trees."""
        if not len(self.sizes):
            return
        x = np.ascontiguousarray(x, dtype=np.float32)
        columns = x.shape[1]
        if self.feature.max() >= columns:
            raise ValueError(f"the trees compare more than {columns} features")
        column = np.maximum(self.feature, 0)
        for start in range(0, len(x), ROWS):
            block = x[start : start + ROWS]
            flat, first = block.ravel(), (np.arange(len(block)) * columns)[:, None]
            node = np.repeat(self._roots[None], len(block), axis=0)
            for _ in range(self._depth):
                above = flat.take(column.take(node, mode="clip") + first, mode="clip") > self._limit.take(
                    node, mode="clip"
                )
                node = self._left.take(node, mode="clip") + above
            yield self.number.take(node, mode="clip")

    def to_record(self) -> Trees:
        """As a calibration file holds it: arrays as base64 of little-endian bytes, features as int8, thresholds in
        single precision, which keeps every comparison, leaves in half, which rounds them by 5e-4 of their value: the
        sum of trees, a logarithm of a time, by less than 1e-3.
        """
        inner = self.feature >= 0
        return Trees(
            initial=self.initial,
            sizes=self.sizes.tolist(),
            feature=_packed(self.feature, FEATURE),
            number=_packed(_floor_to_single(self.number[inner]), NUMBER),
            leaf=_packed(self.number[~inner], LEAVES),
        )

    @classmethod
    def from_record(cls, trees: Trees, columns: int | None = None, low: float = -LEAF, high: float = LEAF) -> Forest:
        """The inverse of ``to_record``. Raises ValueError for arrays that are no trees, that compare more than so many
        columns (None: any), or whose leaves are not numbers from low to high.
        """
        try:
            feature = np.frombuffer(b64decode(trees.feature, validate=True), FEATURE)
            number = np.frombuffer(b64decode(trees.number, validate=True), NUMBER)
            leaf = np.frombuffer(b64decode(trees.leaf, validate=True), LEAVES)
        except ValueError:
            raise ValueError("expected base64") from None
        if columns is not None and feature.size and feature.max() >= columns:
            raise ValueError(f"the trees compare column {feature.max()}, there are {columns}")
        if trees.leaf:
            thresholds, inner = number, feature >= 0
            if len(thresholds) != inner.sum():
                raise ValueError("a tree's leaves do not match its inner nodes")
            number = np.empty(len(feature), np.float32)
            number[inner], number[~inner] = thresholds, leaf
        if not np.isfinite(number).all():
            raise ValueError("a number of the trees is not finite")
        forest = cls(
            trees.initial,
            np.asarray(trees.sizes, dtype=np.int64),
            feature.astype(np.int64),
            number.astype(np.float64),
        )
        leaves = number[feature < 0]
        if leaves.size and not (low <= leaves.min() and leaves.max() <= high):
            raise ValueError(f"expected leaves from {low:g} to {high:g}, got {leaves.min():g} to {leaves.max():g}")
        return forest

    @classmethod
    def constant(cls, value: float) -> Forest:
        """Without trees: the same of everything."""
        return cls(value, np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


def _commonest(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """(samples, voters), from 0 -> (samples,): the commonest, of those the smallest."""
    numbers = np.sort(numbers, axis=1)
    place = np.arange(numbers.shape[1])
    begins = np.diff(numbers, axis=1, prepend=-1) > 0
    repeats = place - np.maximum.accumulate(np.where(begins, place, 0), axis=1)
    return np.take_along_axis(numbers, repeats.argmax(axis=1)[:, None], axis=1)[:, 0]


def _packed(values: NDArray[Any], dtype: str) -> str:
    return b64encode(values.astype(dtype).tobytes()).decode("ascii")


def _floor_to_single(number: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest single-precision number that is not above: x <= number is the same comparison for every single x."""
    single = number.astype(np.float32)
    return np.where(single > number, np.nextafter(single, np.float32(-np.inf)), single)


def _depth(roots: NDArray[np.int64], inner: NDArray[np.bool_], left: NDArray[np.int64]) -> int:
    depth, level = 0, roots[inner[roots]] if len(roots) else roots
    while len(level):
        children = np.concatenate([left[level], left[level] + 1])
        depth, level = depth + 1, children[inner[children]]
    return depth
