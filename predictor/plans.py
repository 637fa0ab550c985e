"""A plan: what a model does, captured once, to be priced for any GPU, host, runtime, dtype, batch and length."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from predictor import runtimes
from predictor.assemble import assemble, seconds_by_group
from predictor.breakdown import Part
from predictor.calibration.host_costs import HOSTS_DIFFER, HostCosts
from predictor.calibration.load import Calibration, load_calibration
from predictor.collection import without_collection
from predictor.errors import CannotRunError, MissingLibraryError, PredictorError, unknown
from predictor.graph import files
from predictor.graph.attention import CHOICES, attention_of
from predictor.graph.files import GraphSet, SizeRange
from predictor.lowered import Lowered, LoweredRange, lower, solve
from predictor.pricing.correction import Correction, Observation, correct
from predictor.pricing.intervals import device_errors
from predictor.pricing.program import HostProfile, host_profile, price
from predictor.records import (
    CaptureMode,
    Compared,
    DtypeOrigin,
    Graph,
    PricedProgram,
    Program,
    Report,
    SizedProgram,
    Span,
    Target,
    Timelines,
)
from predictor.tables import SweepTable
from predictor.timeline.queue import queues, spans

if TYPE_CHECKING:
    from predictor.advice import Advice, Headroom

ESTIMATORS = ("queue", "max")

FEW = 3
"""Batch sizes up to which each is lowered by itself."""

NARROW = 8
"""Batch sizes of a range that is not split any further: each is lowered by itself."""

LEAST = 8
"""Batch size up to which a program is lowered for all sizes at once, at the least; beyond it, up to the power of two
that holds what is asked for.
"""

KEPT = 64
"""Programs of single batch sizes that a plan keeps for each runtime."""

LONGEST_S = 3600.0
"""Of a measured latency."""

MOST = 2**31 - 1
"""Largest batch size and length: kernels count in 32 bits, and no device's memory holds as many samples."""

INSTANCES = 8
"""Graphs made from templates that a plan keeps: several runtimes lower the same."""

PROFILES = 1024
"""Host profiles that a plan keeps: of each program on each host."""


class Source(Protocol):
    """What gives a model's graphs that a plan does not have yet."""

    @property
    def dtype(self) -> str | None:
        """The dtype that is priced where none is asked for: the model's own; None where it has none."""
        ...

    def graph(self, dtype: str, runtime: str, mode: CaptureMode, batch: int, length: int) -> Graph:
        """The graph for a runtime at sizes. mode: one of the runtime's. Raises CannotRunError where the runtime makes
        none, PredictorError where the model does not take the sizes.
        """
        ...


class MeasuredLatency(Protocol):
    """A latency that somebody measured, see ``predictor.Measured``."""

    @property
    def plan(self) -> Plan:
        """What was measured."""
        ...

    @property
    def latency_s(self) -> float:
        """Seconds of a pass."""
        ...

    @property
    def runtime(self) -> str:
        """Under which it ran."""
        ...

    @property
    def dtype(self) -> str | None:
        """In which it ran, None: as ``Plan.report`` takes it."""
        ...

    @property
    def batch(self) -> int | None:
        """At which batch size, None: that of the plan."""
        ...

    @property
    def length(self) -> int | None:
        """At which sequence length, None: that of the plan."""
        ...


class Settings(NamedTuple):
    """What a prediction is for, checked: a calibration, a host's costs under a runtime, a dtype and why it is that, an
    estimator, whether attention is multiplied out, what measured latencies correct, and whether a larger kernel is
    never cheaper.
    """

    calibration: Calibration
    host: HostCosts
    dtype: str
    estimator: str
    multiplied: bool
    dtype_origin: DtypeOrigin = DtypeOrigin.ASKED
    correction: Correction | None = None
    monotone: bool = False

    @property
    def target(self) -> Target:
        """What a program is to run with."""
        return target_of(self.calibration, self.host)


def target_of(calibration: Calibration, host: HostCosts) -> Target:
    """What a program runs with on a calibrated GPU and host."""
    return Target(host.environment.torch, calibration.architecture, calibration.lanes.serial)


OPTIONS = ("host", "attention", "estimator", "measured")
"""Arguments of ``Plan.report`` by which a question asks the same at every size and of every runtime."""


def settings(
    gpu: str,
    runtime: str = "eager",
    dtype: str | None = None,
    estimator: str = "queue",
    host: str | None = None,
    attention: str | None = None,
    own_dtype: str | None = None,
    measured: Sequence[MeasuredLatency] = (),
    monotone: bool = False,
) -> Settings:
    """Checked settings, see ``Plan.report``; own_dtype: the module's, which is taken where none is asked for. Raises
    PredictorError for a name that is not known and for a module in a dtype that the GPU is not calibrated for,
    CannotRunError for a runtime that needs a GPU where there is none.
    """
    calibration = load_calibration(gpu)
    if runtime not in runtimes.names():
        raise runtimes.unknown_runtime(runtime)
    origin = DtypeOrigin.ASKED if dtype else DtypeOrigin.MODULE if own_dtype else DtypeOrigin.DEFAULT
    dtype = dtype or own_dtype or ("fp16" if "fp16" in calibration.dtypes else "fp32")
    if dtype not in calibration.dtypes and origin is DtypeOrigin.MODULE:
        able = " or ".join(sorted(calibration.dtypes))
        raise PredictorError(
            f"{calibration.gpu} is not calibrated for {dtype}, the model's own dtype: say another, --dtype {able}"
        )
    if dtype not in calibration.dtypes:
        raise calibration.unknown_dtype(dtype)
    if estimator not in ESTIMATORS:
        raise unknown("estimator", estimator, ESTIMATORS)
    if attention not in (None, *CHOICES):
        raise unknown("attention", str(attention), CHOICES)
    if calibration.lanes.serial and runtimes.load(runtime).needs_gpu:
        raise CannotRunError(f"{runtime} needs a GPU")
    costs = calibration.host(runtime, host)
    chosen = attention or attention_of(costs.environment.torch)
    correction = _correction(gpu, calibration, host, attention, estimator, tuple(measured)) if measured else None
    return Settings(calibration, costs, dtype, estimator, chosen == "eager", origin, correction, monotone)


@lru_cache(maxsize=64)
def _correction(
    gpu: str,
    calibration: Calibration,
    host: str | None,
    attention: str | None,
    estimator: str,
    measured: tuple[MeasuredLatency, ...],
) -> Correction:
    """What measured latencies say of a host and a device. calibration: of the GPU, as it is now."""
    observations, hosts_differ, devices_differ = [], HOSTS_DIFFER, 0.0
    for one in measured:
        if not (isinstance(one.latency_s, (int, float)) and 0 < one.latency_s < LONGEST_S):
            raise PredictorError(f"{one.plan.name}: a measured latency is a number of seconds, not {one.latency_s!r}")
        chosen = settings(gpu, one.runtime, one.dtype, estimator, host, attention, one.plan.dtype)
        lowered, priced = one.plan.priced(chosen, one.batch, one.length)
        own, alike = device_errors(lowered.program.groups, seconds_by_group(lowered, priced), calibration)
        hosts_differ, devices_differ = max(hosts_differ, chosen.host.hosts_differ), max(devices_differ, alike)
        observations.append(
            Observation(
                name=f"{one.plan.name}, batch {lowered.batches[0]}, {one.runtime}, {one.latency_s * 1e3:.3g} ms",
                model=id(one.plan),
                runtime=one.runtime,
                measured_s=one.latency_s,
                latency_s=partial(latency_s, priced, chosen),
                host_error=chosen.host.model_error,
                device_error=own,
            )
        )
    return correct(observations, hosts_differ, devices_differ)


def latency_s(priced: PricedProgram, chosen: Settings, host_factor: float, device_factor: float) -> float:
    """Seconds of a pass whose host and kernels take so many times as long."""
    scaled = priced.with_host_scaled(host_factor).with_kernels_scaled(device_factor)
    timelines = queues(scaled, chosen.calibration.lanes_of(chosen.host), chosen.host.fixed_s * host_factor)
    return float((timelines.latency_s if chosen.estimator == "queue" else timelines.max_s)[0])


def corrected(priced: PricedProgram, chosen: Settings) -> PricedProgram:
    """A priced program, corrected by what was measured."""
    if chosen.correction is None:
        return priced
    host_factor = chosen.correction.host_factor_of(chosen.host.runtime)
    return priced.with_host_scaled(host_factor).with_kernels_scaled(chosen.correction.device_factor)


def timelines_of(priced: PricedProgram, chosen: Settings) -> Timelines:
    """How a priced program runs on the two lanes, for prices that are corrected."""
    factor = chosen.correction.host_factor_of(chosen.host.runtime) if chosen.correction else 1.0
    return queues(priced, chosen.calibration.lanes_of(chosen.host), chosen.host.fixed_s * factor)


def queued(priced: PricedProgram, chosen: Settings) -> tuple[PricedProgram, Timelines]:
    """A priced program, corrected by what was measured, and how it runs on the two lanes."""
    priced = corrected(priced, chosen)
    return priced, timelines_of(priced, chosen)


class _Key(NamedTuple):
    """What a lowered program depends on, besides the batch size."""

    runtime: str
    mode: CaptureMode
    generation: Any
    dtype: str
    multiplied: bool
    length: int

    @classmethod
    def of(cls, runtime: str, target: Target, dtype: str, multiplied: bool, length: int) -> _Key:
        """The key of what a runtime makes for a target."""
        kind = runtimes.load(runtime)
        return cls(runtime, kind.mode_on(target), kind.generation(target), dtype, multiplied, length)


@dataclass(eq=False)
class _Programs:
    """Programs of one key: of single batch sizes, and of ranges of them."""

    single: dict[int, Lowered] = field(default_factory=dict)
    ranges: list[LoweredRange] = field(default_factory=list)
    solved_up_to: int = 1

    def keep(self, batch: int, lowered: Lowered) -> None:
        self.single[batch] = lowered
        while len(self.single) > KEPT:
            del self.single[next(iter(self.single))]

    def range_of(self, batch: int) -> LoweredRange | None:
        return next(
            (lowered_range for lowered_range in self.ranges if lowered_range.first <= batch <= lowered_range.last), None
        )


@dataclass(frozen=True, eq=False)
class Plan:
    """What a model does, to be priced for any GPU, host, runtime, dtype, batch and length. Make it with
    ``predictor.plan``; it does not change, and can be pickled and written to a file.

    graphs: what was captured; source: what gives further graphs on demand, None where there is nothing to capture: a
    plan that was pickled or read from a file knows what it was captured for.
    """

    graphs: GraphSet
    source: Source | None = None
    _captured: dict[tuple[str, CaptureMode, int, int], Graph] = field(default_factory=dict, init=False, repr=False)
    _instances: dict[tuple[str, CaptureMode, int, int], Graph] = field(default_factory=dict, init=False, repr=False)
    _programs: dict[_Key, _Programs] = field(default_factory=dict, init=False, repr=False)
    _profiles: dict[tuple[int, int], tuple[Program, HostCosts, HostProfile]] = field(
        default_factory=dict, init=False, repr=False
    )

    @property
    def name(self) -> str:
        """The model's name."""
        return self.graphs.name

    @property
    def dtype(self) -> str | None:
        """The model's own dtype, which is priced where none is asked for; None where it has none."""
        return self.source.dtype if self.source is not None else self.graphs.dtype or None

    def _own_dtype(self, asked: str | None) -> str | None:
        """The model's own dtype, which is found by a look at all weights, where none is asked for."""
        return None if asked else self.dtype

    @property
    def notes(self) -> tuple[str, ...]:
        """What a report says of the model and of how it was captured."""
        return self.graphs.notes

    @property
    def batch(self) -> int:
        """The batch size that it was captured at."""
        return self.graphs.batch

    @property
    def length(self) -> int:
        """The sequence length that it was captured at, 0 where the model has none."""
        return self.graphs.length

    def report(
        self,
        gpu: str,
        runtime: str = "eager",
        dtype: str | None = None,
        batch: int | None = None,
        length: int | None = None,
        *,
        host: str | None = None,
        attention: str | None = None,
        estimator: str = "queue",
        measured: Sequence[MeasuredLatency] = (),
        monotone: bool = False,
    ) -> Report:
        """The prediction for one GPU, runtime and size.

        gpu: name of a calibration, path to its folder, or to a datasheet (.json); runtime: see ``predictor.runtimes``;
        dtype: "fp32", "tf32", "fp16", "bf16" (None: the module's or the ONNX file's own; where it has none, as the
        zoo's models, fp16, or fp32 where fp16 is not calibrated); batch, length: those of the capture if None; host:
        see ``Calibration.host`` (None: the measured one, else a typical one); attention: "sdpa", as captured, or
        "eager", multiplied out (None: what the host's torch has); estimator: "queue" or "max"; measured: latencies of
        the user's own machine, which correct host and kernel times, for the same estimator; monotone: a kernel takes
        no less than one that is smaller, see ``kernel_seconds``. Raises PredictorError for an unknown name or a size
        that the plan has no graph for, CannotRunError where the runtime cannot run the model.
        """
        chosen = settings(gpu, runtime, dtype, estimator, host, attention, self._own_dtype(dtype), measured, monotone)
        return self._reports(chosen, [self._batch(batch)], self._length(length), estimator)[0]

    def reports(
        self,
        gpu: str,
        runtime: str = "eager",
        dtype: str | None = None,
        batches: Sequence[int] | None = None,
        lengths: Sequence[int] | None = None,
        *,
        host: str | None = None,
        attention: str | None = None,
        estimator: str = "queue",
        measured: Sequence[MeasuredLatency] = (),
    ) -> tuple[Report, ...]:
        """The predictions at many sizes: all batch sizes of the first length, then those of the next. Priced together,
        as by ``sweep``. Arguments and errors as of ``report``.
        """
        chosen = settings(gpu, runtime, dtype, estimator, host, attention, self._own_dtype(dtype), measured)
        sizes = [self.batch] if batches is None else [check_batch(batch) for batch in batches]
        tokens = [self._length(None)] if lengths is None else [self._length(length) for length in lengths]
        return tuple(report for length in tokens for report in self._reports(chosen, sizes, length, estimator))

    def breakdown(
        self,
        gpu: str,
        runtime: str = "eager",
        dtype: str | None = None,
        batch: int | None = None,
        length: int | None = None,
        *,
        by: str = "op",
        depth: int | None = None,
        top: int | None = None,
        host: str | None = None,
        attention: str | None = None,
        measured: Sequence[MeasuredLatency] = (),
    ) -> tuple[Part, ...]:
        """Where the time of a pass goes, see ``Breakdown.by``; other arguments and errors as of ``report``.

        >>> plan.breakdown("h200", by="module", depth=2, top=5)  # doctest: +SKIP
        """
        report = self.report(gpu, runtime, dtype, batch, length, host=host, attention=attention, measured=measured)
        return report.breakdown.by(by, depth, top)

    def _reports(self, chosen: Settings, batches: Sequence[int], length: int, estimator: str) -> list[Report]:
        reports: dict[int, Report] = {}
        for positions, lowered in self._lowered(chosen, batches, length):
            priced, timelines = self._priced(lowered, chosen)
            for size, position in enumerate(positions):
                report = assemble(
                    lowered,
                    priced,
                    timelines,
                    chosen.calibration,
                    chosen.host,
                    estimator,
                    size,
                    correction=chosen.correction,
                )
                reports[position] = replace(
                    report,
                    length=length,
                    generated=self.graphs.generated,
                    dtype_origin=chosen.dtype_origin,
                    notes=(*self.notes, *report.notes),
                )
        return [reports[position] for position in range(len(batches))]

    def sweep(
        self,
        gpu: str | Sequence[str],
        runtime: str | Sequence[str] = "eager",
        dtype: str | Sequence[str | None] | None = None,
        batch: int | Sequence[int] | None = None,
        length: int | Sequence[int] | None = None,
        *,
        host: str | None = None,
        attention: str | None = None,
        estimator: str = "queue",
        measured: Sequence[MeasuredLatency] = (),
        monotone: bool = False,
    ) -> Any:
        """Seconds of one synchronised pass at many sizes: an array (batches, lengths), without the dimension of what
        is one number. Several GPUs, runtimes or dtypes: a table with an axis for each argument that is a list, in their
        order; what a runtime cannot run is not a number there. Arguments and errors as of ``report``.

        More than a few batch sizes are not lowered one by one: between two at which the program is the same, and
        further ones that check it, every size is a line in the batch. A model whose code does something else at single
        batch sizes in between (at every seventh, say) is to be asked by ``report``.

        >>> plan.sweep("h200", batch=[1, 2, 4], length=[64, 128]).shape  # doctest: +SKIP
        (3, 2)
        >>> plan.sweep(["h200", "a100"], batch=[1, 2, 4]).axes  # doctest: +SKIP
        {'gpu': ('h200', 'a100'), 'batch': (1, 2, 4)}
        """
        more: dict[str, Any] = {
            **{"host": host, "attention": attention, "estimator": estimator},
            **{"measured": measured, "monotone": monotone},
        }
        if isinstance(gpu, str) and isinstance(runtime, str) and (dtype is None or isinstance(dtype, str)):
            chosen = settings(gpu, runtime, dtype, own_dtype=self._own_dtype(dtype), **more)
            seconds = self._seconds(chosen, batch, length)
            return seconds.reshape([len(_listed(given)) for given in (batch, length) if _is_many(given)])
        table = self.table(_listed(gpu), _listed(runtime), _listed(dtype), batch, length, **more)
        given = dict(zip(table.axes, (gpu, runtime, dtype, batch, length), strict=True))
        axes = {name: values for name, values in table.axes.items() if _is_many(given[name])}
        return SweepTable(table.array.reshape([len(values) for values in axes.values()]), axes)

    def table(
        self,
        gpus: Sequence[str],
        runtimes: Sequence[str],
        dtypes: Sequence[str | None] = (None,),
        batch: int | Sequence[int] | None = None,
        length: int | Sequence[int] | None = None,
        **more: Any,
    ) -> SweepTable:
        """Seconds over all five axes: gpu, runtime, dtype, batch, length. more: keyword arguments of ``sweep``. Raises
        as ``report`` does, but for what a runtime cannot run, which is not a number.
        """
        batches = [self.batch] if batch is None else _listed(batch)
        lengths = [self.length or None] if length is None else _listed(length)
        array = np.full((len(gpus), len(runtimes), len(dtypes), len(batches), len(lengths)), np.nan)
        for place in np.ndindex(array.shape[:3]):
            names = gpus[place[0]], runtimes[place[1]], dtypes[place[2]]
            try:
                chosen = settings(*names, own_dtype=self.dtype, **more)
                array[place] = self._seconds(chosen, batches, length)
            except CannotRunError:
                continue
        axes = {"gpu": gpus, "runtime": runtimes, "dtype": dtypes, "batch": batches, "length": lengths}
        return SweepTable(array, {name: tuple(values) for name, values in axes.items()})

    def _seconds(
        self, chosen: Settings, batch: int | Sequence[int] | None, length: int | Sequence[int] | None
    ) -> NDArray[np.float64]:
        """Latencies at sizes, (batches, lengths)."""
        batches = [self.batch] if batch is None else _listed(batch)
        lengths = [None] if length is None else _listed(length)
        seconds = np.empty((len(batches), len(lengths)))
        for batch_size in batches:
            check_batch(batch_size)
        for column, tokens in enumerate(lengths):
            for positions, lowered in self._lowered(chosen, batches, self._length(tokens)):
                _, timelines = self._priced(lowered, chosen)
                seconds[positions, column] = timelines.latency_s if chosen.estimator == "queue" else timelines.max_s
        return seconds

    def timeline(
        self,
        gpu: str,
        runtime: str = "eager",
        dtype: str | None = None,
        batch: int | None = None,
        length: int | None = None,
        *,
        host: str | None = None,
        attention: str | None = None,
        measured: Sequence[MeasuredLatency] = (),
    ) -> tuple[Span, ...]:
        """The pass as it is predicted to run, as spans on two lanes, seconds from its start: for every call one on the
        host, followed by those of its kernels. Arguments and errors as of ``report``.
        """
        chosen = settings(gpu, runtime, dtype, "queue", host, attention, self._own_dtype(dtype), measured)
        lowered = self.program(chosen, batch, length)
        _, timelines = self._priced(lowered, chosen)
        return spans(lowered.program.program.calls, timelines)

    def compare(
        self,
        gpu: str,
        dtype: str | None = None,
        batch: int | None = None,
        length: int | None = None,
        *,
        host: str | None = None,
        attention: str | None = None,
        estimator: str = "queue",
        measured: Sequence[MeasuredLatency] = (),
        tell: Callable[[str, int, int], None] = lambda runtime, number, of: None,
        monotone: bool = False,
    ) -> tuple[Compared, ...]:
        """The model under every runtime that the GPU is calibrated for; those that cannot run it with the reason.
        Arguments and errors as of ``report``; tell: is called before each runtime, with its number, of how many.
        """
        calibration = load_calibration(gpu)
        if not calibration.runtimes:
            raise PredictorError(
                f"{calibration.gpu} is not calibrated for any runtime, kernels alone are: run calibrate"
            )
        more: dict[str, Any] = {
            **{"host": host, "attention": attention, "estimator": estimator},
            **{"measured": measured, "monotone": monotone},
        }
        rows = []
        for number, runtime in enumerate(calibration.runtimes):
            tell(runtime, number, len(calibration.runtimes))
            try:
                rows.append(Compared(runtime, self.report(gpu, runtime, dtype, batch, length, **more)))
            except (CannotRunError, MissingLibraryError) as error:
                rows.append(Compared(runtime, None, str(error)))
        return tuple(rows)

    def graph(self, dtype: str, runtime: str, batch: int | None = None, length: int | None = None) -> Graph:
        """The graph that a runtime makes of the model at a size, captured if need be. Raises as ``report`` does."""
        mode = runtimes.load(runtime).capture_mode
        return self._graph(dtype, runtime, mode, self._batch(batch), self._length(length))

    def _graph(self, dtype: str, runtime: str, mode: CaptureMode, batch: int, length: int) -> Graph:
        key = dtype, mode, batch, length
        if key not in self._captured:
            if key in self._instances:
                return self._instances[key]
            known = self.graphs.find(dtype, mode, batch, length)
            if known is not None:
                while len(self._instances) >= INSTANCES:
                    del self._instances[next(iter(self._instances))]
                self._instances[key] = known
                return known
            if self.source is None:
                raise PredictorError(self._missing(dtype, mode, batch, length))
            self._captured[key] = self.source.graph(dtype, runtime, mode, batch, length)
        return self._captured[key]

    def _missing(self, dtype: str, mode: CaptureMode, batch: int, length: int) -> str:
        if not self.graphs.has(dtype, mode):
            return (
                f"the plan of {self.name} was not captured for what {mode} code does in {dtype}: "
                "say predictor.plan(..., runtimes=[...]) before it is pickled or written"
            )
        tokens = f", length {length}" if length else ""
        return f"the plan of {self.name} has no graph for batch {batch}{tokens}: capture it at that size"

    def lowered(
        self, runtime: str, target: Target, dtype: str, batch: int | None = None, length: int | None = None
    ) -> Lowered:
        """What a runtime runs on a target at a size, priced by nothing yet. Attention is multiplied out where the
        target's torch has no fused one. However many sizes are asked for, each is lowered by itself. Raises as
        ``report`` does.
        """
        key = _Key.of(runtime, target, dtype, attention_of(target.torch) == "eager", self._length(length))
        return self._single(self._programs.setdefault(key, _Programs()), key, target, self._batch(batch))

    def priced(
        self, chosen: Settings, batch: int | None = None, length: int | None = None
    ) -> tuple[Lowered, PricedProgram]:
        """What a runtime runs at a size, and its prices. Raises as ``report`` does."""
        lowered = self.program(chosen, batch, length)
        return lowered, self._priced(lowered, chosen)[0]

    def program(self, chosen: Settings, batch: int | None = None, length: int | None = None) -> Lowered:
        """What a runtime runs at a size, for checked settings. Raises as ``report`` does, but for what a runtime cannot
        run as a whole, which the program says.
        """
        return self._lowered(chosen, [self._batch(batch)], self._length(length))[0][1]

    def timed(
        self, chosen: Settings, batches: Sequence[int], length: int | None = None
    ) -> Iterator[tuple[list[int], PricedProgram, Timelines]]:
        """(Positions among the batch sizes, prices, timelines at these), until all are told. Raises as ``report``."""
        for positions, lowered in self._lowered(chosen, batches, self._length(length)):
            yield positions, *self._priced(lowered, chosen)

    def graph_in(self, dtype: str, runtime: str, mode: CaptureMode, batch: int, length: int) -> Graph:
        """The graph in one of a runtime's modes, captured if need be. Raises as ``report``."""
        return self._graph(dtype, runtime, mode, batch, length)

    @property
    def is_captured(self) -> bool:
        """Whether anything was captured on demand, beyond the templates."""
        return bool(self._captured)

    def with_graphs(self, graphs: GraphSet) -> Plan:
        """The plan with other templates; what was captured on demand is shared."""
        plan = replace(self, graphs=graphs)
        plan._captured.update(self._captured)
        return plan

    def crossover(
        self,
        gpu: str,
        runtime: str = "eager",
        dtype: str | None = None,
        length: int | None = None,
        *,
        limit: int = 1024,
        **options: Any,
    ) -> int | None:
        """The least batch size from which a pass is bound by the device, None beyond a limit. options: ``host``,
        ``attention`` and ``measured``, as of ``report``, which raises the same.

        >>> plan.crossover("a100")  # doctest: +SKIP
        9
        """
        from predictor import advice

        return advice.crossover_batch(advice.question(self, gpu, runtime, dtype, None, length, **options), limit)

    def headroom(
        self,
        gpu: str,
        runtime: str = "eager",
        dtype: str | None = None,
        batch: int | None = None,
        length: int | None = None,
        **options: Any,
    ) -> tuple[Headroom, ...]:
        """How far batch, length, width and depth grow before the latency does by 5 %; those of them that the model
        has. Arguments and errors as of ``report``. Width and depth: of the model built anew where its source can do
        that, else estimated from what repeats in the graph.
        """
        from predictor import advice

        return advice.headroom(advice.question(self, gpu, runtime, dtype, batch, length, **options))

    def advise(
        self,
        gpu: str,
        runtime: str = "eager",
        dtype: str | None = None,
        batch: int | None = None,
        length: int | None = None,
        **options: Any,
    ) -> Advice:
        """What bounds the model, from which batch it does not, what may grow for free, what to change and what that
        gains, which runtime. Arguments and errors as of ``report``.

        >>> print(plan.advise("a100"))  # doctest: +SKIP
        """
        from predictor import advice

        return advice.advise(advice.question(self, gpu, runtime, dtype, batch, length, **options))

    def to_dict(self) -> dict[str, Any]:
        """What the plan knows, as plain values: the model, its sizes, and what was captured of it, by dtype and the
        branch that its code takes; a last size of 0 is any.
        """
        captured = [
            {"dtype": dtype, "mode": str(mode), "batches": [batch, batch], "lengths": [length, length]}
            for dtype, mode, batch, length in self._captured
        ]
        stored = [
            {
                "dtype": template.dtype,
                "mode": str(template.mode),
                "batches": [template.range.first_batch, template.range.last_batch],
                "lengths": [template.range.first_length, template.range.last_length],
            }
            for template in self.graphs.templates
        ]
        facts = {"model": self.name, "dtype": self.dtype, "batch": self.batch, "length": self.length}
        return {**facts, "notes": list(self.notes), "captured": stored + captured}

    def to_json(self) -> str:
        """The same as JSON; ``save`` writes the graphs, too."""
        return json.dumps(self.to_dict(), indent=1)

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` of what was captured."""
        import pandas as pd

        return pd.DataFrame(self.to_dict()["captured"])

    def __str__(self) -> str:
        tokens = f", length {self.length}" if self.length else ""
        modes = ", ".join(dict.fromkeys(f"{row['mode']} in {row['dtype']}" for row in self.to_dict()["captured"]))
        return (
            f"{self.name}: batch {self.batch}{tokens}, {self.dtype or 'any dtype'}; captured: {modes or 'nothing yet'}"
        )

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>{escape(str(self))}</p>"

    def save(self, path: Path | str) -> None:
        """Write the plan to a file, with all that was captured so far; ``predictor.load_plan`` reads it."""
        files.write(Path(path), self._complete())

    def __reduce__(self) -> tuple[Callable[[bytes], Plan], tuple[bytes]]:
        return _from_bytes, (self._complete().to_bytes(),)

    def _complete(self) -> GraphSet:
        """The graphs, with those that were captured on demand."""
        graphs = replace(self.graphs, dtype=self.dtype or "")
        for (dtype, mode, batch, length), graph in self._captured.items():
            graphs = graphs.extended(dtype, mode, {(batch, length): graph}, SizeRange(batch, batch, length, length))
        return graphs

    def _batch(self, batch: int | None) -> int:
        return self.batch if batch is None else check_batch(batch)

    def _length(self, length: int | None) -> int:
        if length is not None and not self.length:
            raise PredictorError(f"{self.name} takes no tokens: its inputs have one size")
        return self.length if length is None else check_length(length)

    def price(self, sized: SizedProgram, chosen: Settings) -> PricedProgram:
        """Prices of a program, the model's or one made from it. Raises CannotRunError where it cannot run."""
        program = sized.program
        if program.unsupported_reason and not chosen.calibration.lanes.serial:
            raise CannotRunError(program.unsupported_reason)
        key = id(program), id(chosen.host)
        if key not in self._profiles:
            if len(self._profiles) >= PROFILES:
                self._profiles.clear()
            self._profiles[key] = program, chosen.host, host_profile(program, chosen.host)
        priced = price(sized, chosen.calibration, chosen.host, self._profiles[key][2], chosen.monotone)
        return corrected(priced, chosen)

    def _priced(self, lowered: Lowered, chosen: Settings) -> tuple[PricedProgram, Timelines]:
        priced = self.price(lowered.program, chosen)
        return priced, timelines_of(priced, chosen)

    def _lowered(self, chosen: Settings, batches: Sequence[int], length: int) -> list[tuple[list[int], Lowered]]:
        """(Positions, the program at their batch sizes) of all batch sizes."""
        return self._programs_of(chosen.host.runtime, chosen.target, chosen.dtype, chosen.multiplied, batches, length)

    def _programs_of(
        self, name: str, target: Target, dtype: str, multiplied: bool, batches: Sequence[int], length: int
    ) -> list[tuple[list[int], Lowered]]:
        key = _Key.of(name, target, dtype, multiplied, length)
        known = self._programs.setdefault(key, _Programs())
        asked = set(batches) - {1}
        if len(asked - set(known.single)) + len(known.single) > FEW:
            self._solve_up_to(known, key, target, max(asked, default=1))
        ranges: dict[int, tuple[LoweredRange, list[int]]] = {}
        programs: list[tuple[list[int], Lowered]] = []
        for position, batch in enumerate(batches):
            whole = known.range_of(batch)
            if whole is None:
                programs.append(([position], self._single(known, key, target, batch)))
            else:
                ranges.setdefault(id(whole), (whole, []))[1].append(position)
        return programs + [
            (positions, lowered_range.at([batches[p] for p in positions]))
            for lowered_range, positions in ranges.values()
        ]

    def _single(self, known: _Programs, key: _Key, target: Target, batch: int) -> Lowered:
        if batch not in known.single:
            with without_collection():
                graph = self._graph(key.dtype, key.runtime, key.mode, batch, key.length)
                known.keep(batch, lower(graph, key.runtime, target, key.multiplied))
        return known.single[batch]

    def _solve_up_to(self, known: _Programs, key: _Key, target: Target, largest: int) -> None:
        """Lower the model for all batch sizes from 2 to ``largest`` at once, as far as it is one program. A model that
        does not take the sizes that this is tried at is lowered for each size that is asked for.
        """
        if largest <= known.solved_up_to:
            return
        last = LEAST
        while last < largest:
            last *= 2
        known.ranges.clear()
        known.solved_up_to = last
        waiting = [(2, last)]
        while waiting:
            low, high = waiting.pop()
            middle = isqrt(low * high)
            sizes = sorted({low, low + 1, middle, high - 1, high})
            try:
                lowered_range = solve([self._single(known, key, target, batch) for batch in sizes])
            except PredictorError:
                continue
            if lowered_range is not None:
                known.ranges.append(lowered_range)
            elif high - low > NARROW:
                waiting += [(low, middle), (middle, high)]


def _from_bytes(content: bytes) -> Plan:
    return Plan(GraphSet.from_bytes(content, "the plan"))


def load_plan(path: Path | str) -> Plan:
    """A plan that ``Plan.save`` wrote. Raises PredictorError where the file is none."""
    return Plan(files.read(Path(path)))


def _is_many(given: Any) -> bool:
    return given is not None and not isinstance(given, (int, str))


def _listed(given: Any) -> list[Any]:
    return list(given) if _is_many(given) else [given]


def check_batch(batch: int) -> int:
    """A batch size that can be: raises PredictorError below 1 and beyond ``MOST``."""
    return _counted("batch", batch)


def check_length(length: int) -> int:
    """A sequence length that can be: raises PredictorError below 1 and beyond ``MOST``."""
    return _counted("length", length)


def _counted(what: str, number: int) -> int:
    if not 1 <= number <= MOST:
        raise PredictorError(f"{what} must be 1 or more, not {number}" if number < 1 else f"{what} is {MOST} at most")
    return number
