"""One decode step of Llama-3.2-1B (Meta, 2024): 16 layers, width 2048, four queries share a key."""

from __future__ import annotations

from typing import Any

from transformers import LlamaConfig, LlamaForCausalLM

from models_zoo._decoding import DecodeStep, step_inputs
from models_zoo._inputs import TOKENS

CONFIG = LlamaConfig(
    vocab_size=128_256,
    hidden_size=2048,
    intermediate_size=8192,
    num_hidden_layers=16,
    num_attention_heads=32,
    num_key_value_heads=8,
    head_dim=64,
    max_position_embeddings=131_072,
    rms_norm_eps=1e-5,
    tie_word_embeddings=True,
)


def build() -> Any:
    """LlamaForCausalLM with random weights, in a step of greedy search."""
    return DecodeStep(LlamaForCausalLM(CONFIG))


def inputs(batch: int, length: int = TOKENS) -> dict[str, Any]:
    """A token after 128, or after as many as length says."""
    return step_inputs(CONFIG, batch, length)
