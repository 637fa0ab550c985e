"""Lists of tensors that one kernel copies."""

from __future__ import annotations

import pytest

from predictor.calibration.load import load_calibration
from predictor.pricing.kernels import price_kernels


@pytest.mark.parametrize(
    ("dtype", "elements", "microseconds"),
    [
        *(("int64", 128, 1.3), ("int64", 2048, 1.9), ("int64", 12_288, 4.5), ("int64", 196_608, 17.5)),
        *(("fp16", 150_528, 14.0), ("fp16", 2_408_448, 15.2), ("fp16", 12_582_912, 19.0)),
    ],
)
def test_a_copy_into_the_memory_of_a_replay_takes_as_long_as_its_largest_piece(
    dtype: str, elements: int, microseconds: float
) -> None:
    """As an H200 ran them before replays of compiled models."""
    dims = {"elements": float(elements), "largest": float(elements)}
    priced = price_kernels(load_calibration("h200"), "foreach_copy", dtype, dims)
    assert float(priced.seconds[0]) == pytest.approx(microseconds * 1e-6, rel=0.4)
    assert not priced.extrapolated[0]


def test_small_tensors_are_copied_at_once() -> None:
    """Two hundred of a cache take no longer than one of them, as long as there are multiprocessors."""
    price = [
        price_kernels(load_calibration("h200"), "foreach_copy", "fp16", {"elements": many * 8192.0, "largest": 8192.0})
        for many in (1, 200)
    ]
    assert float(price[1].seconds[0]) < 2 * float(price[0].seconds[0])
