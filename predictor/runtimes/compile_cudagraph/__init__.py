"""torch.compile with ``mode="reduce-overhead"``: Inductor's kernels in CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from predictor.records import TODAY, Graph, Program, Target
from predictor.runtimes import compile
from predictor.runtimes.cudagraph import replayed

NAME = "compile-cudagraph"
BRANCH = compile.BRANCH
ON_CPU = False


UNCOMPILED = frozenset({"rnn"})
"""Traits of what is left to eager mode, between two compiled graphs: Dynamo does not trace recurrent layers."""


def lower(graph: Graph, target: Target = TODAY) -> Program:
    """Graph -> replays of Inductor's kernels."""
    return replace(replayed(compile.lower(graph, target), UNCOMPILED), runtime=NAME)


def prepare(module: Any, inputs: Any) -> Callable[[], Any]:
    """A callable that runs one real pass of the compiled module."""
    return compile.compiled(module, inputs, "reduce-overhead")
