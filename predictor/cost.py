"""Prices: what a program's calls cost on the host, and its kernels on the device."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from predictor.calibration import Calibration, HostCosts
from predictor.records import HostCall, Kernel, PricedCall, PricedKernel, Program

HOST_DTYPE = {"tf32": "fp32", "bf16": "fp16"}
"""Dtypes whose host costs are those of another: the same code path issues them."""


def price(program: Program, calibration: Calibration, host: HostCosts) -> tuple[PricedCall, ...]:
    """Every call of the program with its host seconds and its priced kernels, in issue order."""
    kernels = iter(_price_kernels([k for call in program.calls for k in call.kernels], calibration))
    priced = []
    for call in program.calls:
        own = tuple(next(kernels) for _ in call.kernels)
        launches = sum(k.launches for k in own)
        priced.append(PricedCall(_host_s(call, launches, program.dtype, host), own, call.sync))
    tail = PricedCall(host.python_call_s * program.tail_python_calls, ())
    return (*priced, tail)


def _price_kernels(kernels: Iterable[Kernel], calibration: Calibration) -> list[PricedKernel]:
    kernels = list(kernels)
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for position, kernel in enumerate(kernels):
        groups[kernel.family, kernel.dtype].append(position)
    priced: dict[int, PricedKernel] = {}
    for (family, dtype), positions in groups.items():
        names = kernels[positions[0]].dims
        dims = {name: np.array([kernels[p].dims[name] for p in positions], dtype=float) for name in names}
        for position, seconds, launches, compute in zip(
            positions, *calibration.price(family, dtype, **dims), strict=True
        ):
            bound = "compute" if compute else "memory"
            priced[position] = PricedKernel(float(seconds), int(launches), bound)
    return [priced[p] for p in range(len(kernels))]


def _host_s(call: HostCall, launches: int, dtype: str, host: HostCosts) -> float:
    seconds, timed_launches = dispatch_s(call, HOST_DTYPE.get(dtype, dtype), host)
    if launches and timed_launches:
        seconds += (launches - timed_launches) * host.launch_s
    return host.dispatch * max(seconds, 0.0) + host.torch_call_s + host.python_call_s * call.python_calls


def dispatch_s(call: HostCall, dtype: str, host: HostCosts) -> tuple[float, float]:
    """Measured seconds of a call, and the launches in them: its own, else those of its parts, else what is typical."""
    own = _row(call.op, host)
    names = (own, *call.extra) if own else call.parts or (call.op,)
    seconds = launches = 0.0
    for name in names:
        row = _row(name, host)
        if row is None:
            seconds += host.typical_s.get(call.trait, host.typical_s["pointwise"])
            continue
        costs, counts = host.calls[row], host.launches.get(row, {})
        seconds += costs.get(dtype, next(iter(costs.values())))
        launches += counts.get(dtype, 0.0)
    return seconds, launches


def _row(op: str, host: HostCosts) -> str | None:
    """The calibrated row for an operator: itself, its out-of-place form, or the plain form of a variant."""
    return next((name for name in (op, op.strip("_"), op.split(" ")[0]) if name in host.calls), None)
