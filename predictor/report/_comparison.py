"""What formats of a comparison share."""

from __future__ import annotations

from collections.abc import Sequence

from predictor.records import Compared


def fastest(rows: Sequence[Compared]) -> str:
    """The runtime of the least latency; empty where none can run the model."""
    able = [(row.report.latency_s, row.runtime) for row in rows if row.report]
    return min(able)[1] if able else ""


def eager_latency_s(rows: Sequence[Compared]) -> float | None:
    """Latency in eager mode, None where it cannot run."""
    return next((row.report.latency_s for row in rows if row.report and row.runtime == "eager"), None)
