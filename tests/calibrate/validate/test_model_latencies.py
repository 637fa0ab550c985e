"""The shipped calibrations against what was published."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from calibrate.cli.validate import app as validate
from calibrate.samples.model_latencies import Pass
from calibrate.validate.model_latencies import judge_passes
from tests.calibrate.builders import published_plan


def test_the_papers_statements_come_out() -> None:
    """On the machines that it measured."""

    def seconds(model: str, gpu: str, dtype: str = "fp16") -> tuple[float, int]:
        found = published_plan(model).report(gpu, "eager", dtype, 1, host=f"{gpu}-eager-fp16-a")
        return found.latency_s, found.macs

    assert seconds("bert", "a100")[0] > seconds("bert", "v100")[0]
    for gpu in ("a100", "v100", "rtx8000"):
        (funnel, fewer), (bert, more) = seconds("funnel_transformer", gpu), seconds("bert", gpu)
        assert funnel > bert
        assert fewer < more
        slowest = seconds("mobile_bert", gpu)[0]
        assert all(slowest > seconds(m, gpu)[0] for m in ("albert", "bert", "funnel_transformer", "longformer"))


def test_shipped_calibrations_predict_what_was_published(some: list[Pass]) -> None:
    errors = []
    for row in some:
        predicted = published_plan(row.model).report(row.gpu, row.runtime, row.dtype, row.batch, host=row.session)
        errors.append(abs(predicted.max_s / row.seconds - 1))
    assert np.mean(errors) < 0.14
    assert np.median(errors) < 0.1


def test_models_unseen_are_judged_session_by_session(some: list[Pass], tmp_path: Path) -> None:
    found = {one.name: one for one in judge_passes(some, "h200")}
    one = found["v100-eager-fp16-a"]
    assert (one.models, one.rows) == (17, 34)
    assert one.mape < one.macs_alone / 2
    assert one.tau > 0.7
    path = tmp_path / "some.csv"
    names = ("session", "gpu", "runtime", "dtype", "model", "batch", "seconds")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["session", "gpu", "runtime", "precision", "model", "batch", "latency_ms"])
        writer.writerows([*(getattr(row, n) for n in names[:-1]), row.seconds * 1e3] for row in some)
    printed = CliRunner().invoke(validate, ["published", "--data", str(path), "--gpu", "V100", "--markdown"])
    assert printed.exit_code == 0, printed.output
    assert f"| v100-eager-fp16-a | 17 | 34 | {one.mape:.1%} |" in printed.output
    assert "a100" not in printed.output
