"""ONNX Runtime's kernels of which each thread finds by divisions where what it reads lies, and its biases of products.

ort_places: what is gathered, spread alone, or spread beside another tensor. kind: as in ``ops.ort.Kind``; rank: of the
result of two tensors, 2 where of what is spread alone each row is one value.

ort_tiled: transposes of batches of matrices, tile by tile.

ort_bias_rows: a row that is spread over a matrix by a product with ones, before a product is added to it.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from predictor.kernels.family import Array, Dims, Family, MeasuredIn, log, tile_blocks

GATHERED, SPREAD, BROADCAST = 9, 17, 18
"""Numbers of ``ops.ort.Kind``."""

GATHERED_S = 4.0e-10
"""Of an element on a multiprocessor (_GatherKernel), which divides for its slice and its place in it: of 10 to 550
million in half precision 250 to 283 billion in a second.
"""

SPREAD_S, ROWS_S, WRITTEN_S, CACHE_BYTES = 2.0e-10, 2.6e-10, 1.2e-11, 50e6
"""Of an element that is spread (ExpandKernel), where each row is one value (ExpandKernel2D), and of a byte of such rows
beyond what the cache holds: 520 and 420 billion elements in a second, 306 billion integers of eight bytes.
"""

BROADCAST_S, RANK_S = 9.1e-11, 4.53e-11
"""Of an element of two tensors of which one is spread (_BinaryElementWise), and of each dimension that it divides for:
594 billion in a second of two dimensions, 480 of three, 390 of four, 345 of five.
"""

GATHERED_START_S = 2e-7
"""Of what is gathered at the beginning. All of these beside what families without a fit take beyond their roofline.
Measured in profiles of 32 models on an H200, 300 thousand to 555 million elements.
"""

ROW_START_S, ROW_OUTPUT_S = 1.35e-6, 1.75e-10
"""Of a row that is spread by tiles of 64 x 64 (cutlass s1688gemm 64x64 align1) at the beginning, and of an output on a
multiprocessor. Measured on an H200 in half precision: 248 sizes of profiles, 3 to 231 million outputs.
"""

SHORT_ROW_OUTPUT_S = 1.41e-10
"""Of an output where cuBLAS takes a kernel of its own for it (gemmk1_kernel): 30 sizes."""

WIDE_ROW_START_S, WIDE_ROW_OUTPUT_S = 2e-6, 1.31e-10
"""The same by tiles of 128 x 128: 7 sizes."""

FEW_ROWS, FEW_SIDE, MANY_ROWS, NARROW, MOST_OUTPUTS = 380, 1280, 40_000, 300, 5e7
"""Where cuBLAS takes ``gemmk1_kernel``: for 384 to 1,184 rows and as many columns, not for 1,536 or 256; from 43,328
rows on for 48 to 288 columns and 2 to 39 million outputs, not for 77 million.
"""

LEAST_COLS, MOST_ROWS = 32, 200_000
"""Columns up to which it takes so many rows by tiles of 64 x 64: 50,176 rows of 24 it does, 614,656 of 8 and 9 it does
not; where between is a judgement.
"""

SIDE, SHORT_SIDE = 64, 32
"""Columns that a tile and a block of ``gemmk1_kernel`` take, full or not: 614,656 rows of 8 take as long as of 32."""

WIDE = 384
"""Columns up to which so many rows are done by tiles of 128 x 128, where they are multiples of that."""


TILE, TILE_S, TILED_ELEMENT_S = 32, 1.6e-7, 3e-11
"""Sides of a tile of a transpose (Transpose3DKernel), what a tile takes on a multiprocessor, full or not, and what an
element of it takes, beside what families without a fit take beyond their roofline: 8 heads of 196 x 196 places that are
put last, a quarter of each tile, take 31 us, as many elements of full tiles 9. Measured in profiles of 34 models on an
H200, 201 sizes of up to 75 thousand tiles: 5 % mean error.
"""


def _elements(d: Dims) -> Array:
    return d["elements"]


def _bytes(d: Dims, size: int) -> Array:
    return np.minimum(d["bytes_read"], d["inputs"] * d["bytes_written"]) + d["bytes_written"]


def _places_s(d: Dims, size: int, sms: int) -> Array:
    """Instructions of its elements, each with divisions."""
    written_s = WRITTEN_S * np.maximum(d["bytes_written"] - CACHE_BYTES, 0.0)
    each = {
        GATHERED: GATHERED_S * d["elements"],
        SPREAD: np.where(d["rank"] == 2, ROWS_S * d["elements"] + written_s, SPREAD_S * d["elements"]),
        BROADCAST: (BROADCAST_S + RANK_S * d["rank"]) * d["elements"],
    }
    taken = [np.where(d["kind"] == kind, seconds / sms, 0.0) for kind, seconds in each.items()]
    return np.asarray(np.sum(taken, axis=0) + GATHERED_START_S * (d["kind"] == GATHERED))


def _moved(d: Dims) -> Array:
    return d["batch"] * d["rows"] * d["cols"]


def _tiles(d: Dims) -> Array:
    return np.asarray(d["batch"] * np.ceil(d["rows"] / TILE) * np.ceil(d["cols"] / TILE))


def _tiles_s(d: Dims, size: int, sms: int) -> Array:
    """Tiles that wait for what they read before they write it, which multiprocessors share."""
    return np.asarray((TILE_S * _tiles(d) + TILED_ELEMENT_S * _moved(d)) / sms)


def _outputs(d: Dims) -> Array:
    return d["rows"] * d["cols"]


def _rows_s(d: Dims, size: int, sms: int) -> Array:
    rows, cols = d["rows"], d["cols"]
    few = (rows > FEW_ROWS) & (rows < FEW_SIDE) & (cols > FEW_ROWS) & (cols < FEW_SIDE)
    many, by_tiles = rows > MANY_ROWS, (cols % 128 == 0) & (cols > 128)
    many_short = many & ~by_tiles & (cols <= NARROW) & (rows * cols <= MOST_OUTPUTS)
    short = few | (many_short & ((cols > LEAST_COLS) | (rows > MOST_ROWS)))
    wide = ~short & many & (cols % 128 == 0) & (cols <= WIDE)
    start_s = np.where(short, 0.0, np.where(wide, WIDE_ROW_START_S, ROW_START_S))
    output_s = np.where(short, SHORT_ROW_OUTPUT_S, np.where(wide, WIDE_ROW_OUTPUT_S, ROW_OUTPUT_S))
    side = np.where(short, SHORT_SIDE, SIDE)
    return np.asarray(start_s + output_s * rows * side * np.ceil(cols / side) / sms)


_of_formula = partial(Family, closed_form=True, measured_in=MeasuredIn.NOWHERE)

ROWS = (
    _of_formula(
        name="ort_places",
        dims={"elements": None, "bytes_read": 0, "bytes_written": None, "inputs": 1, "kind": None, "rank": 0},
        flops=_elements,
        nbytes=_bytes,
        features=lambda d, size, sms: [log(d["elements"]), d["kind"], d["rank"]],
        sizes=("elements", "bytes_read", "bytes_written"),
        profiler_names=r"GatherKernel|ExpandKernel|_BinaryElementWise<",
        issue_s=_places_s,
        factor_group="ort",
    ),
    _of_formula(
        name="ort_tiled",
        dims={"batch": None, "rows": None, "cols": None},
        flops=_moved,
        nbytes=lambda d, size: 2 * size * _moved(d),
        features=lambda d, size, sms: [log(d["batch"]), log(d["rows"]), log(d["cols"])],
        sizes=("batch", "rows", "cols"),
        profiler_names=r"[tT]ranspose",
        blocks=_tiles,
        issue_s=_tiles_s,
        factor_group="ort",
    ),
    _of_formula(
        name="ort_bias_rows",
        dims={"rows": None, "cols": None},
        flops=_outputs,
        nbytes=lambda d, size: size * (_outputs(d) + d["cols"]),
        features=lambda d, size, sms: [log(d["rows"]), log(d["cols"])],
        sizes=("rows", "cols"),
        profiler_names=r"cutlass|gemmk1|gemm",
        blocks=lambda d: tile_blocks(d["rows"], d["cols"]),
        issue_s=_rows_s,
        factor_group="gemm",
    ),
)
