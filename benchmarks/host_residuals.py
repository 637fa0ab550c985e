"""What the host model misses of the modules that it is fitted on, per kind: `python benchmarks/host_residuals.py`."""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from calibrate.measure.timers import Round, summarise
from calibrate.samples.programs import program_from_json
from calibrate.samples.store import SampleFile
from calibrate.workloads.architectures import FAMILIES
from predictor.calibration.files import find
from predictor.calibration.load import load_calibration
from predictor.pricing.program import price
from predictor.timeline.queue import queue


def kind(name: str) -> str:
    """The family of a library model; whether a generated module takes images."""
    source, seed, _ = name.split("/")
    if source == "library":
        return FAMILIES[int(seed) % len(FAMILIES)]
    return "generated, images" if int(seed) % 4 == 3 else "generated, sequences"


def main() -> None:
    """Print predicted over measured latency, less one, by kind of module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpu", default="h200")
    gpu = parser.parse_args().gpu
    calibration = load_calibration(gpu)
    host = calibration.host("eager")
    file = SampleFile(Path(find(gpu)) / "samples" / "modules.jsonl")
    rounds: dict[str, list[Round]] = defaultdict(list)
    for sample in file.values():
        if "module" in sample:
            rounds[sample["module"]].append(Round(sample["seconds"], *sample["probe_s"]))
    errors: dict[str, list[float]] = defaultdict(list)
    for name, own in rounds.items():
        measured = summarise(own, host.probe_s)
        program = program_from_json(file.samples[f"program/{name}"]["program"])
        predicted = queue(price(program, calibration, host), calibration.lanes, host.fixed_s)
        errors[kind(name)].append(predicted.latency_s * measured.probe_s / host.probe_s / measured.seconds - 1)
    print(f"{'modules':22} {'count':>5} {'median':>7} {'worst':>7}")
    for name, found in sorted(errors.items(), key=lambda item: float(np.median(item[1]))):
        print(f"{name:22} {len(found):>5} {np.median(found):>+7.1%} {max(found, key=abs):>+7.1%}")


if __name__ == "__main__":
    main()
