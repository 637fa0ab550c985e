"""The thread blocks of Inductor's kernels, held against what an H200 took for them."""

from __future__ import annotations

import numpy as np
import pytest

from predictor.kernels.blocks import Blocks, blocks_of
from predictor.kernels.loops import BLOCK_S


def blocks(rows: int, cols: int, strided: bool) -> Blocks:
    dims = {"elements": rows * cols, "rows": rows, "strided": strided}
    return blocks_of({name: np.array(float(value)) for name, value in dims.items()})


@pytest.mark.parametrize(
    ("rows", "cols", "measured_s"), [(512_000, 32, 40.6e-6), (638_720, 32, 50.1e-6), (964_440, 8, 19.5e-6)]
)
def test_short_rows_take_what_it_takes_to_launch_their_blocks(rows: int, cols: int, measured_s: float) -> None:
    assert float(blocks(rows, cols, True).count) * BLOCK_S / 132 == pytest.approx(measured_s, rel=0.03)


def test_long_rows_are_reduced_in_steps_and_short_ones_at_once() -> None:
    """Rows of 1,025 fill half of two steps' worth; one row alone is one multiprocessor's."""
    at_once, just_longer, alone = blocks(12_000, 1024, False), blocks(12_000, 1025, False), blocks(1, 151_936, False)
    assert not at_once.is_stepped
    assert float(at_once.padded) == 1.0
    assert just_longer.is_stepped
    assert float(just_longer.padded) == pytest.approx(2048 / 1025)
    assert (float(alone.count), float(alone.steps)) == (1, 75)
    assert blocks(4096, 65, True).is_stepped
    assert not blocks(4096, 64, True).is_stepped
