"""Where a call runs that names the device by another tensor: known values are kept on the CPU and are not there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from predictor.calibration.load import load_calibration
from predictor.errors import CannotRunError
from predictor.pricing.kernels import price_kernels
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


def made_on_the_host(places: int) -> Callable[[Tensor], Tensor]:
    """Positions that every pass makes on the host and takes to the device of its input."""
    return lambda x: x + torch.arange(places, device="cpu").float().type_as(x)


@pytest.mark.parametrize(("places", "family"), [(64, "copy"), (1_204_224, "host_copy")])
def test_what_is_large_comes_to_the_device_as_fast_as_the_driver_takes_it_over(places: int, family: str) -> None:
    """135 us of 2.4 million bytes on an H200 (the positions of VideoMAE, where they are left on the host)."""
    calls = load("eager").lower(of(made_on_the_host(places), torch.rand(2, places))).calls
    (kernel,) = (kernel for call in calls if call.sync for kernel in call.kernels)
    assert kernel.family == family
    if family == "host_copy":
        seconds = float(price_kernels(load_calibration("h200"), family, kernel.dtype, kernel.dims).seconds[0])
        assert 135e-6 < seconds * 2.4e6 / kernel.dims["bytes"] < 2 * 135e-6
