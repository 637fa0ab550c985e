"""How well published passes of models that a fit has not seen are predicted, session by session, beside two simpler
formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from calibrate.fit.errors import log_sd
from calibrate.fit.model_latencies import Model, Table, Unseen, leave_models_out, table_of
from calibrate.samples.model_latencies import FEWEST_MODELS, Pass
from predictor.calibration.files import gpu_name
from predictor.errors import PredictorError, unknown
from predictor.pricing.intervals import NINETY
from predictor.timeline.queue import share_of_host

Array = NDArray[np.float64]

FLAT = 1.25
"""Up to this many times the latency of batch 1 a pass counts as bound by the host: it does not grow with the batch."""


@dataclass(frozen=True, slots=True)
class PassErrors:
    """Errors over some rows, relative, of models that the fit has not seen.

    tau: Kendall's rank correlation of predicted and measured latency; bound: share of rows, of batches above 1, with
    the right one of host and device; covered: share within the 90 % interval; macs_alone, max_formula: mean absolute
    error of multiply-accumulates alone, and of the larger of launches and unfitted kernel time, each with constants of
    the session.
    """

    name: str
    models: int
    rows: int
    mape: float
    median: float
    tau: float
    bound: float
    covered: float
    macs_alone: float
    max_formula: float


def judge_passes(
    rows: Sequence[Pass],
    reference_gpu: str,
    gpu: str | None = None,
    tell: Callable[[str, int, int], None] = lambda what, done, of: None,
) -> list[PassErrors]:
    """Errors of every session, then of every runtime. reference_gpu: the GPU whose host is the reference; gpu:
    whose sessions alone are judged, None for all; tell: see ``leave_models_out``. Raises PredictorError for a GPU that
    no session is of.
    """
    kept = [row.session for row in rows if gpu is None or gpu_name(row.gpu) == gpu_name(gpu)]
    if not rows:
        raise PredictorError(f"no session has {FEWEST_MODELS} models or more: fewer say too little of a host")
    if not kept:
        raise unknown("published GPU", str(gpu), sorted({row.gpu for row in rows}))
    table = table_of(rows, reference_gpu)
    unseen = leave_models_out(Model(table), tell)
    covered, simple = _covered(table, unseen), _simple(table)
    sessions = [(session, [row.session == session for row in rows]) for session in table.sessions]
    alike = [(runtime, [row.runtime == runtime for row in rows]) for runtime in table.runtimes]
    tau = {name: _tau(table, unseen, np.array(members)) for name, members in sessions}
    of_runtime = {row.session: row.runtime for row in rows}
    tau |= {r: float(np.mean([tau[s] for s in table.sessions if of_runtime[s] == r])) for r in table.runtimes}
    wanted = sessions + alike if gpu is None else [(name, members) for name, members in sessions if name in kept]
    return [_judged(name, np.array(members), table, unseen, tau[name], covered, simple) for name, members in wanted]


def _judged(
    name: str,
    members: NDArray[np.bool_],
    table: Table,
    unseen: Unseen,
    tau: float,
    covered: NDArray[np.bool_],
    simple: tuple[Array, Array],
) -> PassErrors:
    def errors(predicted: Array) -> Array:
        return np.abs(predicted[members] / table.measured[members] - 1)

    relative_errors = errors(unseen.seconds)
    flat, above = _flat(table), np.array([row.batch > 1 for row in table.rows]) & members
    return PassErrors(
        name,
        len({row.model for row, kept in zip(table.rows, members, strict=True) if kept}),
        int(members.sum()),
        float(relative_errors.mean()),
        float(np.median(relative_errors)),
        tau,
        float(np.mean((unseen.host_s > unseen.kernel_s)[above] == flat[above])),
        float(np.mean(covered[members])),
        float(errors(simple[0]).mean()),
        float(errors(simple[1]).mean()),
    )


def _tau(table: Table, unseen: Unseen, members: NDArray[np.bool_]) -> float:
    return float(kendalltau(table.measured[members], unseen.seconds[members]).statistic)


def _flat(table: Table) -> NDArray[np.bool_]:
    """Whether a row takes no longer than its model does at batch 1."""
    alone = {(row.session, row.model): row.seconds for row in table.rows if row.batch == 1}
    return np.array([row.seconds <= FLAT * alone.get((row.session, row.model), 0.0) for row in table.rows])


def _covered(table: Table, unseen: Unseen) -> NDArray[np.bool_]:
    """Whether rows lie within their interval, whose width other models say."""
    ratios = np.log(unseen.seconds / table.measured)
    by_host = unseen.host_s > unseen.kernel_s
    models = np.array([row.model for row in table.rows])
    runtimes, gpus = np.array([row.runtime for row in table.rows]), np.array([row.gpu for row in table.rows])
    covered = np.zeros(len(ratios), dtype=bool)
    for model in sorted(set(models.tolist())):
        others = models != model
        host = {r: log_sd(ratios[others & by_host & (runtimes == r)]) for r in table.runtimes}
        kernels = {g: log_sd(ratios[others & ~by_host & (gpus == g)]) for g in table.gpus}
        for row in table.where(~others):
            share = share_of_host(float(unseen.host_s[row]), float(unseen.kernel_s[row]))
            error = np.hypot(share * host[runtimes[row]], (1 - share) * kernels[gpus[row]])
            covered[row] = abs(ratios[row]) <= NINETY * error
    return covered


def _simple(table: Table) -> tuple[Array, Array]:
    """Latencies from multiply-accumulates alone, and from the larger of launches and unfitted kernel time; their
    constants are medians over the other models of a session.
    """
    macs = np.array([float(work.macs) for work in table.asked])
    launches = np.array([float(work.launches) for work in table.asked])
    kernel_s = table.kernel_s.sum(axis=1)
    smallest = np.array([row.batch == 1 for row in table.rows])
    flops, max_formula = np.zeros(len(macs)), np.zeros(len(macs))
    models, sessions = np.array([row.model for row in table.rows]), np.array([row.session for row in table.rows])
    for session in table.sessions:
        members = sessions == session
        largest = members & (np.array([row.batch for row in table.rows]) >= 32)
        for model in sorted(set(models[members].tolist())):
            others, here = models != model, members & (models == model)
            flops[here] = macs[here] * _scale(table.measured, macs, members & others)
            dispatch = launches[here] * _scale(table.measured, launches, members & others & smallest)
            max_formula[here] = np.maximum(
                dispatch, kernel_s[here] * _scale(table.measured, kernel_s, largest & others)
            )
    return flops, max_formula


def _scale(measured: Array, amount: Array, rows: NDArray[np.bool_]) -> float:
    return float(np.median(measured[rows] / amount[rows]))
