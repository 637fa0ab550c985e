"""Kernels that go along the rows of a matrix: normalisations, reductions, scans, sorts, gathers, transforms.

stride: of a row's elements in memory; strided: they are not neighbours; indexed: the place of what is found, too. Of
gathers, written: rows are written to places that indices say, not read from them; adds: and added to what is there;
shared: rows that meet in one place; apart: each element is found by itself; run: neighbours that share an index.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from predictor.kernels.family import Array, Dims, Family, aligned, log, row_blocks, waves


def _rows_flops(d: Dims) -> Array:
    return d["rows"] * d["cols"]


def _rows_through(d: Dims, size: int) -> Array:
    return 2 * size * d["rows"] * d["cols"]


def _rows_features(d: Dims, size: int, sms: int) -> list[Array]:
    return [
        log(d["rows"]),
        log(d["cols"]),
        aligned(d["cols"]),
        np.full_like(d["rows"], size),
        *waves(d["rows"], sms),
    ]


def _reduce_bytes(d: Dims, size: int) -> Array:
    return size * (d["rows"] * d["cols"] + d["rows"])


def _reduce_features(d: Dims, size: int, sms: int) -> list[Array]:
    return [*_rows_features(d, size, sms), d["inner"], d["indexed"]]


def _gather_features(d: Dims, size: int, sms: int) -> list[Array]:
    sizes = [log(d["rows"]), log(d["cols"]), np.full_like(d["rows"], size)]
    return [
        *sizes,
        d["written"],
        d["adds"],
        log(d["shared"] + 1),
        d["selects"],
        _in_vectors(d, size),
        d["apart"],
        log(d["run"]),
    ]


FEW_INDICES, INDEX_S = 16, 0.6e-6
"""Up to so many rows torch selects one after another, and the seconds of each: embeddings on an H200, of 8, 12 and 16
rows, 5.6, 7.8 and 10.8 us; of 20 rows, 1.9 us by another kernel.
"""


VECTOR, BLOCK_S = 16, 0.606e-9
"""Bytes in one of which torch reads rows that consist of them (aten/src/ATen/native/cuda/IndexKernel.cu, vectorized
gather), a block for each row, and the seconds in which a GPU launches a block: a row of 16 to 800 bytes takes 0.606 ns
on an H100 and on an H200, from 20,000 rows to 400,000.
"""


def _in_vectors(d: Dims, size: int) -> Array:
    """Whether each row is read by a block of its own."""
    one_by_one = (d["selects"] > 0) & (d["rows"] <= FEW_INDICES)
    whole = d["cols"] * size % VECTOR == 0
    read = (d["written"] == 0) & (d["shared"] == 0) & (d["apart"] == 0)  # and not added up, as in a bag
    return np.asarray(whole & read & ~one_by_one, dtype=float)


SLICE_BYTES, PLACE_S = 4096, 3.4e-10
"""Of a row that one block reads in vectors, and of a multiprocessor that finds the place of each element by itself:
gathers and scatters of a million elements and more on an H200 take 2.6 ps an element on all 132 and more.
"""


def _gather_issue_s(d: Dims, size: int, sms: int) -> Array:
    """Blocks, or elements one by one but for the few rows that are selected one after another."""
    blocks_s = d["rows"] * np.ceil(d["cols"] * size / SLICE_BYTES) * BLOCK_S
    few = (d["selects"] > 0) & (d["rows"] <= FEW_INDICES)
    each_s = np.where(few, 0.0, d["rows"] * d["cols"] * PLACE_S / sms)
    return np.asarray(np.where(_in_vectors(d, size) > 0, blocks_s, each_s))


def _gather_waiting_s(d: Dims, sms: int) -> Array:
    return np.asarray(d["selects"] * (d["rows"] <= FEW_INDICES) * d["rows"] * INDEX_S)


def _strided_features(d: Dims, size: int, sms: int) -> list[Array]:
    return [*_rows_features(d, size, sms), log(d["stride"])]


def _sort_flops(d: Dims) -> Array:
    return d["rows"] * d["cols"] * np.log2(np.maximum(d["cols"], 2))


def _sort_features(d: Dims, size: int, sms: int) -> list[Array]:
    return [*_rows_features(d, size, sms), log(d["k"])]


def _weight_norm_features(d: Dims, size: int, sms: int) -> list[Array]:
    return [*_rows_features(d, size, sms), d["last"]]


def _fft_flops(d: Dims) -> Array:
    return 5 * d["rows"] * d["cols"] * np.log2(np.maximum(d["cols"], 2))


def _fft_bytes(d: Dims, size: int) -> Array:
    return size * d["rows"] * d["cols"] * np.where(d["real"] > 0, 1.0, 2.0)


def _largest_factor(x: Array) -> Array:
    """Largest prime factor, up to 13; 17 for anything larger: what a Fourier transform is made of."""
    rest, largest = np.maximum(np.rint(x), 1), np.ones_like(x)
    for prime in (2, 3, 5, 7, 11, 13):
        for _ in range(20):
            divides = rest % prime == 0
            if not divides.any():
                break
            rest, largest = np.where(divides, rest / prime, rest), np.where(divides, prime, largest)
    return np.where(rest > 1, 17.0, largest)


def _fft_features(d: Dims, size: int, sms: int) -> list[Array]:
    logs = [log(d["rows"]), log(d["cols"])]
    return [*logs, aligned(d["cols"]), _largest_factor(d["cols"]), d["strided"], d["real"], d["back"]]


_row = partial(
    Family,
    flops=_rows_flops,
    nbytes=_rows_through,
    features=_rows_features,
    sizes=("rows", "cols"),
    blocks=row_blocks,
)
_MATRIX: dict[str, float | None] = {"rows": None, "cols": None}

ROWS = (
    _row(name="softmax", dims={**_MATRIX, "stride": 1}, features=_strided_features, profiler_names=r"[sS]oft[mM]ax"),
    _row(name="layer_norm", dims=_MATRIX, profiler_names=r"layer_norm", factor_group="norm"),
    _row(name="batch_norm", dims=_MATRIX, profiler_names=r"batch_norm|bn_fw", factor_group="norm"),
    _row(
        name="group_norm",
        dims=_MATRIX,
        profiler_names=r"GroupNorm|RowwiseMoments|ComputeFusedParams|group_norm",
        factor_group="norm",
    ),
    _row(
        name="weight_norm",
        dims={**_MATRIX, "last": 0},
        features=_weight_norm_features,
        profiler_names=r"weight_norm",
        factor_group="other",
    ),
    _row(
        name="reduce",
        dims={**_MATRIX, "inner": 1, "indexed": 0},
        nbytes=_reduce_bytes,
        features=_reduce_features,
        profiler_names=r"reduce_kernel",
        factor_group="norm",
    ),
    _row(
        name="scan",
        dims={**_MATRIX, "stride": 1},
        features=_strided_features,
        profiler_names=r"scan",
        factor_group="other",
    ),
    _row(
        name="sort",
        dims={**_MATRIX, "k": 0},
        flops=_sort_flops,
        features=_sort_features,
        impossible=lambda d: [(d["k"] > d["cols"], "k={k} is more than there are, cols={cols}")],
        sizes=("rows", "cols", "k"),
        profiler_names=r"[sS]ort|topk|TopK|median",
        factor_group="other",
    ),
    _row(
        name="fft",
        dims={**_MATRIX, "strided": 0, "real": 0, "back": 0},
        flops=_fft_flops,
        nbytes=_fft_bytes,
        features=_fft_features,
        profiler_names=r"fft",
        factor_group="other",
    ),
    _row(
        name="gather",
        dims={**_MATRIX, "written": 0, "adds": 0, "shared": 0, "selects": 0, "apart": 0, "run": 1},
        traffic=lambda d, size: size * d["rows"] * d["cols"],  # rows may be read again and again
        latency_s=_gather_waiting_s,
        issue_s=_gather_issue_s,
        features=_gather_features,
        profiler_names=r"gather|index|embedding",
        factor_group="other",
    ),
)
