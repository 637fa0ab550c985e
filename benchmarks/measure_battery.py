"""Measure the battery, or the zoo, on the GPU at hand:

    python -m benchmarks.measure_battery --out FILE.jsonl.gz --split learn --seconds 540

Rows are on disk as they are taken. Run again with the same file, or with ``--skip`` and what other runs wrote, it goes
on where it stopped. The order is: the first model of every family under all runtimes, then the other models, then
other batches and dtypes; of the zoo, fp16, then fp32.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import models_zoo
from benchmarks.battery import families
from calibrate.measure.models import Protocol, complete, measure
from calibrate.samples.records import CaseProfile, Refusal
from calibrate.samples.store import SampleFile
from calibrate.workloads.cases import Case

TIERS = (("eager", "torchscript", "cudagraph"), ("compile", "compile-cudagraph"), ("onnx", "onnx-cudagraph"))
"""Runtimes by what they take to prepare."""


ZOO: tuple[tuple[tuple[str, int], ...], ...] = (
    (("fp16", 1), ("fp16", 8), ("fp16", 32), ("fp16", 128)),
    (("fp32", 1), ("fp32", 8), ("fp32", 32), ("fp32", 128)),
)
"""(Dtype, batch) of the zoo's models, part by part."""


def parts(split: str, runtimes: Sequence[str], only: Sequence[str]) -> list[list[Case]]:
    """What is measured one after another."""
    tiers = [[name for name in tier if name in runtimes] for tier in TIERS]
    if split == "zoo":
        models = [name for name in models_zoo.names() if not only or name in only]
        return [[Case(m, b, d, r) for tier in tiers for m in models for r in tier for d, b in part] for part in ZOO]
    more = families.variants(split)
    found = []
    for block in families.blocks(split):
        chosen = [model for model in block if not only or model in only]
        found.append([_case(m, d, b, r) for tier in tiers for m in chosen for r in tier for d, b in families.usual(m)])
    others = [model for model in more if not only or model in only]
    return [*found, [_case(m, d, b, r) for tier in tiers for m in others for r in tier for d, b in more[m]]]


def _case(model: str, dtype: str, batch: int, runtime: str) -> Case:
    return Case(families.specification(model), batch, dtype, runtime)


def main() -> None:
    """Measure what is missing until the time is over."""
    start = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="file of samples, appended to")
    parser.add_argument("--skip", type=Path, nargs="*", default=[], help="files of samples whose cases are done")
    parser.add_argument("--split", choices=["learn", "held_out", *families.UNSEEN, "zoo"], default="learn")
    parser.add_argument("--runtimes", default=",".join(name for tier in TIERS for name in tier))
    parser.add_argument("--models", default="", help="these alone, as file:function, comma-separated")
    parser.add_argument("--parts", default="0,1,2", help="0: first models of the families, 1: others, 2: variants")
    parser.add_argument("--dtypes", default="", help="these alone, comma-separated; on a CPU all are fp32")
    parser.add_argument("--batches", default="", help="these alone, comma-separated")
    parser.add_argument("--seconds", type=float, default=3600.0, help="when to stop")
    parser.add_argument("--prepare-limit", type=float, default=100.0, help="seconds for one case to compile")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--passes", type=int, default=12)
    parser.add_argument("--wave", type=int, default=28, help="processes that are measured together")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    options = parser.parse_args()
    done = [SampleFile(path) for path in options.skip]
    file = SampleFile(options.out)
    wanted = parts(options.split, options.runtimes.split(","), [m for m in options.models.split(",") if m])
    cases = [case for number in map(int, options.parts.split(",")) for case in wanted[number]]
    if options.device == "cpu":
        cases = list(dict.fromkeys(Case(c.model, c.batch, "fp32", c.runtime) for c in cases))
    cases = [c for c in cases if not options.dtypes or c.dtype in options.dtypes.split(",")]
    cases = [c for c in cases if not options.batches or str(c.batch) in options.batches.split(",")]
    protocol = Protocol(
        **{"rounds": options.rounds, "passes": options.passes, "profiles": 2, "pass_budget_s": 0.08},
        **{"prepare_limit_s": options.prepare_limit, "answer_limit_s": 30.0, "wave": options.wave, "wave_s": 45.0},
        total_s=start + options.seconds - time.monotonic(),
    )
    cases = [c for c in cases if not any(complete([c], other, protocol) for other in done)]
    measure(cases, file, options.device, protocol, _Progress(start, cases, file, protocol))
    measured, refused = file.of(CaseProfile), file.of(Refusal)
    print(f"{time.monotonic() - start:.0f} s: {len(measured)} cases measured, {len(refused)} cannot run", flush=True)
    for refusal in refused:
        print(str(refusal.case).removeprefix("benchmarks/battery/"), refusal.reason[:150], sep="  ")


class _Progress:
    """A line for every hundred steps."""

    def __init__(self, start: float, cases: Sequence[Case], file: SampleFile, protocol: Protocol) -> None:
        self.start, self.file, self.steps, self.said = start, file, 0, 0
        self.all = len(cases) * (protocol.rounds + 2)

    def __call__(self, steps: int) -> None:
        self.steps += steps
        if self.steps >= self.said + 100:
            self.said = self.steps
            seconds = time.monotonic() - self.start
            print(f"{seconds:5.0f} s: {self.steps} of {self.all} steps, {len(self.file)} rows", file=sys.stderr)


if __name__ == "__main__":
    main()
