"""TorchScript: ``torch.jit.trace``, its interpreter and its fuser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from predictor.graph.inputs import flat

WARM = 4
"""Passes before a traced module runs as it will: the fuser watches the first ones."""


def prepare(module: Any, inputs: Any) -> Callable[[], Any]:
    """A callable that runs one real pass of the traced module, its fused kernels compiled."""
    import torch

    function, tensors = flat(module, inputs)
    with torch.inference_mode():
        traced = torch.jit.trace(function, tensors, strict=False, check_trace=False)  # type: ignore[no-untyped-call]
        for _ in range(WARM):
            traced(*tensors)

    def run() -> Any:
        with torch.inference_mode():
            return traced(*tensors)

    return run
