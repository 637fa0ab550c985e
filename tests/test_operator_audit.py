"""Single operators as an H200 ran them, beside what is predicted today."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from benchmarks.operator_audit import line, program_of
from benchmarks.operator_calls import AREAS, CALLS
from calibrate.samples.records import CaseProfile, Refusal
from calibrate.samples.store import SampleFile
from predictor.calibration.load import load_calibration
from predictor.errors import PredictorError

FEW = 90
"""Calls of a runtime, drawn at random: all of them take a minute."""


@pytest.fixture
def measured(repository: Path) -> SampleFile:
    return SampleFile(repository / "calibrations" / "h200" / "samples" / "operators.jsonl.gz")


def test_calls_of_every_area_were_measured(measured: SampleFile) -> None:
    for runtime in ("eager", "compile"):
        found = {p.case.model for p in measured.of(CaseProfile) if p.case.runtime == runtime}
        refused = {refusal.case.model for refusal in measured.of(Refusal) if refusal.case.runtime == runtime}
        assert found <= set(CALLS)
        assert not found & refused
        assert len(found) > 850
    assert len(AREAS) == 9


@pytest.mark.parametrize(("runtime", "median", "right"), [("eager", 0.12, 0.8), ("compile", 0.27, 0.6)])
def test_most_calls_take_what_is_predicted(measured: SampleFile, runtime: str, median: float, right: float) -> None:
    """Median error of kernel time, and how often launches are those of the profile."""
    calibration = load_calibration("h200")
    profiles = [profile for profile in measured.of(CaseProfile) if profile.case.runtime == runtime]
    errors, launches = [], []
    for profile in random.Random(7).sample(profiles, FEW):
        try:
            error, text = line(profile, program_of(profile.case), calibration)
        except PredictorError:
            continue
        errors.append(abs(np.expm1(error)))
        predicted, found = text.split(" us ")[1].split()[0].split("/")
        launches.append(predicted == found)
    assert len(errors) > 0.9 * FEW
    assert np.median(errors) < median
    assert np.mean(launches) > right
