"""Samples of a host -> what eager's calls cost on it, and coefficients for them and the Python around them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import KFold, cross_val_predict

from calibrate.fit.errors import error_of
from calibrate.fit.kernels import ENOUGH, FOLDS, export
from calibrate.fit.robust import non_negative
from calibrate.samples.kernels import MeasuredKernel
from calibrate.samples.programs import restored
from calibrate.samples.records import (
    ByOperator,
    CaseRound,
    ExampleLaunches,
    HostRound,
    ProgramRecord,
    ShapeSample,
)
from calibrate.samples.rounds import Round, lower_quartile, of_probe, quiet_level
from calibrate.samples.store import SampleFile
from calibrate.workloads.cases import Case
from calibrate.workloads.generated import source_of
from predictor.calibration.host_costs import HostCosts
from predictor.calibration.load import Calibration
from predictor.calibration.schema import TYPICAL, CallCost, CallTime, HostError, LibraryCalls
from predictor.calibration.trees import Forest
from predictor.errors import PredictorError
from predictor.kernels.families import FAMILIES
from predictor.ops import OPS, typical_trait
from predictor.pricing.kernels import features_of, kernel_launches
from predictor.pricing.program import host_profile, library_s, price, shape_features
from predictor.records import Kernel, Trait, Variant
from predictor.timeline.queue import queue

Array = NDArray[np.float64]

HOST_BOUND = 0.6
"""Kernel time over latency, up to which a module says something of the host."""

LEAST_FACTOR = 0.9
"""Of what a call costs in a model, relative to tight loops, at the least: it runs no less code there, and loops repeat
to a tenth.
"""


@dataclass(frozen=True, slots=True)
class HostCalls:
    """Seconds of every operator's example on a reference host, by operator and dtype.

    hot_s: in a loop of its own; cold_s: among the others.
    """

    hot_s: dict[str, dict[str, float]]
    cold_s: dict[str, dict[str, float]]


def host_calls(file: SampleFile, reference_s: float, serial: bool) -> HostCalls:
    """The examples' costs on a host whose probe shows ``reference_s``. serial: on a CPU, where kernels are part of a
    call, both are those of a loop.
    """
    rounds = file.of(HostRound)
    hot_s = _costs([(r.tight_s, r.probe_s[:2]) for r in rounds], reference_s, _level(rounds))
    if serial:
        return HostCalls(hot_s, hot_s)
    return HostCalls(hot_s, _costs([(r.mixed_s, r.probe_s[1:]) for r in rounds], reference_s, _level(rounds)))


def _level(rounds: Sequence[HostRound]) -> float:
    return quiet_level([probe_s for host_round in rounds for probe_s in host_round.probe_s])


def _costs(
    rounds: Sequence[tuple[ByOperator, tuple[float, ...]]], reference_s: float, level_s: float
) -> dict[str, dict[str, float]]:
    """Operator -> dtype -> seconds. rounds: raw values, and the probe before and after them.

    Median over the quiet rounds (all, if few were), each divided by its probe; the cost of calling and timing nothing,
    and what an example calls besides, are taken off.
    """
    quiet = [(raw, probe_s) for raw, probe_s in rounds if Round(0.0, *probe_s).quiet(level_s)]
    used = [(raw, float(np.mean(probe_s))) for raw, probe_s in (quiet if len(quiet) > 2 else rounds)]
    costs_s: dict[str, dict[str, float]] = {}
    for dtype, by_operator in rounds[0][0].items():
        ratios = {
            op: reference_s * float(np.median([lower_quartile(raw[dtype][op]) / probe_s for raw, probe_s in used]))
            for op in by_operator
        }
        nothing = ratios.pop("nothing")
        for op, seconds in ratios.items():
            besides = nothing + sum(ratios[n] - nothing for n in (OPS[op].example_calls if op in OPS else ()))
            costs_s.setdefault(op, {})[dtype] = max(seconds - besides, 1e-8)
    return costs_s


def example_launches(file: SampleFile) -> dict[str, dict[str, float]]:
    """Operator -> dtype -> kernels that its example launches (none on a CPU)."""
    recorded = file.find(ExampleLaunches)
    launches: dict[str, dict[str, float]] = {}
    for dtype, counts in recorded.launches.items() if recorded else ():
        for op, count in counts.items():
            launches.setdefault(op, {})[dtype] = float(count)
    return launches


def shape_samples(file: SampleFile, reference_s: float) -> list[MeasuredKernel]:
    """Host seconds of library calls by shape, on a host whose probe shows ``reference_s``: the least of their loops."""
    return [
        MeasuredKernel(s.id.family, s.dtype, s.dims, min(s.loops_s) * reference_s / float(np.mean(s.probe_s)), op=s.op)
        for s in file.of(ShapeSample)
        if s.loops_s and s.probe_s
    ]


def shapes(
    file: SampleFile,
    calibration: Calibration,
    hot: dict[str, dict[str, float]],
    probe_s: float,
    examples: Callable[[], Mapping[str, Mapping[str, Kernel]]],
) -> tuple[list[LibraryCalls], dict[str, dict[str, float]]]:
    """Host cost of library calls by shape, and how much of an example's cost that stands for (operator -> dtype ->
    seconds): all of it where the operator was itself timed by shape, else what is said of the example's own shape.
    """
    samples = shape_samples(file, probe_s)
    fits, sampled = fit_shapes(samples, calibration), {s.op for s in samples}
    by_shape = [
        LibraryCalls(family=family, dtype=dtype, log_seconds=forest.to_record())
        for (family, dtype), forest in fits.items()
    ]
    timed: dict[str, dict[str, float]] = {}
    for op, kernels in examples().items() if fits else ():
        for dtype, kernel in kernels.items():
            if op in hot and (kernel.family, kernel.dtype) in fits:
                forest = fits[kernel.family, kernel.dtype]
                launches = kernel_launches(calibration, kernel.family, kernel.dtype, kernel.dims).astype(float)
                seconds = library_s(forest, calibration, kernel.family, kernel.dtype, kernel.dims, launches)
                timed.setdefault(op, {})[dtype] = hot[op][dtype] if op in sampled else float(seconds[0])
    return by_shape, timed


def typical(calls: Sequence[CallCost]) -> dict[str, CallTime]:
    """Trait -> median cost, hot and cold, of its operators: the price of an operator without one of its own."""
    by_trait: dict[str, list[tuple[float, float]]] = {}
    first = {cost.row: cost for cost in reversed(calls)}  # of an operator's dtypes
    for row, cost in reversed(first.items()):
        trait = Trait.HOST if row.op == "host" else typical_trait(row.op) if row.variant is Variant.USUAL else TYPICAL
        by_trait.setdefault(str(trait), []).append((cost.hot_s, cost.cold_s))
    medians = {trait: np.median(costs, axis=0) for trait, costs in by_trait.items()}
    call_times = {
        trait: CallTime(hot_s=float(hot_s), cold_s=float(cold_s)) for trait, (hot_s, cold_s) in medians.items()
    }
    return call_times | {
        trait: call_times[TYPICAL] for trait in ("composite", "unmodelled", "sync") if trait not in call_times
    }


def fit_modules(file: SampleFile, calibration: Calibration, host: HostCosts) -> HostFit:
    """The host coefficients, from the latencies of modules that wait for the host. host: its calls' costs, with factors
    of 1.
    """
    lanes = calibration.lanes
    rounds: dict[Case, list[Round]] = defaultdict(list)
    for sample in file.of(CaseRound):
        rounds[sample.case].append(sample.round)
    rows, device_s, latency_s, weights = [], [], [], []
    for case, case_rounds in rounds.items():
        recorded = file.find(ProgramRecord, case)
        if recorded is None or recorded.program is None:
            raise PredictorError(f"{file.path} has no program of {case}: run calibrate again")
        program = restored(recorded.program)
        priced = price(program, calibration, host)
        timeline = queue(priced, lanes)
        last_s = float(priced.kernel_s[0, -1])
        cold_part_s = float(host_profile(program, host).cold_s.sum())
        python = [call.python for call in program.calls] + [program.tail]
        work = [sum(getattr(p, name) for p in python) for name in ("cold_lines", "cold_modules", "calls")]
        whole_s = of_probe(case_rounds) * host.probe_s
        if lanes.serial or timeline.kernel_s <= HOST_BOUND * whole_s:
            rows.append([timeline.host_s - cold_part_s, cold_part_s, *work])
            device_s.append(timeline.kernel_s if lanes.serial else lanes.launch_latency_s + lanes.sync_s + last_s)
            latency_s.append(whole_s)
            weights.append(GENERATED_WEIGHT if _is_generated(case.model) else 1.0)
    hot_s, cold_s, lines, modules, functions = np.array(rows, dtype=float).T
    weighed = np.array(weights)
    return fit_host(hot_s, cold_s, lines, modules, functions, np.array(device_s), np.array(latency_s), weighed)


GENERATED_WEIGHT = 0.2
"""Of a module that was generated, beside 1 of one that people run. Generated ones tell operators apart, but differ in
kind: fitted to both alike, eager mode's host was 9 % too slow for them and 3 % too fast for the others on an H200
(medians, ``benchmarks/host_residuals.py``), and as much too fast for 216 cases of models that it had not seen.
"""


def _is_generated(model: str) -> bool:
    found = source_of(model)
    return found is not None and found[0].name != "library"


@dataclass(frozen=True, slots=True)
class HostFit:
    """Coefficients of eager's host time by their names in ``schema.RuntimeCosts``, and their error."""

    coefficients: dict[str, float]
    error: HostError


def fit_host(
    hot_s: Array,
    cold_s: Array,
    cold_lines: Array,
    cold_modules: Array,
    functions: Array,
    device_s: Array,
    latency_s: Array,
    weights: Array | None = None,
) -> HostFit:
    """Coefficients of ``latency = factor x hot + factor x cold + per cold line + per cold module + per function + fixed
    + device``, none negative, the factors ``LEAST_FACTOR`` or more.

    hot_s: what the operators cost in tight loops; cold_s: what being cold adds; functions: calls of Python functions;
    device_s: what the device adds after the last call; weights: of the modules, None: all alike. The mean absolute
    relative error is minimised (``robust``).
    error: of modules left out one at a time, those of the largest weight.
    """
    x = np.stack([hot_s, cold_s, cold_lines, cold_modules, functions, np.ones_like(hot_s)], axis=1)
    least = LEAST_FACTOR * np.eye(6)[:2].sum(axis=0)
    beyond_s = latency_s - device_s - x @ least

    def solve(rows: NDArray[np.bool_]) -> Array:
        return non_negative(
            x[rows], beyond_s[rows], latency_s[rows], weights=None if weights is None else weights[rows]
        )

    everything = np.ones(len(latency_s), dtype=bool)
    coefficients = solve(everything) + least
    ratios = []
    for left_out in range(len(latency_s)):
        others = everything.copy()
        others[left_out] = False
        ratios.append(float(np.log1p((x[left_out] @ solve(others) - beyond_s[left_out]) / latency_s[left_out])))
    names = ("op_factor", "cold_factor", "line_s", "module_s", "function_s", "fixed_s")
    counted = everything if weights is None else weights == weights.max()
    return HostFit(dict(zip(names, coefficients.tolist(), strict=True)), error_of(np.array(ratios)[counted]))


def fit_shapes(samples: Sequence[MeasuredKernel], calibration: Calibration) -> dict[tuple[str, str], Forest]:
    """(Family, dtype) -> logarithm of the host seconds of a library call, by its shape."""
    groups: dict[tuple[str, str], list[MeasuredKernel]] = defaultdict(list)
    for sample in samples:
        groups[sample.family, sample.dtype].append(sample)
    fits = {}
    for (family, dtype), group in sorted(groups.items()):
        dims = {
            name: np.array([s.dims.get(name, default) for s in group], dtype=float)
            for name, default in FAMILIES[family].dims.items()
            if any(name in s.dims for s in group)
        }
        launches = kernel_launches(calibration, family, dtype, dims).astype(float)
        x = shape_features(calibration, family, dtype, dims, launches)
        x[:, :-1] *= _flag_columns(calibration, family, dtype, dims)[: x.shape[1] - 1]
        fits[family, dtype] = _never_falling(x, np.log([s.seconds for s in group]))
    return fits


EXPLAINS = 0.05
"""Share of the error on unseen calls by which launches must lower it to be told apart: a judgement."""


def _never_falling(x: Array, y: Array) -> Forest:
    """Logarithms of host seconds by flags and launches, the last column, with which they do not fall."""
    if len(y) < ENOUGH:
        return Forest.constant(float(np.mean(y)))
    flags_alone = np.where(np.arange(x.shape[1]) < x.shape[1] - 1, x, 0.0)
    launches_explain = _unseen_error(x, y) < (1 - EXPLAINS) * _unseen_error(flags_alone, y)
    trees = _regressor(x.shape[1]).fit(x if launches_explain else flags_alone, y)
    return export([tree.tree_ for tree in trees.estimators_], 0.0, 1 / len(trees.estimators_))


def _unseen_error(x: Array, y: Array) -> float:
    unseen = cross_val_predict(_regressor(x.shape[1]), x, y, cv=KFold(FOLDS, shuffle=True, random_state=0))
    return float(np.sqrt(np.mean((unseen - y) ** 2)))


def _regressor(columns: int) -> RandomForestRegressor:
    """A mean of trees, each of which grows with the last column, so that it does, too."""
    rises = [0] * (columns - 1) + [1]
    return RandomForestRegressor(60, min_samples_leaf=8, max_leaf_nodes=24, monotonic_cst=rises, random_state=0)


def _flag_columns(calibration: Calibration, family: str, dtype: str, dims: Mapping[str, Array]) -> Array:
    """Which features, 1 or 0, are of dimensions that say yes or no, and not of sizes: where a call's host cost differs
    from shape to shape it follows its launches; sizes tell noise apart, which a search would then optimise.
    """
    arrays = FAMILIES[family].complete(dims)
    sizes = [name for name, values in arrays.items() if not np.isin(values, (0, 1)).all() or len(np.unique(values)) < 2]
    columns = features_of(calibration, family, dtype, arrays)
    with np.errstate(all="ignore"):  # a window may grow beyond its image
        grown = [
            features_of(calibration, family, dtype, {**arrays, name: arrays[name] * times})
            for name in sizes
            for times in (2, 3)
        ]
    return np.all([np.all(columns == other, axis=0) for other in grown], axis=0).astype(float)
