"""Regression trees as plain arrays: what ``calibrate`` fits with scikit-learn, evaluated with numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Forest:
    """Sum of trees: prediction = initial + sum of the leaves' values.

    feature, threshold, right, value: one entry per node, the trees one after another in depth-first order, so that a
    node's left child is the next node; feature is -1 at a leaf. right: index of the right child. roots: first nodes.
    """

    initial: float
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    right: NDArray[np.int32]
    value: NDArray[np.float64]
    roots: NDArray[np.int32]

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """x: (samples, features) -> (samples,)."""
        if not len(self.roots):
            return np.full(len(x), self.initial)
        node = np.broadcast_to(self.roots, (len(x), len(self.roots))).copy()
        rows = np.arange(len(x))[:, None]
        x = x.astype(np.float32).astype(np.float64)  # scikit-learn's trees compare single precision
        while True:
            feature = self.feature[node]
            inner = feature >= 0
            if not inner.any():
                return np.asarray(self.initial + self.value[node].sum(axis=1))
            left = x[rows, np.maximum(feature, 0)] <= self.threshold[node]
            node = np.where(inner, np.where(left, node + 1, self.right[node]), node)

    def to_json(self) -> dict[str, Any]:
        """Plain lists; a leaf's value stands where an inner node has its threshold."""
        number = np.where(self.feature >= 0, self.threshold, self.value)
        return {
            "initial": self.initial,
            "roots": self.roots.tolist(),
            "feature": self.feature.tolist(),
            "number": [float(f"{v:.9g}") for v in number],
            "right": self.right.tolist(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Forest:
        """The inverse of ``to_json``. Raises KeyError or ValueError for anything else."""
        feature = np.asarray(data["feature"], dtype=np.int32)
        number = np.asarray(data["number"], dtype=np.float64)
        right = np.asarray(data["right"], dtype=np.int32)
        roots = np.asarray(data["roots"], dtype=np.int32)
        if not len(feature) == len(number) == len(right):
            raise ValueError("tree arrays of different lengths")
        leaf = feature < 0
        index = np.arange(len(feature))
        if len(roots) and (roots.min() < 0 or roots.max() >= len(feature)):
            raise ValueError("a tree starts outside of the arrays")
        if not np.all(leaf | ((right > index) & (right < len(feature)) & (index + 1 < len(feature)))):
            raise ValueError("a node's children do not come after it")
        return cls(
            float(data["initial"]), feature, np.where(leaf, 0.0, number), right, np.where(leaf, number, 0.0), roots
        )
