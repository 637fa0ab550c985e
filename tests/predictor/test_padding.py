"""Texts of several lengths in a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from predictor.errors import PredictorError
from predictor.padding import DISTRIBUTIONS, draw, padded


def test_lengths_have_the_mean_and_deviation_of_the_treebank() -> None:
    lengths = np.array(draw("ptb", 50_000))
    assert lengths.mean() == pytest.approx(20.92, rel=0.01)
    assert lengths.std() == pytest.approx(10.18, rel=0.01)
    assert lengths.min() >= 1
    assert lengths.max() <= 128


def test_a_batch_begins_as_a_larger_one_does() -> None:
    assert draw("ptb", 8) == draw("ptb", 128)[:8]


def test_a_mask_has_as_many_real_tokens_as_were_drawn_and_no_more_than_there_are() -> None:
    inputs = {"input_ids": torch.ones(5, 16, dtype=torch.int64)}
    mask = padded(inputs, "ptb")["attention_mask"]
    assert mask.sum(dim=1).tolist() == [min(length, 16) for length in draw("ptb", 5)]
    assert torch.equal(mask, mask.sort(dim=1, descending=True).values)
    assert "attention_mask" not in inputs


def test_what_is_no_text_or_no_distribution_is_refused() -> None:
    with pytest.raises(PredictorError, match="no texts"):
        padded({"pixel_values": torch.rand(1, 3, 8, 8)}, "ptb")
    with pytest.raises(PredictorError, match=f"unknown distribution of lengths 'pt'.*{next(iter(DISTRIBUTIONS))}"):
        draw("pt", 3)
