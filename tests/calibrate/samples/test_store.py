"""Samples on disk: appended, resumed, a half-written end cut off."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calibrate.samples.store import SampleFile
from predictor.errors import PredictorError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "samples" / "kernels.jsonl"


def test_samples_are_found_again(path: Path) -> None:
    SampleFile(path).append([{"key": "a", "seconds": 1.5}, {"key": "b", "seconds": 2.0}])
    again = SampleFile(path)
    assert "a" in again
    assert "c" not in again
    assert again.values() == [{"key": "a", "seconds": 1.5}, {"key": "b", "seconds": 2.0}]


def test_samples_are_appended_and_nothing_is_rewritten(path: Path) -> None:
    SampleFile(path).append([{"key": "a"}])
    first = path.read_bytes()
    again = SampleFile(path)
    again.append([{"key": "b"}])
    again.append([{"key": "c"}])
    assert path.read_bytes().startswith(first)
    assert [json.loads(line)["key"] for line in path.read_text(encoding="utf-8").splitlines()] == ["a", "b", "c"]


def test_every_sample_is_on_disk_as_soon_as_it_is_appended(path: Path) -> None:
    file = SampleFile(path)
    for number in range(3):
        file.append([{"key": str(number)}])
        assert len(path.read_bytes().splitlines()) == number + 1


def test_opening_changes_nothing(path: Path) -> None:
    SampleFile(path).append([{"key": "a"}, {"key": "b"}])
    before = path.read_bytes()
    told: list[str] = []
    SampleFile(path, told.append)
    assert path.read_bytes() == before
    assert told == []


@pytest.mark.parametrize("tail", ['{"key": "c", "sec', '{"key": "c"}', "{", '{"no": "key"}\n', "garbage\n"], ids=repr)
def test_a_half_written_last_line_is_dropped_with_a_message(path: Path, tail: str) -> None:
    """A line without its end may be half a number: it does not count, whole as it may look."""
    SampleFile(path).append([{"key": "a"}, {"key": "b"}])
    whole = path.read_bytes()
    with path.open("a", encoding="utf-8") as file:
        file.write(tail)
    told: list[str] = []
    opened = SampleFile(path, told.append)
    assert [sample["key"] for sample in opened.values()] == ["a", "b"]
    assert path.read_bytes() == whole
    assert told == ["kernels.jsonl: dropped a half-written line after 2 samples"]


@pytest.mark.parametrize(
    "content",
    ["# A readme\n\nof two lines\n", "one line without an end", "{}\n", '{"key": "a"}\ngarbage\n{"key": "b"}\n'],
    ids=["text", "one line", "JSON without a key", "damaged in the middle"],
)
def test_a_file_of_something_else_is_refused_and_left_as_it_is(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content, encoding="utf-8")
    with pytest.raises(PredictorError, match="is not a file of samples, or is damaged in line"):
        SampleFile(path)
    assert path.read_text(encoding="utf-8") == content


def test_what_is_appended_after_a_dropped_line_is_found(path: Path) -> None:
    SampleFile(path).append([{"key": "a"}])
    with path.open("a", encoding="utf-8") as file:
        file.write('{"key": "b", ')
    SampleFile(path, lambda line: None).append([{"key": "b", "seconds": 3}])
    told: list[str] = []
    assert SampleFile(path, told.append).values() == [{"key": "a"}, {"key": "b", "seconds": 3}]
    assert told == []


def test_an_empty_file_holds_no_samples(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert SampleFile(path).values() == []
