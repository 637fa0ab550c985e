"""Latencies that a user has measured: they set a prediction right for the user's own host and GPU."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from predictor.errors import PredictorError, unknown
from predictor.plans import Plan, check_batch, check_length
from predictor.predict import plan as plan_module
from predictor.runtimes import names
from predictor.sources import plan_of


@dataclass(frozen=True, eq=False)
class Measured:
    """A latency that was measured, of a model on the machine that predictions are for.

    model: a ``Plan``, a pair (module, inputs), or what ``predict --model`` takes; latency_s: seconds of one
    synchronised pass; runtime, dtype, batch, length: as of ``Plan.report``.

    >>> Predictor("a100", measured=[Measured("bert-base", 0.0091, batch=8)])  # doctest: +SKIP
    """

    model: Any
    latency_s: float
    runtime: str = "eager"
    dtype: str | None = None
    batch: int | None = None
    length: int | None = None

    @cached_property
    def plan(self) -> Plan:
        """What was measured. Raises PredictorError for a model that is none."""
        if isinstance(self.model, Plan):
            return self.model
        if isinstance(self.model, (str, Path)):
            return _plan_of(str(self.model))
        if isinstance(self.model, tuple) and len(self.model) == 2:
            return plan_module(*self.model)
        raise PredictorError(f"a measured model is a plan, (module, inputs) or a name, not {type(self.model).__name__}")


@cache
def _plan_of(spec: str) -> Plan:
    """One plan for all measurements of a model."""
    return plan_of(spec)


REQUIRED = ("model", "batch", "runtime", "latency_ms")
OPTIONAL = ("length", "dtype")
"""Columns of a file of measured latencies."""


def read_measured(path: Path | str) -> tuple[Measured, ...]:
    """The latencies of a file: CSV with the columns model, batch, runtime and latency_ms, length and dtype where they
    matter; or JSON, a list of such records. Raises PredictorError, which names the row.
    """
    path = Path(path)
    if not path.exists():
        raise PredictorError(f"no such file: {path}")
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = json.loads(text) if path.suffix == ".json" else list(csv.DictReader(text.splitlines()))
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        raise PredictorError(f"{path} cannot be read as measured latencies: {error}") from None
    if not (isinstance(rows, list) and rows):
        raise PredictorError(f"{path}: expected rows with {', '.join(REQUIRED)}")
    return tuple(_measured(row, f"{path}, row {number}") for number, row in enumerate(rows, 1))


def _measured(row: Any, where: str) -> Measured:
    """A row, checked."""
    if not isinstance(row, Mapping):
        raise PredictorError(f"{where}: expected {', '.join(REQUIRED)}")
    extra = set(row) - {*REQUIRED, *OPTIONAL}
    if extra:
        raise PredictorError(f"{where}: {unknown('column', str(min(map(str, extra))), (*REQUIRED, *OPTIONAL))}")
    missing = [name for name in REQUIRED if row.get(name) in (None, "")]
    if missing:
        raise PredictorError(f"{where}: {missing[0]} is missing")
    if row["runtime"] not in names():
        raise PredictorError(f"{where}: {unknown('runtime', str(row['runtime']), names())}")
    latency_ms = _number(row["latency_ms"], float, where, "latency_ms")
    if not 0 < latency_ms < float("inf"):
        raise PredictorError(f"{where}: latency_ms is a positive number, not {row['latency_ms']!r}")
    length = row.get("length")
    return Measured(
        model=str(row["model"]),
        latency_s=latency_ms * 1e-3,
        runtime=row["runtime"],
        dtype=row.get("dtype") or None,
        batch=check_batch(_number(row["batch"], int, where, "batch")),
        length=None if length in (None, "") else check_length(_number(length, int, where, "length")),
    )


def _number(value: Any, kind: Callable[[Any], Any], where: str, column: str) -> Any:
    try:
        return kind(value)
    except (TypeError, ValueError):
        raise PredictorError(f"{where}: {column} is a number, not {value!r}") from None
