"""Seeded modules of many independent short chains: every compiler makes kernels of its own of them, in all sizes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

BRANCHES = 28
"""Chains of a module."""

SMALLEST, LARGEST = 2e3, 2e7
"""Elements of a chain's tensors."""

Chain = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]

CHAINS: dict[str, Chain] = {
    "gelu": lambda x, y, w: F.gelu(x),
    "gelu of a sum": lambda x, y, w: F.gelu(x + w),
    "tanh gelu": lambda x, y, w: 0.5 * x * (1.0 + torch.tanh(0.8 * (x + 0.045 * x * x * x))),
    "relu of a sum": lambda x, y, w: torch.relu(x + y),
    "scaled sum": lambda x, y, w: x * w + y,
    "scale": lambda x, y, w: x * 0.125,
    "clamp": lambda x, y, w: torch.clamp(x, 0.0, 6.0),
    "gate": lambda x, y, w: F.silu(x) * y,
    "sigmoid": lambda x, y, w: torch.sigmoid(x * 2.0),
    "choice": lambda x, y, w: torch.where(x > y, x, y * w),
    "softmax": lambda x, y, w: torch.softmax(x, -1),
    "softmax of a sum": lambda x, y, w: torch.softmax(x * 0.125 + y, -1),
    "layer norm": lambda x, y, w: F.layer_norm(x, w.shape, w, w),
    "layer norm of a sum": lambda x, y, w: F.layer_norm(x + y, w.shape, w, w),
    "mean": lambda x, y, w: x.mean(-1, keepdim=True),
    "centred": lambda x, y, w: x - x.mean(-1, keepdim=True),
    "heads": lambda x, y, w: x.unflatten(-1, (4, -1)).transpose(1, 2).contiguous(),
    "heads back": lambda x, y, w: (x.unflatten(-1, (4, -1)).transpose(1, 2) * 0.5).contiguous(),
    "swapped": lambda x, y, w: (x.transpose(1, 2) + 1.0).contiguous(),
    "joined": lambda x, y, w: torch.cat((x, y * 2.0), -1),
    "cast": lambda x, y, w: x.float() * 2.0,
    "per channel": lambda x, y, w: torch.relu(x * y[:, :, :1] + y[:, :, 1:2]),
}
"""Name -> chain over two tensors (batch, length, width) and a weight (width)."""


class Loops(nn.Module):
    """Chains that do not depend on each other, each on two inputs and a weight of its own."""

    def __init__(self, names: list[str], widths: list[int]) -> None:
        super().__init__()
        self.names = names
        self.weights = nn.ParameterList(nn.Parameter(torch.rand(width)) for width in widths)

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        pairs = zip(inputs[::2], inputs[1::2], strict=True)
        return tuple(CHAINS[n](x, y, w) for n, (x, y), w in zip(self.names, pairs, self.weights, strict=True))


def generate(seed: int, widths: tuple[int, ...]) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """(module in evaluation mode, inputs) of a seed."""
    rng = np.random.default_rng([15485863, seed])
    names = [list(CHAINS)[(seed * BRANCHES + i) % len(CHAINS)] for i in range(BRANCHES)]
    branch_widths, inputs = [], []
    for _ in names:
        width = int(rng.choice([64, 128, 197, 256, 384, 512, 768, 1024, 3072])) // 4 * 4
        rows = max(int(np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST))) / width), 1)
        length = int(rng.choice([16, 49, 64, 99, 128, 197, 256]))
        batch = max(rows // length, 1)
        branch_widths.append(width)
        inputs += [torch.rand(batch, length, width), torch.rand(batch, length, width)]
    return Loops(names, branch_widths).eval(), tuple(inputs)
