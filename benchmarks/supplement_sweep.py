"""Measure the part of the kernel sweep that a calibration does not have yet, on the GPU at hand:

    python -m benchmarks.supplement_sweep --gpu h200 --out FILE.jsonl.gz --seconds 400

Rows are on disk as they are taken, and a run with the same file goes on where the last one stopped. A process of its
own measures; where it hangs or dies it is replaced, and what it was at is left out (beside the file, in ``.skipped``).
With ``--sessions`` convolutions are ONNX Runtime's, each a node in a session of its own. The file is of the format of
``calibrations/<gpu>/samples/kernels.jsonl.gz``; ``benchmarks.refit_kernels`` fits both.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path

import torch

from calibrate.measure.sweep import run_sweep
from calibrate.samples.environment import describe
from calibrate.samples.files import Samples
from calibrate.samples.records import Environment, KernelSample
from calibrate.samples.store import SampleFile
from calibrate.workloads import sweeps
from calibrate.workloads.cases import KernelId
from calibrate.workloads.isolated import onnx_convs
from predictor.calibration.files import find

AT_ONCE = 48
"""Cases that one run of the profiler holds, and that are lost with a process."""

MOST_FAILURES = 12
"""Processes that hang or die before it gives up."""

PLANS = {"cuda": sweeps.FULL, "cpu": sweeps.QUICK_CPU}


def missing(options: argparse.Namespace) -> list[KernelId]:
    """Cases of the full plan that neither the calibration nor the file has, families interleaved."""
    done: set[KernelId] = set()
    for file in (Samples.of(find(options.gpu)).kernels, SampleFile(options.out)):
        done |= {sample.id for sample in file.of(KernelSample)}
    done |= {KernelId(*line.split("\t")[:2], int(line.split("\t")[2])) for line in lines(skipped(options.out))}
    families = [name for name in options.families.split(",") if name]
    of_session = onnx_convs.PREFIX if options.sessions else ""
    drawn = (id for id in sweeps.identities(PLANS[options.device]) if id.family in onnx_convs.COUNTS or not of_session)
    wanted = (id for id in drawn if KernelId(of_session + id.family, id.series, id.index) not in done)
    chosen = (id for id in wanted if not families or id.family in families)
    return [id for id in chosen if id.series.startswith(options.series)][: options.most or None]


def lines(path: Path) -> list[str]:
    """Of a text file that need not be there."""
    return path.read_text().splitlines() if path.exists() else []


def skipped(out: Path) -> Path:
    """What is left out."""
    return out.with_suffix(".skipped")


def running(out: Path) -> Path:
    """What the process is at."""
    return out.with_suffix(".running")


def written(ids: Iterable[KernelId]) -> str:
    """Identities, one a line."""
    return "".join(f"{id.family}\t{id.series}\t{id.index}\n" for id in ids)


def make(plan: sweeps.Plan, id: KernelId) -> sweeps.KernelCase | None:
    """A case; None where no draw is one."""
    try:
        return sweeps.make_case(id.family, id.series, id.index, plan.scale)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return None


def packed(plan: sweeps.Plan, id: KernelId) -> bytes:
    """A case for another process; nothing where it cannot go there."""
    with suppress(pickle.PicklingError, AttributeError, TypeError):
        return pickle.dumps(make(plan, id))
    return b""


def work(options: argparse.Namespace) -> None:
    """Measure everything that is missing, in this process; others draw the cases ahead of it."""
    torch.set_num_threads(1)
    ids, file, plan = missing(options), SampleFile(options.out), PLANS[options.device]
    with multiprocessing.get_context("fork").Pool(options.processes) as pool:  # before CUDA starts
        drawn = pool.imap(partial(packed, plan), ids, chunksize=8)
        if not file.has(Environment, 0):
            file.append([describe(options.device, 0.0)])
        both = zip(ids, drawn, strict=True)
        while chunk := list(islice(both, AT_ONCE)):
            running(options.out).write_text(written(id for id, _ in chunk))
            cases = [pickle.loads(case) if case else make(plan, id) for id, case in chunk]
            drawn_cases = [case for case in cases if case is not None]
            if options.sessions:
                nodes = [onnx_convs.as_node(case) for case in drawn_cases]
                run_sweep(nodes, file, options.device, lambda _: None, onnx_convs.maker)
            else:
                run_sweep(drawn_cases, file, options.device, lambda _: None)
            if options.device == "cuda":
                torch.cuda.empty_cache()
            running(options.out).unlink()


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, with those that it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def watch(options: argparse.Namespace) -> None:
    """Run processes that measure, until nothing is missing or the time is over."""
    start, said, failures = time.monotonic(), 0.0, 0
    while failures < MOST_FAILURES and missing(options) and time.monotonic() - start < options.seconds:
        command = [sys.executable, "-m", "benchmarks.supplement_sweep", *sys.argv[1:], "--worker"]
        process = subprocess.Popen(command, start_new_session=True)
        changed, size = time.monotonic(), -1
        while process.poll() is None:
            time.sleep(0.2)
            now, found = time.monotonic(), options.out.stat().st_size if options.out.exists() else 0
            if found != size:
                changed, size = now, found
            if now > said + 15:
                said = now
                print(f"{now - start:5.0f} s: {size / 1e3:.0f} kB", file=sys.stderr, flush=True)
            if now - start > options.seconds:
                end(process)
                running(options.out).unlink(missing_ok=True)
                break
            if now - changed > options.limit:
                print("it hangs", file=sys.stderr, flush=True)
                end(process)
        failures += process.returncode != 0
        if running(options.out).exists():
            with skipped(options.out).open("a") as file:
                file.write(running(options.out).read_text())
            print(f"left out: {AT_ONCE} cases around {lines(running(options.out))[0]}", file=sys.stderr, flush=True)
            running(options.out).unlink()
    samples = SampleFile(options.out).of(KernelSample)
    counts = Counter((s.id.family, s.id.series) for s in samples if s.repeats_s)
    failed = Counter((s.id.family, s.op) for s in samples if not s.repeats_s)
    print(f"{time.monotonic() - start:.0f} s: {len(samples)} samples, {len(missing(options))} missing")
    print("measured:", ", ".join(f"{family} {series} {count}" for (family, series), count in sorted(counts.items())))
    print("cannot run:", ", ".join(f"{family} {op} {count}" for (family, op), count in sorted(failed.items())))


def main() -> None:
    """Measure until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu", default="h200", help="calibrated GPU, whose samples are there")
    parser.add_argument("--out", type=Path, required=True, help="file of samples, appended to")
    parser.add_argument("--families", default="", help="these alone, comma-separated")
    parser.add_argument("--series", default="", help="those whose names begin so: rare, common")
    parser.add_argument("--seconds", type=float, default=400.0, help="when to stop")
    parser.add_argument(
        "--limit", type=float, default=45.0, help="seconds without a row after which a process is replaced"
    )
    parser.add_argument("--most", type=int, default=0, help="no more cases than so many")
    parser.add_argument("--processes", type=int, default=10, help="that draw cases")
    parser.add_argument("--sessions", action="store_true", help="convolutions as ONNX Runtime's nodes")
    parser.add_argument("--device", choices=list(PLANS), default="cuda")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options)
    else:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        watch(options)


if __name__ == "__main__":
    main()
