"""The critical path, against paths worked by hand and against the queue."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from predictor.records import Lanes, PricedCall, PricedKernel, PricedProgram
from predictor.timeline.critical import critical_path
from predictor.timeline.queue import queues, timeline_at

FREE = Lanes(launch_latency_s=0.0, gap_s=0.0, sync_s=0.0)
MOST = {"max_value": 100.0, "allow_nan": False}
SECONDS = st.floats(0.0, **MOST) | st.just(0.0)
CALLS = st.lists(
    st.builds(
        PricedCall,
        SECONDS,
        st.lists(st.builds(PricedKernel, SECONDS, st.integers(1, 3), st.just("memory")), max_size=3).map(tuple),
        st.booleans(),
    ),
    max_size=8,
)


def call(host_s: float, *kernel_s: float, sync: bool = False) -> PricedCall:
    return PricedCall(host_s, tuple(PricedKernel(s, 1, "memory") for s in kernel_s), sync)


def path(calls: Sequence[PricedCall], lanes: Lanes = FREE) -> tuple[list[float], list[float]]:
    priced = PricedProgram.of(calls)
    of_calls, of_kernels = critical_path(priced, queues(priced, lanes), lanes)
    return of_calls.tolist(), of_kernels.tolist()


def test_of_a_pass_that_waits_for_the_host_it_is_the_calls_and_the_last_kernel() -> None:
    assert path([call(1.0, 0.25), call(2.0, 0.25)]) == ([1.0, 2.0], [0.0, 0.25])


def test_of_a_pass_that_waits_for_the_device_it_is_the_first_call_and_the_kernels() -> None:
    assert path([call(1.0, 4.0), call(1.0, 2.0)]) == ([1.0, 0.0], [4.0, 2.0])


def test_a_call_launches_its_first_kernel_half_way_where_it_has_two() -> None:
    """Launched at 1 and 2; the device takes 5 and 5."""
    assert path([call(2.0, 5.0, 5.0)]) == ([1.0], [5.0, 5.0])


def test_a_call_that_waits_for_the_device_continues_from_its_last_kernel() -> None:
    """Kernel from 1 to 11, the host waits from 2 to 11, and goes on for 3."""
    assert path([call(1.0, 10.0), call(1.0, sync=True), call(3.0)]) == ([1.0, 0.0, 3.0], [10.0])


def test_a_launch_s_latency_is_the_call_s_and_a_gap_the_kernel_s_behind_it() -> None:
    """Launched at 1, started at 1.5; the second waits for the first, and for the gap."""
    assert path([call(1.0, 4.0), call(1.0, 2.0)], Lanes(0.5, 0.25, 7.0)) == ([1.5, 0.0], [4.0, 2.25])


@given(CALLS, st.builds(Lanes, SECONDS, SECONDS, SECONDS, st.booleans()), SECONDS, SECONDS)
def test_it_adds_up_to_the_latency(calls: list[PricedCall], lanes: Lanes, fixed_s: float, tail_s: float) -> None:
    """But for the time around the calls, none of which the path may exceed."""
    priced = PricedProgram.of(calls, tail_s)
    timelines = queues(priced, lanes, fixed_s)
    of_calls, of_kernels = critical_path(priced, timelines, lanes)
    around_s = timeline_at(timelines, 0).latency_s - of_calls.sum() - of_kernels.sum()
    largest_s = fixed_s + tail_s + (0.0 if lanes.serial else lanes.sync_s + lanes.gap_s)
    assert -1e-6 <= around_s <= largest_s + 1e-6
    assert of_calls.min(initial=0.0) >= -1e-6
    assert (of_kernels <= priced.kernel_s[0] + lanes.gap_s * priced.launches[0] + 1e-6).all()
