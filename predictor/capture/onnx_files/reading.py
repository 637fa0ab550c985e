"""An ONNX file -> ``Graph``: the nodes that ONNX Runtime runs after its optimisations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from predictor.capture.onnx_files.cache import optimised
from predictor.capture.onnx_files.graphs import graph_of
from predictor.errors import PredictorError, shortened
from predictor.records import Graph


def read(path: Path, dtype: str, name: str | None = None) -> Graph:
    """Graph of an ONNX file. dtype: what its floating-point tensors would run in. Raises PredictorError for a file that
    is none, has open dimensions, or that ONNX Runtime does not take.
    """
    batch = batch_of(path)
    return replace(graph_of(optimised(path), dtype, name or path.stem), batch=batch)


def batch_of(path: Path) -> int:
    """Size of the first dimension of an ONNX file's first input. Raises PredictorError for a file that is none or has
    open dimensions.
    """
    import onnx

    if not path.is_file():
        raise PredictorError(f"no such file: {path}")
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        raise PredictorError(f"{path} is no ONNX file: {shortened(error)}") from error
    if not model.graph.node:
        raise PredictorError(f"{path} is no ONNX file: it has no nodes")
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [given for given in model.graph.input if given.name not in weights]
    for given in inputs:
        sizes = given.type.tensor_type.shape.dim
        if any(not d.dim_value for d in sizes):
            said = ", ".join(d.dim_param or str(d.dim_value) for d in sizes)
            raise PredictorError(
                f"{path}: input {given.name} has open dimensions ({said}): export it with fixed shapes"
            )
    sizes = inputs[0].type.tensor_type.shape.dim if inputs else ()
    return int(sizes[0].dim_value) if sizes else 1
