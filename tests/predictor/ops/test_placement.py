"""Where ONNX Runtime runs a node: the table is what the installed build says, and decides by operator, opset, types."""

from __future__ import annotations

import json
import shutil
from importlib import metadata

import pytest

from benchmarks import onnx_kernels
from predictor.ops.placement import TABLE, reason_for_cpu, version

F32, F16 = "fp32", "fp16"


@pytest.mark.skipif(
    not all(map(shutil.which, ("cc", "nm", "readelf"))), reason="nothing to build stand-ins for CUDA's libraries with"
)
def test_the_table_is_what_the_installed_build_registers() -> None:
    try:
        installed = metadata.version("onnxruntime-gpu")
    except metadata.PackageNotFoundError:
        pytest.skip("the build for the CPU registers no CUDA kernels")
    if installed != version():
        pytest.skip(f"the table is of {version()}, {installed} is installed")
    rows = onnx_kernels.table(*onnx_kernels.registered())
    assert json.loads(TABLE.read_text(encoding="utf-8")) == json.loads(onnx_kernels.written(installed, rows))


@pytest.mark.parametrize(
    ("op", "domain", "opset", "inputs", "outputs", "reason"),
    [
        ("Conv", "", 17, [F16, F16], [F16], ""),
        ("Conv", "", 17, ["bf16", "bf16"], ["bf16"], "no CUDA kernel for bf16"),
        ("Conv", "", 22, ["bf16", "bf16"], ["bf16"], ""),
        ("CumSum", "", 13, [F16, "int64"], [F16], "no CUDA kernel for fp16"),
        ("CumSum", "", 14, [F16, "int64"], [F16], ""),
        ("QLinearConv", "", 17, ["int8", F32], ["int8"], "no CUDA kernel"),
        ("ConvInteger", "", 17, ["uint8", "uint8"], ["int32"], "no CUDA kernel"),
        ("DynamicQuantizeLinear", "", 17, [F32], ["uint8", F32, "uint8"], "no CUDA kernel"),
        ("MatMulInteger", "", 17, ["uint8", "int8"], ["int32"], "no CUDA kernel for uint8"),
        ("MatMulInteger", "", 17, ["int8", "int8"], ["int32"], ""),
        ("DequantizeLinear", "", 17, ["int8", F32, "int8"], [F32], ""),
        ("DequantizeLinear", "", 17, ["int32", F32, "int32"], [F32], "no CUDA kernel for int32"),
        ("TreeEnsembleClassifier", "ai.onnx.ml", 3, [F32], ["int64", F32], "no CUDA kernel"),
        ("StringNormalizer", "", 17, ["string"], ["string"], "no CUDA kernel"),
        ("GroupQueryAttention", "com.microsoft", 1, [F16] * 5 + ["int32"] * 2, [F16] * 3, ""),
        ("GroupQueryAttention", "com.microsoft", 1, [F32] * 5 + ["int32"] * 2, [F32] * 3, "no CUDA kernel for fp32"),
        ("MatMulNBits", "com.microsoft", 1, [F16, "uint8", F16], [F16], ""),
        ("Relu", "ai.onnx", 17, [F32], [F32], ""),
    ],
)
def test_a_node_runs_where_a_kernel_for_its_opset_and_types_is(
    op: str, domain: str, opset: int, inputs: list[str], outputs: list[str], reason: str
) -> None:
    assert reason_for_cpu(op, domain, opset, inputs, outputs, {}) == reason


def test_an_opset_that_redefines_an_operator_for_which_no_kernel_was_written_is_the_reason() -> None:
    assert reason_for_cpu("Upsample", "", 9, [F32, F32], [F32], {}) == ""
    assert reason_for_cpu("Upsample", "", 10, [F32, F32], [F32], {}) == "no CUDA kernel for opset 10"


@pytest.mark.parametrize(
    ("op", "attributes", "reason"),
    [
        ("LSTM", {}, ""),
        ("LSTM", {"clip": 1.0}, "no CUDA kernel with a clip"),
        ("LSTM", {"activations": ("Relu", "Tanh", "Tanh")}, "no CUDA kernel with activations other than the usual"),
        ("GRU", {"linear_before_reset": 1}, ""),
        ("GRU", {}, "no CUDA kernel with linear_before_reset = 0"),
    ],
)
def test_recurrent_nodes_are_cudnns_or_the_cpus_by_their_attributes(
    op: str, attributes: dict[str, object], reason: str
) -> None:
    assert reason_for_cpu(op, "", 17, [F32] * 3, [F32], attributes) == reason


def test_peepholes_are_the_cpus() -> None:
    inputs = [F32, F32, F32, None, None, None, None, F32]
    assert reason_for_cpu("LSTM", "", 17, inputs, [F32], {}) == "no CUDA kernel with peepholes"


def test_an_optional_tensor_that_is_left_out_decides_nothing() -> None:
    assert reason_for_cpu("Clip", "", 17, [F16, None, F16], [F16], {}) == ""
