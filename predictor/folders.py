"""Folders of a user: where data and caches are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import platformdirs


def data_folder() -> Path | None:
    """Where calibrations and measurements are kept: ``$XDG_DATA_HOME/predictor``, or what the system has for that; None
    for a user without a home.
    """
    return _folder(platformdirs.user_data_dir)


def cache_folder() -> Path | None:
    """Where what can be made again is kept: ``$XDG_CACHE_HOME/predictor``, or what the system has for that; None for a
    user without a home.
    """
    return _folder(platformdirs.user_cache_dir)


def _folder(of: Callable[..., str]) -> Path | None:
    try:
        return Path(of("predictor", appauthor=False))
    except RuntimeError:  # no home
        return None
