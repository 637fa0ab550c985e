"""Small ONNX models for tests, of nodes that a test names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

FLOAT, INT, BOOL, HALF, DOUBLE = 1, 7, 9, 10, 11
"""Types of ``onnx.TensorProto``."""


def info(name: str, shape: Sequence[Any] | None = (1, 64), kind: int = FLOAT) -> Any:
    """The description of a tensor; shape None: its rank is not said."""
    return helper.make_tensor_value_info(name, kind, shape)


def weight(name: str, *shape: int, kind: Any = np.float32) -> Any:
    """A weight of some values."""
    return numpy_helper.from_array((np.arange(np.prod(shape)).reshape(shape) % 7).astype(kind), name)


def constant(name: str, value: Any, kind: Any = np.int64) -> Any:
    """A weight of given values."""
    return numpy_helper.from_array(np.array(value, kind), name)


def node(op: str, inputs: str = "x", outputs: str = "y", **attributes: Any) -> Any:
    """A node; names are separated by commas."""
    return helper.make_node(op, inputs.split(","), outputs.split(","), **attributes)


def graph(nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], weights: Sequence[Any] = ()) -> Any:
    """A graph, as the body of a loop."""
    return helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), list(weights))


def model(
    nodes: Sequence[Any],
    inputs: Sequence[Any] = (),
    weights: Sequence[Any] = (),
    outputs: Sequence[Any] = (),
    opset: int = 17,
    functions: Sequence[Any] = (),
) -> Any:
    """A model, from x to y if nothing else is said."""
    whole = graph(nodes, list(inputs) or [info("x")], list(outputs) or [info("y", None)], weights)
    domains = [("", opset), ("com.microsoft", 1), ("own", 1)]
    imports = [helper.make_opsetid(*domain) for domain in domains]
    return helper.make_model(whole, opset_imports=imports, ir_version=10, functions=functions)


def saved(folder: Path, made: Any, name: str = "model") -> Path:
    """The file of a model."""
    path = folder / f"{name}.onnx"
    onnx.save(made, path)
    return path
