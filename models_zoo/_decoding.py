"""One step of a decoder: a token, and the keys and values of those before it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


class DecodeStep(nn.Module):
    """A step of greedy search: the next token and the cache that it has lengthened."""

    generated_tokens = 1

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, keys: list[torch.Tensor], values: list[torch.Tensor]) -> Any:
        """input_ids: (batch, 1); keys, values: one of (batch, heads, tokens, head size) for each layer."""
        cache = DynamicCache()
        for key, value in zip(keys, values, strict=True):
            layer = DynamicLayer()
            layer.lazy_initialization(key, value)
            layer.keys, layer.values = key, value
            cache.layers.append(layer)
        output = self.model(input_ids=input_ids, past_key_values=cache, use_cache=True)
        token = output.logits[:, -1].argmax(-1, keepdim=True)
        return token, [layer.keys for layer in cache.layers], [layer.values for layer in cache.layers]


def step_inputs(config: Any, batch: int, length: int) -> dict[str, Any]:
    """A token and a cache of ``length`` tokens, on torch's default device."""
    size = config.head_dim if getattr(config, "head_dim", None) else config.hidden_size // config.num_attention_heads
    shape = batch, config.num_key_value_heads, length, size
    keys, values = ([torch.rand(shape) for _ in range(config.num_hidden_layers)] for _ in range(2))
    return {"input_ids": torch.full((batch, 1), 1000), "keys": keys, "values": values}
