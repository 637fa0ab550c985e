"""What a runtime does with a model, as data: captured and lowered on the machine that measures it."""

from __future__ import annotations

from typing import Any

import torch

from calibrate.samples.programs import program_to_json
from calibrate.workloads.sources import build
from predictor import runtimes
from predictor.errors import CannotRunError
from predictor.predict import graph_of


def record(name: str, batch: int, dtype: str, runtime: str, device: str) -> dict[str, Any]:
    """What a runtime does with a model of ``sources``: its program as data, and its MACs; or why it cannot run."""
    with torch.device("meta"):
        module, inputs = build(name, device, batch)
    try:
        graph = graph_of(module, inputs, dtype, runtime, name)
    except CannotRunError as error:
        return {"cannot": str(error)}
    return {"program": program_to_json(runtimes.load(runtime).lower(graph)), "macs": graph.macs}
