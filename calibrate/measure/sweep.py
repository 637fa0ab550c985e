"""The kernel sweep: device time of seeded random calls of every family, appended to a sample file as it is made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import torch
from msgspec.structs import replace

from calibrate.measure.timers import REPEATS, CaseProfiler, KernelTime
from calibrate.samples.records import Dims, KernelSample
from calibrate.samples.rounds import lower_quartile
from calibrate.samples.store import SampleFile
from calibrate.workloads.sweeps import KernelCase, Made, Maker, maker

CHUNK = 192


def run_sweep(
    wanted: Iterable[KernelCase | None],
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
            chunk: list[KernelCase] = []
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
    chunk: Sequence[KernelCase],
    measure: Callable[..., list[KernelTime | None]],
    file: SampleFile,
) -> None:
    samples = measure(makers)
    file.append(_sample(case, sample) for case, sample in zip(chunk, samples, strict=True))


def dims_of(case: KernelCase) -> Dims:
    """Dimensions of a case as a sample has them: whole numbers without a point."""
    return {name: int(d) if float(d).is_integer() else d for name, d in case.kernel.dims.items()}


def _sample(case: KernelCase, taken: KernelTime | None) -> KernelSample:
    sample = KernelSample(case.id, case.kernel.dtype, case.op, dims_of(case))
    if taken is None:
        return sample
    return replace(sample, repeats_s=taken.repeats_s, launches=taken.launches, name=taken.name)


def _measure_on_cpu(
    makers: Sequence[Made],
) -> list[KernelTime | None]:
    """Wall time of a call on the CPU, where host and kernel are one lane."""
    samples: list[KernelTime | None] = []
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
        samples.append(KernelTime((lower_quartile(times),), 1, ""))
    return samples
