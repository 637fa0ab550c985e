"""Candidates a second through ``Predictor.map``: ``python -m benchmarks.search_speed``.

Random BERT-like encoders and random NAS-Bench-201 networks, each new to the program, on ``--workers`` processes; the
same encoders from the cache of plans, by their keys; a few under ONNX Runtime. Beside candidates a second, the CPU time
of a candidate, which other programs on the machine change less, and the largest memory of a process.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.searches.encoders import Genotype, build
from predictor import Predictor

OPERATIONS = ("none", "skip", "conv1", "conv3", "pool")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""Of a cell of NAS-Bench-201 (Dong and Yang, ICLR 2020): four nodes, an operation on every edge."""


def operation(name: str, channels: int) -> nn.Module | None:
    """An edge; None for one that gives nothing."""
    if name == "none":
        return None
    if name == "skip":
        return nn.Identity()
    if name == "pool":
        return nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    size = int(name[-1])
    layers = (nn.ReLU(), nn.Conv2d(channels, channels, size, 1, size // 2, bias=False), nn.BatchNorm2d(channels))
    return nn.Sequential(*layers)


class Cell(nn.Module):
    """Nodes, each the sum of what comes from those before it."""

    def __init__(self, names: Sequence[str], channels: int) -> None:
        super().__init__()
        edges = {f"{a}{b}": operation(name, channels) for (a, b), name in zip(EDGES, names, strict=True)}
        self.edges = nn.ModuleDict({key: edge for key, edge in edges.items() if edge is not None})

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) -> the same."""
        nodes = [x]
        for node in (1, 2, 3):
            came = [self.edges[f"{a}{node}"](nodes[a]) for a in range(node) if f"{a}{node}" in self.edges]
            nodes.append(sum(came[1:], came[0]) if came else torch.zeros_like(x))
        return nodes[-1]


class Reduction(nn.Module):
    """A residual block that halves height and width and doubles channels."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        first = (nn.ReLU(), nn.Conv2d(channels, out, 3, 2, 1, bias=False), nn.BatchNorm2d(out))
        second = (nn.ReLU(), nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out))
        self.layers = nn.Sequential(*first, *second)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, out, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, out, height / 2, width / 2)."""
        return self.layers(x) + self.shortcut(x)


def nas_bench_201(names: Sequence[str]) -> tuple[nn.Module, Tensor]:
    """A network of NAS-Bench-201: three stages of five cells."""
    with torch.device("meta"):
        layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)]
        for channels in (16, 32, 64):
            layers += [Reduction(channels // 2, channels)] if channels > 16 else []
            layers += [Cell(names, channels) for _ in range(5)]
        layers += [nn.BatchNorm2d(64), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
        return nn.Sequential(*layers).eval(), torch.empty(1, 3, 32, 32)


def encoders(count: int, seed: int) -> list[Genotype]:
    """Random encoders."""
    generator = random.Random(seed)
    return [Genotype.random(generator) for _ in range(count)]


def cells(count: int, seed: int) -> list[tuple[str, ...]]:
    """Random cells."""
    generator = random.Random(seed)
    return [tuple(generator.choice(OPERATIONS) for _ in EDGES) for _ in range(count)]


def cpu_s() -> float:
    """CPU seconds of this process and of those that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def measured(name: str, run: Callable[[], Any], count: int) -> None:
    """Print candidates a second, CPU time and memory. Processes that are kept between calls count at their end."""
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)
    cpu, start = cpu_s(), time.perf_counter()
    results = run()
    wall = time.perf_counter() - start
    get_reusable_executor().shutdown(wait=True)
    cpu = cpu_s() - cpu
    memory = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(
        f"{name:34}{count / wall:9.1f} a second{cpu / count * 1e3:9.2f} ms of CPU each"
        f"{memory / 1e3:8.0f} MB at most{len(results.errors):4} errors",
        flush=True,
    )


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--onnx", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    predictor, workers, count = Predictor("h200", "eager", "fp16"), options.workers, options.candidates
    points = encoders(count, 1)
    made = [partial(build, point) for point in points]
    few = [partial(build, point) for point in encoders(options.onnx, 2)]
    networks = [partial(nas_bench_201, names) for names in cells(count, 1)]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PREDICTOR_CACHE"] = folder
        measured("encoders, new", lambda: predictor.map(made, workers, cache=False), count)
        measured("NAS-Bench-201, new", lambda: predictor.map(networks, workers, cache=False), count)
        measured("encoders under onnx, new", lambda: predictor.map(few, workers, runtimes=["onnx"]), options.onnx)
        predictor.map(made, workers, keys=points)
        many = 10
        measured(
            "encoders, plans from the cache",
            lambda: predictor.map(made * many, workers, keys=points * many),
            count * many,
        )


if __name__ == "__main__":
    main()
