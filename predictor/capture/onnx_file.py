"""An ONNX file, or a module by way of one -> ``Graph``: the nodes that ONNX Runtime runs after its optimisations.

The optimiser of ONNX Runtime itself does them, on the CPU in fp32, where it joins the same nodes as on a GPU, but for
those in ``_CPU_ONLY``. Outcomes are kept in the user's cache by the file's content.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from predictor import folders
from predictor.errors import CannotRunError, PredictorError
from predictor.graph.inputs import batch_of as inputs_batch
from predictor.ops import onnx_form
from predictor.ops.arguments import node_arguments
from predictor.records import CaptureMode, Graph, OpCall, PythonWork, TensorSpec

_CPU_ONLY = ["ConvActivationFusion", "GemmActivationFusion", "ConvAddActivationFusion", "NchwcTransformer"]
_TYPES = {1: "fp32", 2: "uint8", 3: "int8", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "fp16", 11: "fp64"}
_TYPES |= {16: "bf16"}
_HALF, _FLOAT = 10, 1
"""Types of ``onnx.TensorProto``."""


def read(path: Path, dtype: str, name: str | None = None) -> Graph:
    """Graph of an ONNX file. dtype: what its floating-point tensors would run in. Raises PredictorError for a file that
    is none, has open dimensions, or that ONNX Runtime does not take.
    """
    batch = batch_of(path)
    return replace(_graph(_optimised(path), dtype, name or path.stem), batch=batch)


def batch_of(path: Path) -> int:
    """Size of the first dimension of an ONNX file's first input. Raises PredictorError for a file that is none or has
    open dimensions.
    """
    import onnx

    if not path.is_file():
        raise PredictorError(f"no such file: {path}")
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        raise PredictorError(f"{path} is no ONNX file: {_line(error)}") from error
    if not model.graph.node:
        raise PredictorError(f"{path} is no ONNX file: it has no nodes")
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [given for given in model.graph.input if given.name not in weights]
    for given in inputs:
        sizes = given.type.tensor_type.shape.dim
        if any(not d.dim_value for d in sizes):
            said = ", ".join(d.dim_param or str(d.dim_value) for d in sizes)
            raise PredictorError(
                f"{path}: input {given.name} has open dimensions ({said}): export it with fixed shapes"
            )
    sizes = inputs[0].type.tensor_type.shape.dim if inputs else ()
    return int(sizes[0].dim_value) if sizes else 1


def exported(module: Any, inputs: Any, dtype: str, name: str | None = None) -> Graph:
    """Graph of a module: exported in fp32 on the CPU, with weights of no particular value if it has none. Raises
    CannotRunError where it cannot be exported.
    """
    import torch

    from predictor.capture.isolation import isolated
    from predictor.capture.recorder import versions
    from predictor.capture.stand_ins import Copies
    from predictor.graph.onnx_export import export

    def placed(tensor: torch.Tensor) -> torch.Tensor:
        kind = torch.float32 if tensor.is_floating_point() else tensor.dtype
        if tensor.is_meta:
            return torch.zeros(tensor.shape, dtype=kind)
        return tensor.detach().to("cpu", kind, copy=True)

    said = name or type(module).__name__
    kept = _kept(_fingerprint(module, inputs))
    with isolated():
        data = _from_cache(kept)
        if data is None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.onnx"
                try:
                    with _quiet():
                        copies = Copies()
                        real = copies.module(module, placed, placed)
                        export(real, copies.of(inputs, placed), path)
                except Exception as error:
                    raise CannotRunError(f"it cannot be exported to ONNX: {_line(error)}") from error
                data = _optimise(path)
            _to_cache(kept, data)
    return replace(_graph(data, dtype, said), batch=inputs_batch(inputs), versions=versions())


def _fingerprint(module: Any, inputs: Any) -> bytes:
    """What decides what a module is exported to: the operators that it runs, and the versions of those who export."""
    import onnx
    import onnxruntime

    from predictor.capture.recorder import capture

    graph = capture(module, inputs, "fp32", "", CaptureMode.TRACED)
    rows = [(c.op, sorted(c.args.items(), key=str), c.input_ids, c.outputs) for c in graph.calls]
    return repr((rows, graph.outputs, graph.versions, onnx.__version__, onnxruntime.__version__)).encode()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Exporters print and log what they have tried, where they fail."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _line(error: BaseException) -> str:
    """What caused an error, in the first line of its message: the exporters' own are about how to report it."""
    while error.__cause__ is not None:
        error = error.__cause__
    said = str(error).strip() or type(error).__name__
    return " ".join(re.sub(r"\x1b\[\d*m", "", said.splitlines()[0]).split())[:200]


def cache_folder() -> Path | None:
    """Where optimised graphs are kept; None for a user without a home, for whom they are made anew."""
    folder = folders.cache_folder()
    return folder / "onnx" if folder else None


def _optimised(path: Path) -> dict[str, Any]:
    """Nodes and tensors of the optimised graph, as plain data; from the cache where the file was seen before."""
    import onnxruntime

    kept = _kept(path.read_bytes() + onnxruntime.__version__.encode())
    data = _from_cache(kept)
    if data is None:
        data = _optimise(path)
        _to_cache(kept, data)
    return data


def _kept(what: bytes) -> Path | None:
    folder = cache_folder()
    return folder / f"{hashlib.sha256(what + FORM).hexdigest()[:32]}.json" if folder else None


FORM = b"2"
"""Version of what the cache holds."""


def _from_cache(kept: Path | None) -> dict[str, Any] | None:
    if kept is None:
        return None
    try:
        data: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data


def _to_cache(kept: Path | None, data: dict[str, Any]) -> None:
    if kept is None:
        return
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        aside = kept.with_suffix(f".{os.getpid()}")
        aside.write_text(json.dumps(data), encoding="utf-8")
        aside.replace(kept)


def _optimise(path: Path) -> dict[str, Any]:
    import onnx
    import onnxruntime

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
            raise PredictorError(f"ONNX Runtime does not take {path.name}: {_line(error)}") from error
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


OPEN = -1
"""A dimension that the data decide."""


def _plain(model: Any) -> dict[str, Any]:
    import onnx

    model = onnx.shape_inference.infer_shapes(model)
    tensors: dict[str, list[Any]] = {}
    graph = model.graph
    for value in (*graph.value_info, *graph.input, *graph.output):
        kind = value.type.tensor_type
        sizes = [d.dim_value if d.HasField("dim_value") else OPEN for d in kind.shape.dim]
        tensors[value.name] = [sizes, _TYPES.get(kind.elem_type, "fp32")]
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


def _graph(data: dict[str, Any], dtype: str, name: str) -> Graph:
    half = "fp32" if dtype in ("fp32", "tf32") else dtype

    def spec(tensor: str) -> TensorSpec | None:
        if tensor not in data["tensors"]:
            return None
        shape, kind = data["tensors"][tensor]
        stride: list[int] = []
        step = 1
        for n in reversed(shape):
            stride.insert(0, step)
            step *= n
        return TensorSpec(tuple(shape), half if kind in ("fp32", "fp16", "bf16") else kind, tuple(stride))

    named = [t for _, inputs, outputs, _ in data["nodes"] for t in (*inputs, *outputs) if t in data["tensors"]]
    numbers = {tensor: number for number, tensor in enumerate(dict.fromkeys(named))}
    calls = []
    for op, inputs, outputs, values in data["nodes"]:
        known = [(t, s) for t in inputs if (s := spec(t)) is not None]
        results = [(t, s) for t in outputs if t and (s := spec(t)) is not None]
        if any(OPEN in s.shape for _, s in results):
            raise CannotRunError(
                f"how large the result of {op} is depends on values, of which an exported graph says nothing: "
                "eager assumes what a selection keeps"
            )
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        form = onnx_form(op)
        call = OpCall(
            op,
            node_arguments(values, [s for _, s in known]),
            tuple(s for _, s in results),
            form.trait,
            input_ids=tuple(numbers[t] for t, _ in known),
            output_ids=tuple(numbers[t] for t, _ in results),
        )
        calls.append(replace(call, macs=form.macs(call)))
    outputs = tuple(numbers[t] for t in data["outputs"] if t in numbers)
    return Graph(name, tuple(calls), dtype, 1, PythonWork(), 0, {}, outputs)
