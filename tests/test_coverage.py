"""The coverage benchmark: what it calls predicted, refused and not built; and its page is of the rows that are kept."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks import coverage, coverage_transformers
from benchmarks.coverage import Case, Row


class Raises(nn.Module):
    """Fails on every input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(7, 7)


class Doubles(nn.Module):
    """Runs in single precision alone."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.bmm(x, torch.rand(x.shape).to(x.device))


def of(module: nn.Module, dtype: str = "fp16") -> Case:
    return Case("some", type(module).__name__, lambda: (module, torch.rand(1, 8, 8), dtype))


def unbuilt() -> Any:
    raise KeyError("hidden_size")


def hangs() -> Any:
    time.sleep(60)


def dies() -> Any:
    os._exit(3)


def test_a_model_that_raises_by_itself_says_nothing_of_the_predictor() -> None:
    assert coverage.attempt(of(Raises())).outcome == coverage.UNFIT
    assert coverage.attempt(Case("some", "none", unbuilt)) == Row(
        "some", "none", coverage.UNBUILT, said="KeyError: 'hidden_size'"
    )


def test_a_model_that_runs_in_single_precision_alone_is_predicted_in_it() -> None:
    row = coverage.attempt(of(Doubles()))
    assert (row.outcome, row.notes[0]) == (coverage.PREDICTED, "in fp32")
    assert row.launches > 0
    assert row.latency_s > 0


def test_every_case_has_a_process_of_its_own_and_a_limit() -> None:
    cases = [of(nn.Linear(8, 8)), Case("some", "hangs", hangs), Case("some", "dies", dies)]
    outcomes = {row.model: row.outcome for row in coverage.tried(cases, limit_s=3.0, jobs=3)}
    assert outcomes == {"Linear": coverage.PREDICTED, "hangs": coverage.LATE, "dies": coverage.RAISED}


def test_the_page_is_made_of_the_rows_that_are_kept() -> None:
    assert coverage.PAGE.read_text(encoding="utf-8") == coverage.page(*coverage.stored())


def test_shares_are_of_the_models_that_were_built() -> None:
    rows = [
        Row("g", "a", coverage.PREDICTED),
        Row("g", "b", coverage.PARTLY, unmodelled={"svd": 2}),
        Row("g", "c", coverage.REFUSED, said="x | y"),
        Row("g", "d", coverage.LATE),
        Row("g", "e", coverage.UNBUILT),
    ]
    page = coverage.page({"torch": "2"}, rows)
    assert "| g | 4 | 2 (50.0 %) | 1 (25.0 %) | 1 | 1 | 1 |" in page
    assert "* `svd`: 1 models" in page
    assert r"| g | c | x \| y |" in page


@pytest.mark.parametrize("kind", ["bert", "clip", "t5", "vit", "whisper", "qwen2_vl"])
def test_a_model_type_has_few_layers_and_inputs_for_its_forward(kind: str) -> None:
    model, inputs, dtype = coverage_transformers.build(kind)
    config = model.config
    layers = getattr(config.get_text_config(), "num_hidden_layers", coverage_transformers.LAYERS)
    assert layers <= coverage_transformers.MOST_LAYERS
    assert inputs
    row = coverage.attempt(Case("transformers", kind, lambda: (model, inputs, dtype)))
    assert row.outcome in (coverage.PREDICTED, coverage.PARTLY)
