"""Where in a model nodes stand, as its exporter says: in torch's metadata, or in names ("/encoder/layer.0/MatMul")."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

METADATA = "pkg.torch.onnx.name_scopes"
"""Key of the scopes of a node, from the model to the operator (torch.onnx, dynamo=True)."""

LONGEST = 200
"""Characters of a scope that are kept."""


def of_tensors(graph: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Tensor -> module path of the node that makes it ("encoder.layer.0"), empty for one of the model itself; weight ->
    path of the nodes that read it, where it is one.
    """
    weights = {tensor.name for tensor in graph.initializer}
    made: dict[str, str] = {}
    readers: dict[str, set[str]] = {}
    for node in graph.node:
        scope = _of_node(node)
        made.update({name: scope for name in node.output if name})
        for name in weights.intersection(node.input):
            readers.setdefault(name, set()).add(scope)
    return made, {name: next(iter(scopes)) for name, scopes in readers.items() if len(scopes) == 1}


def _of_node(node: Any) -> str:
    for entry in node.metadata_props:
        if entry.key == METADATA:
            try:
                scopes = ast.literal_eval(entry.value)
                return str(scopes[-2])[:LONGEST]
            except (ValueError, SyntaxError, TypeError, LookupError, RecursionError, MemoryError):
                break  # what is written there is not torch's
    return ".".join(part for part in node.name.split("/")[:-1] if part)[:LONGEST]


def of_rows(rows: Sequence[Sequence[Any]], made: Mapping[str, str], read: Mapping[str, str]) -> list[str]:
    """Module paths of optimised nodes (``nodes.Written``), from those of tensors, see ``of_tensors``.

    Optimisations rename nodes and keep the tensors that they make in the end, and weights. A node that has none of
    these, as a cast, stands where what it makes is read, else where its first input was made.
    """
    made = dict(made)
    scopes: list[str | None] = []
    for _, _, inputs, outputs, *_ in rows:
        told = [made[name] for name in outputs if name in made] + [read[name] for name in inputs if name in read]
        scopes.append(told[0] if told else None)
    readers: dict[str, str] = {}
    for number in range(len(rows) - 1, -1, -1):
        inputs, outputs = rows[number][2], rows[number][3]
        if scopes[number] is None:
            scopes[number] = next((readers[name] for name in outputs if name in readers), None)
        if (scope := scopes[number]) is not None:
            readers.update(dict.fromkeys(inputs, scope))
    for number, (_, _, inputs, outputs, *_) in enumerate(rows):
        if scopes[number] is None:
            scopes[number] = next((made[name] for name in inputs if name in made), "")
        made.update(dict.fromkeys(outputs, scopes[number] or ""))
    return [scope or "" for scope in scopes]
