"""The host side of a calibration: what a runtime's calls cost on a host, and what another host makes of that."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from predictor.calibration.kernel_models import library_forests
from predictor.calibration.schema import CallCost, CallTime, Environment, HostProbe, NamedHosts, RuntimeCosts
from predictor.calibration.trees import Forest
from predictor.errors import PredictorError
from predictor.records import HostCall, HostRow, Trait

HOSTS_DIFFER = 0.3
"""What a host that was measured with another GPU adds to the error of its costs: how much the latency of a model at
batch 1 differs between the machines of The Framework Tax's published runs (standard deviation of its logarithm,
``benchmarks/published_hosts.py``).
"""

HOSTS_ALIKE = 0.9
"""How much of that all models on a host share: 0.27 over published sessions that are priced with another GPU's host,
beyond what models of one session spread by (``benchmarks/measured_correction.py --constants``).
"""

CPU_PROBE_SHARE = 0.503
"""Seconds of the host probe that needs no GPU over those of the one that calibrations hold, on one host: five pairs on
an H100's, torch 2.11, from 0.496 to 0.505.
"""

PROBE_ERROR = 0.07
"""What scaling a host by its probe leaves of how much hosts differ, standard deviation of log time. Eager passes that
are bound by the host, in four sessions on machines of one kind, are 4 % too fast to 3 % too slow on average beside
their probes, TorchScript's 5 % too fast; between kinds of processors nobody measured it, so more: a judgement.
"""

TYPICAL_HOST = "typical"
"""Name of the host that lies in the middle of those that are known by name."""


@dataclass(frozen=True)
class HostCosts:
    """Host side of a runtime on one host.

    calls: operator and variant -> dtype -> cost of one call, hot and cold: in a tight loop, and among a hundred others;
    typical: the same of a typical operator, by trait. The cost of a call is ``op_factor x hot + cold_factor x (cold -
    hot) x its coldness`` (``coldness.coldness``), hot grown by ``launch_s`` for every kernel that it launches beyond
    the timed call's. On matrix units, where the library's own cost depends on the shape, it grows instead by what
    exp(library_calls), of a family and dtype, says of its kernel beyond the timed call's ``library_s``. Host time is
    that, ``line_s``, ``module_s`` and ``function_s`` for the cold lines, the cold modules and the calls of functions of
    the Python before it (``records.PythonWork``), ``call_s`` a call, and ``fixed_s`` a pass. gap_s: between kernels,
    where it is not that of a stream. error: of generated modules, left out one at a time, standard deviation of log
    time. reference_gpu: the GPU with which the costs were measured, where it is another; name: of a host among several;
    kinds: see ``scaled``. hosts_differ: the part of ``error`` that all models share, because the host may be another
    than the one that was measured; fit_error: ``error`` on the machine where the costs were measured; label: whose host
    it is, for a person; eager: costs of calls that a compiler leaves
    to eager mode; known_calls: what ``pricing`` remembers of kinds of calls.
    """

    runtime: str
    op_factor: float
    line_s: float
    module_s: float
    fixed_s: float
    launch_s: float
    calls: Mapping[HostRow, Mapping[str, CallCost]]
    library_calls: Mapping[tuple[str, str], Forest]
    typical: Mapping[str, CallTime]
    error: float
    environment: Environment
    provenance: str
    cold_factor: float = 1.0
    call_s: float = 0.0
    function_s: float = 0.0
    gap_s: float | None = None
    reference_gpu: str = ""
    name: str = ""
    kinds: Mapping[str, float] = field(default_factory=dict)
    hosts_differ: float = 0.0
    fit_error: float = 0.0
    label: str = ""
    eager: HostCosts | None = None
    known_calls: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def of(self, call: HostCall) -> HostCosts:
        """The costs of a call."""
        return self.eager if call.uncompiled and self.eager is not None else self

    @property
    def model_error(self) -> float:
        """The part of ``error`` that differs from model to model."""
        return math.sqrt(max(self.error**2 - self.hosts_differ**2, 0.0))

    @property
    def probe_s(self) -> float:
        """Seconds of the host probe where the costs were measured."""
        return self.environment.probe_s or 0.0

    @property
    def is_unmeasured(self) -> bool:
        """Whether nobody measured the runtime with this GPU: the costs are those of the reference GPU's host."""
        return bool(self.reference_gpu) and self.provenance == "derived"

    @property
    def is_probed(self) -> bool:
        """Whether a probe says how fast another host is whose costs these are."""
        return self.provenance == "derived" and self.hosts_differ <= PROBE_ERROR

    def scaled(self, time_factor: float, kinds: Mapping[str, float]) -> HostCosts:
        """The costs of a host that takes ``time_factor`` times as long, and for calls of a kind (``kind_of_call``),
        "python" and "fixed" kinds[...] times as long again.
        """
        python, fixed = time_factor * kinds.get("python", 1.0), time_factor * kinds.get("fixed", 1.0)
        return replace(
            self,
            op_factor=self.op_factor * time_factor,
            cold_factor=self.cold_factor * time_factor,
            call_s=self.call_s * time_factor,
            line_s=self.line_s * python,
            module_s=self.module_s * python,
            function_s=self.function_s * python,
            fixed_s=self.fixed_s * fixed,
            kinds=kinds,
            eager=self.eager.scaled(time_factor, kinds) if self.eager else None,
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


def named_host(reference: HostCosts, named: NamedHosts, runtime: str, name: str | None) -> HostCosts:
    """A host of ``hosts.json``: another GPU's host costs, scaled as whole passes on it say.

    Without a name it is a typical one: the geometric mean of those that were measured under this runtime. A runtime
    that nobody measured with this GPU has its costs from that other host, scaled by how much longer this one takes
    under those that were. Without a name the error holds how much hosts differ: those of this GPU may be one machine
    measured twice, so no less than hosts of all GPUs do. The software is that of the published passes, of a runtime
    that they lack the reference's.
    """
    fitted = named.runtimes.get(runtime)
    measured = (runtime,) if fitted else tuple(sorted(named.runtimes))
    members = [[name]] if name else [_hosts_under(named, runtime_name) for runtime_name in measured]
    time_factor = _mean([_mean([named.hosts[host].time_factor for host in hosts]) for hosts in members])
    kinds: dict[str, float] = {}
    if fitted:
        of_hosts = [msgspec.structs.asdict(named.hosts[host].time_factors) for host in members[0]]
        of_runtime = msgspec.structs.asdict(fitted.time_factors)
        kinds = {kind: factor * _mean([host[kind] for host in of_hosts]) for kind, factor in of_runtime.items()}
    differ = 0.0 if name else max(named.log_sd, HOSTS_DIFFER)
    unmeasured = 0.0 if fitted else HOSTS_DIFFER
    own_error = fitted.log_sd if fitted else reference.error
    count = sum(map(len, members))
    label = name or f"a typical host ({named.gpu}, {count} known)"
    return replace(
        reference.scaled(time_factor, kinds),
        error=math.hypot(own_error, differ, unmeasured),
        fit_error=math.hypot(own_error, unmeasured),
        hosts_differ=math.hypot(differ, unmeasured),
        provenance="fitted" if fitted else "derived",
        environment=msgspec.structs.replace(
            named.environment if fitted else reference.environment, cpu=label, probe_s=reference.probe_s
        ),
        reference_gpu=named.reference_gpu,
        name=name or TYPICAL_HOST,
        label=label,
    )


def _hosts_under(named: NamedHosts, runtime: str) -> list[str]:
    """Hosts that were measured under a runtime; the default where a file has no other."""
    hosts = [name for name, host in named.hosts.items() if host.runtime == runtime]
    return hosts or [named.runtimes[runtime].default_host]


def _mean(factors: Sequence[float]) -> float:
    """Geometric mean."""
    return math.exp(sum(map(math.log, factors)) / len(factors))


def of_another_gpu(host: HostCosts, gpu: str) -> HostCosts:
    """A host that was measured with another GPU, with its own software. gpu: the other."""
    differ = max(host.hosts_differ, HOSTS_DIFFER)
    return replace(
        host,
        error=math.hypot(host.model_error, differ),
        hosts_differ=HOSTS_ALIKE * differ,
        provenance="derived",
        reference_gpu=host.reference_gpu or gpu,
        name=host.name or gpu,
        label=host.label or f"the {gpu}'s host",
    )


def probe_factor(probe: HostProbe, reference: HostCosts) -> float:
    """How many times as long a probed host takes as one that was measured."""
    return probe.cpu_probe_s / (CPU_PROBE_SHARE * reference.probe_s)


def beside_a_probe(host: HostCosts) -> HostCosts:
    """A host whose times are scaled by a probe of the machine that is priced: how much hosts differ is known then."""
    if host.hosts_differ <= PROBE_ERROR:
        return host
    return replace(host, error=math.hypot(host.fit_error, PROBE_ERROR), hosts_differ=PROBE_ERROR)


def probed_host(reference: HostCosts, probe: HostProbe, name: str, gpu: str) -> HostCosts:
    """The host that a probe was run on: a measured host's costs, scaled by the ratio of the probes. name: of the
    probe's file; gpu: with which the costs were measured.
    """
    ratio = probe_factor(probe, reference)
    environment = reference.environment
    return replace(
        reference.scaled(ratio, reference.kinds),
        error=math.hypot(reference.model_error, PROBE_ERROR),
        hosts_differ=PROBE_ERROR,
        provenance="derived",
        environment=msgspec.structs.replace(environment, cpu=probe.cpu, date=probe.date, probe_s=environment.probe_s),
        reference_gpu=gpu,
        name=name,
        label=f"a host that was probed ({ratio:.2f} x the {gpu}'s)",
    )


def host_costs_of(runtime: str, files: Mapping[str, RuntimeCosts], where: object) -> HostCosts:
    """Host costs of a runtime: of its file, completed with the tables of the runtimes whose calls it makes too (base).
    where: of the files, for errors. Raises PredictorError for a base that is missing or that leads back.
    """
    runtime_costs = files[runtime]
    chain = [runtime_costs]
    while chain[-1].base is not None:
        base = chain[-1].base
        names = [costs.runtime for costs in chain]
        if base in names:
            raise PredictorError(f"{where}/{names[-1]}.json: $.base: {' -> '.join([*names, base])} leads back")
        if base not in files:
            raise PredictorError(f"{where}/{names[-1]}.json: $.base: there is no {base}.json: run calibrate")
        chain.append(files[base])
    calls: dict[HostRow, dict[str, CallCost]] = {}
    typical: dict[str, CallTime] = {}
    library_calls: dict[tuple[str, str], Forest] = {}
    for costs in reversed(chain):
        rows: dict[HostRow, dict[str, CallCost]] = {}
        for cost in costs.calls:
            rows.setdefault(cost.row, {})[cost.dtype] = cost
        calls |= rows
        typical |= costs.typical
        library_calls |= library_forests(costs, f"{where}/{costs.runtime}.json")
    return HostCosts(
        runtime=runtime,
        op_factor=runtime_costs.op_factor,
        line_s=runtime_costs.line_s,
        module_s=runtime_costs.module_s,
        fixed_s=runtime_costs.fixed_s,
        launch_s=runtime_costs.launch_s,
        calls=calls,
        library_calls=library_calls,
        typical=typical,
        error=runtime_costs.error.log_sd,
        fit_error=runtime_costs.error.log_sd,
        environment=runtime_costs.environment,
        provenance=runtime_costs.provenance,
        cold_factor=next((c.cold_factor for c in chain if c.cold_factor is not None), runtime_costs.op_factor),
        call_s=runtime_costs.call_s,
        function_s=runtime_costs.function_s,
        gap_s=runtime_costs.gap_s,
        eager=host_costs_of(chain[-1].runtime, files, where) if len(chain) > 1 else None,
    )
