"""Networks of three public search spaces, with the nesting of modules that their public implementations have, which is
what the host pays for: NAS-Bench-201 (Dong and Yang, ICLR 2020), FBNet's layers for CIFAR-100 (Wu et al., CVPR 2019, as
HW-NAS-Bench builds them) and Once-for-All's MobileNetV3 (Cai et al., ICLR 2020).

A builder takes an architecture as the space writes it and returns the module in inference mode; ``SPACES`` names them,
with the images they take.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


class _ReluConvNorm(nn.Module):
    def __init__(self, channels_in: int, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        conv = nn.Conv2d(channels_in, channels, kernel, stride, kernel // 2, bias=False)
        self.op = nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class _Pool(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.op = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class _Zero(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mul(0.0)


class _Same(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


_EDGES: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda channels: _Zero(),
    "skip_connect": lambda channels: _Same(),
    "nor_conv_1x1": lambda channels: _ReluConvNorm(channels, channels, 1),
    "nor_conv_3x3": lambda channels: _ReluConvNorm(channels, channels, 3),
    "avg_pool_3x3": lambda channels: _Pool(),
}


class _Cell(nn.Module):
    """Nodes, each the sum of an edge from every node before it."""

    def __init__(self, nodes: list[list[tuple[str, int]]], channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(_EDGES[name](channels) for node in nodes for name, _ in node)
        self.sources = [[source for _, source in node] for node in nodes]

    def forward(self, x: Tensor) -> Tensor:
        outputs = [x]
        first = 0
        for sources in self.sources:
            edges = range(first, first + len(sources))
            outputs.append(sum(self.edges[e](outputs[s]) for e, s in zip(edges, sources, strict=True)))
            first += len(sources)
        return outputs[-1]


class _Reduction(nn.Module):
    """A residual block that halves the image."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv_a = _ReluConvNorm(channels_in, channels, 3, stride=2)
        self.conv_b = _ReluConvNorm(channels, channels, 3)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(channels_in, channels, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv_b(self.conv_a(x))
        return self.shortcut(x) + y


class _Nasbench201(nn.Module):
    def __init__(self, nodes: list[list[tuple[str, int]]], width: int, cells: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        self.cells = nn.ModuleList()
        for stage, channels in enumerate((width, 2 * width, 4 * width)):
            if stage:
                self.cells.append(_Reduction(channels // 2, channels))
            self.cells.extend(_Cell(nodes, channels) for _ in range(cells))
        self.last = nn.Sequential(nn.BatchNorm2d(4 * width), nn.ReLU(inplace=True))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(4 * width, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem(x)
        for cell in self.cells:
            x = cell(x)
        features = self.pool(self.last(x))
        features = features.view(features.size(0), -1)
        return features, self.classifier(features)


def nasbench201(architecture: str) -> nn.Module:
    """A network of NAS-Bench-201, 16 channels and five cells a stage. architecture: its canonical string, the edges of
    each node as |operation~source|, nodes joined by +.
    """
    nodes = []
    for node in architecture.split("+"):
        edges = [edge.split("~") for edge in node.strip("|").split("|")]
        nodes.append([(name, int(source)) for name, source in edges])
    return _Nasbench201(nodes, width=16, cells=5, classes=10).eval()


class _ConvNormRelu(nn.Module):
    def __init__(self, channels_in: int, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(x)))


class _Shuffle(nn.Module):
    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        n, channels, h, w = x.size()
        x = x.view(n, self.groups, channels // self.groups, h, w)
        return x.permute(0, 2, 1, 3, 4).contiguous().view(n, channels, h, w)


class _Inverted(nn.Module):
    """An inverted residual of FBNet: pointwise, depthwise, pointwise; grouped ones shuffle their channels."""

    def __init__(self, channels_in: int, channels: int, stride: int, kernel: int, expansion: int, groups: int) -> None:
        super().__init__()
        wide = channels_in * expansion
        self.conv1 = nn.Conv2d(channels_in, wide, 1, groups=groups, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.shuffle = _Shuffle(groups) if groups > 1 else None
        self.conv2 = nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.conv3 = nn.Conv2d(wide, channels, 1, groups=groups, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.is_residual = stride == 1 and channels_in == channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        if self.shuffle is not None:
            y = self.shuffle(y)
        y = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(y)))))
        if self.is_residual:
            y += x
        return y


class _Skip(nn.Module):
    """Nothing where sizes stay, else a pointwise convolution."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        same = stride == 1 and channels_in == channels
        self.project = None if same else _ConvNormRelu(channels_in, channels, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return x if self.project is None else self.project(x)


_CHOICES = ((3, 1, 1), (3, 1, 2), (3, 3, 1), (3, 6, 1), (5, 1, 1), (5, 1, 2), (5, 3, 1), (5, 6, 1), None)
"""Kernel, expansion and groups of a layer, by its number; None: skip."""

_STAGES = ((16, 1, 1), (24, 4, 1), (32, 4, 2), (64, 4, 2), (112, 4, 1), (184, 4, 2), (352, 1, 1))
"""Channels, layers and stride of FBNet's stages for images of 32 x 32."""


class _Layer(nn.Module):
    def __init__(self, op: nn.Module) -> None:
        super().__init__()
        self.op = op

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class _Fbnet(nn.Module):
    def __init__(self, choices: list[int], classes: int = 100) -> None:
        super().__init__()
        self.stem = _ConvNormRelu(3, 16, 3)
        self.cells = nn.ModuleList()
        remaining, channels_in = iter(choices), 16
        for channels, layers, stage_stride in _STAGES:
            for position in range(layers):
                stride, choice = (stage_stride if position == 0 else 1), _CHOICES[next(remaining)]
                op = (
                    _Inverted(channels_in, channels, stride, *choice)
                    if choice
                    else _Skip(channels_in, channels, stride)
                )
                self.cells.append(_Layer(op))
                channels_in = channels
        self.header = _ConvNormRelu(channels_in, 1504, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(1504, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for cell in self.cells:
            x = cell(x)
        x = self.pool(self.header(x))
        return self.classifier(x.view(x.size(0), -1))


def fbnet(architecture: str) -> nn.Module:
    """A network of FBNet's space for CIFAR-100. architecture: the number of the choice of each of 22 layers, joined by
    hyphens.
    """
    return _Fbnet([int(choice) for choice in architecture.split("-")]).eval()


class _HardSigmoid(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu6(x + 3.0) / 6.0


class _HardSwish(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * nn.functional.relu6(x + 3.0) / 6.0


class _Squeeze(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = _divisible(channels // 4)
        self.fc = nn.Sequential(
            nn.Conv2d(channels, squeezed, 1), nn.ReLU(inplace=True), nn.Conv2d(squeezed, channels, 1), _HardSigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        y = x.mean(3, keepdim=True).mean(2, keepdim=True)
        return x * self.fc(y)


def _divisible(channels: float, by: int = 8) -> int:
    nearest = max(by, int(channels + by / 2) // by * by)
    return nearest + by if nearest < 0.9 * channels else nearest


class _OfaBlock(nn.Module):
    """A mobile inverted residual of MobileNetV3, as Once-for-All nests it: a block, its convolution, four parts."""

    def __init__(
        self, channels_in: int, channels: int, kernel: int, stride: int, expansion: float, swish: bool, squeeze: bool
    ) -> None:
        super().__init__()
        wide = round(channels_in * expansion)
        act = _HardSwish if swish else lambda: nn.ReLU(inplace=True)
        parts: list[nn.Module] = []
        if expansion != 1:
            parts.append(_part(nn.Conv2d(channels_in, wide, 1, bias=False), nn.BatchNorm2d(wide), act()))
        depthwise = nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False)
        squeezing = (_Squeeze(wide),) if squeeze else ()
        parts.append(_part(depthwise, nn.BatchNorm2d(wide), act(), *squeezing))
        parts.append(_part(nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels)))
        self.conv = nn.Sequential(*parts)
        self.shortcut = _Same() if stride == 1 and channels_in == channels else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return y if self.shortcut is None else y + self.shortcut(x)


def _part(*modules: nn.Module) -> nn.Module:
    return nn.Sequential(*modules)


_OFA_STAGES = (
    (24, 2, False, False),
    (40, 2, False, True),
    (80, 2, True, False),
    (112, 1, True, True),
    (160, 2, True, True),
)
"""Channels, stride, hard swish, squeeze and excitation of Once-for-All's five stages."""


class _Ofa(nn.Module):
    def __init__(self, depths: list[int], kernels: list[int], expansions: list[int], classes: int = 1000) -> None:
        super().__init__()
        self.first_conv = _part(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), _HardSwish())
        blocks, channels_in = [_OfaBlock(16, 16, 3, 1, 1, swish=False, squeeze=False)], 16
        for stage, (channels, stage_stride, swish, squeeze) in enumerate(_OFA_STAGES):
            for position in range(depths[stage]):
                place, stride = stage * 4 + position, stage_stride if position == 0 else 1
                block = _OfaBlock(
                    channels_in, channels, kernels[place], stride, expansions[place], swish=swish, squeeze=squeeze
                )
                blocks.append(block)
                channels_in = channels
        self.blocks = nn.ModuleList(blocks)
        self.final_expand = _part(nn.Conv2d(160, 960, 1, bias=False), nn.BatchNorm2d(960), _HardSwish())
        self.feature_mix = _part(nn.Conv2d(960, 1280, 1, bias=False), _HardSwish())
        self.classifier = nn.Linear(1280, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first_conv(x)
        for block in self.blocks:
            x = block(x)
        x = self.final_expand(x)
        x = x.mean(3, keepdim=True).mean(2, keepdim=True)
        x = self.feature_mix(x)
        return self.classifier(torch.flatten(x, 1))


def ofa_mobilenetv3(architecture: str) -> nn.Module:
    """A network of Once-for-All's MobileNetV3 space, width 1. architecture: depths of five stages, then kernels and
    expansions of 20 places, each list joined by hyphens, the lists by colons.
    """
    depths, kernels, expansions = ([int(n) for n in numbers.split("-")] for numbers in architecture.split(":"))
    return _Ofa(depths, kernels, expansions).eval()


def random_ofa(seed: int) -> str:
    """A random architecture of Once-for-All's MobileNetV3 space."""
    rng = random.Random(seed)
    lists = (rng.choices((2, 3, 4), k=5), rng.choices((3, 5, 7), k=20), rng.choices((3, 4, 6), k=20))
    return ":".join("-".join(map(str, numbers)) for numbers in lists)


@dataclass(frozen=True, slots=True)
class Space:
    """A search space: build, architecture -> module; pixels: height and width of its images."""

    build: Callable[[str], nn.Module]
    pixels: int


SPACES = {
    "nasbench201": Space(nasbench201, 32),
    "fbnet-cifar100": Space(fbnet, 32),
    "ofa-mobilenetv3": Space(ofa_mobilenetv3, 224),
}
