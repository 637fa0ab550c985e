"""One decode step of Qwen2.5-0.5B (Alibaba, 2024): 24 layers, width 896, seven queries share a key."""

from __future__ import annotations

from typing import Any

from transformers import Qwen2Config, Qwen2ForCausalLM

from models_zoo._decoding import DecodeStep, step_inputs
from models_zoo._inputs import TOKENS

CONFIG = Qwen2Config(
    vocab_size=151_936,
    hidden_size=896,
    intermediate_size=4864,
    num_hidden_layers=24,
    num_attention_heads=14,
    num_key_value_heads=2,
    tie_word_embeddings=True,
)


def build() -> Any:
    """Qwen2ForCausalLM with random weights, in a step of greedy search."""
    return DecodeStep(Qwen2ForCausalLM(CONFIG))


def inputs(batch: int, length: int = TOKENS) -> dict[str, Any]:
    """A token after 128, or after as many as length says."""
    return step_inputs(CONFIG, batch, length)
