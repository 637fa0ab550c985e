"""Nodes that ONNX Runtime has no kernel for on the CPU, where models are optimised here: taken out, and put back in.

What such a node gives becomes an input of the model, what it takes an output, so that all else is optimised; it stands
between other nodes as a border, as it does on the GPU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from predictor.capture.onnx_files import sessions
from predictor.capture.onnx_files.sessions import Spec
from predictor.capture.onnx_files.unknown_sizes import Known, sizes
from predictor.errors import CannotRunError


@dataclass(frozen=True)
class Cut:
    """Nodes that were taken out, what is known of the values that they take and give, and the model's own outputs."""

    nodes: tuple[Any, ...] = ()
    specs: Mapping[str, Spec] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()


def cut(model: Any, ops: Sequence[str], folder: Path) -> Cut:
    """Take all nodes of some types out of a model's own graph, in place. Raises CannotRunError where nothing says what
    they give.
    """
    graph = model.graph
    nodes = [_copy(node) for node in graph.node]
    waiting = [node for node in nodes if node.op_type in ops]
    own = tuple(value.name for value in graph.output)
    weights = {tensor.name: Spec("tensor", tensor.data_type, tuple(tensor.dims)) for tensor in graph.initializer}
    known: dict[str, Spec] = dict(weights)
    assumptions: list[str] = []
    rest = [node for node in nodes if node.op_type not in ops]
    while waiting:
        known.update(_specs_before(model, rest, folder))
        ready = [node for node in waiting if all(not name or name in known for name in node.input)]
        if not ready:
            raise CannotRunError(
                f"ONNX Runtime has no kernel on the CPU for {waiting[0].op_type}, where it is optimised"
            )
        for node in ready:
            said = sizes(node, Known(known, {}))
            if said is None or not all(spec.known for spec in said[0]):
                raise CannotRunError(
                    f"ONNX Runtime has no kernel on the CPU for {node.op_type}, where it is optimised, and nothing "
                    "here says what it gives"
                )
            assumptions += [said[1]] if said[1] else []
            for name, spec in zip(node.output, said[0], strict=False):
                if name:
                    known[name] = spec
                    sessions.fill(graph.input.add(name=name), spec)
        waiting = [node for node in waiting if not any(node is other for other in ready)]
    taken = tuple(node for node in nodes if node.op_type in ops)
    given = {name for node in taken for name in node.output}
    made = {name for node in rest for name in node.output}
    kept = [_copy(value) for value in graph.output if value.name not in given]
    del graph.node[:], graph.output[:]
    graph.node.extend(rest)
    graph.output.extend(kept)
    names = {value.name for value in kept}
    for name in dict.fromkeys(name for node in taken for name in node.input):
        if name in made and name not in names:
            graph.output.add(name=name)
    return Cut(taken, known, own, tuple(dict.fromkeys(assumptions)))


def _specs_before(model: Any, nodes: Sequence[Any], folder: Path) -> dict[str, Spec]:
    """What is known of the values that do not depend on nodes that are still to be taken out."""
    part = type(model)()
    part.CopyFrom(model)
    there = {value.name for value in part.graph.input} | {tensor.name for tensor in part.graph.initializer} | {""}
    specs = {value.name: sessions.spec_of(value) for value in part.graph.input}
    before = []
    for node in nodes:
        if all(name in there for name in node.input):
            before.append(_copy(node))
            there.update(node.output)
    del part.graph.node[:], part.graph.output[:], part.graph.value_info[:]
    part.graph.node.extend(before)
    if before:
        part.graph.output.add(name=next(name for name in before[-1].output if name))
        specs |= sessions.specs(part, folder)
    return specs


def restored(data: dict[str, Any], taken: Cut, row: Any, dtype: Any) -> dict[str, Any]:
    """Nodes and tensors with those that were taken out, in an order in which each follows what it takes. row: node ->
    its row; dtype: name, spec -> the dtype of a value.
    """
    tensors = dict(data["tensors"])
    for node in taken.nodes:
        for name in (*node.input, *node.output):
            spec = taken.specs.get(name)
            if name and name not in tensors and spec is not None:
                tensors[name] = [list(spec.dims or ()), dtype(name, spec)]
    waiting = [*data["nodes"], *(row(node) for node in taken.nodes)]
    last = {name: number for number, (_, _, _, outputs, _, _) in enumerate(waiting) for name in outputs if name}
    nodes: list[Any] = []
    done: set[int] = set()
    first_taken = len(data["nodes"])

    def place(first: int) -> None:
        stack = [first]
        while stack:
            number = stack[-1]
            before = [last[n] for n in waiting[number][2] if n in last and last[n] not in done and last[n] != number]
            needed = [n for n in before if n < number or n >= first_taken or number >= first_taken]
            if number in done:
                stack.pop()
            elif needed and len(stack) <= len(waiting):
                stack.append(needed[0])
            else:
                done.add(number)
                nodes.append(waiting[number])
                stack.pop()

    for number in range(len(waiting)):
        place(number)
    assumptions = list(dict.fromkeys([*data["assumptions"], *taken.assumptions]))
    return {**data, "nodes": nodes, "tensors": tensors, "outputs": list(taken.outputs), "assumptions": assumptions}


def _copy(message: Any) -> Any:
    copied = type(message)()
    copied.CopyFrom(message)
    return copied
