"""Layers of torch's own whose like was called before: their code is not run, the graph stays the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from predictor.capture import layers, signatures
from predictor.capture.recorder import capture
from predictor.records import Graph


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    signatures.forget()
    layers.forget()
    yield
    signatures.forget()
    layers.forget()


class Around(nn.Module):
    """Calls its layers in order; what comes in is used again after them."""

    def __init__(self, *inside: nn.Module) -> None:
        super().__init__()
        self.inside = nn.ModuleList(inside)

    def forward(self, x: Tensor) -> Tensor:
        first = x * 2
        for layer in self.inside:
            x = layer(x)
        return x.sum() + first.sum()


def conv(channels: int = 4, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(4, channels, 3, padding=1, **options)


IMAGES = (2, 4, 8, 8)

INSIDE: dict[str, tuple[Callable[[], list[nn.Module]], tuple[int, ...]]] = {
    "a chain": (lambda: [nn.Sequential(conv(), nn.BatchNorm2d(4), nn.ReLU()), conv()], IMAGES),
    "in place": (lambda: [nn.ReLU(inplace=True), nn.Sequential(conv(), nn.ReLU(inplace=True))], IMAGES),
    "a view": (lambda: [nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))], IMAGES),
    "a view of the input": (lambda: [nn.Flatten(), nn.Sequential(nn.Unflatten(1, (4, 64)), nn.Dropout())], IMAGES),
    "what it is given": (lambda: [nn.Identity(), nn.Sequential(nn.Identity(), nn.Dropout(0.5))], IMAGES),
    "nested": (lambda: [nn.Sequential(nn.Sequential(conv(), nn.SiLU()), nn.Sequential(nn.GELU()))], IMAGES),
    "a layer twice": (lambda: [(shared := conv()), nn.Sequential(shared, nn.ReLU(), shared)], IMAGES),
    "tied weights": (lambda: _tied(), (2, 6)),
    "words": (lambda: [nn.Linear(6, 6), nn.LayerNorm(6), nn.Sequential(nn.Linear(6, 3), nn.Tanh())], (2, 5, 6)),
}


def _tied() -> list[nn.Module]:
    one, other = nn.Linear(6, 6), nn.Linear(6, 6)
    other.weight = one.weight
    return [one, nn.Sequential(one, other), nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))]


def text(module: nn.Module, shape: tuple[int, ...]) -> str:
    return repr(capture(module, torch.rand(shape), "fp16"))


@pytest.mark.parametrize("name", INSIDE)
def test_a_known_layer_gives_the_same_graph(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, shape = INSIDE[name]
    monkeypatch.setenv(signatures.SLOW, "1")
    slow = text(Around(*make()), shape)
    assert not layers._known
    monkeypatch.delenv(signatures.SLOW)
    for _ in range(4):
        assert text(Around(*make()), shape) == slow
    assert layers._known


def known_after(module: nn.Module, shape: tuple[int, ...]) -> int:
    for _ in range(3):
        text(module, shape)
    return len(layers._known)


def test_layers_that_differ_are_told_apart() -> None:
    kinds = [
        conv(),
        conv(bias=False),
        conv(groups=2),
        conv(8),
        nn.Conv2d(4, 4, 3, padding=(1, 2)),
        nn.GELU("tanh"),
        nn.GELU(),
    ]
    graphs = []
    for layer in kinds * 3:
        graphs.append(text(Around(layer), IMAGES))
    assert len(set(graphs)) == len(kinds)
    assert graphs[: len(kinds)] == graphs[-len(kinds) :]
    assert len(layers._known) == len(kinds)


def test_a_module_that_a_user_has_changed_runs_every_time() -> None:
    class Own(nn.ReLU):
        pass

    hooked, exchanged = nn.ReLU(), nn.ReLU()
    hooked.register_forward_hook(lambda module, args, result: result * 2)
    exchanged.forward = torch.sigmoid  # type: ignore[method-assign]
    weighed = nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))
    for layer in (Own(), hooked, exchanged, weighed):
        assert known_after(Around(layer), IMAGES) == 0


def test_a_function_that_is_exchanged_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def ops(graph: Graph) -> list[str]:
        return [call.op for call in graph.calls]

    module, images = Around(nn.Softplus(), nn.ReLU()), torch.rand(IMAGES)
    assert known_after(module, IMAGES) > 0
    before = ops(capture(module, images, "fp16"))
    with monkeypatch.context() as patched:
        patched.setattr(F, "relu", lambda x, inplace=False: torch.sigmoid(x))
        after = ops(capture(module, images, "fp16"))
    assert ("relu" in before, "sigmoid" in before) == (True, False)
    assert ("relu" in after, "sigmoid" in after) == (False, True)
    assert ops(capture(module, images, "fp16")) == before


def test_the_number_of_known_layers_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "MOST", 3)
    for width in range(2, 8):
        known_after(Around(nn.Linear(4, width)), (2, 4))
    assert len(layers._known) == 3


@pytest.mark.parametrize("sizes", [((2, 2), 1), (1, (2, 2)), ((2, None), (2, 2))])
def test_an_attribute_may_be_a_number_in_one_layer_and_a_pair_in_another(sizes: tuple[Any, Any]) -> None:
    for size in sizes:
        module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(size))
        height, width = size if isinstance(size, tuple) else (size, size)
        graph = capture(module, torch.empty(2, 3, 8, 6))
        assert graph.calls[-1].outputs[0].shape == (2, 4, height, width or 6)


@pytest.mark.parametrize("count", [1, 3])
def test_a_layer_that_makes_tensors_does_so_each_time(count: int) -> None:
    """Its offsets are held where the layer's calls are watched, and torch detaches them."""
    bags = nn.ModuleList(nn.EmbeddingBag(50, 16, mode="sum") for _ in range(count))

    class Bags(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bags = bags

        def forward(self, ids: Tensor) -> list[Tensor]:
            return [bag(ids) for bag in self.bags]

    calls = capture(Bags(), torch.randint(0, 50, (4, 8))).calls
    assert [call.op for call in calls] == ["arange", "reshape", "embedding_bag"] * count
    offsets = [call.output_ids[0] for call in calls if call.op == "arange"]
    assert [call.input_ids[2] for call in calls if call.op == "embedding_bag"] == offsets
