"""Inputs of those model types of transformers whose arguments mean something else than their names say elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from predictor.sources.transformers_inputs import Sizes

Maker = Callable[["Sizes"], Any]

STEPS = 20
"""Steps that a policy has seen, as in the paper of the decision transformer (Chen et al., 2021)."""

REGIONS = 36
"""Regions of an image that a detector found, as in the paper of LXMERT (Tan and Bansal, 2019)."""

CLASSES = 8
"""Names of classes that a detector of open vocabulary is asked for."""

ENCODED = 257
"""Rows of an image that is encoded already: 16 x 16 patches of 224 pixels and one for their class."""


def _images(number: int) -> Maker:
    """(batch, number, channels, height, width)."""
    return lambda sizes: _empty(sizes.batch, number, *sizes.image())


def _empty(*shape: int) -> Tensor:
    return torch.empty(*shape, device="meta")


def _ones(*shape: int) -> Tensor:
    return torch.ones(*shape, dtype=torch.int64)


def _codes(channels: str, more: int = 0) -> Maker:
    """(batch, length, codebooks): tokens of several codebooks a step. channels: the field that counts them."""

    def make(sizes: Sizes) -> Tensor:
        config = getattr(sizes.config, "decoder_config", sizes.config)
        return sizes.ids().unsqueeze(-1).repeat(1, 1, getattr(config, channels) + more) % 1000

    return make


def _rows(width: Callable[[Any], int], count: int | None = None) -> Maker:
    """(batch, rows, width) of what is embedded already. count: rows, None: as a text has tokens."""
    return lambda sizes: _empty(sizes.batch, count or sizes.length, width(sizes.config))


def _encoder(config: Any) -> Any:
    """The configuration of a model's encoder, itself where it is one."""
    return getattr(config, "encoder_config", config)


def _steps(width: str) -> Maker:
    """(batch, steps, width) of what a policy has seen."""
    return lambda sizes: _empty(sizes.batch, STEPS, getattr(sizes.config, width, 1))


def _square(sizes: Sizes, merged: str = "spatial_merge_size") -> tuple[int, int, int]:
    """Rows, channels and pixels a side of the patches of an image."""
    config = sizes.vision or sizes.config
    side = sizes.side_of_patches(merged)
    return side, getattr(config, "num_channels", 3), config.patch_size


def _flat_patches(merged: str) -> Maker:
    """(batch, patches, channels x pixels of a patch)."""

    def make(sizes: Sizes) -> Tensor:
        side, channels, pixels = _square(sizes, merged)
        return _empty(sizes.batch, side * side, channels * pixels**2)

    return make


def _patch_images(sizes: Sizes) -> Tensor:
    """(patches of all images, channels, height, width)."""
    side, channels, pixels = _square(sizes)
    return _empty(sizes.batch * side * side, channels, pixels, pixels)


def _merged_patches(sizes: Sizes) -> Tensor:
    """(merged patches of all images, height, width, channels)."""
    side, channels, pixels = _square(sizes)
    merge = sizes.config.spatial_merge_size
    return _empty(sizes.batch * (side // merge) ** 2, pixels * merge, pixels * merge, channels)


def _strip(sizes: Sizes) -> Tensor:
    """(1, channels, height of a patch, patches of all images x width of one): images of any size, packed."""
    side, channels, pixels = _square(sizes)
    return _empty(1, channels, pixels, sizes.batch * side * side * pixels)


def _rows_and_columns(sizes: Sizes) -> Tensor:
    """(batch, 2): patches along the height and the width of every image."""
    return torch.tensor([[_square(sizes)[0]] * 2] * sizes.batch)


def _merged_grids(sizes: Sizes) -> Tensor:
    """(batch, 3): frames, rows, columns of merged patches."""
    side = _square(sizes)[0] // sizes.config.spatial_merge_size
    return torch.tensor([[1, side, side]] * sizes.batch)


def _positions_of_patches(sizes: Sizes) -> Tensor:
    """(batch, patches, 2): column and row of every patch."""
    side = _square(sizes, "pooling_kernel_size")[0]
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return torch.stack([columns, rows], -1).reshape(1, -1, 2).repeat(sizes.batch, 1, 1)


def _upper_half(sizes: Sizes) -> Tensor:
    """(batch, channels, height / 2, width): a prompt and an image, one above the other, are as large as the model's."""
    channels, height, width = sizes.image()
    return _empty(sizes.batch, channels, height // 2, width)


def _scaled(sizes: Sizes) -> Tensor:
    """(batch, channels, height, width) of which the smallest scale is one patch."""
    side = int(sizes.config.patch_size / min(sizes.config.scaled_images_ratios))
    return _empty(sizes.batch, 3, side, side)


def _pixels_of_a_spectrogram(sizes: Sizes) -> Tensor:
    """(batch, 1, frames, bins) as CLAP's feature extractor cuts them: 10 s of 480 samples at 48 kHz."""
    bins = sizes.config.audio_config.num_mel_bins
    return _empty(sizes.batch, 1, 1001, bins)


def _channel_of_samples(multiple: Callable[[Any], int] = lambda config: 1) -> Maker:
    """(batch, 1, samples)."""
    return lambda sizes: _empty(sizes.batch, 1, -(-_samples(sizes) // multiple(sizes.config)) * multiple(sizes.config))


def _samples(sizes: Sizes) -> int:
    from models_zoo import _inputs

    return _inputs.SAMPLES


def _whole_frames(samples: int) -> Maker:
    """(batch, samples) that are a multiple of a frame's."""
    return lambda sizes: _empty(sizes.batch, -(-_samples(sizes) // samples) * samples)


def _mels(bins: Callable[[Any], int], frames: Callable[[Sizes], int]) -> Maker:
    """(batch, bins, frames)."""
    return lambda sizes: _empty(sizes.batch, bins(sizes.config), frames(sizes))


def _frames_of_text(sizes: Sizes) -> int:
    """Frames of audio of which each token of a text hears as many as the downsampling makes one of."""
    return 2 * int(sizes.config.downsample_factor) * sizes.length


_IMAGE_PATCHES: dict[str, Maker] = {
    "pixel_values": _flat_patches("spatial_merge_size"),
    "pixel_attention_mask": lambda sizes: _ones(sizes.batch, _square(sizes)[0] ** 2),
    "spatial_shapes": _rows_and_columns,
}

_POLICY: dict[str, Maker] = {
    "states": _steps("state_dim"),
    "actions": _steps("act_dim"),
    "rewards": _steps(""),
    "returns_to_go": _steps(""),
    "timesteps": lambda sizes: torch.arange(STEPS).repeat(sizes.batch, 1),
    "attention_mask": lambda sizes: _ones(sizes.batch, STEPS),
}

_TEXT_AND_IMAGE: dict[str, Maker] = {"pixel_values": lambda sizes: sizes.pixels()}

_OPEN_VOCABULARY: dict[str, Maker] = {
    "pixel_values": lambda sizes: sizes.pixels(),
    "input_ids": lambda sizes: sizes.ids(16),
}

KINDS: dict[str, dict[str, Maker]] = {
    **{kind: {"pixel_values": _images(1)} for kind in ("idefics2", "idefics3", "smolvlm", "modernvbert")},
    "idefics": {
        "pixel_values": _images(1),
        "image_attention_mask": lambda sizes: _ones(sizes.batch, sizes.length, 1),
    },
    **{kind: {"pixel_values": _images(2)} for kind in ("efficientloftr", "lightglue", "superglue")},
    "instructblip": {"qformer_attention_mask": lambda sizes: torch.ones_like(sizes.ids(16))},
    "instructblipvideo": {
        "pixel_values": lambda sizes: sizes.video(4),
        "qformer_attention_mask": lambda sizes: torch.ones_like(sizes.ids(16)),
    },
    **dict.fromkeys(("vilt", "tvp"), _TEXT_AND_IMAGE),
    **dict.fromkeys(("grounding-dino", "mm-grounding-dino"), _OPEN_VOCABULARY),
    "oneformer": {"task_inputs": lambda sizes: sizes.ids(77)},
    "omdet-turbo": {
        "classes_input_ids": lambda sizes: sizes.ids(16).repeat(CLASSES, 1),
        "classes_attention_mask": lambda sizes: _ones(sizes.batch * CLASSES, 16),
        "tasks_input_ids": lambda sizes: sizes.ids(16),
        "tasks_attention_mask": lambda sizes: _ones(sizes.batch, 16),
        "classes_structure": lambda sizes: torch.full((sizes.batch,), CLASSES),
    },
    "seggpt": dict.fromkeys(("pixel_values", "prompt_pixel_values", "prompt_masks"), _upper_half),
    "depth_pro": {"pixel_values": _scaled},
    "kosmos-2": {
        "image_embeds_position_mask": lambda sizes: (
            (torch.arange(sizes.length) < sizes.config.latent_query_num).long().repeat(sizes.batch, 1)
        )
    },
    "siglip2": _IMAGE_PATCHES,
    "siglip2_vision_model": _IMAGE_PATCHES,
    "gemma4_vision": {
        "pixel_values": _flat_patches("pooling_kernel_size"),
        "pixel_position_ids": _positions_of_patches,
    },
    "inkling2_vision": {"pixel_values": _merged_patches, "image_grid_thw": _merged_grids},
    "kimi_k25_vision": {"pixel_values": _patch_images},
    **{
        kind: {"pixel_values": _strip, "target_sizes": _rows_and_columns}
        for kind in ("minicpm_ocr_vision", "minicpmv4_7_vision")
    },
    "blip_2_qformer": {
        "query_embeds": _rows(lambda config: config.hidden_size, 32),
        "encoder_hidden_states": _rows(lambda config: config.encoder_hidden_size, ENCODED),
    },
    "lxmert": {
        "visual_feats": _rows(lambda config: config.visual_feat_dim, REGIONS),
        "visual_pos": _rows(lambda config: config.visual_pos_dim, REGIONS),
    },
    "bros": {"bbox": lambda sizes: _empty(sizes.batch, sizes.length, 4)},
    "udop": {"bbox": lambda sizes: _empty(sizes.batch, sizes.length, 4)},
    "perceiver": {"inputs": _rows(lambda config: config.d_model, 2048)},
    "decision_transformer": _POLICY,
    "xmod": {"lang_ids": lambda sizes: torch.zeros(sizes.batch, dtype=torch.int64)},
    "muse_glimmer_assistant": {
        "noise_embeds": lambda sizes: _empty(sizes.batch, sizes.config.block_size, sizes.config.hidden_size),
        "context_hidden_states": _rows(lambda config: config.hidden_size * len(config.target_layer_ids)),
    },
    "dia": {"decoder_input_ids": _codes("num_channels")},
    "kyutai_speech_to_text": {"input_ids": _codes("num_codebooks", 1)},
    "clap": {
        "input_features": _pixels_of_a_spectrogram,
        "is_longer": lambda sizes: torch.zeros(sizes.batch, 1, dtype=torch.bool),
    },
    "clvp": {"input_features": _mels(lambda config: config.decoder_config.feature_size, lambda sizes: 512)},
    "gemma3n_audio": {
        "audio_mel": _rows(lambda config: config.input_feat_size, 400),
        "audio_mel_mask": lambda sizes: torch.zeros(sizes.batch, 400, dtype=torch.bool),
    },
    **{
        kind: {"input_features": _rows(lambda config: 4 * _encoder(config).num_mel_bins, 500)}  # deltas, in pairs
        for kind in ("granite_speech5_ctc", "granite_speech5_encoder")
    },
    "fun_asr_nano_encoder": {"input_features": _rows(lambda config: config.input_size, 1000)},
    "gemma4_audio": {"input_features": _rows(lambda config: 128, 1000)},
    **{
        kind: {"input_features": _mels(lambda config: config.num_mel_bins, lambda sizes: 1000)}
        for kind in ("glmasr_encoder", "voxtral_realtime_encoder")
    },
    "qwen3_asr_encoder": {
        "input_features": _mels(lambda config: config.num_mel_bins, lambda sizes: 1000),
        "input_features_mask": lambda sizes: _ones(sizes.batch, 1000),
    },
    "voxtral_realtime": {"input_features": _mels(lambda config: config.audio_config.num_mel_bins, _frames_of_text)},
    **{
        kind: {
            "input_features": _rows(lambda config: config.semantic_model_config.feature_projection_input_dim, 100),
            "input_features_mask": lambda sizes: _ones(sizes.batch, 100),
        }
        for kind in ("neucodec", "xcodec2")
    },
    "muse_spark_audio": {"input_values": _whole_frames(1920)},
    "speecht5": {
        "input_values": _rows(lambda config: config.hidden_size),
        "decoder_input_values": _rows(lambda config: config.hidden_size),
    },
    "vibevoice_acoustic_tokenizer": {"input_values": _channel_of_samples()},
    "vibevoice_acoustic_tokenizer_encoder": {"hidden_states": _channel_of_samples()},
    "vibevoice_acoustic_tokenizer_decoder": {
        "hidden_states": lambda sizes: _empty(sizes.batch, sizes.config.hidden_size, 50)
    },
    "pocket_tts_audio_tokenizer_decoder": {
        "latents": lambda sizes: _empty(sizes.batch, getattr(sizes.config, "hidden_size", 512), 50)
    },
    "timesfm": {
        "past_values_padding": lambda sizes: torch.zeros(sizes.past().shape, dtype=torch.int64),
        "freq": lambda sizes: torch.zeros(sizes.batch, 1, dtype=torch.int64),
    },
}
"""Model type -> arguments that it needs beside those that all models have, or has otherwise, and what makes them. Each
follows the docstring of the model's forward.
"""
