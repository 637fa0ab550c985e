"""Shipped graphs: they are what a capture gives, for sizes that they were not made of, and need no torch."""

from __future__ import annotations

import gzip
import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import models_zoo
from predictor import runtimes
from predictor.capture.recorder import capture
from predictor.cli.main import app
from predictor.errors import PredictorError
from predictor.graph import files
from predictor.graph.files import GraphSet, SizeRange
from predictor.graph.sizes import SizeRule
from predictor.predict import graph_of
from predictor.records import CaptureMode, Graph
from predictor.sources import plan_of
from tests.helpers import BUILDABLE, FIRST_ZOO, RUN_ANYTHING, complaint

TOKENS = [n for n in BUILDABLE if "length" in inspect.signature(models_zoo.module(n).inputs).parameters]


def captured(name: str, dtype: str, runtime: str, batch: int, length: int | None = None) -> Graph:
    with torch.device("meta"):
        module, inputs = models_zoo.build(name, batch, length)
    return graph_of(module, inputs, dtype, runtime, name)


@cache
def shipped(name: str) -> GraphSet:
    return files.read(models_zoo.graphs(name))


SHIPPED = [n for n in BUILDABLE if models_zoo.graphs(n).is_file() and n != "gpt2-generate"]
"""Models with a shipped graph but for the one that generates. ``python -m benchmarks.record_graphs --check`` compares
that one, too, and every capture mode of all.
"""


@pytest.mark.parametrize(("dtype", "batch", "length"), [("fp32", 1, 128), ("fp16", 11, 104)])
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_graph_is_what_a_capture_gives(name: str, dtype: str, batch: int, length: int) -> None:
    tokens = length if name in TOKENS else None
    found = shipped(name).find(dtype, CaptureMode.EAGER, batch, tokens or 0)
    assert found is not None
    assert found == captured(name, dtype, "eager", batch, tokens)


@pytest.mark.parametrize("dtype", ["fp32", "tf32", "fp16", "bf16"])
@pytest.mark.parametrize("runtime", ["torchscript", "cudagraph", "compile", "onnx"])
def test_a_shipped_graph_is_that_of_every_runtime_and_dtype(runtime: str, dtype: str) -> None:
    found = shipped("distilbert").find(dtype, runtimes.load(runtime).capture_mode, 4, 128)
    assert found is not None
    expected = captured("distilbert", dtype, runtime, 4)
    assert (found.calls, found.outputs, found.dtype) == (expected.calls, expected.outputs, dtype)


@pytest.mark.parametrize("name", FIRST_ZOO)
def test_every_capture_mode_is_shipped(name: str) -> None:
    graphs = shipped(name)
    for runtime in RUN_ANYTHING:
        for dtype in ("fp32", "fp16"):
            assert graphs.find(dtype, runtimes.load(runtime).capture_mode, 32, graphs.length) is not None


def test_modes_whose_graphs_are_alike_share_them_in_the_file() -> None:
    captures = {(b, 0): capture(nn.Linear(4, 4), torch.empty(b, 4)) for b in (2, 3)}
    alone = GraphSet("layer").extended("fp32", CaptureMode.EAGER, captures, SizeRange(2, 0))
    both = alone.aliased(CaptureMode.TRACED, alone.templates[0])
    stored = json.loads(gzip.decompress(both.to_bytes()))["templates"]
    assert stored[1] == {"dtype": "fp32", "mode": "traced", "batches": [2, 0], "lengths": [0, 0, 1], "same": 0}
    again = GraphSet.from_bytes(both.to_bytes(), "again")
    assert again.templates == both.templates
    assert again.find("fp32", CaptureMode.TRACED, 7, 0) == both.find("fp32", CaptureMode.EAGER, 7, 0)
    assert again.find("fp32", CaptureMode.COMPILED, 7, 0) is None


def test_a_length_that_the_file_does_not_have_is_captured() -> None:
    assert shipped("distilbert").find("fp16", CaptureMode.EAGER, 2, 77) is None
    found = plan_of("distilbert").graph("fp16", "eager", 2, 77)
    assert found.calls == captured("distilbert", "fp16", "eager", 2, 77).calls


def test_a_length_is_for_language_models() -> None:
    said = complaint(CliRunner().invoke(app, ["--model", "resnet50", "--gpu", "h200", "--length", "64"]))
    assert "takes no tokens" in said


def test_a_longer_input_takes_longer() -> None:
    def latency(length: str) -> float:
        arguments = ["--model", "bert-base", "--gpu", "h200", "--batch", "256", "--length", length, "--json"]
        return float(json.loads(CliRunner().invoke(app, arguments).output)["latency_s"])

    assert latency("256") > 1.7 * latency("128")


def test_a_zoo_model_is_predicted_without_torch() -> None:
    program = (
        "import sys; from predictor.cli.main import app; from typer.testing import CliRunner; "
        "found = CliRunner().invoke(app, ['--model', 'funnel', '--runtime', 'onnx', '--gpu', 'a100']); "
        "assert found.exit_code == 0, found.output; "
        "print(sorted({'torch', 'transformers', 'sklearn', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


Size = Callable[[int, int], int]
"""Batch, length -> a number."""


class Rows(nn.Module):
    """A layer whose output has as many rows as its function of the sizes says."""

    def __init__(self, rows: Size) -> None:
        super().__init__()
        self.rows = rows

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ones(self.rows(x.shape[0], x.shape[1]), 4, device=x.device)


def graphs_of(rows: Size) -> dict[tuple[int, int], Graph]:
    return {(b, n): capture(Rows(rows), torch.empty(b, n)) for b in (2, 3, 5) for n in (8, 16, 24, 40)}


def one_template(captures: dict[tuple[int, int], Graph]) -> GraphSet:
    return GraphSet("Rows").extended("fp32", CaptureMode.EAGER, captures, SizeRange(2, 0, 8, 1024, 8))


@pytest.mark.parametrize(
    "rows", [lambda b, n: 7, lambda b, n: b + 3, lambda b, n: b * n // 2 + 1, lambda b, n: b * n * n - n]
)
def test_sizes_are_sums_of_products_of_batch_and_length(rows: Size, tmp_path: Path) -> None:
    path = tmp_path / "rows.json.gz"
    files.write(path, one_template(graphs_of(rows)))
    found = files.read(path).find("fp32", CaptureMode.EAGER, 9, 40)
    assert found is not None
    assert found.calls == capture(Rows(rows), torch.empty(9, 40)).calls


@pytest.mark.parametrize(
    ("batch", "length", "holds"),
    [
        *((2, 8, True), (10**6, 1024, True), (7, 16, True)),
        *((1, 8, False), (2, 0, False), (2, 1032, False), (2, 12, False)),
    ],
)
def test_a_range_holds_its_sizes_alone(batch: int, length: int, holds: bool) -> None:
    """Batches from 2 on, lengths from 8 to 1024 in steps of 8."""
    assert SizeRange(2, 0, 8, 1024, 8).holds(batch, length) == holds
    assert SizeRange(2, 5).holds(5, 0)
    assert not SizeRange(2, 5).holds(6, 0)


def test_the_first_template_that_holds_the_sizes_is_taken() -> None:
    def one(operator: nn.Module, batch: int) -> dict[tuple[int, int], Graph]:
        return {(batch, 0): capture(operator, torch.empty(batch, 4))}

    eager = "fp32", CaptureMode.EAGER
    graphs = GraphSet("two").extended(*eager, one(nn.ReLU(), 1), SizeRange(1, 1))
    graphs = graphs.extended(*eager, one(nn.Tanh(), 1), SizeRange(1, 3))
    graphs = graphs.extended("fp32", CaptureMode.TRACED, one(nn.GELU(), 9), SizeRange(9, 9))
    found = {batch: graphs.find(*eager, batch, 0) for batch in (1, 2, 3, 4)}
    assert {b: graph and graph.calls[0].op for b, graph in found.items()} == {1: "relu", 2: "tanh", 3: "tanh", 4: None}
    assert graphs.find(*eager, 9, 0) is None
    assert graphs.has("tf32", CaptureMode.TRACED)
    assert not graphs.has("fp16", CaptureMode.TRACED)
    assert not graphs.has("fp32", CaptureMode.COMPILED)


def test_a_graph_of_one_dtype_stands_for_those_that_share_it() -> None:
    captures = {(2, 0): capture(nn.Linear(4, 4), torch.empty(2, 4), "fp16")}
    graphs = GraphSet("layer").extended("fp16", CaptureMode.EAGER, captures, SizeRange(2, 2))
    half, brain = (graphs.find(dtype, CaptureMode.EAGER, 2, 0) for dtype in ("fp16", "bf16"))
    assert half is not None
    assert brain is not None
    assert {t.dtype for t in brain.calls[0].tensors} == {"bf16"}
    assert brain.calls == capture(nn.Linear(4, 4), torch.empty(2, 4), "bf16").calls
    assert half == captures[2, 0] or half.calls == captures[2, 0].calls
    assert graphs.find("fp32", CaptureMode.EAGER, 2, 0) is None


@pytest.mark.parametrize("rows", [lambda b, n: 2**b, lambda b, n: n**3, lambda b, n: 1000 // n])
def test_other_sizes_are_refused(rows: Size) -> None:
    with pytest.raises(ValueError, match="follow no rule"):
        one_template(graphs_of(rows))


def test_a_graph_whose_operators_depend_on_the_sizes_is_refused() -> None:
    graphs = {(b, 0): capture(nn.Sequential(*[nn.ReLU()] * b), torch.empty(b, 4)) for b in (2, 3)}
    with pytest.raises(ValueError, match="number of operators"):
        one_template(graphs)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no gzip", "no file of graphs"),
        (gzip.compress(b"{"), "no file of graphs"),
        (gzip.compress(b'{"schema": 99}'), "reads up to"),
    ],
    ids=["no gzip", "no JSON", "newer"],
)
def test_a_damaged_or_newer_file_is_said(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "one.json.gz"
    path.write_bytes(content)
    with pytest.raises(PredictorError, match=said):
        files.read(path)


def test_large_sizes_are_exact() -> None:
    """Bytes of a wide model's products in single precision, which floating point solves to no multiple of 1/4096."""
    rule = SizeRule([(1, length) for length in (128, 256, 384)])
    assert rule.merge([9437184 * length for length in (128, 256, 384)]) == {"=": [0, 9437184, 0]}


def test_sizes_that_tell_no_terms_apart_have_no_rule() -> None:
    rule = SizeRule([(batch, length) for batch in (2, 3) for length in (128, 256)])
    with pytest.raises(ValueError, match="follow no rule"):
        rule.merge([batch * length for batch in (2, 3) for length in (128, 256)])


class Undefined(nn.Module):
    """Fills with what is no number, which is not equal to itself."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.masked_fill(x > 0, float("nan"))


def test_what_is_no_number_is_the_same_at_all_sizes() -> None:
    captures = {(b, n): capture(Undefined(), torch.empty(b, n)) for b in (2, 3, 5) for n in (8, 16, 24, 40)}
    found = one_template(captures).find("fp32", CaptureMode.EAGER, 9, 40)
    assert found is not None
    assert [call.op for call in found.calls] == [call.op for call in captures[2, 8].calls]
