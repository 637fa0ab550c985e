"""ONNX Runtime with ``enable_cuda_graph``: the session's kernels, captured once, replayed with one launch."""

from __future__ import annotations

from dataclasses import replace

from predictor.records import TODAY, Graph, Program, Target
from predictor.runtimes.cudagraph.lowering import replayed
from predictor.runtimes.onnx import lowering as onnx

NAME = "onnx-cudagraph"


def lower(graph: Graph, target: Target = TODAY) -> Program:
    """Graph of ONNX nodes -> one replay of their kernels."""
    return replace(replayed(onnx.lower(graph, target)), runtime=NAME)
