"""Newcomers' models for images, written after well-known papers.

See ``NEWCOMERS`` in families.py: measured once, predicted once, for a release.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Made = tuple[nn.Module, dict[str, Tensor]]


class _ConvNorm(nn.Module):
    """A convolution, a batch norm and, unless told otherwise, a ReLU."""

    def __init__(
        self, a: int, b: int, kernel: int | tuple[int, int], stride: int = 1, pad: bool = True, act: bool = True
    ) -> None:
        super().__init__()
        size = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        padding = (size[0] // 2, size[1] // 2) if pad else (0, 0)
        self.conv = nn.Conv2d(a, b, size, stride=stride, padding=padding, bias=False)
        self.bn, self.act = nn.BatchNorm2d(b), act

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return F.relu(x, inplace=True) if self.act else x


class _ChannelNorm(nn.Module):
    """A layer norm over the channels of an image, written out."""

    def __init__(self, c: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = nn.Parameter(torch.ones(c)), nn.Parameter(torch.zeros(c)), eps

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        x = (x - mean) / torch.sqrt(variance + self.eps)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class _NextBlock(nn.Module):
    """ConvNeXt's block: a depthwise window of 7, then an MLP with the channels last."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.depth, self.norm = nn.Conv2d(c, c, 7, padding=3, groups=c), nn.LayerNorm(c, eps=1e-6)
        self.wide, self.narrow = nn.Linear(c, 4 * c), nn.Linear(4 * c, c)
        self.gamma = nn.Parameter(0.1 * torch.ones(c))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depth(x).permute(0, 2, 3, 1))
        y = self.gamma * self.narrow(F.gelu(self.wide(y)))
        return x + y.permute(0, 3, 1, 2)


def convnext_unet(batch: int) -> Made:
    """A U-Net of ConvNeXt's blocks for cell images of 256 pixels: five levels, transposed convolutions."""

    class Unet(nn.Module):
        def __init__(self, classes: int = 3) -> None:
            super().__init__()
            widths, depths = (32, 64, 128, 256, 384), (2, 2, 2, 3, 3)
            self.stem = nn.Conv2d(3, widths[0], 3, padding=1)
            self.stages = nn.ModuleList(
                nn.Sequential(*(_NextBlock(c) for _ in range(depth))) for c, depth in zip(widths, depths)
            )
            self.downs, self.ups, self.joins, self.decoders = (nn.ModuleList() for _ in range(4))
            for a, b in pairwise(widths):
                self.downs.append(nn.Sequential(_ChannelNorm(a), nn.Conv2d(a, b, 2, stride=2)))
            for b, a in pairwise(widths[::-1]):
                self.ups.append(nn.Sequential(_ChannelNorm(b), nn.ConvTranspose2d(b, a, 2, stride=2)))
                self.joins.append(nn.Conv2d(2 * a, a, 1))
                self.decoders.append(nn.Sequential(_NextBlock(a), _NextBlock(a)))
            self.head = nn.Sequential(_ChannelNorm(widths[0]), nn.Conv2d(widths[0], classes, 1))

        def forward(self, image: Tensor) -> Tensor:
            x = self.stem(image)
            skips: list[Tensor] = []
            for i, stage in enumerate(self.stages):
                x = stage(x)
                if i < len(self.downs):
                    skips.append(x)
                    x = self.downs[i](x)
            for up, join, decoder in zip(self.ups, self.joins, self.decoders):
                x = decoder(join(torch.cat((skips.pop(), up(x)), dim=1)))
            return torch.softmax(self.head(x), dim=1)

    return Unet().eval(), {"image": torch.rand(batch, 3, 256, 256)}


def se_resnet_d(batch: int) -> Made:
    """SE-ResNet-50-D: a stem of three windows, shortcuts pooled before they are widened, excited channels."""

    class Excite(nn.Module):
        def __init__(self, c: int, reduction: int = 16) -> None:
            super().__init__()
            self.fc = nn.Sequential(
                nn.Linear(c, c // reduction), nn.ReLU(inplace=True), nn.Linear(c // reduction, c), nn.Sigmoid()
            )

        def forward(self, x: Tensor) -> Tensor:
            b, c = x.shape[:2]
            return x * self.fc(F.adaptive_avg_pool2d(x, 1).view(b, c)).view(b, c, 1, 1)

    class Bottleneck(nn.Module):
        def __init__(self, a: int, width: int, stride: int) -> None:
            super().__init__()
            b = 4 * width
            self.one, self.two = _ConvNorm(a, width, 1), _ConvNorm(width, width, 3, stride)
            self.three, self.se = _ConvNorm(width, b, 1, act=False), Excite(b)
            short: list[nn.Module] = []
            if stride > 1:
                short.append(nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False))
            if a != b:
                short.append(_ConvNorm(a, b, 1, act=False))
            self.short = nn.Sequential(*short)

        def forward(self, x: Tensor) -> Tensor:
            y = self.se(self.three(self.two(self.one(x))))
            return F.relu(y + self.short(x), inplace=True)

    layers: list[nn.Module] = [_ConvNorm(3, 32, 3, 2), _ConvNorm(32, 32, 3), _ConvNorm(32, 64, 3)]
    layers.append(nn.MaxPool2d(3, stride=2, padding=1))
    a = 64
    for stage, (width, depth) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for i in range(depth):
            layers.append(Bottleneck(a, width, 2 if stage and not i else 1))
            a = 4 * width
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(a, 1000)]
    return nn.Sequential(*layers, *head).eval(), {"input": torch.rand(batch, 3, 224, 224)}


class _Joined(nn.Module):
    """Paths from one input, concatenated."""

    def __init__(self, *paths: nn.Module) -> None:
        super().__init__()
        self.paths = nn.ModuleList(paths)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([path(x) for path in self.paths], dim=1)


class _Scaled(nn.Module):
    """A residual block of Inception-ResNet: joined paths, a product back, added by a fraction."""

    def __init__(self, c: int, joined: int, scale: float, *paths: nn.Module) -> None:
        super().__init__()
        self.paths, self.back, self.scale = _Joined(*paths), nn.Conv2d(joined, c, 1), scale

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.scale * self.back(self.paths(x)))


def inception_resnet(batch: int) -> Made:
    """Inception-ResNet V1 as face recognition uses it: 160 pixels, embeddings of 512, normalised."""
    seq, conv = nn.Sequential, _ConvNorm

    def block35() -> nn.Module:
        long = seq(conv(256, 32, 1), conv(32, 32, 3), conv(32, 32, 3))
        return _Scaled(256, 96, 0.17, conv(256, 32, 1), seq(conv(256, 32, 1), conv(32, 32, 3)), long)

    def block17() -> nn.Module:
        long = seq(conv(896, 128, 1), conv(128, 128, (1, 7)), conv(128, 128, (7, 1)))
        return _Scaled(896, 256, 0.1, conv(896, 128, 1), long)

    def block8() -> nn.Module:
        long = seq(conv(1792, 192, 1), conv(192, 192, (1, 3)), conv(192, 192, (3, 1)))
        return _Scaled(1792, 384, 0.2, conv(1792, 192, 1), long)

    class Face(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = seq(
                *(conv(3, 32, 3, 2, pad=False), conv(32, 32, 3, pad=False), conv(32, 64, 3)),
                *(nn.MaxPool2d(3, stride=2), conv(64, 80, 1), conv(80, 192, 3, pad=False)),
                conv(192, 256, 3, 2, pad=False),
            )
            self.one = seq(*(block35() for _ in range(5)))
            long = seq(conv(256, 192, 1), conv(192, 192, 3), conv(192, 256, 3, 2, pad=False))
            self.shrink = _Joined(conv(256, 384, 3, 2, pad=False), long, nn.MaxPool2d(3, stride=2))
            self.two = seq(*(block17() for _ in range(10)))
            third = seq(conv(896, 256, 1), conv(256, 256, 3), conv(256, 256, 3, 2, pad=False))
            self.shrink_again = _Joined(
                seq(conv(896, 256, 1), conv(256, 384, 3, 2, pad=False)),
                *(seq(conv(896, 256, 1), conv(256, 256, 3, 2, pad=False)), third, nn.MaxPool2d(3, stride=2)),
            )
            self.three = seq(*(block8() for _ in range(6)))
            self.pool, self.dropout = nn.AdaptiveAvgPool2d(1), nn.Dropout(0.6)
            self.embed, self.bn = nn.Linear(1792, 512, bias=False), nn.BatchNorm1d(512)

        def forward(self, face: Tensor) -> Tensor:
            x = self.shrink(self.one(self.stem(face)))
            x = self.three(self.shrink_again(self.two(x)))
            x = self.dropout(self.pool(x))
            return F.normalize(self.bn(self.embed(x.flatten(1))), p=2, dim=1)

    return Face().eval(), {"face": torch.rand(batch, 3, 160, 160)}


def poolformer(batch: int) -> Made:
    """PoolFormer-S12: what a mean of 3 x 3 adds stands where attention would, group norms of one group."""

    class Block(nn.Module):
        def __init__(self, c: int) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.GroupNorm(1, c), nn.GroupNorm(1, c)
            self.pool = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
            self.fc1, self.fc2 = nn.Conv2d(c, 4 * c, 1), nn.Conv2d(4 * c, c, 1)
            self.scale1, self.scale2 = (nn.Parameter(0.1 * torch.ones(c)) for _ in range(2))

        def forward(self, x: Tensor) -> Tensor:
            y = self.norm1(x)
            x = x + self.scale1.unsqueeze(-1).unsqueeze(-1) * (self.pool(y) - y)
            y = self.fc2(F.gelu(self.fc1(self.norm2(x))))
            return x + self.scale2.unsqueeze(-1).unsqueeze(-1) * y

    class PoolFormer(nn.Module):
        def __init__(self, classes: int = 1000) -> None:
            super().__init__()
            widths, depths = (64, 128, 320, 512), (2, 2, 6, 2)
            layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 7, stride=4, padding=2)]
            for i, (c, depth) in enumerate(zip(widths, depths)):
                if i:
                    layers.append(nn.Conv2d(widths[i - 1], c, 3, stride=2, padding=1))
                layers += [Block(c) for _ in range(depth)]
            self.network = nn.Sequential(*layers)
            self.norm, self.head = nn.GroupNorm(1, widths[-1]), nn.Linear(widths[-1], classes)

        def forward(self, image: Tensor) -> Tensor:
            x = self.norm(self.network(image))
            return self.head(x.mean([-2, -1]))

    return PoolFormer().eval(), {"image": torch.rand(batch, 3, 224, 224)}


def distilled_upscaler(batch: int) -> Made:
    """IMDN: six blocks that keep a quarter of the channels at every step, weighed by contrast; 128 to 512."""

    def conv(a: int, b: int, kernel: int = 3) -> nn.Conv2d:
        return nn.Conv2d(a, b, kernel, padding=kernel // 2)

    class Contrast(nn.Module):
        def __init__(self, c: int, reduction: int = 16) -> None:
            super().__init__()
            self.weigh = nn.Sequential(
                *(conv(c, c // reduction, 1), nn.ReLU(inplace=True), conv(c // reduction, c, 1), nn.Sigmoid())
            )

        def forward(self, x: Tensor) -> Tensor:
            mean = x.mean((2, 3), keepdim=True)
            deviation = ((x - mean) ** 2).mean((2, 3), keepdim=True).sqrt()
            return x * self.weigh(mean + deviation)

    class Block(nn.Module):
        def __init__(self, c: int) -> None:
            super().__init__()
            self.kept, self.rest = c // 4, c - c // 4
            self.one, self.two, self.three = conv(c, c), conv(self.rest, c), conv(self.rest, c)
            self.four, self.act = conv(self.rest, self.kept), nn.LeakyReLU(0.05, inplace=True)
            self.contrast, self.fuse = Contrast(c), conv(c, c, 1)

        def forward(self, x: Tensor) -> Tensor:
            rest, found = x, []
            for layer in (self.one, self.two, self.three):
                kept, rest = torch.split(self.act(layer(rest)), (self.kept, self.rest), dim=1)
                found.append(kept)
            found.append(self.four(rest))
            return x + self.fuse(self.contrast(torch.cat(found, dim=1)))

    class Upscaler(nn.Module):
        def __init__(self, c: int = 64, blocks: int = 6, by: int = 4) -> None:
            super().__init__()
            self.first, self.blocks = conv(3, c), nn.ModuleList(Block(c) for _ in range(blocks))
            self.join = nn.Sequential(conv(c * blocks, c, 1), nn.LeakyReLU(0.05, inplace=True))
            self.last = conv(c, c)
            self.up = nn.Sequential(conv(c, 3 * by**2), nn.PixelShuffle(by))

        def forward(self, image: Tensor) -> Tensor:
            first = x = self.first(image)
            found = []
            for block in self.blocks:
                x = block(x)
                found.append(x)
            x = self.last(self.join(torch.cat(found, dim=1))) + first
            return self.up(x).clamp(0, 1)

    return Upscaler().eval(), {"image": torch.rand(batch, 3, 128, 128)}
