"""A module as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from predictor.graph.inputs import flat


def export(module: Any, inputs: Any, path: Path) -> None:
    """Write a module as an ONNX file, its weights beside it, with fixed shapes."""
    import torch

    function, tensors = flat(module, inputs)
    with torch.no_grad():
        torch.onnx.export(function, tensors, str(path), dynamo=True, external_data=True, verbose=False)
