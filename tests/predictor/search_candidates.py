"""Candidates that processes of a test import."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class Chain(nn.Module):
    """Linear layers and activations."""

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.relu(layer(x))
        return x


def chain(depth: int, width: int = 16, batch: int = 2) -> tuple[nn.Module, Tensor]:
    return Chain(depth, width), torch.rand(batch, width)


def noted(folder: Path, number: int) -> tuple[nn.Module, Tensor]:
    """A chain; that it was built is noted in a folder, by which process."""
    (folder / f"{number}-{os.getpid()}-{time.monotonic_ns()}").touch()
    return chain(1 + number % 3, 8 * (1 + number))


def killing(folder: Path, number: int, victim: int) -> tuple[nn.Module, Tensor]:
    """Like ``noted``; the first time that the victim's turn comes its process is killed."""
    made = noted(folder, number)
    if number == victim:
        try:
            (folder / "killed").touch(exist_ok=False)
        except FileExistsError:
            return made
        os.kill(os.getpid(), signal.SIGKILL)
    return made


def ending(number: int, victims: tuple[int, ...]) -> tuple[nn.Module, Tensor]:
    """A chain; victims end the process that builds them, every time."""
    if number in victims:
        os._exit(7)
    return chain(1 + number % 3, 8 * (1 + number))


def chains(count: int) -> list[Any]:
    return [partial(chain, 1 + number % 4, 8 * (1 + number)) for number in range(count)]
