"""A graph of ONNX nodes, written node by node, with seeded weights."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

MICROSOFT = "com.microsoft"
CLASSIC = "ai.onnx.ml"

BELOW = "below "
"""Of an input of whole numbers, as a key of a file's metadata: what they stay below."""

_NUMPY = {"fp32": np.float32, "fp16": np.float16, "fp64": np.float64, "int64": np.int64, "int32": np.int32}
_NUMPY |= {"uint8": np.uint8, "int8": np.int8, "bool": np.bool_}
_KINDS = {"fp32": TensorProto.FLOAT, "fp16": TensorProto.FLOAT16, "fp64": TensorProto.DOUBLE}
_KINDS |= {"int64": TensorProto.INT64, "int32": TensorProto.INT32, "uint8": TensorProto.UINT8, "int8": TensorProto.INT8}
_KINDS |= {"bool": TensorProto.BOOL, "string": TensorProto.STRING}


class Net:
    """Nodes, weights, inputs and outputs. dtype: of what is floating point and says nothing else."""

    def __init__(self, dtype: str, opset: int = 17, domains: Mapping[str, int] = {MICROSOFT: 1}) -> None:
        self.dtype, self.opsets = dtype, {"": opset, **domains}
        self.nodes: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.weights: list[Any] = []
        self.below: dict[str, str] = {}
        self._count = 0

    def _name(self, stem: str) -> str:
        self._count += 1
        return f"{stem}_{self._count}"

    def input(self, name: str, *shape: int, kind: str = "", below: int = 0) -> str:
        """A tensor that is fed. below: what whole numbers in it stay below."""
        self.inputs.append(helper.make_tensor_value_info(name, _KINDS[kind or self.dtype], shape))
        if below:
            self.below[BELOW + name] = str(below)
        return name

    def weight(self, *shape: int, kind: str = "", scale: float | None = None) -> str:
        """Weights of no particular values. scale: their spread, by default that of a layer that keeps its input's."""
        name = self._name("weight")
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        dtype = _NUMPY[kind or self.dtype]
        if np.issubdtype(dtype, np.integer):
            info = np.iinfo(dtype)
            values = rng.integers(info.min // 2, info.max // 2 + 1, shape, dtype=dtype)
        else:
            spread = float(np.prod(shape[1:]) or 1) ** -0.5 if scale is None else scale
            values = (rng.standard_normal(shape, dtype=np.float32) * spread).astype(dtype)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def constant(self, values: Any, kind: str = "int64") -> str:
        """Given values."""
        name = self._name("constant")
        self.weights.append(numpy_helper.from_array(np.asarray(values, dtype=_NUMPY[kind]), name))
        return name

    def op(self, type: str, *reads: str, domain: str = "", **attributes: Any) -> str:
        """A node with one result that is used."""
        return self.many(type, *reads, count=1, domain=domain, **attributes)[0]

    def many(self, type: str, *reads: str, count: int, domain: str = "", **attributes: Any) -> list[str]:
        """A node with several results."""
        names = [self._name(type.lower()) for _ in range(count)]
        self.nodes.append(helper.make_node(type, list(reads), names, name=names[0], domain=domain, **attributes))
        return names

    def output(self, name: str, kind: str = "") -> None:
        """Make a tensor a result of the graph."""
        self.outputs.append(helper.make_tensor_value_info(name, _KINDS[kind or self.dtype], None))

    def body(self, name: str) -> Any:
        """The nodes as a graph inside another one."""
        return helper.make_graph(self.nodes, name, self.inputs, self.outputs, self.weights)

    def save(self, path: Path) -> None:
        """Write the file."""
        opsets = [helper.make_opsetid(domain, version) for domain, version in self.opsets.items()]
        model = helper.make_model(self.body(path.stem), opset_imports=opsets, ir_version=9)
        helper.set_model_props(model, self.below)
        save(model, path)

    def linear(self, x: str, width: int, out: int, bias: bool = True) -> str:
        """A product with weights, and a bias."""
        y = self.op("MatMul", x, self.weight(width, out, scale=width**-0.5))
        return self.op("Add", y, self.weight(out)) if bias else y

    def conv(self, x: str, c_in: int, c_out: int, *window: int, **attributes: Any) -> str:
        """A convolution that keeps the image's size but for its strides, and a bias."""
        groups = attributes.get("group", 1)
        attributes.setdefault("pads", [side // 2 for side in window] * 2)
        weight = self.weight(c_out, c_in // groups, *window)
        return self.op("Conv", x, weight, self.weight(c_out), kernel_shape=list(window), **attributes)
