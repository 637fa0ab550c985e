"""Models of public libraries as their authors wrote them, drawn so that nobody picked what is easy.

The rule, of timm 1.0.31, torchvision 0.29.1, diffusers 0.42.1, PyTorch Geometric 2.8.1 and transformers 5.23.0: a
library's sorted names are shuffled by ``random.Random(27).shuffle``, and the first are taken of what the zoo and the
battery do not have. Weights are random.

- timm, 19 of ``list_modules()``: of each module the first model by name of 5 to 60 million parameters and images of at
  most 256 pixels. Skipped: deepseek_vit, which has none.
- torchvision, 3 modules of ``list_models()``, all that are left beside detection, whose operators are compiled for one
  version of torch: the first model by name of at most 60 million parameters.
- diffusers, 5 networks, autoencoders, transformers and U-Nets of its models: its own defaults, or fewer and narrower
  layers where these have more than 400 million parameters.
- PyTorch Geometric, 5 of the models and convolutions, in the network that their published example makes of them.
  Skipped, as no networks of their own: GroupAddRev, WLConv, HeteroJumpingKnowledge; LINKX has weights for every node.
- transformers, 8 of the types of ``AutoModel``: the defaults, or less of them, as with diffusers.

See ``WILD`` in families.py: measured once, predicted once, for a release.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.public_libraries import Made, graphs, library, papers, random_ids, timm_model, transformers_model
from models_zoo import _inputs

# timm


def resnest(batch: int) -> Made:
    """ResNeSt-14d: attention between splits of a convolution's channels."""
    return timm_model("resnest14d", batch)


def mamba_out(batch: int) -> Made:
    """MambaOut-Femto: gated convolutions, what is left of Mamba without its state."""
    return timm_model("mambaout_femto", batch)


def selec_sls(batch: int) -> Made:
    """SelecSLS-42: convolutions with long and short skips that are concatenated."""
    return timm_model("selecsls42", batch)


def efficient_former_v2(batch: int) -> Made:
    """EfficientFormerV2-L: convolutions, then attention with heads that talk."""
    return timm_model("efficientformerv2_l", batch)


def davit(batch: int) -> Made:
    """DaViT-Small: attention within windows, then between channels."""
    return timm_model("davit_small", batch)


def efficient_former(batch: int) -> Made:
    """EfficientFormer-L1: pooling on images, then attention on tokens."""
    return timm_model("efficientformer_l1", batch)


def efficient_vit(batch: int) -> Made:
    """EfficientViT-B1 of MIT: linear attention by ReLU at several scales."""
    return timm_model("efficientvit_b1", batch)


def fasternet(batch: int) -> Made:
    """FasterNet-M: convolutions of a quarter of the channels."""
    return timm_model("fasternet_m", batch)


def iformer(batch: int) -> Made:
    """iFormer-L: convolutions, then attention of a single head that is modulated."""
    return timm_model("iformer_l", batch)


def repghost(batch: int) -> Made:
    """RepGhostNet-1.3 as it is trained: branches that are added, batch norms of their own."""
    return timm_model("repghostnet_130", batch)


def tiny_vit(batch: int) -> Made:
    """TinyViT-5M: windows with biases by offset, convolutions between."""
    return timm_model("tiny_vit_5m_224", batch)


def vovnet(batch: int) -> Made:
    """ECA-VoVNet-39b: a block's features concatenated once, attention of channels by a convolution."""
    return timm_model("eca_vovnet39b", batch)


def next_vit(batch: int) -> Made:
    """Next-ViT-Base: grouped convolutions, then attention to pooled keys."""
    return timm_model("nextvit_base", batch)


def pit(batch: int) -> Made:
    """PiT-Small: a vision transformer whose tokens are pooled by convolutions."""
    return timm_model("pit_s_224", batch)


def sequencer(batch: int) -> Made:
    """Sequencer2D-L: two-way LSTMs over rows and columns instead of attention."""
    return timm_model("sequencer2d_l", batch)


def rexnet(batch: int) -> Made:
    """ReXNet-1.3: inverted bottlenecks whose channels grow in every block."""
    return timm_model("rexnet_130", batch)


def sknet(batch: int) -> Made:
    """SK-ResNet-18: channels choose between kernels of two sizes."""
    return timm_model("skresnet18", batch)


def relative_vit(batch: int) -> Made:
    """ViT-Medium with biases by relative position in every layer."""
    return timm_model("vit_relpos_medium_patch16_224", batch)


def vitamin(batch: int) -> Made:
    """ViTamin-Small: inverted bottlenecks, then a transformer with gated feed-forwards."""
    return timm_model("vitamin_small_224", batch)


# torchvision


def _torchvision(name: str, *shape: int, **options: None) -> Made:
    module = library("torchvision.models").get_model(name, weights=None, **options).eval()
    return module, {"x": torch.randn(*shape)}


def mvit(batch: int) -> Made:
    """MViT-B: attention to pooled frames, 16 of 224 pixels."""
    return _torchvision("mvit_v1_b", batch, 3, 16, 224, 224)


def lraspp(batch: int) -> Made:
    """LR-ASPP on a dilated MobileNetV3-Large: 21 classes of each pixel, of 224."""

    class Segmenter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = _torchvision("lraspp_mobilenet_v3_large", 1, weights_backbone=None)[0]

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.model(x)["out"]
            return out.argmax(dim=1)

    return Segmenter().eval(), {"x": torch.randn(batch, 3, 224, 224)}


def video_swin(batch: int) -> Made:
    """Video Swin-S: shifted windows of eight frames, 16 frames of 224 pixels."""
    return _torchvision("swin3d_s", batch, 3, 16, 224, 224)


# diffusers


def prx(batch: int) -> Made:
    """PRX, 1024 wide: a diffusion transformer, an image's 256 patches attend to themselves and 128 words."""
    model = library("diffusers").PRXTransformer2DModel(hidden_size=1024, num_heads=16)
    return model.eval(), {
        "hidden_states": torch.randn(batch, 16, 32, 32),
        "timestep": torch.rand(batch),
        "encoder_hidden_states": torch.randn(batch, 128, 2304),
    }


def fibo(batch: int) -> Made:
    """FIBO 2 in small, 16 layers of 1024: 256 patches, a resampled text, features of other layers in five."""
    model = library("diffusers").BriaFibo2Transformer2DModel(
        dim=1024, n_layers=16, n_heads=8, cap_feat_dim=1024, injection_layer_ids=(2, 5, 8, 11, 14)
    )
    return model.eval(), {
        "hidden_states": torch.randn(batch, 32, 32, 32),
        "timestep": torch.rand(batch),
        "encoder_hidden_states": torch.randn(batch, 6, 128, 1024),
    }


def amused(batch: int) -> Made:
    """aMUSEd, 12 layers of 768: masked codes of an image of 256 pixels between convolutions, from 77 words."""
    model = library("diffusers").UVit2DModel(
        hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=2048
    )
    return model.eval(), {
        "input_ids": random_ids(batch, 16, 16, below=8192),
        "encoder_hidden_states": torch.randn(batch, 77, 768),
        "pooled_text_emb": torch.randn(batch, 768),
        "micro_conds": torch.tensor([256.0, 256.0, 0.0, 0.0, 6.0]).repeat(batch, 1),
    }


def image_codec(batch: int) -> Made:
    """The autoencoder of Qwen-Image 2.1, which takes an image with transparency for a film of one frame, 128 pixels."""
    model = library("diffusers").AutoencoderKLQwenImage21()
    return model.eval(), {"sample": torch.rand(batch, 4, 1, 128, 128) * 2 - 1}


def z_image(batch: int) -> Made:
    """Z-Image, 16 layers of 1024: patches and words in one row, positions by complex products, lists of images."""

    class Denoiser(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = library("diffusers").ZImageTransformer2DModel(
                dim=1024, n_layers=16, n_heads=8, n_kv_heads=8, cap_feat_dim=1024
            )

        def forward(self, latents: Tensor, t: Tensor, words: Tensor) -> Tensor:
            out = self.model(list(latents.unbind(0)), t, list(words.unbind(0)), return_dict=False)
            return torch.stack(out[0])

    latents, words = torch.randn(batch, 16, 1, 32, 32), torch.randn(batch, 128, 1024)
    return Denoiser().eval(), {"latents": latents, "t": torch.rand(batch), "words": words}


# PyTorch Geometric


def tag(batch: int) -> Made:
    """TAGCN on Cora: the neighbours of three hops in each of two layers."""
    layers = library("torch_geometric.nn")

    class Tag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = layers.TAGConv(1433, 16)
            self.conv2 = layers.TAGConv(16, 7)

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            x = F.relu(self.conv1(x, edge_index))
            return F.log_softmax(self.conv2(x, edge_index), dim=1)

    return Tag().eval(), papers(batch)


def pmlp(batch: int) -> Made:
    """PMLP on Cora: trained as an MLP, then with messages between its layers."""
    model = library("torch_geometric.nn").PMLP(1433, 16, 7, num_layers=2)
    return model.eval(), papers(batch)


def feast(batch: int) -> Made:
    """FeaStNet: each edge of a mesh of 1024 corners weighs nine matrices, three layers, one of 1024 for each corner."""
    layers = library("torch_geometric.nn")

    class FeaSt(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 16)
            self.convs = nn.ModuleList(layers.FeaStConv(a, b, heads=9) for a, b in pairwise((16, 32, 64, 128)))
            self.lin1 = nn.Linear(128, 256)
            self.lin2 = nn.Linear(256, 1024)

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            x = F.elu(self.first(x))
            for conv in self.convs:
                x = F.elu(conv(x, edge_index))
            return F.log_softmax(self.lin2(F.elu(self.lin1(x))), dim=1)

    return FeaSt().eval(), {"x": torch.randn(1024 * batch, 3), "edge_index": graphs(batch, 1024, 6144)}


def deeper_gcn(batch: int) -> Made:
    """DeeperGCN of ogbn-proteins: 28 residual layers of 64, a softmax over messages with a learned temperature."""
    layers = library("torch_geometric.nn")

    class DeeperGcn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.node_encoder = nn.Linear(8, 64)
            self.edge_encoder = nn.Linear(8, 64)
            self.layers = nn.ModuleList(
                layers.DeepGCNLayer(
                    layers.GENConv(64, 64, aggr="softmax", t=1.0, learn_t=True, num_layers=2, norm="layer"),
                    *(nn.LayerNorm(64), nn.ReLU(inplace=True)),
                    block="res+",
                    dropout=0.1,
                )
                for _ in range(28)
            )
            self.lin = nn.Linear(64, 112)

        def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
            x, edge_attr = self.node_encoder(x), self.edge_encoder(edge_attr)
            first: Any = self.layers[0]
            x = first.conv(x, edge_index, edge_attr)
            for layer in self.layers[1:]:
                x = layer(x, edge_index, edge_attr)
            out: Tensor = self.lin(first.act(first.norm(x)))
            return out

    edges = graphs(batch, 1000, 5000)
    return DeeperGcn().eval(), {
        "x": torch.rand(1000 * batch, 8),
        "edge_index": edges,
        "edge_attr": torch.rand(edges.shape[1], 8),
    }


def attentive_fp(batch: int) -> Made:
    """Attentive FP: fifty molecules of 24 atoms and 52 bonds, attention of gated cells, one number of each."""
    model = library("torch_geometric.nn").AttentiveFP(39, 200, 1, edge_dim=10, num_layers=2, num_timesteps=2)
    edges = graphs(50 * batch, 24, 52)
    return model.eval(), {
        "x": torch.rand(1200 * batch, 39),
        "edge_index": edges,
        "edge_attr": torch.rand(edges.shape[1], 10),
        "batch": torch.arange(50 * batch, device="cpu").repeat_interleave(24),
    }


# transformers


def hunyuan_experts(batch: int) -> Made:
    """Hunyuan 3 in small, eight layers of 1024: four of 16 experts and one for all, after a dense layer."""
    model = transformers_model(
        "hy_v3",
        **{"vocab_size": 32_000, "hidden_size": 1024, "intermediate_size": 3328, "num_hidden_layers": 8},
        **{"num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 128, "num_experts": 16},
        **{"num_experts_per_tok": 4, "moe_intermediate_size": 512, "use_cache": False},
        mlp_layer_types=["dense", *["sparse"] * 7],
    )
    return model, _inputs.token_ids(batch)


def hunyuan(batch: int) -> Made:
    """Hunyuan-0.5B with a smaller vocabulary and 20 layers: norms of queries and keys after they are turned."""
    model = transformers_model(
        "hunyuan_v1_dense",
        **{"vocab_size": 32_000, "hidden_size": 1024, "intermediate_size": 3584, "num_hidden_layers": 20},
        **{"num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "use_cache": False},
    )
    return model, _inputs.token_ids(batch)


def sam_words(batch: int) -> Made:
    """The text encoder of SAM 3 in light: convolutions mix 77 words before and after the attention layers."""
    return transformers_model("sam3_lite_text_text_model"), _inputs.token_ids(batch, 77)


def flex_olmo(batch: int) -> Made:
    """FlexOlmo in small, ten layers of 768: five of seven experts, which different owners have trained."""
    model = transformers_model(
        "flex_olmo",
        **{"hidden_size": 768, "intermediate_size": 1536, "num_hidden_layers": 10, "num_attention_heads": 12},
        **{"num_key_value_heads": 12, "use_cache": False},
    )
    return model, _inputs.token_ids(batch)


def mimi(batch: int) -> Made:
    """The decoder of Mimi: 25 latents, a transformer, transposed convolutions, two seconds of sound."""
    return transformers_model("mimi_decoder"), {"latents": torch.randn(batch, 512, 25)}


def falcon_mamba(batch: int) -> Made:
    """Falcon Mamba, 12 layers of 768: norms of the selection, a scan of single operators over 128 tokens."""
    model = transformers_model("falcon_mamba", num_hidden_layers=12, use_cache=False)
    return model, _inputs.token_ids(batch)


def timesfm(batch: int) -> Made:
    """TimesFM-1.0, 20 layers: 512 values of a series in patches of 32."""
    return transformers_model("timesfm", num_hidden_layers=20), {
        "past_values": torch.randn(batch, 512),
        "past_values_padding": torch.zeros(batch, 512),
        "freq": torch.zeros(batch, 1, dtype=torch.long),
    }


def speech_codec(batch: int) -> Made:
    """The codec of Pocket TTS: a second of sound at 24 kHz becomes latents and sound again."""
    return transformers_model("pocket_tts_audio_tokenizer"), {"input_values": torch.randn(batch, 1, 24_000) * 0.1}
