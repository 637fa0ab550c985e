"""Host cost of a call by its shape, where a library chooses how to run it: a convolution is one launch or seventy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import torch
from msgspec.structs import replace

from calibrate.measure.sweep import dims_of
from calibrate.measure.timers import Probe, tight_seconds
from calibrate.samples.records import ShapeSample
from calibrate.samples.store import SampleFile
from calibrate.workloads.device import Run
from calibrate.workloads.recipes import Scale
from calibrate.workloads.sweeps import KernelCase, make_case, maker
from predictor.kernels.families import FAMILIES, MeasuredIn

SCALE = Scale(elements=2e7, macs=3e9)
"""Small enough that the device keeps up with the host."""

CALLS = 8
CHUNK = 8

SHARES = {"conv": 1.2, "conv_grouped": 3.0}
"""Families that a library runs in many ways -> their share of the cases; the others have ``USUAL_SHARE``."""

USUAL_SHARE = 0.6


def total(count: int) -> int:
    """How many cases there are for an average of ``count``."""
    return 2 * sum(_counts(count).values())


def _counts(count: int) -> dict[str, int]:
    """Families that no other stands in for: those share its host costs."""
    rows = {n for n, r in FAMILIES.items() if r.matrix and r.measured_in is MeasuredIn.CALLS and not r.stand_in}
    return {name: round(SHARES.get(name, USUAL_SHARE) * count) for name in FAMILIES if name in rows}


def cases(count: int) -> Iterator[KernelCase]:
    """Cases of every family on matrix units in two dtypes, ``count`` on average of each, interleaved."""
    counts = _counts(count)
    for index in range(max(counts.values())):
        for family in (family for family, family_count in counts.items() if index < family_count):
            for dtype in ("tf32" if FAMILIES[family].tf32_by_default else "fp32", "fp16"):
                yield make_case(family, dtype, index, SCALE)


def prepare_shapes(file: SampleFile, device: str, count: int) -> list[KernelCase]:
    """Draw every case and call those that are not in the file yet: a library loads what it runs them with, and needs no
    quiet host for that.
    """
    drawn = list(cases(count))
    with _precision_kept(), torch.inference_mode():
        for number, case in enumerate(drawn):
            if not file.has(ShapeSample, case.id):
                _try(case, device)
            if device == "cuda" and number % CHUNK == 0:  # other processes want its memory, too
                torch.cuda.empty_cache()
    return drawn


def run_shapes(drawn: Sequence[KernelCase], file: SampleFile, device: str, advance: Callable[[int], None]) -> None:
    """Time the host side of every case, the host probe around every few."""
    probe = Probe(device)
    with _precision_kept(), torch.inference_mode():
        remaining = iter(drawn)
        while chunk := list(islice(remaining, CHUNK)):
            missing = [case for case in chunk if not file.has(ShapeSample, case.id)]
            if missing:
                first = probe.recent()
                timed = [(case, _time(case, device)) for case in missing]
                probes = (first, probe())
                file.append(_sample(case, loops_s, probes) for case, loops_s in timed)
            advance(len(chunk))


@contextmanager
def _precision_kept() -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def _time(case: KernelCase, device: str) -> tuple[float, ...]:
    """Seconds of a call in three short loops, fewer launches than wait in a stream; none where it cannot run."""
    call = _try(case, device)
    return tuple(tight_seconds(call, device, CALLS) for _ in range(3)) if call else ()


def _try(case: KernelCase, device: str) -> Run | None:
    """The call, which has run; None where it cannot."""
    try:
        call, _ = maker(case, device)()
        call()
        call()
        return call
    except (RuntimeError, NotImplementedError) as error:
        if "CUDA error" in str(error):
            raise
        return None


def _sample(case: KernelCase, loops_s: tuple[float, ...], probe_s: tuple[float, float]) -> ShapeSample:
    sample = ShapeSample(case.id, case.kernel.dtype, case.op, dims_of(case))
    return replace(sample, loops_s=loops_s, probe_s=probe_s) if loops_s else sample
