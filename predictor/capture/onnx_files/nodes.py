"""A model without open sizes -> the nodes that ONNX Runtime runs, as plain data: what ``worker`` gives back.

A subgraph (the body of a loop, a branch) is a model of its own, whose inputs are what the node gives it and what it
reads from outside. Its nodes stand where the node stands, as often as they run.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from predictor.capture.onnx_files import sessions
from predictor.capture.onnx_files.precision import FLOAT, Proxies, in_island, unwrap
from predictor.capture.onnx_files.reading import TYPES
from predictor.capture.onnx_files.sessions import Spec
from predictor.capture.onnx_files.stand_ins import operator
from predictor.capture.onnx_files.unknown_sizes import Known, attribute, sizes
from predictor.errors import PredictorError

CONTROL_FLOW = frozenset({"If", "Loop", "Scan"})

EITHER = "where the model branches by values (If), the costlier branch runs"
TO_THE_END = "a loop that may end earlier runs as often as it may"
GROWS = "what grows in a loop has its mean size in every round"

ROUNDS = 24
"""How often sizes are inferred anew after some of them were assumed."""

EXPANDED = 2000
"""Nodes of a loop up to which every round is written out; of longer ones so many stand for all, in order."""

MOST_TRIPS = 2**40

FEW_NUMBERS = 64
"""Elements of constants, and of attributes, that are kept."""

AXIS_INPUTS = {"DFT": 2, "CumSum": 1}
"""Operators whose axis is an input, and which; of a DFT it is an attribute in older opsets."""

LAUNCH_S, BYTES_PER_S, MACS_PER_S = 5e-6, 1e12, 5e13
"""A judgement, to tell the costlier of two branches: a node, traffic, products."""


@dataclass
class Written:
    """Nodes in order: [type, domain, inputs, outputs, attributes, times]; tensors: name -> [shape, dtype]."""

    nodes: list[list[Any]] = field(default_factory=list)
    tensors: dict[str, list[Any]] = field(default_factory=dict)
    weights: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Settled:
    """A model after optimisation, its sizes known as far as anything says them."""

    model: Any
    specs: Mapping[str, Spec]
    known: Known


@dataclass(frozen=True)
class Inside:
    """What a node of control flow runs. formal: names of the body's inputs -> names outside, where they are the same
    value; given: sizes of what it makes.
    """

    body: Settled
    trips: int
    formal: Mapping[str, str]
    given: tuple[Spec, ...]
    assumptions: tuple[str, ...] = ()


class Reader:
    """Reads one model. folder: for files in between; trips: of loops that do not say theirs."""

    def __init__(self, folder: Path, trips: int | None, proxies: Proxies) -> None:
        self.folder, self.trips, self.proxies = folder, trips, proxies
        self.assumptions: list[str] = []
        self._inside: dict[Any, Inside] = {}

    def data(self, model: Any) -> dict[str, Any]:
        """Nodes and tensors of a model. Raises PredictorError where a size is not known."""
        settled = self._settled(model, {})
        written = Written()
        self._write(settled, written, "", {}, 1)
        return {
            "nodes": written.nodes,
            "tensors": written.tensors,
            "weights": written.weights,
            "outputs": [value.name for value in settled.model.graph.output],
            "opsets": {entry.domain: int(entry.version) for entry in settled.model.opset_import},
            "assumptions": list(dict.fromkeys(self.assumptions)),
        }

    def _settled(self, model: Any, preset: Mapping[str, Spec]) -> Settled:
        """A model optimised once, as a session does, then its sizes as far as they can be said; optimised with what was
        said, too, where that alone leaves some unknown.
        """
        filled: dict[str, Spec] = {}
        again = False
        for number in range(ROUNDS):
            optimise = model.graph.node and (again or not number)
            found = sessions.optimised(model, self.folder) if optimise else model
            specs = {**sessions.specs(found, self.folder), **preset} if found.graph.node else dict(preset)
            known = Known(specs, _constants(found.graph))
            model = found
            if self._assume(found, specs, known, filled):
                continue
            if again or _all_known(found.graph, specs):
                break
            again = True
        if self.proxies.half:
            unwrap(found.graph)
        return Settled(found, specs, known)

    def _assume(self, model: Any, specs: dict[str, Spec], known: Known, filled: dict[str, Spec]) -> bool:
        """Put sizes that nothing infers, and that can be said, into a model's descriptions. Returns whether there are
        new ones.
        """
        infos = {value.name: value for value in (*model.graph.value_info, *model.graph.output)}
        is_new = False
        for node in model.graph.node:
            names = [name for name in node.output if name]
            if all(name in specs and specs[name].known for name in names):
                continue
            if node.op_type in CONTROL_FLOW and not node.domain:
                given: list[Spec] = list(self._control_flow(model, node, known).given)
            else:
                said = sizes(node, known)
                if said is None:
                    continue
                given = said[0]
                self.assumptions += [said[1]] if said[1] else []
            for name, spec in zip(node.output, given, strict=False):
                if not name:
                    continue
                elem = specs[name].elem if name in specs and specs[name].elem else spec.elem
                spec = replace(spec, elem=elem)
                specs[name] = spec
                if spec.kind == "tensor" and spec.dims is not None and filled.get(name) != spec:
                    filled[name] = spec
                    is_new = True
                    info = infos.get(name) or model.graph.value_info.add(name=name)
                    sessions.fill(info, spec)
        return is_new

    # control flow

    def _control_flow(self, model: Any, node: Any, known: Known) -> Inside:
        reads = tuple((name, known.specs.get(name)) for name in (*node.input, *_captured_by(node)))
        key = hashlib.sha256(node.SerializeToString()).digest(), repr(reads)
        if key not in self._inside:
            make = {"If": self._branch, "Loop": self._loop, "Scan": self._scan}[node.op_type]
            self._inside[key] = make(model, node, known)
        inside = self._inside[key]
        self.assumptions += inside.assumptions
        return inside

    def _branch(self, model: Any, node: Any, known: Known) -> Inside:
        graphs = [attribute(node, name) for name in ("then_branch", "else_branch")]
        branches = [self._body(model, graph, known, ()) for graph in graphs if graph is not None]
        if not branches:
            raise PredictorError(f"node {_said(node)} has no branches")
        costs = [self._cost(branch) for branch in branches]
        chosen = branches[costs.index(max(costs))]
        given = tuple(chosen.specs.get(o.name, Spec("tensor", 0, None)) for o in chosen.model.graph.output)
        return Inside(chosen, 1, {}, given, (EITHER,))

    def _loop(self, model: Any, node: Any, known: Known) -> Inside:
        body = attribute(node, "body")
        trips, assumptions = self._trips(node, body, known)
        names = list(node.input[2:])
        start = [known.specs.get(name, Spec("tensor", 0, None)) for name in names]
        counter = (Spec("tensor", 7, ()), Spec("tensor", 9, ()))
        inside = self._body(model, body, known, (*counter, *start))
        ends = [inside.specs.get(o.name, Spec("tensor", 0, None)) for o in inside.model.graph.output][1:]
        states, scans = ends[: len(start)], ends[len(start) :]
        grown = [_moved(a, b, (trips - 1) / 2) for a, b in zip(start, states, strict=False)]
        if any(g.dims != s.dims for g, s in zip(grown, start, strict=False)):
            inside = self._body(model, body, known, (*counter, *grown))
            states = [_moved(a, b, trips) for a, b in zip(start, states, strict=False)]
            ends = [inside.specs.get(o.name, Spec("tensor", 0, None)) for o in inside.model.graph.output][1:]
            scans = ends[len(start) :]
            assumptions = (*assumptions, GROWS)
        given = (*states, *(_stacked(s, trips, 0) for s in scans))
        formal = dict(zip([i.name for i in body.input[2:]], names, strict=False))
        return Inside(inside, trips, formal, given, assumptions)

    def _trips(self, node: Any, body: Any, known: Known) -> tuple[int, tuple[str, ...]]:
        """Rounds of a loop, and what is assumed by that."""
        most = known.constants.get(node.input[0]) if node.input and node.input[0] else None
        trips = int(most.ravel()[0]) if most is not None and most.size else None
        condition = body.output[0].name if body.output else ""
        made_by = {o: n for n in body.node for o in n.output}
        maker = made_by.get(condition)
        passed = {i.name for i in body.input[1:2]} | {t.name for t in body.initializer}
        always = condition in passed or (
            maker is not None
            and (maker.op_type == "Constant" or (maker.op_type == "Identity" and maker.input[0] in passed))
        )
        first = known.constants.get(node.input[1]) if len(node.input) > 1 and node.input[1] else None
        if first is not None and first.size and not first.ravel()[0]:
            return 0, ()
        if trips is not None and 0 <= trips < MOST_TRIPS and always:
            return trips, ()
        if self.trips is not None:
            return (self.trips if trips is None else min(trips, self.trips)), ()
        if trips is None or not 0 <= trips < MOST_TRIPS:
            raise PredictorError(
                f"how often loop {_said(node)} runs is not in the file: say it, for example --trips 10"
            )
        return trips, (TO_THE_END,)

    def _scan(self, model: Any, node: Any, known: Known) -> Inside:
        body = attribute(node, "body")
        count = int(attribute(node, "num_scan_inputs", 1))
        axes = list(attribute(node, "scan_input_axes", [0] * count))
        names = [name for name in node.input if name]
        states, scanned = names[: len(names) - count], names[len(names) - count :]
        start = [known.specs.get(name, Spec("tensor", 0, None)) for name in states]
        pieces: list[Spec] = []
        trips = 0
        for name, axis in zip(scanned, axes, strict=False):
            spec = known.specs.get(name, Spec("tensor", 0, None))
            dims = spec.dims
            if dims is None or not dims or not -len(dims) <= axis < len(dims) or dims[axis] is None:
                raise PredictorError(f"tensor {name!r}, which {_said(node)} goes along, has an unknown size")
            trips = int(dims[axis] or 0)
            place = axis % len(dims)
            pieces.append(replace(spec, dims=(*dims[:place], *dims[place + 1 :])))
        inside = self._body(model, body, known, (*start, *pieces))
        ends = [inside.specs.get(o.name, Spec("tensor", 0, None)) for o in inside.model.graph.output]
        made = ends[len(start) :]
        out_axes = list(attribute(node, "scan_output_axes", [0] * len(made)))
        given = (*start, *(_stacked(s, trips, axis) for s, axis in zip(made, out_axes, strict=False)))
        return Inside(inside, trips, dict(zip([i.name for i in body.input], states, strict=False)), given)

    def _body(self, model: Any, graph: Any, known: Known, formal: Iterable[Spec]) -> Settled:
        """A subgraph, settled as a model of its own."""
        import onnx

        alone = onnx.ModelProto()
        alone.ir_version = model.ir_version
        alone.opset_import.extend(model.opset_import)
        alone.graph.CopyFrom(graph)
        alone.graph.name = alone.graph.name or "body"
        preset: dict[str, Spec] = {}
        for info, spec in zip(alone.graph.input, formal, strict=False):
            spec = replace(spec, elem=spec.elem or info.type.tensor_type.elem_type)
            sessions.fill(info, spec)
            preset[info.name] = spec
        weights = {tensor.name: tensor for tensor in model.graph.initializer}
        for name in _captured(graph):
            if name in weights:
                alone.graph.initializer.add().CopyFrom(weights[name])
            elif name in known.specs:
                sessions.fill(alone.graph.input.add(name=name), known.specs[name])
                preset[name] = known.specs[name]
        for info in alone.graph.output:
            if info.type.HasField("tensor_type"):
                info.type.tensor_type.ClearField("shape")
        made = {o for node in alone.graph.node for o in node.output}
        for info in alone.graph.output:  # an input that is passed on is no output to ONNX Runtime
            if info.name not in made and info.name in {i.name for i in alone.graph.input}:
                node = alone.graph.node.add(op_type="Identity", input=[info.name])
                info.name = f"{info.name} passed on"
                node.output.append(info.name)
        return self._settled(alone, preset)

    def _cost(self, branch: Settled) -> float:
        """Seconds that a branch takes, roughly."""
        from predictor.capture.onnx_files.graphs import graph_of

        written = Written()
        self._write(branch, written, "", {}, 1)
        data = {"nodes": written.nodes, "tensors": written.tensors, "outputs": [], "assumptions": []}
        calls = graph_of(data, "fp32", "fp32", "").calls
        moved = sum(call.times * sum(t.nbytes for t in (*call.tensors, *call.outputs)) for call in calls)
        macs, nodes = sum(c.macs * c.times for c in calls), sum(c.times for c in calls)
        return nodes * LAUNCH_S + moved / BYTES_PER_S + macs / MACS_PER_S

    # writing

    def _write(self, settled: Settled, into: Written, scope: str, names: Mapping[str, str], times: int) -> None:
        """Write the nodes of a model. scope: begins the names of its values; names: of values from outside."""

        def said(name: str) -> str:
            return names.get(name) or (f"{scope}{name}" if name else "")

        graph = settled.model.graph
        for name, spec in settled.specs.items():
            if said(name) not in into.tensors and spec.known and spec.kind in ("tensor", "sequence"):
                into.tensors[said(name)] = [list(spec.dims or ()), self.dtype(name, spec)]
        into.weights += [said(tensor.name) for tensor in graph.initializer if said(tensor.name) in into.tensors]
        for number, node in enumerate(graph.node):
            if node.op_type in CONTROL_FLOW and not node.domain:
                self._write_inside(settled, node, into, f"{scope}{number}/", said, times)
                continue
            for name in (*node.input, *node.output):
                found = settled.specs.get(name)
                if name and (found is None or (not found.known and found.kind in ("tensor", "sequence"))):
                    raise PredictorError(_unknown(name, node, found, settled.specs))
            row = self.row(node)
            place = AXIS_INPUTS.get(node.op_type, len(node.input))
            axis = settled.known.constants.get(node.input[place]) if place < len(node.input) else None
            if axis is not None and axis.size == 1:
                row[4]["axis"] = int(axis.ravel()[0])
            into.nodes.append([*row[:2], [said(n) for n in row[2]], [said(n) for n in row[3]], row[4], times])

    def _write_inside(self, settled: Settled, node: Any, into: Written, scope: str, said: Any, times: int) -> None:
        inside = self._control_flow(settled.model, node, settled.known)
        for name, made in zip(node.output, inside.given, strict=False):
            if name and not made.known:
                raise PredictorError(_unknown(name, node, made))
        outside = {name: said(name) for name in _captured_by(node)}
        outside |= {formal: said(name) for formal, name in inside.formal.items()}
        outputs = [said(name) for name in node.output]
        results = [outside.get(o.name) or f"{scope}{o.name}" for o in inside.body.model.graph.output]
        before = len(into.nodes)
        if inside.trips:
            into.nodes.append([node.op_type, "", [], [], {}, times])
            self._write(inside.body, into, scope, outside, times)
        body = into.nodes[before:]
        most = inside.trips * max((row[5] for row in body), default=0)
        if most > MOST_TRIPS:
            raise PredictorError(f"what is in loop {_said(node)} runs {most:.3g} times, which ends in no lifetime")
        del into.nodes[before:]
        parts = min(inside.trips, max(EXPANDED // max(len(body), 1), 1))
        for part in range(parts):
            rounds = inside.trips // parts + (part < inside.trips % parts)
            into.nodes += [[*row[:5], row[5] * rounds] for row in body]
        given = [r for r in results if r in into.tensors]
        stacked = len(node.output) - len(inside.formal)
        if node.op_type != "If":
            into.nodes.append([node.op_type, "", given, outputs, {"stacked": stacked}, times])
        else:
            into.nodes.append(["Identity", "", given, outputs, {}, times])

    def row(self, node: Any) -> list[Any]:
        """A node as ``Written`` has it."""
        return [operator(node), node.domain, list(node.input), list(node.output), _attributes(node), 1]

    def dtype(self, name: str, spec: Spec) -> str:
        """The dtype of a value as the file has it."""
        elem = spec.elem
        if elem != FLOAT or not in_island(name):
            elem = self.proxies.original(elem, name)
        return TYPES.get(elem, "fp32")


WINDOWS = ("Conv", "QLinearConv", "ConvInteger", "MaxPool", "AveragePool", "LpPool")
"""Operators whose result has no size where their window is larger than what it goes over."""


def _unknown(name: str, node: Any, spec: Spec | None, specs: Mapping[str, Spec] | None = None) -> str:
    first = (specs or {}).get(node.input[0]) if node.input else None
    if node.op_type in WINDOWS and first is not None and first.known:
        return f"what node {_said(node)} goes over, {_shape(first)}, is smaller than its window: say larger sizes"
    has = "no known rank" if spec is None or spec.dims is None else f"an open size, {_shape(spec)}"
    return (
        f"tensor {name!r} of node {_said(node)} has {has}: it depends on values that are not in the file; "
        "make them constants, or write shapes into the file (onnx.shape_inference)"
    )


def _shape(spec: Spec) -> str:
    return "x".join("?" if n is None else str(n) for n in spec.dims or ())


def _said(node: Any) -> str:
    return f"{node.name!r} ({node.op_type})" if node.name else node.op_type


def _moved(start: Spec, end: Spec, steps: float) -> Spec:
    """A state's spec after steps, each of which adds as much as the first."""
    if not start.known or not end.known or start.dims is None or end.dims is None or len(start.dims) != len(end.dims):
        return start
    return replace(
        start,
        dims=tuple(
            max(a + math.ceil((b - a) * steps), 0)
            for a, b in zip(start.dims, end.dims, strict=True)
            if a is not None and b is not None
        ),
    )


def _stacked(spec: Spec, trips: int, axis: int) -> Spec:
    if spec.dims is None:
        return spec
    place = axis % (len(spec.dims) + 1)
    return replace(spec, dims=(*spec.dims[:place], trips, *spec.dims[place:]))


def _all_known(graph: Any, specs: Mapping[str, Spec]) -> bool:
    """Whether the sizes of all tensors that nodes make are known."""
    made = [specs.get(name) for node in graph.node for name in node.output if name]
    return all(spec is not None and (spec.known or spec.kind != "tensor") for spec in made)


def _captured_by(node: Any) -> list[str]:
    """What the subgraphs of a node read from outside."""
    return [name for a in node.attribute if a.HasField("g") for name in _captured(a.g)]


def _captured(graph: Any) -> list[str]:
    """What a graph reads from outside, in order."""
    inside = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    read: dict[str, None] = {}
    for node in graph.node:
        for name in (*node.input, *_captured_by(node)):
            if name and name not in inside:
                read[name] = None
        inside.update(node.output)
    read.update(dict.fromkeys(o.name for o in graph.output if o.name and o.name not in inside))
    return list(read)


def _constants(graph: Any) -> dict[str, Any]:
    """Small constants with their values, and how many tensors a sequence is made of."""
    from onnx import TensorProto, numpy_helper

    found = {}
    for tensor in graph.initializer:
        small = math.prod(tensor.dims) <= FEW_NUMBERS and tensor.data_location != TensorProto.EXTERNAL
        if small and tensor.data_type in (6, 7, 9, 1, 11):
            found[tensor.name] = numpy_helper.to_array(tensor)
    made_of = {node.output[0]: len(node.input) for node in graph.node if node.op_type == "SequenceConstruct"}
    for node in graph.node:
        if node.op_type == "SequenceLength" and node.input[0] in made_of:
            found[node.output[0]] = np.array(made_of[node.input[0]])
    return found


def _attributes(node: Any) -> dict[str, Any]:
    """Numbers and strings, and short lists of them."""
    import onnx

    kept: dict[str, Any] = {}
    for a in node.attribute:
        value = onnx.helper.get_attribute_value(a)
        if isinstance(value, bytes):
            kept[a.name] = value.decode(errors="replace")[:200]
        elif isinstance(value, (int, float)):
            kept[a.name] = value if value == value and abs(value) != math.inf else 0.0
        elif (
            hasattr(value, "__len__") and len(value) <= FEW_NUMBERS and all(isinstance(v, (int, float)) for v in value)
        ):
            kept[a.name] = [float(v) if isinstance(v, float) else int(v) for v in value]
    return kept
