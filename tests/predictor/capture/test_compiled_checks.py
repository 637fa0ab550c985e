"""What compiled code looks at: counts are those of Dynamo's own guards (``benchmarks.checked_modules``)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.checked_modules import counted
from predictor import runtimes
from predictor.capture.compiled_checks import checked_modules
from predictor.predict import graph_of
from predictor.records import Trait

X = torch.rand(2, 8)


class Block(nn.Module):
    """Two layers, called by name."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.scale = nn.Linear(8, 8), nn.Linear(8, 8), 2.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x)) * self.scale


class Configured(Block):
    """Reads an object that could be changed."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x)) * self.factor()

    def factor(self) -> float:
        return float(self.config.factor)


class Derived(Block):
    """Asks for what it inherits."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + 1


class Model(nn.Module):
    """Layers, one after another, called by name."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.one, self.two = layers

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.two(self.one(x))


def models() -> dict[str, tuple[nn.Module, int]]:
    """Models, and how many modules of each are looked at."""
    config = SimpleNamespace(factor=3.0)
    return {
        "whole": (Model(Block(), Block()), 1),
        "container": (nn.Sequential(Block(), Block()), 3),
        "container within": (Model(nn.Sequential(nn.Linear(8, 8), nn.ReLU()), Block()), 5),
        "object": (Model(Configured(config), Block()), 5),
        "object that another has": (Model(Configured(config), Configured(config)), 5),
        "own objects": (Model(Configured(config), Configured(SimpleNamespace(factor=2.0))), 7),
        "derived": (Model(Derived(), Block()), 5),
    }


@pytest.mark.parametrize("name", models())
def test_modules_are_looked_at_as_dynamo_looks_at_them(name: str) -> None:
    module, count = models()[name]
    assert checked_modules(module.eval()) == count
    if "container" not in name:  # which 2.13 asks for no iterator
        assert counted(module.eval(), X) == count


def test_compiled_code_checks_modules_before_it_runs() -> None:
    graph = graph_of(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)), X, "fp16", "compile")
    for runtime in ("compile", "compile-cudagraph"):
        first = runtimes.load(runtime).lower(graph).calls[0]
        assert (first.op, first.trait, first.times) == ("checked module", Trait.GUARD, 4)
