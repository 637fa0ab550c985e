"""Models of torchvision, timm, diffusers and PyTorch Geometric for ``benchmarks.coverage``, where these are installed.

Weights are left as memory gives them: nobody computes with them, and to draw them takes longer than a capture.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from benchmarks.public_libraries import library
from benchmarks.torchvision_operators import import_torchvision

Made = tuple[Any, Any, str]
Build = Callable[[], Made]


class Uninitialised(TorchFunctionMode):
    """While it is active, weights are not drawn at random."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _DRAWS:
            return args[0]
        return func(*args, **(kwargs or {}))


_DRAWS = frozenset({Tensor.normal_, Tensor.uniform_, Tensor.erfinv_, Tensor.exponential_, Tensor.bernoulli_})


def _built(make: Callable[[], nn.Module]) -> nn.Module:
    with Uninitialised():
        return make().eval()


# torchvision


def torchvision_cases() -> Iterator[tuple[str, Build]]:
    """A model of every family: its first by name. Quantised ones are left out."""
    import_torchvision()
    models = importlib.import_module("torchvision.models")
    families: dict[tuple[str, str], str] = {}
    for name in sorted(models.list_models()):
        module = models.get_model_builder(name).__module__
        kind = re.sub(
            r"[\d_]+([a-z]|\d+m?gf|fpn)?(_.*)?$", "", re.sub(r"^(efficientnet_v2|swin_v2|swin3d).*", r"\1@", name)
        )
        if "quantization" not in module:
            families.setdefault((module, kind), name)
    for name in families.values():
        yield name, lambda name=name: _torchvision(models, name)  # type: ignore[misc]


def _torchvision(models: Any, name: str) -> Made:
    kind = models.get_model_builder(name).__module__
    options = {"weights": None}
    if "weights_backbone" in inspect.signature(models.get_model_builder(name)).parameters:
        options["weights_backbone"] = None
    module = _built(lambda: models.get_model(name, **options))
    if ".detection" in kind:
        return module, ([torch.rand(3, 320, 320)],), "fp16"
    if ".optical_flow" in kind:
        return module, (torch.rand(1, 3, 128, 128), torch.rand(1, 3, 128, 128)), "fp32"  # its grid is
    if ".video" in kind:
        frames, side = (16, 224) if "mvit" in name or "swin" in name or "s3d" in name else (16, 112)
        return module, torch.rand(1, 3, frames, side, side), "fp16"
    side = 299 if "inception" in name else 224
    return module, torch.rand(1, 3, side, side), "fp16"


# timm


_SMALL = ("atto", "femto", "pico", "nano", "xxt", "xx", "xs", "tiny", "t", "mini", "small", "s", "0", "n", "ti")
"""Words in the names of small models, the smallest first."""


def timm_cases() -> Iterator[tuple[str, Build]]:
    """A model of every module: the smallest by its name."""
    timm = library("timm")
    for module in timm.list_modules():
        names = timm.list_models(module=module)
        if names:
            name = min(names, key=_size)
            yield name, lambda name=name: _timm(timm, name)  # type: ignore[misc]


def _size(name: str) -> tuple[int, int, str]:
    words = re.split(r"[_.]|(?<=\D)(?=\d)|(?<=\d)(?=\D)", name)
    rank = min((_SMALL.index(word) for word in words if word in _SMALL), default=len(_SMALL))
    number = min((int(word) for word in words if word.isdigit() and int(word) > 9), default=10**6)
    return rank, number, name


def _timm(timm: Any, name: str) -> Made:
    module = _built(lambda: timm.create_model(name))
    return module, torch.rand(1, *module.pretrained_cfg["input_size"]), "fp16"


# diffusers


def diffusers_cases() -> Iterator[tuple[str, Build]]:
    """Networks of its pipelines in small configurations."""
    diffusers = library("diffusers")
    for name, (fields, inputs) in _DIFFUSERS.items():
        yield name, lambda name=name, fields=fields, inputs=inputs: _diffusers(diffusers, name, fields, inputs)  # type: ignore[misc]


def _diffusers(diffusers: Any, name: str, fields: dict[str, Any], inputs: dict[str, Any]) -> Made:
    module = _built(lambda: getattr(diffusers, name)(**fields))
    dtype = "fp32" if name == "AutoencoderTiny" else "fp16"  # it divides bytes, which gives fp32
    return module, {key: _filled(value) for key, value in inputs.items()}, dtype


def _filled(value: Any) -> Any:
    return torch.rand(*value) if isinstance(value, tuple) and isinstance(value[0], int) else value


T = torch.tensor([7])
_UNET = {"block_out_channels": (32, 64), "layers_per_block": 1, "norm_num_groups": 8}
_AUTOENCODER = {**_UNET, "latent_channels": 4, "down_block_types": ("DownEncoderBlock2D",) * 2}
_AUTOENCODER |= {"up_block_types": ("UpDecoderBlock2D",) * 2}
_CROSS = {
    **_UNET,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": 64,
    "attention_head_dim": 8,
}
_DIT = {"num_layers": 2, "num_attention_heads": 2, "attention_head_dim": 32}
_TEXT = (1, 16, 64)
_LATENT = (1, 4, 32, 32)
_FILM = (1, 4, 4, 32, 32)

_DIFFUSERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "UNet2DModel": (
        {
            **_UNET,
            "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
            "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
        },
        {"sample": (1, 3, 32, 32), "timestep": T},
    ),
    "UNet2DConditionModel": (_CROSS, {"sample": _LATENT, "timestep": T, "encoder_hidden_states": _TEXT}),
    "UNet1DModel": (
        {
            "block_out_channels": (32, 64),
            "layers_per_block": 1,
            "in_channels": 14,
            "out_channels": 14,
            "sample_size": 32,
            "use_timestep_embedding": True,
            "time_embedding_type": "positional",
            "down_block_types": ("DownResnetBlock1D",) * 2,
            "up_block_types": ("UpResnetBlock1D",),
            "mid_block_type": "MidResTemporalBlock1D",
            "out_block_type": "OutConv1DBlock",
            "flip_sin_to_cos": False,
            "freq_shift": 1.0,
            "act_fn": "swish",
        },
        {"sample": (1, 14, 32), "timestep": T},
    ),
    "UNet3DConditionModel": (
        {
            **_CROSS,
            "down_block_types": ("CrossAttnDownBlock3D", "DownBlock3D"),
            "up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D"),
        },
        {"sample": _FILM, "timestep": T, "encoder_hidden_states": _TEXT},
    ),
    "UNetMotionModel": (
        {
            **{key: value for key, value in _CROSS.items() if key != "attention_head_dim"},
            "down_block_types": ("CrossAttnDownBlockMotion", "DownBlockMotion"),
            "up_block_types": ("UpBlockMotion", "CrossAttnUpBlockMotion"),
            "num_attention_heads": 2,
            "motion_num_attention_heads": 2,
        },
        {"sample": _FILM, "timestep": T, "encoder_hidden_states": _TEXT},
    ),
    "UNetSpatioTemporalConditionModel": (
        {
            "block_out_channels": (32, 64),
            "layers_per_block": 1,
            "cross_attention_dim": 64,
            "num_attention_heads": 4,
            "down_block_types": ("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
            "up_block_types": ("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
            "addition_time_embed_dim": 32,
            "projection_class_embeddings_input_dim": 96,
        },
        {
            "sample": (1, 2, 8, 32, 32),
            "timestep": T,
            "encoder_hidden_states": (1, 1, 64),
            "added_time_ids": torch.rand(1, 3),
        },
    ),
    "ControlNetModel": (
        {**{k: v for k, v in _CROSS.items() if k != "up_block_types"}, "conditioning_embedding_out_channels": (16, 32)},
        {"sample": _LATENT, "timestep": T, "encoder_hidden_states": _TEXT, "controlnet_cond": (1, 3, 64, 64)},
    ),
    "StableCascadeUNet": (
        {
            "in_channels": 4,
            "out_channels": 4,
            "patch_size": 1,
            "block_out_channels": (32, 64),
            "num_attention_heads": (0, 2),
            "down_num_layers_per_block": (1, 1),
            "up_num_layers_per_block": (1, 1),
            "down_blocks_repeat_mappers": (1, 1),
            "up_blocks_repeat_mappers": (1, 1),
            "conditioning_dim": 64,
            "clip_text_pooled_in_channels": 64,
            "block_types_per_layer": (
                ("SDCascadeResBlock", "SDCascadeTimestepBlock"),
                ("SDCascadeResBlock", "SDCascadeTimestepBlock", "SDCascadeAttnBlock"),
            ),
            "switch_level": (False,),
        },
        {"sample": (1, 4, 16, 16), "timestep_ratio": torch.rand(1), "clip_text_pooled": (1, 1, 64)},
    ),
    "Kandinsky3UNet": (
        {
            "block_out_channels": (32, 64, 128, 256),
            "layers_per_block": 1,
            "groups": 8,
            "cross_attention_dim": 64,
            "encoder_hid_dim": 64,
            "attention_head_dim": 16,
            "time_embedding_dim": 64,
        },
        {"sample": _LATENT, "timestep": T, "encoder_hidden_states": _TEXT, "encoder_attention_mask": torch.ones(1, 16)},
    ),
    "UVit2DModel": (
        {
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 128,
            "encoder_hidden_size": 64,
            "block_out_channels": 64,
            "in_channels": 64,
            "cond_embed_dim": 64,
            "micro_cond_encode_dim": 64,
            "micro_cond_embed_dim": 256,
            "codebook_size": 64,
            "vocab_size": 65,
        },
        {
            "input_ids": torch.zeros(1, 16, 16, dtype=torch.long),
            "encoder_hidden_states": _TEXT,
            "pooled_text_emb": (1, 64),
            "micro_conds": (1, 4),
        },
    ),
    "AutoencoderKL": (_AUTOENCODER, {"sample": (1, 3, 64, 64)}),
    "AsymmetricAutoencoderKL": (
        {
            "down_block_out_channels": (32, 64),
            "up_block_out_channels": (32, 64),
            "norm_num_groups": 8,
            "down_block_types": ("DownEncoderBlock2D",) * 2,
            "up_block_types": ("UpDecoderBlock2D",) * 2,
        },
        {"sample": (1, 3, 64, 64)},
    ),
    "VQModel": ({**_AUTOENCODER, "num_vq_embeddings": 64}, {"sample": (1, 3, 64, 64)}),
    "AutoencoderTiny": ({}, {"sample": (1, 3, 64, 64)}),
    "AutoencoderKLTemporalDecoder": (
        {"block_out_channels": (32, 64), "layers_per_block": 1, "down_block_types": ("DownEncoderBlock2D",) * 2},
        {"sample": (2, 3, 64, 64), "num_frames": 2},
    ),
    "AutoencoderOobleck": (
        {
            "encoder_hidden_size": 16,
            "decoder_channels": 16,
            "decoder_input_channels": 8,
            "downsampling_ratios": [2, 4],
            "channel_multiples": [1, 2],
        },
        {"sample": (1, 2, 1024)},
    ),
    "AutoencoderDC": (
        {
            "in_channels": 3,
            "latent_channels": 4,
            "attention_head_dim": 8,
            "encoder_block_types": ("ResBlock", "EfficientViTBlock"),
            "decoder_block_types": ("ResBlock", "EfficientViTBlock"),
            "encoder_block_out_channels": (16, 32),
            "decoder_block_out_channels": (16, 32),
            "encoder_qkv_multiscales": ((), (5,)),
            "decoder_qkv_multiscales": ((), (5,)),
            "encoder_layers_per_block": (1, 1),
            "decoder_layers_per_block": (1, 1),
        },
        {"sample": (1, 3, 64, 64)},
    ),
    "AutoencoderKLCogVideoX": (
        {"block_out_channels": (8, 8, 8, 8), "norm_num_groups": 2, "layers_per_block": 1, "latent_channels": 4},
        {"sample": (1, 3, 9, 32, 32)},
    ),
    "AutoencoderKLWan": ({"base_dim": 8, "z_dim": 16, "num_res_blocks": 1}, {"sample": (1, 3, 9, 32, 32)}),
    "AutoencoderKLLTXVideo": (
        {
            "block_out_channels": (8, 8, 8, 8),
            "decoder_block_out_channels": (8, 8, 8, 8),
            "layers_per_block": (1,) * 5,
            "decoder_layers_per_block": (1,) * 5,
            "latent_channels": 8,
        },
        {"sample": (1, 3, 9, 64, 64)},
    ),
    "AutoencoderKLMochi": (
        {
            "encoder_block_out_channels": (32,) * 4,
            "decoder_block_out_channels": (32,) * 4,
            "layers_per_block": (1,) * 5,
            "latent_channels": 4,
        },
        {"sample": (1, 3, 7, 32, 32)},
    ),
    "AutoencoderKLHunyuanVideo": (
        {"block_out_channels": (8,) * 4, "norm_num_groups": 4, "layers_per_block": 1, "latent_channels": 4},
        {"sample": (1, 3, 9, 32, 32)},
    ),
    "AutoencoderKLQwenImage": ({"base_dim": 8, "z_dim": 4, "num_res_blocks": 1}, {"sample": (1, 3, 1, 32, 32)}),
    "DiTTransformer2DModel": (
        {**_DIT, "in_channels": 4, "sample_size": 32},
        {"hidden_states": _LATENT, "timestep": T, "class_labels": torch.tensor([1])},
    ),
    "Transformer2DModel": (
        {**_DIT, "in_channels": 32, "norm_num_groups": 8, "cross_attention_dim": 64},
        {"hidden_states": (1, 32, 16, 16), "encoder_hidden_states": _TEXT},
    ),
    "PixArtTransformer2DModel": (
        {**_DIT, "sample_size": 32, "cross_attention_dim": 64, "caption_channels": 64},
        {
            "hidden_states": _LATENT,
            "timestep": T,
            "encoder_hidden_states": _TEXT,
            "added_cond_kwargs": {"resolution": None, "aspect_ratio": None},
        },
    ),
    "SD3Transformer2DModel": (
        {
            **_DIT,
            "sample_size": 32,
            "in_channels": 4,
            "out_channels": 4,
            "joint_attention_dim": 64,
            "caption_projection_dim": 64,
            "pooled_projection_dim": 64,
        },
        {"hidden_states": _LATENT, "timestep": T, "encoder_hidden_states": _TEXT, "pooled_projections": (1, 64)},
    ),
    "FluxTransformer2DModel": (
        {
            "in_channels": 16,
            "num_layers": 1,
            "num_single_layers": 1,
            "attention_head_dim": 32,
            "num_attention_heads": 2,
            "joint_attention_dim": 64,
            "pooled_projection_dim": 64,
            "axes_dims_rope": (8, 12, 12),
        },
        {
            "hidden_states": (1, 64, 16),
            "timestep": torch.rand(1),
            "img_ids": (64, 3),
            "txt_ids": (16, 3),
            "encoder_hidden_states": _TEXT,
            "pooled_projections": (1, 64),
        },
    ),
    "ChromaTransformer2DModel": (
        {
            "in_channels": 16,
            "num_layers": 1,
            "num_single_layers": 1,
            "attention_head_dim": 32,
            "num_attention_heads": 2,
            "joint_attention_dim": 64,
            "axes_dims_rope": (8, 12, 12),
            "approximator_hidden_dim": 64,
            "approximator_layers": 1,
        },
        {
            "hidden_states": (1, 64, 16),
            "timestep": torch.rand(1),
            "img_ids": (64, 3),
            "txt_ids": (16, 3),
            "encoder_hidden_states": _TEXT,
        },
    ),
    "AuraFlowTransformer2DModel": (
        {
            "sample_size": 32,
            "num_mmdit_layers": 1,
            "num_single_dit_layers": 1,
            "attention_head_dim": 32,
            "num_attention_heads": 2,
            "joint_attention_dim": 64,
            "caption_projection_dim": 64,
            "pos_embed_max_size": 256,
        },
        {"hidden_states": _LATENT, "timestep": T, "encoder_hidden_states": _TEXT},
    ),
    "SanaTransformer2DModel": (
        {
            **_DIT,
            "sample_size": 32,
            "in_channels": 4,
            "out_channels": 4,
            "caption_channels": 64,
            "num_cross_attention_heads": 2,
            "cross_attention_head_dim": 32,
            "cross_attention_dim": 64,
        },
        {"hidden_states": _LATENT, "timestep": T, "encoder_hidden_states": _TEXT},
    ),
    "HunyuanDiT2DModel": (
        {
            **_DIT,
            "num_layers": 4,
            "in_channels": 4,
            "patch_size": 2,
            "hidden_size": 64,
            "sample_size": 32,
            "cross_attention_dim": 64,
            "cross_attention_dim_t5": 64,
            "pooled_projection_dim": 64,
            "text_len": 16,
            "text_len_t5": 16,
        },
        {
            "hidden_states": _LATENT,
            "timestep": T,
            "encoder_hidden_states": _TEXT,
            "text_embedding_mask": torch.ones(1, 16),
            "encoder_hidden_states_t5": _TEXT,
            "text_embedding_mask_t5": torch.ones(1, 16),
            "image_meta_size": (1, 6),
            "style": torch.zeros(1, dtype=torch.long),
            "image_rotary_emb": [torch.rand(256, 32), torch.rand(256, 32)],
        },
    ),
    "LatteTransformer3DModel": (
        {
            **_DIT,
            "in_channels": 4,
            "out_channels": 8,
            "sample_size": 32,
            "patch_size": 2,
            "video_length": 4,
            "caption_channels": 64,
            "cross_attention_dim": 64,
        },
        {"hidden_states": _FILM, "timestep": T, "encoder_hidden_states": _TEXT},
    ),
    "CogVideoXTransformer3DModel": (
        {
            **_DIT,
            "in_channels": 4,
            "out_channels": 4,
            "text_embed_dim": 64,
            "sample_width": 32,
            "sample_height": 32,
            "sample_frames": 13,
            "max_text_seq_length": 16,
        },
        {"hidden_states": _FILM, "timestep": T, "encoder_hidden_states": _TEXT},
    ),
    "CogView4Transformer2DModel": (
        {**_DIT, "in_channels": 4, "out_channels": 4, "text_embed_dim": 64},
        {
            "hidden_states": _LATENT,
            "timestep": T,
            "encoder_hidden_states": _TEXT,
            "original_size": torch.tensor([[256, 256]]),
            "target_size": torch.tensor([[256, 256]]),
            "crop_coords": torch.tensor([[0, 0]]),
        },
    ),
    "MochiTransformer3DModel": (
        {**_DIT, "pooled_projection_dim": 64, "in_channels": 4, "text_embed_dim": 64},
        {
            "hidden_states": _FILM,
            "timestep": T,
            "encoder_hidden_states": _TEXT,
            "encoder_attention_mask": torch.ones(1, 16, dtype=torch.bool),
        },
    ),
    "LTXVideoTransformer3DModel": (
        {**_DIT, "in_channels": 4, "out_channels": 4, "cross_attention_dim": 64, "caption_channels": 64},
        {
            "hidden_states": (1, 256, 4),
            "timestep": T,
            "encoder_hidden_states": _TEXT,
            "encoder_attention_mask": torch.ones(1, 16, dtype=torch.bool),
            "num_frames": 4,
            "height": 8,
            "width": 8,
        },
    ),
    "WanTransformer3DModel": (
        {**_DIT, "in_channels": 4, "out_channels": 4, "text_dim": 64, "ffn_dim": 128, "freq_dim": 64},
        {"hidden_states": _FILM, "timestep": T, "encoder_hidden_states": _TEXT},
    ),
    "HunyuanVideoTransformer3DModel": (
        {
            "in_channels": 4,
            "out_channels": 4,
            "num_attention_heads": 2,
            "attention_head_dim": 32,
            "num_layers": 1,
            "num_single_layers": 1,
            "num_refiner_layers": 1,
            "text_embed_dim": 64,
            "pooled_projection_dim": 64,
            "rope_axes_dim": (8, 12, 12),
        },
        {
            "hidden_states": _FILM,
            "timestep": T,
            "encoder_hidden_states": _TEXT,
            "encoder_attention_mask": torch.ones(1, 16),
            "pooled_projections": (1, 64),
            "guidance": torch.tensor([1000.0]),
        },
    ),
    "QwenImageTransformer2DModel": (
        {**_DIT, "in_channels": 16, "out_channels": 4, "joint_attention_dim": 64, "axes_dims_rope": (8, 12, 12)},
        {
            "hidden_states": (1, 64, 16),
            "timestep": torch.rand(1),
            "encoder_hidden_states": _TEXT,
            "img_shapes": [(1, 8, 8)],
            "encoder_hidden_states_mask": torch.ones(1, 16),
        },
    ),
    "Lumina2Transformer2DModel": (
        {
            "in_channels": 4,
            "hidden_size": 64,
            "num_layers": 2,
            "num_refiner_layers": 1,
            "num_attention_heads": 2,
            "num_kv_heads": 1,
            "axes_dim_rope": (8, 12, 12),
            "cap_feat_dim": 64,
            "sample_size": 32,
        },
        {
            "hidden_states": _LATENT,
            "timestep": torch.rand(1),
            "encoder_hidden_states": _TEXT,
            "encoder_attention_mask": torch.ones(1, 16, dtype=torch.bool),
        },
    ),
    "HiDreamImageTransformer2DModel": (
        {
            "in_channels": 4,
            "out_channels": 4,
            "num_layers": 1,
            "num_single_layers": 1,
            "attention_head_dim": 32,
            "num_attention_heads": 2,
            "patch_size": 2,
            "caption_channels": [64, 64],
            "text_emb_dim": 64,
            "num_routed_experts": 4,
            "num_activated_experts": 2,
            "axes_dims_rope": (16, 8, 8),
            "max_resolution": (32, 32),
            "llama_layers": (0, 1),
        },
        {
            "hidden_states": _LATENT,
            "timesteps": T,
            "encoder_hidden_states_t5": _TEXT,
            "encoder_hidden_states_llama3": torch.rand(2, 1, 16, 64),
            "pooled_embeds": (1, 64),
        },
    ),
    "PriorTransformer": (
        {"num_attention_heads": 2, "attention_head_dim": 32, "num_layers": 2, "embedding_dim": 64, "num_embeddings": 7},
        {"hidden_states": (1, 64), "timestep": T, "proj_embedding": (1, 64), "encoder_hidden_states": (1, 7, 64)},
    ),
    "StableAudioDiTModel": (
        {
            **_DIT,
            "sample_size": 64,
            "in_channels": 8,
            "out_channels": 8,
            "num_key_value_attention_heads": 1,
            "cross_attention_dim": 64,
            "cross_attention_input_dim": 64,
            "global_states_input_dim": 64,
            "time_proj_dim": 64,
        },
        {
            "hidden_states": (1, 8, 64),
            "timestep": torch.rand(1),
            "encoder_hidden_states": _TEXT,
            "global_hidden_states": (1, 1, 64),
            "rotary_embedding": (torch.rand(65, 16), torch.rand(65, 16)),
        },
    ),
    "T5FilmDecoder": (
        {
            "input_dims": 64,
            "targets_length": 32,
            "d_model": 64,
            "num_layers": 2,
            "num_heads": 2,
            "d_kv": 32,
            "d_ff": 128,
        },
        {
            "encodings_and_masks": [(torch.rand(1, 16, 64), torch.ones(1, 16, dtype=torch.long))],
            "decoder_input_tokens": (1, 32, 64),
            "decoder_noise_time": torch.rand(1),
        },
    ),
    "T2IAdapter": ({"channels": [32, 64], "num_res_blocks": 1, "downscale_factor": 8}, {"x": (1, 3, 64, 64)}),
}
"""Class -> the fields of a small configuration, and the inputs: shapes, tensors, numbers."""


# PyTorch Geometric


def geometric_cases() -> Iterator[tuple[str, Build]]:
    """Layers and models of message passing that need no extension."""
    layers = library("torch_geometric.nn")
    for name, options in _GEOMETRIC.items():
        yield name, lambda name=name, options=options: _geometric(layers, name, options)  # type: ignore[misc]


NODES, EDGES, FEATURES = 200, 1000, 32

_LAYER: tuple[tuple[Any, ...], dict[str, Any]] = (FEATURES, FEATURES), {}
_MODEL: tuple[tuple[Any, ...], dict[str, Any]] = (FEATURES, 64, 2, FEATURES), {}

_GEOMETRIC: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    **dict.fromkeys(
        ("GCNConv", "GATConv", "GATv2Conv", "SAGEConv", "GraphConv", "TransformerConv", "ClusterGCNConv"), _LAYER
    ),
    **dict.fromkeys(("LEConv", "ResGatedGraphConv", "TAGConv", "ARMAConv", "SGConv", "MFConv", "GeneralConv"), _LAYER),
    **dict.fromkeys(("FiLMConv", "SuperGATConv", "GENConv"), _LAYER),
    "ChebConv": ((FEATURES, FEATURES, 3), {}),
    "GatedGraphConv": ((FEATURES, 3), {}),
    "APPNP": ((10, 0.1), {}),
    "AGNNConv": ((), {}),
    "EGConv": ((FEATURES, FEATURES), {}),
    **dict.fromkeys(("GCN", "GAT", "GraphSAGE", "GIN"), _MODEL),
    "GraphUNet": ((FEATURES, 64, FEATURES, 2), {}),
    "LightGCN": ((NODES, FEATURES, 2), {}),
    "DeepGCNLayer": ((), {}),
}
"""Class -> its arguments."""


def _geometric(layers: Any, name: str, options: tuple[tuple[Any, ...], dict[str, Any]]) -> Made:
    positional, named = options
    if name == "DeepGCNLayer":
        named = {"conv": layers.GENConv(FEATURES, FEATURES), "norm": nn.LayerNorm(FEATURES), "act": nn.ReLU()}
    module = getattr(layers, name)(*positional, **named).eval()
    edges = torch.randint(0, NODES, (2, EDGES), generator=torch.Generator().manual_seed(0))
    inputs = (edges,) if name == "LightGCN" else (torch.rand(NODES, FEATURES), edges)
    return module, inputs, "fp32"


CASES: dict[str, Callable[[], Iterator[tuple[str, Build]]]] = {
    "torchvision": torchvision_cases,
    "timm": timm_cases,
    "diffusers": diffusers_cases,
    "geometric": geometric_cases,
}
"""Group -> its cases. Raises ImportError where its library is not installed."""
