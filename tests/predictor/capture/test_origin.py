"""Where an operator comes from: the module that was being called, and the line of code."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn
from transformers import BertConfig, BertModel

from predictor.capture.origins import file_outside_of_torch
from predictor.capture.recorder import capture
from predictor.predict import plan
from predictor.records import UNKNOWN_ORIGIN, Graph, Lane, Origin

X = torch.rand(2, 8)
LINES: dict[str, int] = {}
"""Name -> the line that ran after ``here`` last."""


def here(name: str) -> None:
    LINES[name] = sys._getframe(1).f_lineno + 1


def origins(graph: Graph) -> list[Origin]:
    return [call.origin for call in graph.calls]


def at(module: str, line: str) -> Origin:
    """A line of this file."""
    return Origin(module, "tests/predictor/capture/test_origin.py", LINES[line])


def doubled(x: torch.Tensor) -> torch.Tensor:
    here("helper")
    return x * 2


class Inner(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = doubled(x)
        here("inner")
        return torch.relu(x)


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Inner(), Inner()])
        self.head = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        here("head")
        x = self.head(x)
        here("outer")
        return x + 1


def test_an_operator_knows_the_innermost_module_and_the_line_of_the_users_code() -> None:
    """A function that a module calls stands where it was written; a layer of torch where it was called."""
    found = origins(capture(Outer(), X))
    expected = [
        *(at("blocks.0", "helper"), at("blocks.0", "inner")),
        *(at("blocks.1", "helper"), at("blocks.1", "inner")),
        *(at("head", "head"), at("", "outer")),
    ]
    assert found == expected


def test_layers_of_torch_alone_know_their_module_and_no_line() -> None:
    """Whoever calls the model is not where its operators come from, be it this test or a plan."""
    layers = nn.Sequential(nn.Linear(8, 8), nn.Sequential(nn.ReLU(), nn.Linear(8, 8)))
    expected = [Origin("0"), Origin("1.0"), Origin("1.1")]
    assert origins(capture(layers, X)) == expected
    assert origins(plan(layers, X).graph("fp32", "eager")) == expected
    assert origins(capture(nn.ReLU(), X)) == [UNKNOWN_ORIGIN]


def test_a_package_is_told_from_its_name_on_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "nets" / "blocks").mkdir(parents=True)
    for name in ("nets/__init__.py", "nets/blocks/__init__.py", "nets/blocks/mlp.py", "alone.py"):
        (tmp_path / name).write_text("")
    told = {
        name: file_outside_of_torch(compile("", str(tmp_path / name), "exec"))
        for name in ("nets/blocks/mlp.py", "nets/__init__.py", "alone.py")
    }
    assert told == {
        "nets/blocks/mlp.py": "nets/blocks/mlp.py",
        "nets/__init__.py": "nets/__init__.py",
        "alone.py": str(tmp_path / "alone.py"),
    }


def test_code_of_a_library_stands_where_packages_are_installed() -> None:
    config = BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    graph = capture(BertModel(config).eval(), {"input_ids": torch.ones(2, 16, dtype=torch.int64)})
    files = {origin.file for origin in origins(graph)}
    assert "transformers/models/bert/modeling_bert.py" in files
    assert all(file.startswith("transformers/") for file in files)
    assert all(origin.line > 0 for origin in origins(graph))
    products = [call.origin.module for call in graph.calls if call.op == "linear"]
    block = ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"]
    block += ["intermediate.dense", "output.dense"]
    assert products == [f"encoder.layer.{n}.{name}" for n in (0, 1) for name in block] + ["pooler.dense"]


def test_a_module_that_its_model_does_not_name_belongs_to_the_one_that_calls_it() -> None:
    unnamed = [nn.ReLU()]

    class Hidden(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            here("hidden")
            return unnamed[0](x)

    assert origins(capture(nn.Sequential(Hidden()), X)) == [at("0", "hidden")]


def test_a_module_under_two_names_has_the_first() -> None:
    shared = nn.ReLU()
    assert [o.module for o in origins(capture(nn.Sequential(shared, nn.Tanh(), shared), X))] == ["0", "1", "0"]


def test_parts_of_an_operator_come_from_where_it_does() -> None:
    class Reshapes(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            here("reshape")
            return x.transpose(0, 1).reshape(-1)

    *_, call = capture(nn.Sequential(Reshapes()), X).calls
    assert call.parts
    assert {part.origin for part in (call, *call.parts)} == {at("0", "reshape")}


def test_operators_that_are_fused_come_from_where_the_first_does() -> None:
    def modules(runtime: str) -> list[str]:
        spans = plan(Outer(), X).timeline("h200", runtime)
        return [span.origin.module for span in spans if span.lane is Lane.DEVICE]

    assert modules("eager") == ["blocks.0", "blocks.0", "blocks.1", "blocks.1", "head", ""]
    assert modules("torchscript") == ["blocks.0", "head", ""]
    assert modules("compile")[:2] == ["blocks.0", "head"]


def test_the_kernels_of_a_cuda_graph_come_from_where_they_were_captured() -> None:
    """They are issued by one call, which comes from nowhere."""
    spans = plan(Outer(), X).timeline("h200", "cudagraph")
    modules = {lane: [span.origin.module for span in spans if span.lane is lane] for lane in Lane}
    assert modules[Lane.DEVICE] == ["blocks.0", "blocks.0", "blocks.1", "blocks.1", "head", ""]
    assert set(modules[Lane.HOST]) == {""}
