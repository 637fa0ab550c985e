"""Norms, losses and distances."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.operator_tables.table import calls, fp32, ints, layer, nhwc, normal, uniform

# fmt: off
# A row is a line; what does not fit goes on in the next one.

# norms

layer("batch_norm2d", lambda: nn.BatchNorm2d(64), normal(16, 64, 112, 112), nhwc(8, 64, 112, 112))
layer("batch_norm2d_many_channels", lambda: nn.BatchNorm2d(2048), normal(16, 2048, 7, 7))
layer("batch_norm2d", lambda: nn.BatchNorm2d(64), normal(4, 64, 56, 56), dtype="fp32")
layer("batch_norm1d", lambda: nn.BatchNorm1d(512), normal(4096, 512), normal(16, 512, 300))
layer("batch_norm3d", lambda: nn.BatchNorm3d(32), normal(2, 32, 16, 56, 56))
layer("batch_norm_of_the_batch", lambda: nn.BatchNorm2d(64, track_running_stats=False), normal(8, 64, 56, 56))
layer("group_norm_32", lambda: nn.GroupNorm(32, 320), normal(4, 320, 64, 64), nhwc(4, 320, 64, 60))
layer("group_norm_1", lambda: nn.GroupNorm(1, 96), normal(16, 96, 56, 56))
layer("group_norm_of_sequences", lambda: nn.GroupNorm(8, 256), normal(16, 256, 1000), normal(64, 256))
layer("instance_norm2d", lambda: nn.InstanceNorm2d(64), normal(4, 64, 256, 128), nhwc(4, 64, 128, 128))
layer("instance_norm1d_affine", lambda: nn.InstanceNorm1d(512, affine=True), normal(4, 512, 2000))
layer("instance_norm3d", lambda: nn.InstanceNorm3d(32), normal(1, 32, 32, 64, 64))
layer("layer_norm", lambda: nn.LayerNorm(768), normal(32, 197, 768), normal(1, 768), normal(4, 7, 768))
layer("layer_norm_narrow", lambda: nn.LayerNorm(96), normal(16, 56, 56, 96), normal(100000, 96))
layer("layer_norm_wide", lambda: nn.LayerNorm(8192), normal(1024, 8192))
layer("layer_norm_odd", lambda: nn.LayerNorm(333), normal(4096, 333))
layer("layer_norm_no_affine", lambda: nn.LayerNorm(1152, elementwise_affine=False), normal(8, 1024, 1152))
layer("layer_norm_2d", lambda: nn.LayerNorm((64, 64)), normal(64, 16, 64, 64))
layer("layer_norm_3d", lambda: nn.LayerNorm((64, 32, 32)), normal(16, 64, 32, 32))
layer("layer_norm", lambda: nn.LayerNorm(1000), normal(2000, 1000), dtype="fp32")
layer("layer_norm", lambda: nn.LayerNorm(1024), normal(4096, 1024), dtype="bf16")
calls("layer_norm_channels_first", lambda m, x: m(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), normal(8, 192, 56, 56),
    layers=(lambda: nn.LayerNorm(192),))
layer("rms_norm", lambda: nn.RMSNorm(2048), normal(4, 1024, 2048))
layer("rms_norm_heads", lambda: nn.RMSNorm(128), normal(4, 1024, 16, 128), dtype="bf16")
calls("rms_norm_by_hand",
    lambda x, w: w * (x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype),
    (normal(2, 1024, 2048), normal(2048)))
layer("local_response_norm", lambda: nn.LocalResponseNorm(5), normal(8, 96, 55, 55))
calls("global_response_norm",
    lambda x: x * (lambda g: g / (g.mean(-1, keepdim=True) + 1e-6))(x.norm(dim=(1, 2), keepdim=True)) + x,
    normal(16, 28, 28, 768))
calls("adaptive_instance_norm",
    lambda x, s: (x - x.mean((2, 3), True)) / (x.std((2, 3), keepdim=True) + 1e-5) * s[..., None, None],
    (normal(4, 256, 64, 64), normal(4, 256)))
calls("reversible_instance_norm",
    lambda x: (x - x.mean(1, True)) / torch.sqrt(x.var(1, keepdim=True, unbiased=False) + 1e-5), normal(64, 336, 321))
calls("pixel_norm", lambda x: x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8), normal(8, 512, 64, 64))
calls("standardised_weights", lambda w: (w - w.mean((1, 2, 3), keepdim=True)) / w.std((1, 2, 3), keepdim=True),
    normal(512, 256, 3, 3))
layer("weight_norm_old", lambda: torch.nn.utils.weight_norm(nn.Conv1d(256, 256, 7, padding=3)), normal(4, 256, 1000))
layer("weight_norm", lambda: nn.utils.parametrizations.weight_norm(nn.Linear(512, 512)), normal(256, 512))
layer("spectral_norm_old", lambda: torch.nn.utils.spectral_norm(nn.Conv2d(64, 128, 3)), normal(8, 64, 64, 64))
layer("spectral_norm", lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(512, 512)), normal(256, 512))
layer("orthogonal", lambda: nn.utils.parametrizations.orthogonal(nn.Linear(64, 64)), normal(256, 64), dtype="fp32")


# losses and distances

calls("cross_entropy", F.cross_entropy, (normal(4096, 1000), ints(1000, 4096)), (normal(256, 32000), ints(32000, 256)))
calls("cross_entropy_of_pixels", F.cross_entropy, (normal(8, 21, 128, 128), ints(21, 8, 128, 128)))
calls("cross_entropy_smooth", lambda x, y: F.cross_entropy(x, y, label_smoothing=0.1),
    (normal(1024, 1000), ints(1000, 1024)))
calls("cross_entropy_each", lambda x, y: F.cross_entropy(x, y, reduction="none"),
    (normal(2048, 5000), ints(5000, 2048)))
calls("cross_entropy_of_probabilities", F.cross_entropy, (normal(1024, 1000), uniform(1024, 1000)))
calls("nll_loss", lambda x, y: F.nll_loss(x, y), (normal(8192, 40), ints(40, 8192)))
for _loss in (F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss, F.binary_cross_entropy_with_logits):
    calls(_loss.__name__, _loss, (uniform(4096, 1024), uniform(4096, 1024)))
calls("binary_cross_entropy", F.binary_cross_entropy, (uniform(64, 8400), uniform(64, 8400)))
calls("kl_div", lambda x, y: F.kl_div(x.log_softmax(-1), y.softmax(-1), reduction="batchmean"),
    (normal(512, 1000), normal(512, 1000)))
calls("kl_of_latents", lambda m, v: -0.5 * (1 + v - m.pow(2) - v.exp()).sum((1, 2, 3)),
    (normal(8, 4, 64, 64), normal(8, 4, 64, 64)))
calls("focal_loss",
    lambda x, y: (F.binary_cross_entropy_with_logits(x, y, reduction="none") * (x.sigmoid() - y).pow(2)).sum(),
    (normal(8, 8400, 20), uniform(8, 8400, 20)))
calls("dice", lambda x, y: 2 * (x * y).sum((2, 3)) / (x.sum((2, 3)) + y.sum((2, 3)) + 1e-5),
    (uniform(8, 4, 256, 256), uniform(8, 4, 256, 256)))
fp32("ctc_loss", lambda x, y: nn.CTCLoss()(x.log_softmax(-1), y + 1, [200] * 16, [20] * 16),
    (normal(200, 16, 64), ints(63, 16, 20)))
calls("cosine_similarity", lambda a, b: F.cosine_similarity(a, b, dim=-1), (normal(4096, 512), normal(4096, 512)),
    (normal(64, 1, 128), normal(1, 512, 128)))
calls("pairwise_distance", F.pairwise_distance, (normal(4096, 256), normal(4096, 256)))
fp32("cdist_2", torch.cdist, (normal(8, 1024, 3), normal(8, 1024, 3)), (normal(2048, 256), normal(1024, 256)),
    (normal(4, 20, 64), normal(4, 20, 64)))
fp32("cdist_1", lambda a, b: torch.cdist(a, b, p=1), (normal(8, 300, 4), normal(8, 50, 4)),
    (normal(1024, 64), normal(1024, 64)))
fp32("cdist_exact", lambda a, b: torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist"),
    (normal(4, 1024, 3), normal(4, 1024, 3)))
fp32("pdist", F.pdist, normal(512, 32))
calls("squared_distances", lambda a: a.square().sum(-1)[..., None] - 2 * a @ a.mT + a.square().sum(-1)[..., None, :],
    normal(8, 1024, 64))
calls("contrastive", lambda a, b: F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T * 14.3,
    (normal(512, 512), normal(512, 512)))
calls("triplet_margin", F.triplet_margin_loss, (normal(1024, 128), normal(1024, 128), normal(1024, 128)))
calls("charbonnier", lambda a, b: torch.sqrt((a - b) ** 2 + 1e-6).mean(),
    (uniform(4, 3, 256, 256), uniform(4, 3, 256, 256)))
calls("total_variation", lambda x: x.diff(dim=-1).abs().mean() + x.diff(dim=-2).abs().mean(), uniform(8, 3, 256, 256))
