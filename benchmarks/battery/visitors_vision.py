"""Visitors' vision models in the manner of torchvision, timm and published repositories.

See ``VISITORS`` in families.py: measured once, predicted once, for a release.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Made = tuple[nn.Module, dict[str, Tensor]]


class _DlaBlock(nn.Module):
    """A basic block whose shortcut is given to it."""

    def __init__(self, inplanes: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes, momentum=0.1)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes, momentum=0.1)

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        if residual is None:
            residual = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += residual
        return self.relu(out)


class _DlaTree(nn.Module):
    """Two trees of a level less, or two blocks, and the root that joins what they and their parents found."""

    def __init__(
        self, levels: int, inplanes: int, planes: int, stride: int = 1, level_root: bool = False, root_dim: int = 0
    ) -> None:
        super().__init__()
        root_dim = root_dim or 2 * planes
        if level_root:
            root_dim += inplanes
        self.levels, self.level_root = levels, level_root
        self.tree1: nn.Module
        self.tree2: nn.Module
        if levels == 1:
            self.tree1, self.tree2 = _DlaBlock(inplanes, planes, stride), _DlaBlock(planes, planes)
            self.root = nn.Sequential(nn.Conv2d(root_dim, planes, 1, bias=False), nn.BatchNorm2d(planes))
        else:
            self.tree1 = _DlaTree(levels - 1, inplanes, planes, stride)
            self.tree2 = _DlaTree(levels - 1, planes, planes, root_dim=root_dim + planes)
        self.downsample = nn.MaxPool2d(stride, stride=stride) if stride > 1 else None
        self.project: nn.Sequential | None = None
        if inplanes != planes:
            self.project = nn.Sequential(nn.Conv2d(inplanes, planes, 1, bias=False), nn.BatchNorm2d(planes))

    def forward(self, x: Tensor, residual: Tensor | None = None, children: list[Tensor] | None = None) -> Tensor:
        children = [] if children is None else children
        bottom = self.downsample(x) if self.downsample else x
        residual = self.project(bottom) if self.project else bottom
        if self.level_root:
            children.append(bottom)
        x1 = self.tree1(x, residual)
        if self.levels == 1:
            x2 = self.tree2(x1)
            return F.relu(self.root(torch.cat([x2, x1, *children], dim=1)))
        children.append(x1)
        return self.tree2(x1, children=children)


def centre_net(batch: int) -> Made:
    """CenterNet on a DLA-34: trees of blocks, levels joined one by one, peaks of heat maps, 512 pixels."""

    def unit(a: int, b: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True))

    class IDAUp(nn.Module):
        def __init__(self, o: int, channels: list[int], up_f: list[int]) -> None:
            super().__init__()
            for i in range(1, len(channels)):
                f = up_f[i]
                setattr(self, f"proj_{i}", unit(channels[i], o))
                up = nn.ConvTranspose2d(o, o, f * 2, stride=f, padding=f // 2, output_padding=0, groups=o, bias=False)
                setattr(self, f"up_{i}", up)
                setattr(self, f"node_{i}", unit(o, o))

        def forward(self, layers: list[Tensor], startp: int, endp: int) -> None:
            for i in range(startp + 1, endp):
                upsample = getattr(self, f"up_{i - startp}")
                project = getattr(self, f"proj_{i - startp}")
                layers[i] = upsample(project(layers[i]))
                layers[i] = getattr(self, f"node_{i - startp}")(layers[i] + layers[i - 1])

    class CenterNet(nn.Module):
        def __init__(self, classes: int = 80) -> None:
            super().__init__()
            channels = [16, 32, 64, 128, 256, 512]
            base = nn.Conv2d(3, 16, kernel_size=7, stride=1, padding=3, bias=False)
            self.base_layer = nn.Sequential(base, nn.BatchNorm2d(16), nn.ReLU(inplace=True))
            self.level0 = unit(16, 16)
            down = nn.Conv2d(16, 32, kernel_size=3, stride=2, padding=1, bias=False)
            self.level1 = nn.Sequential(down, nn.BatchNorm2d(32), nn.ReLU(inplace=True))
            self.level2 = _DlaTree(1, 32, 64, 2)
            self.level3 = _DlaTree(2, 64, 128, 2, level_root=True)
            self.level4 = _DlaTree(2, 128, 256, 2, level_root=True)
            self.level5 = _DlaTree(1, 256, 512, 2, level_root=True)
            used, self.first_level = channels[2:], 2
            self.idas = nn.ModuleList()
            sizes = list(used)
            scales = [1, 2, 4, 8]
            for i in range(len(used) - 1):
                j = -i - 2
                self.idas.append(IDAUp(used[j], sizes[j:], [s // scales[j] for s in scales[j:]]))
                scales[j + 1 :] = [scales[j]] * (i + 1)
                sizes[j + 1 :] = [used[j]] * (i + 1)
            self.ida_up = IDAUp(64, [64, 128, 256], [1, 2, 4])
            self.heads = nn.ModuleDict()
            for name, count in (("hm", classes), ("wh", 2), ("reg", 2)):
                self.heads[name] = nn.Sequential(nn.Conv2d(64, 256, 3, padding=1), nn.ReLU(), nn.Conv2d(256, count, 1))

        def decode(self, heat: Tensor, wh: Tensor, reg: Tensor, k: int = 100) -> Tensor:
            n, c, height, width = heat.size()
            hmax = F.max_pool2d(heat, (3, 3), stride=1, padding=1)
            heat = heat * (hmax == heat).to(heat.dtype)
            scores, inds = torch.topk(heat.view(n, c, -1), k)
            inds = inds % (height * width)
            score, best = torch.topk(scores.view(n, -1), k)
            classes = torch.div(best, k, rounding_mode="floor")
            inds = inds.view(n, -1).gather(1, best)

            def gather(feat: Tensor) -> Tensor:
                feat = feat.permute(0, 2, 3, 1).contiguous().view(n, -1, feat.size(1))
                return feat.gather(1, inds.unsqueeze(2).expand(n, k, feat.size(2)))

            offset, size = gather(reg), gather(wh)
            ys = torch.div(inds, width, rounding_mode="floor").to(heat.dtype).unsqueeze(2) + offset[..., 1:2]
            xs = (inds % width).to(heat.dtype).unsqueeze(2) + offset[..., 0:1]
            half = size / 2
            corners = [xs - half[..., :1], ys - half[..., 1:], xs + half[..., :1], ys + half[..., 1:]]
            return torch.cat([*corners, score.unsqueeze(2), classes.unsqueeze(2).to(heat.dtype)], dim=2)

        def forward(self, image: Tensor) -> Tensor:
            x, levels = self.base_layer(image), []
            for i in range(6):
                x = getattr(self, f"level{i}")(x)
                levels.append(x)
            layers = levels[self.first_level :]
            out = [layers[-1]]
            for i in range(len(layers) - 1):
                self.idas[i](layers, len(layers) - i - 2, len(layers))
                out.insert(0, layers[-1])
            y = [out[i].clone() for i in range(3)]
            self.ida_up(y, 0, len(y))
            found = {name: head(y[-1]) for name, head in self.heads.items()}
            return self.decode(found["hm"].sigmoid(), found["wh"], found["reg"])

    return CenterNet().eval(), {"image": torch.rand(batch, 3, 512, 512)}


class _FactorizedReduce(nn.Module):
    """Halves an image by two strided products of which one is a pixel further."""

    def __init__(self, C_in: int, C_out: int) -> None:  # noqa: N803
        super().__init__()
        self.relu = nn.ReLU(inplace=False)
        self.conv_1 = nn.Conv2d(C_in, C_out // 2, 1, stride=2, padding=0, bias=False)
        self.conv_2 = nn.Conv2d(C_in, C_out // 2, 1, stride=2, padding=0, bias=False)
        self.bn = nn.BatchNorm2d(C_out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(x)
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(x[:, :, 1:, 1:])], dim=1))


def _darts_operation(name: str, c: int, stride: int) -> nn.Module:
    """An operation of the DARTS search space on an edge."""
    kind, *rest = name.split("_")
    if kind == "skip":
        return nn.Identity() if stride == 1 else _FactorizedReduce(c, c)
    k = int(rest[0])
    if kind == "avg":
        return nn.AvgPool2d(k, stride=stride, padding=1, count_include_pad=False)
    if kind == "max":
        return nn.MaxPool2d(k, stride=stride, padding=1)
    dilation = 2 if kind == "dil" else 1
    layers: list[nn.Module] = []
    for s in (stride,) if kind == "dil" else (stride, 1):
        padding = dilation * (k - 1) // 2
        depth = nn.Conv2d(c, c, k, s, padding, dilation, groups=c, bias=False)
        layers += [nn.ReLU(inplace=False), depth, nn.Conv2d(c, c, 1, bias=False), nn.BatchNorm2d(c)]
    return nn.Sequential(*layers)


def darts(batch: int) -> Made:
    """Fourteen cells as DARTS finds them: four nodes of two edges each, all nodes concatenated, 224 pixels."""
    genotype = {
        "normal": [
            *(("sep_3", 0), ("sep_5", 1), ("sep_3", 1), ("skip", 0)),
            *(("dil_3", 2), ("sep_3", 0), ("skip", 1), ("dil_5", 3)),
        ],
        "reduce": [
            *(("max_3", 0), ("sep_5", 1), ("skip", 2), ("max_3", 0)),
            *(("avg_3", 1), ("dil_5", 2), ("skip", 2), ("sep_3", 3)),
        ],
    }

    def relu_conv_bn(a: int, b: int) -> nn.Sequential:
        return nn.Sequential(nn.ReLU(inplace=False), nn.Conv2d(a, b, 1, bias=False), nn.BatchNorm2d(b))

    class Cell(nn.Module):
        def __init__(self, c_pp: int, c_p: int, c: int, reduction: bool, reduction_prev: bool) -> None:
            super().__init__()
            relu_conv_bn = [nn.ReLU(inplace=False), nn.Conv2d(c_pp, c, 1, bias=False), nn.BatchNorm2d(c)]
            self.preprocess0 = _FactorizedReduce(c_pp, c) if reduction_prev else nn.Sequential(*relu_conv_bn)
            self.preprocess1 = nn.Sequential(
                nn.ReLU(inplace=False), nn.Conv2d(c_p, c, 1, bias=False), nn.BatchNorm2d(c)
            )
            edges = genotype["reduce" if reduction else "normal"]
            self._indices = [index for _, index in edges]
            self._ops = nn.ModuleList(
                _darts_operation(name, c, 2 if reduction and index < 2 else 1) for name, index in edges
            )

        def forward(self, s0: Tensor, s1: Tensor) -> Tensor:
            states = [self.preprocess0(s0), self.preprocess1(s1)]
            for i in range(len(self._ops) // 2):
                h1 = self._ops[2 * i](states[self._indices[2 * i]])
                h2 = self._ops[2 * i + 1](states[self._indices[2 * i + 1]])
                states += [h1 + h2]
            return torch.cat(states[2:], dim=1)

    class Network(nn.Module):
        def __init__(self, C: int = 40, num_classes: int = 1000, layers: int = 14) -> None:  # noqa: N803
            super().__init__()
            self.stem0 = nn.Sequential(
                *(nn.Conv2d(3, C // 2, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(C // 2)),
                *(nn.ReLU(inplace=True), nn.Conv2d(C // 2, C, 3, 2, padding=1, bias=False), nn.BatchNorm2d(C)),
            )
            self.stem1 = nn.Sequential(
                nn.ReLU(inplace=True), nn.Conv2d(C, C, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(C)
            )
            c_pp, c_p, c, reduction_prev = C, C, C, True
            self.cells = nn.ModuleList()
            for i in range(layers):
                reduction = i in [layers // 3, 2 * layers // 3]
                c = 2 * c if reduction else c
                self.cells += [Cell(c_pp, c_p, c, reduction, reduction_prev)]
                c_pp, c_p, reduction_prev = c_p, 4 * c, reduction
            self.global_pooling, self.classifier = nn.AdaptiveAvgPool2d(1), nn.Linear(c_p, num_classes)

        def forward(self, input: Tensor) -> Tensor:
            s0 = self.stem0(input)
            s1 = self.stem1(s0)
            for cell in self.cells:
                s0, s1 = s1, cell(s0, s1)
            out = self.global_pooling(s1)
            return self.classifier(out.view(out.size(0), -1))

    return Network().eval(), {"input": torch.rand(batch, 3, 224, 224)}


def u2net(batch: int) -> Made:
    """U2-Net in its small form: a U-Net of U-Nets cuts objects out at six levels, 320 pixels."""

    class REBNCONV(nn.Module):
        def __init__(self, in_ch: int, out_ch: int, dirate: int = 1) -> None:
            super().__init__()
            self.conv_s1 = nn.Conv2d(in_ch, out_ch, 3, padding=1 * dirate, dilation=1 * dirate)
            self.bn_s1 = nn.BatchNorm2d(out_ch)
            self.relu_s1 = nn.ReLU(inplace=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.relu_s1(self.bn_s1(self.conv_s1(x)))

    def upsample_like(src: Tensor, tar: Tensor) -> Tensor:
        return F.interpolate(src, size=tar.shape[2:], mode="bilinear", align_corners=False)

    class RSU(nn.Module):
        def __init__(self, height: int, in_ch: int, mid_ch: int = 16, out_ch: int = 64, dilated: bool = False) -> None:
            super().__init__()
            self.dilated = dilated
            rates = [2**i if dilated else 1 for i in range(height - 1)]
            self.conv_in = REBNCONV(in_ch, out_ch)
            ins = [out_ch] + [mid_ch] * (height - 2)
            self.down = nn.ModuleList([REBNCONV(a, mid_ch, rate) for a, rate in zip(ins, rates)])
            self.bottom = REBNCONV(mid_ch, mid_ch, 2 ** (height - 1) if dilated else 2)
            outs = [mid_ch] * (height - 2) + [out_ch]
            self.up = nn.ModuleList([REBNCONV(2 * mid_ch, b, rate) for b, rate in zip(outs, rates[::-1])])

        def forward(self, x: Tensor) -> Tensor:
            hxin = self.conv_in(x)
            hx, found = hxin, []
            for i, conv in enumerate(self.down):
                if i and not self.dilated:
                    hx = F.max_pool2d(hx, 2, stride=2, ceil_mode=True)
                hx = conv(hx)
                found.append(hx)
            hx = self.bottom(hx)
            for conv in self.up:
                skip = found.pop()
                if hx.shape[2:] != skip.shape[2:]:
                    hx = upsample_like(hx, skip)
                hx = conv(torch.cat((hx, skip), 1))
            return hx + hxin

    class U2Net(nn.Module):
        def __init__(self, in_ch: int = 3, out_ch: int = 1) -> None:
            super().__init__()
            self.stage1, self.stage2, self.stage3 = RSU(7, in_ch), RSU(6, 64), RSU(5, 64)
            self.stage4, self.stage5, self.stage6 = RSU(4, 64), RSU(4, 64, dilated=True), RSU(4, 64, dilated=True)
            self.pool = nn.MaxPool2d(2, stride=2, ceil_mode=True)
            self.stage5d, self.stage4d, self.stage3d = RSU(4, 128, dilated=True), RSU(4, 128), RSU(5, 128)
            self.stage2d, self.stage1d = RSU(6, 128), RSU(7, 128)
            self.sides = nn.ModuleList([nn.Conv2d(64, out_ch, 3, padding=1) for _ in range(6)])
            self.outconv = nn.Conv2d(6 * out_ch, out_ch, 1)

        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            hx1 = self.stage1(x)
            hx2 = self.stage2(self.pool(hx1))
            hx3 = self.stage3(self.pool(hx2))
            hx4 = self.stage4(self.pool(hx3))
            hx5 = self.stage5(self.pool(hx4))
            hx6 = self.stage6(self.pool(hx5))
            hx5d = self.stage5d(torch.cat((upsample_like(hx6, hx5), hx5), 1))
            hx4d = self.stage4d(torch.cat((upsample_like(hx5d, hx4), hx4), 1))
            hx3d = self.stage3d(torch.cat((upsample_like(hx4d, hx3), hx3), 1))
            hx2d = self.stage2d(torch.cat((upsample_like(hx3d, hx2), hx2), 1))
            hx1d = self.stage1d(torch.cat((upsample_like(hx2d, hx1), hx1), 1))
            sides = [side(hx) for side, hx in zip(self.sides, (hx1d, hx2d, hx3d, hx4d, hx5d, hx6))]
            sides = sides[:1] + [upsample_like(d, sides[0]) for d in sides[1:]]
            return tuple(torch.sigmoid(d) for d in (self.outconv(torch.cat(sides, 1)), *sides))

    return U2Net().eval(), {"x": torch.rand(batch, 3, 320, 320)}


class _LinearNorm(nn.Sequential):
    """A product and a batch norm over all tokens."""

    c: nn.Linear
    bn: nn.BatchNorm1d

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.add_module("c", nn.Linear(a, b, bias=False))
        self.add_module("bn", nn.BatchNorm1d(b))

    def forward(self, x: Tensor) -> Tensor:
        x = self.c(x)
        return self.bn(x.flatten(0, 1)).reshape_as(x)


class _LevitAttention(nn.Module):
    """Attention with a bias for every distance; with a stride, of the queries of every second row and column."""

    attention_bias_idxs: Tensor

    def __init__(self, a: int, b: int, key_dim: int, heads: int, ratio: int, side: int, stride: int = 1) -> None:
        super().__init__()
        self.heads, self.key_dim, self.d = heads, key_dim, ratio * key_dim
        self.scale, self.stride, self.side = key_dim**-0.5, stride, side
        self.kv, self.q = _LinearNorm(a, heads * (key_dim + self.d)), _LinearNorm(a, heads * key_dim)
        self.proj = nn.Sequential(nn.Hardswish(), _LinearNorm(heads * self.d, b))
        points = list(itertools.product(range(side), range(side)))
        asked = list(itertools.product(range(0, side, stride), range(0, side, stride)))
        offsets: dict[tuple[int, int], int] = {}
        idxs = [offsets.setdefault((abs(p[0] - q[0]), abs(p[1] - q[1])), len(offsets)) for p in asked for q in points]
        self.attention_biases = nn.Parameter(torch.zeros(heads, len(offsets)))
        self.register_buffer("attention_bias_idxs", torch.tensor(idxs).view(len(asked), len(points)))

    def forward(self, x: Tensor) -> Tensor:
        n = x.shape[0]
        k, v = self.kv(x).view(n, -1, self.heads, self.key_dim + self.d).split([self.key_dim, self.d], dim=3)
        if self.stride > 1:
            x = x.view(n, self.side, self.side, -1)[:, :: self.stride, :: self.stride].reshape(n, -1, x.shape[-1])
        q = self.q(x).view(n, -1, self.heads, self.key_dim).permute(0, 2, 1, 3)
        k, v = k.permute(0, 2, 3, 1), v.transpose(1, 2)
        attn = q @ k * self.scale + self.attention_biases[:, self.attention_bias_idxs]
        x = (attn.softmax(dim=-1) @ v).transpose(1, 2).reshape(n, -1, self.heads * self.d)
        return self.proj(x)


def levit(batch: int) -> Made:
    """LeViT-256: convolutions to 14 x 14 tokens, three stages of attention with batch norms, 224 pixels."""

    class Residual(nn.Module):
        def __init__(self, m: nn.Module) -> None:
            super().__init__()
            self.m = m

        def forward(self, x: Tensor) -> Tensor:
            return x + self.m(x)

    def mlp(d: int, ratio: int = 2) -> nn.Module:
        return Residual(nn.Sequential(_LinearNorm(d, ratio * d), nn.Hardswish(), _LinearNorm(ratio * d, d)))

    def stem(widths: list[int]) -> nn.Sequential:
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(widths):
            layers += [nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.Hardswish()]
        return nn.Sequential(*layers[:-1])

    class LeViT(nn.Module):
        def __init__(self, classes: int = 1000) -> None:
            super().__init__()
            dims, heads, side, key_dim = (256, 384, 512), (4, 6, 8), 14, 32
            self.patch_embed = stem([3, 32, 64, 128, 256])
            blocks: list[nn.Module] = []
            for i, (dim, head) in enumerate(zip(dims, heads)):
                for _ in range(4):
                    blocks += [Residual(_LevitAttention(dim, dim, key_dim, head, 2, side)), mlp(dim)]
                if i < 2:
                    blocks += [_LevitAttention(dim, dims[i + 1], key_dim, dim // key_dim, 4, side, 2), mlp(dims[i + 1])]
                    side = (side - 1) // 2 + 1
            self.blocks = nn.Sequential(*blocks)
            self.head = nn.Sequential(nn.BatchNorm1d(dims[-1]), nn.Linear(dims[-1], classes))
            self.head_dist = nn.Sequential(nn.BatchNorm1d(dims[-1]), nn.Linear(dims[-1], classes))

        def forward(self, x: Tensor) -> Tensor:
            x = self.patch_embed(x).flatten(2).transpose(1, 2)
            x = self.blocks(x).mean(1)
            return (self.head(x) + self.head_dist(x)) / 2

    return LeViT().eval(), {"x": torch.rand(batch, 3, 224, 224)}


def mobile_one(batch: int) -> Made:
    """MobileOne as it is deployed: branches folded, depthwise windows and products alone, the last excited."""
    relu, conv = nn.ReLU, nn.Conv2d

    class SEBlock(nn.Module):
        def __init__(self, in_channels: int, rd_ratio: float = 0.0625) -> None:
            super().__init__()
            self.reduce = conv(in_channels, int(in_channels * rd_ratio), kernel_size=1, stride=1, bias=True)
            self.expand = conv(int(in_channels * rd_ratio), in_channels, kernel_size=1, stride=1, bias=True)

        def forward(self, inputs: Tensor) -> Tensor:
            _, c, h, w = inputs.size()
            x = F.avg_pool2d(inputs, kernel_size=[h, w])
            x = torch.sigmoid(self.expand(F.relu(self.reduce(x))))
            return inputs * x.view(-1, c, 1, 1)

    class MobileOneBlock(nn.Module):
        def __init__(self, a: int, b: int, kernel: int, stride: int = 1, groups: int = 1, se: bool = False) -> None:
            super().__init__()
            settings: dict[str, Any] = {"stride": stride, "padding": kernel // 2, "groups": groups, "bias": True}
            self.reparam_conv = conv(a, b, kernel_size=kernel, **settings)
            self.se = SEBlock(b) if se else nn.Identity()
            self.activation = relu()

        def forward(self, x: Tensor) -> Tensor:
            return self.activation(self.se(self.reparam_conv(x)))

    class MobileOne(nn.Module):
        def __init__(self, num_classes: int = 1000) -> None:
            super().__init__()
            planes, blocks, widths, se = 64, [2, 8, 10, 1], [192, 448, 896, 2048], [0, 0, 5, 1]
            self.stage0, self.in_planes = MobileOneBlock(3, planes, 3, 2), planes
            self.stages = nn.Sequential(*(self._make_stage(*stage) for stage in zip(widths, blocks, se)))
            self.gap = nn.AdaptiveAvgPool2d(output_size=1)
            self.linear = nn.Linear(widths[-1], num_classes)

        def _make_stage(self, planes: int, num_blocks: int, num_se: int) -> nn.Sequential:
            blocks: list[nn.Module] = []
            for ix, stride in enumerate([2] + [1] * (num_blocks - 1)):
                use_se = ix >= num_blocks - num_se
                blocks.append(MobileOneBlock(self.in_planes, self.in_planes, 3, stride, self.in_planes, use_se))
                blocks.append(MobileOneBlock(self.in_planes, planes, 1, se=use_se))
                self.in_planes = planes
            return nn.Sequential(*blocks)

        def forward(self, x: Tensor) -> Tensor:
            x = self.gap(self.stages(self.stage0(x)))
            return self.linear(x.view(x.size(0), -1))

    return MobileOne().eval(), {"x": torch.rand(batch, 3, 224, 224)}
