"""Runtimes, one folder each, found by its name.

A folder's ``__init__`` holds ``RUNTIME`` (``runtime.Runtime``): how it lowers a graph (``lowering.py``), how it really
runs a module (``execution.py``), and what its host time is made of. Nothing else names it: the commands, comparisons,
calibration, validation and the contract tests take what is here.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from predictor.errors import unknown
from predictor.runtimes.runtime import HostTerms, Runtime

__all__ = ["HostTerms", "Runtime", "load", "names"]


def names() -> list[str]:
    """Names of the runtimes, as users type them."""
    return list(_names(tuple(__path__)))


@cache
def _names(folders: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(folders) if m.ispkg))


def load(name: str) -> Runtime:
    """A runtime by its name. Raises PredictorError for an unknown one."""
    if name not in _names(tuple(__path__)):
        raise unknown("runtime", name, names())
    runtime: Runtime = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").RUNTIME
    return runtime
