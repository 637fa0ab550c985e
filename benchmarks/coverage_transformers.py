"""The architectures of transformers as ``benchmarks.coverage`` tries them: the configuration classes' defaults with few
layers, on the meta device, and the inputs that the signature of their forward asks for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from benchmarks.coverage_libraries import Uninitialised
from models_zoo import _inputs

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
    for kind in sorted(MODEL_MAPPING_NAMES):
        yield kind, lambda kind=kind: build(kind)


def build(kind: str) -> Made:
    """A model type in a small configuration, without its weights, and inputs for it."""
    config = small_configuration(kind)
    with _weights_on_meta():
        model = AutoModel.from_config(config).eval()
    return model, inputs_of(kind, model), "fp16"


@contextmanager
def _weights_on_meta() -> Iterator[None]:
    """Parameters have no memory, whatever their number; buffers keep their values, by which some models decide."""
    before = nn.Module.register_parameter

    def register(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if parameter is not None:
            parameter = nn.Parameter(parameter.detach().to("meta"), requires_grad=parameter.requires_grad)
        before(module, name, parameter)

    nn.Module.register_parameter = register  # type: ignore[method-assign]
    try:
        with Uninitialised():
            yield
    finally:
        nn.Module.register_parameter = before  # type: ignore[method-assign]


# configurations

_FIELDS: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"]},
    "deepseek_v2": {"num_experts_per_tok": 6},
    "esm": {"vocab_size": 33, "pad_token_id": 1, "mask_token_id": 32},
    "blip-2": {"image_token_index": 7},
    "funnel": {"block_sizes": [1, 1], "num_decoder_layers": 1},
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
        return AutoConfig.for_model(kind, **{**_few_layers(default.to_dict()), **given})
    return default


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
        if isinstance(part, dict) and "model_type" in part and (few := _few_layers(part)):
            changed[name] = {**part, **few}
    return changed


# inputs


def inputs_of(kind: str, model: Any) -> dict[str, Any]:
    """What the forward of a model needs: its main input, what has no default, tokens for a decoder, images beside text.
    Raises KeyError where an input is of a kind that nothing here makes.
    """
    sizes = _Sizes(model.config)
    forward = inspect.unwrap(type(model).forward)
    parameters = [p for p in inspect.signature(forward).parameters.values() if p.name != "self"]
    names = {p.name for p in parameters}
    required = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    main = model.main_input_name if isinstance(model.main_input_name, list) else [model.main_input_name]
    wanted = list(dict.fromkeys([*(n for n in main if n in names), *required]))
    wanted += [n for n in ("decoder_input_ids", "bbox") if n in names and n not in wanted]
    wanted += [n for n in _MASKS.get(wanted[0], ()) if n in names and n not in wanted] if wanted else []
    makers = {**_MAKERS, **_OF_KIND.get(kind, {})}
    if {"grid_thw", "image_grid_thw"} & set(wanted):
        makers["pixel_values"] = makers["hidden_states"]
    given_later = "pixel_values" if sizes.vision is not None and "input_ids" in wanted else ""
    wanted += [n for n in _OF_KIND.get(kind, {}) if n not in (*wanted, given_later)]
    made = {name: makers[name](sizes) for name in wanted}
    if "pixel_values" in names and "input_ids" in made and "pixel_values" not in required and sizes.vision is not None:
        made |= _with_image(model, sizes, names, makers["pixel_values"])
    return made


class _Sizes:
    """The sizes that a configuration says, of its parts or of itself, under any of their names."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self.text = config.get_text_config()
        self.vision = next((c for c in _parts(config, "vision") if c is not None), None)
        self.audio = next((c for c in _parts(config, "audio") if c is not None), config)

    def length(self) -> int:
        """Tokens of a text."""
        most = [_field(self.text, name) for name in ("max_position_embeddings", "n_positions", "max_seq_len")]
        return min([_inputs.TOKENS, *(n for n in most if isinstance(n, int) and n > 0)])

    def ids(self, length: int | None = None) -> Tensor:
        """Token ids that are in the vocabulary."""
        words = _field(self.text, "vocab_size") or _field(self.config, "vocab_size") or 1000
        words = min(words) if isinstance(words, (list, tuple)) else words
        ids: Tensor = _inputs.token_ids(1, length or self.length())["input_ids"]
        return ids % (words if isinstance(words, int) else 1000)

    def image(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        config = self.vision or self.config
        side = next((s for name in _SIDES if (s := _field(config, name))), _inputs.PIXELS)
        side = (side["height"], side["width"]) if isinstance(side, dict) else side
        height, width = (side, side) if isinstance(side, int) else (int(n) for n in side)
        channels = next((c for name in _CHANNELS if (c := _field(config, name))), 3)
        return channels, height, width

    def patches(self) -> tuple[Tensor, Tensor]:
        """An image as patches (n, channels x pixels of one), and its grid (1, 3): one frame, rows, columns."""
        config = self.vision or self.config
        patch, merge = _field(config, "patch_size") or 14, _field(config, "spatial_merge_size") or 2
        frames = _field(config, "temporal_patch_size") or 1
        side = MERGED_SIDE * merge
        channels = next((c for name in _CHANNELS if (c := _field(config, name))), 3)
        pixels = torch.empty(side * side, channels * frames * patch * patch, device="meta")
        return pixels, torch.tensor([[1, side, side]])


MERGED_SIDE = 4
"""Rows and columns of an image that is given as patches, after neighbours are merged."""

_SIDES = ("image_size", "img_size", "input_size", "crop_size")
_CHANNELS = ("num_channels", "in_channels", "in_chans")


def _field(config: Any, name: str) -> Any:
    try:
        return getattr(config, name, None)
    except Exception:  # of a configuration of unlike layers, which has none for all
        return None


def _parts(config: Any, of: str) -> list[Any]:
    return [_field(config, name) for name in (f"{of}_config", f"{of}_encoder_config", f"{of}_tower_config")]


def _pixels(sizes: _Sizes) -> Tensor:
    return torch.empty(1, *sizes.image(), device="meta")


def _video(sizes: _Sizes) -> Tensor:
    """(1, frames, channels, height, width)."""
    frames = next((n for name in ("num_frames", "frames_per_clip") if (n := _field(sizes.config, name))), 8)
    return torch.empty(1, frames, *sizes.image(), device="meta")


def _samples(sizes: _Sizes) -> Tensor:
    """(1, samples), or with a dimension for the channel where a codec wants one."""
    return _inputs.audio(1)["input_values"].to("meta")


FRAMES = 1000
"""Of a spectrogram, where a configuration does not say how many its model takes."""


def _spectrogram(sizes: _Sizes) -> Tensor:
    """(1, frames, mel bins); (1, mel bins, frames) of encoders that have convolutions over all positions first."""
    config = sizes.audio
    bins = next((n for name in _BINS if (n := _field(config, name) or _field(sizes.config, name))), 80)
    positions = _field(config, "max_source_positions")
    if positions and _field(config, "num_mel_bins") and not _field(config, "input_feat_per_channel"):
        return torch.empty(1, bins, 2 * positions, device="meta")
    return torch.empty(1, FRAMES, bins, device="meta")


_BINS = ("num_mel_bins", "feature_size", "n_mels", "input_feat_per_channel", "mel_bins", "feature_projection_input_dim")


def _frames_mask(sizes: _Sizes) -> Tensor:
    """Every frame counts."""
    features = _spectrogram(sizes)
    return torch.ones(1, max(features.shape[1:]), dtype=torch.long)


def _channel_of_samples(sizes: _Sizes) -> Tensor:
    return _samples(sizes)[:, None]


def _images(number: int) -> Callable[[_Sizes], Tensor]:
    """(1, number, channels, height, width)."""
    return lambda sizes: torch.empty(1, number, *sizes.image(), device="meta")


def _mels(sizes: _Sizes) -> Tensor:
    """(1, frames, mel bins) of a model whose configuration says how many frames."""
    return torch.empty(1, sizes.config.max_length, sizes.config.num_mel_bins, device="meta")


def _trajectory(width: str) -> Callable[[_Sizes], Tensor]:
    """(1, steps, width) of what a policy has seen."""
    return lambda sizes: torch.empty(1, 20, getattr(sizes.config, width, 1), device="meta")


def _boxes(sizes: _Sizes) -> Tensor:
    return torch.arange(4).expand(1, sizes.length(), 4).contiguous()


def _past(sizes: _Sizes) -> Tensor:
    """(1, time) or (1, time, channels) of a time series."""
    config = sizes.config
    lags = max(_field(config, "lags_sequence") or [0])
    time = (_field(config, "context_length") or _field(config, "prediction_length") or 512) + lags
    channels = _field(config, "num_input_channels") or _field(config, "input_size") or 1
    return torch.empty(1, time, channels, device="meta") if channels > 1 else torch.empty(1, time, device="meta")


def _past_features(sizes: _Sizes) -> Tensor:
    features = (_field(sizes.config, "num_time_features") or 0) + 0
    return torch.empty(1, _past(sizes).shape[1], features, device="meta")


_MAKERS: dict[str, Callable[[_Sizes], Any]] = {
    "input_ids": _Sizes.ids,
    "decoder_input_ids": lambda sizes: sizes.ids(min(16, sizes.length())),
    "qformer_input_ids": lambda sizes: sizes.ids(16),
    "pixel_values": _pixels,
    "pixel_values_videos": _video,
    "latents": lambda sizes: torch.empty(1, _field(sizes.config, "hidden_size") or 512, 50, device="meta"),
    "input_values": _samples,
    "input_features": _spectrogram,
    "input_features_mask": _frames_mask,
    "bbox": _boxes,
    "hidden_states": lambda sizes: sizes.patches()[0],
    "grid_thw": lambda sizes: sizes.patches()[1],
    "image_grid_thw": lambda sizes: sizes.patches()[1],
    "past_values": _past,
    "past_time_features": _past_features,
    "past_observed_mask": lambda sizes: torch.ones_like(_past(sizes)),
    "inputs_embeds": lambda sizes: torch.empty(1, sizes.length(), sizes.text.hidden_size, device="meta"),
}
"""Name of an argument -> what makes it."""


_CODECS = (
    *("dac", "encodec", "mimi", "mimi_encoder", "xcodec", "pe_audio", "pe_audio_encoder", "neucodec"),
    *("pocket_tts_audio_tokenizer", "pocket_tts_audio_tokenizer_encoder"),
)
"""Model types that take samples with a dimension for the channel."""

_MASKS = {"input_features": ("input_features_mask",), "input_ids": ()}
"""Main input -> masks that are given with it where a forward takes them."""

_OF_KIND: dict[str, dict[str, Callable[[_Sizes], Any]]] = {
    "audio-spectrogram-transformer": {"input_values": _mels},
    **{kind: {"input_values": _channel_of_samples} for kind in _CODECS},
    **{kind: {"pixel_values": _images(1)} for kind in ("idefics", "idefics2", "idefics3", "smolvlm", "modernvbert")},
    "gemma3n_audio": {
        "audio_mel": lambda sizes: torch.empty(1, 400, sizes.config.input_feat_size, device="meta"),
        "audio_mel_mask": lambda sizes: torch.zeros(1, 400, dtype=torch.bool),
    },
    **{kind: {"pixel_values": _images(2)} for kind in ("efficientloftr", "lightglue", "superglue")},
    "bros": {"bbox": lambda sizes: torch.empty(1, sizes.length(), 4, device="meta")},
    "blip-2": {"pixel_values": _pixels},
    "blip_2_qformer": {"query_embeds": lambda sizes: torch.empty(1, 32, sizes.config.hidden_size, device="meta")},
    "decision_transformer": {
        "states": _trajectory("state_dim"),
        "actions": _trajectory("act_dim"),
        "rewards": _trajectory(""),
        "returns_to_go": _trajectory(""),
        "timesteps": lambda sizes: torch.arange(20)[None],
        "attention_mask": lambda sizes: torch.ones(1, 20, dtype=torch.long),
    },
    "clap": {
        "input_features": lambda sizes: torch.empty(1, 1, 1001, 64, device="meta"),
        "is_longer": lambda sizes: torch.zeros(1, 1, dtype=torch.bool),
    },
    "clvp": {"input_features": lambda sizes: torch.empty(1, 80, 512, device="meta")},
    "lxmert": {
        "visual_feats": lambda sizes: torch.empty(1, 36, sizes.config.visual_feat_dim, device="meta"),
        "visual_pos": lambda sizes: torch.empty(1, 36, sizes.config.visual_pos_dim, device="meta"),
    },
    "perceiver": {"inputs": lambda sizes: torch.empty(1, 2048, sizes.config.d_model, device="meta")},
    "oneformer": {"task_inputs": lambda sizes: sizes.ids(77)},
    "grounding-dino": {"pixel_values": _pixels, "input_ids": lambda sizes: sizes.ids(16)},
    "mm-grounding-dino": {"pixel_values": _pixels, "input_ids": lambda sizes: sizes.ids(16)},
}
"""Model type -> inputs that its kind alone has, or has otherwise."""


def _with_image(model: Any, sizes: _Sizes, names: set[str], pixels_of: Callable[[_Sizes], Any]) -> dict[str, Any]:
    """Tokens and an image beside them, for whose features the text has placeholders; the text alone where the model
    does not say how many features an image has.
    """
    token = next(
        (t for n in ("image_token_id", "image_token_index") if (t := _field(model.config, n)) is not None), None
    )
    if "image_grid_thw" in names:
        pixels, grid = sizes.patches()
        image = {"pixel_values": pixels, "image_grid_thw": grid}
    else:
        image = {"pixel_values": pixels_of(sizes)}
    if token is None:
        return image
    if "image_grid_thw" in image:
        width = _field(sizes.vision, "out_hidden_size") or _field(sizes.vision, "hidden_size")
        if width != sizes.text.hidden_size:  # the defaults of the two parts do not fit
            return {}
        count = MERGED_SIDE**2
    else:
        try:
            with torch.no_grad():
                count = _rows(model.get_image_features(**image))
        except Exception:
            return {}
    text = sizes.ids(16)
    ids = torch.cat([torch.full((1, count), token), text.where(text != token, 5)], dim=1)
    kinds = {"mm_token_type_ids": (ids == token).long()} if "mm_token_type_ids" in names else {}
    return {"input_ids": ids, **image, **kinds}


def _rows(features: Any) -> int:
    """How many tokens the features of an image are, in whatever a model returns them."""
    features = getattr(features, "pooler_output", features)
    if isinstance(features, Tensor):
        return features.shape[:-1].numel()
    return sum(_rows(part) for part in features)
