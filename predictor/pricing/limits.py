"""The least time that a kernel can take on a card, whatever a fit says of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from predictor.calibration.load import Calibration
from predictor.kernels.convolutions import WINOGRAD_GAIN, is_winograd
from predictor.kernels.families import Family, itemsize

Array = NDArray[np.float64]
Dims = Mapping[str, Array]

EXACT_TILE = {"maxwell": 32, "pascal": 32, "volta": 64, "turing": 64}
"""Output channels of the narrowest tile in which cuDNN computes convolutions in single precision on GPUs that have no
TF32 (its kernels ``maxwell_scudnn_128x32`` and ``volta_scudnn_128x64``): fewer channels leave the rest of it idle. A
convolution of 16 to 64 channels took 1.4 times its FLOPs' time on a 1080 Ti and 3.1 times on a 2080 Ti
(NAS-Bench-201 at batch 256), where these tiles' shares are 1.3 and 2.3.
"""


def units(calibration: Calibration, dtype: str) -> str:
    """What products and convolutions in a dtype run in here: exact ones where there is no TF32."""
    return "fp32" if dtype == "tf32" and "tf32" not in calibration.device.peak_flops else dtype


WITHOUT_MATRIX_UNITS = frozenset({"maxwell", "pascal"})
"""Architectures whose libraries compute in half precision as they do in single precision."""


def launched_as(calibration: Calibration, family: Family, dtype: str) -> str:
    """The dtype whose launches a library has here: without units that want channels last, or TF32, it converts no
    layouts, and calls as few kernels as for exact products.
    """
    if family.matrix and calibration.architecture in WITHOUT_MATRIX_UNITS and itemsize(dtype) > 1:
        return "fp32"
    return units(calibration, dtype)


def peak_flops(peaks: Mapping[str, float], family: Family, dtype: str) -> float:
    """The peak, in FLOP/s, that a family's kernels run against: of the matrix units in a dtype, in one of eight bits
    twice that of sixteen (as all datasheets of GPUs that have them say), or of the others.
    """
    if family.matrix and itemsize(dtype) == 1:
        return 2 * peaks.get("fp16", peaks["fp32"])
    return peaks.get(dtype, peaks["fp32"]) if family.matrix else peaks["fp32"]


def least_s(calibration: Calibration, family: Family, dtype: str, dims: Dims) -> Array:
    """Seconds below which no kernel of a family comes: its FLOPs over the card's peak, its threads where that is known,
    and, once its tensors together exceed the last cache, its compulsory traffic over the bandwidth. Of a CPU, whose
    caches are many, nothing is said.

    Winograd's algorithm takes ``WINOGRAD_GAIN`` times fewer multiplications, where a library really takes it; a
    convolution in single precision fills whole tiles of channels (``EXACT_TILE``).
    """
    device, size = calibration.device, itemsize(dtype)
    work = family.flops(dims)
    if device.serial:
        return np.zeros_like(work)
    compute_s = work / peak_flops(device.peak_flops, family, dtype)
    if family.has_winograd and units(calibration, dtype) == "fp32":
        tile = EXACT_TILE.get(calibration.architecture, 1)
        whole = np.ceil(dims["c_out"] / tile) * tile / dims["c_out"]
        compute_s = compute_s * np.where(is_winograd(dims), 1 / WINOGRAD_GAIN, whole)
    if family.threads_s is not None:
        compute_s = np.maximum(compute_s, family.threads_s(dims, size, calibration.sms))
    traffic_s = family.compulsory_bytes(dims, size) / device.bandwidth_bytes_per_s
    return np.maximum(compute_s, np.where(family.nbytes(dims, size) > device.l2_bytes, traffic_s, 0.0))
