"""Random designs of two kinds, drawn by their number: encoders like BERT (depth, width, heads, feed-forward, tokens)
and networks of Once-for-All's MobileNetV3 space. How well are they ranked, at a batch size, under a runtime?

    python -m benchmarks.ranked_designs measure FILE.jsonl.gz --seconds 300      # on the GPU at hand
    python -m benchmarks.ranked_designs rank FILE.jsonl.gz --gpu h200            # anywhere
    python -m benchmarks.ranked_designs squeezed FILE.jsonl.gz --out OUT.json.gz

The last writes what convolutions over one pixel took there, [batch, input and output channels, bias, seconds] each.

A design is a model that any command takes: ``predict benchmarks/ranked_designs.py:encoder_07 --gpu h200``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import combinations, groupby, product
from pathlib import Path

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr
from torch import nn

from benchmarks.battery_accuracy import with_programs
from benchmarks.kernel_residuals import residuals
from benchmarks.search_networks import SPACES, ofa_mobilenetv3, random_ofa
from calibrate.measure.models import Protocol, measure
from calibrate.samples.programs import restored
from calibrate.samples.records import CaseProfile, CaseRound, ProgramRecord, Refusal
from calibrate.samples.rounds import Round
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


@contextmanager
def captured(path: Path, gpu: str, runtimes: Sequence[str]) -> Iterator[SampleFile]:
    """The measurements under some runtimes, with programs that are captured anew."""
    batches = ",".join(map(str, BATCHES))
    wanted = argparse.Namespace(gpu=gpu, runtimes=",".join(runtimes), dtypes="fp16", batches=batches, seconds=60)
    with tempfile.TemporaryDirectory() as folder:
        yield with_programs(SampleFile(path), Path(folder) / "programs.jsonl.gz", wanted)


def squeezed(path: Path, gpu: str, out: Path) -> None:
    """Write what convolutions over one pixel took in CUDA graphs, the mean over all networks that have one."""
    calibration, seconds = load_calibration(gpu), defaultdict(list)
    with captured(path, gpu, ["cudagraph"]) as file:
        for profile in file.of(CaseProfile):
            recorded = file.find(ProgramRecord, profile.case)
            if recorded is None or recorded.program is None:
                continue
            for found in residuals(profile, restored(recorded.program), calibration):
                dims = found.kernel.dims
                if found.kernel.family == "conv" and dims["h"] == dims["w"] == 1:
                    shape = dims["batch"], dims["c_in"], dims["c_out"], dims.get("bias", 0)
                    seconds[tuple(map(int, shape))].append(found.measured_s)
    rows = [[*shape, round(float(np.mean(measured)), 9)] for shape, measured in sorted(seconds.items())]
    out.write_bytes(gzip.compress(json.dumps(rows).encode(), mtime=0))


def repeated_tau(rounds: Sequence[Sequence[Round]]) -> tuple[float, float]:
    """How well measurements rank themselves. rounds: of each design. Kendall's tau of half of the rounds with the other
    half, and with all rounds, the mean over all ways to choose them.

    The latter is what a perfect prediction is expected to reach: where rounds are equally noisy, half of them differ
    from all as much as all differ from the truth, by the variance of one divided by their number. Rounds count in
    seconds, or in units of the host probes beside them where that repeats better.
    """
    count = min(map(len, rounds))
    seconds = np.log([[one.seconds for one in own[:count]] for own in rounds])
    probes = np.log([[(one.probe_before_s + one.probe_after_s) / 2 for one in own[:count]] for own in rounds])
    return max(_tau_of_halves(seconds), _tau_of_halves(seconds - probes))


def _tau_of_halves(values: NDArray[np.float64]) -> tuple[float, float]:
    """Tau of half of the columns with the other half, and with all."""
    count = values.shape[1]
    taus = []
    for half in combinations(range(count), count // 2):
        chosen, others = values[:, half].mean(axis=1), np.delete(values, half, axis=1).mean(axis=1)
        taus.append([kendalltau(chosen, against).statistic for against in (others, values.mean(axis=1))])
    with_others, with_all = np.mean(taus, axis=0)
    return float(with_others), float(with_all)


def ranked(path: Path, gpu: str) -> None:
    """Print a line for each kind, runtime and batch size: beside the tau of the predictions those of the measurements
    with themselves, see ``repeated_tau``.
    """
    calibration = load_calibration(gpu)
    rounds: dict[tuple[str, int, str], list[Round]] = defaultdict(list)
    with captured(path, gpu, RUNTIMES) as file:
        rows = [row for runtime in RUNTIMES for row in accuracy.rows(file, calibration, runtime)]
        for sample in file.of(CaseRound):
            rounds[sample.case.model, sample.case.batch, sample.case.runtime].append(sample.round)

    def key(row: accuracy.Row) -> tuple[str, str, int]:
        return row.model.rpartition(":")[2].partition("_")[0], row.runtime, row.batch

    print(f"{'':26} designs   tau  halves  ceiling  Spearman   MAPE  in 90 %")
    for (kind, runtime, batch), group in groupby(sorted(rows, key=key), key):
        own = list(group)
        predicted, seconds = [row.predicted["queue"] for row in own], [row.measured.seconds for row in own]
        tau, rho = kendalltau(predicted, seconds).statistic, spearmanr(predicted, seconds).statistic
        halves, ceiling = repeated_tau([rounds[row.model, row.batch, row.runtime] for row in own])
        error = np.mean([abs(row.error()) for row in own])
        held = np.mean([row.covered for row in own])
        print(
            f"{kind:8} {runtime:10} {batch:>6} {len(own):>8} {tau:>6.3f} {halves:>7.3f} {ceiling:>8.3f} {rho:>9.3f} "
            f"{error:>6.1%} {held:>7.0%}"
        )


def main() -> None:
    """Measure, rank, or write what convolutions over one pixel took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["measure", "rank", "squeezed"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--gpu", default="h200")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--out", type=Path, default=Path("squeezed.json.gz"))
    parser.add_argument("--seconds", type=float, default=300.0, help="when to stop measuring")
    options = parser.parse_args()
    start = time.monotonic()
    if options.what == "measure":
        taken(options.file, options.device, options.seconds)
    elif options.what == "rank":
        ranked(options.file, options.gpu)
    else:
        squeezed(options.file, options.gpu, options.out)
    print(f"{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
