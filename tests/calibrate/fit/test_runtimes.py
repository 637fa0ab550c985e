"""What runtimes charge, told apart: fits on the shipped samples."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from msgspec import structs

from calibrate.fit import runtimes
from calibrate.samples.files import Samples
from predictor.calibration.files import SHIPPED
from predictor.calibration.host_costs import HostCosts, host_costs_of
from predictor.calibration.load import Calibration
from predictor.calibration.schema import HostError, RuntimeCosts
from predictor.pricing.program import price
from predictor.records import HostRow, Program
from predictor.runtimes import names

H200 = SHIPPED / "h200"


def test_runtimes_are_fitted_after_those_that_their_fit_needs() -> None:
    """Each after the one that it is based on, and graphs after those that show what a node's gap is."""
    order = runtimes.fitted()
    assert set(order) == {name for name in names() if name != "eager" and not runtimes.terms_of(name).same}
    for name in order:
        base = runtimes.terms_of(name).base
        assert base in ("", "eager") or order.index(base) < order.index(name)
    assert order.index("cudagraph") < min(order.index("onnx-cudagraph"), order.index("compile-cudagraph"))


def test_a_runtime_comes_with_those_that_it_is_based_on() -> None:
    assert set(runtimes.with_bases(["compile-cudagraph"])) == {"compile", "compile-cudagraph"}
    assert runtimes.with_bases(["eager", "onnx-cudagraph"]) == ["onnx", "onnx-cudagraph"]
    assert runtimes.with_bases(["eager"]) == []


def test_coefficients_are_found_again_where_the_model_is_right() -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.uniform(1, 5, 40), rng.integers(0, 50, 40), np.ones(40)])
    y = x @ np.array([0.8, 0.01, 0.3])
    found, error = runtimes._solve(x, y, [])
    np.testing.assert_allclose(found, [0.8, 0.01, 0.3], rtol=1e-6)
    assert error.mape < 1e-6


def test_factors_are_such_as_a_file_may_have(h200: Calibration) -> None:
    """Where a fit explains nothing by the operators' own costs, and the base's factors are below 1."""
    base_costs = replace(h200.host("eager"), op_factor=0.9, cold_factor=0.9)
    coefficients = dict.fromkeys(
        ("factor", "cold factor", "call", "fixed", *runtimes.terms_of("torchscript").rows), 0.0
    )
    error = HostError(modules=9, log_sd=0.1, log_rms=0.1, mape=0.1, median=0.1)
    found = runtimes._as_rows("torchscript", coefficients, error, base_costs, h200)
    again = msgspec.json.decode(msgspec.json.encode(found), type=RuntimeCosts)
    assert (again.op_factor, again.cold_factor) == (1e-3, 1e-3)


def test_a_guard_is_not_charged_what_a_call_of_a_compiled_graph_costs(h200: Calibration) -> None:
    """Of guards a model has hundreds. Here each call costs 10 us beyond the operator's own cost, a guard 0.5 us."""
    eager, compiled = h200.host("eager"), h200.host("compile")
    own = {HostRow("weight"): 5e-7, HostRow("triton"): 3e-6}
    rows = {
        row: {dtype: structs.replace(cost, hot_s=s, cold_s=s) for dtype, cost in compiled.calls[row].items()}
        for row, s in own.items()
    }
    truth, ran = replace(compiled, call_s=0.0, calls={**compiled.calls, **rows}), []

    def beyond_s(one: runtimes.Module) -> float:
        last = next(k for call in reversed(one.priced) for k in reversed(call.kernels))
        return last.seconds + h200.lanes.sync_s + h200.lanes.launch_latency_s

    for one in runtimes.modules(Samples.of(H200).runtimes, "compile", h200, eager):
        if any(call.uncompiled for call in one.program.calls):
            continue  # what is left to eager mode costs what it costs there
        host_s = _host_s(one.program, h200, truth) + 1e-5 * sum(call.op != "weight" for call in one.program.calls)
        ran.append(replace(one, latency_s=host_s + beyond_s(one)))
    fitted = runtimes.fit_runtime("compile", ran, h200, eager)
    found = host_costs_of("compile", {"eager": h200.runtime_costs["eager"], "compile": fitted}, H200)
    assert len(ran) > 30
    for one in ran:
        assert one.latency_s - beyond_s(one) == pytest.approx(_host_s(one.program, h200, found), rel=0.02)


def test_a_node_and_a_launch_of_a_session_are_told_apart(h200: Calibration) -> None:
    """Here every node takes 2 us, a launch 5 us, and a pass 20 us more."""
    ran, lanes = [], h200.lanes
    for one in runtimes.modules(Samples.of(H200).runtimes, "onnx", h200, h200.host("eager")):
        _, counts = runtimes._host_terms(runtimes.terms_of("onnx"), one, h200.host("eager"))
        last = [k for call in one.priced for k in call.kernels][-1]
        host_s = 2e-6 * sum(counts.values()) + 5e-6 * len(one.names) + 2e-5
        ran.append(replace(one, latency_s=host_s + last.seconds + lanes.sync_s + lanes.launch_latency_s))
    fitted = runtimes.fit_runtime("onnx", ran, h200, h200.host("eager"))
    assert fitted.fixed_s == pytest.approx(2e-5, rel=0.1)
    assert fitted.launch_s == pytest.approx(5e-6, rel=0.02)
    view, node = fitted.typical["view"], fitted.typical["pointwise"]
    assert (view.launches, node.launches) == (0.0, 1.0)
    assert view.hot_s == pytest.approx(2e-6, rel=0.05)
    assert node.hot_s == pytest.approx(7e-6, rel=0.02)


def _host_s(program: Program, calibration: Calibration, host: HostCosts) -> float:
    return host.fixed_s + float(price(program, calibration, host).host_s.sum())


def test_a_coefficient_that_few_modules_show_stays_near_its_like() -> None:
    rng = np.random.default_rng(1)
    x = np.column_stack([rng.integers(20, 60, 12), rng.integers(20, 60, 12), np.zeros(12), np.ones(12)]).astype(float)
    x[0, 2] = 1.0  # one module alone has one such call, and was disturbed
    y = x @ np.array([2e-6, 3e-6, 2e-6, 5e-5])
    y[0] *= 1.5
    free, _ = runtimes._solve(x, y, [])
    pulled, _ = runtimes._solve(x, y, [[0, 1, 2]])
    assert free[2] > 5e-5
    assert pulled[2] < 1e-5
    assert pulled[:2] == pytest.approx([2e-6, 3e-6], rel=0.15)


def test_a_group_of_coefficients_is_pulled_together_and_to_no_other() -> None:
    """Two like 1 us each, two like 10 us each; of either pair one is seen in a single module that was disturbed."""
    rng = np.random.default_rng(2)
    x = np.column_stack([rng.integers(20, 60, (12, 2)), np.zeros((12, 2))]).astype(float)
    x[0, 2] = x[1, 3] = 1.0
    y = x @ np.array([1e-6, 1e-5, 1e-6, 1e-5])
    y[:2] *= 1.5
    found, _ = runtimes._solve(x, y, [[0, 2], [1, 3]])
    assert found == pytest.approx([1e-6, 1e-5, 1e-6, 1e-5], rel=0.3)


def test_a_librarys_calls_are_not_drawn_to_what_other_nodes_take(h200: Calibration) -> None:
    """Here a library takes 6 us before it launches, another node 0.5 us, a launch 4 us, and a pass 16 us more."""
    ran, lanes = [], h200.lanes
    for one in runtimes.modules(Samples.of(H200).runtimes, "onnx", h200, h200.host("eager")):
        _, counts = runtimes._host_terms(runtimes.terms_of("onnx"), one, h200.host("eager"))
        last = [k for call in one.priced for k in call.kernels][-1]
        own_s = sum(count * (6e-6 if row in ("gemm", "product", "conv") else 5e-7) for row, count in counts.items())
        host_s = own_s + 4e-6 * len(one.names) + 1.6e-5
        noise = 1.02 if len(ran) % 2 else 0.98
        ran.append(replace(one, latency_s=noise * host_s + last.seconds + lanes.sync_s + lanes.launch_latency_s))
    fitted = runtimes.fit_runtime("onnx", ran, h200, h200.host("eager"))
    for trait in ("gemm", "product", "conv"):
        assert fitted.typical[trait].hot_s - fitted.launch_s == pytest.approx(6e-6, rel=0.3)
    assert fitted.launch_s == pytest.approx(4e-6, rel=0.15)
