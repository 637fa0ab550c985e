"""torch.compile with its default backend, Inductor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from predictor.graph.inputs import call_arguments


def prepare(module: Any, inputs: Any) -> Callable[[], Any]:
    """A callable that runs one real pass of the compiled module."""
    return compiled(module, inputs, "default")


def compiled(module: Any, inputs: Any, mode: str) -> Callable[[], Any]:
    """A pass of the module, compiled in a mode of ``torch.compile`` for these very shapes."""
    import torch

    args, kwargs = call_arguments(inputs)
    function = torch.compile(module, mode=mode, dynamic=False)

    def run() -> Any:
        with torch.inference_mode():
            return function(*args, **kwargs)  # type: ignore[no-untyped-call]

    for _ in range(3):
        run()
    return run
