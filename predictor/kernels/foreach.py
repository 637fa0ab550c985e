"""Lists of tensors that one kernel copies (``_foreach_copy_``), in pieces that blocks of threads take.

elements, largest: of all tensors, and of the largest of them, of whose pieces a block's threads take one after another.
"""

from __future__ import annotations

import numpy as np

from predictor.kernels.family import Array, Dims, Family, MeasuredIn, log

FOREACH_COPY = "foreach_copy"
"""Name of the family."""

PIECE, STEP, BLOCKS_OF_SM = 65_536, 2048, 4
"""Elements of a block, those that its 512 threads take at once (kChunkSize, kBlockSize, kILP of
aten/src/ATen/native/cuda/MultiTensorApply.cuh), and blocks that a multiprocessor holds.
"""

STEP_S, BYTE_S = 2.7e-7, 2.0e-8
"""Of a step, and of each byte of an element: reads, which wait for the memory, and writes. Measured on an H200, in
half precision: 14 us of 150,528 elements, 7 to 10 where the last pass has left them in cache, 15 of 2.4 million, 19 to
22 of 12.6 million, 27 of 39 million; in integers of eight bytes 17.5 us of 196,608, 4.5 of 12,288, 1.3 of 128.
"""


def _elements(d: Dims) -> Array:
    return d["elements"]


def _bytes(d: Dims, size: int) -> Array:
    return 2 * size * d["elements"]


def _issue_s(d: Dims, size: int, sms: int) -> Array:
    """Steps of the largest piece, slower by as much as other pieces keep the multiprocessors busy."""
    steps = np.ceil(np.minimum(d["largest"], PIECE) / STEP) - 1
    busy = 1 + d["elements"] / (PIECE * BLOCKS_OF_SM * sms)
    return np.asarray(steps * busy * (STEP_S + BYTE_S * size))


ROWS = (
    Family(
        name=FOREACH_COPY,
        dims={"elements": None, "largest": None},
        flops=_elements,
        nbytes=_bytes,
        features=lambda d, size, sms: [log(d["elements"]), log(d["largest"])],
        sizes=("elements",),
        profiler_names=r"multi_tensor_apply_kernel",
        closed_form=True,
        issue_s=_issue_s,
        blocks=lambda d: np.asarray(np.ceil(d["elements"] / PIECE)),
        measured_in=MeasuredIn.NOWHERE,
        factor_group="copy",
    ),
)
