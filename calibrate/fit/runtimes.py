"""What runtimes other than eager charge: generated modules are run under each, and what they took is told apart into
the host's calls, the device's gaps, and the kernels that the runtime alone makes.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from calibrate.fit.kernels import error_of, fit_family
from calibrate.measure.models import Case, Protocol, measure
from calibrate.measure.timers import Round, summarise
from calibrate.samples.alignment import align
from calibrate.samples.programs import program_from_json
from calibrate.samples.store import SampleFile
from predictor import runtimes
from predictor.calibration.host_costs import HostCosts
from predictor.calibration.load import Calibration
from predictor.errors import PredictorError
from predictor.kernels.families import FAMILIES, MeasuredIn, fit_name
from predictor.pricing.kernels import roofline_s
from predictor.pricing.program import UNCALLED, price
from predictor.records import PricedCall, PricedKernel, Program

Array = NDArray[np.float64]

HOST_BOUND = 0.6
"""Kernel time over latency, up to which a module says something of the host."""


TOO_FAST = {"ort": 0.2}
"""Share of its roofline's time below which a kernel is another one, taken for this: half, as a compiler may reorder
loops, and less where what is read may be in cache.
"""

LEAST = 0.1
"""Share of a latency that is the host's at the least, on a CPU, where kernels are in the same lane."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a runtime's host time is made of. like: the runtime whose operators it calls, for a factor of their cost;
    calls: rows with a cost of their own; graphs: kernels are nodes of CUDA graphs, with gaps of their own; breaks: a
    call that looks at data ends what was compiled, and what follows costs what a pass costs once more.
    """

    like: str = ""
    calls: tuple[str, ...] = ()
    graphs: bool = False
    breaks: bool = False


TERMS = {
    "torchscript": Terms(like="eager", calls=("fused",)),
    "compile": Terms(like="eager", calls=("triton", "weight"), breaks=True),
    "onnx": Terms(calls=("view", "gemm", "product", "conv", "other")),
    "cudagraph": Terms(like="eager", calls=("replay",), graphs=True),
    "onnx-cudagraph": Terms(like="onnx", calls=("replay",), graphs=True),
    "compile-cudagraph": Terms(like="compile", calls=("weight", "replay"), graphs=True, breaks=True),
}
"""Runtime -> terms."""


def cases(count: Mapping[str, int], runtime: str, device: str) -> list[Case]:
    """Modules to run: of three one in fp32, one in fp16, and one in fp16 with a batch of 16. On a CPU, which has little
    use for half precision, all are as the first.
    """
    kinds = [(1, "fp32"), (1, "fp16"), (16, "fp16")] if device == "cuda" else [(1, "fp32")]
    return [
        Case(f"{source}/{seed}", *kinds[seed % len(kinds)], runtime) for source, n in count.items() for seed in range(n)
    ]


def wanted(count: Mapping[str, Mapping[str, int]], device: str) -> list[Case]:
    """Modules to run. count: runtime -> source -> how many."""
    return [case for runtime, own in count.items() for case in cases(own, runtime, device)]


def run(
    wanted: Sequence[Case],
    file: SampleFile,
    device: str,
    advance: Callable[[int], None],
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Measure modules under each runtime, what the file does not have yet. meanwhile: see ``measure``."""
    measure(wanted, file, device, Protocol(rounds=3, passes=10, profiles=2), advance, meanwhile)


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


def modules(file: SampleFile, runtime: str, calibration: Calibration, host: HostCosts) -> list[Module]:
    """Modules that ran under a runtime. host: whose operators price them."""
    rounds: dict[str, list[Round]] = defaultdict(list)
    for sample in file.values():
        if sample["key"].startswith("round/"):
            rounds[sample["case"]].append(Round(sample["seconds"], *sample["probe_s"]))
    found = []
    for sample in file.values():
        key = sample["key"].removeprefix("case/")
        recorded = file.samples.get(f"program/{key}", {})
        if not sample["key"].startswith("case/") or sample["runtime"] != runtime or "program" not in recorded:
            continue
        program = program_from_json(recorded["program"])
        measured = summarise(rounds[key], host.probe_s)
        seconds = measured.seconds, measured.seconds * host.probe_s / measured.probe_s
        order = sample.get("kernel_order", ())
        names = tuple(sample["kernel_names"][i] for i, _ in order)
        kernels_s = tuple(ns * 1e-9 for _, ns in order)
        found.append(
            Module(sample["model"], program, price(program, calibration, host).calls, *seconds, names, kernels_s)
        )
    return found


def made_kernels(ran: Sequence[Module], calibration: Calibration) -> list[dict[str, Any]]:
    """Samples of the kernels that only a runtime makes, from profiles aligned with what was predicted. A compiler
    reorders loops that do not depend on each other, so of such modules those of an interpreter alone say something.
    """
    samples = []
    for one in ran:
        if one.model.split("/")[0] == "loops" and one.program.runtime != "onnx":
            continue
        pairs = _pairs(one)
        families = [k.family for k, _ in pairs]
        if not set(families) & MADE:
            continue
        launches, seconds = [p.launches for _, p in pairs], [p.seconds for _, p in pairs]
        for (kernel, _), (first, end) in zip(
            pairs, align(families, launches, seconds, one.names, one.kernels_s), strict=True
        ):
            if kernel.family in MADE and end == first + 1 and _is_of(kernel.family, one.names[first]):
                dims, seconds_ = dict(kernel.dims), max(one.kernels_s[first], 1e-7)
                row = {"family": kernel.family, "dtype": kernel.dtype, "dims": dims, "launches": 1}
                compute, memory = roofline_s(calibration, FAMILIES[kernel.family], kernel.dtype, dims)
                if seconds_ > TOO_FAST.get(kernel.family, 0.5) * max(float(compute), float(memory)):
                    samples.append({**row, "seconds": seconds_})
    return samples


MADE = frozenset(name for name, family in FAMILIES.items() if family.measured_in is MeasuredIn.PROFILES)
"""Kernels that only a runtime makes: seen in profiles of modules, and alone."""


def _is_of(family: str, name: str) -> bool:
    return bool(re.search(FAMILIES[family].profiler_names, name))


def _pairs(one: Module) -> list[tuple[Any, PricedKernel]]:
    both = zip(one.program.calls, one.priced, strict=True)
    return [pair for call, own in both for pair in zip(call.kernels, own.kernels, strict=True)]


def fit_made(samples: Sequence[Mapping[str, Any]], device: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Family -> name -> fit, of the kernels that runtimes make."""
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for sample in samples:
        groups[sample["family"]].append(sample)
    return {
        family: {fit_name(family, "fp16"): fit_family(own, family, device)} for family, own in sorted(groups.items())
    }


def fit_runtime(runtime: str, ran: Sequence[Module], calibration: Calibration, like: HostCosts) -> dict[str, Any]:
    """A runtime's part of its file: coefficients, rows, gap, and the error on modules left out one at a time."""
    terms = TERMS[runtime]
    if terms.graphs:
        gap_s = None if runtime == "cudagraph" else _known_gap_s(calibration)
        return _fit_graphs(terms, [m for m in ran if m.model.split("/")[0] != "loops"], calibration, like, gap_s)
    lanes = calibration.lanes
    rows, latencies = [], []
    for one in ran:
        base, counts = _host_terms(terms, one, like.launch_s)
        kernels = [k for call in one.priced for k in call.kernels]
        after = _busy(one) if lanes.serial else kernels[-1].seconds + lanes.sync_s + lanes.launch_latency_s
        of_host = lanes.serial or sum(one.kernels_s) <= HOST_BOUND * one.latency_s
        if of_host and one.model.split("/")[0] != "loops":
            known_s = 0.0 if terms.like else base
            rows.append([base - known_s, *(counts[name] for name in _columns(terms)), 1.0])
            latencies.append(max(one.latency_s - after - known_s, LEAST * one.latency_s))
    if not rows:
        raise PredictorError(f"no module says what {runtime} charges the host: run calibrate again")
    x, y = np.array(rows), np.array(latencies)
    names = ("factor", *_columns(terms), "fixed")
    coefficients, error = _solve(x, y, [] if terms.like else [names.index(name) for name in terms.calls])
    return _as_rows(
        terms,
        dict(zip(names, map(float, coefficients), strict=True)),
        error,
        like,
        calibration.host("eager").calls["item"],
    )


def _busy(one: Module) -> float:
    return sum(k.seconds for call in one.priced for k in call.kernels)


def _columns(terms: Terms) -> tuple[str, ...]:
    return (*terms.calls, "call") if terms.like else terms.calls


def _host_terms(terms: Terms, one: Module, launch_s: float) -> tuple[float, Counter[str]]:
    """Seconds of the operators' own costs, and how many calls there are of each row, and of all that ``price`` charges
    ``call_s`` for: a row's own cost is what it takes beyond that.
    """
    base, counts = 0.0, Counter[str]()
    both = list(zip(one.program.calls, one.priced, strict=True))
    for call, price_ in both:
        counts["call"] += bool(terms.like) and call.trait not in UNCALLED
        if call.op in terms.calls:
            counts[call.op] += 1
        elif terms.like:
            base += price_.host_s
        else:
            counts[call.trait if call.trait in terms.calls else "other"] += 1
    if not terms.like:  # further launches of a library's convolution cost what a bare launch costs
        others = sum(k.launches for c, p in both if c.trait != "conv" for k in p.kernels)
        base = launch_s * max(len(one.names) - others - counts["conv"], 0) if counts["conv"] else 0.0
    return base, counts


def _solve(x: Array, y: Array, alike: Sequence[int]) -> tuple[Array, dict[str, Any]]:
    """Non-negative coefficients of least mean absolute relative error, and the error on rows left out one at a time.
    alike: columns whose coefficients are of one size.
    """
    ratios = []
    for one in range(len(y)):
        others = np.arange(len(y)) != one
        found = _robust(x[others], y[others], y[others], alike)
        ratios.append(float(np.log(max(x[one] @ found, 1e-9) / y[one])))
    return _robust(x, y, y, alike), error_of(ratios)


ALIKE = 0.3
"""Error of a module that weighs as much as a coefficient twice as large as its like: without that, a few modules may
leave one of them without bounds.
"""


def _robust(x: Array, y: Array, whole: Array, alike: Sequence[int] = ()) -> Array:
    """Non-negative coefficients of least mean absolute error, relative to the whole that y is a part of: iteratively
    reweighted, so that a module disturbed while it was measured counts little. alike: see ``_solve``.
    """
    pull, pulled = np.zeros((len(alike), x.shape[1])), np.zeros(len(alike))
    if len(alike):
        together = np.delete(x, alike, axis=1)
        usual = _robust(np.column_stack([together, x[:, alike].sum(axis=1)]), y, whole)[-1]
        pull[range(len(alike)), alike] = ALIKE / max(usual, 1e-9)
        pulled[:] = ALIKE
    weights = 1 / whole
    for _ in range(9):
        found = nnls(np.vstack([x * weights[:, None], pull]), np.concatenate([y * weights, pulled]))[0]
        weights = 1 / whole / np.sqrt(np.maximum(np.abs(x @ found - y) / whole, 0.03))
    return np.asarray(found)


def _as_rows(
    terms: Terms,
    found: Mapping[str, float],
    error: Mapping[str, Any],
    like: HostCosts,
    item: Mapping[str, tuple[float, float]],
) -> dict[str, Any]:
    """The fit as a runtime's file has it."""
    coefficients = {"line_s": 0.0, "module_s": 0.0, "fixed_s": found["fixed"], "launch_s": 0.0}
    if terms.like:
        factor, call_s = max(found["factor"], 1e-3), found["call"]
        own = {name: found[name] / (factor * like.op_factor) for name in terms.calls}
        rows = {name: {d: [s, s] for d in ("fp32", "fp16")} for name, s in own.items()}
        rows |= _breaks(terms, item, found["fixed"] / (factor * like.op_factor))
        factor *= like.op_factor  # the operators' own costs had it
        coefficients |= {"op_factor": factor, "call_s": call_s, "launch_s": like.launch_s}
        return {"coefficients": coefficients, "calls": rows, "error": error}
    typical = {name: [found[name]] * 2 for name in ("view", "gemm", "product", "conv")}
    for trait in ("pointwise", "reduction", "copy", "pool", "fill", "host", "composite", "unmodelled", "sync"):
        typical[trait] = [found["other"]] * 2
    conv = {name: {d: [found["conv"]] * 2 for d in ("fp32", "fp16")} for name in ("Conv", "FusedConv")}
    launched = {name: {"fp32": 1.0, "fp16": 1.0} for name in conv}
    coefficients |= {"op_factor": 1.0, "launch_s": like.launch_s}
    tables = {"launches": launched, "shapes": {}, "shapes_s": {}, "typical_s": typical}
    return {"coefficients": coefficients, "calls": conv, **tables, "error": error}


def _breaks(terms: Terms, item: Mapping[str, tuple[float, float]], again_s: float) -> dict[str, Any]:
    """Rows of calls that break a compiled graph: their own cost and that of beginning again."""
    return {"item": {d: [s + again_s for s in pair] for d, pair in item.items()}} if terms.breaks else {}


def _fit_graphs(
    terms: Terms, ran: Sequence[Module], calibration: Calibration, like: HostCosts, known_s: float | None
) -> dict[str, Any]:
    """Latency beyond the kernels' own time: what a graph takes to start and a pass to end, the gap of a node (known_s,
    where it is known), and what is checked before.
    """
    checked = [sum(call.op == "weight" for call in one.program.calls) for one in ran]
    x = np.array([[float(len(one.names)), float(n), 1.0] for one, n in zip(ran, checked, strict=True)])
    y = np.array([one.measured_s for one in ran])  # the host has little part in it
    beyond = y - np.array([sum(one.kernels_s) for one in ran])
    free = x if known_s is None else x[:, 1:]
    found = _robust(free, np.maximum(beyond - (known_s or 0.0) * x[:, 0], 0.0), y)
    gap_s, weight_s, fixed_s = map(float, found if known_s is None else (known_s, *found))
    lanes = calibration.lanes
    launches = np.array([sum(k.launches for c in one.priced for k in c.kernels) for one in ran])
    ratios = np.log((np.array([_busy(one) for one in ran]) + gap_s * launches + x[:, 1] * weight_s + fixed_s) / y)
    fixed_s = max(fixed_s - lanes.sync_s - lanes.launch_latency_s, 0.0)
    own = {"replay": 0.0, "weight": weight_s / like.op_factor}
    rows = {name: {d: [own[name]] * 2 for d in ("fp32", "fp16")} for name in terms.calls}
    rows |= _breaks(terms, calibration.host("eager").calls["item"], fixed_s / like.op_factor)
    coefficients = {"op_factor": like.op_factor, "line_s": 0.0, "module_s": 0.0, "fixed_s": fixed_s}
    coefficients["launch_s"] = like.launch_s
    return {"coefficients": {**coefficients, "gap_s": gap_s}, "calls": rows, "error": error_of(ratios)}


def _known_gap_s(calibration: Calibration) -> float | None:
    """Gap of a CUDA graph's nodes, where the replay of an eager module has shown it: it is the device's, whoever
    captured the graph.
    """
    return calibration.host("cudagraph").gap_s if "cudagraph" in calibration.runtimes else None


def known() -> list[str]:
    """Runtimes besides eager, those that others are like first."""
    return [name for name in TERMS if name in runtimes.names()]
