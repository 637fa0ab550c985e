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


QUERIES, KEYS, AT_ONCE = 128, 128, 2
"""Rows and columns of the scores that a block of FlashAttention computes at once, heads of 64 (torch/aten/src/ATen/
native/transformers/cuda/flash_attn/flash_fwd_launch_template.h), and blocks that a multiprocessor holds.
"""

PACKED_START_S, PACKED_STEP_S = 2.0e-6, 4.4e-6
"""Of a wave of blocks."""


def _packed_waves(d: Dims, sms: int) -> Array:
    return np.asarray(_packed_blocks(d) / (AT_ONCE * sms))


def _packed_s(d: Dims, sms: int) -> Array:
    """Blocks of every sequence, as many as the longest one needs."""
    return np.ceil(_packed_waves(d, sms)) * PACKED_STEP_S + PACKED_START_S


def _packed_blocks(d: Dims) -> Array:
    return np.asarray(d["batch"] * d["heads"] * np.ceil(d["longest"] / QUERIES))


ROWS = (
    Family(
        name="attention_packed",
        dims={"batch": None, "tokens": None, "heads": None, "head_dim": None, "longest": None},
        flops=lambda d: 4 * d["tokens"] * d["heads"] * d["head_dim"] * d["tokens"] / d["batch"],
        nbytes=lambda d, size: size * 4 * d["tokens"] * d["heads"] * d["head_dim"],
        features=lambda d, size, sms: [log(d["tokens"]), log(d["longest"]), *waves(_packed_blocks(d), sms)],
        sizes=("batch", "tokens", "heads", "head_dim", "longest"),
        profiler_names=r"flash",
        latency_s=_packed_s,
        latency_by_clock=True,
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
