"""How the tables of calls are written: a row gives a name, a function or a layer, and the inputs of each case.

A call is named after its row, the shape of its first input and, unless it is fp16, its dtype.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

Made = tuple[nn.Module, Any, str]

CALLS: dict[str, Callable[[], Made]] = {}
"""Name -> what makes a module, its inputs and the dtype."""


class Input(NamedTuple):
    """A tensor that is made when its call is."""

    shape: tuple[int, ...]
    make: Callable[[torch.Generator], Tensor]
    layout: str = ""


Case = Input | tuple[Input, ...]


class _Of(nn.Module):
    """A module of one function, with layers that it uses."""

    def __init__(self, function: Callable[..., Any], *layers: nn.Module) -> None:
        super().__init__()
        self.layers, self.function = nn.ModuleList(layers), function

    def forward(self, *inputs: Any) -> Any:
        return self.function(*self.layers, *inputs)


def calls(
    name: str,
    function: Callable[..., Any],
    *cases: Case,
    layers: tuple[Callable[[], nn.Module], ...] = (),
    dtype: str = "fp16",
) -> None:
    """A call of a function, which takes its layers and then its inputs, for each case of inputs."""
    for case in cases:
        inputs = (case,) if isinstance(case, Input) else case

        def make(inputs: tuple[Input, ...] = inputs) -> Made:
            random = torch.Generator().manual_seed(0)
            made = tuple(each.make(random) for each in inputs)
            return _Of(function, *(make_layer() for make_layer in layers)).eval(), made, dtype

        words = [name, "x".join(map(str, inputs[0].shape)), inputs[0].layout, dtype.replace("fp16", "")]
        key = "_".join(word for word in words if word)
        if key in CALLS:
            raise ValueError(f"two calls have the name {key}")
        CALLS[key] = make


def layer(name: str, make_layer: Callable[[], nn.Module], *cases: Case, dtype: str = "fp16") -> None:
    """A call of a layer for each case of inputs."""
    calls(name, lambda module, *inputs: module(*inputs), *cases, layers=(make_layer,), dtype=dtype)


def call(*cases: Case, dtype: str = "fp16") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The function below is a row of its name: for what takes statements."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        calls(function.__name__, function, *cases, dtype=dtype)
        return function

    return add


fp32, bf16 = functools.partial(calls, dtype="fp32"), functools.partial(calls, dtype="bf16")


def normal(*shape: int) -> Input:
    """Of the normal distribution."""
    return Input(shape, lambda random: torch.randn(shape, generator=random))


def uniform(*shape: int) -> Input:
    """Between zero and one."""
    return Input(shape, lambda random: torch.rand(shape, generator=random))


def ints(high: int, *shape: int, dtype: torch.dtype = torch.int64) -> Input:
    """Whole numbers below a bound: indices, tokens, classes, pixels."""
    return Input(shape, lambda random: torch.randint(high, shape, generator=random).to(dtype))


def bools(*shape: int, share: float = 0.5) -> Input:
    """A mask that holds for a share of the places."""
    return Input(shape, lambda random: torch.rand(shape, generator=random) < share)


def nhwc(*shape: int) -> Input:
    """An image, or a volume, in channels-last memory."""
    layout = torch.channels_last if len(shape) == 4 else torch.channels_last_3d
    return Input(shape, lambda random: torch.randn(shape, generator=random).to(memory_format=layout), "nhwc")


def definite(*shape: int) -> Input:
    """Symmetric positive definite matrices."""

    def make(random: torch.Generator) -> Tensor:
        square = torch.randn(shape, generator=random)
        return square @ square.mT / shape[-1] + torch.eye(shape[-1])

    return Input(shape, make)


def boxes(*shape: int) -> Input:
    """Boxes by their corners, in pixels."""

    def make(random: torch.Generator) -> Tensor:
        corner, size = torch.rand(2, *shape, 2, generator=random)
        return torch.cat((corner * 500, corner * 500 + size * 100 + 1), -1)

    return Input((*shape, 4), make)


TOKENS, MAP = normal(8, 1024, 1536), normal(16, 64, 112, 112)
