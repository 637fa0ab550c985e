"""CUDA Graphs: the eager module, captured once, replayed with one launch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from predictor.graph.inputs import flat


def prepare(module: Any, inputs: Any) -> Callable[[], Any]:
    """A callable that replays the captured pass. Raises RuntimeError where it cannot be captured; CUDA may be unusable
    in the process after that.
    """
    import torch

    function, tensors = flat(module, inputs)
    graph = torch.cuda.CUDAGraph()
    with torch.inference_mode():
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(3):
                function(*tensors)
        torch.cuda.current_stream().wait_stream(aside)
        with torch.cuda.graph(graph):
            outputs = function(*tensors)

    def run() -> Any:
        graph.replay()
        return (outputs, tensors)[0]  # the inputs are read at every replay, so they live as long as this

    return run
