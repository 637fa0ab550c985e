"""Kernel times that others measured are fitted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from calibrate.fit.kernel_tables import fit_published
from predictor.calibration.files import SHIPPED
from predictor.predict import GpuCalibration, load_calibration
from predictor.pricing.kernels import kernel_fit
from tests.calibrate.builders import gemm_table, seconds_of


def test_a_table_in_single_precision_is_used_for_single_precision(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "fp32.csv"
    lines = gemm_table(3, pairs=10).splitlines()
    path.write_text("\n".join([f"dtype,{lines[0]}", *(f"fp32,{line}" for line in lines[1:])]), encoding="utf-8")
    fit_published("x1", folder, [path], "h200")
    found = load_calibration("x1")
    assert kernel_fit(found, "gemm", "fp32", "replay").provenance == "fitted"
    assert kernel_fit(found, "gemm", "fp32").provenance == "fitted"


def test_a_gpu_that_nobody_has_gets_what_was_published_and_the_rest_from_its_like(folder: Path, table: Path) -> None:
    fit_published("x1", folder, [table], "h200")
    found, h200 = load_calibration("x1"), load_calibration("h200")
    assert found.provenance == "derived"
    assert kernel_fit(found, "gemm", "bf16").provenance == "fitted"
    assert kernel_fit(found, "softmax", "fp16").provenance == "derived"
    assert kernel_fit(found, "softmax", "fp16").error > kernel_fit(h200, "softmax", "fp16").error
    tiny = {"rows": 8, "cols": 64, "context": "model"}
    ratio = found.kernel_seconds("softmax", "fp16", **tiny) / h200.kernel_seconds("softmax", "fp16", **tiny)
    assert ratio == pytest.approx(found.time_factor, rel=0.05)  # which waits for instructions, not for memory
    assert (found.runtimes, found.dtypes) == (h200.runtimes, ["bf16", "fp16", "fp32", "tf32"])
    rng = np.random.default_rng(5)
    errors = []
    for _ in range(100):
        m, n, k = int(2 ** rng.uniform(0, 13)), int(2 ** rng.uniform(7, 12)), int(2 ** rng.uniform(7, 12))
        errors.append(abs(found.kernel_seconds("gemm", "bf16", m=m, n=n, k=k) / seconds_of(m, n, k) - 1))
    assert np.mean(errors) < 0.12
    slow = found.kernel_seconds("softmax", "fp16", rows=65536, cols=1024)
    assert 2 < slow / h200.kernel_seconds("softmax", "fp16", rows=65536, cols=1024) < 8  # 4.8 times the bandwidth
    host = found.host("eager")  # it has none of its own
    assert (host.reference_gpu, host.provenance) == ("h200", "derived")
    assert host.error > h200.host("eager").error


def test_a_calibrated_gpu_keeps_what_it_has(tmp_path: Path, table: Path, h200: GpuCalibration) -> None:
    folder = tmp_path / "h200"
    shutil.copytree(h200.folder, folder, ignore=shutil.ignore_patterns("samples", "validation"))
    fit_published("h200", folder, [table], None)
    found = load_calibration(str(folder))
    dims = {"m": 512, "n": 1024, "k": 1024}
    for dtype in ("fp16", "bf16", "fp32"):
        before = h200.kernel_seconds("gemm", dtype, context="model", **dims)
        assert found.kernel_seconds("gemm", dtype, context="model", **dims) == before
    assert found.kernel_seconds("gemm", "bf16", **dims) == pytest.approx(seconds_of(**dims), rel=0.15)
    assert json.loads((folder / "device.json").read_text("utf-8")) == json.loads(
        (SHIPPED / "h200" / "device.json").read_text("utf-8")
    )


def test_kernels_that_are_fitted_later_leave_hosts_and_factors(tmp_path: Path) -> None:
    folder = tmp_path / "a100"
    shutil.copytree(SHIPPED / "a100", folder)
    table = tmp_path / "gemm.csv"
    rng = np.random.default_rng(0)
    shapes = rng.integers(64, 4096, (60, 3)).tolist()
    table.write_text("m,n,k,kernel_us\n" + "".join(f"{m},{n},{k},{m * n * k * 1e-8 + 5}\n" for m, n, k in shapes))
    fit_published("a100", folder, [table], "h200")
    before, after = load_calibration("a100"), load_calibration(str(folder))
    assert (after.provenance, after.hosts) == ("fitted", before.hosts)
    assert (after.factors, after.kernels_error) == (before.factors, before.kernels_error)
    assert kernel_fit(after, "gemm", "bf16").error != kernel_fit(before, "gemm", "bf16").error
