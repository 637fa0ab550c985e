"""The two-clock queue, against closed forms worked by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor import runtimes
from predictor.calibration.load import Calibration
from predictor.plans import Plan
from predictor.pricing.program import price
from predictor.records import (
    TODAY,
    HostCall,
    Kernel,
    Lane,
    Lanes,
    Origin,
    PricedCall,
    PricedKernel,
    PricedProgram,
    PythonWork,
    Timeline,
)
from predictor.timeline import queue as timeline_queue

FREE = Lanes(launch_latency_s=0.0, gap_s=0.0, sync_s=0.0)


def call(host_s: float, *kernel_s: float, sync: bool = False, launches: int = 1) -> PricedCall:
    return PricedCall(host_s, tuple(PricedKernel(s, launches, "memory") for s in kernel_s), sync)


def queue(calls: Sequence[PricedCall], lanes: Lanes, fixed_s: float = 0.0) -> Timeline:
    return timeline_queue.queue(PricedProgram.of(calls), lanes, fixed_s)


def test_an_empty_pass_costs_the_fixed_time_and_the_synchronisation() -> None:
    timeline = queue((), Lanes(3.0, 5.0, 0.5), fixed_s=2.0)
    assert timeline.latency_s == 2.5
    assert (timeline.host_s, timeline.kernel_s) == (2.0, 0.0)


def test_a_host_bound_pass_ends_with_the_last_kernel_after_the_last_launch() -> None:
    """Host: 1, 2, 3. The last kernel starts at 3 and takes 0.25."""
    timeline = queue([call(1.0, 0.25)] * 3, FREE)
    assert timeline.latency_s == 3.25
    assert (timeline.host_s, timeline.kernel_s) == (3.0, 0.75)


def test_a_call_launches_its_kernels_while_it_lasts() -> None:
    """One call of 4 launches at 1, 2, 3 and 4; a device that is slower than that ends with all kernels after 1."""
    assert queue([call(4.0, 0.5, 0.5, 0.5, 0.5)], FREE).latency_s == 4.5
    assert queue([call(4.0, 2.0, 2.0, 2.0, 2.0)], FREE).latency_s == 9.0


def test_launch_latency_delays_a_kernel_on_an_idle_device() -> None:
    """Launched at 1 and at 2, each starts 0.5 later: 2.5 + 0.25, and 0.1 to synchronise."""
    assert queue([call(1.0, 0.25)] * 2, Lanes(0.5, 0.0, 0.1)).latency_s == pytest.approx(2.85)


def test_a_device_bound_pass_is_the_first_launch_and_all_kernels() -> None:
    """The first kernel starts at 1 + 0.5; the two others wait in the stream: 1.5 + 3 x 10."""
    timeline = queue([call(1.0, 10.0)] * 3, Lanes(0.5, 0.0, 0.0))
    assert timeline.latency_s == 31.5
    assert timeline.pipelined_s == 30.0


def test_kernels_that_wait_in_the_stream_are_a_gap_apart() -> None:
    """First kernel from 1 to 11; two more, each after a gap of 0.25: 11 + 2 x 10.25."""
    timeline = queue([call(1.0, 10.0)] * 3, Lanes(0.0, 0.25, 0.0))
    assert timeline.latency_s == 31.5
    assert timeline.pipelined_s == 30.75


def test_a_gap_that_passes_while_the_host_works_costs_nothing() -> None:
    """Kernels from 1 to 1.25, then launched at 2: the gap of 0.5 is over by then."""
    assert queue([call(1.0, 0.25)] * 2, Lanes(0.0, 0.5, 0.0)).latency_s == 2.25


def test_a_call_of_several_launches_has_gaps_inside() -> None:
    """One call, 4 launches, 10 s of kernels in all: 1 + 10 + 3 gaps."""
    assert queue([call(1.0, 10.0, launches=4)], Lanes(0.0, 0.25, 0.0)).latency_s == 11.75


def test_a_synchronising_call_makes_the_host_wait() -> None:
    """The kernel ends at 11; the second call waits for it, the third is issued at 12 and its kernel ends at 14."""
    calls = (call(1.0, 10.0), call(1.0, sync=True), call(1.0, 2.0))
    assert queue(calls, FREE).latency_s == 14.0
    without = (call(1.0, 10.0), call(1.0), call(1.0, 2.0))
    assert queue(without, FREE).latency_s == 13.0


def test_waiting_is_no_host_work() -> None:
    calls = (call(1.0, 10.0), call(1.0, sync=True), call(1.0, 2.0))
    assert queue(calls, FREE).host_s == 3.0


def test_on_a_serial_target_both_lanes_are_one() -> None:
    lanes = Lanes(0.5, 0.25, 0.1, serial=True)
    timeline = queue([call(1.0, 10.0), call(1.0, 2.0, sync=True)], lanes, fixed_s=0.5)
    assert timeline.latency_s == 14.5
    assert timeline.pipelined_s == 14.5
    assert timeline.max_s == 14.5


def test_the_plain_formula_is_the_larger_term() -> None:
    assert queue([call(1.0, 10.0)] * 3, FREE).max_s == 30.0
    assert queue([call(1.0, 0.25)] * 3, FREE).max_s == 3.0


def test_many_passes_back_to_back_approach_the_pipelined_time_per_pass() -> None:
    """Throughput is that of a pass repeated in one stream without synchronising between."""
    calls = [call(1.0, 0.5), call(0.5, 2.0, launches=2), call(0.25)]
    lanes = Lanes(0.7, 0.125, 0.3)
    once, often = queue(calls, lanes), queue(calls * 400, lanes)
    assert often.latency_s / 400 == pytest.approx(once.pipelined_s, rel=0.01)


def test_the_critical_path_of_a_host_bound_pass_is_the_hosts_but_for_the_last_kernel() -> None:
    timeline = queue([call(1.0, 0.25)] * 3, FREE)
    assert timeline.critical_kernel_s == 0.25
    assert timeline.critical_host == pytest.approx(3 / 3.25)


def test_the_critical_path_of_a_device_bound_pass_is_its_kernels_after_the_first_launch() -> None:
    """1 + 0.5 until the first kernel, then three of 10."""
    assert queue([call(1.0, 10.0)] * 3, Lanes(0.5, 0.0, 0.0)).critical_kernel_s == 30.0


def test_a_host_that_waited_has_the_kernels_that_it_waited_for_on_its_path() -> None:
    """Host 1, kernel to 11, host again to 12, kernel to 14; and where the host ends last, its path ends with it."""
    calls = (call(1.0, 10.0), call(1.0, sync=True), call(1.0, 2.0))
    assert queue(calls, FREE).critical_kernel_s == 12.0
    assert queue((*calls, call(5.0)), FREE).critical_kernel_s == 10.0


def test_a_path_may_be_the_devices_though_the_host_takes_longer() -> None:
    """Host 1, 1 and 9, kernels 10 and 0.5: those end at 11.5, when the host, with 11 in all, has long passed them."""
    timeline = queue([call(1.0, 10.0), call(1.0, 0.5), call(9.0)], FREE)
    assert timeline.host_s > timeline.kernel_s
    assert timeline.critical_kernel_s == 10.5


seconds = st.floats(0.0, 10.0, allow_nan=False)
kernels = st.builds(PricedKernel, seconds, st.integers(1, 5), st.just("memory"))
calls_of = st.lists(
    st.builds(PricedCall, seconds, st.lists(kernels, max_size=3).map(tuple), st.booleans()), max_size=12
)
lanes_of = st.builds(Lanes, seconds, seconds, seconds, st.booleans())
ROUNDING = 1e-9


@given(calls_of, lanes_of, seconds)
def test_latency_is_never_below_host_time_or_kernel_time(calls: list[PricedCall], lanes: Lanes, fixed: float) -> None:
    timeline = queue(calls, lanes, fixed)
    assert timeline.latency_s >= max(timeline.host_s, timeline.kernel_s) * (1 - ROUNDING)
    assert timeline.latency_s >= timeline.max_s * (1 - ROUNDING)


@given(calls_of, lanes_of, seconds)
def test_latency_is_never_above_everything_in_a_row(calls: list[PricedCall], lanes: Lanes, fixed: float) -> None:
    timeline = queue(calls, lanes, fixed)
    launches = sum(k.launches for c in calls for k in c.kernels)
    waits = launches * (lanes.launch_latency_s + lanes.gap_s) + lanes.sync_s
    assert timeline.latency_s <= (timeline.host_s + timeline.kernel_s + waits) * (1 + ROUNDING) + ROUNDING


@given(calls_of, lanes_of, seconds)
def test_throughput_is_never_worse_than_latency(calls: list[PricedCall], lanes: Lanes, fixed: float) -> None:
    timeline = queue(calls, lanes, fixed)
    assert timeline.pipelined_s <= timeline.latency_s * (1 + ROUNDING)


@given(calls_of.filter(bool), lanes_of, seconds, st.data())
def test_a_slower_call_never_makes_a_pass_faster(
    calls: list[PricedCall], lanes: Lanes, more: float, data: st.DataObject
) -> None:
    position = data.draw(st.integers(0, len(calls) - 1))
    slower = list(calls)
    slower[position] = replace(calls[position], host_s=calls[position].host_s + more)
    assert queue(slower, lanes).latency_s >= queue(calls, lanes).latency_s * (1 - ROUNDING)


@given(calls_of, lanes_of, st.floats(0.1, 10.0))
def test_a_pass_has_no_time_scale_of_its_own(calls: list[PricedCall], lanes: Lanes, factor: float) -> None:
    """Everything twice as slow is exactly twice as slow."""

    def slow(c: PricedCall) -> PricedCall:
        return PricedCall(c.host_s * factor, tuple(replace(k, seconds=k.seconds * factor) for k in c.kernels), c.sync)

    slowed = Lanes(lanes.launch_latency_s * factor, lanes.gap_s * factor, lanes.sync_s * factor, lanes.serial)
    expected = queue(calls, lanes).latency_s * factor
    assert queue([slow(c) for c in calls], slowed).latency_s == pytest.approx(expected, rel=1e-6, abs=1e-9)


@given(calls_of, lanes_of, seconds, st.floats(1.0, 3.0))
def test_slower_kernels_delay_a_pass_by_those_of_its_critical_path_at_the_least(
    calls: list[PricedCall], lanes: Lanes, fixed: float, factor: float
) -> None:
    slowed = [replace(c, kernels=tuple(replace(k, seconds=k.seconds * factor) for k in c.kernels)) for c in calls]
    before = queue(calls, lanes, fixed)
    after = queue(slowed, replace(lanes, gap_s=lanes.gap_s * factor), fixed)
    assert -ROUNDING <= before.critical_host <= 1
    expected = before.latency_s + (factor - 1) * before.critical_kernel_s
    assert after.latency_s >= expected * (1 - ROUNDING) - ROUNDING


@given(calls_of, lanes_of)
def test_host_and_kernel_time_are_plain_sums(calls: list[PricedCall], lanes: Lanes) -> None:
    timeline = queue(calls, lanes)
    assert timeline.host_s == pytest.approx(sum(c.host_s for c in calls))
    assert timeline.kernel_s == pytest.approx(sum(k.seconds for c in calls for k in c.kernels))


def test_the_python_after_the_last_call_is_host_time_that_launches_nothing() -> None:
    """Host 1 and 4 more after it; the kernel ends at 3."""
    timeline = timeline_queue.queue(PricedProgram.of([call(1.0, 2.0)], tail_s=4.0), FREE)
    assert (timeline.latency_s, timeline.host_s) == (5.0, 5.0)


def test_spans_are_the_two_lanes_in_issue_order() -> None:
    """Host 0 to 1 and 1 to 2; kernels from 1.5 to 11.5, and after a gap of 0.25 to 13.75."""
    kernel = Kernel("gemm", "fp16", {})
    origin = Origin("layer", "model.py", 7)
    calls = [HostCall("linear", (kernel,), PythonWork(), "gemm", origin=origin) for _ in range(2)]
    priced = PricedProgram.of([call(1.0, 10.0), call(1.0, 2.0)])
    found = timeline_queue.spans(calls, timeline_queue.queues(priced, Lanes(0.5, 0.25, 0.0)))
    assert [(s.lane, s.start_s, s.end_s) for s in found] == [
        (Lane.HOST, 0.0, 1.0),
        (Lane.DEVICE, 1.5, 11.5),
        (Lane.HOST, 1.0, 2.0),
        (Lane.DEVICE, 11.75, 13.75),
    ]
    assert {(s.op, s.origin) for s in found} == {("linear", origin)}
    assert [s.kernel for s in found] == ["", "gemm", "", "gemm"]


@given(calls_of, lanes_of, seconds)
def test_the_closed_form_is_the_queue_step_by_step(calls: list[PricedCall], lanes: Lanes, fixed: float) -> None:
    host, device = fixed, 0.0
    for one in calls:
        begun = host
        host += one.host_s
        for number, kernel in enumerate(one.kernels, start=1):
            if lanes.serial:
                host += kernel.seconds
                continue
            launched = begun + one.host_s * number / len(one.kernels) + lanes.launch_latency_s
            device = max(device + lanes.gap_s, launched) + kernel.seconds + lanes.gap_s * (kernel.launches - 1)
        host = max(host, device) if one.sync else host
    expected = host if lanes.serial else max(host, device) + lanes.sync_s
    assert queue(calls, lanes, fixed).latency_s == pytest.approx(expected, rel=1e-9, abs=1e-9)


# spans of real models


@pytest.mark.parametrize("runtime", ["eager", "torchscript", "cudagraph", "compile", "onnx"])
@pytest.mark.parametrize(("name", "batch"), [("distilbert", 1), ("distilbert", 64), ("resnet50", 16)])
def test_spans_of_a_model_lie_within_its_latency_and_add_up(
    name: str, batch: int, runtime: str, zoo_plan: Callable[[str], Plan], h200: Calibration
) -> None:
    report = zoo_plan(name).report("h200", runtime, batch=batch)
    spans = zoo_plan(name).timeline("h200", runtime, batch=batch)
    on_host = [span for span in spans if span.lane is Lane.HOST]
    on_device = [span for span in spans if span.lane is Lane.DEVICE]
    for lane in (on_host, on_device):
        assert all(span.start_s <= span.end_s for span in lane)
        for before, after in pairwise(lane):
            assert before.end_s <= after.start_s + ROUNDING * report.latency_s
    assert min(span.start_s for span in spans) >= 0
    assert max(span.end_s for span in spans) <= report.latency_s
    host = h200.host(runtime)
    gaps_s = (report.launches - len(on_device)) * h200.lanes_of(host).gap_s
    assert sum(s.end_s - s.start_s for s in on_device) == pytest.approx(report.kernel_s + gaps_s, rel=1e-9)
    graph = zoo_plan(name).graph("fp16", runtime, batch)
    program = runtimes.load(runtime).lower(graph, TODAY)
    tail_s = price(program, h200, host).tail_s
    assert sum(s.end_s - s.start_s for s in on_host) == pytest.approx(report.host_s - host.fixed_s - tail_s, rel=1e-9)
    assert len(on_host) >= 1
    if runtime == "cudagraph":  # kernels are those of the calls that were captured
        assert {span.op for span in on_device} == {c.row.label for c in program.calls[0].replayed if c.kernels}
    else:
        assert {span.op for span in on_device} <= {span.op for span in on_host}


def test_a_kernel_starts_after_its_call_has_begun(zoo_plan: Callable[[str], Plan]) -> None:
    begun_s = 0.0
    for span in zoo_plan("resnet50").timeline("h200", batch=4):
        if span.lane is Lane.HOST:
            begun_s = span.start_s
        else:
            assert span.start_s >= begun_s
