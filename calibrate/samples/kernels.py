"""Measured kernel times, whoever measured them."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibrate.samples.records import KernelSample
from calibrate.samples.store import SUFFIX as SAMPLES
from calibrate.samples.store import SampleFile
from predictor.calibration import files
from predictor.errors import PredictorError, unknown
from predictor.kernels.families import FAMILIES, MATRIX_DTYPES


@dataclass(frozen=True, slots=True)
class MeasuredKernel:
    """Seconds of a kernel, or of the library call that makes it; dims: by name; launches: kernels that it became; op:
    the operator whose call it is, where that is known.
    """

    family: str
    dtype: str
    dims: Mapping[str, Any]
    seconds: float
    launches: int = 1
    op: str = ""


def measured_kernels(file: SampleFile) -> list[MeasuredKernel]:
    """Kernels of a file of samples, but for those that could not run."""
    return [
        MeasuredKernel(s.id.family, s.dtype, s.dims, s.seconds, s.launches, s.op)
        for s in file.of(KernelSample)
        if s.repeats_s
    ]


def read_kernels(path: Path, gpu: str) -> list[MeasuredKernel]:
    """Kernels of a file.

    Either this program's own samples (.jsonl.gz), or a table (.csv, .csv.gz) with a column kernel_us and the dimensions
    of gemm (m, n, k) or attention (batch, seq, heads, head_dim, ...) in bf16 or as its column dtype says; of a table
    with a column gpu the rows of that GPU. Raises PredictorError for anything else.
    """
    if not path.is_file():
        raise PredictorError(f"no file of kernels at {path}")
    if path.name.endswith(SAMPLES):
        return measured_kernels(SampleFile(path))
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        rows = list(csv.DictReader(content.decode("utf-8").splitlines()))
        return _rows_of_table(path, rows, files.gpu_name(gpu))
    except (OSError, EOFError, ValueError, TypeError) as error:
        raise PredictorError(f"{path} cannot be read as a table of kernels: {error}") from None


def _rows_of_table(path: Path, rows: list[dict[str, str]], gpu: str) -> list[MeasuredKernel]:
    if not rows or "kernel_us" not in rows[0]:
        raise PredictorError(f"{path} has no column kernel_us")
    family = "gemm" if "n" in rows[0] else "attention"
    names = [name for name in FAMILIES[family].dims if name in rows[0]]
    gpu_rows = [row for row in rows if files.gpu_name(row.get("gpu", gpu)) == gpu]
    for row in gpu_rows:
        if row.get("dtype", "bf16") not in MATRIX_DTYPES:
            raise unknown("dtype", row["dtype"], MATRIX_DTYPES)
    return [
        MeasuredKernel(
            family,
            row.get("dtype", "bf16"),
            {name: float(row[name]) for name in names},
            float(row["kernel_us"]) * 1e-6,
        )
        for row in gpu_rows
    ]
