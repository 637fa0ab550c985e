"""Every record that travels between the stages. Seconds, bytes and FLOPs, with the unit in the name."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictor.breakdown import Breakdown
from predictor.errors import PredictorError

ITEMSIZE = {
    "fp64": 8,
    "fp32": 4,
    "fp16": 2,
    "bf16": 2,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
    "uint16": 2,
    "uint32": 4,
    "uint64": 8,
    "int4": 1,
    "uint4": 1,
    "fp4": 1,
    "string": 16,
    "fp8_e4m3": 1,
    "fp8_e5m2": 1,
    "complex32": 4,
    "complex64": 8,
    "complex128": 16,
}
"""Bytes of one element, by dtype name."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor without its data: shape, dtype name (``ITEMSIZE``) and strides in elements."""

    shape: tuple[int, ...]
    dtype: str
    stride: tuple[int, ...]

    @property
    def elements(self) -> int:
        """Number of elements, an expanded dimension counted in full."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return ITEMSIZE.get(self.dtype, 4)

    @property
    def nbytes(self) -> int:
        """Bytes in memory: an expanded (stride 0) dimension is stored once."""
        return math.prod(n for n, s in zip(self.shape, self.stride, strict=True) if s) * self.itemsize

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements lie in row-major order without gaps."""
        expected = 1
        for n, s in zip(reversed(self.shape), reversed(self.stride), strict=True):
            if n != 1 and s != expected:
                return False
            expected *= n
        return True

    def transposed(self, dim: int) -> TensorSpec:
        """The view with a dimension exchanged for the last."""
        order = list(range(len(self.shape)))
        order[dim], order[-1] = order[-1], order[dim]
        return TensorSpec(tuple(self.shape[i] for i in order), self.dtype, tuple(self.stride[i] for i in order))

    @property
    def is_dense(self) -> bool:
        """Whether the elements fill one block of memory in some order of the dimensions."""
        expected = 1
        for s, n in sorted((s, n) for n, s in zip(self.shape, self.stride, strict=True) if n != 1):
            if s != expected:
                return False
            expected *= n
        return True


class Trait(StrEnum):
    """How a call behaves: what its operator does, or what a capture or a runtime has made of it.

    Of operators: GEMM (a matrix product), PRODUCT (ONNX's batched product), CONV, ATTENTION, RNN, REDUCTION
    (normalisations, too), LINALG (a decomposition, or a system solved), GATHER, COPY, FILL, POOL, SCAN, FFT, SORT,
    POINTWISE, VIEW (no kernel), SYNC (the host waits for the device), COMPOSITE (its parts run), OPAQUE (so do those of
    a custom one, which no compiler sees), UNMODELLED (nothing stands for it). Of calls that are no operator's: HOST (on
    tensors of the CPU), FUSED (a fuser's kernel), REPLAY (of a CUDA graph), GUARD (a check before compiled code).
    """

    GEMM = "gemm"
    PRODUCT = "product"
    CONV = "conv"
    ATTENTION = "attention"
    RNN = "rnn"
    REDUCTION = "reduction"
    GATHER = "gather"
    LINALG = "linalg"
    COPY = "copy"
    FILL = "fill"
    POOL = "pool"
    SCAN = "scan"
    FFT = "fft"
    SORT = "sort"
    POINTWISE = "pointwise"
    VIEW = "view"
    SYNC = "sync"
    COMPOSITE = "composite"
    OPAQUE = "opaque"
    UNMODELLED = "unmodelled"
    HOST = "host"
    FUSED = "fused"
    REPLAY = "replay"
    GUARD = "guard"


class Variant(StrEnum):
    """Which of an operator's paths a call takes, where they cost the host differently.

    DEPTHWISE, GROUPED: of a convolution; BROADCAST, SCALAR: of a pointwise operator whose second operand has another
    shape, or is a number; of a call on tensors that a model keeps on the CPU, whose operator is "host": VIEW; HEAVY:
    computes transcendental functions; MANY, MANY_HEAVY: the same on many elements.
    """

    USUAL = "usual"
    DEPTHWISE = "depthwise"
    GROUPED = "grouped"
    BROADCAST = "broadcast"
    SCALAR = "scalar"
    VIEW = "view"
    HEAVY = "heavy"
    MANY = "many"
    MANY_HEAVY = "many_heavy"


@dataclass(frozen=True, slots=True)
class PythonWork:
    """Python that runs between two operators.

    calls: of functions; cold_lines: distinct lines that each call runs, weighted by how cold its code is; cold_modules:
    calls of modules, weighted by how cold the module's own data is (``graph.coldness.coldness``).
    """

    calls: int = 0
    cold_lines: float = 0.0
    cold_modules: float = 0.0


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an operator call comes from.

    module: path of the innermost module that was being called ("encoder.layer.0.attention"), empty for the model
    itself; file, line: of the innermost code outside of torch that issued it, the file relative to where packages are
    installed for a library's; empty and 0 where it is not known.
    """

    module: str = ""
    file: str = ""
    line: int = 0

    @property
    def place(self) -> str:
        """File and line, empty where they are not known."""
        return f"{self.file}:{self.line}" if self.file else ""


UNKNOWN_ORIGIN = Origin()


COMPILED, UNCOMPILED = "compiled", "uncompiled"
"""Names of marks among a graph's operators, where a compiler makes several graphs of them: one begins, and what eager
mode runs between two begins. They cost nothing themselves.
"""

SIZES = "sizes"
"""Argument that a traced graph notes of what makes a tensor of numbers, besides its own: whose sizes it was given,
tensors, and for each size a number, the same for what a trace computes alike. Of none it makes a constant of the trace.
"""

READ_AS_LIST = "tolist"
"""Name of the read of a tensor that Python makes a list of."""

PYTHON_OP = "PythonOp"
"""Name that a traced graph has for a function with a gradient of its own (``torch.autograd.Function``)."""

READ_BY_OPERATOR = "Int"
"""Name that a traced graph has for the read of a tensor because an operator takes a number; what Python reads is a
constant of the trace.
"""


@dataclass(frozen=True, slots=True)
class OpCall:
    """One operator call as the framework dispatches it.

    op: name without overload, of torch's operators without the namespace "aten": "linear", "mylib::fancy"; args: by
    schema name, tensors as ``TensorSpec``; trait: of its row in the operator table; python: what ran since the previous
    operator; parts: the operators that a composite one consists of on the device, empty for others. input_ids,
    output_ids: numbers of the values that its ``tensors`` and outputs hold, equal where one call reads what another
    made; writing in place makes a new value. times: how often it is called here, one after another, as in a loop.
    """

    op: str
    args: Mapping[str, Any]
    outputs: tuple[TensorSpec, ...]
    trait: Trait
    macs: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    python: PythonWork = PythonWork()
    parts: tuple[OpCall, ...] = ()
    input_ids: tuple[int, ...] = ()
    output_ids: tuple[int, ...] = ()
    origin: Origin = UNKNOWN_ORIGIN
    times: int = 1

    @property
    def tensors(self) -> tuple[TensorSpec, ...]:
        """Input tensors in argument order, those in lists included."""
        tensors: list[TensorSpec] = []
        for value in self.args.values():
            if isinstance(value, TensorSpec):
                tensors.append(value)
            elif isinstance(value, tuple):
                tensors.extend(v for v in value if isinstance(v, TensorSpec))
        return tuple(tensors)


@dataclass(frozen=True, slots=True)
class Graph:
    """Operator calls of one forward pass, in issue order.

    batch: size of the first dimension of the first input; module_calls: total of the pass; tail: Python after the last
    operator; versions: of the packages that shaped the graph; outputs: values that the model returns; inputs: values
    that it is given and that operators read; assumptions: what was taken for granted where the model decides by values
    that are not computed; checked_modules: that compiled code looks at one by one before it runs.
    """

    name: str
    calls: tuple[OpCall, ...]
    dtype: str
    batch: int
    tail: PythonWork
    module_calls: int
    versions: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[int, ...] = ()
    assumptions: tuple[str, ...] = ()
    inputs: tuple[int, ...] = ()
    checked_modules: int = 0

    @property
    def leaves(self) -> tuple[OpCall, ...]:
        """The operators that composite ones consist of on the device, and all others."""
        leaves: list[OpCall] = []
        waiting = list(reversed(self.calls))
        while waiting:
            call = waiting.pop()
            if not call.parts and call.trait is not Trait.COMPOSITE:
                leaves.append(call)
            waiting.extend(reversed(call.parts))
        return tuple(leaves)

    @property
    def python_calls(self) -> int:
        """Python function calls of the pass."""
        return sum(call.python.calls for call in self.calls) + self.tail.calls

    @property
    def macs(self) -> int:
        """Multiply-accumulates as fvcore counts them."""
        return sum(c.macs * c.times for c in self.calls)


class CaptureMode(StrEnum):
    """What torch answers to a model's code while it is captured, and so which branch of the code a runtime takes.

    EAGER: nothing; TRACED: torch.jit traces it; CAPTURED: a CUDA graph captures it; COMPILED: torch.compile does;
    COMPILED_AS_EXPORT: so does that of torch up to 2.11, which answers that it exports; EXPORTED: it is exported to
    ONNX; CONVERTED: nothing, but its encoder layers are torch's own.
    """

    EAGER = "eager"
    TRACED = "traced"
    CAPTURED = "captured"
    COMPILED = "compiled"
    COMPILED_AS_EXPORT = "compiled as export"
    EXPORTED = "exported"
    CONVERTED = "converted"


@dataclass(frozen=True, slots=True)
class CaptureOptions:
    """How a module is captured, besides its dtype and the runtime. Raises PredictorError for what cannot be.

    keep: the share of its elements that a selection by unknown values keeps, 0 to 1; channels_last: weights and inputs
    of four dimensions are channels-last, those of five ``channels_last_3d``; autocast: operators run as
    ``torch.autocast("cuda", dtype)`` runs them, in "fp16" or "bf16", weights stay as they are; empty: as they are
    written; lengths: the distribution (``padding.DISTRIBUTIONS``) that the texts of a batch have their lengths from,
    padded to that of the inputs; empty: the inputs as they are.
    """

    keep: float = 1.0
    channels_last: bool = False
    autocast: str = ""
    lengths: str = ""

    def __post_init__(self) -> None:
        number = isinstance(self.keep, (int, float)) and not isinstance(self.keep, bool)
        if not (number and 0 <= self.keep <= 1):
            raise PredictorError(f"a selection keeps a share of 0 to 1, not keep={self.keep!r}")

    @property
    def notes(self) -> tuple[str, ...]:
        """What a report says of them."""
        layout = "weights and inputs of four and five dimensions are channels-last"
        cast = f'operators run as torch.autocast("cuda", {AUTOCAST.get(self.autocast, "")}) runs them'
        padded = f"texts have lengths as in {self.lengths}, padded to that of the inputs"
        told = ((layout, self.channels_last), (cast, self.autocast), (padded, self.lengths))
        return tuple(note for note, holds in told if holds)


ASSUMABLE = ("keep",)
"""Fields of ``CaptureOptions`` that are assumptions about values."""


AUTOCAST = {"fp16": "torch.float16", "bf16": "torch.bfloat16"}
"""Dtypes that autocast casts to, and torch's names."""


class DtypeOrigin(StrEnum):
    """Why a prediction is in its dtype: it was asked for, the module is in it, or it is what is taken where a model has
    none of its own.
    """

    ASKED = "as asked"
    MODULE = "the model's own"
    DEFAULT = "the default"


@dataclass(frozen=True, slots=True)
class Target:
    """The software and GPU that a program is lowered for. torch: its version, for example "1.12.1"; architecture: of
    the GPU, see ``calibration.schema.ARCHITECTURES``; both empty for those of today; is_cpu: there is no GPU.
    """

    torch: str = ""
    architecture: str = ""
    is_cpu: bool = False


TODAY = Target()


@dataclass(frozen=True, slots=True)
class Kernel:
    """Work that one operator puts on the device: a family of kernels (``families.py``), a dtype and its dimensions.

    times: how many such kernels follow each other here, as in the steps of a recurrent layer. at_once: how many of them
    a CUDA graph runs side by side, as it does both directions of a recurrent layer; a host issues one after another.
    """

    family: str
    dtype: str
    dims: Mapping[str, float]
    times: int = 1
    at_once: float = 1.0


class HostRow(NamedTuple):
    """What a measured host cost is of: an operator and which of its paths."""

    op: str
    variant: Variant = Variant.USUAL

    @property
    def label(self) -> str:
        """As a person reads it: "conv2d", "conv2d depthwise"."""
        return self.op if self.variant is Variant.USUAL else f"{self.op} {self.variant.replace('_', ' ')}"


NEXT_GRAPH = "graph"
"""Name of what the host does before a compiled graph that is not the first of a pass: as much as before that."""


@dataclass(frozen=True, slots=True)
class HostCall:
    """One call on the host lane and the kernels that it launches.

    op, variant: whose measured host cost this is; python: what runs before it; parts: the operators whose costs are
    summed where ``op`` has none of its own, extra: those that are added to it; sync: the host waits for the device
    before it goes on; elements: that the host itself computes, of a tensor that a model keeps on the CPU; origin: of
    the operator, or of the first of those that were fused; times: how many such calls follow each other here;
    uncompiled: what compiles the model leaves it to eager mode, whose costs it has. For explanations alone: macs:
    multiply-accumulates of one call; replayed: whose kernels, in order, a CUDA graph replays.
    """

    op: str
    kernels: tuple[Kernel, ...]
    python: PythonWork
    trait: Trait
    parts: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    sync: bool = False
    elements: int = 0
    origin: Origin = UNKNOWN_ORIGIN
    variant: Variant = Variant.USUAL
    times: int = 1
    uncompiled: bool = False
    macs: int = field(default=0, compare=False)
    replayed: tuple[HostCall, ...] = field(default=(), compare=False)

    @property
    def row(self) -> HostRow:
        """Operator and variant."""
        return HostRow(self.op, self.variant)


@dataclass(frozen=True, slots=True)
class Program:
    """What a runtime really does with a graph. tail: Python after the last operator; unsupported_reason: why the
    runtime cannot run it, empty where it can; on_cpu: operators that it runs on the CPU though the target is a GPU, and
    why, the copies between the two among them.
    """

    runtime: str
    dtype: str
    calls: tuple[HostCall, ...]
    tail: PythonWork
    unmodelled: Mapping[str, int]
    unsupported_reason: str = ""
    on_cpu: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class CallTable:
    """What the host pays for a program's calls, as far as the host does not matter.

    kinds: a call of each kind, whose costs differ from those of the others; kind_of: (calls,), position among them;
    distance: (calls,), distinct other operators since the last equal one (``graph.coldness.reuse_distances``);
    cold_lines, cold_modules, functions: (calls,), see ``PythonWork``, whose ``calls`` are of functions.
    """

    kinds: tuple[HostCall, ...]
    kind_of: NDArray[np.int64]
    distance: NDArray[np.float64]
    cold_lines: NDArray[np.float64]
    cold_modules: NDArray[np.float64]
    functions: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class KernelGroup:
    """Distinct kernels of one family and dtype in a program, at one or several sizes. dims: dimension -> (sizes,
    kernels); in_graph: they are nodes of a CUDA graph.
    """

    family: str
    dtype: str
    in_graph: bool
    dims: Mapping[str, NDArray[np.float64]]

    @property
    def count(self) -> int:
        """Distinct kernels."""
        return int(next(iter(self.dims.values())).shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class SizedProgram:
    """A program at one or several sizes: the same calls and kernels, of other dimensions.

    program: at one of the sizes; groups: its distinct kernels; kernel_of: (kernels,), position among them, all groups
    one after another, of every kernel in issue order; first_kernel: (calls + 1,), see ``PricedProgram``; sync:
    (calls,); elements: (sizes, calls), see ``HostCall``; call_times: (calls,), kernel_times: (kernels,), of the call
    and of the kernel within it; kernel_share: (kernels,), of a kernel's time, what a CUDA graph that runs others beside
    it needs.
    """

    program: Program
    sizes: int
    groups: tuple[KernelGroup, ...]
    kernel_of: NDArray[np.int64]
    first_kernel: NDArray[np.int64]
    sync: NDArray[np.bool_]
    elements: NDArray[np.float64]
    call_times: NDArray[np.float64]
    kernel_times: NDArray[np.float64]
    kernel_share: NDArray[np.float64]

    @classmethod
    def of(cls, program: Program) -> SizedProgram:
        """A program at its one size."""
        distinct: dict[tuple[str, str, bool, tuple[str, ...]], dict[tuple[float, ...], int]] = {}
        where: list[tuple[tuple[str, str, bool, tuple[str, ...]], int]] = []
        known: dict[tuple[int, bool], Sequence[tuple[Any, int]]] = {}  # of calls that were lowered alike
        for call in program.calls:
            same = id(call.kernels), call.trait is Trait.REPLAY
            if same not in known:
                found = known[same] = []
                for kernel in call.kernels:  # those of a family may leave out different dimensions that have a default
                    key = kernel.family, kernel.dtype, same[1], tuple(kernel.dims)
                    rows = distinct.setdefault(key, {})
                    found.append((key, rows.setdefault(tuple(kernel.dims.values()), len(rows))))
            where += known[same]
        groups = tuple(
            KernelGroup(*key[:3], dict(zip(key[3], np.array(list(rows), dtype=float).T[:, None, :], strict=True)))
            for key, rows in distinct.items()
        )
        ends = np.cumsum([0, *(len(rows) for rows in distinct.values())]).tolist()
        first = dict(zip(distinct, ends, strict=False))
        return cls(
            program,
            1,
            groups,
            np.array([first[key] + number for key, number in where], dtype=np.int64),
            np.cumsum([0, *(len(call.kernels) for call in program.calls)]),
            np.array([call.sync for call in program.calls], dtype=bool),
            np.array([[call.elements for call in program.calls]], dtype=float).reshape(1, -1),
            np.array([call.times for call in program.calls], dtype=float),
            np.array([kernel.times for call in program.calls for kernel in call.kernels], dtype=float),
            np.array(
                [
                    1 / kernel.at_once if call.trait is Trait.REPLAY else 1.0
                    for call in program.calls
                    for kernel in call.kernels
                ],
                dtype=float,
            ),
        )


@dataclass(frozen=True, slots=True)
class PricedKernel:
    """A kernel's seconds, its launches, and which roof its analytic time stands under ("compute" or "memory").

    extrapolated: its dimensions are outside the calibrated range.
    """

    seconds: float
    launches: int
    bound: str
    extrapolated: bool = False


@dataclass(frozen=True, slots=True)
class PricedCall:
    """A host call with its price: host_s without waiting; kernels in issue order."""

    host_s: float
    kernels: tuple[PricedKernel, ...]
    sync: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class PricedProgram:
    """Prices of a program's calls and kernels at one or several sizes, as arrays.

    host_s: (sizes, calls), without waiting; tail_s: host seconds after the last call; sync: (calls,), calls after
    which the host waits for the device; kernel_s, launches, compute_bound, extrapolated: (sizes, kernels), in issue
    order, see ``PricedKernel``; first_kernel: (calls + 1,), the kernels of call i are those from first_kernel[i] up to
    first_kernel[i + 1].
    """

    host_s: NDArray[np.float64]
    tail_s: float
    sync: NDArray[np.bool_]
    kernel_s: NDArray[np.float64]
    launches: NDArray[np.int64]
    compute_bound: NDArray[np.bool_]
    extrapolated: NDArray[np.bool_]
    first_kernel: NDArray[np.int64]

    @classmethod
    def of(cls, calls: Sequence[PricedCall], tail_s: float = 0.0) -> PricedProgram:
        """From priced calls, at one size."""
        kernels = [kernel for call in calls for kernel in call.kernels]
        return cls(
            np.array([[call.host_s for call in calls]], dtype=float),
            tail_s,
            np.array([call.sync for call in calls], dtype=bool),
            np.array([[k.seconds for k in kernels]], dtype=float),
            np.array([[k.launches for k in kernels]], dtype=np.int64),
            np.array([[k.bound == "compute" for k in kernels]], dtype=bool),
            np.array([[k.extrapolated for k in kernels]], dtype=bool),
            np.cumsum([0, *(len(call.kernels) for call in calls)]),
        )

    @property
    def calls(self) -> tuple[PricedCall, ...]:
        """The calls as records, at the first size."""
        columns = (self.kernel_s[0], self.launches[0], self.compute_bound[0], self.extrapolated[0])
        kernels = [
            PricedKernel(seconds, launches, "compute" if compute else "memory", extrapolated)
            for seconds, launches, compute, extrapolated in zip(*(c.tolist() for c in columns), strict=True)
        ]
        ends = self.first_kernel.tolist()
        return tuple(
            PricedCall(host_s, tuple(kernels[begin:end]), sync)
            for host_s, sync, begin, end in zip(
                self.host_s[0].tolist(), self.sync.tolist(), ends[:-1], ends[1:], strict=True
            )
        )

    def at(self, size: int) -> PricedProgram:
        """The prices at one of the sizes, by its position."""
        size_slice = slice(size, size + 1)
        return replace(
            self,
            host_s=self.host_s[size_slice],
            kernel_s=self.kernel_s[size_slice],
            launches=self.launches[size_slice],
            compute_bound=self.compute_bound[size_slice],
            extrapolated=self.extrapolated[size_slice],
        )

    def with_kernels_scaled(self, factor: float) -> PricedProgram:
        """The same on a device that takes ``factor`` times as long."""
        return replace(self, kernel_s=self.kernel_s * factor)

    def with_host_scaled(self, factor: float) -> PricedProgram:
        """The same on a host that takes ``factor`` times as long."""
        return replace(self, host_s=self.host_s * factor, tail_s=self.tail_s * factor)


class Lane(StrEnum):
    """Where a span of a timeline runs."""

    HOST = "host"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Lanes:
    """Constants of the two lanes, seconds.

    launch_latency_s: from a launch on the host to the kernel's start on an idle device; gap_s: between kernels that
    wait in the stream; sync_s: of the final synchronisation; serial: host and device are one lane (a CPU target).
    """

    launch_latency_s: float
    gap_s: float
    sync_s: float
    serial: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a timeline, seconds from the start of the pass.

    op: the operator; kernel: family of the kernel, empty on the host; origin: module and line that issued it.
    """

    lane: Lane
    start_s: float
    end_s: float
    op: str
    kernel: str
    origin: Origin


@dataclass(frozen=True, slots=True, eq=False)
class Timelines:
    """Outcomes of a pass at several sizes, arrays (sizes,) in seconds, see ``Timeline``; and when each call and kernel
    runs: call_start_s, call_end_s (sizes, calls), kernel_start_s, kernel_end_s (sizes, kernels).
    """

    latency_s: NDArray[np.float64]
    host_s: NDArray[np.float64]
    kernel_s: NDArray[np.float64]
    max_s: NDArray[np.float64]
    pipelined_s: NDArray[np.float64]
    critical_kernel_s: NDArray[np.float64]
    host_weight: NDArray[np.float64]
    call_start_s: NDArray[np.float64]
    call_end_s: NDArray[np.float64]
    kernel_start_s: NDArray[np.float64]
    kernel_end_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Timeline:
    """The outcome of a pass: latency_s of one synchronised pass, and the two terms that it comes from.

    max_s: the headline formula, the larger of host and kernel time (their sum where both share one processor);
    pipelined_s: of a pass among others, back to back; critical_kernel_s: the kernels' part of the critical path, see
    ``timeline.queue``; the rest is the host's; host_weight: how much of the pass's error is the
    host's, from 0 to 1.
    """

    latency_s: float
    host_s: float
    kernel_s: float
    max_s: float
    pipelined_s: float
    critical_kernel_s: float
    host_weight: float

    @property
    def critical_host(self) -> float:
        """The host's share of the critical path."""
        return 1 - self.critical_kernel_s / self.latency_s if self.latency_s else 0.0


@dataclass(frozen=True, slots=True)
class OpCost:
    """A row of the report: an operator's count, its host and kernel seconds."""

    op: str
    count: int
    host_s: float
    kernel_s: float


@dataclass(frozen=True, slots=True)
class OnCpu:
    """An operator that a runtime runs on the CPU though the target is a GPU, or a copy between the two: why, how often,
    host seconds, and seconds of the device.
    """

    op: str
    reason: str
    count: int
    host_s: float
    kernel_s: float


@dataclass(frozen=True, slots=True)
class Corrected:
    """What measured latencies changed of a prediction: how many, the factors of its host and kernel times, and what
    these leave uncertain of its latency (standard deviation of its logarithm).
    """

    latencies: int
    host_factor: float
    device_factor: float
    log_sd: float


@dataclass(frozen=True, slots=True)
class Report:
    """A prediction. Seconds; interval_s: 5th and 95th percentile of the latency; bound: "framework", "compute" or
    "memory".

    max_s: the plain formula, max(host time, kernel time); critical_host: the host's share of the critical path;
    unmodelled: operator -> count; unmodelled_share: their part of the kernel time, by traffic alone; extrapolated:
    kernel family -> kernels outside its calibrated range; calibration: its provenance; dtype_origin: why the prediction
    is in its dtype; on_cpu: what runs on the CPU beside the GPU, and the copies around it; host: whose host is priced,
    for a person; software: what runs the model, package -> version; attention: "fused", "multiplied out", or "none"
    where the model calls none; correction: what measured latencies changed, None without any; length: tokens, 0 of a
    model that takes none; generated: tokens that a pass generates of each sequence, 0 of a model that generates none;
    budget_s: what the latency is held against, if anything; breakdown: where the time goes.

    >>> report.breakdown.by("module", depth=2, top=5)  # doctest: +SKIP
    """

    model: str
    runtime: str
    gpu: str
    dtype: str
    batch: int
    estimator: str
    latency_s: float
    interval_s: tuple[float, float]
    host_s: float
    kernel_s: float
    max_s: float
    bound: str
    critical_host: float
    macs: int
    launches: int
    operators: int
    module_calls: int
    python_calls: int
    costliest: tuple[OpCost, ...]
    unmodelled: Mapping[str, int]
    unmodelled_share: float
    extrapolated: Mapping[str, int]
    calibration: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    dtype_origin: DtypeOrigin = DtypeOrigin.ASKED
    on_cpu: tuple[OnCpu, ...] = ()
    host: str = ""
    software: Mapping[str, str] = field(default_factory=dict)
    attention: str = "none"
    correction: Corrected | None = None
    length: int = 0
    generated: int = 0
    budget_s: float | None = None
    breakdown: Breakdown = field(default_factory=Breakdown, compare=False, repr=False)

    @property
    def busy_share(self) -> float:
        """Share of the pass in which the device runs a kernel."""
        return min(self.kernel_s / self.latency_s, 1.0) if self.latency_s else 0.0

    @property
    def verdict(self) -> str | None:
        """ "within" a budget where the whole interval is, "over" it where none of it is, else "straddles"; None without
        a budget.
        """
        if self.budget_s is None:
            return None
        low, high = self.interval_s
        return "within" if high <= self.budget_s else "over" if low > self.budget_s else "straddles"

    def __str__(self) -> str:
        from predictor.report.text import render

        return render(self)

    def _repr_html_(self) -> str:
        from predictor.report._page import report_table

        return report_table(self)

    def to_json(self) -> str:
        """What ``predict --json`` prints."""
        from predictor.report.json import render

        return render(self)

    def to_dict(self) -> dict[str, Any]:
        """The same as a mapping of plain values."""
        data: dict[str, Any] = json.loads(self.to_json())
        return data

    def to_pandas(self, by: str = "op", depth: int | None = None, top: int | None = None) -> Any:
        """A ``pandas.DataFrame`` of the breakdown, see ``Breakdown.by``, times in seconds."""
        import pandas as pd

        from predictor.report.json import row_of

        return pd.DataFrame([row_of(part) for part in self.breakdown.by(by, depth, top)])

    @property
    def samples_per_s(self) -> float:
        """Samples that synchronised passes, one after another, process in a second."""
        return self.batch / self.latency_s if self.latency_s else 0.0

    @property
    def tokens_per_s(self) -> float | None:
        """Tokens of all sequences that such passes generate in a second; None where they generate none."""
        return self.generated * self.samples_per_s if self.generated else None


@dataclass(frozen=True, slots=True)
class Compared:
    """A model under one of several runtimes: its report, or why it cannot run. untried: it was not priced, because that
    would take long; the reason says how to.
    """

    runtime: str
    report: Report | None
    reason: str = ""
    untried: bool = False
