"""Whole passes that others measured, as a table of latencies.

A row is the mean of back-to-back passes, so ``max(host time, kernel time)`` is its exact limit. A session is a file of
the authors: one GPU, runtime and dtype on one host.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from predictor.errors import PredictorError

GRAPHS = Path(__file__).resolve().parent.parent / "workloads" / "published_graphs"
"""Graphs of the published models, see ``benchmarks/record_published.py``."""

LARGEST_BATCH = 128
FEWEST_MODELS = 10
"""A session of fewer says too little of its host."""

UNRELIABLE = frozenset({"a100-eager-fp32-a"})
"""Sessions that contradict themselves: Funnel takes twice as long as MobileBERT there, a third less everywhere else."""

TORCH = "1.12.1"
"""Version that the rows were measured with."""


@dataclass(frozen=True, slots=True)
class Pass:
    """A measured row. seconds: a pass, back to back with others."""

    session: str
    gpu: str
    runtime: str
    dtype: str
    model: str
    batch: int
    seconds: float


def read_passes(path: Path) -> list[Pass]:
    """Rows of a table with columns session, gpu, runtime, precision, model, batch and latency_ms; without sessions of
    few models and unreliable ones, and without large batches. Raises PredictorError for anything else.
    """
    try:
        with path.open(encoding="utf-8") as file:
            rows = [
                Pass(
                    **{name: row[name] for name in ("session", "gpu", "runtime", "model")},
                    dtype=row["precision"],
                    batch=int(row["batch"]),
                    seconds=float(row["latency_ms"]) * 1e-3,
                )
                for row in csv.DictReader(file)
            ]
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise PredictorError(f"{path} cannot be read as a table of published latencies: {error}") from None
    unknown = {row.model for row in rows} - {p.name.removesuffix(".json.gz") for p in GRAPHS.iterdir()}
    if unknown:
        raise PredictorError(f"{path}: no graph of {', '.join(sorted(unknown))} (benchmarks/record_published.py)")
    models: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        models[row.session].add(row.model)
    return [
        row
        for row in rows
        if row.batch <= LARGEST_BATCH and len(models[row.session]) >= FEWEST_MODELS and row.session not in UNRELIABLE
    ]
