"""Layers that are copies of others are as torch makes them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from predictor.sources import copied_layers
from predictor.sources.built import weights_on_meta

MAKERS: tuple[Callable[[], nn.Module], ...] = (
    partial(nn.Linear, 3, 5),
    partial(nn.Linear, 3, 5, bias=False, dtype=torch.float16),
    partial(nn.Embedding, 7, 5, padding_idx=0),
    partial(nn.Conv1d, 4, 6, 3, padding="same"),
    partial(nn.Conv2d, 4, 6, (3, 1), 2, padding=1, groups=2, bias=False),
    partial(nn.BatchNorm1d, 6, eps=1e-3),
    partial(nn.BatchNorm2d, 6, track_running_stats=False),
    partial(nn.BatchNorm2d, 6, affine=False, device="cpu"),
    partial(nn.LayerNorm, (5, 6), elementwise_affine=False),
    partial(nn.LayerNorm, 5),
    partial(nn.GroupNorm, 2, 6),
)


@pytest.fixture(autouse=True)
def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """No layer was made before."""
    monkeypatch.setattr(copied_layers, "_known", {})


def said(module: nn.Module) -> list[Any]:
    """What a module is, in the order of its attributes."""

    def of(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            values = None if value.is_meta else value.tolist()
            return type(value), value.shape, value.stride(), value.dtype, value.device, value.requires_grad, values
        return type(value), {k: of(v) for k, v in value.items()} if isinstance(value, dict) else value

    return [(name, of(value)) for name, value in vars(module).items()]


def held(module: nn.Module) -> set[int]:
    """What a module may change, by identity."""
    own = [value for value in vars(module).values() if isinstance(value, (dict, set))]
    return {id(value) for value in (*own, *module.parameters(), *module.buffers())}


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("device", [None, "meta"])
def test_copies_are_as_torch_makes_them(make: Callable[[], nn.Module], device: str | None) -> None:
    def made() -> nn.Module:
        if device is None:
            return make()
        with torch.device(device):
            return make()

    with weights_on_meta():
        first = made()
        copies = [made(), made()]
        copied_layers._known.clear()
        anew = made()
    for copy in copies:
        assert said(copy) == said(first) == said(anew)
    assert not held(copies[0]) & held(copies[1])
    assert not held(copies[0]) & held(first)


def test_layers_are_copied() -> None:
    with weights_on_meta():
        for make in MAKERS:
            make()
        known = dict(copied_layers._known)
        assert len(known) == len(MAKERS) - 1  # padding="same" keeps a list
        for make in MAKERS:
            make()
    assert copied_layers._known == known


def test_arguments_of_other_types_are_others() -> None:
    with weights_on_meta():
        assert [type(nn.LayerNorm(4, eps).eps) for eps in (1, 1.0, True)] == [int, float, bool]


def test_dtype_and_device_count() -> None:
    with weights_on_meta():
        assert nn.BatchNorm2d(4).get_buffer("running_mean").device.type == "cpu"
        with torch.device("meta"):
            assert nn.BatchNorm2d(4).get_buffer("running_mean").is_meta
        torch.set_default_dtype(torch.float64)
        try:
            assert nn.BatchNorm2d(4).get_buffer("running_mean").dtype is torch.float64
        finally:
            torch.set_default_dtype(torch.float32)
    with torch.device("meta"), weights_on_meta():
        assert nn.BatchNorm2d(4).get_buffer("running_mean").is_meta


def test_other_code_is_run() -> None:
    class Counted(nn.Linear):
        made = 0

        def reset_parameters(self) -> None:
            Counted.made += 1

    class Seen(TorchFunctionMode):
        empty = 0

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            Seen.empty += func is torch.empty
            return func(*args, **(kwargs or {}))

    def hook(module: nn.Module, name: str, weight: Any) -> None:
        hooked.append(name)

    hooked: list[str] = []
    with weights_on_meta():
        nn.Linear(2, 2)
        for _ in range(2):
            Counted(2, 2)
        with Seen():
            nn.Linear(2, 2)
        handle = nn.modules.module.register_module_parameter_registration_hook(hook)
        nn.Linear(2, 2)
        handle.remove()
    assert Counted.made == 2
    assert Seen.empty == 2
    assert hooked == ["weight", "bias"]


def test_other_threads_and_later_layers_have_data() -> None:
    made: list[nn.Module] = []
    with weights_on_meta():
        nn.Linear(2, 2)
        thread = threading.Thread(target=lambda: made.append(nn.Linear(2, 2)))
        thread.start()
        thread.join()
    made.append(nn.Linear(2, 2))
    assert not any(weight.is_meta for module in made for weight in module.parameters())
    assert "__init__" not in vars(nn.BatchNorm2d)
    assert not hasattr(nn.Linear.__init__, "__wrapped__")
