"""A calibration from beginning to end: constants, host, generated modules, kernel sweep, fits, files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from calibrate.fit import runtimes
from calibrate.fit.kernels import fit_host, fit_kernels, fit_shapes
from calibrate.measure import sweep
from calibrate.measure.constants import device_constants
from calibrate.measure.models import Case, placed, programs_recorded
from calibrate.measure.operators import example_kernels, example_launches, host_costs, run_host, run_launches
from calibrate.measure.shapes import prepare_shapes, run_shapes, shape_samples
from calibrate.measure.shapes import total as shape_cases
from calibrate.measure.timers import Probe, Round, Run, lower_quartile, pass_seconds, quiet_level, summarise
from calibrate.samples.environment import describe
from calibrate.samples.programs import program_from_json
from calibrate.samples.store import SampleFile
from calibrate.workloads import inductor_loops, onnx_convs, onnx_nodes
from calibrate.workloads.sources import build
from predictor.calibration import files
from predictor.calibration.host_costs import HostCosts, host_costs_of
from predictor.calibration.load import REPLAY, Calibration, forget, load_calibration
from predictor.errors import PredictorError
from predictor.ops import typical_trait
from predictor.pricing.program import library_s, price
from predictor.records import Trait
from predictor.runtimes.eager import execution as eager_runtime
from predictor.runtimes.eager import lowering as eager
from predictor.timeline.queue import queue

Advance = Callable[[int], None]
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Others:
    """How many modules of each source run under runtimes besides eager: usually, where they are compiled, which may
    take a minute, and as CUDA graphs, which differ little.
    """

    usually: dict[str, int]
    compiled: dict[str, int]
    graphs: dict[str, int]

    def under(self, runtime: str) -> dict[str, int]:
        """Those of a runtime."""
        if runtimes.TERMS[runtime].graphs:
            return self.graphs
        return self.compiled if runtime == "compile" else self.usually


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured. shapes: calls whose host cost is timed, on average of a family and dtype; modules: how many
    of each source; passes: of a module in one round; others: modules under other runtimes; convs, nodes and loops:
    convolutions and other nodes as ONNX Runtime runs them, and what Inductor compiles.
    """

    plan: sweep.Plan
    host_rounds: int
    shapes: int
    modules: dict[str, int]
    module_rounds: int
    passes: int
    others: Others
    convs: sweep.Plan | None = None
    nodes: int = 0
    loops: int = 0

    @property
    def host_steps(self) -> int:
        """Units of the progress bar that eager's host part takes."""
        tens = sum(self.modules.values()) // 10
        return 10 * self.host_rounds + shape_cases(self.shapes) + 5 * self.module_rounds * tens


def effort_of(device: str, quick: bool, thorough: bool = False) -> Effort:
    """The full or the quick calibration of a device. thorough: with twice the kernels."""
    effort = _effort(device, quick)
    return replace(effort, plan=effort.plan.times(2)) if thorough else effort


def _effort(device: str, quick: bool) -> Effort:
    if device == "cuda":
        few, many = {"generated": 5, "library": 15}, {"generated": 45, "library": 75}
        if quick:
            others = Others(*[{"generated": 3, "library": 4, "deep": 2}] * 3)
            alone = onnx_convs.QUICK, onnx_nodes.QUICK_COUNT, inductor_loops.QUICK_COUNT
            return Effort(sweep.QUICK_CUDA, 5, 40, few, 3, 10, others, *alone)
        others = Others(*({"generated": n, "library": m, "deep": 3} for n, m in ((9, 12), (7, 9), (4, 5))))
        alone = onnx_convs.FULL, onnx_nodes.COUNT, inductor_loops.COUNT
        return Effort(sweep.FULL, 12, 120, many, 3, 10, others, *alone)
    few, many = {"generated": 12}, {"generated": 40}  # kernels of a library's models would drown the host there
    if quick:
        return Effort(sweep.QUICK_CPU, 3, 0, few, 3, 5, Others(*[{"generated": 3}] * 3))
    return Effort(sweep.FULL_CPU, 12, 0, many, 6, 10, Others(*[{"generated": 12}] * 3))


@dataclass(frozen=True, slots=True)
class Parts:
    """What a calibration measures: kernels, eager's host part, and that of other runtimes."""

    kernels: bool
    eager: bool
    others: tuple[str, ...]

    def steps(self, effort: Effort) -> int:
        """Units of the progress bar."""
        others = OTHER_STEPS * sum(sum(effort.others.under(name).values()) for name in self.others)
        if self.kernels and "onnx" in self.others:
            others += effort.nodes + (effort.convs.total if effort.convs else 0)
        if self.kernels and "compile" in self.others:
            others += effort.loops
        return effort.plan.total * self.kernels + effort.host_steps * self.eager + others


OTHER_STEPS = 6
"""Units of the progress bar for a module under another runtime: its rounds and its profile."""


def run(gpu: str, device: str, out: Path, effort: Effort, parts: Parts, advance: Advance, tell: Tell) -> None:
    """Measure what is not on disk yet, fit, and write ``device.json``, ``kernels.json`` and a file for every runtime
    into ``out``.
    """
    samples = out / "samples"
    constants_file = SampleFile(samples / "constants.jsonl", tell)
    host_file = SampleFile(samples / "host.jsonl", tell)
    module_file = SampleFile(samples / "modules.jsonl", tell)
    kernel_file = SampleFile(samples / "kernels.jsonl", tell)
    if "environment" not in constants_file:
        constants_file.append([{"key": "environment", "environment": describe(device, _probe_level(device))}])
    _same_machine(constants_file, device)
    start = time.perf_counter()
    other_file = SampleFile(samples / "runtimes.jsonl", tell)
    others = runtimes.wanted({name: effort.others.under(name) for name in parts.others}, device)
    modules = _modules(effort, device) if parts.eager else []
    ready: dict[str, Run] = {}
    shapes: list[sweep.Case] = []

    def meanwhile() -> None:
        programs = [(case, module_file) for case in modules] + [(case, other_file) for case in others]
        with programs_recorded(programs, device):
            if parts.eager:
                ready.update(prepare_modules(modules, device))
                shapes.extend(prepare_shapes(host_file, device, effort.shapes))

    if parts.eager:
        run_host(host_file, device, effort.host_rounds, lambda n: advance(10 * n))
    runtimes.run(others, other_file, device, advance, meanwhile)
    if "device" not in constants_file:
        constants_file.append([{"key": "device", "constants": device_constants(device, effort.plan.dtypes)}])
    if parts.eager:
        run_modules(ready, module_file, device, effort, advance)
        run_shapes(shapes, host_file, device, advance)
    if parts.eager and device == "cuda":  # the profiler slows every launch after it: nothing below times the host
        run_launches(host_file)
    tell(f"\nhost measured in {time.perf_counter() - start:.0f} s")
    start = time.perf_counter()
    if parts.kernels:
        sweep.run_sweep(sweep.cases(effort.plan, kernel_file), kernel_file, device, advance)
        for cases, maker in _alone(effort, parts.others, kernel_file):
            sweep.run_sweep(cases, kernel_file, device, advance, maker)
        tell(f"\nkernels measured in {time.perf_counter() - start:.0f} s")
    fit(gpu, out)


def _alone(effort: Effort, others: Sequence[str], done: SampleFile) -> Iterator[tuple[Iterator[Any], sweep.Maker]]:
    """(Cases, what builds them) of the kernels that other runtimes make, each alone."""
    if "onnx" in others:
        if effort.convs:
            yield onnx_convs.cases(effort.convs, done), onnx_convs.maker
        yield onnx_nodes.cases(effort.nodes, done), onnx_nodes.maker
    if "compile" in others:
        yield inductor_loops.cases(effort.loops, done), inductor_loops.maker


def take_kernels(gpu: str, out: Path) -> None:
    """Copy the device's part of a GPU's calibration into ``out``, where there is none yet: PredictorError if nobody
    calibrated the GPU.
    """
    found = files.find(gpu)
    for name in ("device.json", "kernels.json"):
        if not (out / name).exists():
            files.write_json(out / name, files.read_json(found / name, gpu))


def _probe_level(device: str) -> float:
    probe = Probe(device)
    return float(np.median([probe() for _ in range(9)]))


def _same_machine(file: SampleFile, device: str) -> None:
    """Samples of different machines never mix: raises PredictorError."""
    environment = file.samples["environment"]["environment"]
    here = describe(device, 0.0)
    for key in ("gpu", "cpu"):
        if environment.get(key) != here.get(key):
            raise PredictorError(
                f"{file.path.parent} holds samples of another machine ({environment.get(key)}, not {here.get(key)}): "
                "choose another --out or delete them"
            )


def _modules(effort: Effort, device: str) -> list[Case]:
    """Modules whose latency the host coefficients are fitted on."""
    return [
        Case(f"{source}/{seed}", 1, "fp16" if device == "cuda" and seed % 2 else "fp32", eager.NAME)
        for source, count in effort.modules.items()
        for seed in range(count)
    ]


def prepare_modules(modules: Sequence[Case], device: str) -> dict[str, Run]:
    """Name -> a pass of each module, which has run."""
    ready = {}
    for case in modules:
        with torch.device(device):  # random weights are made there many times faster
            module, inputs = build(case.model, device)
        ready[f"{case.model}/{case.dtype}"] = run_once = eager_runtime.prepare(
            *placed(module, inputs, case.dtype, device)
        )
        pass_seconds(run_once, device, 2)
    return ready


def run_modules(ready: Mapping[str, Run], file: SampleFile, device: str, effort: Effort, advance: Advance) -> None:
    """Latency of generated modules in interleaved rounds, the host probe before and after each case."""
    step = 5
    probe = Probe(device)
    for number in range(effort.module_rounds):
        for done, (name, run_once) in enumerate(ready.items(), start=1):
            key = f"{number}/{name}"
            if key not in file:
                pass_seconds(run_once, device, 2)
                before = probe.recent()
                seconds = lower_quartile(pass_seconds(run_once, device, effort.passes))
                file.append([{"key": key, "module": name, "seconds": seconds, "probe_s": [before, probe()]}])
            if done % 10 == 0:
                advance(step)


def _module_cases(file: SampleFile) -> list[Case]:
    names = dict.fromkeys(sample["module"] for sample in file.values() if "module" in sample)
    return [Case("/".join(name.split("/")[:2]), 1, name.split("/")[2], eager.NAME) for name in names]


def fit(gpu: str, out: Path) -> None:
    """Samples in ``out`` -> calibration files in ``out``. Needs no device: a fit can be repeated anywhere."""
    samples = out / "samples"
    opened = {name: SampleFile(samples / f"{name}.jsonl") for name in ("constants", "host", "modules", "kernels")}
    if "device" not in opened["constants"]:
        raise PredictorError(f"{samples} holds no samples: run calibrate --gpu {gpu} first")
    constants = opened["constants"].samples["device"]["constants"]
    probe_s = quiet_level([p for s in opened["modules"].values() if "module" in s for p in s["probe_s"]])
    environment = {**opened["constants"].samples["environment"]["environment"], "probe_s": probe_s}
    serial = bool(constants["serial"])
    hot = host_costs(opened["host"], "tight", probe_s)
    cold = hot if serial else host_costs(opened["host"], "mixed", probe_s)
    calls = {op: {d: [hot[op][d], cold[op][d]] for d in hot[op]} for op in hot}
    head = {"schema": files.SCHEMA, "gpu": gpu, "provenance": "measured"}
    device = {**head, **{k: v for k, v in constants.items() if k != "launch_s"}, "environment": environment}
    kernels = [s for s in opened["kernels"].values() if s.get("family") not in runtimes.MADE]
    if kernels:
        fits = _published(out / "kernels.json", gpu)
        for family, named in fit_kernels(_without_dispatch(kernels, hot) if serial else kernels, constants).items():
            fits[family] = named | fits.get(family, {})
        files.write_json(out / "kernels.json", {**head, "families": fits})
        files.write_json(out / "device.json", device)
    forget()
    calibration = load_calibration(str(out.resolve()))
    host: dict[str, Any] = {
        **head,
        "runtime": eager.NAME,
        "coefficients": {
            **{"op_factor": 1.0, "line_s": 0.0, "module_s": 0.0, "fixed_s": 0.0},
            "launch_s": constants["launch_s"],
        },
        "error": {"log_rms": 0.0},
        "calls": calls,
        "launches": example_launches(opened["host"]),
        **_shapes(opened["host"], calibration, hot, probe_s),
        "typical_s": _typical(calls),
        "environment": environment,
    }
    fitted = _fit_modules(opened["modules"], calibration, host_costs_of(host, out))
    host["coefficients"] |= fitted["coefficients"]
    host["error"] = fitted["error"]
    files.write_json(out / "eager.json", host)
    forget()
    _fit_others(gpu, out, {**head, "environment": environment})


def _fit_others(gpu: str, out: Path, head: dict[str, Any]) -> None:
    """A file for every other runtime that was measured; the kernels that only they make join ``kernels.json``."""
    file = SampleFile(out / "samples" / "runtimes.jsonl")
    calibration = load_calibration(str(out.resolve()))
    measured = [name for name in runtimes.known() if any(s.get("runtime") == name for s in file.values())]
    ran = {name: runtimes.modules(file, name, calibration, calibration.host(eager.NAME)) for name in measured}
    swept = SampleFile(out / "samples" / "kernels.jsonl").values()
    alone = [s for s in swept if s.get("family") in runtimes.MADE and not s.get("failed")]
    seen = [s for own in ran.values() for s in runtimes.made_kernels(own, calibration)]
    made = runtimes.fit_made([*alone, *seen], calibration.device)
    if made and (out / "samples" / "kernels.jsonl").exists():
        kernels = files.read_json(out / "kernels.json", gpu)
        files.write_json(out / "kernels.json", {**kernels, "families": {**kernels["families"], **made}})
        forget()
        calibration = load_calibration(str(out.resolve()))
    for name in measured:
        like = runtimes.TERMS[name].like
        costs = calibration.host(like or eager.NAME)
        fitted = runtimes.fit_runtime(name, runtimes.modules(file, name, calibration, costs), calibration, costs)
        files.write_json(out / f"{name}.json", {**head, "runtime": name, **({"like": like} if like else {}), **fitted})
        forget()


def _published(path: Path, gpu: str) -> dict[str, dict[str, Any]]:
    """Fits of published kernels that the calibration has: they stay."""
    try:
        families = files.read_json(path, gpu)["families"]
    except (PredictorError, KeyError):  # none yet, or damaged
        return {}
    return {
        family: {name: fit for name, fit in named.items() if name.endswith(REPLAY)}
        for family, named in families.items()
    }


def _shapes(
    file: SampleFile, calibration: Calibration, hot: dict[str, dict[str, float]], probe_s: float
) -> dict[str, Any]:
    """Host cost of library calls by shape, and how much of an example's cost that stands for: all of it where the
    operator was itself timed by shape, else what is said of the example's own shape.
    """
    samples = shape_samples(file, probe_s)
    fits, sampled = fit_shapes(samples, calibration), {s["op"] for s in samples}
    shapes: dict[str, dict[str, Any]] = {}
    for (family, dtype), forest in fits.items():
        shapes.setdefault(family, {})[dtype] = forest.to_json()
    timed: dict[str, dict[str, float]] = {}
    for op, kernels in example_kernels().items() if fits else ():
        for dtype, kernel in kernels.items():
            if op in hot and (kernel.family, kernel.dtype) in fits:
                forest = fits[kernel.family, kernel.dtype]
                seconds = library_s(forest, calibration, kernel.family, kernel.dtype, kernel.dims)
                timed.setdefault(op, {})[dtype] = hot[op][dtype] if op in sampled else float(seconds[0])
    return {"shapes": shapes, "shapes_s": timed}


def _without_dispatch(samples: list[dict[str, Any]], calls: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """On a CPU a call's time holds its dispatch: the cost of its smallest call is taken off, at most nine tenths."""
    return [
        {**s, "seconds": max(s["seconds"] - calls.get(s["op"], {}).get("fp32", 0.0), 0.1 * s["seconds"])}
        for s in samples
        if not s.get("failed")
    ]


def _typical(calls: dict[str, dict[str, list[float]]]) -> dict[str, list[float]]:
    """Trait -> median cost, hot and cold, of its operators: the price of an operator without one of its own."""
    by_trait: dict[str, list[list[float]]] = {}
    for op, costs in calls.items():
        trait = Trait.HOST if op.startswith("host") else typical_trait(op)
        by_trait.setdefault(trait, []).append(next(iter(costs.values())))
    typical = {trait: [float(m) for m in np.median(costs, axis=0)] for trait, costs in by_trait.items()}
    return typical | {
        trait: typical["pointwise"] for trait in ("composite", "unmodelled", "sync") if trait not in typical
    }


def _fit_modules(file: SampleFile, calibration: Calibration, host: HostCosts) -> dict[str, Any]:
    """The host coefficients, from the latencies of the generated modules."""
    lanes = calibration.lanes
    rounds: dict[str, list[Round]] = {}
    for sample in file.values():
        if "module" in sample:
            rounds.setdefault(sample["module"], []).append(Round(sample["seconds"], *sample["probe_s"]))
    rows = []
    for case, own in zip(_module_cases(file), rounds.values(), strict=True):
        program = program_from_json(file.samples[f"program/{case.key}"]["program"])
        priced = price(program, calibration, host)
        timeline = queue(priced, lanes)
        last_s = float(priced.kernel_s[0, -1])
        after = timeline.kernel_s if lanes.serial else lanes.launch_latency_s + lanes.sync_s + last_s
        measured = summarise(own, host.probe_s)
        python = [call.python for call in program.calls] + [program.tail]
        lines, modules = sum(p.cold_lines for p in python), sum(p.cold_modules for p in python)
        latency = measured.seconds * host.probe_s / measured.probe_s
        rows.append((timeline.host_s, lines, modules, after, latency))
    columns = [np.array(column, dtype=float) for column in zip(*rows, strict=True)]
    return fit_host(*columns)
