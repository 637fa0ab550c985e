"""Measure the models and the figures of The Framework Tax (Fernandez et al., EMNLP 2023) on the GPU at hand:

    python -m benchmarks.measure_paper --out FILE.jsonl.gz --part zoo --seconds 540

Parts: the whole zoo in three runtimes; twelve models that cover every family in all runtimes; generation and decode
steps; the sweeps that the figures are made of. Rows are on disk as they are taken, the cases that are worth most first.
Run again with the same file, or with ``--skip`` and what other runs wrote, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path

import models_zoo
from benchmarks.torchvision_operators import import_torchvision
from calibrate.measure.models import Bench, Protocol, complete, measure
from calibrate.samples.records import CaseProfile, Refusal
from calibrate.samples.store import SampleFile
from calibrate.workloads.cases import Case

TORCHVISION = "PAPER_TORCHVISION"
"""Variable of the environment that names a folder with torchvision for the processes that measure."""

EAGER, TRACED, REPLAYED = "eager", "torchscript", "cudagraph"
PYTORCH = (EAGER, TRACED, REPLAYED)
SLOW = ("compile", "compile-cudagraph", "onnx", "onnx-cudagraph")
"""Runtimes that take long to prepare."""

FAST_PATH = "bettertransformer"

GENERATION = ("gpt2-generate", "llama-decode", "qwen-decode")

FAMILIES = (
    *("bert-base", "funnel-base", "squeezebert", "fnet", "gpt2", "deberta"),
    *("wavlm", "whisper-encoder", "resnet50", "mobilenet_v3", "efficientnet_b0", "swin"),
)
"""A model of every family: plain, pooled, grouped, Fourier and relative attention, causal, speech, residual, depthwise
and windowed.
"""

ENCODERS = ("bert-base", "distilbert", "roberta", "bert-base-d3", "bert-base-d24")

POWERS = (1, 2, 4, 8, 16, 32, 64, 128)
SINGLE_PRECISION_ALONE = ("fnet",)
"""Models that no GPU runs in fp16: cuFFT has no half-precision transforms of their sizes."""


def cases(
    models: Iterable[str],
    runtimes: Iterable[str],
    batches: Iterable[int] = (1, 32),
    dtypes: Iterable[str] = ("fp16",),
    length: int = 0,
    lengths: str = "",
) -> Iterator[Case]:
    """Every combination; fp32 for models that have no other."""
    for model, runtime, dtype, batch in product(models, tuple(runtimes), tuple(dtypes), tuple(batches)):
        if model in SINGLE_PRECISION_ALONE and dtype == "fp16":
            yield Case(model, batch, "fp32", runtime, length, lengths)
        else:
            yield Case(model, batch, dtype, runtime, length, lengths)


def zoo() -> Iterator[Case]:
    """All models in what needs no compiler: eager first, so that each is measured at least there."""
    models = [name for name in models_zoo.names() if name not in GENERATION]
    for runtime in PYTORCH:
        yield from cases(models, [runtime])


def runtimes() -> Iterator[Case]:
    """Twelve models in all runtimes, and the encoders on torch's fast path."""
    batches = (1, 8, 32)
    yield from cases(ENCODERS[:3], [FAST_PATH], batches)
    for runtime in ("onnx", "compile-cudagraph", "compile", "onnx-cudagraph"):
        yield from cases(FAMILIES, [runtime], batches)
    for runtime in PYTORCH:
        yield from cases(FAMILIES, [runtime], batches)


def generation() -> Iterator[Case]:
    """A prompt and 16 steps, and single steps after 128 tokens."""
    for runtime in (EAGER, REPLAYED, TRACED):
        yield from cases(GENERATION[1:], [runtime], (1, 8, 32))
        yield from cases(GENERATION[:1], [runtime], (1, 8, 32))
    yield from cases(GENERATION[1:], ("compile-cudagraph", "compile", "onnx", "onnx-cudagraph"), (1, 8))
    yield from cases(GENERATION[:1], [EAGER], (2, 4, 16, 64, 128))


def sweeps() -> Iterator[Case]:
    """What the figures and tables show: batches, dtypes, lengths, depth and width, padded texts."""
    # Figure 5 and the padded texts of section 5: the fast path beside CUDA graphs
    yield from cases(("bert-base", "distilbert"), (FAST_PATH, EAGER, REPLAYED), POWERS, lengths="ptb")
    # Figures 1, 3, 7, 8: efficient transformers over the batch
    text = ("bert-base", "funnel-base", "squeezebert", "mobilebert", "distilbert", "fnet")
    yield from cases(text, [EAGER], POWERS)
    yield from cases(text, [EAGER], POWERS, ("fp32",))
    # Figures 11, 12, 13 and Table 3: vision and speech over the batch
    image = (
        "resnet18",
        "resnet50",
        "resnet101",
        "mobilenet_v2",
        "mobilenet_v3",
        "efficientnet_b0",
        "vit-base",
        "vit-b32",
    )
    yield from cases((*image, "wavlm"), [EAGER], POWERS)
    # Figure 6: depth and width
    deep = ("bert-base-d3", "bert-base-d6", "bert-base-d24")
    wide = ("bert-base-w384", "bert-base-w1536", "bert-base-w3072")
    yield from cases((*deep, *wide), [EAGER], (1, 4, 16, 64, 128))
    # Figure 4: runtimes, precisions and lengths
    for runtime in (TRACED, REPLAYED, "onnx"):
        yield from cases(("bert-base",), [runtime], POWERS, ("fp16", "fp32"))
    for runtime, dtype, length in product((EAGER, TRACED, "onnx"), ("fp16", "fp32"), (16, 32, 64, 256, 384)):
        yield from cases(("bert-base",), [runtime], (1, 8, 32), [dtype], length)
    # Table 1 and Figures 7, 8 in the other runtimes
    yield from cases(text[1:], (TRACED, "onnx"), (1, 8, 32, 128), ("fp16", "fp32"))
    # Figures 11, 12 in the other runtimes and in fp32
    yield from cases((*image, "wavlm"), [EAGER], POWERS, ("fp32",))
    yield from cases((*image, "wavlm"), [TRACED, REPLAYED], (1, 8, 32, 128))
    yield from cases(("gpt2",), [EAGER, TRACED], POWERS)


PARTS = {"zoo": zoo, "runtimes": runtimes, "sweeps": sweeps, "generation": generation}


class PaperBench(Bench):
    """A case in a process of its own, with torchvision from a folder where it is not installed."""

    def __init__(self, model: str, dtype: str, device: str) -> None:
        folder = os.environ.get(TORCHVISION)
        if folder and models_zoo.library(model) == "torchvision":
            sys.path.append(folder)
            import_torchvision()
        super().__init__(model, dtype, device)


def main() -> None:
    """Measure what is missing until the time is over."""
    start = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="file of samples, appended to")
    parser.add_argument("--skip", type=Path, nargs="*", default=[], help="files of samples whose cases are done")
    parser.add_argument("--part", default="zoo", help=f"one or more, comma-separated: {', '.join(PARTS)}")
    parser.add_argument("--runtimes", default="", help="these alone, comma-separated")
    parser.add_argument("--models", default="", help="these alone, comma-separated")
    parser.add_argument("--batches", default="", help="these alone, comma-separated")
    parser.add_argument("--seconds", type=float, default=540.0, help="when to stop")
    parser.add_argument("--prepare-limit", type=float, default=100.0, help="seconds for one case to compile")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--passes", type=int, default=12)
    parser.add_argument("--wave", type=int, default=28, help="processes that are measured together")
    parser.add_argument("--torchvision", type=Path, help="folder that has it, where it is not installed")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    options = parser.parse_args()
    if options.torchvision:
        os.environ[TORCHVISION] = str(options.torchvision.resolve())
    done = [SampleFile(path) for path in options.skip]
    file = SampleFile(options.out)
    wanted = [case for part in options.part.split(",") for case in PARTS[part]()]
    if options.device == "cpu":
        wanted = [Case(c.model, c.batch, "fp32", c.runtime, c.length, c.lengths) for c in wanted]
    kept = {"runtime": options.runtimes, "model": options.models, "batch": options.batches}
    for field, names in kept.items():
        wanted = [c for c in wanted if not names or str(getattr(c, field)) in names.split(",")]
    protocol = Protocol(
        **{"rounds": options.rounds, "passes": options.passes, "profiles": 2, "pass_budget_s": 0.1},
        **{"prepare_limit_s": options.prepare_limit, "answer_limit_s": 60.0, "wave": options.wave, "wave_s": 45.0},
        total_s=start + options.seconds - time.monotonic(),
    )
    missing = [c for c in dict.fromkeys(wanted) if not any(complete([c], other, protocol) for other in done)]
    print(f"{len(missing)} cases of {len(set(wanted))}", file=sys.stderr, flush=True)
    measure(missing, file, options.device, protocol, Progress(start, missing, file, protocol), bench=PaperBench)
    measured, refused = file.of(CaseProfile), file.of(Refusal)
    print(f"{time.monotonic() - start:.0f} s: {len(measured)} cases measured, {len(refused)} cannot run", flush=True)
    for refusal in refused:
        print(refusal.case, refusal.reason[:150], sep="  ")


class Progress:
    """A line for every hundred steps."""

    def __init__(self, start: float, wanted: Sequence[Case], file: SampleFile, protocol: Protocol) -> None:
        self.start, self.file, self.steps, self.told = start, file, 0, 0
        self.all = len(wanted) * (protocol.rounds + 2)

    def __call__(self, steps: int) -> None:
        self.steps += steps
        if self.steps >= self.told + 100:
            self.told = self.steps
            seconds = time.monotonic() - self.start
            print(f"{seconds:5.0f} s: {self.steps} of {self.all} steps, {len(self.file)} rows", file=sys.stderr)


if __name__ == "__main__":
    main()
