"""Models of public libraries as their authors wrote them, by a third draw, after the second (drawn.py) had been read.

The rule, of timm 1.0.31, transformers 5.23.0, torchvision 0.29.1, diffusers 0.42.1, PyTorch Geometric 2.8.1,
vit-pytorch 1.26.14 and segmentation_models.pytorch 0.6.0: a library's sorted names are shuffled by
``random.Random(29).shuffle``, and the first are taken of what the zoo and the battery, both draws before included, do
not have, nor a model that differs a little. Weights are random.

- timm, 12 of ``list_modules()``: of each module the first model by name of 5 to 60 million parameters and images of at
  most 256 pixels. Skipped: deepseek_vit, qwen3_vit, vision_transformer_sam, inception_resnet_v2, pnasnet, gemma4_vit,
  mobilenetv5 and xception_aligned, which have none; dla, deit, swin_transformer_v2_cr, mlp_mixer, maxxvit, pvt_v2,
  senet, hardcorenas and metaformer, of which the battery has CenterNet's DLA, DeiT, Swin V2, MLP-Mixer, MaxViT,
  SegFormer, SE-ResNet, MobileNetV3 and PoolFormer.
- transformers, 10 of the types of ``AutoModel``: the defaults, or fewer and narrower layers where these have more than
  400 million parameters. Skipped: bert-generation, unispeech, granite_swa, moss_transcribe_diarize_audio and
  smolvlm_vision, which are BERT, wav2vec 2.0, Granite and the encoders of Whisper and SigLIP; table-transformer and
  sam, as DETR and SAM's encoder are there; fastspeech2_conformer, whose sound is as long as it foretells;
  sam2_video, which takes a session.
- torchvision, 4 of ``list_models()``, detection included. Skipped, beside other sizes of what the zoo and the battery
  have (ViT, RegNet, Inception and the like) and the quantized: deeplabv3 and ssd300, which the battery has by hand;
  maskrcnn and fasterrcnn, whose trunk, proposals and boxes are those of keypointrcnn. They were measured with
  torchvision 0.26.0, whose operators load in torch 2.11 and whose models are the same.
- diffusers, 4 of the modules that ``diffusers.models`` names: its own defaults, or as with transformers; of
  AutoencoderKLTemporalDecoder, whose defaults are one narrow block, what Stable Video Diffusion has. Skipped: none.
- PyTorch Geometric, 3 of the models and convolutions, in the network that their published example makes of them.
  Skipped: AntiSymmetricConv, for which it publishes none.
- vit-pytorch, 2 of its modules: what the module itself makes as an example. Skipped: ats_vit, which keeps as many
  tokens as it draws; levjepa_nd, a way to train.
- segmentation_models.pytorch, 3 of its models by their defaults. Skipped: UPerNet, DPT and FPN, of which the battery
  has UPerNet, Depth Anything and a feature pyramid. The library is itself the first that would do of eight by the same
  draw: importing open_clip sets an environment variable, what x_transformers has is one decoder behind several
  embeddings, braindecode needs mne, speechbrain needs torchaudio, whose operators are compiled for one torch.

See ``PICKED`` in families.py: measured once, predicted once, for a release.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.public_libraries import Made, graphs, library, papers, random_ids, timm_model, transformers_model
from models_zoo import _inputs

# timm


def lc_net(batch: int) -> Made:
    """LCNetV2-Base: depthwise convolutions of several sizes side by side, as it is trained."""
    return timm_model("lcnetv2_base", batch)


def cait(batch: int) -> Made:
    """CaiT-S24: heads that talk before and after the softmax, scaled branches, a class token that comes late."""
    return timm_model("cait_s24_224", batch)


def con_vit(batch: int) -> Made:
    """ConViT-Small: heads that choose between what is near and what is alike."""
    return timm_model("convit_small", batch)


def csp_next(batch: int) -> Made:
    """CSPNeXt-L: cross-stage blocks with depthwise windows of five and attention of channels."""
    return timm_model("cspnext_l", batch)


def hg_net(batch: int) -> Made:
    """PP-HGNet-Small: blocks whose layers' outputs are all concatenated, then excited."""
    return timm_model("hgnet_small", batch)


def dual_path(batch: int) -> Made:
    """DPN-48b: grouped convolutions that add to some channels and append to others."""
    return timm_model("dpn48b", batch)


def rep_vit(batch: int) -> Made:
    """RepViT-M0.9 as it is trained: mobile blocks with branches that are added, a batch norm for each."""
    return timm_model("repvit_m0_9", batch)


def cpu_bone(batch: int) -> Made:
    """CPUBone-B0: grouped mobile blocks, then attention at half of the resolution."""
    return timm_model("cpubone_b0_bfrobust", batch)


def efficient_vim(batch: int) -> Made:
    """EfficientViM-M1: a state space whose hidden states are mixed, depthwise convolutions around it."""
    return timm_model("efficientvim_m1", batch)


def tnt(batch: int) -> Made:
    """TNT-S: a small transformer in each patch of a larger one."""
    return timm_model("tnt_s_legacy_patch16_224", batch)


def gc_vit(batch: int) -> Made:
    """GC ViT-Small: attention within windows, in every second layer by queries of the whole image."""
    return timm_model("gcvit_small", batch)


def eva(batch: int) -> Made:
    """EVA-02-Small: rotary positions in two dimensions, norms within gated feed-forwards, patches of 14."""
    return timm_model("eva02_small_patch14_224", batch)


# diffusers


def animation(batch: int) -> Made:
    """Wan-Animate in small, ten layers of 1024: five frames of 256 patches, a pose, 13 faces of 128 pixels."""
    model = library("diffusers").WanAnimateTransformer3DModel(
        **{"num_attention_heads": 8, "ffn_dim": 2816, "num_layers": 10, "text_dim": 1024, "motion_encoder_size": 128}
    )
    return model.eval(), {
        "hidden_states": torch.randn(batch, 36, 5, 32, 32),
        "timestep": torch.rand(batch) * 1000,
        "encoder_hidden_states": torch.randn(batch, 128, 1024),
        "encoder_hidden_states_image": torch.randn(batch, 257, 1280),
        "pose_hidden_states": torch.randn(batch, 16, 4, 32, 32),
        "face_pixel_values": torch.rand(batch, 3, 13, 128, 128) * 2 - 1,
    }


def frame_codec(batch: int) -> Made:
    """The autoencoder of Stable Video Diffusion: four frames of 128 pixels one by one, then decoded as a film."""

    class Codec(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = library("diffusers").AutoencoderKLTemporalDecoder(
                down_block_types=("DownEncoderBlock2D",) * 4,
                block_out_channels=(128, 256, 512, 512),
                layers_per_block=2,
            )

        def forward(self, frames: Tensor) -> Tensor:
            out: Tensor = self.model(frames.flatten(0, 1), return_dict=False, num_frames=frames.shape[1])[0]
            return out.unflatten(0, frames.shape[:2])

    return Codec().eval(), {"frames": torch.rand(batch, 4, 3, 128, 128) * 2 - 1}


def causal_codec(batch: int) -> Made:
    """The autoencoder of HunyuanVideo: five frames of 96 pixels, causal convolutions in space and time at once."""
    model = library("diffusers").AutoencoderKLHunyuanVideo()
    return model.eval(), {"sample": torch.rand(batch, 3, 5, 96, 96) * 2 - 1}


def lumina(batch: int) -> Made:
    """Lumina-Next in small, twelve layers of 1024: 256 patches, a gate for 128 words, positions by complex products."""

    class Denoiser(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = library("diffusers").LuminaNextDiT2DModel(
                **{"hidden_size": 1024, "num_layers": 12, "num_attention_heads": 16, "num_kv_heads": 8},
                cross_attention_dim=1024,
            )

        def forward(self, latents: Tensor, t: Tensor, words: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
            out: Tensor = self.model(latents, t, words, mask, positions, {}, return_dict=False)[0]
            return out

    places = library("diffusers.models.embeddings").get_2d_rotary_pos_embed_lumina(64, 384, 384)
    return Denoiser().eval(), {
        "latents": torch.randn(batch, 4, 32, 32),
        "t": torch.rand(batch),
        "words": torch.randn(batch, 128, 1024),
        "mask": torch.ones(batch, 128, dtype=torch.long, device="cpu"),
        "positions": places,
    }


# PyTorch Geometric


def polynormer(batch: int) -> Made:
    """Polynormer on Cora: seven layers that multiply with what neighbours say, then two of linear attention to all."""
    model = library("torch_geometric.nn").Polynormer(1433, 256, 7)
    model._global = True
    return model.eval(), {**papers(batch), "batch": torch.arange(batch, device="cpu").repeat_interleave(2708)}


def edge_matrices(batch: int) -> Made:
    """Neural message passing on QM9: a matrix of 64 by 64 for each pair of atoms, a GRU, an LSTM that reads the set."""
    layers = library("torch_geometric.nn")

    class Messages(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin0 = nn.Linear(11, 64)
            matrices = nn.Sequential(nn.Linear(5, 128), nn.ReLU(), nn.Linear(128, 64 * 64))
            self.conv = layers.NNConv(64, 64, matrices, aggr="mean")
            self.gru = nn.GRU(64, 64)
            self.set2set = layers.Set2Set(64, processing_steps=3)
            self.lin1 = nn.Linear(128, 64)
            self.lin2 = nn.Linear(64, 1)

        def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, batch: Tensor) -> Tensor:
            out = F.relu(self.lin0(x))
            h = out.unsqueeze(0)
            for _ in range(3):
                m = F.relu(self.conv(out, edge_index, edge_attr))
                out, h = self.gru(m.unsqueeze(0), h)
                out = out.squeeze(0)
            out = F.relu(self.lin1(self.set2set(out, batch)))
            scores: Tensor = self.lin2(out)
            return scores.view(-1)

    molecules, atoms = 32 * batch, torch.arange(18, device="cpu")
    pairs = torch.cartesian_prod(atoms, atoms)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]].t()
    edges = (pairs[:, None] + 18 * torch.arange(molecules, device="cpu")[:, None]).flatten(1)
    return Messages().eval(), {
        "x": torch.rand(18 * molecules, 11),
        "edge_index": edges,
        "edge_attr": torch.rand(edges.shape[1], 5),
        "batch": torch.arange(molecules, device="cpu").repeat_interleave(18),
    }


def bases(batch: int) -> Made:
    """EGC-S on ogbg-molhiv: every atom weighs four shared bases for each head, four layers of 236, 32 molecules."""
    layers = library("torch_geometric.nn")
    sizes = (119, 5, 12, 12, 10, 6, 6, 2, 2)

    class Egc(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.ModuleList(nn.Embedding(size, 236) for size in sizes)
            self.convs = nn.ModuleList(layers.EGConv(236, 236, ["symnorm"], 4, 4) for _ in range(4))
            self.norms = nn.ModuleList(nn.BatchNorm1d(236) for _ in range(4))
            self.mlp = nn.Sequential(
                *(nn.Linear(236, 118, bias=False), nn.BatchNorm1d(118), nn.ReLU(inplace=True)),
                *(nn.Linear(118, 59, bias=False), nn.BatchNorm1d(59), nn.ReLU(inplace=True)),
                nn.Linear(59, 1),
            )

        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
            h: Any = 0
            for i, embedding in enumerate(self.encoder):
                h = h + embedding(x[:, i])
            for conv, norm in zip(self.convs, self.norms, strict=True):
                h = h + norm(conv(h, edge_index)).relu_()
            out: Tensor = self.mlp(layers.global_mean_pool(h, batch))
            return out

    atoms = 26 * 32 * batch
    return Egc().eval(), {
        "x": torch.stack([random_ids(atoms, below=size) for size in sizes], dim=1),
        "edge_index": graphs(32 * batch, 26, 56),
        "batch": torch.arange(32 * batch, device="cpu").repeat_interleave(26),
    }


# transformers


def _asked(batch: int, seen: int, token: int) -> Tensor:
    """(batch, seen + 32): places of what is seen or heard, then words of a question."""
    places = torch.full((batch, seen), token, device="cpu")
    return torch.cat([places, _inputs.token_ids(batch, 32)["input_ids"]], dim=1)


def llava(batch: int) -> Made:
    """LLaVA-NeXT in small: an image as a whole and in two tiles of 336 pixels, 1752 tokens, 32 words of a question."""
    words = {"vocab_size": 32_000, "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 12}
    model = transformers_model(
        "llava_next",
        vision_config={"model_type": "clip_vision_model", "hidden_size": 768, "intermediate_size": 3072}
        | {"num_hidden_layers": 12, "num_attention_heads": 12, "image_size": 336, "patch_size": 14},
        text_config={"model_type": "llama", **words, "num_attention_heads": 16, "num_key_value_heads": 4}
        | {"use_cache": False},
        image_token_index=31_999,
    )
    return model, {
        "pixel_values": torch.randn(batch, 3, 3, 336, 336),
        "image_sizes": torch.tensor([[336, 672]], device="cpu").repeat(batch, 1),
        "input_ids": _asked(batch, 1752, 31_999),
    }


def page_reader(batch: int) -> Made:
    """GOT-OCR 2 in small: SAM's encoder on a page of 512 pixels, 64 tokens, a decoder of twelve layers reads them."""
    model = transformers_model(
        "got_ocr2",
        vision_config={"image_size": 512},
        text_config={"model_type": "qwen2", "vocab_size": 32_000, "hidden_size": 1024, "intermediate_size": 2816}
        | {"num_hidden_layers": 12, "num_attention_heads": 16, "num_key_value_heads": 16, "use_cache": False},
        image_token_index=31_999,
    )
    return model, {"pixel_values": torch.randn(batch, 3, 512, 512), "input_ids": _asked(batch, 64, 31_999)}


def granite_experts(batch: int) -> Made:
    """Granite's experts in small, twelve layers of 1024: two of eight, sinks of attention, windows in three of four."""
    model = transformers_model(
        "granitemoe_swa",
        **{"vocab_size": 32_000, "hidden_size": 1024, "intermediate_size": 512, "num_hidden_layers": 12},
        **{"num_attention_heads": 16, "num_key_value_heads": 4, "use_cache": False},
    )
    return model, _inputs.token_ids(batch)


def moshi(batch: int) -> Made:
    """The decoder of Moshi in small, 16 layers of 1024: gates from one product, norms in single precision."""
    model = transformers_model(
        "moshi",
        **{"hidden_size": 1024, "num_hidden_layers": 16, "num_attention_heads": 16, "ffn_dim": 5632},
        use_cache=False,
    )
    return model, _inputs.token_ids(batch)


def listener(batch: int) -> Made:
    """Audio Flamingo 3 in small: 30 seconds as Whisper hears them, pooled to 750 tokens, 32 words of a question."""
    words = {"vocab_size": 32_000, "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 12}
    model = transformers_model(
        "audioflamingo3",
        audio_config={"model_type": "audioflamingo3_encoder", "hidden_size": 768, "num_hidden_layers": 12}
        | {"num_attention_heads": 12, "intermediate_size": 3072},
        text_config={"model_type": "qwen2", **words, "num_attention_heads": 14, "num_key_value_heads": 2}
        | {"use_cache": False},
        audio_token_id=31_999,
    )
    return model, {
        "input_ids": _asked(batch, 750, 31_999),
        "input_features": torch.randn(batch, 128, 3000),
        "input_features_mask": torch.ones(batch, 3000, dtype=torch.long, device="cpu"),
    }


def qwen(batch: int) -> Made:
    """Qwen3.5 in small, twelve layers of 1024: gated delta rules in three of four, an image of 256 pixels, 32 words."""
    ids = _asked(batch, 64, 31_999)
    words = {"vocab_size": 32_000, "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 12}
    words |= {"num_attention_heads": 4, "num_key_value_heads": 2}
    model = transformers_model(
        "qwen3_5",
        vision_config={"depth": 12, "hidden_size": 768, "num_heads": 12, "intermediate_size": 3072}
        | {"out_hidden_size": 1024},
        text_config={**words, "linear_num_key_heads": 4, "linear_num_value_heads": 8, "use_cache": False},
        image_token_id=31_999,
    )
    return model, {
        "input_ids": ids,
        "pixel_values": torch.randn(256 * batch, 1536),
        "image_grid_thw": torch.tensor([[1, 16, 16]], device="cpu").repeat(batch, 1),
        "mm_token_type_ids": (ids == 31_999).int(),
    }


def sharp_depth(batch: int) -> Made:
    """Depth Pro in small: 1024 pixels at three scales in 35 patches of 256, a DINOv2-Base for them, fused."""
    eye = {"model_type": "dinov2", "image_size": 256, "patch_size": 16}
    model = transformers_model(
        "depth_pro",
        **{"patch_size": 256, "merge_padding_value": 2},
        **{"image_model_config": eye, "patch_model_config": eye, "fov_model_config": eye},
    )
    return model, {"pixel_values": torch.randn(batch, 3, 1024, 1024)}


def medical_speech(batch: int) -> Made:
    """LASR with letters at its end: a Conformer of 17 layers of 512, rotary positions, six seconds of a spectrogram."""
    return transformers_model("lasr_ctc"), {"input_features": torch.randn(batch, 600, 128)}


def latent_experts(batch: int) -> Made:
    """A.X K1 in small, ten layers of 1024: latent attention, four of 16 experts of two groups in four, one for all."""
    model = transformers_model(
        "axk1",
        **{"vocab_size": 32_000, "hidden_size": 1024, "intermediate_size": 2816, "moe_intermediate_size": 512},
        **{"num_hidden_layers": 10, "num_attention_heads": 16, "num_key_value_heads": 16, "n_routed_experts": 16},
        **{"num_experts_per_tok": 4, "n_group": 4, "topk_group": 2, "q_lora_rank": 512, "kv_lora_rank": 256},
        **{"bos_token_id": 1, "eos_token_id": 2, "use_cache": False},
    )
    return model, _inputs.token_ids(batch)


def reformer(batch: int) -> Made:
    """Reformer: 1024 letters, attention within chunks and within buckets of a hash in turn, reversible layers."""
    return transformers_model("reformer"), {"input_ids": random_ids(batch, 1024, below=320)}


# torchvision


def _torchvision(name: str, **options: None) -> nn.Module:
    module: nn.Module = library("torchvision.models").get_model(name, weights=None, **options)
    return module


class _Detector(nn.Module):
    """A detector of torchvision, of images of one size."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.model = _torchvision(name, weights_backbone=None)

    def forward(self, images: Tensor) -> Any:
        return self.model(list(images.unbind(0)))


def retina_net(batch: int) -> Made:
    """RetinaNet on a ResNet-50: 480 x 640 pixels made 800 high, five levels, towers with group norms."""
    return _Detector("retinanet_resnet50_fpn_v2").eval(), {"images": torch.rand(batch, 3, 480, 640)}


def mixed_video(batch: int) -> Made:
    """MC3-18: convolutions of frames together in the first stages, one by one in the others, 16 of 112 pixels."""
    return _torchvision("mc3_18").eval(), {"x": torch.randn(batch, 3, 16, 112, 112)}


def joints(batch: int) -> Made:
    """Keypoint R-CNN on a ResNet-50: a thousand places that may hold a person, 17 joints of the best hundred."""
    return _Detector("keypointrcnn_resnet50_fpn").eval(), {"images": torch.rand(batch, 3, 480, 640)}


def factored_video(batch: int) -> Made:
    """R(2+1)D-18: each convolution is one of space and one of time, a norm between, 16 frames of 112 pixels."""
    return _torchvision("r2plus1d_18").eval(), {"x": torch.randn(batch, 3, 16, 112, 112)}


# vit-pytorch


def looped(batch: int) -> Made:
    """A looped vision transformer: five layers that are run four times between six and six, 256 pixels."""
    model = library("vit_pytorch.looped_vit").LoopedViT(
        **{"image_size": 256, "patch_size": 16, "num_classes": 1000, "dim": 512, "heads": 8, "dim_head": 64},
        **{"mlp_dim": 2048, "pre_loop_depth": 6, "num_looped_blocks": 5, "post_loop_depth": 6, "loop_depth": 4},
        **{"deep_supervision_weighting": "final_mean", "adaptive_loop": True},
    )
    return model.eval(), {"x": torch.randn(batch, 3, 256, 256)}


def special_class(batch: int) -> Made:
    """A vision transformer whose class token has norms, and at first products, of its own, patches of 32."""
    model = library("vit_pytorch.simple_vit_with_specialized_cls").SimpleViT(
        **{"image_size": 256, "patch_size": 32, "num_classes": 1000, "dim": 1024, "depth": 6, "heads": 16},
        mlp_dim=2048,
    )
    return model.eval(), {"img": torch.randn(batch, 3, 256, 256)}


# segmentation_models.pytorch


def _segmenter(name: str, batch: int) -> Made:
    """A decoder by its name on its own default, a ResNet-34, and images of 512 pixels."""
    module = getattr(library("segmentation_models_pytorch"), name)(encoder_weights=None)
    return module.eval(), {"x": torch.randn(batch, 3, 512, 512)}


def psp_net(batch: int) -> Made:
    """PSPNet: an eighth of the resolution pooled to four sizes, which are spread again and concatenated."""
    return _segmenter("PSPNet", batch)


def pan(batch: int) -> Made:
    """PAN: windows of seven, five and three on ever fewer pixels weigh what a product says, then gates go up."""
    return _segmenter("PAN", batch)


def deeplab_plus(batch: int) -> Made:
    """DeepLabV3+: dilated depthwise windows side by side, joined with the edges of an early stage."""
    return _segmenter("DeepLabV3Plus", batch)
