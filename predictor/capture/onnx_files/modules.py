"""A module by way of an ONNX file -> ``Graph``."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from predictor.capture.onnx_files import cache
from predictor.capture.onnx_files.bindings import Bindings, bound
from predictor.capture.onnx_files.files import versions as package_versions
from predictor.capture.onnx_files.graphs import graph_of
from predictor.capture.onnx_files.optimiser import optimise_here
from predictor.capture.onnx_files.reading import read
from predictor.errors import CannotRunError, shortened
from predictor.graph.inputs import batch_of as inputs_batch
from predictor.records import CaptureMode, Graph


def exported(module: Any, inputs: Any, dtype: str, name: str | None = None) -> Graph:
    """Graph of a module: exported in fp32 on the CPU, with weights of no particular value if it has none. Raises
    CannotRunError where it cannot be exported.
    """
    import torch

    from predictor.capture.isolation import isolated
    from predictor.capture.recorder import versions
    from predictor.capture.stand_ins import Copies
    from predictor.graph.onnx_export import export

    def placed(tensor: torch.Tensor) -> torch.Tensor:
        kind = torch.float32 if tensor.is_floating_point() else tensor.dtype
        if tensor.is_meta:
            return torch.zeros(tensor.shape, dtype=kind)
        return tensor.detach().to("cpu", kind, copy=True)

    said = name or type(module).__name__
    kept = cache.kept_at(_fingerprint(module, inputs), package_versions())
    with isolated():
        data = cache.from_cache(kept)
        if data is None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.onnx"
                try:
                    with _quiet():
                        copies = Copies()
                        real = copies.module(module, placed, placed)
                        export(real, copies.of(inputs, placed), path)
                except Exception as error:
                    raise CannotRunError(f"it cannot be exported to ONNX: {shortened(error)}") from error
                file = read(path)
                data = optimise_here(file, bound(file, Bindings()))
            cache.to_cache(kept, data)
    return replace(graph_of(data, "fp32", dtype, said), batch=inputs_batch(inputs), versions=versions())


def _fingerprint(module: Any, inputs: Any) -> bytes:
    """What decides what a module is exported to: the operators that it runs, and the versions of those who export."""
    from predictor.capture.recorder import capture

    graph = capture(module, inputs, "fp32", "", CaptureMode.TRACED)
    rows = [(c.op, sorted(c.args.items(), key=str), c.input_ids, c.outputs) for c in graph.calls]
    return repr((rows, graph.outputs, graph.versions)).encode()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
