"""Capture every zoo model on every branch and write ``models_zoo/graphs``: ``make graphs``, after a change of a model,
of the capture, or of transformers.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import torch

import models_zoo
from predictor import runtimes
from predictor.errors import PredictorError
from predictor.graph import files as graph_file
from predictor.graph.files import Sizes
from predictor.predict import graph_of
from predictor.records import Graph

USUAL, MOST, MULTIPLE = 128, 448, 8
"""Tokens by default, at most, and what other lengths are multiples of: poolings halve them."""

PIECES: Mapping[str, tuple[int, ...]] = {"1": (1,), "n": (2, 3)}
"""Batches that a piece is made of."""

LENGTHS, CHECKS = (128, 256, 384), (72, 320)
DTYPES = ("fp32", "fp16")

Build = Callable[[Sizes], tuple[Any, Any]]
"""Sizes -> a model in evaluation mode and its inputs."""


class Branch(NamedTuple):
    """A branch: a runtime that takes it, the lengths that its graphs are made of, and those that check them."""

    runtime: str
    lengths: tuple[int, ...]
    checks: tuple[int, ...]


def captured(name: str, build: Build, dtype: str, runtime: str, sizes: Sizes) -> Graph:
    """A real capture."""
    with torch.device("meta"):
        module, inputs = build(sizes)
    return graph_of(module, inputs, dtype, runtime, name)


def record(
    name: str,
    path: Path,
    build: Build,
    branches: Mapping[str, Branch],
    usual: Mapping[str, int],
    batches: tuple[int, ...],
) -> None:
    """Capture one model, write its file and check it. usual: the file's lengths (``graph_file.save``); batches: those
    that check it, beside one. What cannot run on a branch is said and left out.
    """
    graphs: dict[str, dict[str, dict[Sizes, Graph]]] = {}
    for dtype in DTYPES:
        for branch, (runtime, lengths, _) in branches.items():
            try:
                graphs[f"{dtype}/{branch}"] = {
                    which: {(b, n): captured(name, build, dtype, runtime, (b, n)) for b in made for n in lengths}
                    for which, made in PIECES.items()
                }
            except PredictorError as error:
                print(f"{name} {dtype} {branch}: {error}", file=sys.stderr)
    graph_file.save(path, graphs, usual)
    for key in graphs:
        dtype, branch = key.split("/")
        checks = [(b, n) for b in (1, *batches) for n in branches[branch].checks]
        check(name, path, build, dtype, branch, branches[branch].runtime, checks)


def check(name: str, path: Path, build: Build, dtype: str, branch: str, runtime: str, checks: list[Sizes]) -> None:
    """Compare the file with captures of sizes that it was not made of: raises SystemExit where they differ."""
    told = attrgetter("calls", "tail", "module_calls", "outputs")
    for sizes in checks:
        found = graph_file.load(path, name, dtype, branch, *sizes)
        expected = captured(name, build, dtype, runtime, sizes)
        if found is None or told(found) != told(expected):
            pairs = zip(found.calls, expected.calls, strict=False) if found else []
            differ = [pair for pair in pairs if pair[0] != pair[1]]
            said = "\n".join(map(str, differ[0])) if differ else "another number of operators, or another end"
            raise SystemExit(f"{name} {dtype} {branch} {sizes}: the file is not what a capture gives: {said}")


def record_zoo_model(name: str) -> None:
    """Capture one zoo model and write its file."""
    tokens = "length" in inspect.signature(models_zoo.module(name).inputs).parameters

    def build(sizes: Sizes) -> tuple[Any, Any]:
        return models_zoo.build(name, sizes[0], sizes[1] or None)

    branches = {}
    for runtime in reversed(runtimes.names()):
        branch = runtimes.load(runtime).capture_mode
        one = (USUAL,) if tokens else (0,)
        varies = tokens and branch != "exported"
        branches[branch] = Branch(runtime, LENGTHS if varies else one, CHECKS if varies else one)
    usual = {"usual": USUAL, "multiple": MULTIPLE, "most": MOST} if tokens else {}
    record(name, models_zoo.graphs(name), build, branches, usual, batches=(5,))


if __name__ == "__main__":
    for one in sys.argv[1:] or models_zoo.names():
        record_zoo_model(one)
        print(one, models_zoo.graphs(one).stat().st_size, flush=True)
