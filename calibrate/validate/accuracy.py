"""Predictions against recorded measurements: errors, ranking and bounds, beside the plain formula and a FLOPs-only
fit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np
from scipy.stats import kendalltau

import models_zoo
from calibrate.fit.alignment import Part
from calibrate.fit.alignment import by_family as parts_of
from calibrate.samples.environment import exports_are_trained
from calibrate.samples.programs import restored
from calibrate.samples.records import CaseProfile, CaseRound, Environment, ProgramRecord, Refusal
from calibrate.samples.rounds import Measurement, Round, quiet_level, summarise
from calibrate.samples.store import SampleFile
from calibrate.workloads.cases import Case
from predictor import runtimes
from predictor.assemble import bound, spread
from predictor.calibration.host_costs import HostCosts, beside_a_probe
from predictor.calibration.load import Calibration
from predictor.errors import CannotRunError
from predictor.kernels.host_copies import BETWEEN_S, HOST_COPY
from predictor.lowered import Lowered, of_program
from predictor.plans import Plan, target_of
from predictor.pricing.intervals import interval
from predictor.pricing.program import price
from predictor.records import CaptureMode, CaptureOptions, Graph, PricedCall, Program, Target
from predictor.sources import plan_of
from predictor.timeline.queue import queue

CROSSOVER = (0.6, 0.9)
"""Kernel time over latency: below the first framework-bound, above the second device-bound, crossover between."""

HALF = 0.5
"""The same where the host's work and the kernels come after each other: what a CUDA graph's replay waits for."""

MOST_ALIGNED = 2e8
"""Predicted times measured kernels of a pass that is told by family: an alignment of more takes gigabytes."""

ADDS_UP = 0.05
"""How far the durations of a profile's kernels may add up to something else than its kernel time: beyond that they
overlapped on several streams, and say nothing of a family.
"""

ESTIMATORS = ("queue", "max", "flops")


@dataclass(frozen=True, slots=True)
class Row:
    """One measured case and its predictions, seconds.

    measured_bound: "framework" or "device" (a profile does not tell compute from memory), empty without a profile;
    unscaled_s: the queue's prediction without the host probe; kernels: by family, none without a profile or where the
    profile's durations do not add up to its kernel time.
    """

    model: str
    batch: int
    dtype: str
    runtime: str
    measured: Measurement
    predicted: Mapping[str, float]
    kernel_s: float | None
    predicted_kernel_s: float
    predicted_host_s: float
    launches: int
    predicted_launches: int
    bound: str
    measured_bound: str
    regime: str
    interval_s: tuple[float, float]
    unscaled_s: float
    kernels: tuple[Part, ...]
    length: int = 0
    lengths: str = ""

    @property
    def covered(self) -> bool:
        """Whether the 90 % interval of the queue holds the measurement."""
        return self.interval_s[0] <= self.measured.seconds <= self.interval_s[1]

    def error(self, estimator: str = "queue") -> float:
        """Signed relative error."""
        return self.predicted[estimator] / self.measured.seconds - 1


@dataclass(frozen=True, slots=True)
class _Measured:
    """A case that ran: its profile, its program, its measurement."""

    profile: CaseProfile
    lowered: Lowered
    measured: Measurement

    @property
    def case(self) -> Case:
        return self.profile.case

    @property
    def macs(self) -> int:
        return int(self.lowered.macs[0])


def rows(
    file: SampleFile,
    calibration: Calibration,
    runtime: str,
    wanted: Collection[Case] | None = None,
    host: str | None = None,
) -> list[Row]:
    """Predict every recorded case again with a calibration, but for those that a runtime cannot run: models of the zoo
    as ``predict`` does, others by the programs that are recorded with them. So are the zoo's where they were measured
    with another version of transformers than the shipped graphs have, whose code may run other operators. wanted:
    cases, all if None; host: whose costs, see ``Calibration.host``.

    Host times are scaled by the ratio of the host probes, that beside the case's rounds over that of the calibration:
    how fast the host was just then is no property of the model.
    """
    rounds: dict[Case, list[Round]] = defaultdict(list)
    probes: list[float] = []
    for sample in file.of(CaseRound):
        probes += sample.probe_s
        if sample.case.runtime == runtime:
            rounds[sample.case].append(sample.round)
    level = quiet_level(probes)
    measured = []
    for profile in file.of(CaseProfile):
        case = profile.case
        if case.runtime != runtime or not rounds[case] or (wanted is not None and case not in wanted):
            continue
        lowered = _lowered(case, file, calibration)
        if lowered is not None:
            measured.append(_Measured(profile, lowered, summarise(rounds[case], level)))
    flops = _flops_only(measured)
    return [_row(ran, flops(ran), calibration, calibration.host(runtime, host)) for ran in measured]


def _lowered(case: Case, file: SampleFile, calibration: Calibration) -> Lowered | None:
    """What a case runs; None where its runtime cannot run it, or nothing is known of it."""
    if _is_shipped(case, file):
        target = target_of(calibration, calibration.host(case.runtime))
        return _zoo_lowered(case, target)
    recorded = file.find(ProgramRecord, case)
    if recorded is None or recorded.program is None or recorded.macs is None:
        return None
    program = restored(recorded.program)
    lowered = of_program(Graph(case.model, (), case.dtype, case.batch, program.tail, 0), program)
    return replace(lowered, macs=np.array([recorded.macs], dtype=np.int64))


def _is_shipped(case: Case, file: SampleFile) -> bool:
    """Whether the graph that ``predict`` has of a case is that of what was measured. What was exported before a
    training lacks biases that the shipped graph has: its program is recorded with it.
    """
    is_export = CaptureMode.EXPORTED in runtimes.load(case.runtime).capture_modes
    if is_export and not exports_are_trained(file) and file.find(ProgramRecord, case) is not None:
        return False
    measured = {_release(environment.versions.get("transformers", "")) for environment in file.of(Environment)}
    shipped = _shipped_releases(case.model)
    return shipped is not None and measured <= shipped


@cache
def _shipped_releases(model: str) -> frozenset[str] | None:
    """Releases of transformers, empty for one that is not known, whose code the shipped graphs have; None for a model
    that the zoo lacks.
    """
    if model not in models_zoo.names():
        return None
    templates = _zoo_plan(model).graphs.templates
    return frozenset(("", *(_release(t.versions.get("transformers", "")) for t in templates)))


def _release(version: str) -> str:
    """Major and minor number."""
    return ".".join(version.split(".")[:2])


@cache
def _zoo_plan(model: str, lengths: str = "") -> Plan:
    return plan_of(model, options=CaptureOptions(lengths=lengths))


@lru_cache(maxsize=512)
def _zoo_lowered(case: Case, target: Target) -> Lowered | None:
    """A case of the zoo as its runtime lowers it for a target, once for all calibrations; None where it cannot run."""
    try:
        plan = _zoo_plan(case.model, case.lengths)
        lowered = plan.lowered(case.runtime, target, case.dtype, case.batch, case.length or None)
    except CannotRunError:
        return None
    return None if lowered.program.program.unsupported_reason else lowered


def _waits_s(program: Program) -> float:
    """Seconds that copies from the host wait between kernels, which no profile says of a kernel."""
    kernels = ((call, kernel) for call in program.calls for kernel in call.kernels if kernel.family == HOST_COPY)
    waiting = (c.times * k.times for c, k in kernels if k.dims.get("replayed") or not k.dims.get("pageable"))
    return BETWEEN_S * float(sum(waiting))


def _row(ran: _Measured, flops_s: float, calibration: Calibration, host: HostCosts) -> Row:
    case, profile, measured, lowered = ran.case, ran.profile, ran.measured, ran.lowered
    host = beside_a_probe(host)
    priced = price(lowered.program, calibration, host)
    lanes = calibration.lanes_of(host)
    unscaled = queue(priced, lanes, host.fixed_s)
    scale = measured.probe_s / host.probe_s
    priced = priced.with_host_scaled(scale)
    timeline = queue(priced, lanes, host.fixed_s * scale)
    kernel_s = profile.kernel_s
    said = bound(timeline, priced)
    launches = int(priced.launches.sum())
    busy = (kernel_s + lanes.gap_s * profile.launches) if kernel_s is not None else timeline.kernel_s
    share = busy / measured.seconds
    limit = CROSSOVER[1] if host.gap_s is None else HALF
    return Row(
        model=case.model,
        batch=case.batch,
        dtype=case.dtype,
        runtime=case.runtime,
        measured=measured,
        predicted={"queue": timeline.latency_s, "max": timeline.max_s, "flops": flops_s},
        kernel_s=kernel_s,
        predicted_kernel_s=timeline.kernel_s - _waits_s(lowered.program.program),
        predicted_host_s=timeline.host_s,
        launches=profile.launches,
        predicted_launches=launches,
        bound=said,
        measured_bound="" if kernel_s is None else "framework" if share < limit else "device",
        interval_s=interval(timeline.latency_s, spread(lowered, priced, timeline, calibration, host)),
        unscaled_s=unscaled.latency_s,
        kernels=_kernels(profile, lowered.program.program, priced.calls),
        length=case.length,
        lengths=case.lengths,
        regime="framework-bound" if share < CROSSOVER[0] else "compute-bound" if share > CROSSOVER[1] else "crossover",
    )


def _kernels(profile: CaseProfile, program: Program, priced: Sequence[PricedCall]) -> tuple[Part, ...]:
    if profile.kernel_s is None:
        return ()
    measured_s = [ns * 1e-9 for _, ns in profile.order]
    if abs(sum(measured_s) / profile.kernel_s - 1) > ADDS_UP:
        return ()
    both = zip(program.calls, priced, strict=True)
    pairs = [pair for call, priced_call in both for pair in zip(call.kernels, priced_call.kernels, strict=True)]
    if len(pairs) * len(profile.order) > MOST_ALIGNED:
        return ()
    names = [profile.names[index] for index, _ in profile.order]
    families, launches = [k.family for k, _ in pairs], [p.launches for _, p in pairs]
    return tuple(parts_of(families, launches, [p.seconds for _, p in pairs], names, measured_s))


def _flops_only(cases: Sequence[_Measured]) -> Callable[[_Measured], float]:
    """The baseline: log latency as a line in log MACs, per dtype, fitted to the other models of these very
    measurements.
    """

    def predict(ran: _Measured) -> float:
        others = [c for c in cases if c.case.dtype == ran.case.dtype and c.case.model != ran.case.model]
        if len({c.macs for c in others}) < 2:
            return float("nan")
        x = np.log([c.macs for c in others])
        y = np.log([c.measured.seconds for c in others])
        slope, intercept = np.polyfit(x, y, 1)
        return float(np.exp(intercept + slope * np.log(ran.macs)))

    return predict


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of a group of rows.

    MAPE, median and worst of the relative error; bound: share where framework-bound or device-bound is right, not a
    number where no profile says which. tau: Kendall's rank correlation (tau-b) of predictions and measurements, not a
    number for a single row.
    """

    cases: int
    mape: float
    median: float
    worst: float
    bound: float
    tau: float


def summarise_rows(group: Sequence[Row], estimator: str) -> Summary:
    """Summary of an estimator over a group."""
    errors = np.abs([r.error(estimator) for r in group])
    known = [r for r in group if r.measured_bound]
    right = np.mean([(r.bound == "framework") == (r.measured_bound == "framework") for r in known]) if known else np.nan
    figures = errors.mean(), np.median(errors), errors.max(), right, _tau(group, estimator)
    return Summary(len(group), *(float(figure) for figure in figures))


def _tau(group: Sequence[Row], estimator: str) -> float:
    if len(group) < 2:
        return float("nan")
    return float(kendalltau([r.predicted[estimator] for r in group], [r.measured.seconds for r in group]).statistic)


@dataclass(frozen=True, slots=True)
class FamilyError:
    """Kernels of one family over a group of rows.

    time: its share of the kernel time, error: of the absolute errors of all families, bias: what its errors add to the
    kernel time; means over the rows, in which every row weighs the same.
    """

    time: float
    error: float
    bias: float
    predicted_launches: int
    measured_launches: int


def by_family(group: Sequence[Row]) -> dict[str, FamilyError]:
    """Kernel family -> its part in the kernel time and in its error, the worst first."""
    profiled = [r for r in group if r.kernels]
    parts: dict[str, list[tuple[Part, float]]] = defaultdict(list)
    for row in profiled:
        whole = sum(part.measured_s for part in row.kernels)
        for part in row.kernels:
            parts[part.family].append((part, whole))
    errors = {
        f: sum(abs(p.predicted_s - p.measured_s) / whole for p, whole in family_parts)
        for f, family_parts in parts.items()
    }
    return {
        family: FamilyError(
            sum(p.measured_s / whole for p, whole in parts[family]) / len(profiled),
            errors[family] / sum(errors.values()),
            sum((p.predicted_s - p.measured_s) / whole for p, whole in parts[family]) / len(profiled),
            sum(p.predicted_launches for p, _ in parts[family]),
            sum(p.measured_launches for p, _ in parts[family]),
        )
        for family in sorted(errors, key=lambda f: -errors[f])
    }


def kernel_errors(group: Sequence[Row]) -> tuple[float, float]:
    """(MAPE of the kernel time, MAPE of the launches) against the profiler; not a number without profiles."""
    known = [r for r in group if r.kernel_s and r.launches]
    if not known:
        return float("nan"), float("nan")
    seconds = [abs(r.predicted_kernel_s / r.kernel_s - 1) for r in known if r.kernel_s]
    return float(np.mean(seconds)), float(np.mean([abs(r.predicted_launches / r.launches - 1) for r in known]))


def by_regime(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of each regime, and of all."""
    groups = {name: [r for r in rows if r.regime == name] for name in ("framework-bound", "crossover", "compute-bound")}
    return {name: group for name, group in groups.items() if group} | {"all": list(rows)}


def by_model(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of each model."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.model].append(row)
    return dict(groups)


@dataclass(frozen=True, slots=True)
class Choice:
    """The fastest runtime of a model and batch, as predicted and as measured. loss: how much slower the predicted one
    is than the measured one.
    """

    model: str
    batch: int
    dtype: str
    predicted: str
    measured: str
    loss: float


def choices(rows: Sequence[Row]) -> list[Choice]:
    """Of every model, batch, length and dtype that two runtimes or more were measured for. On another host the host's
    part of a latency is another: measurements are compared as they are, predictions as scaled to the host beside them.
    """
    groups: dict[tuple[str, int, str, int, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.model, row.batch, row.dtype, row.length, row.lengths].append(row)
    chosen = []
    for (model, batch, dtype, _, _), group in groups.items():
        if len(group) > 1:
            predicted = min(group, key=lambda r: r.predicted["queue"])
            measured = min(group, key=lambda r: r.measured.seconds)
            loss = predicted.measured.seconds / measured.measured.seconds - 1
            chosen.append(Choice(model, batch, dtype, predicted.runtime, measured.runtime, loss))
    return chosen


@dataclass(frozen=True, slots=True)
class Foreseen:
    """Whether a prediction says that a runtime cannot run a case, and whether it could not."""

    case: Case
    predicted: bool
    measured: bool


def refusals(file: SampleFile, calibration: Calibration, runtime: str) -> list[Foreseen]:
    """Of every case of a runtime, for which a program or a refusal is known."""
    ran = [(profile.case, False) for profile in file.of(CaseProfile)]
    refused = [(refusal.case, True) for refusal in file.of(Refusal)]
    foreseen = []
    for case, could_not in (*ran, *refused):
        if case.runtime != runtime:
            continue
        if _is_shipped(case, file):
            predicted = _lowered(case, file, calibration) is None
        else:
            recorded = file.find(ProgramRecord, case)
            predicted = bool(recorded and recorded.unsupported_reason)
        foreseen.append(Foreseen(case, predicted, could_not))
    return foreseen
