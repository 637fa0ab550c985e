"""Sums, means and extremes over dimensions, scans, sorting."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from benchmarks.operator_tables.table import TOKENS, Input, bf16, bools, calls, fp32, ints, nhwc, normal, uniform

# fmt: off
# A row is a line; what does not fit goes on in the next one.

# reductions over first, middle, last and several dimensions

ROWS, WIDE, STACK = normal(2048, 768), normal(64, 65536), normal(32, 200, 512)
calls("sum_first", lambda x: x.sum(0), ROWS, normal(64, 64), normal(100000, 32), normal(12, 1024, 1024))
calls("sum_last", lambda x: x.sum(-1), ROWS, WIDE, normal(1000000, 3), normal(4, 33))
calls("sum_middle", lambda x: x.sum(1), STACK, normal(8, 4096, 64), normal(4096, 5, 512))
calls("sum_ends", lambda x: x.sum((0, 2)), STACK)
calls("sum_all", lambda x: x.sum(), TOKENS, normal(1000))
calls("sum_of_transposed", lambda x: x.transpose(1, 2).sum(-1), STACK)
calls("sum_bool", lambda x: x.sum(-1), bools(4096, 2048))
calls("sum_int", lambda x: x.sum(1), ints(100, 256, 77, 64))
calls("mean_pixels", lambda x: x.mean((2, 3)), normal(16, 512, 28, 28), normal(64, 2048, 7, 7), normal(2, 24, 255, 255))
calls("mean_pixels_nhwc", lambda x: x.mean((2, 3), keepdim=True), nhwc(16, 512, 28, 28))
calls("mean_channels", lambda x: x.mean(1, keepdim=True), normal(16, 256, 56, 56), nhwc(16, 64, 56, 56))
calls("mean_volume", lambda x: x.mean((2, 3, 4)), normal(8, 256, 8, 14, 14))
calls("mean_time", lambda x: x.mean(1), normal(16, 1500, 384), normal(256, 16, 128))
calls("mean_square", lambda x: x.pow(2).mean(-1, keepdim=True), normal(8, 512, 4096))
calls("mean_where", lambda x, m: (x * m).sum(1) / m.sum(1).clamp(min=1e-9), (normal(64, 128, 384), bools(64, 128, 1)))
calls("std_mean_last", lambda x: torch.std_mean(x, -1), ROWS, normal(32, 80, 3000))
calls("std_statistics", lambda x: torch.cat((x.mean(-1), x.std(-1)), 1), normal(32, 1536, 300))
calls("std_over_batch", lambda x: x.std(0, unbiased=False).mean(), normal(16, 512, 16, 16))
calls("var_first", lambda x: x.var(0), ROWS)
calls("var_mean_spatial", lambda x: torch.var_mean(x, (2, 3), keepdim=True), normal(8, 128, 128, 128))
calls("prod_last", lambda x: x.prod(-1), uniform(4096, 64))
calls("amax_middle", lambda x: x.amax(1), STACK, normal(8, 64, 4096))
calls("amin_pixels", lambda x: x.amin((-1, -2)), normal(32, 64, 64, 64))
calls("max_last", lambda x: x.max(-1), normal(4096, 1000), normal(8, 256, 2048))
calls("max_over_points", lambda x: x.max(2).values, normal(8, 1024, 1024))
calls("max_over_neighbours", lambda x: x.max(-1)[0], normal(8, 64, 1024, 20))
calls("max_first", lambda x: x.max(0).values, normal(64, 100000))
calls("max_all", lambda x: x.max(), TOKENS)
calls("min_middle", lambda x: x.min(1), normal(16, 512, 1024))
calls("argmax_last", lambda x: x.argmax(-1), normal(256, 32000), normal(4096, 7), normal(1, 151936))
calls("argmax_channels", lambda x: x.argmax(1), normal(8, 21, 256, 256))
calls("argmin_codebook", lambda x: x.argmin(-1), normal(8192, 1024))
calls("aminmax", lambda x: torch.aminmax(x), TOKENS)
calls("aminmax_rows", lambda x: torch.aminmax(x, dim=-1), ROWS)
calls("max_int", lambda x: x.max(-1), ints(1000, 4096, 128))
calls("argmax_of_bool", lambda x: x.int().argmax(-1), bools(256, 512, share=0.01))
calls("any_last", lambda x: x.any(-1), bools(4096, 1024, share=0.01))
calls("all_middle", lambda x: x.all(1), bools(32, 512, 256, share=0.99))
calls("count_nonzero", lambda x: torch.count_nonzero(x, dim=1), ints(3, 512, 2048))
calls("nansum", lambda x: torch.nansum(x, -1), ROWS)
calls("max_of_two_dims", lambda x: x.amax((1, 3)), normal(16, 32, 64, 128))
fp32("covariance", torch.cov, normal(128, 4096))
fp32("correlations", torch.corrcoef, normal(64, 1000))
bf16("sum_middle", lambda x: x.sum(1), normal(16, 512, 1000))
fp32("logsumexp_last", lambda x: x.logsumexp(-1), normal(64, 128, 1000), normal(4096, 9, 9))
calls("logsumexp_middle", lambda x: x.logsumexp(1), normal(64, 128, 512))
calls("norm_last", lambda x: x.norm(dim=-1, keepdim=True), normal(8, 4096, 256), normal(100000, 3))
calls("norm_channels", lambda x: torch.linalg.vector_norm(x, dim=1), normal(8, 256, 64, 64))
calls("norm_1", lambda x: torch.linalg.vector_norm(x, ord=1, dim=-1), ROWS)
calls("norm_max", lambda x: torch.linalg.vector_norm(x, ord=math.inf, dim=(-1, -2)), normal(64, 256, 256))
calls("norm_3", lambda x: torch.linalg.vector_norm(x, ord=3, dim=-1), ROWS)
calls("norm_all", lambda x: x.norm(), normal(4096, 4096))
calls("normalize_last", lambda x: F.normalize(x, dim=-1), normal(8, 1024, 512), normal(256, 768))
calls("normalize_channels", lambda x: F.normalize(x, dim=1), normal(8, 256, 64, 64))
calls("renorm", lambda x: x.renorm(2, 0, 1.0), normal(10000, 128))
fp32("sum_last", lambda x: x.sum(-1), normal(2048, 1000), normal(37, 1234567 // 37))
fp32("sum_first", lambda x: x.sum(0), normal(8192, 1000), normal(3, 2000001))
bf16("mean_pixels", lambda x: x.mean((2, 3)), normal(8, 320, 64, 64))


# scans

calls("cumsum_last", lambda x: x.cumsum(-1), normal(64, 32000), normal(4096, 128), normal(1, 1000000))
calls("cumsum_middle", lambda x: x.cumsum(1), normal(32, 512, 256), normal(2, 4096, 64))
calls("cumsum_first", lambda x: x.cumsum(0), normal(1000, 512), normal(100000, 8))
calls("cumsum_int", lambda x: x.cumsum(1), ints(2, 64, 2048), ints(2, 8, 64, 64, dtype=torch.int32))
calls("cumsum_bool", lambda x: x.cumsum(-1), bools(32, 1000))
calls("cumprod_rays", lambda x: (1 - x + 1e-7).cumprod(-1), uniform(4096, 192))
calls("cummax_last", lambda x: x.cummax(-1), normal(256, 2048))
calls("cummax_time", lambda x: x.cummax(1), normal(8, 1024, 128))
calls("logcumsumexp", lambda x: x.logcumsumexp(1), normal(8, 512, 256), normal(512, 2048, 1))
calls("diff", lambda x: x.diff(dim=1), normal(64, 4096, 16))
fp32("segment_sums", lambda x: (lambda c: (c[..., :, None] - c[..., None, :]).tril().exp())(x.cumsum(-1)),
    uniform(8, 32, 16, 64))


# sorting and order statistics

calls("sort_last", lambda x: x.sort(-1), normal(64, 1024), normal(1, 128256), normal(8, 32000), normal(100000, 16))
calls("sort_middle", lambda x: x.sort(1), normal(16, 512, 64))
calls("sort_stable_descending", lambda x: x.sort(stable=True, dim=-1, descending=True), normal(16, 8400))
calls("argsort_last", lambda x: x.argsort(-1), uniform(64, 196), uniform(16, 4096))
calls("argsort_of_int", lambda x: x.argsort(), ints(64, 32768))
calls("shuffled_ranks", lambda x: x.argsort(1).argsort(1), uniform(64, 196))
calls("topk_last", lambda x: x.topk(50), normal(16, 32000), normal(1, 151936), normal(1024, 256))
calls("topk_2_of_experts", lambda x: x.softmax(-1).topk(2), normal(4096, 8), normal(4096, 64))
calls("topk_8_of_experts", lambda x: x.topk(8, dim=-1, sorted=False), normal(2048, 256))
calls("topk_5_of_classes", lambda x: x.topk(5, dim=1), normal(256, 1000))
calls("topk_300_of_queries", lambda x: x.topk(300, dim=1).indices, normal(8, 8400), normal(1, 27200))
calls("topk_1000_of_anchors", lambda x: x.flatten(1).topk(1000), normal(4, 91, 13000))
calls("topk_smallest", lambda x: x.topk(20, largest=False), normal(8, 1024, 1024))
calls("topk_middle", lambda x: x.topk(4, dim=1), normal(32, 128, 256))
calls("kthvalue", lambda x: x.kthvalue(16, dim=-1), normal(256, 1000))
calls("median_last", lambda x: x.median(-1), normal(512, 99))
calls("median_all", lambda x: x.median(), normal(1000000))
calls("mode", lambda x: x.mode(-1), ints(10, 128, 64))
fp32("quantile", lambda x: x.quantile(0.9, dim=-1), uniform(64, 10000))
fp32("quantiles", lambda x: x.quantile(torch.tensor([0.1, 0.5, 0.9], device=x.device), dim=1), uniform(32, 500, 16))
fp32("searchsorted_rows", torch.searchsorted,
    (Input((4096, 64), lambda r: torch.rand(4096, 64, generator=r).cumsum(-1)), uniform(4096, 128)))
fp32("bucketize", lambda x: torch.bucketize(x, torch.linspace(0, 1, 255, device=x.device)), uniform(32, 1024, 64))
fp32("histc", lambda x: x.histc(bins=256, min=0, max=1), uniform(1000000))
calls("bincount", lambda x: x.bincount(minlength=64), ints(64, 16384))
calls("unique", lambda x: x.unique(return_inverse=True), ints(5000, 20000))
calls("unique_consecutive", lambda x: torch.unique_consecutive(x), ints(3, 20000))
calls("nonzero", lambda x: x.nonzero(), bools(512, 512, share=0.1))
calls("masked_select", lambda x, m: x[m], (normal(64, 128, 256), bools(64, 128)),
    (normal(8400), bools(8400, share=0.05)))
calls("isin", lambda x: torch.isin(x, torch.arange(0, 64, 4, device=x.device)), ints(1000, 64, 512))
calls("cross_nonzero_tuple", lambda x: torch.where(x), bools(4096, 8, share=0.25))
