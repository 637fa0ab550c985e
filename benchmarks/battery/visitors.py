"""Visitors' models of many fields, in the habits of many authors.

See ``VISITORS`` in families.py: measured once, predicted once, for a release.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

Made = tuple[nn.Module, dict[str, Tensor]]


def _random(*shape: int, low: int = 0, below: int) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(0)
    return torch.randint(low, below, shape, generator=generator, device="cpu")


def rwkv_step(batch: int) -> Made:
    """RWKV-4 of 169M: one token through twelve layers whose states, five rows of each, are handed on."""

    class Rwkv(nn.Module):
        def __init__(self, layers: int = 12, width: int = 768, words: int = 50_277) -> None:
            super().__init__()
            self.layers = layers
            self.emb, self.ln0, self.ln_out = nn.Embedding(words, width), nn.LayerNorm(width), nn.LayerNorm(width)
            self.head = nn.Linear(width, words, bias=False)
            self.w = nn.ParameterDict()
            for i in range(layers):
                for name in ("ln1", "ln2"):
                    self.w[f"{i}_{name}_w"] = nn.Parameter(torch.ones(width))
                    self.w[f"{i}_{name}_b"] = nn.Parameter(torch.zeros(width))
                for name in ("mix_k", "mix_v", "mix_r", "ffn_mix_k", "ffn_mix_r"):
                    self.w[f"{i}_{name}"] = nn.Parameter(torch.rand(width))
                self.w[f"{i}_first"] = nn.Parameter(torch.randn(width) * 0.3)
                self.w[f"{i}_decay"] = nn.Parameter(torch.randn(width) * 0.3)
                for name, a, b in (("k", 1, 1), ("v", 1, 1), ("r", 1, 1), ("o", 1, 1)):
                    self.w[f"{i}_{name}"] = nn.Parameter(torch.randn(b * width, a * width) * 0.02)
                for name, a, b in (("ffn_k", 1, 4), ("ffn_v", 4, 1), ("ffn_r", 1, 1)):
                    self.w[f"{i}_{name}"] = nn.Parameter(torch.randn(b * width, a * width) * 0.02)

        def layer_norm(self, x: Tensor, name: str) -> Tensor:
            return F.layer_norm(x, (x.shape[-1],), weight=self.w[name + "_w"], bias=self.w[name + "_b"])

        def channel_mixing(self, x: Tensor, state: Tensor, i: int) -> Tensor:
            w, last = self.w, state[:, 5 * i]
            xk = x * w[f"{i}_ffn_mix_k"] + last * (1 - w[f"{i}_ffn_mix_k"])
            xr = x * w[f"{i}_ffn_mix_r"] + last * (1 - w[f"{i}_ffn_mix_r"])
            state[:, 5 * i] = x
            r = torch.sigmoid(xr @ w[f"{i}_ffn_r"].t())
            k = torch.square(torch.relu(xk @ w[f"{i}_ffn_k"].t()))
            return r * (k @ w[f"{i}_ffn_v"].t())

        def time_mixing(self, x: Tensor, state: Tensor, i: int) -> Tensor:
            w, last = self.w, state[:, 5 * i + 1]
            xk = x * w[f"{i}_mix_k"] + last * (1 - w[f"{i}_mix_k"])
            xv = x * w[f"{i}_mix_v"] + last * (1 - w[f"{i}_mix_v"])
            xr = x * w[f"{i}_mix_r"] + last * (1 - w[f"{i}_mix_r"])
            state[:, 5 * i + 1] = x
            r = torch.sigmoid(xr @ w[f"{i}_r"].t())
            k, v = (xk @ w[f"{i}_k"].t()).float(), (xv @ w[f"{i}_v"].t()).float()
            aa, bb, pp = (state[:, 5 * i + j].float() for j in (2, 3, 4))
            ww = w[f"{i}_first"] + k
            p = torch.maximum(pp, ww)
            e1, e2 = torch.exp(pp - p), torch.exp(ww - p)
            wkv = ((e1 * aa + e2 * v) / (e1 * bb + e2)).to(x.dtype)
            ww = pp - torch.exp(w[f"{i}_decay"].float())
            p = torch.maximum(ww, k)
            e1, e2 = torch.exp(ww - p), torch.exp(k - p)
            state[:, 5 * i + 2] = (e1 * aa + e2 * v).to(x.dtype)
            state[:, 5 * i + 3] = (e1 * bb + e2).to(x.dtype)
            state[:, 5 * i + 4] = p.to(x.dtype)
            return (r * wkv) @ w[f"{i}_o"].t()

        def forward(self, token: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            state = state.clone()
            x = self.ln0(self.emb(token))
            for i in range(self.layers):
                x = x + self.time_mixing(self.layer_norm(x, f"{i}_ln1"), state, i)
                x = x + self.channel_mixing(self.layer_norm(x, f"{i}_ln2"), state, i)
            return self.head(self.ln_out(x)).float(), state

    return Rwkv().eval(), {"token": _random(batch, below=50_277), "state": torch.rand(batch, 5 * 12, 768)}


def dreamer(batch: int) -> Made:
    """Dreamer imagines 15 steps: a GRU with a norm, 32 classes of 32, an actor, values; 64 starts for each."""

    def mlp(a: int, b: int, out: int, depth: int = 2) -> nn.Sequential:
        parts: list[nn.Module] = []
        for i in range(depth):
            parts += [nn.Linear(b if i else a, b, bias=False), nn.LayerNorm(b, eps=1e-3), nn.SiLU()]
        return nn.Sequential(*parts, nn.Linear(b, out))

    class GruCell(nn.Module):
        def __init__(self, a: int, size: int, update_bias: float = -1.0) -> None:
            super().__init__()
            self.update_bias = update_bias
            self.layer, self.norm = nn.Linear(a + size, 3 * size, bias=False), nn.LayerNorm(3 * size, eps=1e-3)

        def forward(self, x: Tensor, state: Tensor) -> Tensor:
            reset, candidate, update = torch.chunk(self.norm(self.layer(torch.cat([x, state], -1))), 3, -1)
            candidate = torch.tanh(torch.sigmoid(reset) * candidate)
            update = torch.sigmoid(update + self.update_bias)
            return update * candidate + (1 - update) * state

    class Dreamer(nn.Module):
        def __init__(self, deter: int = 512, hidden: int = 512, classes: int = 32, actions: int = 6) -> None:
            super().__init__()
            self.classes = classes
            stoch = classes * classes
            self.img_in = nn.Sequential(
                nn.Linear(stoch + actions, hidden, bias=False), nn.LayerNorm(hidden, eps=1e-3), nn.SiLU()
            )
            self.cell = GruCell(hidden, deter)
            self.prior = mlp(deter, hidden, stoch, 1)
            self.actor = mlp(deter + stoch, hidden, 2 * actions)
            self.reward, self.value, self.discount = (mlp(deter + stoch, hidden, 1) for _ in range(3))

        def sample(self, logits: Tensor) -> Tensor:
            logits = logits.reshape(*logits.shape[:-1], self.classes, self.classes)
            probs = 0.99 * F.softmax(logits, dim=-1) + 0.01 / self.classes
            return F.one_hot(probs.argmax(-1), self.classes).to(logits.dtype).flatten(-2)

        def forward(self, deter: Tensor, logits: Tensor) -> dict[str, Tensor]:
            stoch, feats, acts = self.sample(logits), [], []
            for _ in range(15):
                feat = torch.cat([stoch, deter], -1)
                mean, _ = self.actor(feat).chunk(2, dim=-1)
                action = torch.tanh(mean)
                feats.append(feat)
                acts.append(action)
                deter = self.cell(self.img_in(torch.cat([stoch, action], -1)), deter)
                stoch = self.sample(self.prior(deter))
            feats_t = torch.stack(feats, dim=0)
            reward, value = self.reward(feats_t).squeeze(-1), self.value(feats_t).squeeze(-1)
            discount = 0.997 * torch.sigmoid(self.discount(feats_t)).squeeze(-1)
            target = reward[:-1] + discount[:-1] * value[1:] * (1 - 0.95)
            last, returns = value[-1], []
            for t in reversed(range(target.shape[0])):
                last = target[t] + discount[t] * 0.95 * last
                returns.append(last)
            return {"returns": torch.stack(returns[::-1]), "actions": torch.stack(acts), "values": value}

    return Dreamer().eval(), {"deter": torch.rand(64 * batch, 512), "logits": torch.randn(64 * batch, 1024)}


def alpha_zero(batch: int) -> Made:
    """AlphaZero for Go: ten residual blocks of 128 over 19 x 19 points, a policy of what is legal, a value."""

    class ResBlock(nn.Module):
        def __init__(self, num_filters: int) -> None:
            super().__init__()
            self.conv_block1 = nn.Sequential(
                nn.Conv2d(num_filters, num_filters, kernel_size=3, stride=1, padding=1, bias=False),
                nn.BatchNorm2d(num_features=num_filters),
                nn.ReLU(),
            )
            self.conv_block2 = nn.Sequential(
                nn.Conv2d(num_filters, num_filters, kernel_size=3, stride=1, padding=1, bias=False),
                nn.BatchNorm2d(num_features=num_filters),
            )

        def forward(self, x: Tensor) -> Tensor:
            residual = x
            out = self.conv_block1(x)
            out = self.conv_block2(out)
            out += residual
            return F.relu(out)

    class AlphaZeroNet(nn.Module):
        def __init__(self, planes: int = 17, side: int = 19, blocks: int = 10, filters: int = 128) -> None:
            super().__init__()
            actions, points = side * side + 1, side * side
            self.stem = nn.Sequential(
                nn.Conv2d(planes, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters), nn.ReLU()
            )
            self.res_blocks = nn.Sequential(*[ResBlock(filters) for _ in range(blocks)])
            self.policy_head = nn.Sequential(
                *(nn.Conv2d(filters, 2, 1, bias=False), nn.BatchNorm2d(2), nn.ReLU()),
                *(nn.Flatten(), nn.Linear(2 * points, actions)),
            )
            self.value_head = nn.Sequential(
                *(nn.Conv2d(filters, 1, 1, bias=False), nn.BatchNorm2d(1), nn.ReLU(), nn.Flatten()),
                *(nn.Linear(points, 256), nn.ReLU(), nn.Linear(256, 1), nn.Tanh()),
            )

        def forward(self, board: Tensor, legal: Tensor) -> dict[str, Tensor]:
            features = self.res_blocks(self.stem(board))
            logits = self.policy_head(features)
            logits = logits.masked_fill(~legal, torch.finfo(logits.dtype).min)
            return {"policy": F.softmax(logits, dim=-1), "value": self.value_head(features).squeeze(1)}

    legal = _random(batch, 362, below=4) > 0
    legal[:, -1] = True
    return AlphaZeroNet().eval(), {"board": (torch.rand(batch, 17, 19, 19) > 0.7).float(), "legal": legal}


def deep_cross(batch: int) -> Made:
    """DCN-Mix: 26 tables of their own sizes, crosses by experts of low rank, an MLP; 512 rows for each."""
    sizes = [1460, 583, 100_000, 100_000, 305, 24, 12_517, 633, 3, 93_145, 5683, 100_000, 3194, 27, 14_992]
    sizes += [100_000, 10, 5652, 2173, 4, 100_000, 18, 15, 100_000, 105, 100_000]

    class CrossMix(nn.Module):
        def __init__(self, width: int, layers: int = 3, rank: int = 32, experts: int = 4) -> None:
            super().__init__()
            self.layers, self.experts = layers, experts
            self.U, self.V = (nn.Parameter(torch.randn(layers, experts, width, rank) * 0.05) for _ in range(2))
            self.C = nn.Parameter(torch.randn(layers, experts, rank, rank) * 0.05)
            self.bias = nn.Parameter(torch.zeros(layers, width, 1))
            self.gating = nn.ModuleList([nn.Linear(width, 1, bias=False) for _ in range(experts)])

        def forward(self, inputs: Tensor) -> Tensor:
            x_0 = inputs.unsqueeze(2)
            x_l = x_0
            for i in range(self.layers):
                outputs, scores = [], []
                for e in range(self.experts):
                    scores.append(self.gating[e](x_l.squeeze(2)))
                    v_x = torch.tanh(torch.matmul(self.V[i][e].t(), x_l))
                    v_x = torch.tanh(torch.matmul(self.C[i][e], v_x))
                    uv_x = torch.matmul(self.U[i][e], v_x) + self.bias[i]
                    outputs.append((x_0 * uv_x).squeeze(2))
                stacked, gates = torch.stack(outputs, 2), torch.stack(scores, 1)
                x_l = torch.matmul(stacked, gates.softmax(1)) + x_l
            return x_l.squeeze(2)

    class DCN(nn.Module):
        def __init__(self, dense: int = 13, dim: int = 16) -> None:
            super().__init__()
            self.embeddings = nn.ModuleDict({f"C{i + 1}": nn.Embedding(size, dim) for i, size in enumerate(sizes)})
            width = dense + dim * len(sizes)
            self.cross = CrossMix(width)
            layers: list[nn.Module] = []
            for a, b in zip([width, 512, 256], [512, 256, 128]):
                layers.extend([nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU(inplace=True), nn.Dropout(0.2)])
            self.dnn = nn.Sequential(*layers)
            self.dense_linear = nn.Linear(width + 128, 1, bias=False)

        def forward(self, sparse: Tensor, dense: Tensor) -> Tensor:
            found = [table(sparse[:, i : i + 1]) for i, table in enumerate(self.embeddings.values())]
            x = torch.cat([torch.log1p(dense), torch.flatten(torch.cat(found, dim=1), start_dim=1)], dim=-1)
            stack = torch.cat((self.cross(x), self.dnn(x)), dim=-1)
            return torch.sigmoid(self.dense_linear(stack)).squeeze(-1)

    n = 512 * batch
    sparse = torch.stack([_random(n, below=size) for size in sizes], dim=1)
    return DCN().eval(), {"sparse": sparse, "dense": torch.rand(n, 13)}


def fast_speech(batch: int) -> Made:
    """FastSpeech 2: 64 phonemes, each as many frames as its duration says, pitch and energy in bins."""

    class FFTBlock(nn.Module):
        def __init__(self, d: int, heads: int, inner: int, kernels: tuple[int, int] = (9, 1)) -> None:
            super().__init__()
            self.heads, self.d_k = heads, d // heads
            self.w_qs, self.w_ks, self.w_vs, self.fc = (nn.Linear(d, d) for _ in range(4))
            self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
            self.w_1 = nn.Conv1d(d, inner, kernels[0], padding=kernels[0] // 2)
            self.w_2 = nn.Conv1d(inner, d, kernels[1], padding=kernels[1] // 2)

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            b, length, _ = x.size()
            q, k, v = (
                w(x).view(b, length, self.heads, -1).permute(2, 0, 1, 3).contiguous().view(-1, length, self.d_k)
                for w in (self.w_qs, self.w_ks, self.w_vs)
            )
            attn = torch.bmm(q, k.transpose(1, 2)) / math.sqrt(self.d_k)
            attn = attn.masked_fill(mask.unsqueeze(1).expand(-1, length, -1).repeat(self.heads, 1, 1), -float("inf"))
            y = torch.bmm(torch.softmax(attn, dim=2), v).view(self.heads, b, length, self.d_k)
            y = self.fc(y.permute(1, 2, 0, 3).contiguous().view(b, length, -1))
            x = self.norm1(y + x).masked_fill(mask.unsqueeze(-1), 0)
            y = self.w_2(F.relu(self.w_1(x.transpose(1, 2)))).transpose(1, 2)
            return self.norm2(y + x).masked_fill(mask.unsqueeze(-1), 0)

    class VariancePredictor(nn.Module):
        def __init__(self, d: int, kernel: int = 3) -> None:
            super().__init__()
            self.conv1, self.conv2 = (nn.Conv1d(d, d, kernel, padding=kernel // 2) for _ in range(2))
            self.norm1, self.norm2, self.linear = nn.LayerNorm(d), nn.LayerNorm(d), nn.Linear(d, 1)

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            x = self.norm1(F.relu(self.conv1(x.transpose(1, 2)).transpose(1, 2)))
            x = self.norm2(F.relu(self.conv2(x.transpose(1, 2)).transpose(1, 2)))
            return self.linear(x).squeeze(-1).masked_fill(mask, 0.0)

    class FastSpeech2(nn.Module):
        pitch_bins: Tensor
        energy_bins: Tensor
        table: Tensor

        def __init__(self, d: int = 256, phonemes: int = 361, mels: int = 80) -> None:
            super().__init__()
            self.embed = nn.Embedding(phonemes, d, padding_idx=0)
            angles = torch.arange(1001)[:, None] / 10000 ** (torch.arange(0, d, 2) / d)
            self.register_buffer("table", torch.stack([angles.sin(), angles.cos()], -1).flatten(1))
            self.encoder = nn.ModuleList([FFTBlock(d, 2, 1024) for _ in range(4)])
            self.decoder = nn.ModuleList([FFTBlock(d, 2, 1024) for _ in range(6)])
            self.duration, self.pitch, self.energy = (VariancePredictor(d) for _ in range(3))
            self.register_buffer("pitch_bins", torch.linspace(-2.9, 11.4, 255))
            self.register_buffer("energy_bins", torch.linspace(-1.4, 8.3, 255))
            self.pitch_embedding, self.energy_embedding = nn.Embedding(256, d), nn.Embedding(256, d)
            self.mel_linear = nn.Linear(d, mels)
            sizes = [mels, 512, 512, 512, 512, mels]
            self.postnet = nn.ModuleList(
                nn.Sequential(nn.Conv1d(a, b, 5, padding=2), nn.BatchNorm1d(b)) for a, b in pairwise(sizes)
            )

        def forward(self, texts: Tensor, durations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            mask = texts == 0
            x = self.embed(texts) + self.table[None, : texts.shape[1]]
            for layer in self.encoder:
                x = layer(x, mask)
            log_duration = self.duration(x, mask)
            x = x + self.pitch_embedding(torch.bucketize(self.pitch(x, mask), self.pitch_bins))
            x = x + self.energy_embedding(torch.bucketize(self.energy(x, mask), self.energy_bins))
            frames = [torch.repeat_interleave(one, times, dim=0) for one, times in zip(x, durations)]
            lengths = durations.sum(1)
            x = pad_sequence(frames, batch_first=True)
            mask = torch.arange(x.shape[1], device=x.device)[None] >= lengths[:, None]
            x = x + self.table[None, : x.shape[1]]
            for layer in self.decoder:
                x = layer(x, mask)
            mel = self.mel_linear(x)
            y = mel.transpose(1, 2)
            for conv in self.postnet[:-1]:
                y = torch.tanh(conv(y))
            return mel, mel + self.postnet[-1](y).transpose(1, 2), log_duration

    texts, durations = _random(batch, 64, low=1, below=361), _random(batch, 64, low=2, below=10)
    return FastSpeech2().eval(), {"texts": texts, "durations": durations}


def slot_attention(batch: int) -> Made:
    """Slot attention: seven slots compete for 128 x 128 pixels, each is painted alone, masks join them."""

    class PositionEmbed(nn.Module):
        grid: Tensor

        def __init__(self, width: int, side: int) -> None:
            super().__init__()
            line = torch.linspace(0.0, 1.0, steps=side)
            grid = torch.stack(torch.meshgrid(line, line, indexing="ij"), dim=-1)[None]
            self.dense = nn.Linear(4, width)
            self.register_buffer("grid", torch.cat([grid, 1.0 - grid], dim=-1))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.dense(self.grid)

    class SlotAttention(nn.Module):
        def __init__(self, slots: int, dim: int, iters: int = 3, eps: float = 1e-4) -> None:
            super().__init__()
            self.iters, self.eps, self.scale = iters, eps, dim**-0.5
            self.slots_mu = nn.Parameter(torch.randn(1, slots, dim))
            self.to_q, self.to_k, self.to_v = (nn.Linear(dim, dim) for _ in range(3))
            self.gru = nn.GRUCell(dim, dim)
            self.fc1, self.fc2 = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)
            self.norm_input, self.norm_slots, self.norm_pre_ff = (nn.LayerNorm(dim) for _ in range(3))

        def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
            b, _, d = inputs.shape
            slots = self.slots_mu.expand(b, -1, -1)
            inputs = self.norm_input(inputs)
            k, v = self.to_k(inputs), self.to_v(inputs)
            for _ in range(self.iters):
                slots_prev = slots
                q = self.to_q(self.norm_slots(slots))
                dots = torch.einsum("bid,bjd->bij", q, k) * self.scale
                attn = dots.softmax(dim=1) + self.eps
                attn = attn / attn.sum(dim=-1, keepdim=True)
                updates = torch.einsum("bjd,bij->bid", v, attn)
                slots = self.gru(updates.reshape(-1, d), slots_prev.reshape(-1, d)).reshape(b, -1, d)
                slots = slots + self.fc2(F.relu(self.fc1(self.norm_pre_ff(slots))))
            return slots, attn

    class AutoEncoder(nn.Module):
        def __init__(self, side: int = 128, slots: int = 7, hid: int = 64) -> None:
            super().__init__()
            self.slots = slots
            self.conv1 = nn.Conv2d(3, hid, 5, padding=2)
            self.conv2, self.conv3, self.conv4 = (nn.Conv2d(hid, hid, 5, padding=2) for _ in range(3))
            self.encoder_pos, self.decoder_pos = PositionEmbed(hid, side), PositionEmbed(hid, 8)
            self.norm = nn.LayerNorm(hid)
            self.mlp = nn.Sequential(nn.Linear(hid, hid), nn.ReLU(), nn.Linear(hid, hid))
            self.slot_attention = SlotAttention(slots, hid)
            ups: list[nn.Module] = []
            for _ in range(4):
                ups += [nn.ConvTranspose2d(hid, hid, 5, stride=(2, 2), padding=2, output_padding=1), nn.ReLU()]
            self.decoder = nn.Sequential(
                *(*ups, nn.ConvTranspose2d(hid, hid, 5, stride=(1, 1), padding=2), nn.ReLU()),
                nn.ConvTranspose2d(hid, 4, 3, stride=(1, 1), padding=1),
            )

        def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            x = image
            for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
                x = F.relu(conv(x))
            x = self.encoder_pos(x.permute(0, 2, 3, 1))
            x = self.mlp(self.norm(torch.flatten(x, 1, 2)))
            slots, _ = self.slot_attention(x)
            x = slots.reshape((-1, slots.shape[-1])).unsqueeze(1).unsqueeze(2)
            x = self.decoder(self.decoder_pos(x.repeat((1, 8, 8, 1))).permute(0, 3, 1, 2))
            x = x.reshape(image.shape[0], self.slots, *x.shape[1:])
            recons, masks = x.split([3, 1], dim=2)
            masks = F.softmax(masks, dim=1)
            return torch.sum(recons * masks, dim=1), masks, slots

    return AutoEncoder().eval(), {"image": torch.rand(batch, 3, 128, 128)}


def searched_encoder(batch: int) -> Made:
    """An encoder as a search leaves it: each of nine layers has its own heads, its own MLP, its own norm."""
    choices = (
        *((5, 56, 1216, "gelu", "layer"), (7, 48, 992, "gelu", "rms"), (3, 72, 1504, "relu", "layer")),
        *((6, 48, 736, "silu", "rms"), (7, 40, 1216, "gelu", "layer"), (4, 64, 608, "relu", "layer")),
        *((6, 56, 1504, "silu", "rms"), (2, 88, 864, "gelu", "layer"), (5, 64, 1120, "gelu", "layer")),
    )

    class RMSNorm(nn.Module):
        def __init__(self, d: int, eps: float = 1e-5) -> None:
            super().__init__()
            self.scale, self.eps = nn.Parameter(torch.ones(d)), eps

        def forward(self, x: Tensor) -> Tensor:
            norm = x.float().norm(2, dim=-1, keepdim=True) * x.shape[-1] ** -0.5
            return (x / norm.clamp(min=self.eps).to(x.dtype)) * self.scale

    class Layer(nn.Module):
        def __init__(self, d: int, heads: int, head: int, inner: int, act: str, norm: str) -> None:
            super().__init__()
            self.heads, self.head = heads, head
            self.norm_a, self.norm_f = (RMSNorm(d) if norm == "rms" else nn.LayerNorm(d) for _ in range(2))
            self.query, self.key, self.value = (nn.Linear(d, heads * head) for _ in range(3))
            self.out, self.up, self.down = nn.Linear(heads * head, d), nn.Linear(d, inner), nn.Linear(inner, d)
            acts: dict[str, Callable[[Tensor], Tensor]] = {"gelu": F.gelu, "relu": F.relu, "silu": F.silu}
            self.act = acts[act]

        def forward(self, x: Tensor, bias: Tensor) -> Tensor:
            n, length, _ = x.shape
            y = self.norm_a(x)
            q = self.query(y).view(n, length, self.heads, self.head).transpose(1, 2)
            k = self.key(y).view(n, length, self.heads, self.head).permute(0, 2, 3, 1)
            v = self.value(y).view(n, length, self.heads, self.head).transpose(1, 2)
            p = torch.softmax(q @ k * self.head**-0.5 + bias, dim=-1)
            x = x + self.out((p @ v).transpose(1, 2).flatten(2))
            return x + self.down(self.act(self.up(self.norm_f(x))))

    class Encoder(nn.Module):
        def __init__(self, words: int = 30_522, factor: int = 136, d: int = 424, labels: int = 3) -> None:
            super().__init__()
            self.word, self.place = nn.Embedding(words, factor), nn.Embedding(512, factor)
            self.kind, self.widen = nn.Embedding(2, factor), nn.Linear(factor, d)
            self.layers = nn.ModuleList([Layer(d, *choice) for choice in choices])
            self.norm, self.pooler, self.classifier = nn.LayerNorm(d), nn.Linear(d, d), nn.Linear(d, labels)

        def forward(self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor) -> Tensor:
            places = torch.arange(input_ids.size(1), device=input_ids.device)
            x = self.widen(self.word(input_ids) + self.kind(token_type_ids) + self.place(places))
            bias = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * -10000.0
            for layer in self.layers:
                x = layer(x, bias)
            return self.classifier(torch.tanh(self.pooler(self.norm(x)[:, 0])))

    ids, kinds, mask = _random(batch, 160, below=30_522), _random(batch, 160, below=2), torch.ones(batch, 160).long()
    mask[:, 131:] = 0
    return Encoder().eval(), {"input_ids": ids, "token_type_ids": kinds, "attention_mask": mask}


def equivariant(batch: int) -> Made:
    """EGNN: seven rounds move atoms and what they know by distances; 32 molecules of 18 for each."""

    def unsorted_segment_sum(data: Tensor, segment_ids: Tensor, num_segments: int) -> Tensor:
        result = data.new_full((num_segments, data.size(1)), 0)
        segment_ids = segment_ids.unsqueeze(-1).expand(-1, data.size(1))
        result.scatter_add_(0, segment_ids, data)
        return result

    def unsorted_segment_mean(data: Tensor, segment_ids: Tensor, num_segments: int) -> Tensor:
        segment_ids = segment_ids.unsqueeze(-1).expand(-1, data.size(1))
        result, count = (data.new_full((num_segments, data.size(1)), 0) for _ in range(2))
        result.scatter_add_(0, segment_ids, data)
        count.scatter_add_(0, segment_ids, torch.ones_like(data))
        return result / count.clamp(min=1)

    class E_GCL(nn.Module):  # noqa: N801
        def __init__(self, nf: int) -> None:
            super().__init__()
            act = nn.SiLU()
            self.edge_mlp = nn.Sequential(nn.Linear(2 * nf + 1, nf), act, nn.Linear(nf, nf), act)
            self.node_mlp = nn.Sequential(nn.Linear(2 * nf, nf), act, nn.Linear(nf, nf))
            self.coord_mlp = nn.Sequential(nn.Linear(nf, nf), act, nn.Linear(nf, 1, bias=False), nn.Tanh())
            self.att_mlp = nn.Sequential(nn.Linear(nf, 1), nn.Sigmoid())

        def forward(self, h: Tensor, edge_index: Tensor, coord: Tensor) -> tuple[Tensor, Tensor]:
            row, col = edge_index
            coord_diff = coord[row] - coord[col]
            radial = torch.sum(coord_diff**2, 1).unsqueeze(1)
            coord_diff = coord_diff / (torch.sqrt(radial) + 1.0)
            edge_feat = self.edge_mlp(torch.cat([h[row], h[col], radial], dim=1))
            edge_feat = edge_feat * self.att_mlp(edge_feat)
            trans = coord_diff * self.coord_mlp(edge_feat)
            coord = coord + unsorted_segment_mean(trans, row, num_segments=coord.size(0))
            agg = unsorted_segment_sum(edge_feat, row, num_segments=h.size(0))
            return h + self.node_mlp(torch.cat([h, agg], dim=1)), coord

    class EGNN(nn.Module):
        def __init__(self, in_node_nf: int = 15, hidden_nf: int = 128, n_layers: int = 7) -> None:
            super().__init__()
            self.n_layers = n_layers
            self.embedding = nn.Linear(in_node_nf, hidden_nf)
            for i in range(n_layers):
                self.add_module(f"gcl_{i}", E_GCL(hidden_nf))
            self.node_dec = nn.Sequential(nn.Linear(hidden_nf, hidden_nf), nn.SiLU(), nn.Linear(hidden_nf, hidden_nf))
            self.graph_dec = nn.Sequential(nn.Linear(hidden_nf, hidden_nf), nn.SiLU(), nn.Linear(hidden_nf, 1))

        def forward(self, h0: Tensor, x: Tensor, edges: Tensor, node_mask: Tensor) -> tuple[Tensor, Tensor]:
            h = self.embedding(h0)
            for i in range(self.n_layers):
                h, x = self._modules[f"gcl_{i}"](h, edges, x)  # type: ignore[misc]
            h = self.node_dec(h) * node_mask
            h = torch.sum(h.view(-1, 18, h.size(1)), dim=1)
            return self.graph_dec(h).squeeze(1), x

    n, atoms = 32 * batch, 18
    one = torch.tensor([(i, j) for i in range(atoms) for j in range(atoms) if i != j], device="cpu").t()
    edges = (one[:, None, :] + atoms * torch.arange(n, device="cpu")[None, :, None]).reshape(2, -1)
    inputs = {"h0": torch.rand(n * atoms, 15), "x": torch.randn(n * atoms, 3), "edges": edges}
    return EGNN().eval(), {**inputs, "node_mask": torch.ones(n * atoms, 1)}


def probabilistic_forecast(batch: int) -> Made:
    """DeepAR: an LSTM of three layers reads 168 hours, then 24 one by one, each from the last; 16 series."""

    class DeepAR(nn.Module):
        def __init__(self, series: int = 370, covariates: int = 4, hidden: int = 64, layers: int = 3) -> None:
            super().__init__()
            self.embedding = nn.Embedding(series, 20)
            self.lstm = nn.LSTM(1 + covariates + 20, hidden, layers, dropout=0.1)
            self.distribution_mu = nn.Linear(hidden * layers, 1)
            self.distribution_presigma = nn.Linear(hidden * layers, 1)

        def forward(self, past: Tensor, known: Tensor, series: Tensor) -> tuple[Tensor, Tensor]:
            steps = past.shape[1]
            scale = 1 + past.abs().mean(1, keepdim=True)
            who = self.embedding(series).unsqueeze(1).expand(-1, known.shape[1], -1)
            context = torch.cat([known, who], dim=-1).transpose(0, 1)
            z = (past / scale).transpose(0, 1).unsqueeze(-1)
            _, (hidden, cell) = self.lstm(torch.cat([z, context[:steps]], dim=-1))
            mus, sigmas = [], []
            for t in range(steps, known.shape[1]):
                last = hidden.permute(1, 2, 0).contiguous().view(hidden.shape[1], -1)
                mu = self.distribution_mu(last)
                sigma = F.softplus(self.distribution_presigma(last))
                mus.append(mu * scale)
                sigmas.append(sigma * scale)
                x = torch.cat([mu, context[t]], dim=-1).unsqueeze(0)
                _, (hidden, cell) = self.lstm(x, (hidden, cell))
            return torch.cat(mus, dim=1), torch.cat(sigmas, dim=1)

    n = 16 * batch
    inputs = {"past": torch.rand(n, 168), "known": torch.rand(n, 192, 4), "series": _random(n, below=370)}
    return DeepAR().eval(), inputs


def depth_mixture(batch: int) -> Made:
    """A mixture of depths: in every second of twelve layers of 512 a router lets 64 of 384 tokens through."""

    class CausalSelfAttention(nn.Module):
        def __init__(self, n_embd: int, n_head: int) -> None:
            super().__init__()
            self.c_attn, self.c_proj = nn.Linear(n_embd, 3 * n_embd), nn.Linear(n_embd, n_embd)
            self.n_head, self.n_embd = n_head, n_embd

        def forward(self, x: Tensor) -> Tensor:
            B, T, C = x.size()  # noqa: N806
            q, k, v = self.c_attn(x).split(self.n_embd, dim=2)
            q, k, v = (t.view(B, T, self.n_head, C // self.n_head).transpose(1, 2) for t in (q, k, v))
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=True)
            return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))

    class Block(nn.Module):
        def __init__(self, n_embd: int, n_head: int = 8) -> None:
            super().__init__()
            self.ln_1, self.ln_2 = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)
            self.attn = CausalSelfAttention(n_embd, n_head)
            self.mlp = nn.Sequential(nn.Linear(n_embd, 4 * n_embd), nn.GELU("tanh"), nn.Linear(4 * n_embd, n_embd))

        def forward(self, x: Tensor) -> Tensor:
            x = x + self.attn(self.ln_1(x))
            return x + self.mlp(self.ln_2(x))

    class Routed(nn.Module):
        def __init__(self, block: nn.Module, n_embd: int, capacity: int) -> None:
            super().__init__()
            self.block, self.router, self.capacity = block, nn.Linear(n_embd, 1, bias=False), capacity

        def forward(self, x: Tensor) -> Tensor:
            weights = self.router(x).squeeze(-1)
            _, chosen = torch.topk(weights, self.capacity, dim=1, sorted=False)
            chosen, _ = torch.sort(chosen, dim=1)
            where = chosen.unsqueeze(-1).expand(-1, -1, x.size(-1))
            tokens = torch.gather(x, 1, where)
            gate = torch.gather(weights, 1, chosen).sigmoid().unsqueeze(-1)
            return torch.scatter(x, 1, where, tokens + gate * (self.block(tokens) - tokens))

    class GPT(nn.Module):
        def __init__(self, vocab: int = 32_000, n_embd: int = 512, layers: int = 12, capacity: int = 64) -> None:
            super().__init__()
            self.wte, self.wpe = nn.Embedding(vocab, n_embd), nn.Embedding(1024, n_embd)
            blocks = (Block(n_embd) for _ in range(layers))
            self.h = nn.ModuleList(Routed(b, n_embd, capacity) if i % 2 else b for i, b in enumerate(blocks))
            self.ln_f = nn.LayerNorm(n_embd)
            self.lm_head = nn.Linear(n_embd, vocab, bias=False)
            self.wte.weight = self.lm_head.weight

        def forward(self, idx: Tensor) -> Tensor:
            x = self.wte(idx) + self.wpe(torch.arange(0, idx.size(1), dtype=torch.long, device=idx.device))
            for block in self.h:
                x = block(x)
            return self.lm_head(self.ln_f(x[:, [-1], :]))

    return GPT().eval(), {"idx": _random(batch, 384, below=32_000)}


def wave_denoiser(batch: int) -> Made:
    """A Demucs for speech: a second of sound, upsampled by sincs, five strided levels, an LSTM, and back."""

    def sinc_kernel(zeros: int = 56) -> Tensor:
        window = torch.hann_window(4 * zeros + 1, periodic=False)[1::2]
        t = torch.linspace(-zeros + 0.5, zeros - 0.5, 2 * zeros) * math.pi
        return (torch.sin(t) / t * window).view(1, 1, -1)

    class Demucs(nn.Module):
        kernel: Tensor

        def __init__(self, hidden: int = 48, depth: int = 5, kernel_size: int = 8, stride: int = 4) -> None:
            super().__init__()
            self.depth, self.kernel_size, self.stride, self.resample = depth, kernel_size, stride, 4
            self.register_buffer("kernel", sinc_kernel())
            self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
            chin, chout, ch = 1, 1, hidden
            for index in range(depth):
                encode: list[nn.Module] = [nn.Conv1d(chin, ch, kernel_size, stride), nn.ReLU()]
                encode += [nn.Conv1d(ch, ch * 2, 1), nn.GLU(1)]
                self.encoder.append(nn.Sequential(*encode))
                decode: list[nn.Module] = [nn.Conv1d(ch, 2 * ch, 1), nn.GLU(1)]
                decode += [nn.ConvTranspose1d(ch, chout, kernel_size, stride)]
                if index > 0:
                    decode.append(nn.ReLU())
                self.decoder.insert(0, nn.Sequential(*decode))
                chin, chout, ch = ch, ch, 2 * ch
            self.lstm = nn.LSTM(chin, chin, num_layers=2)

        def valid_length(self, length: int) -> int:
            length = length * self.resample
            for _ in range(self.depth):
                length = max(math.ceil((length - self.kernel_size) / self.stride) + 1, 1)
            for _ in range(self.depth):
                length = (length - 1) * self.stride + self.kernel_size
            return math.ceil(length / self.resample)

        def upsample2(self, x: Tensor) -> Tensor:
            *other, time = x.shape
            zeros = self.kernel.shape[-1] // 2
            out = F.conv1d(x.view(-1, 1, time), self.kernel, padding=zeros)[..., 1:].view(*other, time)
            return torch.stack([x, out], dim=-1).view(*other, -1)

        def downsample2(self, x: Tensor) -> Tensor:
            if x.shape[-1] % 2 != 0:
                x = F.pad(x, (0, 1))
            xeven, xodd = x[..., ::2], x[..., 1::2]
            *other, time = xodd.shape
            zeros = self.kernel.shape[-1] // 2
            out = F.conv1d(xodd.reshape(-1, 1, time), self.kernel, padding=zeros)[..., :-1].view(*other, time)
            return (xeven + out).view(*other, -1).mul(0.5)

        def forward(self, mix: Tensor) -> Tensor:
            mix = mix.unsqueeze(1)
            std = mix.mean(dim=1, keepdim=True).std(dim=-1, keepdim=True)
            length = mix.shape[-1]
            x = F.pad(mix / (0.001 + std), (0, self.valid_length(length) - length))
            x = self.upsample2(self.upsample2(x))
            skips = []
            for encode in self.encoder:
                x = encode(x)
                skips.append(x)
            x = x.permute(2, 0, 1)
            x, _ = self.lstm(x)
            x = x.permute(1, 2, 0)
            for decode in self.decoder:
                skip = skips.pop(-1)
                x = x + skip[..., : x.shape[-1]]
                x = decode(x)
            x = self.downsample2(self.downsample2(x))
            return std * x[..., :length]

    return Demucs().eval(), {"mix": torch.randn(batch, 16_000)}


def tab_net(batch: int) -> Made:
    """TabNet: five steps, each looks at the columns that a sparsemax picks; 128 rows of 54 for each."""

    class Sparsemax(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            z = z - z.max(dim=-1, keepdim=True)[0]
            zs = torch.sort(z, dim=-1, descending=True)[0]
            k = torch.arange(1, z.size(-1) + 1, device=z.device, dtype=z.dtype).view(1, -1)
            bound = 1 + k * zs
            cumulative = torch.cumsum(zs, -1)
            is_gt = torch.gt(bound, cumulative).to(z.dtype)
            support = torch.max(is_gt * k, -1, keepdim=True)[0]
            tau = (torch.sum(is_gt * zs, -1, keepdim=True) - 1) / support
            return torch.max(torch.zeros_like(z), z - tau)

    class GhostNorm(nn.Module):
        def __init__(self, width: int, virtual_batch: int = 128) -> None:
            super().__init__()
            self.bn, self.virtual_batch = nn.BatchNorm1d(width, momentum=0.01), virtual_batch

        def forward(self, x: Tensor) -> Tensor:
            chunks = x.chunk(math.ceil(x.shape[0] / self.virtual_batch), 0)
            return torch.cat([self.bn(chunk) for chunk in chunks], dim=0)

    class GluLayer(nn.Module):
        def __init__(self, a: int, b: int, fc: nn.Linear | None = None) -> None:
            super().__init__()
            self.b, self.fc, self.bn = b, fc or nn.Linear(a, 2 * b, bias=False), GhostNorm(2 * b)

        def forward(self, x: Tensor) -> Tensor:
            x = self.bn(self.fc(x))
            return torch.mul(x[:, : self.b], torch.sigmoid(x[:, self.b :]))

    class FeatTransformer(nn.Module):
        def __init__(self, a: int, b: int, shared: list[nn.Linear]) -> None:
            super().__init__()
            self.layers = nn.ModuleList(
                [GluLayer(a, b, shared[0]), GluLayer(b, b, shared[1]), GluLayer(b, b), GluLayer(b, b)]
            )

        def forward(self, x: Tensor) -> Tensor:
            x = self.layers[0](x)
            for layer in self.layers[1:]:
                x = torch.add(x, layer(x)) * math.sqrt(0.5)
            return x

    class TabNet(nn.Module):
        def __init__(self, a: int = 54, classes: int = 7, n_d: int = 64, n_a: int = 64, steps: int = 5) -> None:
            super().__init__()
            self.n_d, self.gamma = n_d, 1.5
            b = n_d + n_a
            shared = [nn.Linear(a, 2 * b, bias=False), nn.Linear(b, 2 * b, bias=False)]
            self.initial_bn, self.initial_splitter = nn.BatchNorm1d(a), FeatTransformer(a, b, shared)
            self.feat_transformers = nn.ModuleList([FeatTransformer(a, b, shared) for _ in range(steps)])
            self.att_fc = nn.ModuleList([nn.Linear(n_a, a, bias=False) for _ in range(steps)])
            self.att_bn = nn.ModuleList([GhostNorm(a) for _ in range(steps)])
            self.selector, self.final = Sparsemax(), nn.Linear(n_d, classes, bias=False)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            x = self.initial_bn(x)
            prior = torch.ones(x.shape).to(x)
            explained = torch.zeros(x.shape).to(x)
            att = self.initial_splitter(x)[:, self.n_d :]
            total: Tensor | float = 0
            for step, transformer in enumerate(self.feat_transformers):
                mask = self.selector(torch.mul(self.att_bn[step](self.att_fc[step](att)), prior))
                prior = torch.mul(self.gamma - mask, prior)
                out = transformer(torch.mul(mask, x))
                d = F.relu(out[:, : self.n_d])
                total = torch.add(d, total)
                explained += mask * torch.sum(d, dim=1).unsqueeze(dim=1)
                att = out[:, self.n_d :]
            return {"logits": self.final(total), "explained": explained}

    return TabNet().eval(), {"x": torch.randn(128 * batch, 54)}
