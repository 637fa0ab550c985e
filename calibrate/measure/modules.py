"""Generated modules under eager and under every other runtime: what host coefficients are fitted on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from calibrate.measure.models import Protocol, measure, placed
from calibrate.measure.timers import Probe, pass_seconds
from calibrate.samples.records import CaseRound
from calibrate.samples.store import SampleFile
from calibrate.workloads.cases import Case
from calibrate.workloads.device import Run
from calibrate.workloads.generated import SOURCES
from calibrate.workloads.sources import build
from predictor.runtimes.eager import execution, lowering

Advance = Callable[[int], None]

PROTOCOL = Protocol(rounds=3, passes=10, profiles=2)
"""How modules are measured under runtimes besides eager."""

STEPS = PROTOCOL.rounds + 2
"""Of each of them, that ``run_cases`` tells of."""

PROGRESS_EVERY = 10
"""Modules between two reports of progress, each of half as many steps."""


def eager_cases(count: Mapping[str, int], device: str) -> list[Case]:
    """Modules whose eager latency the host coefficients are fitted on. count: source -> how many."""
    return [
        Case(SOURCES[source].model(seed), 1, "fp16" if device == "cuda" and seed % 2 else "fp32", lowering.NAME)
        for source, number in count.items()
        for seed in range(number)
    ]


def prepare_modules(cases: Sequence[Case], device: str) -> dict[Case, Run]:
    """A pass of each module, which has run."""
    ready = {}
    for case in cases:
        with torch.device(device):  # random weights are made there many times faster
            module, inputs = build(case.model, device)
        ready[case] = run_once = execution.prepare(*placed(module, inputs, case.dtype, device))
        pass_seconds(run_once, device, 2)
    return ready


def run_modules(
    ready: Mapping[Case, Run], file: SampleFile, device: str, rounds: int, passes: int, advance: Advance
) -> None:
    """Latency of eager modules in interleaved rounds, the host probe before and after each case."""
    probe = Probe(device)
    for number in range(rounds):
        for done, (case, run_once) in enumerate(ready.items(), start=1):
            if not file.has(CaseRound, (case, number)):
                pass_seconds(run_once, device, 2)
                before = probe.recent()
                passes_s = tuple(pass_seconds(run_once, device, passes))
                file.append([CaseRound(case, number, passes_s, (before, probe()))])
            if done % PROGRESS_EVERY == 0:
                advance(PROGRESS_EVERY // 2)


def cases(count: Mapping[str, int], runtime: str, device: str) -> list[Case]:
    """Modules to run under a runtime: of three one in fp32, one in fp16, and one in fp16 with a batch of 16. On a CPU,
    which has little use for half precision, all are as the first. count: source -> how many.
    """
    kinds = [(1, "fp32"), (1, "fp16"), (16, "fp16")] if device == "cuda" else [(1, "fp32")]
    return [
        Case(SOURCES[source].model(seed), *kinds[seed % len(kinds)], runtime)
        for source, number in count.items()
        for seed in range(number)
    ]


def run_cases(
    wanted: Sequence[Case],
    file: SampleFile,
    device: str,
    advance: Advance,
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Measure modules under each runtime, what the file does not have yet. meanwhile: see ``measure``."""
    measure(wanted, file, device, PROTOCOL, advance, meanwhile)
