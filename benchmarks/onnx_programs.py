"""Bring the programs of recorded ONNX Runtime cases to today's kernel families:

    python -m benchmarks.onnx_programs calibrations/h200/validation/onnx*.jsonl.gz

A file of measurements keeps the program of each case, so that it can be predicted again without the model. Norms, Gelu
and Clip were kernels of the family "ort" before those that instructions or thread blocks bind had one of their own:
their operators say which they are, and of a CUDA graph's, which has none, those of the case without it. ``--again``
captures and lowers every case anew instead, as a user would today; one that cannot be keeps its program.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import models_zoo
from calibrate.measure.programs import record
from calibrate.samples.programs import restored, stored
from calibrate.samples.records import CaseProfile, CaseRound, Environment, ProgramRecord, Refusal, Sample
from calibrate.samples.store import SampleFile
from calibrate.workloads.cases import Case
from predictor import runtimes
from predictor.errors import PredictorError
from predictor.ops.ort import Kind
from predictor.records import CaptureMode, HostCall, Kernel, Trait
from predictor.sources import plan_of

KINDS: tuple[type[Sample], ...] = (Environment, CaseRound, CaseProfile, Refusal)
"""What a file of measurements holds beside programs."""

Key = tuple[str, int, str]
"""Model, batch, dtype: of a case under any runtime."""


def captured(known: ProgramRecord) -> ProgramRecord:
    """A record with the program of today's capture: of a zoo model, of its shipped graph."""
    case = known.case
    try:
        if case.model not in models_zoo.names():
            found = record(case, "cuda")
            return known if found.program is None or found.unsupported_reason else found
        graph = plan_of(case.model, batch=case.batch, length=case.length or None).graph(case.dtype, case.runtime)
    except PredictorError as error:
        print(f"{case}: kept: {str(error)[:120]}", file=sys.stderr)
        return known
    return ProgramRecord(case, stored(runtimes.load(case.runtime).lower(graph)), graph.macs)


def renamed(kernel: Kernel, op: str) -> Kernel:
    """A kernel of an operator in the family that it is of today."""
    kind = kernel.dims.get("kind")
    if kernel.family != "ort" or kind not in (Kind.TRANSCENDENTAL, Kind.NORM, Kind.CLIPPED):
        return kernel
    if kind == Kind.TRANSCENDENTAL:
        return replace(kernel, family="ort_issued", dims={**kernel.dims, "kind": Kind.GELU}) if op == "Gelu" else kernel
    if kind == Kind.CLIPPED:
        return replace(kernel, family="ort_issued")
    dims = {**kernel.dims, "blocks": kernel.dims["rows"], "kind": Kind.SKIPPED if op.startswith("Skip") else Kind.NORM}
    return replace(kernel, family="ort_issued", dims={name: float(size) for name, size in dims.items()})


def in_families(known: ProgramRecord, operators: Mapping[Key, Sequence[str]]) -> ProgramRecord:
    """A record with its program in today's families. operators: of each kernel of a case, in issue order."""
    assert known.program is not None
    program, case = restored(known.program), known.case
    names = iter(operators.get((case.model, case.batch, case.dtype), ()))

    def of_call(call: HostCall) -> HostCall:
        ops = [next(names, "") if call.trait is Trait.REPLAY else call.op for _ in call.kernels]
        return replace(call, kernels=tuple(renamed(k, op) for k, op in zip(call.kernels, ops, strict=True)))

    calls = tuple(of_call(call) for call in program.calls)
    return ProgramRecord(case, stored(replace(program, calls=calls)), known.macs)


def is_exported(case: Case) -> bool:
    """Whether a runtime runs an exported graph."""
    return runtimes.load(case.runtime).capture_mode is CaptureMode.EXPORTED


def main() -> None:
    """Write the files anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--again", action="store_true", help="capture and lower every case anew")
    options = parser.parse_args()
    records = {path: SampleFile(path).of(ProgramRecord) for path in options.files}
    operators: dict[Key, list[str]] = {}
    for known in (r for found in records.values() for r in found if r.case.runtime == "onnx" and r.program is not None):
        case, program = known.case, restored(known.program)
        operators[case.model, case.batch, case.dtype] = [call.op for call in program.calls for _ in call.kernels]
    for path, found in records.items():
        new = [
            known
            if known.program is None or not is_exported(known.case)
            else captured(known)
            if options.again
            else in_families(known, operators)
            for known in found
        ]
        file, aside = SampleFile(path), path.with_name("aside.jsonl.gz")
        aside.unlink(missing_ok=True)
        SampleFile(aside).append([*(sample for kind in KINDS for sample in file.of(kind)), *new])
        os.replace(aside, path)
        print(f"{path}: {len(new)} programs")


if __name__ == "__main__":
    main()
