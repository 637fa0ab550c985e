"""Nodes that ONNX Runtime leaves to the CPU: their cost, the copies around them, and what a CUDA graph says to them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from predictor.kernels.families import FAMILIES
from predictor.kernels.host_copies import HOST_COPY
from predictor.ops import onnx_form
from predictor.ops.placement import ON_CPU, WEIGHTS
from predictor.predict import load_calibration
from predictor.pricing.kernels import LINK_BYTES_PER_S, price_kernels, roofline_s
from predictor.pricing.program import CPU_ELEMENT_S, price
from predictor.records import Graph, OpCall, PythonWork, Target, TensorSpec, Trait
from predictor.runtimes.onnx import lowering
from predictor.runtimes.onnx.copies import FROM_HOST, MACS_PER_ELEMENT, PRODUCT_ELEMENTS, TO_HOST
from predictor.runtimes.onnx_cudagraph import lowering as with_graph

ROWS, WIDTH = 8, 1024


def spec(*shape: int, dtype: str = "fp32") -> TensorSpec:
    return TensorSpec(shape, dtype, tuple(math.prod(shape[i + 1 :]) for i in range(len(shape))))


X = spec(ROWS, WIDTH)


def relu(reads: int, makes: int) -> OpCall:
    return OpCall("Relu", {"input0": X}, (X,), Trait.POINTWISE, input_ids=(reads,), output_ids=(makes,))


HARDMAX_PASSES = onnx_form("Hardmax").cpu_passes


def on_cpu(
    reads: tuple[int, ...], makes: int, weights: tuple[int, ...] = (), macs: int = 0, tensor: TensorSpec = X
) -> OpCall:
    args = {**{f"input{i}": tensor for i in range(len(reads))}, ON_CPU: "no CUDA kernel", WEIGHTS: weights}
    return OpCall("Hardmax", args, (tensor,), Trait.HOST, macs, input_ids=reads, output_ids=(makes,))


def graph(*calls: OpCall, outputs: tuple[int, ...]) -> Graph:
    return Graph("nodes", calls, "fp32", ROWS, PythonWork(), 0, {}, outputs)


def ops(made: Graph) -> list[str]:
    return [call.op for call in lowering.lower(made).calls]


def test_a_node_on_the_cpu_stands_between_two_copies() -> None:
    made = graph(relu(0, 1), on_cpu((1,), 2), relu(2, 3), outputs=(3,))
    assert ops(made) == ["Relu", TO_HOST, "Hardmax", FROM_HOST, "Relu"]
    program = lowering.lower(made)
    assert [call.sync for call in program.calls] == [False, True, False, False, False]  # 32 KiB are taken over
    assert set(program.on_cpu) == {"Hardmax", TO_HOST, FROM_HOST}
    assert program.on_cpu["Hardmax"] == "no CUDA kernel"


def test_the_driver_takes_over_a_copy_to_the_device_up_to_64_kib() -> None:
    for rows, waits in ((16, False), (17, True)):
        wide = spec(rows, WIDTH)
        program = lowering.lower(graph(relu(0, 1), on_cpu((1,), 2, tensor=wide), outputs=(2,)))
        assert [call.sync for call in program.calls if call.op == FROM_HOST] == [waits]


def test_the_bus_is_that_of_the_gpus_generation() -> None:
    copy = FAMILIES[HOST_COPY]
    dims = copy.complete({"bytes": 4_194_304.0})
    assert copy.latency_s is not None
    between_s = float(copy.latency_s(dims, 132).item())
    paces = {
        gpu: 4_194_304 / float(np.maximum(*roofline_s(load_calibration(gpu), copy, "fp32", dims)).item() - between_s)
        for gpu in ("h100", "a100", "v100")
    }
    assert paces["h100"] == pytest.approx(2 * paces["a100"]) == pytest.approx(4 * paces["v100"])
    measured_s = 77.2e-6  # 4.2 MB behind nodes of ONNX Runtime on an H100, calibrations/h100/onnx_files
    assert 4_194_304 / measured_s == pytest.approx(paces["h100"], rel=0.02)


def test_a_copy_between_host_and_device_is_no_guess() -> None:
    """Joined pieces take four from the host in many models: none of them is outside of the calibrated range."""
    prices = price_kernels(load_calibration("h100"), HOST_COPY, "int64", {"bytes": [24.0, 4e6], "pageable": [0, 1]})
    assert not prices.extrapolated.any()


def test_a_value_is_copied_once_whoever_reads_it() -> None:
    made = graph(relu(0, 1), on_cpu((1,), 2), on_cpu((1,), 3), relu(2, 4), relu(2, 5), relu(3, 6), outputs=(4, 5, 6))
    assert ops(made).count(TO_HOST) == 1
    assert ops(made).count(FROM_HOST) == 2


def test_nodes_on_the_cpu_that_follow_each_other_copy_nothing_between_them() -> None:
    made = graph(relu(0, 1), on_cpu((1,), 2), on_cpu((2,), 3), relu(3, 4), outputs=(4,))
    assert ops(made) == ["Relu", TO_HOST, "Hardmax", "Hardmax", FROM_HOST, "Relu"]


def test_weights_and_inputs_lie_where_they_are_read_first_and_results_on_the_device() -> None:
    made = graph(on_cpu((0, 1), 2, weights=(1,)), outputs=(2,))
    assert ops(made) == ["Hardmax", FROM_HOST]
    assert ops(graph(on_cpu((0,), 1), relu(0, 2), outputs=(2,))) == ["Hardmax", FROM_HOST, "Relu"]
    assert ops(graph(relu(0, 1), on_cpu((0,), 2), outputs=(1, 2))) == ["Relu", TO_HOST, "Hardmax", FROM_HOST]


def test_a_node_without_a_kernel_in_half_precision_stands_between_two_casts() -> None:
    half = spec(ROWS, WIDTH, dtype="fp16")
    made = graph(relu(0, 1), on_cpu((1,), 2, tensor=half), relu(2, 3), outputs=(3,))
    assert ops(made) == ["Relu", TO_HOST, "Cast", "Hardmax", "Cast", FROM_HOST, "Relu"]
    casts = [call for call in lowering.lower(made).calls if call.op == "Cast"]
    assert [call.elements for call in casts] == [ROWS * WIDTH, ROWS * WIDTH]


def test_strings_are_never_on_the_device() -> None:
    words = spec(ROWS, dtype="string")
    assert ops(graph(on_cpu((0,), 1, tensor=words), outputs=(1,))) == ["Hardmax"]


def test_a_kernel_takes_shapes_from_the_cpu() -> None:
    shape = spec(2, dtype="int64")
    reshaped = OpCall("Reshape", {"input0": X, "input1": shape}, (X,), Trait.VIEW, input_ids=(0, 2), output_ids=(3,))
    made = graph(on_cpu((1,), 2, weights=(0,), tensor=shape), reshaped, outputs=(3,))
    assert FROM_HOST not in ops(made)


def test_a_target_that_is_a_cpu_has_nothing_to_copy() -> None:
    made = graph(relu(0, 1), on_cpu((1,), 2), relu(2, 3), outputs=(3,))
    program = lowering.lower(made, Target(is_cpu=True))
    assert [call.op for call in program.calls] == ["Relu", "Hardmax", "Relu"]
    assert not program.on_cpu
    assert program.calls[1].kernels  # it is the target's own


def test_a_cuda_graph_has_no_nodes_on_the_cpu() -> None:
    made = graph(relu(0, 1), on_cpu((1,), 2), relu(2, 3), outputs=(3,))
    reason = with_graph.lower(made).unsupported_reason
    assert "Hardmax: no CUDA kernel" in reason
    assert not with_graph.lower(graph(relu(0, 1), outputs=(1,))).unsupported_reason


def test_a_copy_takes_its_bytes_over_the_bus_and_a_node_its_elements_on_the_cpu() -> None:
    calibration = load_calibration("h200")
    host = calibration.host("onnx")
    small = lowering.lower(graph(relu(0, 1), on_cpu((1,), 2), outputs=(2,)))
    priced = dict(zip([call.op for call in small.calls], price(small, calibration, host).calls, strict=True))
    over_the_bus_s = ROWS * WIDTH * 4 / LINK_BYTES_PER_S
    (copy,) = priced[TO_HOST].kernels
    assert copy.seconds > over_the_bus_s
    assert HARDMAX_PASSES > 1
    assert priced["Hardmax"].host_s > ROWS * WIDTH * HARDMAX_PASSES * CPU_ELEMENT_S
    assert not priced["Hardmax"].kernels
    macs = 10**9
    heavy = lowering.lower(graph(relu(0, 1), on_cpu((1,), 2, macs=macs), outputs=(2,)))
    more_s = price(heavy, calibration, host).calls[2].host_s - priced["Hardmax"].host_s
    assert more_s == pytest.approx((PRODUCT_ELEMENTS + macs / MACS_PER_ELEMENT) * CPU_ELEMENT_S, rel=0.2)


def test_weights_that_a_product_on_the_cpu_reads_are_in_its_multiply_accumulates_alone() -> None:
    weights = spec(WIDTH, 4 * WIDTH, dtype="int8")
    args = {"input0": X, "input1": weights, ON_CPU: "no CUDA kernel", WEIGHTS: (1,)}
    out = spec(ROWS, 4 * WIDTH, dtype="int32")
    macs = ROWS * WIDTH * 4 * WIDTH
    call = OpCall("MatMulInteger", args, (out,), Trait.HOST, macs, input_ids=(0, 1), output_ids=(2,))
    (computed,) = [c for c in lowering.lower(graph(call, outputs=(2,))).calls if c.trait is Trait.HOST]
    assert computed.elements == out.elements + PRODUCT_ELEMENTS + macs // MACS_PER_ELEMENT
