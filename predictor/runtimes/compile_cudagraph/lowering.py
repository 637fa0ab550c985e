"""torch.compile with ``mode="reduce-overhead"``: Inductor's kernels in CUDA graphs."""

from __future__ import annotations

from dataclasses import replace

from predictor.records import TODAY, Graph, Program, Target
from predictor.runtimes.compile import lowering as compile
from predictor.runtimes.cudagraph.lowering import replayed

NAME = "compile-cudagraph"


UNCOMPILED = frozenset({"rnn"})
"""Traits of what is left to eager mode, between two compiled graphs: Dynamo does not trace recurrent layers."""


def lower(graph: Graph, target: Target = TODAY) -> Program:
    """Graph -> replays of Inductor's kernels."""
    return replace(replayed(compile.lower(graph, target), UNCOMPILED), runtime=NAME)
