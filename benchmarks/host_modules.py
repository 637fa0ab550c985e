"""Put models of the battery beside the generated modules that host costs are fitted on:

    python -m benchmarks.host_modules calibrations/h200/battery/learn*.jsonl.gz --gpu h200 --runtime compile

Appends models under a runtime (batch 1, fp16), with their programs captured anew, to the calibration's samples;
``calibrate --refit --host-only`` fits them. They are then no test of that runtime any more: the learning part, and sets
that have been read.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.battery_accuracy import with_programs
from calibrate.samples.files import Samples
from calibrate.samples.records import CaseProfile, CaseRound, ProgramRecord
from calibrate.samples.store import SampleFile
from predictor.calibration.files import find
from predictor.runtimes.eager.lowering import NAME as REFERENCE


def main() -> None:
    """Append what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help="measurements of models that are no test any more")
    parser.add_argument("--gpu", default="h200")
    parser.add_argument("--runtime", default=REFERENCE)
    parser.add_argument("--seconds", type=int, default=90, help="for one model to be captured")
    parser.add_argument("--graphs", type=Path, help="folder of captured graphs, see battery_accuracy")
    options = parser.parse_args()
    options.runtimes, options.dtypes, options.batches = options.runtime, "fp16", "1"
    samples = Samples.of(find(options.gpu))
    own = samples.modules if options.runtime == REFERENCE else samples.runtimes
    known = {str(record.case) for record in own.of(ProgramRecord)}
    added: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        for number, path in enumerate(options.files):
            kept = Path(folder) / f"{number}.jsonl.gz"
            file = with_programs(SampleFile(path), kept, options, options.graphs)
            recorded = [r for r in file.of(ProgramRecord) if r.program is not None and str(r.case) not in known]
            programs = [record for record in recorded if str(record.case) not in added]
            cases = {str(record.case) for record in recorded}
            rounds = [sample for sample in file.of(CaseRound) if str(sample.case) in cases]
            profiles = [profile for profile in file.of(CaseProfile) if str(profile.case) in cases - added]
            own.append([*rounds, *(profiles if own is samples.runtimes else ()), *programs])
            added |= cases
            print(f"{path.name}: {len(cases)} models, {len(rounds)} rounds")


if __name__ == "__main__":
    main()
