"""The critical path of a pass: which calls and kernels its latency is made of, walked back from its end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from predictor.records import Lanes, PricedProgram, Timelines

Array = NDArray[np.float64]

SAME_S = 1e-12
"""Two times that are as close are the same: rounding."""


def critical_path(priced: PricedProgram, timelines: Timelines, lanes: Lanes, size: int = 0) -> tuple[Array, Array]:
    """(Of calls, of kernels): seconds of each on the critical path of one size, the launch latency with the call that
    launches, a gap with the kernel behind it.

    From the clock that ends last: a kernel that waited for the kernel before it follows that, one that waited for the
    host follows the calls up to its launch; a call that waited for the device follows its last kernel. What is left of
    the latency is the time around the calls and the last synchronisation. See ``queue.queues``.
    """
    calls, kernels = np.zeros(priced.host_s.shape[1]), np.zeros(priced.kernel_s.shape[1])
    if lanes.serial:
        return priced.host_s[size].copy(), priced.kernel_s[size].copy()
    first = priced.first_kernel.tolist()
    call_of = np.repeat(np.arange(len(calls)), np.diff(priced.first_kernel)).tolist()
    call_start, call_end, kernel_start, kernel_end = (
        array[size].tolist()
        for array in (
            timelines.call_start_s,
            timelines.call_end_s,
            timelines.kernel_start_s,
            timelines.kernel_end_s,
        )
    )
    call, kernel = len(calls) - 1, len(kernels) - 1
    until = call_end[-1] if call_end else 0.0  # of the host's clock
    waits = bool(calls.size) and bool(priced.sync[-1])
    on_device = bool(kernel_end) and kernel_end[-1] > until + (0.0 if waits else priced.tail_s)
    while (kernel if on_device else call) >= 0:
        if on_device:
            kernels[kernel] += kernel_end[kernel] - kernel_start[kernel]
            waited = kernel and kernel_start[kernel] <= kernel_end[kernel - 1] + lanes.gap_s + SAME_S
            if waited:
                kernels[kernel] += lanes.gap_s
                kernel -= 1
                continue
            call, on_device = call_of[kernel], False
            calls[call] += lanes.launch_latency_s
            until = kernel_start[kernel] - lanes.launch_latency_s
            continue
        calls[call] += until - call_start[call]
        if call and call_start[call] > call_end[call - 1] + SAME_S and first[call]:
            kernel, on_device = first[call] - 1, True
        call -= 1
        until = call_end[call]
    return calls, kernels
