"""The kernel sweep: device time of seeded random calls of every family, appended to a sample file as it is made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch

from calibrate.measure.timers import REPEATS, CaseProfiler, KernelSample
from calibrate.samples.store import SampleFile
from calibrate.workloads.sweeps import Case, Made, Maker, maker

CHUNK = 192


def run_sweep(
    wanted: Iterable[Case | None],
    file: SampleFile,
    device: str,
    advance: Callable[[int], None],
    make: Maker = maker,
) -> None:
    """Take a sample of every case. wanted: None for a sample that is on disk; make: what builds a case; advance: told
    how many more cases are done, old ones included.
    """
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        with torch.inference_mode():
            measure = CaseProfiler().measure if device == "cuda" else _measure_on_cpu
            chunk: list[Case] = []
            for case in wanted:
                if case is None:
                    advance(1)
                    continue
                chunk.append(case)
                if len(chunk) == (CHUNK if device == "cuda" else 8):
                    _take([make(c, device) for c in chunk], chunk, measure, file)
                    advance(len(chunk))
                    chunk = []
            if chunk:
                _take([make(c, device) for c in chunk], chunk, measure, file)
                advance(len(chunk))
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def _take(
    makers: Sequence[Made],
    chunk: Sequence[Case],
    measure: Callable[..., list[KernelSample | None]],
    file: SampleFile,
) -> None:
    samples = measure(makers)
    file.append(_row(case, sample) for case, sample in zip(chunk, samples, strict=True))


def describe(case: Case) -> dict[str, Any]:
    """What a sample says of its case."""
    return {
        "key": case.key,
        "family": case.kernel.family,
        "dtype": case.kernel.dtype,
        "op": case.op,
        "dims": {name: int(d) if float(d).is_integer() else d for name, d in case.kernel.dims.items()},
    }


def _row(case: Case, sample: KernelSample | None) -> dict[str, Any]:
    row = describe(case)
    if sample is None:
        return {**row, "failed": True}
    return {**row, "seconds": sample.seconds, "launches": sample.launches, "kernel": sample.name}


def _measure_on_cpu(
    makers: Sequence[Made],
) -> list[KernelSample | None]:
    """Wall time of a call on the CPU, where host and kernel are one lane."""
    samples: list[KernelSample | None] = []
    for make in makers:
        try:
            call, _ = make()
            call()
        except (RuntimeError, NotImplementedError):
            samples.append(None)
            continue
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        samples.append(KernelSample(float(np.percentile(times, 25)), 1, ""))
    return samples
