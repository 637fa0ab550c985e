"""BetterTransformer: a model's encoder layers as torch's own, run eagerly on their fast path."""

from __future__ import annotations

from dataclasses import replace

from predictor.records import TODAY, Graph, Program, Target
from predictor.runtimes.eager import lowering as eager

NAME = "bettertransformer"


def lower(graph: Graph, target: Target = TODAY) -> Program:
    """Graph of the converted module -> host calls and their kernels, in issue order."""
    return replace(eager.lower(graph, target), runtime=NAME)
