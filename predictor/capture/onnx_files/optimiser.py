"""ONNX Runtime's optimiser on an ONNX file -> nodes and tensors as plain data.

It runs on the CPU in fp32, where it joins the same nodes as on a GPU, but for those in ``_CPU_ONLY``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from predictor import onnx_runtime
from predictor.errors import PredictorError, shortened

_CPU_ONLY = ["ConvActivationFusion", "GemmActivationFusion", "ConvAddActivationFusion", "NchwcTransformer"]
_TYPES = {1: "fp32", 2: "uint8", 3: "int8", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "fp16", 11: "fp64"}
_TYPES |= {16: "bf16"}
_HALF, _FLOAT = 10, 1
"""Types of ``onnx.TensorProto``."""


def optimise(path: Path) -> dict[str, Any]:
    """Nodes and tensors of a file after ONNX Runtime's optimisations. Raises PredictorError where it is refused."""
    import onnx

    onnxruntime = onnx_runtime.load()
    with tempfile.TemporaryDirectory() as folder:
        source = _in_single_precision(path, Path(folder) / "single.onnx")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "weights")
        try:
            onnxruntime.InferenceSession(
                str(source), options, providers=["CPUExecutionProvider"], disabled_optimizers=_CPU_ONLY
            )
        except Exception as error:
            raise PredictorError(f"ONNX Runtime does not take {path.name}: {shortened(error)}") from error
        return _plain(onnx.load(options.optimized_model_filepath, load_external_data=False))


def _in_single_precision(path: Path, aside: Path) -> Path:
    """The file itself, or where it has half-precision tensors a copy in fp32: the CPU has few kernels for half."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path, load_external_data=False)
    if not any(t.data_type == _HALF for t in model.graph.initializer):
        return path
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.data_type == _HALF:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype("float32"), tensor.name))
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        if value.type.tensor_type.elem_type == _HALF:
            value.type.tensor_type.elem_type = _FLOAT
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == _HALF:
                attribute.i = _FLOAT
            if attribute.t.data_type == _HALF:
                attribute.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(attribute.t).astype("float32")))
    onnx.save(model, aside, save_as_external_data=True, location="single.data")
    return aside


def _plain(model: Any) -> dict[str, Any]:
    import onnx

    model = onnx.shape_inference.infer_shapes(model)
    tensors: dict[str, list[Any]] = {}
    graph = model.graph
    for value in (*graph.value_info, *graph.input, *graph.output):
        kind = value.type.tensor_type
        tensors[value.name] = [[d.dim_value for d in kind.shape.dim], _TYPES.get(kind.elem_type, "fp32")]
    for weight in graph.initializer:
        tensors[weight.name] = [list(weight.dims), _TYPES.get(weight.data_type, "fp32")]
    nodes = []
    for node in graph.node:
        values = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        kept = {k: v.decode() if isinstance(v, bytes) else v for k, v in values.items()}
        kept = {k: list(v) if hasattr(v, "__len__") and not isinstance(v, str) else v for k, v in kept.items()}
        kept = {k: v for k, v in kept.items() if isinstance(v, (int, float, str, list))}
        nodes.append([node.op_type, list(node.input), list(node.output), kept])
    return {"nodes": nodes, "tensors": tensors, "outputs": [o.name for o in graph.output]}
