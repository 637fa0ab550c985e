"""Files of samples that were measured one after another become one."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.join_samples import joined
from calibrate.samples.records import CaseRound, Environment, Refusal
from calibrate.samples.store import SampleFile, packed
from calibrate.workloads.cases import Case
from predictor.errors import PredictorError


def _environment(session: int = 0, torch: str = "2.11.0") -> Environment:
    return Environment("2026-01-01", "a CPU", 16, "Linux", {"torch": torch}, 0.002, session=session)


def _round(model: str, session: int = 0) -> CaseRound:
    return CaseRound(Case(model, 1, "fp16", "eager"), 0, (0.01, 0.011), (0.002, 0.002), session)


def _file(path: Path, *samples: Environment | CaseRound | Refusal) -> SampleFile:
    file = SampleFile(path)
    for sample in samples:
        file.append([sample])
    return file


def test_sessions_of_later_files_are_counted_on(tmp_path: Path) -> None:
    refusal = Refusal(Case("c", 1, "fp16", "eager"), "out of memory")
    first = _file(tmp_path / "first.jsonl.gz", _environment(), _round("a"), _environment(1), _round("b", 1))
    second = _file(tmp_path / "second.jsonl.gz", _environment(), refusal)
    one, *others, environment, refused = joined([first, second])
    assert [one, *others] == list(first)
    assert isinstance(environment, Environment)
    assert isinstance(refused, Refusal)
    assert environment.session == refused.session == 2


def test_one_piece_is_smaller_and_says_the_same(tmp_path: Path) -> None:
    pieces = _file(tmp_path / "pieces.jsonl.gz", _environment(), *(_round(str(i)) for i in range(40)))
    whole = tmp_path / "whole.jsonl.gz"
    whole.write_bytes(packed(joined([pieces])))
    assert list(SampleFile(whole)) == list(pieces)
    assert whole.stat().st_size < 0.2 * pieces.path.stat().st_size


def test_files_of_other_versions_are_not_joined(tmp_path: Path) -> None:
    first = _file(tmp_path / "first.jsonl.gz", _environment())
    second = _file(tmp_path / "second.jsonl.gz", _environment(torch="2.12.0"))
    with pytest.raises(PredictorError, match="torch"):
        list(joined([first, second]))
