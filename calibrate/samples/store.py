"""Samples on disk: one JSON object a line, compressed, appended as they are made, so that an interrupted run continues.

What one ``append`` writes is a gzip member of its own (RFC 1952 allows any number of them, one after another): a run
that is killed while it writes leaves all members but the last whole, and of the last those lines that were written.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from calibrate.samples.records import Sample
from predictor.errors import PredictorError

Tell = Callable[[str], None]
"""Hears what a user should know."""

S = TypeVar("S", bound=msgspec.Struct)

SUFFIX = ".jsonl.gz"
"""How names of files of samples end."""

_MEMBER = zlib.MAX_WBITS | 16
"""Tells zlib that a gzip member is read."""

_DECODER = msgspec.json.Decoder(Sample)
_ENCODER = msgspec.json.Encoder()


class SampleFile:
    """An append-only file of samples (``.jsonl.gz``), of which none has the kind and identity of another.

    Opening it reads what is there; a half-written end (the run was killed) is cut off, and ``tell`` hears of it. A file
    that is damaged elsewhere, or holds something else, is left as it is: PredictorError names the line.
    """

    def __init__(self, path: Path, tell: Tell = print) -> None:
        self.path = path
        self._samples: dict[tuple[type, Hashable], Sample] = {}
        if path.exists():
            self._read(tell)

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[Sample]:
        """Every sample, in the order of their writing."""
        return iter(self._samples.values())

    def has(self, kind: type[Sample], identity: Hashable = None) -> bool:
        """Whether there is a sample of a kind and identity."""
        return (kind, identity) in self._samples

    def find(self, kind: type[S], identity: Hashable = None) -> S | None:
        """The sample of a kind and identity; None where there is none."""
        sample = self._samples.get((kind, identity))
        return sample if isinstance(sample, kind) else None

    def of(self, kind: type[S]) -> list[S]:
        """Every sample of a kind, in the order of their writing."""
        return [sample for sample in self._samples.values() if isinstance(sample, kind)]

    def append(self, samples: Iterable[Sample]) -> None:
        """Write samples to the end of the file and make sure that they are on disk."""
        new = list(samples)
        if not new:
            return
        self._keep(new)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(packed(new))
            file.flush()
            os.fsync(file.fileno())

    def _keep(self, samples: Iterable[Sample]) -> None:
        self._samples.update({(type(sample), sample.identity): sample for sample in samples})

    def _read(self, tell: Tell) -> None:
        content, number, start = self.path.read_bytes(), 0, 0
        while start < len(content):
            reader = zlib.decompressobj(_MEMBER)
            try:
                lines = reader.decompress(content[start:]).splitlines(keepends=True)
            except zlib.error as error:
                raise self._damaged(number + 1, str(error)) from None
            if not reader.eof:
                self._cut(start, number, lines, tell)
                return
            self._keep(self._decoded(line, number + i) for i, line in enumerate(lines, start=1))
            number, start = number + len(lines), len(content) - len(reader.unused_data)

    def _cut(self, start: int, number: int, lines: list[bytes], tell: Tell) -> None:
        """Of a member without its end keep the lines that are whole."""
        whole = [self._decoded(line, number + i) for i, line in enumerate(lines, start=1) if line.endswith(b"\n")]
        if not (number or whole):
            raise self._damaged(1, "it has no end")
        tell(f"{self.path.name}: dropped a half-written line after {number + len(whole)} samples")
        os.truncate(self.path, start)
        self.append(whole)

    def _decoded(self, line: bytes, number: int) -> Sample:
        try:
            sample: Sample = _DECODER.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._damaged(number, str(error)) from None
        return sample

    def _damaged(self, line: int, reason: str) -> PredictorError:
        return PredictorError(f"{self.path} is not a file of samples, or is damaged in line {line}: {reason}")


def packed(samples: Iterable[Sample]) -> bytes:
    """Samples as one gzip member; the same bytes for the same samples."""
    return gzip.compress(b"".join(_ENCODER.encode(sample) + b"\n" for sample in samples), mtime=0)
