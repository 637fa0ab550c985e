"""Guests' vision models in the manner of timm, mmdetection3d and the repositories of papers.

See ``GUESTS`` in families.py: measured once, predicted once, for a release.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

Made = tuple[nn.Module, dict[str, Tensor]]


def _random(*shape: int, low: int = 0, below: int) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(0)
    return torch.randint(low, below, shape, generator=generator, device="cpu")


def point_pillars(batch: int) -> Made:
    """PointPillars on KITTI: 6,000 pillars of 32 points of a lidar become an image of the street, boxes by anchors."""

    class PFNLayer(nn.Module):
        def __init__(self, a: int, b: int) -> None:
            super().__init__()
            self.linear, self.norm = nn.Linear(a, b, bias=False), nn.BatchNorm1d(b, eps=1e-3, momentum=0.01)

        def forward(self, inputs: Tensor) -> Tensor:
            x = self.linear(inputs)
            x = self.norm(x.permute(0, 2, 1).contiguous()).permute(0, 2, 1).contiguous()
            return torch.max(F.relu(x), dim=1)[0]

    class Backbone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks, self.deblocks = nn.ModuleList(), nn.ModuleList()
            norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
            inputs = 64
            for count, stride, width, up in ((3, 2, 64, 1), (5, 2, 128, 2), (5, 2, 256, 4)):
                block: list[nn.Module] = [nn.ZeroPad2d(1), nn.Conv2d(inputs, width, 3, stride, bias=False)]
                block += [norm(width), nn.ReLU()]
                for _ in range(count):
                    block += [nn.Conv2d(width, width, 3, padding=1, bias=False), norm(width), nn.ReLU()]
                self.blocks.append(nn.Sequential(*block))
                deblock = nn.ConvTranspose2d(width, 128, up, stride=up, bias=False)
                self.deblocks.append(nn.Sequential(deblock, norm(128), nn.ReLU()))
                inputs = width

        def forward(self, x: Tensor) -> Tensor:
            ups = []
            for block, deblock in zip(self.blocks, self.deblocks):
                x = block(x)
                ups.append(deblock(x))
            return torch.cat(ups, dim=1)

    class PointPillars(nn.Module):
        anchors: Tensor

        def __init__(self, nx: int = 432, ny: int = 496, voxel: float = 0.16, classes: int = 3) -> None:
            super().__init__()
            self.nx, self.ny, self.voxel, self.classes = nx, ny, voxel, classes
            self.offset = (voxel / 2, voxel / 2 - 39.68)
            self.pfn_layers, self.backbone = nn.ModuleList([PFNLayer(10, 64)]), Backbone()
            self.conv_cls = nn.Conv2d(384, 2 * classes * classes, 1)
            self.conv_box, self.conv_dir = nn.Conv2d(384, 2 * classes * 7, 1), nn.Conv2d(384, 2 * classes * 2, 1)
            xs, ys = torch.linspace(0, 69.12, nx // 2), torch.linspace(-39.68, 39.68, ny // 2)
            sizes = torch.tensor([[3.9, 1.6, 1.56, -1.78], [0.8, 0.6, 1.73, -0.6], [1.76, 0.6, 1.73, -0.6]])
            grid = torch.stack(torch.meshgrid(ys, xs, indexing="ij"), dim=-1)[:, :, None, None]
            anchors = torch.zeros(ny // 2, nx // 2, classes, 2, 7)
            anchors[..., 0], anchors[..., 1] = grid[..., 1], grid[..., 0]
            anchors[..., 2], anchors[..., 3:6] = sizes[:, 3][:, None], sizes[:, None, :3]
            anchors[..., 6] = torch.tensor([0.0, math.pi / 2])
            self.register_buffer("anchors", anchors.view(-1, 7))

        def encode(self, voxels: Tensor, num_points: Tensor, coords: Tensor) -> Tensor:
            mean = voxels[:, :, :3].sum(dim=1, keepdim=True) / num_points.type_as(voxels).view(-1, 1, 1)
            f_cluster = voxels[:, :, :3] - mean
            f_center = torch.zeros_like(voxels[:, :, :3])
            x, y = coords[:, 3].to(voxels.dtype).unsqueeze(1), coords[:, 2].to(voxels.dtype).unsqueeze(1)
            f_center[:, :, 0] = voxels[:, :, 0] - (x * self.voxel + self.offset[0])
            f_center[:, :, 1] = voxels[:, :, 1] - (y * self.voxel + self.offset[1])
            f_center[:, :, 2] = voxels[:, :, 2] + 1.0
            features = torch.cat([voxels, f_cluster, f_center], dim=-1)
            index = torch.arange(features.shape[1], dtype=torch.int, device=voxels.device).view(1, -1)
            mask = torch.unsqueeze(num_points.int().unsqueeze(-1) > index, -1).type_as(features)
            features = features * mask
            for pfn in self.pfn_layers:
                features = pfn(features)
            return features.squeeze()

        def scatter(self, pillars: Tensor, coords: Tensor, batch: int) -> Tensor:
            canvas = []
            for features, place in zip(pillars.chunk(batch), coords.chunk(batch)):
                flat = torch.zeros(64, self.nx * self.ny, dtype=pillars.dtype, device=pillars.device)
                indices = place[:, 1] + place[:, 2] * self.nx + place[:, 3]
                flat[:, indices.type(torch.long)] = features.t()
                canvas.append(flat)
            return torch.stack(canvas, 0).view(batch, 64, self.ny, self.nx)

        def decode(self, deltas: Tensor, anchors: Tensor) -> Tensor:
            xa, ya, za, dxa, dya, dza, ra = torch.split(anchors, 1, dim=-1)
            xt, yt, zt, dxt, dyt, dzt, rt = torch.split(deltas, 1, dim=-1)
            diagonal = torch.sqrt(dxa**2 + dya**2)
            centre = [xt * diagonal + xa, yt * diagonal + ya, zt * dza + za]
            return torch.cat([*centre, torch.exp(dxt) * dxa, torch.exp(dyt) * dya, torch.exp(dzt) * dza, rt + ra], -1)

        def forward(self, voxels: Tensor, num_points: Tensor, coords: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            b = voxels.shape[0]
            voxels, num_points, coords = voxels.flatten(0, 1), num_points.flatten(), coords.flatten(0, 1)
            x = self.scatter(self.encode(voxels, num_points, coords), coords, b)
            x = self.backbone(x)
            cls = self.conv_cls(x).permute(0, 2, 3, 1).reshape(b, -1, self.classes).sigmoid()
            box = self.conv_box(x).permute(0, 2, 3, 1).reshape(b, -1, 7)
            direction = self.conv_dir(x).permute(0, 2, 3, 1).reshape(b, -1, 2)
            scores, labels = cls.max(dim=-1)
            scores, inds = scores.topk(100, dim=1)
            deltas = box.gather(1, inds.unsqueeze(-1).expand(-1, -1, 7))
            boxes = self.decode(deltas, self.anchors[inds])
            turned = direction.gather(1, inds.unsqueeze(-1).expand(-1, -1, 2)).max(-1)[1]
            boxes[..., 6] = boxes[..., 6] - torch.floor(boxes[..., 6] / math.pi + 0.5) * math.pi
            boxes[..., 6] += math.pi * turned.to(boxes.dtype)
            return boxes, scores, labels.gather(1, inds)

    n = 6000
    voxels = torch.rand(batch, n, 32, 4)
    places = torch.stack([torch.randperm(432 * 496, device="cpu")[:n] for _ in range(batch)])
    zeros = torch.zeros_like(places)
    coords = torch.stack([zeros, zeros, torch.div(places, 432, rounding_mode="floor"), places % 432], dim=-1)
    inputs = {"voxels": voxels, "num_points": _random(batch, n, low=1, below=33), "coords": coords}
    return PointPillars().eval(), inputs


def stereo(batch: int) -> Made:
    """PSMNet on 256 by 512: what two eyes see at 48 shifts, three 3-D hourglasses, the depth a mean over shifts."""

    def convbn(a: int, b: int, kernel: int, stride: int, pad: int, dilation: int) -> nn.Sequential:
        padding = dilation if dilation > 1 else pad
        return nn.Sequential(nn.Conv2d(a, b, kernel, stride, padding, dilation, bias=False), nn.BatchNorm2d(b))

    def convbn_3d(a: int, b: int, kernel: int, stride: int, pad: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv3d(a, b, kernel, padding=pad, stride=stride, bias=False), nn.BatchNorm3d(b))

    class BasicBlock(nn.Module):
        def __init__(self, a: int, b: int, stride: int, downsample: nn.Module | None, dilation: int) -> None:
            super().__init__()
            self.conv1 = nn.Sequential(convbn(a, b, 3, stride, 1, dilation), nn.ReLU(inplace=True))
            self.conv2, self.downsample = convbn(b, b, 3, 1, 1, dilation), downsample

        def forward(self, x: Tensor) -> Tensor:
            out = self.conv2(self.conv1(x))
            if self.downsample is not None:
                x = self.downsample(x)
            out += x
            return out

    class FeatureExtraction(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inplanes = 32
            layers: list[nn.Module] = []
            for a, stride in ((3, 2), (32, 1), (32, 1)):
                layers += [convbn(a, 32, 3, stride, 1, 1), nn.ReLU(inplace=True)]
            self.firstconv = nn.Sequential(*layers)
            self.layer1, self.layer2 = self._make_layer(32, 3, 1, 1), self._make_layer(64, 16, 2, 1)
            self.layer3, self.layer4 = self._make_layer(128, 3, 1, 1), self._make_layer(128, 3, 1, 2)
            for i, size in enumerate((64, 32, 16, 8), 1):
                pool = nn.AvgPool2d((size, size), stride=(size, size))
                setattr(self, f"branch{i}", nn.Sequential(pool, convbn(128, 32, 1, 1, 0, 1), nn.ReLU(inplace=True)))
            last = nn.Conv2d(128, 32, kernel_size=1, padding=0, stride=1, bias=False)
            self.lastconv = nn.Sequential(convbn(320, 128, 3, 1, 1, 1), nn.ReLU(inplace=True), last)

        def _make_layer(self, planes: int, blocks: int, stride: int, dilation: int) -> nn.Sequential:
            downsample = None
            if stride != 1 or self.inplanes != planes:
                conv = nn.Conv2d(self.inplanes, planes, kernel_size=1, stride=stride, bias=False)
                downsample = nn.Sequential(conv, nn.BatchNorm2d(planes))
            layers = [BasicBlock(self.inplanes, planes, stride, downsample, dilation)]
            self.inplanes = planes
            layers += [BasicBlock(planes, planes, 1, None, dilation) for _ in range(1, blocks)]
            return nn.Sequential(*layers)

        def forward(self, x: Tensor) -> Tensor:
            raw = self.layer2(self.layer1(self.firstconv(x)))
            skip = self.layer4(self.layer3(raw))
            size = (skip.size()[2], skip.size()[3])
            branches = [getattr(self, f"branch{i}")(skip) for i in (4, 3, 2, 1)]
            branches = [F.interpolate(y, size, mode="bilinear", align_corners=True) for y in branches]
            return self.lastconv(torch.cat((raw, skip, *branches), 1))

    class Hourglass(nn.Module):
        def __init__(self, c: int) -> None:
            super().__init__()
            self.conv1 = nn.Sequential(convbn_3d(c, c * 2, 3, 2, 1), nn.ReLU(inplace=True))
            self.conv2 = convbn_3d(c * 2, c * 2, 3, 1, 1)
            self.conv3 = nn.Sequential(convbn_3d(c * 2, c * 2, 3, 2, 1), nn.ReLU(inplace=True))
            self.conv4 = nn.Sequential(convbn_3d(c * 2, c * 2, 3, 1, 1), nn.ReLU(inplace=True))
            up = partial(nn.ConvTranspose3d, kernel_size=3, padding=1, output_padding=1, stride=2, bias=False)
            self.conv5 = nn.Sequential(up(c * 2, c * 2), nn.BatchNorm3d(c * 2))
            self.conv6 = nn.Sequential(up(c * 2, c), nn.BatchNorm3d(c))

        def forward(self, x: Tensor, presqu: Tensor | None, postsqu: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
            pre = self.conv2(self.conv1(x))
            pre = F.relu(pre + postsqu if postsqu is not None else pre, inplace=True)
            out = self.conv4(self.conv3(pre))
            post = F.relu(self.conv5(out) + (presqu if presqu is not None else pre), inplace=True)
            return self.conv6(post), pre, post

    class PSMNet(nn.Module):
        def __init__(self, maxdisp: int = 192) -> None:
            super().__init__()
            self.maxdisp, self.feature_extraction = maxdisp, FeatureExtraction()
            relu = partial(nn.ReLU, inplace=True)
            self.dres0 = nn.Sequential(convbn_3d(64, 32, 3, 1, 1), relu(), convbn_3d(32, 32, 3, 1, 1), relu())
            self.dres1 = nn.Sequential(convbn_3d(32, 32, 3, 1, 1), relu(), convbn_3d(32, 32, 3, 1, 1))
            self.dres2, self.dres3, self.dres4 = Hourglass(32), Hourglass(32), Hourglass(32)
            for i in (1, 2, 3):
                last = nn.Conv3d(32, 1, kernel_size=3, padding=1, stride=1, bias=False)
                setattr(self, f"classif{i}", nn.Sequential(convbn_3d(32, 32, 3, 1, 1), relu(), last))

        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            ref, target = self.feature_extraction(left), self.feature_extraction(right)
            n, c, h, w = ref.size()
            cost = torch.zeros(n, c * 2, self.maxdisp // 4, h, w, dtype=ref.dtype, device=ref.device)
            for i in range(self.maxdisp // 4):
                if i > 0:
                    cost[:, :c, i, :, i:] = ref[:, :, :, i:]
                    cost[:, c:, i, :, i:] = target[:, :, :, :-i]
                else:
                    cost[:, :c, i], cost[:, c:, i] = ref, target
            cost0 = self.dres0(cost.contiguous())
            cost0 = self.dres1(cost0) + cost0
            out1, pre1, post1 = self.dres2(cost0, None, None)
            out1 = out1 + cost0
            out2, _, post2 = self.dres3(out1, pre1, post1)
            out2 = out2 + cost0
            out3, _, _ = self.dres4(out2, pre1, post2)
            cost1 = self.classif1(out1)
            cost2 = self.classif2(out2) + cost1
            cost3 = self.classif3(out3 + cost0) + cost2
            size = [self.maxdisp, left.size()[2], left.size()[3]]
            cost3 = torch.squeeze(F.interpolate(cost3, size, mode="trilinear", align_corners=False), 1)
            pred = F.softmax(cost3, dim=1)
            disp = torch.arange(self.maxdisp, device=pred.device, dtype=pred.dtype).view(1, -1, 1, 1)
            return torch.sum(pred * disp, 1, keepdim=False)

    return PSMNet().eval(), {"left": torch.rand(batch, 3, 256, 512), "right": torch.rand(batch, 3, 256, 512)}


def restormer(batch: int) -> Made:
    """Restormer takes rain off 128 pixels: attention between channels, gated depthwise convolutions, four levels."""

    class WithBiasLayerNorm(nn.Module):
        def __init__(self, dim: int) -> None:
            super().__init__()
            self.weight, self.bias = nn.Parameter(torch.ones(dim)), nn.Parameter(torch.zeros(dim))

        def forward(self, x: Tensor) -> Tensor:
            h, w = x.shape[-2:]
            x = x.flatten(2).transpose(1, 2)
            mu, sigma = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
            x = (x - mu) / torch.sqrt(sigma + 1e-5) * self.weight + self.bias
            return x.transpose(1, 2).reshape(x.shape[0], -1, h, w)

    class MDTA(nn.Module):
        def __init__(self, dim: int, heads: int) -> None:
            super().__init__()
            self.num_heads, self.temperature = heads, nn.Parameter(torch.ones(heads, 1, 1))
            self.qkv = nn.Conv2d(dim, dim * 3, kernel_size=1, bias=False)
            self.qkv_dwconv = nn.Conv2d(dim * 3, dim * 3, 3, 1, 1, groups=dim * 3, bias=False)
            self.project_out = nn.Conv2d(dim, dim, kernel_size=1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            b, c, h, w = x.shape
            q, k, v = self.qkv_dwconv(self.qkv(x)).chunk(3, dim=1)
            q, k, v = (t.reshape(b, self.num_heads, c // self.num_heads, h * w) for t in (q, k, v))
            q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
            attn = (q @ k.transpose(-2, -1)) * self.temperature
            out = attn.softmax(dim=-1) @ v
            return self.project_out(out.reshape(b, c, h, w))

    class GDFN(nn.Module):
        def __init__(self, dim: int, factor: float = 2.66) -> None:
            super().__init__()
            hidden = int(dim * factor)
            self.project_in = nn.Conv2d(dim, hidden * 2, kernel_size=1, bias=False)
            self.dwconv = nn.Conv2d(hidden * 2, hidden * 2, 3, 1, 1, groups=hidden * 2, bias=False)
            self.project_out = nn.Conv2d(hidden, dim, kernel_size=1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            x1, x2 = self.dwconv(self.project_in(x)).chunk(2, dim=1)
            return self.project_out(F.gelu(x1) * x2)

    class Block(nn.Module):
        def __init__(self, dim: int, heads: int) -> None:
            super().__init__()
            self.norm1, self.attn = WithBiasLayerNorm(dim), MDTA(dim, heads)
            self.norm2, self.ffn = WithBiasLayerNorm(dim), GDFN(dim)

        def forward(self, x: Tensor) -> Tensor:
            x = x + self.attn(self.norm1(x))
            return x + self.ffn(self.norm2(x))

    def level(dim: int, heads: int, count: int) -> nn.Sequential:
        return nn.Sequential(*[Block(dim, heads) for _ in range(count)])

    def down(dim: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(dim, dim // 2, 3, 1, 1, bias=False), nn.PixelUnshuffle(2))

    def up(dim: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(dim, dim * 2, 3, 1, 1, bias=False), nn.PixelShuffle(2))

    class Restormer(nn.Module):
        def __init__(self, d: int = 48, blocks: tuple[int, ...] = (4, 6, 6, 8), refinement: int = 4) -> None:
            super().__init__()
            self.patch_embed = nn.Conv2d(3, d, 3, 1, 1, bias=False)
            self.encoder_level1, self.down1_2 = level(d, 1, blocks[0]), down(d)
            self.encoder_level2, self.down2_3 = level(d * 2, 2, blocks[1]), down(d * 2)
            self.encoder_level3, self.down3_4 = level(d * 4, 4, blocks[2]), down(d * 4)
            self.latent, self.up4_3 = level(d * 8, 8, blocks[3]), up(d * 8)
            self.reduce_chan_level3 = nn.Conv2d(d * 8, d * 4, kernel_size=1, bias=False)
            self.decoder_level3, self.up3_2 = level(d * 4, 4, blocks[2]), up(d * 4)
            self.reduce_chan_level2 = nn.Conv2d(d * 4, d * 2, kernel_size=1, bias=False)
            self.decoder_level2, self.up2_1 = level(d * 2, 2, blocks[1]), up(d * 2)
            self.decoder_level1, self.refinement = level(d * 2, 1, blocks[0]), level(d * 2, 1, refinement)
            self.output = nn.Conv2d(d * 2, 3, 3, 1, 1, bias=False)

        def forward(self, rainy: Tensor) -> Tensor:
            e1 = self.encoder_level1(self.patch_embed(rainy))
            e2 = self.encoder_level2(self.down1_2(e1))
            e3 = self.encoder_level3(self.down2_3(e2))
            x = self.up4_3(self.latent(self.down3_4(e3)))
            x = self.decoder_level3(self.reduce_chan_level3(torch.cat([x, e3], 1)))
            x = self.decoder_level2(self.reduce_chan_level2(torch.cat([self.up3_2(x), e2], 1)))
            x = self.decoder_level1(torch.cat([self.up2_1(x), e1], 1))
            return self.output(self.refinement(x)) + rainy

    return Restormer().eval(), {"rainy": torch.rand(batch, 3, 128, 128)}


class _LipConv(nn.Module):
    """Wav2Lip's block: a convolution or its transpose, a norm, what went in if it is residual."""

    def __init__(
        self, cin: int, cout: int, kernel_size: int, stride: int | tuple[int, int], padding: int, residual: bool = False
    ) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(nn.Conv2d(cin, cout, kernel_size, stride, padding), nn.BatchNorm2d(cout))
        self.act, self.residual = nn.ReLU(), residual

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv_block(x)
        if self.residual:
            out += x
        return self.act(out)


class _LipTranspose(nn.Module):
    """Wav2Lip's block that makes an image larger."""

    def __init__(self, cin: int, cout: int, kernel_size: int, stride: int, padding: int, output_padding: int) -> None:
        super().__init__()
        up = nn.ConvTranspose2d(cin, cout, kernel_size, stride, padding, output_padding)
        self.conv_block, self.act = nn.Sequential(up, nn.BatchNorm2d(cout)), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.conv_block(x))


def wav2lip(batch: int) -> Made:
    """Wav2Lip: five faces of 96 pixels, lips hidden, given lips by what is heard; a judge says if they fit."""
    conv, up = _LipConv, _LipTranspose

    class Wav2Lip(nn.Module):
        def __init__(self) -> None:
            super().__init__()

            def stage(a: int, b: int, k: int, s: int, p: int, more: int) -> nn.Sequential:
                return nn.Sequential(conv(a, b, k, s, p), *(conv(b, b, 3, 1, 1, residual=True) for _ in range(more)))

            self.face_encoder_blocks = nn.ModuleList(
                [
                    *(conv(6, 16, 7, 1, 3), stage(16, 32, 3, 2, 1, 2), stage(32, 64, 3, 2, 1, 3)),
                    *(stage(64, 128, 3, 2, 1, 2), stage(128, 256, 3, 2, 1, 2), stage(256, 512, 3, 2, 1, 1)),
                    nn.Sequential(conv(512, 512, 3, 1, 0), conv(512, 512, 1, 1, 0)),
                ]
            )
            self.audio_encoder = nn.Sequential(
                *(conv(1, 32, 3, 1, 1), conv(32, 32, 3, 1, 1, residual=True), conv(32, 32, 3, 1, 1, residual=True)),
                *(conv(32, 64, 3, (3, 1), 1), conv(64, 64, 3, 1, 1, residual=True), conv(64, 64, 3, 1, 1, True)),
                *(conv(64, 128, 3, 3, 1), conv(128, 128, 3, 1, 1, residual=True), conv(128, 128, 3, 1, 1, True)),
                *(conv(128, 256, 3, (3, 2), 1), conv(256, 256, 3, 1, 1, residual=True)),
                *(conv(256, 512, 3, 1, 0), conv(512, 512, 1, 1, 0)),
            )
            decoder: list[nn.Module] = [conv(512, 512, 1, 1, 0)]
            decoder.append(nn.Sequential(up(1024, 512, 3, 1, 0, 0), conv(512, 512, 3, 1, 1, residual=True)))
            for a, b in ((1024, 512), (768, 384), (512, 256), (320, 128), (160, 64)):
                again = [conv(b, b, 3, 1, 1, residual=True) for _ in range(2)]
                decoder.append(nn.Sequential(up(a, b, 3, 2, 1, 1), *again))
            self.face_decoder_blocks = nn.ModuleList(decoder)
            self.output_block = nn.Sequential(conv(80, 32, 3, 1, 1), nn.Conv2d(32, 3, 1, 1, 0), nn.Sigmoid())
            judge: list[nn.Module] = []
            for a, b, k, s in ((3, 32, 7, 1), (32, 64, 5, 2), (64, 128, 5, 2), (128, 256, 5, 2), (256, 512, 5, 2)):
                judge += [spectral_norm(nn.Conv2d(a, b, k, s, k // 2)), nn.LeakyReLU(0.01, inplace=True)]
            self.judge = nn.Sequential(*judge, nn.AdaptiveAvgPool2d(1), nn.Conv2d(512, 1, 1), nn.Sigmoid())

        def forward(self, audio_sequences: Tensor, face_sequences: Tensor) -> tuple[Tensor, Tensor]:
            b = audio_sequences.size(0)
            audio = torch.cat([audio_sequences[:, i] for i in range(audio_sequences.size(1))], dim=0)
            faces = torch.cat([face_sequences[:, :, i] for i in range(face_sequences.size(2))], dim=0)
            feats, x = [], faces
            for f in self.face_encoder_blocks:
                x = f(x)
                feats.append(x)
            x = self.audio_encoder(audio)
            for f in self.face_decoder_blocks:
                x = f(x)
                x = torch.cat((x, feats[-1]), dim=1)
                feats.pop()
            x = self.output_block(x)
            fits = self.judge(x[:, :, x.size(2) // 2 :]).view(-1, b).mean(0)
            return torch.stack(torch.split(x, b, dim=0), dim=2), fits

    inputs = {"audio_sequences": torch.randn(batch, 5, 1, 80, 16), "face_sequences": torch.rand(batch, 6, 5, 96, 96)}
    return Wav2Lip().eval(), inputs


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(num_groups=32, num_channels=channels, eps=1e-6)


class _TimeBlock(nn.Module):
    """Stable Diffusion's residual block: told the time in between."""

    def __init__(self, a: int, b: int, time: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(_group_norm(a), nn.SiLU(), nn.Conv2d(a, b, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time, b))
        self.out_layers = nn.Sequential(_group_norm(b), nn.SiLU(), nn.Dropout(0.0), nn.Conv2d(b, b, 3, padding=1))
        self.skip_connection = nn.Identity() if a == b else nn.Conv2d(a, b, 1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        h = self.in_layers(x)
        h = h + self.emb_layers(emb)[..., None, None]
        return self.skip_connection(x) + self.out_layers(h)


class _SpatialTransformer(nn.Module):
    """Attention between places, to the words, and a GEGLU."""

    def __init__(self, channels: int, context: int, head_dim: int = 64) -> None:
        super().__init__()
        self.heads = channels // head_dim
        self.norm, self.proj_in = _group_norm(channels), nn.Conv2d(channels, channels, 1)
        for name, inner in (("attn1", channels), ("attn2", context)):
            layers = OrderedDict(
                to_q=nn.Linear(channels, channels, bias=False),
                to_k=nn.Linear(inner, channels, bias=False),
                to_v=nn.Linear(inner, channels, bias=False),
                to_out=nn.Linear(channels, channels),
            )
            setattr(self, name, nn.ModuleDict(layers))
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(channels) for _ in range(3))
        self.geglu, self.ff_out = nn.Linear(channels, channels * 8), nn.Linear(channels * 4, channels)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def attend(self, name: str, x: Tensor, context: Tensor) -> Tensor:
        layers = getattr(self, name)
        b, n, c = x.shape
        q, k, v = layers["to_q"](x), layers["to_k"](context), layers["to_v"](context)
        q, k, v = (
            t.unsqueeze(3).reshape(b, t.shape[1], self.heads, c // self.heads).permute(0, 2, 1, 3).contiguous()
            for t in (q, k, v)
        )
        out = F.scaled_dot_product_attention(q, k, v)
        return layers["to_out"](out.permute(0, 2, 1, 3).reshape(b, n, c))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        b, c, h, w = x.shape
        x_in = x
        x = self.proj_in(self.norm(x)).flatten(2).permute(0, 2, 1).contiguous()
        y = self.norm1(x)
        x = self.attend("attn1", y, y) + x
        x = self.attend("attn2", self.norm2(x), context) + x
        y, gate = self.geglu(self.norm3(x)).chunk(2, dim=-1)
        x = self.ff_out(y * F.gelu(gate)) + x
        return self.proj_out(x.permute(0, 2, 1).reshape(b, c, h, w).contiguous()) + x_in


def control_net(batch: int) -> Made:
    """ControlNet beside a latent diffusion U-Net of width 128: a step at 32 by 32 that follows drawn edges."""

    def timestep_embedding(timesteps: Tensor, dim: int, dtype: torch.dtype) -> Tensor:
        half = dim // 2
        freqs = torch.exp(-math.log(10_000) * torch.arange(half, dtype=torch.float32, device=timesteps.device) / half)
        args = timesteps[:, None].float() * freqs[None]
        return torch.cat([torch.cos(args), torch.sin(args)], dim=-1).to(dtype)

    def run(layers: nn.ModuleList, x: Tensor, emb: Tensor, context: Tensor) -> Tensor:
        for layer in layers:
            if isinstance(layer, _TimeBlock):
                x = layer(x, emb)
            elif isinstance(layer, _SpatialTransformer):
                x = layer(x, context)
            else:
                x = layer(x)
        return x

    class Encoder(nn.Module):
        def __init__(self, c: int, mult: tuple[int, ...], context: int) -> None:
            super().__init__()
            self.width, time = c, c * 4
            self.time_embed = nn.Sequential(nn.Linear(c, time), nn.SiLU(), nn.Linear(time, time))
            self.input_blocks = nn.ModuleList([nn.ModuleList([nn.Conv2d(4, c, 3, padding=1)])])
            self.channels, ch = [c], c
            for level, m in enumerate(mult):
                for _ in range(2):
                    layers: list[nn.Module] = [_TimeBlock(ch, m * c, time)]
                    ch = m * c
                    if level < len(mult) - 1:
                        layers.append(_SpatialTransformer(ch, context))
                    self.input_blocks.append(nn.ModuleList(layers))
                    self.channels.append(ch)
                if level < len(mult) - 1:
                    self.input_blocks.append(nn.ModuleList([nn.Conv2d(ch, ch, 3, stride=2, padding=1)]))
                    self.channels.append(ch)
            middle = [_TimeBlock(ch, ch, time), _SpatialTransformer(ch, context), _TimeBlock(ch, ch, time)]
            self.middle_block, self.last = nn.ModuleList(middle), ch

    class ControlNet(Encoder):
        def __init__(self, c: int, mult: tuple[int, ...], context: int) -> None:
            super().__init__(c, mult, context)
            layers: list[nn.Module] = []
            for a, b, stride in ((3, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 96, 2), (96, 96, 1)):
                layers += [nn.Conv2d(a, b, 3, stride, padding=1), nn.SiLU()]
            layers += [nn.Conv2d(96, 256, 3, 2, padding=1), nn.SiLU(), nn.Conv2d(256, c, 3, padding=1)]
            self.input_hint_block = nn.Sequential(*layers)
            self.zero_convs = nn.ModuleList([nn.Conv2d(ch, ch, 1) for ch in self.channels])
            self.middle_block_out = nn.Conv2d(self.last, self.last, 1)

        def forward(self, x: Tensor, hint: Tensor, timesteps: Tensor, context: Tensor) -> list[Tensor]:
            emb = self.time_embed(timestep_embedding(timesteps, self.width, x.dtype))
            guided: Tensor | None = self.input_hint_block(hint)
            outs, h = [], x
            for module, zero_conv in zip(self.input_blocks, self.zero_convs):
                h = run(module, h, emb, context)
                if guided is not None:
                    h += guided
                    guided = None
                outs.append(zero_conv(h))
            outs.append(self.middle_block_out(run(self.middle_block, h, emb, context)))
            return outs

    class UNet(Encoder):
        def __init__(self, c: int, mult: tuple[int, ...], context: int) -> None:
            super().__init__(c, mult, context)
            channels, ch, time = list(self.channels), self.last, c * 4
            self.output_blocks = nn.ModuleList()
            for level, m in list(enumerate(mult))[::-1]:
                for i in range(3):
                    layers: list[nn.Module] = [_TimeBlock(ch + channels.pop(), m * c, time)]
                    ch = m * c
                    if level < len(mult) - 1:
                        layers.append(_SpatialTransformer(ch, context))
                    if level and i == 2:
                        layers += [nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(ch, ch, 3, padding=1)]
                    self.output_blocks.append(nn.ModuleList(layers))
            self.out = nn.Sequential(_group_norm(c), nn.SiLU(), nn.Conv2d(c, 4, 3, padding=1))

        def forward(self, x: Tensor, timesteps: Tensor, context: Tensor, control: list[Tensor]) -> Tensor:
            hs, emb = [], self.time_embed(timestep_embedding(timesteps, self.width, x.dtype))
            for module in self.input_blocks:
                x = run(module, x, emb, context)
                hs.append(x)
            x = run(self.middle_block, x, emb, context)
            x = x + control.pop()
            for module in self.output_blocks:
                x = torch.cat([x, hs.pop() + control.pop()], dim=1)
                x = run(module, x, emb, context)
            return self.out(x)

    class Controlled(nn.Module):
        def __init__(self, c: int = 128, mult: tuple[int, ...] = (1, 2, 4, 4), context: int = 768) -> None:
            super().__init__()
            self.control_model, self.model = ControlNet(c, mult, context), UNet(c, mult, context)
            self.control_scales = [0.825 ** (12 - i) for i in range(13)]

        def forward(self, x_noisy: Tensor, hint: Tensor, t: Tensor, cond_txt: Tensor) -> Tensor:
            control = self.control_model(x_noisy, hint, t, cond_txt)
            control = [c * scale for c, scale in zip(control, self.control_scales)]
            return self.model(x_noisy, t, cond_txt, control)

    inputs = {"x_noisy": torch.randn(batch, 4, 32, 32), "hint": torch.rand(batch, 3, 256, 256)}
    words = {"t": _random(batch, below=1000), "cond_txt": torch.randn(batch, 77, 768)}
    return Controlled().eval(), {**inputs, **words}


class _ScaledStdConv2d(nn.Conv2d):
    """timm's convolution whose weights are made of mean zero and spread one each time."""

    def __init__(
        self, a: int, b: int, kernel: int, stride: int = 1, dilation: int = 1, groups: int = 1, gamma: float = 1.7868
    ) -> None:
        super().__init__(a, b, kernel, stride, (kernel - 1) // 2, dilation, groups)
        self.gain = nn.Parameter(torch.full((b, 1, 1, 1), 1.0))
        self.scale, self.eps = gamma * self.weight[0].numel() ** -0.5, 1e-6

    def forward(self, x: Tensor) -> Tensor:
        weight = F.batch_norm(
            self.weight.reshape(1, self.out_channels, -1),
            None,
            None,
            weight=(self.gain * self.scale).view(-1),
            training=True,
            momentum=0.0,
            eps=self.eps,
        ).reshape_as(self.weight)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


def nf_net(batch: int) -> Made:
    """NFNet-F0 after timm: no norms, weights standardised as they are used, squeeze and excitation, 192 pixels."""

    class GammaGelu(nn.Module):
        def __init__(self, gamma: float = 1.7015) -> None:
            super().__init__()
            self.gamma = gamma

        def forward(self, x: Tensor) -> Tensor:
            return F.gelu(x).mul_(self.gamma)

    conv = partial(_ScaledStdConv2d, gamma=1.0)

    class DownsampleAvg(nn.Module):
        def __init__(self, a: int, b: int, stride: int) -> None:
            super().__init__()
            pool = nn.AvgPool2d(2, stride, ceil_mode=True, count_include_pad=False)
            self.pool, self.conv = pool if stride > 1 else nn.Identity(), conv(a, b, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(self.pool(x))

    class SEModule(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.fc1 = nn.Conv2d(channels, channels // 2, kernel_size=1)
            self.fc2 = nn.Conv2d(channels // 2, channels, kernel_size=1)

        def forward(self, x: Tensor) -> Tensor:
            x_se = x.mean((2, 3), keepdim=True)
            return x * self.fc2(F.relu(self.fc1(x_se), inplace=True)).sigmoid()

    class NormFreeBlock(nn.Module):
        def __init__(self, a: int, b: int, stride: int, alpha: float = 0.2, beta: float = 1.0) -> None:
            super().__init__()
            mid, self.alpha, self.beta = b // 2, alpha, beta
            self.downsample = DownsampleAvg(a, b, stride) if a != b or stride != 1 else None
            self.act1, self.act2, self.act2b, self.act3 = (GammaGelu() for _ in range(4))
            self.conv1, self.conv2 = conv(a, mid, 1), conv(mid, mid, 3, stride, groups=mid // 128)
            self.conv2b, self.conv3 = conv(mid, mid, 3, groups=mid // 128), conv(mid, b, 1)
            self.attn, self.skipinit_gain = SEModule(b), nn.Parameter(torch.tensor(0.3))

        def forward(self, x: Tensor) -> Tensor:
            out = self.act1(x) * self.beta
            shortcut = x if self.downsample is None else self.downsample(out)
            out = self.conv2(self.act2(self.conv1(out)))
            out = self.conv3(self.act3(self.conv2b(self.act2b(out))))
            out = 2.0 * self.attn(out)
            out.mul_(self.skipinit_gain)
            return out * self.alpha + shortcut

    class NormFreeNet(nn.Module):
        def __init__(self, channels: tuple[int, ...] = (256, 512, 1536, 1536), classes: int = 1000) -> None:
            super().__init__()
            stem: OrderedDict[str, nn.Module] = OrderedDict()
            for i, (a, b, s) in enumerate(((3, 16, 2), (16, 32, 1), (32, 64, 1), (64, 128, 2)), 1):
                stem[f"conv{i}"] = conv(a, b, 3, s)
                if i < 4:
                    stem[f"act{i}"] = GammaGelu()
            self.stem = nn.Sequential(stem)
            stages: list[nn.Module] = []
            previous, expected_var = 128, 1.0
            for i, (depth, width) in enumerate(zip((1, 2, 6, 3), channels)):
                blocks = []
                for j in range(depth):
                    stride = 2 if j == 0 and i > 0 else 1
                    blocks.append(NormFreeBlock(previous, width, stride, beta=1.0 / expected_var**0.5))
                    expected_var = 1.0 + 0.04 if j == 0 else expected_var + 0.04
                    previous = width
                stages.append(nn.Sequential(*blocks))
            self.stages = nn.Sequential(*stages)
            self.final_conv, self.final_act = conv(previous, 3072, 1), GammaGelu()
            self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(3072, classes))

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.final_act(self.final_conv(self.stages(self.stem(x)))))

    return NormFreeNet().eval(), {"x": torch.randn(batch, 3, 192, 192)}


def volo(batch: int) -> Made:
    """VOLO-D1: outlook attention folds what each window says back together, then transformer, class attention."""

    class OutlookAttention(nn.Module):
        def __init__(self, dim: int, heads: int, kernel: int = 3, padding: int = 1, stride: int = 2) -> None:
            super().__init__()
            self.num_heads, self.kernel_size, self.padding, self.stride = heads, kernel, padding, stride
            self.scale = (dim // heads) ** -0.5
            self.v, self.attn = nn.Linear(dim, dim, bias=False), nn.Linear(dim, kernel**4 * heads)
            self.proj, self.unfold = nn.Linear(dim, dim), nn.Unfold(kernel, padding=padding, stride=stride)
            self.pool = nn.AvgPool2d(kernel_size=stride, stride=stride, ceil_mode=True)

        def forward(self, x: Tensor) -> Tensor:
            B, H, W, C = x.shape  # noqa: N806
            k = self.kernel_size * self.kernel_size
            v = self.v(x).permute(0, 3, 1, 2)
            h, w = math.ceil(H / self.stride), math.ceil(W / self.stride)
            v = self.unfold(v).reshape(B, self.num_heads, C // self.num_heads, k, h * w).permute(0, 1, 4, 3, 2)
            attn = self.pool(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            attn = self.attn(attn).reshape(B, h * w, self.num_heads, k, k).permute(0, 2, 1, 3, 4)
            attn = (attn * self.scale).softmax(dim=-1)
            x = (attn @ v).permute(0, 1, 4, 3, 2).reshape(B, C * k, h * w)
            x = F.fold(x, output_size=(H, W), kernel_size=self.kernel_size, padding=self.padding, stride=self.stride)
            return self.proj(x.permute(0, 2, 3, 1))

    class Attention(nn.Module):
        def __init__(self, dim: int, heads: int) -> None:
            super().__init__()
            self.num_heads, self.scale = heads, (dim // heads) ** -0.5
            self.qkv, self.proj = nn.Linear(dim, dim * 3, bias=False), nn.Linear(dim, dim)

        def forward(self, x: Tensor) -> Tensor:
            B, H, W, C = x.shape  # noqa: N806
            qkv = self.qkv(x).reshape(B, H * W, 3, self.num_heads, C // self.num_heads).permute(2, 0, 3, 1, 4)
            q, k, v = qkv.unbind(0)
            attn = (q @ k.transpose(-2, -1) * self.scale).softmax(dim=-1)
            return self.proj((attn @ v).transpose(1, 2).reshape(B, H, W, C))

    class ClassAttention(nn.Module):
        def __init__(self, dim: int, heads: int) -> None:
            super().__init__()
            self.num_heads, self.scale = heads, (dim // heads) ** -0.5
            self.kv, self.q = nn.Linear(dim, dim * 2, bias=False), nn.Linear(dim, dim, bias=False)
            self.proj = nn.Linear(dim, dim)

        def forward(self, x: Tensor) -> Tensor:
            B, N, C = x.shape  # noqa: N806
            k, v = self.kv(x).reshape(B, N, 2, self.num_heads, C // self.num_heads).permute(2, 0, 3, 1, 4).unbind(0)
            q = self.q(x[:, :1, :]).reshape(B, self.num_heads, 1, C // self.num_heads) * self.scale
            attn = (q @ k.transpose(-2, -1)).softmax(dim=-1)
            return self.proj((attn @ v).transpose(1, 2).reshape(B, 1, C))

    class Block(nn.Module):
        def __init__(self, dim: int, attn: nn.Module, ratio: int = 3) -> None:
            super().__init__()
            self.norm1, self.attn, self.norm2 = nn.LayerNorm(dim), attn, nn.LayerNorm(dim)
            self.mlp = nn.Sequential(nn.Linear(dim, ratio * dim), nn.GELU(), nn.Linear(ratio * dim, dim))

        def forward(self, x: Tensor) -> Tensor:
            x = x + self.attn(self.norm1(x))
            return x + self.mlp(self.norm2(x))

    class ClassBlock(Block):
        def forward(self, x: Tensor) -> Tensor:
            cls_embed = x[:, :1]
            cls_embed = cls_embed + self.attn(self.norm1(x))
            cls_embed = cls_embed + self.mlp(self.norm2(cls_embed))
            return torch.cat([cls_embed, x[:, 1:]], dim=1)

    class VOLO(nn.Module):
        def __init__(self, classes: int = 1000) -> None:
            super().__init__()
            stem: list[nn.Module] = []
            for a, s in ((3, 2), (64, 1), (64, 1)):
                k = 7 if a == 3 else 3
                stem += [nn.Conv2d(a, 64, k, s, k // 2, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
            self.patch_embed = nn.Sequential(*stem, nn.Conv2d(64, 192, kernel_size=4, stride=4))
            self.outlookers = nn.Sequential(*[Block(192, OutlookAttention(192, 6)) for _ in range(4)])
            self.downsample = nn.Conv2d(192, 384, kernel_size=2, stride=2)
            self.pos_embed = nn.Parameter(torch.randn(1, 14, 14, 384) * 0.02)
            self.transformers = nn.Sequential(*[Block(384, Attention(384, 12)) for _ in range(14)])
            self.post_network = nn.ModuleList([ClassBlock(384, ClassAttention(384, 12)) for _ in range(2)])
            self.cls_token, self.norm = nn.Parameter(torch.randn(1, 1, 384) * 0.02), nn.LayerNorm(384)
            self.head, self.aux_head = nn.Linear(384, classes), nn.Linear(384, classes)

        def forward(self, x: Tensor) -> Tensor:
            x = self.patch_embed(x).permute(0, 2, 3, 1)
            x = self.outlookers(x)
            x = self.downsample(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1) + self.pos_embed
            x = self.transformers(x)
            x = x.reshape(x.shape[0], -1, x.shape[-1])
            x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1)
            for block in self.post_network:
                x = block(x)
            x = self.norm(x)
            return self.head(x[:, 0]) + 0.5 * self.aux_head(x[:, 1:]).max(1)[0]

    return VOLO().eval(), {"x": torch.randn(batch, 3, 224, 224)}


def inpainting(batch: int) -> Made:
    """LaMa fills a hole in 256 pixels: nine blocks whose one branch sees the whole image by its Fourier transform."""

    class FourierUnit(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.conv_layer = nn.Conv2d(channels * 2, channels * 2, kernel_size=1, bias=False)
            self.bn, self.relu = nn.BatchNorm2d(channels * 2), nn.ReLU(inplace=True)

        def forward(self, x: Tensor) -> Tensor:
            batch, _, *size = x.shape
            ffted = torch.fft.rfftn(x.float(), dim=(-2, -1), norm="ortho")
            ffted = torch.stack((ffted.real, ffted.imag), dim=-1)
            ffted = ffted.permute(0, 1, 4, 2, 3).contiguous().view(batch, -1, *ffted.shape[2:4])
            ffted = self.relu(self.bn(self.conv_layer(ffted.to(x.dtype))))
            ffted = ffted.float().view(batch, -1, 2, *ffted.shape[2:]).permute(0, 1, 3, 4, 2).contiguous()
            return torch.fft.irfftn(torch.complex(ffted[..., 0], ffted[..., 1]), size, (-2, -1), "ortho").to(x.dtype)

    class SpectralTransform(nn.Module):
        def __init__(self, a: int, b: int) -> None:
            super().__init__()
            self.conv1 = nn.Sequential(
                nn.Conv2d(a, b // 2, 1, bias=False), nn.BatchNorm2d(b // 2), nn.ReLU(inplace=True)
            )
            self.fu, self.conv2 = FourierUnit(b // 2), nn.Conv2d(b // 2, b, kernel_size=1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv1(x)
            return self.conv2(x + self.fu(x))

    class FFCBlock(nn.Module):
        def __init__(self, channels: int, ratio: float = 0.75) -> None:
            super().__init__()
            g = int(channels * ratio)
            l = channels - g  # noqa: E741
            conv = partial(nn.Conv2d, kernel_size=3, padding=1, bias=False, padding_mode="reflect")
            self.convl2l, self.convl2g, self.convg2l = conv(l, l), conv(l, g), conv(g, l)
            self.convg2g = SpectralTransform(g, g)
            self.bn_l, self.bn_g = nn.BatchNorm2d(l), nn.BatchNorm2d(g)

        def forward(self, x_l: Tensor, x_g: Tensor) -> tuple[Tensor, Tensor]:
            out_l = self.convl2l(x_l) + self.convg2l(x_g)
            out_g = self.convl2g(x_l) + self.convg2g(x_g)
            return F.relu(self.bn_l(out_l)), F.relu(self.bn_g(out_g))

    class FFCResnetBlock(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.conv1, self.conv2 = FFCBlock(channels), FFCBlock(channels)

        def forward(self, x: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            x_l, x_g = self.conv2(*self.conv1(*x))
            return x[0] + x_l, x[1] + x_g

    class LaMa(nn.Module):
        def __init__(self, ngf: int = 64, blocks: int = 9) -> None:
            super().__init__()
            down: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(4, ngf, kernel_size=7, bias=False)]
            down += [nn.BatchNorm2d(ngf), nn.ReLU(inplace=True)]
            for i in range(3):
                a = ngf * 2**i
                down += [nn.Conv2d(a, 2 * a, 3, 2, 1, bias=False, padding_mode="reflect"), nn.BatchNorm2d(2 * a)]
                down += [nn.ReLU(inplace=True)]
            up: list[nn.Module] = []
            for i in range(3):
                a = ngf * 2 ** (3 - i)
                up += [nn.ConvTranspose2d(a, a // 2, 3, 2, 1, output_padding=1), nn.BatchNorm2d(a // 2)]
                up += [nn.ReLU(inplace=True)]
            self.down, self.blocks = nn.Sequential(*down), nn.Sequential(*[FFCResnetBlock(512) for _ in range(blocks)])
            self.up = nn.Sequential(*up, nn.ReflectionPad2d(3), nn.Conv2d(ngf, 3, kernel_size=7), nn.Sigmoid())

        def forward(self, image: Tensor, mask: Tensor) -> Tensor:
            masked = image * (1 - mask)
            x = self.down(torch.cat([masked, mask], dim=1))
            x_l, x_g = self.blocks((x[:, :128], x[:, 128:]))
            predicted = self.up(torch.cat([x_l, x_g], dim=1))
            return mask * predicted + (1 - mask) * image

    mask = torch.zeros(batch, 1, 256, 256)
    mask[:, :, 80:170, 60:200] = 1
    return LaMa().eval(), {"image": torch.rand(batch, 3, 256, 256), "mask": mask}


def pose_lifter(batch: int) -> Made:
    """MotionBERT in small: 17 joints in 81 frames get a third dimension, space and time in two orders, mixed."""

    class Attention(nn.Module):
        def __init__(self, dim: int, heads: int, mode: str) -> None:
            super().__init__()
            self.heads, self.mode, self.scale = heads, mode, (dim // heads) ** -0.5
            self.qkv, self.proj = nn.Linear(dim, dim * 3, bias=True), nn.Linear(dim, dim)

        def forward(self, x: Tensor, seqlen: int) -> Tensor:
            b, n, c = x.shape
            qkv = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
            q, k, v = qkv[0], qkv[1], qkv[2]
            if self.mode == "temporal":
                q, k, v = (t.reshape(-1, seqlen, self.heads, n, c // self.heads).permute(0, 2, 3, 1, 4) for t in qkv)
            x = ((q @ k.transpose(-2, -1)) * self.scale).softmax(dim=-1) @ v
            x = x.permute(0, 3, 2, 1, 4).reshape(b, n, c) if self.mode == "temporal" else x.transpose(1, 2)
            return self.proj(x.reshape(b, n, c))

    class Block(nn.Module):
        def __init__(self, dim: int, order: tuple[str, str], heads: int = 8, ratio: int = 2) -> None:
            super().__init__()
            self.order = order
            self.norms, self.attns, self.mlps = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
            for mode in order:
                self.norms[mode + "1"], self.norms[mode + "2"] = nn.LayerNorm(dim, 1e-6), nn.LayerNorm(dim, 1e-6)
                self.attns[mode] = Attention(dim, heads, mode)
                self.mlps[mode] = nn.Sequential(nn.Linear(dim, dim * ratio), nn.GELU(), nn.Linear(dim * ratio, dim))

        def forward(self, x: Tensor, seqlen: int) -> Tensor:
            for mode in self.order:
                x = x + self.attns[mode](self.norms[mode + "1"](x), seqlen)
                x = x + self.mlps[mode](self.norms[mode + "2"](x))
            return x

    class DSTformer(nn.Module):
        def __init__(self, dim: int = 256, rep: int = 512, depth: int = 5, joints: int = 17, maxlen: int = 243) -> None:
            super().__init__()
            self.joints_embed = nn.Linear(3, dim)
            self.blocks_st = nn.ModuleList(Block(dim, ("spatial", "temporal")) for _ in range(depth))
            self.blocks_ts = nn.ModuleList(Block(dim, ("temporal", "spatial")) for _ in range(depth))
            self.ts_attn = nn.ModuleList(nn.Linear(dim * 2, 2) for _ in range(depth))
            self.norm, self.head = nn.LayerNorm(dim, 1e-6), nn.Linear(rep, 3)
            self.pre_logits = nn.Sequential(OrderedDict([("fc", nn.Linear(dim, rep)), ("act", nn.Tanh())]))
            self.temp_embed = nn.Parameter(torch.randn(1, maxlen, 1, dim) * 0.02)
            self.pos_embed = nn.Parameter(torch.randn(1, joints, dim) * 0.02)

        def encode(self, x: Tensor) -> Tensor:
            b, f, j, c = x.shape
            x = self.joints_embed(x.reshape(-1, j, c)) + self.pos_embed
            x = x.reshape(-1, f, j, x.shape[-1]) + self.temp_embed[:, :f]
            x = x.reshape(b * f, j, -1)
            for blk_st, blk_ts, att in zip(self.blocks_st, self.blocks_ts, self.ts_attn):
                x_st, x_ts = blk_st(x, f), blk_ts(x, f)
                alpha = att(torch.cat([x_st, x_ts], dim=-1)).softmax(dim=-1)
                x = x_st * alpha[:, :, 0:1] + x_ts * alpha[:, :, 1:2]
            return self.head(self.pre_logits(self.norm(x).reshape(b, f, j, -1)))

        def forward(self, keypoints: Tensor) -> Tensor:
            left, right = [4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]

            def flip(data: Tensor) -> Tensor:
                flipped = data.clone()
                flipped[..., 0] *= -1
                flipped[..., left + right, :] = flipped[..., right + left, :]
                return flipped

            pose = (self.encode(keypoints) + flip(self.encode(flip(keypoints)))) / 2.0
            return pose - pose[:, 0:1, 0:1, :]

    return DSTformer().eval(), {"keypoints": torch.rand(batch, 81, 17, 3)}
