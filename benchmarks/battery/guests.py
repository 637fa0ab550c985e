"""Guests' models of many fields, in the habits of many authors.

See ``GUESTS`` in families.py: measured once, predicted once, for a release.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

Made = tuple[nn.Module, dict[str, Tensor]]


def _random(*shape: int, low: int = 0, below: int) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(0)
    return torch.randint(low, below, shape, generator=generator, device="cpu")


def turing_machine(batch: int) -> Made:
    """A neural Turing machine that copies 20 vectors of 8 bits: an LSTM writes to 128 cells of 20, then reads them."""

    class Head(nn.Module):
        def __init__(self, width: int, cells: int, depth: int, write: bool) -> None:
            super().__init__()
            self.sizes = [depth, 1, 1, 3, 1] + ([depth, depth] if write else [])
            self.fc = nn.Linear(width, sum(self.sizes))

        def address(self, controls: tuple[Tensor, ...], memory: Tensor, w_prev: Tensor) -> Tensor:
            k, beta, g, s, gamma = controls[:5]
            k, beta, g = torch.tanh(k), F.softplus(beta), torch.sigmoid(g)
            s, gamma = F.softmax(s, dim=1), 1 + F.softplus(gamma)
            wc = F.softmax(beta * F.cosine_similarity(memory + 1e-4, k.unsqueeze(1) + 1e-4, dim=-1), dim=1)
            wg = g * wc + (1 - g) * w_prev
            padded = torch.cat([wg[:, -1:], wg, wg[:, :1]], dim=1)
            shifted = (padded.unfold(1, 3, 1) * s.unsqueeze(1)).sum(-1)
            sharpened = shifted**gamma
            return sharpened / (sharpened.sum(dim=1, keepdim=True) + 1e-4)

        def forward(self, h: Tensor, memory: Tensor, w_prev: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
            controls = torch.split(self.fc(h), self.sizes, dim=1)
            return self.address(controls, memory, w_prev), controls[5:]

    class NTM(nn.Module):
        def __init__(self, bits: int = 8, width: int = 100, cells: int = 128, depth: int = 20) -> None:
            super().__init__()
            self.bits, self.cells, self.depth = bits, cells, depth
            self.controller = nn.LSTMCell(bits + 1 + depth, width)
            self.read_head, self.write_head = Head(width, cells, depth, False), Head(width, cells, depth, True)
            self.fc = nn.Linear(width + depth, bits)
            self.h_bias, self.c_bias = nn.Parameter(torch.randn(width) * 0.05), nn.Parameter(torch.randn(width) * 0.05)
            self.register_buffer("mem_bias", torch.randn(cells, depth) * 0.1)

        def step(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
            read, h, c, memory, w_read, w_write = state
            h, c = self.controller(torch.cat([x, read], dim=1), (h, c))
            w_read, _ = self.read_head(h, memory, w_read)
            read = torch.matmul(w_read.unsqueeze(1), memory).squeeze(1)
            w_write, (e, a) = self.write_head(h, memory, w_write)
            w = w_write.unsqueeze(-1)
            memory = memory * (1 - w * torch.sigmoid(e).unsqueeze(1)) + w * a.unsqueeze(1)
            out = torch.sigmoid(self.fc(torch.cat([h, read], dim=1)))
            return out, (read, h, c, memory, w_read, w_write)

        def forward(self, bits: Tensor) -> Tensor:
            b, length, _ = bits.shape
            state: tuple[Tensor, ...] = (
                bits.new_zeros(b, self.depth),
                self.h_bias.expand(b, -1),
                self.c_bias.expand(b, -1),
                self.mem_bias.clone().repeat(b, 1, 1),
                bits.new_zeros(b, self.cells),
                bits.new_zeros(b, self.cells),
            )
            for t in range(length):
                _, state = self.step(F.pad(bits[:, t], (0, 1)), state)
            delimiter = F.pad(bits.new_zeros(b, self.bits), (0, 1), value=1.0)
            _, state = self.step(delimiter, state)
            outputs = []
            for _ in range(length):
                out, state = self.step(bits.new_zeros(b, self.bits + 1), state)
                outputs.append(out)
            return torch.stack(outputs, dim=1)

    return NTM().eval(), {"bits": _random(batch, 20, 8, below=2).float()}


class _GatedAttention(nn.Module):
    """AlphaFold's attention along the second last axis: biased by pairs, gated by what asks."""

    def __init__(self, width: int, heads: int, dim: int = 32, pair: int | None = None) -> None:
        super().__init__()
        self.heads, self.dim = heads, dim
        self.layer_norm = nn.LayerNorm(width)
        self.linear_q = nn.Linear(width, heads * dim, bias=False)
        self.linear_k = nn.Linear(width, heads * dim, bias=False)
        self.linear_v = nn.Linear(width, heads * dim, bias=False)
        self.linear_g, self.linear_o = nn.Linear(width, heads * dim), nn.Linear(heads * dim, width)
        self.linear_b = nn.Sequential(nn.LayerNorm(pair), nn.Linear(pair, heads, bias=False)) if pair else None

    def forward(self, m: Tensor, z: Tensor | None = None) -> Tensor:
        m = self.layer_norm(m)

        def split(x: Tensor) -> Tensor:
            return x.view(*x.shape[:-1], self.heads, self.dim).transpose(-2, -3)

        q, k, v = split(self.linear_q(m)) * self.dim**-0.5, split(self.linear_k(m)), split(self.linear_v(m))
        a = torch.matmul(q, k.transpose(-1, -2))
        if self.linear_b is not None and z is not None:
            a += self.linear_b(z).permute(0, 3, 1, 2).unsqueeze(-4)
        o = torch.matmul(F.softmax(a, dim=-1), v).transpose(-2, -3)
        o = o * torch.sigmoid(self.linear_g(m)).view(o.shape)
        return self.linear_o(o.reshape(*o.shape[:-2], -1))


class _TriangleMultiplication(nn.Module):
    """An edge from the other two edges of all its triangles."""

    def __init__(self, width: int, outgoing: bool) -> None:
        super().__init__()
        self.equation = "bikc,bjkc->bijc" if outgoing else "bkic,bkjc->bijc"
        self.layer_norm_in, self.layer_norm_out = nn.LayerNorm(width), nn.LayerNorm(width)
        self.linear_a_p, self.linear_a_g = nn.Linear(width, width), nn.Linear(width, width)
        self.linear_b_p, self.linear_b_g = nn.Linear(width, width), nn.Linear(width, width)
        self.linear_g, self.linear_z = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, z: Tensor) -> Tensor:
        z = self.layer_norm_in(z)
        a = self.linear_a_p(z) * self.linear_a_g(z).sigmoid()
        b = self.linear_b_p(z) * self.linear_b_g(z).sigmoid()
        x = torch.einsum(self.equation, a, b / z.shape[1])
        return self.linear_z(self.layer_norm_out(x)) * self.linear_g(z).sigmoid()


def evoformer(batch: int) -> Made:
    """Four blocks of AlphaFold 2's Evoformer: 32 aligned sequences of 96 residues, and how their pairs are apart."""

    class Transition(nn.Module):
        def __init__(self, width: int, n: int = 4) -> None:
            super().__init__()
            self.layer_norm = nn.LayerNorm(width)
            self.linear_1, self.linear_2 = nn.Linear(width, n * width), nn.Linear(n * width, width)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear_2(self.linear_1(self.layer_norm(x)).relu())

    class OuterProductMean(nn.Module):
        def __init__(self, c_m: int, c_z: int, hidden: int = 32) -> None:
            super().__init__()
            self.layer_norm = nn.LayerNorm(c_m)
            self.linear_1, self.linear_2 = nn.Linear(c_m, hidden), nn.Linear(c_m, hidden)
            self.linear_out = nn.Linear(hidden**2, c_z)

        def forward(self, m: Tensor) -> Tensor:
            m = self.layer_norm(m)
            a, b = self.linear_1(m).transpose(1, 2), self.linear_2(m).transpose(1, 2)
            outer = torch.einsum("...bac,...dae->...bdce", a, b)
            return self.linear_out(outer.reshape(*outer.shape[:-2], -1) / m.shape[1])

    class Block(nn.Module):
        def __init__(self, c_m: int, c_z: int) -> None:
            super().__init__()
            self.row, self.column = _GatedAttention(c_m, 8, pair=c_z), _GatedAttention(c_m, 8)
            self.msa_transition, self.outer = Transition(c_m), OuterProductMean(c_m, c_z)
            self.tri_mul_out, self.tri_mul_in = _TriangleMultiplication(c_z, True), _TriangleMultiplication(c_z, False)
            self.tri_att_start, self.tri_att_end = (_GatedAttention(c_z, 4, pair=c_z) for _ in range(2))
            self.pair_transition = Transition(c_z)

        def forward(self, m: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
            m = m + self.row(m, z)
            m = m + self.column(m.transpose(1, 2)).transpose(1, 2)
            m = m + self.msa_transition(m)
            z = z + self.outer(m)
            z = z + self.tri_mul_out(z)
            z = z + self.tri_mul_in(z)
            z = z + self.tri_att_start(z, z)
            zt = z.transpose(1, 2)
            z = z + self.tri_att_end(zt, zt).transpose(1, 2)
            return m, z + self.pair_transition(z)

    class Trunk(nn.Module):
        def __init__(self, c_m: int = 256, c_z: int = 128, blocks: int = 4, relpos: int = 32) -> None:
            super().__init__()
            self.relpos = relpos
            self.linear_msa, self.linear_tf = nn.Linear(49, c_m), nn.Linear(22, c_m)
            self.linear_i, self.linear_j = nn.Linear(22, c_z), nn.Linear(22, c_z)
            self.linear_relpos = nn.Linear(2 * relpos + 1, c_z)
            self.blocks = nn.ModuleList([Block(c_m, c_z) for _ in range(blocks)])
            self.linear_s, self.distogram = nn.Linear(c_m, 384), nn.Linear(c_z, 64)

        def forward(self, target: Tensor, msa: Tensor, residue_index: Tensor) -> dict[str, Tensor]:
            z = self.linear_i(target)[:, :, None] + self.linear_j(target)[:, None]
            d = (residue_index[:, :, None] - residue_index[:, None]).clamp(-self.relpos, self.relpos) + self.relpos
            z = z + self.linear_relpos(F.one_hot(d, 2 * self.relpos + 1).to(z.dtype))
            m = self.linear_msa(msa) + self.linear_tf(target).unsqueeze(1)
            for block in self.blocks:
                m, z = block(m, z)
            logits = self.distogram(z)
            return {"single": self.linear_s(m[:, 0]), "distogram": logits + logits.transpose(-2, -3)}

    n = 96
    target = F.one_hot(_random(batch, n, below=22), 22).float()
    index = torch.arange(n, device="cpu").expand(batch, n).contiguous()
    return Trunk().eval(), {"target": target, "msa": torch.rand(batch, 32, n, 49), "residue_index": index}


def enformer(batch: int) -> Made:
    """Enformer at half its width: 32,768 bases, seven halvings, attention by distance, 5,313 tracks."""

    class Residual(nn.Module):
        def __init__(self, fn: nn.Module) -> None:
            super().__init__()
            self.fn = fn

        def forward(self, x: Tensor) -> Tensor:
            return self.fn(x) + x

    class GELU(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.sigmoid(1.702 * x) * x

    class AttentionPool(nn.Module):
        def __init__(self, dim: int, pool_size: int = 2) -> None:
            super().__init__()
            self.pool_size = pool_size
            self.to_attn_logits = nn.Conv2d(dim, dim, 1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            b, d, n = x.shape
            x = x.view(b, d, n // self.pool_size, self.pool_size)
            attn = self.to_attn_logits(x).softmax(dim=-1)
            return (x * attn).sum(dim=-1)

    def conv_block(a: int, b: int, kernel: int = 1) -> nn.Sequential:
        return nn.Sequential(nn.BatchNorm1d(a), GELU(), nn.Conv1d(a, b, kernel, padding=kernel // 2))

    class Attention(nn.Module):
        def __init__(self, dim: int, heads: int = 8, dim_key: int = 64, features: int = 96) -> None:
            super().__init__()
            self.heads, self.features, self.scale = heads, features, dim_key**-0.5
            self.to_q, self.to_k = (nn.Linear(dim, dim_key * heads, bias=False) for _ in range(2))
            self.to_v, self.to_out = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim)
            self.to_rel_k = nn.Linear(features, dim_key * heads, bias=False)
            self.rel_content_bias = nn.Parameter(torch.randn(1, heads, 1, dim_key))
            self.rel_pos_bias = nn.Parameter(torch.randn(1, heads, 1, dim_key))

        def positions(self, n: int, x: Tensor) -> Tensor:
            count = self.features // 4
            distance = torch.arange(-n + 1, n, device=x.device, dtype=torch.float32)
            half_life = 2 ** torch.linspace(3, math.log2(n), count, device=x.device)
            exponential = torch.exp(-math.log(2.0) / half_life[None] * distance.abs()[:, None])
            widths = torch.pow(2.0, torch.arange(1, count + 1, device=x.device)) - 1
            central = (widths[None] > distance.abs()[:, None]).float()
            basis = torch.cat([exponential, central], dim=-1)
            return torch.cat([basis, torch.sign(distance)[:, None] * basis], dim=-1).to(x.dtype)

        def relative_shift(self, x: Tensor) -> Tensor:
            x = torch.cat((torch.zeros_like(x[..., :1]), x), dim=-1)
            _, h, t1, t2 = x.shape
            x = x.reshape(-1, h, t2, t1)[:, :, 1:, :]
            x = x.reshape(-1, h, t1, t2 - 1)
            return x[..., : ((t2 + 1) // 2)]

        def forward(self, x: Tensor) -> Tensor:
            b, n, h = x.shape[0], x.shape[1], self.heads
            q, k, v = (f(x).view(b, n, h, -1).transpose(1, 2) for f in (self.to_q, self.to_k, self.to_v))
            q = q * self.scale
            rel_k = self.to_rel_k(self.positions(n, x)).view(2 * n - 1, h, -1).transpose(0, 1)
            content = torch.einsum("b h i d, b h j d -> b h i j", q + self.rel_content_bias, k)
            rel = torch.einsum("b h i d, h j d -> b h i j", q + self.rel_pos_bias, rel_k)
            attn = (content + self.relative_shift(rel)).softmax(dim=-1)
            out = torch.einsum("b h i j, b h j d -> b h i d", attn, v)
            return self.to_out(out.transpose(1, 2).reshape(b, n, -1))

    class Enformer(nn.Module):
        def __init__(self, dim: int = 768, depth: int = 8, target: int = 192) -> None:
            super().__init__()
            half, self.target = dim // 2, target
            stem = [nn.Conv1d(4, half, 15, padding=7), Residual(conv_block(half, half)), AttentionPool(half)]
            filters = [half, *(int(round((half * 2 ** (i / 5)) / 64) * 64) for i in range(6))]
            tower: list[nn.Module] = []
            for a, b in pairwise(filters):
                tower.append(nn.Sequential(conv_block(a, b, 5), Residual(conv_block(b, b)), AttentionPool(b)))
            self.stem, self.conv_tower = nn.Sequential(*stem), nn.Sequential(*tower)
            blocks: list[nn.Module] = []
            for _ in range(depth):
                attention = nn.Sequential(nn.LayerNorm(dim), Attention(dim), nn.Dropout(0.4))
                mlp = [nn.LayerNorm(dim), nn.Linear(dim, dim * 2), nn.Dropout(0.4), nn.ReLU(), nn.Linear(dim * 2, dim)]
                blocks.append(nn.Sequential(Residual(attention), Residual(nn.Sequential(*mlp))))
            self.transformer = nn.Sequential(*blocks)
            self.final_pointwise = conv_block(filters[-1], dim * 2)
            self.heads = nn.ModuleDict({"human": nn.Linear(dim * 2, 5313)})

        def forward(self, bases: Tensor) -> dict[str, Tensor]:
            x = F.one_hot(bases, 4).to(self.heads["human"].weight.dtype).permute(0, 2, 1)
            x = self.conv_tower(self.stem(x)).transpose(1, 2)
            x = self.transformer(x)
            trim = (x.shape[1] - self.target) // 2
            x = x[:, trim:-trim].transpose(1, 2)
            x = F.gelu(self.final_pointwise(x)).transpose(1, 2)
            return {name: F.softplus(head(x)) for name, head in self.heads.items()}

    return Enformer().eval(), {"bases": _random(batch, 32_768, below=4)}


def weather(batch: int) -> Made:
    """FourCastNet: 20 fields of the weather in half a degree, tokens mixed by an adaptive Fourier operator."""

    class AFNO2D(nn.Module):
        def __init__(self, hidden: int, num_blocks: int = 8, sparsity: float = 0.01) -> None:
            super().__init__()
            self.num_blocks, self.block, self.sparsity = num_blocks, hidden // num_blocks, sparsity
            self.w1, self.w2 = (nn.Parameter(0.02 * torch.randn(2, num_blocks, *[self.block] * 2)) for _ in range(2))
            self.b1, self.b2 = (nn.Parameter(0.02 * torch.randn(2, num_blocks, self.block)) for _ in range(2))

        @staticmethod
        def multiply(x: Tensor, w: Tensor) -> Tensor:
            return torch.einsum("...bi,bio->...bo", x, w)

        def forward(self, x: Tensor) -> Tensor:
            bias, dtype = x, x.dtype
            n, h, w, c = x.shape
            x = torch.fft.rfft2(x.float(), dim=(1, 2), norm="ortho")
            x = x.reshape(n, h, w // 2 + 1, self.num_blocks, self.block)
            re, im = x.real.to(dtype), x.imag.to(dtype)
            o1_re = F.relu(self.multiply(re, self.w1[0]) - self.multiply(im, self.w1[1]) + self.b1[0])
            o1_im = F.relu(self.multiply(im, self.w1[0]) + self.multiply(re, self.w1[1]) + self.b1[1])
            o2_re = self.multiply(o1_re, self.w2[0]) - self.multiply(o1_im, self.w2[1]) + self.b2[0]
            o2_im = self.multiply(o1_im, self.w2[0]) + self.multiply(o1_re, self.w2[1]) + self.b2[1]
            x = F.softshrink(torch.stack([o2_re, o2_im], dim=-1), lambd=self.sparsity)
            x = torch.view_as_complex(x.float()).reshape(n, h, w // 2 + 1, c)
            return torch.fft.irfft2(x, s=(h, w), dim=(1, 2), norm="ortho").type(dtype) + bias

    class Block(nn.Module):
        def __init__(self, dim: int) -> None:
            super().__init__()
            self.norm1, self.norm2, self.filter = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6), AFNO2D(dim)
            self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

        def forward(self, x: Tensor) -> Tensor:
            residual = x
            x = self.filter(self.norm1(x)) + residual
            return x + self.mlp(self.norm2(x))

    class FourCastNet(nn.Module):
        def __init__(self, grid: tuple[int, int] = (45, 90), fields: int = 20, dim: int = 768, depth: int = 8) -> None:
            super().__init__()
            self.grid, self.fields, self.patch = grid, fields, 8
            self.patch_embed = nn.Conv2d(fields, dim, self.patch, stride=self.patch)
            self.pos_embed = nn.Parameter(torch.randn(1, grid[0] * grid[1], dim) * 0.02)
            self.blocks = nn.ModuleList([Block(dim) for _ in range(depth)])
            self.head = nn.Linear(dim, fields * self.patch**2, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            b, (h, w), p = x.shape[0], self.grid, self.patch
            x = self.patch_embed(x).flatten(2).transpose(1, 2) + self.pos_embed
            x = x.reshape(b, h, w, -1)
            for blk in self.blocks:
                x = blk(x)
            x = self.head(x).view(b, h, w, p, p, self.fields)
            return x.permute(0, 5, 1, 3, 2, 4).reshape(b, self.fields, h * p, w * p)

    return FourCastNet().eval(), {"x": torch.randn(batch, 20, 360, 720)}


def tacotron(batch: int) -> Made:
    """Tacotron 2 on 72 characters: two LSTM cells and an attention that knows where it was, 60 frames one by one."""

    class ConvNorm(nn.Module):
        def __init__(self, a: int, b: int, kernel: int = 1, bias: bool = True) -> None:
            super().__init__()
            self.conv = nn.Conv1d(a, b, kernel, padding=(kernel - 1) // 2, bias=bias)

        def forward(self, signal: Tensor) -> Tensor:
            return self.conv(signal)

    class Attention(nn.Module):
        def __init__(self, rnn: int = 1024, embedding: int = 512, dim: int = 128, filters: int = 32) -> None:
            super().__init__()
            self.query_layer = nn.Linear(rnn, dim, bias=False)
            self.memory_layer = nn.Linear(embedding, dim, bias=False)
            self.v = nn.Linear(dim, 1, bias=False)
            self.location_conv = ConvNorm(2, filters, 31, bias=False)
            self.location_dense = nn.Linear(filters, dim, bias=False)

        def forward(self, hidden: Tensor, memory: Tensor, keys: Tensor, weights: Tensor, mask: Tensor) -> list[Tensor]:
            query = self.query_layer(hidden.unsqueeze(1))
            location = self.location_dense(self.location_conv(weights).transpose(1, 2))
            energies = self.v(torch.tanh(query + location + keys)).squeeze(-1)
            energies.data.masked_fill_(mask, -float("inf"))
            attention = F.softmax(energies, dim=1)
            context = torch.bmm(attention.unsqueeze(1), memory).squeeze(1)
            return [context, attention]

    class Tacotron2(nn.Module):
        def __init__(self, symbols: int = 148, mels: int = 80, frames: int = 60) -> None:
            super().__init__()
            self.mels, self.frames = mels, frames
            self.embedding = nn.Embedding(symbols, 512)
            norm = nn.BatchNorm1d
            self.convolutions = nn.ModuleList([nn.Sequential(ConvNorm(512, 512, 5), norm(512)) for _ in range(3)])
            self.lstm = nn.LSTM(512, 256, 1, batch_first=True, bidirectional=True)
            self.prenet = nn.ModuleList([nn.Linear(a, b, bias=False) for a, b in ((mels, 256), (256, 256))])
            self.attention_rnn, self.decoder_rnn = nn.LSTMCell(256 + 512, 1024), nn.LSTMCell(1024 + 512, 1024)
            self.attention_layer = Attention()
            self.linear_projection, self.gate_layer = nn.Linear(1024 + 512, mels), nn.Linear(1024 + 512, 1)
            sizes = [mels, 512, 512, 512, 512, mels]
            self.postnet = nn.ModuleList(nn.Sequential(ConvNorm(a, b, 5), norm(b)) for a, b in pairwise(sizes))

        def encode(self, text: Tensor) -> Tensor:
            x = self.embedding(text).transpose(1, 2)
            for conv in self.convolutions:
                x = F.dropout(F.relu(conv(x)), 0.5, self.training)
            self.lstm.flatten_parameters()
            outputs, _ = self.lstm(x.transpose(1, 2))
            return outputs

        def decode(self, memory: Tensor, mask: Tensor) -> list[Tensor]:
            b, length, _ = memory.shape
            h1, c1, h2, c2 = (memory.new_zeros(b, 1024) for _ in range(4))
            weights, total, context = memory.new_zeros(b, length), memory.new_zeros(b, length), memory.new_zeros(b, 512)
            keys, frame = self.attention_layer.memory_layer(memory), memory.new_zeros(b, self.mels)
            mel_outputs, gate_outputs, alignments = [], [], []
            for _ in range(self.frames):
                x = frame
                for linear in self.prenet:
                    x = F.relu(linear(x))
                h1, c1 = self.attention_rnn(torch.cat((x, context), -1), (h1, c1))
                cat = torch.cat((weights.unsqueeze(1), total.unsqueeze(1)), dim=1)
                context, weights = self.attention_layer(h1, memory, keys, cat, mask)
                total = total + weights
                h2, c2 = self.decoder_rnn(torch.cat((h1, context), -1), (h2, c2))
                both = torch.cat((h2, context), dim=1)
                frame = self.linear_projection(both)
                mel_outputs += [frame]
                gate_outputs += [self.gate_layer(both).squeeze(1)]
                alignments += [weights]
            return [torch.stack(x, dim=1) for x in (mel_outputs, gate_outputs, alignments)]

        def forward(self, text: Tensor, text_lengths: Tensor) -> list[Tensor]:
            mask = torch.arange(text.shape[1], device=text.device)[None] >= text_lengths[:, None]
            mel, gate, alignments = self.decode(self.encode(text), mask)
            mel = mel.transpose(1, 2)
            x = mel
            for i, layer in enumerate(self.postnet):
                x = layer(x) if i == len(self.postnet) - 1 else torch.tanh(layer(x))
            return [mel, mel + x, gate, alignments]

    lengths = torch.tensor([72, 58], device="cpu").repeat((batch + 1) // 2)[:batch]
    return Tacotron2().eval(), {"text": _random(batch, 72, low=1, below=148), "text_lengths": lengths}


def demucs(batch: int) -> Made:
    """Demucs: four instruments out of 1.5 seconds of a stereo recording, as waves all the way, an LSTM in between."""

    class BLSTM(nn.Module):
        def __init__(self, dim: int, layers: int = 2) -> None:
            super().__init__()
            self.lstm = nn.LSTM(bidirectional=True, num_layers=layers, hidden_size=dim, input_size=dim)
            self.linear = nn.Linear(2 * dim, dim)

        def forward(self, x: Tensor) -> Tensor:
            x = x.permute(2, 0, 1)
            x = self.lstm(x)[0]
            return self.linear(x).permute(1, 2, 0)

    class Demucs(nn.Module):
        def __init__(self, sources: int = 4, channels: int = 64, depth: int = 5, kernel: int = 8) -> None:
            super().__init__()
            self.sources, self.audio = sources, 2
            self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
            inner, out = self.audio, channels
            for index in range(depth):
                encode = [nn.Conv1d(inner, out, kernel, 4), nn.ReLU(), nn.Conv1d(out, 2 * out, 1), nn.GLU(dim=1)]
                self.encoder.append(nn.Sequential(*encode))
                target = inner if index > 0 else sources * self.audio
                decode = [nn.Conv1d(out, 2 * out, 3), nn.GLU(dim=1), nn.ConvTranspose1d(out, target, kernel, 4)]
                if index > 0:
                    decode.append(nn.ReLU())
                self.decoder.insert(0, nn.Sequential(*decode))
                inner, out = out, 2 * out
            self.lstm = BLSTM(inner)

        def forward(self, mix: Tensor) -> Tensor:
            mono = mix.mean(dim=1, keepdim=True)
            mean, std = mono.mean(dim=-1, keepdim=True), mono.std(dim=-1, keepdim=True)
            x = (mix - mean) / (1e-5 + std)
            saved = []
            for encode in self.encoder:
                x = encode(x)
                saved.append(x)
            x = self.lstm(x)
            for decode in self.decoder:
                skip = saved.pop(-1)
                delta = skip.size(-1) - x.size(-1)
                if delta > 0:
                    skip = skip[..., delta // 2 : -(delta - delta // 2)]
                x = decode(x + skip[..., : x.size(-1)])
            x = x * std + mean
            return x.view(x.size(0), self.sources, self.audio, x.size(-1))

    return Demucs().eval(), {"mix": torch.randn(batch, 2, 66_900) * 0.1}


def oblivious_trees(batch: int) -> Made:
    """NODE: two layers of 512 oblivious trees of depth six, features chosen by an entmax, 128 rows of a table."""

    def entmax15(z: Tensor, dim: int = 0) -> Tensor:
        z = (z - z.max(dim=dim, keepdim=True).values) / 2
        zs, _ = torch.sort(z, dim=dim, descending=True)
        rho = torch.arange(1, z.size(dim) + 1, device=z.device, dtype=torch.float32)
        rho = rho.view([-1 if i == dim else 1 for i in range(z.dim())])
        mean = zs.float().cumsum(dim) / rho
        mean_sq = (zs.float() ** 2).cumsum(dim) / rho
        delta = (1 - rho * (mean_sq - mean**2)) / rho
        tau = mean - torch.sqrt(torch.clamp(delta, 0))
        support = (tau <= zs).sum(dim=dim, keepdim=True)
        tau_star = tau.gather(dim, support - 1).to(z.dtype)
        return torch.clamp(z - tau_star, min=0) ** 2

    def entmoid15(z: Tensor) -> Tensor:
        is_pos = (z >= 0).to(z.dtype)
        z = z.abs()
        tau = (z + torch.sqrt(F.relu(8 - z**2))) / 2
        tau = torch.where(tau <= z, 2.0, tau)
        y_neg = 0.25 * F.relu(tau - z) ** 2
        return is_pos * (1 - y_neg) + (1 - is_pos) * y_neg

    class ODST(nn.Module):
        bin_codes_1hot: Tensor

        def __init__(self, in_features: int, num_trees: int, depth: int = 6, tree_dim: int = 3) -> None:
            super().__init__()
            self.response = nn.Parameter(torch.randn(num_trees, tree_dim, 2**depth))
            self.feature_selection_logits = nn.Parameter(torch.rand(in_features, num_trees, depth))
            self.feature_thresholds = nn.Parameter(torch.randn(num_trees, depth))
            self.log_temperatures = nn.Parameter(torch.randn(num_trees, depth) * 0.1)
            indices = torch.arange(2**depth)
            codes = indices.view(1, -1) // 2 ** torch.arange(depth).view(-1, 1) % 2
            self.register_buffer("bin_codes_1hot", torch.stack([codes, 1 - codes], dim=-1).float())

        def forward(self, x: Tensor) -> Tensor:
            weights = entmax15(self.feature_selection_logits, dim=0)
            values = torch.einsum("bi,ind->bnd", x, weights)
            threshold = (values - self.feature_thresholds) * torch.exp(-self.log_temperatures)
            threshold = torch.stack([-threshold, threshold], dim=-1)
            bins = entmoid15(threshold)
            matches = torch.einsum("btds,dcs->btdc", bins, self.bin_codes_1hot)
            return torch.einsum("bnd,ncd->bnc", torch.prod(matches, dim=-2), self.response)

    class NODE(nn.Module):
        def __init__(self, features: int = 54, trees: int = 512, layers: int = 2, tree_dim: int = 3) -> None:
            super().__init__()
            sizes = [features + i * trees * tree_dim for i in range(layers)]
            self.layers = nn.ModuleList([ODST(size, trees, tree_dim=tree_dim) for size in sizes])
            self.tree_dim = tree_dim

        def forward(self, x: Tensor) -> Tensor:
            first = x.shape[-1]
            for layer in self.layers:
                x = torch.cat([x, layer(x).flatten(1)], dim=-1)
            trees = x[..., first:].view(x.shape[0], -1, self.tree_dim)
            return trees.mean(dim=-2)

    return NODE().eval(), {"x": torch.randn(128 * batch, 54)}


def multi_task(batch: int) -> Made:
    """PLE: 512 adverts, 24 features with tables of 10,000, experts of each task and of all, seen, bought, shared."""
    tasks = ("click", "purchase", "share")

    class DNN(nn.Sequential):
        def __init__(self, sizes: list[int], bn: bool = True) -> None:
            layers: list[nn.Module] = []
            for a, b in pairwise(sizes):
                layers += [nn.Linear(a, b), nn.BatchNorm1d(b) if bn else nn.Identity(), nn.ReLU(), nn.Dropout(0.1)]
            super().__init__(*layers)

    class CGC(nn.Module):
        def __init__(
            self, inputs: int, hidden: list[int], specific: int = 2, shared: int = 2, last: bool = False
        ) -> None:
            super().__init__()
            names = list(tasks) if last else [*tasks, "shared"]
            self.experts = nn.ModuleDict()
            for name in [*tasks, "shared"]:
                count = shared if name == "shared" else specific
                self.experts[name] = nn.ModuleList(DNN([inputs, *hidden]) for _ in range(count))
            every = specific * len(tasks) + shared
            self.gates = nn.ModuleDict(
                {n: nn.Linear(inputs, every if n == "shared" else specific + shared, bias=False) for n in names}
            )

        def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
            found = {name: [e(inputs[name]) for e in experts] for name, experts in self.experts.items()}
            outputs = {}
            for name, gate in self.gates.items():
                chosen = (
                    [e for each in found.values() for e in each] if name == "shared" else found[name] + found["shared"]
                )
                weights = gate(inputs[name]).softmax(dim=1).unsqueeze(1)
                outputs[name] = torch.matmul(weights, torch.stack(chosen, dim=1)).squeeze(1)
            return outputs

    class PLE(nn.Module):
        offsets: Tensor

        def __init__(self, fields: int = 24, size: int = 10_000, dim: int = 16) -> None:
            super().__init__()
            self.embedding = nn.Embedding(fields * size, dim)
            self.register_buffer("offsets", torch.arange(fields) * size)
            width = fields * dim
            self.first = CGC(width, [256, 128])
            self.second = CGC(128, [128, 64], last=True)
            self.towers = nn.ModuleDict({t: nn.Sequential(DNN([64, 64], bn=False), nn.Linear(64, 1)) for t in tasks})

        def forward(self, features: Tensor) -> Tensor:
            x = self.embedding(features + self.offsets).flatten(1)
            out = self.second(self.first(dict.fromkeys([*tasks, "shared"], x)))
            scores = {name: torch.sigmoid(tower(out[name])) for name, tower in self.towers.items()}
            scores["purchase"] = scores["purchase"] * scores["click"]
            return torch.cat(list(scores.values()), dim=-1)

    return PLE().eval(), {"features": _random(512 * batch, 24, below=10_000)}


def principal_aggregation(batch: int) -> Made:
    """PNA: mean, largest, least and spread of what neighbours say, each scaled by how many there are, 64 molecules."""

    class PNALayer(nn.Module):
        def __init__(self, dim: int = 80, towers: int = 4, edge_dim: int = 16, avg_log_degree: float = 1.1) -> None:
            super().__init__()
            self.towers, self.f, self.avg = towers, dim // towers, avg_log_degree
            self.edge_encoder = nn.Linear(edge_dim, self.f)
            self.pre_nns = nn.ModuleList(nn.Linear(3 * self.f, self.f) for _ in range(towers))
            self.post_nns = nn.ModuleList(nn.Linear((4 * 3 + 1) * self.f, self.f) for _ in range(towers))
            self.lin, self.norm = nn.Linear(dim, dim), nn.BatchNorm1d(dim)

        def aggregate(self, messages: Tensor, index: Tensor, count: Tensor) -> Tensor:
            n, idx = count.shape[0], index.view(-1, 1, 1).expand_as(messages)
            zeros = messages.new_zeros(n, *messages.shape[1:])
            mean = zeros.scatter_add(0, idx, messages) / count
            mean_squares = zeros.scatter_add(0, idx, messages * messages) / count
            std = torch.sqrt(F.relu(mean_squares - mean * mean) + 1e-4)
            largest = zeros.scatter_reduce(0, idx, messages, reduce="amax", include_self=False)
            least = zeros.scatter_reduce(0, idx, messages, reduce="amin", include_self=False)
            return torch.cat([mean, least, largest, std], dim=-1)

        def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
            source, target = edge_index[0], edge_index[1]
            h = x.view(-1, self.towers, self.f)
            e = self.edge_encoder(edge_attr).view(-1, 1, self.f).repeat(1, self.towers, 1)
            messages = torch.cat([h[target], h[source], e], dim=-1)
            messages = torch.stack([nn(messages[:, i]) for i, nn in enumerate(self.pre_nns)], dim=1)
            degree = torch.zeros(x.shape[0], dtype=x.dtype, device=x.device)
            degree = degree.index_add(0, target, torch.ones_like(target, dtype=x.dtype)).clamp(min=1).view(-1, 1, 1)
            out = self.aggregate(messages, target, degree)
            log = torch.log(degree + 1)
            out = torch.cat([h, out, out * (log / self.avg), out * (self.avg / log)], dim=-1)
            outs = [nn(out[:, i]) for i, nn in enumerate(self.post_nns)]
            return x + F.relu(self.norm(self.lin(torch.cat(outs, dim=1))))

    class Net(nn.Module):
        def __init__(self, dim: int = 80, layers: int = 4) -> None:
            super().__init__()
            self.atom_encoder = nn.ModuleList(nn.Embedding(n, dim) for n in (119, 5, 12, 12, 10, 6, 6, 2, 2))
            self.bond_encoder = nn.ModuleList(nn.Embedding(n, 16) for n in (5, 6, 2))
            self.layers = nn.ModuleList(PNALayer(dim) for _ in range(layers))
            self.mlp = nn.Sequential(nn.Linear(dim, 40), nn.ReLU(), nn.Linear(40, 20), nn.ReLU(), nn.Linear(20, 1))

        def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, graph: Tensor) -> Tensor:
            h: Tensor = sum(table(x[:, i]) for i, table in enumerate(self.atom_encoder))
            e: Tensor = sum(table(edge_attr[:, i]) for i, table in enumerate(self.bond_encoder))
            for layer in self.layers:
                h = layer(h, edge_index, e)
            n = x.shape[0] // 25
            pooled = h.new_zeros(n, h.shape[1]).index_add_(0, graph, h) / 25
            return self.mlp(pooled)

    n, atoms, bonds = 64 * batch, 25, 54
    base = torch.arange(n, device="cpu").repeat_interleave(bonds) * atoms
    edges = _random(2, n * bonds, below=atoms) + base
    x = torch.stack([_random(n * atoms, below=k) for k in (119, 5, 12, 12, 10, 6, 6, 2, 2)], dim=1)
    attributes = torch.stack([_random(n * bonds, below=k) for k in (5, 6, 2)], dim=1)
    graph = torch.arange(n, device="cpu").repeat_interleave(atoms)
    return Net().eval(), {"x": x, "edge_index": edges, "edge_attr": attributes, "graph": graph}


def jet_transformer(batch: int) -> Made:
    """The Particle Transformer: which of ten particles a jet of 128 tracks came from, attention biased by each pair."""

    def pairwise_features(v: Tensor, eps: float = 1e-6) -> Tensor:
        px, py, pz, energy = v.float().split((1, 1, 1, 1), dim=1)
        rapidity = 0.5 * torch.log(1 + (2 * pz) / (energy - pz).clamp(min=1e-4))
        phi, pt = torch.atan2(py, px), torch.sqrt(px**2 + py**2 + eps)
        delta_phi = (phi.unsqueeze(-1) - phi.unsqueeze(-2) + math.pi) % (2 * math.pi) - math.pi
        delta = torch.sqrt((rapidity.unsqueeze(-1) - rapidity.unsqueeze(-2)) ** 2 + delta_phi**2 + eps)
        least = torch.minimum(pt.unsqueeze(-1), pt.unsqueeze(-2))
        lnkt, lndelta = torch.log((least * delta).clamp(min=eps)), torch.log(delta)
        lnz = torch.log((least / (pt.unsqueeze(-1) + pt.unsqueeze(-2)).clamp(min=eps)).clamp(min=eps))
        p = (v.float().unsqueeze(-1) + v.float().unsqueeze(-2)).square()
        lnm2 = torch.log((p[:, 3:] - p[:, :3].sum(dim=1, keepdim=True)).clamp(min=eps))
        return torch.cat((lnkt, lnz, lndelta, lnm2), dim=1)

    class PairEmbed(nn.Module):
        def __init__(self, dims: tuple[int, ...] = (4, 64, 64, 64, 8)) -> None:
            super().__init__()
            modules: list[nn.Module] = [nn.BatchNorm1d(dims[0])]
            for a, b in pairwise(dims):
                modules.extend([nn.Conv1d(a, b, 1), nn.BatchNorm1d(b), nn.GELU()])
            self.embed = nn.Sequential(*modules[:-1])
            self.out_dim = dims[-1]

        def forward(self, v: Tensor) -> Tensor:
            n, _, length = v.size()
            i, j = torch.tril_indices(length, length, offset=-1, device=v.device)
            x = pairwise_features(v).to(v.dtype)[:, :, i, j]
            elements = self.embed(x)
            y = torch.zeros(n, self.out_dim, length, length, dtype=elements.dtype, device=v.device)
            y[:, :, i, j] = elements
            y[:, :, j, i] = elements
            return y

    class Block(nn.Module):
        def __init__(self, dim: int = 128, heads: int = 8) -> None:
            super().__init__()
            self.heads, self.head_dim = heads, dim // heads
            self.pre_attn_norm, self.post_attn_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
            self.attn = nn.MultiheadAttention(dim, heads)
            self.pre_fc_norm, self.fc1 = nn.LayerNorm(dim), nn.Linear(dim, 4 * dim)
            self.post_fc_norm, self.fc2 = nn.LayerNorm(4 * dim), nn.Linear(4 * dim, dim)
            self.c_attn, self.w_resid = nn.Parameter(torch.ones(heads)), nn.Parameter(torch.ones(dim))

        def forward(self, x: Tensor, x_cls: Tensor | None, padding: Tensor, bias: Tensor | None) -> Tensor:
            if x_cls is not None:
                residual, u = x_cls, self.pre_attn_norm(torch.cat((x_cls, x), dim=0))
                padding = torch.cat((torch.zeros_like(padding[:, :1]), padding), dim=1)
                x = self.attn(x_cls, u, u, key_padding_mask=padding)[0]
            else:
                residual, x = x, self.pre_attn_norm(x)
                x = self.attn(x, x, x, key_padding_mask=padding, attn_mask=bias)[0]
            x = x.view(x.size(0), -1, self.heads, self.head_dim)
            x = torch.einsum("tbhd,h->tbdh", x, self.c_attn).reshape(x.size(0), x.size(1), -1)
            x = self.post_attn_norm(x) + residual
            residual = x
            x = F.gelu(self.fc1(self.pre_fc_norm(x)))
            x = self.fc2(self.post_fc_norm(x))
            return x + torch.mul(self.w_resid, residual)

    class ParticleTransformer(nn.Module):
        def __init__(self, inputs: int = 17, classes: int = 10, dim: int = 128) -> None:
            super().__init__()
            layers: list[nn.Module] = []
            for a, b in pairwise([inputs, 128, 512, dim]):
                layers.extend([nn.LayerNorm(a), nn.Linear(a, b), nn.GELU()])
            self.input_bn, self.embed, self.pair_embed = nn.BatchNorm1d(inputs), nn.Sequential(*layers), PairEmbed()
            self.blocks, self.cls_blocks = (nn.ModuleList(Block(dim) for _ in range(n)) for n in (8, 2))
            self.cls_token = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
            self.norm, self.fc = nn.LayerNorm(dim), nn.Linear(dim, classes)

        def forward(self, features: Tensor, vectors: Tensor, mask: Tensor) -> Tensor:
            padding = torch.zeros_like(mask, dtype=features.dtype).masked_fill(~mask, -1e4)
            x = self.embed(self.input_bn(features).permute(2, 0, 1)).masked_fill(~mask.t().unsqueeze(-1), 0)
            bias = self.pair_embed(vectors).flatten(0, 1)
            for block in self.blocks:
                x = block(x, None, padding, bias)
            cls_tokens = self.cls_token.expand(1, x.size(1), -1)
            for block in self.cls_blocks:
                cls_tokens = block(x, cls_tokens, padding, None)
            return torch.softmax(self.fc(self.norm(cls_tokens).squeeze(0)), dim=1)

    momentum = torch.randn(batch, 3, 128)
    energy = momentum.square().sum(1, keepdim=True).sqrt() + 0.1
    mask = torch.arange(128, device="cpu")[None] < _random(batch, 1, low=60, below=128)
    inputs = {"features": torch.randn(batch, 17, 128), "vectors": torch.cat([momentum, energy], dim=1)}
    return ParticleTransformer().eval(), {**inputs, "mask": mask}


class _RMSNorm(nn.Module):
    """Llama's norm, in single precision."""

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps, self.weight = eps, nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps)
        return y.type_as(x) * self.weight


def _rope(x: Tensor, positions: Tensor) -> Tensor:
    """Turns (batch, heads, length, dim) by its positions."""
    half = x.shape[-1] // 2
    frequencies = 10_000.0 ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angles = positions[:, None].float() * frequencies[None]
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


def medusa(batch: int) -> Made:
    """Medusa on a llama of 134M: 64 guesses in a tree are verified at once after 512 tokens, four heads guess again."""

    @dataclass
    class Config:
        vocab: int = 32_000
        width: int = 768
        layers: int = 12
        heads: int = 12
        inner: int = 2048
        medusa_heads: int = 4

    def tree() -> tuple[Tensor, Tensor]:
        parents = [-1, *[0] * 7, *[(i // 4) + 1 for i in range(28)], *[(i % 28) + 8 for i in range(28)]]
        mask, depth = torch.zeros(64, 64, dtype=torch.bool), torch.zeros(64, dtype=torch.long)
        for i, parent in enumerate(parents):
            mask[i, i] = True
            if parent >= 0:
                mask[i] |= mask[parent]
                depth[i] = depth[parent] + 1
        return mask, depth

    class Layer(nn.Module):
        def __init__(self, cfg: Config) -> None:
            super().__init__()
            d, self.heads = cfg.width, cfg.heads
            self.wq, self.wk, self.wv, self.wo = (nn.Linear(d, d, bias=False) for _ in range(4))
            self.w1, self.w3 = (nn.Linear(d, cfg.inner, bias=False) for _ in range(2))
            self.w2 = nn.Linear(cfg.inner, d, bias=False)
            self.attention_norm, self.ffn_norm = _RMSNorm(d), _RMSNorm(d)

        def forward(self, x: Tensor, past: Tensor, positions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
            b, n, d = x.shape
            h = self.attention_norm(x)
            q, k, v = (w(h).view(b, n, self.heads, -1).transpose(1, 2) for w in (self.wq, self.wk, self.wv))
            q, k = _rope(q, positions), _rope(k, positions)
            cache = torch.stack((torch.cat((past[0], k), dim=2), torch.cat((past[1], v), dim=2)))
            y = F.scaled_dot_product_attention(q, cache[0], cache[1], attn_mask=mask)
            x = x + self.wo(y.transpose(1, 2).contiguous().view(b, n, d))
            h = self.ffn_norm(x)
            return x + self.w2(F.silu(self.w1(h)) * self.w3(h)), cache

    class ResBlock(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.linear, self.act = nn.Linear(width, width), nn.SiLU()

        def forward(self, x: Tensor) -> Tensor:
            return x + self.act(self.linear(x))

    class Medusa(nn.Module):
        mask: Tensor
        depth: Tensor

        def __init__(self, cfg: Config) -> None:
            super().__init__()
            self.tok_embeddings = nn.Embedding(cfg.vocab, cfg.width)
            self.layers = nn.ModuleList(Layer(cfg) for _ in range(cfg.layers))
            self.norm, self.output = _RMSNorm(cfg.width), nn.Linear(cfg.width, cfg.vocab, bias=False)
            self.medusa_head = nn.ModuleList(
                nn.Sequential(ResBlock(cfg.width), nn.Linear(cfg.width, cfg.vocab, bias=False))
                for _ in range(cfg.medusa_heads)
            )
            mask, depth = tree()
            self.register_buffer("mask", mask)
            self.register_buffer("depth", depth)

        def forward(self, candidates: Tensor, past: Tensor) -> dict[str, Tensor]:
            length = past.shape[-2]
            seen = torch.ones(self.mask.shape[0], length, dtype=torch.bool, device=past.device)
            mask, positions = torch.cat([seen, self.mask], dim=1), self.depth + length
            x, caches = self.tok_embeddings(candidates), []
            for i, layer in enumerate(self.layers):
                x, cache = layer(x, past[i], positions, mask)
                caches.append(cache[..., -64:, :])
            x = self.norm(x)
            greedy = self.output(x).argmax(dim=-1)
            accepted = (candidates[:, 1:8] == greedy[:, :1]).to(torch.int64)
            best = (accepted.argmax(dim=1) + 1) * accepted.amax(dim=1)
            last = x.gather(1, best.view(-1, 1, 1).expand(-1, 1, x.shape[-1])).squeeze(1)
            guesses = torch.stack([torch.topk(head(last), 10, dim=-1).indices for head in self.medusa_head], dim=1)
            return {"greedy": greedy, "best": best, "guesses": guesses, "cache": torch.stack(caches)}

    cfg = Config()
    past = torch.randn(cfg.layers, 2, batch, cfg.heads, 512, cfg.width // cfg.heads)
    return Medusa(cfg).eval(), {"candidates": _random(batch, 64, below=cfg.vocab), "past": past}


def adapted_int8(batch: int) -> Made:
    """A llama of 16 layers whose weights are bytes and scales, with LoRA beside each, scores of 128 tokens' last."""

    class Int8Linear(nn.Module):
        weight: Tensor
        scales: Tensor

        def __init__(self, a: int, b: int) -> None:
            super().__init__()
            self.register_buffer("weight", torch.randint(-127, 128, (b, a), dtype=torch.int8))
            self.register_buffer("scales", torch.rand(b) * 4e-4)

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, self.weight.to(dtype=x.dtype)) * self.scales

    class LoraLinear(nn.Module):
        def __init__(self, a: int, b: int, r: int = 16, alpha: int = 32) -> None:
            super().__init__()
            self.base_layer = Int8Linear(a, b)
            self.lora_dropout = nn.ModuleDict({"default": nn.Dropout(0.05)})
            self.lora_A = nn.ModuleDict({"default": nn.Linear(a, r, bias=False)})
            self.lora_B = nn.ModuleDict({"default": nn.Linear(r, b, bias=False)})
            self.scaling, self.active_adapters = {"default": alpha / r}, ["default"]

        def forward(self, x: Tensor) -> Tensor:
            result = self.base_layer(x)
            for name in self.active_adapters:
                down, up, dropout = self.lora_A[name], self.lora_B[name], self.lora_dropout[name]
                result = result + up(down(dropout(x.to(down.weight.dtype)))) * self.scaling[name]
            return result

    class Layer(nn.Module):
        def __init__(self, d: int, heads: int, kv: int, inner: int) -> None:
            super().__init__()
            self.heads, self.kv, self.head_dim = heads, kv, d // heads
            self.input_layernorm, self.post_attention_layernorm = _RMSNorm(d), _RMSNorm(d)
            self.q_proj, self.o_proj = LoraLinear(d, d), LoraLinear(d, d)
            self.k_proj, self.v_proj = (LoraLinear(d, kv * self.head_dim) for _ in range(2))
            self.gate_proj, self.up_proj = LoraLinear(d, inner), LoraLinear(d, inner)
            self.down_proj = LoraLinear(inner, d)

        def forward(self, x: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
            b, n, d = x.shape
            h = self.input_layernorm(x)
            q = self.q_proj(h).view(b, n, self.heads, self.head_dim).transpose(1, 2)
            k = self.k_proj(h).view(b, n, self.kv, self.head_dim).transpose(1, 2)
            v = self.v_proj(h).view(b, n, self.kv, self.head_dim).transpose(1, 2)
            q, k = _rope(q, positions), _rope(k, positions)
            k = k.repeat_interleave(self.heads // self.kv, dim=1)
            v = v.repeat_interleave(self.heads // self.kv, dim=1)
            scores = torch.matmul(q, k.transpose(2, 3)) / math.sqrt(self.head_dim) + mask
            probs = F.softmax(scores, dim=-1, dtype=torch.float32).to(q.dtype)
            out = torch.matmul(probs, v).transpose(1, 2).contiguous().reshape(b, n, d)
            x = x + self.o_proj(out)
            h = self.post_attention_layernorm(x)
            return x + self.down_proj(F.silu(self.gate_proj(h)) * self.up_proj(h))

    class Classifier(nn.Module):
        def __init__(self, vocab: int = 32_000, d: int = 1024, layers: int = 16, labels: int = 5) -> None:
            super().__init__()
            self.embed_tokens = nn.Embedding(vocab, d)
            self.layers = nn.ModuleList(Layer(d, 16, 4, 2816) for _ in range(layers))
            self.norm, self.score = _RMSNorm(d), nn.Linear(d, labels, bias=False)

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            b, n = input_ids.shape
            x = self.embed_tokens(input_ids)
            least = torch.finfo(x.dtype).min
            mask = torch.full((n, n), least, dtype=x.dtype, device=x.device).triu(1)[None, None].expand(b, 1, n, n)
            mask = mask.masked_fill(attention_mask[:, None, None, :] == 0, least)
            positions = torch.arange(n, device=x.device)
            for layer in self.layers:
                x = layer(x, mask, positions)
            logits = self.score(self.norm(x))
            last = attention_mask.sum(dim=1) - 1
            return logits[torch.arange(b, device=x.device), last]

    mask = torch.ones(batch, 128, dtype=torch.long, device="cpu")
    mask[:, 101:] = 0
    return Classifier().eval(), {"input_ids": _random(batch, 128, low=3, below=32_000), "attention_mask": mask}


def sleep_stager(batch: int) -> Made:
    """AttnSleep: twenty epochs of 30 seconds of one electrode, two widths of filters, causal convolutions attend."""

    class SEBasicBlock(nn.Module):
        def __init__(self, inplanes: int, planes: int, reduction: int = 16) -> None:
            super().__init__()
            self.conv1, self.bn1 = nn.Conv1d(inplanes, planes, 1), nn.BatchNorm1d(planes)
            self.conv2, self.bn2 = nn.Conv1d(planes, planes, 1), nn.BatchNorm1d(planes)
            squeeze, inner = nn.AdaptiveAvgPool1d(1), planes // reduction
            self.se = nn.Sequential(
                *(squeeze, nn.Flatten(), nn.Linear(planes, inner, bias=False), nn.ReLU(inplace=True)),
                *(nn.Linear(inner, planes, bias=False), nn.Sigmoid()),
            )
            self.downsample = nn.Sequential(nn.Conv1d(inplanes, planes, 1, bias=False), nn.BatchNorm1d(planes))

        def forward(self, x: Tensor) -> Tensor:
            out = F.relu(self.bn1(self.conv1(x)))
            out = self.bn2(self.conv2(out))
            out = out * self.se(out).unsqueeze(-1).expand_as(out)
            out += self.downsample(x)
            return F.relu(out)

    def branch(kernel: int, stride: int, pool: int, small: int, last: int) -> nn.Sequential:
        layers: list[nn.Module] = [nn.Conv1d(1, 64, kernel, stride, bias=False, padding=kernel // 2)]
        layers += [nn.BatchNorm1d(64), nn.GELU(), nn.MaxPool1d(pool, stride=2, padding=pool // 2), nn.Dropout(0.5)]
        for a, b in ((64, 128), (128, 128)):
            layers += [nn.Conv1d(a, b, small, 1, bias=False, padding=small // 2), nn.BatchNorm1d(b), nn.GELU()]
        return nn.Sequential(*layers, nn.MaxPool1d(last, stride=last, padding=last // 2))

    class CausalConv1d(nn.Conv1d):
        def __init__(self, channels: int, kernel: int) -> None:
            super().__init__(channels, channels, kernel, padding=kernel - 1)

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x)[:, :, : -self.padding[0]]

    class TCE(nn.Module):
        def __init__(self, afr: int = 30, d: int = 80, heads: int = 5, inner: int = 120) -> None:
            super().__init__()
            self.h, self.d_k = heads, d // heads
            self.convs = nn.ModuleList(CausalConv1d(afr, 7) for _ in range(3))
            self.conv, self.linear = CausalConv1d(afr, 7), nn.Linear(d, d)
            self.norm1, self.norm2 = nn.LayerNorm(d, eps=1e-6), nn.LayerNorm(d, eps=1e-6)
            self.w_1, self.w_2 = nn.Linear(d, inner), nn.Linear(inner, d)

        def forward(self, x: Tensor) -> Tensor:
            n, query = x.size(0), self.conv(x)
            q, k, v = (
                m(y).view(n, -1, self.h, self.d_k).transpose(1, 2)
                for m, y in zip([lambda y: y, *self.convs[1:]], (query, x, x))
            )
            p = F.softmax(torch.matmul(q, k.transpose(-2, -1)) / math.sqrt(self.d_k), dim=-1)
            out = torch.matmul(p, v).transpose(1, 2).contiguous().view(n, -1, self.h * self.d_k)
            x = query + self.norm1(self.linear(out))
            return x + self.w_2(F.relu(self.w_1(self.norm2(x))))

    class AttnSleep(nn.Module):
        def __init__(self, afr: int = 30, classes: int = 5) -> None:
            super().__init__()
            self.features1, self.features2 = branch(50, 6, 8, 8, 4), branch(400, 50, 4, 7, 2)
            self.afr = SEBasicBlock(128, afr)
            self.layers = nn.Sequential(TCE(), TCE(), nn.LayerNorm(80))
            self.fc = nn.Linear(80 * afr, classes)

        def forward(self, eeg: Tensor) -> Tensor:
            b, epochs, samples = eeg.shape
            x = eeg.view(b * epochs, 1, samples)
            x = torch.cat((self.features1(x), self.features2(x)), dim=2)
            x = self.layers(self.afr(x)[..., :80])
            return self.fc(x.contiguous().view(x.shape[0], -1)).view(b, epochs, -1).log_softmax(dim=-1)

    return AttnSleep().eval(), {"eeg": torch.randn(batch, 20, 3000)}


def voice_changer(batch: int) -> Made:
    """VITS as it changes a voice: a flow forward as one speaker, backward as another, a HiFi-GAN says it, 1.5 s."""

    @torch.jit.script
    def gate(x: Tensor, condition: Tensor, channels: int) -> Tensor:
        both = x + condition
        return torch.tanh(both[:, :channels, :]) * torch.sigmoid(both[:, channels:, :])

    class WN(nn.Module):
        def __init__(self, hidden: int, layers: int, gin: int = 256, kernel: int = 5) -> None:
            super().__init__()
            self.hidden, self.layers = hidden, layers
            self.cond_layer = weight_norm(nn.Conv1d(gin, 2 * hidden * layers, 1))
            self.in_layers, self.res_skip_layers = nn.ModuleList(), nn.ModuleList()
            for i in range(layers):
                self.in_layers.append(weight_norm(nn.Conv1d(hidden, 2 * hidden, kernel, padding=kernel // 2)))
                out = 2 * hidden if i < layers - 1 else hidden
                self.res_skip_layers.append(weight_norm(nn.Conv1d(hidden, out, 1)))

        def forward(self, x: Tensor, mask: Tensor, g: Tensor) -> Tensor:
            output, g = torch.zeros_like(x), self.cond_layer(g)
            for i in range(self.layers):
                offset = i * 2 * self.hidden
                acts = gate(self.in_layers[i](x), g[:, offset : offset + 2 * self.hidden, :], self.hidden)
                res_skip = self.res_skip_layers[i](acts)
                if i < self.layers - 1:
                    x = (x + res_skip[:, : self.hidden, :]) * mask
                    output = output + res_skip[:, self.hidden :, :]
                else:
                    output = output + res_skip
            return output * mask

    class Coupling(nn.Module):
        def __init__(self, channels: int = 192) -> None:
            super().__init__()
            self.half_channels = channels // 2
            self.pre, self.enc, self.post = (
                nn.Conv1d(self.half_channels, 192, 1),
                WN(192, 4),
                nn.Conv1d(192, self.half_channels, 1),
            )

        def forward(self, x: Tensor, mask: Tensor, g: Tensor, reverse: bool = False) -> Tensor:
            x0, x1 = torch.split(x, [self.half_channels] * 2, 1)
            m = self.post(self.enc(self.pre(x0) * mask, mask, g)) * mask
            x1 = (x1 - m) * mask if reverse else m + x1 * mask
            return torch.cat([x0, x1], 1)

    class ResBlock(nn.Module):
        def __init__(self, c: int, kernel: int, dilations: tuple[int, ...] = (1, 3, 5)) -> None:
            super().__init__()
            pad = kernel // 2
            first = [weight_norm(nn.Conv1d(c, c, kernel, 1, dilation=d, padding=d * pad)) for d in dilations]
            self.convs1 = nn.ModuleList(first)
            self.convs2 = nn.ModuleList([weight_norm(nn.Conv1d(c, c, kernel, 1, padding=pad)) for _ in dilations])

        def forward(self, x: Tensor) -> Tensor:
            for c1, c2 in zip(self.convs1, self.convs2):
                xt = c1(F.leaky_relu(x, 0.1))
                x = c2(F.leaky_relu(xt, 0.1)) + x
            return x

    class VITS(nn.Module):
        def __init__(self, speakers: int = 109, rates: tuple[int, ...] = (8, 8, 2, 2), channels: int = 512) -> None:
            super().__init__()
            self.emb_g = nn.Embedding(speakers, 256)
            self.pre, self.enc, self.proj = nn.Conv1d(513, 192, 1), WN(192, 16), nn.Conv1d(192, 384, 1)
            self.flows = nn.ModuleList(Coupling() for _ in range(4))
            self.conv_pre, self.cond = nn.Conv1d(192, channels, 7, 1, padding=3), nn.Conv1d(256, channels, 1)
            self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
            for i, u in enumerate(rates):
                a, b, k = channels // 2**i, channels // 2 ** (i + 1), 2 * u
                self.ups.append(weight_norm(nn.ConvTranspose1d(a, b, k, u, padding=(k - u) // 2)))
                self.resblocks.extend(ResBlock(b, kernel) for kernel in (3, 7, 11))
            self.conv_post = nn.Conv1d(channels // 2 ** len(rates), 1, 7, 1, padding=3, bias=False)

        def flow(self, x: Tensor, mask: Tensor, g: Tensor, reverse: bool = False) -> Tensor:
            for flow in reversed(self.flows) if reverse else self.flows:
                x = torch.flip(x, [1]) if reverse else x
                x = flow(x, mask, g, reverse)
                x = x if reverse else torch.flip(x, [1])
            return x

        def vocode(self, x: Tensor, g: Tensor) -> Tensor:
            x = self.conv_pre(x) + self.cond(g)
            for i, up in enumerate(self.ups):
                x = up(F.leaky_relu(x, 0.1))
                xs: Tensor | None = None
                for block in self.resblocks[3 * i : 3 * i + 3]:
                    xs = block(x) if xs is None else xs + block(x)
                x = xs / 3 if xs is not None else x
            return torch.tanh(self.conv_post(F.leaky_relu(x)))

        def forward(self, spec: Tensor, lengths: Tensor, source: Tensor, target: Tensor) -> Tensor:
            g_source, g_target = self.emb_g(source).unsqueeze(-1), self.emb_g(target).unsqueeze(-1)
            mask = torch.arange(spec.size(2), device=spec.device).unsqueeze(0) < lengths.unsqueeze(1)
            mask = torch.unsqueeze(mask, 1).to(spec.dtype)
            x = self.enc(self.pre(spec) * mask, mask, g_source)
            z, _ = torch.split(self.proj(x) * mask, 192, dim=1)
            z = self.flow(self.flow(z, mask, g_source), mask, g_target, reverse=True)
            return self.vocode(z * mask, g_target)

    inputs = {"spec": torch.rand(batch, 513, 130), "lengths": torch.full((batch,), 121, device="cpu")}
    speakers = _random(2, batch, below=109)
    return VITS().eval(), {**inputs, "source": speakers[0], "target": speakers[1]}


def liquid_driver(batch: int) -> Made:
    """A liquid network steers: a small eye on 16 frames, 19 wired neurons whose time constants it finds itself."""

    class CfCCell(nn.Module):
        mask: Tensor

        def __init__(self, inputs: int, hidden: int, mask: Tensor) -> None:
            super().__init__()
            self.register_buffer("mask", mask)
            self.ff1, self.ff2, self.time_a, self.time_b = (nn.Linear(inputs + hidden, hidden) for _ in range(4))

        def forward(self, x: Tensor, hx: Tensor, ts: Tensor) -> Tensor:
            x = torch.cat([x, hx], 1)
            ff1 = torch.tanh(F.linear(x, self.ff1.weight * self.mask, self.ff1.bias))
            ff2 = torch.tanh(F.linear(x, self.ff2.weight * self.mask, self.ff2.bias))
            t_interp = torch.sigmoid(self.time_a(x) * ts + self.time_b(x))
            return ff1 * (1.0 - t_interp) + t_interp * ff2

    class WiredCfC(nn.Module):
        def __init__(self, inputs: int, groups: tuple[int, ...] = (12, 6, 1)) -> None:
            super().__init__()
            self.groups, self.layers = groups, nn.ModuleList()
            for size in groups:
                kept = (torch.rand(size, inputs) > 0.5).float()
                self.layers.append(CfCCell(inputs, size, torch.cat([kept, torch.ones(size, size)], dim=1)))
                inputs = size

        def forward(self, x: Tensor, hx: Tensor, ts: Tensor) -> tuple[Tensor, Tensor]:
            states = torch.split(hx, list(self.groups), dim=1)
            new = []
            for layer, state in zip(self.layers, states):
                x = layer(x, state, ts)
                new.append(x)
            return x, torch.cat(new, dim=1)

    class Driver(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layers: list[nn.Module] = []
            for a, b, k, s in ((3, 24, 5, 2), (24, 36, 5, 2), (36, 48, 3, 2), (48, 64, 3, 1), (64, 16, 3, 1)):
                layers += [nn.Conv2d(a, b, k, s), nn.ELU()]
            self.eye = nn.Sequential(*layers, nn.AdaptiveAvgPool2d((2, 8)), nn.Flatten())
            self.compress, self.rnn = nn.Linear(256, 64), WiredCfC(64)

        def forward(self, frames: Tensor, timespans: Tensor) -> Tensor:
            b, t = frames.shape[:2]
            x = frames - frames.mean(dim=(-3, -2, -1), keepdim=True)
            x = self.compress(self.eye(x.flatten(0, 1))).unflatten(0, (b, t))
            h, outputs = torch.zeros(b, 19, device=x.device, dtype=x.dtype), []
            for i in range(t):
                y, h = self.rnn(x[:, i], h, timespans[:, i : i + 1])
                outputs.append(y)
            return torch.cat(outputs, dim=1)

    return Driver().eval(), {"frames": torch.rand(batch, 16, 3, 66, 200), "timespans": torch.full((batch, 16), 0.05)}


def spline_flow(batch: int) -> Made:
    """A neural spline flow for a simulator's posterior: 256 draws of 12 unknowns given 32 observations, eight steps."""

    class Bins(NamedTuple):
        left: Tensor
        width: Tensor
        bottom: Tensor
        height: Tensor
        slope: Tensor
        next_slope: Tensor

    def knots(unnormalised: Tensor, bound: float, least: float = 1e-3) -> tuple[Tensor, Tensor]:
        count = unnormalised.shape[-1]
        sizes = least + (1 - least * count) * F.softmax(unnormalised, dim=-1)
        places = F.pad(torch.cumsum(sizes, dim=-1), pad=(1, 0), mode="constant", value=0.0)
        places = 2 * bound * places - bound
        places[..., 0], places[..., -1] = -bound, bound
        return places, places[..., 1:] - places[..., :-1]

    def rational_quadratic(y: Tensor, w: Tensor, h: Tensor, d: Tensor, bound: float) -> tuple[Tensor, Tensor]:
        inside = (y >= -bound) & (y <= bound)
        clipped = y.clamp(-bound, bound)
        cumwidths, widths = knots(w, bound)
        cumheights, heights = knots(h, bound)
        slopes = 1e-3 + F.softplus(F.pad(d, (1, 1), value=math.log(math.exp(1 - 1e-3) - 1)))
        index = (torch.sum(clipped[..., None] >= cumheights, dim=-1) - 1).clamp(0, w.shape[-1] - 1)[..., None]
        tables = (cumwidths, widths, cumheights, heights, slopes, slopes[..., 1:])
        s = Bins(*(table.gather(-1, index)[..., 0] for table in tables))
        delta, rise = s.height / s.width, clipped - s.bottom
        bend = s.slope + s.next_slope - 2 * delta
        a, b, c = rise * bend + s.height * (delta - s.slope), s.height * s.slope - rise * bend, -delta * rise
        root = (2 * c) / (-b - torch.sqrt((b.pow(2) - 4 * a * c).clamp(min=0)))
        theta = root * (1 - root)
        denominator = delta + bend * theta
        numerator = delta.pow(2) * (s.next_slope * root.pow(2) + 2 * delta * theta + s.slope * (1 - root).pow(2))
        logabsdet = -(torch.log(numerator.clamp(min=1e-6)) - 2 * torch.log(denominator.clamp(min=1e-4)))
        return torch.where(inside, root * s.width + s.left, y), torch.where(inside, logabsdet, 0.0)

    class ResidualNet(nn.Module):
        def __init__(self, inputs: int, outputs: int, context: int, hidden: int = 128, blocks: int = 2) -> None:
            super().__init__()
            self.initial, self.final = nn.Linear(inputs + context, hidden), nn.Linear(hidden, outputs)
            self.linears = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(2 * blocks))
            self.context_layers = nn.ModuleList(nn.Linear(context, hidden) for _ in range(blocks))

        def forward(self, x: Tensor, context: Tensor) -> Tensor:
            x = self.initial(torch.cat((x, context), dim=1))
            for i, layer in enumerate(self.context_layers):
                y = self.linears[2 * i](F.elu(x))
                y = self.linears[2 * i + 1](F.elu(y))
                x = x + F.glu(torch.cat((y, layer(context)), dim=1), dim=1)
            return self.final(x)

    class Coupling(nn.Module):
        def __init__(self, features: int, context: int, even: bool, bins: int = 10, bound: float = 3.0) -> None:
            super().__init__()
            self.bins, self.bound = bins, bound
            self.register_buffer("identity", torch.arange(int(even), features, 2))
            self.register_buffer("transform", torch.arange(1 - int(even), features, 2))
            self.net = ResidualNet(features // 2, features // 2 * (3 * bins - 1), context)
            self.register_buffer("permutation", torch.randperm(features))

        def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
            z = z[:, self.permutation]
            kept, changed = z[:, self.identity], z[:, self.transform]
            params = self.net(kept, context).reshape(z.shape[0], changed.shape[1], -1)
            w, h, d = params.split((self.bins, self.bins, self.bins - 1), dim=-1)
            w, h = w / math.sqrt(128), h / math.sqrt(128)
            changed, logabsdet = rational_quadratic(changed, w, h, d, self.bound)
            out = torch.empty_like(z)
            out[:, self.identity], out[:, self.transform] = kept, changed
            return out, logabsdet.sum(dim=-1)

    class Posterior(nn.Module):
        def __init__(self, features: int = 12, observed: int = 32, context: int = 64, steps: int = 8) -> None:
            super().__init__()
            self.embedding_net = nn.Sequential(nn.Linear(observed, 128), nn.ReLU(), nn.Linear(128, context))
            self.transforms = nn.ModuleList(Coupling(features, context, i % 2 == 0) for i in range(steps))

        def forward(self, noise: Tensor, observation: Tensor) -> tuple[Tensor, Tensor]:
            context = self.embedding_net(observation)
            context = context[:, None].expand(-1, noise.shape[1], -1).flatten(0, 1)
            z = noise.flatten(0, 1)
            log_prob = -0.5 * (z**2).sum(-1) - 0.5 * z.shape[-1] * math.log(2 * math.pi)
            for transform in self.transforms:
                z, logabsdet = transform(z, context)
                log_prob -= logabsdet
            return z.view_as(noise), log_prob.view(noise.shape[:2])

    return Posterior().eval(), {"noise": torch.randn(batch, 256, 12), "observation": torch.randn(batch, 32)}


class _FrozenBatchNorm(nn.Module):
    """DETR's norm whose statistics are buffers."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, n: int) -> None:
        super().__init__()
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((n,), value))

    def forward(self, x: Tensor) -> Tensor:
        w, b, rv, rm = (t.reshape(1, -1, 1, 1) for t in (self.weight, self.bias, self.running_var, self.running_mean))
        scale = w * (rv + 1e-5).rsqrt()
        return x * scale + (b - rm * scale)


def action_chunker(batch: int) -> Made:
    """ACT: the next 100 positions of two arms from two cameras, a ResNet-18 and a transformer with queries."""

    class BasicBlock(nn.Module):
        def __init__(self, a: int, b: int, stride: int) -> None:
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(a, b, 3, stride, 1, bias=False), _FrozenBatchNorm(b)
            self.conv2, self.bn2 = nn.Conv2d(b, b, 3, 1, 1, bias=False), _FrozenBatchNorm(b)
            self.downsample: nn.Module | None = None
            if stride != 1:
                self.downsample = nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), _FrozenBatchNorm(b))

        def forward(self, x: Tensor) -> Tensor:
            identity = x if self.downsample is None else self.downsample(x)
            out = F.relu(self.bn1(self.conv1(x)), inplace=True)
            out = self.bn2(self.conv2(out))
            out += identity
            return F.relu(out, inplace=True)

    def resnet18() -> nn.Sequential:
        layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), _FrozenBatchNorm(64), nn.ReLU(inplace=True)]
        layers.append(nn.MaxPool2d(3, 2, 1))
        for a, b, stride in ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)):
            layers += [BasicBlock(a, b, stride), BasicBlock(b, b, 1)]
        return nn.Sequential(*layers)

    class Layer(nn.Module):
        def __init__(self, d: int, heads: int, inner: int, cross: bool) -> None:
            super().__init__()
            self.self_attn = nn.MultiheadAttention(d, heads, dropout=0.1)
            self.multihead_attn = nn.MultiheadAttention(d, heads, dropout=0.1) if cross else None
            self.linear1, self.linear2 = nn.Linear(d, inner), nn.Linear(inner, d)
            self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(d) for _ in range(3))

        def forward(
            self, tgt: Tensor, query_pos: Tensor, memory: Tensor | None = None, pos: Tensor | None = None
        ) -> Tensor:
            q = k = tgt + query_pos
            tgt = self.norm1(tgt + self.self_attn(q, k, value=tgt)[0])
            if self.multihead_attn is not None and memory is not None:
                tgt2 = self.multihead_attn(query=tgt + query_pos, key=memory + pos, value=memory)[0]
                tgt = self.norm2(tgt + tgt2)
            return self.norm3(tgt + self.linear2(F.relu(self.linear1(tgt))))

    def sine_positions(x: Tensor, features: int) -> Tensor:
        ones = torch.ones_like(x[:1, 0], dtype=torch.float32)
        y_embed, x_embed = ones.cumsum(1), ones.cumsum(2)
        y_embed = y_embed / (y_embed[:, -1:, :] + 1e-6) * 2 * math.pi
        x_embed = x_embed / (x_embed[:, :, -1:] + 1e-6) * 2 * math.pi
        dim_t = torch.arange(features, dtype=torch.float32, device=x.device)
        dim_t = 10_000 ** (2 * torch.div(dim_t, 2, rounding_mode="floor") / features)
        both = []
        for embed in (y_embed, x_embed):
            p = embed[..., None] / dim_t
            both.append(torch.stack((p[..., 0::2].sin(), p[..., 1::2].cos()), dim=4).flatten(3))
        return torch.cat(both, dim=3).permute(0, 3, 1, 2).to(x.dtype)

    class ACT(nn.Module):
        mean: Tensor
        std: Tensor

        def __init__(self, d: int = 512, queries: int = 100, state: int = 14, latent: int = 32) -> None:
            super().__init__()
            self.latent, self.d = latent, d
            self.backbone, self.input_proj = resnet18(), nn.Conv2d(512, d, 1)
            self.encoder = nn.ModuleList(Layer(d, 8, 3200, False) for _ in range(4))
            self.decoder = nn.ModuleList(Layer(d, 8, 3200, True) for _ in range(7))
            self.norm = nn.LayerNorm(d)
            self.query_embed, self.additional_pos_embed = nn.Embedding(queries, d), nn.Embedding(2, d)
            self.input_proj_robot_state, self.latent_out_proj = nn.Linear(state, d), nn.Linear(latent, d)
            self.action_head, self.is_pad_head = nn.Linear(d, state), nn.Linear(d, 1)
            self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
            self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

        def forward(self, qpos: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
            b = qpos.shape[0]
            latent = self.latent_out_proj(torch.zeros([b, self.latent], dtype=qpos.dtype).to(qpos.device))
            features, positions = [], []
            for camera in range(image.shape[1]):
                x = self.backbone((image[:, camera] - self.mean) / self.std)
                features.append(self.input_proj(x))
                positions.append(sine_positions(x, self.d // 2))
            src, pos = torch.cat(features, axis=3), torch.cat(positions, axis=3)
            src = src.flatten(2).permute(2, 0, 1)
            pos = pos.flatten(2).permute(2, 0, 1).repeat(1, b, 1)
            pos = torch.cat([self.additional_pos_embed.weight.unsqueeze(1).repeat(1, b, 1), pos], axis=0)
            src = torch.cat([torch.stack([latent, self.input_proj_robot_state(qpos)], axis=0), src], axis=0)
            for layer in self.encoder:
                src = layer(src, pos)
            query_pos = self.query_embed.weight.unsqueeze(1).repeat(1, b, 1)
            tgt = torch.zeros_like(query_pos)
            for layer in self.decoder:
                tgt = layer(tgt, query_pos, src, pos)
            hs = self.norm(tgt).transpose(0, 1)
            return self.action_head(hs), self.is_pad_head(hs)

    return ACT().eval(), {"qpos": torch.randn(batch, 14), "image": torch.rand(batch, 2, 3, 480, 640)}
