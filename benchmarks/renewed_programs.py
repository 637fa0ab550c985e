"""Bring the programs of recorded cases to today's code, where captures or lowerings have changed:

    python -m benchmarks.renewed_programs calibrations/h200/samples/runtimes.jsonl.gz --runtimes compile,torchscript \\
        --models benchmarks,generated,loops

A file of measurements keeps the program of each case, so that it can be predicted, or a host fitted, without the model.
Every case of the runtimes is captured and lowered anew, as a user would today; one that cannot be, or that takes longer
than ``--seconds``, keeps its program and is said. Models of a library are not to be renewed where they were measured
with another version of it, whose code runs other operators.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import Any

import models_zoo
from calibrate.measure.programs import record
from calibrate.samples.environment import exports_are_trained
from calibrate.samples.files import Samples
from calibrate.samples.programs import stored
from calibrate.samples.records import CaseProfile, CaseRound, Environment, ProgramRecord, Refusal, Sample
from calibrate.samples.store import SampleFile
from predictor import runtimes
from predictor.calibration.files import find
from predictor.calibration.load import load_calibration
from predictor.errors import PredictorError
from predictor.records import CaptureMode, Target
from predictor.sources import plan_of

EXPORTING = frozenset(n for n in runtimes.names() if CaptureMode.EXPORTED in runtimes.load(n).capture_modes)
"""Runtimes that run an export."""

KINDS: tuple[type[Sample], ...] = (Environment, CaseRound, CaseProfile, Refusal)
"""What a file of measurements holds beside programs."""


def out_of_time(*_: Any) -> None:
    """What the alarm does."""
    raise TimeoutError


def captured(known: ProgramRecord, target: Target, seconds: int, is_trained: bool) -> ProgramRecord:
    """A record with the program of today's capture: of a zoo model, of its shipped graph."""
    case = known.case
    signal.alarm(seconds)
    try:
        if case.model not in models_zoo.names() or (case.runtime in EXPORTING and not is_trained):
            found = record(case, "cuda", target, is_trained)
            return known if found.program is None or found.unsupported_reason else found
        graph = plan_of(case.model).graph(case.dtype, case.runtime, case.batch, case.length or None)
        return ProgramRecord(case, stored(runtimes.load(case.runtime).lower(graph, target)), graph.macs)
    except (PredictorError, TimeoutError) as error:
        print(f"{case}: kept: {type(error).__name__} {str(error)[:120]}", file=sys.stderr)
        return known
    finally:
        signal.alarm(0)


def main() -> None:
    """Write the files anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--gpu", default="h200", help="whose architecture the programs are for")
    parser.add_argument("--runtimes", default="onnx,onnx-cudagraph")
    parser.add_argument("--models", default="", help="how the names of the models begin, several by commas")
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    wanted, names = options.runtimes.split(","), tuple(options.models.split(","))
    signal.signal(signal.SIGALRM, out_of_time)
    for path in options.files:
        file, aside = SampleFile(path), path.with_name("aside.jsonl.gz")
        calibration = load_calibration(options.gpu)
        environments = file.of(Environment) or Samples.of(find(options.gpu)).constants.of(Environment)
        target = Target(environments[-1].versions["torch"], calibration.architecture)
        is_trained = exports_are_trained(file)
        records = file.of(ProgramRecord)
        old = {one.case for one in records if one.case.runtime in wanted and one.case.model.startswith(names)}
        renewed = {
            one.case: captured(one, target, options.seconds, is_trained)
            for one in records
            if one.case in old and one.program
        }
        new = [renewed.get(one.case, one) for one in records]
        aside.unlink(missing_ok=True)
        SampleFile(aside).append([*(sample for kind in KINDS for sample in file.of(kind)), *new])
        os.replace(aside, path)
        print(f"{path}: {len(old)} programs")


if __name__ == "__main__":
    main()
