"""Newcomers' models out of the transformers library, from configurations, with random weights.

See ``NEWCOMERS`` in families.py: measured once, predicted once, for a release.
"""

from __future__ import annotations

import torch
import transformers as tf
from torch import Tensor, nn

from models_zoo import _inputs

Made = tuple[nn.Module, dict[str, Tensor]]


def _random(*shape: int, low: int = 0, below: int) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(0)
    return torch.randint(low, below, shape, generator=generator, device="cpu")


def modern_bert(batch: int) -> Made:
    """ModernBERT-Base as a reranker: a question and a passage, 256 tokens with padding, one number each."""
    config = tf.ModernBertConfig(num_labels=1, classifier_pooling="mean")

    class Reranker(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.ModernBertForSequenceClassification(config)

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            return torch.sigmoid(self.model(input_ids, attention_mask=attention_mask).logits).squeeze(-1)

    ids = _inputs.token_ids(batch, 256)["input_ids"]
    mask = torch.ones_like(ids)
    mask[:, 200:] = 0
    return Reranker().eval(), {"input_ids": ids, "attention_mask": mask}


def clap_audio(batch: int) -> Made:
    """CLAP's tower for sound: a Swin-Tiny over a spectrogram of ten seconds, 50 sounds told apart."""
    config = tf.ClapAudioConfig(**{"patch_embeds_hidden_size": 96, "projection_dim": 512})

    class Listener(nn.Module):
        def __init__(self, kinds: int = 50) -> None:
            super().__init__()
            self.model = tf.ClapAudioModelWithProjection(config)
            self.kinds = nn.Parameter(torch.randn(kinds, 512) * 0.05)

        def forward(self, input_features: Tensor) -> Tensor:
            sound = self.model(input_features).audio_embeds
            sound = sound / sound.norm(p=2, dim=-1, keepdim=True)
            kinds = self.kinds / self.kinds.norm(p=2, dim=-1, keepdim=True)
            return (100 * sound @ kinds.t()).softmax(dim=-1)

    return Listener().eval(), {"input_features": torch.rand(batch, 1, 1001, 64)}


def upernet(batch: int) -> Made:
    """UPerNet on ConvNeXt-Tiny: a pyramid pooled at four sizes, 150 classes of ADE20K, 512 pixels."""
    backbone = tf.ConvNextConfig(
        **{"depths": [3, 3, 9, 3], "hidden_sizes": [96, 192, 384, 768]},
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = tf.UperNetConfig(backbone_config=backbone, hidden_size=256, num_labels=150, use_auxiliary_head=False)

    class Segmenter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.UperNetForSemanticSegmentation(config)

        def forward(self, pixel_values: Tensor) -> Tensor:
            return self.model(pixel_values).logits.argmax(dim=1)

    return Segmenter().eval(), {"pixel_values": torch.rand(batch, 3, 512, 512)}


def univnet(batch: int) -> Made:
    """UnivNet's vocoder: a spectrogram writes the kernels that turn noise into half a second of speech."""

    class Vocoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.UnivNetModel(tf.UnivNetConfig())

        def forward(self, spectrogram: Tensor, noise: Tensor) -> Tensor:
            return self.model(spectrogram, noise_sequence=noise).waveforms

    inputs = {"spectrogram": torch.rand(batch, 48, 100), "noise": torch.randn(batch, 48, 64)}
    return Vocoder().eval(), inputs


def query_connector(batch: int) -> Made:
    """BLIP-2's connector: 32 queries read the 257 patches of a ViT-g, a linear layer makes words of them."""
    config = tf.Blip2QFormerConfig()

    class Connector(nn.Module):
        def __init__(self, words: int = 2560) -> None:
            super().__init__()
            self.queries = nn.Parameter(torch.randn(1, 32, config.hidden_size) * 0.02)
            self.qformer, self.project = tf.Blip2QFormerModel(config), nn.Linear(config.hidden_size, words)

        def forward(self, image_embeds: Tensor) -> Tensor:
            seen = torch.ones(image_embeds.shape[:-1], dtype=torch.long, device=image_embeds.device)
            queries = self.queries.expand(image_embeds.shape[0], -1, -1)
            found = self.qformer(query_embeds=queries, encoder_hidden_states=image_embeds, encoder_attention_mask=seen)
            return self.project(found.last_hidden_state)

    return Connector().eval(), {"image_embeds": torch.rand(batch, 257, 1408)}


def ernie(batch: int) -> Made:
    """ERNIE 4.5 of 0.3B: a prompt of 256 tokens, the next token's ten likeliest of 103,424."""
    config = tf.Ernie4_5Config(max_position_embeddings=8192)

    class Prompt(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.Ernie4_5ForCausalLM(config)

        def forward(self, input_ids: Tensor) -> tuple[Tensor, Tensor]:
            logits = self.model(input_ids, use_cache=True, logits_to_keep=1).logits[:, -1]
            return torch.topk(torch.softmax(logits.float(), dim=-1), 10, dim=-1)

    return Prompt().eval(), _inputs.token_ids(batch, 256)


def line_reader(batch: int) -> Made:
    """PP-OCRv5's small reader of lines: PP-LCNetV3 on 48 x 320 pixels, two layers of SVTR, 18,385 letters."""
    stages = [
        *([[3, 16, 32, 1, False]], [[3, 32, 64, 1, False], [3, 64, 64, 1, False]]),
        *([[3, 64, 128, (2, 1), False], [3, 128, 128, 1, False]],),
        [[3, 128, 256, (1, 2), False], *([5, 256, 256, 1, False] for _ in range(4))],
        [[5, 256, 512, (2, 1), True], [5, 512, 512, 1, True]],
    ]
    stages[-1] += [[5, 512, 512, (2, 1), False], [5, 512, 512, 1, False]]
    backbone = tf.PPLCNetV3Config(scale=0.95, block_configs=stages, out_features=["stage5"])
    config = tf.PPOCRV5MobileRecConfig(backbone_config=backbone)

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.PPOCRV5MobileRecForTextRecognition(config)

        def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
            return self.model(pixel_values).last_hidden_state.max(dim=-1)

    return Reader().eval(), {"pixel_values": torch.rand(batch, 3, 48, 320)}


def owl_vit(batch: int) -> Made:
    """OWL-ViT B/32: what four short texts name is found in 768 pixels, a box for each of 576 patches."""

    class Finder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.OwlViTForObjectDetection(tf.OwlViTConfig())

        def forward(self, input_ids: Tensor, attention_mask: Tensor, pixel_values: Tensor) -> list[Tensor]:
            found = self.model(input_ids, pixel_values, attention_mask)
            scores, texts = torch.sigmoid(found.logits).max(dim=-1)
            x, y, w, h = found.pred_boxes.unbind(-1)
            boxes = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], dim=-1)
            return [scores, texts, boxes]

    ids = _inputs.token_ids(4 * batch, 16)["input_ids"]
    mask = torch.ones_like(ids)
    mask[:, 7:] = 0
    inputs = {"input_ids": ids, "attention_mask": mask}
    return Finder().eval(), {**inputs, "pixel_values": torch.rand(batch, 3, 768, 768)}


def informer(batch: int) -> Made:
    """Informer: the likeliest queries of 168 hours alone attend, 24 hours follow; 16 series for each."""
    config = tf.InformerConfig(
        **{"prediction_length": 24, "context_length": 168, "lags_sequence": [1, 2, 3, 24, 48]},
        **{"num_time_features": 4, "d_model": 128, "encoder_layers": 3, "decoder_layers": 2},
        **{"encoder_ffn_dim": 256, "decoder_ffn_dim": 256, "encoder_attention_heads": 8},
        **{"decoder_attention_heads": 8, "use_cache": False},
    )

    class Forecast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.InformerModel(config)
            self.head = nn.Linear(128, 3)

        def forward(self, past: Tensor, times: Tensor, seen: Tensor, future: Tensor, ahead: Tensor) -> Tensor:
            found = self.model(
                past_values=past,
                past_time_features=times,
                past_observed_mask=seen,
                future_values=future,
                future_time_features=ahead,
            )
            return self.head(found.last_hidden_state)

    n, past = 16 * batch, 168 + 48
    inputs = {"past": torch.rand(n, past), "times": torch.rand(n, past, 4), "seen": torch.ones(n, past)}
    inputs |= {"future": torch.rand(n, 24), "ahead": torch.rand(n, 24, 4)}
    return Forecast().eval(), inputs


def nllb(batch: int) -> Made:
    """NLLB, six layers of 1024 on either side: 48 tokens of one language, 32 of another so far."""
    config = tf.M2M100Config(
        **{"vocab_size": 128_112, "encoder_layers": 6, "decoder_layers": 6, "use_cache": False},
        **{"encoder_ffn_dim": 4096, "decoder_ffn_dim": 4096, "activation_function": "relu"},
    )
    ids = _inputs.token_ids(batch, 48)["input_ids"]
    mask = torch.ones_like(ids)
    mask[:, 40:] = 0
    inputs = {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": ids[:, :32].clone()}
    return tf.M2M100ForConditionalGeneration(config).eval(), inputs
