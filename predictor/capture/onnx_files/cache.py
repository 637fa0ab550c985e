"""Optimised ONNX files, kept in the user's cache by all that shapes them (``disk_cache``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from predictor import disk_cache

FORM = "14"
"""Version of what the cache holds."""

ROOM = "onnx"
"""Name of the cache."""


def cache_folder() -> Path | None:
    """Where optimised graphs are kept; None for a user without a home, for whom they are made anew."""
    kept = disk_cache.cache_of(ROOM)
    return kept.folder if kept else None


def kept_at(*what: Any) -> str:
    """The name under which what is made of something is kept, by how that is written out."""
    return disk_cache.named(FORM, what)


def from_cache(name: str) -> dict[str, Any] | None:
    """What was kept; None where nothing was, or what is there is not what was written, or someone else's."""
    cache = disk_cache.cache_of(ROOM)
    content = cache.read(name) if cache else None
    try:
        data = json.loads(content) if content is not None else None
    except (ValueError, RecursionError):
        return None
    return data if _is_whole(data) else None


def to_cache(name: str, data: dict[str, Any]) -> None:
    """Keep data, where that is possible."""
    cache = disk_cache.cache_of(ROOM)
    if cache:
        cache.write(name, json.dumps(data).encode())


def _is_whole(data: Any) -> bool:
    parts = {"nodes": list, "tensors": dict, "outputs": list, "weights": list, "assumptions": list, "opsets": dict}
    return isinstance(data, dict) and all(isinstance(data.get(name), kind) for name, kind in parts.items())
