"""What several test files use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from typer.testing import Result

from predictor.capture.recorder import capture
from predictor.records import Graph, OpCall


class Function(nn.Module):
    """A module of one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs)


def of(function: Callable[..., Any], *inputs: torch.Tensor, dtype: str = "fp32") -> Graph:
    return capture(Function(function), inputs, dtype)


def only(graph: Graph) -> OpCall:
    (call,) = graph.calls
    return call


def complaint(result: Result) -> str:
    """The one line of a command that was given bad input."""
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]
