"""Measure loops that Inductor makes, each alone, of the series that a calibration does not measure:

    python -m benchmarks.inductor_sweep --out FILE.jsonl.gz --seconds 400

They are compiled by many processes, whose results stay in Inductor's cache on disk, and then measured by one. Rows are
on disk as they are taken, and a run with the same file goes on where the last one stopped. The file is of the format of
``calibrations/<gpu>/samples/kernels.jsonl.gz``; ``benchmarks.refit_kernels --more`` fits both.

    python -m benchmarks.inductor_sweep --cycles h200

prints what an element of each step costs by the samples of a calibration, in lane cycles: what ``CYCLES`` of
``predictor/runtimes/compile/instructions.py`` was made of.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from calibrate.fit.robust import non_negative
from calibrate.measure.sweep import run_sweep
from calibrate.samples.files import Samples
from calibrate.samples.records import KernelSample
from calibrate.samples.rounds import lower_quartile
from calibrate.samples.store import SampleFile
from calibrate.workloads.cases import KernelId
from calibrate.workloads.isolated import inductor_loops
from predictor.calibration.files import find
from predictor.calibration.load import load_calibration
from predictor.kernels.streams import LANE_CYCLES_PER_S

SERIES = {"varied": 720, "integers": 120, "reduced": 210}
"""Name -> cases."""

STEPS = {"varied": inductor_loops.STEPS, "integers": inductor_loops.INTEGER_STEPS}
"""Series of chains -> the steps that they are made of."""

AT_ONCE = 48
"""Cases that one run of the profiler holds."""


def compiled(id: KernelId, device: str) -> KernelId:
    """Compile a case, for the cache alone."""
    torch.set_num_threads(1)
    torch._inductor.config.compile_threads = 1
    case = inductor_loops.case_of(id)
    with torch.inference_mode():
        run, _ = inductor_loops.maker(case, device)()
        run()
    return id


def cycles_by_step(gpu: str, series: str) -> tuple[dict[str, float], float]:
    """Lane cycles of each step of ``STEPS``, and the mean error on what they are fitted to: the chains of a
    calibration's samples, each taking a floor, its bytes at a pace, and the cycles of its steps.
    """
    device, names = load_calibration(gpu).device, list(STEPS[series])
    rows, seconds = [], []
    for sample in Samples.of(find(gpu)).kernels.of(KernelSample):
        if (sample.id.family, sample.id.series) != (inductor_loops.FAMILY, series) or sample.launches != 1:
            continue
        if (steps := inductor_loops.steps_of(sample.id)) is None:
            continue
        dims, lanes = sample.dims, device.sms * LANE_CYCLES_PER_S
        traffic_s = (dims["bytes_read"] + dims["bytes_written"]) / device.bandwidth_bytes_per_s
        rows.append([1e-6, traffic_s, *(dims["elements"] / lanes * steps.count(name) for name in names)])
        seconds.append(lower_quartile(sample.repeats_s))
    x, y = np.array(rows), np.array(seconds)
    coefficients = non_negative(x, y, y)
    return dict(zip(names, coefficients[2:].tolist(), strict=True)), float(np.mean(np.abs(x @ coefficients / y - 1)))


def main() -> None:
    """Measure until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file of samples, appended to")
    parser.add_argument("--cycles", metavar="GPU", help="print what its samples say of each step, and measure nothing")
    parser.add_argument("--series", default=",".join(SERIES), help="these alone, comma-separated")
    parser.add_argument("--seconds", type=float, default=400.0, help="when to stop")
    parser.add_argument("--processes", type=int, default=14, help="that compile")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    options = parser.parse_args()
    if options.cycles:
        for series in STEPS:
            cycles, error = cycles_by_step(options.cycles, series)
            print("\n".join(f"{name:30} {value:5.1f}" for name, value in cycles.items()), f"\nmean error {error:.1%}")
        return
    if options.out is None:
        parser.error("--out says where samples go")
    start, file = time.monotonic(), SampleFile(options.out)
    done = {sample.id for sample in file.of(KernelSample)}
    every = [
        KernelId(inductor_loops.FAMILY, name, i) for name in options.series.split(",") for i in range(SERIES[name])
    ]
    wanted = [id for id in every if id not in done]
    with multiprocessing.get_context("spawn").Pool(options.processes, maxtasksperchild=40) as pool:
        ready = pool.imap_unordered(partial(compiled, device=options.device), wanted)
        while (chunk := list(islice(ready, AT_ONCE))) and time.monotonic() - start < options.seconds:
            cases = [inductor_loops.case_of(id) for id in chunk]
            run_sweep(cases, file, options.device, lambda _: None, inductor_loops.maker)
            taken = sum(1 for sample in file.of(KernelSample) if sample.repeats_s)
            print(f"{time.monotonic() - start:5.0f} s: {taken} measured", flush=True)
        pool.terminate()


if __name__ == "__main__":
    main()
