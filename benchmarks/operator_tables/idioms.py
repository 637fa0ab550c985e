"""A few operators each, as models of a field put them together."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.operator_tables.table import Input, bools, boxes, call, calls, fp32, ints, nhwc, normal, uniform


def _overlaps(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of all pairs of boxes."""
    low, high = (
        torch.maximum(a[..., :, None, :2], b[..., None, :, :2]),
        torch.minimum(a[..., :, None, 2:], b[..., None, :, 2:]),
    )
    both = (high - low).clamp(min=0).prod(-1)
    return both / (
        (a[..., 2:] - a[..., :2]).prod(-1)[..., :, None] + (b[..., 2:] - b[..., :2]).prod(-1)[..., None, :] - both
    )


# fmt: off
# A row is a line; what does not fit goes on in the next one.

# idioms of vision

calls("squeeze_excite", lambda a, b, x: x * torch.sigmoid(b(F.relu(a(x.mean((2, 3), keepdim=True))))),
    normal(16, 256, 28, 28), nhwc(16, 256, 28, 28),
    layers=(lambda: nn.Conv2d(256, 16, 1), lambda: nn.Conv2d(16, 256, 1)))
calls("efficient_channel_attention", lambda m, x: x * m(x.mean((2, 3))[:, None]).sigmoid().transpose(1, 2)[..., None],
    normal(16, 256, 28, 28), layers=(lambda: nn.Conv1d(1, 1, 5, padding=2),))
calls("cbam_spatial", lambda m, x: x * m(torch.cat((x.mean(1, True), x.amax(1, True)), 1)).sigmoid(),
    normal(8, 256, 56, 56), layers=(lambda: nn.Conv2d(2, 1, 7, padding=3),))
calls("non_local", lambda x: x + (x.flatten(2) @ (x.flatten(2).mT @ x.flatten(2)).softmax(-1)).view_as(x),
    normal(4, 64, 32, 32))
calls("layer_scale", lambda x, r, g: r + g * x, (normal(16, 784, 384), normal(16, 784, 384), normal(384)))
calls("layer_scale_channels_first", lambda x, r, g: r + g[:, None, None] * x,
    (normal(16, 96, 56, 56), normal(16, 96, 56, 56), normal(96)))
calls("pool_former_mixer", lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False) - x, normal(16, 96, 56, 56))
calls("ghost_halves", lambda m, x: torch.cat((x, m(x)), 1), normal(16, 40, 28, 28),
    layers=(lambda: nn.Conv2d(40, 40, 3, padding=1, groups=40),))
calls("pyramid_sum", lambda a, b: a + F.interpolate(b, size=a.shape[-2:], mode="nearest"),
    (normal(4, 256, 100, 152), normal(4, 256, 50, 76)))
calls("mixture_of_masks", lambda w, m: (w[..., None, None] * m[:, None]).sum(2).sigmoid() > 0.5,
    (normal(4, 20, 32), normal(4, 32, 80, 80)))
calls("gram_matrix", lambda x: x.flatten(2) @ x.flatten(2).mT / 4096, normal(4, 128, 64, 64))
calls("netvlad", lambda a, x, c: torch.einsum("bkn,bdn->bkd", a, x) - a.sum(-1)[..., None] * c,
    (uniform(8, 64, 1024), normal(8, 256, 1024), normal(64, 256)))
calls("attention_pool", lambda m, x: (m(x).softmax(1) * x).sum(1), normal(32, 200, 512),
    layers=(lambda: nn.Linear(512, 1),))
calls("cost_volume",
    lambda a, b: torch.stack([(a[..., n:] * b[..., : 128 - n]).mean(1)[..., :96] for n in range(2)], 1),
    (normal(2, 64, 96, 128), normal(2, 64, 96, 128)))
calls("soft_argmax", lambda x: (x.flatten(2).softmax(-1).view_as(x) * torch.arange(64, device=x.device)).sum((2, 3)),
    normal(32, 17, 64, 64))
calls("peaks_of_heatmap", lambda x: (x * (F.max_pool2d(x, 3, 1, 1) == x)).flatten(1).topk(100),
    uniform(4, 20, 128, 128))
calls("distribution_of_distances", lambda x, p: (x.view(4, 4, 16, 8400).softmax(2) * p[:, None]).sum(2),
    (normal(4, 64, 8400), normal(16)))
calls("mask_patches", lambda x, i: x.gather(1, i.argsort(1)[:, :49, None].expand(-1, -1, 768)),
    (normal(32, 196, 768), uniform(32, 196)))
calls("merge_masks", lambda q, x: torch.einsum("bqc,bchw->bqhw", q, x).sigmoid().flatten(2).sum(-1),
    (normal(2, 100, 256), normal(2, 256, 64, 64)))


# idioms of detection

fp32("overlaps", _overlaps, (boxes(1000), boxes(1000)), (boxes(4000), boxes(50)), (boxes(8, 300), boxes(8, 100)))
fp32("matrix_nms", lambda iou: (lambda u: (1 - u) / (1 - u.amax(0)[:, None] + 1e-6))(iou.triu(1)).amin(0),
    uniform(500, 500))
fp32("boxes_by_corners", lambda x: torch.cat((x[..., :2] - x[..., 2:] / 2, x[..., :2] + x[..., 2:] / 2), -1),
    boxes(8, 8400))
fp32("boxes_unbound",
    lambda x: (lambda a, b, c, d: torch.stack(((a + c) / 2, (b + d) / 2, c - a, d - b), -1))(*x.unbind(-1)),
    boxes(8, 900))
calls("decode_boxes",
    lambda d, a: torch.cat((d[..., :2] * 0.1 * a[..., 2:] + a[..., :2], torch.exp(d[..., 2:] * 0.2) * a[..., 2:]), -1),
    (normal(4, 8732, 4), uniform(8732, 4)))
calls("clip_boxes",
    lambda x: x.clamp(min=0).minimum(torch.tensor([640.0, 480.0, 640.0, 480.0], device=x.device, dtype=x.dtype)),
    boxes(8, 1000))
calls("keep_confident", lambda s, b: b[s.max(-1).values > 0.9], (uniform(8400, 4), boxes(8400)))


# idioms of points, graphs and fields

fp32("nearest_20_points", lambda x: torch.cdist(x, x).topk(20, largest=False).indices, normal(4, 1024, 3),
    normal(1, 4096, 3))
fp32("interpolate_three_neighbours",
    lambda f, d: (lambda t: (f[t.indices] * (1 / (t.values + 1e-8))[..., None]).sum(-2))(d.topk(3, largest=False)),
    (normal(1024, 128), uniform(4096, 1024)))
fp32("voxel_ids",
    lambda x: (lambda v: v[..., 0] * 10000 + v[..., 1] * 100 + v[..., 2])(((x + 5) / 0.1).floor().long().clamp(0, 99)),
    normal(200000, 3))
calls("pillars_to_image", lambda x, i: x.new_zeros(64, 432 * 496).index_copy_(1, i, x.t()).view(64, 432, 496),
    (normal(12000, 64), Input((12000,), lambda random: torch.randperm(432 * 496, generator=random)[:12000])))
calls("message_passing", lambda x, s, t: torch.zeros_like(x).index_add_(0, t, x[s]),
    (normal(2708, 128), ints(2708, 10556), ints(2708, 10556)),
    (normal(20000, 256), ints(20000, 100000), ints(20000, 100000)))
calls("normalised_messages",
    lambda x, s, t, d: x.new_zeros(x.shape).scatter_add_(0, t[:, None].expand(-1, 64), x[s] * (d[s] * d[t])[:, None]),
    (normal(10000, 64), ints(10000, 80000), ints(10000, 80000), uniform(10000)))
calls("graph_attention_scores", lambda a, b, s, t: F.leaky_relu(a[s] + b[t], 0.2),
    (normal(5000, 8), normal(5000, 8), ints(5000, 60000), ints(5000, 60000)))
calls("pool_of_graphs", lambda x, g: x.new_zeros(128, 64).scatter_reduce_(0, g[:, None].expand_as(x), x, "amax"),
    (normal(4000, 64), ints(128, 4000)))
fp32("distances_of_edges", lambda p, s, t: (p[s] - p[t]).norm(dim=-1, keepdim=True),
    (normal(5000, 3), ints(5000, 100000), ints(5000, 100000)))
fp32("radial_basis", lambda d: torch.exp(-10.0 * (d - torch.linspace(0, 5, 50, device=d.device)) ** 2),
    uniform(100000, 1))
fp32("cosine_cutoff", lambda d: 0.5 * (torch.cos(d * math.pi / 5.0) + 1.0) * (d < 5.0), uniform(200000))
fp32("project_points",
    lambda p, k: (lambda y: y[..., :2] / y[..., 2:].clamp(min=1e-3))(F.pad(p, (0, 1), value=1.0) @ k.mT),
    (normal(4, 50000, 3), normal(4, 3, 4)))
calls("volume_render",
    lambda s, c: (lambda a: ((a * torch.cumprod(1 - a + 1e-10, -1))[..., None] * c).sum(-2))(1 - torch.exp(-s * 0.01)),
    (uniform(4096, 128), uniform(4096, 128, 3)))
fp32("sine_layer", lambda m, x: torch.sin(30 * m(x)), normal(65536, 256), layers=(lambda: nn.Linear(256, 256),))
fp32("laplacian", lambda u: u.roll(1, -1) + u.roll(-1, -1) + u.roll(1, -2) + u.roll(-1, -2) - 4 * u,
    normal(16, 256, 256))
fp32("hash_grid_ids", lambda x: ((x[..., 0] * 1) ^ (x[..., 1] * 2654435761) ^ (x[..., 2] * 805459861)) % (1 << 19),
    ints(512, 262144, 3))
fp32("splines", lambda x, g: ((x[..., None] >= g[:-1]) & (x[..., None] < g[1:])).float() * (x[..., None] - g[:-1]),
    (uniform(4096, 64), Input((12,), lambda random: torch.linspace(-1, 2, 12))))
fp32("morlet_wavelets", lambda x: torch.cos(1.75 * x) * torch.exp(-(x**2) / 2), normal(1024, 2048))


# idioms of recommenders, tables and time series

calls("factorisation_machine", lambda x: 0.5 * (x.sum(1) ** 2 - (x**2).sum(1)).sum(1, keepdim=True),
    normal(4096, 26, 16))
calls("cross_network", lambda m, x, y: x * m(y) + y, (normal(4096, 416), normal(4096, 416)),
    layers=(lambda: nn.Linear(416, 416),))
calls("cross_network_vector", lambda x, y, w: x * (y @ w)[:, None] + y,
    (normal(4096, 416), normal(4096, 416), normal(416)))
calls("dot_interactions", lambda x, i, j: (x @ x.mT)[:, i, j], (normal(2048, 27, 64), ints(27, 351), ints(27, 351)))
calls("pairs_of_fields", lambda x: torch.stack([x[:, 0] * x[:, n] for n in range(1, 8)], 1), normal(4096, 26, 16))
calls("interest_of_history", lambda h, c: torch.cat((h, c[:, None].expand_as(h), h - c[:, None], h * c[:, None]), -1),
    (normal(512, 100, 64), normal(512, 64)))
calls("two_towers", lambda a, b: (F.normalize(a, dim=-1) * F.normalize(b, dim=-1)).sum(-1),
    (normal(8192, 64), normal(8192, 64)))
calls("offset_fields", lambda m, x: m(x + torch.arange(26, device=x.device) * 1000), ints(1000, 4096, 26),
    layers=(lambda: nn.Embedding(26000, 16),))
calls("numeric_tokens", lambda x, w, b: x[..., None] * w + b, (normal(2048, 32), normal(32, 192), normal(32, 192)))
calls("mixture_of_towers", lambda g, e: (g.softmax(-1)[..., None] * e).sum(1), (normal(4096, 8), normal(4096, 8, 128)))
calls("soft_tree", lambda m, x: (lambda p: torch.stack((p, 1 - p), -1).prod(-2))(m(x).sigmoid()), normal(2048, 64),
    layers=(lambda: nn.Linear(64, 24),))
calls("decompose_series",
    lambda x: x - F.avg_pool1d(torch.cat((x[:, :1].repeat(1, 12, 1), x, x[:, -1:].repeat(1, 12, 1)), 1).mT, 25, 1).mT,
    normal(32, 336, 64))
calls("patches_of_series", lambda x: F.pad(x.mT, (0, 8), "replicate").unfold(-1, 16, 8).contiguous(),
    normal(32, 336, 64))
calls("last_value_normalised", lambda m, x: m((x - x[:, -1:]).mT).mT + x[:, -1:], normal(32, 336, 64),
    layers=(lambda: nn.Linear(336, 96),))
calls("lags", lambda x: torch.stack([x[:, 64 - n : 512 - n] for n in (1, 2, 7, 14, 28)], -1), normal(256, 512))


# idioms of audio, speech and sequences

fp32("log_mel", lambda p, m: (m @ p).clamp(min=1e-10).log10().maximum(torch.tensor(-8.0, device=p.device)) / 4 + 1,
    (uniform(8, 201, 3000), uniform(80, 201)))
fp32("preemphasis", lambda x: torch.cat((x[:, :1], x[:, 1:] - 0.97 * x[:, :-1]), 1), normal(16, 160000))
fp32("mu_law", lambda x: ((x.sign() * torch.log1p(255 * x.abs()) / 5.545 + 1) / 2 * 255 + 0.5).long(),
    normal(16, 64000))
calls("wave_gate", lambda x: torch.tanh(x[:, :64]) * torch.sigmoid(x[:, 64:]), normal(4, 128, 16000))
fp32("harmonic_source", lambda f: torch.sin(2 * math.pi * (f / 24000).cumsum(1) * torch.arange(1, 9, device=f.device)),
    uniform(4, 24000, 1))
calls("codebook_distances", lambda x, c: (x.pow(2).sum(1, keepdim=True) - 2 * x @ c.t() + c.pow(2).sum(1)).argmin(1),
    (normal(8192, 64), normal(1024, 64)))
calls("finite_scalars", lambda x: (lambda z: z + (z.round() - z).detach())(torch.tanh(x) * 3.5), normal(8, 1024, 6))
fp32("fake_quantize", lambda x: torch.fake_quantize_per_tensor_affine(x, 0.05, 0, -128, 127), normal(4096, 1024))
fp32("fake_quantize_channels",
    lambda x, s: torch.fake_quantize_per_channel_affine(x, s, torch.zeros(512, device=x.device), 0, -128, 127),
    (normal(512, 2048), uniform(512)))
calls("quantize_tokens",
    lambda x: (lambda s: ((x / s).round().to(torch.int8), s))(x.abs().amax(-1, keepdim=True) / 127), normal(2048, 4096))
calls("ternary_weights", lambda w: (lambda s: (w * s).round().clamp(-1, 1) / s)(1 / w.abs().mean().clamp(min=1e-5)),
    normal(4096, 2048))
fp32("crf_step", lambda a, e, t: (a[:, :, None] + t + e[:, None]).logsumexp(1),
    (normal(64, 32), normal(64, 32), normal(32, 32)))
fp32("viterbi_step", lambda a, e, t: (lambda m: (m.values + e, m.indices))((a[:, :, None] + t).max(1)),
    (normal(64, 50), normal(64, 50), normal(50, 50)))
fp32("alignment_step", lambda a, x: torch.logaddexp(a, F.pad(a[:, :-1], (1, 0), value=-1e4)) + x,
    (normal(32, 200), normal(32, 200)))
calls("greedy_collapse", lambda x: (lambda b: b.masked_fill(F.pad(b[:, 1:] == b[:, :-1], (1, 0)), 0))(x.argmax(-1)),
    normal(16, 500, 64))
calls("length_mask", lambda n: torch.arange(512, device=n.device)[None] >= n[:, None], ints(512, 256))
calls("causal_and_padding", lambda m: torch.ones(512, 512, dtype=torch.bool, device=m.device).tril() & m[:, None, None],
    bools(16, 512))
calls("mask_to_bias", lambda m: (1.0 - m[:, None, None].to(torch.float16)) * -65504.0, bools(64, 512))
calls("relative_bias", lambda m, i: m(i).permute(2, 0, 1)[None].contiguous(), ints(32, 512, 512),
    layers=(lambda: nn.Embedding(32, 12),))


# idioms of sampling, diffusion and reinforcement learning

fp32("top_k_mask", lambda x: x.masked_fill(x < x.topk(50).values[..., -1:], -1e9).softmax(-1), normal(16, 32000))
fp32("repetition_penalty",
    lambda x, i: (lambda s: x.scatter(1, i, torch.where(s < 0, s * 1.2, s / 1.2)))(x.gather(1, i)),
    (normal(16, 50257), ints(50257, 16, 256)))
fp32("sample_token", lambda x: torch.multinomial((x / 0.7).softmax(-1), 1), normal(16, 50257))
fp32("gumbel_max", lambda x: (x - torch.empty_like(x).exponential_().log()).argmax(-1), normal(64, 32000))
calls("guidance", lambda x: (lambda u, c: u + 7.5 * (c - u))(*x.chunk(2)), normal(16, 4, 64, 64))
calls("noise_step",
    lambda x, n, a, t: a[t].sqrt()[:, None, None, None] * x + (1 - a[t]).sqrt()[:, None, None, None] * n,
    (normal(16, 4, 64, 64), normal(16, 4, 64, 64), uniform(1000), ints(1000, 16)))
calls("gated_by_time", lambda m, x, t: x + m(F.silu(t))[:, :, None, None], (normal(8, 320, 64, 64), normal(8, 1280)),
    layers=(lambda: nn.Linear(1280, 320),))
calls("dueling", lambda v, a: v + a - a.mean(-1, keepdim=True), (normal(4096, 1), normal(4096, 18)))
calls("squashed_gaussian", lambda m, s: torch.tanh(m + s.clamp(-5, 2).exp() * torch.randn_like(m)),
    (normal(4096, 17), normal(4096, 17)))
fp32("gaussian_log_density", lambda x, m, s: (-((x - m) ** 2) / (2 * s.exp() ** 2) - s - 0.9189).sum(-1),
    (normal(4096, 17), normal(4096, 17), normal(17)))
fp32("categorical_support", lambda x: (x.softmax(-1) * torch.linspace(-10, 10, 51, device=x.device)).sum(-1),
    normal(1024, 18, 51))
fp32("symlog", lambda x: x.sign() * torch.log1p(x.abs()), normal(1024, 1024))
fp32("returns_by_flip", lambda r: (r * 0.99).flip(1).cumsum(1).flip(1), normal(256, 128))
fp32("coupling", lambda x, s, t: (x * torch.exp(s.tanh()) + t, s.tanh().sum((1, 2, 3))),
    (normal(8, 24, 32, 32), normal(8, 24, 32, 32), normal(8, 24, 32, 32)))
fp32("mixture_density", lambda w, x: torch.logsumexp(w.log_softmax(-1) - 0.5 * x.square().sum(-1), -1),
    (normal(4096, 20), normal(4096, 20, 8)))
fp32("sinkhorn_step", lambda x: (lambda y: y - y.logsumexp(-2, keepdim=True))(x - x.logsumexp(-1, keepdim=True)),
    normal(16, 256, 256))
fp32("random_projection", lambda x, w: torch.cat((torch.cos(x @ w), torch.sin(x @ w)), -1) * 0.0625,
    (normal(8, 1024, 64), normal(64, 256)))

# fmt: on
# Calls that take statements.


@call(normal(8, 255, 80, 80))
def decode_grid(x: Tensor) -> Tensor:
    y = x.view(8, 3, 85, 80, 80).permute(0, 1, 3, 4, 2).sigmoid()
    return torch.cat(((y[..., :2] * 2 - 0.5) * 8, (y[..., 2:4] * 2) ** 2 * 16, y[..., 4:]), -1)


@call(normal(9, 4), dtype="fp32")
def anchors(x: Tensor) -> Tensor:
    rows, columns = torch.arange(100, device=x.device), torch.arange(152, device=x.device)
    places = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1).view(-1, 1, 2)
    return (places.repeat(1, 1, 2) * 8 + x).view(-1, 4)


@call((normal(8, 900, 91), boxes(8, 900)))
def best_of_queries(scores: Tensor, found: Tensor) -> Tensor:
    chosen = scores.sigmoid().flatten(1).topk(300).indices // 91
    return found.gather(1, chosen[..., None].expand(-1, -1, 4))


@call((normal(4, 512, 3), normal(4, 2048, 3)), dtype="fp32")
def ball_query(centres: Tensor, points: Tensor) -> Tensor:
    numbers = torch.arange(2048, device=points.device)
    return torch.where(torch.cdist(centres, points) < 0.5, numbers, 2048).sort(-1).values[..., :32]


@call((normal(16, 4096, 3), uniform(16, 4096), ints(4096, 16)), dtype="fp32")
def farthest_point_step(points: Tensor, nearest: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    centre = points.gather(1, chosen[:, None, None].expand(-1, 1, 3))
    nearest = torch.minimum(nearest, ((points - centre) ** 2).sum(-1))
    return nearest, nearest.argmax(-1)


@call((normal(4, 1024, 64), ints(1024, 4, 1024, 20)))
def edge_features(x: Tensor, neighbours: Tensor) -> Tensor:
    there = x[torch.arange(4, device=x.device)[:, None, None], neighbours]
    return torch.cat((there - x[:, :, None], x[:, :, None].expand_as(there)), -1)


@call(normal(100000, 4), dtype="fp32")
def quaternion_to_row(x: Tensor) -> Tensor:
    r, i, j, k = F.normalize(x, dim=-1).unbind(-1)
    return torch.stack((1 - 2 * (j * j + k * k), 2 * (i * j - k * r), 2 * (i * k + j * r)), -1)


@call(ints(512, 512))
def buckets_of_positions(positions: Tensor) -> Tensor:
    apart = (positions[:, None] - positions[None]).abs()
    return torch.where(apart < 16, apart, (16 + (apart.float() / 16).log() * 7.7).long().clamp(max=31))


@call(normal(8, 32000), normal(1, 128256), dtype="fp32")
def top_p(x: Tensor) -> Tensor:
    ordered, indices = x.sort(-1, descending=True)
    outside = ordered.softmax(-1).cumsum(-1) > 0.9
    return x.masked_fill(outside.scatter(1, indices, outside), -1e9)


@call((normal(8, 4, 32000), normal(8, 4)), dtype="fp32")
def beam_step(x: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    best = (x.log_softmax(-1) + scores[..., None]).flatten(1).topk(8)
    return best.values, best.indices // 32000, best.indices % 32000
