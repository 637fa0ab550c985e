"""Models of public libraries as their authors wrote them, by a second draw, after the first (wild.py) had been read.

The rule, of timm 1.0.31, diffusers 0.42.1, PyTorch Geometric 2.8.1, transformers 5.23.0, vit-pytorch 1.26.14 and MONAI
1.6.1: a library's sorted names are shuffled by ``random.Random(28).shuffle``, and the first are taken of what the zoo
and the battery, the first draw included, do not have. Weights are random.

- timm, 12 of ``list_modules()``: of each module the first model by name of 5 to 60 million parameters and images of at
  most 256 pixels. Skipped: inception_v4, qwen3_vit, pnasnet, mobilenetv5, naflexvit, nasnet and gemma4_vit, which have
  none; metaformer, of which the battery has PoolFormer.
- diffusers, 5 of the modules that ``diffusers.models`` names: its own defaults, or fewer and narrower layers where
  these have more than 400 million parameters.
- PyTorch Geometric, 4 of the models and convolutions, in the network that their published example makes of them.
  Skipped: LEConv, HEATConv and PDNConv, for which it publishes none; MetaPath2Vec, a table of nodes.
- transformers, 8 of the types of ``AutoModel``: the defaults, or less of them, as with diffusers. Skipped: lightglue,
  which compares as many points as it finds.
- vit-pytorch, 4 of its modules: what its README or the module itself makes as an example. Skipped: vit_nd_masking,
  masks alone; mp3, a way to train; simple_vit and simple_vit_with_patch_dropout, plain vision transformers where
  nothing is trained; look_vit, whose positions stay in single precision, so that it does not run in half.
- MONAI, 3 of the networks that ``monai.networks.nets`` names: its defaults; what has none, of its documentation.

See ``DRAWN`` in families.py: measured once, predicted once, for a release.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.public_libraries import Made, graphs, library, papers, random_ids, timm_model, transformers_model
from models_zoo import _inputs

# timm


def edge_next(batch: int) -> Made:
    """EdgeNeXt-Base: depthwise convolutions of splits, attention between channels."""
    return timm_model("edgenext_base", batch)


def inception_next(batch: int) -> Made:
    """InceptionNeXt-Small: a square and two long depthwise windows, each on some of the channels."""
    return timm_model("inception_next_small", batch)


def res2net(batch: int) -> Made:
    """Res2Net-50 14w x 8s: eight splits of a block's channels, each adds the one before it."""
    return timm_model("res2net50_14w_8s", batch)


def nest(batch: int) -> Made:
    """NesT-Small: attention within blocks of an image, which are pooled into larger ones."""
    return timm_model("nest_small", batch)


def shvit(batch: int) -> Made:
    """SHViT-S1: a single head attends, on some of the channels."""
    return timm_model("shvit_s1", batch)


def bot_net(batch: int) -> Made:
    """BoTNet-26t: a ResNet whose last blocks attend, with relative positions in two dimensions."""
    return timm_model("botnet26t_256", batch)


def rdnet(batch: int) -> Made:
    """RDNet-Small: ConvNeXt's blocks, concatenated as in a DenseNet."""
    return timm_model("rdnet_small", batch)


def cross_vit(batch: int) -> Made:
    """CrossViT-9: patches of two sizes, whose class tokens look at the other size."""
    return timm_model("crossvit_9_240", batch)


def csp_net(batch: int) -> Made:
    """CS3DarkNet-L with a focus: cross-stage blocks that half of the channels pass by."""
    return timm_model("cs3darknet_focus_l", batch)


def swift_former(batch: int) -> Made:
    """SwiftFormer-L1: convolutions, then attention of one weighted query that is added."""
    return timm_model("swiftformer_l1", batch)


def low_former(batch: int) -> Made:
    """LowFormer-B0: fused mobile blocks, then attention at half of the resolution."""
    return timm_model("lowformer_b0", batch)


def tresnet(batch: int) -> Made:
    """TResNet-L: pixels moved into channels, blurred strides, squeeze and excitation, leaky ReLU."""
    return timm_model("tresnet_l", batch)


# diffusers


def film_codec(batch: int) -> Made:
    """The autoencoder of Cosmos: nine frames of 128 pixels by wavelets, causal convolutions of space, then of time."""
    model = library("diffusers").AutoencoderKLCosmos()
    return model.eval(), {"sample": torch.rand(batch, 3, 9, 128, 128) * 2 - 1}


def _places(*sizes: int) -> Tensor:
    """(places, dimensions): where each place of a grid is."""
    return torch.cartesian_prod(*(torch.arange(size, device="cpu") for size in sizes))


def flux2(batch: int) -> Made:
    """FLUX.2 in small, 1024 wide: two layers of two streams, twelve of one, whose modulations all layers share."""
    model = library("diffusers").Flux2Transformer2DModel(
        num_layers=2, num_single_layers=12, num_attention_heads=8, joint_attention_dim=1024
    )
    return model.eval(), {
        "hidden_states": torch.randn(batch, 256, 128),
        "encoder_hidden_states": torch.randn(batch, 128, 1024),
        "timestep": torch.rand(batch),
        "img_ids": _places(1, 16, 16, 1),
        "txt_ids": _places(1, 1, 1, 128),
        "guidance": torch.full((batch,), 4.0),
    }


def image_editor(batch: int) -> Made:
    """JoyImage-Edit in small, twelve layers of 1024: an image and what it was, two streams with 128 words."""
    model = library("diffusers").JoyImageEditTransformer3DModel(
        hidden_size=1024, num_attention_heads=8, text_dim=1024, num_layers=12
    )
    return model.eval(), {
        "hidden_states": torch.randn(batch, 2, 16, 1, 32, 32),
        "timestep": torch.rand(batch) * 1000,
        "encoder_hidden_states": torch.randn(batch, 128, 1024),
    }


def cosmos(batch: int) -> Made:
    """Cosmos in small, 16 layers of 1024: five frames of 256 patches, learned and rotary positions, 128 words."""

    class Denoiser(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = library("diffusers").CosmosTransformer3DModel(num_attention_heads=8, num_layers=16)

        def forward(self, latents: Tensor, t: Tensor, words: Tensor, padding: Tensor) -> Tensor:
            out: Tensor = self.model(latents, t, words, fps=16, padding_mask=padding, return_dict=False)[0]
            return out

    return Denoiser().eval(), {
        "latents": torch.randn(batch, 16, 5, 32, 32),
        "t": torch.rand(batch),
        "words": torch.randn(batch, 128, 1024),
        "padding": torch.zeros(1, 1, 256, 256),
    }


def film_and_sound(batch: int) -> Made:
    """MiniMax-H3 in small, twelve layers of 1024: 64 words, 256 patches of a film, 64 pieces of sound in one row."""
    model = library("diffusers").MiniMaxH3Transformer3DModel(
        **{"num_attention_heads": 8, "hidden_size": 1024, "num_layers": 12, "ffn_dim": 2816, "text_dim": 1024},
        **{"time_embed_hidden_dim": 1024, "time_embed_dim": 512},
    )
    places = torch.cat([_places(64, 1, 1), 64 + _places(4, 8, 8), 64 + _places(64, 1, 1)])
    kinds = torch.tensor([1, 0, 2], device="cpu").repeat_interleave(torch.tensor([64, 256, 64], device="cpu"))
    return model.eval(), {
        "hidden_states": torch.randn(batch, 256, 96),
        "audio_hidden_states": torch.randn(batch, 64, 32),
        "encoder_hidden_states": torch.randn(batch, 64, 1024),
        "timestep": torch.tensor([0.0, 0.6]),
        "timestep_indices": (kinds != 1).long(),
        "token_tags": kinds,
        "position_ids": places,
        "video_indices": torch.arange(64, 320, device="cpu"),
        "audio_indices": torch.arange(320, 384, device="cpu"),
        "text_indices": torch.arange(64, device="cpu"),
    }


# PyTorch Geometric


def rect(batch: int) -> Made:
    """RECT-L on Cora as diffusion leaves it: 200 features, each of 2708 papers with 64 weighted neighbours."""
    model = library("torch_geometric.nn").RECT_L(200, 200, normalize=False, dropout=0.0)
    edges = graphs(batch, 2708, 64 * 2708)
    return model.eval(), {
        "x": torch.randn(2708 * batch, 200),
        "edge_index": edges,
        "edge_weight": torch.rand(edges.shape[1]),
    }


def graph_sage(batch: int) -> Made:
    """GraphSAGE on Cora: means of neighbours beside the paper itself, two layers of 64."""
    model = library("torch_geometric.nn").GraphSAGE(1433, 64, num_layers=2)
    return model.eval(), papers(batch)


def cheb_net(batch: int) -> Made:
    """ChebNet on Cora: Chebyshev polynomials of three hops, two layers."""
    layers = library("torch_geometric.nn")

    class ChebNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = layers.ChebConv(1433, 16, 3)
            self.conv2 = layers.ChebConv(16, 7, 3)

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            x = F.relu(self.conv1(x, edge_index))
            return F.log_softmax(self.conv2(x, edge_index), dim=1)

    return ChebNet().eval(), papers(batch)


def agnn(batch: int) -> Made:
    """AGNN on Cora: two rounds of attention by cosines, no weights of their own but a temperature."""
    layers = library("torch_geometric.nn")

    class Agnn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin1 = nn.Linear(1433, 16)
            self.prop1 = layers.AGNNConv(requires_grad=False)
            self.prop2 = layers.AGNNConv(requires_grad=True)
            self.lin2 = nn.Linear(16, 7)

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            x = F.relu(self.lin1(x))
            x = self.prop2(self.prop1(x, edge_index), edge_index)
            return F.log_softmax(self.lin2(x), dim=1)

    return Agnn().eval(), papers(batch)


# transformers


def compass(batch: int) -> Made:
    """Cohere's Compass in small, 16 layers of 1024: attention and MLP side by side, no positions in every fourth."""
    model = transformers_model(
        "cohere_compass_text",
        **{"vocab_size": 32_000, "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 16},
        **{"num_attention_heads": 8, "num_key_value_heads": 2, "eos_token_id": 2, "use_cache": False},
        layer_types=[*["sliding_attention"] * 3, "full_attention"] * 4,
        rope_parameters={
            "sliding_attention": {"rope_type": "default", "rope_theta": 50_000.0},
            "full_attention": None,
        },
    )
    return model, _inputs.token_ids(batch)


def luke(batch: int) -> Made:
    """LUKE-Base: 128 words and four entities among them, queries by who asks whom."""
    first = torch.tensor([3, 20, 57, 90], device="cpu")[:, None]
    places = torch.cat([first, first + 1, torch.full((4, 28), -1, device="cpu")], dim=1)
    return transformers_model("luke"), {
        **_inputs.token_ids(batch),
        "entity_ids": random_ids(batch, 4, below=500_000),
        "entity_position_ids": places.repeat(batch, 1, 1),
    }


def image_reader(batch: int) -> Made:
    """The eye of GLM-4.5V in small, twelve layers of 1024: 576 patches of an image of 336 pixels, four become one."""
    model = transformers_model(
        "glm4v_moe_vision",
        **{"depth": 12, "hidden_size": 1024, "num_heads": 16, "out_hidden_size": 1536, "intermediate_size": 4096},
    )
    return model, {
        "hidden_states": torch.randn(576 * batch, 1176),
        "grid_thw": torch.tensor([[1, 24, 24]], device="cpu").repeat(batch, 1),
    }


def mimi_encoder(batch: int) -> Made:
    """The encoder of Mimi: two seconds of sound, strided convolutions, a transformer, 25 latents."""
    return transformers_model("mimi_encoder"), {"input_values": torch.randn(batch, 1, 48_000) * 0.1}


def sam_concepts(batch: int) -> Made:
    """SAM 3 in light and small: all in 672 pixels that a few words name, 200 queries, a mask of each."""
    eye = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 12, "num_attention_heads": 6}
    eye |= {"image_size": 672, "global_attn_indexes": [2, 5, 8, 11]}
    model = transformers_model(
        "sam3_lite_text",
        vision_config={
            "model_type": "sam3_vision_model",
            "backbone_config": {"model_type": "sam3_vit_model", **eye},
            "backbone_feature_sizes": [[192, 192], [96, 96], [48, 48]],
        },
    )
    return model, {
        "pixel_values": torch.randn(batch, 3, 672, 672),
        **_inputs.token_ids(batch, 16),
        "attention_mask": torch.ones(batch, 16, dtype=torch.long, device="cpu"),
    }


def lfm2_experts(batch: int) -> Made:
    """LFM2 with experts in small, twelve layers of 1024: gated short convolutions, four of eight experts."""
    model = transformers_model(
        "lfm2_moe",
        **{"vocab_size": 32_000, "hidden_size": 1024, "intermediate_size": 3584, "moe_intermediate_size": 896},
        **{"num_hidden_layers": 12, "num_attention_heads": 16, "num_key_value_heads": 4, "num_experts": 8},
        layer_types=["conv", *["conv", "full_attention", "conv", "conv"] * 2, "conv", "full_attention", "conv"],
        use_cache=False,
    )
    return model, _inputs.token_ids(batch)


def mask_former(batch: int) -> Made:
    """MaskFormer on a Swin-B: 384 pixels, a pyramid of convolutions, 100 queries through DETR's decoder."""
    return transformers_model("maskformer"), {"pixel_values": torch.randn(batch, 3, 384, 384)}


def intern_vl(batch: int) -> Made:
    """InternVL in small: an image of 448 pixels as 256 tokens, shuffled to be fewer, before 32 words of a question."""
    image_token = 31_999
    words = {"vocab_size": 32_000, "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 12}
    model = transformers_model(
        "internvl",
        vision_config={"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12}
        | {"num_attention_heads": 12},
        text_config={"model_type": "qwen2", **words, "num_attention_heads": 14, "num_key_value_heads": 2}
        | {"use_cache": False},
        image_token_id=image_token,
    )
    seen = torch.full((batch, 256), image_token, device="cpu")
    ids = torch.cat([seen, _inputs.token_ids(batch, 32)["input_ids"]], dim=1)
    return model, {"pixel_values": torch.randn(batch, 3, 448, 448), "input_ids": ids}


# vit-pytorch


def scalable_vit(batch: int) -> Made:
    """ScalableViT-S: attention to pooled keys, then within windows whose values are convolved, 256 pixels."""
    model = library("vit_pytorch.scalable_vit").ScalableViT(
        **{"num_classes": 1000, "dim": 64, "heads": (2, 4, 8, 16), "depth": (2, 2, 20, 2)},
        **{"ssa_dim_key": (40, 40, 40, 32), "reduction_factor": (8, 4, 2, 1), "dropout": 0.1},
        window_size=(64, 32, None, None),
    )
    return model.eval(), {"img": torch.randn(batch, 3, 256, 256)}


def flash_video(batch: int) -> Made:
    """A simple vision transformer of films: 16 frames of 128 pixels as 512 patches, six layers of 1024."""
    model = library("vit_pytorch.simple_flash_attn_vit_3d").SimpleViT(
        **{"image_size": 128, "frames": 16, "image_patch_size": 16, "frame_patch_size": 2, "num_classes": 1000},
        **{"dim": 1024, "depth": 6, "heads": 8, "mlp_dim": 2048},
    )
    return model.eval(), {"video": torch.randn(batch, 3, 16, 128, 128)}


def small_data_vit(batch: int) -> Made:
    """A vision transformer for few images: five shifts of each patch, attention with a learned temperature."""
    model = library("vit_pytorch.vit_for_small_dataset").ViT(
        **{"image_size": 256, "patch_size": 16, "num_classes": 1000, "dim": 1024, "depth": 6, "heads": 16},
        **{"mlp_dim": 2048, "dropout": 0.1, "emb_dropout": 0.1},
    )
    return model.eval(), {"img": torch.randn(batch, 3, 256, 256)}


def twins(batch: int) -> Made:
    """Twins-SVT: attention within windows, then to one pooled key of each, in turn, four resolutions, 224 pixels."""
    model = library("vit_pytorch.twins_svt").TwinsSVT(num_classes=1000)
    return model.eval(), {"x": torch.randn(batch, 3, 224, 224)}


# MONAI


def patch_judges(batch: int) -> Made:
    """Two PatchGANs of three and six layers: which patches of 256 pixels are real."""
    model = library("monai.networks.nets").MultiScalePatchDiscriminator(
        num_d=2, num_layers_d=3, spatial_dims=2, channels=32, in_channels=3
    )
    return model.eval(), {"i": torch.randn(batch, 3, 256, 256)}


def unetr(batch: int) -> Made:
    """UNETR: a vision transformer of 216 patches of a scan of 96 x 96 x 96, convolutions back to all voxels."""
    model = library("monai.networks.nets").UNETR(in_channels=1, out_channels=4, img_size=(96, 96, 96))
    return model.eval(), {"x_in": torch.randn(batch, 1, 96, 96, 96)}


def seg_res_net(batch: int) -> Made:
    """SegResNet with an autoencoder for its training: residual blocks with group norms, 96 x 96 x 96 voxels."""
    model = library("monai.networks.nets").SegResNetVAE(input_image_size=(96, 96, 96))
    return model.eval(), {"x": torch.randn(batch, 1, 96, 96, 96)}
