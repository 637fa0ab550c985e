"""What ONNX Runtime itself makes of a model: its optimised graph, and the types and shapes that it infers."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from predictor import onnx_runtime
from predictor.capture.onnx_files.reading import BITS, HOLES
from predictor.errors import CannotRunError, PredictorError

CPU_ONLY = [
    *("ConvActivationFusion", "GemmActivationFusion", "ConvAddActivationFusion", "NchwcTransformer"),
    *("QDQS8ToU8Transformer", "QDQSelectorActionTransformer"),
    *("DynamicQuantizeMatMulFusion", "MatMulIntegerToFloatFusion", "MatMulNBitsFusion"),
]
"""Optimisations that a session on the CPU makes and one on a GPU does not."""

NO_KERNEL = re.compile(r"Could not find an implementation for (?:[\w.]+:)?(\w+)\(")
"""What ONNX Runtime says of a node that the CPU has no kernel for, in its type."""

NO_OPERATOR = re.compile(r"([\w.]*):(\w+)\(-?\d+\) is not a registered function/op")


@dataclass(frozen=True, slots=True)
class Spec:
    """What is known of a value. kind: "tensor", "sequence" or another member of ``onnx.TypeProto``; elem: its type, 0
    where that is not known; dims: sizes, None for unknown ones; None where the rank is not known.
    """

    kind: str
    elem: int
    dims: tuple[int | None, ...] | None

    @property
    def known(self) -> bool:
        """Whether all sizes are known."""
        return self.dims is not None and None not in self.dims


class NoKernelError(Exception):
    """The CPU has no kernel for a node of this type."""

    def __init__(self, op: str) -> None:
        super().__init__(op)
        self.op = op


def optimised(model: Any, folder: Path) -> Any:
    """The model as ONNX Runtime optimises it. Raises NoKernelError, CannotRunError and PredictorError."""
    import onnx

    target = folder / "optimised.onnx"
    _session(model, folder, target)
    found = onnx.ModelProto()
    found.ParseFromString(target.read_bytes())
    target.unlink()
    for tensor in _initializers(found.graph):
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = HOLES
            elif entry.key == "offset":
                entry.value = "0"
    return found


def _initializers(graph: Any) -> list[Any]:
    inside = [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
    return [*graph.initializer, *(t for g in inside for t in _initializers(g))]


def _session(model: Any, folder: Path, target: Path | None) -> Any:
    import onnx

    onnxruntime = onnx_runtime.load()
    largest = 0
    for tensor in _initializers(model.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            largest = max(largest, *(int(e.value) for e in tensor.external_data if e.key == "length"))
    source = folder / "source.onnx"
    try:
        source.write_bytes(model.SerializeToString())
        with (folder / HOLES).open("wb") as holes:
            holes.truncate(largest)
    except OSError as error:
        raise PredictorError(f"{folder} cannot be written: {error.strerror}: set TMPDIR") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.disable_prepacking", "1")
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_DISABLE_ALL
    if target is not None:
        options.graph_optimization_level = levels.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(target)
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "values")
        values = folder / "values"
        if not values.is_symlink():  # ONNX Runtime writes all weights: to nowhere
            with suppress(OSError):  # Windows lets few users link
                values.symlink_to(os.devnull)
    try:
        return onnxruntime.InferenceSession(
            str(source), options, providers=["CPUExecutionProvider"], disabled_optimizers=CPU_ONLY
        )
    except Exception as error:
        said = str(error)
        kernel, operator = NO_KERNEL.search(said), NO_OPERATOR.search(said)
        if kernel:
            raise NoKernelError(kernel[1]) from None
        if operator:
            name = f"{operator[1]}:{operator[2]}" if operator[1] else operator[2]
            raise CannotRunError(
                f"ONNX Runtime has no operator {name}: a library of custom operators brings it, whose kernels "
                "nobody knows here"
            ) from None
        said = said.replace(str(source), "the model").replace(str(folder), "")
        raise PredictorError(f"ONNX Runtime refuses it: {_plain(said)[:240]}") from None


def _plain(said: str) -> str:
    """What ONNX Runtime says, without its codes and the places in its source."""
    said = re.sub(r"^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ", "", " ".join(said.split()))
    said = said.rpartition(" , Error ")[2] if "This is an invalid model" in said else said
    said = re.sub(r"^(Load model from the model failed:|Exception during initialization: )", "", said)
    place = re.search(r"/onnxruntime_src/\S+:\d+ ", said)
    if place is None:
        return said
    depth, end = 0, place.end()
    for position in range(place.end(), len(said)):  # to the end of the function's signature
        depth += {"(": 1, ")": -1}.get(said[position], 0)
        if depth == 0 and said[position] == ")":
            end = position + 1
            break
    return said[: place.start()] + said[end:].removeprefix(" const").strip()


ELEMS = {
    **{"float": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "string": 8, "bool": 9},
    **{"float16": 10, "double": 11, "uint32": 12, "uint64": 13, "complex64": 14, "complex128": 15, "bfloat16": 16},
    **{"float8e4m3fn": 17, "float8e4m3fnuz": 18, "float8e5m2": 19, "float8e5m2fnuz": 20, "uint4": 21, "int4": 22},
}
"""ONNX Runtime's names of types -> numbers."""


def specs(model: Any, folder: Path) -> dict[str, Spec]:
    """What ONNX Runtime, and where it knows nothing ONNX, infers of every value of a model's own graph. Raises what
    ``optimised`` raises.
    """
    import onnx

    asked = onnx.ModelProto()
    asked.CopyFrom(model)
    named = {value.name for value in asked.graph.output}
    for node in asked.graph.node:
        for name in node.output:
            if name and name not in named:
                named.add(name)
                asked.graph.output.add(name=name)
    session = _session(asked, folder, None)
    found: dict[str, Spec] = {}
    inferred = onnx.ModelProto()
    inferred.CopyFrom(model)
    present = {value.name: value for value in (*inferred.graph.value_info, *inferred.graph.output)}
    for value in session.get_outputs():
        kind, elem = _type(value.type)
        dims = tuple(n if isinstance(n, int) and n >= 0 else None for n in value.shape)
        found[value.name] = Spec(kind, elem, dims or None)  # it says [] of a scalar and of an unknown rank
        if kind == "tensor" and dims:
            info = present.get(value.name) or inferred.graph.value_info.add(name=value.name)
            _fill(info, elem, dims)
    sure = {name for name, spec in found.items() if spec.kind != "tensor" or spec.known}
    for value in _infer(inferred, named - sure):
        spec = spec_of(value)
        known = found.get(value.name)
        if known is None or known.dims is None or (spec.dims is not None and None in known.dims):
            found[value.name] = Spec(spec.kind, (known.elem if known else 0) or spec.elem, _merged(known, spec))
    for tensor in model.graph.initializer:
        found[tensor.name] = Spec("tensor", tensor.data_type, tuple(tensor.dims))
    return found


def _merged(known: Spec | None, spec: Spec) -> tuple[int | None, ...] | None:
    if known is None or known.dims is None or spec.dims is None or len(known.dims) != len(spec.dims):
        return spec.dims if known is None or known.dims is None else known.dims
    return tuple(b if a is None else a for a, b in zip(known.dims, spec.dims, strict=True))


def _infer(model: Any, wanted: set[str]) -> list[Any]:
    """What ONNX infers. wanted: values that ONNX Runtime knows nothing of: for them by values, too, which takes long
    where tensors of sizes are large.
    """
    import onnx

    found = model
    for by_values in (False, True) if wanted else ():
        try:
            found = onnx.shape_inference.infer_shapes(model, data_prop=by_values)
        except Exception:  # a damaged node: what ONNX Runtime says stands
            break
        infos = (*found.graph.value_info, *found.graph.output)
        if wanted <= {info.name for info in infos if spec_of(info).known}:
            break
    return [*found.graph.value_info, *found.graph.input, *found.graph.output]


def _fill(info: Any, elem: int, dims: tuple[int | None, ...]) -> None:
    info.type.Clear()
    info.type.tensor_type.elem_type = elem
    for n in dims:
        info.type.tensor_type.shape.dim.add(**({} if n is None else {"dim_value": n}))
    if not dims:
        info.type.tensor_type.shape.SetInParent()


def fill(info: Any, spec: Spec) -> None:
    """Write what is known of a value into its description."""
    if spec.kind == "tensor" and spec.dims is not None:
        _fill(info, spec.elem, spec.dims)
    elif spec.kind == "tensor":
        info.type.Clear()
        info.type.tensor_type.elem_type = spec.elem
    elif spec.kind == "sequence":
        info.type.sequence_type.elem_type.tensor_type.elem_type = spec.elem


def _type(name: str) -> tuple[str, int]:
    kind, _, inner = name.partition("(")
    elem = re.findall(r"[\w]+", inner)
    return {"seq": "sequence"}.get(kind, kind), ELEMS.get(elem[-1], 0) if elem else 0


def spec_of(value: Any) -> Spec:
    """What a description says of a value."""
    kind = value.type.WhichOneof("value") or "tensor_type"
    if kind != "tensor_type":
        inner = value.type.sequence_type.elem_type.tensor_type if kind == "sequence_type" else None
        return Spec(kind.removesuffix("_type"), inner.elem_type if inner else 0, None)
    tensor = value.type.tensor_type
    dims = tuple(int(d.dim_value) if d.WhichOneof("value") == "dim_value" and d.dim_value >= 0 else None
                 for d in tensor.shape.dim)  # fmt: skip
    return Spec("tensor", tensor.elem_type, dims if tensor.HasField("shape") else None)


def bits(elem: int) -> int:
    """Bits of an element of a type."""
    return BITS.get(elem, 32)
