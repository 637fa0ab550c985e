"""Visitors' models out of the transformers library, from configurations, with random weights.

See ``VISITORS`` in families.py: measured once, predicted once, for a release.
"""

from __future__ import annotations

import torch
import transformers as tf
from torch import Tensor, nn
from torch.nn import functional as F

from models_zoo import _inputs

Made = tuple[nn.Module, dict[str, Tensor]]


def _padded(batch: int, length: int, real: int) -> dict[str, Tensor]:
    """Tokens of which those from ``real`` on are padding."""
    ids = _inputs.token_ids(batch, length)["input_ids"]
    mask = torch.ones_like(ids)
    mask[:, real:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def mpnet(batch: int) -> Made:
    """MPNet-Base on two sentences of 64 tokens: one mean each, how close they are."""

    def mean_pooling(token_embeddings: Tensor, attention_mask: Tensor) -> Tensor:
        expanded = attention_mask.unsqueeze(-1).expand(token_embeddings.size()).to(token_embeddings.dtype)
        return torch.sum(token_embeddings * expanded, 1) / torch.clamp(expanded.sum(1), min=1e-4)

    class Twins(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = tf.MPNetModel(tf.MPNetConfig(), add_pooling_layer=False)

        def embed(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            out = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
            return F.normalize(mean_pooling(out[0], attention_mask), p=2, dim=1)

        def forward(self, ids_a: Tensor, mask_a: Tensor, ids_b: Tensor, mask_b: Tensor) -> Tensor:
            return F.cosine_similarity(self.embed(ids_a, mask_a), self.embed(ids_b, mask_b), dim=-1)

    a, b = _padded(batch, 64, 41), _padded(batch, 64, 55)
    inputs = {"ids_a": a["input_ids"], "mask_a": a["attention_mask"]}
    return Twins().eval(), {**inputs, "ids_b": b["input_ids"], "mask_b": b["attention_mask"]}


def splade(batch: int) -> Made:
    """SPLADE on an ELECTRA-Small: how much each of 30,522 words matters to 200 tokens, the largest over them."""

    class Splade(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.transformer = tf.ElectraForMaskedLM(tf.ElectraConfig())

        def forward(self, **tokens: Tensor) -> Tensor:
            out = self.transformer(**tokens)["logits"]
            mask = tokens["attention_mask"].unsqueeze(-1)
            values, _ = torch.max(torch.log1p(torch.relu(out)) * mask, dim=1)
            return values

    return Splade().eval(), _padded(batch, 200, 177)


def pythia(batch: int) -> Made:
    """Pythia of 160M: how likely each of 200 tokens is after those before it."""
    config = tf.GPTNeoXConfig(
        **{"vocab_size": 50_304, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
        **{"intermediate_size": 3072, "use_cache": False},
    )

    class Scorer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lm = tf.GPTNeoXForCausalLM(config)

        def forward(self, input_ids: Tensor) -> dict[str, Tensor]:
            logits = self.lm(input_ids).logits[:, :-1]
            targets = input_ids[:, 1:]
            log_probs = torch.gather(F.log_softmax(logits.float(), dim=-1), 2, targets.unsqueeze(-1)).squeeze(-1)
            return {"sum": log_probs.sum(-1), "greedy": (logits.argmax(-1) == targets).all(-1)}

    return Scorer().eval(), _inputs.token_ids(batch, 200)


def latent_attention(batch: int) -> Made:
    """DeepSeek-V2's attention in small, twelve dense layers of 768: keys and values from a vector of 192."""
    config = tf.DeepseekV2Config(
        **{"vocab_size": 32_000, "hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12},
        **{"num_attention_heads": 12, "num_key_value_heads": 12, "kv_lora_rank": 192, "q_lora_rank": 384},
        **{"qk_nope_head_dim": 64, "qk_rope_head_dim": 32, "v_head_dim": 64, "head_dim": 32},
        **{"n_routed_experts": 4, "num_experts_per_tok": 2, "first_k_dense_replace": 12, "use_cache": False},
    )

    class Prompt(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.DeepseekV2ForCausalLM(config)

        def forward(self, input_ids: Tensor) -> Tensor:
            return self.model(input_ids, logits_to_keep=1).logits.squeeze(1).argmax(-1)

    return Prompt().eval(), _inputs.token_ids(batch, 256)


def sew(batch: int) -> Made:
    """SEW with letters at its end: attention on frames squeezed by two, three seconds of sound."""

    class Listener(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.SEWForCTC(tf.SEWConfig())

        def forward(self, input_values: Tensor) -> Tensor:
            x = input_values - input_values.mean(dim=-1, keepdim=True)
            x = x / (x.std(dim=-1, keepdim=True) + 1e-4)
            return self.model(x).logits.argmax(dim=-1)

    return Listener().eval(), {"input_values": torch.randn(batch, 48_000)}


def segformer(batch: int) -> Made:
    """SegFormer-B0 for 150 classes: attention over shrunken keys, an MLP joins four levels, 512 pixels."""

    class Segmenter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.SegformerForSemanticSegmentation(tf.SegformerConfig(num_labels=150))

        def forward(self, pixel_values: Tensor) -> Tensor:
            logits = self.model(pixel_values=pixel_values).logits
            size = pixel_values.shape[-2:]
            return F.interpolate(logits, size=size, mode="bilinear", align_corners=False).argmax(dim=1)

    return Segmenter().eval(), {"pixel_values": torch.rand(batch, 3, 512, 512)}


def hiera(batch: int) -> Made:
    """Hiera-Tiny: attention within units that queries are pooled in, twelve layers, 224 pixels."""
    config = tf.HieraConfig(**{"depths": [1, 2, 7, 2], "num_labels": 1000})
    return tf.HieraForImageClassification(config).eval(), _inputs.image(batch)


def chinese_clip(batch: int) -> Made:
    """Chinese CLIP, ViT-B/16 and six layers of BERT: an image against eight captions of 24 tokens."""
    config = tf.ChineseCLIPConfig(
        text_config={"vocab_size": 21_128, "num_hidden_layers": 6}, vision_config={"patch_size": 16}
    )

    class Matcher(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.clip = tf.ChineseCLIPModel(config)

        def forward(self, input_ids: Tensor, attention_mask: Tensor, pixel_values: Tensor) -> list[Tensor]:
            out = self.clip(input_ids=input_ids, attention_mask=attention_mask, pixel_values=pixel_values)
            n = pixel_values.shape[0]
            captions = out.text_embeds.view(n, -1, out.text_embeds.shape[-1])
            scores = torch.einsum("nd,nkd->nk", out.image_embeds, captions)
            return [scores.softmax(dim=-1), out.image_embeds]

    captions = _padded(8 * batch, 24, 17)
    captions["input_ids"] %= 21_128
    return Matcher().eval(), {**captions, **_inputs.image(batch)}


def blenderbot_small(batch: int) -> Made:
    """BlenderBot of 90M: 80 tokens of talk are read, 20 of the answer so far, eight layers on either side."""
    config = tf.BlenderbotSmallConfig(vocab_size=54_944, use_cache=False)

    class Answer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.BlenderbotSmallForConditionalGeneration(config)

        def forward(self, input_ids: Tensor, attention_mask: Tensor, decoder_input_ids: Tensor) -> Tensor:
            encoded = self.model.get_encoder()(input_ids=input_ids, attention_mask=attention_mask)
            out = self.model(
                encoder_outputs=encoded, attention_mask=attention_mask, decoder_input_ids=decoder_input_ids
            )
            next_token = out.logits[:, -1, :] / 0.7
            kept, _ = torch.topk(next_token, 50, dim=-1)
            return torch.softmax(next_token.masked_fill(next_token < kept[:, -1:], -float("inf")), dim=-1)

    inputs = _padded(batch, 80, 66)
    return Answer().eval(), {**inputs, "decoder_input_ids": inputs["input_ids"][:, :20].clone()}
