"""Every runtime's predictions against measurements, and the choice of the fastest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import models_zoo
from calibrate.samples.environment import check_gpu
from calibrate.samples.records import CaseProfile, Refusal
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
from calibrate.workloads.cases import Case
from predictor import runtimes
from predictor.calibration.load import Calibration
from predictor.errors import PredictorError


@dataclass(frozen=True, slots=True)
class RuntimeErrors:
    """Relative errors of one runtime, those of passes that generate apart.

    kernel_time, launches: against the profiler; covered: share of the measurements within the 90 % interval; refusals:
    cases that cannot run, or were predicted not to; foreseen: both.
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


def evaluate(
    calibration: Calibration, data: Path, tell: Tell, *dtypes: str, host: str | None = None
) -> dict[str, Evaluated]:
    """Runtime -> its measurements in all files of a folder, where there are any, beside their predictions; a runtime
    that is timed call by call comes first. dtypes: that are predicted, all where none is said; host: whose costs,
    see ``Calibration.host``. Raises PredictorError where another GPU was measured.
    """
    files = [SampleFile(path, tell) for path in sorted(data.glob("*" + SUFFIX))]
    for file in files:
        check_gpu(file, calibration)
    measured = {profile.case.runtime for file in files for profile in file.of(CaseProfile)}
    measured |= {refusal.case.runtime for file in files for refusal in file.of(Refusal)}
    evaluated = {}
    for runtime in sorted(calibration.runtimes, key=lambda name: (runtimes.load(name).host_terms is not None, name)):
        if runtime in measured:
            evaluated[runtime] = Evaluated(
                [row for file in files for row in rows(file, calibration, runtime, _of(file, dtypes), host)],
                [one for file in files for one in refusals(file, calibration, runtime)],
            )
    return evaluated


def _of(file: SampleFile, dtypes: tuple[str, ...]) -> set[Case] | None:
    return {profile.case for profile in file.of(CaseProfile) if profile.case.dtype in dtypes} if dtypes else None


GENERATION = ", generation"
"""Behind the name of a runtime: of its passes that generate tokens."""


def judge_runtimes(evaluated: Mapping[str, Evaluated], *dtypes: str) -> RuntimesJudged:
    """Errors of each runtime in some dtypes, and the choice of the fastest. Raises PredictorError where none of them
    was measured in any.
    """
    of_dtype = {name: [row for row in result.rows if row.dtype in dtypes] for name, result in evaluated.items()}
    judged = []
    for generates in (False, True):
        for name, of_runtime in of_dtype.items():
            apart = [row for row in of_runtime if _generates(row.model) is generates]
            refused = [one for one in evaluated[name].refusals if _generates(one.case.model) is generates]
            if apart:
                judged.append(_errors(name + GENERATION * generates, apart, refused))
    if not judged:
        raise PredictorError(f"no measurements of {', '.join(dtypes)}")
    return RuntimesJudged(
        tuple(judged), tuple(choices([row for runtime_rows in of_dtype.values() for row in runtime_rows]))
    )


def _generates(model: str) -> bool:
    return bool(models_zoo.index().get(model, {}).get("generated"))


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
