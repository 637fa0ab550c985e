"""What a file computes with sizes stays on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

from predictor import runtimes
from predictor.capture.onnx_files.files import read_graph
from predictor.ops.placement import OF_SIZES


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
