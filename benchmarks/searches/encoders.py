"""A BERT-like encoder as a search sees it: depth, width, heads and how tokens become one vector."""

from __future__ import annotations

import random
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

VOCABULARY, POSITIONS, CLASSES = 30522, 512, 2

DEPTHS = tuple(range(2, 13))
WIDTHS = tuple(range(128, 1537, 64))
HEADS = (2, 4, 8, 16)
POOLINGS = ("first", "mean", "attention", "halved")
LENGTH = 128


class Genotype(NamedTuple):
    """A point of the space. heads: divide the width; pooling: "first" token, "mean", "attention" over tokens, or
    "halved": half of the tokens after half of the layers (as Funnel-Transformer has it), then the mean.
    """

    depth: int
    width: int
    heads: int
    pooling: str

    @classmethod
    def random(cls, generator: random.Random) -> Genotype:
        """Any point, all alike."""
        choose = generator.choice
        return cls(choose(DEPTHS), choose(WIDTHS), choose(HEADS), choose(POOLINGS))

    @property
    def parameters(self) -> int:
        """Of its encoder layers: four products of width x width for attention, two of width x 4 width."""
        return self.depth * 12 * self.width**2


class Attention(nn.Module):
    """Self-attention in three projections, as BERT's."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) -> the same."""
        batch, tokens, width = x.shape
        shape = (batch, tokens, self.heads, width // self.heads)
        query, key, value = (layer(x).view(shape).transpose(1, 2) for layer in (self.query, self.key, self.value))
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))


class Layer(nn.Module):
    """Attention and a feed-forward network, each added and normalised."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.out_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) -> the same."""
        x = self.norm(x + self.attention(x))
        return self.out_norm(x + self.down(F.gelu(self.up(x))))


class Encoder(nn.Module):
    """Token ids -> class scores."""

    def __init__(self, genotype: Genotype) -> None:
        super().__init__()
        depth, width, heads, self.pooling = genotype
        self.words, self.positions = nn.Embedding(VOCABULARY, width), nn.Embedding(POSITIONS, width)
        self.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList([Layer(width, heads) for _ in range(depth)])
        self.weigh = nn.Linear(width, 1) if self.pooling == "attention" else None
        self.head = nn.Linear(width, CLASSES)

    def forward(self, ids: Tensor) -> Tensor:
        """(batch, tokens) -> (batch, classes)."""
        positions = torch.arange(ids.shape[1], device=ids.device)
        x = self.norm(self.words(ids) + self.positions(positions))
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if self.pooling == "halved" and number + 1 == len(self.layers) // 2:
                x = F.avg_pool1d(x.transpose(1, 2), 2).transpose(1, 2)
        if self.pooling == "first":
            return self.head(x[:, 0])
        if self.weigh is not None:
            return self.head((self.weigh(x).softmax(1) * x).sum(1))
        return self.head(x.mean(1))


def build(genotype: Genotype, batch: int = 1) -> tuple[nn.Module, Tensor]:
    """The module, its weights without data, and ids of a batch of texts."""
    with torch.device("meta"):
        module = Encoder(genotype).eval()
    return module, torch.zeros(batch, LENGTH, dtype=torch.long)
