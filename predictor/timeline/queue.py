"""The two-clock queue: the host issues, the device drains; in closed form, for many sizes at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.records import HostCall, Lane, Lanes, PricedProgram, Span, Timeline, Timelines

Array = NDArray[np.float64]

SHARE_POWER = 8
"""How abruptly a pass's error turns from the host's into the device's. A judgement."""


def share_of_host(host_s: Any, kernel_s: Any) -> Any:
    """How much of a pass's error is the host's: all where it takes much longer, none where the kernels do. Numbers or
    arrays.
    """
    host = np.maximum(host_s, 1e-12)
    share = 1 / (1 + (np.maximum(kernel_s, 1e-12) / host) ** SHARE_POWER)
    return np.where(np.greater(host_s, 0), share, 0.0)


def queue(priced: PricedProgram, lanes: Lanes, fixed_s: float = 0.0) -> Timeline:
    """Latency of one synchronised pass, see ``queues``.

    >>> from predictor.records import PricedCall
    >>> two = PricedProgram.of([PricedCall(1.0, ()), PricedCall(2.0, ())])
    >>> queue(two, Lanes(0.0, 0.0, 0.5)).latency_s
    3.5
    """
    return timeline_at(queues(priced.at(0), lanes, fixed_s), 0)


def timeline_at(timelines: Timelines, size: int) -> Timeline:
    """The outcome at one size, by its position."""
    return Timeline(
        float(timelines.latency_s[size]),
        float(timelines.host_s[size]),
        float(timelines.kernel_s[size]),
        float(timelines.max_s[size]),
        float(timelines.pipelined_s[size]),
        float(timelines.critical_kernel_s[size]),
        float(timelines.host_weight[size]),
    )


def queues(priced: PricedProgram, lanes: Lanes, fixed_s: float = 0.0) -> Timelines:
    """Timelines of one synchronised pass, at every size of the prices.

    Host calls and kernels are taken in issue order. A kernel starts when it has been launched and the one before it has
    ended: ``start = max(device + gap, host + launch latency)``. A call with several kernels launches them evenly while
    it lasts. fixed_s: host time of the pass outside its calls.

    Between two calls that wait for the device this has a closed form. With d[k] what kernel k occupies the device for,
    its gap included, S the cumulated sum of d, and L[k] the time of its launch, it ends (its gap included) at
    ``S[k] + max over j <= k of (L[j] - S[j - 1])``: the kernel j of the maximum is the last that waited for the host.

    The critical path is what led to the last clock, step by step back: a kernel that waited for the device follows the
    kernel before it, one that waited for the host follows the calls up to its launch.
    """
    if lanes.serial:
        return _one_lane(priced, lanes, fixed_s)
    sizes, calls = priced.host_s.shape
    counts = np.diff(priced.first_kernel)
    call_of = np.repeat(np.arange(calls), counts)
    number = np.arange(len(call_of)) - priced.first_kernel[:-1][call_of] + 1  # of a kernel among its call's, from 1
    ends = np.cumsum(priced.host_s, axis=1) + fixed_s
    launched = ends[:, call_of] - priced.host_s[:, call_of] * (1 - number / counts[call_of]) + lanes.launch_latency_s
    busy = priced.kernel_s + lanes.gap_s * np.maximum(priced.launches - 1, 0)
    starts = np.empty_like(busy)
    host_shift = np.zeros(sizes)  # what waiting has added to the host's clock so far
    device, waited = np.zeros(sizes), np.zeros(sizes)
    host_kernel_s, device_kernel_s = np.zeros(sizes), np.zeros(sizes)  # kernel time on the path to each clock
    shifts = np.zeros((sizes, calls))
    first = 0
    for last in [*np.flatnonzero(priced.sync).tolist(), calls - 1]:
        if last < first:
            continue
        shifts[:, first : last + 1] = host_shift[:, None]
        segment = slice(int(priced.first_kernel[first]), int(priced.first_kernel[last + 1]))
        if segment.start < segment.stop:
            times = launched[:, segment] + host_shift[:, None]
            starts[:, segment], device, device_kernel_s = _drain(
                times, busy[:, segment], lanes.gap_s, device, device_kernel_s, host_kernel_s
            )
        if priced.sync[last]:
            host = ends[:, last] + host_shift
            waited = np.maximum(device - host, 0.0)
            host_kernel_s = np.where(waited > 0, device_kernel_s, host_kernel_s)
            host_shift = host_shift + waited
        first = last + 1
    host = (ends[:, -1] if calls else np.full(sizes, fixed_s)) + host_shift + priced.tail_s
    host_s = fixed_s + priced.host_s.sum(axis=1) + priced.tail_s
    kernel_s = priced.kernel_s.sum(axis=1)
    occupied = kernel_s + lanes.gap_s * priced.launches.sum(axis=1)
    return Timelines(
        latency_s=np.maximum(host, device) + lanes.sync_s,
        host_s=host_s,
        kernel_s=kernel_s,
        max_s=np.maximum(host_s, kernel_s),
        pipelined_s=np.maximum(host_s, occupied),
        critical_kernel_s=np.where(device > host, device_kernel_s, host_kernel_s),
        host_weight=share_of_host(host_s, kernel_s),
        call_start_s=ends - priced.host_s + shifts,
        call_end_s=ends + shifts,
        kernel_start_s=starts,
        kernel_end_s=starts + busy,
    )


def _drain(
    launched: Array, busy: Array, gap_s: float, device: Array, device_kernel_s: Array, host_kernel_s: Array
) -> tuple[Array, Array, Array]:
    """Kernels (sizes, kernels) that follow each other without the host waiting: when each starts, when the last ends,
    and the kernel time on the path to that. device: when the kernel before them ended; device_kernel_s, host_kernel_s:
    kernel time on the path to that, and on the host's.
    """
    sizes, count = busy.shape
    occupied = np.cumsum(busy + gap_s, axis=1)
    before = np.concatenate([np.zeros((sizes, 1)), occupied[:, :-1]], axis=1)
    free = device + gap_s
    lead = np.concatenate([free[:, None], launched - before], axis=1)
    latest = np.maximum.accumulate(lead, axis=1)
    starts = before + latest[:, 1:]
    # the last kernel that waited for the host: its launch set the maximum anew
    waited_for_host = lead[:, 1:] >= latest[:, :-1]
    position = np.where(waited_for_host.any(axis=1), count - 1 - np.argmax(waited_for_host[:, ::-1], axis=1), -1)
    rows = np.arange(sizes)
    after = occupied[:, -1] - before[rows, np.maximum(position, 0)] - gap_s
    path = np.where(position >= 0, host_kernel_s + after, device_kernel_s + gap_s + after)
    return starts, starts[:, -1] + busy[:, -1], path


def _one_lane(priced: PricedProgram, lanes: Lanes, fixed_s: float) -> Timelines:
    """Host and device are one processor: each call, then its kernels."""
    sizes, calls = priced.host_s.shape
    counts = np.diff(priced.first_kernel)
    call_of = np.repeat(np.arange(calls), counts)
    host_end = np.cumsum(priced.host_s, axis=1) + fixed_s
    kernel_end = np.cumsum(priced.kernel_s, axis=1)
    before = np.concatenate([np.zeros((sizes, 1)), kernel_end], axis=1)
    start = host_end - priced.host_s + before[:, priced.first_kernel[:-1]]
    kernel_start = kernel_end - priced.kernel_s + host_end[:, call_of]
    host_s, kernel_s = fixed_s + priced.host_s.sum(axis=1) + priced.tail_s, priced.kernel_s.sum(axis=1)
    both = host_s + kernel_s
    return Timelines(
        latency_s=both,
        host_s=host_s,
        kernel_s=kernel_s,
        max_s=both,
        pipelined_s=both,
        critical_kernel_s=kernel_s,
        host_weight=host_s / np.maximum(host_s + kernel_s, 1e-12),
        call_start_s=start,
        call_end_s=start + priced.host_s,
        kernel_start_s=kernel_start,
        kernel_end_s=kernel_start + priced.kernel_s,
    )


def spans(calls: Sequence[HostCall], timelines: Timelines, size: int = 0) -> tuple[Span, ...]:
    """The two lanes at one size as spans, in issue order: a host span for every call, then its kernels'."""
    kernel = iter(zip(timelines.kernel_start_s[size].tolist(), timelines.kernel_end_s[size].tolist(), strict=True))
    made: list[Span] = []
    starts, ends = timelines.call_start_s[size].tolist(), timelines.call_end_s[size].tolist()
    for call, start_s, end_s in zip(calls, starts, ends, strict=True):
        made.append(Span(Lane.HOST, start_s, end_s, call.row.label, "", call.origin))
        for source in call.replayed or (call,):
            for launched, (begin_s, until_s) in zip(source.kernels, kernel, strict=False):
                made.append(Span(Lane.DEVICE, begin_s, until_s, source.row.label, launched.family, source.origin))
    return tuple(made)
