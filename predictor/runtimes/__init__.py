"""Runtimes, one folder each, found by its name: ``lower(graph, target)`` and ``prepare(module, inputs)``."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from predictor.errors import unknown


def names() -> list[str]:
    """Names of the runtimes, as users type them."""
    return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__) if m.ispkg)


def load(name: str) -> ModuleType:
    """The module of a runtime. Raises PredictorError for an unknown name."""
    if name not in names():
        raise unknown("runtime", name, names())
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
