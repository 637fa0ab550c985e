"""Joins, splits, copies of views, tensors made in a forward, random numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.operator_tables.table import TOKENS, call, calls, fp32, ints, nhwc, normal, uniform

# fmt: off
# A row is a line; what does not fit goes on in the next one.

# memory layout: joins, splits, copies of views

calls("cat_first", lambda a, b: torch.cat((a, b)), (normal(2048, 768), normal(2048, 768)))
calls("cat_last", lambda a, b: torch.cat((a, b), -1), (normal(4096, 512), normal(4096, 13)),
    (normal(8, 12, 512, 64), normal(8, 12, 512, 64)))
calls("cat_channels", lambda a, b: torch.cat((a, b), 1), (normal(8, 256, 56, 56), normal(8, 128, 56, 56)),
    (nhwc(8, 128, 64, 64), nhwc(8, 64, 64, 64)))
calls("cat_cache", lambda a, b: torch.cat((a, b), 2), (normal(8, 8, 2047, 128), normal(8, 8, 1, 128)))
calls("cat_class_token", lambda x, c: torch.cat((c.expand(len(x), -1, -1), x), 1),
    (normal(32, 196, 768), normal(1, 1, 768)))
calls("cat_of_26", lambda x: torch.cat([x[:, n] for n in range(26)], -1), normal(4096, 26, 16))
calls("cat_dense_block", lambda x: torch.cat([x[:, n * 32 : n * 32 + 32] for n in range(12)], 1),
    normal(16, 384, 28, 28))
calls("cat_mixed", lambda a, b: torch.cat((a.float(), b), 1), (normal(4096, 64), ints(9, 4096, 8)))
calls("stack_first", lambda a, b: torch.stack((a, b)), (normal(8, 512, 512), normal(8, 512, 512)))
calls("stack_last", lambda a, b: torch.stack((a, b), -1).flatten(-2), (normal(8, 12, 512, 32), normal(8, 12, 512, 32)))
calls("stack_time", lambda x: torch.stack([x[:, t] * 2 for t in range(8)], 1), normal(64, 8, 512))
calls("chunk_contiguous", lambda x: [part.contiguous() for part in x.chunk(3, -1)], normal(8, 512, 2304))
calls("split_uneven", lambda x: [part.contiguous() for part in x.split([64, 128, 192], 1)], normal(8, 384, 28, 28))
calls("split_heads", lambda x: x.view(8, 512, 3, 12, 64).permute(2, 0, 3, 1, 4).contiguous(), normal(8, 512, 2304))
calls("merge_heads", lambda x: x.transpose(1, 2).reshape(8, 512, -1), normal(8, 12, 512, 64))
calls("transpose_copy", lambda x: x.mT.contiguous(), normal(4096, 4096), normal(64, 197, 768), normal(1000, 33, 65))
calls("permute_0213", lambda x: x.permute(0, 2, 1, 3).contiguous(), normal(8, 1024, 16, 64), normal(4, 77, 5, 31))
calls("permute_0231", lambda x: x.permute(0, 2, 3, 1).contiguous(), normal(16, 256, 56, 56), normal(4, 3, 512, 512))
calls("permute_0312", lambda x: x.permute(0, 3, 1, 2).contiguous(), normal(16, 56, 56, 256))
calls("permute_3210", lambda x: x.permute(3, 2, 1, 0).contiguous(), normal(64, 48, 32, 56))
calls("permute_20413", lambda x: x.permute(2, 0, 4, 1, 3).contiguous(), normal(8, 64, 16, 12, 32))
calls("permute_of_ints", lambda x: x.permute(0, 2, 1).contiguous(), ints(9, 64, 128, 256),
    ints(9, 64, 128, 128, dtype=torch.uint8))
calls("to_channels_last", lambda x: x.contiguous(memory_format=torch.channels_last), normal(32, 3, 224, 224),
    normal(8, 128, 64, 64))
calls("from_channels_last", lambda x: x.contiguous(), nhwc(8, 128, 64, 64))
calls("expand_contiguous", lambda x: x.expand(64, -1, -1).contiguous(), normal(1, 512, 768))
calls("expand_grouped_heads", lambda x: x[:, :, None].expand(-1, -1, 4, -1, -1).reshape(4, 32, 1024, 128),
    normal(4, 8, 1024, 128))
calls("repeat", lambda x: x.repeat(8, 1, 1), normal(4, 512, 256))
calls("repeat_last", lambda x: x.repeat(1, 1, 4), normal(32, 512, 64))
calls("tile", lambda x: x.tile(4, 4), normal(512, 512))
calls("repeat_interleave", lambda x: x.repeat_interleave(4, dim=1), normal(4, 8, 1024, 128), normal(64, 50, 80))
calls("repeat_interleave_durations", lambda x, n: x.repeat_interleave(n, dim=0), (normal(512, 384), ints(9, 512)))
calls("roll_window", lambda x: x.roll((-3, -3), (1, 2)), normal(16, 56, 56, 96), normal(4, 14, 14, 384))
calls("roll_last", lambda x: x.roll(1, -1), normal(512, 4096))
calls("flip_time", lambda x: x.flip(1), normal(32, 1024, 256))
calls("flip_pixels", lambda x: x.flip(-1), normal(16, 3, 512, 512))
calls("rot90", lambda x: x.rot90(1, (2, 3)), normal(16, 16, 128, 128))
calls("tril", lambda x: x.tril(), normal(64, 512, 512))
calls("triu_mask", lambda x: torch.ones(2048, 2048, dtype=torch.bool, device=x.device).triu(1), normal(1))
calls("triu_float_mask", lambda x: torch.full((1024, 1024), -math.inf, device=x.device).triu(1), normal(1))
calls("diagonal_copy", lambda x: x.diagonal(dim1=-2, dim2=-1).contiguous(), normal(64, 256, 256))
calls("diag_embed", lambda x: x.diag_embed(), normal(64, 256))
calls("trace", lambda x: x.trace(), normal(1024, 1024))
calls("slice_strided", lambda x: x[:, :, ::2, ::2].contiguous(), normal(16, 64, 112, 112))
calls("focus_slices",
    lambda x: torch.cat((x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]), 1),
    normal(8, 3, 640, 640))
calls("patch_merging", lambda x: torch.cat((x[:, ::2, ::2], x[:, 1::2, ::2], x[:, ::2, 1::2], x[:, 1::2, 1::2]), -1),
    normal(16, 56, 56, 96))
calls("window_partition", lambda x: x.view(16, 8, 7, 8, 7, 96).transpose(2, 3).reshape(-1, 49, 96),
    normal(16, 56, 56, 96))
calls("window_reverse", lambda x: x.view(16, 8, 8, 7, 7, 96).transpose(2, 3).reshape(16, 56, 56, 96),
    normal(1024, 49, 96))
calls("patchify", lambda x: x.view(32, 3, 14, 16, 14, 16).permute(0, 2, 4, 3, 5, 1).reshape(32, 196, 768),
    normal(32, 3, 224, 224))
calls("unpatchify", lambda x: torch.einsum("nhwpqc->nchpwq", x.view(16, 32, 32, 2, 2, 8)).reshape(16, 8, 64, 64),
    normal(16, 1024, 32))
calls("frames_by_unfold", lambda x: x.unfold(-1, 400, 160).contiguous(), normal(16, 160000))
calls("shift_of_channels", lambda x: torch.cat((x[:, 1:, :8], x[:, -1:, :8].mul(0)), 1), normal(8, 8, 64, 56, 56))
calls("token_shift", lambda x: F.pad(x, (0, 0, 1, -1)), normal(8, 1024, 768))
calls("relative_shift",
    lambda x: F.pad(x, (1, 0)).view(8, 8, 512, 256)[:, :, 1:].reshape(8, 8, 256, 511)[..., :256].contiguous(),
    normal(8, 8, 256, 511))
calls("pad_sequence", lambda x: nn.utils.rnn.pad_sequence([x[n, : 512 - 16 * n] for n in range(16)], batch_first=True),
    normal(16, 512, 80))
calls("dropout_off", lambda x, r: r + F.dropout(x, 0.1, training=False), (normal(16, 197, 768), normal(16, 197, 768)))
calls("clone", lambda x: x.clone(), TOKENS, normal(16))
calls("copy_into_slice", lambda c, x: c[:, :, 100:116].copy_(x), (normal(8, 8, 1024, 128), normal(8, 8, 16, 128)))
calls("copy_of_transposed", lambda a, b: a.copy_(b.mT), (normal(2048, 1024), normal(1024, 2048)))
calls("fill", lambda x: x.fill_(1.0), normal(4096, 2048))
calls("zeros_like", torch.zeros_like, normal(4096, 2048))
calls("new_full", lambda x: x.new_full((64, 512, 256), 2.0), normal(1))
calls("linspace", lambda x: torch.linspace(0, 1, 100000, device=x.device), normal(1))
calls("coordinate_channels",
    lambda x: torch.cat((x, torch.linspace(-1, 1, 64, device=x.device, dtype=x.dtype).expand(16, 1, 64, 64)), 1),
    normal(16, 32, 64, 64))
for _type in ("float32", "bfloat16", "float8_e4m3fn", "int8", "int64", "bool"):
    calls(f"to_{_type}", lambda x, kind=_type: x.to(getattr(torch, kind)), TOKENS)
calls("to_float_of_transposed", lambda x: x.mT.float().contiguous(), normal(16, 512, 512))
fp32("to_double_and_back", lambda x: (x.double() * 0.1).float(), normal(2048, 2048))


# random numbers

_RANDOM: dict[str, Callable[..., Any]] = {
    "rand_like": torch.rand_like,
    "randn_like": torch.randn_like,
    "bernoulli": lambda x: torch.bernoulli(x.sigmoid()),
    "dropout_on": lambda x: F.dropout(x, 0.1, training=True),
    "randint": lambda x: torch.randint(0, 1000, x.shape, device=x.device),
    "exponential": lambda x: torch.empty_like(x).exponential_(),
    "reparametrise": lambda x: x + torch.exp(0.5 * x) * torch.randn_like(x),
    "drop_path_on": lambda x: x * x.new_empty(len(x), 1, 1).bernoulli_(0.9).div_(0.9),
}
for _name, _function in _RANDOM.items():
    calls(_name, _function, TOKENS)
fp32("randn_like", torch.randn_like, normal(64, 4, 64, 64))
fp32("uniform_in_place", lambda x: torch.empty_like(x).uniform_(-1, 1), normal(2048, 2048))
fp32("normal_in_place", lambda x: torch.empty_like(x).normal_(0, 0.02), normal(2048, 2048))
calls("poisson", lambda x: torch.poisson(x * 4), uniform(1024, 1024))
calls("randperm", lambda x: torch.randperm(50000, device=x.device), normal(1))
calls("multinomial", lambda x: torch.multinomial(x, 1), uniform(64, 32000), uniform(4096, 6))
calls("multinomial_many", lambda x: torch.multinomial(x, 100), uniform(64, 8192))

# fmt: on
# Calls that take statements.


@call(normal(1))
def meshgrid_of_pixels(x: Tensor) -> Tensor:
    numbers = torch.arange(256, device=x.device)
    return torch.stack(torch.meshgrid(numbers, numbers, indexing="ij"), -1).reshape(-1, 2) * 8.0
