"""The two-clock queue: the host issues, the device drains."""

from __future__ import annotations

from collections.abc import Iterable

from predictor.records import Lanes, PricedCall, Timeline


def queue(calls: Iterable[PricedCall], lanes: Lanes, fixed_s: float = 0.0) -> Timeline:
    """Latency of one synchronised pass.

    Host calls and kernels are taken in issue order. A kernel starts when it has been launched and the one before it has
    ended: ``start = max(device + gap, host + launch latency)``. A call with several kernels launches them evenly while
    it lasts. fixed_s: host time of the pass outside its calls. On a serial target (a CPU) the two lanes are one.

    The critical path is what led to the last clock, step by step back: a kernel that waited for the device follows the
    kernel before it, one that waited for the host follows the calls up to its launch.

    >>> two = (PricedCall(1.0, ()), PricedCall(2.0, ()))
    >>> queue(two, Lanes(0.0, 0.0, 0.5)).latency_s
    3.5
    """
    host = fixed_s
    device = 0.0
    host_in_kernels, device_in_kernels = 0.0, 0.0  # of the path that led to each clock
    host_s, kernel_s, launches = fixed_s, 0.0, 0
    for call in calls:
        begun = host
        host += call.host_s
        host_s += call.host_s
        for number, kernel in enumerate(call.kernels, start=1):
            launches += kernel.launches
            kernel_s += kernel.seconds
            inside = lanes.gap_s * max(kernel.launches - 1, 0)
            if lanes.serial:
                host += kernel.seconds
                host_in_kernels += kernel.seconds
            else:
                issued = begun + call.host_s * number / len(call.kernels)
                free, launched = device + lanes.gap_s, issued + lanes.launch_latency_s
                before = device_in_kernels + lanes.gap_s if free > launched else host_in_kernels
                device = max(free, launched) + kernel.seconds + inside
                device_in_kernels = before + kernel.seconds + inside
        if call.sync and device > host:
            host, host_in_kernels = device, device_in_kernels
    critical_kernel_s = device_in_kernels if device > host else host_in_kernels
    latency = host if lanes.serial else max(host, device) + lanes.sync_s
    busy = kernel_s + lanes.gap_s * launches
    pipelined = host if lanes.serial else max(host_s, busy)
    return Timeline(latency, host_s, kernel_s, pipelined, critical_kernel_s)


def plain(timeline: Timeline, serial: bool = False) -> float:
    """The headline formula: ``max(host time, kernel time)``, their sum where both share one processor."""
    return timeline.host_s + timeline.kernel_s if serial else max(timeline.host_s, timeline.kernel_s)
