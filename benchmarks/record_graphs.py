"""Capture every zoo model in every capture mode and write ``models_zoo/graphs``: ``make graphs``, after a change of a
model, of the capture, of transformers or of torchvision. ``--mode exported`` captures one mode and keeps the others;
``--check`` writes nothing and compares the files with captures of other sizes. ``--torchvision`` names a folder that
has torchvision where it is not installed.

A mode whose captures at two sizes are what the graphs of another give shares these. What lists say of a
model without its graphs is written into ``models_zoo/graphs/index.json``.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial, reduce
from itertools import product
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import torch

import models_zoo
from benchmarks.torchvision_operators import import_torchvision
from predictor import runtimes
from predictor.errors import PredictorError
from predictor.graph.files import GraphSet, SizeRange, read, write
from predictor.graph.inputs import generated_by
from predictor.graph.sizes import Sizes
from predictor.predict import graph_of
from predictor.records import CaptureMode, Graph

USUAL, MOST, MULTIPLE = 128, 448, 8
"""Tokens by default, at most, and what other lengths are multiples of: poolings halve them."""

BATCHES: tuple[tuple[tuple[int, ...], tuple[int, int]], ...] = (((1,), (1, 1)), ((2, 3), (2, 0)))
"""Batches that a template is made of, and the first and last (0: any) that it stands for."""

LENGTHS, CHECKS = (128, 256, 384), (72, 320)
DTYPES = ("fp32", "fp16")

TOLD = attrgetter("calls", "tail", "module_calls", "outputs", "inputs")
"""What a graph says of a pass."""

ALL = attrgetter("calls", "tail", "module_calls", "outputs", "inputs", "versions", "assumptions")
"""That, where it is from and what it takes for granted."""

ONE_LENGTH = ("gpt2-generate",)
"""Models whose graphs are thousands of operators: shipped for their usual length, in the modes of ``AS_WRITTEN``."""

AS_WRITTEN = (CaptureMode.EAGER, CaptureMode.TRACED, CaptureMode.CAPTURED)
"""Modes of runtimes that do not compile."""

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
    with torch.device("meta"):
        generated = generated_by(build((1, length))[0])
    graphs, unchecked = kept or GraphSet(name, 1, length, generated=generated), []
    for dtype in DTYPES:
        for mode, (runtime, lengths) in modes.items():
            try:
                capture = partial(captured, name, build, dtype, runtime, mode)
                shared = sharing(graphs, dtype, mode, lengths, (max(batches), 1), capture)
                if shared is not None:
                    graphs = shared
                    continue
                for made, (first, last) in BATCHES:
                    captures = {(b, n): capture((b, n)) for b in made for n in lengths.made}
                    graphs = graphs.extended(dtype, mode, captures, SizeRange(first, last, *lengths.range))
                unchecked.append((dtype, mode))
            except (PredictorError, ValueError) as error:
                print(f"{name} {dtype} {mode}: {error}", file=sys.stderr)
    write(path, graphs)
    for dtype, mode in unchecked:
        runtime, lengths = modes[mode]
        for sizes in product((1, *batches), lengths.checks):
            check(name, path, build, dtype, runtime, mode, sizes)


def sharing(
    graphs: GraphSet,
    dtype: str,
    mode: CaptureMode,
    lengths: Lengths,
    batches: tuple[int, ...],
    capture: Callable[[Sizes], Graph],
) -> GraphSet | None:
    """With the templates of another mode for this one, where they give what captures of some sizes are; None where none
    do.
    """
    candidates = []
    for other in dict.fromkeys(t.mode for t in graphs.templates):
        templates = [t for t in graphs.templates if (t.dtype, t.mode) == (dtype, other)]
        ranges = {(t.range.first_length, t.range.last_length, t.range.multiple) for t in templates}
        if ranges == {lengths.range}:
            candidates.append(reduce(lambda found, t: found.aliased(mode, t), templates, graphs))
    for sizes in zip(batches, (lengths.checks[0], lengths.checks[-1]), strict=True):
        expected = ALL(capture(sizes)) if candidates else None
        candidates = [c for c in candidates if (found := c.find(dtype, mode, *sizes)) and ALL(found) == expected]
    return candidates[0] if candidates else None


def check(name: str, path: Path, build: Build, dtype: str, runtime: str, mode: CaptureMode, sizes: Sizes) -> None:
    """Compare the file with a capture of a size that it was not made of: raises SystemExit where they differ."""
    found = read(path).find(dtype, mode, *sizes)
    expected = captured(name, build, dtype, runtime, mode, sizes)
    if found is None or TOLD(found) != TOLD(expected):
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


def recipes(name: str) -> tuple[int, dict[CaptureMode, Recipe]]:
    """(Usual length, 0 of a model without, capture mode -> recipe) of a zoo model."""
    tokens = "length" in inspect.signature(models_zoo.module(name).inputs).parameters
    usual = USUAL if tokens else 0
    modes = {}
    for runtime in reversed(runtimes.names()):
        for mode in runtimes.load(runtime).capture_modes:
            varies = tokens and mode is not CaptureMode.EXPORTED and name not in ONE_LENGTH
            varying = Lengths(LENGTHS, CHECKS, (MULTIPLE, MOST, MULTIPLE))
            if name not in ONE_LENGTH or mode in AS_WRITTEN:
                modes[mode] = Recipe(runtime, varying if varies else Lengths((usual,), (usual,), (usual, usual, 1)))
    return usual, modes


def builder(name: str) -> Build:
    """Sizes -> a zoo model and its inputs."""
    return lambda sizes: models_zoo.build(name, sizes[0], sizes[1] or None)


def record_zoo_model(name: str, only: CaptureMode | None = None) -> None:
    """Capture one zoo model and write its file. only: in this mode, keeping the graphs of others."""
    usual, modes = recipes(name)
    # eager's first: the others are often the same
    modes = dict(sorted(modes.items(), key=lambda item: item[0] is not CaptureMode.EAGER))
    path, kept = models_zoo.graphs(name), None
    if only is not None:
        modes, kept = {only: modes[only]}, without(read(path), only)
    record(name, path, builder(name), modes, usual, (5,), kept)


def check_zoo_model(name: str) -> None:
    """Compare every graph of a zoo model's file with a capture of a size that it was not made of."""
    _, modes = recipes(name)
    path = models_zoo.graphs(name)
    for dtype, mode in dict.fromkeys((t.dtype, t.mode) for t in read(path).templates):
        runtime, lengths = modes[mode]
        check(name, path, builder(name), dtype, runtime, mode, (7, lengths.checks[0]))


def write_index() -> None:
    """Write what lists say of the zoo's models: parameters, MACs and launches of an eager pass of batch 1 at the usual
    size, in fp16, or in fp32 where no GPU runs it in fp16.
    """
    rows: dict[str, Any] = {}
    for name in models_zoo.names():
        graphs = read(models_zoo.graphs(name))
        with torch.device("meta"):
            module, inputs = models_zoo.build(name)
        for dtype in ("fp16", "fp32"):
            graph = graphs.find(dtype, CaptureMode.EAGER, 1, graphs.length)
            program = runtimes.load("eager").lower(graph) if graph else None
            if program is not None and not program.unsupported_reason:
                break
        rows[name] = {
            "parameters": sum(parameter.numel() for parameter in module.parameters()),
            "macs": graph.macs,
            "launches": sum(int(kernel.times * call.times) for call in program.calls for kernel in call.kernels),
            "dtype": dtype,
            "length": graphs.length,
            "generated": graphs.generated,
            "inputs": " x ".join(map(str, next(iter(inputs.values())).shape[1:])),
            "library": models_zoo.library(name),
        }
    models_zoo.INDEX.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--mode", type=CaptureMode)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--torchvision", type=Path)
    asked = parser.parse_args()
    if asked.torchvision:
        sys.path.append(str(asked.torchvision))
    import_torchvision()
    for one in asked.names or models_zoo.names():
        if asked.check:
            check_zoo_model(one)
        else:
            record_zoo_model(one, asked.mode)
        print(one, models_zoo.graphs(one).stat().st_size, flush=True)
    if not asked.check:
        write_index()
