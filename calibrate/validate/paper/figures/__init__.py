"""The paper's figures and tables: a file each, found by its name; each has ``FIGURE``."""

from __future__ import annotations

import importlib
import pkgutil

from calibrate.validate.paper.description import Figure
from predictor.errors import unknown


def names() -> list[str]:
    """Names in the paper's order: figures, then tables."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> Figure:
    """A figure by its name. Raises PredictorError for an unknown one."""
    if name not in names():
        raise unknown("figure", name, names())
    figure: Figure = importlib.import_module(f"{__name__}.{name}").FIGURE
    return figure
