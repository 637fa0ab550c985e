"""Guests' models out of the transformers library, from configurations, with random weights.

See ``GUESTS`` in families.py: measured once, predicted once, for a release.
"""

from __future__ import annotations

import torch
import transformers as tf
from torch import Tensor, nn
from torch.nn import functional as F

from models_zoo import _inputs

Made = tuple[nn.Module, dict[str, Tensor]]


def _random(*shape: int, low: int = 0, below: int) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(0)
    return torch.randint(low, below, shape, generator=generator, device="cpu")


def _padded(batch: int, length: int, real: int) -> dict[str, Tensor]:
    """Tokens of which those from ``real`` on are padding."""
    ids = _inputs.token_ids(batch, length)["input_ids"]
    mask = torch.ones_like(ids)
    mask[:, real:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def xlnet(batch: int) -> Made:
    """XLNet-Base: two kinds of review told apart by 128 tokens, padded on the left, attention by distance."""
    config = tf.XLNetConfig(**{"d_model": 768, "n_layer": 12, "n_head": 12, "d_inner": 3072, "num_labels": 2})

    class Reviewer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.XLNetForSequenceClassification(config)

        def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
            out = self.model(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids, use_mems=False)
            return F.softmax(out.logits, dim=-1)

    tokens = {name: value.flip(1) for name, value in _padded(batch, 128, 109).items()}
    return Reviewer().eval(), {**tokens, "token_type_ids": 3 * (1 - tokens["attention_mask"])}


def x_clip(batch: int) -> Made:
    """X-CLIP, ViT-B/32: eight frames that send each other messages, which of ten actions of 16 tokens they show."""
    config = tf.XCLIPConfig(vision_config={"num_frames": 8}, text_config={"num_hidden_layers": 6})

    class Watcher(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.XCLIPModel(config)

        def forward(self, input_ids: Tensor, attention_mask: Tensor, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
            out = self.model(input_ids=input_ids, attention_mask=attention_mask, pixel_values=pixel_values)
            probabilities = out.logits_per_video.softmax(dim=1)
            return probabilities, out.video_embeds

    actions = _padded(10, 16, 9)
    actions["input_ids"][:, 8] = 49_407
    return Watcher().eval(), {**actions, "pixel_values": torch.randn(batch, 8, 3, 224, 224)}


def bloom(batch: int) -> Made:
    """BLOOM with twelve layers of 1024: slopes instead of positions, the next of 65,024 words after 160 tokens."""
    config = tf.BloomConfig(
        **{"vocab_size": 65_024, "hidden_size": 1024, "n_layer": 12, "n_head": 16, "use_cache": False}
    )

    class Completer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.transformer = tf.BloomModel(config)
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
            self.lm_head.weight = self.transformer.word_embeddings.weight

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
            hidden = self.transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            logits = self.lm_head(hidden[:, -1])
            ordered, words = torch.sort(logits.float(), dim=-1, descending=True)
            probabilities = F.softmax(ordered, dim=-1)
            kept = torch.cumsum(probabilities, dim=-1) - probabilities < 0.9
            return (probabilities * kept)[:, :64], words[:, :64]

    tokens = _padded(batch, 160, 148)
    return Completer().eval(), {name: value.flip(1) for name, value in tokens.items()}


def griffin(batch: int) -> Made:
    """RecurrentGemma in small, nine layers of 768: two of three keep a state that a gate fades, 48 tokens."""
    config = tf.RecurrentGemmaConfig(
        **{"vocab_size": 32_000, "hidden_size": 768, "num_hidden_layers": 9, "num_attention_heads": 6},
        **{"num_key_value_heads": 1, "intermediate_size": 4608, "lru_width": 768, "use_cache": False},
        attention_window_size=256,
    )

    class Prompt(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.RecurrentGemmaModel(config)

        def forward(self, input_ids: Tensor) -> Tensor:
            hidden = self.model(input_ids, use_cache=False)[0][:, -1]
            logits = F.linear(hidden, self.model.embed_tokens.weight)
            return torch.tanh(logits / 30.0) * 30.0

    return Prompt().eval(), _inputs.token_ids(batch, 48)


def encodec(batch: int) -> Made:
    """EnCodec: a second of sound at 24 kHz becomes eight codes a frame and sound again, an LSTM on either side."""

    class Codec(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.codec = tf.EncodecModel(tf.EncodecConfig())

        def forward(self, input_values: Tensor) -> tuple[Tensor, Tensor]:
            out = self.codec(input_values, bandwidth=6.0)
            return out.audio_codes, out.audio_values

    return Codec().eval(), {"input_values": torch.randn(batch, 1, 24_000) * 0.1}


def deformable_detr(batch: int) -> Made:
    """Deformable DETR on a ResNet-50: each query looks at four points of four levels, 300 boxes, 480 by 640."""
    backbone = tf.ResNetConfig(out_features=["stage2", "stage3", "stage4"])
    config = tf.DeformableDetrConfig(backbone_config=backbone, num_labels=91)

    class Detector(nn.Module):
        scale: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.model = tf.DeformableDetrForObjectDetection(config)
            self.register_buffer("scale", torch.tensor([640.0, 480.0, 640.0, 480.0]))

        def forward(self, pixel_values: Tensor) -> dict[str, Tensor]:
            out = self.model(pixel_values=pixel_values)
            prob = out.logits.sigmoid()
            scores, index = torch.topk(prob.view(out.logits.shape[0], -1), 100, dim=1)
            query = torch.div(index, out.logits.shape[2], rounding_mode="floor")
            x, y, w, h = out.pred_boxes.unbind(-1)
            boxes = torch.stack([x - 0.5 * w, y - 0.5 * h, x + 0.5 * w, y + 0.5 * h], dim=-1)
            boxes = torch.gather(boxes, 1, query.unsqueeze(-1).repeat(1, 1, 4)) * self.scale
            return {"scores": scores, "labels": index % out.logits.shape[2], "boxes": boxes}

    return Detector().eval(), {"pixel_values": torch.randn(batch, 3, 480, 640)}


def clip_segmenter(batch: int) -> Made:
    """CLIPSeg, ViT-B/16: an image of 352 pixels once for each of three words, where each is seen."""
    config = tf.CLIPSegConfig(vision_config={"patch_size": 16})

    class Segmenter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.CLIPSegForImageSegmentation(config)

        def forward(self, input_ids: Tensor, attention_mask: Tensor, pixel_values: Tensor) -> Tensor:
            b, words = pixel_values.shape[0], input_ids.shape[0] // pixel_values.shape[0]
            images = pixel_values.repeat_interleave(words, dim=0)
            out = self.model(input_ids=input_ids, attention_mask=attention_mask, pixel_values=images)
            heat = torch.sigmoid(out.logits).view(b, words, *out.logits.shape[-2:])
            return F.interpolate(heat, size=(480, 640), mode="bilinear", align_corners=False)

    tokens = _padded(3 * batch, 12, 7)
    tokens["input_ids"][:, 6] = 49_407
    return Segmenter().eval(), {**tokens, "pixel_values": torch.randn(batch, 3, 352, 352)}


def lilt(batch: int) -> Made:
    """LiLT-Base: 256 words of a form and where they stand, two streams that share their attention, seven labels."""
    config = tf.LiltConfig(num_labels=7, max_position_embeddings=514, pad_token_id=1)
    left, top = _random(batch, 256, below=900), _random(batch, 256, below=980)
    corners = [left, top, left + _random(batch, 256, low=1, below=100), top + 18]
    model = tf.LiltForTokenClassification(config).eval()
    return model, {**_padded(batch, 256, 230), "bbox": torch.stack(corners, dim=-1)}


def captioner(batch: int) -> Made:
    """GIT-Base: an image's patches before the words said of it so far, twelve of them, three likeliest next."""
    config = tf.GitConfig(use_cache=False)

    class Captioner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.git = tf.GitForCausalLM(config)

        def forward(self, pixel_values: Tensor, input_ids: Tensor) -> tuple[Tensor, Tensor]:
            logits = self.git(input_ids=input_ids, pixel_values=pixel_values, use_cache=False).logits[:, -1]
            return torch.log_softmax(logits, dim=-1).topk(3, dim=-1)

    return Captioner().eval(), {**_inputs.image(batch), **_inputs.token_ids(batch, 12)}


def smol_vlm(batch: int) -> Made:
    """SmolVLM in small: an image of 512 pixels as 64 tokens, shuffled to be fewer, before 40 of a question."""
    config = tf.SmolVLMConfig(
        vision_config={
            **{"hidden_size": 768, "num_attention_heads": 12, "num_hidden_layers": 12},
            **{"image_size": 512, "patch_size": 16},
        },
        text_config={
            **{"model_type": "llama", "vocab_size": 49_280, "hidden_size": 576, "intermediate_size": 1536},
            **{"num_hidden_layers": 16, "num_attention_heads": 9, "num_key_value_heads": 3},
            "pad_token_id": 2,
        },
        **{"scale_factor": 4, "image_token_id": 49_190, "pad_token_id": 2},
    )

    class Assistant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.vlm = tf.SmolVLMForConditionalGeneration(config)

        def forward(self, pixel_values: Tensor, input_ids: Tensor) -> Tensor:
            parts = self.vlm.model
            seen = parts.vision_model(pixel_values=pixel_values).last_hidden_state
            words = parts.text_model.embed_tokens(input_ids)
            embeds = torch.cat([words[:, :4], parts.connector(seen), words[:, 4:]], dim=1)
            hidden = parts.text_model(inputs_embeds=embeds, use_cache=False).last_hidden_state
            return self.vlm.lm_head(hidden[:, -1:]).float()

    return Assistant().eval(), {"pixel_values": torch.randn(batch, 3, 512, 512), **_inputs.token_ids(batch, 40)}
