"""How torch's kernels that take one element after another walk through two tensors: in the order of what is written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from predictor.kernels.family import WARP
from predictor.kernels.streams import LINE_BYTES


class Axis(NamedTuple):
    """A dimension: its elements, and how many lie between two of them where it is read and where it is written."""

    size: int
    read: int
    written: int


def axes_of(shape: Sequence[int], read: Sequence[int], written: Sequence[int]) -> tuple[Axis, ...]:
    """Dimensions of more than one element, the one written fastest first, neighbours that follow each other in both
    tensors merged (aten/src/ATen/TensorIterator.cpp, coalesce_dimensions).
    """
    dims = [Axis(*dim) for dim in zip(shape, read, written, strict=True) if dim[0] != 1]
    axes: list[Axis] = []
    for dim in sorted(dims, key=lambda axis: axis.written):
        inner = axes[-1] if axes else None
        if inner and (dim.read, dim.written) == (inner.size * inner.read, inner.size * inner.written):
            axes[-1] = inner._replace(size=inner.size * dim.size)
        else:
            axes.append(dim)
    return tuple(axes)


def lines_of(axes: Sequence[Axis], itemsize: int) -> float:
    """Lines of the cache that hold the elements which a warp reads at once, a part of one where they are few bytes."""
    threads, span, lines = WARP, itemsize, 1
    for axis in axes:
        taken, step = min(axis.size, threads), abs(axis.read) * itemsize
        if step < LINE_BYTES:
            span = max(span, step * taken)
        else:
            lines *= taken
        threads = math.ceil(threads / taken)
        if threads <= 1:
            break
    return min(lines * max(span / LINE_BYTES, 1.0), float(WARP))


def reuse_of(axes: Sequence[Axis], itemsize: int) -> int:
    """Elements that are written until the lines just read are read again: all where no two elements share one."""
    narrow = [n for n, axis in enumerate(axes) if 0 < abs(axis.read) * itemsize < LINE_BYTES]
    return math.prod(axis.size for axis in axes[: narrow[-1] if narrow else None])


def walk(axes: Sequence[Axis], itemsize: int) -> dict[str, float]:
    """Dimensions of a kernel that copies along axes, of which a copy in order has none."""
    if not axes or (len(axes) == 1 and axes[0].read == axes[0].written == 1):
        return {}
    return {
        "axes": len(axes),
        "lines": lines_of(axes, itemsize),
        "reuse": reuse_of(axes, itemsize),
        "pitch": abs(axes[0].read) * itemsize,
    }
