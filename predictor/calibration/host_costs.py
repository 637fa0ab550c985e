"""The host side of a calibration: what a runtime's calls cost on a host, and what another host makes of that."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from predictor.calibration.files import read_json
from predictor.calibration.trees import Forest
from predictor.errors import PredictorError
from predictor.records import Trait

HOSTS_DIFFER = 0.3
"""What a host that was measured with another GPU adds to the error of its costs: how much the latency of a model at
batch 1 differs between the machines of The Framework Tax's published runs (standard deviation of its logarithm,
``benchmarks/published_hosts.py``).
"""


@dataclass(frozen=True)
class HostCosts:
    """Host side of a runtime on one host.

    calls: operator -> dtype -> seconds of one call, (hot, cold): in a tight loop, and among a hundred others; launches:
    kernels that the timed call launched; typical_s: the same of a typical operator, by trait. The cost of a call is
    ``hot + (cold - hot) x its coldness`` (``reuse.coldness``), grown by ``launch_s`` for every kernel that it launches
    beyond the timed call's. On matrix units, where the library's own cost depends on the shape, it grows instead by
    what exp(shapes), of a family and dtype, says of its kernel beyond the timed call's ``shapes_s``. Host time is
    ``op_factor`` times that, ``line_s`` and ``module_s`` for the cold lines and modules of the Python before it
    (``records.PythonWork``), ``call_s`` a call, and ``fixed_s`` a pass. gap_s: between kernels, where it is not that of
    a stream. error: of generated modules, left out one at a time, standard deviation of log time. borrowed: the GPU
    whose host this is, where nobody measured the runtime beside this one; beside: the GPU beside which the costs were
    measured, where it is another; name: of a host among several; kinds: see ``scaled``.
    """

    runtime: str
    op_factor: float
    line_s: float
    module_s: float
    fixed_s: float
    launch_s: float
    calls: Mapping[str, Mapping[str, tuple[float, float]]]
    launches: Mapping[str, Mapping[str, float]]
    shapes: Mapping[tuple[str, str], Forest]
    shapes_s: Mapping[str, Mapping[str, float]]
    typical_s: Mapping[str, tuple[float, float]]
    error: float
    probe_s: float
    environment: Mapping[str, Any]
    provenance: str
    call_s: float = 0.0
    gap_s: float | None = None
    borrowed: str = ""
    beside: str = ""
    name: str = ""
    kinds: Mapping[str, float] = field(default_factory=dict)

    def scaled(self, speed: float, kinds: Mapping[str, float]) -> HostCosts:
        """The costs of a host that takes ``speed`` times as long, and for calls of a kind (``kind_of_call``), "python"
        and "fixed" kinds[...] times as long again.
        """
        python, fixed = speed * kinds.get("python", 1.0), speed * kinds.get("fixed", 1.0)
        return replace(
            self,
            op_factor=self.op_factor * speed,
            call_s=self.call_s * speed,
            line_s=self.line_s * python,
            module_s=self.module_s * python,
            fixed_s=self.fixed_s * fixed,
            kinds=kinds,
        )


CALL_KINDS = {
    **dict.fromkeys((Trait.GEMM, Trait.ATTENTION, Trait.PRODUCT), "matrix"),
    **{Trait.CONV: "conv", Trait.REDUCTION: "norm", Trait.POINTWISE: "pointwise"},
    **{Trait.FUSED: "fused", Trait.VIEW: "view"},
}
"""Trait of a call -> its kind, "other" for all else: what two hosts may differ in, besides their speed."""


def kind_of_call(trait: Trait) -> str:
    """The kind of a call."""
    return CALL_KINDS.get(trait, "other")


def named_host(theirs: HostCosts, named: Mapping[str, Any], runtime: str, name: str | None) -> HostCosts:
    """A host of ``hosts.json``: another GPU's host costs, scaled as whole passes on it say.

    A runtime that nobody measured with this GPU has its costs from that other host, scaled by how much slower this one
    is under those that were. Without a name the error holds how much the hosts of this GPU differ.
    """
    hosts, spread = named["hosts"], float(named["error"]["hosts"])
    fitted = runtime in named["kinds"]
    chosen = [name] if name else [named["default"][r] for r in ((runtime,) if fitted else sorted(named["default"]))]
    speed = math.exp(sum(math.log(hosts[one]["slower"]) for one in chosen) / len(chosen))
    kinds = {kind: k * hosts[chosen[0]]["kinds"].get(kind, 1.0) for kind, k in named["kinds"].get(runtime, {}).items()}
    error = float(named["error"]["log_sd"][runtime]) if fitted else math.hypot(theirs.error, HOSTS_DIFFER)
    return replace(
        theirs.scaled(speed, kinds),
        error=error if name else math.hypot(error, spread),
        provenance="fitted" if fitted else "derived",
        environment={
            **{"date": named["date"], "cpu": " and ".join(chosen), "versions": named["versions"]},
            "probe_s": theirs.probe_s,
        },
        borrowed="" if fitted else str(named["like"]),
        beside=str(named["like"]),
        name=" and ".join(chosen),
    )


@cache
def read_host(path: Path, gpu: str) -> HostCosts:
    """Host costs of a runtime's file, see ``host_costs_of``."""
    data = read_json(path, gpu)
    while "like" in data:  # another runtime's table of operators, with rows of its own
        other = read_json(path.with_name(f"{data['like']}.json"), gpu)
        data = with_rows_of(other, {name: value for name, value in data.items() if name != "like"})
    return host_costs_of(data, path)


def with_rows_of(other: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """A runtime's file completed with another's rows: the same operators, called by another host."""
    tables = {name: {**other.get(name, {}), **data.get(name, {})} for name in _TABLES}
    further = {"like": other["like"]} if "like" in other else {}
    return {**data, **tables, **further}


_TABLES = ("calls", "launches", "shapes", "shapes_s", "typical_s")


def host_costs_of(data: Mapping[str, Any], path: Path) -> HostCosts:
    """Host costs from the content of a runtime's file. Raises PredictorError where something is missing."""
    try:
        return HostCosts(
            runtime=data["runtime"],
            calls={op: {d: (hot, cold) for d, (hot, cold) in costs.items()} for op, costs in data["calls"].items()},
            launches=data["launches"],
            shapes={
                (family, dtype): Forest.from_json(forest)
                for family, dtypes in data["shapes"].items()
                for dtype, forest in dtypes.items()
            },
            shapes_s=data["shapes_s"],
            typical_s={trait: (hot, cold) for trait, (hot, cold) in data["typical_s"].items()},
            error=data["error"].get("log_sd", data["error"]["log_rms"]),
            probe_s=data["environment"]["probe_s"],
            environment=data["environment"],
            provenance=data["provenance"],
            **data["coefficients"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PredictorError(f"calibration file {path} is incomplete ({error}): run calibrate again") from None
