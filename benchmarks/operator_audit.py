"""Operators of torch one by one: measure the calls of ``operator_calls`` on the GPU at hand, or read what was measured.

    python -m benchmarks.operator_audit --out FILE.jsonl.gz --runtimes eager,compile --seconds 400
    python -m benchmarks.operator_audit --read calibrations/h200/samples/operators.jsonl.gz --gpu h200
    python -m benchmarks.operator_audit --of timm,transformers --batches 1,16 --out FILE.jsonl.gz

``--of`` takes the models that ``benchmarks.coverage`` builds of these libraries, under eager, in place of the calls.
Calls are prepared side by side, some in a process; then passes and kernels are measured, one process at a time, kernels
with cold weights and warm inputs, as in a model. A row is on disk as it is taken, and a run with the same file goes on
where the last one stopped. Read, a line for each call has predicted and measured time and launches of its kernels, the
worst first; then how far off they are in all.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import threading
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_leaves, tree_map_only

from benchmarks import coverage
from benchmarks.operator_calls import CALLS
from calibrate.measure.models import Machine, Profile, in_short, placed
from calibrate.measure.timers import CaseProfiler, Probe, pass_seconds, profile_events
from calibrate.measure.workers import Worker
from calibrate.samples.records import CaseProfile, CaseRound, Environment, Refusal, Sample
from calibrate.samples.store import SampleFile
from calibrate.workloads.cases import Case
from calibrate.workloads.device import Run, set_precision
from predictor import runtimes
from predictor.calibration.load import Calibration, load_calibration
from predictor.capture.calls import DTYPES
from predictor.errors import PredictorError, one_line
from predictor.predict import graph_of
from predictor.pricing.program import price
from predictor.records import Program, Target
from predictor.sources.built import weights_on_meta

AT_ONCE, MODELS_AT_ONCE = 12, 3
"""Calls of a process, models of libraries of one."""

PASSES_S = 0.3
"""About how long the passes of a call take: fifteen, fewer of a long one."""

PREPARE_S, ANSWER_S = 150.0, 30.0
"""Limits of an answer: a process that takes longer is killed, and its calls are left for another run."""


def cases(runtime: str) -> list[Case]:
    """Every call under a runtime."""
    return [Case(name, 1, make()[2], runtime) for name, make in CALLS.items()]


def models(groups: Sequence[str], batches: Sequence[int]) -> list[Case]:
    """The models of libraries under eager, named ``GROUP:MODEL``."""
    return [Case(f"{c.group}:{c.model}", batch, "fp16", "eager") for c in coverage.cases(groups) for batch in batches]


def made(case: Case) -> tuple[torch.nn.Module, Any]:
    """A call, or a model of a library, and its inputs; of a model as many as the batch says of what is one."""
    group, _, model = case.model.partition(":")
    if group not in coverage.GROUPS:
        module, inputs, _ = CALLS[case.model]()
        return module, inputs
    module, inputs, _ = dict(coverage.GROUPS[group]())[model]()

    def many(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.is_meta:
            tensor = torch.zeros(tensor.shape, dtype=tensor.dtype)
        return tensor.repeat(case.batch, *[1] * (tensor.ndim - 1)) if tensor.shape[:1] == (1,) else tensor

    return module, tree_map_only(torch.Tensor, many, inputs)


def with_weights(module: torch.nn.Module, dtype: str, device: str) -> torch.nn.Module:
    """A module on a device, with small numbers as its weights. Buffers keep their values."""
    module = module.to(DTYPES[dtype])
    if any(weight.is_meta for weight in module.parameters()):
        kept = [dict(part._buffers) for part in module.modules()]
        module = module.to_empty(device=device)
        for part, buffers in zip(module.modules(), kept, strict=True):
            part._buffers.update({n: b.to(device) for n, b in buffers.items() if b is not None and not b.is_meta})
    module = module.to(device)
    with torch.no_grad():
        for weight in module.parameters():
            if weight.is_floating_point():
                weight.normal_(0, 0.02)
    return module


class Bench:
    """Calls on a GPU, in a process of its own."""

    def __init__(self) -> None:
        import torch._dynamo.config
        import torch._inductor.config

        torch.set_num_threads(1)
        torch._inductor.config.compile_threads = 1
        torch._dynamo.config.recompile_limit = 2 * AT_ONCE  # all calls are one function to it
        self.runs: dict[Case, tuple[Run, list[torch.Tensor]]] = {}

    def prepare(self, case: Case) -> str:
        """Compile a call, if need be, and run it: why it cannot, or nothing."""
        torch.manual_seed(0)
        set_precision(case.dtype)
        torch.backends.cudnn.allow_tf32 = True  # torch's default
        try:
            module, inputs = made(case)
            if case.model not in CALLS:
                module = with_weights(module, case.dtype, "cuda")
            module, inputs = placed(module, inputs, case.dtype, "cuda")
            run = runtimes.load(case.runtime).prepare(module, inputs)
            pass_seconds(run, "cuda", 3)
        except Exception as error:
            return one_line(error)
        warm = [leaf for leaf in tree_leaves(inputs) if torch.is_tensor(leaf) and leaf.is_floating_point()]
        self.runs[case] = run, warm
        return ""

    def passes(self, case: Case) -> CaseRound:
        """Latencies, and the host probe before and after them."""
        probe = Probe("cuda")
        before = probe()
        run = self.runs[case][0]
        passes = int(np.clip(PASSES_S / min(pass_seconds(run, "cuda", 2)), 3, 15))
        taken = tuple(round(seconds, 7) for seconds in pass_seconds(run, "cuda", passes))
        return CaseRound(case, 0, taken, (before, probe()))

    def open_profiler(self) -> None:
        """Its first run takes seconds: here, where others can do the same at the same time."""
        profile_events(Probe("cuda"))

    @torch.inference_mode()
    def profile(self, case: Case) -> CaseProfile:
        """Its kernels."""
        taken: Profile = in_short(CaseProfiler().repeats(*self.runs[case], 3))
        return CaseProfile(case, *taken)


def measured(wanted: Sequence[Case], measuring: threading.Lock) -> list[Sample]:
    """Rows of calls that share a process."""
    rows: list[Sample] = []
    try:
        with Worker(Bench) as worker:
            ready = []
            for case in wanted:
                worker.ask("prepare", case)
                if reason := worker.answer(PREPARE_S):
                    rows.append(Refusal(case, reason))
                else:
                    ready.append(case)
            for method in ("passes", "profile"):  # a profiler slows all later launches of its process
                with measuring:
                    for case in ready:
                        worker.ask(method, case)
                        rows.append(worker.answer(ANSWER_S))
                if method == "passes":
                    worker.ask("open_profiler")
                    worker.answer(PREPARE_S)
    except RuntimeError as error:
        print(f"{len(rows)} rows of {', '.join(case.model for case in wanted)}: {error}", file=sys.stderr, flush=True)
    return rows


def measure(out: Path, wanted: Sequence[Case], at_once: int, seconds: float, processes: int) -> None:
    """Measure what the file lacks, some in a process, until the time is over."""
    start, file = time.monotonic(), SampleFile(out)
    if not file.has(Environment, 0):
        with Worker(Machine, "cuda") as machine:
            machine.ask("describe")
            file.append([machine.answer(ANSWER_S)])
    missing = [case for case in wanted if not file.has(CaseProfile, case) and not file.has(Refusal, case)]
    random.Random(0).shuffle(missing)  # what is measured when the time is over is a sample of all
    left, taking, measuring = iter(missing), threading.Lock(), threading.Lock()

    def work() -> None:
        while time.monotonic() - start < seconds:
            with taking:
                chunk = list(islice(left, at_once))
            if not chunk:
                return
            rows = measured(chunk, measuring)
            with taking:
                file.append(rows)

    threads = [threading.Thread(target=work) for _ in range(processes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{time.monotonic() - start:.0f} s: {len(file.of(CaseProfile))} of {len(wanted)} measured")
    for refusal in file.of(Refusal):
        print(refusal.case, refusal.reason[:150])


def program_of(case: Case) -> Program:
    """What a runtime does with a call. Raises PredictorError where nothing is known of it."""
    torch.manual_seed(0)
    target = Target(torch.__version__.split("+")[0])
    try:
        with weights_on_meta():
            module, inputs = made(case)
    except RuntimeError:  # it looks at a weight as it is made
        module, inputs = made(case)
    runtime = runtimes.load(case.runtime)
    return runtime.lower(graph_of(module, inputs, case.dtype, case.runtime, mode=runtime.mode_on(target)), target)


def line(profile: CaseProfile, program: Program, calibration: Calibration) -> tuple[float, str]:
    """Logarithm of predicted over measured kernel time, and both in words."""
    calls = price(program, calibration, calibration.host(program.runtime)).calls
    predicted = [
        (kernel.family, cost.seconds, cost.launches)
        for call, priced in zip(program.calls, calls, strict=True)
        for kernel, cost in zip(call.kernels, priced.kernels, strict=True)
    ]
    seconds, taken = sum(s for _, s, _ in predicted), float(np.min(profile.kernels_s))
    error = float(np.log(max(seconds, 1e-9) / max(taken, 1e-9)))
    launches = f"{sum(n for *_, n in predicted)}/{profile.launches}"
    families = "+".join(dict.fromkeys(family for family, *_ in predicted))
    names = ", ".join(name.split("<")[0][-28:] for name in profile.names)
    case = f"{profile.case.model}/{profile.case.dtype}"
    return error, f"{case:44} {1e6 * seconds:9.1f} of {1e6 * taken:9.1f} us {launches:>7} {families:30.30} {names:.90}"


def read(path: Path, calibration: Calibration, chosen: Sequence[str], names: str) -> None:
    """Print every call whose name fits, and errors in all."""
    for runtime in chosen:
        lines = []
        for profile in SampleFile(path).of(CaseProfile):
            if profile.case.runtime == runtime and re.search(names, profile.case.model):
                try:
                    lines.append(line(profile, program_of(profile.case), calibration))
                except PredictorError as error:
                    print(f"{profile.case}: {one_line(error)}", file=sys.stderr)
        for error, text in sorted(lines, key=lambda one: -abs(one[0])):
            print(f"{np.expm1(error):+7.0%} {text}")
        off = np.abs(np.expm1([error for error, _ in lines]))
        print(f"{runtime}: {len(off)} calls, kernel time {np.mean(off):.1%} off, median {np.median(off):.1%}")


def main() -> None:
    """Measure, or read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="measure into this file")
    parser.add_argument("--read", type=Path, help="read this file")
    parser.add_argument("--gpu", default="h200")
    parser.add_argument("--calls", default="", help="those whose names a regular expression finds, of what is read")
    parser.add_argument("--of", default="", help="libraries, of ``benchmarks.coverage``: their models instead of calls")
    parser.add_argument("--batches", default="1", help="of models of libraries")
    parser.add_argument("--without", default="", help="models of libraries that are left out, as a regular expression")
    parser.add_argument("--runtimes", default="eager")
    parser.add_argument("--seconds", type=float, default=400.0, help="when to stop")
    parser.add_argument("--processes", type=int, default=13)
    options = parser.parse_args()
    if options.out and options.of:
        found = models(options.of.split(","), [int(batch) for batch in options.batches.split(",")])
        wanted = [case for case in found if not options.without or not re.search(options.without, case.model)]
        measure(options.out, wanted, MODELS_AT_ONCE, options.seconds, options.processes)
    elif options.out:
        wanted = [case for name in options.runtimes.split(",") for case in cases(name)]
        measure(options.out, wanted, AT_ONCE, options.seconds, options.processes)
    if options.read:
        read(options.read, load_calibration(options.gpu), options.runtimes.split(","), options.calls)


if __name__ == "__main__":
    main()
