"""Convolutions, pooling, resizing, sampling and padding, of one to three dimensions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.operator_tables.table import Case, Input, calls, fp32, layer, nhwc, normal, uniform


def _conv(
    name: str, kind: Callable[..., nn.Module], sizes: tuple[Any, ...], *cases: Case, dtype: str = "fp16", **options: Any
) -> None:
    """A convolution of (channels in, channels out, kernel)."""
    layer(name, functools.partial(kind, *sizes, **options), *cases, dtype=dtype)


# fmt: off
# A row is a line; what does not fit goes on in the next one.

# convolutions

_conv("conv2d_1x1", nn.Conv2d, (256, 64, 1), normal(16, 256, 56, 56), nhwc(8, 256, 64, 64), bias=False)
_conv("conv2d_3x3", nn.Conv2d, (128, 128, 3), normal(16, 128, 28, 28), nhwc(16, 128, 56, 56), normal(1, 128, 7, 7),
    padding=1)
_conv("conv2d_3x3", nn.Conv2d, (64, 64, 3), normal(8, 64, 56, 56), padding=1, dtype="fp32")
_conv("conv2d_3x3", nn.Conv2d, (96, 96, 3), normal(8, 96, 32, 32), nhwc(8, 96, 32, 32), padding=1, dtype="bf16")
_conv("conv2d_odd_channels", nn.Conv2d, (33, 65, 3), normal(8, 33, 57, 59), nhwc(8, 33, 57, 61), padding=1)
_conv("conv2d_stem_7x7", nn.Conv2d, (3, 64, 7), normal(16, 3, 224, 224), nhwc(8, 3, 224, 224), stride=2, padding=3,
    bias=False)
_conv("conv2d_patches_16", nn.Conv2d, (3, 768, 16), normal(16, 3, 224, 224), stride=16)
_conv("conv2d_stride_2", nn.Conv2d, (128, 256, 3), normal(16, 128, 56, 56), stride=2, padding=1)
_conv("conv2d_one_channel", nn.Conv2d, (1, 32, 3), normal(16, 1, 80, 300), padding=1)
_conv("conv2d_to_one_channel", nn.Conv2d, (64, 1, 7), normal(8, 64, 128, 128), padding=3)
_conv("conv2d_to_images", nn.Conv2d, (128, 3, 3), normal(1, 128, 352, 352), padding=1)
_conv("conv2d_dilated_2", nn.Conv2d, (128, 128, 3), normal(8, 128, 64, 64), padding=2, dilation=2)
_conv("conv2d_dilated_12", nn.Conv2d, (512, 256, 3), normal(2, 512, 33, 33), padding=12, dilation=12)
_conv("conv2d_1x7", nn.Conv2d, (192, 192, (1, 7)), normal(8, 192, 17, 17), padding=(0, 3))
_conv("conv2d_reflect", nn.Conv2d, (64, 64, 3), normal(8, 64, 64, 64), padding=1, padding_mode="reflect")
_conv("conv2d_circular", nn.Conv2d, (32, 32, 3), normal(8, 32, 128, 128), padding=1, padding_mode="circular")
_conv("conv2d_same_even", nn.Conv2d, (32, 32, 4), normal(8, 32, 64, 64), padding="same")
_conv("conv2d_groups_2", nn.Conv2d, (128, 128, 3), normal(8, 128, 28, 28), groups=2, padding=1)
_conv("conv2d_groups_32", nn.Conv2d, (256, 256, 3), normal(8, 256, 28, 28), nhwc(8, 256, 28, 30), groups=32, padding=1)
_conv("depthwise_3x3", nn.Conv2d, (192, 192, 3), normal(16, 192, 56, 56), nhwc(16, 192, 28, 28), normal(1, 192, 14, 14),
    groups=192, padding=1)
_conv("depthwise_3x3", nn.Conv2d, (96, 96, 3), normal(8, 96, 56, 56), groups=96, padding=1, dtype="fp32")
_conv("depthwise_5x5_stride_2", nn.Conv2d, (144, 144, 5), normal(16, 144, 56, 56), groups=144, padding=2, stride=2)
_conv("depthwise_7x7", nn.Conv2d, (96, 96, 7), normal(16, 96, 56, 56), nhwc(16, 96, 56, 58), groups=96, padding=3)
_conv("depthwise_31x31", nn.Conv2d, (64, 64, 31), normal(2, 64, 32, 32), groups=64, padding=15)
_conv("depthwise_multiplier_2", nn.Conv2d, (64, 128, 3), normal(8, 64, 56, 56), groups=64, padding=1)
_conv("conv1d_1", nn.Conv1d, (512, 2048, 1), normal(16, 512, 250))
_conv("conv1d_3", nn.Conv1d, (80, 384, 3), normal(8, 80, 3000), normal(1, 80, 100), padding=1)
_conv("conv1d_wave", nn.Conv1d, (1, 512, 10), normal(4, 1, 80000), stride=5, bias=False)
_conv("conv1d_dilated", nn.Conv1d, (64, 128, 3), normal(4, 64, 16000), padding=512, dilation=512)
_conv("conv1d_depthwise_31", nn.Conv1d, (256, 256, 31), normal(16, 256, 500), groups=256, padding=15)
_conv("conv1d_depthwise_causal", nn.Conv1d, (1536, 1536, 4), normal(4, 1536, 1024), groups=1536, padding=3)
_conv("conv1d_positions", nn.Conv1d, (768, 768, 128), normal(2, 768, 249), groups=16, padding=64)
_conv("conv1d_points", nn.Conv1d, (3, 64, 1), normal(16, 3, 4096))
_conv("conv3d_3x3x3", nn.Conv3d, (16, 32, 3), normal(2, 16, 16, 56, 56), nhwc(2, 16, 16, 28, 28), padding=1)
_conv("conv3d_3x3x3", nn.Conv3d, (8, 16, 3), normal(1, 8, 32, 64, 64), padding=1, dtype="fp32")
_conv("conv3d_stem", nn.Conv3d, (3, 64, (3, 7, 7)), normal(1, 3, 16, 112, 112), stride=(1, 2, 2), padding=(1, 3, 3))
_conv("conv3d_time", nn.Conv3d, (64, 64, (3, 1, 1)), normal(2, 64, 16, 28, 28), padding=(1, 0, 0))
_conv("conv3d_tubelets", nn.Conv3d, (3, 384, (2, 16, 16)), normal(2, 3, 16, 224, 224), stride=(2, 16, 16))
_conv("conv3d_depthwise", nn.Conv3d, (64, 64, 3), normal(2, 64, 8, 28, 28), groups=64, padding=1)
_conv("conv_transpose2d_2x2", nn.ConvTranspose2d, (128, 64, 2), normal(8, 128, 32, 32), nhwc(4, 128, 64, 64), stride=2)
_conv("conv_transpose2d_4x4", nn.ConvTranspose2d, (256, 128, 4), normal(8, 256, 16, 16), stride=2, padding=1)
_conv("conv_transpose2d_latent", nn.ConvTranspose2d, (100, 512, 4), normal(64, 100, 1, 1))
_conv("conv_transpose2d_output_padding", nn.ConvTranspose2d, (64, 32, 3), normal(4, 64, 64, 64), stride=2, padding=1,
    output_padding=1, dtype="fp32")
_conv("conv_transpose2d_depthwise", nn.ConvTranspose2d, (64, 64, 4), normal(4, 64, 32, 32), stride=2, padding=1,
    groups=64)
_conv("conv_transpose1d", nn.ConvTranspose1d, (256, 128, 16), normal(4, 256, 400), stride=8, padding=4)
_conv("conv_transpose3d", nn.ConvTranspose3d, (32, 16, 2), normal(1, 32, 16, 32, 32), stride=2)
calls("conv2d_dynamic", lambda x, w: F.conv2d(x.view(1, -1, 56, 56), w.view(-1, 32, 3, 3), padding=1, groups=8),
    (normal(8, 32, 56, 56), normal(8, 32, 32, 3, 3)))
calls("conv2d_correlation",
    lambda x, w: F.conv2d(x.view(1, -1, 31, 31), w.view(-1, 1, 7, 7), groups=2048).view(8, 256, 25, 25),
    (normal(8, 256, 31, 31), normal(8, 256, 7, 7)))


# pooling, resizing, sampling, padding of images

calls("max_pool2d", lambda x: F.max_pool2d(x, 2), normal(16, 64, 112, 112), nhwc(16, 64, 112, 114))
calls("max_pool2d_3_stride_2", lambda x: F.max_pool2d(x, 3, 2, 1), normal(16, 64, 112, 112), nhwc(8, 64, 112, 112))
calls("max_pool2d_5_same", lambda x: F.max_pool2d(x, 5, 1, 2), normal(8, 256, 20, 20))
calls("max_pool2d_13_same", lambda x: F.max_pool2d(x, 13, 1, 6), normal(8, 512, 19, 19))
calls("max_pool_and_unpool", lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), [2, 2]),
    normal(4, 64, 128, 128))
calls("max_pool1d", lambda x: F.max_pool1d(x, 3, 3), normal(8, 128, 16000))
calls("max_pool1d_whole", lambda x: F.max_pool1d(x, x.shape[-1]), normal(64, 100, 500))
calls("max_pool3d", lambda x: F.max_pool3d(x, 2), normal(2, 64, 16, 56, 56))
calls("avg_pool2d", lambda x: F.avg_pool2d(x, 3, 2, 1), normal(16, 64, 112, 112), nhwc(8, 64, 112, 112))
calls("avg_pool2d_7", lambda x: F.avg_pool2d(x, 7), normal(64, 1024, 7, 7))
calls("avg_pool2d_25_same", lambda x: F.avg_pool2d(x, 25, 1, 12), normal(4, 16, 64, 64))
calls("avg_pool1d_moving", lambda x: F.avg_pool1d(x, 25, 1, 12), normal(64, 321, 336))
calls("avg_pool3d", lambda x: F.avg_pool3d(x, (1, 2, 2)), normal(2, 64, 16, 56, 56))
calls("lp_pool2d", lambda x: F.lp_pool2d(x, 2, 2), normal(8, 64, 56, 56))
calls("fractional_max_pool2d", lambda x: F.fractional_max_pool2d(x, 3, output_ratio=(0.6, 0.6)), normal(8, 32, 64, 64))
for _size in (1, 7):
    calls(f"adaptive_avg_pool2d_{_size}", lambda x, n=_size: F.adaptive_avg_pool2d(x, n), normal(16, 512, 15, 15),
        nhwc(16, 512, 14, 14))
calls("adaptive_avg_pool2d_6", lambda x: F.adaptive_avg_pool2d(x, 6), normal(2, 2048, 60, 60))
calls("adaptive_avg_pool1d", lambda x: F.adaptive_avg_pool1d(x, 50), normal(16, 512, 1000))
calls("adaptive_avg_pool3d_1", lambda x: F.adaptive_avg_pool3d(x, 1), normal(8, 512, 2, 7, 7))
calls("adaptive_avg_pool3d_axis", lambda x: F.adaptive_avg_pool3d(x, (None, 7, 7)), normal(2, 256, 8, 16, 16))
calls("adaptive_max_pool1d_1", lambda x: F.adaptive_max_pool1d(x, 1), normal(16, 1024, 1024))
calls("adaptive_max_pool2d_1", lambda x: F.adaptive_max_pool2d(x, 1), normal(16, 512, 28, 28))
calls("adaptive_max_pool2d_7", lambda x: F.adaptive_max_pool2d(x, 7), normal(16, 256, 25, 38))
calls("adaptive_max_pool3d", lambda x: F.adaptive_max_pool3d(x, (1, 4, 4)), normal(4, 128, 8, 14, 14))
calls("gem_pool", lambda x: F.avg_pool2d(x.clamp(min=1e-6).pow(3), x.shape[-2:]).pow(1 / 3), uniform(32, 1024, 14, 14))

for _mode in ("nearest", "nearest-exact", "bilinear", "bicubic", "area"):
    calls(f"interpolate_{_mode}_x2", lambda x, mode=_mode: F.interpolate(x, scale_factor=2.0, mode=mode),
        normal(8, 64, 64, 64))
calls("interpolate_nearest_nhwc", lambda x: F.interpolate(x, scale_factor=2), nhwc(8, 128, 64, 64))
calls("interpolate_bilinear_nhwc", lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), nhwc(4, 128, 64, 64))
calls("interpolate_bilinear_corners", lambda x: F.interpolate(x, (512, 512), mode="bilinear", align_corners=True),
    normal(2, 21, 65, 65))
calls("interpolate_bilinear_down", lambda x: F.interpolate(x, scale_factor=0.5, mode="bilinear"),
    normal(8, 64, 127, 129))
calls("interpolate_antialias", lambda x: F.interpolate(x, (224, 224), mode="bilinear", antialias=True),
    normal(8, 3, 640, 480))
calls("interpolate_bicubic_antialias", lambda x: F.interpolate(x, (96, 96), mode="bicubic", antialias=True),
    normal(8, 3, 256, 256))
calls("interpolate_positions", lambda x: F.interpolate(x, (40, 53), mode="bicubic"), normal(1, 768, 14, 14))
calls("interpolate_linear", lambda x: F.interpolate(x, scale_factor=4, mode="linear"), normal(16, 128, 1000))
calls("interpolate_nearest_1d", lambda x: F.interpolate(x, scale_factor=300), normal(4, 1, 200))
calls("interpolate_trilinear", lambda x: F.interpolate(x, scale_factor=2, mode="trilinear"), normal(1, 32, 16, 32, 32))
calls("interpolate_nearest_3d", lambda x: F.interpolate(x, scale_factor=2), normal(1, 32, 16, 32, 32))
GRID = Input((8, 64, 64, 2), lambda random: torch.rand(8, 64, 64, 2, generator=random) * 2 - 1)
for _mode in ("bilinear", "nearest", "bicubic"):
    calls(f"grid_sample_{_mode}", lambda x, g, mode=_mode: F.grid_sample(x, g, mode=mode, align_corners=False),
        (normal(8, 64, 64, 64), GRID))
calls("grid_sample_border", lambda x, g: F.grid_sample(x, g, padding_mode="border", align_corners=True),
    (normal(8, 3, 256, 256), GRID))
fp32("grid_sample_3d", lambda x, g: F.grid_sample(x, g, align_corners=True),
    (normal(1, 16, 64, 64, 64), uniform(1, 1, 1, 65536, 3)))
calls("grid_sample_planes", lambda x, g: F.grid_sample(x, g, align_corners=False).sum(0),
    (normal(3, 32, 256, 256), uniform(3, 1, 65536, 2)))
calls("deformable_sampling", lambda x, g, w: (F.grid_sample(x, g, align_corners=False) * w).sum(-1),
    (normal(64, 32, 32, 32), uniform(64, 300, 4, 2), uniform(64, 1, 300, 4)))
calls("roi_align_by_grids", lambda x, g: F.grid_sample(x.expand(100, -1, -1, -1), g, align_corners=False),
    (normal(1, 256, 50, 50), uniform(100, 7, 7, 2)))
calls("affine_grid", lambda t: F.affine_grid(t, [32, 3, 128, 128], align_corners=False), normal(32, 2, 3))
calls("warp_by_flow", lambda x, f: F.grid_sample(x, (f.permute(0, 2, 3, 1) / 64).tanh(), align_corners=True),
    (normal(4, 32, 128, 160), normal(4, 2, 128, 160)))
calls("unfold_3x3", lambda x: F.unfold(x, 3, padding=1), normal(8, 64, 56, 56), normal(1, 3, 224, 224))
calls("unfold_patches", lambda x: F.unfold(x, 16, stride=16).mT.contiguous(), normal(16, 3, 224, 224))
calls("unfold_dilated", lambda x: F.unfold(x, 3, dilation=4, padding=4), normal(4, 32, 64, 64))
calls("fold_overlapping", lambda x: F.fold(x, (56, 56), 7, padding=3, stride=4), normal(8, 49 * 32, 196))
calls("fold_patches", lambda x: F.fold(x, (224, 224), 16, stride=16), normal(16, 768, 196))
calls("pixel_shuffle", lambda x: F.pixel_shuffle(x, 2), normal(4, 256, 64, 64), nhwc(4, 256, 48, 48))
calls("pixel_shuffle_4", lambda x: F.pixel_shuffle(x, 4), normal(1, 48, 180, 320))
calls("pixel_unshuffle", lambda x: F.pixel_unshuffle(x, 2), normal(8, 64, 128, 128))
calls("channel_shuffle", lambda x: F.channel_shuffle(x, 2), normal(16, 116, 28, 28), nhwc(16, 116, 28, 28))
calls("channel_shuffle_by_views", lambda x: x.view(16, 3, 80, 28, 28).transpose(1, 2).reshape(16, 240, 28, 28),
    normal(16, 240, 28, 28))
for _mode in ("constant", "reflect", "replicate", "circular"):
    calls(f"pad_{_mode}_2d", lambda x, mode=_mode: F.pad(x, (3, 3, 3, 3), mode), normal(8, 64, 64, 64))
    calls(f"pad_{_mode}_1d", lambda x, mode=_mode: F.pad(x, (200, 200), mode), normal(4, 8, 16000))
calls("pad_constant_right", lambda x: F.pad(x, (0, 1, 0, 1)), nhwc(8, 64, 64, 64), normal(8, 3, 333, 500))
calls("pad_rows", lambda x: F.pad(x, (0, 0, 0, 24), value=-1.0), normal(16, 1000, 256))
calls("pad_3d", lambda x: F.pad(x, (1, 1, 1, 1, 2, 0), "replicate"), normal(1, 32, 16, 64, 64))
calls("pad_negative", lambda x: F.pad(x, (-4, -4, -4, -4)), normal(16, 64, 64, 64))
calls("blur", lambda x, k: F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), k.expand(64, 1, 3, 3), stride=2, groups=64),
    (normal(8, 64, 56, 56), normal(1, 1, 3, 3)))
