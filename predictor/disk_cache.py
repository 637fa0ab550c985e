"""What can be made again, kept in files: for this user alone, checked when read, up to a size, for many processes.

A file is written aside and renamed, so that no process reads half of one, on a network's file system either. What was
not read for longest is removed first. No database: one file that many machines lock is what breaks on such a system.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from predictor import folders

LIMIT_VARIABLE = "PREDICTOR_CACHE_MB"
"""Environment variable with the size up to which a cache grows, in megabytes."""

LIMIT_MB = 1000
"""Megabytes up to which a cache grows where nobody says otherwise: 200,000 plans of five kilobytes."""

LEFT = 0.9
"""Share of the limit that is left after old files are removed, so that it is not done for every file."""

CHECKS = 64
"""Times that a process looks at the size of a cache while it writes as much as the limit."""

USED_AFTER_S = 3600
"""Seconds after which reading a file is noted as its use: more often would be a write for every read."""

SEAL_BYTES = 16
"""Bytes of the hash at the start of a file."""


class Usage(NamedTuple):
    """What a cache holds."""

    files: int
    nbytes: int


@dataclass(frozen=True)
class DiskCache:
    """Contents by their names in a folder, which is made when something is first kept. limit_bytes: 0: nothing is
    removed.
    """

    folder: Path
    limit_bytes: int

    def read(self, name: str) -> bytes | None:
        """What was kept; None where nothing was, or what is there is not what was written, or someone else's."""
        path = self._path(name)
        try:
            with open(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as file:
                status = os.fstat(file.fileno())
                if hasattr(os, "getuid") and status.st_uid != os.getuid():
                    return None
                content = file.read()
            if content[:SEAL_BYTES] != _seal(content[SEAL_BYTES:]):
                return None
            if time.time() - status.st_mtime > USED_AFTER_S:
                os.utime(path)
        except OSError:
            return None
        return content[SEAL_BYTES:]

    def write(self, name: str, content: bytes) -> None:
        """Keep a content, where that is possible."""
        path, aside = self._path(name), ""
        try:
            parent = Path(path).parent
            for folder in (self.folder, parent):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, aside = tempfile.mkstemp(dir=parent, suffix=_ASIDE)  # readable by this user alone
            with open(handle, "wb") as file:
                file.write(_seal(content) + content)
            os.replace(aside, path)
        except OSError:
            with contextlib.suppress(OSError):
                if aside:
                    os.unlink(aside)
            return
        written = _written.get(self.folder, self.limit_bytes) + len(content)  # a new process looks at once
        if self.limit_bytes and written > self.limit_bytes / CHECKS:
            self.shrink()
            written = 0
        _written[self.folder] = written

    def shrink(self) -> None:
        """Remove what was not used for longest, where the cache is larger than its limit."""
        entries = sorted(self._entries(), key=lambda entry: entry[1].st_mtime)
        nbytes = sum(status.st_size for _, status in entries)
        if nbytes <= self.limit_bytes:
            return
        for path, status in entries:
            if nbytes <= LEFT * self.limit_bytes:
                return
            with contextlib.suppress(OSError):
                os.unlink(path)
            nbytes -= status.st_size

    def usage(self) -> Usage:
        """What it holds now."""
        sizes = [status.st_size for _, status in self._entries()]
        return Usage(len(sizes), sum(sizes))

    def clear(self) -> Usage:
        """Remove everything. Returns what that was."""
        before = self.usage()
        for path, _ in self._entries():
            with contextlib.suppress(OSError):
                os.unlink(path)
        return before

    def _path(self, name: str) -> str:
        return f"{self.folder}/{name[:2]}/{name}"

    def _entries(self) -> Iterator[tuple[str, os.stat_result]]:
        """(Path, status) of every file, those included that a process that was ended left aside."""
        with contextlib.suppress(OSError):
            for folder in os.scandir(self.folder):
                with contextlib.suppress(OSError):
                    for entry in os.scandir(folder.path) if folder.is_dir(follow_symlinks=False) else ():
                        with contextlib.suppress(OSError):
                            yield entry.path, entry.stat(follow_symlinks=False)


_ASIDE = ".aside"
_written: dict[Path, int] = {}  # bytes that this process has kept since it last looked at the size, by folder


def named(*what: object) -> str:
    """The name of what is made of something, by how that is written out."""
    return hashlib.sha256(repr(what).encode()).hexdigest()[:40]


def cache_of(room: str) -> DiskCache | None:
    """The user's cache for one kind of content; None for a user without a home, and where it is switched off."""
    folder = folders.cache_folder()
    return DiskCache(folder / room, limit_bytes()) if folder else None


def limit_bytes() -> int:
    """Size up to which a cache grows."""
    return _limit(os.environ.get(LIMIT_VARIABLE, ""))


@cache
def _limit(megabytes: str) -> int:
    try:
        return round(float(megabytes) * 1e6) if megabytes else LIMIT_MB * 10**6
    except (ValueError, OverflowError):
        return LIMIT_MB * 10**6


def _seal(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=SEAL_BYTES).digest()
