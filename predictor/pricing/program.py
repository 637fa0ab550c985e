"""Prices of a program: what its calls cost on the host, and its kernels on the device, at all of its sizes at once."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.calibration.host_costs import HostCosts, kind_of_call
from predictor.calibration.load import Calibration, load_calibration
from predictor.calibration.schema import TYPICAL
from predictor.calibration.trees import Forest
from predictor.errors import PredictorError
from predictor.graph.coldness import HALF_DISTANCE, reuse_distances
from predictor.kernels.families import FAMILIES
from predictor.ops import OPS
from predictor.pricing.kernels import RowPrices, features_of, price_rows, roofline_s
from predictor.records import (
    NEXT_GRAPH,
    CallTable,
    HostCall,
    HostRow,
    Kernel,
    KernelGroup,
    PricedProgram,
    Program,
    PythonWork,
    SizedProgram,
    Trait,
    Variant,
)

Array = NDArray[np.float64]

HOST_ELEMENTS = 2**14
"""Elements of the timed calls on the CPU (``Variant.MANY``); the plain one has few."""

HOST_DTYPE = {"tf32": "fp32", "bf16": "fp16"}
"""Dtypes whose host costs are those of another: the same code path issues them."""

CPU_ELEMENT_S = 1.2e-10
"""Of an element that a CPU passes over with vector code on all cores, where the calibration of a runtime has not timed
calls on it. Measured with ONNX Runtime on 16 virtual Xeon cores: 0.12 ns (Cast), 0.17 (DynamicQuantizeLinear), with a
host probe 1.7 times that of the H200's host, which the constant is for; a judgement for others.
"""

PROBE_S = 1.43e-3
"""Of the probe of the host that ``CPU_ELEMENT_S`` is for, the H200's."""

UNCALLED = frozenset({Trait.HOST, Trait.GUARD})
"""Traits of what a runtime does without calling anything: it costs no ``HostCosts.call_s``."""


@dataclass(frozen=True, slots=True, eq=False)
class HostProfile:
    """What a program's calls cost on a host whatever their sizes, arrays (calls,).

    hot_s: of the timed call, in a tight loop; cold_s: what being cold adds, in all; element_s: of each element that the
    host computes; timed_launches: of kernels, by the timed call; timed_shape_s: what ``HostCosts.library_calls`` says
    of the timed call's shape, not a number where it says nothing; shape_kernel: position of the kernel that decides on
    the library's cost by shape, among the call's program's kernels, -1 where none does; shape_key: family and dtype of
    its model, of every kind of call; kind_of: position of each call's kind; call_s, factor, python_s: added to,
    multiplied with, and added again.
    """

    hot_s: Array
    cold_s: Array
    element_s: Array
    timed_launches: Array
    timed_shape_s: Array
    shape_kernel: NDArray[np.int64]
    shape_key: tuple[tuple[str, str] | None, ...]
    kind_of: NDArray[np.int64]
    call_s: Array
    factor: Array
    python_s: Array
    tail_s: float


def call_table(program: Program) -> CallTable:
    """A program's calls by their kinds."""
    numbers: dict[Any, int] = {}
    kinds: list[HostCall] = []
    kind_of = []
    for call in program.calls:
        number = numbers.setdefault(_kind(call), len(kinds))
        if number == len(kinds):
            kinds.append(call)
        kind_of.append(number)
    rows: dict[HostRow, int] = {}
    row_of_kind = [rows.setdefault(call.row, len(rows)) for call in kinds]
    distance = reuse_distances([row_of_kind[number] for number in kind_of])
    python = [(call.python.cold_lines, call.python.cold_modules, call.python.calls) for call in program.calls]
    cold_lines, cold_modules, functions = np.array(python, dtype=float).reshape(-1, 3).T.copy()
    distances = np.array(distance, dtype=float)
    return CallTable(tuple(kinds), np.array(kind_of, dtype=np.int64), distances, cold_lines, cold_modules, functions)


def _kind(call: HostCall) -> tuple[Any, ...]:
    """All of a call that its cost on a host depends on, whatever its sizes and the Python before it."""
    kernels = tuple([(kernel.family, kernel.dtype, kernel.times) for kernel in call.kernels])
    return call.op, call.variant, call.trait, call.parts, call.extra, call.elements > 0, call.uncompiled, kernels


def host_profile(program: Program, host: HostCosts, table: CallTable | None = None) -> HostProfile:
    """What a program's calls cost on a host whatever their sizes. table: of its calls, where it is known."""
    table = table or call_table(program)
    dtype = HOST_DTYPE.get(program.dtype, program.dtype)
    costs = [_kind_cost(call, dtype, host) for call in table.kinds]
    of_kinds = np.array([cost[0] for cost in costs], dtype=float).reshape(-1, 7)
    hot, cold, element, launches, shapes, called, factor = of_kinds[table.kind_of].T.copy()
    number = np.array([cost[1] for cost in costs], dtype=np.int64)[table.kind_of]
    line, module, function = (
        np.array([_python_costs(call, host) for call in table.kinds]).reshape(-1, 3)[table.kind_of].T
    )
    counts = np.array([len(call.kernels) for call in table.kinds], dtype=np.int64)[table.kind_of]
    return HostProfile(
        hot_s=hot,
        cold_s=cold * (table.distance / (table.distance + HALF_DISTANCE)),
        element_s=element,
        timed_launches=launches,
        timed_shape_s=shapes,
        shape_kernel=np.where(number >= 0, np.cumsum(counts) - counts + number, -1),
        shape_key=tuple(cost[2] for cost in costs),
        kind_of=table.kind_of,
        call_s=called,
        factor=factor,
        python_s=line * table.cold_lines + module * table.cold_modules + function * table.functions,
        tail_s=python_s(program.tail, host),
    )


def _python_costs(call: HostCall, host: HostCosts) -> tuple[float, float, float]:
    """Seconds of a cold line, a cold module and a function before a call."""
    host = host.of(call)
    return host.line_s, host.module_s, host.function_s


KINDS = 4096
"""Kinds of calls that a host's costs are remembered of."""


def _kind_cost(call: HostCall, dtype: str, host: HostCosts) -> tuple[tuple[float, ...], int, tuple[str, str] | None]:
    """Of a kind of call: columns of a profile, and the kernel whose library call is modelled by shape, see
    ``_shape_kernel``.
    """
    key = dtype, _kind(call)
    known: tuple[tuple[float, ...], int, tuple[str, str] | None] | None = host.known_calls.get(key)
    if known is not None:
        return known
    runtime, host = host, host.of(call)
    if call.op == NEXT_GRAPH and call.trait is Trait.GUARD:
        hot_s, cold_s, timed_launches = host.fixed_s / host.op_factor, host.fixed_s / host.op_factor, 0.0
    else:
        hot_s, cold_s, timed_launches = dispatch_s(call, dtype, host)
    by_shape = _shape_kernel(call.kernels, host)
    inner = _inner_operators(call, timed_launches, by_shape[1] is not None, host)
    if inner:
        copied = host.typical.get(Trait.COPY, host.typical[TYPICAL])
        hot_s, cold_s = hot_s + inner * copied.hot_s, cold_s + copied.cold_s + (inner - 1) * copied.hot_s
        timed_launches += inner
    ratio = host.op_factor / runtime.op_factor
    library_s = _within_s(call, host)
    known = (
        (
            hot_s + library_s,
            host.cold_factor * (cold_s - hot_s) / ratio,
            _element_s(call, host) if call.elements else 0.0,
            timed_launches,
            _timed_library_s(call, dtype, host),
            0.0 if call.trait in UNCALLED else host.call_s / ratio,
            ratio * host.kinds.get(kind_of_call(call.trait), 1.0),
        ),
        *by_shape,
    )
    if len(runtime.known_calls) >= KINDS:
        runtime.known_calls.clear()
    runtime.known_calls[key] = known
    return known


def _inner_operators(call: HostCall, timed_launches: float, by_shape: bool, host: HostCosts) -> int:
    """Operators that run within a call and not within the timed one: copies of what lies across the memory before a
    product or a norm, a mask that is written anew. Each costs what it costs by itself: it allocates and is set up.
    by_shape: the cost of the call's product is known by its shape; all but products are then beside it. What finds
    places for the host to wait for launches a library's kernels, no operators.
    """
    if row_of(call.row, host.calls) is None or call.trait is Trait.REPLAY or call.sync:
        return 0
    if by_shape:
        return sum(kernel.times for kernel in call.kernels if not FAMILIES[kernel.family].matrix)
    return max(sum(kernel.times for kernel in call.kernels) - max(math.ceil(timed_launches), 1), 0)


PRODUCTS = frozenset({Trait.GEMM, Trait.PRODUCT, Trait.CONV})
"""Traits of calls whose own cost holds a product's."""

IN_A_LAYER, IN_A_SESSIONS_LAYER = 0.825, 1 / 3
"""Of what a product's library takes before it launches, what a step of a recurrent layer takes: the layer's library has
chosen its products by then. Measured from torch, where a step of a product and a kernel of its gates takes 12.7 us, two
launches 7.5 and a linear layer 6.3 more than its launch; and under ONNX Runtime, four models with LSTM or GRU layers,
two hosts, batches 1 and 16, 4 % mean error.
"""

LAYERS_S = 8.0e-5
"""Of a call of torch's recurrent layers, beside its launches, on a host whose probe takes ``PROBE_S``: views of the
flat weights and cuDNN's descriptors are made anew at every call.
"""


def _within_s(call: HostCall, host: HostCosts) -> float:
    """What calls of a product's library cost beside their launches, within a call that is more than a product: a step
    of a recurrent layer, the products of an attention. Known where a launch is part of a typical call's cost; where it
    is not, of recurrent layers, whose calls have a cost of their own. A replay calls no library.
    """
    product = host.typical.get(Trait.GEMM)
    if product is None or call.trait in PRODUCTS or call.trait is Trait.REPLAY:
        return 0.0
    share, once_s = 1.0 if product.launches else 0.0, 0.0
    if call.trait is Trait.RNN:
        share = IN_A_SESSIONS_LAYER if product.launches else IN_A_LAYER
        once_s = 0.0 if product.launches else LAYERS_S * (host.probe_s or PROBE_S) / PROBE_S
    others_s = host.typical[TYPICAL].hot_s
    count = sum(kernel.times for kernel in call.kernels if FAMILIES[kernel.family].matrix)
    return once_s + share * count * max(product.hot_s - others_s, 0.0)


def _shape_kernel(kernels: Sequence[Kernel], host: HostCosts) -> tuple[int, tuple[str, str] | None]:
    """(Number, family and dtype of the model) of the first kernel whose library call is modelled by shape."""
    for number, kernel in enumerate(kernels):
        for dtype in (kernel.dtype, HOST_DTYPE.get(kernel.dtype, "tf32")):
            if (kernel.family, dtype) in host.library_calls:
                return number, (kernel.family, dtype)
    return -1, None


def _refuse_unmeasured(sized: SizedProgram, calibration: Calibration) -> None:
    unmeasured = {group.family for group in sized.groups if FAMILIES[group.family].only_measured}
    unmeasured -= {key.family for key in calibration.fits}
    if not unmeasured:
        return
    call, kernel = next((c, k) for c in sized.program.calls for k in c.kernels if k.family in unmeasured)
    named = f"{call.op}, {call.origin.file}:{call.origin.line}," if call.origin.file else "the model"
    raise PredictorError(
        f"{named} multiplies matrices of {kernel.dtype}, which nobody has measured on {calibration.gpu}: "
        "predict the module as it was before it was quantised"
    )


def price(
    program: Program | SizedProgram,
    calibration: Calibration,
    host: HostCosts,
    profile: HostProfile | None = None,
    monotone: bool = False,
) -> PricedProgram:
    """Every call of a program with its host seconds and its priced kernels, in issue order. profile: ``host_profile``
    of the same program and host, where it is known; monotone: of the kernels, see ``pricing.kernels.kernel_seconds``.
    """
    sized = program if isinstance(program, SizedProgram) else SizedProgram.of(program)
    return price_together([(sized, profile or host_profile(sized.program, host))], calibration, host, monotone)[0]


def price_together(
    programs: Sequence[tuple[SizedProgram, HostProfile]],
    calibration: Calibration,
    host: HostCosts,
    monotone: bool = False,
) -> list[PricedProgram]:
    """Prices of many programs, each with its profile, see ``price``: kernels of one family are priced together, those
    that several programs have once. Raises PredictorError for kernels whose families are priced only where they were
    measured (``Family.only_measured``).
    """
    for sized, _ in programs:
        _refuse_unmeasured(sized, calibration)
    measured_with = load_calibration(host.reference_gpu) if host.reference_gpu else calibration
    kernels: dict[Any, list[Array]] = {}
    for sized, _ in programs:
        for group in sized.groups:
            kernels.setdefault((group.family, group.dtype, tuple(group.dims)), []).append(_rows(group))
    kernel_prices = {}
    for (family, dtype, names), parts in kernels.items():
        prices = price_rows(calibration, family, dtype, names, np.concatenate(parts), monotone)
        kernel_prices[family, dtype, names] = _taken(prices, parts)
    priced = [[_of_group(group, kernel_prices, calibration, host) for group in sized.groups] for sized, _ in programs]
    library: dict[Any, list[Array]] = {}
    shaped = []
    for (sized, profile), groups in zip(programs, priced, strict=True):
        shaped.append(list(_shaped_rows(sized, profile, [group[1] for group in groups])))
        for key, rows, _ in shaped[-1]:
            library.setdefault(key, []).append(rows)
    library_s = {}
    for (model, names), parts in library.items():
        seconds = library_rows(host, measured_with, model, names, np.concatenate(parts))
        library_s[model, names] = _taken(seconds, parts)
    return [
        _priced(sized, profile, groups, [(next(library_s[key]), calls) for key, _, calls in shapes], host)
        for (sized, profile), groups, shapes in zip(programs, priced, shaped, strict=True)
    ]


def _taken(values: Array, parts: Sequence[Array]) -> Iterator[Array]:
    """Values of each part of what was computed together."""
    start = 0
    for part in parts:
        yield values[start : start + len(part)]
        start += len(part)


def _priced(
    sized: SizedProgram,
    profile: HostProfile,
    kernels: Sequence[Array],
    library: Sequence[tuple[Array, NDArray[np.intp]]],
    host: HostCosts,
) -> PricedProgram:
    """A program with its prices. kernels: (4, sizes, kernels) of each group, see ``price_rows``; library: host seconds
    of library calls, and of which calls.
    """
    seconds, launches, compute, extrapolated = (
        np.concatenate(kernels, axis=2) if kernels else np.zeros((4, sized.sizes, 0))
    )[:, :, sized.kernel_of]
    launches = launches * sized.kernel_times
    host_s = _host_s(sized, launches, profile, library, host) * sized.call_times
    call_times = np.repeat(sized.call_times, np.diff(sized.first_kernel))
    seconds = seconds * sized.kernel_times * sized.kernel_share * call_times
    launches = launches * call_times
    return PricedProgram(
        host_s,
        profile.tail_s,
        sized.sync,
        seconds,
        launches.astype(np.int64),
        compute.astype(bool),
        extrapolated.astype(bool),
        sized.first_kernel,
    )


def _rows(group: KernelGroup) -> Array:
    """Dimensions of a group's kernels, (sizes x kernels, dimensions)."""
    return np.stack([array.ravel() for array in group.dims.values()], axis=1)


def _host_s(
    sized: SizedProgram,
    launches: Array,
    profile: HostProfile,
    library: Sequence[tuple[Array, NDArray[np.intp]]],
    host: HostCosts,
) -> Array:
    """Host seconds of every call, (sizes, calls). launches: (sizes, kernels); library: see ``_priced``."""
    total = np.zeros((sized.sizes, launches.shape[1] + 1))
    np.cumsum(launches, axis=1, out=total[:, 1:])
    of_call = total[:, sized.first_kernel[1:]] - total[:, sized.first_kernel[:-1]]
    launched = (of_call > 0) & (profile.timed_launches > 0)
    more_s = np.where(launched, (of_call - profile.timed_launches) * host.launch_s, 0.0)
    for library_s, calls in library:
        more_s[:, calls] = library_s.reshape(sized.sizes, -1) - profile.timed_shape_s[calls]
    hot_s = np.maximum(profile.hot_s + more_s, 0.0)
    seconds = host.op_factor * (hot_s + sized.elements * profile.element_s) + profile.cold_s + profile.call_s
    return np.asarray(seconds * profile.factor + profile.python_s)


def _shaped_rows(
    sized: SizedProgram, profile: HostProfile, launches_of_groups: Sequence[Array]
) -> Iterator[tuple[tuple[tuple[str, str], tuple[str, ...]], Array, NDArray[np.intp]]]:
    """For each group of kernels with calls whose library calls are modelled by shape: family and dtype of their model
    and names of the dimensions, those dimensions and then the launches (sizes x calls, dimensions + 1), and which
    calls. launches_of_groups: of one kernel, (sizes, kernels) of each group.
    """
    calls = np.flatnonzero((profile.shape_kernel >= 0) & ~np.isnan(profile.timed_shape_s))
    if not len(calls):
        return
    distinct = sized.kernel_of[profile.shape_kernel[calls]]
    first = 0
    for group, launches in zip(sized.groups, launches_of_groups, strict=True):
        members = (distinct >= first) & (distinct < first + group.count)
        if members.any():
            columns = distinct[members] - first
            key = profile.shape_key[int(profile.kind_of[calls[int(np.argmax(members))]])]
            assert key is not None
            known = (*group.dims.values(), launches)
            rows = np.stack([array[:, columns].ravel() for array in known], axis=1)
            yield (key, tuple(group.dims)), rows, calls[members]
        first += group.count


def _of_group(
    group: KernelGroup, prices: Mapping[Any, Iterator[Array]], calibration: Calibration, host: HostCosts
) -> Array:
    """(4, sizes, kernels): seconds, launches, compute-bound, extrapolated of a group's kernels, the next of those of
    its family.
    """
    rows = next(prices[group.family, group.dtype, tuple(group.dims)])
    if group.in_graph and "groups" in group.dims:
        dims = {name: array.ravel() for name, array in group.dims.items()}
        rows[:, 0] = _side_by_side(group, dims, rows[:, 0], rows[:, 1], calibration, host)
    return rows.T.reshape(4, -1, group.count)


ROOF_SHARE = 0.5
"""Of the roofline, what small kernels that run side by side reach together. A judgement."""


MOST_AT_ONCE = 5.0
"""Groups of a convolution that a CUDA graph runs at the same time, at the most: 256 channels of a depthwise convolution
took 1/4.3 and 1/5.8 of the sum of their kernels' times on an H100 (``benchmarks/onnx_files``, tall_depthwise).
"""


def _side_by_side(
    group: KernelGroup,
    dims: Mapping[str, Array],
    seconds: Array,
    launches: Array,
    calibration: Calibration,
    host: HostCosts,
) -> Array:
    """Kernels of a CUDA graph. A grouped convolution that a library runs group by group, on streams of its own, runs
    all groups at the same time there; from a host as many as there are launches in a kernel's time, which its seconds
    hold. What all gain is the square root of the groups: on an H200 a generated RegNet's convolutions took 0.8 of their
    time with two groups and 0.5 to 0.7 with four; no more than ``MOST_AT_ONCE``.
    """
    family = FAMILIES[group.family]
    if not family.groups_run_at_once:
        return seconds
    groups = dims["groups"]
    of_host = np.maximum(seconds / np.maximum(launches, 1) / host.launch_s, 1.0)
    if family.variant is Variant.DEPTHWISE:
        of_host = np.ones_like(seconds)
    most, complete = np.minimum(np.sqrt(groups), MOST_AT_ONCE), family.complete(dims)
    if family.group_blocks is None:
        roof_s = np.maximum(*roofline_s(calibration, family, group.dtype, complete)) / ROOF_SHARE
    else:
        most = np.minimum(most, calibration.device.sms / family.group_blocks(complete))
        roof_s = np.zeros_like(seconds)
    gain = np.maximum(most / of_host, 1.0)
    gained = np.minimum(np.maximum(seconds / gain, roof_s), seconds)
    return np.where(launches < groups, seconds, gained)


def python_s(work: PythonWork, host: HostCosts) -> float:
    """Host seconds of the Python before a call."""
    return host.line_s * work.cold_lines + host.module_s * work.cold_modules + host.function_s * work.calls


def library_rows(
    host: HostCosts, calibration: Calibration, key: tuple[str, str], names: tuple[str, ...], rows: Array
) -> Array:
    """Host seconds of the library calls for kernels of one family and dtype (key), (kernels,). rows: (kernels,
    dimensions + 1), the last the launches; names: of the dimensions; calibration: of the GPU with which the host was
    measured.
    """
    forest = host.library_calls[key]
    known = host.known_calls.setdefault(("library", calibration, key, names), RowPrices(1))

    def price(missing: Array) -> Array:
        dims = dict(zip(names, missing[:, :-1].T, strict=True))
        return library_s(forest, calibration, *key, dims, missing[:, -1])[:, None]

    return np.asarray(known.of(rows, price))[:, 0]


def library_s(
    forest: Forest, calibration: Calibration, family: str, dtype: str, dims: Mapping[str, Any], launches: Array
) -> Array:
    """Host seconds of the library calls for kernels of one family, by their dimensions and launches, (kernels,)."""
    return np.asarray(np.exp(forest.predict(shape_features(calibration, family, dtype, dims, launches))))


def shape_features(
    calibration: Calibration, family: str, dtype: str, dims: Mapping[str, Any], launches: Array
) -> Array:
    """What the host cost of a call on matrix units is regressed on: its kernel's features, but for those that came
    later, and the launches in it.
    """
    row = FAMILIES[family]
    arrays = {name: np.ravel(array) for name, array in row.complete(dims).items()}
    features = features_of(calibration, family, dtype, arrays)
    known = features.shape[1] - (len(row.later(arrays)) if row.later is not None else 0)
    return np.column_stack([features[:, :known], np.log2(launches)])


def _timed_library_s(call: HostCall, dtype: str, host: HostCosts) -> float:
    """What ``HostCosts.library_calls`` says of the timed call's shape, not a number where it says nothing."""
    row = row_of(call.row, host.calls)
    cost = host.calls[row].get(dtype) if row else None
    return cost.library_s if cost and cost.library_s is not None else math.nan


def _element_s(call: HostCall, host: HostCosts) -> float:
    """What the host takes for one element of a tensor on the CPU: it computes with one thread, as it does below
    ``HOST_ELEMENTS``. Where a runtime has no such calls timed a judgement stands in.
    """
    if HostRow("host") not in host.calls:
        return CPU_ELEMENT_S * (host.probe_s or PROBE_S) / PROBE_S
    row = HostRow("host", Variant.MANY_HEAVY if call.variant is Variant.HEAVY else Variant.MANY)
    many, few = (host.calls.get(timed_row, {}).get("fp32") for timed_row in (row, HostRow("host")))
    return max(many.hot_s - few.hot_s, 0.0) / HOST_ELEMENTS if many and few else 0.0


def dispatch_s(call: HostCall, dtype: str, host: HostCosts) -> tuple[float, float, float]:
    """Measured seconds of a call, hot and cold, and the launches in them: its own, else those of its parts, else what
    is typical. A part that comes again is warm by then. A check that was not told apart is in what others cost.
    """
    measured_row = row_of(call.row, host.calls)
    extra = tuple(HostRow(op) for op in call.extra)
    wanted = (measured_row, *extra) if measured_row else tuple(HostRow(op) for op in call.parts) or (call.row,)
    hot_s = cold_s = launches = 0.0
    for position, wanted_row in enumerate(wanted):
        row = row_of(wanted_row, host.calls)
        if row is None and call.trait is Trait.GUARD:
            hot = cold = 0.0
        elif row is None:
            trait = OPS[wanted_row.op].trait if wanted_row.op in OPS else call.trait
            typical = host.typical.get(trait, host.typical[TYPICAL])
            hot, cold = typical.hot_s, typical.cold_s
            launches += typical.launches or trait is Trait.RNN  # the first of them
        else:
            costs = host.calls[row]
            cost = costs.get(dtype) or next(iter(costs.values()))
            hot, cold = cost.hot_s, cost.cold_s
            launches += cost.launches if dtype in costs else 0.0
        hot_s += hot
        cold_s += hot if wanted_row in wanted[:position] else cold
    return hot_s, cold_s, launches


def row_of(row: HostRow, rows: Container[HostRow]) -> HostRow | None:
    """The calibrated row for an operator: itself, its out-of-place form, or the plain form of a variant."""
    stand_in = HostRow(row.op.strip("_") if row.variant is Variant.USUAL else row.op)
    return next((candidate for candidate in (row, stand_in) if candidate in rows), None)
