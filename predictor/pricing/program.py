"""Prices: what a program's calls cost on the host, and its kernels on the device."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.calibration.host_costs import HostCosts, kind_of_call
from predictor.calibration.load import Calibration, load_calibration
from predictor.calibration.schema import TYPICAL
from predictor.calibration.trees import Forest
from predictor.graph.coldness import coldness
from predictor.kernels.families import FAMILIES
from predictor.ops import OPS
from predictor.records import HostCall, HostRow, Kernel, PricedCall, PricedKernel, Program, PythonWork, Variant

HOST_ELEMENTS = 2**14
"""Elements of the timed calls on the CPU (``Variant.MANY``); the plain one has few."""

HOST_DTYPE = {"tf32": "fp32", "bf16": "fp16"}
"""Dtypes whose host costs are those of another: the same code path issues them."""

UNCALLED = frozenset({"host", "guard"})
"""Traits of what a runtime does without calling anything: it costs no ``HostCosts.call_s``."""


def price(program: Program, calibration: Calibration, host: HostCosts) -> tuple[PricedCall, ...]:
    """Every call of the program with its host seconds and its priced kernels, in issue order."""
    kernels = iter(_price_kernels([k for call in program.calls for k in call.kernels], calibration))
    cold = coldness([call.row for call in program.calls])
    libraries = _library_s(program, load_calibration(host.reference_gpu) if host.reference_gpu else calibration, host)
    priced = []
    for call, call_cold, library_s in zip(program.calls, cold, libraries, strict=True):
        own = tuple(next(kernels) for _ in call.kernels)
        if call.trait == "replay":
            own = tuple(_side_by_side(k, p, calibration, host) for k, p in zip(call.kernels, own, strict=True))
        seconds = host.op_factor * _call_s(call, own, program.dtype, host, call_cold, library_s)
        seconds += 0.0 if call.trait in UNCALLED else host.call_s
        seconds *= host.kinds.get(kind_of_call(call.trait), 1.0)
        priced.append(PricedCall(seconds + python_s(call.python, host), own, call.sync))
    return (*priced, PricedCall(python_s(program.tail, host), ()))


ROOF_SHARE = 0.5
"""Of the roofline, what small kernels that run side by side reach together. A judgement."""


def _side_by_side(kernel: Kernel, priced: PricedKernel, calibration: Calibration, host: HostCosts) -> PricedKernel:
    """A kernel of a CUDA graph. A grouped convolution that a library runs group by group, on streams of its own, runs
    all groups at the same time there; from a host only where a kernel takes longer than the launch of the next. What
    that gains is the square root of the groups: on an H200 a generated RegNet's convolutions took 0.8 of their time
    with two groups and 0.5 to 0.7 with four.
    """
    groups = kernel.dims.get("groups", 1)
    if not kernel.family.endswith("conv_grouped") or priced.launches < groups:
        return priced
    if priced.seconds / priced.launches > host.launch_s:
        return priced
    family = FAMILIES[kernel.family]
    compute, memory = calibration.base(family, kernel.dtype, family.complete(kernel.dims))
    roof_s = float(max(compute, memory)) / ROOF_SHARE
    return replace(priced, seconds=min(max(priced.seconds / math.sqrt(groups), roof_s), priced.seconds))


def python_s(work: PythonWork, host: HostCosts) -> float:
    """Host seconds of the Python before a call."""
    return host.line_s * work.cold_lines + host.module_s * work.cold_modules


def _price_kernels(kernels: Iterable[Kernel], calibration: Calibration) -> list[PricedKernel]:
    kernels = list(kernels)
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for position, kernel in enumerate(kernels):
        groups[kernel.family, kernel.dtype].append(position)
    priced: dict[int, PricedKernel] = {}
    for (family, dtype), positions in groups.items():
        names = kernels[positions[0]].dims
        dims = {name: np.array([kernels[p].dims[name] for p in positions], dtype=float) for name in names}
        outside = calibration.extrapolated(family, dtype, "model", **dims)
        for position, far, seconds, launches, compute in zip(
            positions, outside, *calibration.price(family, dtype, "model", **dims), strict=True
        ):
            bound = "compute" if compute else "memory"
            priced[position] = PricedKernel(float(seconds), int(launches), bound, bool(far))
    return [priced[p] for p in range(len(kernels))]


def _library_s(program: Program, calibration: Calibration, host: HostCosts) -> list[float | None]:
    """Per call: host seconds of the library call for its first kernel on matrix units; None where there is none."""
    groups: dict[tuple[str, str], dict[int, Kernel]] = defaultdict(dict)
    for position, call in enumerate(program.calls):
        for kernel in call.kernels:
            same = (kernel.dtype, HOST_DTYPE.get(kernel.dtype, "tf32"))
            key = next(((kernel.family, d) for d in same if (kernel.family, d) in host.library_calls), None)
            if key is not None:
                groups[key][position] = kernel
                break
    found: list[float | None] = [None] * len(program.calls)
    for (family, dtype), kernels in groups.items():
        seconds = library_s(host.library_calls[family, dtype], calibration, family, dtype, list(kernels.values()))
        for position, one in zip(kernels, seconds, strict=True):
            found[position] = float(one)
    return found


def library_s(
    forest: Forest, calibration: Calibration, family: str, dtype: str, kernels: Sequence[Kernel]
) -> NDArray[np.float64]:
    """Host seconds of the library calls for some kernels of one family."""
    dims = {name: np.array([k.dims[name] for k in kernels], dtype=float) for name in kernels[0].dims}
    return np.exp(forest.predict(shape_features(calibration, family, dtype, dims)))


def shape_features(calibration: Calibration, family: str, dtype: str, dims: Mapping[str, Any]) -> Any:
    """What the host cost of a call on matrix units is regressed on: its kernel's features and the launches in it."""
    row = FAMILIES[family]
    features = row.matrix_of_features(row.complete(dims), dtype, calibration.sms)
    launches = calibration.price(family, dtype, "model", **dims)[1]
    return np.column_stack([features, np.log2(launches)])


def _call_s(
    call: HostCall, kernels: Sequence[PricedKernel], dtype: str, host: HostCosts, cold: float, library: float | None
) -> float:
    dtype = HOST_DTYPE.get(dtype, dtype)
    hot_s, cold_s, timed_launches = dispatch_s(call, dtype, host)
    if call.elements:
        return hot_s + (cold_s - hot_s) * cold + call.elements * _element_s(call, host)
    launches = sum(k.launches for k in kernels)
    timed_s = timed_library_s(call, dtype, host)
    more_s = 0.0
    if library is not None and timed_s is not None:
        more_s = library - timed_s
    elif launches and timed_launches:
        more_s = (launches - timed_launches) * host.launch_s
    return max(hot_s + more_s, 0.0) + (cold_s - hot_s) * cold


def timed_library_s(call: HostCall, dtype: str, host: HostCosts) -> float | None:
    """What ``HostCosts.library_calls`` says of the timed call's shape, None where it says nothing."""
    row = row_of(call.row, host.calls)
    cost = host.calls[row].get(dtype) if row else None
    return cost.library_s if cost else None


def _element_s(call: HostCall, host: HostCosts) -> float:
    """What the host takes for one element of a tensor on the CPU: it computes with one thread, as it does below
    ``HOST_ELEMENTS``.
    """
    row = HostRow("host", Variant.MANY_HEAVY if call.variant is Variant.HEAVY else Variant.MANY)
    many, few = (host.calls.get(one, {}).get("fp32") for one in (row, HostRow("host")))
    return max(many.hot_s - few.hot_s, 0.0) / HOST_ELEMENTS if many and few else 0.0


def dispatch_s(call: HostCall, dtype: str, host: HostCosts) -> tuple[float, float, float]:
    """Measured seconds of a call, hot and cold, and the launches in them: its own, else those of its parts, else what
    is typical. A part that comes again is warm by then.
    """
    own = row_of(call.row, host.calls)
    extra = tuple(HostRow(op) for op in call.extra)
    wanted = (own, *extra) if own else tuple(HostRow(op) for op in call.parts) or (call.row,)
    hot_s = cold_s = launches = 0.0
    for position, one in enumerate(wanted):
        row = row_of(one, host.calls)
        if row is None:
            trait = OPS[one.op].trait if one.op in OPS else call.trait
            typical = host.typical.get(trait, host.typical[TYPICAL])
            hot, cold = typical.hot_s, typical.cold_s
            launches += trait == "rnn"  # the first of them
        else:
            costs = host.calls[row]
            cost = costs.get(dtype) or next(iter(costs.values()))
            hot, cold = cost.hot_s, cost.cold_s
            launches += cost.launches if dtype in costs else 0.0
        hot_s += hot
        cold_s += hot if one in wanted[:position] else cold
    return hot_s, cold_s, launches


def row_of(row: HostRow, rows: Container[HostRow]) -> HostRow | None:
    """The calibrated row for an operator: itself, its out-of-place form, or the plain form of a variant."""
    out_of_place = HostRow(row.op.strip("_"), row.variant)
    return next((one for one in (row, out_of_place, HostRow(row.op)) if one in rows), None)
