"""Damaged and unusual ONNX files: each is predicted, or refused in a line, within ten seconds, and nothing is read that
does not lie beside it.

    python benchmarks/mutated_onnx.py [--mutations 500] [--seed 0] [--only PART OF A NAME]

Prints a line for each file that breaks a promise, then the counts. Exit status 1 where one does.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from predictor.errors import PredictorError
from predictor.predict import plan_file

LONGEST_S = 10.0
FLOAT, HALF, BFLOAT, DOUBLE, INT, BOOL, STRING = 1, 10, 16, 11, 7, 9, 8

Made = ModelProto | bytes
Case = Callable[[Path], Made]
"""Folder -> a model or the bytes of a file."""


def info(name: str, kind: int = FLOAT, shape: Sequence[Any] | None = (1, 64)) -> Any:
    """The description of a tensor."""
    return helper.make_tensor_value_info(name, kind, shape)


def weight(name: str, *shape: int, kind: Any = np.float32) -> Any:
    """A weight."""
    return numpy_helper.from_array((np.arange(np.prod(shape)).reshape(shape) % 7).astype(kind), name)


def number(name: str, value: Any, kind: Any = np.int64) -> Any:
    """A constant."""
    return numpy_helper.from_array(np.array(value, kind), name)


def model(
    nodes: Sequence[Any],
    inputs: Sequence[Any] = (),
    outputs: Sequence[Any] = (),
    weights: Sequence[Any] = (),
    opset: int = 17,
    **options: Any,
) -> ModelProto:
    """A model of some nodes, from x to y."""
    graph = helper.make_graph(
        nodes, "graph", list(inputs) or [info("x")], list(outputs) or [info("y", shape=None)], list(weights)
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    imports += [helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=options.pop("ir_version", 10), **options)


def node(op: str, inputs: str = "x", outputs: str = "y", **attributes: Any) -> Any:
    """A node, its tensors as words."""
    return helper.make_node(op, inputs.split(","), outputs.split(","), **attributes)


def hole(name: str, shape: Sequence[int], where: str, length: int | None = None, offset: int = 0) -> Any:
    """A weight that lies elsewhere."""
    tensor = TensorProto(name=name, data_type=FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
    nbytes = int(np.prod(shape)) * 4 if length is None else length
    for key, value in (("location", where), ("offset", str(offset)), ("length", str(nbytes))):
        tensor.external_data.add(key=key, value=value)
    return tensor


def outside(where: str, prepare: Callable[[Path], None] = lambda folder: None, **options: Any) -> Case:
    """A small weight in a file elsewhere."""

    def case(folder: Path) -> Made:
        prepare(folder)
        return model([node("MatMul", "x,w")], weights=[hole("w", (64, 8), where, **options)])

    return case


def body(nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], weights: Sequence[Any] = ()) -> Any:
    """A subgraph."""
    return helper.make_graph(list(nodes), "body", list(inputs), list(outputs), list(weights))


def loop_of(nodes: Sequence[Any], **attributes: Any) -> Any:
    """A loop whose state is s and becomes t."""
    inputs = [info("i", INT, ()), info("c", BOOL, ()), info("s", shape=None)]
    inside = body([*nodes, node("Identity", "c", "d")], inputs, [info("d", BOOL, ()), info("t", shape=None)])
    return node("Loop", "n,go,x", "y", body=inside, **attributes)


def looped(trips: Any, *nodes: Any) -> Case:
    """A loop of so many rounds."""
    return lambda folder: model(
        [loop_of(nodes or [node("MatMul", "s,w", "t")])],
        weights=[number("n", trips), number("go", True, np.bool_), weight("w", 64, 64)],
    )


def nested(depth: int, trips: int) -> Case:
    """Loops inside of loops."""

    def inside(level: int) -> list[Any]:
        if level == 0:
            return [node("Relu", "s", "t")]
        inputs = [info(f"i{level}", INT, ()), info(f"c{level}", BOOL, ()), info("s", shape=None)]
        outputs = [info(f"d{level}", BOOL, ()), info("t", shape=None)]
        graph = body([*inside(level - 1), node("Identity", f"c{level}", f"d{level}")], inputs, outputs)
        return [node("Loop", "n,go,s", "t", body=graph)]

    return lambda folder: model(
        [node("Identity", "x", "s"), *inside(depth), node("Relu", "t", "y")],
        weights=[number("n", trips), number("go", True, np.bool_)],
    )


def branches(depth: int) -> Case:
    """Branches inside of branches, on a condition that nobody knows."""

    def inside(level: int, name: str) -> Any:
        if level == 0:
            return [node("Relu", "x", name)]
        both = [body(inside(level - 1, f"{name}{s}"), [], [info(f"{name}{s}", shape=None)]) for s in "ab"]
        return [node("If", "c", name, then_branch=both[0], else_branch=both[1])]

    return lambda folder: model([node("ReduceMax", "x", "m", keepdims=0), node("Cast", "m", "c", to=BOOL),
                                 *inside(depth, "y")])  # fmt: skip


def products(count: int, side: int) -> Case:
    """Products of constants, whose values are zeros beside the file."""

    def case(folder: Path) -> Made:
        with (folder / "zeros").open("wb") as file:
            file.truncate(side * side * 4)
        nodes = [node("MatMul", f"{'w' if i == 0 else f'p{i - 1}'},w", f"p{i}") for i in range(count)]
        nodes.append(node("MatMul", f"x,p{count - 1}"))
        return model(nodes, [info("x", shape=[1, side])], weights=[hole("w", (side, side), "zeros")])

    return case


def one(op: str, inputs: str = "x", outputs: str = "y", *, shape: Any = (1, 64), kind: int = FLOAT, more: Any = (),
        weights: Any = (), opset: int = 17, out: int | None = None, **attributes: Any) -> Case:  # fmt: skip
    """A single node."""
    made = [info(name, out or kind, None) for name in outputs.split(",") if name]
    return lambda folder: model(
        [node(op, inputs, outputs, **attributes)], [info("x", kind, shape), *more], made, weights, opset
    )


def _link(folder: Path) -> None:
    (folder / "link").symlink_to("/etc/hostname")


def _linked_folder(folder: Path) -> None:
    (folder / "sub").symlink_to("/etc")


def _short(folder: Path) -> None:
    (folder / "short").write_bytes(b"1234")


def _good(folder: Path) -> None:
    (folder / "good").write_bytes(bytes(64 * 8 * 4))


def _recursive(folder: Path) -> Made:
    function = helper.make_function("own", "F", ["a"], ["b"], [helper.make_node("F", ["a"], ["b"], domain="own")],
                                    [helper.make_opsetid("own", 1)])  # fmt: skip
    return model([helper.make_node("F", ["x"], ["y"], domain="own")], functions=[function])


def _function(folder: Path) -> Made:
    function = helper.make_function("own", "F", ["a"], ["b"], [node("Relu", "a", "b")], [helper.make_opsetid("", 17)])
    return model([helper.make_node("F", ["x"], ["y"], domain="own")], functions=[function])


def _sparse(folder: Path) -> Made:
    made = model([node("MatMul", "x,w")])
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(weight("w", 3), number("", [0, 5, 9]), [64, 8]))
    return made


def _sequence_input(folder: Path) -> Made:
    given = helper.make_tensor_sequence_value_info("x", FLOAT, [1, 64])
    return model([node("ConcatFromSequence", axis=0)], [given])


def _scan(length: Any) -> Case:
    inside = body(
        [node("MatMul", "s,w", "t"), node("Add", "t,e", "u"), node("Identity", "u", "v")],
        [info("s", shape=None), info("e", shape=None)],
        [info("u", shape=None), info("v", shape=None)],
    )
    return lambda folder: model(
        [node("Scan", "x,z", "y,q", body=inside, num_scan_inputs=1)],
        [info("x"), info("z", shape=[length, 1, 64])],
        weights=[weight("w", 64, 64)],
    )


def _dims(*dims: Any) -> Case:
    return one("Relu", shape=dims)


def _weight_of(dims: Sequence[int], raw: bytes = b"") -> Case:
    def case(folder: Path) -> Made:
        tensor = TensorProto(name="w", data_type=FLOAT, dims=dims, raw_data=raw)
        return model([node("MatMul", "x,w")], weights=[tensor])

    return case


def _many(count: int) -> Case:
    def case(folder: Path) -> Made:
        names = ["x", *(f"t{i}" for i in range(count - 1)), "y"]
        return model([node("Relu" if i % 2 else "Sigmoid", names[i], names[i + 1]) for i in range(count)])

    return case


def _deep_types(folder: Path) -> Made:
    made = model([node("Relu")])
    kind = made.graph.input[0].type
    kind.Clear()
    for _ in range(60):
        kind = kind.sequence_type.elem_type
    kind.tensor_type.elem_type = FLOAT
    return made


MADE_BY_HAND: dict[str, Case] = {
    "empty file": lambda folder: b"",
    "text": lambda folder: b"no protobuf at all\n" * 40,
    "zeros": lambda folder: bytes(4096),
    "no graph": lambda folder: ModelProto(ir_version=10),
    "no nodes": lambda folder: model([]),
    "cut short": lambda folder: model([node("Relu")]).SerializeToString()[:-9],
    "open batch": _dims("batch", 64),
    "open everything": _dims(None, None),
    "negative size": _dims(-5, 64),
    "zero size": _dims(0, 64),
    "size 2^62": _dims(2**62, 2**62),
    "no rank": one("Relu", shape=None),
    "scalar": _dims(),
    "weight of 2^62 elements": _weight_of([2**31, 2**31]),
    "weight of a negative size": _weight_of([-3, 4]),
    "weight without its bytes": _weight_of([64, 8]),
    "weight with too few bytes": _weight_of([640, 800], b"1234"),
    "absolute path": outside("/etc/passwd"),
    "path upwards": outside("../../../../etc/passwd"),
    "path upwards in the middle": outside("a/../../x"),
    "link": outside("link", _link, length=8),
    "linked folder": outside("sub/passwd", _linked_folder),
    "missing data": outside("nothing"),
    "short data": outside("short", _short),
    "offset beyond": outside("good", _good, offset=2**40),
    "negative offset": outside("good", _good, offset=-64),
    "data beside": outside("good", _good),
    "location without a name": outside(""),
    "the folder as data": outside("."),
    "40 products of 8,000^2": products(40, 8000),
    "100,000 nodes": _many(100_000),
    "2^26 fills": one("ConstantOfShape", "n", weights=[number("n", [2**26])]),
    "2^40 fills": one("ConstantOfShape", "n", weights=[number("n", [2**20, 2**20])]),
    "2^62 fills": one("ConstantOfShape", "n", weights=[number("n", [2**31, 2**31])]),
    "a range without end": one("Range", "a,b,c", out=INT, weights=[number("a", 0), number("b", 2**40), number("c", 1)]),
    "tiles of tiles": one("Tile", "x,n", weights=[number("n", [2**20, 2**20])]),
    "LSTM of 10^8 steps": one("LSTM", "x,w,r", hidden_size=8, shape=[10**8, 1, 8],
                              weights=[weight("w", 1, 32, 8), weight("r", 1, 32, 8)]),
    "GRU": one("GRU", "x,w,r", hidden_size=8, shape=[50, 1, 8], weights=[weight("w", 1, 24, 8), weight("r", 1, 24, 8)]),
    "loop": looped(5),
    "loop of 10^8 rounds": looped(10**8),
    "loop without end": looped(2**63 - 1),
    "loop of -1 rounds": looped(-1),
    "loop that grows": looped(100, node("Concat", "s,s", "t", axis=0)),
    "loops in loops": nested(4, 1000),
    "many loops in loops": nested(12, 10**9),
    "branches in branches": branches(3),
    "seven branches deep": branches(7),
    "scan": _scan(12),
    "scan of open length": _scan("time"),
    "scan of nothing": _scan(0),
    "reshape by an input": one("Reshape", "x,n", more=[info("n", INT, [2])]),
    "resize by an input": one("Resize", "x,,,n", shape=[1, 3, 8, 8], more=[info("n", INT, [4])]),
    "expand by an input": one("Expand", "x,n", more=[info("n", INT, [3])]),
    "top k by an input": one("TopK", "x,k", more=[info("k", INT, [1])]),
    "what is not zero": one("NonZero", out=INT),
    "unique": one("Unique"),
    "compress": one("Compress", "x,c", more=[info("c", BOOL, [64])]),
    "einsum with an ellipsis": one("Einsum", "x,w", shape=[2, 3, 4], weights=[weight("w", 4, 5)], equation="...i,ij->...j"),  # noqa: E501
    "einsum of nonsense": one("Einsum", "x,x", equation="ab,,->->qq"),
    "vector times vector": one("MatMul", "x,w", shape=[64], weights=[weight("w", 64)]),
    "bf16": one("MatMul", "x,x", shape=[8, 8], kind=BFLOAT),
    "half": one("Gelu", kind=HALF, opset=20),
    "double": one("MatMul", "x,x", shape=[8, 8], kind=DOUBLE),
    "strings": one("StringNormalizer", kind=STRING, shape=[4]),
    "sequence as an input": _sequence_input,
    "sequence": lambda folder: model([node("SplitToSequence", "x", "s"), node("ConcatFromSequence", "s", axis=0)]),
    "types in types": _deep_types,
    "local function": _function,
    "function of itself": _recursive,
    "sparse weight": _sparse,
    "cycle": lambda folder: model([node("Add", "x,y", "z"), node("Relu", "z", "y")]),
    "made twice": lambda folder: model([node("Relu"), node("Relu")]),
    "input from nowhere": lambda folder: model([node("Add", "x,nowhere")]),
    "unknown operator": one("Frobnicate"),
    "unknown domain": lambda folder: model([helper.make_node("G", ["x"], ["y"], domain="elsewhere")]),
    "opset of the future": one("Relu", opset=999),
    "opset 1": one("Relu", opset=1),
    "version of the future": lambda folder: model([node("Relu")], ir_version=99),
    "wrong types": one("MatMul", "x,w", weights=[weight("w", 64, 8, kind=np.int64)]),
    "wrong shapes": one("MatMul", "x,w", weights=[weight("w", 3, 8)]),
    "convolution larger than its picture": one("Conv", "x,w", shape=[1, 3, 4, 4], weights=[weight("w", 8, 3, 9, 9)]),
    "groups that do not divide": one("Conv", "x,w", shape=[1, 3, 9, 9], weights=[weight("w", 8, 3, 3, 3)], group=7),
    "pool of stride 0": one("MaxPool", shape=[1, 3, 9, 9], kernel_shape=[2, 2], strides=[0, 0]),
    "attributes of the wrong kind": one("Transpose", perm="abc"),
}  # fmt: skip


def seeds() -> list[bytes]:
    """Small models of several kinds, to mutate."""
    names = [
        "open batch",
        "data beside",
        "GRU",
        "loop",
        "branches in branches",
        "scan",
        "einsum with an ellipsis",
        "half",
    ]
    names += ["local function", "sparse weight", "convolution larger than its picture", "compress"]
    conv = model(
        [node("Conv", "x,w", "a", pads=[1, 1, 1, 1]), node("Relu", "a", "b"), node("GlobalAveragePool", "b", "c"),
         node("Reshape", "c,n", "d"), node("Gemm", "d,v", "e", transB=1), node("Softmax", "e")],
        [info("x", shape=[2, 3, 16, 16])],
        weights=[weight("w", 8, 3, 3, 3), weight("v", 10, 8), number("n", [2, 8])],
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        made = [MADE_BY_HAND[name](Path(folder)) for name in names]
    return [m if isinstance(m, bytes) else m.SerializeToString() for m in (*made, conv)]


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A file with bits turned, bytes put in, taken out, repeated or exchanged."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        place = rng.randrange(max(len(data), 1))
        kind = rng.randrange(6)
        if kind == 0 and data:
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 1 and data:
            data[place] = rng.choice((0, 1, 127, 128, 255))
        elif kind == 2:
            data[place:place] = rng.randbytes(rng.randrange(1, 9))
        elif kind == 3:
            del data[place : place + rng.randrange(1, 9)]
        elif kind == 4:
            data[place:place] = data[place : place + rng.randrange(1, 64)]
        else:
            del data[place:]
    return bytes(data)


def distorted(content: bytes, rng: random.Random) -> bytes:
    """A file that parses, with sizes, names, types, attributes or nodes exchanged."""
    made = ModelProto.FromString(content)
    graphs = [made.graph, *(a.g for n in made.graph.node for a in n.attribute if a.HasField("g"))]
    for _ in range(rng.choice((1, 1, 2, 3))):
        graph = rng.choice(graphs)
        names = [name for n in graph.node for name in (*n.input, *n.output)] or ["x"]
        n = rng.choice(graph.node) if graph.node else None
        values = [*graph.input, *graph.output, *graph.value_info]
        dims = [d for v in values for d in v.type.tensor_type.shape.dim]
        kind = rng.randrange(9)
        if kind == 0 and dims:
            rng.choice(dims).dim_value = rng.choice((-1, 0, 1, 2, 3, 7, 1000, 2**20, 2**31, 2**62))
        elif kind == 1 and n is not None and n.input:
            n.input[rng.randrange(len(n.input))] = rng.choice([*names, "", "nowhere"])
        elif kind == 2 and n is not None:
            n.op_type = rng.choice(OPERATORS)
        elif kind == 3 and values:
            rng.choice(values).type.tensor_type.elem_type = rng.choice((0, 1, 7, 8, 9, 10, 11, 14, 16, 17, 22, 99))
        elif kind == 4 and n is not None and n.attribute:
            attribute = rng.choice(n.attribute)
            attribute.i, attribute.f = rng.choice((-1, 0, 2, 2**40)), rng.choice((0.0, -1.5, float("nan")))
            if attribute.ints:
                attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice((-1, 0, 5, 2**33))
        elif kind == 5 and graph.initializer:
            tensor = rng.choice(graph.initializer)
            if tensor.dims:
                tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice((0, 1, 2, 5, -1, 2**33))
        elif kind == 6 and n is not None:
            graph.node.add().CopyFrom(n)
        elif kind == 7 and len(graph.node) > 1:
            del graph.node[rng.randrange(len(graph.node))]
        elif kind == 8 and n is not None and n.output:
            n.output[rng.randrange(len(n.output))] = rng.choice(names)
    return made.SerializeToString()


OPERATORS = [
    *("Relu", "Add", "MatMul", "Conv", "Gemm", "Reshape", "Concat", "Loop", "If", "Scan", "LSTM", "Einsum", "Split"),
    *("Softmax", "NonZero", "Resize", "TopK", "Gather", "Transpose", "Cast", "Slice", "Pad", "ConvTranspose", "Range"),
    *("ReduceMean", "LayerNormalization", "SequenceAt", "Unique", "Where", "Expand", "Tile", "OneHot", "Shape"),
]


def cases(mutations: int, seed: int) -> Iterator[tuple[str, Case]]:
    """Every file: by hand, and mutations, every other of which still parses."""
    yield from MADE_BY_HAND.items()
    rng, bases = random.Random(seed), seeds()
    for number_ in range(mutations):
        content = (mutated if number_ % 2 else distorted)(rng.choice(bases), rng)
        yield f"mutation {number_}", lambda folder, content=content: content  # type: ignore[misc]


OPENED: list[str] = []


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(args[0], (str, bytes, os.PathLike)):
        OPENED.append(os.fspath(args[0]) if not isinstance(args[0], bytes) else args[0].decode())


def outcome(case: Case, folder: Path) -> tuple[str, str, float]:
    """(What came of it, what was said, seconds) of a file."""
    made = case(folder)
    path = folder / "model.onnx"
    path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    (folder.parent / "outside").write_bytes(bytes(4096))
    OPENED.clear()
    start = time.perf_counter()
    try:
        report = plan_file(path).report("h200", "onnx")
        kind, said = "answer", f"{report.latency_s * 1e3:.3g} ms, {report.macs:,} MACs"
        if not 0 < report.latency_s < 1e12 or report.macs < 0:
            kind = "NONSENSE"
    except PredictorError as error:
        kind, said = "line", str(error)
        if "\n" in said:
            kind = "MANY LINES"
    except BaseException as error:
        kind, said = "EXCEPTION", f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - start
    allowed = [str(folder), sys.prefix, sys.base_prefix, "/proc", "/dev/null", "/usr", tempfile.gettempdir() + "/tmp"]
    allowed += [str(Path(__file__).resolve().parent.parent), os.environ["XDG_CACHE_HOME"]]
    strange = [name for name in OPENED if os.path.isabs(name) and not any(name.startswith(a) for a in allowed)]
    if strange:
        kind, said = "READ OUTSIDE", ", ".join(strange)
    elif seconds > LONGEST_S:
        kind = "TOO LONG"
    return kind, said, seconds


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--verbose", action="store_true")
    asked = parser.parse_args()
    counts: Counter[str] = Counter()
    slowest = (0.0, "")
    sys.addaudithook(_watch)
    with tempfile.TemporaryDirectory() as whole:
        os.environ["XDG_CACHE_HOME"] = f"{whole}/cache"
        for number_, (name, case) in enumerate(cases(asked.mutations, asked.seed)):
            if asked.only not in name:
                continue
            folder = Path(whole) / f"case{number_}"
            folder.mkdir()
            kind, said, seconds = outcome(case, folder)
            counts[kind] += 1
            slowest = max(slowest, (seconds, name))
            if asked.verbose or kind not in ("answer", "line"):
                print(f"{kind:12} {seconds:5.2f} s  {name}: {said[:300]}", flush=True)
    print(", ".join(f"{kind} {count}" for kind, count in counts.items()), f"; slowest {slowest[0]:.1f} s, {slowest[1]}")
    return int(not set(counts) <= {"answer", "line"})


if __name__ == "__main__":
    sys.exit(main())
