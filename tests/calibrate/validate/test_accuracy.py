"""Accuracy figures, by hand, and those of the shipped calibration on its recorded measurements."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from calibrate.samples.environment import check_gpu
from calibrate.samples.records import CaseProfile, CaseRound, ProgramRecord
from calibrate.samples.store import SampleFile
from calibrate.validate.accuracy import Row, by_family, by_model, by_regime, rows, summarise_rows
from calibrate.validate.runtimes import Evaluated
from calibrate.workloads.cases import Case
from predictor.calibration.files import SHIPPED
from predictor.calibration.load import Calibration, load_calibration
from predictor.errors import PredictorError
from tests.calibrate.builders import HERE, row

RECORDED = SHIPPED / "h200" / "validation" / "eager.jsonl.gz"


ROWS = [
    row("a", 1.0, 1.1, "framework", "framework", "framework-bound"),
    row("a", 2.0, 1.8, "framework", "device", "crossover"),
    row("b", 4.0, 4.0, "memory", "device", "compute-bound"),
    row("b", 8.0, 12.0, "compute", "device", "compute-bound"),
]


def test_an_interval_covers_what_it_holds() -> None:
    assert [r.covered for r in ROWS] == [True, True, True, False]


def test_a_summary_by_hand() -> None:
    """Errors of 10, 10, 0 and 50 %; one of four has the wrong side of framework-bound."""
    found = summarise_rows(ROWS, "queue")
    assert found.cases == 4
    assert found.mape == pytest.approx(0.175)
    assert found.median == pytest.approx(0.1)
    assert found.worst == pytest.approx(0.5)
    assert found.bound == 0.75
    assert found.tau == 1.0


def test_each_estimator_has_its_own_errors() -> None:
    assert summarise_rows(ROWS[2:3], "max").mape == 0.5
    assert ROWS[0].error() == pytest.approx(0.1)
    assert ROWS[1].error() == pytest.approx(-0.1)


def test_groups_hold_every_row() -> None:
    assert {name: len(group) for name, group in by_regime(ROWS).items()} == {
        **{"framework-bound": 1, "crossover": 1, "compute-bound": 2, "all": 4}
    }
    assert {name: len(group) for name, group in by_model(ROWS).items()} == {"a": 2, "b": 2}


@pytest.fixture
def recorded(h200_validation: dict[str, Evaluated]) -> list[Row]:
    return h200_validation["eager"].rows


def test_the_recorded_measurements_cover_the_zoo(recorded: list[Row]) -> None:
    assert len({r.model for r in recorded}) == 10
    assert {r.batch for r in recorded} == {1, 8, 32, 128}
    assert {r.dtype for r in recorded} == {"fp16", "fp32"}
    assert len(recorded) == 80


def test_the_shipped_calibration_predicts_what_was_measured(recorded: list[Row]) -> None:
    found = summarise_rows(recorded, "queue")
    assert found.mape <= 0.15
    assert found.bound >= 0.9
    assert found.tau > 0.85


def test_the_queue_is_better_than_the_plain_formula_and_far_better_than_flops(recorded: list[Row]) -> None:
    queue, plain, flops = (summarise_rows(recorded, e).mape for e in ("queue", "max", "flops"))
    assert queue < plain
    assert queue < flops / 3


def test_recorded_measurements_repeat(recorded: list[Row]) -> None:
    assert np.mean([r.measured.repeatability for r in recorded]) < 0.05


def test_predicted_kernel_time_is_near_what_the_profiler_saw(recorded: list[Row]) -> None:
    errors = [abs(r.predicted_kernel_s / r.kernel_s - 1) for r in recorded if r.kernel_s]
    assert len(errors) == len(recorded)
    assert np.mean(errors) < 0.2


def test_a_choice_of_cases_gives_those_rows(h200: Calibration) -> None:
    found = rows(
        SampleFile(RECORDED), h200, "eager", {Case("bert-base", 1, "fp16", "eager"), Case("gpt2", 8, "fp32", "eager")}
    )
    assert {(r.model, r.batch, r.dtype) for r in found} == {("bert-base", 1, "fp16"), ("gpt2", 8, "fp32")}


def test_measurements_are_of_the_gpu_that_predicts_also_where_nobody_calibrated_it(tmp_path: Path) -> None:
    file = SampleFile(tmp_path / "eager.jsonl.gz")
    file.append([replace(HERE, gpu="NVIDIA H100 80GB HBM3")])
    check_gpu(file, load_calibration("h100"))
    for gpu in ("h200", "l40s", "a100"):
        with pytest.raises(PredictorError, match="was measured on NVIDIA H100 80GB HBM3, not on"):
            check_gpu(file, load_calibration(gpu))


def test_recorded_passes_are_told_apart_by_family(recorded: list[Row]) -> None:
    """Of the H200's recorded passes, what is not a convolution is found nearly launch for launch."""
    wanted = {("bert-base", 32, "fp16"), ("vit-base", 8, "fp16"), ("gpt2", 1, "fp16")}
    chosen = [r for r in recorded if (r.model, r.batch, r.dtype) in wanted]
    assert len(chosen) == len(wanted)
    for case in chosen:
        assert sum(p.measured_launches for p in case.kernels) == case.launches
        assert sum(p.predicted_launches for p in case.kernels) == case.predicted_launches
    found = by_family(chosen)
    assert sum(e.time for e in found.values()) == pytest.approx(1.0)
    assert sum(e.error for e in found.values()) == pytest.approx(1.0)
    for family in ("layer_norm", "attention", "softmax"):
        if family in found:
            assert found[family].measured_launches == found[family].predicted_launches


def test_a_pass_whose_kernels_overlapped_says_nothing_of_families(tmp_path: Path, h200: Calibration) -> None:
    """Durations that add up to twice the kernel time."""
    file, case = SampleFile(RECORDED), Case("vit-base", 8, "fp16", "eager")
    (before,) = rows(file, h200, "eager", {case})
    profile = file.find(CaseProfile, case)
    assert profile is not None
    other = SampleFile(tmp_path / "eager.jsonl.gz")
    rounds = [sample for sample in file.of(CaseRound) if sample.case == case]
    halved = replace(profile, kernels_s=tuple(s / 2 for s in profile.kernels_s))
    other.append([*rounds, halved, file.find(ProgramRecord, case)])
    (after,) = rows(other, h200, "eager", {case})
    assert before.kernels
    assert after.kernels == ()
    assert by_family([before, after]) == by_family([before])
