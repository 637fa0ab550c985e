"""Every runtime's predictions against measurements, and the choice of the fastest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibrate.samples.environment import check_gpu
from calibrate.samples.store import SUFFIX, SampleFile, Tell
from calibrate.validate.accuracy import (
    Choice,
    Foreseen,
    Row,
    Summary,
    choices,
    kernel_errors,
    refusals,
    rows,
    summarise_rows,
)
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


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A runtime's measurements beside their predictions."""

    rows: list[Row]
    refusals: list[Foreseen]


def evaluate(calibration: Calibration, data: Path, tell: Tell) -> dict[str, Evaluated]:
    """Runtime -> the measurements of its file ``<runtime>.jsonl.gz`` in a folder, where there is one, beside their
    predictions; a runtime that is timed call by call comes first. Raises PredictorError where another GPU was measured.
    """
    evaluated = {}
    for runtime in sorted(calibration.runtimes, key=lambda name: (runtimes.load(name).host_terms is not None, name)):
        path = data / f"{runtime}{SUFFIX}"
        if path.is_file():
            file = SampleFile(path, tell)
            check_gpu(file, calibration)
            evaluated[runtime] = Evaluated(rows(file, calibration, runtime), refusals(file, calibration, runtime))
    return evaluated


def judge_runtimes(evaluated: Mapping[str, Evaluated], dtype: str) -> RuntimesJudged:
    """Errors of each runtime in a dtype, and the choice of the fastest. Raises PredictorError where none of them was
    measured in it.
    """
    of_dtype = {name: [row for row in result.rows if row.dtype == dtype] for name, result in evaluated.items()}
    judged = [
        _errors(name, runtime_rows, evaluated[name].refusals) for name, runtime_rows in of_dtype.items() if runtime_rows
    ]
    if not judged:
        raise PredictorError(f"no measurements of {dtype}")
    return RuntimesJudged(
        tuple(judged), tuple(choices([row for runtime_rows in of_dtype.values() for row in runtime_rows]))
    )


def _errors(runtime: str, of_runtime: Sequence[Row], refused: Sequence[Foreseen]) -> RuntimeErrors:
    said = [foreseen for foreseen in refused if foreseen.predicted or foreseen.measured]
    return RuntimeErrors(
        runtime,
        summarise_rows(of_runtime, "queue"),
        *kernel_errors(of_runtime),
        covered=sum(row.covered for row in of_runtime) / len(of_runtime),
        repeatability=float(np.mean([row.measured.repeatability for row in of_runtime])),
        refusals=len(said),
        refusals_foreseen=sum(foreseen.predicted and foreseen.measured for foreseen in said),
    )
