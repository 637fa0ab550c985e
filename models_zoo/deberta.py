"""DeBERTa-Base (He et al., 2021): attention of content and relative positions, 12 layers, width 768."""

from __future__ import annotations

from typing import Any

from transformers import DebertaConfig, DebertaModel

from models_zoo._inputs import TOKENS, token_ids


def build() -> Any:
    """DebertaModel with random weights."""
    return DebertaModel(
        DebertaConfig(relative_attention=True, position_biased_input=False, pos_att_type=["c2p", "p2c"])
    )


def inputs(batch: int, length: int = TOKENS) -> dict[str, Any]:
    """128 tokens, or as many as length says."""
    return token_ids(batch, length)
