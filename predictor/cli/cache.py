"""The command ``predict cache``."""

from __future__ import annotations

from typing import Annotated

import typer

from predictor.cli.terminal import complain


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove what is kept.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Show what is kept on disk for a second search, or remove it."""
    with complain(debug):
        typer.echo(_cleared() if clear else _shown())


ROOMS = {"plans": "plans of candidates", "onnx": "optimised ONNX files"}
"""Folders of the cache, and what is in them."""


def _shown() -> str:
    from predictor import disk_cache

    lines = []
    for room, what in ROOMS.items():
        kept = disk_cache.cache_of(room)
        if kept is None:
            return f"nothing is kept: {_off()}"
        usage = kept.usage()
        lines.append(f"{what:22}{usage.files:8} files {usage.nbytes / 1e6:9.1f} MB   {kept.folder}")
    limit = f"each up to {disk_cache.limit_bytes() / 1e6:g} MB"
    return "\n".join([*lines, f"{limit} (PREDICTOR_CACHE_MB); predict cache --clear removes all"])


def _cleared() -> str:
    from predictor import disk_cache

    lines = []
    for room, what in ROOMS.items():
        kept = disk_cache.cache_of(room)
        if kept is None:
            return f"nothing is kept: {_off()}"
        before = kept.clear()
        lines.append(f"removed {before.files} files of {what}, {before.nbytes / 1e6:.1f} MB")
    return "\n".join(lines)


def _off() -> str:
    import os

    from predictor.folders import CACHE_VARIABLE

    return f"{CACHE_VARIABLE}=off" if os.environ.get(CACHE_VARIABLE) == "off" else "there is no home"
