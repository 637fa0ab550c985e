"""Where a call runs that names the device by another tensor: known values are kept on the CPU and are not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from predictor.calibration.load import load_calibration
from predictor.errors import CannotRunError
from predictor.predict import graph_of
from predictor.pricing.kernels import price_kernels
from predictor.records import Kernel, Trait
from predictor.runtimes import load
from tests.helpers import of, report

IDS = torch.randint(5, 900, (1, 16))


@pytest.mark.parametrize(
    "positions",
    [
        lambda ids: torch.cumsum(ids.ne(1).int(), 1).type_as(ids.ne(1).int()),
        lambda ids: torch.cumsum(ids.ne(1).int(), 1).to(ids.ne(1).int()),
        lambda ids: torch.cumsum(ids.ne(1).int(), 1).to(other=ids),
    ],
)
def test_positions_counted_from_ids_stay_on_the_device(positions: Callable[[Tensor], Tensor]) -> None:
    graph = of(positions, IDS)
    assert not any(call.trait is Trait.SYNC for call in graph.calls)
    assert report(graph, "h200", "cudagraph").latency_s < 50e-6


@pytest.mark.parametrize(
    "moves",
    [
        lambda ids: torch.zeros(16).type_as(ids) + ids,
        lambda ids: torch.zeros(16).to(ids) + ids,
        lambda ids: (ids + 1).type_as(torch.zeros(3)),
        lambda ids: (ids + 1).to(torch.zeros(3)),
    ],
)
def test_what_was_made_on_the_host_is_moved_and_waited_for(moves: Callable[[Tensor], Tensor]) -> None:
    graph = of(moves, IDS)
    assert sum(call.trait is Trait.SYNC for call in graph.calls) == 1
    lowered = load("cudagraph").lower(graph, None)
    assert "waits for the device" in lowered.unsupported_reason
    with pytest.raises(CannotRunError, match="waits for the device"):
        report(graph, "h200", "cudagraph")


class Positions(nn.Module):
    """A table that is no buffer, which every pass takes to the device of its input."""

    def __init__(self, places: int) -> None:
        super().__init__()
        self.table = torch.rand(places, 64)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table.type_as(x).to(x.device)


class Moving(Positions):
    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        self.table = fn(self.table)
        return super()._apply(fn, recurse)


def copies(module: nn.Module, places: int) -> list[Kernel]:
    graph = graph_of(module.eval(), (torch.rand(2, places, 64),), "fp16", "eager")
    return [kernel for call in load("eager").lower(graph).calls if call.sync for kernel in call.kernels]


def test_a_plain_attribute_stays_on_the_host() -> None:
    """``module.to(device)`` leaves it behind; a large one is copied as fast as the driver takes it over: 135 us of 2.4
    million bytes on an H200 (VideoMAE's positions).
    """
    (small,), (large,) = copies(Positions(16), 16), copies(Positions(1568 * 12), 1568 * 12)
    assert small.family == "copy"
    assert (large.family, large.dims["bytes"]) == ("host_copy", 2 * 1568 * 12 * 64)
    seconds = price_kernels(load_calibration("h200"), large.family, large.dtype, large.dims).seconds
    assert 135e-6 <= float(seconds[0]) <= 2 * 135e-6


def test_a_module_that_moves_its_attributes_has_them_on_the_device() -> None:
    assert not copies(Moving(16), 16)


def test_a_number_and_a_buffer_are_where_they_are_needed() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.tensor(2.0)
            self.register_buffer("shift", torch.rand(64))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.scale + self.shift

    assert not copies(Scaled(), 16)
