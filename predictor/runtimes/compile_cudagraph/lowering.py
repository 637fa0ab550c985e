"""torch.compile with ``mode="reduce-overhead"``: Inductor's kernels in CUDA graphs."""

from __future__ import annotations

from collections import Counter

from predictor.records import TODAY, Graph, Program, Target
from predictor.runtimes.compile.lowering import parts, tail
from predictor.runtimes.cudagraph.lowering import replayed
from predictor.runtimes.eager import lowering as eager

NAME = "compile-cudagraph"


def lower(graph: Graph, target: Target = TODAY) -> Program:
    """Graph -> replays of Inductor's kernels, and what eager mode runs between two compiled graphs."""
    unmodelled: Counter[str] = Counter()
    found = parts(graph, unmodelled)
    calls = tuple(call for part in found for call in (replayed(part.calls) if part.is_compiled else part.calls))
    return Program(NAME, graph.dtype, calls, tail(graph, found), dict(unmodelled), eager.unsupported_reason(graph))
