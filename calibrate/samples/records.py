"""Records of what was measured, one class a kind of sample; a file of samples is a sequence of them (``store``).

Seconds and bytes, with the unit in the name. Raw values are kept: every pass of a round, every repeat of a kernel.
``summarised`` says where there is but one value that stands for them, in files that are older than this rule: the lower
quartile of a round, the median of a kernel's repeats, the least of a call's loops.
"""

from __future__ import annotations

from collections.abc import Hashable
from statistics import median
from typing import Any

from msgspec import Struct, to_builtins

from calibrate.samples.rounds import Round, lower_quartile
from calibrate.workloads.cases import Case, KernelId

Dims = dict[str, int | float]
"""Dimensions of a kernel by name."""

ByOperator = dict[str, dict[str, tuple[float, ...]]]
"""Dtype -> operator -> raw values."""


class Record(Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True, omit_defaults=True):
    """How samples are written: the class as "kind", fields by name, defaults left out."""


class Environment(Record, frozen=True, tag="environment"):
    """Where samples were taken. probe_s: the host probe; gpu and what follows: empty on a CPU, see ``environment``.

    session: number of the run that took samples of this ``session``; note: what a reader must know.
    """

    date: str
    cpu: str
    cores: int
    system: str
    versions: dict[str, str]
    probe_s: float
    gpu: str = ""
    cuda: str = ""
    cudnn: int = 0
    driver: str = ""
    sm_clock: str = ""
    memory_clock: str = ""
    session: int = 0
    note: str = ""

    @property
    def identity(self) -> Hashable:
        """Its session."""
        return self.session


class LaneSeconds(Struct, frozen=True, forbid_unknown_fields=True):
    """Of a device's queue: from a launch to the kernel's start, between kernels that wait, of a synchronisation."""

    launch_latency_s: float
    gap_s: float
    sync_s: float


class DeviceConstants(Record, frozen=True, tag="device"):
    """What a device reaches. serial: host and device are one lane (a CPU); launch_s: host time of a bare launch;
    architecture: of a GPU, see ``schema.ARCHITECTURES``; empty in older files.
    """

    name: str
    sms: int
    l2_bytes: int
    peak_flops: dict[str, float]
    bandwidth_bytes_per_s: float
    launch_s: float
    lanes: LaneSeconds
    serial: bool
    architecture: str = ""

    @property
    def identity(self) -> Hashable:
        """There is one."""
        return None


class HostRound(Record, frozen=True, tag="host round"):
    """Host seconds of a call of each operator's example: tight_s in loops of its own, mixed_s among the others.

    probe_s: the host probe before, between and after the two.
    """

    number: int
    tight_s: ByOperator
    mixed_s: ByOperator
    probe_s: tuple[float, float, float]
    summarised: bool = False

    @property
    def identity(self) -> Hashable:
        """Its number."""
        return self.number


class ExampleLaunches(Record, frozen=True, tag="example launches"):
    """Kernels that each operator's example launches, by dtype and operator."""

    launches: dict[str, dict[str, int]]

    @property
    def identity(self) -> Hashable:
        """There is one."""
        return None


class KernelSample(Record, frozen=True, tag="kernel"):
    """Device seconds of a call that is one kernel (or what a library makes of it): repeats_s, none where it could not
    run. op: the operator whose call it is; launches: kernels that the library launched; name: of the longest.
    """

    id: KernelId
    dtype: str
    op: str
    dims: Dims
    repeats_s: tuple[float, ...] = ()
    launches: int = 0
    name: str = ""
    summarised: bool = False

    @property
    def identity(self) -> Hashable:
        """The kernel's."""
        return self.id

    @property
    def seconds(self) -> float:
        """Median of the repeats."""
        return median(self.repeats_s)


class ShapeSample(Record, frozen=True, tag="shape"):
    """Host seconds of a library call of some shape: loops_s of short loops, none where it could not run. probe_s: the
    host probe before and after.
    """

    id: KernelId
    dtype: str
    op: str
    dims: Dims
    loops_s: tuple[float, ...] = ()
    probe_s: tuple[float, float] | None = None
    summarised: bool = False

    @property
    def identity(self) -> Hashable:
        """The kernel's."""
        return self.id


class CaseRound(Record, frozen=True, tag="round"):
    """Latencies of synchronised passes of a case, the host probe before and after them."""

    case: Case
    number: int
    passes_s: tuple[float, ...]
    probe_s: tuple[float, float]
    session: int = 0
    summarised: bool = False

    @property
    def identity(self) -> Hashable:
        """Case and number."""
        return self.case, self.number

    @property
    def round(self) -> Round:
        """What it says of the case."""
        return Round(lower_quartile(self.passes_s), *self.probe_s)


class CaseProfile(Record, frozen=True, tag="profile"):
    """A case whose rounds are done, with its kernels (none on a CPU): kernels_s of each profiled pass, overlap counted
    once; of the last one the launches, and (index of the name, nanoseconds that it adds to those before) in order.
    """

    case: Case
    kernels_s: tuple[float, ...] = ()
    launches: int = 0
    names: tuple[str, ...] = ()
    order: tuple[tuple[int, int], ...] = ()
    session: int = 0
    summarised: bool = False

    @property
    def identity(self) -> Hashable:
        """The case."""
        return self.case

    @property
    def kernel_s(self) -> float | None:
        """Median over the passes; None without a profile."""
        return median(self.kernels_s) if self.kernels_s else None


class NodeTime(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A node of a session: its operator, the provider that ran it, host seconds of its kernel's call (the lower
    quartile of some passes; on a CPU all of its work), and the types and shapes that it read and wrote.
    """

    op: str
    provider: str
    host_s: float
    reads: tuple[tuple[str, tuple[int, ...]], ...]
    writes: tuple[tuple[str, tuple[int, ...]], ...]


class SessionNodes(Record, frozen=True, tag="nodes"):
    """The nodes of a case's session in the order of their first run, by ONNX Runtime's own profiler: where each ran."""

    case: Case
    nodes: tuple[NodeTime, ...]
    session: int = 0

    @property
    def identity(self) -> Hashable:
        """The case."""
        return self.case


class Refusal(Record, frozen=True, tag="refusal"):
    """A case that cannot run, with the reason in one line."""

    case: Case
    reason: str
    session: int = 0

    @property
    def identity(self) -> Hashable:
        """The case."""
        return self.case


class StoredKernel(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, omit_defaults=True):
    """A kernel of a program, see ``predictor.records.Kernel``."""

    family: str
    dtype: str
    dims: Dims
    times: int = 1
    at_once: float = 1.0


class StoredCall(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A host call of a program, see ``predictor.records.HostCall``; kernels: positions in the program's list."""

    op: str
    trait: str
    sync: int
    parts: tuple[str, ...]
    extra: tuple[str, ...]
    kernels: tuple[int, ...]
    elements: int
    times: int = 1
    uncompiled: bool = False


class StoredProgram(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A lowered program, see ``programs``: equal kernels and equal calls are written once, order indexes the calls;
    python: calls, cold lines and cold modules before each call and after the last; unsupported_reason: why it cannot
    run, empty where it can.
    """

    runtime: str
    dtype: str
    unmodelled: dict[str, int]
    kernels: tuple[StoredKernel, ...]
    calls: tuple[StoredCall, ...]
    order: tuple[int, ...]
    python: tuple[tuple[int, float, float], ...]
    unsupported_reason: str = ""


class ProgramRecord(Record, frozen=True, tag="program"):
    """What a runtime does with a case, captured where it was measured: its program and MACs, or why it cannot even be
    captured.
    """

    case: Case
    program: StoredProgram | None = None
    macs: int | None = None
    capture_error: str = ""

    @property
    def identity(self) -> Hashable:
        """The case."""
        return self.case

    @property
    def unsupported_reason(self) -> str:
        """Why the runtime cannot run it; empty where it can."""
        return self.capture_error or (self.program.unsupported_reason if self.program else "")


Sample = (
    Environment
    | DeviceConstants
    | HostRound
    | ExampleLaunches
    | KernelSample
    | ShapeSample
    | CaseRound
    | CaseProfile
    | SessionNodes
    | Refusal
    | ProgramRecord
)
"""Any sample."""


def fields_of(sample: Struct) -> dict[str, Any]:
    """Fields of a record by name, as JSON has them, without its kind."""
    fields: dict[str, Any] = to_builtins(sample)
    fields.pop("kind", None)
    return fields
