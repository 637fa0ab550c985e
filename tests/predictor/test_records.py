"""Priced programs: records and arrays of the same prices, at one size or at several."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.calibration.load import Calibration
from predictor.lowered import lower, solve
from predictor.plans import Plan
from predictor.pricing.program import price
from predictor.records import (
    TODAY,
    HostCall,
    Kernel,
    PricedCall,
    PricedKernel,
    PricedProgram,
    Program,
    PythonWork,
    Trait,
)
from predictor.timeline.queue import queues, timeline_at

seconds = st.floats(0.0, 10.0)
kernels = st.builds(
    PricedKernel, seconds, st.integers(1, 5), st.sampled_from(["compute", "memory"]), extrapolated=st.booleans()
)
calls_of = st.lists(st.builds(PricedCall, seconds, st.lists(kernels, max_size=3).map(tuple), st.booleans()), max_size=8)


@given(calls_of, seconds)
def test_a_priced_program_has_the_calls_that_it_was_made_of(calls: list[PricedCall], tail_s: float) -> None:
    program = PricedProgram.of(calls, tail_s)
    assert program.calls == tuple(calls)
    assert program.tail_s == tail_s
    assert program.kernel_s.shape == (1, sum(len(call.kernels) for call in calls))


@given(calls_of, seconds, st.floats(0.1, 10.0))
def test_a_slower_host_takes_longer_for_calls_and_tail_and_its_device_as_long(
    calls: list[PricedCall], tail_s: float, factor: float
) -> None:
    program = PricedProgram.of(calls, tail_s)
    slower = program.with_host_scaled(factor)
    assert slower.tail_s == tail_s * factor
    assert [call.host_s for call in slower.calls] == [call.host_s * factor for call in calls]
    assert [call.kernels for call in slower.calls] == [call.kernels for call in calls]


@pytest.mark.parametrize("runtime", ["eager", "compile"])
def test_prices_at_several_sizes_are_those_at_each(
    runtime: str, zoo_plan: Callable[[str], Plan], h200: Calibration
) -> None:
    plan, host = zoo_plan("mobilenet_v2"), h200.host(runtime)
    lowered = {batch: lower(plan.graph("fp16", runtime, batch), runtime, TODAY) for batch in (8, 9, 13, 32, 64)}
    whole = solve(list(lowered.values()))
    assert whole is not None
    sized = price(whole.at([9, 32, 64]).program, h200, host)
    assert sized.host_s.shape[0] == sized.kernel_s.shape[0] == 3
    times = queues(sized, h200.lanes_of(host), host.fixed_s)
    for position, batch in enumerate((9, 32, 64)):
        alone = price(lowered[batch].program, h200, host)
        one = sized.at(position)
        np.testing.assert_allclose(one.host_s, alone.host_s, rtol=1e-12)
        np.testing.assert_allclose(one.kernel_s, alone.kernel_s, rtol=1e-12)
        assert (one.launches == alone.launches).all()
        assert (one.compute_bound == alone.compute_bound).all()
        assert (one.extrapolated == alone.extrapolated).all()
        at_size = timeline_at(times, position)
        assert at_size.latency_s == pytest.approx(
            timeline_at(queues(alone, h200.lanes_of(host), host.fixed_s), 0).latency_s, rel=1e-12
        )


def test_sizes_that_a_line_cannot_join_are_no_range(zoo_plan: Callable[[str], Plan]) -> None:
    """At batch 1 a product of a recurrent shape is another kernel: the programs differ."""
    graphs = [zoo_plan("distilbert").graph("fp16", "eager", batch) for batch in (2, 3, 8)]
    assert solve([lower(graph, "eager", TODAY) for graph in graphs]) is not None
    mixed = [lower(graph, runtime, TODAY) for graph, runtime in zip(graphs, ("eager", "eager", "compile"), strict=True)]
    assert solve(mixed) is None


def test_kernels_of_a_family_may_name_different_dimensions(h200: Calibration) -> None:
    """Rows are added to places that indices say, and others are read: a program of both has the prices of each."""

    def program(*names: str) -> Program:
        kernels = {
            "written": Kernel("gather", "fp16", {"rows": 4096, "cols": 64, "written": 1, "adds": 1, "shared": 2}),
            "read": Kernel("gather", "fp16", {"rows": 262144, "cols": 64}),
        }
        python = PythonWork(0, 0.0, 0.0)
        calls = tuple(HostCall("index", (kernels[name],), python, Trait.POINTWISE) for name in names)
        return Program("eager", "fp16", calls, python, {})

    def seconds(*names: str) -> list[float]:
        return [float(s) for s in price(program(*names), h200, h200.host("eager")).kernel_s[0]]

    assert seconds("written", "read", "written") == [*seconds("written"), *seconds("read"), *seconds("written")]
    assert seconds("written") != seconds("read")
