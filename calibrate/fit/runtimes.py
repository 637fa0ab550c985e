"""What runtimes other than eager charge: generated modules are run under each, and what they took is told apart into
the host's calls, the device's gaps, and the kernels that the runtime alone makes.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from calibrate.fit.alignment import align
from calibrate.fit.errors import error_of
from calibrate.fit.host import HOST_BOUND
from calibrate.fit.kernels import fit_family
from calibrate.fit.robust import non_negative
from calibrate.samples.kernels import MeasuredKernel
from calibrate.samples.programs import restored
from calibrate.samples.records import CaseProfile, CaseRound, ProgramRecord
from calibrate.samples.rounds import Round, summarise
from calibrate.samples.store import SampleFile
from calibrate.workloads.cases import Case
from calibrate.workloads.generated import source_of
from predictor import runtimes
from predictor.calibration.host_costs import HostCosts
from predictor.calibration.load import Calibration
from predictor.calibration.schema import CallCost, CallTime, Device, Fit, HostDtype, HostError, RuntimeCosts
from predictor.errors import PredictorError
from predictor.kernels.families import FAMILIES, MeasuredIn
from predictor.pricing.kernels import roofline_s
from predictor.pricing.program import UNCALLED, host_profile, price
from predictor.records import NEXT_GRAPH, CaptureMode, PricedCall, PricedKernel, Program, Trait, Variant
from predictor.runtimes.eager.lowering import NAME as REFERENCE
from predictor.runtimes.runtime import HostTerms

Array = NDArray[np.float64]

TOO_FAST = {"ort": 0.2}
"""Share of its roofline's time below which a kernel is another one, taken for this: half, as a compiler may reorder
loops, and less where what is read may be in cache.
"""

LEAST = 0.1
"""Share of a latency that is the host's at the least, on a CPU, where kernels are in the same lane."""


INTERPRETED = CaptureMode.EXPORTED
"""An exported graph runs node by node in its own order; a compiler reorders what does not depend on each other."""


def terms_of(runtime: str) -> HostTerms:
    """What a runtime's host time is fitted as. Raises KeyError for the one whose calls are timed one by one."""
    terms = runtimes.load(runtime).host_terms
    if terms is None:
        raise KeyError(runtime)
    return terms


def fitted() -> list[str]:
    """Runtimes whose host time is fitted from modules, each after those that its fit needs: the one that it is based
    on, and for those that replay graphs one that shows the gap of their nodes.
    """
    terms = {
        name: host_terms
        for name in runtimes.names()
        if (host_terms := runtimes.load(name).host_terms) is not None and not host_terms.same
    }
    showing = [name for name in terms if _shows_gap(terms[name])]
    needs = {
        name: [
            n
            for n in (host_terms.base, *(showing if host_terms.uses_graphs and name not in showing else ()))
            if n in terms
        ]
        for name, host_terms in terms.items()
    }
    return list(TopologicalSorter(needs).static_order())


def with_same(costs: Mapping[str, RuntimeCosts]) -> dict[str, RuntimeCosts]:
    """Costs of runtimes, and of those whose host time is the same as that of one of them."""
    found = dict(costs)
    for name in runtimes.names():
        terms = runtimes.load(name).host_terms
        if terms is not None and terms.same and terms.base in costs:
            found[name] = _as_base(name, costs[terms.base])
    return found


def _as_base(runtime: str, base: RuntimeCosts) -> RuntimeCosts:
    """The file of a runtime that shares all costs of another."""
    changed: dict[str, Any] = {"runtime": runtime, "base": base.runtime, "provenance": "derived"}
    return msgspec.structs.replace(base, **changed, calls=[], typical={}, library_calls=[])


def _shows_gap(terms: HostTerms) -> bool:
    """Whether graphs are of the operators that are timed one by one: they show the gap between a graph's nodes."""
    return terms.uses_graphs and bool(terms.base) and runtimes.load(terms.base).host_terms is None


def with_bases(wanted: Collection[str]) -> list[str]:
    """Some runtimes and all that they are based on, in the order of their fits."""
    order = fitted()
    needed = set(wanted)
    for name in reversed(order):  # a base comes before what is based on it
        if name in needed:
            needed.add(terms_of(name).base)
    return [name for name in order if name in needed]


@dataclass(frozen=True, slots=True)
class Module:
    """A module as it ran: its program with predicted prices, its latency as measured and on the reference host, its
    kernels.
    """

    model: str
    program: Program
    priced: tuple[PricedCall, ...]
    measured_s: float
    latency_s: float
    names: tuple[str, ...]
    kernels_s: tuple[float, ...]

    def times_of(self, op: str) -> int:
        """How often a pass makes a call."""
        return sum(call.times for call in self.program.calls if call.op == op)


def modules(file: SampleFile, runtime: str, calibration: Calibration, host: HostCosts) -> list[Module]:
    """Modules that ran under a runtime. host: whose operators price them."""
    rounds: dict[Case, list[Round]] = defaultdict(list)
    for taken in file.of(CaseRound):
        rounds[taken.case].append(taken.round)
    ran_modules = []
    for profile in file.of(CaseProfile):
        recorded = file.find(ProgramRecord, profile.case)
        if profile.case.runtime != runtime or recorded is None or recorded.program is None:
            continue
        program = restored(recorded.program)
        measured = summarise(rounds[profile.case], host.probe_s)
        seconds = measured.seconds, measured.seconds * host.probe_s / measured.probe_s
        names = tuple(profile.names[index] for index, _ in profile.order)
        kernels_s = tuple(ns * 1e-9 for _, ns in profile.order)
        priced = price(program, calibration, host).calls
        ran_modules.append(Module(profile.case.model, program, priced, *seconds, names, kernels_s))
    return ran_modules


def made_kernels(ran: Sequence[Module], calibration: Calibration) -> list[MeasuredKernel]:
    """Samples of the kernels that only a runtime makes, from profiles aligned with what was predicted. A compiler
    reorders loops that do not depend on each other, so of such modules those of an interpreter alone say something.
    """
    samples = []
    for module in ran:
        in_order = runtimes.load(module.program.runtime).capture_mode is INTERPRETED
        if not (in_order or _keeps_order(module)):
            continue
        pairs = _pairs(module)
        families = [k.family for k, _ in pairs]
        if not set(families) & MADE:
            continue
        launches, seconds = [p.launches for _, p in pairs], [p.seconds for _, p in pairs]
        for (kernel, _), (first, end) in zip(
            pairs, align(families, launches, seconds, module.names, module.kernels_s), strict=True
        ):
            if kernel.family in MADE and end == first + 1 and _is_of(kernel.family, module.names[first]):
                dims, seconds_ = dict(kernel.dims), max(module.kernels_s[first], 1e-7)
                family = FAMILIES[kernel.family]
                compute, memory = roofline_s(calibration, family, kernel.dtype, family.complete(dims))
                if seconds_ > TOO_FAST.get(kernel.family, 0.5) * max(float(compute), float(memory)):
                    samples.append(MeasuredKernel(kernel.family, kernel.dtype, dims, seconds_))
    return samples


MADE = frozenset(name for name, family in FAMILIES.items() if family.measured_in is MeasuredIn.PROFILES)
"""Kernels that only a runtime makes: seen in profiles of modules, and alone."""


def _is_of(family: str, name: str) -> bool:
    return bool(re.search(FAMILIES[family].profiler_names, name))


def _pairs(module: Module) -> list[tuple[Any, PricedKernel]]:
    both = zip(module.program.calls, module.priced, strict=True)
    return [pair for call, priced_call in both for pair in zip(call.kernels, priced_call.kernels, strict=True)]


def fit_made(samples: Sequence[MeasuredKernel], device: Device) -> list[Fit]:
    """Fits of the kernels that runtimes make."""
    groups: dict[str, list[MeasuredKernel]] = defaultdict(list)
    for sample in samples:
        groups[sample.family].append(sample)
    return [fit_family(group, family, device) for family, group in sorted(groups.items())]


NODES_OF_PASS = 4.0
"""Nodes that a pass of a session costs as much as, beside its own nodes: where no small module was measured, about so
much. Measured: two layers of an MLP under ONNX Runtime on an H200's host, 50 to 54 us, 20 of them in no node.
"""


ALIKE = (("gemm", "product", "conv"), ("view", "other"), ("launch", "fixed"))
"""Coefficients of one size, of a runtime with operators of its own: calls of a library, nodes that call none, and a
launch, of which a pass costs ``NODES_OF_PASS``. What a library does before it launches is several times a node's own.
"""

ALIKE_OF_BASE = (("factor", "cold factor"),)
"""The same of a runtime that calls the operators of another: what they cost in tight loops, and what being cold adds,
which is less where no Python runs between them.
"""


def fit_runtime(runtime: str, ran: Sequence[Module], calibration: Calibration, base_costs: HostCosts) -> RuntimeCosts:
    """A runtime's file: coefficients, rows, gap, and the error on modules left out one at a time. base_costs: of
    the runtime that it is based on, of eager for one that is based on none.
    """
    terms = terms_of(runtime)
    ran = [module for module in ran if _shows_host(module)]
    if terms.uses_graphs:
        return _fit_graphs(
            runtime, ran, calibration, base_costs, None if _shows_gap(terms) else _known_gap_s(calibration)
        )
    lanes = calibration.lanes
    rows, latencies, known = [], [], []
    for module in ran:
        work, counts = _host_terms(terms, module, base_costs)
        kernels = [k for call in module.priced for k in call.kernels]
        after = _busy(module) if lanes.serial else kernels[-1].seconds + lanes.sync_s + lanes.launch_latency_s
        of_host = lanes.serial or sum(module.kernels_s) <= HOST_BOUND * module.latency_s
        if of_host:
            calls = (work.hot_s, work.cold_s) if terms.base else (float(not lanes.serial) * len(module.names),)
            passes = 1.0 if terms.base else NODES_OF_PASS
            rows.append([*calls, *(counts[name] for name in _columns(terms)), passes * (1 + counts[NEXT_GRAPH])])
            latencies.append(max(module.latency_s - after, LEAST * module.latency_s))
            known.append(work.known_s)
    if not rows:
        raise PredictorError(f"no module says what {runtime} charges the host: run calibrate again")
    names = (*(("factor", "cold factor") if terms.base else ("launch",)), *_columns(terms), "fixed")
    alike = [[names.index(name) for name in group] for group in (ALIKE_OF_BASE if terms.base else ALIKE)]
    coefficients, error = _solve(np.array(rows), np.array(latencies), alike, np.array(known))
    found = dict(zip(names, map(float, coefficients), strict=True))
    found["fixed"] *= 1.0 if terms.base else NODES_OF_PASS
    return _as_rows(runtime, found, error, base_costs, calibration)


def _busy(module: Module) -> float:
    return sum(k.seconds for call in module.priced for k in call.kernels)


def _columns(terms: HostTerms) -> tuple[str, ...]:
    return (*terms.rows, "call") if terms.base else terms.rows


class BaseWork(NamedTuple):
    """Seconds of a pass on the host of the runtime that another is based on. hot_s: of its operators in tight loops;
    cold_s: what being cold adds; known_s: of what is left to it as it is.
    """

    hot_s: float
    cold_s: float
    known_s: float


def _host_terms(terms: HostTerms, module: Module, base_costs: HostCosts) -> tuple[BaseWork, Counter[str]]:
    """What the base's operators cost, and how many calls there are of each row, and of all that ``price`` charges
    ``call_s`` for: a row's own cost is what it takes beyond that.
    """
    hot_s = cold_s = known_s = 0.0
    counts = Counter[str]()
    of_cold = host_profile(module.program, base_costs).cold_s
    for call, price_, cold in zip(module.program.calls, module.priced, of_cold.tolist(), strict=True):
        if call.op == NEXT_GRAPH and call.trait is Trait.GUARD:
            counts[NEXT_GRAPH] += 1
            continue
        if call.uncompiled:
            known_s += price_.host_s
            continue
        counts["call"] += bool(terms.base) and call.trait not in UNCALLED
        if call.op in terms.rows:
            counts[call.op] += call.times
        elif terms.base:
            hot_s += price_.host_s - cold
            cold_s += cold
        else:
            counts[call.trait if call.trait in terms.rows else "other"] += 1
    return BaseWork(hot_s, cold_s, known_s), counts


def _solve(x: Array, y: Array, alike: Sequence[Sequence[int]], known: Array | float = 0.0) -> tuple[Array, HostError]:
    """Non-negative coefficients of ``y = x @ coefficients + known`` of least mean absolute relative error, and the
    error on rows left out one at a time. alike: groups of columns whose coefficients are of one size.
    """
    known = np.broadcast_to(known, y.shape)
    ratios = []
    for left_out in range(len(y)):
        others = np.arange(len(y)) != left_out
        coefficients = non_negative(x[others], (y - known)[others], y[others], alike)
        ratios.append(float(np.log(max(x[left_out] @ coefficients + known[left_out], 1e-9) / y[left_out])))
    return non_negative(x, y - known, y, alike), error_of(ratios)


def _as_rows(
    runtime: str, coefficients: Mapping[str, float], error: HostError, base_costs: HostCosts, calibration: Calibration
) -> RuntimeCosts:
    """The fit as a runtime's file has it."""
    terms = terms_of(runtime)
    if terms.base:
        base_factors = base_costs.op_factor, base_costs.cold_factor  # the operators' own costs had these
        of_calls = coefficients["factor"], coefficients["cold factor"]
        factor, cold_factor = (max(own * of_base, 1e-3) for own, of_base in zip(of_calls, base_factors, strict=True))
        rows = _rows({name: coefficients[name] / factor for name in terms.rows})
        return _file(
            runtime,
            calibration,
            op_factor=factor,
            cold_factor=cold_factor,
            call_s=coefficients["call"],
            fixed_s=coefficients["fixed"],
            launch_s=base_costs.launch_s,
            calls=rows,
            error=error,
        )
    launch_s, launches = coefficients["launch"], float(not calibration.lanes.serial)
    typical = {name: coefficients[name] for name in ("view", "gemm", "product", "conv")}
    others = ("pointwise", "reduction", "copy", "pool", "fill", "host", "composite", "unmodelled", "sync")
    typical |= dict.fromkeys(others, coefficients["other"])
    return _file(
        runtime,
        calibration,
        op_factor=1.0,
        fixed_s=coefficients["fixed"],
        launch_s=launch_s or base_costs.launch_s,
        calls=[],
        typical={
            trait: CallTime(hot_s=s, cold_s=s)
            if trait in LAUNCHLESS
            else CallTime(hot_s=s + launch_s, cold_s=s + launch_s, launches=launches)
            for trait, s in typical.items()
        },
        error=error,
    )


LAUNCHLESS = frozenset({"view", "host"})
"""Traits of nodes that launch nothing."""


def _file(
    runtime: str,
    calibration: Calibration,
    *,
    op_factor: float,
    fixed_s: float,
    launch_s: float,
    calls: list[CallCost],
    error: HostError,
    cold_factor: float | None = None,
    call_s: float = 0.0,
    gap_s: float | None = None,
    typical: Mapping[str, CallTime] | None = None,
) -> RuntimeCosts:
    """A runtime's file, without what its fit has nothing to say of. It was measured where eager was."""
    return RuntimeCosts(
        gpu=calibration.gpu,
        provenance="measured",
        runtime=runtime,
        base=terms_of(runtime).base or None,
        environment=calibration.own_host(REFERENCE).environment,
        op_factor=op_factor,
        cold_factor=cold_factor,
        line_s=0.0,
        module_s=0.0,
        call_s=call_s,
        fixed_s=fixed_s,
        launch_s=launch_s,
        gap_s=gap_s,
        calls=calls,
        typical=dict(typical or {}),
        library_calls=[],
        error=error,
    )


def _rows(seconds: Mapping[str, float], launches: float = 0.0) -> list[CallCost]:
    """Rows of operators that cost the same hot and cold, in every dtype."""
    return [
        CallCost(op=op, variant=Variant.USUAL, dtype=dtype, hot_s=s, cold_s=s, launches=launches, library_s=None)
        for op, s in seconds.items()
        for dtype in HOST_DTYPES
    ]


HOST_DTYPES: tuple[HostDtype, ...] = ("fp32", "fp16")
"""In which host costs are told apart."""


def _fit_graphs(
    runtime: str, ran: Sequence[Module], calibration: Calibration, base_costs: HostCosts, known_s: float | None
) -> RuntimeCosts:
    """Latency beyond the kernels' own time: what a graph takes to start and a pass to end, the gap of a node (known_s,
    where it is known), and what is checked before.
    """
    names = [name for name in terms_of(runtime).rows if name != Trait.REPLAY]
    x = np.array(
        [[len(m.names), *(m.times_of(name) for name in names), 1 + m.times_of(NEXT_GRAPH)] for m in ran], float
    )
    y = np.array([module.measured_s for module in ran])  # the host has little part in it
    beyond = y - np.array([sum(module.kernels_s) for module in ran])
    free = x if known_s is None else x[:, 1:]
    coefficients = non_negative(free, np.maximum(beyond - (known_s or 0.0) * x[:, 0], 0.0), y)
    gap_s, *checks_s, fixed_s = map(float, coefficients if known_s is None else (known_s, *coefficients))
    lanes = calibration.lanes
    launches = np.array([sum(k.launches for c in module.priced for k in c.kernels) for module in ran])
    ratios = np.log(
        (np.array([_busy(module) for module in ran]) + gap_s * launches + x[:, 1:] @ [*checks_s, fixed_s]) / y
    )
    fixed_s = max(fixed_s - lanes.sync_s - lanes.launch_latency_s, 0.0)
    checks = {name: seconds / base_costs.op_factor for name, seconds in zip(names, checks_s, strict=True)}
    rows = _rows({**checks, Trait.REPLAY: 0.0})
    return _file(
        runtime,
        calibration,
        op_factor=base_costs.op_factor,
        cold_factor=base_costs.cold_factor,
        fixed_s=fixed_s,
        launch_s=base_costs.launch_s,
        gap_s=gap_s,
        calls=rows,
        error=error_of(ratios),
    )


def _known_gap_s(calibration: Calibration) -> float | None:
    """Gap of a CUDA graph's nodes, where the replay of an eager module has shown it: it is the device's, whoever
    captured the graph.
    """
    showing = [name for name in fitted() if name in calibration.runtimes and _shows_gap(terms_of(name))]
    return calibration.own_host(showing[0]).gap_s if showing else None


def _keeps_order(module: Module) -> bool:
    """Whether a compiler keeps the order of its kernels, so that its profile can be aligned; of no model of users."""
    generated = source_of(module.model)
    return generated is not None and generated[0].ordered


def _shows_host(module: Module) -> bool:
    """Whether what it takes says something of the host."""
    generated = source_of(module.model)
    return generated is None or generated[0].shows_host
