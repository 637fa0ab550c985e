"""Gathers, scatters, embeddings."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.operator_tables.table import Input, bf16, bools, calls, fp32, ints, layer, normal, uniform

# fmt: off
# A row is a line; what does not fit goes on in the next one.

calls("gather_last", lambda x, i: x.gather(-1, i), (normal(64, 32000), ints(32000, 64, 50)),
    (normal(2, 12, 512, 1023), ints(1023, 2, 12, 512, 512)))
calls("gather_tokens", lambda x, i: x.gather(1, i[..., None].expand(-1, -1, x.shape[-1])),
    (normal(64, 196, 768), ints(196, 64, 49)))
calls("gather_first", lambda x, i: x.gather(0, i), (normal(5000, 256), ints(5000, 2000, 256)))
calls("take_along_dim", lambda x, i: torch.take_along_dim(x, i, dim=1), (normal(32, 100, 64), ints(100, 32, 100, 1)))
calls("index_select_rows", lambda x, i: x.index_select(0, i), (normal(10000, 128), ints(10000, 100000)),
    (normal(1000, 16), ints(1000, 5000)))
calls("index_select_middle", lambda x, i: x.index_select(1, i), (normal(16, 256, 28, 28), ints(256, 128)))
calls("index_select_last", lambda x, i: x.index_select(-1, i), (normal(4096, 1024), ints(1024, 512)))
calls("index_rows", lambda x, i: x[i], (normal(4096, 2048), ints(4096, 4096)), (normal(2708, 64), ints(2708, 10556)))
calls("index_rows_int32", lambda x, i: x[i], (normal(9000, 129), ints(9000, 7777, dtype=torch.int32)))
calls("index_last", lambda x, i: x[..., i], (normal(8, 64, 1024), ints(1024, 300)))
calls("index_two", lambda x, i, j: x[i, j], (normal(32, 512, 768), ints(32, 1000), ints(512, 1000)))
calls("index_batched_points", lambda x, i: x[torch.arange(len(i), device=x.device)[:, None, None], i],
    (normal(8, 4096, 64), ints(4096, 8, 1024, 32)))
calls("index_apart", lambda x, i, j: x[:, i, :, j], (normal(8, 64, 32, 64), ints(64, 100), ints(64, 100)))
calls("index_last_token", lambda x, n: x[torch.arange(len(n), device=x.device), n],
    (normal(32, 512, 1024), ints(512, 32)))
calls("index_table_of_bias", lambda t, i: t[i.flatten()].view(49, 49, -1).permute(2, 0, 1).contiguous(),
    (normal(169, 12), ints(169, 49, 49)))
calls("index_put", lambda x, i, v: x.index_put((i,), v), (normal(4096, 512), ints(4096, 1000), normal(1000, 512)))
calls("index_put_accumulate", lambda x, i, v: x.index_put((i,), v, accumulate=True),
    (normal(4096, 64), ints(4096, 8192), normal(8192, 64)))
calls("masked_fill_in_place", lambda x, m: x.masked_fill_(m, 0.0),
    (normal(64, 512, 512), bools(64, 512, 1, share=0.15)))
calls("index_add_nodes", lambda x, i: x.new_zeros(4096, x.shape[1]).index_add_(0, i, x),
    (normal(65536, 64), ints(4096, 65536)), (normal(8192, 1024), ints(4096, 8192)))
calls("index_copy_cache", lambda x, i, v: x.index_copy_(2, i, v),
    (normal(8, 8, 2048, 128), ints(2048, 16), normal(8, 8, 16, 128)))
calls("index_fill", lambda x, i: x.index_fill(1, i, 0.0), (normal(64, 512, 128), ints(512, 32)))
calls("scatter_value", lambda x, i: x.scatter(1, i, 1.0), (normal(64, 32000), ints(32000, 64, 512)))
calls("scatter_one_hot", lambda i: torch.zeros(*i.shape, 64, device=i.device).scatter_(-1, i[..., None], 1.0),
    ints(64, 8, 4096))
calls("scatter_back_sorted", lambda x, i: torch.zeros_like(x).scatter_(-1, i, x),
    (normal(8, 32000), ints(32000, 8, 32000)))
calls("scatter_add_nodes", lambda x, i: x.new_zeros(2708, 64).scatter_add_(0, i[:, None].expand_as(x), x),
    (normal(10556, 64), ints(2708, 10556)), (normal(200000, 64), ints(2708, 200000)))
fp32("scatter_add_nodes", lambda x, i: x.new_zeros(9999, 33).scatter_add_(0, i[:, None].expand_as(x), x),
    (normal(99999, 33), ints(9999, 99999)))
calls("scatter_add_voxels", lambda x, i: x.new_zeros(4, 64, 4096).scatter_add_(2, i[:, None].expand_as(x), x),
    (normal(4, 64, 16384), ints(4096, 4, 16384)))
for _reduce in ("mean", "amax"):
    calls(f"scatter_reduce_{_reduce}",
        lambda x, i, r=_reduce: x[:4096].scatter_reduce(0, i[:, None].expand_as(x), x, r, include_self=False),
        (normal(32768, 64), ints(4096, 32768)))
calls("degrees", lambda i: torch.zeros(4096, device=i.device).index_add_(0, i, torch.ones_like(i, dtype=torch.float32)),
    ints(4096, 65536))
calls("softmax_of_edges", lambda x, i: (lambda e: e / e.new_zeros(4096, 8).index_add_(0, i, e)[i])(x.exp()),
    (normal(65536, 8), ints(4096, 65536)))
fp32("segment_reduce", lambda x: torch.segment_reduce(x, "mean", lengths=torch.full((256,), 64, device=x.device)),
    normal(16384, 64))
calls("masked_scatter", lambda x, m, v: x.masked_scatter(m[..., None], v),
    (normal(4, 1024, 1024), bools(4, 1024, share=0.5), normal(4096, 1024)))
calls("take", torch.take, (normal(512, 512), ints(512 * 512, 100000)))
calls("assign_slice", lambda x: x[:, 16:48].zero_(), normal(64, 128, 512))
calls("upper_triangle", lambda x: x[:, *torch.triu_indices(27, 27, 1, device=x.device)], normal(2048, 27, 27))
calls("tokens_by_expert", lambda x, e: x[e.flatten().argsort() // 2], (normal(4096, 1024), ints(8, 4096, 2)))
calls("end_of_text", lambda x, t: x[torch.arange(64, device=x.device), t.to(torch.int32).argmax(-1)],
    (normal(64, 77, 512), ints(49408, 64, 77)))
layer("embedding", lambda: nn.Embedding(50257, 768), ints(50257, 8, 512), ints(50257, 1, 1))
layer("embedding_wide", lambda: nn.Embedding(4000, 4096), ints(4000, 8, 2048))
layer("embedding_of_categories", lambda: nn.Embedding(100000, 16), ints(100000, 4096, 26),
    ints(100000, 128, 13, dtype=torch.int32))
layer("embedding_odd", lambda: nn.Embedding(1001, 37), ints(1001, 512, 50))
fp32("embedding", F.embedding, (ints(30000, 16, 512), normal(30000, 384)))
for _mode in ("sum", "mean", "max"):
    layer(f"embedding_bag_{_mode}", functools.partial(nn.EmbeddingBag, 100000, 64, mode=_mode), ints(100000, 2048, 32))
layer("embedding_bag_offsets", lambda: nn.EmbeddingBag(100000, 128, mode="sum"),
    (ints(100000, 40000), Input((4000,), lambda r: torch.arange(0, 40000, 10))))
calls("embedding_bag_weighted",
    lambda i, t, w: F.embedding_bag(i, t, per_sample_weights=w, mode="sum"),
    (ints(50000, 2048, 20), normal(50000, 64), uniform(2048, 20)))
bf16("embedding", F.embedding, (ints(32000, 4, 1024), normal(32000, 480)))
calls("one_hot", lambda x: F.one_hot(x, 256), ints(256, 16, 1024), ints(256, 64, 7))
calls("one_hot_to_half", lambda x: F.one_hot(x, 8).permute(2, 1, 0).to(torch.float16), ints(8, 4096, 2))
calls("beam_reorder", lambda x, i: x.index_select(0, i), (normal(16, 12, 512, 64), ints(16, 16)))
