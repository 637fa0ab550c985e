"""Fresh models of the transformers library, from configurations of published sizes, with random weights.

See ``FRESH`` in families.py: measured once, predicted once, for a release.
"""

from __future__ import annotations

from typing import Any

import torch
import transformers as tf
from torch import Tensor, nn

from models_zoo import _inputs

Made = tuple[nn.Module, dict[str, Tensor]]

_WORDS = {"vocab_size": 30_000}


def _text(model: nn.Module, batch: int, length: int = 128) -> Made:
    return model.eval(), _inputs.token_ids(batch, length)


def _image(model: nn.Module, batch: int, height: int = 224, width: int = 224) -> Made:
    return model.eval(), {"pixel_values": torch.rand(batch, 3, height, width)}


def _random(*shape: int, low: int = 0, below: int) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(0)
    return torch.randint(low, below, shape, generator=generator, device="cpu")


def xlm_roberta(batch: int) -> Made:
    """A small multilingual embedder (E5-Small's size): XLM-R, a mean over the tokens, normalised."""

    class Embedder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            config = tf.XLMRobertaConfig(
                **{**_WORDS, "hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1536},
                max_position_embeddings=514,
            )
            self.model = tf.XLMRobertaModel(config, add_pooling_layer=False)

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            states = self.model(input_ids, attention_mask=attention_mask).last_hidden_state
            mask = attention_mask[..., None].to(states.dtype)
            mean = (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1e-4)
            return nn.functional.normalize(mean, dim=-1)

    ids = _inputs.token_ids(batch)["input_ids"]
    return Embedder().eval(), {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def canine(batch: int) -> Made:
    """CANINE-S: hashed characters, local attention, then twelve layers on every fourth; 512 characters."""
    return tf.CanineModel(tf.CanineConfig()).eval(), {"input_ids": _random(batch, 512, low=32, below=50_000)}


def layoutlmv3(batch: int) -> Made:
    """LayoutLMv3-Base for tags: words, their boxes and the patches of a page through one encoder."""
    config = tf.LayoutLMv3Config(**_WORDS, num_labels=7)
    low, size = _random(batch, 128, 2, below=500), _random(batch, 128, 2, low=1, below=500)
    ids = _inputs.token_ids(batch)["input_ids"]
    inputs = {"input_ids": ids, "bbox": torch.cat([low, low + size], dim=-1)}
    return tf.LayoutLMv3ForTokenClassification(config).eval(), {**inputs, **_image(nn.Identity(), batch)[1]}


def marian(batch: int) -> Made:
    """Opus-MT: Marian with six layers of 512 on either side, 64 words to 32."""
    config = tf.MarianConfig(
        **{"vocab_size": 58_101, "d_model": 512, "use_cache": False, "pad_token_id": 58_100},
        **{
            "encoder_layers": 6,
            "decoder_layers": 6,
            "encoder_attention_heads": 8,
            "decoder_attention_heads": 8,
        },
        **{"encoder_ffn_dim": 2048, "decoder_ffn_dim": 2048, "decoder_start_token_id": 58_100},
        **{"activation_function": "swish", "scale_embedding": True, "max_position_embeddings": 512},
    )
    ids = _inputs.token_ids(batch, 64)["input_ids"]
    return tf.MarianMTModel(config).eval(), {"input_ids": ids, "decoder_input_ids": ids[:, :32].clone()}


def gemma3(batch: int) -> Made:
    """Gemma 3 of 270M without its head: one key head of 256, sliding windows in five layers of six."""
    config = tf.Gemma3TextConfig(
        **{**_WORDS, "hidden_size": 640, "intermediate_size": 2048, "num_hidden_layers": 18, "head_dim": 256},
        **{"num_attention_heads": 4, "num_key_value_heads": 1, "sliding_window": 512, "use_cache": False},
        **{"max_position_embeddings": 4096, "query_pre_attn_scalar": 256},
    )
    return _text(tf.Gemma3TextModel(config), batch)


def qwen3(batch: int) -> Made:
    """Qwen3 as wide as the 0.6B, twelve layers, a head for the last token: norms of queries and keys."""
    config = tf.Qwen3Config(
        **{
            **_WORDS,
            "hidden_size": 1024,
            "intermediate_size": 3072,
            "num_hidden_layers": 12,
            "head_dim": 128,
        },
        **{
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "tie_word_embeddings": True,
            "use_cache": False,
        },
    )

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.Qwen3ForCausalLM(config)

        def forward(self, input_ids: Tensor) -> Any:
            return self.model(input_ids, logits_to_keep=1).logits

    return _text(Last(), batch)


def lfm2(batch: int) -> Made:
    """LFM2 as wide as the 350M, ten layers: gated short convolutions in seven, attention in three."""
    full = {2, 5, 8}
    config = tf.Lfm2Config(
        **{
            **_WORDS,
            "hidden_size": 1024,
            "intermediate_size": 6656,
            "num_hidden_layers": 10,
            "use_cache": False,
        },
        **{"num_attention_heads": 16, "num_key_value_heads": 8, "max_position_embeddings": 4096},
        layer_types=["full_attention" if i in full else "conv" for i in range(10)],
    )
    return _text(tf.Lfm2Model(config), batch)


def dinov3(batch: int) -> Made:
    """DINOv3 ViT-S/16: rotary positions in two dimensions, four registers."""
    config = tf.DINOv3ViTConfig(
        **{"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 12, "num_attention_heads": 6},
        **{"num_register_tokens": 4, "image_size": 224, "patch_size": 16},
    )
    return _image(tf.DINOv3ViTModel(config), batch)


def depth_anything(batch: int) -> Made:
    """Depth Anything-Small: DINOv2, its levels reassembled and fused; 224 pixels."""
    backbone = tf.Dinov2Config(
        **{"hidden_size": 384, "num_attention_heads": 6, "num_hidden_layers": 12, "image_size": 518},
        **{"patch_size": 14, "out_features": ["stage3", "stage6", "stage9", "stage12"]},
        **{"apply_layernorm": True, "reshape_hidden_states": False},
    )
    config = tf.DepthAnythingConfig(
        **{"backbone_config": backbone, "reassemble_hidden_size": 384, "fusion_hidden_size": 64},
        neck_hidden_sizes=[48, 96, 192, 384],
    )
    return _image(tf.DepthAnythingForDepthEstimation(config), batch)


def rt_detr(batch: int) -> Made:
    """RT-DETR with a ResNet-18: a hybrid encoder, the best 300 queries, deformable attention; 640 pixels."""
    backbone = tf.RTDetrResNetConfig(
        **{"embedding_size": 64, "hidden_sizes": [64, 128, 256, 512], "depths": [2, 2, 2, 2]},
        **{"layer_type": "basic", "out_features": ["stage2", "stage3", "stage4"]},
    )
    config = tf.RTDetrConfig(
        **{"backbone_config": backbone, "encoder_in_channels": [128, 256, 512], "hidden_expansion": 0.5},
        **{"decoder_layers": 3, "anchor_image_size": None},
    )
    return _image(tf.RTDetrForObjectDetection(config), batch, 640, 640)


def pose(batch: int) -> Made:
    """ViTPose-Small: a ViT on a person of 256 x 192 pixels, heat maps of 17 joints."""
    backbone = tf.VitPoseBackboneConfig(
        **{"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 12, "image_size": [256, 192]},
        **{"patch_size": [16, 16], "out_features": ["stage12"]},
    )
    head = {"num_labels": 17, "scale_factor": 4, "use_simple_decoder": True}
    config = tf.VitPoseConfig(backbone_config=backbone, **head)
    return _image(tf.VitPoseForPoseEstimation(config), batch, 256, 192)


def blip(batch: int) -> Made:
    """BLIP-Base for retrieval: words attend to the patches of an image, a match is scored."""
    config = tf.BlipConfig(
        text_config={**_WORDS, "encoder_hidden_size": 768, "bos_token_id": 1, "sep_token_id": 2},
        vision_config={"image_size": 224, "patch_size": 16},
    )
    inputs = {"input_ids": _inputs.token_ids(batch, 32)["input_ids"], **_image(nn.Identity(), batch)[1]}
    return tf.BlipForImageTextRetrieval(config).eval(), inputs


def trocr(batch: int) -> Made:
    """TrOCR-Small: a DeiT-Small on a line of text, a decoder of six layers over 24 tokens."""
    encoder = tf.DeiTConfig(
        **{"hidden_size": 384, "num_attention_heads": 6, "num_hidden_layers": 12, "intermediate_size": 1536},
        image_size=384,
    )
    decoder = tf.TrOCRConfig(
        **{
            **_WORDS,
            "d_model": 256,
            "decoder_layers": 6,
            "decoder_attention_heads": 8,
            "decoder_ffn_dim": 1024,
        },
        **{
            "cross_attention_hidden_size": 384,
            "use_cache": False,
            "is_decoder": True,
            "add_cross_attention": True,
        },
    )
    config = tf.VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    model, inputs = _image(tf.VisionEncoderDecoderModel(config), batch, 384, 384)
    return model, {**inputs, "decoder_input_ids": _inputs.token_ids(batch, 24)["input_ids"]}


def wav2vec2(batch: int) -> Made:
    """wav2vec 2.0-Base with letters at its end, two seconds of sound."""
    return tf.Wav2Vec2ForCTC(tf.Wav2Vec2Config(vocab_size=32)).eval(), _inputs.audio(batch)


def decision_transformer(batch: int) -> Made:
    """The Decision Transformer for walkers: 20 steps of returns, states and actions, three layers of 128."""
    config = tf.DecisionTransformerConfig(
        state_dim=17, act_dim=6, hidden_size=128, n_layer=3, n_head=1, max_ep_len=1000
    )

    class Controller(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.DecisionTransformerModel(config)

        def forward(self, states: Tensor, actions: Tensor, returns: Tensor, timesteps: Tensor) -> Any:
            return self.model(states, actions, None, returns, timesteps, return_dict=True).action_preds[:, -1]

    inputs = {"states": torch.rand(batch, 20, 17), "actions": torch.rand(batch, 20, 6)}
    times = torch.arange(20, device="cpu").expand(batch, -1).clone()
    return Controller().eval(), {**inputs, "returns": torch.rand(batch, 20, 1), "timesteps": times}


def time_series_transformer(batch: int) -> Made:
    """The Time Series Transformer: 24 hours after 168 and their lags; 16 series for each of a batch."""
    config = tf.TimeSeriesTransformerConfig(
        **{
            "prediction_length": 24,
            "context_length": 168,
            "lags_sequence": [1, 2, 3, 24, 48],
            "num_time_features": 4,
        },
        **{
            "d_model": 64,
            "encoder_layers": 4,
            "decoder_layers": 4,
            "encoder_ffn_dim": 128,
            "decoder_ffn_dim": 128,
        },
        **{"encoder_attention_heads": 4, "decoder_attention_heads": 4, "use_cache": False},
    )

    class Forecast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.TimeSeriesTransformerModel(config)

        def forward(self, past: Tensor, times: Tensor, seen: Tensor, future: Tensor, ahead: Tensor) -> Any:
            found = self.model(past, times, seen, None, None, future, ahead)
            return found.last_hidden_state

    n, past = 16 * batch, 168 + 48
    inputs = {"past": torch.rand(n, past), "times": torch.rand(n, past, 4), "seen": torch.ones(n, past)}
    inputs |= {"future": torch.rand(n, 24), "ahead": torch.rand(n, 24, 4)}
    return Forecast().eval(), inputs
