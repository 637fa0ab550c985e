"""Formats of a report, one file each, found by its name.

A format has the four functions of ``Format``; it may leave out the last two.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

from predictor.errors import unknown

if TYPE_CHECKING:
    from predictor.advice import Advice
    from predictor.records import Compared, Report


class Format(Protocol):
    """What a format's file holds."""

    def render(self, report: Report) -> str:
        """One prediction."""
        ...

    def render_comparison(self, rows: Sequence[Compared]) -> str:
        """A model under several runtimes."""
        ...

    def render_sweep(self, reports: Sequence[Report]) -> str:
        """A model at several sizes."""
        ...

    def render_breakdown(self, report: Report, view: str, depth: int | None, top: int | None) -> str:
        """Where the time of one prediction goes, see ``Breakdown.by``."""
        ...

    def render_advice(self, advice: Advice) -> str:
        """Answers for a designer."""
        ...


def names() -> list[str]:
    """Names of the formats, as users type them."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def load(name: str) -> Format:
    """A format by its name. Raises PredictorError for an unknown one."""
    if name not in names():
        raise unknown("format", name, names())
    return cast("Format", importlib.import_module(f"{__name__}.{name}"))
