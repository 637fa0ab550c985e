"""Samples of kernels -> how each family departs from its roofline, with scikit-learn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.model_selection import GroupKFold

from calibrate.samples.kernels import MeasuredKernel
from predictor.calibration.schema import Context, Device, Fit, FitError, MeasuredShape, Provenance
from predictor.calibration.trees import Forest
from predictor.kernels.families import FAMILIES, fit_name, itemsize

Array = NDArray[np.float64]
FOLDS = 4
ENOUGH, FEWEST = 40, 8
"""Samples from which a fit is of the usual trees, and those below which it is their mean. In between trees are small:
of 12 to 33 kernels of a family on a CPU they left 0.6 of log time on unseen ones, median of 21 families, their mean
0.8.
"""

VOTES = 9
"""Trees that vote how a call is launched. Of 8,800 products in models that an H200 ran, one tree told the launches of
94.9 % and 7.5 % too many in all, 15 told those of 98.5 % and 0.3 % too many; nine keep a calibration's files small.
"""

MISSED = 0.4
"""Error of log time from which a measured shape is kept as an exception."""

SIZES = ((10_000, 120, 8, 56, 0.12), (2200, 150, 6, 28, 0.1), (40, 120, 6, 20, 0.12), (8, 60, 2, 4, 0.12))
"""From how many samples: trees, their depth and leaves, learning rate."""


MOST_TREES = max(trees for _, trees, *_ in SIZES)
"""Of any fit."""

FEWER = {"layer_norm": 80}
"""Most trees of families whose base says nearly all: of an H200's layer norms 120 leave 4.6 % on unseen ones, 80
leave 4.7.
"""


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


def boosted(x: Array, y: Array, most: int = MOST_TREES) -> Forest:
    """Gradient-boosted residuals as plain arrays; of too few samples, their mean. most: trees, at most."""
    if len(y) < FEWEST:
        return Forest.constant(float(np.mean(y)))
    trees, depth, leaves, rate = next(size for many, *size in SIZES if len(y) >= many)
    model = GradientBoostingRegressor(
        n_estimators=min(trees, most),
        max_depth=depth,
        max_leaf_nodes=int(np.clip(len(y) // 25, min(8, leaves), leaves)),
        learning_rate=rate,
        subsample=0.6,
        max_features=0.5,
        min_samples_leaf=3 if len(y) >= ENOUGH else 2,
        loss="huber",
        random_state=0,
    ).fit(x, y)
    initial = float(np.ravel(model.init_.predict(x[:1]))[0])
    return export([t.tree_ for t in model.estimators_[:, 0]], initial, model.learning_rate)


def launch_patterns(x: Array, launches: Array, groups: Array) -> tuple[Forest, list[tuple[int, int]]]:
    """Trees that vote how a call is launched, and the patterns that they tell apart: (launches per group, others).

    A leaf says the commonest, since a mean of two algorithms is neither. Each tree has a sample of its own of the
    calls (Breiman, "Bagging predictors", 1996): one tree alone gives a shape whatever its two nearest neighbours were.
    """
    each = np.floor(launches / groups)
    patterns, number = np.unique(np.column_stack([each, launches - each * groups]), axis=0, return_inverse=True)
    known = [(int(of_group), int(others)) for of_group, others in patterns]
    if len(known) == 1:
        return Forest.constant(0.0), known
    model = RandomForestClassifier(
        n_estimators=VOTES,
        criterion="entropy",
        max_depth=16,
        max_leaf_nodes=256,
        min_samples_leaf=2,
        max_features=None,
        random_state=0,
    ).fit(x, np.ravel(number))
    return export([t.tree_ for t in model.estimators_], 0.0, 1.0, model.classes_), known


def best_floor(seconds: Array, base: Array) -> float:
    """What the smallest kernels take: the fastest samples' time, or less where no sample was small.

    The second holds where a lower floor leaves the residual flatter by a fifth.
    """
    fastest = float(np.percentile(seconds, 2))

    def spread(floor: float) -> float:
        return float(np.std(np.log(seconds / (base + floor))))

    lower = min(fastest * 0.5 ** np.arange(1, 8), key=spread)
    return float(lower) if spread(lower) < 0.8 * spread(fastest) else fastest


def work_of(samples: Sequence[MeasuredKernel], family: str, device: Device) -> tuple[Array, Array]:
    """(roofline time in seconds without a floor, matrix of features) of samples of one family, in their order."""
    row = FAMILIES[family]
    peaks, bandwidth = device.peak_flops, device.bandwidth_bytes_per_s
    dtypes = np.array([s.dtype for s in samples])
    parts, order = [], []
    for dtype in sorted(set(dtypes)):
        shapes = [s.dims for s in samples if s.dtype == dtype]
        dims = row.complete({n: np.array([d.get(n, default) for d in shapes]) for n, default in row.dims.items()})
        peak = peaks.get(dtype, peaks["fp32"]) if row.matrix else peaks["fp32"]
        base = np.maximum(*row.roofline_s(dims, dtype, peak, bandwidth, device.sms))
        parts.append(np.column_stack([base, row.matrix_of_features(dims, dtype, device.sms)]))
        order.append(np.flatnonzero(dtypes == dtype))
    table = np.concatenate(parts)[np.argsort(np.concatenate(order))]
    return table[:, 0], table[:, 1:]


def fit_family(
    samples: Sequence[MeasuredKernel],
    family: str,
    device: Device,
    context: Context = "model",
    provenance: Provenance = "measured",
    source: str = "",
    unseen_log_errors: Array | None = None,
) -> Fit:
    """Fit of one family and dtype from its samples and its error on parts that it has not seen. context, provenance,
    source: of the samples; unseen_log_errors: by ``unseen_seconds``, where they are known.
    """
    row = FAMILIES[family]
    usual = [s for s in samples if not (row.may_run_by_groups and _by_groups(s))] or list(samples)
    floor, residual = floor_and_residual(usual, family, device)
    base, x = work_of(samples, family, device)
    seconds = np.array([s.seconds for s in samples])
    fitted_s = (base + floor) * np.exp(residual.predict(x))
    errors = unseen_log_errors
    if errors is None:
        unseen = dict(zip(map(id, usual), unseen_seconds(usual, family, device), strict=True))
        predicted_s = [unseen.get(id(s), fitted) for s, fitted in zip(samples, fitted_s, strict=True)]
        errors = np.log(predicted_s / seconds)
    launches, patterns = launch_patterns(
        work_of(usual, family, device)[1],
        np.array([s.launches for s in usual], dtype=float),
        np.array([s.dims.get("groups", 1) for s in usual], dtype=float),
    )
    values = {name: {float(s.dims.get(name, default)) for s in samples} for name, default in row.dims.items()}
    return Fit(
        family=family,
        units=fit_name(family, samples[0].dtype),
        context=context,
        provenance=provenance,
        source=source,
        floor_s=floor,
        largest={name: max(dim_values) for name, dim_values in values.items()},
        only={
            name: min(dim_values) for name, dim_values in values.items() if len(dim_values) == 1 and row.is_regime(name)
        },
        residual=residual.to_record(),
        launches=launches.to_record(),
        patterns=patterns,
        exceptions=_exceptions(samples, family, np.log(fitted_s / seconds)),
        error=FitError(
            samples=len(samples),
            log_rms=float(np.sqrt(np.mean(errors**2))),
            mape=float(np.mean(np.abs(np.expm1(errors)))),
            roofline_mape=float(np.mean(np.abs((base + floor) / seconds - 1))),
        ),
    )


def _by_groups(sample: MeasuredKernel) -> bool:
    """Whether a library ran the groups of a convolution one after another."""
    return 1 < sample.dims.get("groups", 1) <= sample.launches


def _exceptions(samples: Sequence[MeasuredKernel], family: str, errors: Array) -> list[MeasuredShape]:
    """Shapes that the fit misses though it saw them, of a family whose algorithm changes abruptly."""
    row = FAMILIES[family]
    if not row.changes_abruptly:
        return []
    missed: dict[tuple[Any, ...], list[tuple[float, float]]] = defaultdict(list)
    for sample, error in zip(samples, errors, strict=True):
        if abs(error) > MISSED:
            shape = (sample.dtype, *(sample.dims.get(name, default) for name, default in row.dims.items()))
            missed[shape].append((sample.seconds, sample.launches))
    return [
        MeasuredShape(dtype, dims, *(float(f"{m:.4g}") for m in np.median(measurements, axis=0)))
        for (dtype, *dims), measurements in sorted(missed.items())
    ]


def floor_and_residual(samples: Sequence[MeasuredKernel], family: str, device: Device) -> tuple[float, Forest]:
    """What ``fit_family`` fits of samples, without its error, which takes four more fits."""
    base, x = work_of(samples, family, device)
    seconds = np.array([s.seconds for s in samples])
    floor = best_floor(seconds, base)
    return floor, boosted(x, np.log(seconds / (base + floor)), FEWER.get(family, MOST_TREES))


def unseen_seconds(samples: Sequence[MeasuredKernel], family: str, device: Device) -> Array:
    """Each sample's time by a fit of the same kind that saw neither it nor another of its part: of its weight matrix
    (n, k), or of its shape.
    """
    parts = [_part(s, family) for s in samples]
    folds = GroupKFold(min(FOLDS, len(set(parts))), shuffle=True, random_state=0)
    predicted_s = np.zeros(len(samples))
    for seen, unseen in folds.split(samples, groups=parts):
        floor, residual = floor_and_residual([samples[i] for i in seen], family, device)
        base, x = work_of([samples[i] for i in unseen], family, device)
        predicted_s[unseen] = (base + floor) * np.exp(residual.predict(x))
    return predicted_s


def _part(sample: MeasuredKernel, family: str) -> str:
    """Name of what is never on both sides of a split."""
    dims = sample.dims
    names = FAMILIES[family].held_out or sorted(dims)
    return str([float(dims.get(name, 1)) for name in names])


def by_fit(samples: Sequence[MeasuredKernel]) -> dict[tuple[str, str], list[MeasuredKernel]]:
    """(Family, name of the fit, see ``families.fit_name``) -> its samples, but for those that run as kernels of others
    and are priced as these.
    """
    groups: dict[tuple[str, str], list[MeasuredKernel]] = defaultdict(list)
    for sample in samples:
        if not _runs_as_others(sample):
            groups[sample.family, fit_name(sample.family, sample.dtype)].append(sample)
    return dict(sorted(groups.items()))


def _runs_as_others(sample: MeasuredKernel) -> bool:
    row = FAMILIES[sample.family]
    return row.runs_as is not None and bool(row.runs_as(row.complete(sample.dims), itemsize(sample.dtype))[0])


def fit_kernels(samples: Sequence[MeasuredKernel], device: Device) -> list[Fit]:
    """A fit for every family and units that were measured."""
    groups = by_fit(samples)
    return list(
        Parallel(n_jobs=-1)(delayed(fit_family)(group, family, device) for (family, _), group in groups.items())
    )
