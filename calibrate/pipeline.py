"""A calibration and a validation from beginning to end: what is measured, fitted, judged, in which order."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import torch

import models_zoo
from calibrate.fit import calibration as fits
from calibrate.fit import runtimes as runtime_fits
from calibrate.measure import models, modules, noise
from calibrate.measure.constants import device_constants
from calibrate.measure.library_calls import prepare_shapes, run_shapes
from calibrate.measure.library_calls import total as shape_cases
from calibrate.measure.operators import example_kernels, run_host, run_launches
from calibrate.measure.sweep import run_sweep
from calibrate.measure.timers import Probe
from calibrate.progress import Progress, Stage
from calibrate.samples.environment import check_agreement, check_device, check_gpu, describe
from calibrate.samples.files import FOLDER, Samples
from calibrate.samples.records import DeviceConstants, Environment, KernelSample, Refusal
from calibrate.samples.store import SUFFIX, SampleFile
from calibrate.validate import accuracy, quality
from calibrate.workloads import sweeps
from calibrate.workloads.cases import Case
from calibrate.workloads.device import Run
from calibrate.workloads.isolated import sweeps_of
from predictor import runtimes
from predictor.calibration import files
from predictor.calibration.load import Calibration, load_calibration
from predictor.calibration.schema import Device, File, Kernels, NamedHosts
from predictor.errors import PredictorError, unknown
from predictor.sources import load_model

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
        terms = runtime_fits.terms_of(runtime)
        if terms.uses_graphs:
            return self.graphs
        return self.compiled if terms.recompiles else self.usually


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured. shapes: calls whose host cost is timed, on average of a family and dtype; modules: how many
    of each source; passes: of a module in one round; others: modules under other runtimes; isolated: whether kernels
    that runtimes alone make are run alone, too; quick: whether few of them are.
    """

    plan: sweeps.Plan
    host_rounds: int
    shapes: int
    modules: dict[str, int]
    module_rounds: int
    passes: int
    others: Others
    isolated: bool
    quick: bool

    @property
    def host_stages(self) -> dict[str, Stage]:
        """What eager's host part consists of."""
        module_steps = 5 * self.module_rounds * (sum(self.modules.values()) // 10)
        return {
            "operators": Stage(self.host_rounds, HOST_ROUND_S),
            "modules": Stage(module_steps, MODULE_STEP_S),
            "library calls": Stage(shape_cases(self.shapes), SHAPE_S),
        }


def effort_of(device: str, quick: bool, thorough: bool = False) -> Effort:
    """The full or the quick calibration of a device. thorough: with twice the kernels."""
    effort = _effort(device, quick)
    return replace(effort, plan=effort.plan.times(2)) if thorough else effort


def _effort(device: str, quick: bool) -> Effort:
    if device == "cuda":
        few, many = {"generated": 5, "library": 15}, {"generated": 45, "library": 75}
        if quick:
            others = Others(*[{"generated": 3, "library": 4, "deep": 2}] * 3)
            return Effort(sweeps.QUICK_CUDA, 3, 20, few, 3, 10, others, isolated=True, quick=True)
        others = Others(*({"generated": n, "library": m, "deep": 3} for n, m in ((9, 12), (7, 9), (4, 5))))
        return Effort(sweeps.FULL, 12, 120, many, 3, 10, others, isolated=True, quick=False)
    few, many = {"generated": 12}, {"generated": 40}  # kernels of a library's models would drown the host there
    if quick:
        others = Others(*[{"generated": 3}] * 3)
        return Effort(sweeps.QUICK_CPU, 3, 0, few, 3, 5, others, isolated=False, quick=True)
    others = Others(*[{"generated": 12}] * 3)
    return Effort(sweeps.FULL_CPU, 12, 0, many, 6, 10, others, isolated=False, quick=False)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a calibration measures: kernels, eager's host part, and that of other runtimes."""

    kernels: bool
    eager: bool
    others: tuple[str, ...]

    def stages(self, effort: Effort) -> dict[str, Stage]:
        """What is measured, for the estimate of the time that is left."""
        runtime_cases = sum(sum(effort.others.under(name).values()) for name in self.others)
        isolated = sum(sweep.total(effort.quick) for sweep in sweeps_of(self.others)) if effort.isolated else 0
        stages = effort.host_stages if self.eager else {}
        stages["runtimes"] = Stage(modules.STEPS * runtime_cases, OTHER_STEP_S)
        if self.kernels:
            stages["kernels"] = Stage(effort.plan.total + isolated, KERNEL_S)
        return {**stages, "fits": Stage(1, QUICK_FIT_S if effort.quick else FIT_S)}


HOST_ROUND_S, MODULE_STEP_S, SHAPE_S, OTHER_STEP_S, KERNEL_S = 5.0, 0.2, 0.015, 0.2, 0.006
FIT_S, QUICK_FIT_S = 30.0, 8.0
"""Seconds of one step, about, on 16 cores with an H100: a round of all operators, two rounds of a module, a library's
call, a round of a module under another runtime, a kernel, all fits. They share out what whole parts took there (the
host 219 s, all below eight minutes); how long a stage takes here is measured while it runs.
"""


def runtimes_to_measure(asked: str, on_cpu: bool) -> tuple[str, ...]:
    """Runtimes besides eager, those that others are based on first. asked: names, comma-separated, or "all".

    Raises PredictorError for a name that is unknown, or that needs a GPU where there is none.
    """
    possible = [name for name in runtime_fits.fitted() if not runtimes.load(name).needs_gpu or not on_cpu]
    known = [*possible, *(name for name in runtimes.names() if runtimes.load(name).host_terms is None)]
    names = possible if asked == "all" else asked.split(",")
    for name in names:
        if name not in known:
            raise unknown("runtime", name, known)
    return tuple(runtime_fits.with_bases(names))


def check_machine(device: str, out: Path, tell: Tell) -> None:
    """Raises PredictorError where ``out`` holds samples of another machine."""
    check_agreement(Samples.of(out, tell).constants, describe(device, 0.0), "--out")


def check_noise(device: str, force: bool, tell: Tell) -> None:
    """Wait for a quiet moment. Raises PredictorError where none comes; force: only says what disturbs."""
    if force:
        disturbing = noise.measure(device).reasons
        if disturbing:
            tell(f"the machine is busy ({', '.join(disturbing)}): measured all the same")
        return
    noise.wait_for_quiet(lambda: noise.measure(device), tell)


def run(
    gpu: str,
    device: str,
    out: Path,
    effort: Effort,
    parts: Parts,
    progress: Progress,
    tell: Tell,
    force: bool = False,
) -> None:
    """Measure what is not on disk yet, fit, and write ``device.json``, ``kernels.json`` and a file for every runtime
    into ``out``. force: see ``fit``.
    """
    samples = Samples.of(out, tell)
    if not samples.constants.has(Environment, 0):
        samples.constants.append([describe(device, _probe_level(device))])
    start = time.perf_counter()
    others = [case for name in parts.others for case in modules.cases(effort.others.under(name), name, device)]
    eager_modules = modules.eager_cases(effort.modules, device) if parts.eager else []
    ready: dict[Case, Run] = {}
    shapes: list[sweeps.KernelCase] = []

    def meanwhile() -> None:
        programs = [(case, samples.modules) for case in eager_modules] + [(case, samples.runtimes) for case in others]
        with models.programs_recorded(programs, device):
            if parts.eager:
                ready.update(modules.prepare_modules(eager_modules, device))
                shapes.extend(prepare_shapes(samples.host, device, effort.shapes))

    if parts.eager:
        run_host(samples.host, device, effort.host_rounds, progress.of("operators"))
    modules.run_cases(others, samples.runtimes, device, progress.of("runtimes"), meanwhile)
    if not samples.constants.has(DeviceConstants):
        samples.constants.append([device_constants(device, effort.plan.dtypes)])
    if parts.eager:
        modules.run_modules(ready, samples.modules, device, effort.module_rounds, effort.passes, progress.of("modules"))
        run_shapes(shapes, samples.host, device, progress.of("library calls"))
    if parts.eager and device == "cuda":  # the profiler slows every launch after it: nothing below times the host
        run_launches(samples.host)
    tell(f"\nhost measured in {time.perf_counter() - start:.0f} s")
    start = time.perf_counter()
    if parts.kernels:
        done = {sample.id for sample in samples.kernels.of(KernelSample)}
        run_sweep(sweeps.cases(effort.plan, done), samples.kernels, device, progress.of("kernels"))
        for sweep in sweeps_of(parts.others) if effort.isolated else ():
            run_sweep(sweep.cases(effort.quick, done), samples.kernels, device, progress.of("kernels"), sweep.maker)
        tell(f"\nkernels measured in {time.perf_counter() - start:.0f} s")
    fit(gpu, out, force=force)
    progress.advance("fits", 1)


def fit(gpu: str, out: Path, host_only: bool = False, force: bool = False) -> None:
    """Samples in ``out`` -> calibration files in ``out``. Needs no device: a fit can be repeated anywhere. host_only:
    device and kernels stay as they are.

    Raises PredictorError, and writes nothing, where the fits say that the measurements failed; force: writes it, with
    the reasons inside.
    """
    fitted = fits.fitted(gpu, out, example_kernels, host_only)
    doubts = "; ".join(quality.doubts(fitted.calibration))
    if doubts and not force:
        raise PredictorError(
            f"nothing written, the measurements failed: {doubts}. The samples are kept in {out / FOLDER}: remove them "
            "and calibrate again on an idle machine, or write it all the same: --refit --force"
        )
    fitted.write(out, doubts)


def take_kernels(gpu: str, out: Path) -> None:
    """Copy the device's part of a GPU's calibration into ``out``, and the hosts that are known by name, where there is
    none yet; its default host is the one that is measured. PredictorError if nobody calibrated the GPU.
    """
    known = files.find(gpu)
    contents: list[File] = []
    if not (out / "device.json").exists():
        contents.append(msgspec.structs.replace(files.read(known / "device.json", Device, gpu), default_host=None))
    if not (out / "kernels.json").exists():
        contents.append(files.read(known / "kernels.json", Kernels, gpu))
    if (known / "hosts.json").exists() and not (out / "hosts.json").exists():
        contents.append(files.read(known / "hosts.json", NamedHosts, gpu))
    files.write_calibration(out, contents)


def _probe_level(device: str) -> float:
    probe = Probe(device)
    return float(np.median([probe() for _ in range(9)]))


@dataclass(frozen=True, slots=True)
class Request:
    """What a validation compares: models of the zoo or factories, each at every batch and in every dtype, under a
    runtime on a calibrated GPU.
    """

    gpu: str
    runtime: str
    models: tuple[str, ...]
    batches: tuple[int, ...]
    dtypes: tuple[str, ...]

    def check(self) -> Calibration:
        """The calibration that predicts. Raises PredictorError for a name that is not known, and where nothing was
        calibrated.
        """
        calibration = load_calibration(self.gpu)
        if self.runtime not in runtimes.names():
            raise runtimes.unknown_runtime(self.runtime)
        calibration.host(self.runtime)
        for name in self.models:
            _check_model(name)
        for dtype in self.dtypes:
            if dtype not in calibration.dtypes:
                raise calibration.unknown_dtype(dtype)
        return calibration

    @property
    def cases(self) -> list[Case]:
        """Every combination, the models' order kept."""
        return models.cases(self.models, self.batches, self.dtypes, self.runtime)


def _check_model(name: str) -> None:
    """Raises PredictorError for what is neither a model of the zoo nor a factory that makes one."""
    if name in models_zoo.names():
        return
    if name.endswith(".json"):
        raise PredictorError(f"{name} has no weights that could run: write a factory, --models FILE.py:FUNCTION")
    with torch.device("meta"):
        load_model(name)


@dataclass(frozen=True, slots=True)
class Validation:
    """A validation that is about to run: what is compared, with which calibration, and where measurements are kept."""

    request: Request
    calibration: Calibration
    file: SampleFile
    protocol: models.Protocol

    @property
    def is_measured(self) -> bool:
        """Whether everything is in the file already."""
        return models.complete(self.request.cases, self.file, self.protocol)

    @property
    def has_measurements(self) -> bool:
        """Whether something of it is in the file already."""
        return any(models.complete((case,), self.file, self.protocol) for case in self.request.cases)

    @property
    def stages(self) -> dict[str, Stage]:
        """What is measured, for the estimate of the time that is left."""
        return {"models": Stage(len(self.request.cases) * (self.protocol.rounds + 2), OTHER_STEP_S)}

    def check_device(self) -> str:
        """The device that measures. Raises PredictorError where this machine does not have the GPU."""
        return check_device(self.calibration.gpu)

    def measure(self, device: str, advance: Advance) -> None:
        """Measure what is missing."""
        models.measure(self.request.cases, self.file, device, self.protocol, advance)

    def rows(self) -> list[accuracy.Row]:
        """Predictions beside what was measured. Raises PredictorError where that was on another GPU."""
        check_gpu(self.file, self.calibration)
        device = "cpu" if self.calibration.lanes.serial else "cuda"
        captured = [case for case in self.request.cases if case.model not in models_zoo.names()]
        models.record_programs([(case, self.file) for case in captured], device)
        return accuracy.rows(self.file, self.calibration, self.request.runtime, set(self.request.cases))

    def refusals(self) -> list[Refusal]:
        """Cases that cannot run."""
        refusals = [self.file.find(Refusal, case) for case in self.request.cases]
        return [refusal for refusal in refusals if refusal is not None]


def validation(request: Request, data: Path | None, rounds: int, tell: Tell) -> Validation:
    """A validation that is ready to run. data: file of measurements, by default one in the user's own folder. Raises
    PredictorError for a name that is not known, where nothing was calibrated, and for a damaged file.
    """
    calibration = request.check()
    path = data or files.user_folder().parent / "validation" / f"{calibration.gpu}-{request.runtime}{SUFFIX}"
    return Validation(request, calibration, SampleFile(path, tell), models.Protocol(rounds=rounds))
