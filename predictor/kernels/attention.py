"""Fused scaled dot-product attention as torch picks it; kv_seq 0: the same length as seq.

masks: how many masks of seq x kv_seq there are in memory, 0: one for each of the batch. efficient: in half precision by
the memory-efficient kernel, as where a mask has three dimensions, which the faster one does not take.
"""

from __future__ import annotations

import numpy as np

from predictor.kernels.family import Array, Dims, Family, MeasuredIn, aligned, grow_batch, log, waves


def _kv_seq(d: Dims) -> Array:
    return np.where(d["kv_seq"] > 0, d["kv_seq"], d["seq"])


def _kv_heads(d: Dims) -> Array:
    return np.where(d["kv_heads"] > 0, d["kv_heads"], d["heads"])


def _masks(d: Dims) -> Array:
    return d["mask"] * np.where(d["masks"] > 0, d["masks"], d["batch"])


def _attention_flops(d: Dims) -> Array:
    return 4 * d["batch"] * d["heads"] * d["seq"] * _kv_seq(d) * d["head_dim"] * np.where(d["causal"] > 0, 0.5, 1.0)


def _attention_bytes(d: Dims, size: int) -> Array:
    queries = 2 * d["heads"] * d["seq"] * d["head_dim"]
    keys = 2 * _kv_heads(d) * _kv_seq(d) * d["head_dim"]
    return size * (d["batch"] * (queries + keys) + _masks(d) * d["seq"] * _kv_seq(d))


def _attention_features(d: Dims, size: int, sms: int) -> list[Array]:
    kv_seq = _kv_seq(d)
    logs = [log(x) for x in (d["batch"] * d["heads"], d["seq"], kv_seq, d["head_dim"])]
    flags = [d["causal"], d["mask"], log(d["heads"] / _kv_heads(d))]
    flags += [aligned(d["head_dim"]), aligned(d["seq"]), aligned(kv_seq)]
    return [*logs, *flags, *waves(_blocks(d), sms), np.ceil(kv_seq / 64)]


def _blocks(d: Dims) -> Array:
    return np.asarray(d["batch"] * d["heads"] * np.ceil(d["seq"] / 64))


TILE, WIDTH, BLOCKS_OF_SM = 128, 64, 2
"""Queries of a block of FlashAttention, and keys that it goes through at once, the width of their heads (torch/aten/
src/ATen/native/transformers/cuda/flash_attn/flash_fwd_launch_template.h), and blocks that a multiprocessor holds.
"""

ALONE_S, ALONE_TILE_S, START_S, WAVE_S, WAVE_TILE_S = 2.0e-6, 2.2e-6, 6e-7, 2.45e-6, 2.8e-6
"""Of a block that has a multiprocessor for itself, more for each tile of keys; and before the waves of blocks that
share them, of a wave, and for its tiles. Fitted, as the price of a formula, to what an H200 takes: 168 calls of 1 to
128 sequences of 8 to 512 tokens with 12 and 16 heads of 64 (``benchmarks.nested_layers``), 5 % off: 12 blocks of one
tile take 6.2 us, of four 13.9; 384 blocks 14.6, 1,536 of them 39; 6,144 of four tiles 394.
"""


def _packed_tiles(d: Dims) -> Array:
    return np.maximum(np.ceil(d["tokens"] / d["batch"] / TILE), 1)


def _packed_s(d: Dims, size: int, sms: int) -> Array:
    """Waves of blocks as long as the sequences are on average, or the block of the longest."""
    of_keys = d["head_dim"] / WIDTH
    alone_s, tiles = ALONE_S + ALONE_TILE_S * of_keys * np.ceil(d["longest"] / TILE), _packed_tiles(d)
    waves = np.ceil(_packed_blocks(d) / (BLOCKS_OF_SM * sms))
    waves_s = START_S + waves * (WAVE_S + WAVE_TILE_S * of_keys * tiles)
    return np.asarray(np.maximum(alone_s, np.where(_packed_blocks(d) > sms, waves_s, 0.0)))


def _packed_blocks(d: Dims) -> Array:
    return np.asarray(d["batch"] * d["heads"] * _packed_tiles(d))


ROWS = (
    Family(
        name="attention_packed",
        dims={"batch": None, "tokens": None, "heads": None, "head_dim": None, "longest": None},
        flops=lambda d: 4 * d["tokens"] * d["heads"] * d["head_dim"] * d["tokens"] / d["batch"],
        nbytes=lambda d, size: size * 4 * d["tokens"] * d["heads"] * d["head_dim"],
        features=lambda d, size, sms: [log(d["tokens"]), log(d["longest"]), *waves(_packed_blocks(d), sms)],
        sizes=("batch", "tokens", "heads", "head_dim", "longest"),
        profiler_names=r"flash",
        issue_s=_packed_s,
        grow=lambda d, times: {**grow_batch(d, times), "tokens": d["tokens"] * times},
        blocks=_packed_blocks,
        matrix=True,
        measured_in=MeasuredIn.NOWHERE,
        closed_form=True,
        factor_group="other",
    ),
    Family(
        name="attention",
        dims={
            **{"batch": None, "heads": None, "seq": None, "head_dim": None},
            **{"kv_heads": 0, "kv_seq": 0, "causal": 0, "mask": 0},
            **{"masks": 0, "efficient": 0},
        },
        flops=_attention_flops,
        nbytes=_attention_bytes,
        features=_attention_features,
        later=lambda d: [log(np.maximum(_masks(d), 1)), d["efficient"]],
        sizes=("batch", "heads", "seq", "head_dim", "kv_seq"),
        profiler_names=r"fmha|flash|sdpa|attention|Memset",
        impossible=lambda d: [
            (d["heads"] % _kv_heads(d) != 0, "heads of {heads} are not shared evenly by kv_heads of {kv_heads}")
        ],
        regimes=("batch", "heads", "seq", "head_dim", "causal", "mask"),
        grow=grow_batch,
        blocks=_blocks,
        matrix=True,
        same_in_tf32=True,
        factor_group="other",
    ),
)
