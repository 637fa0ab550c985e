"""Folders of a user: where data and caches are kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs


def data_folder() -> Path | None:
    """Where calibrations and measurements are kept: ``$XDG_DATA_HOME/predictor``, or what the system has for that; None
    for a user without a home.
    """
    return _folder(platformdirs.user_data_dir)


CACHE_VARIABLE = "PREDICTOR_CACHE"
"""Environment variable with the folder of the caches, or ``off``."""


def cache_folder() -> Path | None:
    """Where what can be made again is kept: ``$PREDICTOR_CACHE``, ``$XDG_CACHE_HOME/predictor``, or what the system has
    for that; None for a user without a home, and where the variable says ``off``.
    """
    said = os.environ.get(CACHE_VARIABLE, "")
    if said:
        return None if said == "off" else Path(said)
    return _folder(platformdirs.user_cache_dir)


def _folder(of: Callable[..., str]) -> Path | None:
    try:
        return Path(of("predictor", appauthor=False))
    except RuntimeError:  # no home
        return None
