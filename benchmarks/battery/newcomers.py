"""Newcomers' models of many fields, written out after well-known papers.

See ``NEWCOMERS`` in families.py: measured once, predicted once, for a release.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Made = tuple[nn.Module, dict[str, Tensor]]


def _random(*shape: int, low: int = 0, below: int) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(0)
    return torch.randint(low, below, shape, generator=generator, device="cpu")


def speaker_embedder(batch: int) -> Made:
    """ECAPA-TDNN: who speaks in three seconds, by dilated convolutions in steps and attentive statistics."""

    def unit(a: int, b: int, kernel: int = 1, dilation: int = 1) -> nn.Sequential:
        padding = dilation * (kernel - 1) // 2
        conv = nn.Conv1d(a, b, kernel, padding=padding, dilation=dilation, padding_mode="reflect")
        return nn.Sequential(conv, nn.ReLU(), nn.BatchNorm1d(b))

    class Block(nn.Module):
        def __init__(self, c: int, dilation: int, scale: int = 8, bottleneck: int = 128) -> None:
            super().__init__()
            self.scale = scale
            self.before, self.after = unit(c, c), unit(c, c)
            self.steps = nn.ModuleList(unit(c // scale, c // scale, 3, dilation) for _ in range(scale - 1))
            self.squeeze, self.excite = nn.Conv1d(c, bottleneck, 1), nn.Conv1d(bottleneck, c, 1)

        def forward(self, x: Tensor) -> Tensor:
            parts = self.before(x).chunk(self.scale, dim=1)
            found, last = [parts[0]], parts[1]
            for i, step in enumerate(self.steps):
                last = step(parts[i + 1] if i == 0 else parts[i + 1] + last)
                found.append(last)
            y = self.after(torch.cat(found, dim=1))
            scale = torch.relu(self.squeeze(y.mean(dim=2, keepdim=True)))
            return x + y * torch.sigmoid(self.excite(scale))

    class Ecapa(nn.Module):
        def __init__(self, bands: int = 80, c: int = 512, size: int = 192) -> None:
            super().__init__()
            self.first = unit(bands, c, 5)
            self.blocks = nn.ModuleList(Block(c, dilation) for dilation in (2, 3, 4))
            wide = 3 * c
            self.join = unit(wide, wide)
            self.look, self.weigh = unit(3 * wide, 128), nn.Conv1d(128, wide, 1)
            self.bn, self.embed = nn.BatchNorm1d(2 * wide), nn.Linear(2 * wide, size)

        def forward(self, bands: Tensor) -> Tensor:
            x = (bands - bands.mean(dim=1, keepdim=True)).transpose(1, 2)
            x = self.first(x)
            found = []
            for block in self.blocks:
                x = block(x)
                found.append(x)
            x = self.join(torch.cat(found, dim=1))
            mean, deviation = x.mean(2, keepdim=True), x.std(2, keepdim=True, unbiased=False)
            context = torch.cat([x, mean.expand_as(x), deviation.expand_as(x)], dim=1)
            weights = torch.softmax(self.weigh(torch.tanh(self.look(context))), dim=2)
            mean = (weights * x).sum(2)
            deviation = ((weights * (x - mean.unsqueeze(2)) ** 2).sum(2)).clamp(min=1e-4).sqrt()
            return F.normalize(self.embed(self.bn(torch.cat([mean, deviation], dim=1))), dim=-1)

    return Ecapa().eval(), {"bands": torch.rand(batch, 300, 80)}


def bond_messages(batch: int) -> Made:
    """Chemprop's net: messages go along directed bonds, not back; 32 molecules for each of a batch."""

    class Messages(nn.Module):
        def __init__(self, hidden: int = 300, depth: int = 4, tasks: int = 12) -> None:
            super().__init__()
            self.depth = depth
            self.start = nn.Linear(147, hidden, bias=False)
            self.message = nn.Linear(hidden, hidden, bias=False)
            self.atom = nn.Linear(133 + hidden, hidden)
            self.head = nn.Sequential(
                *(nn.Dropout(0.1), nn.Linear(hidden + 200, hidden), nn.ReLU()),
                *(nn.Dropout(0.1), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, tasks)),
            )

        def forward(
            self, atoms: Tensor, bonds: Tensor, edges: Tensor, back: Tensor, owner: Tensor, descriptors: Tensor
        ) -> Tensor:
            source, target = edges
            first = self.start(torch.cat([atoms[source], bonds], dim=1))
            state = F.relu(first)
            for _ in range(self.depth - 1):
                arrived = state.new_zeros(atoms.size(0), state.size(1)).index_add_(0, target, state)
                state = F.relu(first + self.message(arrived[source] - state[back]))
            arrived = state.new_zeros(atoms.size(0), state.size(1)).index_add_(0, target, state)
            x = F.relu(self.atom(torch.cat([atoms, arrived], dim=1)))
            molecules = descriptors.size(0)
            total = x.new_zeros(molecules, x.size(1)).scatter_add_(0, owner.unsqueeze(1).expand_as(x), x)
            count = x.new_zeros(molecules).scatter_add_(0, owner, torch.ones_like(x[:, 0]))
            mean = total / count.clamp(min=1).unsqueeze(1)
            return torch.sigmoid(self.head(torch.cat([mean, descriptors], dim=1)))

    n, size = 32 * batch, 24
    chain = [(i, i + 1) for i in range(size - 1)] + [(0, 5), (6, 11), (15, 20)]
    one = torch.tensor([pair for a, b in chain for pair in ((a, b), (b, a))], device="cpu").t()
    shift = size * torch.arange(n, device="cpu")
    edges = (one[:, None, :] + shift[None, :, None]).reshape(2, -1)
    inputs = {"atoms": torch.rand(n * size, 133), "bonds": torch.rand(edges.size(1), 14), "edges": edges}
    inputs["back"] = torch.arange(edges.size(1), device="cpu") ^ 1
    inputs["owner"] = torch.arange(n, device="cpu").repeat_interleave(size)
    return Messages().eval(), {**inputs, "descriptors": torch.rand(n, 200)}


def session_recommender(batch: int) -> Made:
    """NARM: a GRU reads the clicks of a session, attention says which count; 64 sessions for each."""

    class Narm(nn.Module):
        def __init__(self, items: int = 43_098, width: int = 50, hidden: int = 100) -> None:
            super().__init__()
            self.items, self.drop = nn.Embedding(items, width, padding_idx=0), nn.Dropout(0.25)
            self.gru = nn.GRU(width, hidden, batch_first=True)
            self.all, self.last = (nn.Linear(hidden, hidden, bias=False) for _ in range(2))
            self.weigh, self.both = nn.Linear(hidden, 1, bias=False), nn.Dropout(0.5)
            self.bilinear = nn.Linear(width, 2 * hidden, bias=False)

        def forward(self, clicks: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
            states, _ = self.gru(self.drop(self.items(clicks)))
            where = (lengths - 1).view(-1, 1, 1).expand(-1, 1, states.size(2))
            last = states.gather(1, where).squeeze(1)
            mask = (clicks > 0).unsqueeze(2).to(states.dtype)
            asked = self.last(last).unsqueeze(1).expand_as(states) * mask
            weights = self.weigh(torch.sigmoid(self.all(states) + asked)) * mask
            session = self.both(torch.cat([(weights * states).sum(1), last], dim=1))
            scores = torch.matmul(session, self.bilinear(self.items.weight).transpose(1, 0))
            return scores.topk(20, dim=1)

    n, length = 64 * batch, 19
    clicks, lengths = _random(n, length, low=1, below=43_098), _random(n, low=2, below=length + 1)
    clicks[torch.arange(length, device="cpu")[None] >= lengths[:, None]] = 0
    return Narm().eval(), {"clicks": clicks, "lengths": lengths}


def deep_operator(batch: int) -> Made:
    """A physics-informed DeepONet: a function at 100 places gives a flow at 2500; gated MLPs of tanh."""

    class Gated(nn.Module):
        def __init__(self, a: int, width: int, out: int, depth: int) -> None:
            super().__init__()
            self.u, self.v, self.first = (nn.Linear(a, width) for _ in range(3))
            self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
            self.last = nn.Linear(width, out)

        def forward(self, x: Tensor) -> Tensor:
            u, v = torch.tanh(self.u(x)), torch.tanh(self.v(x))
            y = torch.tanh(self.first(x))
            for layer in self.hidden:
                z = torch.tanh(layer(y))
                y = (1 - z) * u + z * v
            return self.last(y)

    class DeepOnet(nn.Module):
        waves: Tensor

        def __init__(self, sensors: int = 100, width: int = 128, modes: int = 128, fields: int = 3) -> None:
            super().__init__()
            self.fields = fields
            self.register_buffer("waves", torch.randn(3, 32))
            self.branch = Gated(sensors, width, fields * modes, 5)
            self.trunk = Gated(64, width, fields * modes, 5)
            self.bias = nn.Parameter(torch.zeros(fields))

        def forward(self, function: Tensor, places: Tensor) -> Tensor:
            angles = 2 * math.pi * places @ self.waves
            basis = self.trunk(torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1))
            basis = basis.view(*basis.shape[:2], self.fields, -1)
            weights = self.branch(function).view(function.shape[0], self.fields, -1)
            return torch.einsum("bfm,bnfm->bnf", weights, basis) + self.bias

    return DeepOnet().eval(), {"function": torch.rand(batch, 100), "places": torch.rand(batch, 2500, 3)}


def impala(batch: int) -> Made:
    """IMPALA's actor and critic: residual convolutions on 64 pixels, an LSTM; 16 players for each."""

    class Residual(nn.Module):
        def __init__(self, c: int) -> None:
            super().__init__()
            self.conv0, self.conv1 = (nn.Conv2d(c, c, 3, padding=1) for _ in range(2))

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv0(F.relu(x))
            return x + self.conv1(F.relu(y))

    class Impala(nn.Module):
        def __init__(self, actions: int = 15, hidden: int = 256) -> None:
            super().__init__()
            self.actions = actions
            layers: list[nn.Module] = []
            for a, b in pairwise((3, 16, 32, 32)):
                layers += [nn.Conv2d(a, b, 3, padding=1), nn.MaxPool2d(3, stride=2, padding=1)]
                layers += [Residual(b), Residual(b)]
            self.convs = nn.Sequential(*layers, nn.ReLU(), nn.Flatten())
            self.fc = nn.Linear(32 * 8 * 8, hidden)
            self.core = nn.LSTMCell(hidden + actions + 1, hidden)
            self.actor, self.critic = nn.Linear(hidden, actions), nn.Linear(hidden, 1)

        def forward(
            self, frames: Tensor, last: Tensor, reward: Tensor, going: Tensor, h: Tensor, c: Tensor
        ) -> tuple[Tensor, ...]:
            x = F.relu(self.fc(self.convs(frames / 255)))
            before = F.one_hot(last, self.actions).to(x.dtype)
            x = torch.cat([x, before, reward.clamp(-1, 1).unsqueeze(1)], dim=1)
            h, c = self.core(x, (h * going.unsqueeze(1), c * going.unsqueeze(1)))
            logs = F.log_softmax(self.actor(h), dim=-1)
            action = logs.argmax(dim=-1)
            chance = logs.gather(1, action.unsqueeze(1)).squeeze(1)
            entropy = -(logs * logs.exp()).sum(-1)
            return action, chance, entropy, self.critic(h).squeeze(-1), h, c

    n = 16 * batch
    inputs = {"frames": 255 * torch.rand(n, 3, 64, 64), "last": _random(n, below=15)}
    inputs |= {"reward": torch.rand(n), "going": torch.ones(n)}
    return Impala().eval(), {**inputs, "h": torch.rand(n, 256), "c": torch.rand(n, 256)}


def diffusion_policy(batch: int) -> Made:
    """A diffusion policy: 16 motions of an arm out of noise in four steps, as two observations bid."""

    def unit(a: int, b: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv1d(a, b, 5, padding=2), nn.GroupNorm(8, b), nn.Mish())

    class Block(nn.Module):
        def __init__(self, a: int, b: int, condition: int) -> None:
            super().__init__()
            self.one, self.two = unit(a, b), unit(b, b)
            self.film = nn.Sequential(nn.Mish(), nn.Linear(condition, 2 * b))
            self.skip = nn.Conv1d(a, b, 1) if a != b else nn.Identity()

        def forward(self, x: Tensor, condition: Tensor) -> Tensor:
            scale, shift = self.film(condition).unsqueeze(-1).chunk(2, dim=1)
            return self.two(scale * self.one(x) + shift) + self.skip(x)

    class Denoiser(nn.Module):
        def __init__(self, actions: int, observed: int, widths: tuple[int, ...] = (128, 256, 512)) -> None:
            super().__init__()
            size = 128
            self.half = size // 2
            self.time = nn.Sequential(nn.Linear(size, 4 * size), nn.Mish(), nn.Linear(4 * size, size))
            c = size + observed
            self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
            for i, (a, b) in enumerate(pairwise((actions, *widths))):
                smaller = nn.Conv1d(b, b, 3, 2, 1) if i < len(widths) - 1 else nn.Identity()
                self.downs.append(nn.ModuleList([Block(a, b, c), Block(b, b, c), smaller]))
            self.middle = nn.ModuleList(Block(widths[-1], widths[-1], c) for _ in range(2))
            for b, a in pairwise(widths[::-1]):
                larger = nn.ConvTranspose1d(a, a, 4, 2, 1)
                self.ups.append(nn.ModuleList([Block(2 * b, a, c), Block(a, a, c), larger]))
            self.last = nn.Sequential(unit(widths[0], widths[0]), nn.Conv1d(widths[0], actions, 1))

        def forward(self, x: Tensor, step: int, seen: Tensor) -> Tensor:
            powers = torch.arange(self.half, device=x.device) * (-math.log(10_000) / (self.half - 1))
            angles = torch.full((x.shape[0], 1), float(step), device=x.device) * torch.exp(powers)[None]
            time = self.time(torch.cat([angles.sin(), angles.cos()], dim=-1).to(x.dtype))
            condition, skips = torch.cat([time, seen], dim=-1), []
            for layers in self.downs:
                one, two, smaller = layers.children()
                x = two(one(x, condition), condition)
                skips.append(x)
                x = smaller(x)
            for block in self.middle:
                x = block(x, condition)
            for layers in self.ups:
                one, two, larger = layers.children()
                x = larger(two(one(torch.cat([x, skips.pop()], dim=1), condition), condition))
            return self.last(x)

    class Policy(nn.Module):
        def __init__(self, actions: int = 7, observed: int = 2 * 23, steps: int = 4) -> None:
            super().__init__()
            self.net = Denoiser(actions, observed)
            self.steps = [round(99 - i * 99 / (steps - 1)) for i in range(steps)]
            self.kept = [math.cos((t / 100 + 0.008) / 1.008 * math.pi / 2) ** 2 for t in self.steps] + [1.0]

        def forward(self, noise: Tensor, seen: Tensor) -> Tensor:
            x, seen = noise.transpose(1, 2), seen.flatten(1)
            for step, now, then in zip(self.steps, self.kept, self.kept[1:]):
                error = self.net(x, step, seen)
                clean = ((x - math.sqrt(1 - now) * error) / math.sqrt(now)).clamp(-1, 1)
                error = (x - math.sqrt(now) * clean) / math.sqrt(1 - now)
                x = math.sqrt(then) * clean + math.sqrt(1 - then) * error
            return x.transpose(1, 2)[:, 1:9]

    return Policy().eval(), {"noise": torch.randn(batch, 16, 7), "seen": torch.rand(batch, 2, 23)}


def review_reader(batch: int) -> Made:
    """A review's stars: an LSTM both ways over 200 words, 30 rows of attention make a matrix of them."""

    class Reader(nn.Module):
        def __init__(self, words: int = 30_000, hidden: int = 300, hops: int = 30) -> None:
            super().__init__()
            self.words, self.drop = nn.Embedding(words, 200, padding_idx=0), nn.Dropout(0.5)
            self.lstm = nn.LSTM(200, hidden, batch_first=True, bidirectional=True)
            self.s1, self.s2 = nn.Linear(2 * hidden, 350, bias=False), nn.Linear(350, hops, bias=False)
            self.fc, self.stars = nn.Linear(2 * hidden * hops, 1024), nn.Linear(1024, 5)

        def forward(self, words: Tensor) -> tuple[Tensor, Tensor]:
            states, _ = self.lstm(self.drop(self.words(words)))
            scores = self.s2(torch.tanh(self.s1(states))).transpose(1, 2)
            scores = scores.masked_fill((words == 0).unsqueeze(1), -10_000.0)
            weights = F.softmax(scores, dim=-1)
            found = torch.bmm(weights, states).flatten(1)
            x = self.drop(F.relu(self.fc(found)))
            return F.log_softmax(self.stars(x), dim=-1), weights.mean(1)

    words = _random(batch, 200, low=1, below=30_000)
    words[:, 170:] = 0
    return Reader().eval(), {"words": words}
