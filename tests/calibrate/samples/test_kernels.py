"""Kernel times that others measured are read."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from calibrate.samples.kernels import MeasuredKernel, read_kernels
from calibrate.samples.records import KernelSample
from calibrate.samples.store import SampleFile
from calibrate.workloads.cases import KernelId
from predictor.calibration.files import SHIPPED
from predictor.errors import PredictorError
from tests.calibrate.builders import gemm_table, seconds_of


def test_a_table_is_read_packed_or_not(table: Path) -> None:
    packed = table.with_suffix(".csv.gz")
    packed.write_bytes(gzip.compress(table.read_bytes()))
    found = read_kernels(table, "x1")
    assert len(found) == 480
    assert found == read_kernels(packed, "x1")
    first = found[0]
    assert (first.family, first.dtype, set(first.dims)) == ("gemm", "bf16", {"m", "n", "k"})
    assert first.seconds == pytest.approx(seconds_of(**first.dims), rel=1e-3)


def test_of_a_table_of_several_gpus_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "attention.csv"
    header = "gpu,dtype,causal,batch,seq,heads,kv_heads,head_dim,kernel_us"
    path.write_text(f"{header}\nX-1,fp16,1,2,128,8,4,64,5.5\nother,fp16,1,2,128,8,4,64,7.5\n", encoding="utf-8")
    (found,) = read_kernels(path, "x1")
    assert (found.family, found.dtype, found.seconds) == ("attention", "fp16", 5.5e-6)
    assert (found.dims["kv_heads"], found.dims["causal"]) == (4, 1)


def test_samples_of_a_calibration_are_read_without_those_that_could_not_run(tmp_path: Path) -> None:
    path = tmp_path / "kernels.jsonl.gz"
    ran = KernelSample(KernelId("gemm", "fp16", 0), "fp16", "linear", {"m": 8}, (2e-6, 4e-6, 3e-6), 2, "nvjet")
    SampleFile(path).append([ran, KernelSample(KernelId("gemm", "fp16", 1), "fp16", "linear", {"m": 9})])
    assert read_kernels(path, "h200") == [MeasuredKernel("gemm", "fp16", {"m": 8}, 3e-6, 2, "linear")]


def test_the_shipped_samples_are_read() -> None:
    assert len(read_kernels(SHIPPED / "h200" / "samples" / "kernels.jsonl.gz", "h200")) > 20_000


def test_a_file_that_holds_no_kernels_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PredictorError, match="no file of kernels"):
        read_kernels(tmp_path / "nothing.csv", "x1")
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(gemm_table(0, 1, "kernel_ms"), encoding="utf-8")
    with pytest.raises(PredictorError, match="no column kernel_us"):
        read_kernels(wrong, "x1")
    for name, content, message in (
        ("words.csv", b"m,n,k,kernel_us\n1,2,three,4\n", "cannot be read as a table"),
        ("short.csv", b"m,n,k,kernel_us\n1,2\n", "cannot be read as a table"),
        ("fp8.csv", b"m,n,k,dtype,kernel_us\n1,2,3,fp8,4\n", "unknown dtype 'fp8'"),
        ("torn.csv.gz", gzip.compress(gemm_table(0).encode())[:200], "cannot be read as a table"),
        ("text.jsonl.gz", b"not samples\n", "is not a file of samples"),
    ):
        broken = tmp_path / name
        broken.write_bytes(content)
        with pytest.raises(PredictorError, match=message):
            read_kernels(broken, "x1")
        assert broken.read_bytes() == content
