"""Strangers' models, written out by the habits of people who use torch every day.

See ``STRANGERS`` in families.py: measured once, predicted once, for a release.
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


def ecg_resnet(batch: int) -> Made:
    """A ResNet over heart beats: 12 leads of 4096 samples, windows of 17, each block a quarter as long."""

    class Block(nn.Module):
        def __init__(self, a: int, b: int, kernel: int = 17, down: int = 4) -> None:
            super().__init__()
            self.conv1 = nn.Conv1d(a, b, kernel, padding=kernel // 2, bias=False)
            self.conv2 = nn.Conv1d(b, b, kernel, stride=down, padding=kernel // 2, bias=False)
            self.bn1, self.bn2 = nn.BatchNorm1d(b), nn.BatchNorm1d(b)
            self.pool, self.match = nn.MaxPool1d(down), nn.Conv1d(a, b, 1, bias=False)
            self.relu, self.dropout = nn.ReLU(), nn.Dropout(0.2)

        def forward(self, x: Tensor) -> Tensor:
            skip = self.match(self.pool(x))
            x = self.dropout(self.relu(self.bn1(self.conv1(x))))
            x = self.conv2(x) + skip
            return self.dropout(self.relu(self.bn2(x)))

    class EcgNet(nn.Module):
        def __init__(self, leads: int = 12, classes: int = 6) -> None:
            super().__init__()
            stem = nn.Conv1d(leads, 64, 17, padding=8, bias=False)
            self.first = nn.Sequential(stem, nn.BatchNorm1d(64), nn.ReLU())
            self.blocks = nn.Sequential(*(Block(a, b) for a, b in pairwise((64, 128, 196, 256, 320))))
            self.head = nn.Linear(320 * 16, classes)

        def forward(self, ecg: Tensor) -> Tensor:
            x = self.blocks(self.first(ecg))
            return torch.sigmoid(self.head(x.view(x.size(0), -1)))

    return EcgNet().eval(), {"ecg": torch.rand(batch, 12, 4096)}


def siamese_tracker(batch: int) -> Made:
    """SiamFC: a template of 127 pixels slides as a window over an image of 255, one for each of a batch."""

    def layer(a: int, b: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
        return [nn.Conv2d(a, b, kernel, stride, groups=groups), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]

    class Tracker(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = nn.Sequential(
                *(*layer(3, 80, 11, 2), nn.MaxPool2d(3, 2), *layer(80, 200, 5, groups=2), nn.MaxPool2d(3, 2)),
                *(*layer(200, 320, 3), *layer(320, 320, 3, groups=2), nn.Conv2d(320, 208, 3, groups=2)),
            )
            self.scale, self.shift = nn.Parameter(torch.tensor(1e-3)), nn.Parameter(torch.zeros(1))

        def forward(self, template: Tensor, search: Tensor) -> Tensor:
            z, x = self.backbone(template), self.backbone(search)
            n, c, h, w = x.shape
            found = F.conv2d(x.reshape(1, n * c, h, w), z, groups=n)
            found = found.view(n, -1, found.size(-2), found.size(-1))
            return found * self.scale + self.shift

    inputs = {"template": torch.rand(batch, 3, 127, 127), "search": torch.rand(batch, 3, 255, 255)}
    return Tracker().eval(), inputs


def pointnet_plus(batch: int) -> Made:
    """PointNet++ on 768 points: the farthest are picked one by one, those around them by sorting, twice."""

    def rows(x: Tensor, index: Tensor) -> Tensor:
        b = torch.arange(x.shape[0], device=x.device).view(-1, *[1] * (index.dim() - 1))
        return x[b, index]

    class Abstraction(nn.Module):
        def __init__(self, points: int, radius: float, around: int, widths: tuple[int, ...]) -> None:
            super().__init__()
            self.points, self.radius, self.around = points, radius, around
            self.convs = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in pairwise(widths))
            self.bns = nn.ModuleList(nn.BatchNorm2d(b) for b in widths[1:])

        def _farthest(self, xyz: Tensor) -> Tensor:
            b, n, _ = xyz.shape
            chosen = torch.zeros(b, self.points, dtype=torch.long, device=xyz.device)
            distance = torch.full((b, n), 1e4, dtype=xyz.dtype, device=xyz.device)
            last = torch.zeros(b, dtype=torch.long, device=xyz.device)
            each = torch.arange(b, device=xyz.device)
            for i in range(self.points):
                chosen[:, i] = last
                centre = xyz[each, last].unsqueeze(1)
                distance = torch.minimum(distance, torch.sum((xyz - centre) ** 2, dim=-1))
                last = distance.max(dim=-1)[1]
            return chosen

        def _neighbours(self, xyz: Tensor, centres: Tensor) -> Tensor:
            b, n, _ = xyz.shape
            apart = ((centres[:, :, None] - xyz[:, None]) ** 2).sum(-1)
            index = torch.arange(n, device=xyz.device).repeat(b, centres.shape[1], 1)
            index = index.masked_fill(apart > self.radius**2, n)
            index = index.sort(dim=-1)[0][:, :, : self.around]
            return torch.where(index == n, index[:, :, :1], index).clamp(max=n - 1)

        def forward(self, xyz: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
            centres = rows(xyz, self._farthest(xyz))
            index = self._neighbours(xyz, centres)
            x = rows(xyz, index) - centres.unsqueeze(2)
            if features is not None:
                x = torch.cat([x, rows(features, index)], dim=-1)
            x = x.permute(0, 3, 2, 1)
            for conv, bn in zip(self.convs, self.bns):
                x = F.relu(bn(conv(x)))
            return centres, torch.max(x, 2)[0].permute(0, 2, 1)

    class PointNetPlus(nn.Module):
        def __init__(self, classes: int = 15) -> None:
            super().__init__()
            self.one = Abstraction(160, 0.25, 24, (3, 48, 48, 96))
            self.two = Abstraction(40, 0.5, 32, (99, 128, 160, 256))
            self.last = nn.Sequential(nn.Linear(259, 384), nn.ReLU(), nn.Linear(384, 768), nn.ReLU())
            self.head = nn.Sequential(
                *(nn.Linear(768, 320), nn.BatchNorm1d(320), nn.ReLU(), nn.Dropout(0.4)),
                nn.Linear(320, classes),
            )

        def forward(self, xyz: Tensor) -> Tensor:
            centres, features = self.one(xyz, None)
            centres, features = self.two(centres, features)
            x = self.last(torch.cat([centres, features], dim=-1)).max(dim=1)[0]
            return F.log_softmax(self.head(x), dim=-1)

    return PointNetPlus().eval(), {"xyz": torch.rand(batch, 768, 3)}


def interest_network(batch: int) -> Made:
    """A deep interest network: purchases are weighed against an offer; 200 rows for each of a batch."""

    class Attention(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.mlp = nn.Sequential(
                *(nn.Linear(4 * width, 72), nn.Sigmoid(), nn.Linear(72, 36), nn.Sigmoid()), nn.Linear(36, 1)
            )

        def forward(self, offered: Tensor, bought: Tensor, mask: Tensor) -> Tensor:
            offered = offered.unsqueeze(1).expand_as(bought)
            both = torch.cat([offered, bought, offered - bought, offered * bought], dim=-1)
            scores = self.mlp(both).squeeze(-1).masked_fill(~mask, 0.0)
            return torch.bmm(scores.unsqueeze(1), bought).squeeze(1)

    class Interest(nn.Module):
        def __init__(self, items: int = 40_000, kinds: int = 800, width: int = 24) -> None:
            super().__init__()
            self.item, self.kind = nn.Embedding(items, width, padding_idx=0), nn.Embedding(kinds, width)
            self.user, self.attention = nn.Embedding(30_000, width), Attention(2 * width)
            self.mlp = nn.Sequential(
                *(nn.BatchNorm1d(7 * width), nn.Linear(7 * width, 200), nn.PReLU(), nn.Linear(200, 80)),
                *(nn.PReLU(), nn.Linear(80, 1)),
            )

        def forward(self, user: Tensor, item: Tensor, kind: Tensor, items: Tensor, kinds: Tensor) -> Tensor:
            offered = torch.cat([self.item(item), self.kind(kind)], dim=-1)
            bought = torch.cat([self.item(items), self.kind(kinds)], dim=-1)
            mask = items > 0
            interest = self.attention(offered, bought, mask)
            share = (bought * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
            x = torch.cat([self.user(user), offered, interest, share], dim=-1)
            return torch.sigmoid(self.mlp(x)).squeeze(-1)

    n, length = 200 * batch, 45
    inputs = {"user": _random(n, below=30_000), "item": _random(n, below=40_000)}
    inputs |= {
        "kind": _random(n, below=800),
        "items": _random(n, length, below=40_000),
        "kinds": _random(n, length, below=800),
    }
    inputs["items"][:, 30:] = 0
    return Interest().eval(), inputs


def hypernetwork(batch: int) -> Made:
    """A net that makes nets: convolutions over 48 pixels write the weights of sines over 64 x 64 places."""

    class Hyper(nn.Module):
        def __init__(self, width: int = 56, code: int = 160) -> None:
            super().__init__()
            self.sizes = list(pairwise((2, width, width, width, 3)))
            layers: list[nn.Module] = []
            for a, b in pairwise((3, 40, 80, 160)):
                layers += [nn.Conv2d(a, b, 3, stride=2, padding=1), nn.LeakyReLU(0.1)]
            self.encoder = nn.Sequential(*layers, nn.Flatten(), nn.Linear(160 * 36, code))
            self.writers = nn.ModuleList()
            for a, b in self.sizes:
                last = nn.Linear(128, (a + 1) * b)
                self.writers.append(nn.Sequential(nn.Linear(code, 128), nn.ReLU(), last))

        def forward(self, image: Tensor) -> Tensor:
            code = self.encoder(image)
            n, axis = image.size(0), torch.linspace(-1, 1, 64, device=image.device, dtype=image.dtype)
            grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1).view(1, -1, 2)
            x = grid.repeat(n, 1, 1)
            for i, (writer, (a, b)) in enumerate(zip(self.writers, self.sizes)):
                made = writer(code)
                weight, bias = made[:, : a * b].view(n, a, b), made[:, a * b :].unsqueeze(1)
                x = torch.bmm(x, weight / math.sqrt(a)) + bias
                if i < len(self.sizes) - 1:
                    x = torch.sin(30 * x if i == 0 else x)
            return x.view(n, 64, 64, 3).permute(0, 3, 1, 2)

    return Hyper().eval(), {"image": torch.rand(batch, 3, 48, 48)}


def own_llama(batch: int) -> Made:
    """A decoder as people write Llama: complex numbers turn queries and keys, ten layers of 640."""

    class RmsNorm(nn.Module):
        def __init__(self, dim: int, eps: float = 1e-5) -> None:
            super().__init__()
            self.eps, self.weight = eps, nn.Parameter(torch.ones(dim))

        def forward(self, x: Tensor) -> Tensor:
            y = x.float()
            y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps)
            return y.type_as(x) * self.weight

    def turned(x: Tensor, turns: Tensor) -> Tensor:
        pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
        return torch.view_as_real(pairs * turns[None, :, None]).flatten(3).type_as(x)

    class Layer(nn.Module):
        def __init__(self, dim: int, heads: int, shared: int, hidden: int) -> None:
            super().__init__()
            self.heads, self.shared, self.size = heads, shared, dim // heads
            self.wq, self.wo = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
            self.wk, self.wv = (nn.Linear(dim, shared * self.size, bias=False) for _ in range(2))
            self.w1, self.w3 = nn.Linear(dim, hidden, bias=False), nn.Linear(dim, hidden, bias=False)
            self.w2 = nn.Linear(hidden, dim, bias=False)
            self.attention_norm, self.ffn_norm = RmsNorm(dim), RmsNorm(dim)

        def forward(self, x: Tensor, turns: Tensor, mask: Tensor) -> Tensor:
            b, n, _ = x.shape
            y = self.attention_norm(x)
            q = turned(self.wq(y).view(b, n, self.heads, self.size), turns)
            k = turned(self.wk(y).view(b, n, self.shared, self.size), turns)
            v = self.wv(y).view(b, n, self.shared, self.size)
            k = k.repeat_interleave(self.heads // self.shared, dim=2).transpose(1, 2)
            v = v.repeat_interleave(self.heads // self.shared, dim=2).transpose(1, 2)
            scores = torch.matmul(q.transpose(1, 2), k.transpose(2, 3)) / math.sqrt(self.size) + mask
            scores = F.softmax(scores.float(), dim=-1).type_as(q)
            x = x + self.wo(torch.matmul(scores, v).transpose(1, 2).contiguous().view(b, n, -1))
            y = self.ffn_norm(x)
            return x + self.w2(F.silu(self.w1(y)) * self.w3(y))

    class Decoder(nn.Module):
        def __init__(self, words: int = 16_000, dim: int = 640, layers: int = 10) -> None:
            super().__init__()
            self.size = dim // 10
            self.embed, self.norm = nn.Embedding(words, dim), RmsNorm(dim)
            self.layers = nn.ModuleList(Layer(dim, 10, 2, 1728) for _ in range(layers))
            self.output = nn.Linear(dim, words, bias=False)

        def forward(self, tokens: Tensor) -> Tensor:
            n, x = tokens.shape[1], self.embed(tokens)
            pairs = torch.arange(0, self.size, 2, device=x.device).float()
            angles = torch.outer(torch.arange(n, device=x.device).float(), 10000.0 ** (-pairs / self.size))
            turns = torch.polar(torch.ones_like(angles), angles)
            mask = torch.triu(torch.full((n, n), float("-inf"), device=x.device), diagonal=1).type_as(x)
            for layer in self.layers:
                x = layer(x, turns, mask)
            return self.output(self.norm(x)[:, -1])

    return Decoder().eval(), {"tokens": _random(batch, 224, below=16_000)}


def speech_enhancer(batch: int) -> Made:
    """A denoiser of two seconds: a spectrum in single precision, convolutions, a GRU, a complex mask."""

    class Down(nn.Module):
        def __init__(self, a: int, b: int) -> None:
            super().__init__()
            self.conv, self.bn = nn.Conv2d(a, b, (5, 2), (2, 1), (2, 1)), nn.BatchNorm2d(b)
            self.act = nn.PReLU(b)

        def forward(self, x: Tensor) -> Tensor:
            return self.act(self.bn(self.conv(x)[..., :-1]))

    class Up(nn.Module):
        def __init__(self, a: int, b: int) -> None:
            super().__init__()
            self.conv, self.bn = nn.ConvTranspose2d(a, b, (5, 2), (2, 1), (2, 0)), nn.BatchNorm2d(b)
            self.act = nn.PReLU(b)

        def forward(self, x: Tensor) -> Tensor:
            return self.act(self.bn(self.conv(x)[..., 1:]))

    class Enhancer(nn.Module):
        window: Tensor

        def __init__(self, n_fft: int = 384, hop: int = 128) -> None:
            super().__init__()
            self.n_fft, self.hop = n_fft, hop
            self.register_buffer("window", torch.hann_window(n_fft))
            widths = (2, 24, 48, 64)
            self.down = nn.ModuleList(Down(a, b) for a, b in pairwise(widths))
            self.gru = nn.GRU(64 * 25, 224, num_layers=2, batch_first=True)
            self.back = nn.Linear(224, 64 * 25)
            self.up = nn.ModuleList(Up(2 * b, max(a, 8)) for a, b in reversed(list(pairwise(widths))))
            self.mask = nn.Conv2d(8, 2, 1)

        def forward(self, noisy: Tensor) -> Tensor:
            window = self.window.float()
            spectrum = torch.stft(
                *(noisy.float(), self.n_fft, self.hop, self.n_fft, window), center=True, return_complex=True
            )
            x = torch.stack([spectrum.real, spectrum.imag], dim=1).to(noisy.dtype)
            skips = []
            for layer in self.down:
                x = layer(x)
                skips.append(x)
            b, c, f, t = x.shape
            y, _ = self.gru(x.permute(0, 3, 1, 2).reshape(b, t, c * f))
            x = self.back(y).view(b, t, c, f).permute(0, 2, 3, 1)
            for up in self.up:
                x = up(torch.cat([x, skips.pop()], dim=1))
            mask = torch.tanh(self.mask(x)).float()
            clean = spectrum * torch.complex(mask[:, 0], mask[:, 1])
            sound = torch.istft(clean, self.n_fft, self.hop, self.n_fft, window, length=noisy.shape[-1])
            return sound.to(noisy.dtype)

    return Enhancer().eval(), {"noisy": torch.rand(batch, 32_000)}


def crf_tagger(batch: int) -> Made:
    """A tagger of names: letters through a convolution, an LSTM both ways, the best path through 17 tags."""

    class Tagger(nn.Module):
        def __init__(self, words: int = 12_000, letters: int = 90, tags: int = 17) -> None:
            super().__init__()
            self.letters, self.words = nn.Embedding(letters, 30), nn.Embedding(words, 100)
            self.spell = nn.Conv1d(30, 50, kernel_size=3, padding=1)
            self.lstm = nn.LSTM(150, 180, batch_first=True, bidirectional=True)
            self.dropout, self.emit = nn.Dropout(0.5), nn.Linear(360, tags)
            self.start, self.end = nn.Parameter(torch.rand(tags)), nn.Parameter(torch.rand(tags))
            self.transitions = nn.Parameter(torch.rand(tags, tags) - 0.5)

        def forward(self, words: Tensor, letters: Tensor) -> tuple[Tensor, Tensor]:
            b, n, k = letters.shape
            spelt = self.letters(letters.view(b * n, k)).transpose(1, 2)
            spelt = torch.max(F.relu(self.spell(spelt)), dim=-1)[0].view(b, n, -1)
            x = self.dropout(torch.cat([self.words(words), spelt], dim=-1))
            emissions = self.emit(self.dropout(self.lstm(x)[0]))
            score, came = self.start + emissions[:, 0], []
            for i in range(1, n):
                step = score.unsqueeze(2) + self.transitions + emissions[:, i].unsqueeze(1)
                score, before = step.max(dim=1)
                came.append(before)
            best, tag = (score + self.end).max(dim=1)
            path = [tag]
            for before in reversed(came):
                tag = before.gather(1, tag.unsqueeze(1)).squeeze(1)
                path.append(tag)
            path.reverse()
            return best, torch.stack(path, dim=1)

    inputs = {"words": _random(batch, 36, below=12_000), "letters": _random(batch, 36, 14, below=90)}
    return Tagger().eval(), inputs


def glow(batch: int) -> Made:
    """Glow on 32 pixels: three levels of five steps, products of triangles, one half moves the other."""

    class Step(nn.Module):
        permutation: Tensor

        def __init__(self, c: int, hidden: int = 144) -> None:
            super().__init__()
            self.bias, self.log_scale = (nn.Parameter(torch.zeros(1, c, 1, 1)) for _ in range(2))
            self.lower, self.upper = (nn.Parameter(torch.randn(c, c) * 0.05) for _ in range(2))
            self.log_s = nn.Parameter(torch.zeros(c))
            self.register_buffer("permutation", torch.eye(c)[torch.arange(c - 1, -1, -1)])
            layers = [nn.Conv2d(c // 2, hidden, 3, padding=1), nn.ReLU(), nn.Conv2d(hidden, hidden, 1)]
            self.net = nn.Sequential(*layers, nn.ReLU(), nn.Conv2d(hidden, c, 3, padding=1))

        def forward(self, x: Tensor, logdet: Tensor) -> tuple[Tensor, Tensor]:
            pixels = x.shape[2] * x.shape[3]
            x = (x + self.bias) * torch.exp(self.log_scale)
            logdet = logdet + pixels * self.log_scale.sum()
            c = x.shape[1]
            lower = torch.tril(self.lower, -1) + torch.eye(c, device=x.device, dtype=x.dtype)
            upper = torch.triu(self.upper, 1) + torch.diag(torch.exp(self.log_s))
            weight = self.permutation @ lower @ upper
            x = F.conv2d(x, weight.view(c, c, 1, 1))
            logdet = logdet + pixels * self.log_s.sum()
            a, b = x.chunk(2, 1)
            shift, scale = self.net(a).chunk(2, 1)
            scale = torch.sigmoid(scale + 2.0)
            return torch.cat([a, (b + shift) * scale], 1), logdet + torch.log(scale).flatten(1).sum(1)

    class Glow(nn.Module):
        def __init__(self, levels: int = 3, steps: int = 5) -> None:
            super().__init__()
            widths = [12 * 2**i for i in range(levels)]
            self.levels = nn.ModuleList(nn.ModuleList(Step(c) for _ in range(steps)) for c in widths)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            logdet, latents = x.new_zeros(x.size(0)), []
            for i, steps in enumerate(self.levels):
                b, c, h, w = x.shape
                x = x.view(b, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4)
                x = x.reshape(b, c * 4, h // 2, w // 2)
                for step in steps.children():
                    x, logdet = step(x, logdet)
                if i < len(self.levels) - 1:
                    x, z = x.chunk(2, 1)
                    latents.append(z.flatten(1))
            z = torch.cat([*latents, x.flatten(1)], dim=1)
            prior = -0.5 * (z**2 + math.log(2 * math.pi))
            return z, (prior.sum(1) + logdet) / (math.log(2) * z.size(1))

    return Glow().eval(), {"x": torch.rand(batch, 3, 32, 32)}


def mesh_simulator(batch: int) -> Made:
    """A simulator on meshes: edges and nodes in turn, nine times, each by an MLP with a norm; 700 nodes."""

    def mlp(a: int, b: int, width: int = 112, norm: bool = True) -> nn.Sequential:
        layers = [nn.Linear(a, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, b)]
        return nn.Sequential(*layers, *([nn.LayerNorm(b)] if norm else []))

    class Round(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.edge, self.node = mlp(3 * width, width), mlp(2 * width, width)

        def forward(self, x: Tensor, e: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
            senders, receivers = edges
            message = self.edge(torch.cat([x[senders], x[receivers], e], dim=-1))
            where = receivers.unsqueeze(-1).expand(-1, message.size(-1))
            summed = torch.zeros_like(x).scatter_add_(0, where, message)
            return x + self.node(torch.cat([x, summed], dim=-1)), e + message

    class Simulator(nn.Module):
        def __init__(self, width: int = 112, rounds: int = 9) -> None:
            super().__init__()
            self.read_nodes, self.read_edges = mlp(11, width), mlp(4, width)
            self.rounds = nn.ModuleList(Round(width) for _ in range(rounds))
            self.write = mlp(width, 3, norm=False)

        def forward(self, position: Tensor, state: Tensor, edges: Tensor) -> Tensor:
            apart = position[edges[0]] - position[edges[1]]
            e = self.read_edges(torch.cat([apart, apart.norm(dim=-1, keepdim=True)], dim=-1))
            x = self.read_nodes(state)
            for layer in self.rounds:
                x, e = layer(x, e, edges)
            return position + 0.01 * self.write(x)

    nodes, around = 700, 6
    offset = nodes * torch.arange(batch, device="cpu").view(-1, 1)
    sources = _random(batch, nodes * around, below=nodes) + offset
    targets = torch.arange(nodes, device="cpu").repeat(around).view(1, -1) + offset
    edges = torch.stack([sources.flatten(), targets.flatten()])
    n = batch * nodes
    return Simulator().eval(), {"position": torch.rand(n, 3), "state": torch.rand(n, 11), "edges": edges}


def temporal_fusion(batch: int) -> Made:
    """A temporal fusion transformer: which of 12 variables count, LSTMs, attention; 24 hours after 96."""

    class Residual(nn.Module):
        """A gated residual net."""

        def __init__(self, a: int, b: int, context: bool = False) -> None:
            super().__init__()
            self.skip = nn.Linear(a, b) if a != b else nn.Identity()
            self.fc1, self.fc2, self.gate = nn.Linear(a, b), nn.Linear(b, b), nn.Linear(b, 2 * b)
            self.context, self.norm = nn.Linear(b, b, bias=False) if context else None, nn.LayerNorm(b)

        def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
            y = self.fc1(x)
            if self.context is not None and context is not None:
                y = y + self.context(context).unsqueeze(1)
            return self.norm(self.skip(x) + F.glu(self.gate(self.fc2(F.elu(y))), dim=-1))

    class Selection(nn.Module):
        def __init__(self, variables: int, d: int) -> None:
            super().__init__()
            self.embed = nn.ModuleList(nn.Linear(1, d) for _ in range(variables))
            self.each = nn.ModuleList(Residual(d, d) for _ in range(variables))
            self.weights, self.choose = Residual(variables * d, d, context=True), nn.Linear(d, variables)

        def forward(self, x: Tensor, context: Tensor) -> Tensor:
            embedded = [layer(x[..., i : i + 1]) for i, layer in enumerate(self.embed)]
            chosen = self.choose(self.weights(torch.cat(embedded, dim=-1), context))
            weights = torch.softmax(chosen, dim=-1).unsqueeze(-2)
            values = torch.stack([layer(y) for layer, y in zip(self.each, embedded)], dim=-1)
            return (values * weights).sum(dim=-1)

    class Attention(nn.Module):
        """Heads that share their values, so that their weights can be looked at."""

        def __init__(self, d: int, heads: int) -> None:
            super().__init__()
            self.q, self.k = (nn.ModuleList(nn.Linear(d, d // heads) for _ in range(heads)) for _ in range(2))
            self.v, self.out = nn.Linear(d, d // heads), nn.Linear(d // heads, d)
            self.scale = (d // heads) ** -0.5

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            v, heads = self.v(x), []
            for q, k in zip(self.q, self.k):
                scores = torch.bmm(q(x), k(x).transpose(1, 2)) * self.scale
                heads.append(torch.bmm(scores.masked_fill(mask, -1e4).softmax(dim=-1), v))
            return self.out(torch.stack(heads).mean(dim=0))

    class Fusion(nn.Module):
        def __init__(self, d: int = 80, past: int = 8, known: int = 4, ahead: int = 24) -> None:
            super().__init__()
            self.ahead, self.kind = ahead, nn.Embedding(300, d)
            self.select, self.hidden, self.cell, self.enrich = (Residual(d, d) for _ in range(4))
            self.before, self.after = Selection(past + known, d), Selection(known, d)
            self.encoder, self.decoder = nn.LSTM(d, d, batch_first=True), nn.LSTM(d, d, batch_first=True)
            self.gate1, self.gate2, self.gate3 = (nn.Linear(d, 2 * d) for _ in range(3))
            self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(d) for _ in range(3))
            self.static, self.attention = Residual(d, d, context=True), Attention(d, 4)
            self.forward_net, self.quantiles = Residual(d, d), nn.Linear(d, 3)

        def forward(self, kind: Tensor, past: Tensor, future: Tensor) -> Tensor:
            s = self.kind(kind)
            before, after = self.before(past, self.select(s)), self.after(future, self.select(s))
            state = (self.hidden(s).unsqueeze(0), self.cell(s).unsqueeze(0))
            seen, state = self.encoder(before, state)
            told, _ = self.decoder(after, state)
            x = torch.cat([seen, told], dim=1)
            x = self.norm1(torch.cat([before, after], dim=1) + F.glu(self.gate1(x), dim=-1))
            y = self.static(x, self.enrich(s))
            n = y.shape[1]
            mask = torch.ones(n, n, dtype=torch.bool, device=y.device).triu(1)
            y = self.norm2(y + F.glu(self.gate2(self.attention(y, mask)), dim=-1))
            y = self.forward_net(y[:, -self.ahead :])
            y = self.norm3(x[:, -self.ahead :] + F.glu(self.gate3(y), dim=-1))
            return self.quantiles(y)

    n = 8 * batch
    inputs = {"past": torch.rand(n, 96, 12), "future": torch.rand(n, 24, 4)}
    return Fusion().eval(), {"kind": _random(n, below=300), **inputs}
