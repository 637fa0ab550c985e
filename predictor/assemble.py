"""A priced program and its timeline -> the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor import runtimes
from predictor.breakdown import AROUND, Breakdown, CallCost, Cost
from predictor.calibration.host_costs import HostCosts
from predictor.calibration.interval_scales import Lane, interval_scale
from predictor.calibration.load import Calibration
from predictor.kernels.families import FAMILIES
from predictor.kernels.host_copies import HOST_COPY
from predictor.kernels.unmodelled import UNMODELLED
from predictor.lowered import Lowered
from predictor.ops import graph_break
from predictor.pricing.correction import Correction
from predictor.pricing.intervals import interval, log_error
from predictor.records import (
    NEXT_GRAPH,
    CaptureMode,
    Corrected,
    HostCall,
    KernelGroup,
    OnCpu,
    OpCost,
    PricedProgram,
    Program,
    Report,
    Timeline,
    Timelines,
    Trait,
)
from predictor.timeline.critical import critical_path
from predictor.timeline.queue import timeline_at

COSTLIEST = 8
"""Rows of the report's table of operators."""


def assemble(
    lowered: Lowered,
    priced: PricedProgram,
    timelines: Timelines,
    calibration: Calibration,
    host: HostCosts,
    estimator: str,
    size: int = 0,
    correction: Correction | None = None,
) -> Report:
    """The report of one size, by its position. estimator: "queue", or "max" for the plain formula; correction: that is
    in the prices.
    """
    timeline = timeline_at(timelines, size)
    latency_s = timeline.latency_s if estimator == "queue" else timeline.max_s
    log_sd = spread(lowered, priced, timeline, calibration, host, size, correction)
    return Report(
        model=lowered.name,
        runtime=host.runtime,
        gpu=calibration.gpu,
        dtype=lowered.dtype,
        batch=lowered.batches[size],
        estimator=estimator,
        latency_s=latency_s,
        interval_s=interval(latency_s, log_sd),
        host_s=timeline.host_s,
        kernel_s=timeline.kernel_s,
        max_s=timeline.max_s,
        bound=bound(timeline, priced, size),
        critical_host=timeline.critical_host,
        macs=int(lowered.macs[size]),
        launches=int(priced.launches[size].sum()),
        operators=lowered.operators,
        module_calls=lowered.module_calls,
        python_calls=lowered.python_calls,
        costliest=_costliest(lowered, priced, size),
        unmodelled=dict(lowered.program.program.unmodelled),
        unmodelled_share=_unmodelled_s(lowered, priced, size) / max(timeline.kernel_s, 1e-12),
        extrapolated=_extrapolated(lowered, priced, size),
        calibration=provenance(calibration, host),
        on_cpu=_on_cpu(lowered, priced, size),
        notes=(
            *notes(lowered.versions, calibration, host),
            *_graph_breaks(lowered.program.program),
            *(f"assumed: {text}" for text in lowered.assumptions),
            *(f"{text}: such a latency contradicts the others" for text in (correction.doubtful if correction else ())),
        ),
        host=host.label,
        software=_software(host),
        attention=lowered.attention,
        correction=_corrected(correction, host, timeline) if correction else None,
        breakdown=Breakdown(
            partial(call_costs, lowered, priced, timelines, calibration, host, size), timeline.latency_s
        ),
    )


def _graph_breaks(program: Program) -> list[str]:
    """Where a compiler breaks a graph, and how many it makes; nothing where it makes one."""
    left = [call for call in program.calls if call.uncompiled]
    if not left:
        return []
    places = Counter(call.origin.place for call in left if graph_break(call.op) or any(map(graph_break, call.parts)))
    said = ", ".join(f"{place} ({times} times)" if times > 1 else place for place, times in places.items() if place)
    begun = sum(call.op == NEXT_GRAPH for call in program.calls)
    graphs = begun + any(not call.uncompiled and call.op != NEXT_GRAPH for call in program.calls)
    count = "1 graph" if graphs == 1 else f"{graphs} graphs" if graphs else "no graph"
    return [f"torch.compile breaks the graph at {said or 'an operator'}: {count}, {len(left)} operators in eager mode"]


def _software(host: HostCosts) -> dict[str, str]:
    """What runs a model, package -> version."""
    versions = host.environment.versions
    of_export = runtimes.load(host.runtime).capture_mode is CaptureMode.EXPORTED
    package = "onnxruntime" if of_export and "onnxruntime" in versions else "torch"
    return {package: versions[package].split("+")[0]} if package in versions else {}


def _corrected(correction: Correction, host: HostCosts, timeline: Timeline) -> Corrected:
    """What a report says of a correction."""
    share = timeline.host_weight
    return Corrected(
        correction.count,
        correction.host_factor_of(host.runtime),
        correction.device_factor,
        correction.log_sd(host.runtime, share, 1 - share),
    )


def call_costs(
    lowered: Lowered,
    priced: PricedProgram,
    timelines: Timelines,
    calibration: Calibration,
    host: HostCosts,
    size: int = 0,
) -> list[CallCost]:
    """What every call of a pass costs, in issue order, and what the pass costs around them, at one size."""
    critical_calls, critical_kernels = critical_path(priced, timelines, calibration.lanes_of(host), size)
    program = lowered.program
    work = np.concatenate(
        [_work(group, calibration.sms, size) for group in program.groups] or [np.zeros((2, 0))], axis=1
    )
    times = program.kernel_times * np.repeat(program.call_times, np.diff(program.first_kernel))
    flops, active = work[0, program.kernel_of] * times, work[1, program.kernel_of] * priced.kernel_s[size]
    columns = np.stack([priced.launches[size], priced.kernel_s[size], critical_kernels, flops, active])
    rows: list[CallCost] = []

    def add(call: HostCall, first: int, host_s: float, critical_s: float, macs: float) -> int:
        """Add a call whose kernels begin at a place; where they end."""
        end = first + (0 if call.replayed else len(call.kernels))
        launches, kernel_s, critical_kernel_s, call_flops, active_s = columns[:, first:end].sum(axis=1).tolist()
        cost = Cost(
            call.times,
            round(launches),
            host_s,
            kernel_s,
            critical_s + critical_kernel_s,
            round(macs),
            call_flops,
            active_s,
        )
        rows.append(CallCost(call.row.label, call.origin.module, call.origin.file, call.origin.line, cost))
        return end

    of_calls = (priced.host_s[size], critical_calls, lowered.call_macs[size])
    for number, call in enumerate(program.program.calls):
        host_s, critical_s, macs = (float(column[number]) for column in of_calls)
        first = add(call, int(program.first_kernel[number]), host_s, critical_s, 0.0 if call.replayed else macs)
        growth = macs / call.macs if call.replayed and call.macs else 0.0
        for replayed in call.replayed:
            first = add(replayed, first, 0.0, 0.0, replayed.macs * replayed.times * growth)
    around_s = float(timelines.host_s[size]) - float(priced.host_s[size].sum())
    critical_s = float(timelines.latency_s[size]) - float(critical_calls.sum() + critical_kernels.sum())
    return [*rows, CallCost(AROUND, "", "", 0, Cost(host_s=max(around_s, 0.0), critical_s=max(critical_s, 0.0)))]


def _work(group: KernelGroup, sms: int, size: int) -> NDArray[np.float64]:
    """(2, kernels): FLOPs of each kernel of a group, and the share of the multiprocessors that it occupies."""
    family = FAMILIES[group.family]
    dims = family.complete({name: values[size] for name, values in group.dims.items()})
    return np.stack([family.flops(dims) + np.zeros(group.count), np.minimum(family.blocks(dims) / sms, 1.0)])


def spread(
    lowered: Lowered,
    priced: PricedProgram,
    timeline: Timeline,
    calibration: Calibration,
    host: HostCosts,
    size: int = 0,
    correction: Correction | None = None,
) -> float:
    """Standard deviation of the logarithm of a latency, see ``pricing.intervals.log_error``, scaled to what models show
    that no fit had seen; with a correction it is what the user's own latencies leave.
    """
    groups, seconds = lowered.program.groups, priced.kernel_s[size]
    group_s = seconds_by_group(lowered, priced, size)
    unmodelled_s = _unmodelled_s(lowered, priced, size)
    extrapolated_s = float(seconds[priced.extrapolated[size]].sum()) - unmodelled_s
    log_sd = log_error(groups, group_s, extrapolated_s, unmodelled_s, timeline, calibration, host, correction)
    if correction is not None:
        return log_sd
    lane: Lane = "host" if timeline.critical_host > 0.5 else "device"
    of_host = "measured" if host.is_probed else host.provenance
    return log_sd * interval_scale((calibration.provenance, of_host), host.runtime, lane)


def seconds_by_group(lowered: Lowered, priced: PricedProgram, size: int = 0) -> NDArray[np.float64]:
    """Kernel seconds of each of the program's groups, (groups,)."""
    return np.bincount(lowered.group_of_kernel, priced.kernel_s[size], len(lowered.program.groups)).astype(float)


def _unmodelled_s(lowered: Lowered, priced: PricedProgram, size: int) -> float:
    """Seconds of the kernels of operators that nobody modelled, all of which count as extrapolated, too."""
    of_group = [group.family == UNMODELLED for group in lowered.program.groups]
    return float(priced.kernel_s[size][np.array(of_group, dtype=bool)[lowered.group_of_kernel]].sum())


def bound(timeline: Timeline, priced: PricedProgram, size: int = 0) -> str:
    """ "framework" where most of the critical path is the host's; else the roof under which most kernel time stands.

    Without calls that wait for the device that is where host time exceeds kernel time, but for passes whose lanes take
    about the same: there it depends on which of them is ahead for longer.
    """
    if timeline.critical_host > 0.5:
        return "framework"
    compute_s = priced.kernel_s[size][priced.compute_bound[size]].sum()
    return "compute" if compute_s > timeline.kernel_s / 2 else "memory"


def _costliest(lowered: Lowered, priced: PricedProgram, size: int) -> tuple[OpCost, ...]:
    many, rows = len(lowered.ops), lowered.op_of_call
    call_of_kernel = np.repeat(np.arange(len(rows)), np.diff(priced.first_kernel))
    count = np.bincount(rows, lowered.program.call_times, many)
    host_s = np.bincount(rows, priced.host_s[size], many)
    kernel_s = np.bincount(rows[call_of_kernel], priced.kernel_s[size], many)
    ranked = np.argsort(-np.maximum(host_s, kernel_s), kind="stable")[:COSTLIEST]
    return tuple(OpCost(lowered.ops[i], int(count[i]), float(host_s[i]), float(kernel_s[i])) for i in ranked)


def _on_cpu(lowered: Lowered, priced: PricedProgram, size: int) -> tuple[OnCpu, ...]:
    """What runs on the CPU beside the GPU, and the copies around it, the longest first."""
    reasons = lowered.program.program.on_cpu
    if not reasons:
        return ()
    per_call = np.add.reduceat(
        np.append(priced.kernel_s[size], 0.0), np.minimum(priced.first_kernel[:-1], priced.kernel_s.shape[1])
    ) * (np.diff(priced.first_kernel) > 0)
    rows = []
    for op, reason in reasons.items():
        ours = np.array([call.op == op and not _is_on_gpu(call) for call in lowered.program.program.calls])
        count = int(lowered.program.call_times[ours].sum())
        rows.append(OnCpu(op, reason, count, float(priced.host_s[size][ours].sum()), float(per_call[ours].sum())))
    return tuple(sorted(rows, key=lambda row: -(row.host_s + row.kernel_s)))


def _is_on_gpu(call: HostCall) -> bool:
    """Whether a call is of kernels of the GPU, not of what the CPU computes, or of a copy between the two."""
    copies = [kernel.family == HOST_COPY for kernel in call.kernels]
    return call.trait is not Trait.HOST and not (copies and all(copies))


def _extrapolated(lowered: Lowered, priced: PricedProgram, size: int) -> dict[str, int]:
    """Kernel family -> kernels outside its calibrated range, in the order of their first appearance; those of
    operators that nobody modelled are said elsewhere.
    """
    groups = lowered.group_of_kernel[priced.extrapolated[size]]
    counts: dict[str, int] = {}
    for number in groups.tolist():
        family = lowered.program.groups[number].family
        if family != UNMODELLED:
            counts[family] = counts.get(family, 0) + 1
    return counts


def provenance(calibration: Calibration, host: HostCosts) -> dict[str, Any]:
    """What a report says of its calibration."""
    environment = host.environment
    calibrated_at = datetime.fromisoformat(environment.date)
    calibrated_at = calibrated_at if calibrated_at.tzinfo else calibrated_at.replace(tzinfo=UTC)
    return {
        "gpu": calibration.gpu,
        "device": calibration.device.name,
        "provenance": calibration.provenance,
        "host_provenance": host.provenance,
        "date": environment.date,
        "age_days": max((datetime.now(UTC) - calibrated_at).days, 0),
        "host": environment.cpu,
        "versions": environment.versions,
    }


def notes(versions: Mapping[str, str], calibration: Calibration, host: HostCosts) -> tuple[str, ...]:
    """What a report adds: host costs of another machine, versions that differ from the calibration's."""
    theirs = host.environment.versions
    differ = [
        f"{package} {version} (calibrated with {theirs[package]})"
        for package, version in versions.items()
        if package != "python" and package in theirs and theirs[package].split("+")[0] != version.split("+")[0]
    ]
    scaled = f", scaled to {host.label}" if host.name not in ("", host.reference_gpu) else ""
    elsewhere = f"host costs are those of a machine with an {host.reference_gpu}{scaled}{_own_host(calibration, host)}"
    captured = f"captured with {', '.join(differ)}"
    doubts = host.environment.doubts
    doubted = f"the calibration was written although it should not be trusted: {doubts}"
    said = ((doubted, doubts), (elsewhere, host.is_unmeasured), (captured, differ))
    return tuple(note for note, holds in said if holds)


def _own_host(calibration: Calibration, host: HostCosts) -> str:
    """Why the costs are those of another GPU's host: there are no others, or how to ask for the GPU's own."""
    if host.reference_gpu == calibration.gpu:
        return ""
    has_own = host.runtime in calibration.runtimes and not calibration.own_host(host.runtime).is_unmeasured
    return (
        f"; the {calibration.gpu}'s own: --host {calibration.gpu}"
        if has_own
        else ": nobody measured this runtime with this GPU"
    )
