"""Capture every zoo model in every capture mode and write ``models_zoo/graphs``: ``make graphs``, after a change of a
model, of the capture, or of transformers. ``--mode exported`` captures one mode and keeps the others.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import torch

import models_zoo
from predictor import runtimes
from predictor.errors import PredictorError
from predictor.graph.files import GraphSet, SizeRange, read, write
from predictor.graph.sizes import Sizes
from predictor.predict import graph_of
from predictor.records import CaptureMode, Graph

USUAL, MOST, MULTIPLE = 128, 448, 8
"""Tokens by default, at most, and what other lengths are multiples of: poolings halve them."""

BATCHES: tuple[tuple[tuple[int, ...], tuple[int, int]], ...] = (((1,), (1, 1)), ((2, 3), (2, 0)))
"""Batches that a template is made of, and the first and last (0: any) that it stands for."""

LENGTHS, CHECKS = (128, 256, 384), (72, 320)
DTYPES = ("fp32", "fp16")

Build = Callable[[Sizes], tuple[Any, Any]]
"""Sizes -> a model in evaluation mode and its inputs."""


class Lengths(NamedTuple):
    """Lengths that a capture mode's templates are made of, those that check them, and the range that they stand for."""

    made: tuple[int, ...]
    checks: tuple[int, ...]
    range: tuple[int, int, int]


class Recipe(NamedTuple):
    """A capture mode: a runtime that takes it, and its lengths."""

    runtime: str
    lengths: Lengths


def captured(name: str, build: Build, dtype: str, runtime: str, mode: CaptureMode, sizes: Sizes) -> Graph:
    """A real capture."""
    with torch.device("meta"):
        module, inputs = build(sizes)
    return graph_of(module, inputs, dtype, runtime, name, mode=mode)


def record(
    name: str,
    path: Path,
    build: Build,
    modes: Mapping[CaptureMode, Recipe],
    length: int,
    batches: tuple[int, ...],
    kept: GraphSet | None = None,
) -> None:
    """Capture one model, write its file and check it. length: the usual one; batches: those that check it, beside one;
    kept: graphs of other modes. What cannot run in a mode is said and left out.
    """
    graphs = kept or GraphSet(name, 1, length)
    for dtype in DTYPES:
        for mode, (runtime, lengths) in modes.items():
            try:
                for made, (first, last) in BATCHES:
                    captures = {
                        (b, n): captured(name, build, dtype, runtime, mode, (b, n)) for b in made for n in lengths.made
                    }
                    graphs = graphs.extended(dtype, mode, captures, SizeRange(first, last, *lengths.range))
            except PredictorError as error:
                print(f"{name} {dtype} {mode}: {error}", file=sys.stderr)
    write(path, graphs)
    for template in read(path).templates:
        if template.mode not in modes:
            continue
        runtime, lengths = modes[template.mode]
        for batch in (1, *batches):
            if template.range.holds(batch, lengths.checks[0]):
                for tokens in lengths.checks:
                    check(name, path, build, template.dtype, runtime, template.mode, (batch, tokens))


def check(name: str, path: Path, build: Build, dtype: str, runtime: str, mode: CaptureMode, sizes: Sizes) -> None:
    """Compare the file with a capture of a size that it was not made of: raises SystemExit where they differ."""
    told = attrgetter("calls", "tail", "module_calls", "outputs")
    found = read(path).find(dtype, mode, *sizes)
    expected = captured(name, build, dtype, runtime, mode, sizes)
    if found is None or told(found) != told(expected):
        pairs = zip(found.calls, expected.calls, strict=False) if found else []
        differ = [pair for pair in pairs if pair[0] != pair[1]]
        said = "\n".join(map(str, differ[0])) if differ else "another number of operators, or another end"
        raise SystemExit(f"{name} {dtype} {mode} {sizes}: the file is not what a capture gives: {said}")


def without(graphs: GraphSet, mode: CaptureMode) -> GraphSet:
    """The graphs of the other modes, and the rows that they have."""
    templates = [template for template in graphs.templates if template.mode is not mode]
    rows = {row: number for number, row in enumerate(dict.fromkeys(c[0] for t in templates for c in t.calls))}
    renumbered = (replace(t, calls=[[rows[c[0]], *c[1:]] for c in t.calls]) for t in templates)
    return replace(graphs, templates=tuple(renumbered), rows=tuple(graphs.rows[number] for number in rows))


def record_zoo_model(name: str, only: CaptureMode | None = None) -> None:
    """Capture one zoo model and write its file. only: in this mode, keeping the graphs of others."""
    tokens = "length" in inspect.signature(models_zoo.module(name).inputs).parameters

    def build(sizes: Sizes) -> tuple[Any, Any]:
        return models_zoo.build(name, sizes[0], sizes[1] or None)

    usual = USUAL if tokens else 0
    modes = {}
    for runtime in reversed(runtimes.names()):
        for mode in runtimes.load(runtime).capture_modes:
            varies = tokens and mode is not CaptureMode.EXPORTED
            varying = Lengths(LENGTHS, CHECKS, (MULTIPLE, MOST, MULTIPLE))
            modes[mode] = Recipe(runtime, varying if varies else Lengths((usual,), (usual,), (usual, usual, 1)))
    path, kept = models_zoo.graphs(name), None
    if only is not None:
        modes, kept = {only: modes[only]}, without(read(path), only)
    record(name, path, build, modes, usual, (5,), kept)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--mode", type=CaptureMode)
    asked = parser.parse_args()
    for one in asked.names or models_zoo.names():
        record_zoo_model(one, asked.mode)
        print(one, models_zoo.graphs(one).stat().st_size, flush=True)
