"""Open dimensions of ONNX files get sizes, or are asked for by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from predictor.cli.main import app
from predictor.errors import PredictorError
from predictor.predict import Predictor, plan_file
from tests.helpers import complaint
from tests.onnx_models import INT, info, model, node, saved, weight


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """(batch, tokens, 64) by (64, 32)."""
    inputs = [info("x", ["batch", "tokens", 64]), info("ids", ["batch", "tokens"], INT)]
    nodes = [node("MatMul", "x,w", "y"), node("Identity", "ids", "z")]
    outputs = [info("y", None), info("z", None, INT)]
    return saved(tmp_path, model(nodes, inputs, [weight("w", 64, 32)], outputs))


def test_the_batch_is_what_most_inputs_begin_with_and_others_go_by_name(product: Path) -> None:
    report = plan_file(product, batch=4, dims={"tokens": 10}).report("h200", "onnx")
    assert (report.batch, report.macs) == (4, 4 * 10 * 64 * 32)


def test_without_a_batch_it_is_one(product: Path) -> None:
    assert Predictor("h200", "onnx").predict_file(product, dims={"tokens": 10}).macs == 10 * 64 * 32


def test_a_shape_says_what_its_names_are_elsewhere(product: Path) -> None:
    report = plan_file(product, shapes={"x": (3, 5, 64)}).report("h200", "onnx")
    assert (report.batch, report.macs) == (3, 15 * 64 * 32)


def test_a_sweep_binds_the_batch_anew(product: Path) -> None:
    plan = plan_file(product, dims={"tokens": 20_000})
    seconds = plan.sweep("h200", "onnx", batch=[1, 64])
    assert plan.report("h200", "onnx", batch=64).macs == 64 * plan.report("h200", "onnx", batch=1).macs
    assert seconds[1] > 2 * seconds[0]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({}, r"input x \(batch, tokens, 64\) has open dimensions: say their sizes, for example --dim tokens=128"),
        ({"dims": {"token": 3}}, "unknown open dimension 'token': did you mean tokens"),
        ({"dims": {"tokens": 0}}, "--dim tokens: a size is 1 or more"),
        ({"shapes": {"z": (1, 2)}}, "unknown input 'z'"),
        ({"shapes": {"x": (1, 2)}}, "has 3 dimensions, not 2"),
        ({"shapes": {"x": (1, 2, 65)}}, "has fixed x"),
        ({"dims": {"tokens": 4}, "shapes": {"x": (1, 5, 64)}}, "tokens is 4 elsewhere, not 5"),
        ({"shapes": {"x": (3, 5, 64)}, "batch": 4}, "differ: say one"),
        ({"dims": {"tokens": 4}, "batch": 0}, "batch must be 1 or more"),
        ({"dims": {"tokens": 4}, "trips": -1}, "trips must be 0 or more"),
    ],
)
def test_what_cannot_be_is_refused(product: Path, said: dict[str, dict[str, int]], message: str) -> None:
    with pytest.raises(PredictorError, match=message):
        plan_file(product, **said)  # type: ignore[arg-type]


def test_a_dimension_without_a_name_is_asked_for_by_shape(tmp_path: Path) -> None:
    path = saved(tmp_path, model([node("Relu")], [info("x", [None, None])]))
    with pytest.raises(PredictorError, match="for example --shape x=1x128"):
        plan_file(path)
    assert plan_file(path, shapes={"x": (2, 3)}).report("h200", "onnx").batch == 2


@pytest.mark.parametrize("dims", [(-1, 64), (0, 64), (None, 64), ("batch", 64), ("-1", 64)])
def test_an_unknown_or_negative_size_is_open(tmp_path: Path, dims: tuple[int | str | None, int]) -> None:
    path = saved(tmp_path, model([node("MatMul", "x,w")], [info("x", dims)], [weight("w", 64, 8)]))
    assert plan_file(path, batch=5).report("h200", "onnx").macs == 5 * 64 * 8


def test_an_input_of_unknown_rank_is_asked_for_not_a_scalar(tmp_path: Path) -> None:
    path = saved(tmp_path, model([node("Relu")], [info("x", None)]))
    with pytest.raises(PredictorError, match="input x has no shape in the file: say --shape x="):
        plan_file(path)


def test_the_command_takes_sizes(product: Path) -> None:
    asked = ["--model", str(product), "--gpu", "h200", "--runtime", "onnx"]
    assert "batch 4" in CliRunner().invoke(app, [*asked, "--batch", "4", "--dim", "tokens=8"]).stdout
    assert "batch 2" in CliRunner().invoke(app, [*asked, "--shape", "x=2x8x64"]).stdout
    assert "--dim wants NAME=SIZE" in complaint(CliRunner().invoke(app, [*asked, "--dim", "tokens"]))
    assert "--shape wants INPUT=" in complaint(CliRunner().invoke(app, [*asked, "--shape", "x=1xb"]))
    assert "--length is for" in complaint(CliRunner().invoke(app, [*asked, "--length", "8"]))
    other = ["--model", "resnet50", "--gpu", "h200", "--dim", "tokens=8"]
    assert "are for ONNX files" in complaint(CliRunner().invoke(app, other))
