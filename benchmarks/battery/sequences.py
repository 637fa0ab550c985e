"""Nets of the battery over sequences: recurrent, dilated, state-space, decoding with a cache, fused encoders."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Made = tuple[nn.Module, dict[str, Tensor]]


def _ids(batch: int, length: int, most: int = 1000) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(0)
    return torch.randint(1, most, (batch, length), generator=generator, device="cpu")


class _Stepped(nn.Module):
    """A recurrent cell, called once a step from Python."""

    def __init__(self, cell: nn.Module, width: int) -> None:
        super().__init__()
        self.embed, self.cell, self.head = nn.Embedding(1000, width), cell, nn.Linear(width, 1000)
        self.width = width

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        state = x.new_zeros(x.shape[0], self.width)
        memory = state
        found = []
        for step in range(x.shape[1]):
            if isinstance(self.cell, nn.LSTMCell):
                state, memory = self.cell(x[:, step], (state, memory))
            else:
                state = self.cell(x[:, step], state)
            found.append(state)
        return self.head(torch.stack(found, dim=1))


def lstm_cells(batch: int) -> Made:
    """An LSTM cell over 48 steps, each a call from Python."""
    return _Stepped(nn.LSTMCell(256, 256), 256).eval(), {"ids": _ids(batch, 48)}


def gru_cells(batch: int) -> Made:
    """A GRU cell over 48 steps, each a call from Python."""
    return _Stepped(nn.GRUCell(384, 384), 384).eval(), {"ids": _ids(batch, 48)}


def written_out_cells(batch: int) -> Made:
    """A minimal gated cell of single operators over 32 steps."""

    class Gated(nn.Module):
        def __init__(self, width: int = 256) -> None:
            super().__init__()
            self.embed = nn.Embedding(1000, width)
            self.gate, self.new, self.head = (nn.Linear(2 * width, width) for _ in range(3))

        def forward(self, ids: Tensor) -> Tensor:
            x = self.embed(ids)
            h = torch.zeros_like(x[:, 0])
            for step in range(x.shape[1]):
                both = torch.cat([x[:, step], h], dim=-1)
                z = torch.sigmoid(self.gate(both))
                h = (1 - z) * h + z * torch.tanh(self.new(both))
            return self.head(torch.cat([h, x[:, -1]], dim=-1))

    return Gated().eval(), {"ids": _ids(batch, 32)}


def two_way_lstm(batch: int) -> Made:
    """Two layers of an LSTM in both directions over 96 tokens, a tagger's head."""

    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(1000, 200)
            self.rnn = nn.LSTM(200, 256, num_layers=2, bidirectional=True, batch_first=True)
            self.head = nn.Linear(512, 20)

        def forward(self, ids: Tensor) -> Tensor:
            return self.head(self.rnn(self.embed(ids))[0])

    return Tagger().eval(), {"ids": _ids(batch, 96)}


def deep_gru(batch: int) -> Made:
    """Four layers of a GRU over 200 frames of 80 features."""

    class Listener(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.GRU(80, 320, num_layers=4, batch_first=True), nn.Linear(320, 40)

        def forward(self, frames: Tensor) -> Tensor:
            return self.head(self.rnn(frames)[0]).log_softmax(dim=-1)

    return Listener().eval(), {"frames": torch.rand(batch, 200, 80)}


def attentive_translator(batch: int) -> Made:
    """A GRU encoder, and a decoder of cells with additive attention over 24 steps."""

    class Translator(nn.Module):
        def __init__(self, width: int = 256) -> None:
            super().__init__()
            self.embed = nn.Embedding(1000, width)
            self.encoder = nn.GRU(width, width, batch_first=True)
            self.keys, self.query, self.score = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, 1)
            self.cell, self.head = nn.GRUCell(2 * width, width), nn.Linear(width, 1000)

        def forward(self, ids: Tensor, given: Tensor) -> Tensor:
            memory, last = self.encoder(self.embed(ids))
            keys, state, found = self.keys(memory), last[0], []
            for word in self.embed(given).unbind(dim=1):
                scores = self.score(torch.tanh(keys + self.query(state)[:, None]))
                context = (scores.softmax(dim=1) * memory).sum(dim=1)
                state = self.cell(torch.cat([word, context], dim=-1), state)
                found.append(self.head(state))
            return torch.stack(found, dim=1)

    return Translator().eval(), {"ids": _ids(batch, 40), "given": _ids(batch, 24)}


def wavenet(batch: int) -> Made:
    """WaveNet: 20 gated dilated convolutions with skips over 4000 samples."""

    class Wavenet(nn.Module):
        def __init__(self, c: int = 64, skip: int = 128) -> None:
            super().__init__()
            self.first = nn.Conv1d(1, c, 1)
            self.dilations = [2 ** (i % 10) for i in range(20)]
            self.gates = nn.ModuleList(nn.Conv1d(c, 2 * c, 2, dilation=d) for d in self.dilations)
            self.mixes = nn.ModuleList(nn.Conv1d(c, c + skip, 1) for _ in self.dilations)
            self.last = nn.Sequential(nn.ReLU(), nn.Conv1d(skip, skip, 1), nn.ReLU(), nn.Conv1d(skip, 256, 1))
            self.c = c

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            total: Tensor | None = None
            for dilation, gate, mix in zip(self.dilations, self.gates, self.mixes):
                a, b = gate(F.pad(x, (dilation, 0))).chunk(2, dim=1)
                y = mix(torch.tanh(a) * torch.sigmoid(b))
                x = x + y[:, : self.c]
                total = y[:, self.c :] if total is None else total + y[:, self.c :]
            return self.last(total)

    return Wavenet().eval(), {"x": torch.rand(batch, 1, 4000)}


def temporal_convolutions(batch: int) -> Made:
    """A TCN: pairs of causal dilated convolutions with cut ends, over 512 steps."""

    class Pair(nn.Module):
        def __init__(self, a: int, b: int, dilation: int) -> None:
            super().__init__()
            self.pad = 2 * dilation
            self.one = nn.Conv1d(a, b, 3, padding=self.pad, dilation=dilation)
            self.two = nn.Conv1d(b, b, 3, padding=self.pad, dilation=dilation)
            self.skip = nn.Conv1d(a, b, 1) if a != b else nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            y = F.relu(self.one(x)[:, :, : -self.pad])
            y = F.relu(self.two(y)[:, :, : -self.pad])
            return F.relu(self.skip(x) + y)

    widths = [32, *[128] * 7]
    module = nn.Sequential(*(Pair(a, b, 2**i) for i, (a, b) in enumerate(pairwise(widths))), nn.Conv1d(128, 10, 1))
    return module.eval(), {"input": torch.rand(batch, 32, 512)}


def separable_speech(batch: int) -> Made:
    """Conv-TasNet's separator: depthwise dilated convolutions, PReLU, global norms."""

    class Block(nn.Module):
        def __init__(self, c: int, wide: int, dilation: int) -> None:
            super().__init__()
            self.body = nn.Sequential(
                *(nn.Conv1d(c, wide, 1), nn.PReLU(), nn.GroupNorm(1, wide)),
                nn.Conv1d(wide, wide, 3, padding=dilation, dilation=dilation, groups=wide),
                *(nn.PReLU(), nn.GroupNorm(1, wide), nn.Conv1d(wide, c, 1)),
            )

        def forward(self, x: Tensor) -> Tensor:
            return x + self.body(x)

    module = nn.Sequential(
        *(nn.Conv1d(1, 256, 16, 8), nn.ReLU(), nn.GroupNorm(1, 256), nn.Conv1d(256, 128, 1)),
        *(Block(128, 256, 2 ** (i % 8)) for i in range(16)),
        *(nn.Conv1d(128, 256, 1), nn.Sigmoid(), nn.ConvTranspose1d(256, 1, 16, 8)),
    )
    return module.eval(), {"input": torch.rand(batch, 1, 8000)}


def vocoder(batch: int) -> Made:
    """HiFi-GAN's generator: transposed convolutions, residual dilated ones in three widths, 40 frames."""

    class Branch(nn.Module):
        def __init__(self, c: int, size: int) -> None:
            super().__init__()
            self.convs = nn.ModuleList(
                nn.Conv1d(c, c, size, padding=d * (size - 1) // 2, dilation=d) for d in (1, 3, 5)
            )

        def forward(self, x: Tensor) -> Tensor:
            for conv in self.convs:
                x = x + conv(F.leaky_relu(x, 0.1))
            return x

    class Vocoder(nn.Module):
        def __init__(self, c: int = 256) -> None:
            super().__init__()
            self.first = nn.Conv1d(80, c, 7, padding=3)
            rates = (8, 8, 2, 2)
            self.up = nn.ModuleList(
                nn.ConvTranspose1d(c >> i, c >> (i + 1), 2 * r, r, r // 2) for i, r in enumerate(rates)
            )
            self.branches = nn.ModuleList(
                nn.ModuleList(Branch(c >> (i + 1), s) for s in (3, 7, 11)) for i in range(len(rates))
            )
            self.last = nn.Conv1d(c >> len(rates), 1, 7, padding=3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            for up, branches in zip(self.up, self.branches):
                x = up(F.leaky_relu(x, 0.1))
                x = sum(branch(x) for branch in branches) / len(branches)
            return torch.tanh(self.last(F.leaky_relu(x)))

    return Vocoder().eval(), {"x": torch.rand(batch, 80, 40)}


def sound_encoder(batch: int) -> Made:
    """A neural codec's encoder: strided 1-D convolutions, ELU, an LSTM, the nearest codes of four stages."""

    class Codec(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layers: list[nn.Module] = [nn.Conv1d(1, 32, 7, padding=3)]
            c = 32
            for stride in (2, 4, 5, 8):
                layers += [nn.ELU(), nn.Conv1d(c, c, 3, padding=1), nn.ELU()]
                layers += [nn.Conv1d(c, 2 * c, 2 * stride, stride, stride // 2)]
                c *= 2
            self.layers, self.rnn = nn.Sequential(*layers), nn.LSTM(c, c, batch_first=True)
            self.out, self.books = nn.Linear(c, 128), nn.ModuleList(nn.Embedding(1024, 128) for _ in range(4))

        def forward(self, x: Tensor) -> Tensor:
            rest = self.out(self.rnn(self.layers(x).transpose(1, 2))[0])
            codes = []
            for book in self.books:
                code = torch.cdist(rest.float(), book.weight.float()[None]).argmin(dim=-1)
                rest = rest - book(code)
                codes.append(code)
            return torch.stack(codes, dim=-1)

    return Codec().eval(), {"x": torch.rand(batch, 1, 16_000)}


def spectrogram_net(batch: int) -> Made:
    """A sound classifier: depthwise 1-D convolutions in blocks (QuartzNet's kind) over 400 frames."""
    layers: list[nn.Module] = [nn.Conv1d(64, 256, 33, 2, 16), nn.BatchNorm1d(256), nn.ReLU()]
    for size in (33, 39, 51, 63):
        for _ in range(3):
            layers += [nn.Conv1d(256, 256, size, padding=size // 2, groups=256), nn.Conv1d(256, 256, 1)]
            layers += [nn.BatchNorm1d(256), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv1d(256, 29, 1)).eval(), {"input": torch.rand(batch, 64, 400)}


class _Decoder(nn.Module):
    """Layers of a decoder that take one new token and the keys and values of those before."""

    def __init__(self, width: int, heads: int, layers: int, static: bool) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(1000, width), nn.Linear(width, 1000, bias=False)
        self.qkv = nn.ModuleList(nn.Linear(width, 3 * width) for _ in range(layers))
        self.out = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.up = nn.ModuleList(nn.Linear(width, 4 * width) for _ in range(layers))
        self.down = nn.ModuleList(nn.Linear(4 * width, width) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * layers))
        self.heads, self.static = heads, static

    def forward(self, ids: Tensor, keys: Tensor, values: Tensor, position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.embed(ids)
        n, s, width = x.shape
        mask = None
        if self.static:
            mask = (torch.arange(keys.shape[3], device=x.device) <= position)[None, None, None]
        new_keys, new_values = [], []
        for i, (qkv, out, up, down) in enumerate(zip(self.qkv, self.out, self.up, self.down)):
            parts = qkv(self.norms[2 * i](x)).view(n, s, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            q, k, v = parts.unbind(0)
            if self.static:
                k, v = keys[i].index_copy(2, position, k), values[i].index_copy(2, position, v)
            else:
                k, v = torch.cat([keys[i], k], dim=2), torch.cat([values[i], v], dim=2)
            new_keys.append(k)
            new_values.append(v)
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
            x = x + out(y.transpose(1, 2).reshape(n, s, width))
            x = x + down(F.gelu(up(self.norms[2 * i + 1](x))))
        return self.head(x), torch.stack(new_keys), torch.stack(new_values)


def _decode(batch: int, width: int, layers: int, length: int, static: bool) -> Made:
    heads = width // 64
    cache = (layers, batch, heads, length, 64)
    inputs = {
        **{"ids": _ids(batch, 1), "keys": torch.rand(cache), "values": torch.rand(cache)},
        "position": torch.tensor([length - 1], device="cpu"),
    }
    return _Decoder(width, heads, layers, static).eval(), inputs


def decode_concatenated(batch: int) -> Made:
    """One token, keys and values concatenated to those of 255 before: 12 layers of 768."""
    return _decode(batch, 768, 12, 255, static=False)


def decode_concatenated_short(batch: int) -> Made:
    """One token behind 63 others, 6 layers of 512."""
    return _decode(batch, 512, 6, 63, static=False)


def decode_static(batch: int) -> Made:
    """One token, keys and values written into a cache of 256 places: 12 layers of 768."""
    return _decode(batch, 768, 12, 256, static=True)


def decode_static_long(batch: int) -> Made:
    """One token in a cache of 1024 places, 8 layers of 512."""
    return _decode(batch, 512, 8, 1024, static=True)


def _encoder(width: int, heads: int, layers: int, norm_first: bool = False) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(width, heads, 4 * width, 0.1, "gelu", batch_first=True, norm_first=norm_first)
    return nn.TransformerEncoder(layer, layers)


def fused_encoder(batch: int) -> Made:
    """torch's own encoder on its fused path: 6 layers of 512, 128 tokens."""
    return _encoder(512, 8, 6).eval(), {"src": torch.rand(batch, 128, 512)}


def fused_encoder_padded(batch: int) -> Made:
    """torch's own encoder with a padding mask: nested tensors on its fused path."""

    class Padded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.encoder = nn.Embedding(1000, 256), _encoder(256, 4, 4)

        def forward(self, ids: Tensor) -> Tensor:
            return self.encoder(self.embed(ids), src_key_padding_mask=ids == 0)

    ids = _ids(batch, 64)
    ids[:, 48:] = 0
    return Padded().eval(), {"ids": ids}


def unfused_encoder(batch: int) -> Made:
    """torch's own encoder, norms first, six layers of 384 whose fused path an ELU rules out."""
    layer = nn.TransformerEncoderLayer(384, 6, 1536, 0.1, F.elu, batch_first=True, norm_first=True)
    return nn.TransformerEncoder(layer, 6).eval(), {"src": torch.rand(batch, 100, 384)}


def torch_translator(batch: int) -> Made:
    """torch's own transformer, encoder and decoder, with a causal mask."""

    class Translator(nn.Module):
        mask: Tensor

        def __init__(self, width: int = 256) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(1000, width), nn.Linear(width, 1000)
            self.body = nn.Transformer(width, 4, 3, 3, 1024, batch_first=True)
            self.register_buffer("mask", torch.full((48, 48), float("-inf")).triu(1))

        def forward(self, ids: Tensor, given: Tensor) -> Tensor:
            return self.head(self.body(self.embed(ids), self.embed(given), tgt_mask=self.mask))

    return Translator().eval(), {"ids": _ids(batch, 64), "given": _ids(batch, 48)}


class _SelectiveScan(nn.Module):
    def __init__(self, width: int, states: int = 16) -> None:
        super().__init__()
        inner = 2 * width
        self.norm, self.inward, self.outward = nn.LayerNorm(width), nn.Linear(width, 2 * inner), nn.Linear(inner, width)
        self.conv = nn.Conv1d(inner, inner, 4, padding=3, groups=inner)
        self.select, self.step = nn.Linear(inner, 2 * states + 8), nn.Linear(8, inner)
        self.log_a = nn.Parameter(torch.log(torch.arange(1.0, states + 1).repeat(inner, 1)))
        self.d, self.states = nn.Parameter(torch.ones(inner)), states

    def forward(self, x: Tensor) -> Tensor:
        u, gate = self.inward(self.norm(x)).chunk(2, dim=-1)
        u = F.silu(self.conv(u.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2))
        b, c, rank = self.select(u).split([self.states, self.states, 8], dim=-1)
        step = F.softplus(self.step(rank))
        decay = torch.exp(step[..., None] * -torch.exp(self.log_a))
        drive = step[..., None] * b[:, :, None] * u[..., None]
        h, out = torch.zeros_like(decay[:, 0]), []
        for i in range(x.shape[1]):
            h = decay[:, i] * h + drive[:, i]
            out.append((h * c[:, i, None]).sum(dim=-1))
        y = torch.stack(out, dim=1) + self.d * u
        return x + self.outward(y * F.silu(gate))


def selective_scan(batch: int) -> Made:
    """Two layers of a selective state-space model, scanned step by step in Python over 64 steps."""
    return nn.Sequential(_SelectiveScan(256), _SelectiveScan(256)).eval(), {"input": torch.rand(batch, 64, 256)}


def linear_attention(batch: int) -> Made:
    """Linear attention with a decaying state, chunk by chunk: cumulated products over 128 tokens."""

    class Retention(nn.Module):
        def __init__(self, width: int = 256, heads: int = 4, chunk: int = 32) -> None:
            super().__init__()
            self.norm, self.qkv, self.out = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.heads, self.chunk = heads, chunk

        def forward(self, x: Tensor) -> Tensor:
            n, s, w = x.shape
            q, k, v = self.qkv(self.norm(x)).view(n, s, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
            q, k = F.elu(q) + 1, F.elu(k) + 1
            state, out = q.new_zeros(n, self.heads, w // self.heads, w // self.heads), []
            for i in range(0, s, self.chunk):
                a, b, c = (t[:, :, i : i + self.chunk] for t in (q, k, v))
                inside = (a @ b.transpose(-1, -2)).tril() @ c
                out.append(inside + a @ state)
                state = 0.9 * state + b.transpose(-1, -2) @ c
            return x + self.out(torch.cat(out, dim=2).transpose(1, 2).reshape(n, s, w))

    return nn.Sequential(*(Retention() for _ in range(6))).eval(), {"input": torch.rand(batch, 128, 256)}


def long_convolution(batch: int) -> Made:
    """Hyena's kind: gated convolutions as long as the sequence, through FFTs in single precision."""

    class Long(nn.Module):
        def __init__(self, width: int = 256, length: int = 512) -> None:
            super().__init__()
            self.norm, self.inward, self.out = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.kernel = nn.Parameter(torch.rand(width, length) / length)

        def forward(self, x: Tensor) -> Tensor:
            a, b, v = self.inward(self.norm(x)).transpose(1, 2).chunk(3, dim=1)
            size = 2 * x.shape[1]
            y = torch.fft.rfft((b * v).float(), n=size) * torch.fft.rfft(self.kernel.float(), n=size)
            y = torch.fft.irfft(y, n=size)[..., : x.shape[1]].to(x.dtype)
            return x + self.out((a * y).transpose(1, 2))

    return nn.Sequential(*(Long() for _ in range(4))).eval(), {"input": torch.rand(batch, 512, 256)}


class _Experts(nn.Module):
    """Tokens go to the two best of some experts."""

    def __init__(self, width: int, experts: int, grouped: bool) -> None:
        super().__init__()
        self.norm, self.router = nn.LayerNorm(width), nn.Linear(width, experts, bias=False)
        self.up = nn.Parameter(torch.randn(experts, width, 2 * width) / math.sqrt(width))
        self.down = nn.Parameter(torch.randn(experts, 2 * width, width) / math.sqrt(2 * width))
        self.experts, self.grouped = experts, grouped

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x).flatten(0, 1)
        weights, chosen = self.router(tokens).softmax(dim=-1).topk(2, dim=-1)
        if self.grouped:
            flat = chosen.flatten()
            order = flat.argsort()
            ends = (flat[:, None] == torch.arange(self.experts, device=x.device)).sum(0).cumsum(0).to(torch.int32)
            y = tokens[order // 2]
            y = F.grouped_mm(F.silu(F.grouped_mm(y, self.up, offs=ends)), self.down, offs=ends)
            y = y * weights.flatten()[order][:, None]
            return x + torch.zeros_like(tokens).index_add(0, order // 2, y).view_as(x)
        out = torch.zeros_like(tokens)
        for expert in range(self.experts):
            rows, place = torch.where(chosen == expert)
            y = F.silu(tokens[rows] @ self.up[expert]) @ self.down[expert]
            out.index_add_(0, rows, y * weights[rows, place, None])
        return x + out.view_as(x)


def experts_by_index(batch: int) -> Made:
    """Four layers of eight experts, the tokens of each picked by index."""
    return nn.Sequential(*(_Experts(512, 8, False) for _ in range(4))).eval(), {"input": torch.rand(batch, 64, 512)}


def experts_grouped(batch: int) -> Made:
    """Four layers of eight experts, their products in one grouped call."""
    return nn.Sequential(*(_Experts(512, 8, True) for _ in range(4))).eval(), {"input": torch.rand(batch, 64, 512)}


def experts_dense(batch: int) -> Made:
    """Soft mixture: every expert sees weighted sums of all tokens, as batched products."""

    class Soft(nn.Module):
        def __init__(self, width: int = 384, experts: int = 16, slots: int = 8) -> None:
            super().__init__()
            self.norm, self.slots = nn.LayerNorm(width), nn.Parameter(torch.randn(experts, slots, width))
            self.up = nn.Parameter(torch.randn(experts, width, 2 * width) / 20)
            self.down = nn.Parameter(torch.randn(experts, 2 * width, width) / 20)

        def forward(self, x: Tensor) -> Tensor:
            y = self.norm(x)
            logits = torch.einsum("bsd,ekd->bsek", y, self.slots)
            gathered = torch.einsum("bsek,bsd->ebkd", logits.softmax(dim=1), y).flatten(1, 2)
            made = torch.bmm(F.gelu(torch.bmm(gathered, self.up)), self.down)
            made = made.view(self.slots.shape[0], x.shape[0], -1, x.shape[-1])
            share = logits.flatten(2).softmax(dim=-1).view_as(logits)
            return x + torch.einsum("bsek,ebkd->bsd", share, made)

    return nn.Sequential(*(Soft() for _ in range(4))).eval(), {"input": torch.rand(batch, 128, 384)}


def perceiver(batch: int) -> Made:
    """Perceiver: 64 latents attend to 1024 inputs, then to themselves, three times."""

    class Attend(nn.Module):
        def __init__(self, width: int, of: int, heads: int) -> None:
            super().__init__()
            self.norm, self.norm_of = nn.LayerNorm(width), nn.LayerNorm(of)
            self.q, self.kv, self.out = nn.Linear(width, width), nn.Linear(of, 2 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
            )
            self.heads = heads

        def forward(self, x: Tensor, of: Tensor) -> Tensor:
            n, s, w = x.shape
            q = self.q(self.norm(x)).view(n, s, self.heads, -1).transpose(1, 2)
            k, v = self.kv(self.norm_of(of)).view(n, of.shape[1], 2, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
            x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, s, w))
            return x + self.mlp(x)

    class Perceiver(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.latents, self.cross = nn.Parameter(torch.randn(64, 512)), nn.ModuleList()
            self.own = nn.ModuleList()
            for _ in range(3):
                self.cross.append(Attend(512, 128, 1))
                self.own.append(nn.ModuleList(Attend(512, 512, 8) for _ in range(3)))
            self.head = nn.Linear(512, 1000)

        def forward(self, x: Tensor) -> Tensor:
            y = self.latents.expand(x.shape[0], -1, -1)
            for cross, own in zip(self.cross, self.own):
                y = cross(y, x)
                for layer in own:
                    y = layer(y, y)
            return self.head(y.mean(dim=1))

    return Perceiver().eval(), {"x": torch.rand(batch, 1024, 128)}


def memory_readers(batch: int) -> Made:
    """Learned queries read a long memory through torch's own multi-head attention, four times."""

    class Readers(nn.Module):
        def __init__(self, width: int = 256) -> None:
            super().__init__()
            self.queries = nn.Parameter(torch.randn(32, width))
            self.attention = nn.ModuleList(nn.MultiheadAttention(width, 8, batch_first=True) for _ in range(4))
            self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))

        def forward(self, memory: Tensor) -> Tensor:
            y = self.queries.expand(memory.shape[0], -1, -1)
            for attention, norm in zip(self.attention, self.norms):
                y = norm(y + attention(y, memory, memory, need_weights=False)[0])
            return y

    return Readers().eval(), {"memory": torch.rand(batch, 512, 256)}


def gated_mlp(batch: int) -> Made:
    """gMLP: products across the tokens gate half of the channels."""

    class Gated(nn.Module):
        def __init__(self, width: int = 256, tokens: int = 128) -> None:
            super().__init__()
            self.norm, self.up, self.down = (
                nn.LayerNorm(width),
                nn.Linear(width, 6 * width),
                nn.Linear(3 * width, width),
            )
            self.gate_norm, self.across = nn.LayerNorm(3 * width), nn.Conv1d(tokens, tokens, 1)

        def forward(self, x: Tensor) -> Tensor:
            a, b = F.gelu(self.up(self.norm(x))).chunk(2, dim=-1)
            return x + self.down(a * self.across(self.gate_norm(b)))

    return nn.Sequential(*(Gated() for _ in range(10))).eval(), {"input": torch.rand(batch, 128, 256)}


def mixer_b32(batch: int) -> Made:
    """An MLP-Mixer on patches of 32 x 32 pixels."""

    class Block(nn.Module):
        def __init__(self, tokens: int, width: int) -> None:
            super().__init__()
            self.one, self.two = nn.LayerNorm(width), nn.LayerNorm(width)
            self.across = nn.Sequential(nn.Linear(tokens, 384), nn.GELU(), nn.Linear(384, tokens))
            self.along = nn.Sequential(nn.Linear(width, 3072), nn.GELU(), nn.Linear(3072, width))

        def forward(self, x: Tensor) -> Tensor:
            x = x + self.across(self.one(x).transpose(1, 2)).transpose(1, 2)
            return x + self.along(self.two(x))

    class Mixer(nn.Module):
        def __init__(self, width: int = 768) -> None:
            super().__init__()
            self.patches, self.blocks = (
                nn.Conv2d(3, width, 32, 32),
                nn.Sequential(*(Block(49, width) for _ in range(12))),
            )
            self.head = nn.Linear(width, 1000)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.blocks(self.patches(x).flatten(2).transpose(1, 2)).mean(dim=1))

    return Mixer().eval(), {"x": torch.rand(batch, 3, 224, 224)}
