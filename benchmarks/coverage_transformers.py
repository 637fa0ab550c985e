"""The architectures of transformers as ``benchmarks.coverage`` tries them: the configuration classes' defaults with few
layers, on the meta device, with the inputs that a user of ``--model transformers:TYPE`` gets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from transformers import AutoConfig, AutoModel
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from benchmarks.coverage_libraries import Uninitialised
from benchmarks.public_libraries import library
from predictor.sources.built import weights_on_meta
from predictor.sources.configuration import made
from predictor.sources.transformers_inputs import inputs_of

Made = tuple[Any, Any, str]

LAYERS = 2
MOST_LAYERS = 8
"""Layers of a small configuration: two, or as many as it takes to have one of every kind."""

EXPERTS = 32
"""Experts of a layer that has more: each is a product of its own in half precision."""

_EXPERT_FIELDS = ("num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts", "num_routed_experts")

_LAYER_FIELDS = frozenset(
    (
        *("num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers", "decoder_layers", "depth"),
        *("num_encoder_layers", "num_decoder_layers", "e_layers", "d_layers", "num_blocks", "vision_layers"),
    )
)


def cases() -> Iterator[tuple[str, Callable[[], Made]]]:
    """(Model type, what builds it) of all that ``AutoModel`` knows."""
    library("transformers")  # beside torchvision, which its models look for
    for kind in sorted(MODEL_MAPPING_NAMES):
        yield kind, lambda kind=kind: build(kind)


def build(kind: str) -> Made:
    """A model type in a small configuration, without its weights, and inputs for it."""
    config = small_configuration(kind)
    with weights_on_meta(), Uninitialised():
        model = made(AutoModel, config).eval()
    return model, inputs_of(model, 1), "fp16"


# configurations

_HALF_ROPE = {
    **{"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.5},
    "mrope_section": [8, 12, 12],
}
"""Rotary positions of half of a head of 128, for frames, rows and columns."""

_FOUR_AXES = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [16, 16, 16, 16]}
"""Rotary positions of a head of 128, for the token, its frame, row and column."""

_FIELDS: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "granitemoehybrid": {"num_hidden_layers": 2, "layer_types": ["mamba", "attention"]},
    "deepseek_v2": {"num_experts_per_tok": 6},
    "esm": {"vocab_size": 33, "pad_token_id": 1, "mask_token_id": 32},
    "blip-2": {"image_token_index": 7},
    "funnel": {"block_sizes": [1, 1], "num_decoder_layers": 1},
    "janus": {"vision_config": {"projection_dim": 4096}},
    "instructblip": {"image_token_index": 7},
    "instructblipvideo": {"video_token_index": 7},
    "ovis2": {"hidden_size": 4096},
    "recurrent_gemma": {"num_hidden_layers": 3},
    "timm_backbone": {"backbone": "resnet18"},
    "dots1": {"n_shared_experts": 1, "n_routed_experts": 8, "num_experts_per_tok": 2},
    "nemotron": {"num_key_value_heads": 8, "head_dim": 128},
    "ministral": {"head_dim": 128},
    **{kind: {"head_dim": 128} for kind in ("hunyuan_v1_dense", "hunyuan_v1_moe")},
    "hunyuan_vl_text": {"head_dim": 128, "rope_parameters": _FOUR_AXES},
    "hunyuan_vl": {"text_config": {"head_dim": 128, "rope_parameters": _FOUR_AXES}},
    "chameleon": {"vocabulary_map": {"<image>": 8711}},
    "emu3": {"vocabulary_map": {"<image>": 8711}},
    "lfm2_moe": {"num_hidden_layers": 2, "layer_types": ["conv", "full_attention"]},
    **{kind: {"text_config": {"rope_parameters": _HALF_ROPE}} for kind in ("glm4v", "glm46v", "glmga", "glm_image")},
    "glm4v_moe": {"text_config": {"rope_parameters": _HALF_ROPE, "head_dim": 128}},
    **{kind: {"rope_parameters": _HALF_ROPE} for kind in ("glm4v_text", "glm_image_text")},
    "glm4v_moe_text": {"rope_parameters": _HALF_ROPE, "head_dim": 128},
    **{kind: {"prediction_length": 24} for kind in ("autoformer", "informer", "time_series_transformer")},
}
"""Fields without which a configuration of a type makes no model, or none of two layers."""


def small_configuration(kind: str) -> Any:
    """The defaults of a configuration class with few layers and experts, also in its parts. One whose fields
    must agree with each other in ways that nothing here knows stays as it is.
    """
    given = _FIELDS.get(kind, {})
    default = AutoConfig.for_model(kind, **given)
    with suppress(Exception):
        return AutoConfig.for_model(kind, **_merged(_few_layers(default.to_dict()), given))
    return default


def _merged(fields: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Fields of which some, also in parts, are as they are given."""
    parts = {
        name: _merged(fields[name], value)
        for name, value in given.items()
        if isinstance(value, dict) and isinstance(fields.get(name), dict)
    }
    return {**fields, **given, **parts}


def _few_layers(fields: dict[str, Any]) -> dict[str, Any]:
    """What to change in the fields of a configuration so that it has few layers and experts."""
    counts = {n: v for n, v in fields.items() if n in _LAYER_FIELDS and isinstance(v, int) and v > LAYERS}
    lists = {n: v for n, v in fields.items() if isinstance(v, list) and len(v) in counts.values()}
    kinds = [v for v in lists.values() if all(isinstance(item, (str, bool)) for item in v)]
    lists = {n: v for n, v in lists.items() if v in kinds or "layer" in n}
    firsts = [v.index(item) + 1 for v in kinds for item in set(v)]
    layers = min(max([LAYERS, *firsts]), MOST_LAYERS)
    changed: dict[str, Any] = {name: min(count, layers) for name, count in counts.items()}
    changed |= {n: EXPERTS for n in _EXPERT_FIELDS if isinstance(fields.get(n), int) and fields[n] > EXPERTS}
    changed |= {name: value[:layers] for name, value in lists.items()}
    for name, part in fields.items():
        if isinstance(part, dict) and "layer" in name and all(str(key).isdigit() for key in part):
            changed[name] = {key: value for key, value in part.items() if int(key) < layers}
        elif isinstance(part, dict) and "model_type" in part and (few := _few_layers(part)):
            changed[name] = {**part, **few}
    return changed
