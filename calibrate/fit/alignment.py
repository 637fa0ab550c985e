"""Which family's kernels a profile's kernels are: predicted and profiled kernels of a pass, aligned in issue order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

NAMES = {
    "attention": r"fmha|flash|sdpa|attention|Memset",
    "softmax": r"softmax",
    "layer_norm": r"layer_norm",
    "weight_norm": r"weight_norm",
    "batch_norm": r"batch_norm|bn_fw",
    "group_norm": r"GroupNorm|RowwiseMoments|ComputeFusedParams|group_norm",
    "cat": r"CatArray",
    "copy": r"copy|Memcpy",
    "reduce": r"reduce_kernel",
    "scan": r"scan",
    "sort": r"[sS]ort|topk|TopK|median",
    "fft": r"fft",
    "gather": r"gather|index|embedding",
    "pool": r"pool",
    "interpolate": r"upsample|interpolate|grid_sampler",
    "fill": r"FillFunctor|Memset|arange|tri[lu]_",
    "gemm": r"gemm|nvjet|cutlass|splitK|gemv|dot_kernel|Memset|scal_kernel|epilogue",
    "pointwise": r"elementwise",
    "nnc": r"^fused_",
    "triton": r"^triton_",
    "ort": r"onnxruntime::|op_tensor|op_generic|reduce_tensor|pooling|bn_fw|transpose|Memcpy|Memset",
}
"""Kernel family -> what its kernels are called in torch, cuBLAS and cuDNN."""

_CONV = r"conv|fprop|dgrad|cudnn|DSE|fft|complex|cask|winograd|gemm|cutlass|[nN]hwc|Memset|CUDAFunctor_add|scal_kernel"
"""What a convolution may consist of, the bias added behind it included."""

MOST = 24
"""Kernels that one predicted kernel may have become: eight times as many for a convolution."""

ODD, MISSING, SURPLUS, DURATION = 3.0, 3.0, 1.0, 0.3
"""Costs of an alignment: a kernel under a family that does not call its kernels so; a predicted kernel without one; a
factor e in launches, and in duration.
"""


@dataclass(frozen=True, slots=True)
class Part:
    """Kernels of one family in a pass: seconds and launches, predicted and measured."""

    family: str
    predicted_s: float
    measured_s: float
    predicted_launches: int
    measured_launches: int


def pattern(family: str) -> str:
    """What a family's kernels are called, as a regular expression."""
    return _CONV if is_conv(family) else NAMES[family]


def is_conv(family: str) -> bool:
    """Whether a family is of convolutions."""
    return "conv" in family


def align(
    families: Sequence[str],
    launches: Sequence[int],
    predicted_s: Sequence[float],
    names: Sequence[str],
    measured_s: Sequence[float],
) -> list[tuple[int, int]]:
    """Predicted kernel -> the run of measured kernels, [first, end), that it became: the cheapest alignment in order.

    names, measured_s: of the measured kernels; all are given to a predicted one.
    """
    if not names:
        return [(0, 0)] * len(families)
    distinct = sorted(set(names))
    order = np.array([distinct.index(name) for name in names], dtype=int)
    spent = np.log(np.maximum(_ending_at(np.cumsum(measured_s)), 1e-9))
    odd: dict[str, NDArray[np.float64]] = {}
    for family in set(families):
        most = 8 * MOST if is_conv(family) else MOST
        fits = np.array([bool(re.search(pattern(family), name)) for name in distinct])
        odd[family] = _ending_at(np.cumsum(np.where(fits[order], 0.0, ODD)))[:most]
    memory = np.empty_like(spent)
    best = np.full(len(names) + 1, np.inf)
    best[0] = 0.0
    taken = np.zeros((len(families), len(names) + 1), dtype=np.int16)
    for row, (family, expected, seconds) in enumerate(zip(families, launches, predicted_s, strict=True)):
        most = len(odd[family])
        cost = np.subtract(spent[:most], np.log(seconds), out=memory[:most])
        np.abs(cost, out=cost)
        cost *= DURATION
        cost += odd[family]
        cost += SURPLUS * np.abs(np.log(np.arange(1, most + 1) / expected))[:, None]
        cost += _shifted(best, most)
        count = cost.argmin(axis=0)
        least = cost[count, np.arange(cost.shape[1])]
        found = best + MISSING
        better = least < found
        best = np.where(better, least, found)
        taken[row] = np.where(better, count + 1, 0)
    runs, end = [], len(names)
    for row in reversed(range(len(families))):
        first = end - int(taken[row, end])
        runs.append((first, end))
        end = first
    return runs[::-1]


def _shifted(values: NDArray[np.float64], most: int, before: float = np.inf) -> NDArray[np.float64]:
    """[count - 1, end] -> the value at end - count, for counts up to most."""
    padded = np.concatenate([np.full(most, before), values])
    return sliding_window_view(padded, len(values))[most - 1 :: -1]


def _ending_at(cumulated: NDArray[np.float64]) -> NDArray[np.float64]:
    """[count - 1, end] -> the sum of the count values before end."""
    before = np.concatenate([[0.0], cumulated])
    most = min(8 * MOST, len(cumulated))
    return before - _shifted(before, most, before=0.0)


def by_family(
    families: Sequence[str],
    launches: Sequence[int],
    predicted_s: Sequence[float],
    names: Sequence[str],
    measured_s: Sequence[float],
) -> list[Part]:
    """Predicted and measured kernels of a pass, summed by the predicted family."""
    runs = align(families, launches, predicted_s, names, measured_s)
    parts = []
    for family in sorted(set(families)):
        own = [i for i, name in enumerate(families) if name == family]
        parts.append(
            Part(
                family,
                sum(predicted_s[i] for i in own),
                sum(sum(measured_s[slice(*runs[i])]) for i in own),
                sum(launches[i] for i in own),
                sum(runs[i][1] - runs[i][0] for i in own),
            )
        )
    return parts
