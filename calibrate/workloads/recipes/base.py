"""What a recipe is made of: operands, a call, how far the sweep goes, and how sizes are drawn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor to make: its shape in memory, then permuted and expanded. warm: an activation, fresh in cache.

    high: an integer tensor with values below it; step: one that counts in steps from
    start; definite: matrices that are positive
    definite; dtype: a torch dtype by name, where it is not the sweep's.
    """

    shape: tuple[int, ...]
    permute: tuple[int, ...] = ()
    expand: tuple[int, ...] = ()
    warm: bool = True
    high: int = 0
    step: int = 0
    start: int = 0
    definite: bool = False
    dtype: str = ""

    def make(self, dtype: torch.dtype, device: str) -> torch.Tensor:
        """The tensor on a device."""
        dtype = getattr(torch, self.dtype) if self.dtype else dtype
        if self.high:
            whole = dtype if self.dtype else torch.int64
            tensor = torch.randint(self.high, self.shape, dtype=whole, device="cpu" if device == "meta" else device)
        elif self.step:
            ends = self.start, self.start + self.step * self.shape[0], self.step
            dtype = getattr(torch, self.dtype) if self.dtype else torch.int64
            tensor = torch.arange(*ends, dtype=dtype, device="cpu" if device == "meta" else device)
        elif device == "meta":
            tensor = torch.empty(self.shape, dtype=dtype, device=device)
        else:
            tensor = torch.rand(self.shape, dtype=dtype, device=device)
            if self.definite:
                tensor.diagonal(dim1=-2, dim2=-1).add_(self.shape[-1])
        tensor = tensor.permute(self.permute) if self.permute else tensor
        return tensor.expand(self.expand) if self.expand else tensor


@dataclass(frozen=True, slots=True)
class Recipe:
    """A call on operands."""

    call: Callable[..., Any]
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class FamilyRecipe:
    """What the sweep of a kernel family runs.

    draw: a seeded random call; samples: of a full sweep, in each dtype that has a fit of its own; dtypes: those that
    torch runs it in, where it is not all.
    """

    family: str
    draw: Callable[[Rng, Scale], Recipe]
    samples: int
    dtypes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scale:
    """How far the sweep goes: elements of the largest tensor, and multiply-accumulates of the largest call.

    usual: the share of samples with the widths, lengths and batches that models have; the rest has any.
    """

    elements: float
    macs: float
    usual: float = 0.6


def log_uniform(rng: Rng, low: float, high: float, multiple: int = 1) -> int:
    """Log-uniform integer; mostly a multiple of 64, 32 or 8 where it is large, as widths are."""
    value = float(np.exp(rng.uniform(np.log(low), np.log(max(high, low)))))
    choice = rng.random()
    step = 64 if choice < 0.45 else 32 if choice < 0.6 else 8 if choice < 0.8 else multiple
    if value < 2 * step:
        step = multiple
    return max(round(value / step) * step, int(low))


LENGTHS = (32, 49, 64, 99, 128, 128, 197, 256, 256, 384, 499, 512, 1024)
WIDTHS = (128, 256, 384, 512, 768, 768, 1024, 1024, 1280, 1536, 2048, 3072, 4096)
WIDE = (64, 192, 320, 640, 896, 1600, 2304, 2560, 3840, 5120, 6144, 8192, 11008, 14336)
"""Lengths and widths that models have, the common ones more than once, and more widths of weights."""


def power_of_two(rng: Rng, largest: float) -> int:
    """A power of two up to ``largest``, as batches are."""
    return int(2 ** rng.integers(0, int(math.log2(max(largest, 1))) + 1))


def sequence(rng: Rng, scale: Scale) -> tuple[int, int, int]:
    """A (batch, length, width) activation: more than half as in models, the rest any."""
    if rng.random() < scale.usual:
        length, width = pick(rng, *LENGTHS), pick(rng, *WIDTHS)
        if length * width <= scale.elements:
            return power_of_two(rng, min(scale.elements / (length * width), 512)), length, width
    width = log_uniform(rng, 8, 4096)
    rows = log_uniform(rng, 1, max(scale.elements / width, 1))
    batch = max(int(rows ** rng.uniform(0, 0.6)), 1)
    return batch, max(rows // batch, 1), width


def pick(rng: Rng, *values: Any) -> Any:
    return values[int(rng.integers(len(values)))]


def usual_sequence(rng: Rng, elements: float, batches: int) -> tuple[int, int, int]:
    """Batch, length and width of a sequence's tensor of up to so many elements, where a batch of one has no more."""
    width, length = pick(rng, *WIDTHS), pick(rng, *LENGTHS)
    return power_of_two(rng, min(max(elements / width / length, 1), batches)), length, width


def usual_image(rng: Rng, elements: float, batches: int) -> tuple[int, int, int, int]:
    """Batch, channels, height and width of an image's tensor of up to so many elements."""
    side, channels = pick(rng, 7, 14, 28, 56, 112), pick(rng, 16, 24, 32, 64, 96, 144, 256, 384, 512, 1024, 2048)
    return power_of_two(rng, min(max(elements / side**2 / channels, 1), batches)), channels, side, side
