"""Whole passes that others measured, as a table of latencies: read, and what each model asks of a host and a device.

A row is the mean of back-to-back passes, so ``max(host time, kernel time)`` is its exact limit. A session is a file of
the authors: one GPU, runtime and dtype on one host.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from predictor import runtimes
from predictor.calibration.host_costs import HostCosts, kind_of_call
from predictor.calibration.kernel_models import WINOGRAD, is_winograd
from predictor.calibration.load import Calibration, load_calibration
from predictor.errors import PredictorError
from predictor.graph.files import read
from predictor.kernels.families import FAMILIES, fit_name
from predictor.pricing.kernels import price_kernels, units
from predictor.pricing.program import price, python_s
from predictor.records import TODAY, Program, Target
from predictor.runtimes.torchscript import lowering as torchscript

Array = NDArray[np.float64]

GRAPHS = Path(__file__).resolve().parent.parent / "workloads" / "published_graphs"
"""Graphs of the published models, see ``benchmarks/record_published.py``."""

LARGEST_BATCH = 128
FEWEST_MODELS = 10
"""A session of fewer says too little of its host."""

UNRELIABLE = frozenset({"a100-eager-fp32-a"})
"""Sessions that contradict themselves: Funnel takes twice as long as MobileBERT there, a third less everywhere else."""

TORCH = "1.12.1"
"""Version that the rows were measured with."""

KINDS = ("matrix", "conv", "norm", "pointwise", "fused", "view", "other", "python", "fixed")
"""What host time is made of: calls by kind, the Python around them, and what a pass takes besides."""


@dataclass(frozen=True, slots=True)
class Pass:
    """A measured row. seconds: a pass, back to back with others."""

    session: str
    gpu: str
    runtime: str
    dtype: str
    model: str
    batch: int
    seconds: float


def read_passes(path: Path) -> list[Pass]:
    """Rows of a table with columns session, gpu, runtime, precision, model, batch and latency_ms; without sessions of
    few models and unreliable ones, and without large batches. Raises PredictorError for anything else.
    """
    try:
        with path.open(encoding="utf-8") as file:
            rows = [
                Pass(
                    **{name: row[name] for name in ("session", "gpu", "runtime", "model")},
                    dtype=row["precision"],
                    batch=int(row["batch"]),
                    seconds=float(row["latency_ms"]) * 1e-3,
                )
                for row in csv.DictReader(file)
            ]
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise PredictorError(f"{path} cannot be read as a table of published latencies: {error}") from None
    unknown = {row.model for row in rows} - {p.name.removesuffix(".json.gz") for p in GRAPHS.iterdir()}
    if unknown:
        raise PredictorError(f"{path}: no graph of {', '.join(sorted(unknown))} (benchmarks/record_published.py)")
    models: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        models[row.session].add(row.model)
    return [
        row
        for row in rows
        if row.batch <= LARGEST_BATCH and len(models[row.session]) >= FEWEST_MODELS and row.session not in UNRELIABLE
    ]


Asked = tuple[str, int, str, str, Target]
"""Model, batch, dtype, runtime, and what for."""


def asked_of(row: Pass, architecture: str) -> Asked:
    """What a row ran. architecture: of its GPU, which decides on TorchScript's fuser alone."""
    target = Target(TORCH, architecture if architecture in torchscript.BEFORE_VOLTA else "")
    return row.model, row.batch, row.dtype, row.runtime, target if row.runtime == torchscript.NAME else TODAY


Shape = tuple[str, str, tuple[tuple[str, float], ...]]
"""A kernel: family, dtype, dimensions."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What a pass asks for. host_s: seconds by ``KINDS`` on the reference's host; kernels: how many of each."""

    host_s: tuple[float, ...]
    kernels: Mapping[Shape, int]
    launches: int
    macs: int


def workloads(wanted: Sequence[Asked], like: str) -> dict[Asked, Workload]:
    """What each asks for. like: the GPU whose host is the reference."""
    keys = sorted(set(wanted), key=repr)
    models = sorted({key[0] for key in keys})
    found = Parallel(n_jobs=-1)(delayed(_of_model)([k for k in keys if k[0] == model], like) for model in models)
    return {key: one for own in found for key, one in own.items()}


def _of_model(keys: Sequence[Asked], like: str) -> dict[Asked, Workload]:
    reference = load_calibration(like)
    found = {}
    for key in keys:
        model, batch, dtype, runtime, target = key
        module = runtimes.load(runtime)
        graphs = read(GRAPHS / f"{model}.json.gz")
        graph = graphs.find(dtype, module.capture_mode, batch, graphs.length)
        if graph is None:
            raise PredictorError(f"no graph of {model} in {dtype} for {runtime}")
        program = module.lower(graph, target)
        found[key] = workload(program, reference, reference.host(runtime), graph.macs)
    return found


def workload(program: Program, reference: Calibration, host: HostCosts, macs: int) -> Workload:
    """What a program asks for."""
    priced = price(program, reference, host)
    seconds = dict.fromkeys(KINDS, 0.0)
    seconds["fixed"] = host.fixed_s
    seconds["python"] = priced.tail_s
    for call, host_s in zip(program.calls, priced.host_s[0].tolist(), strict=True):
        around = python_s(call.python, host)
        seconds["python"] += around
        seconds[kind_of_call(call.trait)] += host_s - around
    kernels = Counter((k.family, k.dtype, tuple(k.dims.items())) for call in program.calls for k in call.kernels)
    return Workload(tuple(seconds[kind] for kind in KINDS), kernels, int(priced.launches.sum()), macs)


Factor = tuple[str, str]
"""What a factor is for: group of families, and name of the fit (``families.fit_name``), of its 3x3 convolutions apart
where that tells them apart.
"""

EXACT = "fp32"
"""Units on which convolutions have an algorithm of their own for 3x3, see ``kernel_fit.is_winograd``."""


def factor_of(family: str, dtype: str, dims: Mapping[str, float]) -> Factor:
    """The factor of a kernel in a dtype."""
    name = fit_name(family, dtype)
    apart = FAMILIES[family].has_winograd and name == EXACT and is_winograd(dims)
    return FAMILIES[family].factor_group or family, name + WINOGRAD if apart else name


def kernel_seconds(gpu: Calibration, asked: Sequence[Workload], factors: Sequence[Factor]) -> Array:
    """Seconds of the kernels of each workload on a GPU by the factor that they have, (workloads, factors)."""
    shapes = sorted({shape for one in asked for shape in one.kernels}, key=repr)
    by_fit: dict[tuple[str, str], list[Shape]] = defaultdict(list)
    for shape in shapes:
        by_fit[shape[0], shape[1]].append(shape)
    seconds: dict[Shape, float] = {}
    for (family, dtype), own in by_fit.items():
        columns = {name: np.array([dict(dims)[name] for *_, dims in own], dtype=float) for name, _ in own[0][2]}
        seconds |= dict(zip(own, price_kernels(gpu, family, dtype, columns).seconds.tolist(), strict=True))
    column = {factor: i for i, factor in enumerate(factors)}
    table = np.zeros((len(asked), len(factors)))
    for row, one in enumerate(asked):
        for shape, count in one.kernels.items():
            table[row, column[factor_of(shape[0], units(gpu, shape[1]), dict(shape[2]))]] += count * seconds[shape]
    return table


def families_of(factor: Factor) -> list[str]:
    """Families that have a factor."""
    return [name for name, row in FAMILIES.items() if (row.factor_group or name) == factor[0]]
