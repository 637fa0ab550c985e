"""An ONNX file as it lies there -> ``OnnxFile``: its inputs and a copy of its graph without the values of its weights.

What a graph is optimised to depends on the sizes of weights, not on their values, but for small ones (shapes, scales).
So large tensors become holes of their size, and data beside the file is looked at for its size alone. No file is opened
but the model itself and, for small tensors, files in its own folder.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from predictor.errors import PredictorError, shortened

TYPES = {
    **{1: "fp32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool"},
    **{10: "fp16", 11: "fp64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bf16"},
    **{17: "fp8_e4m3", 18: "fp8_e4m3", 19: "fp8_e5m2", 20: "fp8_e5m2", 21: "uint4", 22: "int4", 23: "fp4"},
}
"""Types of ``onnx.TensorProto``, by number."""

FLOATS = {1: "fp32", 10: "fp16", 16: "bf16"}
"""Those that a runtime may be asked to run in."""

BITS = {1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16}
BITS |= {17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4}

FEW_FLOATS = 2**16
"""Elements up to which tensors of most types keep their values."""

FEW = 2**22
"""The same of those of ``DECIDING``."""

DECIDING = frozenset({6, 7, 9})
"""Types of indices and masks, whose values decide sizes and which nodes are joined: int32, int64, bool."""

LARGEST_BYTES = 2**31
"""Of a file: protocol buffers end there."""

MOST_ELEMENTS = 2**40
"""Of a tensor: more are a damaged file."""

MOST_NODES = 50_000
"""Of a graph, a judgement: ONNX Runtime optimises so many in six seconds."""

HOLES = "holes"
"""Name of the file that large tensors point at."""


@dataclass(frozen=True, slots=True)
class Input:
    """An input. dims: sizes, names of open ones, None for open ones without a name; None where the rank is open."""

    name: str
    dims: tuple[int | str | None, ...] | None
    dtype: str


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """A file. model: the serialised graph without large values; digest: of all that shapes the graph; dtype: what most
    of its weights are multiplied in.
    """

    path: Path
    model: bytes
    digest: str
    inputs: tuple[Input, ...]
    dtype: str


def read(path: Path) -> OnnxFile:
    """A file. Raises PredictorError for one that is none, is damaged, or wants data from elsewhere than beside it."""
    content = _content(path)
    model = _model(content, path)
    if len(model.graph.node) > MOST_NODES:
        raise PredictorError(f"{path} has {len(model.graph.node):,} nodes, the most are {MOST_NODES:,}: simplify it")
    model.ClearField("training_info")
    digest = hashlib.sha256(content)
    dtype = _dtype(model)
    for tensor in tensors(model):
        _without_values(tensor, path, digest)
    weights = {tensor.name for tensor in model.graph.initializer}
    weights |= {tensor.values.name for tensor in model.graph.sparse_initializer}
    inputs = tuple(_input(value, path) for value in model.graph.input if value.name not in weights)
    return OnnxFile(path, model.SerializeToString(deterministic=True), digest.hexdigest(), inputs, dtype)


def _content(path: Path) -> bytes:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise PredictorError(f"{path} is no file")
        if found.st_size >= LARGEST_BYTES:
            raise PredictorError(f"{path} has more than 2 GiB: save its weights beside it (save_as_external_data)")
        return path.read_bytes()
    except FileNotFoundError:
        raise PredictorError(f"no such file: {path}") from None
    except (OSError, ValueError) as error:
        raise PredictorError(f"{path} cannot be read: {shortened(error)}") from None


def _model(content: bytes, path: Path) -> Any:
    import onnx

    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except Exception as error:
        raise PredictorError(f"{path} is no ONNX file: {shortened(error)}") from None
    if not model.graph.node:
        raise PredictorError(f"{path} has no nodes: there is nothing to run")
    return model


def graphs(model: Any) -> Iterator[Any]:
    """The graph of a model and those inside of nodes; of its functions those inside of nodes."""
    waiting = [model.graph]
    for function in model.functions:
        waiting += _inside(function.node)
    while waiting:
        graph = waiting.pop()
        yield graph
        waiting += _inside(graph.node)


def _inside(nodes: Any) -> list[Any]:
    return [g for node in nodes for a in node.attribute for g in (*((a.g,) if a.HasField("g") else ()), *a.graphs)]


def tensors(model: Any) -> Iterator[Any]:
    """All tensors of a model that have values."""
    nodes = [node for function in model.functions for node in function.node]
    for graph in graphs(model):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        nodes += graph.node
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for sparse in (
                *((attribute.sparse_tensor,) if attribute.HasField("sparse_tensor") else ()),
                *attribute.sparse_tensors,
            ):
                yield from (sparse.values, sparse.indices)


def _without_values(tensor: Any, path: Path, digest: Any) -> None:
    """Make a large tensor a hole, and a small one that lies beside the file one with values."""
    import onnx

    elements = math.prod(tensor.dims)
    if any(n < 0 for n in tensor.dims) or elements > MOST_ELEMENTS:
        raise PredictorError(f"{path} is damaged: tensor {tensor.name!r} has the shape {list(tensor.dims)}")
    if tensor.data_type not in BITS:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise PredictorError(f"{path}: tensor {tensor.name!r} is of a type that cannot lie outside of the file")
        return
    nbytes = -(-elements * BITS[tensor.data_type] // 8)
    outside = tensor.data_location == onnx.TensorProto.EXTERNAL
    is_large = is_hole(elements, tensor.data_type)
    if outside:
        where, offset, size = _beside(tensor, path, nbytes)
        digest.update(repr((tensor.name, where.name, offset, size)).encode())
        if not is_large:
            values = _part(where, offset, nbytes, path)
            digest.update(values)
            tensor.ClearField("external_data")
            tensor.data_location = onnx.TensorProto.DEFAULT
            tensor.raw_data = values
    elif is_large and tensor.HasField("raw_data") and len(tensor.raw_data) != nbytes:
        raise PredictorError(
            f"{path} is damaged: tensor {tensor.name!r} has {len(tensor.raw_data)} bytes, its shape {nbytes}"
        )
    if is_large:
        hole(tensor, tensor.dims, tensor.data_type)


def is_hole(elements: int, data_type: int) -> bool:
    """Whether the values of a tensor of a type are not read."""
    return elements > (FEW if data_type in DECIDING else FEW_FLOATS)


def hole(tensor: Any, dims: Any, data_type: int) -> None:
    """Make a tensor one without values."""
    import onnx

    name, dims = tensor.name, list(dims)
    tensor.Clear()
    tensor.name, tensor.data_type, tensor.data_location = name, data_type, onnx.TensorProto.EXTERNAL
    tensor.dims.extend(dims)
    nbytes = -(-math.prod(dims) * BITS[data_type] // 8)
    for key, value in (("location", HOLES), ("offset", "0"), ("length", str(nbytes))):
        tensor.external_data.add(key=key, value=value)


def _beside(tensor: Any, path: Path, nbytes: int) -> tuple[Path, int, int]:
    """(File of a tensor's values, where they begin in it, its size). Raises PredictorError where that is not beside the
    model, is no file, or is too short.
    """
    said = {entry.key: entry.value for entry in tensor.external_data}
    location = said.get("location", "")
    folder = path.parent.resolve()
    where = f"{path}: the values of tensor {tensor.name!r}"
    parts = location.replace("\\", "/").split("/")
    if not location or "\0" in location or os.path.isabs(location) or ".." in parts or ":" in parts[0]:
        raise PredictorError(f"{where} are not beside the file, but in {location!r}: nothing else is read")
    file = folder.joinpath(*parts)
    try:
        if file.is_symlink() or file.resolve() != file or not file.resolve().is_relative_to(folder):
            raise PredictorError(f"{where} are behind a link, {location!r}: copy them beside the file")
        found = file.stat()
        offset = int(said.get("offset") or 0)
        length = int(said.get("length") or nbytes)
    except (OSError, ValueError) as error:
        raise PredictorError(f"{where} cannot be read from {location!r}: {shortened(error)}") from None
    if not stat.S_ISREG(found.st_mode) or length != nbytes or offset < 0 or offset + nbytes > found.st_size:
        raise PredictorError(
            f"{where}, {nbytes} bytes, are not in {location!r}: it has {found.st_size} bytes, they begin at {offset} "
            f"and have {length}"
        )
    return file, offset, found.st_size


def _part(file: Path, offset: int, nbytes: int, path: Path) -> bytes:
    try:
        with open(os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as opened:
            opened.seek(offset)
            return opened.read(nbytes)
    except OSError as error:
        raise PredictorError(f"{path}: {file.name} cannot be read: {error.strerror}") from None


def _input(value: Any, path: Path) -> Input:
    kind = value.type.WhichOneof("value")
    if kind == "optional_type" and value.type.optional_type.elem_type.HasField("tensor_type"):
        tensor = value.type.optional_type.elem_type.tensor_type
    elif kind == "tensor_type":
        tensor = value.type.tensor_type
    else:
        said = (kind or "of no type").replace("_type", "")
        raise PredictorError(f"{path}: input {value.name!r} is no tensor ({said}): its sizes are not in the file")
    dims = tuple(map(_dim, tensor.shape.dim)) if tensor.HasField("shape") else None
    return Input(value.name, dims, TYPES.get(tensor.elem_type, "fp32"))


def _dim(dim: Any) -> int | str | None:
    if dim.dim_value > 0:
        return int(dim.dim_value)
    name = str(dim.dim_param)
    return None if not name or name.lstrip("-").isdigit() or name == "?" else name


def _dtype(model: Any) -> str:
    """The floating-point type that most weights are used in: of those that are cast, what they are cast to. Of a file
    without weights, that of its inputs, else fp32.
    """
    casts: dict[str, int] = {}
    counts: dict[int, int] = {}
    for graph in graphs(model):
        for node in graph.node:
            if node.op_type == "Cast" and node.input:
                casts[node.input[0]] = next((int(a.i) for a in node.attribute if a.name == "to"), 0)
            for attribute in node.attribute:
                if node.op_type == "Constant" and attribute.HasField("t") and node.output:
                    kind = casts.get(node.output[0], attribute.t.data_type)
                    counts[kind] = counts.get(kind, 0) + math.prod(attribute.t.dims)
        for tensor in graph.initializer:
            kind = casts.get(tensor.name, tensor.data_type)
            counts[kind] = counts.get(kind, 0) + math.prod(tensor.dims)
    known = {kind: count for kind, count in counts.items() if kind in FLOATS and count > 1}
    if known:
        return FLOATS[max(known, key=lambda kind: known[kind])]
    given = [value.type.tensor_type.elem_type for value in model.graph.input]
    return next((FLOATS[kind] for kind in given if kind in FLOATS), "fp32")
