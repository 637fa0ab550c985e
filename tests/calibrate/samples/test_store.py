"""Samples on disk: appended, resumed, a half-written end cut off."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from calibrate.samples.records import CaseRound, KernelSample, Refusal, Sample
from calibrate.samples.store import SampleFile, packed
from calibrate.workloads.cases import Case, KernelId
from predictor.errors import PredictorError


def kernel(index: int) -> KernelSample:
    repeats_s = tuple(np.random.default_rng(index).uniform(1e-6, 1e-5, 4).tolist())
    return KernelSample(KernelId("gemm", "fp16", index), "fp16", "linear", {"m": 8, "n": 0.5}, repeats_s, 1, "nvjet")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "samples" / "kernels.jsonl.gz"


def test_samples_are_found_again_by_kind_and_identity(path: Path) -> None:
    case = Case("bert", 1, "fp16", "onnx")
    samples: list[Sample] = [kernel(0), kernel(1), CaseRound(case, 2, (1e-3,), (1.0, 2.0)), Refusal(case, "it cannot")]
    SampleFile(path).append(samples)
    again = SampleFile(path)
    assert len(again) == 4
    assert again.of(KernelSample) == samples[:2]
    assert again.find(KernelSample, KernelId("gemm", "fp16", 1)) == samples[1]
    assert again.find(CaseRound, (case, 2)) == samples[2]
    assert again.has(Refusal, case)
    assert not again.has(CaseRound, (case, 1))
    assert again.find(KernelSample, KernelId("gemm", "fp32", 1)) is None


def test_samples_are_appended_and_nothing_is_rewritten(path: Path) -> None:
    SampleFile(path).append([kernel(0)])
    first = path.read_bytes()
    again = SampleFile(path)
    again.append([kernel(1)])
    again.append([kernel(2)])
    assert path.read_bytes().startswith(first)
    assert SampleFile(path).of(KernelSample) == [kernel(0), kernel(1), kernel(2)]


def test_a_file_is_lines_of_json_that_any_gzip_reads(path: Path) -> None:
    file = SampleFile(path)
    file.append([kernel(0), kernel(1)])
    file.append([kernel(2)])
    lines = gzip.decompress(path.read_bytes()).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(b'{"kind":"kernel","id":{"family":"gemm"')


def test_every_sample_is_on_disk_as_soon_as_it_is_appended(path: Path) -> None:
    file = SampleFile(path)
    for number in range(3):
        file.append([kernel(number)])
        assert len(SampleFile(path)) == number + 1


def test_opening_changes_nothing(path: Path) -> None:
    SampleFile(path).append([kernel(0), kernel(1)])
    before = path.read_bytes()
    told: list[str] = []
    SampleFile(path, told.append)
    assert path.read_bytes() == before
    assert told == []


@pytest.mark.parametrize("missing", range(1, 40, 7))
def test_of_a_half_written_end_every_whole_line_is_kept_and_the_rest_is_dropped(path: Path, missing: int) -> None:
    """A run is killed while it writes many samples: those before stay, and of these all but the last ones."""
    SampleFile(path).append([kernel(0), kernel(1)])
    whole = path.read_bytes()
    path.write_bytes((whole + packed([kernel(index) for index in range(2, 40)]))[:-missing])
    told: list[str] = []
    opened = SampleFile(path, told.append)
    kept = opened.of(KernelSample)
    assert kept == [kernel(index) for index in range(len(kept))]
    assert 36 < len(kept) <= 40
    assert told == [f"kernels.jsonl.gz: dropped a half-written line after {len(kept)} samples"]
    again = SampleFile(path, told.append)
    assert again.of(KernelSample) == kept
    assert len(told) == 1
    assert path.read_bytes().startswith(whole)


def test_what_is_appended_after_a_dropped_line_is_found(path: Path) -> None:
    SampleFile(path).append([kernel(0)])
    path.write_bytes(path.read_bytes() + packed([kernel(1)])[:12])
    SampleFile(path, lambda line: None).append([kernel(1)])
    told: list[str] = []
    assert SampleFile(path, told.append).of(KernelSample) == [kernel(0), kernel(1)]
    assert told == []


@pytest.mark.parametrize(
    "content",
    [
        b"# A readme\n",
        gzip.compress(b"text\n"),
        gzip.compress(b"{}\n"),
        gzip.compress(b'{"kind":"nothing that is known"}\n'),
        packed([kernel(0)]) + gzip.compress(b"garbage\n") + packed([kernel(1)]),
        packed([kernel(0)]) + b"garbage" + packed([kernel(1)]),
        packed([kernel(0)]).replace(packed([kernel(0)])[20:24], b"\0\0\0\0"),
        packed([kernel(0)])[:15],
    ],
    ids=["text", "packed text", "no kind", "unknown kind", "damaged line", "damaged member", "a byte", "half a file"],
)
def test_a_file_of_something_else_is_refused_and_left_as_it_is(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(PredictorError, match="is not a file of samples, or is damaged in line"):
        SampleFile(path)
    assert path.read_bytes() == content


def test_the_error_says_where_a_record_is_wrong(path: Path) -> None:
    path.parent.mkdir()
    wrong = b'{"kind":"refusal","case":{"model":"bert","batch":"one","dtype":"fp16","runtime":"onnx"},"reason":"no"}\n'
    path.write_bytes(packed([kernel(0)]) + gzip.compress(wrong))
    with pytest.raises(PredictorError, match=r"damaged in line 2: .*`\$.case.batch`"):
        SampleFile(path)


def test_an_empty_file_holds_no_samples(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert len(SampleFile(path)) == 0
