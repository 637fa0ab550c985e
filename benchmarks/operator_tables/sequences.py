"""Attention and recurrent layers."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.operator_tables.table import bools, call, calls, fp32, layer, normal, uniform


def _attention(name: str, query: tuple[int, ...], keys: tuple[int, ...], dtype: str = "fp16", **options: Any) -> None:
    """A scaled dot product of queries and keys of (batch, heads, length, width)."""
    calls(
        f"attention_{name}",
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **options),
        (normal(*query), normal(*keys), normal(*keys)),
        dtype=dtype,
    )


# fmt: off
# A row is a line; what does not fit goes on in the next one.

# attention

for _width in (32, 40, 64, 80, 96, 128, 256):
    _attention(f"of_width_{_width}", (4, 8, 512, _width), (4, 8, 512, _width))
    _attention(f"causal_of_width_{_width}", (2, 8, 1024, _width), (2, 8, 1024, _width), is_causal=True)
_attention("of_images", (16, 12, 197, 64), (16, 12, 197, 64))
_attention("of_windows", (1024, 3, 49, 32), (1024, 3, 49, 32))
_attention("of_pixels", (2, 8, 4096, 40), (2, 8, 4096, 40))
_attention("of_pixels_one_head", (1, 1, 4096, 512), (1, 1, 4096, 512))
_attention("to_text", (2, 8, 4096, 40), (2, 8, 77, 40))
_attention("of_queries", (8, 8, 100, 32), (8, 8, 1064, 32))
_attention("of_latents", (4, 8, 64, 64), (4, 8, 4096, 64))
_attention("one_query", (4, 32, 1, 128), (4, 32, 1024, 128))
_attention("one_query_long", (1, 32, 1, 128), (1, 32, 4096, 128), dtype="bf16")
_attention("one_query_grouped", (8, 32, 1, 128), (8, 8, 2048, 128), enable_gqa=True)
_attention("grouped_causal", (2, 32, 1024, 128), (2, 8, 1024, 128), dtype="bf16", enable_gqa=True, is_causal=True)
_attention("of_tiny_sequences", (512, 4, 8, 16), (512, 4, 8, 16))
_attention("fp32", (4, 8, 512, 64), (4, 8, 512, 64), dtype="fp32")
_attention("causal_fp32", (2, 8, 1000, 80), (2, 8, 1000, 80), dtype="fp32", is_causal=True)
_HEADS = (normal(8, 12, 384, 64), normal(8, 12, 384, 64), normal(8, 12, 384, 64))
_attend = F.scaled_dot_product_attention
calls("attention_bool_mask", lambda q, k, v, m: _attend(q, k, v, attn_mask=m), (*_HEADS, bools(8, 1, 1, 384)))
calls("attention_full_bool_mask", lambda q, k, v, m: _attend(q, k, v, attn_mask=m), (*_HEADS, bools(8, 1, 384, 384)))
calls("attention_float_mask", lambda q, k, v, m: _attend(q, k, v, attn_mask=m), (*_HEADS, normal(1, 12, 384, 384)))
calls("attention_expanded_mask", lambda q, k, v, m: _attend(q, k, v, attn_mask=m.expand(8, 12, 384, 384)),
    (*_HEADS, normal(8, 1, 1, 384)))
calls("attention_of_heads_last", lambda q, k, v: _attend(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)),
    tuple(normal(8, 384, 12, 64) for _ in "qkv"))
calls("attention_of_packed", lambda x: _attend(*x.view(8, 384, 3, 12, 64).permute(2, 0, 3, 1, 4)), normal(8, 384, 2304))
calls("attention_odd_mask", lambda q, k, v, m: _attend(q, k, v, attn_mask=m),
    (normal(4, 8, 333, 64), normal(4, 8, 217, 64), normal(4, 8, 217, 64), normal(333, 217)))
calls("attention_by_hand", lambda q, k, v: (q @ k.mT / 8).softmax(-1) @ v, _HEADS)
calls("attention_by_hand_of_channels", lambda q, k, v: v @ (q.mT @ k / 8).softmax(-1).mT,
    tuple(normal(2, 64, 1024) for _ in "qkv"))
calls("attention_linear", lambda q, k, v: q.softmax(-1) @ (k.softmax(-2).mT @ v),
    tuple(normal(4, 8, 4096, 32) for _ in "qkv"))
calls("attention_of_channels", lambda q, k, v: (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT).softmax(-1) @ v,
    tuple(normal(2, 4, 48, 16384) for _ in "qkv"))
calls("multi_head_attention", lambda m, x: m(x, x, x, need_weights=False)[0], normal(8, 256, 512),
    layers=(lambda: nn.MultiheadAttention(512, 8, batch_first=True),))
calls("multi_head_attention_weights", lambda m, x: m(x, x, x)[0], normal(100, 16, 256),
    layers=(lambda: nn.MultiheadAttention(256, 8),))
calls("multi_head_attention_crossed", lambda m, q, x: m(q, x, x)[0], (normal(8, 32, 256), normal(8, 600, 256)),
    layers=(lambda: nn.MultiheadAttention(256, 8, batch_first=True),))
layer("encoder_layer", lambda: nn.TransformerEncoderLayer(512, 8, 2048, batch_first=True), normal(8, 256, 512))
layer("encoder_layer_norm_first", lambda: nn.TransformerEncoderLayer(256, 4, 1024, norm_first=True, activation="gelu"),
    normal(100, 16, 256))
layer("decoder_layer", lambda: nn.TransformerDecoderLayer(256, 8, 1024, batch_first=True),
    (normal(8, 100, 256), normal(8, 600, 256)))
calls("rope_by_halves", lambda x, c, s: x * c + torch.cat((-x[..., 64:], x[..., :64]), -1) * s,
    (normal(4, 32, 512, 128), normal(512, 128), normal(512, 128)))
fp32("rope_table",
    lambda x: (lambda a: (a.cos(), a.sin()))(torch.outer(torch.arange(2048, device=x.device).float(), 10000 ** (-x))),
    uniform(64))


# recurrent layers

layer("lstm_cell", lambda: nn.LSTMCell(512, 512), normal(64, 512))
layer("gru_cell", lambda: nn.GRUCell(128, 256), normal(256, 128))
layer("rnn_cell", lambda: nn.RNNCell(64, 128), normal(32, 64))
layer("lstm", lambda: nn.LSTM(256, 256, batch_first=True), normal(16, 64, 256))
layer("lstm_both_ways", lambda: nn.LSTM(64, 128, 2, bidirectional=True), normal(50, 32, 64))
layer("lstm_projected", lambda: nn.LSTM(80, 256, proj_size=64), normal(40, 8, 80))
layer("gru", lambda: nn.GRU(64, 256, batch_first=True), normal(64, 20, 64))
layer("gru_both_ways", lambda: nn.GRU(256, 256, bidirectional=True, batch_first=True), normal(16, 50, 256))
calls("lstm_packed",
    lambda m, x: m(nn.utils.rnn.pack_padded_sequence(x, torch.arange(48, 16, -2), batch_first=True))[0].data,
    normal(16, 48, 128), layers=(lambda: nn.LSTM(128, 128, batch_first=True),))
layer("gru_wide", lambda: nn.GRU(1024, 1024), normal(16, 8, 1024), dtype="fp32")
layer("rnn", lambda: nn.RNN(32, 64, nonlinearity="relu"), normal(30, 128, 32))
calls("scan_step", lambda h, a, b: torch.addcmul(b, a, h),
    (normal(8, 1536, 16), uniform(8, 1536, 16), normal(8, 1536, 16)))
calls("scan_by_cumsum", lambda a, x: (lambda s: (x * (-s).exp()).cumsum(1) * s.exp())((a * 0.1 + 0.9).log().cumsum(1)),
    (uniform(4, 64, 512), normal(4, 64, 512)))
calls("discretise", lambda d, a, b, x: (torch.exp(d[..., None] * a), d[..., None] * b[:, :, None] * x[..., None]),
    (uniform(2, 256, 512), normal(512, 16), normal(2, 256, 16), normal(2, 256, 512)))

# fmt: on
# Calls that take statements.


@call((normal(4, 16, 512, 64), normal(512, 32), normal(512, 32)))
def rope_by_pairs(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    even, odd = x[..., ::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


@call((normal(4, 512, 16, 64), normal(512, 1, 32)), dtype="fp32")
def rope_complex(x: Tensor, angles: Tensor) -> Tensor:
    turned = torch.view_as_complex(x.reshape(4, 512, 16, 32, 2)) * torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(turned).flatten(3)


@call(uniform(16), dtype="fp32")
def sinusoids_of_steps(steps: Tensor) -> Tensor:
    angles = steps[:, None] * torch.exp(torch.arange(160, device=steps.device) * -0.058)
    return torch.cat((angles.sin(), angles.cos()), -1)


@call(uniform(65536, 3))
def fourier_features(x: Tensor) -> Tensor:
    angles = x[..., None] * 2.0 ** torch.arange(10, device=x.device)
    return torch.cat((x, angles.sin().flatten(1), angles.cos().flatten(1)), -1)


@call((normal(64, 2048), normal(64, 512)), (normal(8, 256, 64, 64), normal(8, 64, 64, 64)))
def lstm_gates(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    i, f, o, update = gates.chunk(4, 1)
    cell = f.sigmoid() * cell + i.sigmoid() * update.tanh()
    return o.sigmoid() * cell.tanh(), cell
