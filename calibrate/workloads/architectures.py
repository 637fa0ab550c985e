"""Seeded random members of model families, all but two not in the zoo: what a model library's Python costs the host.

Library code costs more per Python call than the short functions of ``modules.py``: it is longer, and each of its
modules brings data of its own. So the host coefficients are fitted on both.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import transformers as tf

Rng = np.random.Generator
Build = Callable[[int, int, int], torch.nn.Module]

VOCABULARY = 1000


def _sizes(width: int, heads: int, layers: int) -> dict[str, int]:
    return {
        **{"vocab_size": VOCABULARY, "hidden_size": width, "num_attention_heads": heads, "num_hidden_layers": layers},
        "intermediate_size": 2 * width,
    }


TEXT: dict[str, Build] = {
    "albert": lambda w, h, n: tf.AlbertModel(tf.AlbertConfig(**_sizes(w, h, n), embedding_size=w // 2)),
    "bloom": lambda w, h, n: tf.BloomModel(tf.BloomConfig(vocab_size=VOCABULARY, hidden_size=w, n_head=h, n_layer=n)),
    "deberta-v2": lambda w, h, n: tf.DebertaV2Model(tf.DebertaV2Config(**_sizes(w, h, n))),
    "gpt-neox": lambda w, h, n: tf.GPTNeoXModel(tf.GPTNeoXConfig(**_sizes(w, h, n))),
    "llama": lambda w, h, n: tf.LlamaModel(tf.LlamaConfig(**_sizes(w, h, n))),
    "mpnet": lambda w, h, n: tf.MPNetModel(tf.MPNetConfig(**_sizes(w, h, n))),
    "opt": lambda w, h, n: tf.OPTModel(
        tf.OPTConfig(
            **{"vocab_size": VOCABULARY, "hidden_size": w, "word_embed_proj_dim": w, "ffn_dim": 2 * w},
            **{"num_attention_heads": h, "num_hidden_layers": n},
        )
    ),
    "t5": lambda w, h, n: tf.T5EncoderModel(
        tf.T5Config(vocab_size=VOCABULARY, d_model=w, d_ff=2 * w, num_heads=h, d_kv=w // h, num_layers=n)
    ),
    "xlnet": lambda w, h, n: tf.XLNetModel(
        tf.XLNetConfig(vocab_size=VOCABULARY, d_model=w, n_head=h, d_inner=2 * w, n_layer=n)
    ),
}
"""Name -> model of a width, heads and layers that takes token ids."""


def _stages(width: int, layers: int) -> dict[str, list[int]]:
    return {"hidden_sizes": [width // 4, width // 2, width, width], "depths": [1, 1, layers, 1]}


IMAGE: dict[str, Build] = {
    "convnext": lambda w, h, n: tf.ConvNextModel(tf.ConvNextConfig(**_stages(w, n))),
    "dinov2": lambda w, h, n: tf.Dinov2Model(
        tf.Dinov2Config(hidden_size=w, num_attention_heads=h, num_hidden_layers=n, image_size=112)
    ),
    "poolformer": lambda w, h, n: tf.PoolFormerModel(tf.PoolFormerConfig(**_stages(w, n))),
    "regnet": lambda w, h, n: tf.RegNetModel(
        tf.RegNetConfig(**_stages(w, n), groups_width=w // 4, embedding_size=w // 4)
    ),
    "segformer": lambda w, h, n: tf.SegformerModel(
        tf.SegformerConfig(hidden_sizes=[w // 4, w // 2, w, w], depths=[1, 1, n, 1], num_attention_heads=[1, 2, 4, 4])
    ),
    "swin": lambda w, h, n: tf.SwinModel(
        tf.SwinConfig(
            **{"image_size": 112, "patch_size": 4, "window_size": 7, "embed_dim": w // 4},
            **{"depths": [2, 2 * ((n + 1) // 2), 2], "num_heads": [1, 2, 4]},
        )
    ),
}
"""Name -> model of a width, heads and layers that takes images of 112 pixels."""

FAMILIES = tuple(sorted({*TEXT, *IMAGE}))

IN_THE_ZOO = ("albert", "llama")
"""Families that the zoo has, too, in other sizes: it has grown since. How well it is predicted is no test of them."""


def generate(seed: int, widths: tuple[int, ...]) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """(model in evaluation mode, inputs of batch 1) of a seed; every family comes in turn."""
    rng = np.random.default_rng([104729, seed])
    torch.manual_seed(seed)
    name = FAMILIES[seed % len(FAMILIES)]
    width, layers = int(rng.choice(widths)), int(rng.integers(2, 8))
    heads = max(width // 64, 4)
    if name in IMAGE:
        return IMAGE[name](width, heads, layers).eval(), {"pixel_values": torch.rand(1, 3, 112, 112)}
    return TEXT[name](width, heads, layers).eval(), {"input_ids": _ids(int(rng.choice([32, 64, 128])))}


def _ids(length: int) -> torch.Tensor:
    return torch.randint(VOCABULARY // 2, VOCABULARY, (1, length), device="cpu")


DEEP = ("opt", "albert", "llama")
"""Families whose layers are all alike, so that a compiler makes few kernels for many of them: with weights and biases
of their own, with those of one layer shared by all, and with more operators than weights.
"""

LAYERS = 16
"""Of a deep model: it has as many operators and weights as a small one in use."""


def deep(seed: int, widths: tuple[int, ...]) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """(Deep and narrow model in evaluation mode, inputs of batch 1) of a seed: host costs that come with every weight
    or call show there, those of a pass do not.
    """
    torch.manual_seed(seed)
    width = min(widths)
    return TEXT[DEEP[seed % len(DEEP)]](width, max(width // 64, 4), LAYERS).eval(), {"input_ids": _ids(32)}
