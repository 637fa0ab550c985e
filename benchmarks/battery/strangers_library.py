"""Strangers' models out of the transformers library, from configurations, with random weights.

See ``STRANGERS`` in families.py: measured once, predicted once, for a release.
"""

from __future__ import annotations

from typing import Any

import torch
import transformers as tf
from torch import Tensor, nn
from torch.nn import functional as F

from models_zoo import _inputs

Made = tuple[nn.Module, dict[str, Tensor]]


def _random(*shape: int, low: int = 0, below: int) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(0)
    return torch.randint(low, below, shape, generator=generator, device="cpu")


def _pixels(batch: int, side: int) -> dict[str, Tensor]:
    return {"pixel_values": torch.rand(batch, 3, side, side)}


def nomic_bert(batch: int) -> Made:
    """Nomic Embed's size: rotary encoder, gated MLPs, a third of 192 tokens padding; 256 numbers are kept."""

    class Embedder(nn.Module):
        def __init__(self, kept: int = 256) -> None:
            super().__init__()
            self.model, self.kept = tf.NomicBertModel(tf.NomicBertConfig()), kept

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            states = self.model(input_ids, attention_mask=attention_mask).last_hidden_state
            mask = attention_mask.unsqueeze(-1).expand(states.size()).to(states.dtype)
            mean = torch.sum(states * mask, 1) / torch.clamp(mask.sum(1), min=1e-4)
            mean = F.layer_norm(mean, normalized_shape=(mean.shape[1],))
            return F.normalize(mean[:, : self.kept], p=2, dim=1)

    ids = _inputs.token_ids(batch, 192)["input_ids"]
    mask = torch.ones_like(ids)
    mask[:, 128:] = 0
    return Embedder().eval(), {"input_ids": ids, "attention_mask": mask}


def tapas(batch: int) -> Made:
    """TAPAS-Small asked about a table of 240 tokens: seven kinds of positions, one column is selected."""
    config = tf.TapasConfig(
        **{"hidden_size": 512, "num_hidden_layers": 4, "num_attention_heads": 8, "intermediate_size": 2048},
        **{"num_aggregation_labels": 4, "max_num_rows": 32, "max_num_columns": 16},
    )
    ids = _inputs.token_ids(batch, 240)["input_ids"]
    limits = (1, 16, 32, 1, 8, 8, 4)
    kinds = torch.stack([_random(batch, 240, below=limit) for limit in limits], dim=-1)
    kinds[:, 16:, 0] = 1
    kinds[:, :16, 1:] = 0
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": kinds}
    return tf.TapasForQuestionAnswering(config).eval(), inputs


def big_bird(batch: int) -> Made:
    """BigBird, six layers of 512: 1024 tokens in blocks of 64 that see neighbours and some at random."""
    config = tf.BigBirdConfig(
        **{"vocab_size": 30_000, "hidden_size": 512, "num_hidden_layers": 6, "num_attention_heads": 8},
        **{"intermediate_size": 2048, "num_labels": 5, "max_position_embeddings": 2048},
    )
    ids = _inputs.token_ids(batch, 1024)["input_ids"]
    return tf.BigBirdForSequenceClassification(config).eval(), {"input_ids": ids}


def longt5(batch: int) -> Made:
    """LongT5, six layers of 512 on either side: local attention and means of blocks, 960 tokens to 40."""
    config = tf.LongT5Config(
        **{"vocab_size": 30_000, "d_ff": 1024, "feed_forward_proj": "gated-gelu", "use_cache": False},
        **{"encoder_attention_type": "transient-global", "local_radius": 95},
    )
    ids = _inputs.token_ids(batch, 960)["input_ids"]
    inputs = {"input_ids": ids, "decoder_input_ids": ids[:, :40].clone()}
    return tf.LongT5ForConditionalGeneration(config).eval(), inputs


def granite(batch: int) -> Made:
    """One step of Granite, 14 layers of 1024, behind 384 tokens whose keys and values are given."""
    config = tf.GraniteConfig(
        **{"vocab_size": 49_152, "hidden_size": 1024, "intermediate_size": 2560, "num_hidden_layers": 14},
        **{"num_attention_heads": 16, "num_key_value_heads": 4, "tie_word_embeddings": True},
        **{"embedding_multiplier": 12.0, "logits_scaling": 8.0, "residual_multiplier": 0.22},
        **{"attention_multiplier": 0.015625, "max_position_embeddings": 4096},
    )

    class Step(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.GraniteForCausalLM(config)

        def forward(self, input_ids: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            cache = tf.DynamicCache()
            for i in range(keys.shape[0]):
                cache.update(keys[i], values[i], i)
            out = self.model(input_ids, past_key_values=cache, use_cache=True)
            token = torch.argmax(out.logits[:, -1], dim=-1, keepdim=True)
            layers = out.past_key_values.layers
            return token, torch.stack([y.keys for y in layers]), torch.stack([y.values for y in layers])

    shape = (14, batch, 4, 384, 64)
    inputs = {"keys": torch.rand(shape), "values": torch.rand(shape)}
    return Step().eval(), {"input_ids": _inputs.token_ids(batch, 1)["input_ids"], **inputs}


def smollm3(batch: int) -> Made:
    """SmolLM3's structure, 16 layers of 768: a prompt of 320 tokens, every fourth layer without positions."""
    config = tf.SmolLM3Config(
        **{"vocab_size": 49_152, "hidden_size": 768, "intermediate_size": 2304, "num_hidden_layers": 16},
        **{"num_attention_heads": 12, "num_key_value_heads": 3, "max_position_embeddings": 8192},
        **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
    )

    class Prompt(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.SmolLM3ForCausalLM(config)

        def forward(self, input_ids: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
            out = self.model(input_ids, use_cache=True, logits_to_keep=1)
            layers = out.past_key_values.layers
            return out.logits[:, -1], [layer.keys for layer in layers], [layer.values for layer in layers]

    return Prompt().eval(), _inputs.token_ids(batch, 320)


def gpt_oss(batch: int) -> Made:
    """gpt-oss in small, eight layers of 640: sinks of attention, two of eight experts, windows of 128."""
    config = tf.GptOssConfig(
        **{"vocab_size": 30_000, "hidden_size": 640, "intermediate_size": 640, "num_hidden_layers": 8},
        **{"num_local_experts": 8, "num_experts_per_tok": 2, "num_attention_heads": 10, "head_dim": 64},
        **{"num_key_value_heads": 2, "use_cache": False, "max_position_embeddings": 4096},
    )
    return tf.GptOssModel(config).eval(), _inputs.token_ids(batch, 160)


def qwen3_next(batch: int) -> Made:
    """Qwen3-Next in small: gated delta rules in three layers of four, attention in one, 4 of 16 experts."""
    config = tf.Qwen3NextConfig(
        **{"vocab_size": 30_000, "hidden_size": 512, "num_hidden_layers": 4, "use_cache": False},
        **{"num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 128, "linear_key_head_dim": 64},
        **{"linear_value_head_dim": 64, "linear_num_key_heads": 4, "linear_num_value_heads": 8},
        **{"num_experts": 16, "num_experts_per_tok": 4, "moe_intermediate_size": 256},
        shared_expert_intermediate_size=256,
    )
    return tf.Qwen3NextModel(config).eval(), _inputs.token_ids(batch, 112)


def moonshine(batch: int) -> Made:
    """Moonshine-Base: convolutions over three seconds of raw sound, eight rotary layers, 12 tokens heard."""
    config = tf.MoonshineConfig(
        **{"hidden_size": 416, "intermediate_size": 1664, "use_cache": False},
        **{"encoder_num_hidden_layers": 8, "decoder_num_hidden_layers": 8},
    )
    ids = _inputs.token_ids(batch, 12)["input_ids"]
    inputs = {"input_values": torch.rand(batch, 48_000), "decoder_input_ids": ids}
    return tf.MoonshineForConditionalGeneration(config).eval(), inputs


def parakeet(batch: int) -> Made:
    """A FastConformer of 17 layers of 512 with CTC: frames shrunken eightfold, windows of 9, six seconds."""
    encoder = tf.ParakeetEncoderConfig(
        **{"hidden_size": 512, "num_hidden_layers": 17, "intermediate_size": 2048, "attention_bias": False},
        **{"convolution_bias": False, "scale_input": False},
    )
    config = tf.ParakeetCTCConfig(vocab_size=1025, encoder_config=encoder)
    return tf.ParakeetForCTC(config).eval(), {"input_features": torch.rand(batch, 600, 80)}


def dac(batch: int) -> Made:
    """Descript's codec for 16 kHz, a second there and back: snakes, twelve books of codes."""
    config = tf.DacConfig(n_codebooks=12, decoder_hidden_size=1024)

    class Codec(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.DacModel(config)

        def forward(self, sound: Tensor) -> tuple[Tensor, Tensor]:
            out = self.model(sound)
            return out.audio_values, out.audio_codes

    return Codec().eval(), {"sound": torch.rand(batch, 1, 16_000)}


def rf_detr(batch: int) -> Made:
    """RF-DETR-Nano: DINOv2-Small in windows, one level, two layers of deformable attention; 384 pixels."""
    backbone = tf.RfDetrDinov2Config(
        **{"hidden_size": 384, "num_attention_heads": 6, "num_hidden_layers": 12, "image_size": 384},
        **{"patch_size": 16, "num_windows": 2, "out_features": ["stage3", "stage6", "stage9", "stage12"]},
    )
    config = tf.RfDetrConfig(backbone_config=backbone, decoder_layers=2, num_labels=91)
    return tf.RfDetrForObjectDetection(config).eval(), _pixels(batch, 384)


def mask2former(batch: int) -> Made:
    """Mask2Former on a Swin-Tiny: deformable attention, 60 queries that attend within masks; 320 pixels."""
    backbone = tf.SwinConfig(
        **{"image_size": 224, "embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24]},
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = tf.Mask2FormerConfig(
        **{"backbone_config": backbone, "encoder_layers": 4, "decoder_layers": 6, "num_queries": 60},
        num_labels=19,
    )

    class Segmenter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.Mask2FormerForUniversalSegmentation(config)

        def forward(self, pixel_values: Tensor) -> Tensor:
            out = self.model(pixel_values)
            classes = out.class_queries_logits.softmax(dim=-1)[..., :-1]
            masks = out.masks_queries_logits.sigmoid()
            return torch.einsum("bqc,bqhw->bchw", classes, masks).argmax(dim=1)

    return Segmenter().eval(), _pixels(batch, 320)


def vjepa2(batch: int) -> Made:
    """V-JEPA 2's encoder as a ViT-Small: 16 frames of 192 pixels in tubes, positions turn in three axes."""
    config = tf.VJEPA2Config(
        **{"crop_size": 192, "frames_per_clip": 16, "hidden_size": 384, "num_attention_heads": 6},
        **{"num_hidden_layers": 12, "pred_num_hidden_layers": 1},
    )

    class Watcher(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.head = tf.VJEPA2Model(config), nn.Linear(384, 174)

        def forward(self, frames: Tensor) -> Tensor:
            return self.head(self.model.get_vision_features(frames).mean(dim=1))

    return Watcher().eval(), {"frames": torch.rand(batch, 16, 3, 192, 192)}


def timesfm(batch: int) -> Made:
    """TimesFM 2.5 of 200M: patches of 32 values as tokens, a history of 512, each series upside down, too."""

    class Forecast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            config = tf.TimesFm2_5Config(context_length=512)
            self.model = tf.TimesFm2_5ModelForPrediction(config)

        def forward(self, history: Tensor) -> Any:
            return self.model(past_values=list(history.unbind(0))).mean_predictions

    return Forecast().eval(), {"history": torch.rand(batch, 512)}


def florence2(batch: int) -> Made:
    """Florence-2-Base on 384 pixels: DaViT's windows and channel groups, BART reads them and a prompt."""
    text = tf.BartConfig(
        **{"vocab_size": 51_290, "d_model": 768, "encoder_layers": 6, "decoder_layers": 6},
        **{"encoder_ffn_dim": 3072, "decoder_ffn_dim": 3072, "encoder_attention_heads": 12},
        **{"decoder_attention_heads": 12, "use_cache": False},
    )
    config = tf.Florence2Config(text_config=text.to_dict(), vision_config={"projection_dim": 768})
    image = torch.full((batch, 145), config.image_token_id, device="cpu")
    prompt = _inputs.token_ids(batch, 16)["input_ids"]
    inputs = {"input_ids": torch.cat([image, prompt], dim=1), "decoder_input_ids": prompt[:, :10].clone()}
    return tf.Florence2ForConditionalGeneration(config).eval(), {**inputs, **_pixels(batch, 384)}
