"""Operators of torch one by one: measure the calls of ``operator_calls`` on the GPU at hand, or read what was measured.

    python -m benchmarks.operator_audit --out FILE.jsonl.gz --runtimes eager,compile --seconds 400
    python -m benchmarks.operator_audit --read calibrations/h200/samples/operators.jsonl.gz --gpu h200

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

import numpy as np
import torch
from torch.utils._pytree import tree_leaves

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
from predictor.errors import PredictorError, one_line
from predictor.predict import graph_of
from predictor.pricing.program import price
from predictor.records import Program, Target
from predictor.sources.built import weights_on_meta

AT_ONCE = 12
"""Calls of a process."""

PREPARE_S, ANSWER_S = 150.0, 30.0
"""Limits of an answer: a process that takes longer is killed, and its calls are left for another run."""


def cases(runtime: str) -> list[Case]:
    """Every call under a runtime."""
    return [Case(name, 1, make()[2], runtime) for name, make in CALLS.items()]


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
        module, inputs, _ = CALLS[case.model]()
        try:
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
        taken = tuple(round(seconds, 7) for seconds in pass_seconds(self.runs[case][0], "cuda", 15))
        return CaseRound(case, 0, taken, (before, probe()))

    def open_profiler(self) -> None:
        """Its first run takes seconds: here, where others can do the same at the same time."""
        profile_events(Probe("cuda"))

    @torch.inference_mode()
    def profile(self, case: Case) -> CaseProfile:
        """Its kernels."""
        profiler = CaseProfiler()
        taken: Profile = in_short([profiler.events(*self.runs[case]) for _ in range(3)])
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


def measure(out: Path, names: Sequence[str], seconds: float, processes: int) -> None:
    """Measure what the file lacks, until the time is over."""
    start, file = time.monotonic(), SampleFile(out)
    if not file.has(Environment, 0):
        with Worker(Machine, "cuda") as machine:
            machine.ask("describe")
            file.append([machine.answer(ANSWER_S)])
    missing = [c for name in names for c in cases(name) if not file.has(CaseProfile, c) and not file.has(Refusal, c)]
    random.Random(0).shuffle(missing)  # what is measured when the time is over is a sample of all
    left, taking, measuring = iter(missing), threading.Lock(), threading.Lock()

    def work() -> None:
        while time.monotonic() - start < seconds:
            with taking:
                chunk = list(islice(left, AT_ONCE))
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
    print(f"{time.monotonic() - start:.0f} s: {len(file.of(CaseProfile))} of {len(names) * len(CALLS)} calls measured")
    for refusal in file.of(Refusal):
        print(refusal.case, refusal.reason[:150])


def program_of(case: Case) -> Program:
    """What a runtime does with a call. Raises PredictorError where nothing is known of it."""
    torch.manual_seed(0)
    target = Target(torch.__version__.split("+")[0])
    try:
        with weights_on_meta():
            module, inputs, _ = CALLS[case.model]()
    except RuntimeError:  # it looks at a weight as it is made
        module, inputs, _ = CALLS[case.model]()
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
    parser.add_argument("--runtimes", default="eager")
    parser.add_argument("--seconds", type=float, default=400.0, help="when to stop")
    parser.add_argument("--processes", type=int, default=13)
    options = parser.parse_args()
    if options.out:
        measure(options.out, options.runtimes.split(","), options.seconds, options.processes)
    if options.read:
        read(options.read, load_calibration(options.gpu), options.runtimes.split(","), options.calls)


if __name__ == "__main__":
    main()
