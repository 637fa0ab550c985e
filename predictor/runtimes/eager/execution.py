"""Eager PyTorch: one dispatch per operator, in inference mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from predictor.graph.inputs import call_arguments


def prepare(module: Any, inputs: Any) -> Callable[[], Any]:
    """A callable that runs one real forward pass, on the device and in the dtype that module and inputs are in."""
    import torch

    args, kwargs = call_arguments(inputs)

    def run() -> Any:
        with torch.inference_mode():
            return module(*args, **kwargs)

    return run
