"""Kernel times that others measured: read, fitted, judged."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from calibrate.cli.calibrate import app as calibrate
from calibrate.cli.validate import app as validate
from calibrate.fit.published import fit_published, judge, read_kernels
from predictor.calibration import files
from predictor.calibration.files import SHIPPED
from predictor.calibration.load import Calibration, forget
from predictor.errors import PredictorError
from predictor.predict import load_calibration
from predictor.pricing.kernels import kernel_fit
from tests.helpers import complaint

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
PEAK, BANDWIDTH = 2e14, 1e12


def seconds_of(m: float, n: float, k: float) -> float:
    """A device that loses a third on widths that are no multiple of 64."""
    base = max(2 * m * n * k / PEAK, 2 * (m * k + n * k + m * n) / BANDWIDTH) + 4e-6
    return base * (1.0 if n % 64 == 0 else 1.5)


def gemm_table(seed: int, pairs: int = 60, column: str = "kernel_us") -> str:
    rng = np.random.default_rng(seed)
    lines = [f"m,n,k,{column}"]
    for _ in range(pairs):
        n, k = (int(2 ** rng.uniform(6, 13)) for _ in range(2))
        n -= n % 64 if rng.random() < 0.5 else 0
        for m in 2 ** rng.integers(0, 14, 8):
            lines.append(f"{m},{n},{k},{seconds_of(m, n, k) * 1e6:.4f}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A GPU of which only the datasheet is known."""
    path = tmp_path / "calibrations" / "x1"
    sheet = {
        **{
            "schema": 1,
            "gpu": "x1",
            "name": "X1",
            "sms": 66,
            "l2_bytes": 10**7,
            "clock_hz": 0.99e9,
            "source": "a leaflet",
        },
        **{"bandwidth_bytes_per_s": BANDWIDTH, "peak_flops": dict.fromkeys(("fp32", "tf32", "fp16", "bf16"), PEAK)},
    }
    files.write_json(path / "datasheet.json", sheet)
    monkeypatch.setenv("PREDICTOR_CALIBRATIONS", str(path.parent))
    forget()
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "gemm.csv"
    path.write_text(gemm_table(0), encoding="utf-8")
    return path


def test_a_table_is_read_packed_or_not(table: Path) -> None:
    packed = table.with_suffix(".csv.gz")
    packed.write_bytes(gzip.compress(table.read_bytes()))
    found = read_kernels(table, "x1")
    assert len(found) == 480
    assert found == read_kernels(packed, "x1")
    first = found[0]
    assert (first["family"], first["dtype"], set(first["dims"])) == ("gemm", "bf16", {"m", "n", "k"})
    assert first["seconds"] == pytest.approx(seconds_of(**first["dims"]), rel=1e-3)


def test_of_a_table_of_several_gpus_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "attention.csv"
    header = "gpu,dtype,causal,batch,seq,heads,kv_heads,head_dim,kernel_us"
    path.write_text(f"{header}\nX-1,fp16,1,2,128,8,4,64,5.5\nother,fp16,1,2,128,8,4,64,7.5\n", encoding="utf-8")
    (found,) = read_kernels(path, "x1")
    assert (found["family"], found["dtype"], found["seconds"]) == ("attention", "fp16", 5.5e-6)
    assert (found["dims"]["kv_heads"], found["dims"]["causal"]) == (4, 1)


def test_samples_of_a_calibration_are_read_without_the_failed_ones() -> None:
    found = read_kernels(SHIPPED / "h200" / "samples" / "kernels.jsonl", "h200")
    assert len(found) > 20_000
    assert not any(sample.get("failed") for sample in found)


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
        ("text.jsonl", b"not samples\n", "is not a file of samples"),
    ):
        broken = tmp_path / name
        broken.write_bytes(content)
        with pytest.raises(PredictorError, match=message):
            read_kernels(broken, "x1")
        assert broken.read_bytes() == content


def test_a_table_in_single_precision_is_used_for_single_precision(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "fp32.csv"
    lines = gemm_table(3).splitlines()
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
    assert ratio == pytest.approx(found.slower, rel=0.05)  # which waits for instructions, not for memory
    assert (found.runtimes, found.dtypes) == (h200.runtimes, ["bf16", "fp16", "fp32", "tf32"])
    rng = np.random.default_rng(5)
    errors = []
    for _ in range(100):
        m, n, k = int(2 ** rng.uniform(0, 13)), int(2 ** rng.uniform(7, 12)), int(2 ** rng.uniform(7, 12))
        errors.append(abs(found.kernel_seconds("gemm", "bf16", m=m, n=n, k=k) / seconds_of(m, n, k) - 1))
    assert np.mean(errors) < 0.12
    slow = found.kernel_seconds("softmax", "fp16", rows=65536, cols=1024)
    assert 2 < slow / h200.kernel_seconds("softmax", "fp16", rows=65536, cols=1024) < 8  # 4.8 times the bandwidth


def test_a_gpu_without_a_host_side_borrows_that_of_its_like(folder: Path, table: Path, h200: Calibration) -> None:
    fit_published("x1", folder, [table], "h200")
    host = load_calibration("x1").host("eager")
    assert (host.borrowed, host.provenance) == ("h200", "derived")
    assert host.error > h200.host("eager").error


def test_a_calibrated_gpu_keeps_what_it_has(tmp_path: Path, table: Path, h200: Calibration) -> None:
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
        (h200.folder / "device.json").read_text("utf-8")
    )


def test_what_is_missing_is_one_clear_line(folder: Path, table: Path) -> None:
    run = CliRunner().invoke
    assert "say which calibrated GPU it is --like" in complaint(
        run(calibrate, ["fit", "--gpu", "x1", "--kernels", str(table)])
    )
    shipped = str(SHIPPED / "h200" / "README.md")
    assert "no file of kernels" in complaint(
        run(calibrate, ["fit", "--gpu", "x1", "--kernels", shipped, "--like", "h200"])
    )
    assert "unknown GPU" in complaint(run(calibrate, ["fit", "--gpu", "x1", "--kernels", str(table), "--like", "h20"]))


def test_the_commands_fit_and_judge(folder: Path, table: Path, tmp_path: Path) -> None:
    """A calibration is made from a table, and judged: on weights unseen, and as it is on another table."""
    result = CliRunner().invoke(calibrate, ["fit", "--gpu", "x1", "--kernels", str(table), "--like", "h200"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert "gemm" in result.stdout
    other = tmp_path / "other.csv"
    other.write_text(gemm_table(9), encoding="utf-8")
    for arguments in (["--data", str(table)], ["--data", str(other), "--as-is"]):
        printed = CliRunner().invoke(validate, ["kernels", "--gpu", "x1", *arguments])
        assert printed.exit_code == 0, printed.output
        rows = [line.split() for line in printed.stdout.splitlines() if " all " in line]
        assert [row[4] for row in rows] == ["fit", "roofline", "constant"]
        mape = [float(row[-3].rstrip("%")) for row in rows]
        assert mape[0] < 12
        assert mape[0] < mape[1] < mape[2]


def test_no_weight_matrix_is_on_both_sides_of_a_split(h200: Calibration) -> None:
    """Times that follow from (n, k) alone, at random: who has seen a pair knows them, who has not cannot."""
    rng = np.random.default_rng(0)
    samples = []
    for _ in range(60):
        n, k, seconds = int(rng.integers(64, 4096)), int(rng.integers(64, 4096)), float(np.exp(rng.normal(-10, 1)))
        samples += [
            {"family": "gemm", "dtype": "bf16", "dims": {"m": m, "n": n, "k": k}, "seconds": seconds, "launches": 1}
            for m in (1, 2, 3, 4, 5, 6, 7, 8)
        ]
    found = {j.predictor: j for j in judge(samples, h200, as_is=False) if j.decade is None}
    assert found["fit"].mape > 0.5


@pytest.mark.skipif(not SHARED.is_dir(), reason="the published measurements are not here")
def test_attention_on_shapes_unseen_is_predicted_to_a_few_percent() -> None:
    for gpu in ("h100", "a100"):
        samples = read_kernels(SHARED / "attention_bf16.csv.gz", gpu)
        found = {j.predictor: j for j in judge(samples, load_calibration(gpu), as_is=False) if j.decade is None}
        assert found["fit"].mape < 0.08
        assert found["fit"].mape < found["roofline"].mape / 4
