"""Small nets of the battery, and nets over sets: tiny classifiers and controllers, tables, graphs, points."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Made = tuple[nn.Module, dict[str, Tensor]]


def _mlp(*widths: int, act: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), act()]
    return nn.Sequential(*layers[:-1])


def _random(*shape: int, below: int) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(0)
    return torch.randint(below, shape, generator=generator, device="cpu")


def mlp_of_two(batch: int) -> Made:
    """Two linear layers and a ReLU: three launches."""
    return _mlp(64, 128, 10).eval(), {"input": torch.rand(batch, 64)}


def mlp_of_four(batch: int) -> Made:
    """Four linear layers with SiLU."""
    return _mlp(128, 512, 512, 512, 10, act=nn.SiLU).eval(), {"input": torch.rand(batch, 128)}


def normed_mlp(batch: int) -> Made:
    """A linear layer, a norm, GELU, twice; softmax at the end."""
    module = nn.Sequential(
        *(nn.Linear(256, 256), nn.LayerNorm(256), nn.GELU(), nn.Linear(256, 256), nn.LayerNorm(256), nn.GELU()),
        *(nn.Linear(256, 32), nn.Softmax(dim=-1)),
    )
    return module.eval(), {"input": torch.rand(batch, 256)}


def lenet(batch: int) -> Made:
    """LeNet-5 on 28 pixels: about twelve launches."""
    module = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), _mlp(400, 120, 84, 10)),
    )
    return module.eval(), {"input": torch.rand(batch, 1, 28, 28)}


def autoencoder(batch: int) -> Made:
    """Linear layers down to 16 features and up again."""
    return _mlp(784, 256, 64, 16, 64, 256, 784).eval(), {"input": torch.rand(batch, 784)}


def policy(batch: int) -> Made:
    """A controller: two layers, a mean and a squashed deviation."""

    class Policy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.mean, self.deviation = _mlp(24, 256, 256), nn.Linear(256, 6), nn.Linear(256, 6)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            y = F.relu(self.body(x))
            return torch.tanh(self.mean(y)), self.deviation(y).clamp(-20, 2).exp()

    return Policy().eval(), {"x": torch.rand(batch, 24)}


def atari_critic(batch: int) -> Made:
    """Three convolutions on four frames of 84 pixels, a dueling head."""

    class Critic(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                *(nn.Conv2d(4, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU()),
                *(nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten()),
            )
            self.value, self.gain = _mlp(3136, 512, 1), _mlp(3136, 512, 18)

        def forward(self, x: Tensor) -> Tensor:
            y = self.body(x)
            gain = self.gain(y)
            return self.value(y) + gain - gain.mean(dim=1, keepdim=True)

    return Critic().eval(), {"x": torch.rand(batch, 4, 84, 84)}


def click_bags(batch: int) -> Made:
    """DLRM: embedding bags of eight ids, their products, two MLPs; 64 rows for each of a batch."""

    class Clicks(nn.Module):
        def __init__(self, tables: int = 12, width: int = 64) -> None:
            super().__init__()
            self.bags = nn.ModuleList(nn.EmbeddingBag(10_000, width, mode="sum") for _ in range(tables))
            self.dense, self.top = _mlp(13, 256, width), _mlp(width + (tables + 1) ** 2, 512, 256, 1)

        def forward(self, dense: Tensor, ids: Tensor) -> Tensor:
            x = F.relu(self.dense(dense))
            all_ = torch.stack([x, *(bag(ids[i]) for i, bag in enumerate(self.bags))], dim=1)
            products = torch.bmm(all_, all_.transpose(1, 2)).flatten(1)
            return torch.sigmoid(self.top(torch.cat([x, products], dim=1)))

    return Clicks().eval(), {"dense": torch.rand(64 * batch, 13), "ids": _random(12, 64 * batch, 8, below=10_000)}


def factorised(batch: int) -> Made:
    """DeepFM: first-order weights, pairwise products by sums of squares, an MLP; 64 rows for each of a batch."""

    class Factorised(nn.Module):
        def __init__(self, fields: int = 20, width: int = 16) -> None:
            super().__init__()
            self.first, self.second = nn.Embedding(50_000, 1), nn.Embedding(50_000, width)
            self.deep = _mlp(fields * width, 400, 400, 1)

        def forward(self, ids: Tensor) -> Tensor:
            v = self.second(ids)
            pairs = 0.5 * (v.sum(dim=1) ** 2 - (v**2).sum(dim=1)).sum(dim=1, keepdim=True)
            return torch.sigmoid(self.first(ids).sum(dim=1) + pairs + self.deep(v.flatten(1)))

    return Factorised().eval(), {"ids": _random(64 * batch, 20, below=50_000)}


def two_towers(batch: int) -> Made:
    """A user's and an item's tower, normalised, all products: 128 rows for each of a batch."""

    class Towers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.users, self.items = nn.EmbeddingBag(20_000, 128, mode="mean"), nn.Embedding(20_000, 128)
            self.left, self.right = _mlp(128, 256, 64), _mlp(128, 256, 64)

        def forward(self, history: Tensor, item: Tensor) -> Tensor:
            a = F.normalize(self.left(self.users(history)), dim=-1)
            return a @ F.normalize(self.right(self.items(item)), dim=-1).t()

    n = 128 * batch
    return Towers().eval(), {"history": _random(n, 30, below=20_000), "item": _random(n, below=20_000)}


def table_transformer(batch: int) -> Made:
    """FT-Transformer: every column a token, 32 rows for each of a batch."""

    class Table(nn.Module):
        def __init__(self, columns: int = 24, width: int = 192) -> None:
            super().__init__()
            self.weight, self.bias = nn.Parameter(torch.rand(columns, width)), nn.Parameter(torch.rand(columns, width))
            self.token = nn.Parameter(torch.rand(width))
            layer = nn.TransformerEncoderLayer(width, 8, 256, 0.0, F.relu, batch_first=True, norm_first=True)
            self.body, self.head = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False), nn.Linear(width, 2)

        def forward(self, x: Tensor) -> Tensor:
            tokens = x[..., None] * self.weight + self.bias
            tokens = torch.cat([self.token.expand(x.shape[0], 1, -1), tokens], dim=1)
            return self.head(F.relu(self.body(tokens)[:, 0]))

    return Table().eval(), {"x": torch.rand(32 * batch, 24)}


def gated_table(batch: int) -> Made:
    """A residual net over a table, batch norms and gated linear units: 128 rows for each of a batch."""

    class Block(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.norm, self.up = nn.BatchNorm1d(width), nn.Linear(width, 2 * width)

        def forward(self, x: Tensor) -> Tensor:
            return x + F.glu(self.up(self.norm(x)), dim=-1) * 0.7

    module = nn.Sequential(nn.Linear(54, 256), *(Block(256) for _ in range(8)), nn.Linear(256, 7))
    return module.eval(), {"input": torch.rand(128 * batch, 54)}


def _graph(batch: int, nodes: int, degree: int) -> Tensor:
    """(2, edges): each node receives edges from random nodes of its own graph."""
    sources = _random(batch, nodes * degree, below=nodes)
    targets = torch.arange(nodes, device="cpu").repeat_interleave(degree).expand(batch, -1)
    offset = nodes * torch.arange(batch, device="cpu")[:, None]
    return torch.stack([(sources + offset).flatten(), (targets + offset).flatten()])


def graph_convolutions(batch: int) -> Made:
    """GCN: messages weighted by degrees, summed by index_add, three layers; 512 nodes for each of a batch."""

    class Gcn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise((64, 128, 128, 16)))

        def forward(self, x: Tensor, edges: Tensor) -> Tensor:
            source, target = edges[0], edges[1]
            ones = torch.ones_like(target, dtype=x.dtype)
            degree = torch.zeros_like(x[:, 0]).index_add(0, target, ones).clamp(min=1).rsqrt()
            weight = (degree[source] * degree[target])[:, None]
            for layer in self.layers:
                y = layer(x)
                x = F.relu(torch.zeros_like(y).index_add(0, target, y[source] * weight))
            return x

    return Gcn().eval(), {"x": torch.rand(512 * batch, 64), "edges": _graph(batch, 512, 8)}


def graph_attention(batch: int) -> Made:
    """GAT: a softmax over each node's edges by scatter_reduce and scatter_add, two layers of four heads."""

    class Layer(nn.Module):
        def __init__(self, c_in: int, heads: int, width: int) -> None:
            super().__init__()
            self.linear, self.heads = nn.Linear(c_in, heads * width, bias=False), heads
            self.source, self.target = nn.Parameter(torch.rand(heads, width)), nn.Parameter(torch.rand(heads, width))

        def forward(self, x: Tensor, edges: Tensor) -> Tensor:
            y = self.linear(x).view(x.shape[0], self.heads, -1)
            a, b = (y * self.source).sum(dim=-1), (y * self.target).sum(dim=-1)
            logits = F.leaky_relu(a[edges[0]] + b[edges[1]], 0.2)
            index = edges[1][:, None].expand_as(logits)
            top = torch.full_like(a, float("-inf")).scatter_reduce(0, index, logits, "amax")
            weight = (logits - top[edges[1]]).exp()
            total = torch.zeros_like(a).scatter_add(0, index, weight)
            message = y[edges[0]] * (weight / (total[edges[1]] + 1e-4))[..., None]
            where = edges[1][:, None, None].expand_as(message)
            return F.elu(torch.zeros_like(y).scatter_add(0, where, message).flatten(1))

    class Gat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.head = Layer(64, 4, 32), Layer(128, 4, 32), nn.Linear(128, 8)

        def forward(self, x: Tensor, edges: Tensor) -> Tensor:
            return self.head(self.two(self.one(x, edges), edges))

    return Gat().eval(), {"x": torch.rand(512 * batch, 64), "edges": _graph(batch, 512, 8)}


def graph_isomorphism(batch: int) -> Made:
    """GIN: sums of neighbours, batch-normalised MLPs, a mean over each graph; five layers."""

    class Gin(nn.Module):
        def __init__(self, width: int = 128) -> None:
            super().__init__()
            self.embed = nn.Embedding(100, width)
            self.layers = nn.ModuleList(
                nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width))
                for _ in range(5)
            )
            self.head = nn.Linear(width, 2)

        def forward(self, kinds: Tensor, edges: Tensor) -> Tensor:
            x = self.embed(kinds)
            for layer in self.layers:
                x = F.relu(layer(x + torch.zeros_like(x).index_add(0, edges[1], x[edges[0]])))
            return self.head(x.view(-1, 256, x.shape[-1]).mean(dim=1))

    return Gin().eval(), {"kinds": _random(256 * batch, below=100), "edges": _graph(batch, 256, 4)}


def molecule(batch: int) -> Made:
    """SchNet: distances spread over Gaussians, continuous filters, sums over neighbours; three rounds."""

    class Molecule(nn.Module):
        centres: Tensor

        def __init__(self, width: int = 128) -> None:
            super().__init__()
            self.embed = nn.Embedding(100, width)
            self.register_buffer("centres", torch.linspace(0, 10, 50))
            self.filters = nn.ModuleList(_mlp(50, width, width, act=nn.Softplus) for _ in range(3))
            self.inward = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(3))
            self.outward = nn.ModuleList(_mlp(width, width, width, act=nn.Softplus) for _ in range(3))
            self.head = _mlp(width, 64, 1, act=nn.Softplus)

        def forward(self, kinds: Tensor, position: Tensor, edges: Tensor) -> Tensor:
            distance = (position[edges[0]] - position[edges[1]]).norm(dim=-1, keepdim=True)
            spread = torch.exp(-10 * (distance - self.centres) ** 2)
            x = self.embed(kinds)
            for filter_, inward, outward in zip(self.filters, self.inward, self.outward):
                message = inward(x)[edges[0]] * filter_(spread)
                x = x + outward(torch.zeros_like(x).index_add(0, edges[1], message))
            return self.head(x).view(-1, 32).sum(dim=1)

    inputs = {"kinds": _random(32 * batch, below=100), "position": torch.rand(32 * batch, 3)}
    return Molecule().eval(), {**inputs, "edges": _graph(batch, 32, 12)}


def pointnet(batch: int) -> Made:
    """PointNet on 1024 points: shared 1-D convolutions, a maximum over the points."""

    class PointNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            parts: list[nn.Module] = []
            for a, b in pairwise((3, 64, 64, 128, 1024)):
                parts += [nn.Conv1d(a, b, 1), nn.BatchNorm1d(b), nn.ReLU()]
            self.body, self.head = nn.Sequential(*parts), _mlp(1024, 512, 256, 40)

        def forward(self, points: Tensor) -> Tensor:
            return self.head(self.body(points).amax(dim=-1))

    return PointNet().eval(), {"points": torch.rand(batch, 3, 1024)}


def edge_convolutions(batch: int) -> Made:
    """DGCNN on 512 points: the 20 nearest by products and topk, gathered, convolved, maximised; three layers."""

    class Edge(nn.Module):
        def __init__(self, a: int, b: int, k: int = 20) -> None:
            super().__init__()
            self.conv, self.k = nn.Sequential(nn.Conv2d(2 * a, b, 1), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)), k

        def forward(self, x: Tensor) -> Tensor:
            c, points = x.shape[1:]
            inner = x.transpose(1, 2) @ x
            square = (x**2).sum(dim=1, keepdim=True)
            near = (2 * inner - square - square.transpose(1, 2)).topk(self.k, dim=-1).indices
            around = x[:, :, None].expand(-1, -1, points, -1).gather(3, near[:, None].expand(-1, c, -1, -1))
            own = x[..., None].expand_as(around)
            return self.conv(torch.cat([around - own, own], dim=1)).amax(dim=-1)

    class Dgcnn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([Edge(3, 64), Edge(64, 64), Edge(64, 128)])
            self.join, self.head = nn.Conv1d(256, 512, 1), _mlp(512, 256, 40)

        def forward(self, points: Tensor) -> Tensor:
            found, x = [], points
            for layer in self.layers:
                x = layer(x)
                found.append(x)
            return self.head(self.join(torch.cat(found, dim=1)).amax(dim=-1))

    return Dgcnn().eval(), {"points": torch.rand(batch, 3, 512)}


def residual_forecast(batch: int) -> Made:
    """N-BEATS: blocks that subtract what they explain of 168 hours; 32 series for each of a batch."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.back, self.ahead = _mlp(168, 256, 256, 256), nn.Linear(256, 168), nn.Linear(256, 24)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            y = F.relu(self.body(x))
            return x - self.back(y), self.ahead(y)

    class Beats(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(Block() for _ in range(8))

        def forward(self, x: Tensor) -> Tensor:
            total = x.new_zeros(x.shape[0], 24)
            for block in self.blocks:
                x, ahead = block(x)
                total = total + ahead
            return total

    return Beats().eval(), {"x": torch.rand(32 * batch, 168)}
