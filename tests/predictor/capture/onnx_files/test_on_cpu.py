"""Files whose nodes ONNX Runtime leaves to the CPU: found for each reason, listed with their cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from predictor.plans import Plan
from predictor.predict import plan_file
from predictor.report import json as as_json
from predictor.report import text as as_text

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def written(
    folder: Path,
    nodes: Sequence[Any],
    shape: Sequence[int],
    weights: dict[str, Any] | None = None,
    kind: int = FLOAT,
    opset: int = 17,
) -> Path:
    """A file with an input x and a result y of one shape."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in (weights or {}).items()],
    )
    path = folder / "model.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def on_cpu(plan: Plan, dtype: str | None = None) -> dict[str, tuple[int, str]]:
    report = plan.report("h200", "onnx", dtype=dtype) if dtype else plan.report("h200", "onnx")
    return {row.op: (row.count, row.reason) for row in report.on_cpu}


def test_an_operator_without_a_kernel_is_listed_with_its_copies(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Hardmax", ["a"], ["b"], axis=1),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    plan = plan_file(written(tmp_path, nodes, (4, 256)))
    assert on_cpu(plan)["Hardmax"] == (1, "no CUDA kernel")
    assert on_cpu(plan)["MemcpyToHost"][0] == on_cpu(plan)["MemcpyFromHost"][0] == 1
    report = plan.report("h200", "onnx")
    assert all(row.host_s > 0 for row in report.on_cpu)
    assert "Hardmax" in as_text.render(report)
    assert {row["op"] for row in json.loads(as_json.render(report))["on_cpu"]} == set(on_cpu(plan))


def test_a_type_without_a_kernel_is_the_reason_in_half_precision_alone(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("GridSample", ["a", "grid"], ["y"], mode="bilinear"),
    ]
    grid = np.zeros((1, 8, 8, 2), dtype=np.float32)
    plan = plan_file(written(tmp_path, nodes, (1, 4, 8, 8), {"grid": grid}))
    assert on_cpu(plan) == {}
    assert on_cpu(plan, "fp16")["GridSample"] == (1, "no CUDA kernel for fp16")


@pytest.mark.parametrize("per_channel", [False, True])
def test_a_convolution_between_quantised_tensors_is_one_of_floats_and_its_bias_comes_from_the_cpu(
    tmp_path: Path, per_channel: bool
) -> None:
    channels = 16
    scale = np.full(channels if per_channel else (), 0.02, dtype=np.float32)
    weights = {
        "scale": np.float32(0.02),
        "zero": np.uint8(128),
        "w": np.ones((channels, 8, 3, 3), dtype=np.int8),
        "w_scale": scale,
        "w_zero": np.zeros(scale.shape, dtype=np.int8),
        "b": np.ones(channels, dtype=np.int32),
        "b_zero": np.zeros(scale.shape, dtype=np.int32),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["dw"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "w_scale", "b_zero"], ["db"], axis=0),
        helper.make_node("Conv", ["d", "dw", "db"], ["c"], pads=[1] * 4),
        helper.make_node("QuantizeLinear", ["c", "scale", "zero"], ["qc"]),
        helper.make_node("DequantizeLinear", ["qc", "scale", "zero"], ["y"]),
    ]
    plan = plan_file(written(tmp_path, nodes, (1, 8, 16, 16), weights))
    report = plan.report("h200", "onnx")
    assert report.macs == channels * 16 * 16 * 8 * 9
    assert "QLinearConv" not in {row.op for row in report.costliest}
    assert {"Conv", "QuantizeLinear"} <= {row.op for row in report.costliest}
    assert on_cpu(plan)["DequantizeLinear"] == (1, "no CUDA kernel for int32")


def test_products_with_ranges_found_while_running_are_the_cpus(tmp_path: Path) -> None:
    weights = {"w": np.ones((64, 32), dtype=np.int8), "w_zero": np.int8(0), "w_scale": np.float32(0.1)}
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("MatMulInteger", ["q", "w", "z", "w_zero"], ["i"]),
        helper.make_node("Cast", ["i"], ["f"], to=FLOAT),
        helper.make_node("Mul", ["s", "w_scale"], ["both"]),
        helper.make_node("Mul", ["f", "both"], ["y"]),
    ]
    plan = plan_file(written(tmp_path, nodes, (8, 64), weights))
    found = on_cpu(plan)
    assert found["DynamicQuantizeLinear"] == (1, "no CUDA kernel")
    assert found["MatMulInteger"] == (1, "no CUDA kernel for uint8")
    assert plan.report("h200", "onnx").macs == 8 * 64 * 32


def test_a_file_that_the_gpu_runs_whole_lists_nothing(tmp_path: Path) -> None:
    plan = plan_file(written(tmp_path, [helper.make_node("Relu", ["x"], ["y"])], (4, 4)))
    assert on_cpu(plan) == {}
    assert "not on the GPU" not in as_text.render(plan.report("h200", "onnx"))
