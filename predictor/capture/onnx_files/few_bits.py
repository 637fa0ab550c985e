"""Products with weights of four bits, which a session joins with what unpacks them for the CUDA provider: a product by
``MatMulNBits`` (onnxruntime, qdq_selector_action_transformer.cc, DQMatMulToMatMulNBits; seen on an H100). On the CPU,
where models are optimised here, that is left out with all else that is done to quantised models there.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from predictor.capture.onnx_files.reading import graphs, hole

UINT8, UINT4, INT4 = 2, 21, 22
"""Types of ``onnx.TensorProto``."""

SMALLEST_BLOCK = 16
"""Weights that share a scale: fewer are not joined."""


def join_few_bits(model: Any) -> None:
    """Join products with what unpacks their weights, block by block along the rows, in place."""
    import onnx

    for graph in graphs(model):
        weights = {tensor.name: tensor for tensor in graph.initializer}
        readers = Counter(name for node in graph.node for name in node.input)
        readers.update(value.name for value in graph.output)
        makers = {node.output[0]: node for node in graph.node if _is_blocked(node, weights)}
        for node in graph.node:
            maker = makers.get(node.input[1]) if node.op_type == "MatMul" and not node.domain else None
            if maker is None or readers[maker.output[0]] > 1:
                continue
            block, (k, n) = _block(maker), weights[maker.input[0]].dims
            blocks = -(-k // block)
            packed = graph.initializer.add(name=f"{maker.input[0]} packed")
            hole(packed, (n, blocks, block // 2), UINT8)
            scales = graph.initializer.add(name=f"{maker.input[1]} packed")
            hole(scales, (n * blocks,), weights[maker.input[1]].data_type)
            reads = [node.input[0], packed.name, scales.name]
            if len(maker.input) > 2 and maker.input[2]:
                zeros = graph.initializer.add(name=f"{maker.input[2]} packed")
                hole(zeros, (n * -(-blocks // 2),), UINT8)
                reads.append(zeros.name)
            attributes = {"K": k, "N": n, "bits": 4, "block_size": block}
            joined = onnx.helper.make_node(
                "MatMulNBits", reads, list(node.output), node.name, domain="com.microsoft", **attributes
            )
            node.CopyFrom(joined)
            maker.Clear()
        kept = [type(node).FromString(node.SerializeToString()) for node in graph.node if node.op_type]
        if len(kept) < len(graph.node):
            del graph.node[:]
            graph.node.extend(kept)
            if all(entry.domain != "com.microsoft" for entry in model.opset_import):
                model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))


def _is_blocked(node: Any, weights: dict[str, Any]) -> bool:
    """Whether a node unpacks weights of four bits that share a scale along their rows."""
    if node.op_type != "DequantizeLinear" or node.domain or any(name not in weights for name in node.input if name):
        return False
    weight, block = weights[node.input[0]], _block(node)
    axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
    power_of_two = block >= SMALLEST_BLOCK and block & (block - 1) == 0
    return weight.data_type in (UINT4, INT4) and len(weight.dims) == 2 and axis == 0 and power_of_two


def _block(node: Any) -> int:
    return next((int(a.i) for a in node.attribute if a.name == "block_size"), 0)
