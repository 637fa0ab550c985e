"""Measure loops that Inductor makes, each alone, of the series that a calibration does not measure:

    python -m benchmarks.inductor_sweep --out FILE.jsonl.gz --seconds 400

They are compiled by many processes, whose results stay in Inductor's cache on disk, and then measured by one. Rows are
on disk as they are taken, and a run with the same file goes on where the last one stopped. The file is of the format of
``calibrations/<gpu>/samples/kernels.jsonl.gz``; ``benchmarks.refit_kernels --more`` fits both.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from functools import partial
from itertools import islice
from pathlib import Path

import torch

from calibrate.measure.sweep import run_sweep
from calibrate.samples.records import KernelSample
from calibrate.samples.store import SampleFile
from calibrate.workloads.cases import KernelId
from calibrate.workloads.isolated import inductor_loops

SERIES = "varied"

AT_ONCE = 48
"""Cases that one run of the profiler holds."""


def compiled(index: int, device: str) -> int:
    """Compile a case, for the cache alone: its number."""
    torch.set_num_threads(1)
    torch._inductor.config.compile_threads = 1
    case = inductor_loops.case_of(KernelId(inductor_loops.FAMILY, SERIES, index))
    with torch.inference_mode():
        run, _ = inductor_loops.maker(case, device)()
        run()
    return index


def main() -> None:
    """Measure until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="file of samples, appended to")
    parser.add_argument("--count", type=int, default=480)
    parser.add_argument("--seconds", type=float, default=400.0, help="when to stop")
    parser.add_argument("--processes", type=int, default=14, help="that compile")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    options = parser.parse_args()
    start, file = time.monotonic(), SampleFile(options.out)
    done = {sample.id for sample in file.of(KernelSample)}
    wanted = [i for i in range(options.count) if KernelId(inductor_loops.FAMILY, SERIES, i) not in done]
    with multiprocessing.get_context("spawn").Pool(options.processes, maxtasksperchild=40) as pool:
        ready = pool.imap_unordered(partial(compiled, device=options.device), wanted)
        while (chunk := list(islice(ready, AT_ONCE))) and time.monotonic() - start < options.seconds:
            cases = [inductor_loops.case_of(KernelId(inductor_loops.FAMILY, SERIES, i)) for i in chunk]
            run_sweep(cases, file, options.device, lambda _: None, inductor_loops.maker)
            taken = sum(1 for sample in file.of(KernelSample) if sample.repeats_s)
            print(f"{time.monotonic() - start:5.0f} s: {taken} measured", flush=True)
        pool.terminate()


if __name__ == "__main__":
    main()
