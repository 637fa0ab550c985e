"""An ONNX file and what is said of its sizes -> ``Graph``: the nodes that ONNX Runtime runs after its optimisations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from predictor.capture.onnx_files.bindings import Bindings, Bound, bound
from predictor.capture.onnx_files.cache import from_cache, kept_at, to_cache
from predictor.capture.onnx_files.graphs import converted, graph_of
from predictor.capture.onnx_files.optimiser import optimise, optimise_here
from predictor.capture.onnx_files.reading import OnnxFile, read
from predictor.records import Graph

NOTHING_SAID = Bindings()


def graph(file: OnnxFile, bindings: Bindings, dtype: str | None = None, name: str | None = None) -> Graph:
    """The graph of a file with sizes. dtype: what it would run in; None: its own. Raises PredictorError for sizes that
    are open or cannot be, CannotRunError for a file that ONNX Runtime cannot run.
    """
    sized = bound(file, bindings)
    data = _optimised(file, bindings, sized)
    made = graph_of(data, file.dtype, dtype or file.dtype, name or file.path.stem)
    said = converted(file.dtype, dtype or file.dtype)
    return replace(made, batch=sized.batch, assumptions=(*made.assumptions, *said))


def read_graph(
    path: Path, dtype: str | None = None, name: str | None = None, bindings: Bindings = NOTHING_SAID
) -> Graph:
    """The graph of a file by its path, see ``graph``."""
    return graph(read(path), bindings, dtype, name)


def read_own(path: Path, dtype: str) -> Graph:
    """The graph of a file with fixed shapes that this program has written itself, see ``optimiser.optimise_here``."""
    file = read(path)
    sized = bound(file, NOTHING_SAID)
    return replace(graph_of(optimise_here(file, sized), file.dtype, dtype, path.stem), batch=sized.batch)


def _optimised(file: OnnxFile, bindings: Bindings, sized: Bound) -> dict[str, Any]:
    """Nodes and tensors of the optimised graph; from the cache where it was optimised before."""
    kept = kept_at(file.digest, sorted(sized.shapes.items()), sorted(sized.dims.items()), bindings.trips, versions())
    data = from_cache(kept)
    if data is None:
        data = optimise(file, sized, bindings.trips)
        to_cache(kept, data)
    return data


def versions() -> tuple[str, ...]:
    """Of the packages that shape a graph."""
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for package in ("onnx", "onnxruntime", "onnxruntime-gpu"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return tuple(found)
