"""Texts of several lengths in a batch: shorter ones are padded, and a mask says which tokens are real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from predictor.errors import PredictorError, unknown

SEED = 2023
"""Of the lengths: those of a batch are the first of those of a larger one."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """A distribution of sentence lengths, in tokens: a gamma distribution with this mean and standard deviation, which
    has no lengths below 0 and, as sentences have, a longer tail above; rounded, from 1 to most.
    """

    mean: float
    deviation: float
    most: int

    def draw(self, count: int) -> tuple[int, ...]:
        """Lengths of sentences, the same on every call."""
        shape = (self.mean / self.deviation) ** 2
        drawn = np.random.default_rng(SEED).gamma(shape, self.mean / shape, count)
        return tuple(int(length) for length in np.clip(np.rint(drawn), 1, self.most))


DISTRIBUTIONS = {"ptb": Lengths(20.92, 10.18, 128)}
"""Name -> distribution. ptb: sentences of the Penn Treebank (The Framework Tax, Fernandez et al., 2023)."""


def draw(name: str, count: int) -> tuple[int, ...]:
    """Lengths of ``count`` sentences of a distribution. Raises PredictorError for an unknown name."""
    if name not in DISTRIBUTIONS:
        raise unknown("distribution of lengths", name, DISTRIBUTIONS)
    return DISTRIBUTIONS[name].draw(count)


def padded(inputs: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Inputs of a language model, (batch, length) ``input_ids`` among them, with the mask of texts whose lengths are
    drawn from a distribution, none longer than the inputs. Raises PredictorError for a model that takes no tokens.
    """
    import torch

    ids = inputs.get("input_ids") if isinstance(inputs, Mapping) else None
    if not isinstance(ids, torch.Tensor) or ids.dim() != 2:
        raise PredictorError("its inputs are no texts: lengths are drawn for models that take input_ids")
    lengths = torch.tensor(draw(name, ids.shape[0]), device="cpu")
    mask = torch.arange(ids.shape[1], device="cpu") < lengths.clamp(max=ids.shape[1])[:, None]
    return {**inputs, "attention_mask": mask.to(torch.int64)}
