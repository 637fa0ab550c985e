"""Elements reduced in places that indices say, where no instruction reduces in memory: a thread reads the word that a
place lies in, and exchanges it unless another did, else it tries again (aten/src/ATen/cuda/Atomic.cuh, AtomicFPOp).

changes: how often a word changes; each: elements of a thread, one after another. A generated loop's threads have one
element each, and try at once.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from predictor.kernels.family import Array, Dims, Family, MeasuredIn, log

BLOCK, BLOCKS_OF_SM = 128, 16
"""Threads of a block (aten/src/ATen/native/cuda/ScatterGatherKernel.cu), and how many a multiprocessor holds."""

EXCHANGE_S, CHANGE_S = 1.3e-6, 1.5e-6
"""Of an element of a thread, beside what families without a fit take beyond their roofline: one exchange, and what the
tries add for each change of its word. Measured on an H200 in half precision: 38 us of 276,480 largest of 2.2 a place,
76 of 4.4 million, 53 of 2.1 million of 8 a place, 55 to 62 of 16,384 and of 262,144 of 8 a place.
"""


def _elements(d: Dims) -> Array:
    return d["rows"]


def _bytes(d: Dims, size: int) -> Array:
    return 2 * size * d["rows"]


def _exchanged_s(d: Dims, sms: int) -> Array:
    """The elements of a thread, whose tries wait for each other, in as many waves of blocks as there are."""
    steps = np.minimum(np.ceil(d["rows"] / BLOCK), d["each"])
    waves = np.maximum(d["rows"] / (d["each"] * BLOCK * BLOCKS_OF_SM * sms), 1)
    return np.asarray(waves * steps * (EXCHANGE_S + CHANGE_S * d["changes"]))


CHAIN_S, LONGEST_CHAIN = 8.0e-7, 20.0
"""Of a generated loop, a change of the word that changes most, and of how many at the most the last one waits for."""

CHANGE_SMS_S, TRY_SMS_S = 6.5e-10, 8.0e-11
"""Seconds of one multiprocessor for each element and each change of its word, and for each try that such a change makes
vain. Measured on an H200 in half precision: 240 us of 15 million elements of rows 1,433 wide, 3,680 of 16 times as
many; 59 of 1.5 million of rows of 7; 11 and 28 of 10,556 and 168,896 alone of 3.9 a place, 23 and 87 of 1,200 and
19,200 of 24.
"""


def _tried_s(d: Dims, sms: int) -> Array:
    tries_s = d["rows"] * d["changes"] * (CHANGE_SMS_S + TRY_SMS_S * d["changes"]) / sms
    return np.asarray(CHAIN_S * np.minimum(d["changes"], LONGEST_CHAIN) + tries_s)


def _features(d: Dims, size: int, sms: int) -> list[Array]:
    return [log(d["rows"]), d["changes"]]


_exchange = partial(
    Family,
    flops=_elements,
    nbytes=_bytes,
    features=_features,
    sizes=("rows",),
    measured_in=MeasuredIn.NOWHERE,
    factor_group="other",
    closed_form=True,
)

ROWS = (
    _exchange(
        name="exchange",
        dims={"rows": None, "changes": 0, "each": 8},
        profiler_names=r"scatter|indexFunc",
        latency_s=_exchanged_s,
        blocks=lambda d: np.asarray(np.ceil(d["rows"] / (d["each"] * BLOCK))),
    ),
    _exchange(
        name="triton_exchange",
        dims={"rows": None, "changes": 0},
        profiler_names=r"^triton_",
        latency_s=_tried_s,
        blocks=lambda d: np.asarray(np.ceil(d["rows"] / BLOCK)),
    ),
)
