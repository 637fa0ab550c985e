"""torch.compile with ``mode="reduce-overhead"``: Inductor's kernels in CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from predictor.runtimes.compile.execution import compiled


def prepare(module: Any, inputs: Any) -> Callable[[], Any]:
    """A callable that runs one real pass of the compiled module."""
    return compiled(module, inputs, "reduce-overhead")
