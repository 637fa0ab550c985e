"""Write ``docs/calibration-format.md`` from the schema: python benchmarks/calibration_format.py."""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from predictor.calibration import schema

PAGE = Path(__file__).resolve().parent.parent / "docs" / "calibration-format.md"

HEAD = """# Format of calibrations

Made from `predictor/calibration/schema.py` by `benchmarks/calibration_format.py`; do not edit.

A calibration is a folder with the GPU's name. Its files are JSON, schema {schema}. They are checked when they are read:
a value that is missing, unknown, of another type or out of its range is an error with the file and the path inside it.
`digest` is a checksum of the content. A file that was edited by hand keeps its old digest and is refused; remove the
entry to accept the edit. All times are seconds, sizes bytes, rates per second.

| file | content |
|---|---|
{files}

The files of a user are in `$PREDICTOR_CALIBRATIONS` or in the data folder of the user; the first folder that has a GPU
wins over those that are shipped.
"""


def page() -> str:
    """The page."""
    rows = {f"`{name}.json`": kind for name, kind in schema.FILES.items()}
    rows["`<runtime>.json`"] = schema.RuntimeCosts
    files = "\n".join(f"| {name} | [{kind.__name__}](#{kind.__name__.lower()}) |" for name, kind in rows.items())
    sections = [HEAD.format(schema=schema.SCHEMA, files=files)]
    sections += [_section(kind) for kind in _reached(list(rows.values()))]
    return "\n".join(sections)


def _reached(kinds: list[type]) -> list[type]:
    """Records, each followed by those of its fields that were not there yet."""
    found: list[type] = []
    for kind in kinds:
        if kind not in found:
            found.append(kind)
            for hint in get_type_hints(kind, include_extras=True).values():
                found += [one for one in _reached(list(_records(hint))) if one not in found]
    return found


def _records(hint: Any) -> Iterator[type]:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
    for argument in get_args(hint):
        yield from _records(argument)


def _section(kind: type) -> str:
    lines = [
        f"## {kind.__name__}",
        "",
        inspect.cleandoc(kind.__doc__ or ""),
        "",
        "| field | type | meaning |",
        "|---|---|---|",
    ]
    said = dict(_docs(kind))
    optional = {field.name for field in msgspec.structs.fields(kind) if not field.required}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        may = ", may be missing" if name in optional - {"schema"} else ""
        lines.append(f"| `{name}` | {_type(hint)}{may} | {said[name]} |")
    return "\n".join([*lines, ""])


def _docs(kind: type) -> Iterator[tuple[str, str]]:
    """Field -> the text below it, of a record and of what it inherits."""
    for base in reversed(kind.__mro__):
        if base.__module__ != schema.__name__:
            continue
        (tree,) = ast.parse(inspect.getsource(base)).body
        assert isinstance(tree, ast.ClassDef)
        for field, text in zip(tree.body[:-1], tree.body[1:], strict=True):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                assert isinstance(text, ast.Expr), f"{field.target.id} of {kind} is not explained"
                assert isinstance(text.value, ast.Constant)
                yield field.target.id, " ".join(str(text.value.value).split())


def _type(hint: Any) -> str:
    """A type in words."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        meta = next(one for one in hint.__metadata__ if isinstance(one, msgspec.Meta))
        for words, pattern in schema.PATTERNS.items():
            if meta.pattern == pattern:
                return words
        return f"{_type(arguments[0])}{_range(meta)}"
    if origin in (Union, types.UnionType):
        return " or ".join(_type(one) for one in arguments)
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is tuple:
        return f"pair of {_type(arguments[0])}"
    if origin is dict:
        return f"object: {_type(arguments[0])} -> {_type(arguments[1])}"
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    if isinstance(hint, type) and issubclass(hint, schema.Variant):
        return ", ".join(schema.Variant)
    return {float: "number", int: "whole number", str: "text", bool: "true or false", type(None): "null"}[hint]


def _range(meta: msgspec.Meta) -> str:
    bounds = {"from": meta.ge, "above": meta.gt, "to": meta.le, "below": meta.lt}
    said = " ".join(f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None)
    return f" {said}" if said else ""


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
