"""Models that are neither in the zoo nor among those that calibrations run: a test of predictions on what they never
saw, ``validate --models benchmarks/unseen_models.py:electra``. Faults were mended on the first ten, from ELECTRA to the
U-Net; the others were measured after that.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import transformers as tf
from torch import nn

from models_zoo import _inputs

Made = tuple[nn.Module, dict[str, torch.Tensor]]


def _text(model: nn.Module, batch: int) -> Made:
    return model.eval(), _inputs.token_ids(batch)


def _image(model: nn.Module, batch: int, pixels: int = _inputs.PIXELS) -> Made:
    return model.eval(), {"pixel_values": torch.rand(batch, 3, pixels, pixels)}


def electra(batch: int) -> Made:
    """ELECTRA-Small: a projection behind the embeddings, four heads of 64."""
    sizes = {"embedding_size": 128, "hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024}
    return _text(tf.ElectraModel(tf.ElectraConfig(**sizes)), batch)


def roformer(batch: int) -> Made:
    """RoFormer: rotary positions, attention multiplied out."""
    return _text(tf.RoFormerModel(tf.RoFormerConfig()), batch)


def qwen2(batch: int) -> Made:
    """Qwen2 0.5B without its head: grouped queries, RMS norms, gated products."""
    sizes: dict[str, Any] = {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24}
    heads = {"num_attention_heads": 14, "num_key_value_heads": 2}
    return _text(tf.Qwen2Model(tf.Qwen2Config(vocab_size=50_000, use_cache=False, **sizes, **heads)), batch)


def efficientnet(batch: int) -> Made:
    """EfficientNet-B0: depthwise convolutions, squeeze and excitation, SiLU."""
    config = tf.EfficientNetConfig(image_size=224, width_coefficient=1.0, depth_coefficient=1.0, hidden_dim=1280)
    return _image(tf.EfficientNetModel(config), batch)


def levit(batch: int) -> Made:
    """LeViT: attention with batch norms, of few channels."""
    return _image(tf.LevitModel(tf.LevitConfig()), batch)


def mobilevit(batch: int) -> Made:
    """MobileViT: inverted residuals and attention over unfolded patches, 256 pixels."""
    return _image(tf.MobileViTModel(tf.MobileViTConfig()), batch, 256)


def bit(batch: int) -> Made:
    """BiT-50: a ResNet of group norms and standardised weights."""
    return _image(tf.BitModel(tf.BitConfig()), batch)


def whisper(batch: int) -> Made:
    """The encoder of Whisper-Base on 30 s of sound: 1500 positions."""
    encoder = tf.WhisperModel(tf.WhisperConfig()).encoder
    return encoder.eval(), {"input_features": torch.rand(batch, 80, 3000)}


def lstm(batch: int) -> Made:
    """Two layers of an LSTM over 128 tokens."""

    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(30_000, 256)
            self.rnn = nn.LSTM(256, 512, num_layers=2, batch_first=True)
            self.head = nn.Linear(512, 64)

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.head(self.rnn(self.embed(input_ids))[0])
            return found

    return _text(Tagger(), batch)


def unet(batch: int) -> Made:
    """A U-Net with transposed convolutions, 256 pixels."""

    def twice(i: int, o: int) -> nn.Sequential:
        one = (nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True))
        two = (nn.Conv2d(o, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True))
        return nn.Sequential(*one, *two)

    class UNet(nn.Module):
        def __init__(self, widths: tuple[int, ...] = (32, 64, 128, 256, 512)) -> None:
            super().__init__()
            self.down = nn.ModuleList(twice(i, o) for i, o in zip((3, *widths[:-1]), widths, strict=True))
            pairs = [(widths[i], widths[i - 1]) for i in range(len(widths) - 1, 0, -1)]
            self.grow = nn.ModuleList(nn.ConvTranspose2d(i, o, 2, stride=2) for i, o in pairs)
            self.up = nn.ModuleList(twice(i, o) for i, o in pairs)
            self.head = nn.Conv2d(widths[0], 1, 1)

        def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
            x, kept = pixel_values, []
            for block in self.down[:-1]:
                x = block(x)
                kept.append(x)
                x = nn.functional.max_pool2d(x, 2)
            x = self.down[-1](x)
            for grow, block in zip(self.grow, self.up, strict=True):
                x = block(torch.cat([grow(x), kept.pop()], dim=1))
            found: torch.Tensor = self.head(x)
            return found

    return _image(UNet(), batch, 256)


def modernbert(batch: int) -> Made:
    """ModernBERT-Base: rotary positions, gated products, windows of attention."""
    return _text(tf.ModernBertModel(tf.ModernBertConfig()), batch)


def nystromformer(batch: int) -> Made:
    """Nystroemformer: attention through landmarks."""
    return _text(tf.NystromformerModel(tf.NystromformerConfig()), batch)


def gpt_bigcode(batch: int) -> Made:
    """A decoder whose queries share one key and value."""
    return _text(tf.GPTBigCodeModel(tf.GPTBigCodeConfig(use_cache=False)), batch)


def pvt_v2(batch: int) -> Made:
    """PVTv2-B0: attention over shrunken keys, convolutions between the products."""
    return _image(tf.PvtV2Model(tf.PvtV2Config()), batch)


def cvt(batch: int) -> Made:
    """CvT-13: convolutions before attention."""
    return _image(tf.CvtModel(tf.CvtConfig()), batch)


def swiftformer(batch: int) -> Made:
    """SwiftFormer: additive attention between convolutions."""
    return _image(tf.SwiftFormerModel(tf.SwiftFormerConfig()), batch)


def hiera(batch: int) -> Made:
    """Hiera: attention within units that are pooled."""
    return _image(tf.HieraModel(tf.HieraConfig()), batch)


def sew(batch: int) -> Made:
    """SEW on two seconds of sound: convolutions, and attention on every second frame."""
    return tf.SEWModel(tf.SEWConfig()).eval(), _inputs.audio(batch)


def mixer(batch: int) -> Made:
    """An MLP-Mixer, S/16."""

    class Block(nn.Module):
        def __init__(self, tokens: int, width: int) -> None:
            super().__init__()
            self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
            self.tokens = nn.Sequential(nn.Linear(tokens, 256), nn.GELU(), nn.Linear(256, tokens))
            self.channels = nn.Sequential(nn.Linear(width, 2048), nn.GELU(), nn.Linear(2048, width))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x + self.tokens(self.norms[0](x).transpose(1, 2)).transpose(1, 2)
            mixed: torch.Tensor = x + self.channels(self.norms[1](x))
            return mixed

    class Mixer(nn.Module):
        def __init__(self, width: int = 512, layers: int = 8) -> None:
            super().__init__()
            self.patches = nn.Conv2d(3, width, 16, stride=16)
            self.blocks = nn.Sequential(*(Block(196, width) for _ in range(layers)))
            self.head = nn.Linear(width, 1000)

        def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
            x = self.patches(pixel_values).flatten(2).transpose(1, 2)
            found: torch.Tensor = self.head(self.blocks(x).mean(dim=1))
            return found

    return _image(Mixer(), batch)


def recommender(batch: int) -> Made:
    """Tables of embeddings, their products with each other, batch-normalised layers: 64 rows for each of a batch."""

    class Recommender(nn.Module):
        def __init__(self, tables: int = 16, width: int = 64) -> None:
            super().__init__()
            self.tables = nn.ModuleList(nn.Embedding(10_000, width) for _ in range(tables))
            sizes = [tables * width + tables * tables, 1024, 512, 256]
            self.layers = nn.Sequential(
                *(nn.Sequential(nn.Linear(i, o), nn.BatchNorm1d(o), nn.ReLU()) for i, o in pairwise(sizes))
            )
            self.head = nn.Linear(sizes[-1], 1)

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            found = torch.stack([table(input_ids[:, i]) for i, table in enumerate(self.tables)], dim=1)
            products = torch.bmm(found, found.transpose(1, 2))
            x = torch.cat([found.flatten(1), products.flatten(1)], dim=1)
            clicks: torch.Tensor = torch.sigmoid(self.head(self.layers(x)))
            return clicks

    ids = torch.randint(10_000, (64 * batch, 16), device="cpu")
    return Recommender().eval(), {"input_ids": ids}
