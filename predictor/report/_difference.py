"""What got slower between two reports, by module and by operator."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

from predictor.errors import PredictorError, shortened
from predictor.report._table import table
from predictor.report.json import SCHEMA, head

SMALLEST_SHARE = 0.02
"""Of the latency: a part that changed by less is not shown. A judgement: less is noise to a reader."""

FACTS = ("model", "runtime", "gpu", "dtype", "batch", "length")
"""What two reports may differ in."""

NUMBERS = ("critical_s", "host_s", "kernel_s", "launches", "macs")
"""Of a part, what is compared."""


@dataclass(frozen=True, slots=True)
class Change:
    """A part before and after. critical_s, its part of the latency, is what ranks it; None: it is not there."""

    name: str
    depth: int
    before: Mapping[str, float] | None
    after: Mapping[str, float] | None

    @property
    def gained_s(self) -> float:
        """Seconds of the latency that it takes more."""
        return self._of(self.after) - self._of(self.before)

    def _of(self, numbers: Mapping[str, float] | None) -> float:
        return numbers["critical_s"] if numbers else 0.0


@dataclass(frozen=True, slots=True)
class Difference:
    """Two reports: what was asked differently, the whole pass, and its operators and modules, most slowed first."""

    settings: Mapping[str, tuple[Any, Any]]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    ops: tuple[Change, ...]
    modules: tuple[Change, ...]


def read(path: Path) -> Mapping[str, Any]:
    """A report that ``predict --json`` wrote. Raises PredictorError where it is none, or lacks its breakdown."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PredictorError(f"no such file: {path}") from None
    except (OSError, ValueError) as error:
        raise PredictorError(f"{path} is no JSON report: {shortened(error)}") from None
    if isinstance(data, dict) and "error" in data:
        raise PredictorError(f"{path} holds no prediction, it failed: {data['error']}")
    if not isinstance(data, dict) or "schema" not in data or "latency_s" not in data:
        raise PredictorError(f"{path} is no report of one prediction: predict MODEL --gpu NAME --json > {path}")
    if data["schema"] != SCHEMA:
        raise PredictorError(f"{path} has schema {data['schema']}, this program reads {SCHEMA}: predict again")
    views = data.get("breakdown")
    if not isinstance(views, dict) or not {"op", "module"} <= set(views):
        raise PredictorError(f"{path} lacks the whole breakdown: predict it with --json and without --by")
    return data


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> Difference:
    """What changed from one report to another."""
    settings = {name: (before[name], after[name]) for name in FACTS if before[name] != after[name]}
    ops = sorted(_changes(before, after, "op"), key=lambda change: -abs(change.gained_s))
    return Difference(settings, before, after, tuple(ops), tuple(_tree(_changes(before, after, "module"))))


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], view: str) -> list[Change]:
    rows = [{row["name"]: row for row in report["breakdown"][view]} for report in (before, after)]
    return [
        Change(name, _depth(name, view), *(_numbers(each.get(name)) for each in rows))
        for name in {**rows[0], **rows[1]}
    ]


def _numbers(row: Mapping[str, Any] | None) -> dict[str, float] | None:
    return {name: row[name] for name in NUMBERS} if row else None


def _depth(name: str, view: str) -> int:
    """Of a module, by its path: the trees of two reports may leave out different containers."""
    return 0 if view == "op" or name.startswith("(") else name.count(".") + 1


def _tree(changes: Iterable[Change]) -> Iterable[Change]:
    """Modules with those in them behind them, most changed first."""
    by_path = {() if change.depth == 0 else tuple(change.name.split(".")): change for change in changes}

    def parent(path: tuple[str, ...]) -> tuple[str, ...]:
        return next(path[:n] for n in range(len(path) - 1, -1, -1) if path[:n] in by_path)

    inside: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for path in by_path:
        if path:
            inside.setdefault(parent(path), []).append(path)

    def walk(path: tuple[str, ...], level: int) -> Iterable[Change]:
        change = by_path[path]
        yield Change(change.name, level, change.before, change.after)
        for child in sorted(inside.get(path, ()), key=lambda child: -abs(by_path[child].gained_s)):
            yield from walk(child, level + 1)

    return walk((), 0) if () in by_path else ()


def render_json(found: Difference) -> str:
    """The difference as JSON: every operator and module."""

    def row(change: Change) -> dict[str, Any]:
        return {
            "name": change.name,
            "depth": change.depth,
            "gained_s": change.gained_s,
            "before": change.before,
            "after": change.after,
        }

    whole = ("latency_s", "interval_s", "host_s", "kernel_s", "bound", "launches", "macs")
    data = {
        **head(),
        "settings": {name: {"before": old, "after": new} for name, (old, new) in found.settings.items()},
        "before": {name: found.before[name] for name in whole},
        "after": {name: found.after[name] for name in whole},
        "gained_s": found.after["latency_s"] - found.before["latency_s"],
        "ratio": found.after["latency_s"] / found.before["latency_s"],
        "op": [row(change) for change in found.ops],
        "module": [row(change) for change in found.modules],
    }
    return json.dumps(data, indent=1)


def render_text(found: Difference, top: int) -> str:
    """The difference for a person: what changed by more than ``SMALLEST_SHARE`` of the latency."""
    before, after = found.before, found.after
    ratio = after["latency_s"] / before["latency_s"]
    lines = [
        " ".join(str(before[name]) for name in ("model", "runtime", "gpu", "dtype")) + f", batch {before['batch']}"
    ]
    lines += wrap("; ".join(f"{name}: {old} -> {new}" for name, (old, new) in found.settings.items()), 80)
    rows = [("", "before", "after", "change")]
    for name, label in (("latency_s", "latency, ms"), ("host_s", "host, ms"), ("kernel_s", "kernels, ms")):
        rows.append((label, *_change(before[name] * 1e3, after[name] * 1e3)))
    rows += [(label, *_change(before[name], after[name])) for name, label in (("launches", "launches"),)]
    rows.append(("GMACs", *_change(before["macs"] / 1e9, after["macs"] / 1e9)))
    rows.append(("bound", before["bound"], after["bound"], ""))
    lines += ["", *(f"  {line}" for line in table(rows, "<>>>"))]
    smallest_s = SMALLEST_SHARE * max(before["latency_s"], after["latency_s"])
    for title, changes in (("operator", found.ops), ("module", found.modules)):
        shown = [change for change in changes if abs(change.gained_s) >= smallest_s][:top]
        if shown:
            header = (title, "before, ms", "after, ms", "change")
            body = [(_shown(change), *_ms(change)) for change in shown]
            lines += ["", *(f"  {line}" for line in table([header, *body], "<>>>"))]
    low, high = after["interval_s"]
    inside = low <= before["latency_s"] <= high
    lines += [
        "",
        f"  {ratio:.3g} times as long{'; within the interval of the prediction' if inside and ratio != 1 else ''}",
    ]
    return "\n".join(lines)


def _shown(change: Change) -> str:
    name = " " * change.depth + change.name
    return name if len(name) <= 44 else f"..{name[-42:]}"


def _ms(change: Change) -> tuple[str, str, str]:
    before, after = (f"{side['critical_s'] * 1e3:.3f}" if side else "-" for side in (change.before, change.after))
    return before, after, f"{change.gained_s * 1e3:+.3f}"


def _change(before: float, after: float) -> tuple[str, str, str]:
    share = f"{after / before - 1:+.1%}" if before else ""
    return f"{before:.4g}", f"{after:.4g}", share
