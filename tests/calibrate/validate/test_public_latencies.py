"""Public latencies are predicted as they were measured, or said not to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibrate.validate.public_latencies import is_public_table, judge_public, read_public
from calibrate.validate.tables import public_text
from predictor.errors import PredictorError
from predictor.sources import plan_of

HEADER = "source,model,gpu,runtime,dtype,batch,measured_ms,note\n"


def test_rows_are_predicted_by_source_and_others_are_counted_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "public.csv"
    measured_ms = plan_of("bert-base").report("a100", "torchscript", "fp16", 8, 32).latency_s * 1e3
    path.write_text(
        HEADER
        + f"a guide,bert-base encoder s32,a100,torchscript,fp16,8,{measured_ms},seq 32\n"
        + f"a guide,bert-base encoder s32,a100,torchscript,fp16,8,{measured_ms * 1000},seq 32\n"
        + "a table,resnet50,no such card,eager,fp16,1,5,\n"
        + "a table,resnet50,a100,eager,fp16,1,5,512x512\n"
    )
    assert is_public_table(path)
    told: list[str] = []
    judgement = judge_public(read_public(path), told.append)
    guide, everything = judgement.errors
    assert (guide.source, guide.rows, guide.covered) == ("a guide", 2, 0.5)
    assert everything.source == "all"
    assert sum(judgement.skipped.values()) == len(told) == 2
    assert "images of 512 pixels" in public_text(judgement, markdown=False)


def test_a_row_says_how_its_model_is_captured(tmp_path: Path) -> None:
    path = tmp_path / "public.csv"
    path.write_text(HEADER + "timm results,resnet34,3090,eager,fp16,1024,92.4,amp nhwc 224\n")
    (row,) = read_public(path)
    assert (row.spec, row.options.channels_last, row.options.autocast, row.length) == (
        "timm:resnet34",
        True,
        "fp16",
        None,
    )


def test_other_tables_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("session,gpu\na,b\n")
    assert not is_public_table(path)
    with pytest.raises(PredictorError, match="cannot be read"):
        read_public(path)
