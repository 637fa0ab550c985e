"""The figures of the README and of the page on accuracy are those of the shipped calibrations and measurements."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.update_readme import COMMANDS, page_of
from calibrate.validate.runtimes import Evaluated, evaluate, judge_runtimes
from calibrate.validate.tables import accuracy_markdown, runtimes_text
from predictor.calibration.files import SHIPPED
from predictor.calibration.load import load_calibration
from tests.helpers import RUN_ANYTHING

DATASHEET = str(SHIPPED / "h100" / "datasheet.json")


def shown(repository: Path, marker: str, page: str = "docs/accuracy.md") -> str:
    """What stands between a marker's two comments."""
    text = (repository / page).read_text("utf-8")
    found = re.search(rf"<!-- {marker} -->\n(.*?)<!-- /{marker} -->", text, re.S)
    assert found is not None
    return found[1].strip()


def test_the_accuracy_of_eager(repository: Path, h200_validation: dict[str, Evaluated]) -> None:
    assert shown(repository, "accuracy") == accuracy_markdown(h200_validation["eager"].rows)


def test_the_accuracy_of_every_runtime(repository: Path, h200_validation: dict[str, Evaluated]) -> None:
    judged = judge_runtimes(h200_validation, "fp16")
    assert {one.runtime for one in judged.runtimes} == set(RUN_ANYTHING)
    assert shown(repository, "runtimes") == runtimes_text(judged, markdown=True)


def test_the_accuracy_on_models_that_nobody_tuned_to(repository: Path) -> None:
    evaluated = evaluate(load_calibration(DATASHEET), SHIPPED / "h100" / "unseen", lambda line: None, "fp16")
    judged = judge_runtimes(evaluated, "fp16")
    assert {one.runtime for one in judged.runtimes} == set(RUN_ANYTHING)
    assert shown(repository, "unseen") == runtimes_text(judged, markdown=True)


def test_the_accuracy_on_an_h100_measured_and_from_its_datasheet_alone(repository: Path) -> None:
    for marker, gpu in (("derived", DATASHEET), ("h100", "h100")):  # one after the other, they run the same programs
        evaluated = evaluate(load_calibration(gpu), SHIPPED / "h100" / "validation", lambda line: None, "fp16")
        judged = judge_runtimes(evaluated, "fp16")
        assert {one.runtime for one in judged.runtimes} == set(RUN_ANYTHING)
        assert shown(repository, marker) == runtimes_text(judged, markdown=True)


def test_the_readme_shows_the_reading_of_models_that_nobody_had_seen(repository: Path) -> None:
    whole, part = (
        [line.strip("| ").split(" | ") for line in shown(repository, *place).splitlines()[2:]]
        for place in (("fresh",), ("strangers", "README.md"))
    )
    assert part == [[*row[:6], *row[7:]] for row in whole]  # all but how wide intervals are


def test_every_marker_is_on_one_page() -> None:
    assert {page_of(marker).name for marker in COMMANDS} == {
        "README.md",
        "accuracy.md",
        "engineer.md",
        "gpus.md",
        "paper.md",
    }
