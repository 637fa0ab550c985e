"""Calls whose signature was seen before: the same graph, byte for byte, as where everything is computed anew."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel, FunnelConfig, FunnelModel, ResNetConfig, ResNetModel

from benchmarks.coverage_idioms import IDIOMS
from predictor.capture import layers, signatures
from predictor.capture.recorder import capture
from predictor.errors import PredictorError
from predictor.ops import OPS, Operator, register_operator
from predictor.records import CaptureMode, CaptureOptions, Graph, Trait
from tests.helpers import of


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    signatures.forget()
    layers.forget()
    yield
    signatures.forget()
    layers.forget()


def text(take: Callable[[], Graph]) -> str:
    torch.manual_seed(0)
    random.seed(0)
    try:
        return re.sub("0x[0-9a-f]+", "0x", repr(take()))  # of a generator among the arguments
    except PredictorError as error:
        return str(error)


def both_ways(take: Callable[[], Graph], monkeypatch: pytest.MonkeyPatch) -> tuple[str, str, str]:
    """The slow way, the fast way for the first time and for the third, in which layers are known, too."""
    monkeypatch.setenv(signatures.SLOW, "1")
    slow = text(take)
    monkeypatch.delenv(signatures.SLOW)
    first, _, third = text(take), text(take), text(take)
    return slow, first, third


def small_bert() -> tuple[nn.Module, Any]:
    config = BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    return BertModel(config), {"input_ids": torch.randint(1000, 30_000, (2, 16))}


def small_funnel() -> tuple[nn.Module, Any]:
    config = FunnelConfig(block_sizes=[1, 1], num_decoder_layers=1, d_model=32, n_head=2, d_head=16, d_inner=64)
    return FunnelModel(config), {"input_ids": torch.randint(1000, 30_000, (2, 16))}


def small_resnet() -> tuple[nn.Module, Any]:
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2])
    return ResNetModel(config), {"pixel_values": torch.rand(1, 3, 32, 32)}


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.layer = nn.GRUCell(8, 8), nn.LSTM(8, 8, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = x.new_zeros(x.shape[0], 8)
        for step in range(x.shape[1]):
            state = self.cell(x[:, step], state)
        result: torch.Tensor = self.layer(x)[0] + state[:, None]
        return result


MODELS: dict[str, Callable[[], tuple[nn.Module, Any]]] = {
    "bert": small_bert,
    "funnel": small_funnel,
    "resnet": small_resnet,
    "recurrent": lambda: (Recurrent(), torch.rand(2, 5, 8)),
}


@pytest.mark.parametrize("mode", [CaptureMode.EAGER, CaptureMode.COMPILED])
@pytest.mark.parametrize("model", MODELS)
def test_models_give_the_same_graph(model: str, mode: CaptureMode, monkeypatch: pytest.MonkeyPatch) -> None:
    module, inputs = MODELS[model]()
    slow, first, second = both_ways(lambda: capture(module, inputs, "fp16", mode=mode), monkeypatch)
    assert first == slow
    assert second == slow


@pytest.mark.parametrize("options", [CaptureOptions(channels_last=True), CaptureOptions(autocast="bf16")])
def test_options_give_the_same_graph(options: CaptureOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    module, inputs = small_resnet()
    capture(module, inputs)
    slow, first, second = both_ways(lambda: capture(module, inputs, options=options), monkeypatch)
    assert first == slow
    assert second == slow


@pytest.mark.parametrize("idiom", list(IDIOMS)[::9])
def test_idioms_give_the_same_graph(idiom: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, inputs, dtype = IDIOMS[idiom]()
    slow, first, second = both_ways(lambda: capture(module, inputs, dtype, idiom), monkeypatch)
    assert first == slow
    assert second == slow


def test_a_repeated_block_adds_no_signature() -> None:
    def repeat(times: int) -> Callable[[torch.Tensor], torch.Tensor]:
        def forward(x: torch.Tensor) -> torch.Tensor:
            for _ in range(times):
                x = torch.softmax(x * 2, -1)
            return x

        return forward

    of(repeat(1), torch.rand(2, 3))
    known = len(signatures._known)
    assert known == 2
    assert len(of(repeat(5), torch.rand(2, 3)).calls) == 10
    assert len(signatures._known) == known


def test_switched_off_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(signatures.SLOW, "1")
    of(torch.relu, torch.rand(2))
    assert not signatures._known


def test_few_signatures_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signatures, "MOST", 3)
    of(lambda x: [x + n for n in range(10)], torch.rand(2))
    assert len(signatures._known) == 3


def test_numbers_of_other_types_and_signs_are_other_arguments() -> None:
    def forward(x: torch.Tensor) -> list[torch.Tensor]:
        return [x + 1, x + 1.0, x + True, x + 0.0, x + -0.0]

    assert [repr(call.args["other"]) for call in of(forward, torch.rand(2)).calls] == [
        "1",
        "1.0",
        "True",
        "0.0",
        "-0.0",
    ]


def test_views_look_at_their_tensor_and_others_do_not() -> None:
    seen: list[tuple[bool, bool, int]] = []

    def forward(x: torch.Tensor) -> torch.Tensor:
        def memory(t: torch.Tensor) -> int:
            return t.untyped_storage()._cdata

        part = x[1:]
        seen.append((memory(part) == memory(x), memory(x * 2) == memory(x), part[1:].storage_offset()))
        return part

    for _ in range(2):
        of(forward, torch.rand(4, 4))
    assert set(seen) == {(True, False, 8)}


def test_what_writes_into_a_tensor_returns_it() -> None:
    seen: list[bool] = []

    def forward(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        seen.append(y.relu_() is y)
        return y + y

    graphs = [of(forward, torch.rand(3)) for _ in range(2)]
    assert all(seen)
    for graph in graphs:
        double, write, add = graph.calls
        assert write.input_ids == double.output_ids
        assert add.input_ids == write.output_ids * 2 != double.output_ids * 2


def test_branches_follow_the_values_of_each_capture() -> None:
    """Inputs of the same specs and other values."""

    def forward(ids: torch.Tensor) -> torch.Tensor:
        return ids + 1 if bool((ids * 2 > 4).any()) else ids - 1

    for values, op in (([0, 1], "sub"), ([0, 3], "add"), ([0, 1], "sub")):
        assert of(forward, torch.tensor(values)).calls[-1].op == op


def test_an_operator_that_gets_a_row_is_what_the_row_says() -> None:
    """Seen before as a pointwise operator without a row."""
    x = torch.rand(2)
    before = of(torch.special.i0e, x).calls[0]
    assert "special_i0e" not in OPS
    register_operator(Operator(("special_i0e",), Trait.GEMM, macs=lambda call: 7))
    try:
        after = of(torch.special.i0e, x).calls[0]
    finally:
        del OPS["special_i0e"]
    assert before.trait is Trait.POINTWISE
    assert (after.trait, after.macs) == (Trait.GEMM, 7)


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: torch.vmap(torch.sin)(x),
        lambda x: torch.view_as_complex(torch.stack([x, x], -1)).abs(),
    ],
)
def test_what_is_not_plain_gives_the_same_graph(
    forward: Callable[[torch.Tensor], torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, first, second = both_ways(lambda: of(forward, torch.rand(3, 2)), monkeypatch)
    assert first == slow
    assert second == slow


def test_a_forward_that_takes_gradients_is_remembered_nowhere() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            y = x.detach().requires_grad_()
            (y * y).sum().backward()
        assert y.grad is not None
        return y.grad

    assert of(forward, torch.rand(3)).calls
