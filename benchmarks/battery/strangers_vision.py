"""Strangers' models for images, written out after structures that torchvision and timm have.

See ``STRANGERS`` in families.py: measured once, predicted once, for a release.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Made = tuple[nn.Module, dict[str, Tensor]]


def _conv(a: int, b: int, kernel: int, stride: int = 1, act: nn.Module | None = None) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(a, b, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(b),
    ]
    return nn.Sequential(*layers, *([act] if act is not None else []))


def convmixer(batch: int) -> Made:
    """ConvMixer: patches of 7, then depthwise windows of 9 and products, 14 times at one resolution."""

    class Skip(nn.Module):
        def __init__(self, fn: nn.Module) -> None:
            super().__init__()
            self.fn = fn

        def forward(self, x: Tensor) -> Tensor:
            return self.fn(x) + x

    def mix(dim: int, kernel: int) -> nn.Sequential:
        depth = nn.Conv2d(dim, dim, kernel, groups=dim, padding="same")
        across = nn.Sequential(depth, nn.GELU(), nn.BatchNorm2d(dim))
        return nn.Sequential(Skip(across), nn.Conv2d(dim, dim, kernel_size=1), nn.GELU(), nn.BatchNorm2d(dim))

    dim = 448
    stem = (nn.Conv2d(3, dim, kernel_size=7, stride=7), nn.GELU(), nn.BatchNorm2d(dim))
    head = (nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(dim, 1000))
    module = nn.Sequential(*stem, *(mix(dim, 9) for _ in range(14)), *head)
    return module.eval(), {"input": torch.rand(batch, 3, 224, 224)}


class _MaxAttention(nn.Module):
    """Attention in windows, or on a grid as sparse as windows are dense, with biases of positions."""

    index: Tensor

    def __init__(self, dim: int, size: int, grid: bool, head: int = 32) -> None:
        super().__init__()
        self.size, self.grid, self.heads = size, grid, dim // head
        self.norm, self.qkv, self.merge = nn.LayerNorm(dim), nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        wide = 4 * dim
        self.mlp = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, wide), nn.GELU(), nn.Linear(wide, dim))
        self.table = nn.Parameter(torch.zeros((2 * size - 1) ** 2, self.heads))
        axis = torch.arange(size)
        place = torch.stack(torch.meshgrid(axis, axis, indexing="ij")).flatten(1)
        apart = place[:, :, None] - place[:, None, :] + size - 1
        self.register_buffer("index", apart[0] * (2 * size - 1) + apart[1])

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        p, q = h // self.size, w // self.size
        if self.grid:
            x = x.reshape(b, c, self.size, p, self.size, q).permute(0, 3, 5, 2, 4, 1)
        else:
            x = x.reshape(b, c, p, self.size, q, self.size).permute(0, 2, 4, 3, 5, 1)
        x = x.reshape(b, p * q, self.size * self.size, c)
        x = x + self._attended(self.norm(x))
        x = x + self.mlp(x)
        x = x.reshape(b, p, q, self.size, self.size, c)
        x = x.permute(0, 5, 3, 1, 4, 2) if self.grid else x.permute(0, 5, 1, 3, 2, 4)
        return x.reshape(b, c, h, w)

    def _attended(self, x: Tensor) -> Tensor:
        b, g, n, c = x.shape
        q, k, v = torch.chunk(self.qkv(x), 3, dim=-1)
        q, k, v = (y.reshape(b, g, n, self.heads, -1).permute(0, 1, 3, 2, 4) for y in (q, k, v))
        k = k * (c // self.heads) ** -0.5
        bias = self.table[self.index.view(-1)].view(n, n, -1).permute(2, 0, 1).contiguous().unsqueeze(0)
        weights = F.softmax(torch.einsum("bghid,bghjd->bghij", q, k) + bias, dim=-1)
        y = torch.einsum("bghij,bghjd->bghid", weights, v)
        return self.merge(y.permute(0, 1, 3, 2, 4).reshape(b, g, n, c))


class _MobileBlock(nn.Module):
    """A block before attention: norm, expansion, a depthwise window, squeeze and excitation."""

    def __init__(self, a: int, b: int, stride: int) -> None:
        super().__init__()
        wide = 4 * b
        self.pre, self.expand = nn.BatchNorm2d(a, eps=1e-3), _conv(a, wide, 1, act=nn.GELU())
        self.depth = nn.Sequential(
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.GELU()
        )
        self.squeeze, self.excite = nn.Conv2d(wide, b // 4, 1), nn.Conv2d(b // 4, wide, 1)
        self.project = nn.Conv2d(wide, b, 1)
        self.skip: nn.Module = nn.Identity()
        if stride > 1 or a != b:
            self.skip = nn.Sequential(nn.AvgPool2d(3, stride, 1), nn.Conv2d(a, b, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.depth(self.expand(self.pre(x)))
        scale = F.silu(self.squeeze(F.adaptive_avg_pool2d(y, 1)))
        y = y * torch.sigmoid(self.excite(scale))
        return self.skip(x) + self.project(y)


def maxvit(batch: int) -> Made:
    """MaxViT narrower than its Tiny: mobile blocks, attention in windows and on a grid, 224 pixels."""
    widths, depths = (32, 64, 128, 256), (1, 2, 3, 1)
    layers: list[nn.Module] = [_conv(3, 32, 3, 2, nn.GELU()), nn.Conv2d(32, 32, 3, padding=1)]
    a = 32
    for width, depth in zip(widths, depths):
        for i in range(depth):
            layers.append(_MobileBlock(a, width, 1 if i else 2))
            layers += [_MaxAttention(width, 7, grid=False), _MaxAttention(width, 7, grid=True)]
            a = width
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(a), nn.Linear(a, a), nn.Tanh()]
    module = nn.Sequential(*layers, *head, nn.Linear(a, 1000, bias=False))
    return module.eval(), {"input": torch.rand(batch, 3, 224, 224)}


class _Basic(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.one, self.two = _conv(width, width, 3, act=nn.ReLU(inplace=True)), _conv(width, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.two(self.one(x)), inplace=True)


class _Exchange(nn.Module):
    """Branches of several resolutions, each of which then receives all the others."""

    def __init__(self, widths: Sequence[int], blocks: int = 2) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*(_Basic(w) for _ in range(blocks))) for w in widths)
        self.fuse = nn.ModuleList(
            nn.ModuleList(self._path(widths, i, j) for j in range(len(widths))) for i in range(len(widths))
        )

    def _path(self, widths: Sequence[int], to: int, of: int) -> nn.Module:
        if of == to:
            return nn.Identity()
        if of > to:
            return nn.Sequential(
                _conv(widths[of], widths[to], 1), nn.Upsample(scale_factor=2 ** (of - to), mode="nearest")
            )
        steps = [_conv(widths[of], widths[of], 3, 2, nn.ReLU()) for _ in range(to - of - 1)]
        return nn.Sequential(*steps, _conv(widths[of], widths[to], 3, 2))

    def forward(self, xs: list[Tensor]) -> list[Tensor]:
        xs = [branch(x) for branch, x in zip(self.branches, xs)]
        found = []
        for row in self.fuse:
            first, *others = row.children()
            y = first(xs[0])
            for path, x in zip(others, xs[1:]):
                y = y + path(x)
            found.append(F.relu(y))
        return found


def hrnet(batch: int) -> Made:
    """HRNet-W18 in small: four resolutions side by side that exchange, heat maps of 17 joints, 256 x 192."""

    class HrNet(nn.Module):
        def __init__(self, width: int = 18, joints: int = 17) -> None:
            super().__init__()
            relu = nn.ReLU(inplace=True)
            self.stem = nn.Sequential(_conv(3, 64, 3, 2, relu), _conv(64, 64, 3, 2, relu), _Basic(64))
            widths = [width * 2**i for i in range(4)]
            self.first = nn.ModuleList([_conv(64, widths[0], 3, act=relu), _conv(64, widths[1], 3, 2, relu)])
            self.grow = nn.ModuleList(_conv(a, b, 3, 2, relu) for a, b in pairwise(widths[1:]))
            self.stages = nn.ModuleList()
            for n, count in ((2, 1), (3, 3), (4, 2)):
                self.stages.append(nn.ModuleList(_Exchange(widths[:n]) for _ in range(count)))
            self.head = nn.Conv2d(widths[0], joints, kernel_size=1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            xs = [transition(x) for transition in self.first]
            for i, stage in enumerate(self.stages):
                if i > 0:
                    xs.append(self.grow[i - 1](xs[-1]))
                for module in stage.children():
                    xs = module(xs)
            return self.head(xs[0])

    return HrNet().eval(), {"x": torch.rand(batch, 3, 256, 192)}


class _CrossCovariance(nn.Module):
    """Attention between channels, a depthwise window between neighbours, an MLP; each scaled."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads, self.temperature = heads, nn.Parameter(torch.ones(heads, 1, 1))
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(dim, eps=1e-6) for _ in range(3))
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.conv1, self.conv2 = (nn.Conv2d(dim, dim, 3, padding=1, groups=dim) for _ in range(2))
        self.bn = nn.BatchNorm2d(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.gamma1, self.gamma2, self.gamma3 = (nn.Parameter(torch.ones(dim)) for _ in range(3))

    def forward(self, x: Tensor, side: int) -> Tensor:
        x = x + self.gamma1 * self._attended(self.norm1(x))
        b, n, c = x.shape
        image = self.norm3(x).permute(0, 2, 1).reshape(b, c, side, side)
        image = self.conv2(self.bn(F.gelu(self.conv1(image))))
        x = x + self.gamma3 * image.reshape(b, c, n).permute(0, 2, 1)
        return x + self.gamma2 * self.mlp(self.norm2(x))

    def _attended(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 4, 1).unbind(0)
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        weights = ((q @ k.transpose(-2, -1)) * self.temperature).softmax(dim=-1)
        return self.proj((weights @ v).permute(0, 3, 1, 2).reshape(b, n, c))


class _ClassAttention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads, self.norm1, self.norm2 = heads, nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.q, self.k, self.v, self.proj = (nn.Linear(dim, dim) for _ in range(4))
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        b, n, c = y.shape
        q = self.q(y[:, 0]).unsqueeze(1).reshape(b, 1, self.heads, c // self.heads).permute(0, 2, 1, 3)
        k = self.k(y).reshape(b, n, self.heads, c // self.heads).permute(0, 2, 1, 3)
        v = self.v(y).reshape(b, n, self.heads, c // self.heads).permute(0, 2, 1, 3)
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, 1, c)
        x = x + torch.cat([self.proj(seen), y[:, 1:]], dim=1)
        first = x[:, :1]
        return torch.cat([first + self.mlp(self.norm2(first)), x[:, 1:]], dim=1)


def xcit(batch: int) -> Made:
    """XCiT, ten layers of 224: attention between channels, then a class token over patches of 16."""

    class Xcit(nn.Module):
        def __init__(self, dim: int = 224, heads: int = 4, depth: int = 10) -> None:
            super().__init__()
            widths = (3, dim // 8, dim // 4, dim // 2, dim)
            stem: list[nn.Module] = []
            for a, b in pairwise(widths):
                stem += [_conv(a, b, 3, 2), nn.GELU()]
            self.stem, self.position = nn.Sequential(*stem[:-1]), nn.Conv2d(64, dim, 1)
            self.blocks = nn.ModuleList(_CrossCovariance(dim, heads) for _ in range(depth))
            self.token = nn.Parameter(torch.zeros(1, 1, dim))
            self.last = nn.ModuleList(_ClassAttention(dim, heads) for _ in range(2))
            self.norm, self.head = nn.LayerNorm(dim, eps=1e-6), nn.Linear(dim, 1000)

        def _positions(self, side: int, like: Tensor) -> Tensor:
            steps = torch.arange(1, side + 1, device=like.device, dtype=torch.float32) / side * 6.2832
            powers = 10000 ** (2 * (torch.arange(32, device=like.device, dtype=torch.float32) // 2) / 32)
            angles = steps[:, None] / powers
            waves = torch.stack([angles[:, 0::2].sin(), angles[:, 1::2].cos()], dim=2).flatten(1)
            rows, columns = waves[:, None].expand(-1, side, -1), waves[None].expand(side, -1, -1)
            return self.position(torch.cat([rows, columns], dim=2).permute(2, 0, 1)[None].to(like.dtype))

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            side = x.shape[-1]
            x = (x + self._positions(side, x)).flatten(2).transpose(1, 2)
            for block in self.blocks:
                x = block(x, side)
            x = torch.cat((self.token.expand(x.shape[0], -1, -1), x), dim=1)
            for layer in self.last:
                x = layer(x)
            return self.head(self.norm(x)[:, 0])

    return Xcit().eval(), {"x": torch.rand(batch, 3, 224, 224)}


def fcos(batch: int) -> Made:
    """FCOS on a shallow trunk: five levels, towers with group norms, centres and sides, 416 pixels."""

    def tower(width: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for _ in range(4):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(32, width), nn.ReLU()]
        return nn.Sequential(*layers)

    class Fcos(nn.Module):
        def __init__(self, width: int = 192, classes: int = 20) -> None:
            super().__init__()
            self.classes, plan = classes, (40, 80, 160, 320)
            stages = [nn.Sequential(_conv(3, 40, 5, 4, nn.ReLU()), _Basic(40))]
            for a, b in pairwise(plan):
                stages.append(nn.Sequential(_conv(a, b, 3, 2, nn.ReLU()), _Basic(b), _Basic(b)))
            self.stages = nn.ModuleList(stages)
            self.inner = nn.ModuleList(nn.Conv2d(c, width, 1) for c in plan[1:])
            self.outer = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in plan[1:])
            self.p6, self.p7 = (nn.Conv2d(width, width, 3, 2, 1) for _ in range(2))
            self.what, self.where = tower(width), tower(width)
            self.logits = nn.Conv2d(width, classes, 3, padding=1)
            self.sides = nn.Conv2d(width, 4, 3, padding=1)
            self.centre = nn.Conv2d(width, 1, 3, padding=1)
            self.scales = nn.ParameterList(nn.Parameter(torch.ones(1)) for _ in range(5))

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            maps = []
            for stage in self.stages:
                x = stage(x)
                maps.append(x)
            top = self.inner[-1](maps[-1])
            levels = [self.outer[-1](top)]
            for i in (1, 0):
                lower = maps[i + 1]
                top = self.inner[i](lower) + F.interpolate(top, size=lower.shape[-2:], mode="nearest")
                levels.insert(0, self.outer[i](top))
            levels.append(self.p6(levels[-1]))
            levels.append(self.p7(F.relu(levels[-1])))
            scores, boxes = [], []
            for i, level in enumerate(levels):
                what, where = self.what(level), self.where(level)
                score = torch.sqrt(self.logits(what).sigmoid() * self.centre(where).sigmoid())
                scores.append(score.flatten(2).transpose(1, 2))
                boxes.append(self._boxes(F.relu(self.sides(where) * self.scales[i]), 8 * 2**i))
            found, where = torch.cat(scores, dim=1).flatten(1).topk(100, dim=1)
            place = torch.div(where, self.classes, rounding_mode="floor")
            chosen = torch.gather(torch.cat(boxes, dim=1), 1, place.unsqueeze(-1).repeat(1, 1, 4))
            return chosen, found, where % self.classes

        def _boxes(self, sides: Tensor, stride: int) -> Tensor:
            h, w = sides.shape[-2:]
            y = (torch.arange(h, device=sides.device, dtype=sides.dtype) + 0.5) * stride
            x = (torch.arange(w, device=sides.device, dtype=sides.dtype) + 0.5) * stride
            y, x = torch.meshgrid(y, x, indexing="ij")
            left, top, right, bottom = (sides * stride).unbind(dim=1)
            corners = torch.stack([x - left, y - top, x + right, y + bottom], dim=-1)
            return corners.flatten(1, 2).clamp(min=0, max=416)

    return Fcos().eval(), {"x": torch.rand(batch, 3, 416, 416)}
