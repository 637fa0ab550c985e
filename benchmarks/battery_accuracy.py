"""Hold today's predictions against the battery's measurements, each model captured anew, as a user would:

    python -m benchmarks.battery_accuracy calibrations/h200/battery/learn*.jsonl.gz --gpu h200 --runtimes eager

Prints the error of every case and a line for each runtime: mean and median absolute error, worst, how many measurements
lie within their interval, half of whose width, and how far the measurements repeat; at last how often the fastest of
several runtimes is named, or one within 5 % of it. A model that takes longer than ``--seconds`` to capture is said and
left out. ``--programs FILE`` keeps the lowered programs, and takes them from there the next time. ``--graphs FOLDER``
keeps the captured graphs, a plan for each model, and takes from there those that it has: what is lowered is today's.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from calibrate.measure.programs import captured, lowered, record
from calibrate.samples.environment import exports_are_trained
from calibrate.samples.records import CaseProfile, CaseRound, Environment, ProgramRecord
from calibrate.samples.store import SampleFile
from calibrate.validate import accuracy
from calibrate.workloads.cases import Case
from predictor import runtimes
from predictor.calibration.load import load_calibration
from predictor.errors import PredictorError
from predictor.graph import files
from predictor.records import Target

NEAR = 0.05
"""How much slower than the fastest runtime one may be that is named instead."""


def out_of_time(*_: Any) -> None:
    """What the alarm does."""
    raise TimeoutError


def with_programs(
    measured: SampleFile, path: Path, options: argparse.Namespace, graphs: Path | None = None
) -> SampleFile:
    """The measurements, with the program of every case that is asked for. graphs: folder of captured graphs."""
    file = SampleFile(path)
    file.append([*measured.of(Environment), *measured.of(CaseRound), *measured.of(CaseProfile)])
    signal.signal(signal.SIGALRM, out_of_time)
    target = Target(measured.of(Environment)[-1].versions["torch"], load_calibration(options.gpu).architecture)
    is_trained = exports_are_trained(measured)
    for profile in measured.of(CaseProfile):
        case = profile.case
        if case.runtime not in options.runtimes.split(",") or case.dtype not in options.dtypes.split(","):
            continue
        if str(case.batch) not in options.batches.split(","):
            continue
        signal.alarm(options.seconds)
        try:
            file.append([record_of(case, target, graphs, is_trained)])
        except (PredictorError, TimeoutError) as error:
            print(f"{case}: not predicted: {type(error).__name__} {str(error)[:120]}", file=sys.stderr)
        finally:
            signal.alarm(0)
    return file


def record_of(case: Case, target: Target, folder: Path | None, is_trained: bool) -> ProgramRecord:
    """The program of a case, from a graph that is kept or captured now. is_trained: see ``record``."""
    if folder is None:
        return record(case, "cuda", target, is_trained)
    path = folder / f"{case.model.rpartition(':')[2]}.json.gz"
    graphs = files.read(path) if path.exists() else files.GraphSet(case.model)
    mode, sizes = runtimes.load(case.runtime).mode_on(target), (case.batch, case.length or 0)
    graph = graphs.find(case.dtype, mode, *sizes)
    if graph is None:
        graph = captured(case, "cuda", target, is_trained)
        own = files.SizeRange(case.batch, case.batch, sizes[1], sizes[1])
        files.write(path, graphs.extended(case.dtype, mode, {sizes: graph}, own))
    return lowered(case, graph, target)


def main() -> None:
    """Print the errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--gpu", default="h200")
    parser.add_argument(
        "--runtimes", default="eager,torchscript,cudagraph,compile,compile-cudagraph,onnx,onnx-cudagraph"
    )
    parser.add_argument("--dtypes", default="fp16")
    parser.add_argument("--batches", default="1,16")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--programs", type=Path, help="file of lowered programs, of one file of measurements")
    parser.add_argument("--graphs", type=Path, help="folder of captured graphs")
    options = parser.parse_args()
    calibration = load_calibration(options.gpu)
    rows: list[accuracy.Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, path in enumerate(options.files):
            kept = options.programs or Path(folder) / f"{number}.jsonl.gz"
            file = SampleFile(kept) if kept.exists() else with_programs(SampleFile(path), kept, options, options.graphs)
            for runtime in options.runtimes.split(","):
                rows += accuracy.rows(file, calibration, runtime)
    for row in sorted(rows, key=lambda row: (row.runtime, -abs(row.error()))):
        kernels = f"{row.predicted_kernel_s / row.kernel_s - 1:+7.1%}" if row.kernel_s else ""
        print(
            f"{row.runtime:18} {row.model.rpartition('/')[2]:40} {row.batch:>3} {row.error():+7.1%} "
            f"kernels {kernels} launches {row.predicted_launches} of {row.launches}"
        )
    for runtime in options.runtimes.split(","):
        own = [row for row in rows if row.runtime == runtime]
        if own:
            errors = np.abs([row.error() for row in own])
            covered = np.mean([row.covered for row in own])
            half = np.median([np.sqrt(high / low) - 1 for low, high in (row.interval_s for row in own)])
            repeats = np.mean([row.measured.repeatability for row in own])
            print(
                f"{runtime}: {len(own)} cases, mean {errors.mean():.1%}, median {np.median(errors):.1%}, "
                f"worst {errors.max():.0%}, in interval {covered:.0%} (+- {half:.0%}), repeats to {repeats:.1%}"
            )
    chosen = accuracy.choices(rows)
    near = [choice for choice in chosen if choice.loss <= NEAR]
    print(f"fastest runtime, or within {NEAR:.0%}: {len(near)} of {len(chosen)}")


if __name__ == "__main__":
    main()
