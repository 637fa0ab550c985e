"""What advice consists of. Seconds; shares from 0 to 1."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from predictor.records import Report


@dataclass(frozen=True, slots=True)
class Verdict:
    """What bounds a pass, and how much.

    bound: "framework", "borderline", "compute" or "memory"; ratio: host time over device time; device_s: kernels and
    the gaps between them; idle_share: of the pass, in which the device runs no kernel.
    """

    bound: str
    ratio: float
    host_s: float
    device_s: float
    idle_share: float


@dataclass(frozen=True, slots=True)
class SizeRow:
    """A pass at one batch size. interval_s: 90 %, of the latency; device_s: kernels and the gaps between them."""

    batch: int
    latency_s: float
    interval_s: tuple[float, float]
    host_s: float
    device_s: float
    busy_share: float
    samples_per_s: float


PLATEAU = 2
"""Times a value up to which the latency has to stay flat, for that to be told."""


@dataclass(frozen=True, slots=True)
class Step:
    """The first value that is no longer free, and what follows it.

    value: of the dimension, of the width a factor; growth: of the latency from what it is now, 0.054 for 5.4 %;
    flat_until: the last value whose latency, and all before it, exceeds that of the step by ``headroom.GROWTH`` at
    most; most: the search ended there, so it may be flat further.
    """

    value: float
    growth: float
    flat_until: float
    most: bool = False

    @property
    def is_plateau(self) -> bool:
        """Whether it stays flat far enough to be told."""
        return self.flat_until >= PLATEAU * self.value


@dataclass(frozen=True, slots=True)
class Headroom:
    """How far one dimension grows before the latency does by ``headroom.GROWTH``.

    dimension: "batch", "length", "width" or "depth"; now, until: its values, of the width a factor; most: the search
    ended there, so it may grow further; how: "predicted", "interpolated" between captures, or "estimated" from the
    graph; note: what one more costs, or what was searched; step: what follows, None where the search ended.
    """

    dimension: str
    now: float
    until: float
    most: bool
    how: str
    note: str = ""
    step: Step | None = None

    @property
    def factor(self) -> float:
        """By how much it grows."""
        return self.until / self.now


@dataclass(frozen=True, slots=True)
class Change:
    """Something to change, predicted anew.

    kind: what a script can tell apart ("runtime", "cuda graphs", "attention", "dtype", "layout", "batch", "shape",
    "waits"); what: in words; latency_s: afterwards, gain: 1 minus new over old latency, both of a sample where
    ``per_sample``; estimated: from the graph, not from one captured again.
    """

    kind: str
    what: str
    latency_s: float
    gain: float
    per_sample: bool = False
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class ModuleCost:
    """What all modules of one kind ("encoder.layer.*.output.dense") cost the host by their own calls, without those of
    their parts, beside what they compute.
    """

    path: str
    calls: int
    host_s: float
    host_share: float
    macs: int
    mac_share: float

    @property
    def host_s_per_gmac(self) -> float | None:
        """Seconds for a billion multiply-accumulates, None where there are none."""
        return self.host_s / self.macs * 1e9 if self.macs else None


@dataclass(frozen=True, slots=True)
class RuntimeRow:
    """A runtime, or why it cannot run the model. tied: its interval overlaps that of the fastest; untried: it was not
    priced, because that would take long; the reason says how to.
    """

    runtime: str
    latency_s: float | None
    interval_s: tuple[float, float] | None
    bound: str
    tied: bool
    reason: str = ""
    untried: bool = False


@dataclass(frozen=True, slots=True)
class KernelPoint:
    """Kernels of one kind and size in a pass: how many, the work of each, and its seconds."""

    family: str
    dtype: str
    count: int
    flops: float
    bytes: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Roofline:
    """The kernels of a pass under the device's roofs. peak_flops: in FLOP/s, of the matrix units in the dtype; floor_s:
    least seconds of a kernel, however small.
    """

    peak_flops: float
    bandwidth_bytes_per_s: float
    floor_s: float
    kernels: tuple[KernelPoint, ...]


@dataclass(frozen=True, slots=True)
class Trust:
    """How far to trust a prediction. device, host: provenance of the two calibrations; spread: upper end of the 90 %
    interval over the latency; unmodelled_share: of the kernel time; extrapolated_share: of the launches.
    """

    device: str
    host: str
    spread: float
    unmodelled_share: float
    extrapolated_share: float


@dataclass(frozen=True, slots=True)
class Advice:
    """Answers for a designer. crossover: the least batch from which the pass is bound by the device, None beyond
    ``crossover_limit``; open_batch: whether the model takes other batch sizes.
    """

    report: Report
    verdict: Verdict
    sizes: tuple[SizeRow, ...]
    crossover: int | None
    crossover_limit: int
    open_batch: bool
    headroom: tuple[Headroom, ...]
    changes: tuple[Change, ...]
    modules: tuple[ModuleCost, ...]
    runtimes: tuple[RuntimeRow, ...]
    roofline: Roofline
    trust: Trust

    def to_dict(self) -> dict[str, Any]:
        """All of it, but the report's own fields, as what JSON can hold."""
        data: dict[str, Any] = {
            "verdict": asdict(self.verdict),
            "sizes": [asdict(row) for row in self.sizes],
            "crossover_batch": self.crossover,
            "crossover_limit": self.crossover_limit,
            "open_batch": self.open_batch,
            "headroom": [{**asdict(row), "factor": row.factor} for row in self.headroom],
            "changes": [asdict(row) for row in self.changes],
            "modules": [{**asdict(row), "host_s_per_gmac": row.host_s_per_gmac} for row in self.modules],
            "runtimes": [asdict(row) for row in self.runtimes],
            "roofline": asdict(self.roofline),
            "trust": asdict(self.trust),
        }
        return data

    def to_json(self) -> str:
        """What ``predict --advise --json`` prints."""
        from predictor.report.json import render_advice

        return render_advice(self)

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` of the batch sizes, times in seconds."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.sizes])

    def _repr_html_(self) -> str:
        from predictor.report._page import body

        return body(self)

    def __str__(self) -> str:
        from predictor.report._advice import render

        return render(self)
