"""Fresh models, written out as people write them for their own use.

See ``FRESH`` in families.py: measured once, predicted once, for a release.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Made = tuple[nn.Module, dict[str, Tensor]]


def _random(*shape: int, below: int) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(0)
    return torch.randint(below, shape, generator=generator, device="cpu")


def crnn(batch: int) -> Made:
    """A reader of words: convolutions down to one row of 32 x 128 pixels, two LSTMs in both directions."""

    class Crnn(nn.Module):
        def __init__(self, classes: int = 37) -> None:
            super().__init__()
            layers: list[nn.Module] = []
            plan = [
                (1, 64, 2, 2),
                (64, 128, 2, 2),
                (128, 256, 0, 0),
                (256, 256, 2, 1),
                (256, 512, 0, 0),
                (512, 512, 2, 1),
            ]
            for a, b, down, across in plan:
                layers += [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]
                if down:
                    layers.append(nn.MaxPool2d((2, 2), (down, across), (0, 2 - across)))
            self.cnn = nn.Sequential(*layers, nn.Conv2d(512, 512, 2), nn.ReLU(inplace=True))
            self.rnn = nn.LSTM(512, 256, num_layers=2, bidirectional=True)
            self.head = nn.Linear(512, classes)

        def forward(self, image: Tensor) -> Tensor:
            features = self.cnn(image).squeeze(2).permute(2, 0, 1)
            out, _ = self.rnn(features)
            return F.log_softmax(self.head(out), dim=2)

    return Crnn().eval(), {"image": torch.rand(batch, 1, 32, 128)}


def tutorial_gpt(batch: int) -> Made:
    """A GPT as in tutorials: queries, keys and values at once, a written-out mask, 6 layers of 384."""

    class SelfAttention(nn.Module):
        mask: Tensor

        def __init__(self, width: int, heads: int, block: int) -> None:
            super().__init__()
            self.qkv, self.proj, self.heads = (
                nn.Linear(width, 3 * width, bias=False),
                nn.Linear(width, width),
                heads,
            )
            self.drop_weights, self.drop = nn.Dropout(0.2), nn.Dropout(0.2)
            self.register_buffer("mask", torch.tril(torch.ones(block, block)).view(1, 1, block, block))

        def forward(self, x: Tensor) -> Tensor:
            b, t, c = x.size()
            q, k, v = self.qkv(x).split(c, dim=2)
            q = q.view(b, t, self.heads, c // self.heads).transpose(1, 2)
            k = k.view(b, t, self.heads, c // self.heads).transpose(1, 2)
            v = v.view(b, t, self.heads, c // self.heads).transpose(1, 2)
            weights = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
            weights = weights.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf"))
            y = self.drop_weights(F.softmax(weights, dim=-1)) @ v
            return self.drop(self.proj(y.transpose(1, 2).contiguous().view(b, t, c)))

    class Block(nn.Module):
        def __init__(self, width: int, heads: int, block: int) -> None:
            super().__init__()
            self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.attention = SelfAttention(width, heads, block)
            self.mlp = nn.Sequential(
                nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(0.2)
            )

        def forward(self, x: Tensor) -> Tensor:
            x = x + self.attention(self.ln1(x))
            return x + self.mlp(self.ln2(x))

    class Gpt(nn.Module):
        def __init__(self, words: int = 20_000, width: int = 384, layers: int = 6, block: int = 256) -> None:
            super().__init__()
            self.tokens, self.positions = nn.Embedding(words, width), nn.Embedding(block, width)
            self.blocks = nn.Sequential(*(Block(width, 6, block) for _ in range(layers)))
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, words, bias=False)
            self.tokens.weight = self.head.weight

        def forward(self, idx: Tensor) -> Tensor:
            pos = torch.arange(0, idx.size(1), dtype=torch.long, device=idx.device)
            x = self.tokens(idx) + self.positions(pos)
            return self.head(self.norm(self.blocks(x)))

    return Gpt().eval(), {"idx": _random(batch, 128, below=20_000)}


def set_transformer(batch: int) -> Made:
    """A Set Transformer: 512 members attend through 32 points, four seeds pool them."""

    class Mab(nn.Module):
        def __init__(self, dim_q: int, dim_k: int, width: int, heads: int = 4) -> None:
            super().__init__()
            self.heads = heads
            self.fc_q, self.fc_k, self.fc_v = (
                nn.Linear(dim_q, width),
                nn.Linear(dim_k, width),
                nn.Linear(dim_k, width),
            )
            self.ln0, self.ln1, self.fc_o = nn.LayerNorm(width), nn.LayerNorm(width), nn.Linear(width, width)

        def forward(self, q: Tensor, k: Tensor) -> Tensor:
            q, k, v = self.fc_q(q), self.fc_k(k), self.fc_v(k)
            split = q.size(2) // self.heads
            q_, k_, v_ = (torch.cat(x.split(split, 2), 0) for x in (q, k, v))
            weights = torch.softmax(q_.bmm(k_.transpose(1, 2)) / math.sqrt(q.size(2)), 2)
            o = self.ln0(torch.cat((q_ + weights.bmm(v_)).split(q.size(0), 0), 2))
            return self.ln1(o + F.relu(self.fc_o(o)))

    class Induced(nn.Module):
        def __init__(self, c_in: int, width: int, points: int) -> None:
            super().__init__()
            self.points = nn.Parameter(torch.rand(1, points, width) - 0.5)
            self.inward, self.outward = Mab(width, c_in, width), Mab(c_in, width, width)

        def forward(self, x: Tensor) -> Tensor:
            return self.outward(x, self.inward(self.points.repeat(x.size(0), 1, 1), x))

    class SetTransformer(nn.Module):
        def __init__(self, width: int = 128) -> None:
            super().__init__()
            self.encoder = nn.Sequential(Induced(3, width, 32), Induced(width, width, 32))
            self.seeds, self.pool = nn.Parameter(torch.rand(1, 4, width) - 0.5), Mab(width, width, width)
            self.after, self.head = Mab(width, width, width), nn.Linear(width, 10)

        def forward(self, x: Tensor) -> Tensor:
            x = self.encoder(x)
            x = self.pool(self.seeds.repeat(x.size(0), 1, 1), x)
            return self.head(self.after(x, x))

    return SetTransformer().eval(), {"x": torch.rand(batch, 512, 3)}


def neural_ode(batch: int) -> Made:
    """A neural ODE: ten Runge-Kutta steps of fourth order of a tanh MLP; 64 states for each of a batch."""

    class Dynamics(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(width + 1, 128), nn.Tanh(), nn.Linear(128, 128), nn.Tanh())
            self.out = nn.Linear(128, width)

        def forward(self, t: float, y: Tensor) -> Tensor:
            time = torch.full_like(y[..., :1], t)
            return self.out(self.net(torch.cat([y, time], dim=-1)))

    class Ode(nn.Module):
        def __init__(self, steps: int = 10) -> None:
            super().__init__()
            self.encode, self.f, self.decode = nn.Linear(8, 32), Dynamics(32), nn.Linear(32, 8)
            self.steps = steps

        def forward(self, x: Tensor) -> Tensor:
            y, h = self.encode(x), 1.0 / self.steps
            found = [y]
            for i in range(self.steps):
                t = i * h
                k1 = self.f(t, y)
                k2 = self.f(t + h / 2, y + h / 2 * k1)
                k3 = self.f(t + h / 2, y + h / 2 * k2)
                k4 = self.f(t + h, y + h * k3)
                y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
                found.append(y)
            return self.decode(torch.stack(found, dim=1))

    return Ode().eval(), {"x": torch.rand(64 * batch, 8)}


def diagonal_state_space(batch: int) -> Made:
    """S4D: convolutions of 1024 steps from diagonal states, through FFTs in single precision."""

    class Kernel(nn.Module):
        def __init__(self, width: int, states: int = 32) -> None:
            super().__init__()
            self.c = nn.Parameter(torch.randn(width, states, 2) * 0.5)
            self.log_dt = nn.Parameter(torch.rand(width) * 4.6 - 6.9)
            self.log_real = nn.Parameter(torch.full((width, states), math.log(0.5)))
            self.imag = nn.Parameter(math.pi * torch.arange(states).float().repeat(width, 1))

        def forward(self, length: int) -> Tensor:
            dt = torch.exp(self.log_dt.float())
            c = torch.view_as_complex(self.c.float().contiguous())
            a = torch.complex(-torch.exp(self.log_real.float()), self.imag.float())
            dt_a = a * dt.unsqueeze(-1)
            k = dt_a.unsqueeze(-1) * torch.arange(length, device=a.device)
            c = c * (torch.exp(dt_a) - 1.0) / a
            return 2 * torch.einsum("hn,hnl->hl", c, torch.exp(k)).real

    class Layer(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.kernel, self.d = Kernel(width), nn.Parameter(torch.randn(width))
            self.out = nn.Sequential(nn.Conv1d(width, 2 * width, 1), nn.GLU(dim=-2))

        def forward(self, u: Tensor) -> Tensor:
            length = u.size(-1)
            k_f = torch.fft.rfft(self.kernel(length), n=2 * length)
            u_f = torch.fft.rfft(u.float(), n=2 * length)
            y = torch.fft.irfft(u_f * k_f, n=2 * length)[..., :length].to(u.dtype)
            return self.out(F.gelu(y + u * self.d.unsqueeze(-1)))

    class S4d(nn.Module):
        def __init__(self, width: int = 128, layers: int = 4) -> None:
            super().__init__()
            self.encoder, self.decoder = nn.Linear(3, width), nn.Linear(width, 10)
            self.layers = nn.ModuleList(Layer(width) for _ in range(layers))
            self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))

        def forward(self, x: Tensor) -> Tensor:
            x = self.encoder(x).transpose(-1, -2)
            for layer, norm in zip(self.layers, self.norms):
                x = norm((x + layer(x)).transpose(-1, -2)).transpose(-1, -2)
            return self.decoder(x.mean(dim=-1))

    return S4d().eval(), {"x": torch.rand(batch, 1024, 3)}


def spline_net(batch: int) -> Made:
    """A Kolmogorov-Arnold net: cubic splines on a grid beside SiLU; 64 rows for each of a batch."""

    class Spline(nn.Module):
        grid: Tensor

        def __init__(self, c_in: int, c_out: int, cells: int = 5, order: int = 3) -> None:
            super().__init__()
            self.order, self.c_in, self.c_out = order, c_in, c_out
            grid = torch.arange(-order, cells + order + 1) * (2 / cells) - 1
            self.register_buffer("grid", grid.float().expand(c_in, -1).contiguous())
            self.base = nn.Parameter(torch.randn(c_out, c_in) * 0.1)
            self.coefficients = nn.Parameter(torch.randn(c_out, c_in, cells + order) * 0.1)
            self.scale = nn.Parameter(torch.ones(c_out, c_in))

        def splines(self, x: Tensor) -> Tensor:
            grid, x = self.grid, x.unsqueeze(-1)
            bases = ((x >= grid[:, :-1]) & (x < grid[:, 1:])).to(x.dtype)
            for k in range(1, self.order + 1):
                left = (x - grid[:, : -(k + 1)]) / (grid[:, k:-1] - grid[:, : -(k + 1)]) * bases[:, :, :-1]
                right = (grid[:, k + 1 :] - x) / (grid[:, k + 1 :] - grid[:, 1:(-k)]) * bases[:, :, 1:]
                bases = left + right
            return bases.contiguous()

        def forward(self, x: Tensor) -> Tensor:
            weight = (self.coefficients * self.scale.unsqueeze(-1)).view(self.c_out, -1)
            return F.linear(F.silu(x), self.base) + F.linear(self.splines(x).view(x.size(0), -1), weight)

    return nn.Sequential(*(Spline(a, b) for a, b in pairwise((64, 128, 128, 10)))).eval(), {
        "input": torch.rand(64 * batch, 64)
    }


def rain_forecast(batch: int) -> Made:
    """Convolutional LSTM cells: two layers read ten frames of 64 pixels and foretell five."""

    class Cell(nn.Module):
        def __init__(self, c_in: int, hidden: int) -> None:
            super().__init__()
            self.hidden, self.conv = hidden, nn.Conv2d(c_in + hidden, 4 * hidden, 3, padding=1)

        def start(self, x: Tensor) -> tuple[Tensor, Tensor]:
            zeros = x.new_zeros(x.shape[0], self.hidden, x.shape[-2], x.shape[-1])
            return zeros, zeros

        def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            h, c = state
            i, f, o, g = torch.split(self.conv(torch.cat([x, h], dim=1)), self.hidden, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            return torch.sigmoid(o) * torch.tanh(c), c

    class Nowcast(nn.Module):
        def __init__(self, hidden: int = 64) -> None:
            super().__init__()
            self.read, self.think = Cell(1, hidden), Cell(hidden, hidden)
            self.head = nn.Conv2d(hidden, 1, 1)

        def forward(self, frames: Tensor) -> Tensor:
            one, two = self.read.start(frames[:, 0]), self.think.start(frames[:, 0])
            for t in range(frames.shape[1]):
                one = self.read(frames[:, t], one)
                two = self.think(one[0], two)
            found = []
            for _ in range(5):
                x = torch.sigmoid(self.head(two[0]))
                found.append(x)
                one = self.read(x, one)
                two = self.think(one[0], two)
            return torch.stack(found, dim=1)

    return Nowcast().eval(), {"frames": torch.rand(batch, 10, 1, 64, 64)}


def speech_decoder(batch: int) -> Made:
    """Tacotron 2: letters through convolutions and an LSTM, 30 frames by cells that attend where they did."""

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query, self.memory = nn.Linear(512, 128, bias=False), nn.Linear(512, 128, bias=False)
            self.location = nn.Conv1d(2, 32, 31, padding=15, bias=False)
            self.place, self.v = nn.Linear(32, 128, bias=False), nn.Linear(128, 1, bias=False)

        def forward(self, query: Tensor, memory: Tensor, keys: Tensor, before: Tensor) -> tuple[Tensor, ...]:
            place = self.place(self.location(before).transpose(1, 2))
            energies = self.v(torch.tanh(self.query(query.unsqueeze(1)) + place + keys)).squeeze(-1)
            weights = F.softmax(energies, dim=1)
            return torch.bmm(weights.unsqueeze(1), memory).squeeze(1), weights

    class Tacotron(nn.Module):
        def __init__(self, frames: int = 30, mels: int = 80) -> None:
            super().__init__()
            self.frames, self.mels, self.embed = frames, mels, nn.Embedding(148, 512)
            parts = [[nn.Conv1d(512, 512, 5, padding=2), nn.BatchNorm1d(512), nn.ReLU()] for _ in range(3)]
            self.convs = nn.Sequential(*(layer for part in parts for layer in part))
            self.encoder = nn.LSTM(512, 256, batch_first=True, bidirectional=True)
            self.prenet = nn.Sequential(nn.Linear(mels, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU())
            self.attention, self.attend, self.decode = (
                *(Attention(), nn.LSTMCell(256 + 512, 512), nn.LSTMCell(512 + 512, 512)),
            )
            self.project, self.gate = nn.Linear(1024, mels), nn.Linear(1024, 1)
            widths = (mels, 256, 256, mels)
            self.postnet = nn.ModuleList(
                nn.Sequential(nn.Conv1d(a, b, 5, padding=2), nn.BatchNorm1d(b)) for a, b in pairwise(widths)
            )

        def forward(self, letters: Tensor) -> tuple[Tensor, Tensor]:
            memory, _ = self.encoder(self.convs(self.embed(letters).transpose(1, 2)).transpose(1, 2))
            keys, b = self.attention.memory(memory), letters.shape[0]
            frame, context = memory.new_zeros(b, self.mels), memory.new_zeros(b, 512)
            weights = total = memory.new_zeros(b, letters.shape[1])
            h1 = c1 = h2 = c2 = memory.new_zeros(b, 512)
            frames, gates = [], []
            for _ in range(self.frames):
                h1, c1 = self.attend(torch.cat([self.prenet(frame), context], dim=-1), (h1, c1))
                context, weights = self.attention(h1, memory, keys, torch.stack([weights, total], dim=1))
                total = total + weights
                h2, c2 = self.decode(torch.cat([h1, context], dim=-1), (h2, c2))
                both = torch.cat([h2, context], dim=1)
                frame = self.project(both)
                frames.append(frame)
                gates.append(self.gate(both))
            mel = torch.stack(frames, dim=2)
            y = mel
            for i, layer in enumerate(self.postnet):
                y = torch.tanh(layer(y)) if i < len(self.postnet) - 1 else layer(y)
            return mel + y, torch.cat(gates, dim=1)

    return Tacotron().eval(), {"letters": _random(batch, 60, below=148)}


def collaborative_filter(batch: int) -> Made:
    """NeuMF: products of two embeddings beside an MLP over two others; 256 pairs for each of a batch."""

    class NeuMf(nn.Module):
        def __init__(self, users: int = 50_000, items: int = 20_000, factors: int = 32) -> None:
            super().__init__()
            self.user_gmf, self.item_gmf = nn.Embedding(users, factors), nn.Embedding(items, factors)
            self.user_mlp, self.item_mlp = nn.Embedding(users, 4 * factors), nn.Embedding(items, 4 * factors)
            layers: list[nn.Module] = []
            for a, b in pairwise((8 * factors, 4 * factors, 2 * factors, factors)):
                layers += [nn.Dropout(0.1), nn.Linear(a, b), nn.ReLU()]
            self.mlp, self.head = nn.Sequential(*layers), nn.Linear(2 * factors, 1)

        def forward(self, user: Tensor, item: Tensor) -> Tensor:
            gmf = self.user_gmf(user) * self.item_gmf(item)
            mlp = self.mlp(torch.cat((self.user_mlp(user), self.item_mlp(item)), -1))
            return torch.sigmoid(self.head(torch.cat((gmf, mlp), -1)).view(-1))

    n = 256 * batch
    return NeuMf().eval(), {"user": _random(n, below=50_000), "item": _random(n, below=20_000)}


def volume_unet(batch: int) -> Made:
    """A U-Net for scans of 64 x 64 x 64: instance norms, leaky ReLU, transposed convolutions."""

    def block(a: int, b: int, stride: int = 1) -> nn.Sequential:
        layers: list[nn.Module] = []
        for c, s in ((a, stride), (b, 1)):
            layers += [
                nn.Conv3d(c, b, 3, s, 1),
                nn.InstanceNorm3d(b, affine=True),
                nn.LeakyReLU(0.01, inplace=True),
            ]
        return nn.Sequential(*layers)

    class VolumeUNet(nn.Module):
        def __init__(self, widths: tuple[int, ...] = (16, 32, 64, 128)) -> None:
            super().__init__()
            pairs = list(pairwise(widths))
            self.down = nn.ModuleList([block(1, widths[0]), *(block(a, b, 2) for a, b in pairs)])
            self.grow = nn.ModuleList(nn.ConvTranspose3d(b, a, 2, 2) for a, b in reversed(pairs))
            self.up = nn.ModuleList(block(2 * a, a) for a, _ in reversed(pairs))
            self.head = nn.Conv3d(widths[0], 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            skips = []
            for layer in self.down:
                x = layer(x)
                skips.append(x)
            skips.pop()
            for grow, up in zip(self.grow, self.up):
                x = up(torch.cat((grow(x), skips.pop()), dim=1))
            return self.head(x)

    return VolumeUNet().eval(), {"x": torch.rand(batch, 1, 64, 64, 64)}


def graph_transformer(batch: int) -> Made:
    """A graph transformer: dense attention between 64 nodes, biased by edges; six layers of 128."""

    class Layer(nn.Module):
        def __init__(self, width: int, heads: int) -> None:
            super().__init__()
            self.heads, self.scale = heads, (width // heads) ** -0.5
            self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
            self.edge_bias, self.out = nn.Linear(16, heads), nn.Linear(width, width)
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.ffn = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))

        def forward(self, x: Tensor, edges: Tensor, mask: Tensor) -> Tensor:
            b, n, c = x.shape
            projected = (self.q(x), self.k(x), self.v(x))
            q, k, v = (y.reshape(b, n, self.heads, -1).permute(0, 2, 1, 3) for y in projected)
            bias = self.edge_bias(edges).permute(0, 3, 1, 2)
            scores = torch.einsum("bhid,bhjd->bhij", q, k) * self.scale + bias
            weights = scores.masked_fill(mask, -1e4).softmax(dim=-1)
            y = torch.einsum("bhij,bhjd->bhid", weights, v).permute(0, 2, 1, 3).reshape(b, n, c)
            x = self.norm1(x + self.out(y))
            return self.norm2(x + self.ffn(x))

    class GraphTransformer(nn.Module):
        def __init__(self, width: int = 128, layers: int = 6) -> None:
            super().__init__()
            self.atoms, self.bonds, self.degrees = (
                *(nn.Embedding(64, width), nn.Embedding(8, 16), nn.Embedding(64, width)),
            )
            self.layers = nn.ModuleList(Layer(width, 8) for _ in range(layers))
            self.head = nn.Sequential(nn.Linear(width, width // 2), nn.ReLU(), nn.Linear(width // 2, 1))

        def forward(self, atoms: Tensor, bonds: Tensor) -> Tensor:
            linked = bonds > 0
            mask = ~(linked | torch.eye(bonds.shape[-1], dtype=torch.bool, device=bonds.device))[:, None]
            x = self.atoms(atoms) + self.degrees(linked.sum(dim=-1).clamp(max=63))
            edges = self.bonds(bonds)
            for layer in self.layers:
                x = layer(x, edges, mask)
            return self.head(x.mean(dim=1)).squeeze(-1)

    bonds = (_random(batch, 64, 64, below=40) - 32).clamp(min=0)
    return GraphTransformer().eval(), {"atoms": _random(batch, 64, below=64), "bonds": bonds}
