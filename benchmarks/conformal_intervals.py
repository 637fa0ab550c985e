"""How wide intervals must be to hold nine tenths of models that no fit has seen:

    python -m benchmarks.conformal_intervals --write --without drawn:patch_judges,drawn:unetr,drawn:seg_res_net \\
        --programs h200=calibrations/h200/battery/found-as_read.jsonl.gz \\
        h200=calibrations/h200/battery/picked-as_read.jsonl.gz \\
        h200=calibrations/h200/battery/drawn-as_read.jsonl.gz

(of ONNX Runtime, with ``--runtimes onnx,onnx-cudagraph``, found-onnx-as_read, picked-onnx-as_read and
drawn-onnx-as_read). Predicts the models of the latest readings, as they were captured then: what was mended in captures
because of them is not in these scales, as what a model that comes next will need is not; but copies before replays are
written as today's lowering writes them. The shipped scales are of the calibration of commit b54b302, before kernels of
the newest set were among the samples of its fits. With files of measurements
instead of ``--programs`` (``calibrations/h200/battery/learn*.jsonl.gz --gpu h200``) each model is captured anew. The
score of a case is its error in units of the predicted standard deviation. For every runtime and lane that decides,
``calibrations/intervals.json`` gets the scale that makes intervals hold ``HELD`` of the scores, with the finite-sample
correction of conformal prediction; groups of fewer than ``FEWEST`` cases take that of both lanes. Printed: how much
intervals hold before, and after with each family of models left out in turn. GPUs that are fitted to published passes
have their intervals from models left out (``calibrate fit --published``), those that are derived from how far
transfers are off: they have no scale.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.battery import families
from benchmarks.battery_accuracy import with_programs
from calibrate.samples.store import SampleFile
from calibrate.validate import accuracy
from predictor.calibration.interval_scales import FILE, IntervalScale, IntervalScales, interval_scale
from predictor.calibration.load import Calibration, load_calibration
from predictor.pricing.intervals import NINETY

FEWEST = 20
"""Cases of a group that has a scale of its own: with fewer their ninth tenth is the largest or the second largest."""

HELD = 0.92
"""Share of the scores that a scale holds, so that intervals hold nine tenths of the models that come next: what fits
and rules have learned since from the sets that are read makes their scores small. Scales that held 90 % of the scores
of the sets before held 71 to 88 % of the last one, 83 on average.
"""


@dataclass(frozen=True, slots=True)
class Score:
    """A case: its error in units of the standard deviation that the fits say."""

    runtime: str
    lane: str
    family: str
    deviations: float


def scores(file: SampleFile, calibration: Calibration, runtime: str, family_of: Mapping[str, str]) -> list[Score]:
    """Scores of the recorded cases of a runtime."""
    provenances = calibration.provenance, calibration.host(runtime).provenance
    found = []
    for row in accuracy.rows(file, calibration, runtime):
        lane = "host" if row.bound == "framework" else "device"
        scale = interval_scale(provenances, runtime, lane)
        log_sd = math.log(row.interval_s[1] / row.predicted["queue"]) / NINETY / scale
        error = abs(math.log(row.predicted["queue"] / row.measured.seconds))
        found.append(Score(runtime, lane, family_of.get(row.model, row.model), error / log_sd))
    return found


def quantile(values: Sequence[float]) -> float:
    """The value that ``HELD`` of further ones lie under: the ceil((n + 1) x share)-th of n."""
    ordered = sorted(values)
    return ordered[min(math.ceil((len(ordered) + 1) * HELD), len(ordered)) - 1]


def scale_of(group: Sequence[Score]) -> float:
    """Of the standard deviation, so that ``NINETY`` of it hold ``HELD`` of the group."""
    return quantile([score.deviations for score in group]) / NINETY


def held(group: Sequence[Score]) -> float:
    """Share of a group that intervals hold, each family by the scale of the others."""
    inside = []
    for family in {score.family for score in group}:
        others = [score for score in group if score.family != family]
        if others:
            limit = scale_of(others) * NINETY
            inside += [score.deviations <= limit for score in group if score.family == family]
    return float(np.mean(inside)) if inside else float("nan")


def write(scales: Sequence[IntervalScale], provenance: str, options: argparse.Namespace) -> None:
    """Put scales in place of those of their provenance and runtimes; others stay as they are."""
    before = msgspec.json.decode(FILE.read_bytes(), type=IntervalScales)
    runtimes = options.runtimes.split(",")
    kept = [s for s in before.scales if s.provenance != provenance or s.runtime not in runtimes]
    both = sorted([*kept, *scales], key=lambda s: (s.provenance, s.runtime, s.lane))
    written = msgspec.json.encode(IntervalScales(scales=both))
    FILE.write_bytes(msgspec.json.format(written) + b"\n")


def main() -> None:
    """Print, and write where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*", help="measurements of models, captured anew")
    parser.add_argument("--gpu", default="h200")
    parser.add_argument("--runtimes", default="eager,torchscript,cudagraph,compile,compile-cudagraph")
    parser.add_argument("--dtypes", default="fp16")
    parser.add_argument("--batches", default="1,16")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--programs", nargs="*", default=[], help="GPU=FILE of measurements that have programs already")
    parser.add_argument("--without", default="", help="models whose probe does not show the host, comma-separated")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    tables = (families.FAMILIES, *families.UNSEEN.values())
    family_of = {families.specification(m): name for table in tables for name, own in table.items() for m in own}
    groups: dict[tuple[str, str, str], list[Score]] = defaultdict(list)
    left_out = {family_of.get(families.specification(model)) for model in options.without.split(",") if model}
    named = [entry.split("=", 1) for entry in options.programs]
    calibrations = {gpu: load_calibration(gpu) for gpu in {options.gpu, *(gpu for gpu, _ in named)}}
    with tempfile.TemporaryDirectory() as folder:
        recorded = [(gpu, SampleFile(Path(path))) for gpu, path in named] or [
            (options.gpu, with_programs(SampleFile(path), Path(folder) / f"{number}.jsonl.gz", options))
            for number, path in enumerate(options.files)
        ]
        for runtime, (gpu, file) in product(options.runtimes.split(","), recorded):
            for score in scores(file, calibrations[gpu], runtime, family_of):
                if score.family not in left_out:
                    groups[calibrations[gpu].provenance, score.runtime, score.lane].append(score)
    scales = []
    print(
        f"{'provenance':10} {'runtime':18} {'lane':6} {'cases':>5} {'held before':>11} {'scale':>6} {'held after':>10}"
    )
    for (provenance, runtime, lane), own in sorted(groups.items()):
        both = [score for key, group in groups.items() if key[:2] == (provenance, runtime) for score in group]
        group = own if len(own) >= FEWEST else both
        before = np.mean([score.deviations <= NINETY for score in own])
        scale = scale_of(group)
        print(
            f"{provenance:10} {runtime:18} {lane:6} {len(own):>5} {before:>7.0%} {scale:>6.2f} {held(group):>6.0%}",
            flush=True,
        )
        scales.append(
            IntervalScale(
                provenance=provenance,
                runtime=runtime,
                lane=lane,
                cases=len(group),
                families=len({score.family for score in group}),
                scale=round(scale, 3),
                source=", ".join(options.programs)
                or f"{options.gpu}: {', '.join(path.name for path in options.files)}",
            )
        )
    if options.write:
        write(scales, scales[0].provenance, options)


if __name__ == "__main__":
    main()
