"""Kernel times that others measured, as samples."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

from calibrate.samples.store import SampleFile
from predictor.calibration import files
from predictor.errors import PredictorError, unknown
from predictor.kernels.families import FAMILIES, MATRIX_DTYPES


def read_kernels(path: Path, gpu: str) -> list[dict[str, Any]]:
    """Samples ("family", "dtype", "dims", "seconds", "launches") of a file of measured kernels.

    Either this program's own samples (.jsonl), or a table (.csv, .csv.gz) with a column kernel_us and the dimensions of
    gemm (m, n, k) or attention (batch, seq, heads, head_dim, ...) in bf16 or as its column dtype says; of a table with
    a column gpu the rows of that GPU. Raises PredictorError for anything else.
    """
    if not path.is_file():
        raise PredictorError(f"no file of kernels at {path}")
    if path.suffix == ".jsonl":
        return [s for s in SampleFile(path).values() if "family" in s and not s.get("failed")]
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        rows = list(csv.DictReader(content.decode("utf-8").splitlines()))
        return _rows_of_table(path, rows, files.gpu_name(gpu))
    except (OSError, EOFError, ValueError, TypeError) as error:
        raise PredictorError(f"{path} cannot be read as a table of kernels: {error}") from None


def _rows_of_table(path: Path, rows: list[dict[str, str]], gpu: str) -> list[dict[str, Any]]:
    if not rows or "kernel_us" not in rows[0]:
        raise PredictorError(f"{path} has no column kernel_us")
    family = "gemm" if "n" in rows[0] else "attention"
    names = [name for name in FAMILIES[family].dims if name in rows[0]]
    own = [row for row in rows if files.gpu_name(row.get("gpu", gpu)) == gpu]
    for row in own:
        if row.get("dtype", "bf16") not in MATRIX_DTYPES:
            raise unknown("dtype", row["dtype"], MATRIX_DTYPES)
    return [
        {
            "family": family,
            "dtype": row.get("dtype", "bf16"),
            "dims": {name: float(row[name]) for name in names},
            "seconds": float(row["kernel_us"]) * 1e-6,
            "launches": 1,
        }
        for row in own
    ]
