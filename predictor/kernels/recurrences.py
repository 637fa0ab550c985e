"""Recurrent layers as cuDNN runs them, beside their products (``products``).

recurrence: all steps of a layer and direction in one kernel, which keeps the weights of its states on the chip (cuDNN's
RNN_blockPersist_fp_LSTM and the like: a thread block for each sequence, or a tile of them on the matrix units; spread:
over all multiprocessors, which wait for each other at every step). gates: products of a state; width: of a state; half:
in sixteen bits. recurrent_cell: what the gates do in one step, of one layer and direction.

Durations and who runs what: calibrations/h200/samples/recurrent.jsonl.gz, ``benchmarks/recurrent_layers.py``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from predictor.kernels.family import Array, Dims, Family, MeasuredIn, aligned, log

LANE = 32
"""Widths are padded to a multiple: names of the kernels, of 16 RNN_blockPersist_fp_LSTM<..., 32>, of 300 <..., 320>."""


class Pace(NamedTuple):
    """Of a kernel that goes through all steps. start_s: to begin; load_s, wide_s, aligned_s: to load a weight, more
    where it has four bytes, more where rows are multiples of 64 long, whose reads meet in the same bank; step_s: of a
    step, in it twice_s where a GRU waits for its gates twice, and of each weight kept_s up to so many, ``kept``, as a
    multiprocessor holds in its 65,536 registers beside what else it needs, read_s of those that it reads again up to
    ``most``, and more_s of those beyond.
    """

    start_s: float
    load_s: float
    wide_s: float
    aligned_s: float
    step_s: float
    twice_s: float
    kept_s: float
    kept: float
    read_s: float
    most: float
    more_s: float

    def seconds(self, d: Dims) -> Array:
        """Loading the weights, then steps that wait for each other."""
        weights = _padded(d)
        kept, read = np.minimum(weights, self.kept), np.clip(weights - self.kept, 0, self.most - self.kept)
        weights_s = self.kept_s * kept + self.read_s * read + self.more_s * np.maximum(weights - self.most, 0)
        step_s = self.step_s + self.twice_s * (d["gates"] == 3) + weights_s
        load_s = self.load_s + self.wide_s * (d["half"] == 0) + self.aligned_s * (d["width"] % 64 == 0)
        return np.asarray(self.start_s + _weights(d) * load_s + d["steps"] * step_s)


ALONE = Pace(1.0e-6, 2.5e-10, 1.9e-10, 3.0e-10, 2.8e-7, 0.0, 7.2e-12, 55_000, 8.6e-11, 100_000, 1.6e-11)
"""Of a thread block for each sequence."""

TILED = Pace(1.8e-6, 6.8e-11, 0.0, 0.0, 5.8e-7, 2.4e-7, 1.4e-11, 70_000, 3.6e-11, 200_000, 0.0)
"""Of tiles of sequences on the matrix units."""

SPREAD_STEP_S, SPREAD_GATE_S = 1.8e-6, 1.7e-8
"""Of a step in which all multiprocessors wait for each other, and in it of a gate of a sequence."""


def is_tiled(d: Dims) -> Array:
    """Whether matrix units compute tiles of sequences: in half precision, of batches and widths of whole tiles."""
    whole = (d["batch"] % 8 == 0) & (d["width"] % 8 == 0) & (d["width"] >= LANE)
    return np.asarray((whole & (d["half"] > 0) & (d["spread"] == 0)).astype(float))


def _weights(d: Dims) -> Array:
    return d["gates"] * d["width"] ** 2


def _padded(d: Dims) -> Array:
    return np.asarray(d["gates"] * (np.ceil(d["width"] / LANE) * LANE) ** 2)


def _seconds(d: Dims, sms: int) -> Array:
    spread_s = d["steps"] * (SPREAD_STEP_S + SPREAD_GATE_S * d["gates"] * d["batch"])
    return np.where(d["spread"] > 0, spread_s, np.where(is_tiled(d) > 0, TILED.seconds(d), ALONE.seconds(d)))


def _flops(d: Dims) -> Array:
    return 2 * d["batch"] * d["steps"] * _weights(d)


def _bytes(d: Dims, size: int) -> Array:
    return size * (_weights(d) + (d["gates"] + 1) * d["batch"] * d["steps"] * d["width"])


def _features(d: Dims, size: int, sms: int) -> list[Array]:
    kind = [d["gates"], is_tiled(d), d["spread"], d["half"]]
    return [log(d["steps"]), log(_padded(d)), aligned(d["width"]), log(d["batch"]), *kind]


def _as_it_is(d: Dims, times: float) -> dict[str, Array]:
    """Sequences wait for their own steps, however many there are."""
    return dict(d)


def _cell_flops(d: Dims) -> Array:
    return 10 * d["gates"] * d["elements"]


def _cell_bytes(d: Dims, size: int) -> Array:
    """Both products, and the states before and after."""
    return size * (2 * d["gates"] + 3) * d["elements"]


def _cell_features(d: Dims, size: int, sms: int) -> list[Array]:
    return [log(d["elements"]), d["gates"], np.full_like(d["elements"], size)]


ROWS = (
    Family(
        name="recurrence",
        dims={"gates": None, "width": None, "batch": None, "steps": None, "half": 0, "spread": 0},
        flops=_flops,
        nbytes=_bytes,
        features=_features,
        sizes=("width", "batch", "steps"),
        profiler_names=r"RNN_blockPersist|RNN_persist|_lstm_tile",
        grow=_as_it_is,
        blocks=lambda d: d["batch"],
        matrix=True,
        latency_s=_seconds,
        latency_by_clock=True,
        measured_in=MeasuredIn.NOWHERE,
        factor_group="other",
    ),
    Family(
        name="recurrent_cell",
        dims={"elements": None, "gates": None},
        flops=_cell_flops,
        nbytes=_cell_bytes,
        features=_cell_features,
        sizes=("elements",),
        profiler_names=r"elemWiseRNNcell",
        measured_in=MeasuredIn.NOWHERE,
        factor_group="pointwise",
    ),
)
