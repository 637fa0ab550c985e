"""Formats of a report, one file each, found by its name.

A format has ``render(report) -> str`` and ``render_comparison(rows) -> str``, for a model under several runtimes.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

from predictor.errors import unknown

if TYPE_CHECKING:
    from predictor.records import Compared, Report


class Format(Protocol):
    """What a format's file holds."""

    def render(self, report: Report) -> str:
        """One prediction."""
        ...

    def render_comparison(self, rows: Sequence[Compared]) -> str:
        """A model under several runtimes."""
        ...


def names() -> list[str]:
    """Names of the formats, as users type them."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def load(name: str) -> Format:
    """A format by its name. Raises PredictorError for an unknown one."""
    if name not in names():
        raise unknown("format", name, names())
    return cast("Format", importlib.import_module(f"{__name__}.{name}"))
