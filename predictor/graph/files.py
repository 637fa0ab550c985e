"""Captured graphs as data: one set for a model, with its graph in every capture mode and dtype, for any batch and
sequence length that follow the rule of ``sizes.SizeRule``.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from predictor.collection import without_collection
from predictor.errors import PredictorError
from predictor.graph.sizes import SizeRule, Sizes, Valuation
from predictor.records import CaptureMode, Graph, OpCall, Origin, PythonWork, TensorSpec, Trait

SCHEMA, OLDEST = 3, 2
"""Version of the files that this program writes, and the oldest that it reads: in it no template shares another's
calls.
"""

SAME_GRAPH = {"tf32": "fp32", "bf16": "fp16"}
"""Dtypes whose graph is that of another: TF32 is a way of multiplying, and the 16-bit formats are cast alike."""

KEPT_SIZES = 4
"""Sizes whose calls a set keeps: graphs of several capture modes are mostly the same calls."""


@dataclass(frozen=True, slots=True)
class SizeRange:
    """Sizes that a template stands for: batches from first to last, lengths likewise, multiples of ``multiple``. last
    0: any that is larger; lengths are 0 where a model has none.
    """

    first_batch: int
    last_batch: int
    first_length: int = 0
    last_length: int = 0
    multiple: int = 1

    def holds(self, batch: int, length: int) -> bool:
        """Whether sizes are in the range."""
        within = self.first_batch <= batch and (not self.last_batch or batch <= self.last_batch)
        return bool(within and self.first_length <= length <= self.last_length and length % self.multiple == 0)


@dataclass(frozen=True, slots=True)
class Template:
    """One graph for all sizes of a range. calls: (row, reads, makes, Python before it, module, file, line), the first
    and the two names as indices into the tables of the set.
    """

    dtype: str
    mode: CaptureMode
    range: SizeRange
    terms: list[list[int]]
    calls: list[list[Any]]
    tail: list[Any]
    module_calls: int
    outputs: list[int]
    versions: Mapping[str, str]
    assumptions: tuple[str, ...] = ()
    inputs: Sequence[int] = ()
    checked_modules: int = 0

    def shares_calls(self, other: Template) -> bool:
        """Whether it is another template's graph, for other sizes or in another mode."""
        return _graph_fields(self) == _graph_fields(other)


@dataclass(frozen=True, eq=False)
class GraphSet:
    """Graphs of one model. batch, length: usual sizes, the length 0 where the model has none; templates: of which the
    first that holds sizes is taken; rows, modules, files: what templates share; dtype: the model's own, empty where it
    has none; notes: what a report says of the model; generated: tokens that a pass generates of each sequence.
    """

    name: str
    batch: int = 1
    length: int = 0
    templates: tuple[Template, ...] = ()
    rows: tuple[Any, ...] = ()
    modules: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    dtype: str = ""
    notes: tuple[str, ...] = ()
    generated: int = 0
    _calls_at: dict[tuple[str, Sizes], dict[int, OpCall]] = field(default_factory=dict, init=False, repr=False)

    def find(self, dtype: str, mode: CaptureMode, batch: int, length: int) -> Graph | None:
        """The graph in a capture mode at sizes; None where the set has none."""
        for stored in (dtype, SAME_GRAPH.get(dtype)):
            for template in self.templates:
                if (template.dtype, template.mode) == (stored, mode) and template.range.holds(batch, length):
                    return self._instance(template, dtype, (batch, length))
        return None

    def holds(self, dtype: str, mode: CaptureMode, batch: int, length: int) -> bool:
        """Whether ``find`` finds a graph."""
        stored = {dtype, SAME_GRAPH.get(dtype)}
        return any(
            template.dtype in stored and template.mode == mode and template.range.holds(batch, length)
            for template in self.templates
        )

    def has(self, dtype: str, mode: CaptureMode) -> bool:
        """Whether there is a graph in a capture mode, of any size."""
        stored = {dtype, SAME_GRAPH.get(dtype)}
        return any(template.dtype in stored and template.mode == mode for template in self.templates)

    def extended(self, dtype: str, mode: CaptureMode, captures: Mapping[Sizes, Graph], sizes: SizeRange) -> GraphSet:
        """With a template made of captures by their sizes, of which more than there are terms check the rule. Raises
        ValueError where sizes do not follow the rule.
        """
        tables = _Table(self.rows), _Table(self.modules), _Table(self.files)
        graphs = list(captures.values())
        if len({len(graph.calls) for graph in graphs}) > 1:
            raise ValueError("the number of operators depends on the sizes")
        rule, first = SizeRule(list(captures)), graphs[0]
        order = []
        for calls in zip(*(graph.calls for graph in graphs), strict=True):
            row = tables[0].index(rule.merge([_row(call) for call in calls]))
            call = calls[0]
            origin = [tables[1].index(call.origin.module), tables[2].index(call.origin.file), call.origin.line]
            order.append([row, list(call.input_ids), list(call.output_ids), _python(call.python), *origin])
        template = Template(
            dtype,
            mode,
            sizes,
            rule.terms,
            order,
            _python(first.tail),
            first.module_calls,
            list(first.outputs),
            dict(first.versions),
            tuple(first.assumptions),
            list(first.inputs),
            first.checked_modules,
        )
        rows, modules, files = (tuple(table.rows) for table in tables)
        return replace(self, templates=(*self.templates, template), rows=rows, modules=modules, files=files)

    def aliased(self, mode: CaptureMode, of: Template) -> GraphSet:
        """With a template of the set for another mode, too."""
        return replace(self, templates=(*self.templates, replace(of, mode=mode)))

    def _instance(self, template: Template, dtype: str, sizes: Sizes) -> Graph:
        values = Valuation(sizes, template.terms)
        names = {template.dtype: dtype} if dtype == "bf16" else {}
        row_calls = self._row_calls(template, dtype, sizes)
        origins: dict[tuple[int, int, int], Origin] = {}
        calls = []
        for number, input_ids, output_ids, python, module, file, line in template.calls:
            if number not in row_calls:
                row_calls[number] = _call(self.rows[number], values, names)
            where = module, file, line
            if where not in origins:
                origins[where] = Origin(self.modules[module], self.files[file], line)
            template_call = row_calls[number]
            calls.append(
                OpCall(
                    template_call.op,
                    template_call.args,
                    template_call.outputs,
                    template_call.trait,
                    template_call.macs,
                    template_call.bytes_read,
                    template_call.bytes_written,
                    PythonWork(*python),
                    _from(template_call.parts, origins[where]),
                    tuple(input_ids),
                    tuple(output_ids),
                    origins[where],
                    template_call.times,
                )
            )
        return Graph(
            self.name,
            tuple(calls),
            dtype,
            sizes[0],
            PythonWork(*template.tail),
            template.module_calls,
            template.versions,
            tuple(template.outputs),
            assumptions=template.assumptions,
            inputs=tuple(template.inputs),
            checked_modules=template.checked_modules,
        )

    def _row_calls(self, template: Template, dtype: str, sizes: Sizes) -> dict[int, OpCall]:
        """Calls by their rows, which templates of one dtype share: those of the sizes asked for last are kept."""
        key = f"{dtype} {template.dtype} {template.terms}", sizes
        while key not in self._calls_at and len(self._calls_at) >= KEPT_SIZES:
            self._calls_at.pop(next(iter(self._calls_at)), None)  # another thread may have been faster
        return self._calls_at.setdefault(key, {})

    def to_bytes(self) -> bytes:
        """The set as a file's content."""
        data = {
            **{"schema": SCHEMA, "name": self.name, "batch": self.batch, "length": self.length},
            **{"rows": self.rows, "modules": self.modules, "files": self.files},
            **({"dtype": self.dtype} if self.dtype else {}),
            **({"notes": self.notes} if self.notes else {}),
            **({"generated": self.generated} if self.generated else {}),
            "templates": [self._template(number) for number in range(len(self.templates))],
        }
        return gzip.compress(json.dumps(data, separators=(",", ":")).encode(), 9, mtime=0)

    def _template(self, number: int) -> dict[str, Any]:
        """A template as a file has it: calls that an earlier one has, too, are said by its number."""
        t = self.templates[number]
        earlier = next((n for n, other in enumerate(self.templates[:number]) if t.shares_calls(other)), None)
        return {
            **{"dtype": t.dtype, "mode": t.mode, "batches": [t.range.first_batch, t.range.last_batch]},
            "lengths": [t.range.first_length, t.range.last_length, t.range.multiple],
            **(_graph_fields(t) if earlier is None else {"same": earlier}),
        }

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> GraphSet:
        """The inverse of ``to_bytes``. where: what the content is, for a message. Raises PredictorError for content
        that is damaged or of another version of the program.
        """
        try:
            with without_collection():
                data = json.loads(gzip.decompress(content))
            schema = int(data["schema"])
            if schema > SCHEMA:
                raise PredictorError(f"{where} has schema {schema}, this program reads up to {SCHEMA}: upgrade it")
            if schema < OLDEST:
                raise PredictorError(f"{where} has schema {schema}, this program reads from {OLDEST}: capture it again")
            listed = data["templates"]
            templates = tuple(_read_template(t, listed[t["same"]] if "same" in t else t) for t in listed)
            rows, modules, names = (tuple(data[name]) for name in ("rows", "modules", "files"))
            dtype, notes = data.get("dtype", ""), tuple(data.get("notes", ()))
            own = dtype, notes, data.get("generated", 0)
            return cls(data["name"], data["batch"], data["length"], templates, rows, modules, names, *own)
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise PredictorError(f"{where} is no file of graphs: {error}") from None


def _graph_fields(t: Template) -> dict[str, Any]:
    """What templates share that have the same calls."""
    return {
        **{"terms": t.terms, "calls": t.calls, "tail": t.tail, "module_calls": t.module_calls},
        **{"outputs": t.outputs, "versions": dict(t.versions)},
        **({"assumptions": t.assumptions} if t.assumptions else {}),
        **({"inputs": t.inputs} if t.inputs else {}),
        **({"checked_modules": t.checked_modules} if t.checked_modules else {}),
    }


def _read_template(t: Mapping[str, Any], graph: Mapping[str, Any]) -> Template:
    """The inverse of ``GraphSet._template``. graph: the entry that has the calls."""
    return Template(
        t["dtype"],
        CaptureMode(t["mode"]),
        SizeRange(*t["batches"], *t["lengths"]),
        terms=graph["terms"],
        calls=graph["calls"],
        tail=graph["tail"],
        module_calls=graph["module_calls"],
        outputs=graph["outputs"],
        versions=graph["versions"],
        assumptions=tuple(graph.get("assumptions", ())),
        inputs=graph.get("inputs", []),
        checked_modules=graph.get("checked_modules", 0),
    )


def read(path: Path) -> GraphSet:
    """The set of a file. Raises PredictorError where it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PredictorError(f"{path} cannot be read: {error.strerror}") from None
    return GraphSet.from_bytes(content, str(path))


def write(path: Path, graphs: GraphSet) -> None:
    """Write a set's file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(graphs.to_bytes())


class _Table:
    """Rows without repetitions."""

    def __init__(self, rows: Sequence[Any]) -> None:
        self.rows = list(rows)
        self._known = {json.dumps(row): number for number, row in enumerate(self.rows)}

    def index(self, row: Any) -> int:
        known = self._known.setdefault(json.dumps(row), len(self.rows))
        if known == len(self.rows):
            self.rows.append(row)
        return known


def _python(work: PythonWork) -> list[Any]:
    return [work.calls, work.cold_lines, work.cold_modules]


def _row(call: OpCall) -> list[Any]:
    """All of a call but its place in the graph."""
    args = {name: _plain(value) for name, value in call.args.items()}
    numbers = [call.macs, call.bytes_read, call.bytes_written, *([call.times] if call.times != 1 else [])]
    parts = [[_row(part), list(part.input_ids), list(part.output_ids), _python(part.python)] for part in call.parts]
    return [call.op, args, [_plain(out) for out in call.outputs], call.trait, numbers, parts]


def _call(row: Sequence[Any], values: Valuation, names: Mapping[str, str]) -> OpCall:
    op, args, outputs, trait, numbers, parts = row
    macs, bytes_read, bytes_written, *times = (_value(n, values, names) for n in numbers)
    return OpCall(
        op,
        {name: _value(value, values, names) for name, value in args.items()},
        tuple(_value(out, values, names) for out in outputs),
        Trait(trait),
        macs,
        bytes_read,
        bytes_written,
        parts=tuple(
            replace(
                _call(part, values, names),
                input_ids=tuple(input_ids),
                output_ids=tuple(output_ids),
                python=PythonWork(*python),
            )
            for part, input_ids, output_ids, python in parts
        ),
        times=times[0] if times else 1,
    )


def _from(parts: tuple[OpCall, ...], origin: Origin) -> tuple[OpCall, ...]:
    """Parts of a composite call: they come from where it comes from."""
    return tuple(replace(part, origin=origin, parts=_from(part.parts, origin)) for part in parts)


def _plain(value: Any) -> Any:
    """A value as JSON: a tensor is {"t": [shape, dtype, strides]}."""
    if isinstance(value, TensorSpec):
        return {"t": [list(value.shape), value.dtype, list(value.stride)]}
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    return value


def _dims(stored: Sequence[Any], values: Valuation) -> tuple[int, ...]:
    """Sizes of a tensor: the many that a graph has make most of the time that its instance takes."""
    return tuple([n if type(n) is int else values.of(n["="]) for n in stored])


def _value(stored: Any, values: Valuation, names: Mapping[str, str]) -> Any:
    """The inverse of ``_plain``, for sizes with those terms. names: dtypes that are called otherwise."""
    if isinstance(stored, list):
        return tuple(_value(v, values, names) for v in stored)
    if isinstance(stored, dict):
        if "=" in stored:
            return values.of(stored["="])
        shape, dtype, stride = stored["t"]
        return TensorSpec(_dims(shape, values), names.get(dtype, dtype), _dims(stride, values))
    return names.get(stored, stored) if isinstance(stored, str) else stored
