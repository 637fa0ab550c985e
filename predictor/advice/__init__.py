"""Answers for a designer: what bounds a model, from which batch it does not, what may grow for free, what to change."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from predictor.advice.blocks import blocks_of
from predictor.advice.changes import changes
from predictor.advice.crossover import LIMIT, crossing, grid, whole
from predictor.advice.headroom import headroom as headroom_of
from predictor.advice.passes import Batches, Passes, Question, opened, passes, sizes_of
from predictor.advice.records import (
    Advice,
    Change,
    Headroom,
    KernelPoint,
    ModuleCost,
    Roofline,
    RuntimeRow,
    SizeRow,
    Trust,
    Verdict,
)
from predictor.breakdown import AROUND, Breakdown
from predictor.calibration.load import load_calibration
from predictor.errors import CannotRunError, MissingLibraryError, NotExportedError, PredictorError
from predictor.kernels.families import FAMILIES
from predictor.kernels.family import itemsize
from predictor.lowered import Lowered
from predictor.plans import Plan, Settings, check_batch, check_length
from predictor.predict import without_exports
from predictor.pricing.kernels import kernel_fit
from predictor.pricing.limits import peak_flops
from predictor.records import Compared, PricedProgram, Report

__all__ = [
    "Advice",
    "Change",
    "Headroom",
    "ModuleCost",
    "Question",
    "RuntimeRow",
    "SizeRow",
    "Trust",
    "Verdict",
    "advise",
    "crossover_batch",
    "headroom",
    "question",
]

BORDERLINE = (0.8, 1.25)
"""Host over device time between which a pass is bound by neither: errors of both are as large."""

LEAST_SHARE = 0.03
"""Of the host time, below which a module is not told."""

Tell = Callable[[str], None]
"""Is told what is going on."""


def question(
    plan: Plan,
    gpu: str,
    runtime: str = "eager",
    dtype: str | None = None,
    batch: int | None = None,
    length: int | None = None,
    **options: Any,
) -> Question:
    """What is asked about, checked. options: ``host``, ``attention``, ``estimator``, ``measured``. Raises as
    ``Plan.report``.
    """
    if length is not None and not plan.length:
        raise PredictorError(f"{plan.name} takes no tokens: its inputs have one size")
    batch = plan.batch if batch is None else check_batch(batch)
    length = plan.length if length is None else check_length(length)
    return Question(plan, gpu, runtime, dtype, batch, length, **options)


def crossover_batch(asked: Question, limit: int = LIMIT) -> int | None:
    """See ``Plan.crossover``. Raises PredictorError for a model of one batch size."""
    asked, _ = opened(asked)
    return whole(crossing(passes(asked, grid(limit))))


def headroom(asked: Question) -> tuple[Headroom, ...]:
    """See ``Plan.headroom``."""
    asked, batches = opened(asked)
    return headroom_of(asked, batches, blocks_of(*asked.priced()))


def advise(asked: Question, tell: Tell = lambda what: None) -> Advice:
    """See ``Plan.advise``."""
    tell(f"capturing {asked.plan.name}")
    report = asked.report()
    asked, batches = opened(asked)
    compared = _compared(asked, tell)
    tell(f"pricing {asked.plan.name} at other sizes")
    lowered, priced = asked.priced()
    blocks = blocks_of(lowered, priced)
    sizes, open_batch = sizes_of(asked.batch, batches), batches is not Batches.ONE
    searched = sorted({*grid(LIMIT), *sizes}) if batches is Batches.ANY else sizes
    passed = passes(asked, searched)
    crossover = whole(crossing(passed)) if open_batch else None
    return Advice(
        report,
        _verdict(report, passes(asked, [asked.batch])),
        tuple(_rows(asked, passed, sizes)),
        crossover,
        searched[-1],
        open_batch,
        headroom_of(asked, batches, blocks),
        changes(asked, report, compared, blocks, crossover, open_batch),
        tuple(module_costs(report.breakdown)),
        runtime_rows(compared),
        roofline_of(lowered, priced, asked.settings),
        Trust(
            report.calibration["provenance"],
            report.calibration["host_provenance"],
            report.interval_s[1] / report.latency_s,
            report.unmodelled_share,
            sum(report.extrapolated.values()) / max(report.launches, 1),
        ),
    )


def _compared(asked: Question, tell: Tell) -> tuple[Compared, ...]:
    """The model under every runtime, but what takes long: of a model whose graphs are shipped nothing is captured, and
    no module is exported that was not before.
    """
    shipped = asked.is_stored(asked.batch, asked.length) and not asked.plan.is_captured
    rows = []
    for runtime in load_calibration(asked.gpu).runtimes:
        try:
            under = replace(asked, runtime=runtime)
            if shipped and not under.is_stored(asked.batch, asked.length):
                rows.append(Compared(runtime, None, "no graph of it is shipped: --compare captures it", untried=True))
                continue
            tell(f"capturing {asked.plan.name} for {runtime}")
            with without_exports():
                rows.append(Compared(runtime, under.report()))
        except NotExportedError as error:
            rows.append(Compared(runtime, None, f"{error}: --compare exports it, in some seconds", untried=True))
        except MissingLibraryError as error:
            rows.append(Compared(runtime, None, str(error), untried=True))
        except CannotRunError as error:
            rows.append(Compared(runtime, None, str(error)))
    return tuple(rows)


def _rows(asked: Question, passed: Passes, sizes: Sequence[int]) -> Iterator[SizeRow]:
    """Rows of some sizes, all of which were passed."""
    device_s = dict(zip(passed.batches.tolist(), passed.device_s.tolist(), strict=True))
    for report in asked.reports(sizes):
        yield SizeRow(
            report.batch,
            report.latency_s,
            report.interval_s,
            report.host_s,
            device_s[report.batch],
            report.busy_share,
            report.samples_per_s,
        )


def roofline_of(lowered: Lowered, priced: PricedProgram, chosen: Settings) -> Roofline:
    """The kernels that differ, and what the device reaches."""
    program, calibration = lowered.program, chosen.calibration
    times = program.kernel_times * np.repeat(program.call_times, np.diff(program.first_kernel))
    distinct = sum(group.count for group in program.groups)
    counts = np.bincount(program.kernel_of, times, distinct)
    seconds = np.bincount(program.kernel_of, priced.kernel_s[0], distinct) / np.maximum(counts, 1)
    points: list[KernelPoint] = []
    for group in program.groups:
        family = FAMILIES[group.family]
        dims = family.complete({name: values[0] for name, values in group.dims.items()})
        flops = family.flops(dims) + np.zeros(group.count)
        moved = family.nbytes(dims, itemsize(group.dtype)) + np.zeros(group.count)
        for number in range(group.count):
            of_all = len(points)
            count, each_s = round(float(counts[of_all])), float(seconds[of_all])
            work = float(flops[number]), float(moved[number])
            points.append(KernelPoint(group.family, group.dtype, count, *work, each_s))
    return Roofline(
        peak_flops(calibration.device.peak_flops, FAMILIES["gemm"], lowered.dtype),
        calibration.device.bandwidth_bytes_per_s,
        kernel_fit(calibration, "pointwise", lowered.dtype).floor_s,
        tuple(sorted(points, key=lambda point: -point.count * point.seconds)),
    )


def _verdict(report: Report, passed: Passes) -> Verdict:
    device_s, host_s = float(passed.device_s[0]), report.host_s
    ratio = host_s / max(device_s, 1e-12)
    roof = report.bound if report.bound != "framework" else ""
    low, high = BORDERLINE
    bound = "framework" if ratio > high else "borderline" if ratio >= low or not roof else roof
    return Verdict(bound, ratio, host_s, device_s, 1 - report.busy_share)


def module_costs(breakdown: Breakdown) -> list[ModuleCost]:
    """Kinds of modules by what their own calls cost the host beyond their share of the multiply-accumulates, the most
    first; those of no module and of less than ``LEAST_SHARE`` left out.
    """
    totals: dict[str, list[float]] = {}
    for call in breakdown.calls:
        if call.op != AROUND:
            path = re.sub(r"(?<![^.])\d+(?![^.])", "*", call.module)
            row = totals.setdefault(path, [0, 0.0, 0])
            row[0] += call.cost.count
            row[1] += call.cost.host_s
            row[2] += call.cost.macs
    host_s = sum(row[1] for row in totals.values()) or 1.0
    macs = sum(row[2] for row in totals.values()) or 1
    costs = [
        ModuleCost(path, int(count), seconds, seconds / host_s, int(own), own / macs)
        for path, (count, seconds, own) in totals.items()
        if path and seconds >= LEAST_SHARE * host_s
    ]
    return sorted(costs, key=lambda cost: cost.mac_share - cost.host_share)


def runtime_rows(compared: Sequence[Compared]) -> tuple[RuntimeRow, ...]:
    """The runtimes, the fastest first, those that cannot run the model last."""
    able = sorted((row.report for row in compared if row.report), key=lambda report: report.latency_s)
    overlaps = [report.interval_s[0] <= able[0].interval_s[1] for report in able]
    rows = [
        RuntimeRow(
            report.runtime,
            report.latency_s,
            report.interval_s,
            report.bound,
            tied and sum(overlaps) > 1,
        )
        for report, tied in zip(able, overlaps, strict=True)
    ]
    unable = [row for row in compared if row.report is None]
    cannot = [RuntimeRow(row.runtime, None, None, "", False, row.reason, row.untried) for row in unable]
    return (*rows, *cannot)
