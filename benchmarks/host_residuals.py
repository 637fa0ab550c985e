"""What the host model misses of the modules that it is fitted on, per kind: `python benchmarks/host_residuals.py`."""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from calibrate.samples.files import Samples
from calibrate.samples.programs import restored
from calibrate.samples.records import CaseRound, ProgramRecord
from calibrate.samples.rounds import Round, summarise
from calibrate.workloads.architectures import FAMILIES
from calibrate.workloads.cases import Case
from calibrate.workloads.generated import source_of
from predictor.calibration.files import find
from predictor.calibration.load import load_calibration
from predictor.pricing.program import price
from predictor.timeline.queue import queue


def kind(model: str) -> str:
    """The family of a library model; whether a generated module takes images; the file of a model of the battery."""
    found = source_of(model)
    if found is None:
        return f"the battery's {Path(model).stem}"
    source, seed = found
    if source.name == "library":
        return FAMILIES[seed % len(FAMILIES)]
    return "generated, images" if seed % 4 == 3 else "generated, sequences"


def main() -> None:
    """Print predicted over measured latency, less one, by kind of module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpu", default="h200")
    gpu = parser.parse_args().gpu
    calibration = load_calibration(gpu)
    host = calibration.own_host("eager")
    file = Samples.of(find(gpu)).modules
    rounds: dict[Case, list[Round]] = defaultdict(list)
    for sample in file.of(CaseRound):
        rounds[sample.case].append(sample.round)
    errors: dict[str, list[float]] = defaultdict(list)
    for case, own in rounds.items():
        measured = summarise(own, host.probe_s)
        recorded = file.find(ProgramRecord, case)
        assert recorded is not None
        assert recorded.program is not None
        program = restored(recorded.program)
        predicted = queue(price(program, calibration, host), calibration.lanes, host.fixed_s)
        errors[kind(case.model)].append(predicted.latency_s * measured.probe_s / host.probe_s / measured.seconds - 1)
    print(f"{'modules':22} {'count':>5} {'median':>7} {'worst':>7}")
    for name, found in sorted(errors.items(), key=lambda item: float(np.median(item[1]))):
        print(f"{name:22} {len(found):>5} {np.median(found):>+7.1%} {max(found, key=abs):>+7.1%}")


if __name__ == "__main__":
    main()
