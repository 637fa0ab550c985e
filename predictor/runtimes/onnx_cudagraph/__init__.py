"""ONNX Runtime with ``enable_cuda_graph``: the session's kernels, captured once, replayed with one launch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from predictor.records import TODAY, Graph, Program, Target
from predictor.runtimes import onnx
from predictor.runtimes.cudagraph import replayed

NAME = "onnx-cudagraph"
BRANCH = onnx.BRANCH
ON_CPU = False


def lower(graph: Graph, target: Target = TODAY) -> Program:
    """Graph of ONNX nodes -> one replay of their kernels."""
    return replace(replayed(onnx.lower(graph, target)), runtime=NAME)


def prepare(module: Any, inputs: Any) -> Callable[[], Any]:
    """A callable that replays the captured session. Raises where a node has no CUDA kernel."""
    return onnx.session(module, inputs, {"enable_cuda_graph": "1"})
