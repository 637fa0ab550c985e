"""Optimised ONNX files, kept in the user's cache by what they were made of."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from predictor import folders, onnx_runtime
from predictor.capture.onnx_files.optimiser import optimise

FORM = b"1"
"""Version of what the cache holds."""


def cache_folder() -> Path | None:
    """Where optimised graphs are kept; None for a user without a home, for whom they are made anew."""
    folder = folders.cache_folder()
    return folder / "onnx" if folder else None


def optimised(path: Path) -> dict[str, Any]:
    """Nodes and tensors of the optimised graph, as plain data; from the cache where the file was seen before."""
    kept = kept_at(path.read_bytes() + onnx_runtime.load().__version__.encode())
    data = from_cache(kept)
    if data is None:
        data = optimise(path)
        to_cache(kept, data)
    return data


def kept_at(what: bytes) -> Path | None:
    """Where what was made of some bytes is kept."""
    folder = cache_folder()
    return folder / f"{hashlib.sha256(what + FORM).hexdigest()[:32]}.json" if folder else None


def from_cache(kept: Path | None) -> dict[str, Any] | None:
    """What was kept, None where nothing was."""
    if kept is None:
        return None
    try:
        data: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data


def to_cache(kept: Path | None, data: dict[str, Any]) -> None:
    """Keep data, where that is possible."""
    if kept is None:
        return
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        aside = kept.with_suffix(f".{os.getpid()}")
        aside.write_text(json.dumps(data), encoding="utf-8")
        aside.replace(kept)
