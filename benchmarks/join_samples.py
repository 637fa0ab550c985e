"""One file of samples of several that were measured one after another, packed once:

    python -m benchmarks.join_samples --out FILE.jsonl.gz FIRST.jsonl.gz [NEXT.jsonl.gz ...]

Sessions of later files are counted on. A file that a measurement appends to is compressed piece by piece; as one piece
it is half as large. With one file, and that as ``--out``, it is packed anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from calibrate.samples.environment import check_agreement
from calibrate.samples.records import Environment, Sample
from calibrate.samples.store import SampleFile, packed


def joined(files: Sequence[SampleFile]) -> Iterator[Sample]:
    """Samples of files, their sessions one after another. Raises PredictorError where environments disagree."""
    first = 0
    for file in files:
        environments = file.of(Environment)
        for environment in environments:
            check_agreement(files[0], environment, "--out")
        for sample in file:
            yield replace(sample, session=first + sample.session) if first and hasattr(sample, "session") else sample
        first += max((1 + environment.session for environment in environments), default=0)


def main() -> None:
    """Join and pack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    before = sum(path.stat().st_size for path in options.files)
    options.out.write_bytes(packed(joined([SampleFile(path) for path in options.files])))
    print(f"{options.out}: {before:,} bytes -> {options.out.stat().st_size:,}")


if __name__ == "__main__":
    main()
