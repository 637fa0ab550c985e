"""Where a call runs that names the device by another tensor: known values are kept on the CPU and are not there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from predictor.errors import CannotRunError
from predictor.records import Trait
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
