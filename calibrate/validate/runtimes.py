"""Every runtime's predictions against measurements, and the choice of the fastest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibrate.samples.environment import check_gpu
from calibrate.samples.store import SUFFIX, SampleFile, Tell
from calibrate.validate.accuracy import Choice, Row, Summary, choices, kernel_errors, refusals, rows, summarise_rows
from predictor import runtimes
from predictor.calibration.load import Calibration
from predictor.errors import PredictorError


@dataclass(frozen=True, slots=True)
class RuntimeErrors:
    """Relative errors of one runtime. kernel_time, launches: against the profiler; covered: share of the measurements
    within the 90 % interval; refusals: cases that cannot run, or were predicted not to; foreseen: both.
    """

    runtime: str
    summary: Summary
    kernel_time: float
    launches: float
    covered: float
    repeatability: float
    refusals: int
    refusals_foreseen: int


@dataclass(frozen=True, slots=True)
class RuntimesJudged:
    """Errors of each runtime, and the choice among them of every model and batch."""

    runtimes: tuple[RuntimeErrors, ...]
    choices: tuple[Choice, ...]


def judge_runtimes(calibration: Calibration, data: Path, dtype: str, tell: Tell) -> RuntimesJudged:
    """Hold predictions of every runtime against its file ``<runtime>.jsonl.gz`` in a folder, where there is one; those
    timed call by call come first. Raises PredictorError where no file has measurements in the dtype.
    """
    judged: list[RuntimeErrors] = []
    everything: list[Row] = []
    for runtime in sorted(calibration.runtimes, key=lambda name: (runtimes.load(name).host_terms is not None, name)):
        path = data / f"{runtime}{SUFFIX}"
        if not path.is_file():
            continue
        file = SampleFile(path, tell)
        check_gpu(file, calibration)
        found = [row for row in rows(file, calibration, runtime) if row.dtype == dtype]
        if found:
            everything += found
            judged.append(_errors(runtime, found, file))
    if not judged:
        raise PredictorError(f"no measurements of {dtype} in {data}")
    return RuntimesJudged(tuple(judged), tuple(choices(everything)))


def _errors(runtime: str, found: Sequence[Row], file: SampleFile) -> RuntimeErrors:
    refused = [one for one in refusals(file, runtime) if one.predicted or one.measured]
    return RuntimeErrors(
        runtime,
        summarise_rows(found, "queue"),
        *kernel_errors(found),
        covered=sum(row.covered for row in found) / len(found),
        repeatability=float(np.mean([row.measured.repeatability for row in found])),
        refusals=len(refused),
        refusals_foreseen=sum(one.predicted and one.measured for one in refused),
    )
