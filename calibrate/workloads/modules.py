"""Seeded random modules that mix operators, nesting and plain Python: what the host coefficients are fitted on.

They are no models of any zoo: blocks are drawn at random from common building patterns, wrapped in random layers of
modules, keyword plumbing and helper functions, so that operators, Python calls and torch calls vary independently.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

Rng = np.random.Generator
Steps = list[Callable[..., Any]]


@dataclass
class Options:
    """A configuration object that forwards look up, as models do."""

    width: int
    heads: int = 4
    scale: float = 0.5
    verbose: bool = False
    activation: str = "gelu"

    @property
    def head_dim(self) -> int:
        return self.width // self.heads


def _traced(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that passes everything on: one more Python frame, with keyword packing."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("verbose"):
            print(function.__name__)
        return function(*args, **kwargs)

    return wrapper


def _is_plain(x: Any, options: Options) -> bool:
    return isinstance(x, torch.Tensor) and not options.verbose


_TEMPLATES = (
    """
def step_{n}(x, options, **kwargs):
    size = x.shape[-1]
    if not is_plain(x, options) or size < {n} - 100000:
        return None
    found = {{"width": options.width, "step": {n}}}
    found.update(kwargs)
    return (found, options.head_dim, size)
""",
    """
def step_{n}(x, options, **kwargs):
    names = [name for name in ("width", "heads", "scale", "missing") if hasattr(options, name)]
    values = tuple(getattr(options, name) for name in names)
    return dict(zip(names, values), number={n})
""",
    """
def step_{n}(x, options, training=False, **kwargs):
    copied = replace(options, verbose=False)
    kind = "train" if training else "eval"
    return copied.activation.upper() + kind if copied.scale > {n} else (copied, kind)
""",
    """
def step_{n}(x, options, **kwargs):
    def inner(first, *rest, scale=1.0):
        return first * scale + len(rest)
    return max(inner(number, kwargs, scale=options.scale) for number in range(2)) + {n}
""",
)


def _python_steps(count: int) -> list[Callable[..., Any]]:
    """Small functions of plain Python, each with code of its own: no two share their place in the caches."""
    steps = []
    for number in range(count):
        scope: dict[str, Any] = {"is_plain": _is_plain, "replace": replace}
        exec(_TEMPLATES[number % len(_TEMPLATES)].format(n=number), scope)
        steps.append(scope[f"step_{number}"])
    return steps


class _Block(nn.Module):
    """Holds the options and runs some Python before its operators."""

    def __init__(self, options: Options, steps: Steps) -> None:
        super().__init__()
        self.options = options
        self.steps = steps

    def prepare(self, x: torch.Tensor) -> None:
        for step in self.steps:
            step(x, self.options, training=self.training)


class Mlp(_Block):
    def __init__(self, options: Options, steps: Steps, activation: str, norm: bool) -> None:
        super().__init__(options, steps)
        self.up = nn.Linear(options.width, 2 * options.width)
        self.down = nn.Linear(2 * options.width, options.width)
        self.dropout = nn.Dropout(0.1)
        self.norm = nn.LayerNorm(options.width) if norm else nn.Identity()
        self.activation = {"gelu": nn.GELU(), "relu": nn.ReLU(), "silu": nn.SiLU(), "tanh": nn.Tanh()}[activation]

    def forward(self, x: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        self.prepare(x)
        hidden = self.activation(self.up(x))
        return self.norm(x + self.dropout(self.down(hidden)))


class Attention(_Block):
    def __init__(self, options: Options, steps: Steps, fused: bool) -> None:
        super().__init__(options, steps)
        self.fused = fused
        self.query, self.key, self.value, self.out = (nn.Linear(options.width, options.width) for _ in range(4))
        self.norm = nn.LayerNorm(options.width)

    def heads(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(*x.shape[:-1], self.options.heads, self.options.head_dim).transpose(1, 2)

    def forward(self, x: torch.Tensor, mask: Any = None, **kwargs: Any) -> torch.Tensor:
        self.prepare(x)
        q, k, v = self.heads(self.query(x)), self.heads(self.key(x)), self.heads(self.value(x))
        if self.fused:
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        else:
            weights = torch.softmax(torch.matmul(q, k.transpose(-1, -2)) * self.options.scale, dim=-1)
            mixed = torch.matmul(weights, v)
        mixed = mixed.transpose(1, 2).contiguous().reshape(x.shape)
        return self.norm(self.out(mixed) + x)


class Library(_Block):
    """Attention through torch's own long function, with its checks and its packed projection."""

    def __init__(self, options: Options, steps: Steps) -> None:
        super().__init__(options, steps)
        self.attention = nn.MultiheadAttention(options.width, options.heads)
        self.norm = nn.LayerNorm(options.width)

    def forward(self, x: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        self.prepare(x)
        attention, y = self.attention, x.transpose(0, 1)
        mixed, _ = F.multi_head_attention_forward(
            *(y, y, y, self.options.width, self.options.heads, attention.in_proj_weight, attention.in_proj_bias),
            *(None, None, False, 0.0, attention.out_proj.weight, attention.out_proj.bias),
            training=self.training,
            need_weights=False,
        )
        return self.norm(mixed.transpose(0, 1) + x)


class Gate(_Block):
    """Pointwise work without large operators."""

    def __init__(self, options: Options, steps: Steps, repeats: int) -> None:
        super().__init__(options, steps)
        self.weight = nn.Parameter(torch.ones(options.width))
        self.bias = nn.Parameter(torch.zeros(options.width))
        self.repeats = repeats

    def forward(self, x: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        self.prepare(x)
        for _ in range(self.repeats):
            gate = torch.sigmoid(x * self.weight + self.bias)
            x = x + gate * torch.tanh(x)
            x = 0.5 * x - torch.pow(gate, 2.0)
        return x


class Shapes(_Block):
    """Views, slices, concatenation, padding."""

    def forward(self, x: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        self.prepare(x)
        half = x.shape[-1] // 2
        left, right = x[..., :half], x[..., half:]
        joined = torch.cat((right, left), dim=-1)
        first, second = joined.split(half, dim=-1)
        padded = F.pad(first[:, 1:], (0, 0, 1, 0))
        stacked = torch.stack((padded, second), dim=2).flatten(2)
        swapped = stacked.permute(0, 2, 1).transpose(1, 2)
        return swapped + x.unsqueeze(1).expand(-1, 1, -1, -1).squeeze(1)


class Mixed(_Block):
    """Einsum, masks, reductions, gathers."""

    def __init__(self, options: Options, steps: Steps) -> None:
        super().__init__(options, steps)
        self.table = nn.Embedding(32, options.width)
        self.weight = nn.Parameter(torch.rand(options.heads, options.head_dim, options.head_dim))

    def forward(self, x: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        self.prepare(x)
        heads = x.view(*x.shape[:2], self.options.heads, self.options.head_dim)
        y = torch.einsum("bshd,hde->bshe", heads, self.weight).reshape(x.shape)
        positions = torch.arange(x.shape[1], device=x.device) % 32
        y = y + self.table(positions)[None]
        y = torch.where(y > 0, y, x)
        return y - y.mean(dim=-1, keepdim=True) + y.sum(dim=1, keepdim=True) * self.options.scale


class Separable(_Block):
    """Convolutions over the sequence, in channels-first order and back."""

    def __init__(self, options: Options, steps: Steps, kernel: int, depthwise: bool) -> None:
        super().__init__(options, steps)
        groups = options.width if depthwise else 1
        self.conv = nn.Conv1d(options.width, options.width, kernel, padding=kernel // 2, groups=groups)
        self.norm = nn.LayerNorm(options.width)

    def forward(self, x: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        self.prepare(x)
        y = self.conv(x.permute(0, 2, 1))
        return self.norm(F.gelu(y).permute(0, 2, 1) + x)


class Bottleneck(_Block):
    """Convolution, batch norm, activation, shortcut."""

    def __init__(self, options: Options, steps: Steps, depthwise: bool, count: int) -> None:
        super().__init__(options, steps)
        width = options.width
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(
                    width,
                    width,
                    3 if i % 2 else 1,
                    padding=i % 2,
                    groups=width if depthwise and i % 2 else 1,
                    bias=False,
                ),
                nn.BatchNorm2d(width),
                nn.ReLU6() if depthwise else nn.ReLU(),
            )
            for i in range(count)
        )

    def forward(self, x: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        self.prepare(x)
        y = x
        for layer in self.layers:
            y = layer(y)
        y += x
        return y


class Wrapper(nn.Module):
    """A module around a module: keyword plumbing, tuples, a decorated forward."""

    def __init__(self, inner: nn.Module, options: Options) -> None:
        super().__init__()
        self.inner = inner
        self.options = options

    @_traced
    def forward(self, x: torch.Tensor, mask: Any = None, **kwargs: Any) -> torch.Tensor:
        kwargs = {**kwargs, "verbose": self.options.verbose}
        outputs = (self.inner(x, **({"mask": mask} if mask is not None else {}), **kwargs), mask)
        return outputs[0]


class Body(_Block):
    """A list of blocks, run one after another, behind Python that runs once a pass, as masks and caches are made."""

    def __init__(self, options: Options, steps: Steps, blocks: list[nn.Module]) -> None:
        super().__init__(options, steps)
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.prepare(x)
        for block in self.blocks:
            x = block(x)
        return x


def _sequence_block(rng: Rng, options: Options, steps: Steps) -> nn.Module:
    kind = int(rng.integers(8))
    if kind == 0:
        return Mlp(options, steps, str(rng.choice(["gelu", "relu", "silu", "tanh"])), bool(rng.integers(2)))
    if kind in (1, 2):
        return Attention(options, steps, fused=kind == 1)
    if kind == 3:
        return Gate(options, steps, int(rng.integers(1, 4)))
    if kind == 4:
        return Shapes(options, steps)
    if kind == 5:
        return Mixed(options, steps)
    if kind == 6:
        return Library(options, steps)
    return Separable(options, steps, int(rng.choice([1, 3])), bool(rng.integers(2)))


GPU_WIDTHS = (128, 256, 512, 768)
CPU_WIDTHS = (8, 16, 32)
"""Widths of generated modules: those of models, and on a CPU, where kernels hold up the host, small ones."""


def generate(seed: int, widths: tuple[int, ...] = GPU_WIDTHS) -> tuple[nn.Module, torch.Tensor]:
    """(module in evaluation mode, input of batch 1) of a seed. Three of four take sequences, one takes images.

    A module repeats a layer of two to five random blocks, as models do.
    """
    rng = np.random.default_rng([7919, seed])
    torch.manual_seed(seed)
    options = Options(width=int(rng.choice(widths)))
    nesting = int(rng.integers(0, 4))
    images = seed % 4 == 3
    layer = [int(rng.integers(2**31)) for _ in range(int(rng.integers(2, 6)))]
    python = int(rng.choice([0, 0, 0, 1, 3, 6]))
    steps = [_python_steps(python) for _ in layer]  # a kind of block has code of its own, which its repeats share
    once = _python_steps(int(rng.choice([0, 0, 10, 30])))
    blocks: list[nn.Module] = []
    for _ in range(int(rng.integers(2, 7))):
        for kind, own_steps in zip(layer, steps, strict=True):
            block_rng = np.random.default_rng(kind)
            block = (
                Bottleneck(options, own_steps, bool(block_rng.integers(2)), int(block_rng.integers(2, 5)))
                if images
                else _sequence_block(block_rng, options, own_steps)
            )
            for _ in range(nesting):
                block = Wrapper(block, options)
            blocks.append(block)
    side, length = (14, int(rng.choice([32, 64, 128]))) if widths == GPU_WIDTHS else (4, 8)
    size = (1, options.width, side, side) if images else (1, length, options.width)
    return Body(options, once, blocks).eval(), torch.rand(size)
