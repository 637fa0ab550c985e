"""What published passes ask of a host and of a device: seconds on a reference's host, kernels by what they share."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from calibrate.samples.model_latencies import GRAPHS, TORCH, Pass
from predictor import runtimes
from predictor.calibration.host_costs import HostCosts, kind_of_call
from predictor.calibration.load import Calibration, load_calibration
from predictor.calibration.schema import ARCHITECTURES, KINDS, units_of
from predictor.errors import PredictorError
from predictor.graph.files import read
from predictor.kernels.convolutions import is_winograd
from predictor.kernels.families import FAMILIES, fit_name
from predictor.pricing.kernels import price_kernels
from predictor.pricing.limits import launched_as, units
from predictor.pricing.program import price, python_s
from predictor.records import Program, Target

Array = NDArray[np.float64]

Asked = tuple[str, int, str, str, Target, str]
"""Model, batch, dtype, runtime, what for, and a GPU whose libraries launch as many kernels."""


def asked_of(row: Pass, calibrations: Mapping[str, Calibration]) -> Asked:
    """What a row ran. calibrations: of all GPUs. Of targets that a runtime lowers alike, and of GPUs whose libraries
    launch alike (``limits.launched_as``), it is the first.
    """
    generation = runtimes.load(row.runtime).generation
    targets = [Target(TORCH, name) for name in ("", *ARCHITECTURES)]
    here = generation(Target(TORCH, calibrations[row.gpu].architecture))
    target = next(target for target in targets if generation(target) == here)

    def launches(gpu: str) -> list[str]:
        dtypes = (row.dtype, "tf32" if row.dtype == "fp32" else row.dtype)
        return [launched_as(calibrations[gpu], FAMILIES["conv"], dtype) for dtype in dtypes]

    alike = next(gpu for gpu in sorted(calibrations) if launches(gpu) == launches(row.gpu))
    return row.model, row.batch, row.dtype, row.runtime, target, alike


Shape = tuple[str, str, tuple[tuple[str, float], ...]]
"""A kernel: family, dtype, dimensions."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What a pass asks for. host_s: seconds by ``KINDS`` on the reference's host; kernels: how many of each."""

    host_s: tuple[float, ...]
    kernels: Mapping[Shape, int]
    launches: int
    macs: int


def workloads(
    wanted: Sequence[Asked], reference_gpu: str, calibrations: Mapping[str, Calibration]
) -> dict[Asked, Workload]:
    """What each asks for. reference_gpu: the GPU whose host is the reference; calibrations: of all GPUs."""
    keys = sorted(set(wanted), key=repr)
    models = sorted({key[0] for key in keys})
    by_model = Parallel(n_jobs=-1)(
        delayed(_of_model)([k for k in keys if k[0] == model], reference_gpu, calibrations) for model in models
    )
    return {key: work for model_workloads in by_model for key, work in model_workloads.items()}


def _of_model(
    keys: Sequence[Asked], reference_gpu: str, calibrations: Mapping[str, Calibration]
) -> dict[Asked, Workload]:
    reference = load_calibration(reference_gpu)
    by_key = {}
    for key in keys:
        model, batch, dtype, runtime, target, gpu = key
        module = runtimes.load(runtime)
        graphs = read(GRAPHS / f"{model}.json.gz")
        graph = graphs.find(dtype, module.capture_mode, batch, graphs.length)
        if graph is None:
            raise PredictorError(f"no graph of {model} in {dtype} for {runtime}")
        program = module.lower(graph, target)
        host = replace(reference.host(runtime), reference_gpu=reference_gpu)
        by_key[key] = workload(program, calibrations[gpu], host, graph.macs)
    return by_key


def workload(program: Program, calibration: Calibration, host: HostCosts, macs: int) -> Workload:
    """What a program asks for. calibration: of a GPU that launches its kernels."""
    priced = price(program, calibration, host)
    seconds = dict.fromkeys(KINDS, 0.0)
    seconds["fixed"] = host.fixed_s
    seconds["python"] = priced.tail_s
    for call, host_s in zip(program.calls, priced.host_s[0].tolist(), strict=True):
        around = python_s(call.python, host)
        seconds["python"] += around
        seconds[kind_of_call(call.trait)] += host_s - around
    kernels = Counter((k.family, k.dtype, tuple(k.dims.items())) for call in program.calls for k in call.kernels)
    return Workload(tuple(seconds[kind] for kind in KINDS), kernels, int(priced.launches.sum()), macs)


class Factor(NamedTuple):
    """What a factor is for: a group of families, units, and whether it is of the convolutions that Winograd's algorithm
    makes cheaper, where that tells them apart.
    """

    group: str
    units: str
    winograd: bool = False


EXACT = "fp32"
"""Units on which convolutions have an algorithm of their own for 3x3, see ``convolutions.is_winograd``."""


def factor_of(family: str, dtype: str, dims: Mapping[str, float]) -> Factor:
    """The factor of a kernel in a dtype."""
    units = fit_name(family, dtype)
    row = FAMILIES[family]
    winograd = row.has_winograd and units == EXACT and bool(is_winograd(row.complete(dims)))
    return Factor(row.factor_group or family, units, winograd)


def kernel_seconds(gpu: Calibration, asked: Sequence[Workload], factors: Sequence[Factor]) -> tuple[Array, Array]:
    """Seconds of the kernels of each workload on a GPU by the factor that they have, and those that they take at the
    least (``limits.least_s``), (workloads, factors) each.
    """
    shapes = sorted({shape for work in asked for shape in work.kernels}, key=repr)
    by_fit: dict[tuple[str, str], list[Shape]] = defaultdict(list)
    for shape in shapes:
        by_fit[shape[0], shape[1]].append(shape)
    seconds: dict[Shape, float] = {}
    least_s: dict[Shape, float] = {}
    for (family, dtype), group in by_fit.items():
        named = [dict(dims) for *_, dims in group]
        columns = {
            name: np.array([dims.get(name, default) for dims in named], dtype=float)
            for name, default in FAMILIES[family].dims.items()
            if any(name in dims for dims in named)
        }
        prices = price_kernels(gpu, family, dtype, columns)
        seconds |= dict(zip(group, prices.seconds.tolist(), strict=True))
        least_s |= dict(zip(group, prices.least_s.tolist(), strict=True))
    column = {factor: i for i, factor in enumerate(factors)}
    table, least = np.zeros((2, len(asked), len(factors)))
    for row, work in enumerate(asked):
        for shape, count in work.kernels.items():
            place = row, column[factor_of(shape[0], units(gpu, shape[1]), dict(shape[2]))]
            table[place] += count * seconds[shape]
            least[place] += count * min(least_s[shape], seconds[shape])
    return table, least


def families_of(factor: Factor) -> list[str]:
    """Families that have a factor."""
    return [
        name
        for name, row in FAMILIES.items()
        if (row.factor_group or name) == factor.group and factor.units in units_of(name)
    ]
