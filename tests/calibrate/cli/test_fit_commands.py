"""The commands that fit and judge what others measured."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from calibrate.cli.calibrate import app as calibrate
from calibrate.cli.validate import app as validate
from predictor.calibration.files import SHIPPED
from tests.calibrate.builders import gemm_table
from tests.helpers import complaint


def test_what_is_missing_is_one_clear_line(folder: Path, table: Path) -> None:
    run = CliRunner().invoke
    assert "--reference-gpu NAME" in complaint(run(calibrate, ["fit", "--gpu", "x1", "--kernels", str(table)]))
    shipped = str(SHIPPED / "h200" / "README.md")
    assert "no file of kernels" in complaint(
        run(calibrate, ["fit", "--gpu", "x1", "--kernels", shipped, "--reference-gpu", "h200"])
    )
    assert "unknown GPU" in complaint(
        run(calibrate, ["fit", "--gpu", "x1", "--kernels", str(table), "--reference-gpu", "h20"])
    )


def test_the_commands_fit_and_judge(folder: Path, table: Path, tmp_path: Path) -> None:
    """A calibration is made from a table, and judged: on weights unseen, and as it is on another table."""
    result = CliRunner().invoke(calibrate, ["fit", "--gpu", "x1", "--kernels", str(table), "--reference-gpu", "h200"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert "gemm" in result.stdout
    other = tmp_path / "other.csv"
    other.write_text(gemm_table(9), encoding="utf-8")
    for arguments in (["--data", str(table)], ["--data", str(other), "--as-is"]):
        printed = CliRunner().invoke(validate, ["kernels", "--gpu", "x1", *arguments])
        assert printed.exit_code == 0, printed.output
        rows = [line.split() for line in printed.stdout.splitlines() if " all " in line]
        assert [row[3] for row in rows] == ["fit", "roofline", "constant"]
        mape = [float(row[-3].rstrip("%")) for row in rows]
        assert mape[0] < 12
        assert mape[0] < mape[1] < mape[2]


def test_what_cannot_be_fitted_is_said(tmp_path: Path) -> None:
    run, path = CliRunner().invoke, tmp_path / "table.csv"
    assert "say what to fit" in complaint(run(calibrate, ["fit", "--gpu", "v100"]))
    path.write_text("session,gpu\na,b\n")
    assert "cannot be read as a table" in complaint(run(calibrate, ["fit", "--gpu", "v100", "--published", str(path)]))
    path.write_text("session,gpu,runtime,precision,model,batch,latency_ms\na,v100,eager,fp16,nonesuch,1,2.0\n")
    assert "no graph of nonesuch" in complaint(run(calibrate, ["fit", "--gpu", "v100", "--published", str(path)]))
    assert "no such file" in complaint(run(validate, ["published", "--data", str(tmp_path / "none.csv")]))
