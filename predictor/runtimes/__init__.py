"""Runtimes, one folder each, found by its name.

A folder's ``__init__`` holds ``RUNTIME`` (``runtime.Runtime``): how it lowers a graph (``lowering.py``), how it really
runs a module (``execution.py``), and what its host time is made of. Nothing else names it: the commands, comparisons,
calibration, validation and the contract tests take what is here.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from predictor.errors import PredictorError, unknown

if TYPE_CHECKING:
    from predictor.runtimes.runtime import Runtime

SYNONYMS = {
    "inductor": "compile",
    "torch.compile": "compile",
    "torch-compile": "compile",
    "reduce-overhead": "compile-cudagraph",
    "max-autotune": "compile-cudagraph",
    "graphs": "cudagraph",
    "cuda-graphs": "cudagraph",
    "cuda-graph": "cudagraph",
    "jit": "torchscript",
    "trace": "torchscript",
    "ort": "onnx",
    "onnxruntime": "onnx",
    "pytorch": "eager",
    "torch": "eager",
}
"""What else people call the runtimes."""

NEAREST = {
    "tensorrt": "onnx-cudagraph",
    "trt": "onnx-cudagraph",
    "torch-tensorrt": "compile-cudagraph",
    "openvino": "onnx",
    "tvm": "compile",
    "xla": "compile",
    "jax": "compile",
    "tensorflow": "compile",
    "aot-inductor": "compile",
    "executorch": "onnx",
    "vllm": "compile-cudagraph",
}
"""Runtimes that are not predicted, and the one that is most like each."""


def names() -> list[str]:
    """Names of the runtimes, as users type them."""
    return list(_names(tuple(__path__)))


@cache
def _names(folders: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(folders) if m.ispkg))


def load(name: str) -> Runtime:
    """A runtime by its name. Raises PredictorError for an unknown one."""
    if name not in _names(tuple(__path__)):
        raise unknown_runtime(name)
    runtime: Runtime = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").RUNTIME
    return runtime


def unknown_runtime(name: str) -> PredictorError:
    """The error for a name that is no runtime's, with the runtime that is meant or the nearest to it."""
    bare = name.lower().replace("_", "-").replace(" ", "-")
    if bare in SYNONYMS:
        return PredictorError(f"unknown runtime {name!r}: did you mean {SYNONYMS[bare]}?")
    if bare in NEAREST:
        return PredictorError(f"runtime {name!r} is not supported, nearest: {NEAREST[bare]}")
    return unknown("runtime", name, names())


def summary(name: str) -> str:
    """What a runtime is, in one sentence: the first line of its folder's docstring. Imports nothing of it."""
    folder = name.replace("-", "_")
    for path in __path__:
        file = Path(path, folder, "__init__.py")
        if file.is_file():
            return (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "").partition("\n")[0]
    raise unknown_runtime(name)
