"""Samples on disk: one JSON object a line, appended as they are made, so that an interrupted run continues."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from predictor.errors import PredictorError

Tell = Callable[[str], None]
"""Hears what a user should know."""


class SampleFile:
    """An append-only file of samples, each with a "key" that no other has.

    Opening it reads what is there; a half-written last line (the run was killed) is cut off, and ``tell`` hears of it.
    A file that is damaged elsewhere, or holds something else, is left as it is: PredictorError.
    """

    def __init__(self, path: Path, tell: Tell = print) -> None:
        self.path = path
        self.samples: dict[str, dict[str, Any]] = {}
        if path.exists():
            self._read(tell)

    def _read(self, tell: Tell) -> None:
        lines = self.path.read_bytes().splitlines(keepends=True)
        kept = 0
        for number, line in enumerate(lines, start=1):
            try:
                sample = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                sample = None
            if isinstance(sample, dict) and "key" in sample:
                self.samples[sample["key"]] = sample
                kept += len(line)
            elif number == len(lines) and (self.samples or line.startswith(b'{"key"')):
                tell(f"{self.path.name}: dropped a half-written line after {len(self.samples)} samples")
                os.truncate(self.path, kept)
            else:
                raise PredictorError(f"{self.path} is not a file of samples, or is damaged in line {number}")

    def __contains__(self, key: object) -> bool:
        return key in self.samples

    def append(self, samples: Iterable[Mapping[str, Any]]) -> None:
        """Write samples to the end of the file and make sure that they are on disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = []
        for sample in samples:
            self.samples[sample["key"]] = dict(sample)
            lines.append(json.dumps(sample) + "\n")
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())

    def values(self) -> list[dict[str, Any]]:
        """Every sample, in the order of their writing."""
        return list(self.samples.values())
