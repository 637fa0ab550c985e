"""The thread blocks of the kernels that Inductor generates, by the rules it picks their sizes by (torch 2.11,
``pointwise``, ``_reduction_configs`` and ``_persistent_reduction_configs`` in torch/_inductor/runtime/
triton_heuristics.py; ``should_use_persistent_reduction`` in choices.py).

A row that is short is reduced at once, in a block as wide as the next power of two ("persistent"); a longer one in
steps. Where Inductor tries several sizes, the one that it mostly takes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictor.kernels.family import Array, Dims

ELEMENTS = 1024
"""Of a block that is no reduction, at most."""

AT_ONCE, STRIDED_AT_ONCE = 1024, 64
"""Elements of the longest rows that are reduced at once: of those that lie in one piece, of others."""

STEP = 2048
"""Elements of a step along a longer row that lies in one piece."""

SHORT, MANY_HELD, HELD = 16, 32, 8
"""Elements of the shortest rows, and rows of a block: many where they are such or lie in one piece, and few. Measured
on an H200: blocks of 500,000 and more rows take what a GPU needs to launch as many, see ``BLOCK_S``.
"""

UNSPLIT = 256
"""Elements from which on a row in one piece is one of as few as fill 1,024 elements, or alone where rows are few."""


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """count: of all; steps: that each takes one after another; padded: elements that all of them go through, those
    beyond the ends of rows among them, for one of the kernel; is_stepped: rows are not reduced at once.
    """

    count: Array
    steps: Array
    padded: Array
    is_stepped: NDArray[np.bool_]


def blocks_of(d: Dims) -> Blocks:
    """Blocks of loops by their elements, their rows (0: they reduce none) and whether these lie in pieces."""
    elements, rows, strided = d["elements"], np.maximum(d["rows"], 1.0), d["strided"] > 0
    cols = np.maximum(elements / rows, 1.0)
    width = 2.0 ** np.ceil(np.log2(cols))
    hint = 2.0 ** np.ceil(np.log2(rows))
    at_once = width <= np.where(strided, STRIDED_AT_ONCE, AT_ONCE)
    wide = ~strided & (width >= UNSPLIT)
    few = hint < 128 * HELD
    of_wide = np.where(few, 1.0, np.clip(ELEMENTS // width, 1.0, HELD))
    held = np.where(wide, of_wide, np.where((width <= SHORT) | ~strided, MANY_HELD, HELD))
    in_one_piece = np.where(width <= STEP, 2.0, 1.0)
    in_pieces = np.where(
        hint <= 1024, np.clip(hint // 128, 2.0, 8.0), np.where(hint <= 2**15, 16.0, np.clip(hint // 4096, 64.0, 256.0))
    )
    of_pieces = np.where(hint <= 1024, np.minimum(width, 64.0), np.maximum(512.0 / in_pieces, 2.0))
    step = np.where(at_once, width, np.where(strided, of_pieces, np.minimum(width, STEP)))
    held = np.minimum(np.where(at_once, held, np.where(strided, in_pieces, in_one_piece)), hint)
    steps = np.ceil(cols / step)
    reduces = d["rows"] > 0
    alone = np.clip(2.0 ** np.ceil(np.log2(np.maximum(elements, 1.0))) // 128, 256.0, ELEMENTS)
    return Blocks(
        np.where(reduces, np.ceil(rows / held), np.ceil(elements / alone)),
        np.where(reduces, steps, 1.0),
        np.where(reduces, steps * step / cols, 1.0),
        reduces & ~at_once,
    )
