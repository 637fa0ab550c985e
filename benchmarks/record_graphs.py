"""Capture every zoo model on every branch and write ``models_zoo/graphs``: ``make graphs``, after a change of a model,
of the capture, or of transformers.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping

import torch

import models_zoo
from predictor import graph_file, runtimes
from predictor.errors import PredictorError
from predictor.graph_file import Sizes
from predictor.predict import graph_of
from predictor.records import Graph

USUAL, MOST, MULTIPLE = 128, 448, 8
"""Tokens by default, at most, and what other lengths are multiples of: poolings halve them."""

PIECES: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = {"1": ((1,), (1,)), "n": ((2, 3), (5,))}
"""Batches that a piece is made of, and those that check it."""

LENGTHS, CHECKS = (128, 256, 384), (72, 320)
DTYPES = ("fp32", "fp16")


def captured(name: str, dtype: str, runtime: str, sizes: Sizes) -> Graph:
    """A real capture."""
    with torch.device("meta"):
        module, inputs = models_zoo.build(name, sizes[0], sizes[1] or None)
    return graph_of(module, inputs, dtype, runtime, name)


def record(name: str) -> None:
    """Capture one model and write its file."""
    tokens = "length" in inspect.signature(models_zoo.module(name).inputs).parameters
    branches = {runtimes.load(runtime).BRANCH: runtime for runtime in reversed(runtimes.names())}
    graphs: dict[str, dict[str, dict[Sizes, Graph]]] = {}
    for dtype in DTYPES:
        for branch, runtime in branches.items():
            lengths = (0,) if not tokens else (USUAL,) if branch == "exported" else LENGTHS
            try:
                graphs[f"{dtype}/{branch}"] = {
                    which: {(b, n): captured(name, dtype, runtime, (b, n)) for b in batches for n in lengths}
                    for which, (batches, _) in PIECES.items()
                }
            except PredictorError as error:
                print(f"{name} {dtype} {branch}: {error}", file=sys.stderr)
    usual = {"usual": USUAL, "multiple": MULTIPLE, "most": MOST} if tokens else {}
    graph_file.save(models_zoo.graphs(name), graphs, usual)
    for key in graphs:
        dtype, branch = key.split("/")
        check(name, dtype, branch, branches[branch], tokens and branch != "exported")


def check(name: str, dtype: str, branch: str, runtime: str, tokens: bool) -> None:
    """Compare the file with captures of sizes that it was not made of: raises SystemExit where they differ."""
    for _, batches in PIECES.values():
        for sizes in [(b, n) for b in batches for n in (CHECKS if tokens else (0,))]:
            found = graph_file.load(models_zoo.graphs(name), name, dtype, branch, *sizes)
            calls = captured(name, dtype, runtime, sizes).calls
            if found is None or found.calls != calls:
                differ = [pair for pair in zip(found.calls, calls, strict=False) if pair[0] != pair[1]] if found else []
                said = "\n".join(map(str, differ[0])) if differ else "another number of operators"
                raise SystemExit(f"{name} {dtype} {branch} {sizes}: the file is not what a capture gives: {said}")


if __name__ == "__main__":
    for one in sys.argv[1:] or models_zoo.names():
        record(one)
        print(one, models_zoo.graphs(one).stat().st_size, flush=True)
