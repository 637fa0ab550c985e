"""The format of calibration files: one record a file. What is read and what is written is checked against it, and
``docs/calibration-format.md`` is made from it (``benchmarks/calibration_format.py``).

Every number has a range. Ranges are wide, one or two orders of magnitude beyond what hardware of 2010 to 2030 does:
they are there to refuse a slipped exponent or a wrong unit, not to judge a measurement. Fields have no defaults, so
that a file from which something fell out is refused instead of priced without it; only descriptions of a machine may be
left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from predictor.errors import unknown
from predictor.kernels.families import FAMILIES, fit_name
from predictor.records import HostRow, Lanes, Variant

SCHEMA = 3
"""Version of the calibration files that this program reads and writes."""

ARCHITECTURES = ("maxwell", "pascal", "volta", "turing", "ampere", "ada", "hopper", "blackwell")
"""NVIDIA's, in the order of their appearance."""

PATTERNS = {
    "text of one line": "^[^\\x00-\\x1f\\x7f\\ud800-\\udfff]*\\Z",
    "a name of letters, digits, spaces and ._()+-": "^[A-Za-z0-9_][A-Za-z0-9 ._()+-]*\\Z",
    "an operator's name": "^[A-Za-z_][A-Za-z0-9 ._:]*\\Z",
    "a name of letters, digits, _ and -": "^[A-Za-z_][A-Za-z0-9_-]*\\Z",
    "16 hexadecimal digits": "^[0-9a-f]{16}\\Z",
}
"""What text may be: in words, as a regular expression."""
_LINE, _NAME, _OPERATOR, _IDENTIFIER, _DIGEST = PATTERNS.values()

Text = Annotated[str, Meta(pattern=_LINE, max_length=2000)]
Name = Annotated[str, Meta(pattern=_NAME, max_length=100)]
OperatorName = Annotated[str, Meta(pattern=_OPERATOR, max_length=200)]
Identifier = Annotated[str, Meta(pattern=_IDENTIFIER, max_length=60)]
Digest = Annotated[str, Meta(pattern=_DIGEST)]


def _words(*words: str) -> str:
    PATTERNS[f"{', '.join(words[:-1])} or {words[-1]}"] = pattern = f"^({'|'.join(words)})\\Z"
    return pattern


Provenance = Annotated[str, Meta(pattern=_words("measured", "fitted", "derived"))]
Dtype = Annotated[str, Meta(pattern=_words("fp32", "tf32", "fp16", "bf16"))]
HostDtype = Annotated[str, Meta(pattern=_words("fp32", "fp16"))]
Units = Annotated[str, Meta(pattern=_words("any", "single", "fp32", "tf32", "half"))]
Context = Annotated[str, Meta(pattern=_words("model", "replay"))]

Duration = Annotated[float, Meta(ge=0, lt=1)]
"""Seconds of one event: microseconds to milliseconds in practice."""
PositiveDuration = Annotated[float, Meta(gt=0, lt=1)]
KernelDuration = Annotated[float, Meta(gt=0, lt=3600)]
Factor = Annotated[float, Meta(ge=1e-3, le=1e3)]
"""Ratio of two times."""
LogError = Annotated[float, Meta(ge=0, le=5)]
"""Standard deviation of the logarithm of a time: 5 is a factor of 150."""
RelativeError = Annotated[float, Meta(ge=0, le=1e6)]
Count = Annotated[int, Meta(ge=0, le=10**9)]
Size = Annotated[float, Meta(ge=0, le=1e15)]
PeakFlops = Annotated[float, Meta(ge=1e9, le=1e17)]
"""FLOP/s: one slow core has 1e9, a Blackwell in half precision 2e15."""
Bandwidth = Annotated[float, Meta(ge=1e8, le=1e14)]
"""Bytes/s: a slow core copies 1e9, a Blackwell 8e12."""
Multiprocessors = Annotated[int, Meta(ge=1, le=4096)]
CacheBytes = Annotated[int, Meta(ge=2**15, le=2**35)]
ClockHz = Annotated[float, Meta(ge=1e8, le=1e10)]
TYPICAL = "pointwise"
"""The trait whose typical cost stands in for every other."""


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What all records of files share: immutable, fields by name, nothing that the format does not know. What a record
    checks of itself beyond its fields' types raises ValueError: the path in the record, a colon, what is wrong.
    """


class Environment(Record, frozen=True, kw_only=True):
    """Where and when something was measured. What a machine does not have may be left out."""

    date: Text
    """When the measurement began (ISO 8601)."""
    source: Text = ""
    """Who measured, where it was not ``calibrate``: a datasheet, a paper."""
    cpu: Text = ""
    """Model of the processor."""
    cores: Annotated[int, Meta(ge=1, le=4096)] | None = None
    """Cores that the process could use."""
    system: Text = ""
    """Operating system."""
    versions: dict[Name, Text] = {}
    """Package -> version: python, torch, transformers, ..."""
    probe_s: Annotated[float, Meta(gt=0, lt=10)] | None = None
    """Seconds of the host probe on a quiet host (``calibrate.measure.timers.Probe``)."""
    gpu: Text = ""
    """The GPU as its driver calls it."""
    cuda: Text = ""
    """Version of CUDA."""
    cudnn: Annotated[int, Meta(ge=1, le=10**7)] | None = None
    """Version of cuDNN."""
    driver: Text = ""
    """Version of the driver."""
    sm_clock: Text = ""
    """Highest clock of the multiprocessors, with its unit."""
    memory_clock: Text = ""
    """Highest clock of the memory, with its unit."""
    doubts: Text = ""
    """What speaks against trusting the measurement, where it was written all the same (``calibrate --force``)."""

    def __post_init__(self) -> None:
        try:
            year = datetime.fromisoformat(self.date).year
        except ValueError:
            raise ValueError(f".date: expected a date (ISO 8601), got {self.date!r}") from None
        if not 2000 <= year < 2100:
            raise ValueError(f".date: expected a date between 2000 and 2100, got {self.date!r}")

    @property
    def torch(self) -> str:
        """Version of torch, empty where it is not known."""
        return self.versions.get("torch", "")


class Head(Record, frozen=True, kw_only=True):
    """What all files of a calibration begin with."""

    schema: Annotated[int, Meta(ge=SCHEMA, le=SCHEMA)] = msgspec.field(default_factory=lambda: SCHEMA)
    """Version of this format."""
    gpu: Name
    """The GPU's name, also that of its folder."""
    digest: Digest | None = None
    """Checksum of the content (``files.digest_of``). Remove the line after editing a file by hand."""


class Datasheet(Record, frozen=True, kw_only=True):
    """``datasheet.json``: figures of a GPU as its maker publishes them. Also what ``predict --gpu-spec`` takes, where
    schema and gpu may be left out.
    """

    schema: Annotated[int, Meta(ge=1, le=SCHEMA)] = msgspec.field(default_factory=lambda: SCHEMA)
    """Version of this format."""
    gpu: Name | None = None
    """The GPU's name, also that of its folder."""
    digest: Digest | None = None
    """Checksum of the content."""
    name: Text
    """The GPU as its maker calls it."""
    architecture: Text
    """NVIDIA's name: maxwell, pascal, volta, turing, ampere, ada, hopper or blackwell."""
    sms: Multiprocessors
    """Multiprocessors."""
    l2_bytes: CacheBytes
    """Size of the L2 cache."""
    clock_hz: ClockHz
    """Boost clock."""
    bandwidth_bytes_per_s: Bandwidth
    """Of the memory."""
    peak_flops: dict[Dtype, PeakFlops]
    """Dtype -> FLOP/s, dense, with FP32 accumulation: fp32 at least; tf32, fp16, bf16 on the matrix units."""
    source: Text = ""
    """Where the figures are from."""
    reference_gpu: Name | None = None
    """The calibrated GPU that its kernels are derived from; without one the nearest: see ``datasheets.nearest``."""

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise ValueError(f".architecture: {unknown('architecture', self.architecture, ARCHITECTURES)}")
        _has_fp32(self.peak_flops)


class LaneTimes(Record, frozen=True, kw_only=True):
    """Constants of the queue between host and device."""

    launch_latency_s: Duration
    """From a launch on the host to the kernel's start on an idle device."""
    gap_s: Duration
    """Between kernels that wait in the stream."""
    sync_s: Duration
    """Of the final synchronisation."""


class Device(Head, frozen=True, kw_only=True):
    """``device.json``: what the device reaches, and the queue to it."""

    provenance: Provenance
    """Whether the figures were measured here, fitted to published measurements or to a few kernels, or derived from a
    datasheet."""
    reference_gpu: Name | None
    """The measured GPU that this one was derived from, or its kernels alone; null where it was measured itself."""
    name: Text
    """The device as its driver or maker calls it."""
    sms: Multiprocessors
    """Multiprocessors; cores of a CPU."""
    l2_bytes: Annotated[int, Meta(ge=0, le=2**35)]
    """Size of the L2 cache, 0 where it is not known."""
    architecture: Text
    """As in the datasheet; empty where it is not known."""
    peak_flops: dict[Dtype, PeakFlops]
    """Dtype -> FLOP/s that a large matrix product reaches."""
    bandwidth_bytes_per_s: Bandwidth
    """Bytes read and written in a second by a large copy."""
    lanes: LaneTimes
    """Constants of the queue."""
    serial: bool
    """Whether host and device are one lane: a CPU."""
    environment: Environment
    """Where it was measured."""
    default_host: Name | None = None
    """The GPU whose host is priced where none is asked for; null: the one that was measured with this GPU."""

    def __post_init__(self) -> None:
        if self.architecture and self.architecture not in ARCHITECTURES:
            raise ValueError(f".architecture: {unknown('architecture', self.architecture, ARCHITECTURES)}")
        _has_fp32(self.peak_flops)
        _has_reference(self.provenance, self.reference_gpu)

    @property
    def queue_lanes(self) -> Lanes:
        """The constants as the timeline takes them."""
        return Lanes(self.lanes.launch_latency_s, self.lanes.gap_s, self.lanes.sync_s, self.serial)


class Trees(Record, frozen=True, kw_only=True):
    """Sum of regression trees: initial + one leaf of each (``trees.Forest``)."""

    initial: Annotated[float, Meta(ge=-50, le=50)]
    """The prediction without trees."""
    sizes: list[Annotated[int, Meta(ge=1, le=100_000)]]
    """Nodes of each tree."""
    feature: str
    """Base64 of int8, one a node, the trees one after another, each level by level from its root: the column that is
    compared, -1 at a leaf."""
    number: str
    """Base64 of little-endian float32: the threshold of each inner node; where there is no ``leaf``, one a node, of a
    leaf its value."""
    leaf: str = ""
    """Base64 of little-endian float16: the value of each leaf, in the order of the nodes."""

    def __post_init__(self) -> None:
        nodes = sum(self.sizes)
        leaves = (nodes + len(self.sizes)) // 2 if self.leaf else 0
        parts = (("feature", self.feature, 1, nodes), ("number", self.number, 4, nodes - leaves))
        for name, packed, size, count in (*parts, ("leaf", self.leaf, 2, leaves)):
            length = len(packed) // 4 * 3 - packed[-2:].count("=")
            if len(packed) % 4 or length != size * count:
                raise ValueError(f".{name}: expected {size * count} bytes of base64 for {nodes} nodes, got {length}")


class FitError(Record, frozen=True, kw_only=True):
    """How far a fit is off on samples that it has not seen."""

    samples: Annotated[int, Meta(ge=1, le=10**9)]
    """Kernels that were measured."""
    log_rms: LogError
    """Root mean square of the logarithm of predicted over measured time."""
    mape: RelativeError
    """Mean absolute relative error."""
    roofline_mape: RelativeError
    """The same of the roofline and the floor alone."""


class MeasuredShape(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A shape that was measured and that the fit misses: a list of dtype, dimensions, seconds, launches."""

    dtype: Dtype
    """In which it ran."""
    dims: list[Size]
    """Its dimensions, in the family's order."""
    seconds: KernelDuration
    """Its time."""
    launches: Annotated[float, Meta(ge=1, le=1e6)]
    """Kernels that the call launched."""


class Fit(Record, frozen=True, kw_only=True):
    """Kernels of one family: ``seconds = (roofline + floor_s) x exp(residual)``."""

    family: Name
    """Name of the family (``predictor.kernels.families``)."""
    units: Units
    """Which units the kernels run in: half for fp16 and bf16, single for fp32 and tf32 where they run alike, any for
    those off the matrix units."""
    context: Context
    """Among others in a model, weights cold, or repeated alone as under CUDA graph replay."""
    provenance: Provenance
    """Whose measurements it was fitted to: measured here, fitted to published ones, or derived: all another GPU's."""
    source: Text
    """Who measured, empty where all is ``calibrate``'s of this GPU."""
    floor_s: PositiveDuration
    """What the smallest kernel takes."""
    largest: dict[Name, Size]
    """Dimension -> the largest value measured; those with a default that are newer than the fit may be missing."""
    only: dict[Name, Size]
    """Dimension -> its value, of those that never varied."""
    residual: Trees
    """Logarithm of what kernels take, relative to roofline and floor, by the family's features."""
    launches: Trees
    """Trees that vote: the number of a pattern, by the family's features."""
    patterns: list[tuple[Annotated[int, Meta(ge=0, le=10**6)], Annotated[int, Meta(ge=0, le=10**6)]]]
    """How a call is launched: kernels for each group of a grouped convolution, other kernels."""
    exceptions: list[MeasuredShape]
    """Shapes that were measured and that the fit misses."""
    error: FitError
    """On unseen kernels."""

    def __post_init__(self) -> None:
        check_family(self.family, self.units)
        dims = set(FAMILIES[self.family].dims)
        required = {name for name, default in FAMILIES[self.family].dims.items() if default is None}
        if not required <= set(self.largest) <= dims:
            raise ValueError(f".largest: expected the dimensions {', '.join(FAMILIES[self.family].dims)}")
        if not set(self.only) <= dims:
            raise ValueError(f".only: {', '.join(sorted(set(self.only) - dims))} is no dimension of {self.family}")
        if any(len(shape.dims) != len(dims) for shape in self.exceptions):
            raise ValueError(f".exceptions: expected {len(dims)} dimensions of each")
        if self.launches.initial:
            raise ValueError(".launches: expected initial 0")
        if not self.patterns:
            raise ValueError(".patterns: expected one at least")


class KernelFactor(Record, frozen=True, kw_only=True):
    """What kernels take in models relative to their fit, as whole passes say, or a few kernels."""

    family: Name
    """Name of the family."""
    units: Units
    """As in a fit."""
    winograd: bool
    """Whether it is of the convolutions that Winograd's algorithm makes cheaper, or of all others."""
    time_factor: Factor
    """Seconds in a model over seconds by the fit."""

    def __post_init__(self) -> None:
        check_family(self.family, self.units)


class Kernels(Head, frozen=True, kw_only=True):
    """``kernels.json``: how long kernels take."""

    provenance: Provenance
    """As in the device file."""
    reference_gpu: Name | None
    """The measured GPU whose fits stand in for what is not here; null where all is."""
    time_factor: Factor
    """How much longer a multiprocessor takes for an instruction than one of the reference GPU: the ratio of clocks."""
    log_sd: LogError | None
    """Error of the kernel time of a pass, where whole passes were fitted; of a kernel, where a few kernels were."""
    factors: list[KernelFactor]
    """What whole passes, or a few kernels, say of the fits."""
    fits: list[Fit]
    """A fit for every family, units and context that was measured."""

    def __post_init__(self) -> None:
        _has_reference(self.provenance, self.reference_gpu)
        _no_twice("fits", ((fit.family, fit.units, fit.context) for fit in self.fits))
        _no_twice("factors", ((factor.family, factor.units, factor.winograd) for factor in self.factors))


class CallTime(Record, frozen=True, kw_only=True):
    """Host seconds of a call."""

    hot_s: Duration
    """In a tight loop."""
    cold_s: Duration
    """Among a hundred other operators."""
    launches: Annotated[float, Meta(ge=0, le=1e5)] = 0.0
    """Of kernels, in that; 0 where the cost does not depend on how many there are."""


class CallCost(Record, frozen=True, kw_only=True):
    """Host cost of an operator in a dtype."""

    op: OperatorName
    """The operator, as it is captured or as the runtime calls it."""
    variant: Variant
    """Which of its paths it takes, where they cost the host differently."""
    dtype: HostDtype
    """In which it was called; tf32 and bf16 have the same code path as these."""
    hot_s: Duration
    """Seconds in a tight loop."""
    cold_s: Duration
    """Seconds among a hundred other operators."""
    launches: Annotated[float, Meta(ge=0, le=1e5)]
    """Kernels that the timed call launched; 0 where it is not known."""
    library_s: Duration | None
    """Part of hot_s that the library call for the example's shape stands for (``library_calls``), null off the matrix
    units."""

    @property
    def row(self) -> HostRow:
        """Operator and variant."""
        return HostRow(self.op, self.variant)


class LibraryCalls(Record, frozen=True, kw_only=True):
    """Host seconds of a library's call by its shape: a convolution is one launch or seventy."""

    family: Name
    """Of the kernel."""
    dtype: Dtype
    """Of the kernel."""
    log_seconds: Trees
    """Logarithm of the seconds, by the family's features and the logarithm (base 2) of the launches."""

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(f".family: {unknown('kernel family', self.family, FAMILIES)}")


class HostError(Record, frozen=True, kw_only=True):
    """How far host time is off on generated modules, left out one at a time."""

    modules: Count
    """Modules that were measured."""
    log_sd: LogError
    """Standard deviation of the normal distribution that has as many within its 90 % interval."""
    log_rms: LogError
    """Root mean square of the logarithm of predicted over measured time."""
    mape: RelativeError
    """Mean absolute relative error."""
    median: RelativeError
    """Median absolute relative error."""


class RuntimeCosts(Head, frozen=True, kw_only=True):
    """``<runtime>.json``: what a runtime's calls cost on the host.

    A call costs ``op_factor x hot_s + cold_factor x (cold_s - hot_s) x its coldness``. Host time is that, ``line_s``
    and ``module_s`` for the cold lines and modules of the Python before it, ``function_s`` for each function of Python
    that is called, ``call_s`` a call, ``fixed_s`` a pass.
    """

    provenance: Provenance
    """Whether it was measured here."""
    runtime: Identifier
    """The runtime, also the file's name."""
    base: Identifier | None
    """The runtime whose calls this one makes too: its tables stand in for what is not here."""
    environment: Environment
    """Where it was measured; probe_s and versions are needed."""
    op_factor: Factor
    """Of the calls' own costs, as they are in a tight loop."""
    line_s: Duration
    """Per cold line of Python."""
    module_s: Duration
    """Per cold module."""
    call_s: Duration
    """Per call, besides its own cost."""
    function_s: Duration = 0.0
    """Per call of a Python function."""
    cold_factor: Factor | None = None
    """Of what being cold adds to the calls' costs; null where it is the base's, or that of the calls themselves."""
    fixed_s: Duration
    """Per pass."""
    launch_s: Duration
    """Per kernel beyond those of the timed call."""
    gap_s: Duration | None
    """Between kernels of a CUDA graph; null where it is that of a stream."""
    calls: list[CallCost]
    """Operators, variants and dtypes that were timed."""
    typical: dict[Identifier, CallTime]
    """Trait -> the cost of a typical operator, of those without a row."""
    library_calls: list[LibraryCalls]
    """Families on matrix units whose host cost depends on the shape."""
    error: HostError
    """On generated modules."""

    def __post_init__(self) -> None:
        if self.environment.probe_s is None or not self.environment.versions:
            raise ValueError(".environment: probe_s or versions are missing")
        if self.base is None and TYPICAL not in self.typical:
            raise ValueError(f".typical.{TYPICAL}: is missing")
        if self.base == self.runtime:
            raise ValueError(f".base: {self.runtime} cannot be its own base")
        _no_twice("calls", ((call.op, call.variant, call.dtype) for call in self.calls))
        _no_twice("library_calls", ((call.family, call.dtype) for call in self.library_calls))


class WorkFactors(Record, frozen=True, kw_only=True):
    """How many times as long a host takes for each kind of work as the reference host."""

    matrix: Factor
    """Calls of matrix products and attention."""
    conv: Factor
    """Calls of convolutions."""
    norm: Factor
    """Calls of reductions and normalisations."""
    pointwise: Factor
    """Calls of pointwise operators."""
    fused: Factor
    """Calls of fused groups."""
    view: Factor
    """Views."""
    other: Factor
    """All other calls."""
    python: Factor
    """The Python around the calls."""
    fixed: Factor
    """What a pass takes besides."""


KINDS = WorkFactors.__struct_fields__
"""Kinds of host work."""


class NamedRuntime(Record, frozen=True, kw_only=True):
    """A runtime under which hosts were measured."""

    default_host: Name
    """The least disturbed of its hosts."""
    log_sd: LogError
    """Error of the host time of a pass."""
    time_factors: WorkFactors
    """What its version differs in from the reference's, on all hosts."""


class NamedHost(Record, frozen=True, kw_only=True):
    """A machine whose whole passes were published."""

    runtime: Identifier
    """Under which it was measured."""
    time_factor: Factor
    """How many times as long it takes as the reference host."""
    time_factors: WorkFactors
    """Times that again, by kind of work."""


class NamedHosts(Head, frozen=True, kw_only=True):
    """``hosts.json``: machines with this GPU, fitted to published passes, scaled from the host of the reference GPU."""

    provenance: Provenance
    """Fitted."""
    reference_gpu: Name
    """The measured GPU whose host is scaled."""
    environment: Environment
    """Who measured the passes, when, with which versions."""
    log_sd: LogError
    """How much the hosts differ."""
    runtimes: dict[Identifier, NamedRuntime]
    """Runtime -> what all its hosts have in common."""
    hosts: dict[Name, NamedHost]
    """Name -> host."""

    def __post_init__(self) -> None:
        if not self.runtimes:
            raise ValueError(".runtimes: expected one at least")
        for name, runtime in self.runtimes.items():
            if runtime.default_host not in self.hosts:
                raise ValueError(f".runtimes.{name}: there is no host {runtime.default_host!r}")
        for name, host in self.hosts.items():
            if host.runtime not in self.runtimes:
                raise ValueError(f".hosts.{name}: there is no runtime {host.runtime!r}")


class HostProbe(Record, frozen=True, kw_only=True):
    """What ``calibrate --probe`` writes and ``predict --host FILE.json`` takes: how fast a host dispatches."""

    schema: Annotated[int, Meta(ge=SCHEMA, le=SCHEMA)] = msgspec.field(default_factory=lambda: SCHEMA)
    """Version of this format."""
    gpu: Name | None = None
    """Left out: a probe is of a host."""
    digest: Digest | None = None
    """Checksum of the content."""
    date: Text
    """When it was probed (ISO 8601)."""
    cpu: Text
    """Model of the processor."""
    versions: dict[Name, Text]
    """Package -> version."""
    cpu_probe_s: Annotated[float, Meta(gt=0, lt=10)]
    """Seconds of the probe that needs no GPU (``calibrate.measure.host_probe``)."""


FILES: Mapping[str, type[Record]] = {
    "datasheet": Datasheet,
    "device": Device,
    "kernels": Kernels,
    "hosts": NamedHosts,
}
"""File name without its ending -> record; any other is a runtime's (``RuntimeCosts``)."""

File = Datasheet | Device | Kernels | NamedHosts | RuntimeCosts | HostProbe
"""A file's content."""


class FitKey(NamedTuple):
    """What a fit is of."""

    family: str
    units: str
    context: str


class FactorKey(NamedTuple):
    """What a factor is of."""

    family: str
    units: str
    winograd: bool


def check_family(family: str, units: str) -> None:
    """Raises ValueError for a family that is not known, or that does not run in such units."""
    if family not in FAMILIES:
        raise ValueError(f".family: {unknown('kernel family', family, FAMILIES)}")
    if units not in units_of(family):
        raise ValueError(f".units: {family} kernels run in {' or '.join(sorted(units_of(family)))}, not in {units}")


def units_of(family: str) -> set[str]:
    """Units that a family's kernels run in, see ``families.fit_name``."""
    return {fit_name(family, dtype) for dtype in ("fp32", "tf32", "fp16")}


@cache
def columns_of(family: str) -> int:
    """Features of a family."""
    row = FAMILIES[family]
    return int(row.matrix_of_features(row.complete(dict.fromkeys(row.dims, 1.0)), "fp32", 1).shape[1])


def _has_fp32(peaks: Mapping[Dtype, float]) -> None:
    if "fp32" not in peaks:
        raise ValueError(".peak_flops.fp32: is missing")


def _has_reference(provenance: Provenance, reference_gpu: str | None) -> None:
    if (provenance == "measured") != (reference_gpu is None):
        raise ValueError(f".reference_gpu: {reference_gpu!r} does not fit provenance {provenance!r}")


def _no_twice(what: str, keys: Iterable[Sequence[object]]) -> None:
    seen: set[Sequence[object]] = set()
    for key in keys:
        if key in seen:
            raise ValueError(f".{what}: {' '.join(map(str, key))} is there twice")
        seen.add(key)
