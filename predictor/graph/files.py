"""Captured graphs as data: one file for a model, with its graph on every branch that a runtime takes, for any batch and
sequence length.

Sizes in a graph are sums of 1, B, L, BL, L^2 and BL^2 (batch B, length L) with coefficients of their own: captures of
a few small sizes say which, one more checks them. What does not follow that rule is no such file.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from predictor.errors import PredictorError
from predictor.records import Graph, OpCall, PythonWork, TensorSpec

SCHEMA = 1
"""Version of the files that this program writes and reads."""

Sizes = tuple[int, int]
"""Batch and sequence length; the length is 0 where a model has none."""

SAME_GRAPH = {"tf32": "fp32", "bf16": "fp16"}
"""Dtypes whose graph is that of another: TF32 is a way of multiplying, and the 16-bit formats are cast alike."""

FINEST = Fraction(1, 4096)
"""Coefficients are multiples of it: lengths are halved by poolings, not divided by anything odd."""


def _terms(sizes: Sequence[Sizes]) -> list[list[int]]:
    """Exponents of batch and length in the terms that some sizes can tell apart."""
    batches = (0, 1) if len({batch for batch, _ in sizes}) > 1 else (0,)
    lengths = (0, 1, 2) if len({length for _, length in sizes}) > 1 else (0,)
    return [[b, n] for n in lengths for b in batches]


def _basis(sizes: Sizes, terms: Sequence[Sequence[int]]) -> list[int]:
    return [sizes[0] ** b * sizes[1] ** n for b, n in terms]


def save(path: Path, graphs: Mapping[str, Mapping[str, Mapping[Sizes, Graph]]], lengths: Mapping[str, int]) -> None:
    """Write a model's file.

    graphs: "dtype/branch" -> "1" for a batch of one and "n" for larger ones -> captures by their sizes, of which more
    than there are terms check the rule; lengths: "usual", "multiple" and "most", empty where the model has none. Raises
    ValueError where sizes do not follow the rule.
    """
    table = _Table()
    content = {
        key: {which: _template(captures, table) for which, captures in pieces.items()} for key, pieces in graphs.items()
    }
    data = {"schema": SCHEMA, "lengths": dict(lengths), "rows": table.rows, "graphs": content}
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(data, separators=(",", ":")).encode()
    path.write_bytes(gzip.compress(text, 9, mtime=0))


def load(path: Path, name: str, dtype: str, branch: str, batch: int, length: int | None = None) -> Graph | None:
    """The graph of a model on a branch; None where the file has none for the dtype, the branch or the length. Raises
    PredictorError for a file that is damaged or newer than this program.
    """
    try:
        data = json.loads(gzip.decompress(path.read_bytes()))
        schema = data["schema"]
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise PredictorError(f"{path} is no file of graphs: {error}") from None
    if schema > SCHEMA:
        raise PredictorError(f"{path} has schema {schema}, this program reads up to {SCHEMA}: upgrade it")
    found = data["graphs"].get(f"{SAME_GRAPH.get(dtype, dtype)}/{branch}")
    usual = data["lengths"].get("usual", 0)
    piece = (found or {}).get("1" if batch == 1 else "n")
    length = length or usual
    if piece is None or (length != usual and not _has(data["lengths"], length, piece)):
        return None
    return _graph(piece, data["rows"], name, dtype, (batch, length))


def _has(lengths: Mapping[str, int], length: int, piece: Mapping[str, Any]) -> bool:
    """Whether a piece stands for an unusual length."""
    varies = bool(lengths) and any(n for _, n in piece["terms"])
    return varies and length <= lengths["most"] and length % lengths["multiple"] == 0


class _Table:
    """Rows without repetitions."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self._known: dict[str, int] = {}

    def index(self, row: Any) -> int:
        found = self._known.setdefault(json.dumps(row), len(self.rows))
        if found == len(self.rows):
            self.rows.append(row)
        return found


def _template(captures: Mapping[Sizes, Graph], table: _Table) -> dict[str, Any]:
    """One graph for all sizes, from captures of a few."""
    sizes, graphs = list(captures), list(captures.values())
    if len({len(graph.calls) for graph in graphs}) > 1:
        raise ValueError("the number of operators depends on the sizes")
    rule = _Rule(sizes)
    first = graphs[0]
    order = []
    for calls in zip(*(graph.calls for graph in graphs), strict=True):
        row = rule.merge([_row(call) for call in calls])
        flow = [list(calls[0].reads), list(calls[0].makes)]
        order.append([table.index(row), *flow, _python(calls[0].python)])
    return {
        "terms": rule.terms,
        "calls": order,
        "tail": _python(first.tail),
        "module_calls": first.module_calls,
        "outputs": list(first.outputs),
        "versions": dict(first.versions),
    }


def _graph(piece: Mapping[str, Any], rows: Sequence[Any], name: str, dtype: str, sizes: Sizes) -> Graph:
    basis = _basis(sizes, piece["terms"])
    names = {SAME_GRAPH[dtype]: dtype} if dtype == "bf16" else {}
    made: dict[int, OpCall] = {}
    calls = []
    for number, reads, makes, python in piece["calls"]:
        if number not in made:
            made[number] = _call(rows[number], basis, names)
        calls.append(replace(made[number], reads=tuple(reads), makes=tuple(makes), python=PythonWork(*python)))
    tail = PythonWork(*piece["tail"])
    outputs = tuple(piece["outputs"])
    return Graph(name, tuple(calls), dtype, sizes[0], tail, piece["module_calls"], piece["versions"], outputs)


def _python(work: PythonWork) -> list[float]:
    return [work.calls, work.cold_lines, work.cold_modules]


def _row(call: OpCall) -> list[Any]:
    """All of a call but its place in the graph."""
    args = {name: _plain(value) for name, value in call.args.items()}
    numbers = [call.macs, call.bytes_read, call.bytes_written]
    parts = [[_row(part), list(part.reads), list(part.makes), _python(part.python)] for part in call.parts]
    return [call.op, args, [_plain(out) for out in call.outputs], call.trait, numbers, parts]


def _call(row: Sequence[Any], basis: Sequence[int], names: Mapping[str, str]) -> OpCall:
    op, args, outputs, trait, numbers, parts = row
    macs, bytes_read, bytes_written = (_value(n, basis, names) for n in numbers)
    return OpCall(
        op,
        {name: _value(value, basis, names) for name, value in args.items()},
        tuple(_value(out, basis, names) for out in outputs),
        trait,
        macs,
        bytes_read,
        bytes_written,
        parts=tuple(
            replace(_call(own, basis, names), reads=tuple(reads), makes=tuple(makes), python=PythonWork(*python))
            for own, reads, makes, python in parts
        ),
    )


def _plain(value: Any) -> Any:
    """A value as JSON: a tensor is {"t": [shape, dtype, strides]}."""
    if isinstance(value, TensorSpec):
        return {"t": [list(value.shape), value.dtype, list(value.stride)]}
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    return value


def _value(plain: Any, basis: Sequence[int], names: Mapping[str, str]) -> Any:
    """The inverse of ``_plain``, for sizes with that basis. names: dtypes that are called otherwise."""
    if isinstance(plain, list):
        return tuple(_value(v, basis, names) for v in plain)
    if isinstance(plain, dict):
        if "=" in plain:
            return round(sum(c * b for c, b in zip(plain["="], basis, strict=True)))
        shape, dtype, stride = plain["t"]
        return TensorSpec(_value(shape, basis, names), names.get(dtype, dtype), _value(stride, basis, names))
    return names.get(plain, plain) if isinstance(plain, str) else plain


class _Rule:
    """Numbers at a few sizes -> their coefficients."""

    def __init__(self, sizes: Sequence[Sizes]) -> None:
        self.terms = _terms(sizes)
        self._basis = [_basis(one, self.terms) for one in sizes]
        self._known: dict[tuple[int, ...], dict[str, list[float]]] = {}

    def merge(self, values: Sequence[Any]) -> Any:
        """One tree of several of one form, numbers that differ as {"=": coefficients}. Raises ValueError otherwise."""
        first = values[0]
        if isinstance(first, list) and all(isinstance(v, list) and len(v) == len(first) for v in values):
            return [self.merge(own) for own in zip(*values, strict=True)]
        if isinstance(first, dict) and all(isinstance(v, dict) and list(v) == list(first) for v in values):
            return {name: self.merge([v[name] for v in values]) for name in first}
        if all(type(v) is type(first) and v == first for v in values):
            return first
        if all(type(v) is int for v in values):
            return self._solve(tuple(values))
        raise ValueError(f"{first!r} becomes {next(v for v in values if v != first)!r} with other sizes")

    def _solve(self, values: tuple[int, ...]) -> dict[str, list[float]]:
        if values not in self._known:
            basis = np.array(self._basis, dtype=float)
            found = np.linalg.lstsq(basis, np.array(values, dtype=float), rcond=None)[0]
            exact = [Fraction(round(c / FINEST)) * FINEST for c in found.tolist()]
            if any(
                sum(c * b for c, b in zip(exact, own, strict=True)) != value
                for own, value in zip(self._basis, values, strict=True)
            ):
                raise ValueError(f"sizes {values} follow no rule")
            self._known[values] = {"=": [int(c) if c.denominator == 1 else float(c) for c in exact]}
        return self._known[values]
