"""Networks of search spaces are those that others measured: their sizes, what their choices do, how they are judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import predictor
from benchmarks.search_networks import SPACES, fbnet, nasbench201, ofa_mobilenetv3, random_ofa
from benchmarks.search_spaces import Candidate, judge, rankings, text

ALL_3X3 = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
EMPTY = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_nasbench201_has_the_parameters_that_its_paper_says() -> None:
    with torch.device("meta"):
        assert parameters(nasbench201(ALL_3X3)) == pytest.approx(1.53e6, rel=0.01)  # its largest, of 10 classes
        assert parameters(nasbench201(EMPTY)) == pytest.approx(0.073e6, rel=0.01)  # its smallest


def test_a_cell_without_edges_passes_nothing_on() -> None:
    features, _ = nasbench201(EMPTY)(torch.rand(2, 3, 32, 32))
    assert features.std(dim=0).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("space", "architecture", "classes"),
    [("fbnet-cifar100", "-".join("8" * 22), 100), ("ofa-mobilenetv3", random_ofa(0), 1000)],
)
def test_networks_classify_images_of_their_space(space: str, architecture: str, classes: int) -> None:
    pixels = SPACES[space].pixels
    with torch.no_grad():
        assert SPACES[space].build(architecture)(torch.rand(1, 3, pixels, pixels)).shape == (1, classes)


def test_choices_of_fbnet_and_depths_of_once_for_all_change_the_network() -> None:
    with torch.device("meta"):
        narrow, wide = (parameters(fbnet("-".join([choice] * 22))) for choice in "03")
        assert narrow < wide
        lists = random_ofa(1).split(":")[1:]
        shallow, deep = (
            parameters(ofa_mobilenetv3(":".join([depths, *lists]))) for depths in ("2-2-2-2-2", "4-4-4-4-4")
        )
        assert shallow < deep


def test_a_constant_factor_is_told_from_errors_of_rank(tmp_path: Path) -> None:
    models = [torch.nn.Sequential(*(torch.nn.ReLU() for _ in range(depth))) for depth in (1, 2, 3, 4)]
    candidates = [Candidate(predictor.plan(model, torch.rand(1, 64)), 0) for model in models]
    predicted_s = np.array([c.plan.report("h200", "eager", "fp32", 1).latency_s for c in candidates])
    ranking = judge("space", "h200", 1, candidates, 2 * predicted_s)
    assert ranking.factor == pytest.approx(0.5)
    assert ranking.mape == pytest.approx(0.5)
    assert ranking.mape_after == pytest.approx(0, abs=1e-9)
    assert ranking.spearman == ranking.tau == 1
    assert judge("space", "h200", 1, candidates, predicted_s[::-1]).tau == -1
    table = tmp_path / "measured.csv"
    table.write_text(f"space,gpu,batch,architecture,latency_ms\nnasbench201,2080ti,1,{EMPTY},5\n")
    assert "| nasbench201 | 2080ti | 1 | 1 |" in text(rankings(table, tmp_path / "cache"), markdown=True)
