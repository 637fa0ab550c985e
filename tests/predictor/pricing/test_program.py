"""Prices of host calls, by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from predictor.calibration.host_costs import HostCosts
from predictor.calibration.load import Calibration
from predictor.calibration.schema import CallCost, CallTime, Environment
from predictor.calibration.trees import Forest
from predictor.graph.coldness import HALF_DISTANCE
from predictor.pricing.kernels import price_kernels
from predictor.pricing.program import HOST_ELEMENTS, dispatch_s, price
from predictor.records import HostCall, HostRow, Kernel, Program, PythonWork, Variant


def cost(
    op: str,
    dtype: str,
    hot_s: float,
    cold_s: float,
    launches: float = 0.0,
    library_s: float | None = None,
    variant: Variant = Variant.USUAL,
) -> CallCost:
    return CallCost(
        op=op, variant=variant, dtype=dtype, hot_s=hot_s, cold_s=cold_s, launches=launches, library_s=library_s
    )


def rows(*costs: CallCost) -> dict[HostRow, dict[str, CallCost]]:
    found: dict[HostRow, dict[str, CallCost]] = {}
    for one in costs:
        found.setdefault(one.row, {})[one.dtype] = one
    return found


HOST = HostCosts(
    runtime="eager",
    op_factor=1.0,
    line_s=10.0,
    module_s=100.0,
    fixed_s=0.0,
    launch_s=1000.0,
    calls=rows(
        cost("add", "fp32", 1.0, 5.0, launches=1.0),
        cost("add", "fp16", 3.0, 9.0),
        cost("view", "fp32", 0.25, 0.5),
        cost("clone", "fp32", 0.5, 1.0),
        cost("to", "fp32", 0.125, 0.25),
        cost("conv2d", "fp32", 7.0, 9.0),
        cost("linear", "fp16", 20.0, 40.0, library_s=20.0),
        cost("einsum", "fp16", 50.0, 90.0, library_s=11.0),
        cost("host", "fp32", 2.0, 2.0),
        cost("host", "fp32", 0.5, 0.5, variant=Variant.VIEW),
        cost("host", "fp32", 2.0 + HOST_ELEMENTS, 3.0 + HOST_ELEMENTS, variant=Variant.MANY),
        cost("host", "fp32", 2.0 + 5 * HOST_ELEMENTS, 3.0 + 5 * HOST_ELEMENTS, variant=Variant.MANY_HEAVY),
    ),
    library_calls={("gemm", "fp16"): Forest.constant(math.log(13.0))},
    typical={"pointwise": CallTime(hot_s=4.0, cold_s=8.0), "view": CallTime(hot_s=0.75, cold_s=1.5)},
    error=0.05,
    environment=Environment(date="2026-01-01", probe_s=1e-5),
    provenance="measured",
)
ADDITION = Kernel("pointwise", "fp32", {"elements": 8, "bytes_read": 64, "bytes_written": 32})


def call(op: str, trait: str = "pointwise", **more: object) -> HostCall:
    return replace(HostCall(op, (), PythonWork(), trait), **more)  # type: ignore[arg-type]


def seconds(one: HostCall, calibration: Calibration, dtype: str = "fp32") -> float:
    return price(Program("eager", dtype, (one,), PythonWork(), {}), calibration, HOST).host_s[0, 0]


@pytest.mark.parametrize(
    ("one", "dtype", "expected"),
    [
        (call("add"), "fp32", 1.0),
        (call("add"), "fp16", 3.0),
        (call("view", "view"), "fp16", 0.25),
        (call("add_"), "fp32", 1.0),
        (call("conv2d", "conv", variant=Variant.GROUPED), "fp32", 7.0),
        (call("lerp"), "fp32", 4.0),
        (call("narrow", "view"), "fp32", 0.75),
        (call("nobody", "unmodelled"), "fp32", 4.0),
        (call("mystery", "composite", parts=("clone", "view")), "fp32", 0.75),
        (call("to", "composite", parts=("clone",), extra=("clone",)), "fp32", 0.625),
    ],
    ids=[
        *("its own", "its own in its dtype", "a dtype that was not timed", "in place as out of place", "a variant"),
        *("typical", "typical view", "unmodelled", "its parts", "a wrapper and what it does"),
    ],
)
def test_dispatch_cost_of_a_call(one: HostCall, dtype: str, expected: float) -> None:
    assert dispatch_s(one, dtype, HOST)[0] == expected


def test_a_call_costs_itself_and_the_python_before_it(h200: Calibration) -> None:
    """1 + 3 x 10 + 2 x 100: the only operator of a pass is hot, nothing ran since its last call."""
    assert seconds(call("add", python=PythonWork(9, 3.0, 2.0)), h200) == 231.0


def test_a_call_costs_what_its_factors_say_and_every_function_of_python(h200: Calibration) -> None:
    """Of two operators each is one distinct other away from its last call, so cold by 1 / 26."""
    python = PythonWork(9, 3.0, 2.0)
    program = Program("eager", "fp32", (call("add", python=python), call("lerp")), PythonWork(), {})
    host = replace(HOST, op_factor=1.5, cold_factor=2.0, function_s=0.5)
    expected = [1.5 * 1 + 2 * (5 - 1) / 26 + 230 + 4.5, 1.5 * 4 + 2 * (8 - 4) / 26]
    assert price(program, h200, host).host_s[0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("variant", "elements", "expected"),
    [(Variant.USUAL, 1, 3.0), (Variant.USUAL, 1000, 1002.0), (Variant.HEAVY, 1000, 5002.0), (Variant.VIEW, 0, 0.5)],
)
def test_a_tensor_on_the_cpu_costs_the_host_every_element(
    variant: Variant, elements: int, expected: float, h200: Calibration
) -> None:
    assert seconds(call("host", "host", elements=elements, variant=variant), h200) == pytest.approx(expected)


def test_a_call_is_colder_the_more_other_operators_ran_since_its_last(h200: Calibration) -> None:
    """d other operators, over and over: hot 1, cold 5, coldness d / (d + HALF_DISTANCE)."""
    for others in (1, 5, 25, 100):
        calls = (call("add"), *(call(f"other{i}") for i in range(others)))
        priced = price(Program("eager", "fp32", calls, PythonWork(), {}), h200, HOST)
        assert priced.host_s[0, 0] == pytest.approx(1 + 4 * others / (others + HALF_DISTANCE))


def test_a_product_costs_what_the_library_takes_for_its_shape(h200: Calibration) -> None:
    """The shape says 13: a linear layer costs that; einsum keeps what it costs beyond its own example's 11."""
    gemm = Kernel("gemm", "fp16", {"m": 128, "n": 128, "k": 128, "batch": 1, "nt": 1, "bias": 0})
    assert seconds(call("linear", "gemm", kernels=(gemm,)), h200, "fp16") == pytest.approx(13)
    assert seconds(call("einsum", "gemm", kernels=(gemm,)), h200, "fp16") == pytest.approx(50 - 11 + 13)
    assert seconds(call("linear", "gemm", kernels=(replace(gemm, dtype="bf16"),)), h200, "bf16") == pytest.approx(13)


def test_wider_formats_share_the_host_costs_of_others(h200: Calibration) -> None:
    assert seconds(call("add"), h200, "tf32") == seconds(call("add"), h200, "fp32")
    assert seconds(call("add"), h200, "bf16") == seconds(call("add"), h200, "fp16")


def test_a_launch_beyond_those_of_the_timed_call_costs_a_launch(h200: Calibration) -> None:
    """Several launches of one kernel where one was timed."""
    ordered = Kernel("sort", "fp32", {"rows": 4, "cols": 2**20})
    launches = int(price_kernels(h200, "sort", "fp32", ordered.dims).launches[0])
    assert launches > 1
    assert seconds(call("add", kernels=(ADDITION,)), h200) == 1.0
    assert seconds(call("add", kernels=(ordered,)), h200) == 1.0 + 1000.0 * (launches - 1)


def test_an_operator_within_a_call_costs_what_it_costs_by_itself(h200: Calibration) -> None:
    """Copies before a product cost 4 each, typically; so does a second kernel where one was timed."""
    gemm = Kernel("gemm", "fp16", {"m": 128, "n": 128, "k": 128, "batch": 1, "nt": 1, "bias": 0})
    assert seconds(call("linear", "gemm", kernels=(ADDITION, ADDITION, gemm)), h200, "fp16") == pytest.approx(
        13 + 2 * 4
    )
    assert seconds(call("add", kernels=(ADDITION,) * 3), h200) == pytest.approx(1 + 2 * 4)
    wrapper = call("to", "composite", kernels=(ADDITION,), parts=("clone",), extra=("clone",))
    assert seconds(wrapper, h200) == pytest.approx(0.625)  # which is known to cost its copy


def test_python_after_the_last_operator_costs_too(h200: Calibration) -> None:
    priced = price(Program("eager", "fp32", (call("add"),), PythonWork(9, 3.0, 2.0), {}), h200, HOST)
    assert (priced.host_s.tolist(), priced.tail_s) == ([[1.0]], 230.0)


def test_kernels_keep_their_order_and_their_prices(h200: Calibration) -> None:
    gemm = Kernel("gemm", "fp16", {"m": 128, "n": 128, "k": 128, "batch": 1, "nt": 1, "bias": 0})
    large = Kernel("pointwise", "fp32", {"elements": 2**26, "bytes_read": 2**28, "bytes_written": 2**28})
    calls = (call("add", kernels=(large, gemm)), call("add", kernels=(ADDITION,)), call("add", kernels=(gemm,)))
    priced = price(Program("eager", "fp16", calls, PythonWork(), {}), h200, HOST).calls
    assert [len(p.kernels) for p in priced] == [2, 1, 1]
    assert priced[0].kernels[1] == priced[2].kernels[0]
    assert priced[0].kernels[0].seconds > 20 * priced[1].kernels[0].seconds
    assert priced[0].kernels[0].bound == "memory"


def test_a_runtime_whose_typical_cost_holds_a_launch_pays_for_every_other(h200: Calibration) -> None:
    """Nodes of 4 with a launch of 1 in it: three kernels are 4 + 2 x 1; a product's call inside is 6 - 4 more."""
    typical = {
        "pointwise": CallTime(hot_s=4.0, cold_s=4.0, launches=1.0),
        "gemm": CallTime(hot_s=6.0, cold_s=6.0, launches=1.0),
        "view": CallTime(hot_s=0.75, cold_s=0.75),
    }
    host = replace(HOST, calls={}, library_calls={}, typical=typical, launch_s=1.0)
    product = Kernel("gemm", "fp16", {"m": 512, "n": 512, "k": 512})

    def host_s(one: HostCall) -> float:
        return price(Program("onnx", "fp32", (one,), PythonWork(), {}), h200, host).host_s[0, 0]

    assert host_s(call("Relu", kernels=(ADDITION,))) == 4.0
    assert host_s(call("Mish", kernels=(ADDITION,) * 3)) == 6.0
    assert host_s(call("LSTM", "rnn", kernels=(replace(ADDITION, times=2), product))) == 4.0 + 2.0 + 2.0
    assert host_s(call("Reshape", "view")) == 0.75
