"""The README's figures are those of the shipped calibrations on the shipped measurements."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from calibrate.validate.runtimes import Evaluated, evaluate, judge_runtimes
from calibrate.validate.tables import accuracy_markdown, runtimes_text
from predictor.calibration.files import SHIPPED
from predictor.calibration.load import load_calibration
from predictor.runtimes import names

DATASHEET = str(SHIPPED / "h100" / "datasheet.json")


def shown(repository: Path, marker: str) -> str:
    """What stands between a marker's two comments."""
    text = (repository / "README.md").read_text("utf-8")
    found = re.search(rf"<!-- {marker} -->\n(.*?)<!-- /{marker} -->", text, re.S)
    assert found is not None
    return found[1].strip()


def test_the_accuracy_of_eager(repository: Path, h200_validation: dict[str, Evaluated]) -> None:
    assert shown(repository, "accuracy") == accuracy_markdown(h200_validation["eager"].rows)


def test_the_accuracy_of_every_runtime(repository: Path, h200_validation: dict[str, Evaluated]) -> None:
    judged = judge_runtimes(h200_validation, "fp16")
    assert {one.runtime for one in judged.runtimes} == set(names())
    assert shown(repository, "runtimes") == runtimes_text(judged, markdown=True)


@pytest.mark.parametrize(
    ("marker", "gpu", "data"),
    [
        ("derived", DATASHEET, "validation"),
        ("h100", "h100", "validation"),
        ("unseen", DATASHEET, "unseen"),
    ],
)
def test_the_accuracy_on_an_h100_measured_and_from_its_datasheet_alone(
    marker: str, gpu: str, data: str, repository: Path
) -> None:
    evaluated = evaluate(load_calibration(gpu), SHIPPED / "h100" / data, lambda line: None)
    judged = judge_runtimes(evaluated, "fp16")
    assert {one.runtime for one in judged.runtimes} == set(names())
    assert shown(repository, marker) == runtimes_text(judged, markdown=True)
