"""Published passes -> how slow each host was, and how kernels of each GPU depart from what another GPU's say.

Few parameters, all of them logarithms, small unless the data say otherwise: a time factor for every session, a factor
for every kind of host work (shared by the hosts of a runtime), a factor for every family of kernels (shared by all
GPUs) and the deviation of each host and GPU from these. Latency that does not grow with the batch says how slow the
host is, latency that grows how fast the kernels are, both at once through ``max(host time, kernel time)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import expit

from calibrate.fit.errors import log_sd
from calibrate.fit.few_kernels import measured_sheets
from calibrate.fit.pass_work import (
    Factor,
    Workload,
    asked_of,
    factor_of,
    families_of,
    kernel_seconds,
    workloads,
)
from calibrate.fit.robust import cauchy, reweighted
from calibrate.samples.model_latencies import TORCH, Pass
from predictor.calibration import files
from predictor.calibration.datasheets import derived_device, instruction_time_factor, nearest
from predictor.calibration.host_costs import HOSTS_DIFFER
from predictor.calibration.load import Calibration, forget, load_calibration
from predictor.calibration.schema import (
    KINDS,
    Device,
    Environment,
    KernelFactor,
    Kernels,
    NamedHost,
    NamedHosts,
    NamedRuntime,
    WorkFactors,
)
from predictor.errors import unknown
from predictor.pricing.kernels import with_factor
from predictor.pricing.limits import units

Array = NDArray[np.float64]

ROW_ERROR = 0.1
"""Error of a row, of its logarithm; much larger ones count little (a Cauchy loss): some passes take thirty times as
long in half precision.
"""

USUAL_TIME_FACTOR = 2.0
"""How many times as long a host of 2022 is expected to take as the reference's."""

TIME_FACTORS_DIFFER, KINDS_DIFFER, FAMILIES_DIFFER, GPUS_DIFFER, HOSTS_DIFFER_IN_KINDS = 0.5, 0.3, 0.6, 0.4, 0.15
"""How far parameters are expected to be from that, or from 1, as standard deviations of their logarithm: time
factors of hosts, of kinds of host work, of families, and a GPU's departure from its families and a host's from its
kinds.
"""

FARTHEST = 5.0
"""How far a logarithm may go: a step of the solver too far must not overflow."""

ROUNDS, STEPS = 6, 20
"""Of reweighting, and of the solver in each."""

LIMIT_POWER = 8
"""How abruptly the larger of host and kernel time takes over, in the fit alone."""


@dataclass(frozen=True)
class Table:
    """Rows to fit, with what each asks for. host_s: (rows, kinds); kernel_s, and least_s, what physics leaves of it:
    (rows, factors).
    """

    rows: Sequence[Pass]
    asked: Sequence[Workload]
    host_s: Array
    kernel_s: Array
    least_s: Array
    factors: Sequence[Factor]

    @cached_property
    def sessions(self) -> list[str]:
        """Names of the sessions."""
        return sorted({row.session for row in self.rows})

    @cached_property
    def gpus(self) -> list[str]:
        """Names of the GPUs."""
        return sorted({row.gpu for row in self.rows})

    @cached_property
    def runtimes(self) -> list[str]:
        """Names of the runtimes."""
        return sorted({row.runtime for row in self.rows})

    @cached_property
    def measured(self) -> Array:
        """Seconds as measured, (rows,)."""
        return np.array([row.seconds for row in self.rows])

    def where(self, kept: Sequence[bool] | NDArray[np.bool_]) -> NDArray[np.intp]:
        """Positions of rows."""
        return np.flatnonzero(np.asarray(kept))


def base_of(gpu: str) -> Calibration:
    """A GPU's calibration before passes are fitted: its own measured kernels, and those of another, transferred."""
    folder = files.find(gpu)
    if not (folder / "kernels.json").is_file():
        return load_calibration(str(folder / "datasheet.json"))
    before = replace(load_calibration(str(folder.resolve())), factors={}, kernels_error=None)
    reference = before.device.reference_gpu
    if reference is None:  # its owner measured it
        return before
    return replace(before, time_factor=instruction_time_factor(files.datasheet(gpu), files.datasheet(reference)))


def table_of(rows: Sequence[Pass], reference_gpu: str) -> Table:
    """Rows with what each asks for. reference_gpu: the GPU whose host is the reference."""
    calibrations = {gpu: base_of(gpu) for gpu in sorted({row.gpu for row in rows})}
    wanted = [asked_of(row, calibrations) for row in rows]
    known = workloads(wanted, reference_gpu, calibrations)
    asked = [known[key] for key in wanted]
    factors = sorted(
        {
            factor_of(family, units(calibrations[row.gpu], dtype), dict(dims))
            for row, work in zip(rows, asked, strict=True)
            for family, dtype, dims in work.kernels
        }
    )
    kernel_s, least_s = np.zeros((2, len(rows), len(factors)))
    for gpu, calibration in calibrations.items():
        positions = [i for i, row in enumerate(rows) if row.gpu == gpu]
        kernel_s[positions], least_s[positions] = kernel_seconds(calibration, [asked[i] for i in positions], factors)
    return Table(rows, asked, np.array([work.host_s for work in asked]), kernel_s, least_s, factors)


class Model:
    """The parameters of a table as one vector, and what they predict."""

    def __init__(self, table: Table) -> None:
        self.table = table
        sizes = (
            len(table.sessions),
            len(table.runtimes) * len(KINDS),
            len(table.factors),
            len(table.gpus) * len(table.factors),
            len(table.sessions) * len(KINDS),
        )
        self.ends = np.cumsum([0, *sizes])
        self.session = np.array([table.sessions.index(row.session) for row in table.rows])
        self.runtime = np.array([table.runtimes.index(row.runtime) for row in table.rows])
        self.gpu = np.array([table.gpus.index(row.gpu) for row in table.rows])

    def parts(self, theta: Array) -> tuple[Array, Array, Array, Array, Array]:
        """Logarithms: (sessions,), (runtimes, kinds), (factors,), (GPUs, factors), (sessions, kinds)."""
        bounded = np.clip(theta, -FARTHEST, FARTHEST)
        host_logs, kinds, families, gpus, session_kinds = (
            bounded[a:b] for a, b in zip(self.ends[:-1], self.ends[1:], strict=True)
        )
        by_kind = kinds.reshape(-1, len(KINDS)), session_kinds.reshape(-1, len(KINDS))
        return host_logs, by_kind[0], families, gpus.reshape(len(self.table.gpus), -1), by_kind[1]

    def terms(self, theta: Array, rows: NDArray[np.intp]) -> tuple[Array, Array]:
        """Host seconds by kind and kernel seconds by factor of some rows."""
        host_logs, kinds, families, gpus, session_kinds = self.parts(theta)
        logs = kinds[self.runtime[rows]] + host_logs[self.session[rows], None] + session_kinds[self.session[rows]]
        host = self.table.host_s[rows] * np.exp(logs)
        factor = np.exp(families + gpus[self.gpu[rows]])
        return host, with_factor(self.table.kernel_s[rows], self.table.least_s[rows], factor)

    def fit(self, rows: NDArray[np.intp]) -> Array:
        """The parameters, from some of the rows."""
        count, many = np.arange(len(rows)), len(KINDS)
        logs = np.log(self.table.measured[rows])
        differ = [TIME_FACTORS_DIFFER, KINDS_DIFFER, FAMILIES_DIFFER, GPUS_DIFFER, HOSTS_DIFFER_IN_KINDS]
        widths = np.repeat(differ, np.diff(self.ends))
        kinds = self.ends[1] + np.arange(len(self.table.runtimes) * many)
        pull = np.zeros((len(widths) + len(self.table.runtimes), self.ends[-1]))
        pull[np.arange(len(widths)), np.arange(len(widths))] = 1 / widths
        for runtime in range(len(self.table.runtimes)):  # a time factor common to all kinds is the session's
            pull[len(widths) + runtime, kinds[runtime * many : (runtime + 1) * many]] = 5 / many

        def errors(theta: Array) -> Array:
            host, kernel = (part.sum(axis=1) for part in self.terms(theta, rows))
            both = np.logaddexp(LIMIT_POWER * np.log(host), LIMIT_POWER * np.log(kernel)) / LIMIT_POWER
            return np.asarray((both - logs) / ROW_ERROR)

        def slopes(theta: Array) -> Array:
            by_kind, by_factor = self.terms(theta, rows)
            host, kernel = by_kind.sum(axis=1), by_factor.sum(axis=1)
            least_s = self.table.least_s[rows]
            by_factor = np.where(by_factor > self.table.kernel_s[rows], by_factor, by_factor - least_s)  # its slope
            of_host = expit(LIMIT_POWER * np.log(host / kernel))
            jacobian = np.zeros((len(rows), self.ends[-1]))
            jacobian[count, self.session[rows]] = of_host
            for kind in range(many):
                share = by_kind[:, kind] / host * of_host
                jacobian[count, self.ends[1] + self.runtime[rows] * many + kind] = share
                jacobian[count, self.ends[4] + self.session[rows] * many + kind] = share
            for factor in range(by_factor.shape[1]):
                share = by_factor[:, factor] / kernel * (1 - of_host)
                jacobian[:, self.ends[2] + factor] = share
                jacobian[count, self.ends[3] + self.gpu[rows] * by_factor.shape[1] + factor] = share
            return jacobian / ROW_ERROR

        expected = np.zeros(self.ends[-1])
        expected[: self.ends[1]] = np.log(USUAL_TIME_FACTOR)
        theta = expected

        def solve(weights: Array) -> Array:
            nonlocal theta
            root = np.sqrt(weights)
            theta = least_squares(
                lambda t: np.concatenate([root * errors(t), pull @ (t - expected)]),
                theta,
                jac=lambda t: np.vstack([root[:, None] * slopes(t), pull]),
                tr_solver="lsmr",  # a step of the exact solver takes a second here, this one a tenth
                max_nfev=STEPS,
            ).x
            return np.asarray(theta)

        return reweighted(solve, errors, cauchy, len(rows), ROUNDS)  # the parameters' own rows keep their weight

    def predicted(self, theta: Array, rows: NDArray[np.intp]) -> tuple[Array, Array]:
        """(host seconds, kernel seconds) of some rows."""
        host, kernel = self.terms(theta, rows)
        return host.sum(axis=1), kernel.sum(axis=1)


@dataclass(frozen=True)
class Unseen:
    """Every row as predicted by a fit that never saw its model, (rows,) each."""

    host_s: Array
    kernel_s: Array

    @property
    def seconds(self) -> Array:
        """A pass, back to back with others."""
        return np.maximum(self.host_s, self.kernel_s)


def leave_models_out(model: Model, tell: Callable[[str, int, int], None] = lambda what, done, of: None) -> Unseen:
    """Every row as predicted by a fit that never saw its model. tell: is called before each fit: with what is done, how
    many are over, and of how many.
    """
    names = np.array([row.model for row in model.table.rows])
    host_s, kernel_s = np.zeros(len(names)), np.zeros(len(names))
    left = sorted(set(names.tolist()))
    left_out = (delayed(model.fit)(model.table.where(names != name)) for name in left)
    fits = iter(Parallel(n_jobs=-1, return_as="generator")(left_out))
    for number, name in enumerate(left):
        tell("fitting without a model", number, len(left))
        theta = next(fits)
        rows = model.table.where(names == name)
        host_s[rows], kernel_s[rows] = model.predicted(theta, rows)
    return Unseen(host_s, kernel_s)


@dataclass(frozen=True)
class Origin:
    """Where passes come from: who measured them, with which versions of what, when (ISO 8601)."""

    source: str
    versions: Mapping[str, str]
    date: str


FRAMEWORK_TAX = Origin(
    "The Framework Tax (Fernandez et al., EMNLP 2023), runs of its public repository",
    {"torch": TORCH, "cuda": "11.6", "onnxruntime": "1.7"},
    "2022-10-25",
)
"""The published runs of 2022."""


def fit_passes(folders: Mapping[str, Path], rows: Sequence[Pass], origin: Origin = FRAMEWORK_TAX) -> None:
    """Fit published passes and write ``device.json``, ``kernels.json`` and ``hosts.json`` of GPUs.

    All rows are fitted, whatever the GPU, for they share ratios. folders: GPU -> folder to write; origin: kept with the
    fit. Raises PredictorError where no row is of a GPU.
    """
    names = {files.gpu_name(row.gpu): row.gpu for row in rows}
    for gpu in folders:
        if files.gpu_name(gpu) not in names:
            raise unknown("published GPU", gpu, sorted(names.values()))
    wanted = {names[files.gpu_name(gpu)]: folder for gpu, folder in folders.items()}
    reference_gpu = _reference(next(iter(wanted)))
    model = Model(table_of(rows, reference_gpu))
    theta, unseen = model.fit(np.arange(len(rows))), leave_models_out(model)
    for gpu, folder in wanted.items():
        hosts = _host_part(model, theta, unseen, gpu, reference_gpu, origin)
        kernels = _kernel_part(model, theta, unseen, gpu, reference_gpu, folder)
        files.write_calibration(folder, [hosts, kernels, _device_part(gpu, reference_gpu)])
    forget()


def _host_part(model: Model, theta: Array, unseen: Unseen, gpu: str, reference_gpu: str, origin: Origin) -> NamedHosts:
    """What hosts.json says."""
    rows, kinds = model.table.rows, model.parts(theta)[1]
    ratios = np.log(unseen.seconds / model.table.measured)
    by_host = unseen.host_s > unseen.kernel_s
    gpu_runtimes = {row.runtime for row in rows if row.gpu == gpu}
    errors = {r: log_sd(ratios[np.array([row.runtime == r for row in rows]) & by_host]) for r in sorted(gpu_runtimes)}
    hosts = _hosts(model, theta, gpu)
    host_logs = [np.log(host.time_factor) for host in hosts.values()]
    spread = float(np.std(host_logs, ddof=1)) if len(host_logs) > 1 else HOSTS_DIFFER
    default = _least_disturbed(hosts)
    return NamedHosts(
        gpu=gpu,
        provenance="fitted",
        reference_gpu=reference_gpu,
        environment=Environment(date=origin.date, source=origin.source, versions=dict(origin.versions)),
        log_sd=_rounded(spread),
        runtimes={
            runtime: NamedRuntime(
                default_host=default[runtime],
                log_sd=_rounded(errors[runtime]),
                time_factors=_work_factors(logs),
            )
            for runtime, logs in zip(model.table.runtimes, kinds, strict=True)
            if runtime in gpu_runtimes
        },
        hosts=hosts,
    )


def _work_factors(logs: Array) -> WorkFactors:
    return WorkFactors(**{kind: _rounded(np.exp(log)) for kind, log in zip(KINDS, logs, strict=True)})


def _kernels_error(model: Model, unseen: Unseen, gpu: str) -> float:
    """Of the kernel time of passes on a GPU, of models that the fit has not seen."""
    ratios = np.log(unseen.seconds / model.table.measured)
    of_gpu = np.array([row.gpu == gpu for row in model.table.rows])
    return _rounded(log_sd(ratios[of_gpu & (unseen.host_s <= unseen.kernel_s)]))


def _reference(gpu: str) -> str:
    """The measured GPU whose datasheet is nearest."""
    return nearest(files.datasheet(gpu), measured_sheets())


def _device_part(gpu: str, reference_gpu: str) -> Device:
    """device.json of a GPU."""
    device = derived_device(
        gpu, files.datasheet(gpu), load_calibration(reference_gpu).device, files.datasheet(reference_gpu)
    )
    return msgspec.structs.replace(device, provenance="fitted")


def _kernel_part(model: Model, theta: Array, unseen: Unseen, gpu: str, reference_gpu: str, folder: Path) -> Kernels:
    """kernels.json of a GPU, with the kernels that were measured on it."""
    path = folder / "kernels.json"
    return Kernels(
        gpu=gpu,
        provenance="fitted",
        reference_gpu=reference_gpu,
        time_factor=_rounded(instruction_time_factor(files.datasheet(gpu), files.datasheet(reference_gpu))),
        log_sd=_kernels_error(model, unseen, gpu),
        factors=_factors(model, theta, gpu),
        fits=files.read(path, Kernels, gpu).fits if path.is_file() else [],
    )


def _hosts(model: Model, theta: Array, gpu: str) -> dict[str, NamedHost]:
    """Session -> its runtime, how much slower its host is than the reference's, and in what kinds of work more so than
    others that run this runtime.
    """
    host_logs, *_, session_kinds = model.parts(theta)
    runtime_of = {row.session: row.runtime for row in model.table.rows if row.gpu == gpu}
    return {
        session: NamedHost(
            runtime=runtime_of[session],
            time_factor=_rounded(np.exp(host_log)),
            time_factors=_work_factors(kinds),
        )
        for session, host_log, kinds in zip(model.table.sessions, host_logs, session_kinds, strict=True)
        if session in runtime_of
    }


def _least_disturbed(hosts: Mapping[str, NamedHost]) -> dict[str, str]:
    """Runtime -> its fastest host."""
    fastest: dict[str, str] = {}
    for name, host in sorted(hosts.items(), key=lambda item: item[1].time_factor):
        fastest.setdefault(host.runtime, name)
    return dict(sorted(fastest.items()))


def _factors(model: Model, theta: Array, gpu: str) -> list[KernelFactor]:
    """Of every family and its units."""
    _, _, families, gpus, _ = model.parts(theta)
    logs = families + gpus[model.table.gpus.index(gpu)]
    return [
        KernelFactor(family=family, units=factor.units, winograd=factor.winograd, time_factor=_rounded(np.exp(log)))
        for factor, log in zip(model.table.factors, logs, strict=True)
        for family in families_of(factor)
    ]


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
