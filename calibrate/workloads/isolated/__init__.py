"""Kernels that a runtime makes and torch does not, each run alone: a file a sweep, found here by its name.

A file holds ``SWEEP`` (``sweeps.IsolatedSweep``). Nothing else names it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection

from calibrate.workloads.sweeps import IsolatedSweep


def sweeps_of(runtimes: Collection[str]) -> list[IsolatedSweep]:
    """Sweeps of the kernels that some runtimes make."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    sweeps: list[IsolatedSweep] = [importlib.import_module(f"{__name__}.{name}").SWEEP for name in names]
    return [sweep for sweep in sweeps if sweep.runtime in runtimes]
