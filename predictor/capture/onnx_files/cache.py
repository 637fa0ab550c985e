"""Optimised ONNX files, kept in the user's cache by all that shapes them: for this user alone, checked when read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from predictor import folders

FORM = "7"
"""Version of what the cache holds."""


def cache_folder() -> Path | None:
    """Where optimised graphs are kept; None for a user without a home, for whom they are made anew."""
    folder = folders.cache_folder()
    return folder / "onnx" if folder else None


def kept_at(*what: Any) -> Path | None:
    """Where what is made of something is kept, by how that is written out."""
    folder = cache_folder()
    return folder / f"{hashlib.sha256(repr((FORM, what)).encode()).hexdigest()[:40]}.json" if folder else None


def from_cache(kept: Path | None) -> dict[str, Any] | None:
    """What was kept; None where nothing was, or what is there is not what was written, or someone else's."""
    if kept is None:
        return None
    try:
        with open(os.open(kept, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), encoding="utf-8") as file:
            if hasattr(os, "getuid") and os.fstat(file.fileno()).st_uid != os.getuid():
                return None
            seal, _, text = file.read().partition("\n")
            data = json.loads(text) if seal == _seal(text) else None
    except (OSError, ValueError, RecursionError):
        return None
    return data if _is_whole(data) else None


def to_cache(kept: Path | None, data: dict[str, Any]) -> None:
    """Keep data, where that is possible: written aside and renamed."""
    if kept is None:
        return
    text = json.dumps(data)
    aside = ""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, aside = tempfile.mkstemp(dir=kept.parent, suffix=".aside")  # readable by this user alone
        with open(handle, "w", encoding="utf-8") as file:
            file.write(f"{_seal(text)}\n{text}")
        os.replace(aside, kept)
    except OSError:
        with contextlib.suppress(OSError):
            if aside:
                os.unlink(aside)


def _seal(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _is_whole(data: Any) -> bool:
    parts = {"nodes": list, "tensors": dict, "outputs": list, "weights": list, "assumptions": list, "opsets": dict}
    return isinstance(data, dict) and all(isinstance(data.get(name), kind) for name, kind in parts.items())
