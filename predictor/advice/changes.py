"""What to change, each predicted anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import sqrt

from predictor import runtimes
from predictor.advice.blocks import Blocks, numbered, repeated, sources
from predictor.advice.passes import Question, latencies_s
from predictor.advice.records import Change
from predictor.advice.widening import widened
from predictor.errors import PredictorError
from predictor.lowered import lower
from predictor.records import CaptureMode, Compared, HostCall, Report, Trait

LEAST_GAIN = 0.03
"""Of a change that is worth telling: 3 %."""

MORE = 8
"""Times the batch size that is proposed where the crossover is below it or unknown."""

FEWEST_BLOCKS = 4
"""Blocks of which half can be left out for wider ones."""


def changes(
    question: Question,
    report: Report,
    compared: Sequence[Compared],
    blocks: Blocks | None,
    crossover: int | None,
    open_batch: bool,
) -> tuple[Change, ...]:
    """What gains ``LEAST_GAIN`` or more, the most first. crossover: the batch size from which the pass is bound by the
    device; open_batch: whether the model takes other batch sizes.
    """
    proposed = [
        *_other_runtimes(question, report, compared),
        *_without_waits(question, report, compared),
        *_other_dtypes(question, report),
        *_fused_attention(question, report),
        *_channels_last(question, report),
        *_wider(question, report, blocks),
        *(_more_at_once(question, report, crossover or 1) if open_batch else ()),
    ]
    worth = [change for change in proposed if change.gain >= LEAST_GAIN]
    return tuple(sorted(worth, key=lambda change: -change.gain))


def _change(report: Report, kind: str, what: str, latency_s: float, *, estimated: bool = False) -> Change:
    return Change(kind, what, latency_s, 1 - latency_s / report.latency_s, estimated=estimated)


def _other_runtimes(question: Question, report: Report, compared: Sequence[Compared]) -> Iterator[Change]:
    """The fastest runtime; and CUDA graphs as such, where these are neither that nor what is asked about."""
    others = [row.report for row in compared if row.report and row.runtime != question.runtime]
    if others:
        best = min(others, key=lambda other: other.latency_s)
        tied = report.interval_s[0] <= best.interval_s[1]
        uncertain = f", tied with {question.runtime}: measure both" if tied else ""
        yield _change(report, "runtime", f"runtime {best.runtime}{uncertain}", best.latency_s)
        graphs = [other for other in others if other.runtime == GRAPHS and other is not best]
        for other in graphs:
            yield _change(report, "cuda graphs", f"CUDA graphs alone, runtime {GRAPHS}", other.latency_s)


GRAPHS = "cudagraph"
"""The runtime that replays what eager mode launches."""


def _without_waits(question: Question, report: Report, compared: Sequence[Compared]) -> Iterator[Change]:
    """Lines where the host waits for the device left out; and a CUDA graph of the rest, where they stand in its way."""
    lowered, priced = question.priced()
    waiting = [call for _, _, call in sources(lowered) if call.sync]
    if not waiting or question.settings.calibration.lanes.serial:
        return
    where = places(waiting)
    chosen = question.settings
    unsynced = replace(priced, sync=priced.sync & False)
    seconds = float(latencies_s(unsynced, chosen)[0])
    yield _change(report, "waits", f"no waiting for the device: {where}", seconds, estimated=True)
    captured = any(row.report for row in compared if row.runtime == GRAPHS)
    if captured or runtimes.load(question.runtime).capture_mode is not CaptureMode.EAGER:
        return
    graph = question.plan.graph_in(chosen.dtype, question.runtime, question.mode, question.batch, question.length)
    rest = replace(graph, calls=tuple(c for c in graph.calls if not _waits(c)))
    try:
        replaying = replace(question, runtime=GRAPHS).settings
        replayed = lower(rest, GRAPHS, replaying.target, replaying.multiplied)
        seconds = float(latencies_s(question.plan.price(replayed.program, replaying), replaying)[0])
    except PredictorError:
        return
    what = f"CUDA graphs, without {where}"
    yield _change(report, "cuda graphs", what, seconds, estimated=True)


def _waits(call: object) -> bool:
    parts = getattr(call, "parts", ())
    return getattr(call, "trait", None) is Trait.SYNC or any(_waits(part) for part in parts)


def places(calls: Sequence[HostCall]) -> str:
    """The operators that make the host wait, and their lines: "item (net.py:42)"."""
    named = dict.fromkeys(
        f"{call.op} ({call.origin.file.rpartition('/')[2]}:{call.origin.line})" if call.origin.file else call.op
        for call in calls
    )
    first = list(named)[:2]
    return ", ".join([*first, *([f"{len(named) - 2} more"] if len(named) > 2 else [])])


HALF = ("fp16", "bf16")
"""Half-precision dtypes."""


def _other_dtypes(question: Question, report: Report) -> Iterator[Change]:
    """Half precision, where single precision is priced."""
    if report.dtype in HALF:
        return
    able = [dtype for dtype in HALF if dtype in question.settings.calibration.dtypes]
    reports = []
    for dtype in able:
        try:
            reports.append(question.report(dtype=dtype))
        except PredictorError:
            continue
    if reports:
        best = min(reports, key=lambda other: other.latency_s)
        yield _change(report, "dtype", f"half precision, {best.dtype}", best.latency_s)


def _fused_attention(question: Question, report: Report) -> Iterator[Change]:
    if report.attention == "multiplied out":
        try:
            fused = question.report(attention="sdpa")
        except PredictorError:
            return
        yield _change(report, "attention", "fused attention, scaled_dot_product_attention", fused.latency_s)


def _channels_last(question: Question, report: Report) -> Iterator[Change]:
    """Channels-last, where the model has convolutions of two dimensions and can be captured again."""
    lowered, _ = question.priced()
    turned = getattr(question.plan.source, "channels_last", None)
    if turned is None or not any(group.family.startswith("conv") for group in lowered.program.groups):
        return
    source = turned()
    if source is None:
        return
    plan = replace(question.plan, graphs=replace(question.plan.graphs, templates=()), source=source)
    try:
        other = question.report(plan=plan)
    except PredictorError:
        return
    yield _change(report, "layout", "channels-last weights and inputs", other.latency_s)


def _wider(question: Question, report: Report, blocks: Blocks | None) -> Iterator[Change]:
    """Half of the blocks, wider by the root of what is left out: products with weights stay at equal MACs."""
    if blocks is None or blocks.count < FEWEST_BLOCKS:
        return
    lowered, _ = question.priced()
    left_out = blocks.count // 2
    factor = sqrt(blocks.count / (blocks.count - left_out))
    body = numbered(lowered) & blocks.kernels.any(axis=0)
    priced = question.plan.price(widened(lowered, body, [factor]), question.settings)
    for _ in range(left_out):
        priced, blocks = repeated(priced, blocks, 0, 0), _without_first(blocks)
    seconds = float(latencies_s(priced, question.settings)[0])
    what = f"equal MACs, {left_out} of {left_out + blocks.count} blocks of {blocks.where}, x{factor:.2f} wider"
    yield _change(report, "shape", what, seconds, estimated=True)


def _without_first(blocks: Blocks) -> Blocks:
    """The blocks of the program that ``blocks.repeated`` has left the first out of."""
    calls, kernels = ~blocks.calls[0], ~blocks.kernels[0]
    return Blocks(blocks.path, blocks.numbers[1:], blocks.calls[1:, calls], blocks.kernels[1:, kernels])


def _more_at_once(question: Question, report: Report, crossover: int) -> Iterator[Change]:
    """A larger batch: that of the crossover, or some times as many."""
    batch = crossover if crossover >= 2 * question.batch else MORE * question.batch
    try:
        other = question.report(batch=batch)
    except PredictorError:
        return
    each_s = other.latency_s / batch
    gain = 1 - each_s / (report.latency_s / question.batch)
    yield Change("batch", f"batch {batch} at once", each_s, gain, per_sample=True)
