"""GPT-2 small (Radford et al., 2019) generates 16 tokens: a pass over the prompt, then one step for each token, every
one of which reads and lengthens the cache of keys and values.

It is the loop of greedy search as a user writes it around the model: no code of ``generate``, which adds checks and
stopping rules of its own to every step.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import DynamicCache, GPT2Config, GPT2LMHeadModel

from models_zoo._inputs import TOKENS, token_ids

STEPS = 16
"""Tokens that are generated from the one that the prompt gives on."""


class Greedy(nn.Module):
    """Greedy search: the most likely token is taken and goes on."""

    def __init__(self, model: nn.Module, steps: int) -> None:
        super().__init__()
        self.model = model
        self.steps = self.generated_tokens = steps

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """(batch, tokens) of a prompt -> (batch, steps) that follow."""
        cache = DynamicCache()
        token = self._next(input_ids, cache)
        generated = []
        for _ in range(self.steps):
            token = self._next(token, cache)
            generated.append(token)
        return torch.cat(generated, dim=1)

    def _next(self, tokens: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
        output = self.model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return output.logits[:, -1].argmax(-1, keepdim=True)


def build() -> Any:
    """GPT2LMHeadModel with random weights in a loop of greedy search."""
    return Greedy(GPT2LMHeadModel(GPT2Config()), STEPS)


def inputs(batch: int, length: int = TOKENS) -> dict[str, Any]:
    """A prompt of 128 tokens, or as many as length says."""
    return token_ids(batch, length)
