"""Models of the transformers library in the battery, from configurations, with random weights."""

from __future__ import annotations

from typing import Any

import torch
import transformers as tf
from torch import Tensor, nn

from models_zoo import _inputs

Made = tuple[nn.Module, dict[str, Tensor]]

_SIZES: dict[str, Any] = {
    "hidden_size": 512,
    "num_attention_heads": 8,
    "num_hidden_layers": 6,
    "intermediate_size": 2048,
}
_SMALL: dict[str, Any] = {
    "hidden_size": 384,
    "num_attention_heads": 6,
    "num_hidden_layers": 8,
    "intermediate_size": 1536,
}
_WORDS = {"vocab_size": 30_000}


def _text(model: nn.Module, batch: int, length: int = 128) -> Made:
    return model.eval(), _inputs.token_ids(batch, length)


def _image(model: nn.Module, batch: int, pixels: int = 224) -> Made:
    return model.eval(), {"pixel_values": torch.rand(batch, 3, pixels, pixels)}


def roberta(batch: int) -> Made:
    """RoBERTa, six layers of 512: positions counted from the ids."""
    return _text(tf.RobertaModel(tf.RobertaConfig(**_WORDS, **_SIZES, max_position_embeddings=514)), batch)


def megatron_bert(batch: int) -> Made:
    """Megatron-BERT: norms before the layers, eight layers of 384."""
    return _text(tf.MegatronBertModel(tf.MegatronBertConfig(**_WORDS, **_SMALL)), batch)


def layoutlm(batch: int) -> Made:
    """LayoutLM: embeddings of boxes beside those of words."""
    model, inputs = _text(tf.LayoutLMModel(tf.LayoutLMConfig(**_WORDS, **_SIZES)), batch)
    generator = torch.Generator("cpu").manual_seed(0)
    low = torch.randint(500, (batch, 128, 2), generator=generator, device="cpu")
    size = torch.randint(1, 500, (batch, 128, 2), generator=generator, device="cpu")
    return model, {**inputs, "bbox": torch.cat([low, low + size], dim=-1)}


def esm(batch: int) -> Made:
    """ESM: an encoder for proteins, rotary positions, norms first."""
    config = tf.EsmConfig(vocab_size=33, **_SMALL, position_embedding_type="rotary", pad_token_id=1, mask_token_id=32)
    generator = torch.Generator("cpu").manual_seed(0)
    return tf.EsmModel(config).eval(), {
        "input_ids": torch.randint(4, 24, (batch, 200), generator=generator, device="cpu")
    }


def convbert(batch: int) -> Made:
    """ConvBERT: convolutions whose kernels depend on the span, beside attention."""
    return _text(tf.ConvBertModel(tf.ConvBertConfig(**_WORDS, **_SIZES)), batch)


def fnet(batch: int) -> Made:
    """FNet: Fourier transforms in place of attention."""
    config = tf.FNetConfig(**_WORDS, hidden_size=512, num_hidden_layers=8, intermediate_size=2048)
    return _text(tf.FNetModel(config), batch)


def longformer(batch: int) -> Made:
    """Longformer: sliding windows of attention, written out with strides."""
    config = tf.LongformerConfig(**_WORDS, **_SIZES, attention_window=64, max_position_embeddings=514)
    return _text(tf.LongformerModel(config), batch, 256)


def deberta(batch: int) -> Made:
    """DeBERTa: attention between contents and relative positions, gathered."""
    config = tf.DebertaConfig(**_WORDS, **_SMALL, relative_attention=True, pos_att_type=["c2p", "p2c"])
    return _text(tf.DebertaModel(config), batch)


def bart(batch: int) -> Made:
    """BART: encoder and decoder, four layers each."""
    config = tf.BartConfig(
        **{**_WORDS, "d_model": 512, "encoder_layers": 4, "decoder_layers": 4, "use_cache": False},
        **{
            "encoder_attention_heads": 8,
            "decoder_attention_heads": 8,
            "encoder_ffn_dim": 2048,
            "decoder_ffn_dim": 2048,
        },
    )
    return _seq2seq(tf.BartModel(config), batch)


def t5(batch: int) -> Made:
    """T5-Small: relative positions, encoder and decoder."""
    return _seq2seq(tf.T5Model(tf.T5Config(vocab_size=30_000, use_cache=False)), batch)


def _seq2seq(model: nn.Module, batch: int) -> Made:
    ids = _inputs.token_ids(batch, 96)["input_ids"]
    return model.eval(), {"input_ids": ids, "decoder_input_ids": ids[:, :48].clone()}


def gpt_neo(batch: int) -> Made:
    """GPT-Neo: global and local attention in turn."""
    config = tf.GPTNeoConfig(
        vocab_size=30_000,
        hidden_size=512,
        num_layers=8,
        num_heads=8,
        use_cache=False,
        max_position_embeddings=512,
        attention_types=[[["global", "local"], 4]],
        window_size=64,
    )
    return _text(tf.GPTNeoModel(config), batch)


def first_gpt(batch: int) -> Made:
    """The first GPT: norms after the layers, convolutions as linear layers."""
    return _text(tf.OpenAIGPTModel(tf.OpenAIGPTConfig(**_WORDS, n_embd=512, n_layer=8, n_head=8)), batch)


def xglm(batch: int) -> Made:
    """XGLM: sinusoidal positions, a decoder."""
    config = tf.XGLMConfig(**_WORDS, d_model=512, ffn_dim=2048, num_layers=6, attention_heads=8, use_cache=False)
    return _text(tf.XGLMModel(config), batch)


def phi(batch: int) -> Made:
    """Phi: attention and MLP side by side, partly rotary."""
    return _text(tf.PhiModel(tf.PhiConfig(**_WORDS, **_SIZES, use_cache=False)), batch)


def gemma(batch: int) -> Made:
    """Gemma: one key and value head, RMS norms with an offset, GELU gates."""
    config = tf.GemmaConfig(**_WORDS, **_SIZES, num_key_value_heads=1, head_dim=64, use_cache=False)
    return _text(tf.GemmaModel(config), batch)


def falcon(batch: int) -> Made:
    """Falcon: queries that share a key, side by side with the MLP."""
    config = tf.FalconConfig(
        vocab_size=30_000, hidden_size=512, num_hidden_layers=6, num_attention_heads=8, use_cache=False
    )
    return _text(tf.FalconModel(config), batch)


def stablelm(batch: int) -> Made:
    """StableLM: partly rotary, layer norms, gated MLP; twelve layers of 384."""
    config = tf.StableLmConfig(**_WORDS, **{**_SMALL, "num_hidden_layers": 12}, num_key_value_heads=6, use_cache=False)
    return _text(tf.StableLmModel(config), batch)


def olmo2(batch: int) -> Made:
    """OLMo 2: norms behind each part, norms of queries and keys."""
    config = tf.Olmo2Config(**_WORDS, **_SIZES, num_key_value_heads=8, use_cache=False, pad_token_id=0)
    return _text(tf.Olmo2Model(config), batch)


def mixtral(batch: int) -> Made:
    """Mixtral: eight experts of which two are taken, as the library runs them."""
    sizes = {**_SIZES, "num_hidden_layers": 4, "intermediate_size": 1024}
    return _text(tf.MixtralModel(tf.MixtralConfig(**_WORDS, **sizes, num_key_value_heads=4, use_cache=False)), batch)


def switch(batch: int) -> Made:
    """The encoder of a Switch transformer: one expert of eight for each token."""
    config = tf.SwitchTransformersConfig(
        vocab_size=30_000, d_model=512, d_ff=1024, num_layers=6, num_sparse_encoder_layers=3, num_heads=8, d_kv=64
    )
    return _text(tf.SwitchTransformersEncoderModel(config), batch)


def mamba(batch: int) -> Made:
    """Mamba without its own kernels: a scan of single operators over 48 tokens."""
    config = tf.MambaConfig(**_WORDS, hidden_size=256, num_hidden_layers=3, state_size=16, use_cache=False)
    return _text(tf.MambaModel(config), batch, 48)


def mamba2(batch: int) -> Made:
    """Mamba 2 without its own kernels: a scan by chunks."""
    config = tf.Mamba2Config(
        vocab_size=30_000,
        hidden_size=256,
        num_heads=8,
        head_dim=64,
        num_hidden_layers=6,
        state_size=32,
        n_groups=1,
        chunk_size=64,
        use_cache=False,
    )
    return _text(tf.Mamba2Model(config), batch)


def deit(batch: int) -> Made:
    """DeiT-Small: a second special token."""
    return _image(tf.DeiTModel(tf.DeiTConfig(**{**_SMALL, "num_hidden_layers": 12})), batch)


def beit(batch: int) -> Made:
    """BEiT: relative position biases, scaled branches."""
    config = tf.BeitConfig(**_SMALL, use_relative_position_bias=True, use_absolute_position_embeddings=False)
    return _image(tf.BeitModel(config), batch)


def swin_v2(batch: int) -> Made:
    """Swin V2-Tiny: cosine attention in windows, position biases from an MLP."""
    return _image(tf.Swinv2Model(tf.Swinv2Config(image_size=256, window_size=8)), batch, 256)


def swin_v2_wide(batch: int) -> Made:
    """Swin V2, three stages from 128 channels, windows of 7."""
    config = tf.Swinv2Config(image_size=224, window_size=7, embed_dim=128, depths=[2, 2, 4], num_heads=[4, 8, 16])
    return _image(tf.Swinv2Model(config), batch)


class _Interpolated(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> Any:
        return self.model(pixel_values, interpolate_pos_encoding=True).last_hidden_state


def vit_interpolated(batch: int) -> Made:
    """ViT-Small on 288 pixels: its position embeddings are interpolated bicubically in every pass."""
    return _image(_Interpolated(tf.ViTModel(tf.ViTConfig(**_SMALL), add_pooling_layer=False)), batch, 288)


def dino_interpolated(batch: int) -> Made:
    """DINOv2 with registers on 280 pixels, made for 518: bicubic interpolation of its positions."""
    config = tf.Dinov2WithRegistersConfig(
        hidden_size=384, num_attention_heads=6, num_hidden_layers=6, image_size=518, patch_size=14
    )
    return _image(tf.Dinov2WithRegistersModel(config), batch, 280)


def ijepa(batch: int) -> Made:
    """I-JEPA: a plain vision transformer without a special token."""
    return _image(tf.IJepaModel(tf.IJepaConfig(**_SMALL, patch_size=16, image_size=224)), batch)


def patches_of_32(batch: int) -> Made:
    """CLIP's image tower with patches of 32 x 32 pixels."""
    return _image(tf.CLIPVisionModel(tf.CLIPVisionConfig(**{**_SIZES, "num_hidden_layers": 12}, patch_size=32)), batch)


def siglip(batch: int) -> Made:
    """SigLIP's image tower: an attentive pooling at the end."""
    return _image(tf.SiglipVisionModel(tf.SiglipVisionConfig(**_SMALL, patch_size=16, image_size=224)), batch)


def clip(batch: int) -> Made:
    """CLIP: both towers, and the products of their embeddings."""
    sizes = {**_SIZES, "num_hidden_layers": 6}
    config = tf.CLIPConfig(text_config={**sizes, **_WORDS}, vision_config={**sizes, "patch_size": 32})
    inputs = {"input_ids": _inputs.token_ids(batch, 64)["input_ids"], "pixel_values": torch.rand(batch, 3, 224, 224)}
    return tf.CLIPModel(config).eval(), inputs


def vilt(batch: int) -> Made:
    """ViLT's kind: words and patches through one encoder."""

    class Joint(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.patches = nn.Embedding(30_000, 512), nn.Conv2d(3, 512, 32, 32)
            self.kinds = nn.Parameter(torch.zeros(2, 512))
            self.body = tf.BertModel(tf.BertConfig(**_WORDS, **_SIZES), add_pooling_layer=True)

        def forward(self, input_ids: Tensor, pixel_values: Tensor) -> Tensor:
            words = self.words(input_ids) + self.kinds[0]
            patches = self.patches(pixel_values).flatten(2).transpose(1, 2) + self.kinds[1]
            return self.body(inputs_embeds=torch.cat([words, patches], dim=1)).pooler_output

    inputs = {"input_ids": _inputs.token_ids(batch, 40)["input_ids"], "pixel_values": torch.rand(batch, 3, 224, 224)}
    return Joint().eval(), inputs


def focalnet(batch: int) -> Made:
    """FocalNet: gated contexts from depthwise convolutions of several sizes."""
    return _image(tf.FocalNetModel(tf.FocalNetConfig()), batch)


def convnext_v2(batch: int) -> Made:
    """ConvNeXt V2: depthwise 7 x 7 convolutions, response normalisation."""
    config = tf.ConvNextV2Config(hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 6, 2])
    return _image(tf.ConvNextV2Model(config), batch)


def mobilevit_v2(batch: int) -> Made:
    """MobileViT V2: separable self-attention, 256 pixels."""
    return _image(tf.MobileViTV2Model(tf.MobileViTV2Config()), batch, 256)


def pvt(batch: int) -> Made:
    """The first PVT: a pyramid, attention over strided keys."""
    return _image(tf.PvtModel(tf.PvtConfig()), batch)


def detr(batch: int) -> Made:
    """DETR: a ResNet, an encoder and a decoder over 50 queries, 320 pixels."""
    backbone = tf.ResNetConfig(
        embedding_size=32,
        hidden_sizes=[64, 128, 256, 512],
        depths=[2, 2, 2, 2],
        layer_type="basic",
        out_features=["stage4"],
    )
    config = tf.DetrConfig(
        **{"use_timm_backbone": False, "backbone": None, "backbone_config": backbone, "use_pretrained_backbone": False},
        **{"num_queries": 50, "encoder_layers": 3, "decoder_layers": 3, "dropout": 0.0},
        **{"encoder_ffn_dim": 1024, "decoder_ffn_dim": 1024},
    )
    return _image(tf.DetrForObjectDetection(config), batch, 320)


def yolos(batch: int) -> Made:
    """YOLOS-Tiny on 256 x 256 pixels: detection tokens, interpolated positions."""
    config = tf.YolosConfig(
        hidden_size=192, num_attention_heads=3, num_hidden_layers=12, intermediate_size=768, image_size=[512, 512]
    )
    return _image(tf.YolosForObjectDetection(config), batch, 256)


def depth(batch: int) -> Made:
    """GLPN: a pyramid of attention, a head that estimates depth with bilinear upsampling."""
    config = tf.GLPNConfig(hidden_sizes=[32, 64, 160, 256], decoder_hidden_size=64)
    return _image(tf.GLPNForDepthEstimation(config), batch, 256)


def segmenter(batch: int) -> Made:
    """SAM's image encoder, small: windows of attention with decomposed relative positions, 512 pixels."""
    config = tf.SamVisionConfig(
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=6,
        image_size=512,
        global_attn_indexes=[2, 5],
        mlp_dim=1536,
    )
    return _image(tf.SamVisionModel(config), batch, 512)


def swin_upscaler(batch: int) -> Made:
    """Swin2SR on 64 pixels: windows of attention, a pixel shuffle."""
    config = tf.Swin2SRConfig(image_size=64, embed_dim=60, depths=[4, 4], num_heads=[6, 6], upscale=2)
    return _image(tf.Swin2SRForImageSuperResolution(config), batch, 64)


def video_patches(batch: int) -> Made:
    """TimeSformer on eight frames of 112 pixels: attention over time, then over space."""
    config = tf.TimesformerConfig(**_SMALL, image_size=112, num_frames=8)
    return tf.TimesformerModel(config).eval(), {"pixel_values": torch.rand(batch, 8, 3, 112, 112)}


def video_tubes(batch: int) -> Made:
    """VideoMAE's encoder: tubes of two frames of 16 x 16 pixels, eight frames of 112."""
    config = tf.VideoMAEConfig(**_SMALL, image_size=112, num_frames=8)

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.VideoMAEModel(config)

        def forward(self, pixel_values: Tensor) -> Any:
            return self.model(pixel_values).last_hidden_state

    return Encoder().eval(), {"pixel_values": torch.rand(batch, 8, 3, 112, 112)}


def hubert(batch: int) -> Made:
    """HuBERT, six layers of 512, two seconds of sound."""
    return tf.HubertModel(tf.HubertConfig(**_SIZES)).eval(), _inputs.audio(batch)


def conformer(batch: int) -> Made:
    """Wav2Vec2-Conformer: convolutions and attention with relative positions, two seconds."""
    config = tf.Wav2Vec2ConformerConfig(**{**_SIZES, "num_hidden_layers": 4}, position_embeddings_type="relative")
    return tf.Wav2Vec2ConformerModel(config).eval(), _inputs.audio(batch)


def spectrogram_transformer(batch: int) -> Made:
    """AST: overlapping patches of a spectrogram."""
    config = tf.ASTConfig(**_SMALL, max_length=512)
    return tf.ASTModel(config).eval(), {"input_values": torch.rand(batch, 512, 128)}


def speech_to_text(batch: int) -> Made:
    """The encoder of Speech2Text: strided convolutions, then attention, 400 frames."""
    config = tf.Speech2TextConfig(vocab_size=1000, d_model=256, encoder_layers=6, encoder_ffn_dim=1024)

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = tf.Speech2TextModel(config).encoder

        def forward(self, input_features: Tensor) -> Any:
            return self.encoder(input_features).last_hidden_state

    return Encoder().eval(), {"input_features": torch.rand(batch, 400, 80)}


def patch_forecast(batch: int) -> Made:
    """PatchTST: patches of seven series as tokens."""
    config = tf.PatchTSTConfig(
        num_input_channels=7,
        context_length=336,
        patch_length=16,
        patch_stride=8,
        d_model=128,
        num_hidden_layers=4,
        num_attention_heads=8,
        ffn_dim=256,
        use_cls_token=False,
    )
    return tf.PatchTSTModel(config).eval(), {"past_values": torch.rand(batch, 336, 7)}


def mixer_forecast(batch: int) -> Made:
    """PatchTSMixer: gated MLPs across patches and features of seven series."""
    config = tf.PatchTSMixerConfig(
        context_length=336, patch_length=16, patch_stride=16, num_input_channels=7, d_model=64, num_layers=6
    )
    return tf.PatchTSMixerModel(config).eval(), {"past_values": torch.rand(batch, 336, 7)}
