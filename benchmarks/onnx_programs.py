"""Lower the recorded cases of ONNX Runtime again, as graphs are captured and lowered today:

    python -m benchmarks.onnx_programs calibrations/h200/validation/onnx.jsonl.gz

A file of measurements keeps the program of each case, so that it can be predicted again without the model. What a
program says of a kernel follows the lowering: after a change of that, these are written anew. Models of the zoo are
lowered from their shipped graphs, others are captured; a case that cannot be keeps its program.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import models_zoo
from calibrate.measure.programs import record
from calibrate.samples.programs import stored
from calibrate.samples.records import CaseProfile, CaseRound, Environment, ProgramRecord, Refusal, Sample
from calibrate.samples.store import SampleFile
from calibrate.workloads.cases import Case
from predictor import runtimes
from predictor.errors import PredictorError
from predictor.records import CaptureMode
from predictor.sources import plan_of

KINDS: tuple[type[Sample], ...] = (Environment, CaseRound, CaseProfile, Refusal)
"""What a file of measurements holds beside programs."""


def program_of(case: Case) -> ProgramRecord:
    """What a case runs, as it is lowered today. Raises PredictorError where it cannot be captured."""
    if case.model not in models_zoo.names():
        return record(case, "cuda")
    graph = plan_of(case.model, batch=case.batch, length=case.length or None).graph(case.dtype, case.runtime)
    return ProgramRecord(case, stored(runtimes.load(case.runtime).lower(graph)), graph.macs)


def renewed(known: ProgramRecord) -> ProgramRecord:
    """A record with today's program, where its runtime runs an exported graph; else itself."""
    if runtimes.load(known.case.runtime).capture_mode is not CaptureMode.EXPORTED or known.program is None:
        return known
    try:
        found = program_of(known.case)
    except PredictorError as error:
        print(f"{known.case}: kept: {str(error)[:120]}", file=sys.stderr)
        return known
    return known if found.program is None or found.unsupported_reason else found


def main() -> None:
    """Write the files anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    for path in parser.parse_args().files:
        file = SampleFile(path)
        programs = [renewed(known) for known in file.of(ProgramRecord)]
        aside = path.with_name("aside.jsonl.gz")
        aside.unlink(missing_ok=True)
        SampleFile(aside).append([*(sample for kind in KINDS for sample in file.of(kind)), *programs])
        os.replace(aside, path)
        print(f"{path}: {len(programs)} programs")


if __name__ == "__main__":
    main()
