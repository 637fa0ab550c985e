"""Nodes of an ONNX file stand where the model's exporter says, though the optimiser renames and joins them."""

from __future__ import annotations

import warnings
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from predictor.capture.onnx_files.files import read_graph
from predictor.capture.onnx_files.scopes import METADATA, of_tensors
from predictor.predict import plan_file
from tests import onnx_models as models


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(nn.functional.gelu(self.up(self.norm(x))))


class Net(nn.Module):
    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        self.layers, self.head = nn.ModuleList(Block(64) for _ in range(depth)), nn.Linear(64, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


@pytest.fixture(scope="module", params=[False, True], ids=["names", "metadata"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The net, exported with scopes in names, as torch did until 2.8, and in metadata, as it does since."""
    path = tmp_path_factory.mktemp("scopes") / "net.onnx"
    more = {"external_data": False, "verbose": False} if request.param else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Net().eval(), (torch.ones(1, 16, 64),), str(path), dynamo=request.param, **more)
    return path


def test_optimised_nodes_stand_in_their_modules(exported: Path) -> None:
    of_layer = [("LayerNormalization", ".norm"), ("Gemm", ".up"), ("Gelu", ""), ("Gemm", ".down"), ("Add", "")]
    expected = [(op, f"layers.{number}{where}") for number in range(3) for op, where in of_layer]
    calls = [(call.op, call.origin.module) for call in read_graph(exported).calls]
    assert [call for call in calls if call[0] != "Reshape"] == [*expected, ("Gemm", "head")]
    for before, (op, where), after in zip(calls, calls[1:], calls[2:], strict=False):
        if op == "Reshape":  # around a product, whose rows the optimiser joins
            assert where == (after if after[0] == "Gemm" else before)[1]


def test_a_file_is_broken_down_by_its_modules_and_its_depth_is_known(exported: Path) -> None:
    plan = plan_file(exported)
    parts = {part.name: part for part in plan.breakdown("h200", "onnx", by="module")}
    assert {"layers.0", "layers.1", "layers.2", "head"} <= set(parts)
    assert parts["layers.0"].cost.macs == 2 * 16 * 64 * 128
    depth = {row.dimension: row for row in plan.headroom("h200", "onnx")}["depth"]
    assert (depth.now, depth.note.endswith(" ms a block of layers")) == (3, True)


def test_names_without_scopes_and_metadata_that_is_not_torch_s_say_nothing() -> None:
    plain, scoped, odd = (models.node("Relu", "x", name) for name in ("a", "b", "c"))
    plain.name, scoped.name, odd.name = "Relu_0", "/body//1/Relu", "trunk/Relu"
    odd.metadata_props.append(onnx.StringStringEntryProto(key=METADATA, value="__import__('os')"))
    graph = models.graph([plain, scoped, odd], [models.info("x")], [models.info("a")])
    assert of_tensors(graph)[0] == {"a": "", "b": "body.1", "c": "trunk"}
