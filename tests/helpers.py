"""What several test files use."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn
from typer.testing import Result

import models_zoo
from predictor import runtimes
from predictor.capture.recorder import capture
from predictor.graph.files import GraphSet, SizeRange
from predictor.plans import Plan
from predictor.records import Graph, OpCall, Report
from predictor.runtimes.runtime import unchanged

FIRST_ZOO = (
    *("bert-base", "distilbert", "funnel", "gpt2", "mobilebert"),
    *("mobilenet_v2", "resnet50", "squeezebert", "vit-base", "wavlm"),
)
"""The models that the zoo began with: of every kind, all of transformers."""

BUILDABLE = [name for name in models_zoo.names() if find_spec(models_zoo.library(name))]
"""Models of the zoo whose library is installed."""

RUN_ANYTHING = [name for name in runtimes.names() if runtimes.load(name).convert is unchanged]
"""Runtimes that take any module, not those alone that they can convert."""

FACTS = (
    *("model", "runtime", "gpu", "dtype", "batch", "latency_s", "host_s", "kernel_s", "bound", "interval_s"),
    *("macs", "launches", "unmodelled", "calibration"),
)
"""What every prediction tells."""


class Function(nn.Module):
    """A module of one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs)


def of(function: Callable[..., Any], *inputs: torch.Tensor, dtype: str = "fp32") -> Graph:
    return capture(Function(function), inputs, dtype)


def report(graph: Graph, gpu: str, runtime: str = "eager", host: str | None = None) -> Report:
    """The report of a plan that knows this graph alone."""
    sizes = SizeRange(graph.batch, graph.batch)
    graphs = GraphSet(graph.name, graph.batch)
    for mode in runtimes.load(runtime).capture_modes:
        graphs = graphs.extended(graph.dtype, mode, {(graph.batch, 0): graph}, sizes)
    return Plan(graphs).report(gpu, runtime, graph.dtype, host=host)


def only(graph: Graph) -> OpCall:
    (call,) = graph.calls
    return call


def complaint(result: Result, exit_code: int = 2) -> str:
    """The one line of a command that was given bad input, or (code 3) a model that a runtime cannot run."""
    assert result.exit_code == exit_code
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]
