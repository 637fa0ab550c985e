"""What a module makes in its first pass and keeps: a graph is of the passes that follow."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from predictor.predict import graph_of
from predictor.records import Trait
from tests.helpers import Function

X = torch.rand(2, 8, 16)


class Table:
    """A plain object that makes its table when it is first asked."""

    def __init__(self) -> None:
        self.angles: list[torch.Tensor] | None = None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if self.angles is None:
            steps = torch.outer(torch.arange(8, dtype=torch.float64), torch.rand(16, dtype=torch.float64))
            self.angles = [steps.sin().to(x.device, x.dtype)]
        return self.angles[0]


class InObject(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = Table()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.table(x)


class InBuffer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.mask is None:
            self.mask = torch.ones(16, device=x.device, dtype=x.dtype).cumsum(0)
        return x * self.mask


class BySize(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[int, torch.Tensor] = {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[1] not in self.kept:
            self.kept[x.shape[1]] = torch.arange(16, device=x.device).to(x.dtype)
        return x * self.kept[x.shape[1]]


class New(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not hasattr(self, "scale"):
            self.scale = torch.full((16,), 0.5, device=x.device, dtype=x.dtype)
        return x * self.scale


class Replaced(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(self.scale) != x.shape[-1]:
            self.scale = torch.arange(x.shape[-1]).to(x.device, x.dtype)
        return x * self.scale


class InList(nn.Module):
    """As torchvision's anchors: a list of tables that the first pass moves."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = [torch.arange(16)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.tables = [table.to(x.device, x.dtype) for table in self.tables]
        return x * self.tables[0]


KEEPING = [InObject, InBuffer, BySize, New, Replaced]


def ops(module: nn.Module, runtime: str) -> list[str]:
    return [call.op for call in graph_of(module.eval(), (X,), "fp16", runtime).calls]


def test_a_list_of_tables_is_moved_once() -> None:
    calls = graph_of(InList().eval(), (X,), "fp16", "eager").calls
    assert not any(call.trait is Trait.SYNC for call in calls)


@pytest.mark.parametrize("kind", KEEPING)
@pytest.mark.parametrize("runtime", ["eager", "cudagraph", "compile"])
def test_what_the_first_pass_has_made_is_there(kind: type[nn.Module], runtime: str) -> None:
    assert [op.split()[0] for op in ops(kind(), runtime)] == ["mul"]


@pytest.mark.parametrize("kind", KEEPING)
def test_a_trace_is_of_the_first_pass(kind: type[nn.Module]) -> None:
    assert len(ops(kind(), "torchscript")) > 1


def test_the_users_module_keeps_nothing() -> None:
    module = BySize()
    ops(module, "eager")
    assert module.kept == {}


def test_a_cache_that_grows_is_taken_as_it_begins() -> None:
    class Growing(nn.Module):
        past: torch.Tensor | None = None

        def forward(self, x: torch.Tensor) -> Any:
            self.past = x if self.past is None else torch.cat((self.past, x), 1)
            return self.past.sum(1)

    assert ops(Growing(), "eager") == ["sum"]


def test_a_later_pass_that_fails_changes_nothing() -> None:
    class Once(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.state: torch.Tensor | None = None

        def forward(self, x: torch.Tensor) -> Any:
            if self.state is not None:
                raise ValueError("was run before")
            self.state = x.exp().tanh()
            return self.state

    assert ops(Once(), "eager") == ["exp", "tanh"]


def test_sequences_are_padded_where_code_names_its_device() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        assert torch.cuda.is_available()
        return nn.utils.rnn.pad_sequence([x[0], x[1, :5]], batch_first=True)

    graph = graph_of(Function(forward), (X,), "fp16", "eager")
    assert [call.op for call in graph.calls][-1] == "pad_sequence"
    assert sum("copy" in part.op for part in graph.calls[-1].parts) == 2
