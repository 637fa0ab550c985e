"""Half precision for an optimiser on the CPU, which has few kernels for it: half becomes single, single becomes double,
and back afterwards. So what a model casts to fp32 itself stays told apart from what it does in fp16.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from predictor.capture.onnx_files.reading import graphs, tensors

FLOAT, HALF, DOUBLE, BFLOAT = 1, 10, 11, 16
"""Types of ``onnx.TensorProto``."""

ISLAND = "in single precision: "
"""Begins the names of nodes that run in fp32 in a half-precision file and that the CPU has no double kernel for."""

CASTS = "island cast "
"""Begins the names of the casts around them."""

IN_DOUBLE = frozenset(
    (
        "MatMul", "Gemm", "Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Exp", "Log", "Neg", "Abs", "Reciprocal",
        "Sigmoid", "Tanh", "Relu", "Softmax", "LogSoftmax", "ReduceSum", "ReduceMean", "ReduceMax",
        "ReduceMin", "ReduceProd", "ReduceL2", "ReduceSumSquare", "Cast", "Reshape", "Transpose", "Concat",
        "Split", "Slice", "Gather", "GatherElements", "GatherND", "ScatterND", "ScatterElements", "Unsqueeze",
        "Squeeze", "Expand", "Where", "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "Identity",
        "Shape", "Size", "Sin", "Cos", "Clip", "LayerNormalization", "Flatten", "Tile", "Max", "Min", "Sum",
        "Mean", "Constant", "ConstantOfShape", "Range", "CumSum", "TopK", "ArgMax", "ArgMin", "Trilu", "Pad",
        "Dropout", "Sign", "Floor", "Ceil", "Round", "IsNaN", "IsInf", "NonZero", "Einsum", "If", "Loop",
        "Scan", "SequenceAt", "SequenceConstruct", "SequenceInsert", "SequenceEmpty", "ConcatFromSequence",
        "SplitToSequence", "OneHot", "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike",
        "CastLike", "Mod", "Not", "And", "Or",
    )
)  # fmt: skip
"""Operators that the CPU has double kernels for."""


@dataclass
class Proxies:
    """How types were exchanged. half: the file's half-precision type, 0 where it has none and nothing was exchanged;
    doubles: values that the file itself has in double precision.
    """

    half: int = 0
    doubles: frozenset[str] = frozenset()

    def original(self, elem: int, name: str = "") -> int:
        """The type that a proxy stands for. name: of the value."""
        if name in self.doubles:
            return elem
        return {FLOAT: self.half, DOUBLE: FLOAT}.get(elem, elem) if self.half else elem


def half_of(model: Any) -> int:
    """The half-precision type of a model, 0 where it has none."""
    counts = {HALF: 0, BFLOAT: 0}
    for kind in _types(model):
        if kind in counts:
            counts[kind] += 1
    most = max(counts, key=lambda kind: counts[kind])
    return most if counts[most] else 0


def _types(model: Any) -> Iterator[int]:
    for tensor in tensors(model):
        yield tensor.data_type
    for info in _infos(model):
        yield from (tensor.elem_type for tensor in _tensor_types(info.type))
    for attribute in _type_attributes(model):
        yield int(attribute.i)


def _infos(model: Any) -> Iterator[Any]:
    for graph in graphs(model):
        yield from (*graph.value_info, *graph.input, *graph.output)


def _tensor_types(kind: Any) -> list[Any]:
    which = kind.WhichOneof("value")
    if which == "tensor_type":
        return [kind.tensor_type]
    if which in ("sequence_type", "optional_type"):
        return _tensor_types(getattr(kind, which).elem_type)
    return []


def _type_attributes(model: Any) -> Iterator[Any]:
    for graph in graphs(model):
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.name in ("to", "dtype", "output_dtype", "softmax_precision") and attribute.type == 2:
                    yield attribute


TYPED = {"SequenceEmpty": "dtype", "RandomNormal": "dtype", "RandomUniform": "dtype"}
"""Operators whose result is of single precision where an attribute does not say another type, and that attribute; of a
constant of some shape its value says the type.
"""


def _with_types(model: Any) -> None:
    """Write out what a node leaves to the definition of its operator, so that it can be exchanged."""
    import onnx

    for graph in graphs(model):
        for node in graph.node:
            said = {attribute.name for attribute in node.attribute}
            if node.op_type == "ConstantOfShape" and "value" not in said:
                zero = onnx.helper.make_tensor("value", FLOAT, [1], [0.0])
                node.attribute.append(onnx.helper.make_attribute("value", zero))
            elif (name := TYPED.get(node.op_type)) and name not in said:
                node.attribute.append(onnx.helper.make_attribute(name, FLOAT))


def exchange(model: Any, wrapped: frozenset[str] = frozenset(), *, all_alike: bool = False) -> Proxies:
    """Exchange the types of a model in place. wrapped: further operators without double kernels; all_alike: single
    precision for everything, where the islands cannot be kept.
    """
    half = half_of(model)
    if not half:
        return Proxies()
    _with_types(model)
    doubles = _doubles(model)
    proxy = {HALF: FLOAT, BFLOAT: FLOAT, **({} if all_alike else {FLOAT: DOUBLE})}
    if not all_alike:
        _wrap(model, wrapped)
    for tensor in tensors(model):
        if tensor.data_type in proxy:
            _retype(tensor, proxy[tensor.data_type])
    for info in _infos(model):
        for kind in _tensor_types(info.type):
            kind.elem_type = proxy.get(kind.elem_type, kind.elem_type)
    for attribute in _type_attributes(model):
        attribute.i = proxy.get(attribute.i, attribute.i)
    for graph in graphs(model):
        for node in graph.node:
            if node.name.startswith(CASTS):
                attribute = node.attribute[0]
                attribute.i = DOUBLE if node.name.startswith(f"{CASTS}out") else FLOAT
    return Proxies(half, doubles)


def _doubles(model: Any) -> frozenset[str]:
    if DOUBLE not in _types(model):
        return frozenset()
    return frozenset(name for name, elem in _elems(model).items() if elem == DOUBLE)


def _elems(model: Any) -> dict[str, int]:
    """Types of values, by name, as ONNX infers them."""
    import onnx

    try:
        inferred = onnx.shape_inference.infer_shapes(model)
    except Exception:  # a damaged node: what the file says stands
        inferred = model
    known = {info.name: info.type.tensor_type.elem_type for info in _infos(inferred)}
    return known | {tensor.name: tensor.data_type for tensor in tensors(model) if tensor.name}


WRITTEN = (0.044715, 0.7978845608028654, 0.7071067811865476, 1.4142135623730951, 1.702, 0.035677408136300125)
"""Numbers by which ONNX Runtime knows activations (gelu_fusion.cc, fast_gelu_fusion.cc, quick_gelu_fusion.cc): where a
file has one in half precision they compare it in half precision, what stands for it here in single precision.
"""


def _as_written(values: Any) -> Any:
    """A number in single precision: one of ``WRITTEN`` whose value in the type it has, else its value."""
    import numpy as np

    exact = next((n for n in WRITTEN if abs(float(values.ravel()[0])) == float(np.array(n).astype(values.dtype))), None)
    if exact is None:
        return values
    return np.full(values.shape, math.copysign(exact, float(values.ravel()[0])), "float32")


def _retype(tensor: Any, kind: int) -> None:
    from onnx import TensorProto, numpy_helper

    from predictor.capture.onnx_files.reading import hole

    if tensor.data_location == TensorProto.EXTERNAL:
        hole(tensor, tensor.dims, kind)
        return
    values = numpy_helper.to_array(tensor)
    if kind == FLOAT and values.size == 1:
        values = _as_written(values)
    values = values.astype("float32" if kind == FLOAT else "float64")
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _wrap(model: Any, wrapped: frozenset[str]) -> None:
    """Casts to single precision around fp32 nodes that the CPU has no double kernel for."""
    import onnx

    known = _elems(model)
    for graph in graphs(model):
        nodes = []
        for number, node in enumerate(graph.node):
            if node.op_type in IN_DOUBLE - wrapped and not node.domain.startswith("com."):
                nodes.append(node)
                continue
            single = [name for name in node.input if known.get(name) == FLOAT]
            first = next((known.get(name, 0) for name in node.input if name), 0)
            made = [name for name in node.output if name and known.get(name, first) == FLOAT]
            if not single and not made:
                nodes.append(node)
                continue
            changed = onnx.NodeProto()
            changed.CopyFrom(node)
            changed.name = f"{ISLAND}{number} {node.name}"
            for position, name in enumerate(node.input):
                if name in single:
                    changed.input[position] = f"{name} {CASTS}{number}"
                    cast = onnx.helper.make_node("Cast", [name], [changed.input[position]], to=FLOAT)
                    cast.name = f"{CASTS}in {number} {position}"
                    if changed.input[position] not in {o for n in nodes for o in n.output}:
                        nodes.append(cast)
            nodes.append(changed)
            for position, name in enumerate(node.output):
                if name in made:
                    changed.output[position] = f"{name} {CASTS}{number}"
                    cast = onnx.helper.make_node("Cast", [changed.output[position]], [name], to=FLOAT)
                    cast.name = f"{CASTS}out {number} {position}"
                    nodes.append(cast)
        del graph.node[:]
        graph.node.extend(nodes)


def unwrap(graph: Any) -> None:
    """Take the casts around islands out of an optimised graph, in place."""
    renamed: dict[str, str] = {}
    nodes = []
    for node in graph.node:
        if node.op_type == "Cast" and node.name.startswith(CASTS):
            renamed[node.output[0]] = renamed.get(node.input[0], node.input[0])
            continue
        changed = type(node)()
        changed.CopyFrom(node)
        for position, name in enumerate(node.input):
            changed.input[position] = renamed.get(name, name)
        nodes.append(changed)
    for value in graph.output:
        value.name = renamed.get(value.name, value.name)
    del graph.node[:]
    graph.node.extend(nodes)


def in_island(name: str) -> bool:
    """Whether a value is of a node that ran in single precision between casts."""
    return f" {CASTS}" in name
