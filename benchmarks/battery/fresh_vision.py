"""Fresh models for images and video, written out after torchvision's published structures.

See ``FRESH`` in families.py: measured once, predicted once, for a release.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Made = tuple[nn.Module, dict[str, Tensor]]
Sizes = int | tuple[int, int, int]


def _conv(a: int, b: int, kernel: int = 3, stride: int = 1, groups: int = 1, act: bool = True) -> nn.Module:
    layers = [
        nn.Conv2d(a, b, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(b, eps=1e-3),
    ]
    return nn.Sequential(*layers, *([nn.SiLU()] if act else []))


class _Excitation(nn.Module):
    def __init__(self, width: int, squeezed: int) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1, self.fc2 = nn.Conv2d(width, squeezed, 1), nn.Conv2d(squeezed, width, 1)
        self.activation, self.scale = nn.SiLU(), nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return self.scale(self.fc2(self.activation(self.fc1(self.avgpool(x))))) * x


class _Expanded(nn.Module):
    """A mobile block, its first two convolutions fused into one where it is early."""

    def __init__(self, a: int, b: int, expand: int, stride: int, fused: bool) -> None:
        super().__init__()
        wide = a * expand
        if fused and expand == 1:
            layers = [_conv(a, b, 3, stride)]
        elif fused:
            layers = [_conv(a, wide, 3, stride), _conv(wide, b, 1, act=False)]
        else:
            middle = [_conv(wide, wide, 3, stride, wide), _Excitation(wide, a // 4)]
            layers = [_conv(a, wide, 1), *middle, _conv(wide, b, 1, act=False)]
        self.block, self.skip = nn.Sequential(*layers), stride == 1 and a == b

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x) if self.skip else self.block(x)


def efficientnet_v2(batch: int) -> Made:
    """EfficientNetV2-S: fused mobile blocks, then those with squeeze and excitation."""
    plan = (
        *((1, 1, 24, 24, 2, True), (4, 2, 24, 48, 4, True), (4, 2, 48, 64, 4, True)),
        *((4, 2, 64, 128, 6, False), (6, 1, 128, 160, 9, False), (6, 2, 160, 256, 15, False)),
    )
    layers: list[nn.Module] = [_conv(3, 24, 3, 2)]
    for expand, stride, a, b, count, fused in plan:
        for i in range(count):
            layers.append(_Expanded(b if i else a, b, expand, 1 if i else stride, fused))
    layers += [
        _conv(256, 1280, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(1280, 1000),
    ]
    return nn.Sequential(*layers).eval(), {"input": torch.rand(batch, 3, 224, 224)}


class _Bottleneck(nn.Module):
    def __init__(self, a: int, width: int, stride: int, dilation: int) -> None:
        super().__init__()
        b = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(a, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, bias=False)
        self.bn2, self.conv3, self.bn3 = (
            nn.BatchNorm2d(width),
            nn.Conv2d(width, b, 1, bias=False),
            nn.BatchNorm2d(b),
        )
        self.relu, self.downsample = nn.ReLU(inplace=True), None
        if stride > 1 or a != b:
            self.downsample = nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b))

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += identity
        return self.relu(y)


def fcn_resnet50(batch: int) -> Made:
    """FCN on a ResNet-50 whose last two stages are dilated, a bilinear upsampling by eight."""

    class Fcn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
            layers: list[nn.Module] = [*stem, nn.MaxPool2d(3, 2, 1)]
            a = 64
            for width, count, stride, first, later in (
                *((64, 3, 1, 1, 1), (128, 4, 2, 1, 1), (256, 6, 1, 1, 2), (512, 3, 1, 2, 4)),
            ):
                for i in range(count):
                    layers.append(_Bottleneck(a, width, 1 if i else stride, later if i else first))
                    a = 4 * width
            self.backbone = nn.Sequential(*layers)
            head = [
                nn.Conv2d(2048, 512, 3, padding=1, bias=False),
                nn.BatchNorm2d(512),
                nn.ReLU(),
                nn.Dropout(0.1),
            ]
            self.classifier = nn.Sequential(*head, nn.Conv2d(512, 21, 1))

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            size = x.shape[-2:]
            y = self.classifier(self.backbone(x))
            return {"out": F.interpolate(y, size=size, mode="bilinear", align_corners=False)}

    return Fcn().eval(), {"x": torch.rand(batch, 3, 224, 224)}


def ssd300(batch: int) -> Made:
    """SSD300 on VGG-16: six maps, boxes decoded, the 200 likeliest of 8732."""

    def convolutions(a: int, *widths: int) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for p, q in pairwise((a, *widths)):
            layers += [nn.Conv2d(p, q, 3, padding=1), nn.ReLU(inplace=True)]
        return layers

    def extra(a: int, middle: int, b: int, stride: int) -> nn.Sequential:
        second = nn.Conv2d(middle, b, 3, stride, 1 if stride == 2 else 0)
        return nn.Sequential(nn.Conv2d(a, middle, 1), nn.ReLU(inplace=True), second, nn.ReLU(inplace=True))

    class Ssd(nn.Module):
        anchors: Tensor

        def __init__(self, classes: int = 91) -> None:
            super().__init__()
            pool = partial(nn.MaxPool2d, 2, 2)
            parts = [*convolutions(3, 64, 64), pool(), *convolutions(64, 128, 128), pool()]
            parts += [
                *convolutions(128, 256, 256, 256),
                pool(ceil_mode=True),
                *convolutions(256, 512, 512, 512),
            ]
            self.features, self.scale = nn.Sequential(*parts), nn.Parameter(torch.full((512,), 20.0))
            fc = [nn.Conv2d(512, 1024, 3, padding=6, dilation=6), nn.ReLU(inplace=True)]
            fc += [nn.Conv2d(1024, 1024, 1), nn.ReLU(inplace=True)]
            deeper = nn.Sequential(pool(), *convolutions(512, 512, 512, 512), nn.MaxPool2d(3, 1, 1), *fc)
            small = [
                extra(1024, 256, 512, 2),
                extra(512, 128, 256, 2),
                extra(256, 128, 256, 1),
                extra(256, 128, 256, 1),
            ]
            self.extra, self.classes = nn.ModuleList([deeper, *small]), classes
            maps = list(zip((512, 1024, 512, 256, 256, 256), (4, 6, 6, 6, 4, 4)))
            self.kinds = nn.ModuleList(nn.Conv2d(c, k * classes, 3, padding=1) for c, k in maps)
            self.places = nn.ModuleList(nn.Conv2d(c, k * 4, 3, padding=1) for c, k in maps)
            self.register_buffer("anchors", torch.rand(8732, 4) * 0.5 + 0.25)

        def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            x = self.features(images)
            found = [self.scale.view(1, -1, 1, 1) * F.normalize(x)]
            for block in self.extra:
                x = block(x)
                found.append(x)
            kinds = self._gathered(self.kinds, found, self.classes)
            places = self._gathered(self.places, found, 4)
            centre = self.anchors[:, :2] + places[..., :2] * 0.1 * self.anchors[:, 2:]
            size = torch.exp(places[..., 2:] * 0.2) * self.anchors[:, 2:]
            boxes = torch.cat([centre - size / 2, centre + size / 2], dim=-1).clamp(0, 1)
            scores, labels = F.softmax(kinds, dim=-1)[..., 1:].max(dim=-1)
            best, index = scores.topk(200, dim=1)
            return boxes.gather(1, index[..., None].expand(-1, -1, 4)), best, labels.gather(1, index)

        def _gathered(self, heads: nn.ModuleList, maps: Sequence[Tensor], columns: int) -> Tensor:
            outputs = []
            for head, x in zip(heads, maps):
                y = head(x)
                n, _, h, w = y.shape
                y = y.view(n, -1, columns, h, w).permute(0, 3, 4, 1, 2)
                outputs.append(y.reshape(n, -1, columns))
            return torch.cat(outputs, dim=1)

    return Ssd().eval(), {"images": torch.rand(batch, 3, 300, 300)}


class _FlowBlock(nn.Module):
    def __init__(self, a: int, b: int, norm: type[nn.Module], stride: int) -> None:
        super().__init__()

        def conv(p: int, q: int, kernel: int, step: int = 1, act: bool = True) -> nn.Sequential:
            layers: list[nn.Module] = [nn.Conv2d(p, q, kernel, step, kernel // 2), norm(q)]
            return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if act else []))

        self.one, self.two, self.three = (
            conv(a, b // 4, 1),
            conv(b // 4, b // 4, 3, stride),
            conv(b // 4, b, 1),
        )
        self.skip = nn.Identity() if stride == 1 else conv(a, b, 1, stride, act=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.skip(x) + self.three(self.two(self.one(x))))


def optical_flow(batch: int) -> Made:
    """RAFT-Small: products of all pixels, looked up around the flow in twelve updates; 256 pixels."""

    def encoder(out: int, norm: type[nn.Module]) -> nn.Sequential:
        layers: list[nn.Module] = [nn.Conv2d(3, 32, 7, 2, 3), norm(32), nn.ReLU(inplace=True)]
        for a, b, stride in ((32, 32, 1), (32, 64, 2), (64, 96, 2)):
            layers += [_FlowBlock(a, b, norm, stride), _FlowBlock(b, b, norm, 1)]
        return nn.Sequential(*layers, nn.Conv2d(96, out, 1))

    class Gru(nn.Module):
        def __init__(self, hidden: int = 96, c_in: int = 146) -> None:
            super().__init__()
            self.z, self.r, self.q = (nn.Conv2d(hidden + c_in, hidden, 3, padding=1) for _ in range(3))

        def forward(self, h: Tensor, x: Tensor) -> Tensor:
            hx = torch.cat([h, x], dim=1)
            z, r = torch.sigmoid(self.z(hx)), torch.sigmoid(self.r(hx))
            q = torch.tanh(self.q(torch.cat([r * h, x], dim=1)))
            return (1 - z) * h + z * q

    class Raft(nn.Module):
        def __init__(self, updates: int = 12, radius: int = 3, levels: int = 4) -> None:
            super().__init__()
            self.updates, self.radius, self.levels = updates, radius, levels
            self.features, self.context = encoder(128, nn.InstanceNorm2d), encoder(160, nn.Identity)
            self.corr = nn.Sequential(nn.Conv2d(levels * (2 * radius + 1) ** 2, 96, 1), nn.ReLU(inplace=True))
            flow = [nn.Conv2d(2, 64, 7, padding=3), nn.ReLU(inplace=True), nn.Conv2d(64, 32, 3, padding=1)]
            self.flow = nn.Sequential(*flow, nn.ReLU(inplace=True))
            self.join = nn.Sequential(nn.Conv2d(128, 80, 3, padding=1), nn.ReLU(inplace=True))
            self.gru = Gru()
            head = [nn.Conv2d(96, 128, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(128, 2, 3, padding=1)]
            self.head = nn.Sequential(*head)

        def forward(self, first: Tensor, second: Tensor) -> Tensor:
            one, two = torch.chunk(self.features(torch.cat([first, second], dim=0)), 2, dim=0)
            b, c, h, w = one.shape
            volume = torch.matmul(one.view(b, c, h * w).transpose(1, 2), two.view(b, c, h * w)) / c**0.5
            pyramid = [volume.reshape(b * h * w, 1, h, w)]
            for _ in range(self.levels - 1):
                pyramid.append(F.avg_pool2d(pyramid[-1], 2, 2))
            hidden, context = torch.split(self.context(first), [96, 64], dim=1)
            hidden, context = torch.tanh(hidden), F.relu(context)
            ys, xs = torch.meshgrid(
                torch.arange(h, device=one.device), torch.arange(w, device=one.device), indexing="ij"
            )
            start = torch.stack([xs, ys]).to(one.dtype).expand(b, -1, -1, -1)
            now = start
            for _ in range(self.updates):
                flow = now - start
                found = self._looked_up(pyramid, now)
                motion = self.join(torch.cat([self.corr(found), self.flow(flow)], dim=1))
                hidden = self.gru(hidden, torch.cat([context, motion, flow], dim=1))
                now = now + self.head(hidden)
            return 8 * F.interpolate(now - start, scale_factor=8, mode="bilinear", align_corners=True)

        def _looked_up(self, pyramid: Sequence[Tensor], centre: Tensor) -> Tensor:
            side = torch.linspace(
                -self.radius, self.radius, 2 * self.radius + 1, dtype=centre.dtype, device=centre.device
            )
            delta = torch.stack(torch.meshgrid(side, side, indexing="ij"), dim=-1)
            b, _, h, w = centre.shape
            centre = centre.permute(0, 2, 3, 1).reshape(b * h * w, 1, 1, 2)
            found = []
            for level in pyramid:
                grid = centre + delta[None]
                height, width = level.shape[-2:]
                x = 2 * grid[..., :1] / (width - 1) - 1
                y = 2 * grid[..., 1:] / (height - 1) - 1
                sampled = F.grid_sample(level, torch.cat([x, y], dim=-1), mode="bilinear", align_corners=True)
                found.append(sampled.view(b, h, w, -1))
                centre = centre / 2
            return torch.cat(found, dim=-1).permute(0, 3, 1, 2).contiguous()

    return Raft().eval(), {"first": torch.rand(batch, 3, 256, 256), "second": torch.rand(batch, 3, 256, 256)}


def separable_video(batch: int) -> Made:
    """S3D: inception blocks of spatial and temporal convolutions, 16 frames of 112 pixels."""

    def conv(a: int, b: int, kernel: Sizes, stride: Sizes, padding: Sizes) -> nn.Sequential:
        layers = [
            nn.Conv3d(a, b, kernel, stride, padding, bias=False),
            nn.BatchNorm3d(b, eps=0.001, momentum=0.001),
        ]
        return nn.Sequential(*layers, nn.ReLU(inplace=True))

    def plain(a: int, b: int) -> nn.Sequential:
        return conv(a, b, 1, 1, (0, 0, 0))

    def split(a: int, b: int, k: int, s: int = 1) -> nn.Sequential:
        space = conv(a, b, (1, k, k), (1, s, s), (0, k // 2, k // 2))
        return nn.Sequential(space, conv(b, b, (k, 1, 1), (s, 1, 1), (k // 2, 0, 0)))

    class Inception(nn.Module):
        def __init__(self, a: int, b0: int, b1: int, b1_out: int, b2: int, b2_out: int, b3: int) -> None:
            super().__init__()
            self.one, self.two = plain(a, b0), nn.Sequential(plain(a, b1), split(b1, b1_out, 3))
            self.three = nn.Sequential(plain(a, b2), split(b2, b2_out, 3))
            self.four = nn.Sequential(nn.MaxPool3d(3, 1, 1), plain(a, b3))

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([self.one(x), self.two(x), self.three(x), self.four(x)], dim=1)

    features = nn.Sequential(
        *(
            split(3, 64, 7, 2),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            plain(64, 64),
            split(64, 192, 3),
        ),
        *(nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)), Inception(192, 64, 96, 128, 16, 32, 32)),
        *(Inception(256, 128, 128, 192, 32, 96, 64), nn.MaxPool3d(3, 2, 1)),
        *(Inception(480, 192, 96, 208, 16, 48, 64), Inception(512, 160, 112, 224, 24, 64, 64)),
        *(Inception(512, 128, 128, 256, 24, 64, 64), Inception(512, 112, 144, 288, 32, 64, 64)),
        *(Inception(528, 256, 160, 320, 32, 128, 128), nn.MaxPool3d(2, 2)),
        *(Inception(832, 256, 160, 320, 32, 128, 128), Inception(832, 384, 192, 384, 48, 128, 128)),
    )
    head = (nn.AdaptiveAvgPool3d(1), nn.Dropout(0.2), nn.Conv3d(1024, 400, 1), nn.Flatten())
    return nn.Sequential(features, *head).eval(), {"input": torch.rand(batch, 3, 16, 112, 112)}
