"""Random designs of two kinds, drawn by their number: encoders like BERT (depth, width, heads, feed-forward, tokens)
and networks of Once-for-All's MobileNetV3 space. How well are they ranked, at a batch size, under a runtime?

    python -m benchmarks.ranked_designs measure FILE.jsonl.gz --seconds 300      # on the GPU at hand
    python -m benchmarks.ranked_designs rank FILE.jsonl.gz --gpu h200            # anywhere

A design is a model that any command takes: ``predict benchmarks/ranked_designs.py:encoder_07 --gpu h200``.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby, product
from pathlib import Path

import numpy as np
import torch
import transformers
from scipy.stats import kendalltau, spearmanr
from torch import nn

from benchmarks.battery_accuracy import with_programs
from benchmarks.search_networks import SPACES, ofa_mobilenetv3, random_ofa
from calibrate.measure.models import Protocol, measure
from calibrate.samples.records import CaseProfile, Refusal
from calibrate.samples.store import SampleFile
from calibrate.validate import accuracy
from calibrate.workloads.cases import Case
from predictor.calibration.load import load_calibration

Made = tuple[nn.Module, dict[str, torch.Tensor]]

COUNT = 36
"""Designs of each kind."""

RUNTIMES, BATCHES = ("eager", "cudagraph"), (1, 16)


def encoder(number: int, batch: int) -> Made:
    """A random encoder: 1 to 16 layers of 128 to 1,024 features, heads of 32 or 64, 32 to 256 tokens."""
    rng = random.Random(number)
    width = 64 * rng.randint(2, 16)
    config = transformers.BertConfig(
        vocab_size=8_192,
        num_hidden_layers=rng.randint(1, 16),
        hidden_size=width,
        num_attention_heads=width // rng.choice((32, 64)),
        intermediate_size=int(width * rng.choice((1, 2, 3, 4, 6))),
    )
    tokens = rng.choice((32, 64, 128, 256))
    ids = torch.zeros(batch, tokens, dtype=torch.long)
    return transformers.BertModel(config).eval(), {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def mobile(number: int, batch: int) -> Made:
    """A random network of Once-for-All's MobileNetV3 space, at 224 pixels."""
    pixels = SPACES["ofa-mobilenetv3"].pixels
    return ofa_mobilenetv3(random_ofa(number)), {"x": torch.rand(batch, 3, pixels, pixels)}


KINDS: dict[str, Callable[[int, int], Made]] = {"encoder": encoder, "mobile": mobile}

globals().update({f"{kind}_{n:02d}": partial(build, n) for (kind, build), n in product(KINDS.items(), range(COUNT))})


def cases() -> Iterator[Case]:
    """Every design, in fp16; the kinds take turns."""
    for runtime, number, kind, batch in product(RUNTIMES, range(COUNT), KINDS, BATCHES):
        yield Case(f"benchmarks/ranked_designs.py:{kind}_{number:02d}", batch, "fp16", runtime)


def taken(path: Path, device: str, seconds: float) -> None:
    """Measure what a file lacks, for some seconds."""
    file = SampleFile(path)
    wanted = [case for case in cases() if device == "cuda" or case.runtime == "eager"]
    if device == "cpu":
        wanted = [Case(case.model, case.batch, "fp32", case.runtime) for case in wanted]
    protocol = Protocol(
        **{"rounds": 4, "passes": 12, "profiles": 1, "pass_budget_s": 0.06, "wave": 28, "wave_s": 45.0},
        **{"prepare_limit_s": 60.0, "answer_limit_s": 30.0, "total_s": seconds},
    )
    measure(wanted, file, device, protocol, lambda steps: None)
    print(f"{len(file.of(CaseProfile))} of {len(wanted)} measured, {len(file.of(Refusal))} cannot run", flush=True)


def ranked(path: Path, gpu: str) -> None:
    """Print a line for each kind, runtime and batch size."""
    measured, calibration = SampleFile(path), load_calibration(gpu)
    with tempfile.TemporaryDirectory() as folder:
        wanted = argparse.Namespace(
            gpu=gpu, runtimes=",".join(RUNTIMES), dtypes="fp16", batches=",".join(map(str, BATCHES)), seconds=60
        )
        file = with_programs(measured, Path(folder) / "programs.jsonl.gz", wanted)
        rows = [row for runtime in RUNTIMES for row in accuracy.rows(file, calibration, runtime)]

    def key(row: accuracy.Row) -> tuple[str, str, int]:
        return row.model.rpartition(":")[2].partition("_")[0], row.runtime, row.batch

    print(f"{'':26} designs   tau  Spearman   MAPE  in 90 %")
    for (kind, runtime, batch), group in groupby(sorted(rows, key=key), key):
        own = list(group)
        predicted, seconds = [row.predicted["queue"] for row in own], [row.measured.seconds for row in own]
        tau, rho = kendalltau(predicted, seconds).statistic, spearmanr(predicted, seconds).statistic
        error = np.mean([abs(row.error()) for row in own])
        held = np.mean([row.covered for row in own])
        print(f"{kind:8} {runtime:10} {batch:>6} {len(own):>8} {tau:>6.3f} {rho:>8.3f} {error:>7.1%} {held:>8.0%}")


def main() -> None:
    """Measure, or rank."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["measure", "rank"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--gpu", default="h200")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--seconds", type=float, default=300.0, help="when to stop measuring")
    options = parser.parse_args()
    start = time.monotonic()
    if options.what == "measure":
        taken(options.file, options.device, options.seconds)
    else:
        ranked(options.file, options.gpu)
    print(f"{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
