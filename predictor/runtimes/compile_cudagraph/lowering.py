"""torch.compile with ``mode="reduce-overhead"``: Inductor's kernels in CUDA graphs."""

from __future__ import annotations

from dataclasses import replace

from predictor.ops import GraphBreak, graph_break
from predictor.records import TODAY, Graph, HostCall, Program, Target
from predictor.runtimes.compile import lowering as compile
from predictor.runtimes.cudagraph.lowering import replayed

NAME = "compile-cudagraph"


def lower(graph: Graph, target: Target = TODAY) -> Program:
    """Graph -> replays of Inductor's kernels."""
    return replace(replayed(compile.lower(graph, target), _is_not_traced), runtime=NAME)


def _is_not_traced(call: HostCall) -> bool:
    """Whether a call is left to eager mode, between two compiled graphs."""
    return graph_break(call.op) is GraphBreak.NOT_TRACED
