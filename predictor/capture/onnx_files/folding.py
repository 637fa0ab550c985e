"""What ONNX Runtime computes while it loads a model, by sizes alone: large constants that are made of constants."""

from __future__ import annotations

import math
from typing import Any

from predictor.capture.onnx_files.precision import FLOAT
from predictor.capture.onnx_files.reading import BITS, FEW, FEW_FLOATS, MOST_ELEMENTS, graphs, hole
from predictor.errors import PredictorError

PRODUCTS = frozenset(
    ["MatMul", "Gemm", "Conv", "ConvTranspose", "Einsum", "LSTM", "GRU", "RNN", "MatMulInteger", "ConvInteger"]
)
"""Operators that take long on small tensors."""

KEPT = frozenset(("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "If", "Loop", "Scan", "Constant"))
"""Operators that ONNX Runtime does not compute before it runs, or that are constants themselves."""

RANDOM = ("Random", "Bernoulli", "Multinomial")


HALF_ON_CPU = frozenset(
    (
        "Attention", "BitCast", "Cast", "Clip", "Compress", "Concat", "ConstantOfShape", "DequantizeLinear", "Dropout",
        "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "IsInf", "IsNaN", "LayerNormalization",
        "Max", "Min", "Mod", "QuantizeLinear", "RMSNormalization", "Reshape", "ReverseSequence", "RotaryEmbedding",
        "Round", "Scatter", "ScatterElements", "ScatterND", "Shape", "Shrink", "Sign", "SimplifiedLayerNormalization",
        "Slice", "Split", "Squeeze", "TensorScatter", "Transpose", "Unsqueeze",
    )
)  # fmt: skip
"""Operators that ONNX Runtime's CPU provider has kernels for in half precision (1.31, as it lists them)."""

RUNS = " of each pass"
"""Behind the names of constants that stand for what is computed of them when the model runs."""


def keep_half_constants(model: Any) -> None:
    """Keep what ONNX Runtime computes of constants in half precision when the model runs, in place: it folds constants
    by the CPU's kernels, which are few for that. model: after ``precision.exchange``, half is single.
    """
    constants = {tensor.name: (int(tensor.data_type), list(tensor.dims)) for tensor in model.graph.initializer}
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value":
                constants[node.output[0]] = int(attribute.t.data_type), list(attribute.t.dims)
    made: set[str] = set(constants)
    candidates = [node for node in model.graph.node if _becomes_constant(node, made)]
    if all(node.op_type in HALF_ON_CPU for node in candidates):
        return
    known = {**_shapes(model, {name for node in candidates for name in node.output if name}), **constants}
    folded = set(constants)
    for node in candidates:
        if not _is_constant(node, folded):
            continue
        half = [position for position, name in enumerate(node.input) if known.get(name, (0, []))[0] == FLOAT]
        if node.op_type in HALF_ON_CPU or not half:
            folded.update(node.output)
            continue
        name = node.input[half[0]]
        node.input[half[0]] = name + RUNS
        if all(value.name != name + RUNS for value in model.graph.input):
            value = model.graph.input.add(name=name + RUNS)
            value.type.tensor_type.elem_type = FLOAT
            value.type.tensor_type.shape.SetInParent()
            for size in known[name][1]:
                value.type.tensor_type.shape.dim.add(dim_value=size)


def _becomes_constant(node: Any, constants: set[str]) -> bool:
    if not _is_constant(node, constants):
        return False
    constants.update(node.output)
    return True


def without_large_constants(model: Any) -> None:
    """Replace nodes that make a large constant of constants by a hole of its size, in place. Raises PredictorError for
    a constant of a size that cannot be.
    """
    _constants_as_weights(model.graph)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    constants_only: set[str] = set(constants)
    candidates = []
    for node in model.graph.node:
        if _is_constant(node, constants_only):
            candidates.append(node)
            constants_only.update(node.output)
    if not candidates:
        return
    shapes = _shapes(model, {name for node in candidates for name in node.output if name})
    large = {name for name, tensor in constants.items() if math.prod(tensor.dims) > FEW_FLOATS}
    for node in candidates:
        outputs = [shapes.get(name) for name in node.output if name]
        if any(shape is None for shape in outputs):
            continue
        most = max((math.prod(dims) for _, dims in filter(None, outputs)), default=0)
        if most > MOST_ELEMENTS:
            raise PredictorError(f"node {node.name or node.op_type} makes a constant of {most:,} elements")
        few = FEW_FLOATS if node.op_type == "ConstantOfShape" else FEW
        if most <= few and not (node.op_type in PRODUCTS and large.intersection(node.input)):
            continue
        if any(elem not in BITS for elem, _ in filter(None, outputs)):
            continue
        for name in node.output:
            if name:
                tensor = model.graph.initializer.add(name=name)
                elem, dims = shapes[name]
                hole(tensor, dims, elem)
                large.add(name)
    made = {tensor.name for tensor in model.graph.initializer}
    kept = [node for node in model.graph.node if not (node.output and all(o in made or not o for o in node.output))]
    if len(kept) < len(model.graph.node):
        copies = [type(node)() for node in kept]
        for copied, node in zip(copies, kept, strict=True):
            copied.CopyFrom(node)
        del model.graph.node[:]
        model.graph.node.extend(copies)
        _without_unused(model)


def _without_unused(model: Any) -> None:
    """Drop large weights that nobody reads any more: ONNX Runtime would map them into memory."""
    read = {name for graph in graphs(model) for node in graph.node for name in node.input}
    read |= {value.name for graph in graphs(model) for value in graph.output}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read or not tensor.external_data]
    if len(kept) < len(model.graph.initializer):
        copies = [type(tensor)() for tensor in kept]
        for copied, tensor in zip(copies, kept, strict=True):
            copied.CopyFrom(tensor)
        del model.graph.initializer[:]
        model.graph.initializer.extend(copies)


def _is_constant(node: Any, constants: set[str]) -> bool:
    if node.op_type in KEPT or node.op_type.startswith(RANDOM) or any(a.HasField("g") for a in node.attribute):
        return False
    return bool(node.input) and all(name in constants or not name for name in node.input)


def _constants_as_weights(graph: Any) -> None:
    """Large tensors in nodes become weights: ONNX Runtime reads no data from beside the file for others."""
    kept = []
    for node in graph.node:
        value = next((a.t for a in node.attribute if a.name == "value" and a.HasField("t")), None)
        if node.op_type == "Constant" and value is not None and value.external_data and node.output:
            tensor = graph.initializer.add()
            tensor.CopyFrom(value)
            tensor.name = node.output[0]
            continue
        copied = type(node)()
        copied.CopyFrom(node)
        kept.append(copied)
        for attribute in copied.attribute:
            if attribute.HasField("g"):
                _constants_as_weights(attribute.g)
    del graph.node[:]
    graph.node.extend(kept)


def _shapes(model: Any, wanted: set[str]) -> dict[str, tuple[int, list[int]]]:
    """Types and shapes that ONNX infers, of values whose sizes are all known."""
    import onnx

    found: dict[str, tuple[int, list[int]]] = {}
    for by_values in (False, True):  # by values it takes long where tensors of sizes are large
        try:
            inferred = onnx.shape_inference.infer_shapes(model, data_prop=by_values)
        except Exception:
            return found
        for info in (*inferred.graph.value_info, *inferred.graph.output):
            tensor = info.type.tensor_type
            dims = [int(d.dim_value) for d in tensor.shape.dim]
            if tensor.HasField("shape") and all(d.HasField("dim_value") and d.dim_value >= 0 for d in tensor.shape.dim):
                found[info.name] = (int(tensor.elem_type), dims)
        if wanted <= set(found):
            break
    return found
