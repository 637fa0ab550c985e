"""ONNX Runtime's own kernels, each a node in a session of its own: the sweep's cases for the family "ort"."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from calibrate.workloads.cases import KernelId
from calibrate.workloads.device import Run, synchronize
from calibrate.workloads.recipes.base import Rng, pick, power_of_two, usual_image, usual_sequence
from calibrate.workloads.sweeps import MEMORY_DTYPES, IsolatedSweep, KernelCase, Made
from predictor.capture.calls import DTYPES
from predictor.errors import PredictorError
from predictor.runtimes.onnx import lowering as runtime
from predictor.runtimes.onnx.execution import bound_session

FAMILIES = ("ort", "ort_issued", "ort_reduction")
"""Families of the sweep: what is bound by traffic, by instructions, and reductions that a library makes."""

COUNT, QUICK_COUNT = 700, 60
"""Samples of a full and of a quick sweep."""

SMALLEST, LARGEST = 5e2, 6e7
"""Elements of the largest tensor."""

MICROSOFT = "com.microsoft"
"""Domain of ONNX Runtime's own operators."""


TRUTH = 2
"""What integers stay below that are truth values."""


@dataclass(frozen=True, slots=True)
class Nodes:
    """A graph of a node or two. inputs and weights: tensor -> shape; integers: inputs that hold whole numbers, with
    what these stay below; constants: tensor -> values; steps: (operator, tensors read, tensor made, attributes).
    """

    inputs: Mapping[str, Sequence[int]]
    steps: Sequence[tuple[str, Sequence[str], str, Mapping[str, Any]]]
    weights: Mapping[str, Sequence[int]] = field(default_factory=dict)
    integers: Mapping[str, int] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)


def _one(op: str, inputs: Mapping[str, Sequence[int]], more: Sequence[str] = (), **attributes: Any) -> Nodes:
    return Nodes(inputs, [(op, [*inputs, *more], "y", attributes)])


def _rows(rng: Rng) -> tuple[int, int, int]:
    return usual_sequence(rng, LARGEST, 256)


def _image(rng: Rng) -> tuple[int, int, int, int]:
    return usual_image(rng, LARGEST, 256)


def _scores(rng: Rng) -> tuple[int, int, int, int]:
    """Attention scores: batch, heads, queries, keys."""
    heads, length = pick(rng, 4, 8, 12, 16), pick(rng, 32, 49, 64, 99, 128, 128, 197, 256, 384)
    return power_of_two(rng, min(max(LARGEST / heads / length**2, 1), 128)), heads, length, length


def _any(rng: Rng) -> tuple[int, ...]:
    return _rows(rng) if rng.random() < 0.5 else _image(rng)


def _unary(*ops: str) -> Callable[[Rng], Nodes]:
    def draw(rng: Rng) -> Nodes:
        return _one(pick(rng, *ops), {"x": _any(rng)})

    return draw


def _gelu(rng: Rng) -> Nodes:
    shape = _rows(rng)
    if rng.random() < 0.5:
        return _one("Gelu", {"x": shape})
    return Nodes({"x": shape}, [("BiasGelu", ["x", "b"], "y", {})], {"b": shape[-1:]})


def _clip(rng: Rng) -> Nodes:
    return Nodes({"x": _any(rng)}, [("Clip", ["x", "low", "high"], "y", {})], constants={"low": 0.0, "high": 6.0})


def _binary(rng: Rng) -> Nodes:
    op, shape = pick(rng, "Add", "Add", "Mul", "Mul", "Sub", "Div"), _any(rng)
    kind = pick(rng, "same", "same", "bias", "channel", "scalar", "row")
    if kind == "same":
        return _one(op, {"x": shape, "z": shape})
    if kind == "scalar":
        return Nodes({"x": shape}, [(op, ["x", "c"], "y", {})], constants={"c": 0.125})
    if kind == "row":
        return _one(op, {"x": shape, "z": (*shape[:-1], 1)})
    other = (shape[1], 1, 1) if kind == "channel" and len(shape) == 4 else shape[-1:]
    return Nodes({"x": shape}, [(op, ["x", "w"], "y", {})], {"w": other})


def _masked(rng: Rng) -> Nodes:
    shape = _scores(rng)
    other = pick(rng, shape, (shape[0], 1, 1, shape[3]), (shape[0], 1, *shape[2:]))
    return Nodes(
        {"x": shape, "m": other}, [("Where", ["m", "x", "c"], "y", {})], integers={"m": TRUTH}, constants={"c": -1e4}
    )


def _compare(rng: Rng) -> Nodes:
    shape = _any(rng)
    return _one(pick(rng, "Greater", "Less"), {"x": shape, "z": shape})


def _cast(rng: Rng) -> Nodes:
    return _one("Cast", {"x": _any(rng)}, to=6)  # whole numbers: to single precision there would be nothing to do


def _transpose(rng: Rng) -> Nodes:
    kind = pick(rng, "swap", "heads", "heads", "keys", "image")
    if kind == "swap":
        return _one("Transpose", {"x": _rows(rng)}, perm=[0, 2, 1])
    if kind == "image":
        return _one("Transpose", {"x": _image(rng)}, perm=pick(rng, [0, 2, 3, 1], [0, 3, 1, 2]))
    batch, length, width = _rows(rng)
    heads = pick(rng, 4, 8, 12, 16)
    perm = [0, 2, 1, 3] if kind == "heads" else [0, 2, 3, 1]
    return _one("Transpose", {"x": (batch, length, heads, max(width // heads // 8 * 8, 8))}, perm=perm)


def _concat(rng: Rng) -> Nodes:
    shape, count = _any(rng), pick(rng, 2, 2, 3, 4)
    return _one("Concat", dict.fromkeys("xzuv"[:count], shape), axis=pick(rng, 1, len(shape) - 1))


def _slice(rng: Rng) -> Nodes:
    shape = _rows(rng)
    axis = pick(rng, 1, 2)
    ends = {"starts": [0], "ends": [max(shape[axis] // 2, 1)], "axes": [axis]}
    return Nodes({"x": shape}, [("Slice", ["x", *ends], "y", {})], constants=ends)


def _reduced(rng: Rng) -> Nodes:
    op = pick(rng, "ReduceSum", "ReduceMax", "ReduceSum")
    shape = _any(rng)
    axes = [2, 3] if len(shape) == 4 else [pick(rng, 1, 2, 2)]
    kept = {"keepdims": pick(rng, 0, 1)}
    if op == "ReduceSum":
        return Nodes({"x": shape}, [(op, ["x", "axes"], "y", kept)], constants={"axes": axes})
    return _one(op, {"x": shape}, axes=axes, **kept)


def _pooled(rng: Rng) -> Nodes:
    return _one("GlobalAveragePool", {"x": _image(rng)})


def _norm(rng: Rng) -> Nodes:
    shape, eps = _rows(rng), {"epsilon": 1e-5}
    weights = {"w": shape[-1:], "b": shape[-1:]}
    if rng.random() < 0.5:
        return Nodes({"x": shape}, [("LayerNormalization", ["x", "w", "b"], "y", {"axis": -1, **eps})], weights)
    step = ("SkipLayerNormalization", ["x", "z", "w", "b"], "y", eps)
    return Nodes({"x": shape, "z": shape}, [step], weights)


def _biased_softmax(rng: Rng) -> Nodes:
    shape = _scores(rng)
    bias = pick(rng, (shape[0], 1, 1, shape[3]), (1, 1, *shape[2:]))
    return Nodes({"x": shape, "z": bias}, [("Add", ["x", "z"], "s", {}), ("Softmax", ["s"], "y", {"axis": -1})])


DRAWN: Sequence[Callable[[Rng], Nodes]] = (
    *(_unary("Relu", "Neg", "Sqrt", "Abs"), _unary("Relu"), _unary("Sigmoid", "Tanh", "Erf", "Exp")),
    *(_gelu, _clip, _clip, _binary, _binary, _binary, _masked, _compare, _cast),
    *(_transpose, _transpose, _transpose, _concat, _concat, _slice, _concat, _slice, _reduced, _reduced, _pooled),
    *(_norm, _norm, _norm, _biased_softmax, _biased_softmax, _norm),
)
"""What draws a case: each in turn."""


def cases(count: int, done: Container[KernelId] = ()) -> Iterator[KernelCase | None]:
    """Every case of a sweep of so many, the same on every run; None for one that is done."""
    for index in range(count):
        ids = [KernelId(family, "node", index) for family in FAMILIES]
        yield None if any(id in done for id in ids) else case_of(index)


def case_of(index: int) -> KernelCase:
    """The index-th case: drawn again until the node is one kernel of the families."""
    rng = np.random.default_rng([32452843, index])
    dtype = MEMORY_DTYPES[index // len(DRAWN) % len(MEMORY_DTYPES)]
    for _ in range(50):
        nodes = DRAWN[index % len(DRAWN)](rng)
        if not SMALLEST <= max(float(np.prod(shape)) for shape in nodes.inputs.values()) <= LARGEST:
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "nodes.onnx"
            write(nodes, "fp32", path)
            try:
                from predictor.capture.onnx_files.files import read_own

                calls = [call for call in runtime.lower(read_own(path, dtype)).calls if call.kernels]
            except PredictorError:
                continue
        kernels = [kernel for call in calls for kernel in call.kernels]
        if len(kernels) == 1 and kernels[0].family in FAMILIES:
            id = KernelId(kernels[0].family, "node", index)
            return KernelCase(id, nodes, dtype, kernels[0], calls[0].op)
    raise RuntimeError(f"{DRAWN[index % len(DRAWN)].__name__} draws no node that is one kernel")


def maker(case: KernelCase, device: str) -> Made:
    """What builds a case on a device: returns a pass of its session, and its inputs, which are warm in cache."""
    nodes: Nodes = case.recipe

    def make() -> tuple[Run, Sequence[torch.Tensor]]:
        inputs = [
            _whole(shape, nodes.integers[name]).to(device)
            if name in nodes.integers
            else torch.rand(*shape, dtype=DTYPES[case.dtype], device=device)
            for name, shape in nodes.inputs.items()
        ]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "nodes.onnx"
            write(nodes, case.dtype, path)
            try:
                session = bound_session(path, inputs, {})
            except Exception as error:  # its exceptions have no common base of their own
                raise RuntimeError(f"ONNX Runtime does not take it: {error}") from error

        def run() -> None:  # the session has a stream of its own, and waits for it alone
            synchronize(device)
            session()

        return run, [x for x in inputs if x.is_floating_point()]

    return make


def _whole(shape: Sequence[int], high: int) -> torch.Tensor:
    tensor = torch.randint(high, tuple(shape), device="cpu")
    return tensor.bool() if high == TRUTH else tensor


def write(nodes: Nodes, dtype: str, path: Path) -> None:
    """The nodes as an ONNX file."""
    from onnx import TensorProto, helper, numpy_helper, save, shape_inference

    kind = TensorProto.FLOAT16 if dtype == "fp16" else TensorProto.FLOAT
    number = np.float16 if dtype == "fp16" else np.float32
    whole = {high: TensorProto.BOOL if high == TRUTH else TensorProto.INT64 for high in nodes.integers.values()}
    microsoft_ops = {"BiasGelu", "Gelu", "SkipLayerNormalization"}
    weights = [
        numpy_helper.from_array(np.full(tuple(shape), 0.5, dtype=number), name) for name, shape in nodes.weights.items()
    ]
    weights += [
        numpy_helper.from_array(np.array(value, dtype=np.int64 if isinstance(value, list) else number), name)
        for name, value in nodes.constants.items()
    ]
    graph = helper.make_graph(
        [
            helper.make_node(op, reads, [output], domain=MICROSOFT if op in microsoft_ops else "", **attributes)
            for op, reads, output, attributes in nodes.steps
        ],
        "nodes",
        [
            helper.make_tensor_value_info(name, whole.get(nodes.integers.get(name, 0), kind), shape)
            for name, shape in nodes.inputs.items()
        ],
        [helper.make_tensor_value_info("y", _made_kind(nodes, kind), None)],
        weights,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    save(shape_inference.infer_shapes(model), path)


def _made_kind(nodes: Nodes, kind: int) -> int:
    from onnx import TensorProto

    op, *_, attributes = nodes.steps[-1]
    return int(TensorProto.BOOL if op in ("Greater", "Less") else attributes.get("to", kind))


def _count(quick: bool) -> int:
    return QUICK_COUNT if quick else COUNT


SWEEP = IsolatedSweep(runtime.NAME, _count, lambda quick, done: cases(_count(quick), done), maker)
