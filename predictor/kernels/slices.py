"""Slices and elements of a tensor that ONNX Runtime writes to places that indices say.

Slices: a thread for every index tuple copies its slice, an element after another. tries: to add an element in half
precision, 0 where nothing is added so. Elements: a thread for each; row: elements side by side that go to places side
by side; shared: elements that are added to the same place.

A block has 256 threads and stays on one multiprocessor. An element takes every thread a step, whose writes lie in
different lines of the cache: the multiprocessor serves them one by one.
"""

from __future__ import annotations

import numpy as np

from predictor.kernels.family import Array, Dims, Family, MeasuredIn, log

BLOCK = 256
"""Threads of a block (onnxruntime, core/providers/cuda/cu_inc/common.cuh, GridDim)."""

WARP, SM_THREADS = 32, 2048
"""Threads that step together, and that a multiprocessor holds."""

STEP_S, LANE_S = 2.9e-8, 2.6e-9
"""Of an element of a single thread, a read, then a write, and of each further thread of its warp. Measured: of one
index 28.9 and 30.7 ns on an H200 (a cache that is written at one place), of 32 107 to 113 ns on an H100.
"""

THREAD_S = 1.95e-9
"""Of an element of a thread on a busy multiprocessor. Measured on an H100: 1.89 to 1.99 ns, 127 to 255 indices."""


FIRST_TRY_S, TRY_S = 5.6e-7, 3.1e-7
"""Of an element that is added in half precision, for which there is no addition in memory: it is read, and written if
nobody has written it meanwhile, else again. Measured on an H100: 554 to 645 ns where nothing meets, 128 and 2,048
indices, 4.0 and 4.1 us where twelve do (calibrations/h100/battery: experts by index, sums over neighbours).
"""


ADDED_START_S, ADDED_ELEMENT_S = {2: 2.0e-6, 4: 7e-7}, {2: 7.0e-10, 4: 1.2e-9}
"""Of elements that are added to places, of (bytes): at the beginning, and of each on a multiprocessor. Measured on an
H200: 38 single nodes in single precision, 128 to 25 million elements, each to a place of its own, 7 % mean error.
"""

AGAIN_ELEMENT_S, MEETING_S = 6.5e-11, 2.9e-7
"""The same in half precision, of each that is added to the same place: what an element takes more, and a turn in which
one of those that meet gets through. Measured on an H200: rows of 3 to 128, 6 to 17 that meet, in models, 19 % mean
error; where every element of a row goes elsewhere, as in single nodes drawn at random, two to three times as long.
"""

MOST_AGAIN = 15
"""Elements of a place from which on each takes no longer. Measured on an H200: where 64 are added to each of 2,708 and
of 43,328 places, rows of 200, an element takes 15.1 and 15.2 ps, as much as this formula gives for 14 of them.
"""

MOST_MEETINGS, BUSY, FEW_MEET, MANY_MEET = 8, 2.0, 5.0, 8.0
"""Rows of a warp up to which each makes its turns longer, and by how much these are where every thread of the GPU has
an element, of elements that so many or more meet, not of those that so few do. Measured: rows of 3 and 4 beside those
of 112 and 128; 5,000 elements beside half a million, 8 and 17 that meet; of 4 and 5 that meet, in five networks whose
edges lie in any order, 170 and 210 thousand take no longer than 10 thousand for each.
"""


def _added_s(d: Dims, size: int, sms: int) -> Array:
    start_s, element_s = ADDED_START_S[min(size, 4)], ADDED_ELEMENT_S[min(size, 4)]
    each_s = element_s + (AGAIN_ELEMENT_S * np.minimum(d["shared"], MOST_AGAIN) if size == 2 else 0.0)
    meet = np.clip((d["shared"] - FEW_MEET) / (MANY_MEET - FEW_MEET), 0.0, 1.0)
    busy = 1 + BUSY * meet * np.minimum(d["elements"] / (sms * SM_THREADS), 1.0)
    of_warp = np.clip(WARP / d["row"], 1.0, MOST_MEETINGS)
    longer = np.where(of_warp > 1, of_warp * busy, 1.0)
    meeting_s = MEETING_S * d["shared"] * longer if size == 2 else 0.0
    return np.asarray(start_s + each_s * d["elements"] / sms + meeting_s)


def _added_bytes(d: Dims, size: int) -> Array:
    return (8 + 2 * size) * d["elements"]


def _elements(d: Dims) -> Array:
    return d["indices"] * d["slice"]


def _bytes(d: Dims, size: int) -> Array:
    return 2 * size * _elements(d) + 8 * d["indices"]


def _seconds(d: Dims, sms: int) -> Array:
    """Steps after one another: of the slice, each as long as the fullest multiprocessor needs for its threads."""
    threads = np.minimum(d["indices"], BLOCK) * np.ceil(np.ceil(d["indices"] / BLOCK) / sms)
    step_s = STEP_S + LANE_S * (np.minimum(threads, WARP) - 1)
    tried_s = np.where(d["tries"] > 0, FIRST_TRY_S + TRY_S * (d["tries"] - 1), 0.0)
    return np.asarray(d["slice"] * np.maximum.reduce([step_s, THREAD_S * threads, tried_s]))


def _features(d: Dims, size: int, sms: int) -> list[Array]:
    return [log(d["indices"]), log(d["slice"])]


ROWS = (
    Family(
        name="scattered_slices",
        dims={"indices": None, "slice": None, "tries": 0},
        flops=_elements,
        nbytes=_bytes,
        features=_features,
        sizes=("indices", "slice"),
        profiler_names=r"ScatterND",
        latency_s=_seconds,
        blocks=lambda d: np.asarray(np.ceil(d["indices"] / BLOCK)),
        measured_in=MeasuredIn.NOWHERE,
        factor_group="other",
    ),
    Family(
        name="scattered_elements",
        dims={"elements": None, "row": None, "shared": None},
        flops=lambda d: d["elements"],
        nbytes=_added_bytes,
        features=lambda d, size, sms: [log(d["elements"]), log(d["row"])],
        sizes=("elements", "row"),
        profiler_names=r"GatherScatterElements",
        issue_s=_added_s,
        closed_form=True,
        measured_in=MeasuredIn.NOWHERE,
        factor_group="other",
    ),
)
