"""Multiply-accumulates are those that fvcore counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fvcore.nn import FlopCountAnalysis
from torch import nn

import models_zoo
from predictor.capture.recorder import capture
from predictor.ops.macs import handles
from predictor.records import Graph
from tests.helpers import FIRST_ZOO


class Positional(nn.Module):
    """A transformers model as the tracer wants it: tensors in, tensors out."""

    def __init__(self, model: nn.Module, names: list[str]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *inputs: torch.Tensor) -> Any:
        outputs = self.model(**dict(zip(self.names, inputs, strict=True)))
        return tuple(value for value in outputs.to_tuple() if isinstance(value, torch.Tensor))


def fvcore_total(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> float:
    analysis = FlopCountAnalysis(module.eval(), inputs).set_op_handle(**handles())
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    return float(analysis.total())


@pytest.fixture
def _without_initial_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of no particular value, which are made faster: what is counted are shapes."""
    for name in dir(nn.init):
        if name.endswith("_") and not name.startswith("_"):
            monkeypatch.setattr(nn.init, name, lambda tensor, *args, **options: tensor)


@pytest.mark.usefixtures("_without_initial_values")
@pytest.mark.parametrize("name", FIRST_ZOO)
def test_a_zoo_model_has_the_total_of_fvcore(name: str, zoo_graph: Callable[..., Graph]) -> None:
    module, inputs = models_zoo.build(name, 1)
    assert zoo_graph(name).macs == fvcore_total(Positional(module, list(inputs)), tuple(inputs.values()))


def of(function: Callable[..., Any], *inputs: torch.Tensor) -> int:
    class Function(nn.Module):
        def forward(self, *x: torch.Tensor) -> Any:
            return function(*x)

    found = capture(Function(), inputs).macs
    assert found == fvcore_total(Function(), inputs)
    return found


def image(channels: int) -> torch.Tensor:
    return torch.rand(2, channels, 8, 8)


@pytest.mark.parametrize(
    ("function", "inputs", "expected"),
    [
        (torch.mm, (torch.rand(3, 4), torch.rand(4, 5)), 3 * 4 * 5),
        (torch.addmm, (torch.rand(5), torch.rand(3, 4), torch.rand(4, 5)), 3 * 4 * 5),
        (torch.bmm, (torch.rand(2, 3, 4), torch.rand(2, 4, 5)), 2 * 3 * 4 * 5),
        (torch.baddbmm, (torch.rand(2, 3, 5), torch.rand(2, 3, 4), torch.rand(2, 4, 5)), 2 * 3 * 4 * 5),
        (torch.mv, (torch.rand(3, 4), torch.rand(4)), 12),
        (torch.dot, (torch.rand(7), torch.rand(7)), 7),
        (torch.matmul, (torch.rand(2, 2, 3, 4), torch.rand(2, 2, 4, 5)), 4 * 3 * 4 * 5),
        (F.scaled_dot_product_attention, (torch.rand(1, 2, 8, 4),) * 3, 2 * 2 * 8 * 8 * 4),
        (lambda x: F.conv2d(x, torch.ones(6, 4, 3, 3), padding=1), (image(4),), 2 * 64 * 6 * 4 * 9),
        (lambda x: F.conv2d(x, torch.ones(6, 4, 3, 3), padding="same"), (image(4),), 2 * 64 * 6 * 4 * 9),
        (lambda x: F.conv2d(x, torch.ones(6, 4, 3, 3), padding="valid"), (image(4),), 2 * 36 * 6 * 4 * 9),
        (lambda x: F.conv2d(x, torch.ones(4, 1, 3, 3), padding=1, groups=4), (image(4),), 2 * 64 * 4 * 9),
        (lambda x: F.conv1d(x, torch.ones(6, 2, 3), groups=2), (torch.rand(1, 4, 10),), 8 * 6 * 2 * 3),
    ],
    ids=[
        *("mm", "addmm", "bmm", "baddbmm", "mv", "dot", "matmul", "attention"),
        *("conv2d", "conv2d same", "conv2d valid", "conv2d depthwise", "conv1d grouped"),
    ],
)
def test_an_operator_by_hand(function: Callable[..., Any], inputs: tuple[torch.Tensor, ...], expected: int) -> None:
    assert of(function, *inputs) == expected


def test_macs_grow_with_the_batch(zoo_graph: Callable[..., Graph]) -> None:
    assert zoo_graph("distilbert", batch=4).macs == 4 * zoo_graph("distilbert").macs


def test_macs_do_not_depend_on_the_dtype(zoo_graph: Callable[..., Graph]) -> None:
    assert zoo_graph("mobilenet_v2", "fp16").macs == zoo_graph("mobilenet_v2", "fp32").macs
