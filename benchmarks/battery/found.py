"""Models of public libraries as their authors wrote them, by a fourth draw, after the third (picked.py) had been read.

The rule, of timm 1.0.31, transformers 5.23.0, torchvision 0.29.1, diffusers 0.42.1, PyTorch Geometric 2.8.1, kornia
0.9.0 and pytorchcv 0.0.74: a library's sorted names are shuffled by ``random.Random(30).shuffle``, and the first are
taken of what the zoo and the battery, the three draws before included, do not have, nor a model that differs a little.
Weights are random.

- timm, the eleven that are left of ``list_modules()``: of each module the first model by name of 5 to 60 million
  parameters and images of at most 256 pixels. Skipped: vgg, inception_resnet_v2, xception, xception_aligned, qwen3_vit,
  inception_v3, inception_v4, nasnet, vision_transformer_sam, pnasnet, deepseek_vit, naflexvit, mobilenetv5, gemma4_vit,
  beit and csatv2, which have none; those whose first model the zoo or the battery has, or one much like it (pvt_v2,
  efficientnet, maxxvit, swin_transformer_v2_cr, vision_transformer, xcit, focalnet, regnet, mlp_mixer, hardcorenas,
  convnext, senet, deit, nfnet, densenet, hiera, swin_transformer_v2, volo, levit, dla, metaformer, mobilenetv3,
  convmixer, ghostnet, swin_transformer, hrnet, resnet).
- transformers, 10 of the types of ``AutoModel``: the defaults, or fewer and narrower layers where these have more than
  400 million parameters. Skipped: cosmos3_edge_vision, qwen3_5_moe_vision, lasr_encoder and whisper, of which the
  battery or the zoo has the encoder or one like it; youtu, idefics3 and phi3, which are DeepSeek's attention without
  experts, SmolVLM and Llama; vibevoice, whose ears are those of vibevoice_asr.
- torchvision, the two that are left of ``list_models()``. Skipped, beside other sizes of what the zoo and the battery
  have and the quantized: mvit_v2_s, whose images timm's MViTv2 has; maskrcnn and fasterrcnn, whose trunk, proposals and
  boxes are those of keypointrcnn; raft_large, which makes its positions in single precision, so that it does not run
  in half. FCOS is taken: what the battery has by hand is shallow, and its boxes may overlap. They were measured with
  torchvision 0.26.0, whose operators load in torch 2.11 and whose models are the same.
- diffusers, 5 of the modules that ``diffusers.models`` names: its own defaults, or as with transformers; of
  AsymmetricAutoencoderKL, whose defaults are one narrow block, what its published weights have. Skipped:
  HunyuanDiT2DMultiControlNetModel and ControlNetXSAdapter, which are no networks of their own; AutoencoderKLAllegro,
  which takes nothing but tiles of 24 frames of 320 pixels; Cosmos3OmniTransformer, which takes one film a call;
  CosmosControlNetModel, the first layers of Cosmos.
- PyTorch Geometric, 3 of the models and convolutions, in the network that their published example makes of them.
  Skipped: SSGConv, LEConv, SimpleConv, PointGNNConv, XConv, GINEConv, EdgeCNN, GPSENodeEncoder, FAConv and EdgeConv,
  for which it publishes none; ARGA, a way to train; PointNetConv and DimeNet, whose neighbours a compiled library
  finds; SGFormer, which makes ones in single precision, so that it does not run in half; MetaPath2Vec, a table of
  nodes; GCNConv, which the battery has. DNAConv weighs its edges in every pass, as by default.
- kornia, 2 of the networks that ``kornia.feature`` names: descriptors of the patches around points. Skipped: SOLD2,
  which compares as many lines as it finds, DISK, which describes as many points; the detectors and LAFOrienter, which
  are no networks.
- pytorchcv, 3 of its models: the first. Skipped: seresnet1202_svhn, seresnet50b_cub and sepreresnet272bn_cifar10, as
  SE-ResNet is there. It and kornia are the first that would do of ten libraries by the same draw: importing
  pytorch_tabular needs omegaconf and Lightning.

See ``FOUND`` in families.py: measured once, predicted once, for a release.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.public_libraries import Made, graphs, library, papers, random_ids, timm_model, transformers_model
from models_zoo import _inputs

# timm


def bilinear_attention(batch: int) -> Made:
    """BAT-ResNeXt-26: grouped convolutions whose middle ones attend bilinearly, between rows, columns and channels."""
    return timm_model("bat_resnext26ts", batch)


def hybrid_vit(batch: int) -> Made:
    """R26+ViT-S/32: a ResNet of standardised weights and group norms, then a transformer over what it leaves."""
    return timm_model("vit_small_r26_s32_224", batch)


def hiera_det(batch: int) -> Made:
    """HieraDet-Small, the eye of SAM 2: windows that queries are pooled in, some layers see all, a pyramid after it."""
    return timm_model("hieradet_small", batch)


def mobile_vit(batch: int) -> Made:
    """MobileViT-S: mobile blocks, then transformers over the pixels of every patch at one place, unfolded and back."""
    return timm_model("mobilevit_s", batch)


def cascaded_groups(batch: int) -> Made:
    """EfficientViT-M3 of Microsoft: each head sees some channels and what the head before it said."""
    return timm_model("efficientvit_m3", batch)


def pre_activation(batch: int) -> Made:
    """ResNetV2-101: norms and ReLUs before the convolutions, so that none of them can be folded away."""
    return timm_model("resnetv2_101", batch)


def visformer(batch: int) -> Made:
    """Visformer-Small: grouped convolutions, then attention made of convolutions of one pixel and batch norms."""
    return timm_model("visformer_small", batch)


def coat(batch: int) -> Made:
    """CoaT-Lite Medium: attention factored by a softmax over keys, positions from depthwise convolutions of heads."""
    return timm_model("coat_lite_medium", batch)


def fast_vit(batch: int) -> Made:
    """FastViT-MA36 as it is trained: mixers of depthwise branches that are added, attention in the last stage."""
    return timm_model("fastvit_ma36", batch)


def star_net(batch: int) -> Made:
    """StarNet-S3: depthwise windows of seven, two products of each pixel multiplied with each other."""
    return timm_model("starnet_s3", batch)


def pooled_attention(batch: int) -> Made:
    """MViTv2-Base on images: pooled queries, keys and values, decomposed relative positions, queries added again."""
    return timm_model("mvitv2_base", batch)


# diffusers


def protein(batch: int) -> Made:
    """RFD4-Proteina: 96 residues and every pair of them, 14 layers biased by pairs, updates by triangles."""
    atoms = ("hbond", "pistack", "pication", "saltbridge", "hydrophobic", "metal-coord")

    class Denoiser(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = library("diffusers").RFD4ProteinaTransformer()

        def forward(self, ca: Tensor, latents: Tensor, t: Tensor, mask: Tensor, kinds: Tensor, slots: Tensor) -> Any:
            chain = torch.zeros_like(kinds)
            told = {f"condition_{name}_1_atom": torch.zeros_like(slots) for name in atoms}
            told |= {"condition_index-group_1_token": chain, "molecule_iid": chain, "molecule_entity_id": chain}
            apart = (torch.arange(96, device=kinds.device)[:, None] - torch.arange(96, device=kinds.device)).abs()
            told |= {"token_bond_path_length": apart.expand(len(kinds), 96, 96)}
            told |= {"is_in_context_conditioning": chain.bool(), "supports_local_latent": mask}
            given = {"token_type": kinds, "atom37_mask": slots, "conditioning": told, "return_dict": False}
            return self.model(ca.float(), latents, t, t, mask, **given)

    return Denoiser().eval(), {
        "ca": torch.randn(batch, 96, 3),
        "latents": torch.randn(batch, 96, 32),
        "t": torch.rand(batch),
        "mask": torch.ones(batch, 96, dtype=torch.bool, device="cpu"),
        "kinds": torch.zeros(batch, 96, dtype=torch.long, device="cpu"),
        "slots": torch.ones(batch, 96, 37, dtype=torch.bool, device="cpu"),
    }


def kandinsky(batch: int) -> Made:
    """The U-Net of Kandinsky 3 in small, 128 to 1024 wide: four levels, norms that the step conditions, 128 words."""
    model = library("diffusers").Kandinsky3UNet(
        **{"time_embedding_dim": 512, "block_out_channels": (128, 256, 512, 1024)},
        **{"cross_attention_dim": 1024, "encoder_hid_dim": 1024},
    )
    return model.eval(), {
        "sample": torch.randn(batch, 4, 64, 64),
        "timestep": torch.rand(batch) * 1000,
        "encoder_hidden_states": torch.randn(batch, 128, 1024),
        "encoder_attention_mask": torch.ones(batch, 128, dtype=torch.long, device="cpu"),
    }


def sana(batch: int) -> Made:
    """Sana in small, 16 layers of 1152: linear attention over 1024 patches, 128 words, feed-forwards that convolve."""
    model = library("diffusers").SanaTransformer2DModel(
        **{"num_attention_heads": 36, "num_layers": 16, "num_cross_attention_heads": 16},
        **{"cross_attention_head_dim": 72, "cross_attention_dim": 1152},
    )
    return model.eval(), {
        "hidden_states": torch.randn(batch, 32, 32, 32),
        "encoder_hidden_states": torch.randn(batch, 128, 2304),
        "timestep": torch.rand(batch) * 1000,
    }


def asymmetric_codec(batch: int) -> Made:
    """An autoencoder with a larger decoder, that keeps what a mask spares of 256 pixels, for the repair of images."""
    model = library("diffusers").AsymmetricAutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        down_block_out_channels=(128, 256, 512, 512),
        layers_per_down_block=2,
        up_block_types=("UpDecoderBlock2D",) * 4,
        up_block_out_channels=(192, 384, 768, 768),
        layers_per_up_block=3,
    )
    return model.eval(), {"sample": torch.rand(batch, 3, 256, 256) * 2 - 1, "mask": torch.rand(batch, 1, 256, 256)}


def sound_denoiser(batch: int) -> Made:
    """Stable Audio 3 in small, 12 layers of 1024: attention less attention, 64 tokens of memory before 256 of sound."""
    model = library("diffusers").StableAudio3DiTModel(embed_dim=1024, depth=12, num_heads=16)
    return model.eval(), {
        "hidden_states": torch.randn(batch, 256, 256),
        "timestep": torch.rand(batch),
        "encoder_hidden_states": torch.randn(batch, 128, 768),
        "global_hidden_states": torch.randn(batch, 768),
        "local_add_cond": torch.randn(batch, 257, 256),
    }


# PyTorch Geometric


def relations(batch: int) -> Made:
    """Relational attention on AIFB: a matrix of 16 by 16 for each of 90 relations, picked for each of 58,086 edges."""
    layers = library("torch_geometric.nn")

    class Rgat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = layers.RGATConv(16, 16, 90)
            self.conv2 = layers.RGATConv(16, 16, 90)
            self.lin = nn.Linear(16, 4)

        def forward(self, x: Tensor, edge_index: Tensor, edge_type: Tensor) -> Tensor:
            x = self.conv1(x, edge_index, edge_type).relu()
            x = self.conv2(x, edge_index, edge_type).relu()
            return F.log_softmax(self.lin(x), dim=-1)

    return Rgat().eval(), {
        "x": torch.randn(8285 * batch, 16),
        "edge_index": graphs(batch, 8285, 58_086),
        "edge_type": random_ids(58_086 * batch, below=90),
    }


def super_gat(batch: int) -> Made:
    """SuperGAT on Cora: attention as in GAT, times what a product says of whether there is an edge, eight heads."""
    layers = library("torch_geometric.nn")
    options = {"dropout": 0.6, "attention_type": "MX", "edge_sample_ratio": 0.8, "is_undirected": True}

    class SuperGat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = layers.SuperGATConv(1433, 8, heads=8, **options)
            self.conv2 = layers.SuperGATConv(8 * 8, 7, heads=8, concat=False, **options)

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            x = F.dropout(x, p=0.6, training=self.training)
            x = F.elu(self.conv1(x, edge_index))
            x = F.dropout(x, p=0.6, training=self.training)
            return F.log_softmax(self.conv2(x, edge_index), dim=-1)

    return SuperGat().eval(), papers(batch)


def layer_memory(batch: int) -> Made:
    """DNA on Cora: each edge attends, by eight heads of 16 groups, to all layers that its paper has been through."""
    layers = library("torch_geometric.nn")

    class Dna(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin1 = nn.Linear(1433, 128)
            self.convs = nn.ModuleList(layers.DNAConv(128, 8, 16, dropout=0.8) for _ in range(5))
            self.lin2 = nn.Linear(128, 7)

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            x = F.relu(self.lin1(x))
            x = F.dropout(x, p=0.5, training=self.training)
            seen = x.view(-1, 1, 128)
            for conv in self.convs:
                x = F.relu(conv(seen, edge_index)).view(-1, 1, 128)
                seen = torch.cat([seen, x], dim=1)
            x = F.dropout(seen[:, -1], p=0.5, training=self.training)
            return torch.log_softmax(self.lin2(x), dim=1)

    return Dna().eval(), papers(batch)


# transformers


def opt(batch: int) -> Made:
    """OPT of 125M: a decoder of twelve layers, learned positions counted from a mask, ReLU."""
    return transformers_model("opt", use_cache=False), _inputs.token_ids(batch)


def image_gpt(batch: int) -> Made:
    """ImageGPT-Small: 1024 pixels of 512 colours one after another, 24 layers of 512, norms without a mean."""
    return transformers_model("imagegpt", use_cache=False), {"input_ids": random_ids(batch, 1024, below=512)}


def dbrx(batch: int) -> Made:
    """DBRX in small, twelve layers of 1024: queries, keys and values clipped, four of 16 experts in one matrix."""
    model = transformers_model(
        "dbrx",
        **{"d_model": 1024, "n_heads": 16, "n_layers": 12, "use_cache": False},
        attn_config={"kv_n_heads": 4, "clip_qkv": 8.0, "rope_theta": 500_000.0},
        ffn_config={"hidden_size": 1024, "ffn_hidden_size": 512, "moe_num_experts": 16, "moe_top_k": 4},
    )
    return model, _inputs.token_ids(batch)


def _asked(batch: int, seen: int, token: int) -> Tensor:
    """(batch, seen + 32): places of what is seen or heard, then words of a question."""
    places = torch.full((batch, seen), token, device="cpu")
    return torch.cat([places, _inputs.token_ids(batch, 32)["input_ids"]], dim=1)


def edge_reasoner(batch: int) -> Made:
    """Cosmos 3 Edge in small: a packed image of 256 pixels, positions resized for it, 12 layers of squared ReLUs."""
    ids = _asked(batch, 64, 31_999)
    words = {"vocab_size": 32_000, "hidden_size": 1024, "intermediate_size": 4608, "num_hidden_layers": 12}
    model = transformers_model(
        "cosmos3_edge",
        vision_config={"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12}
        | {"num_attention_heads": 12},
        text_config={**words, "num_attention_heads": 8, "num_key_value_heads": 4, "use_cache": False},
        projector_hidden_size=4608,
        image_token_id=31_999,
    )
    return model, {
        "input_ids": ids,
        "pixel_values": torch.randn(256 * batch, 768),
        "image_grid_thw": torch.tensor([[1, 16, 16]], device="cpu").repeat(batch, 1),
        "mm_token_type_ids": (ids == 31_999).int(),
    }


def liquid(batch: int) -> Made:
    """LFM3 in small, twelve layers of 1024: gated convolutions of seven tokens, windows of 256, gates of heads."""
    model = transformers_model(
        "lfm3",
        **{"vocab_size": 32_000, "hidden_size": 1024, "intermediate_size": 3840, "num_hidden_layers": 12},
        **{"num_attention_heads": 8, "num_key_value_heads": 2, "use_cache": False},
        **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
    )
    return model, _inputs.token_ids(batch, 384)


def transcriber(batch: int) -> Made:
    """VibeVoice's ear in small: four seconds of sound through two causal ConvNeXts to 30 tokens, noise, 32 words."""
    ear = {"model_type": "vibevoice_acoustic_tokenizer_encoder", "num_filters": 16}
    words = {"model_type": "qwen2", "vocab_size": 32_000, "hidden_size": 896, "intermediate_size": 4864}
    model = transformers_model(
        "vibevoice_asr",
        acoustic_tokenizer_encoder_config=ear,
        semantic_tokenizer_encoder_config=ear | {"hidden_size": 128},
        text_config={**words, "num_hidden_layers": 12, "num_attention_heads": 14, "num_key_value_heads": 2}
        | {"use_cache": False},
        **{"audio_token_id": 31_999, "audio_bos_token_id": 31_998, "audio_eos_token_id": 31_997},
    )
    return model, {"input_ids": _asked(batch, 30, 31_999), "input_values": torch.randn(batch, 1, 96_000) * 0.1}


def any_shape(batch: int) -> Made:
    """SigLIP 2-Base: images of their own shapes as 256 patches with a mask, positions resized for each, 64 words."""
    return transformers_model("siglip2"), {
        "input_ids": _inputs.token_ids(batch, 64)["input_ids"],
        "pixel_values": torch.randn(batch, 256, 768),
        "pixel_attention_mask": torch.ones(batch, 256, dtype=torch.long, device="cpu"),
        "spatial_shapes": torch.tensor([[16, 16]], device="cpu").repeat(batch, 1),
    }


def block_conformer(batch: int) -> Made:
    """Granite Speech 5 with twelve layers: attention in blocks of 128 frames, letters guessed halfway are fed back."""
    model = transformers_model("granite_speech5_encoder", num_hidden_layers=12)
    return model, {"input_features": torch.randn(batch, 600, 320)}


def drafter(batch: int) -> Made:
    """Muse Glimmer's assistant, 1536 wide: five layers denoise 16 guesses after 256 tokens, seen from five layers."""
    model = transformers_model(
        "muse_glimmer_assistant",
        **{"hidden_size": 1536, "intermediate_size": 4608, "num_attention_heads": 12, "num_key_value_heads": 4},
        use_cache=False,
    )
    return model, {
        "noise_embeds": torch.randn(batch, 16, 1536),
        "context_hidden_states": torch.randn(batch, 256, 5 * 1536),
    }


def speech_words(batch: int) -> Made:
    """Phi-4 multimodal in small: six seconds through a Conformer of 512 with biases by distance, joined products."""
    model = transformers_model(
        "phi4_multimodal",
        **{"vocab_size": 32_000, "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 12},
        **{"num_attention_heads": 16, "num_key_value_heads": 4, "use_cache": False},
        **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
        vision_config={"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 12}
        | {"num_attention_heads": 6, "image_token_id": 31_998},
        audio_config={"hidden_size": 512, "intermediate_size": 768, "num_blocks": 12, "num_attention_heads": 8}
        | {"ext_pw_out_channel": 512, "depthwise_separable_out_channel": 512, "nemo_conv_channels": 512}
        | {"audio_token_id": 31_999},
    )
    return model, {
        "input_ids": _asked(batch, 75, 31_999),
        "audio_input_features": torch.randn(batch, 600, 80),
        "audio_embed_sizes": torch.full((batch,), 75, device="cpu"),
    }


# torchvision


class _Detector(nn.Module):
    """A detector of torchvision, of images of one size."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.model = library("torchvision.models").get_model(name, weights=None, weights_backbone=None)

    def forward(self, images: Tensor) -> Any:
        return self.model(list(images.unbind(0)))


def fcos(batch: int) -> Made:
    """FCOS on a ResNet-50: 480 x 640 pixels made 800 high, five levels, towers, centres, the best without overlap."""
    return _Detector("fcos_resnet50_fpn").eval(), {"images": torch.rand(batch, 3, 480, 640)}


def light_detector(batch: int) -> Made:
    """SSDLite on MobileNetV3-Large: 320 pixels, depthwise heads on six maps, 91 classes of 3234 boxes."""
    return _Detector("ssdlite320_mobilenet_v3_large").eval(), {"images": torch.rand(batch, 3, 320, 320)}


# kornia


def sos_net(batch: int) -> Made:
    """SOSNet: 128 numbers for each of 256 patches of 32 pixels around points of an image, a local norm at the end."""
    return library("kornia.feature").SOSNet(pretrained=False).eval(), {"input": torch.rand(256 * batch, 1, 32, 32)}


def hy_net(batch: int) -> Made:
    """HyNet: as SOSNet, with norms by each filter's response and learned thresholds instead of ReLUs."""
    return library("kornia.feature").HyNet(pretrained=False).eval(), {"x": torch.rand(256 * batch, 1, 32, 32)}


# pytorchcv


def _pytorchcv(name: str, batch: int, pixels: int) -> Made:
    module = library("pytorchcv.model_provider").get_model(name)
    return module.eval(), {"x": torch.randn(batch, 3, pixels, pixels)}


def one_bit(batch: int) -> Made:
    """WRN-20-10 of one bit on CIFAR: wide convolutions whose weights are their signs, taken anew in every pass."""
    return _pytorchcv("wrn20_10_1bit_cifar100", batch, 32)


def mobile_net(batch: int) -> Made:
    """MobileNet (b), three quarters wide: depthwise convolutions and products in turn, no skips."""
    return _pytorchcv("mobilenetb_w3d4", batch, 224)


def bottleneck_attention(batch: int) -> Made:
    """BAM-ResNet-50: between the stages a branch of channels and one of dilated convolutions gate all pixels."""
    return _pytorchcv("bam_resnet50", batch, 224)
