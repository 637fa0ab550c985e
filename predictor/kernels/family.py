"""What a row of the kernel families says, and what the rows are written with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.errors import PredictorError
from predictor.records import ITEMSIZE, Variant

Array = NDArray[np.float64]
Dims = Mapping[str, Array]
"""Dimension -> values, float arrays that broadcast."""

Grow = Callable[[Dims, float], dict[str, Array]]
"""Dimensions -> those of the same kernel with so many times the thread blocks."""


RunsAs = Callable[[Dims, int], tuple[NDArray[np.bool_], Mapping[str, Dims]]]
"""Dimensions, element size -> which kernels run as others, and for all of them family -> dimensions of what they run,
each once; zero elements of a family where they run none.
"""

Impossible = Callable[[Dims], Iterable[tuple[NDArray[np.bool_], str]]]
"""Dimensions -> (where they cannot be, why not) for each reason; in braces the dimensions that a reason names."""

WARP = 32
"""Threads of a GPU that go together."""

MAYBE_NONE = ("bytes", "bytes_read", "bytes_written", "flops", "steps")
"""Dimensions that every call says and that may be 0."""

AT_LEAST_ONE = ("batch", "groups", "run", "taps", "window", "dilation")
"""Dimensions with a default, and all strides, that are 1 or more."""


class MeasuredIn(StrEnum):
    """Where a family's kernels are measured: in calls of torch, in sessions of ONNX Runtime that hold nothing else, in
    profiles of modules under the runtime that makes them, or nowhere: then its price is analytic.
    """

    CALLS = "calls"
    SESSIONS = "sessions"
    PROFILES = "profiles"
    NOWHERE = "nowhere"


def itemsize(dtype: str) -> int:
    """Bytes of one stored element; tf32 is stored as fp32."""
    return ITEMSIZE.get("fp32" if dtype == "tf32" else dtype, 4)


def grow_batch(dims: Dims, times: float) -> dict[str, Array]:
    """More of the batch."""
    return {**dims, "batch": dims["batch"] * times}


def grow_stream(dims: Dims, times: float) -> dict[str, Array]:
    """More of all that it streams."""
    streamed = ("elements", "bytes_read", "bytes_written", "rows", "blocks", "threads", "warps")
    return {**dims, **{name: dims[name] * times for name in streamed if name in dims}}


def element_blocks(dims: Dims) -> Array:
    """Thread blocks of a kernel that streams: one for 512 elements, as its features count them."""
    return np.asarray(np.ceil(dims["elements"] / 512))


def row_blocks(dims: Dims) -> Array:
    """Thread blocks of a kernel that works on rows: one a row."""
    return dims["rows"]


def tile_blocks(m: Array, n: Array, batch: Array | float = 1.0) -> Array:
    """Thread blocks of a product: tiles of 64 x 64, which libraries take where there are few."""
    return np.asarray(np.ceil(m / 64) * np.ceil(n / 64) * batch)


@dataclass(frozen=True, slots=True)
class Family:
    """A family of kernels: what it works on, how much work that is, the features its time is regressed on, and all else
    that sets it apart.

    dims: dimension -> default (None: required); flops and nbytes: work of one call, from dims and element size;
    features: columns beside those of the work, of dims, element size and multiprocessors. sizes: dimensions that the
    work grows with, not flags, windows, strides, or what picks an algorithm; regimes: of which one value says nothing
    about another, where they are not the sizes. grow: the same kernel with more thread blocks; blocks: how many it has,
    about: what multiprocessors share among themselves.

    matrix: it runs on the matrix units, a fit per dtype (``families.fit_name``); other families have one, with the
    element size as a feature. same_in_tf32: fp32 and TF32 run alike; tf32_by_default: torch runs it in TF32 where the
    tensors are fp32, unless TF32 is off. has_winograd: in single precision a library may run it by Winograd's
    algorithm. converts_layouts: for matrix units a library turns images to channels last. changes_abruptly: its
    algorithm does from shape to shape, so shapes that the fit misses are kept as exceptions. may_run_by_groups: its
    groups may run one after another, by a choice that no shape tells: such samples are no part of the fit, but of its
    error and its exceptions. groups_run_at_once: in a
    CUDA graph its groups run at the same time; group_blocks: thread blocks of one of them, which leave no room for
    others where they fill the multiprocessors; None: few. variant: which path of an operator on the host launches it.

    traffic: bytes of its memory traffic that no cache spares, from dims and element size, where those of nbytes are an
    upper limit: what is read in part or again; None: nbytes.

    impossible: what sizes cannot be together, see ``check``.

    over_link: its bytes go between the memories of device and host, at the pace of the link between them. closed_form:
    its price is a formula whose constants were measured over all sizes that models have, so that no fit says its range.

    latency_s: seconds of what is neither arithmetic nor traffic, steps that wait for each other, from dims and
    multiprocessors; None: nothing; latency_by_clock: they take so long on another GPU as instructions do. issue_s:
    seconds in which blocks are launched or the multiprocessors issue the instructions of a kernel that has many for a
    FLOP, beside its traffic, from dims, element size and multiprocessors; None: those of its FLOPs at the peak.
    threads_s: seconds in which the multiprocessors run as many threads as it has, from the same: no kernel comes below,
    whatever its fit says; None: nothing is known of that.

    measured_in: where; stand_in: the family whose fit is taken where this one was not measured; held_out: dimensions
    that decide whether two samples are parts of one when a fit is tested on unseen ones, all where it is empty.
    factor_group: whose factor of whole passes it shares, its own where it is empty. profiler_names: what a profiler
    calls its kernels, a regular expression; most_kernels: that one call may have become in a profile. only_measured: a
    GPU for which it was not measured is refused, as an analytic price would be a guess (``unmeasured_product``).
    runs_as: which of its kernels are other families' in truth, and which those are; None: none. launches: of calls,
    from dims, element size and those that a fit says; None: these. later: features that came later, behind all others,
    so that older fits find theirs where they were; None: none.
    """

    name: str
    dims: Mapping[str, float | None]
    flops: Callable[[Dims], Array]
    nbytes: Callable[[Dims, int], Array]
    features: Callable[[Dims, int, int], list[Array]]
    sizes: tuple[str, ...]
    profiler_names: str
    regimes: tuple[str, ...] = ()
    grow: Grow = grow_stream
    blocks: Callable[[Dims], Array] = element_blocks
    matrix: bool = False
    same_in_tf32: bool = False
    tf32_by_default: bool = False
    has_winograd: bool = False
    converts_layouts: bool = False
    changes_abruptly: bool = False
    may_run_by_groups: bool = False
    groups_run_at_once: bool = False
    group_blocks: Callable[[Dims], Array] | None = None
    variant: Variant = Variant.USUAL
    traffic: Callable[[Dims, int], Array] | None = None
    over_link: bool = False
    closed_form: bool = False
    impossible: Impossible = lambda d: ()
    latency_s: Callable[[Dims, int], Array] | None = None
    latency_by_clock: bool = False
    issue_s: Callable[[Dims, int, int], Array] | None = None
    threads_s: Callable[[Dims, int, int], Array] | None = None
    measured_in: MeasuredIn = MeasuredIn.CALLS
    stand_in: str = ""
    held_out: tuple[str, ...] = ()
    factor_group: str = ""
    most_kernels: int = 24
    only_measured: bool = False
    runs_as: RunsAs | None = None
    launches: Callable[[Dims, int, Array], Array] | None = None
    later: Callable[[Dims], list[Array]] | None = None

    def complete(self, dims: Mapping[str, Any]) -> dict[str, Array]:
        """Dimensions as float arrays of one shape, defaults filled in. Raises KeyError for a missing or unknown one."""
        extra = [d for d in dims if d not in self.dims]
        missing = [d for d, default in self.dims.items() if default is None and d not in dims]
        if extra or missing:
            wrong = [f"it has no {', '.join(extra)}"] if extra else []
            lacks = [f"say {', '.join(missing)}"] if missing else []
            raise KeyError(f"{self.name} takes {', '.join(self.dims)}: {'; '.join([*wrong, *lacks])}")
        arrays = np.broadcast_arrays(
            *(np.asarray(dims.get(d, default), dtype=float) for d, default in self.dims.items())
        )
        return dict(zip(self.dims, arrays, strict=True))

    def check(self, dims: Mapping[str, Any]) -> None:
        """Raises PredictorError for a kernel that cannot be: of no size, or of sizes that exclude each other; KeyError
        as ``complete`` does.
        """
        arrays = self.complete(dims)
        for name, values in arrays.items():
            counts = name in AT_LEAST_ONE or (name.startswith("stride") and "strided" not in name)
            needed = self.dims[name] is None and name not in MAYBE_NONE
            least = 1 if counts or needed else 0
            wrong = values[~((values >= least) & np.isfinite(values))]
            if wrong.size:
                raise PredictorError(f"{self.name}: {name} is {least} or more, not {wrong[0]:g}")
        for where, why in self.impossible(arrays):
            if np.any(where):
                first = int(np.argmax(np.ravel(where)))
                said = {name: f"{np.ravel(values)[first]:g}" for name, values in arrays.items()}
                raise PredictorError(f"{self.name}: {why.format(**said)}")

    def compulsory_bytes(self, dims: Dims, size: int) -> Array:
        """Bytes that a kernel moves at the least; size: of an element."""
        return self.nbytes(dims, size) if self.traffic is None else self.traffic(dims, size)

    def roofline_s(
        self, dims: Dims, dtype: str, peak: float, bandwidth: float, sms: int, longer: float = 1.0
    ) -> tuple[Array, Array]:
        """Seconds that kernels take for what they compute and for what they move, at the least of either, without a
        floor. peak: FLOP/s of a dtype, bandwidth: bytes/s, sms: multiprocessors, each of which takes ``longer`` times
        as long to issue instructions as where these were timed.
        """
        compute, memory = self.flops(dims) / peak, self.nbytes(dims, itemsize(dtype)) / bandwidth
        if self.issue_s is not None:
            compute = np.maximum(compute, self.issue_s(dims, itemsize(dtype), sms) * longer)
        if self.latency_s is None:
            return compute, memory
        waiting = self.latency_s(dims, sms)
        return compute + waiting, memory + waiting

    def is_regime(self, dim: str) -> bool:
        """Whether one value of a dimension says nothing about another."""
        return dim in (self.regimes or self.sizes)

    def matrix_of_features(self, dims: Dims, dtype: str, sms: int) -> Array:
        """Feature matrix, one row per kernel. sms: multiprocessors of the device (cores of a CPU)."""
        size = itemsize(dtype)
        work = [log(self.flops(dims)), log(self.nbytes(dims, size)), log(self.flops(dims) / self.nbytes(dims, size))]
        columns = [*work, *self.features(dims, size, sms)]
        if self.matrix:
            columns.append(np.asarray(float(dtype in ("bf16", "tf32"))))
        columns += self.later(dims) if self.later is not None else []
        table = np.empty((work[0].size, len(columns)))
        for position, column in enumerate(columns):
            table[:, position] = np.ravel(column)
        return table


def log(x: Array) -> Array:
    """Logarithm to base 2, of zero a large negative number."""
    return np.log2(np.maximum(x, 2**-20))


def waves(blocks: Array, sms: int) -> list[Array]:
    """Waves of thread blocks and how full the last wave leaves the device."""
    count = blocks / sms
    return [log(count), count / np.ceil(np.maximum(count, 1e-9))]


def aligned(x: Array) -> Array:
    """Largest power of two up to 64 that divides x, as its logarithm: what vector loads and tiles care about."""
    return np.asarray(np.sum([x % 2**p == 0 for p in range(1, 7)], axis=0), dtype=float)


def tiles(m: Array, n: Array, batch: Array, sms: int) -> list[Array]:
    """Waves of the tiles that a product is made in, of three sizes."""
    columns: list[Array] = []
    for tile_m, tile_n in ((64, 64), (128, 128), (128, 256)):
        columns += waves(np.ceil(m / tile_m) * np.ceil(n / tile_n) * batch, sms)
    return columns
