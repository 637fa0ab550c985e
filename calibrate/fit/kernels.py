"""Samples -> coefficients, with scikit-learn: kernel residuals per family; three coefficients and shapes per host."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier

from predictor.calibration.load import Calibration
from predictor.calibration.trees import Forest
from predictor.kernels.families import FAMILIES, fit_name, itemsize
from predictor.pricing.program import shape_features

Array = NDArray[np.float64]
FOLDS = 4
ENOUGH = 40
MISSED = 0.4
"""Error of log time from which a measured shape is kept as an exception."""

SIZES = ((10_000, 120, 8, 56, 0.12), (2200, 150, 6, 28, 0.1), (0, 120, 6, 20, 0.12))
"""From how many samples: trees, their depth and leaves, learning rate."""


def export(trees: Sequence[Any], initial: float, scale: float, classes: Array | None = None) -> Forest:
    """Fitted scikit-learn trees as plain arrays. scale: learning rate of a boosted forest; classes: of a classifier,
    numbers.
    """
    sizes, features, numbers = [], [], []
    for tree in trees:
        order, level = [], np.array([0])
        while len(level):
            order.append(level)
            inner = level[tree.children_left[level] >= 0]
            level = np.stack([tree.children_left[inner], tree.children_right[inner]], axis=1).ravel()
        nodes = np.concatenate(order)
        leaf = tree.children_left[nodes] < 0
        values = tree.value[nodes, 0, 0] if classes is None else classes[np.argmax(tree.value[nodes, 0], axis=1)]
        sizes.append(len(nodes))
        features.append(np.where(leaf, -1, tree.feature[nodes]))
        numbers.append(np.where(leaf, values * scale, tree.threshold[nodes]))
    return Forest(
        initial,
        np.array(sizes, dtype=np.int64),
        np.concatenate(features).astype(np.int64),
        np.concatenate(numbers).astype(np.float64),
    )


def boosted(x: Array, y: Array, most: int = 1000) -> Forest:
    """Gradient-boosted residuals as plain arrays; of too few samples, their mean. most: trees, at most."""
    if len(y) < ENOUGH:
        return Forest.constant(float(np.mean(y)))
    trees, depth, leaves, rate = next(size for many, *size in SIZES if len(y) >= many)
    model = GradientBoostingRegressor(
        n_estimators=min(trees, most),
        max_depth=depth,
        max_leaf_nodes=int(np.clip(len(y) // 25, 8, leaves)),
        learning_rate=rate,
        subsample=0.6,
        max_features=0.5,
        min_samples_leaf=3,
        loss="huber",
        random_state=0,
    ).fit(x, y)
    initial = float(np.ravel(model.init_.predict(x[:1]))[0])
    return export([t.tree_ for t in model.estimators_[:, 0]], initial, model.learning_rate)


def launch_patterns(x: Array, launches: Array, groups: Array) -> dict[str, Any]:
    """One tree that tells how a call is launched, and the patterns that it tells apart: launches per group, others.

    A leaf says the commonest, since a mean of two algorithms is neither.
    """
    each = np.floor(launches / groups)
    patterns, number = np.unique(np.column_stack([each, launches - each * groups]), axis=0, return_inverse=True)
    model = DecisionTreeClassifier(
        criterion="entropy", max_depth=16, max_leaf_nodes=256, min_samples_leaf=2, random_state=0
    ).fit(x, np.ravel(number))
    tree = export([model.tree_], 0.0, 1.0, model.classes_)
    return {"launches": tree.to_json(), "patterns": patterns.astype(int).tolist()}


def best_floor(seconds: Array, base: Array) -> float:
    """What the smallest kernels take: the fastest samples' time, or less where no sample was small.

    The second holds where a lower floor leaves the residual flatter by a fifth.
    """
    fastest = float(np.percentile(seconds, 2))

    def spread(floor: float) -> float:
        return float(np.std(np.log(seconds / (base + floor))))

    lower = min(fastest * 0.5 ** np.arange(1, 8), key=spread)
    return float(lower) if spread(lower) < 0.8 * spread(fastest) else fastest


def work_of(samples: Sequence[Mapping[str, Any]], family: str, device: Mapping[str, Any]) -> tuple[Array, Array]:
    """(roofline time in seconds without a floor, matrix of features) of samples of one family, in their order."""
    row = FAMILIES[family]
    peaks, bandwidth = device["peak_flops"], device["bandwidth_bytes_per_s"]
    dtypes = np.array([s["dtype"] for s in samples])
    parts, order = [], []
    for dtype in sorted(set(dtypes)):
        own = [s["dims"] for s in samples if s["dtype"] == dtype]
        dims = row.complete({n: np.array([d.get(n, default) for d in own]) for n, default in row.dims.items()})
        peak = peaks.get(dtype, peaks["fp32"]) if row.matrix else peaks["fp32"]
        base = np.maximum(row.flops(dims) / peak, row.nbytes(dims, itemsize(dtype)) / bandwidth)
        parts.append(np.column_stack([base, row.matrix_of_features(dims, dtype, device["sms"])]))
        order.append(np.flatnonzero(dtypes == dtype))
    table = np.concatenate(parts)[np.argsort(np.concatenate(order))]
    return table[:, 0], table[:, 1:]


def fit_family(samples: Sequence[Mapping[str, Any]], family: str, device: Mapping[str, Any]) -> dict[str, Any]:
    """Fit of one family and dtype from its samples ("dtype", "dims", "seconds", "launches"), and its error on parts
    that it has not seen.
    """
    floor, residual = _fitted(samples, family, device)
    base, x = work_of(samples, family, device)
    seconds = np.array([s["seconds"] for s in samples])
    errors = np.log(unseen_seconds(samples, family, device) / seconds)
    return {
        "floor_s": floor,
        **_range(samples, family),
        **_exceptions(samples, family, np.log((base + floor) * np.exp(residual.predict(x)) / seconds)),
        "residual": residual.to_json(),
        **launch_patterns(
            x,
            np.array([s["launches"] for s in samples], dtype=float),
            np.array([s["dims"].get("groups", 1) for s in samples], dtype=float),
        ),
        "error": {
            "samples": len(samples),
            "log_rms": float(np.sqrt(np.mean(errors**2))),
            "mape": float(np.mean(np.abs(np.expm1(errors)))),
            "roofline_mape": float(np.mean(np.abs((base + floor) / seconds - 1))),
        },
    }


def _range(samples: Sequence[Mapping[str, Any]], family: str) -> dict[str, dict[str, float]]:
    """What was measured: the largest of every dimension, and the only value of those that never varied."""
    values = {
        name: {float(s["dims"].get(name, default)) for s in samples} for name, default in FAMILIES[family].dims.items()
    }
    return {
        "largest": {name: max(found) for name, found in values.items()},
        "only": {
            name: min(found) for name, found in values.items() if len(found) == 1 and FAMILIES[family].is_regime(name)
        },
    }


def _exceptions(samples: Sequence[Mapping[str, Any]], family: str, errors: Array) -> dict[str, Any]:
    """Shapes that the fit misses though it saw them, of a family whose algorithm changes abruptly."""
    row = FAMILIES[family]
    if not row.changes_abruptly:
        return {}
    missed: dict[tuple[Any, ...], list[tuple[float, float]]] = defaultdict(list)
    for sample, error in zip(samples, errors, strict=True):
        if abs(error) > MISSED:
            shape = (sample["dtype"], *(sample["dims"].get(name, default) for name, default in row.dims.items()))
            missed[shape].append((sample["seconds"], sample["launches"]))
    rows = [[*shape, *(float(f"{m:.4g}") for m in np.median(found, axis=0))] for shape, found in sorted(missed.items())]
    return {"exceptions": rows}


def _fitted(samples: Sequence[Mapping[str, Any]], family: str, device: Mapping[str, Any]) -> tuple[float, Forest]:
    base, x = work_of(samples, family, device)
    seconds = np.array([s["seconds"] for s in samples])
    floor = best_floor(seconds, base)
    return floor, boosted(x, np.log(seconds / (base + floor)))


def unseen_seconds(samples: Sequence[Mapping[str, Any]], family: str, device: Mapping[str, Any]) -> Array:
    """Each sample's time by a fit of the same kind that saw neither it nor another of its part: of its weight matrix
    (n, k), or of its shape.
    """
    parts = [_part(s, family) for s in samples]
    names = sorted(set(parts))
    fold_of = dict(zip(names, np.random.default_rng(0).permutation(len(names)) % FOLDS, strict=True))
    folds = np.array([fold_of[p] for p in parts])
    found = np.zeros(len(samples))
    for fold in range(FOLDS):
        own = [s for s, f in zip(samples, folds, strict=True) if f == fold]
        if own:
            floor, residual = _fitted([s for s, f in zip(samples, folds, strict=True) if f != fold], family, device)
            base, x = work_of(own, family, device)
            found[folds == fold] = (base + floor) * np.exp(residual.predict(x))
    return found


def _part(sample: Mapping[str, Any], family: str) -> str:
    """What is never on both sides of a split."""
    dims = sample["dims"]
    names = FAMILIES[family].held_out or sorted(dims)
    return str([float(dims.get(name, 1)) for name in names])


def fit_kernels(samples: Sequence[Mapping[str, Any]], device: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Family -> name (``families.fit_name``) -> fit."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for sample in samples:
        if not sample.get("failed"):
            groups[sample["family"], fit_name(sample["family"], sample["dtype"])].append(sample)
    wanted = sorted(groups)
    found = Parallel(n_jobs=-1)(delayed(fit_family)(groups[key], key[0], device) for key in wanted)
    fits: dict[str, dict[str, Any]] = defaultdict(dict)
    for (family, name), fit in zip(wanted, found, strict=True):
        fits[family][name] = fit
    return dict(fits)


def fit_host(
    calls_s: Array, cold_lines: Array, cold_modules: Array, device_s: Array, latency_s: Array
) -> dict[str, Any]:
    """Coefficients of ``latency = factor x calls + per cold line + per cold module + fixed + device``, none negative,
    the factor 1 or more.

    calls_s: what the operators cost by themselves; device_s: what the device adds after the last call. The mean
    absolute relative error is minimised (iteratively reweighted least squares), so that a module disturbed while it was
    measured counts little. error: leave-one-module-out, root mean square of log ratios, mean, and median.
    """
    x = np.stack([calls_s, cold_lines, cold_modules, np.ones_like(calls_s)], axis=1) / latency_s[:, None]
    y = 1 - (calls_s + device_s) / latency_s

    def solve(rows: NDArray[np.bool_]) -> Array:
        weights = np.ones(int(rows.sum()))
        for _ in range(8):
            model = LinearRegression(positive=True, fit_intercept=False).fit(x[rows], y[rows], weights)
            weights = 1 / np.maximum(np.abs(y[rows] - model.predict(x[rows])), 0.02)
        return np.asarray(model.coef_)

    everything = np.ones(len(latency_s), dtype=bool)
    coefficients = solve(everything)
    ratios = []
    for one in range(len(latency_s)):
        others = everything.copy()
        others[one] = False
        ratios.append(float(np.log1p(x[one] @ solve(others) - y[one])))
    names = ("op_factor", "line_s", "module_s", "fixed_s")
    return {
        "coefficients": dict(zip(names, map(float, coefficients + np.eye(4)[0]), strict=True)),
        "error": error_of(ratios),
    }


NINETY = 1.645
"""Standard deviations that hold 90 % of a normal distribution."""


def log_sd(ratios: Sequence[float] | Array) -> float:
    """Standard deviation of the normal distribution that has as many within its 90 % interval as some log ratios."""
    return float(np.quantile(np.abs(ratios), 0.9) / NINETY)


def error_of(ratios: Sequence[float] | Array) -> dict[str, Any]:
    """Error of a host fit from log ratios of predicted and measured modules: the standard deviation of the normal
    distribution that has as many within its 90 % interval, root mean square, mean, median.
    """
    return {
        "modules": len(ratios),
        "log_sd": log_sd(ratios),
        "log_rms": float(np.sqrt(np.mean(np.square(ratios)))),
        "mape": float(np.mean(np.abs(np.expm1(ratios)))),
        "median": float(np.median(np.abs(np.expm1(ratios)))),
    }


def fit_shapes(samples: Sequence[Mapping[str, Any]], calibration: Calibration) -> dict[tuple[str, str], Forest]:
    """(Family, dtype) -> logarithm of the host seconds of a library call, by its shape.

    samples: "family", "dtype", "dims", "seconds".
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for sample in samples:
        groups[sample["family"], sample["dtype"]].append(sample)
    fits = {}
    for (family, dtype), own in sorted(groups.items()):
        dims = {name: np.array([s["dims"][name] for s in own], dtype=float) for name in own[0]["dims"]}
        x = shape_features(calibration, family, dtype, dims)
        fits[family, dtype] = boosted(x, np.log([s["seconds"] for s in own]), most=60)
    return fits
