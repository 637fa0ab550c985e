"""What repeats in a model: its blocks by module path, and programs with more or fewer of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from predictor.lowered import Lowered
from predictor.records import HostCall, PricedProgram

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks that are alike. path: of their container ("encoder.layer"), empty for the model; numbers: of the blocks in
    it; calls, kernels: (blocks, calls), (blocks, kernels), what is of each.
    """

    path: str
    numbers: tuple[int, ...]
    calls: Mask
    kernels: Mask

    @property
    def where(self) -> str:
        """Their container, as a person calls it."""
        return self.path or "the model"

    @property
    def count(self) -> int:
        """How many are alike."""
        return len(self.numbers)


def sources(lowered: Lowered) -> Iterator[tuple[int, int, HostCall]]:
    """(Number of the call, number of its first kernel, call) of every call, and of those that a CUDA graph replays."""
    first = lowered.program.first_kernel.tolist()
    for number, call in enumerate(lowered.program.program.calls):
        kernel = first[number]
        if not call.replayed:
            yield number, kernel, call
        for replayed in call.replayed:
            yield number, kernel, replayed
            kernel += len(replayed.kernels)


def numbered(lowered: Lowered) -> Mask:
    """(Kernels,): those of calls inside numbered modules, which are a network's body; all where no call has a path."""
    inside = np.zeros(len(lowered.program.kernel_of), dtype=bool)
    has_paths = False
    for _, kernel, call in sources(lowered):
        has_paths = has_paths or bool(call.origin.module)
        if any(part.isdigit() for part in call.origin.module.split(".")):
            inside[kernel : kernel + len(call.kernels)] = True
    return inside if has_paths and inside.any() else np.ones_like(inside)


LEAST_BODY = 0.1
"""Of host and kernel time, below which blocks that are alike are a detail, not the depth of a model. A judgement."""


def blocks_of(lowered: Lowered, priced: PricedProgram) -> Blocks | None:
    """The blocks that are alike and cost most together: two or more modules that a container numbers, with the same
    operators. None where nothing repeats that costs ``LEAST_BODY``, or no call says its module.
    """
    members: dict[tuple[str, int], list[tuple[int, int, HostCall]]] = defaultdict(list)
    for number, kernel, call in sources(lowered):
        parts = call.origin.module.split(".")
        for position, part in enumerate(parts):
            if part.isdigit():
                members[".".join(parts[:position]), int(part)].append((number, kernel, call))
    alike: dict[tuple[str, tuple[str, ...]], list[int]] = defaultdict(list)
    for (path, index), calls in members.items():
        alike[path, tuple(call.row.label for _, _, call in calls)].append(index)
    host_s, kernel_s = priced.host_s[0], np.append(priced.kernel_s[0], 0.0)

    def cost_s(key: tuple[str, tuple[str, ...]]) -> float:
        rows = [row for index in alike[key] for row in members[key[0], index]]
        of_host = sum(float(host_s[number]) for number, _, call in rows if call is _call(lowered, number))
        return of_host + sum(float(kernel_s[first : first + len(call.kernels)].sum()) for _, first, call in rows)

    repeated = [key for key, indices in alike.items() if len(indices) > 1]
    if not repeated:
        return None
    path, labels = max(repeated, key=cost_s)
    if cost_s((path, labels)) < LEAST_BODY * float(host_s.sum() + kernel_s.sum()):
        return None
    numbers = alike[path, labels]
    of_calls = np.zeros((len(numbers), priced.host_s.shape[1]), dtype=bool)
    kernels = np.zeros((len(numbers), priced.kernel_s.shape[1]), dtype=bool)
    for row, index in enumerate(numbers):
        for number, first, call in members[path, index]:
            of_calls[row, number] |= call is _call(lowered, number)
            kernels[row, first : first + len(call.kernels)] = True
    return Blocks(path, tuple(numbers), of_calls, kernels)


def _call(lowered: Lowered, number: int) -> HostCall:
    return lowered.program.program.calls[number]


def repeated(priced: PricedProgram, blocks: Blocks, block: int, times: int) -> PricedProgram:
    """The program with one block so many times as often: 0 leaves it out, 2 has it twice."""
    calls: list[int] = []
    kernels: list[int] = []
    ends = [0]
    ours, ours_kernels = blocks.calls[block], blocks.kernels[block]
    bounds = priced.first_kernel.tolist()
    body = np.flatnonzero(ours).tolist()
    last = body[-1] if body else -1

    def add(call: int, times: int) -> None:
        calls.append(call)
        for kernel in range(bounds[call], bounds[call + 1]):
            kernels.extend([kernel] * (times if ours_kernels[kernel] else 1))
        ends.append(len(kernels))

    for call in range(len(bounds) - 1):
        if not ours[call]:
            add(call, times)
        elif times:
            add(call, 1)
        if call == last:
            for _ in range(times - 1):
                for again in body:
                    add(again, 1)
    return replace(
        priced,
        host_s=priced.host_s[:, calls],
        sync=priced.sync[calls],
        kernel_s=priced.kernel_s[:, kernels],
        launches=priced.launches[:, kernels],
        compute_bound=priced.compute_bound[:, kernels],
        extrapolated=priced.extrapolated[:, kernels],
        first_kernel=np.array(ends, dtype=np.int64),
    )
