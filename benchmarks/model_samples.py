"""Samples of kernels as whole models ran them:

    python -m benchmarks.model_samples FILE.jsonl.gz --families conv,conv3d --out MORE.jsonl.gz

FILE has profiles of models of libraries (``benchmarks.operator_audit --of``), each of which is captured and lowered
again, or of models of the battery with their programs (``benchmarks.battery_accuracy --programs``). Predicted kernels
and those of the profile are aligned in issue order, and every kernel that became kernels of its family's names is a
sample; one that ran often, with the median of what it took. Kernels that a formula or another family prices are none,
nor those of a model whose launches are too many or too few: its kernels may be others'. ``benchmarks.refit_kernels
--more`` fits them beside those that ran alone.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.kernel_residuals import Residual, residuals
from benchmarks.operator_audit import program_of
from calibrate.samples.programs import restored
from calibrate.samples.records import CaseProfile, Environment, KernelSample, ProgramRecord
from calibrate.samples.store import SampleFile
from calibrate.workloads.cases import KernelId
from predictor.calibration.load import Calibration, load_calibration
from predictor.errors import PredictorError
from predictor.kernels.families import FAMILIES
from predictor.kernels.family import itemsize

SERIES = "model"
"""Of the samples: they were not drawn at random."""

NEAR = 0.45
"""Share by which launches of a model whose kernels are taken may be predicted wrong."""

MOST_KERNELS = 5000
"""Of a model that is aligned: those of more are as many others of the same, and an alignment takes their square."""

STEADY = 1.03
"""Times that a profile whose kernels are taken may take as long as the shortest of its model: another process had the
GPU for a while in one that takes longer.
"""

MOST_OFF = 30.0
"""Times that a kernel may take longer or shorter than predicted; beyond it is most likely another one."""


def aligned(
    file: SampleFile, calibration: Calibration, runtimes: Sequence[str], limit_s: int
) -> Iterator[list[Residual]]:
    """Kernels of each model that can be captured in time."""

    def out_of_time(*_: Any) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, out_of_time)
    has_programs = bool(file.of(ProgramRecord))
    for profile in file.of(CaseProfile):
        known = file.find(ProgramRecord, profile.case)
        lacks_program = has_programs and (known is None or known.program is None)
        if lacks_program or not 0 < len(profile.order) < MOST_KERNELS or profile.case.runtime not in runtimes:
            continue
        if profile.kernels_s[-1] > STEADY * min(profile.kernels_s):
            continue
        signal.alarm(limit_s)
        try:
            program = restored(known.program) if known and known.program else program_of(profile.case)
            yield residuals(profile, program, calibration)
        except (PredictorError, TimeoutError) as error:
            print(f"{profile.case}: {str(error)[:120]}", file=sys.stderr)
        finally:
            signal.alarm(0)


def is_fitted(residual: Residual) -> bool:
    """Whether a kernel is priced by its own family's fit and ran under names that are its own."""
    kernel, row = residual.kernel, FAMILIES[residual.kernel.family]
    if row.closed_form or row.over_link or not residual.names or residual.measured_s <= 0:
        return False
    if not row.matrix and len(residual.names) != residual.predicted_launches:
        return False
    dims = row.complete({name: np.array([float(size)]) for name, size in kernel.dims.items()})
    if row.runs_as is not None and row.runs_as(dims, itemsize(kernel.dtype))[0].any():
        return False
    named = all(re.search(row.profiler_names, name) for name in residual.names)
    return named and abs(np.log(residual.predicted_s / residual.measured_s)) < np.log(MOST_OFF)


def samples(models: Iterable[list[Residual]], families: set[str], series: str = SERIES) -> list[KernelSample]:
    """One for each kernel that models of about right launches ran, of the run that took the median of its seconds; its
    name is that of its last kernel.
    """
    found: dict[tuple[Any, ...], list[Residual]] = defaultdict(list)
    for model in models:
        predicted, ran = sum(r.predicted_launches for r in model), sum(len(r.names) for r in model)
        if abs(predicted - ran) <= NEAR * ran:
            for residual in filter(is_fitted, model):
                if residual.kernel.times == 1 and residual.kernel.family in families:
                    kernel = residual.kernel
                    found[kernel.family, kernel.dtype, tuple(sorted(kernel.dims.items()))].append(residual)
    numbers: Counter[str] = Counter()
    made = []
    for (family, dtype, dims), ran in sorted(found.items(), key=lambda item: repr(item[0])):
        seconds = sorted(r.measured_s for r in ran)
        typical = min(ran, key=lambda r: abs(r.measured_s - seconds[len(seconds) // 2]))
        id = KernelId(family, series, numbers[family])
        numbers[family] += 1
        taken = (round(typical.measured_s, 9),)
        launches, last = len(typical.names), typical.names[-1]
        made.append(KernelSample(id, dtype, typical.op, dict(dims), taken, launches, last, True))
    return made


def main() -> None:
    """Align, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--gpu", default="h200")
    parser.add_argument("--families", required=True, help="comma-separated")
    parser.add_argument("--runtimes", default="eager,compile", help="whose profiles are taken")
    parser.add_argument("--series", default=SERIES, help="name of the samples: 'model', and more behind it")
    parser.add_argument("--seconds", type=int, default=40, help="limit of one capture")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    calibration = load_calibration(options.gpu)
    files = [SampleFile(path) for path in options.files]
    runtimes = options.runtimes.split(",")
    models = (model for file in files for model in aligned(file, calibration, runtimes, options.seconds))
    made = samples(models, set(options.families.split(",")), options.series)
    SampleFile(options.out).append([*files[0].of(Environment), *made])
    print(*sorted(Counter(sample.id.family for sample in made).items()), sep="\n")


if __name__ == "__main__":
    main()
