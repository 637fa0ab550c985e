"""A module by way of an ONNX file -> ``Graph``."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from predictor.capture.onnx_files import cache
from predictor.capture.onnx_files.bindings import Bindings, bound
from predictor.capture.onnx_files.files import versions as package_versions
from predictor.capture.onnx_files.graphs import HALF, graph_of
from predictor.capture.onnx_files.optimiser import optimise_here
from predictor.capture.onnx_files.reading import read
from predictor.errors import CannotRunError, missing_library
from predictor.graph.inputs import batch_of as inputs_batch
from predictor.records import CaptureMode, Graph


def exported(module: Any, inputs: Any, dtype: str, name: str | None = None) -> Graph:
    """Graph of a module: exported on the CPU, in half precision for either half-precision type, so that what the module
    does in fp32 itself stays told apart; with weights of no particular value if it has none. Raises CannotRunError
    where it cannot be exported.
    """
    from predictor.capture.isolation import isolated, without_collection
    from predictor.capture.recorder import versions

    own = "fp16" if dtype in HALF else "fp32"
    kept = cache.kept_at(_fingerprint(module, inputs, own), package_versions())
    with isolated(), without_collection():
        data = cache.from_cache(kept)
        if data is None:
            data = _optimised(module, inputs, own)
            cache.to_cache(kept, data)
    made = graph_of(data, own, dtype, name or type(module).__name__)
    return replace(made, batch=inputs_batch(inputs), versions=versions())


def _optimised(module: Any, inputs: Any, dtype: str) -> dict[str, Any]:
    """Nodes and tensors of a module that is exported in a dtype and optimised."""
    import torch

    from predictor.capture.redirected import names_cuda, to
    from predictor.capture.stand_ins import Copies
    from predictor.graph.onnx_export import export

    floats = torch.float16 if dtype == "fp16" else torch.float32

    def placed(tensor: torch.Tensor) -> torch.Tensor:
        kind = floats if tensor.is_floating_point() else tensor.dtype
        if tensor.is_meta:
            return torch.zeros(tensor.shape, dtype=kind)
        return tensor.detach().to("cpu", kind, copy=True)

    def write(path: Path) -> None:
        copies = Copies()
        export(copies.module(module, placed, placed), copies.of(inputs, placed), path)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            with _quiet():
                try:
                    write(path)
                except Exception as error:
                    if torch.cuda.is_available() or not names_cuda(_root(error)):
                        raise
                    with to("cpu"):
                        write(path)
        except ImportError as error:
            raise missing_library(error) or _not_exported(error) from error
        except Exception as error:
            raise _not_exported(error) from error
        file = read(path)
        return optimise_here(file, bound(file, Bindings()))


def _not_exported(error: Exception) -> CannotRunError:
    return CannotRunError(f"it cannot be exported to ONNX: {_cause(error)}")


def _fingerprint(module: Any, inputs: Any, dtype: str) -> str:
    """What decides what a module is exported to: the operators that it runs, and the versions of those who export."""
    from predictor.capture.recorder import capture

    graph = capture(module, inputs, dtype, "", CaptureMode.TRACED)
    rows = [(c.op, sorted(c.args.items(), key=str), c.input_ids, c.outputs) for c in graph.calls]
    return repr((rows, graph.outputs, graph.versions, dtype))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Exporters print and log what they have tried, where they fail."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _root(error: BaseException) -> BaseException:
    """The first cause of an error."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _cause(error: BaseException) -> str:
    """What caused an error, in the first line of its message: the exporters' own are about how to report it."""
    error = _root(error)
    said = str(error).strip() or type(error).__name__
    return " ".join(re.sub(r"\x1b\[\d*m", "", said.splitlines()[0]).split())[:200]
