"""Convolutional nets of the battery: classifiers, cells of architecture searches, segmentation, detection, upscaling.

Every function takes a batch and returns (module in evaluation mode, inputs); weights are random.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Made = tuple[nn.Module, dict[str, Tensor]]


def _image(module: nn.Module, batch: int, pixels: int = 224) -> Made:
    name = "input" if isinstance(module, nn.Sequential) else "x"
    return module.eval(), {name: torch.rand(batch, 3, pixels, pixels)}


def _unit(
    c_in: int, c_out: int, size: int = 3, stride: int = 1, groups: int = 1, act: type[nn.Module] | None = nn.ReLU
) -> nn.Sequential:
    parts: list[nn.Module] = [
        nn.Conv2d(c_in, c_out, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(c_out),
    ]
    if act is not None:
        parts.append(act())
    return nn.Sequential(*parts)


class _Residual(nn.Module):
    def __init__(self, branch: nn.Module, skip: nn.Module | None = None, act: bool = True) -> None:
        super().__init__()
        self.branch, self.skip, self.act = branch, skip, act

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch(x) + (x if self.skip is None else self.skip(x))
        return F.relu(y) if self.act else y


class _Classifier(nn.Module):
    def __init__(self, features: nn.Module, channels: int, classes: int = 1000) -> None:
        super().__init__()
        self.features, self.head = features, nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.adaptive_avg_pool2d(self.features(x), 1).flatten(1))


def _stem(channels: int) -> nn.Sequential:
    return nn.Sequential(_unit(3, channels, 7, 2), nn.MaxPool2d(3, 2, 1))


def _resnet(depths: Sequence[int], widths: Sequence[int]) -> nn.Module:
    layers: list[nn.Module] = [_stem(widths[0])]
    c = widths[0]
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        for i in range(depth):
            stride = 2 if stage and not i else 1
            skip = _unit(c, width, 1, stride, act=None) if stride > 1 or c != width else None
            layers.append(_Residual(nn.Sequential(_unit(c, width, 3, stride), _unit(width, width, act=None)), skip))
            c = width
    return _Classifier(nn.Sequential(*layers), c)


def resnet18(batch: int) -> Made:
    """ResNet-18: basic blocks."""
    return _image(_resnet((2, 2, 2, 2), (64, 128, 256, 512)), batch)


def resnext50(batch: int) -> Made:
    """ResNeXt-50 32x4d: 3x3 convolutions in 32 groups."""
    layers: list[nn.Module] = [_stem(64)]
    c = 64
    for stage, (depth, width) in enumerate(zip((3, 4, 6, 3), (128, 256, 512, 1024), strict=True)):
        for i in range(depth):
            stride = 2 if stage and not i else 1
            out = 2 * width
            branch = nn.Sequential(
                _unit(c, width, 1), _unit(width, width, 3, stride, groups=32), _unit(width, out, 1, act=None)
            )
            layers.append(_Residual(branch, _unit(c, out, 1, stride, act=None) if c != out else None))
            c = out
    return _image(_Classifier(nn.Sequential(*layers), c), batch)


def alexnet(batch: int) -> Made:
    """AlexNet: large strided convolutions, wide linear layers."""
    features = nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU()),
        *(nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1)),
        *(nn.ReLU(), nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten()),
        *(nn.Dropout(), nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU()),
    )
    return _image(nn.Sequential(features, nn.Linear(4096, 1000)), batch)


def vgg11(batch: int) -> Made:
    """VGG-11 without norms."""
    layers: list[nn.Module] = []
    c = 3
    for width in (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0):
        layers += [nn.Conv2d(c, width, 3, padding=1), nn.ReLU(inplace=True)] if width else [nn.MaxPool2d(2)]
        c = width or c
    head = nn.Sequential(nn.Flatten(), nn.Linear(25088, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU())
    return _image(nn.Sequential(*layers, head, nn.Linear(4096, 1000)), batch)


class _DenseLayer(nn.Module):
    def __init__(self, c_in: int, growth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.BatchNorm2d(c_in), nn.ReLU(), nn.Conv2d(c_in, 4 * growth, 1, bias=False)),
            *(nn.BatchNorm2d(4 * growth), nn.ReLU(), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], dim=1)


def densenet121(batch: int) -> Made:
    """DenseNet-121: every layer's output is concatenated to its input."""
    layers: list[nn.Module] = [_stem(64)]
    c, growth = 64, 32
    for stage, depth in enumerate((6, 12, 24, 16)):
        for _ in range(depth):
            layers.append(_DenseLayer(c, growth))
            c += growth
        if stage < 3:
            layers += [nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, c // 2, 1, bias=False), nn.AvgPool2d(2)]
            c //= 2
    return _image(_Classifier(nn.Sequential(*layers, nn.BatchNorm2d(c), nn.ReLU()), c), batch)


class _SqueezeExcite(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, channels // 4, 1), nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * F.hardsigmoid(self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))))


def mobilenet_v3(batch: int) -> Made:
    """MobileNetV3-Large: inverted residuals, squeeze and excitation, hard swish."""
    rows = [
        *(
            (3, 16, 16, 0, 0, 1),
            (3, 64, 24, 0, 0, 2),
            (3, 72, 24, 0, 0, 1),
            (5, 72, 40, 1, 0, 2),
            (5, 120, 40, 1, 0, 1),
        ),
        *((5, 120, 40, 1, 0, 1), (3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1)),
        *((3, 184, 80, 0, 1, 1), (3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1), (5, 672, 160, 1, 1, 2)),
        *((5, 960, 160, 1, 1, 1), (5, 960, 160, 1, 1, 1)),
    ]
    layers: list[nn.Module] = [_unit(3, 16, 3, 2, act=nn.Hardswish)]
    c = 16
    for size, wide, out, excited, swish, stride in rows:
        act = nn.Hardswish if swish else nn.ReLU
        parts: list[nn.Module] = [_unit(c, wide, 1, act=act)] if wide != c else []
        parts.append(_unit(wide, wide, size, stride, groups=wide, act=act))
        parts += [_SqueezeExcite(wide)] if excited else []
        parts.append(_unit(wide, out, 1, act=None))
        branch = nn.Sequential(*parts)
        layers.append(_Residual(branch, act=False) if stride == 1 and c == out else branch)
        c = out
    return _image(_Classifier(nn.Sequential(*layers, _unit(c, 960, 1, act=nn.Hardswish)), 960), batch)


class _Shuffle(nn.Module):
    def __init__(self, c: int, stride: int) -> None:
        super().__init__()
        half = c // 2
        self.stride = stride
        self.left = (
            nn.Sequential(_unit(half, half, 3, 2, groups=half, act=None), _unit(half, half, 1)) if stride > 1 else None
        )
        self.right = nn.Sequential(
            _unit(half, half, 1), _unit(half, half, 3, stride, groups=half, act=None), _unit(half, half, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.left is None:
            a, b = x.chunk(2, dim=1)
        else:
            a, b = self.left(x), x
        y = torch.cat([a, self.right(b)], dim=1)
        n, c, h, w = y.shape
        return y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def shufflenet_v2(batch: int) -> Made:
    """ShuffleNetV2: split channels, depthwise convolutions, channel shuffles."""
    layers: list[nn.Module] = [_stem(58)]
    c = 58
    for depth in (4, 8, 4):
        layers += [_Shuffle(2 * c, 2), *(_Shuffle(2 * c, 1) for _ in range(depth - 1))]
        c *= 2
    return _image(_Classifier(nn.Sequential(*layers, _unit(c, 1024, 1)), 1024), batch)


class _Ghost(nn.Module):
    def __init__(self, c_in: int, c_out: int, act: bool = True) -> None:
        super().__init__()
        half = c_out // 2
        self.primary = _unit(c_in, half, 1, act=nn.ReLU if act else None)
        self.cheap = _unit(half, half, 3, groups=half, act=nn.ReLU if act else None)

    def forward(self, x: Tensor) -> Tensor:
        y = self.primary(x)
        return torch.cat([y, self.cheap(y)], dim=1)


def ghostnet(batch: int) -> Made:
    """GhostNet: half of the channels made from the others by depthwise convolutions."""
    layers: list[nn.Module] = [_unit(3, 16, 3, 2)]
    c = 16
    for out, stride, depth in ((24, 2, 2), (40, 2, 2), (80, 2, 4), (160, 2, 3)):
        for i in range(depth):
            wide, step = 3 * out, stride if not i else 1
            middle = [_unit(wide, wide, 3, 2, groups=wide, act=None)] if step > 1 else []
            branch = nn.Sequential(_Ghost(c, wide), *middle, _Ghost(wide, out, act=False))
            layers.append(_Residual(branch, act=False) if step == 1 and c == out else branch)
            c = out
    return _image(_Classifier(nn.Sequential(*layers), c), batch)


class _Cell(nn.Module):
    """A NAS-Bench-201 cell: four nodes, an operation on each of the six edges."""

    def __init__(self, c: int, operations: Sequence[str]) -> None:
        super().__init__()
        made: dict[str, nn.Module] = {}
        for edge, name in zip(("01", "02", "12", "03", "13", "23"), operations, strict=True):
            if name.startswith("conv"):
                size = int(name[-1])
                made[edge] = nn.Sequential(
                    nn.ReLU(), nn.Conv2d(c, c, size, 1, size // 2, bias=False), nn.BatchNorm2d(c)
                )
            elif name == "pool":
                made[edge] = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
            elif name == "skip":
                made[edge] = nn.Identity()
        self.edges = nn.ModuleDict(made)

    def forward(self, x: Tensor) -> Tensor:
        nodes = [x]
        for node in range(1, 4):
            incoming = [self.edges[f"{i}{node}"](nodes[i]) for i in range(node) if f"{i}{node}" in self.edges]
            total = incoming[0] if incoming else torch.zeros_like(x)
            for value in incoming[1:]:
                total = total + value
            nodes.append(total)
        return nodes[3]


def _nas_bench_201(operations: Sequence[str]) -> nn.Module:
    c = 16
    layers: list[nn.Module] = [nn.Conv2d(3, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)]
    for stage in range(3):
        if stage:
            down = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(c, 2 * c, 1, bias=False))
            branch = nn.Sequential(
                *(nn.ReLU(), nn.Conv2d(c, 2 * c, 3, 2, 1, bias=False), nn.BatchNorm2d(2 * c)),
                *(nn.ReLU(), nn.Conv2d(2 * c, 2 * c, 3, 1, 1, bias=False), nn.BatchNorm2d(2 * c)),
            )
            layers.append(_Residual(branch, down, act=False))
            c *= 2
        layers += [_Cell(c, operations) for _ in range(5)]
    return _Classifier(nn.Sequential(*layers, nn.BatchNorm2d(c), nn.ReLU()), c, 100)


def cell_of_convolutions(batch: int) -> Made:
    """A NAS-Bench-201 net of 1x1 and 3x3 convolutions and skips, 32 pixels."""
    return _image(_nas_bench_201(("conv3", "skip", "conv3", "conv1", "skip", "conv3")), batch, 32)


def cell_of_poolings(batch: int) -> Made:
    """A NAS-Bench-201 net of average poolings and 1x1 convolutions, 32 pixels."""
    return _image(_nas_bench_201(("pool", "conv1", "pool", "skip", "none", "conv1")), batch, 32)


def resnet18_channels_last(batch: int) -> Made:
    """ResNet-18, weights and input in channels-last order."""
    module, inputs = resnet18(batch)
    inputs = {"x": inputs["x"].to(memory_format=torch.channels_last)}
    return module.to(memory_format=torch.channels_last), inputs


def pyramid_channels_last(batch: int) -> Made:
    """A feature pyramid in channels-last order, its levels joined after bilinear upsampling."""
    module, inputs = feature_pyramid(batch)
    inputs = {"x": inputs["x"].to(memory_format=torch.channels_last)}
    return module.to(memory_format=torch.channels_last), inputs


class _Inception(nn.Module):
    def __init__(self, c: int, w: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                _unit(c, w[0], 1),
                nn.Sequential(_unit(c, w[1], 1), _unit(w[1], w[2])),
                nn.Sequential(_unit(c, w[3], 1), _unit(w[3], w[4], 5)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), _unit(c, w[5], 1)),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def googlenet(batch: int) -> Made:
    """GoogLeNet: four branches side by side, joined by concatenation."""
    rows = [
        *((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), (), (192, 96, 208, 16, 48, 64)),
        *((160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64), (112, 144, 288, 32, 64, 64)),
        *((256, 160, 320, 32, 128, 128), (), (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
    ]
    layers: list[nn.Module] = [_stem(64), _unit(64, 64, 1), _unit(64, 192), nn.MaxPool2d(3, 2, 1)]
    c = 192
    for w in rows:
        layers.append(_Inception(c, w) if w else nn.MaxPool2d(3, 2, 1))
        c = w[0] + w[2] + w[4] + w[5] if w else c
    return _image(_Classifier(nn.Sequential(*layers), c), batch)


class _Pooled(nn.Module):
    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.unit = _unit(c_in, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.unit(F.adaptive_avg_pool2d(x, 1))
        return F.interpolate(y, size=x.shape[-2:], mode="bilinear", align_corners=False)


class _DeepLab(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.Sequential(_stem(64), _unit(64, 128, 3, 2), _unit(128, 256, 3, 2), _unit(256, 512))
        dilated = [
            nn.Sequential(nn.Conv2d(512, 128, 3, padding=d, dilation=d, bias=False), nn.BatchNorm2d(128), nn.ReLU())
            for d in (6, 12, 18)
        ]
        self.branches = nn.ModuleList([_unit(512, 128, 1), *dilated, _Pooled(512, 128)])
        self.join, self.head = _unit(640, 128, 1), nn.Conv2d(128, 21, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.stages(x)
        y = self.head(self.join(torch.cat([branch(y) for branch in self.branches], dim=1)))
        return F.interpolate(y, size=x.shape[-2:], mode="bilinear", align_corners=False)


def deeplab(batch: int) -> Made:
    """DeepLabV3's head on a small trunk: dilated convolutions, bilinear upsampling."""
    return _image(_DeepLab(), batch, 256)


class _Pyramid(nn.Module):
    def __init__(self, width: int = 128) -> None:
        super().__init__()
        widths = (64, 128, 256, 512)
        self.stages = nn.ModuleList(
            [nn.Sequential(_stem(64), _unit(64, 64)), *(_unit(a, b, 3, 2) for a, b in pairwise(widths))]
        )
        self.lateral = nn.ModuleList(nn.Conv2d(w, width, 1) for w in widths)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        top = self.lateral[-1](levels[-1])
        out = [self.smooth[-1](top)]
        for i in range(len(levels) - 2, -1, -1):
            up = F.interpolate(top, size=levels[i].shape[-2:], mode="bilinear", align_corners=False)
            top = self.lateral[i](levels[i]) + up
            out.append(self.smooth[i](top))
        return out


def feature_pyramid(batch: int) -> Made:
    """A feature pyramid: levels joined after bilinear upsampling."""
    return _image(_Pyramid(), batch, 256)


class _RetinaHead(nn.Module):
    def __init__(self, classes: int = 80, anchors: int = 9) -> None:
        super().__init__()
        self.trunk = _Pyramid(256)
        self.classes = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()) for _ in range(4)),
            nn.Conv2d(256, classes * anchors, 3, padding=1),
        )
        self.boxes = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()) for _ in range(4)),
            nn.Conv2d(256, 4 * anchors, 3, padding=1),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scores, boxes = [], []
        for level in self.trunk(x):
            n = level.shape[0]
            scores.append(self.classes(level).permute(0, 2, 3, 1).reshape(n, -1, 80).sigmoid())
            boxes.append(self.boxes(level).permute(0, 2, 3, 1).reshape(n, -1, 4))
        best, index = torch.cat(scores, dim=1).amax(dim=-1).topk(100, dim=1)
        return best, torch.cat(boxes, dim=1).gather(1, index[..., None].expand(-1, -1, 4))


def retina_head(batch: int) -> Made:
    """RetinaNet's heads over a small pyramid, the hundred best boxes taken."""
    return _image(_RetinaHead(), batch, 256)


class _CrossStage(nn.Module):
    def __init__(self, c: int, depth: int) -> None:
        super().__init__()
        half = c // 2
        self.first, self.last = _unit(c, c, 1, act=nn.SiLU), _unit(half * (2 + depth), c, 1, act=nn.SiLU)
        self.blocks = nn.ModuleList(
            nn.Sequential(_unit(half, half, act=nn.SiLU), _unit(half, half, act=nn.SiLU)) for _ in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.first(x).chunk(2, dim=1))
        for block in self.blocks:
            parts.append(parts[-1] + block(parts[-1]))
        return self.last(torch.cat(parts, dim=1))


class _Yolo(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.low = nn.Sequential(
            *(_unit(3, 32, 3, 2, act=nn.SiLU), _unit(32, 64, 3, 2, act=nn.SiLU), _CrossStage(64, 1)),
            *(_unit(64, 128, 3, 2, act=nn.SiLU), _CrossStage(128, 2)),
        )
        self.middle = nn.Sequential(_unit(128, 256, 3, 2, act=nn.SiLU), _CrossStage(256, 2))
        self.high = nn.Sequential(_unit(256, 512, 3, 2, act=nn.SiLU), _CrossStage(512, 1))
        self.join_middle, self.join_low = _unit(768, 256, 1, act=nn.SiLU), _unit(384, 128, 1, act=nn.SiLU)
        self.heads = nn.ModuleList(nn.Conv2d(c, 84, 1) for c in (128, 256, 512))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        low = self.low(x)
        middle = self.middle(low)
        high = self.high(middle)
        middle = self.join_middle(torch.cat([F.interpolate(high, scale_factor=2.0, mode="nearest"), middle], dim=1))
        low = self.join_low(torch.cat([F.interpolate(middle, scale_factor=2.0, mode="nearest"), low], dim=1))
        flat = [head(level).flatten(2) for head, level in zip(self.heads, (low, middle, high))]
        found = torch.cat(flat, dim=2)
        return found[:, :4].sigmoid() * 2 - 0.5, found[:, 4:].sigmoid()


def yolo(batch: int) -> Made:
    """A YOLO of cross-stage blocks, nearest upsampling, three heads, 320 pixels."""
    return _image(_Yolo(), batch, 320)


def subpixel(batch: int) -> Made:
    """ESPCN: convolutions at low resolution, then a pixel shuffle; tanh between."""
    module = nn.Sequential(
        *(nn.Conv2d(3, 64, 5, padding=2), nn.Tanh(), nn.Conv2d(64, 64, 3, padding=1), nn.Tanh()),
        *(nn.Conv2d(64, 32, 3, padding=1), nn.Tanh(), nn.Conv2d(32, 27, 3, padding=1), nn.PixelShuffle(3)),
    )
    return _image(module, batch, 128)


class _Dense5(nn.Module):
    def __init__(self, c: int = 64, growth: int = 32) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(c + i * growth, growth if i < 4 else c, 3, padding=1) for i in range(5))

    def forward(self, x: Tensor) -> Tensor:
        parts = [x]
        for conv in self.convs[:-1]:
            parts.append(F.leaky_relu(conv(torch.cat(parts, dim=1)), 0.2))
        return x + 0.2 * self.convs[-1](torch.cat(parts, dim=1))


class _Upscaler(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.body = nn.Conv2d(3, 64, 3, padding=1), nn.Sequential(*(_Dense5() for _ in range(6)))
        self.up1, self.up2 = nn.Conv2d(64, 64, 3, padding=1), nn.Conv2d(64, 64, 3, padding=1)
        self.last = nn.Conv2d(64, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(self.first(x))
        x = F.leaky_relu(self.up1(F.interpolate(x, scale_factor=2.0, mode="nearest")), 0.2)
        x = F.leaky_relu(self.up2(F.interpolate(x, scale_factor=2.0, mode="nearest")), 0.2)
        return self.last(x)


def dense_upscaler(batch: int) -> Made:
    """ESRGAN's kind: densely connected convolutions, nearest upsampling twice, 48 pixels."""
    return _image(_Upscaler(), batch, 48)


def resnet3d(batch: int) -> Made:
    """A three-dimensional ResNet on eight frames of 112 pixels."""

    def unit(a: int, b: int, stride: int = 1, act: bool = True) -> nn.Sequential:
        parts = [nn.Conv3d(a, b, 3, stride, 1, bias=False), nn.BatchNorm3d(b)]
        return nn.Sequential(*parts, *([nn.ReLU()] if act else []))

    layers: list[nn.Module] = [nn.Conv3d(3, 32, (3, 7, 7), (1, 2, 2), (1, 3, 3)), nn.ReLU()]
    c = 32
    for stage, width in enumerate((32, 64, 128)):
        stride = 2 if stage else 1
        skip = nn.Conv3d(c, width, 1, stride) if stage else None
        layers += [_Residual(nn.Sequential(unit(c, width, stride), unit(width, width, act=False)), skip)]
        c = width
    module = nn.Sequential(*layers, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(c, 400))
    return module.eval(), {"input": torch.rand(batch, 3, 8, 112, 112)}


def unet_of_two_plus_one(batch: int) -> Made:
    """Spatial and temporal convolutions in turn, on eight frames of 64 pixels."""
    layers: list[nn.Module] = []
    c = 3
    for width, stride in ((64, 1), (64, 2), (128, 2), (256, 2)):
        layers += [
            *(nn.Conv3d(c, width, (1, 3, 3), (1, stride, stride), (0, 1, 1)), nn.BatchNorm3d(width), nn.ReLU()),
            *(nn.Conv3d(width, width, (3, 1, 1), padding=(1, 0, 0)), nn.BatchNorm3d(width), nn.ReLU()),
        ]
        c = width
    module = nn.Sequential(*layers, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(c, 101))
    return module.eval(), {"input": torch.rand(batch, 3, 8, 64, 64)}
