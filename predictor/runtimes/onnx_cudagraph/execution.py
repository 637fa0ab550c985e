"""ONNX Runtime with ``enable_cuda_graph``: the session's kernels, captured once, replayed with one launch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from predictor.runtimes.onnx.execution import session


def prepare(module: Any, inputs: Any) -> Callable[[], Any]:
    """A callable that replays the captured session. Raises where a node has no CUDA kernel."""
    return session(module, inputs, {"enable_cuda_graph": "1"})
