"""Single nodes that are measured alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import load, shape_inference

from benchmarks.onnx_files import nodes


@pytest.mark.parametrize("kind", ["volumes", "pooled", "added", "sampled"])
def test_a_node_is_valid_and_no_larger_than_the_largest(kind: str, tmp_path: Path) -> None:
    for index in range(12):
        nodes.node(kind, "fp16", index).save(tmp_path / "node.onnx")
        model = load(tmp_path / "node.onnx")
        inferred = shape_inference.infer_shapes(model, strict_mode=True).graph
        (made,) = [node.op_type for node in inferred.node]
        assert made
        for value in (*inferred.input, *inferred.output):
            elements = 1
            for dim in value.type.tensor_type.shape.dim:
                elements *= dim.dim_value
            assert 0 < elements <= 8 * nodes.LARGEST  # a transposed convolution makes eight of one
