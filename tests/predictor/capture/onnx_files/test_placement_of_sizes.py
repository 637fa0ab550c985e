"""What a file computes with sizes stays on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from predictor import runtimes
from predictor.capture.onnx_files.files import read_graph
from predictor.ops.placement import OF_SIZES, computes_sizes


def test_a_function_that_divides_a_shape_leaves_that_to_the_cpu(tmp_path: Path) -> None:
    """ONNX Runtime expands GroupNormalization after it has folded constants: shapes are computed in every pass."""
    weights = [numpy_helper.from_array(np.ones(4, np.float32), name) for name in "sb"]
    shape = [1, 16, 8, 8]
    graph = helper.make_graph(
        [helper.make_node("GroupNormalization", ["x", "s", "b"], ["y"], num_groups=4)],
        "norm",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        weights,
    )
    path = tmp_path / "norm.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    captured = read_graph(path)
    program = runtimes.load("onnx").lower(captured)
    assert dict(program.on_cpu) == {"Div": OF_SIZES, "Concat": OF_SIZES}  # and no copies
    assert sum(call.op == "Shape" for call in program.calls) == 4
    assert not runtimes.load("onnx-cudagraph").lower(captured).unsupported_reason


@pytest.mark.parametrize(
    ("op", "inputs", "types", "elements", "goes"),
    [
        ("Add", ["size", "one"], ["int64", "int64"], [1, 1], True),
        ("Add", ["size", "many"], ["int64", "int64"], [1, 101], False),
        ("Expand", ["one", "size"], ["fp32", "int64"], [1, 1], False),  # its kernel takes the shape from the CPU
        ("Mul", ["half", "size"], ["fp16", "fp16"], [1, 1], False),
        ("Range", ["one", "size", "one"], ["int64"] * 3, [1, 1, 1], False),
        ("Add", ["one", "one"], ["int64", "int64"], [1, 1], False),
    ],
)
def test_what_a_node_reads_decides_whether_it_follows_sizes_to_the_cpu(
    op: str, inputs: list[str], types: list[str], elements: list[int], goes: bool
) -> None:
    """As GetCpuPreferredNodes of ONNX Runtime has it."""
    assert computes_sizes(op, inputs, types, elements, {"size"}, {"one", "many", "half"}) is goes
