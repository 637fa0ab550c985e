"""A forward without an end is stopped, and what would take long on the CPU is not computed there."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from predictor.capture.limits import OPERATORS, SECONDS
from predictor.capture.recorder import capture
from predictor.capture.stand_ins import MOST_KEPT_ELEMENTS
from predictor.errors import PredictorError
from tests.helpers import of

HUGE = 10**6  # its square is a tensor that fits nowhere


def operators_for_ever(x: torch.Tensor) -> torch.Tensor:
    while True:
        x = x + 1


def python_for_ever(x: torch.Tensor) -> torch.Tensor:
    for _ in itertools.count():
        pass
    return x


def calls_for_ever(x: torch.Tensor) -> torch.Tensor:
    while True:
        try:
            [abs(n) for n in range(10)]
        except Exception:
            continue


def test_operators_without_an_end_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OPERATORS, "1000")
    with pytest.raises(PredictorError, match=rf"more than 1,000 operators.*{OPERATORS} raises the limit"):
        of(operators_for_ever, torch.empty(2))


@pytest.mark.parametrize("forward", [operators_for_ever, python_for_ever, calls_for_ever])
def test_a_forward_without_an_end_is_stopped(
    forward: Callable[[torch.Tensor], torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECONDS, "0.2")
    with pytest.raises(PredictorError, match=rf"for more than 0\.2 s.*{SECONDS} raises the limit"):
        of(forward, torch.empty(2))
    assert [call.op for call in of(lambda x: x + 1, torch.empty(2)).calls] == ["add"]


@pytest.mark.parametrize("said", ["soon", "0", "-1", "nan"])
def test_a_limit_is_a_positive_number(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECONDS, said)
    with pytest.raises(PredictorError, match=SECONDS):
        of(lambda x: x + 1, torch.empty(2))


def large_factory(x: torch.Tensor) -> torch.Tensor:
    return x + torch.ones(HUGE, HUGE, dtype=torch.int64).to(x.device)[0, 0]


def large_factory_on_the_device(x: torch.Tensor) -> torch.Tensor:
    return x + torch.ones(HUGE, HUGE, dtype=torch.int64, device=x.device)[0, 0]


def large_floats_on_the_host(x: torch.Tensor) -> torch.Tensor:
    return x + torch.rand(HUGE, HUGE)[0, 0].to(x.device)


def large_broadcast(x: torch.Tensor) -> torch.Tensor:
    n = torch.arange(HUGE, device=x.device)
    return x + (n[:, None] == n)[0, 0]


def large_one_hot(x: torch.Tensor) -> torch.Tensor:
    return x + nn.functional.one_hot(torch.arange(HUGE, device=x.device), HUGE)[0, 0]


def large_copy_of_a_view(x: torch.Tensor) -> torch.Tensor:
    return x + torch.arange(HUGE, device=x.device).expand(HUGE, HUGE).contiguous()[0, 0]


def large_repetition(x: torch.Tensor) -> torch.Tensor:
    return x + torch.arange(HUGE, device=x.device).repeat(HUGE, 1)[0, 0]


@pytest.mark.parametrize(
    "forward",
    [
        *(large_factory, large_factory_on_the_device, large_floats_on_the_host),
        *(large_broadcast, large_one_hot, large_copy_of_a_view, large_repetition),
    ],
)
def test_a_tensor_that_fits_nowhere_is_not_made(forward: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Terabytes would be: shapes alone are known of it."""
    graph = of(forward, torch.empty(2))
    assert max(math.prod(o.shape) for call in graph.calls for o in call.outputs) == HUGE**2


def test_large_inputs_and_buffers_give_up_their_values() -> None:
    """Those of a gigabyte are not copied."""
    table = torch.zeros(1, dtype=torch.int8).expand(2**15, 2**15)
    seen: list[bool] = []

    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("codes", torch.empty(2**15, 2**15, dtype=torch.int8, device="meta"))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.extend([x.is_meta, self.codes.is_meta])  # type: ignore[union-attr]
            return x + self.codes  # type: ignore[operator]

    capture(Reads(), torch.empty(2**15, 2**15, dtype=torch.int8, device="meta"))
    capture(Reads(), table)
    assert seen[:2] == [True, True]
    assert seen[-2:] == [False, True]  # one element of memory is cheap to copy


def test_integers_up_to_the_limit_keep_their_values() -> None:
    def forward(ids: torch.Tensor) -> torch.Tensor:
        return ids + 1 if bool((ids == 0).all()) else ids * 2

    ids = torch.zeros(MOST_KEPT_ELEMENTS, dtype=torch.bool)
    assert of(forward, ids.to(torch.uint8)).calls[-1].op == "add"


@pytest.mark.parametrize(
    "operator", [Tensor.argsort, lambda ids: ids.sort()[1], lambda ids: ids.topk(2**23)[1], lambda ids: ids.cumsum(0)]
)
def test_many_integers_are_neither_sorted_nor_summed_up(operator: Callable[[Tensor], Tensor]) -> None:
    """That would take seconds on a CPU. What is read of them is assumed, and said."""
    graph = of(lambda ids: ids[: int(operator(ids)[-1])], torch.ones(MOST_KEPT_ELEMENTS, dtype=torch.int64))
    assert graph.calls[-1].outputs[0].shape == (1,)
    assert graph.assumptions == ("a number that the host reads from the device is 1",)


def test_few_integers_are_sorted_and_summed_up() -> None:
    graph = of(lambda ids: ids[: int(ids.sort()[0][-1])][: int(ids.cumsum(0)[2])], torch.tensor([3, 1, 2, 0]))
    assert [call.outputs[0].shape for call in graph.calls if call.op == "slice"] == [(3,), (3,)]
    assert not graph.assumptions


@pytest.mark.parametrize("product", [torch._int_mm, torch.matmul])
def test_products_of_integers_are_not_computed(
    product: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> None:
    """They would take seconds on a CPU."""
    on_meta: list[bool] = []

    def forward(codes: torch.Tensor) -> torch.Tensor:
        result = product(codes, codes)
        on_meta.append(result.is_meta)
        return result

    of(forward, torch.ones(1024, 1024, dtype=torch.int8))
    assert on_meta
    assert all(on_meta)
