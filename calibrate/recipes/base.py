"""What a recipe is made of: operands, a call, how far the sweep goes, and how sizes are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor to make: its shape in memory, then permuted and expanded. warm: an activation, fresh in cache.

    high: an integer tensor with values below it.
    """

    shape: tuple[int, ...]
    permute: tuple[int, ...] = ()
    expand: tuple[int, ...] = ()
    warm: bool = True
    high: int = 0
    dtype: str = ""

    def make(self, dtype: torch.dtype, device: str) -> torch.Tensor:
        """The tensor on a device."""
        if self.high:
            tensor = torch.randint(self.high, self.shape, device="cpu" if device == "meta" else device)
        elif device == "meta":
            tensor = torch.empty(self.shape, dtype=dtype, device=device)
        else:
            tensor = torch.rand(self.shape, dtype=dtype, device=device)
        tensor = tensor.permute(self.permute) if self.permute else tensor
        return tensor.expand(self.expand) if self.expand else tensor


@dataclass(frozen=True, slots=True)
class Recipe:
    """A call on operands."""

    call: Callable[..., Any]
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """How far the sweep goes: elements of the largest tensor, and multiply-accumulates of the largest call."""

    elements: float
    macs: float


def log_uniform(rng: Rng, low: float, high: float, multiple: int = 1) -> int:
    """Log-uniform integer; mostly a multiple of 64, 32 or 8 where it is large, as widths are."""
    value = float(np.exp(rng.uniform(np.log(low), np.log(max(high, low)))))
    choice = rng.random()
    step = 64 if choice < 0.45 else 32 if choice < 0.6 else 8 if choice < 0.8 else multiple
    if value < 2 * step:
        step = multiple
    return max(round(value / step) * step, int(low))


def pick(rng: Rng, *values: Any) -> Any:
    return values[int(rng.integers(len(values)))]
