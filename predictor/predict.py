"""The five calls, composed: capture -> lower -> price -> queue -> report."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from predictor import runtimes
from predictor.calibration.host_costs import HostCosts
from predictor.calibration.load import Calibration, load_calibration
from predictor.errors import CannotRunError, PredictorError, unknown
from predictor.graph.attention import CHOICES, attention_of, multiplied_out
from predictor.pricing.program import price
from predictor.records import CaptureMode, Compared, Graph, OpCost, PricedCall, Program, Report, Target, Timeline
from predictor.timeline.queue import plain, queue

ESTIMATORS = ("queue", "max")
COSTLIEST = 8
EXTRAPOLATION_ERROR = 0.5
"""Error of log time that a kernel outside of its calibrated range adds. A judgement, not measured."""
_NINETY = 1.645  # standard deviations that hold 90 % of a normal distribution


@dataclass(frozen=True)
class Predictor:
    """Predicts latency on one GPU and runtime.

    gpu: name of a calibration, path to its folder, or to a datasheet (.json); runtime: see ``predictor.runtimes``;
    dtype: what the model would run in ("fp32", "tf32", "fp16", "bf16"; None: fp16, or fp32 where fp16 is not
    calibrated); estimator: "queue" or "max"; host: one of ``Calibration.hosts``, where a calibration knows several
    (None: the least disturbed); attention: "sdpa", as captured, or "eager", multiplied out (None: what the torch of the
    calibration has). The first call raises PredictorError for unknown names.

    >>> Predictor(gpu="h200", dtype="fp16").latency(module, inputs)  # doctest: +SKIP
    0.0039
    """

    gpu: str
    runtime: str = "eager"
    dtype: str | None = None
    estimator: str = "queue"
    host: str | None = None
    attention: str | None = None

    def predict(self, module: Any, inputs: Any, name: str | None = None) -> Report:
        """Report for a module and its inputs (tensor, tuple or mapping), in any dtype and on any device, meta
        included. Raises CannotRunError where the runtime cannot run it.
        """
        calibration, host, dtype = self.check()
        return self.report(graph_of(module, inputs, dtype, self.runtime, name), calibration, host)

    def predict_file(self, path: str, name: str | None = None) -> Report:
        """Report for an ONNX file with fixed shapes, without torch."""
        calibration, host, dtype = self.check()
        if runtimes.load(self.runtime).capture_mode is not CaptureMode.EXPORTED:
            able = ", ".join(n for n in runtimes.names() if runtimes.load(n).capture_mode is CaptureMode.EXPORTED)
            raise PredictorError(f"{self.runtime} runs modules, not ONNX files: --runtime {able}")
        from predictor.capture.onnx_file import read

        return self.report(read(Path(path), dtype, name), calibration, host)

    def report(self, graph: Graph, calibration: Calibration, host: HostCosts) -> Report:
        """Report for a captured graph, see ``report``."""
        return report(graph, calibration, host, self.estimator, self.attention)

    def latency(self, module: Any, inputs: Any) -> float:
        """Seconds of one synchronised forward pass."""
        return self.predict(module, inputs).latency_s

    def check(self) -> tuple[Calibration, HostCosts, str]:
        """Calibration, host costs and dtype of this predictor. Raises PredictorError for a name that is not known."""
        calibration = load_calibration(self.gpu)
        if self.runtime not in runtimes.names():
            raise unknown("runtime", self.runtime, runtimes.names())
        dtype = self.dtype or ("fp16" if "fp16" in calibration.dtypes else "fp32")
        if dtype not in calibration.dtypes:
            raise unknown(f"dtype of {calibration.gpu}", dtype, calibration.dtypes)
        if self.estimator not in ESTIMATORS:
            raise unknown("estimator", self.estimator, ESTIMATORS)
        if self.attention not in (None, *CHOICES):
            raise unknown("attention", str(self.attention), CHOICES)
        check_target(self.runtime, calibration.lanes.serial)
        return calibration, calibration.host(self.runtime, self.host), dtype


def graph_of(module: Any, inputs: Any, dtype: str, runtime: str, name: str | None = None) -> Graph:
    """The graph that a runtime makes of a module. Raises CannotRunError where it makes none."""
    from predictor.capture.recorder import capture

    branch = runtimes.load(runtime).capture_mode
    try:
        if branch is CaptureMode.EXPORTED:
            from predictor.capture.onnx_file import exported

            return exported(module, inputs, dtype, name)
        return capture(module, inputs, dtype, name, branch)
    except CannotRunError:
        raise
    except PredictorError as error:
        if branch is CaptureMode.EAGER:
            raise
        capture(module, inputs, dtype, name, CaptureMode.EAGER)  # raises where the model or its inputs are at fault
        raise CannotRunError(f"its code fails as {runtime} runs it ({error})") from error


def check_target(runtime: str, serial: bool) -> None:
    """Raises CannotRunError for a runtime that needs a GPU where there is none."""
    if serial and runtimes.load(runtime).needs_gpu:
        raise CannotRunError(f"{runtime} needs a GPU")


Source = Callable[[str, str], Graph]
"""What gives a model's graph for a dtype and a runtime. Raises CannotRunError where there is none."""


def of_module(module: Any, inputs: Any, name: str | None = None) -> Source:
    """The graphs of a module, captured on demand."""
    return lambda dtype, runtime: graph_of(module, inputs, dtype, runtime, name)


def compare(
    gpu: str,
    dtype: str | None,
    source: Source,
    estimator: str = "queue",
    host: str | None = None,
    attention: str | None = None,
) -> tuple[Compared, ...]:
    """A model under every runtime that the GPU is calibrated for; those that cannot run it with the reason."""
    calibration = load_calibration(gpu)
    if not calibration.runtimes:
        raise PredictorError(f"{calibration.gpu} is not calibrated for any runtime, kernels alone are: run calibrate")
    graphs: dict[str, Graph] = {}
    found = []
    for runtime in calibration.runtimes:
        branch = runtimes.load(runtime).capture_mode
        try:
            predictor = Predictor(gpu, runtime, dtype, estimator, host, attention)
            _, costs, real = predictor.check()
            if branch not in graphs:
                graphs[branch] = source(real, runtime)
            found.append(Compared(runtime, predictor.report(graphs[branch], calibration, costs)))
        except CannotRunError as error:
            found.append(Compared(runtime, None, str(error)))
    return tuple(found)


def report(
    graph: Graph, calibration: Calibration, host: HostCosts, estimator: str = "queue", attention: str | None = None
) -> Report:
    """Price a captured graph and tell what came of it. attention: see ``Predictor``. Raises CannotRunError where the
    runtime cannot run it.
    """
    target = Target(host.environment.torch, calibration.architecture)
    if (attention or attention_of(target.torch)) == "eager":
        graph = multiplied_out(graph)
    program = runtimes.load(host.runtime).lower(graph, target)
    if program.cannot and not calibration.lanes.serial:
        raise CannotRunError(program.cannot)
    priced = price(program, calibration, host)
    timeline = queue(priced, calibration.lanes_of(host), host.fixed_s)
    serial = calibration.lanes.serial
    latency = timeline.latency_s if estimator == "queue" else plain(timeline, serial)
    spread = log_error(program, priced, timeline, calibration, host)
    kernels = [k for call in priced for k in call.kernels]
    return Report(
        model=graph.name,
        runtime=host.runtime,
        gpu=calibration.gpu,
        dtype=graph.dtype,
        batch=graph.batch,
        estimator=estimator,
        latency_s=latency,
        interval_s=interval(latency, spread),
        host_s=timeline.host_s,
        kernel_s=timeline.kernel_s,
        max_s=plain(timeline, serial),
        bound=bound(timeline, priced),
        critical_host=timeline.critical_host,
        macs=graph.macs,
        launches=sum(k.launches for k in kernels),
        operators=len(graph.calls),
        module_calls=graph.module_calls,
        python_calls=graph.python_calls,
        costliest=_costliest(program, priced),
        unmodelled=dict(program.unmodelled),
        extrapolated=_extrapolated(program, priced),
        calibration=_provenance(calibration, host),
        notes=_notes(graph, host),
    )


def interval(latency_s: float, log_sd: float) -> tuple[float, float]:
    """5th and 95th percentile of a log-normal latency: its median and the standard deviation of its logarithm."""
    return latency_s * math.exp(-_NINETY * log_sd), latency_s * math.exp(_NINETY * log_sd)


def bound(timeline: Timeline, priced: tuple[PricedCall, ...]) -> str:
    """ "framework" where most of the critical path is the host's; else the roof under which most kernel time stands.

    Without calls that wait for the device that is where host time exceeds kernel time, but for passes whose lanes take
    about the same: there it depends on which of them is ahead for longer.
    """
    if timeline.critical_host > 0.5:
        return "framework"
    compute = sum(k.seconds for call in priced for k in call.kernels if k.bound == "compute")
    return "compute" if compute > timeline.kernel_s / 2 else "memory"


def log_error(
    program: Program, priced: tuple[PricedCall, ...], timeline: Timeline, calibration: Calibration, host: HostCosts
) -> float:
    """Standard deviation of the logarithm of the latency: the host's fit, and the families' by their share of kernel
    time.

    The two lanes count by how much of the latency each explains. Errors within a family are taken as fully
    correlated, between families as independent; kernels outside the calibrated range add their own.
    """
    shares: dict[tuple[str, str], float] = defaultdict(float)
    beyond_s = 0.0
    for call, prices in zip(program.calls, priced, strict=False):
        for kernel, one in zip(call.kernels, prices.kernels, strict=True):
            shares[kernel.family, kernel.dtype] += one.seconds
            beyond_s += one.seconds if one.extrapolated else 0.0
    kernel_s = max(timeline.kernel_s, 1e-12)
    squares = [(s / kernel_s * calibration.fit(*key).error) ** 2 for key, s in shares.items()]
    known = calibration.kernels_error
    of_fits = sum(squares) if known is None else known**2
    on_device = math.sqrt(of_fits + (beyond_s / kernel_s * EXTRAPOLATION_ERROR) ** 2)
    if calibration.lanes.serial:
        on_host = timeline.host_s / max(timeline.host_s + timeline.kernel_s, 1e-12)
    else:
        on_host = share_of_host(timeline.host_s, kernel_s)
    return math.sqrt((on_host * host.error) ** 2 + ((1 - on_host) * on_device) ** 2)


def share_of_host(host_s: float, kernel_s: float) -> float:
    """How much of a pass's error is the host's: all where it takes much longer, none where the kernels do."""
    return 1 / (1 + (kernel_s / host_s) ** 8) if host_s > 0 else 0.0


def _extrapolated(program: Program, priced: tuple[PricedCall, ...]) -> dict[str, int]:
    """Kernel family -> kernels outside its calibrated range."""
    counts: Counter[str] = Counter()
    for call, prices in zip(program.calls, priced, strict=False):
        counts.update(k.family for k, one in zip(call.kernels, prices.kernels, strict=True) if one.extrapolated)
    return dict(counts)


def _costliest(program: Program, priced: tuple[PricedCall, ...]) -> tuple[OpCost, ...]:
    rows: dict[str, list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
    for call, prices in zip(program.calls, priced, strict=False):
        row = rows[call.row.label]
        row[0] += 1
        row[1] += prices.host_s
        row[2] += sum(k.seconds for k in prices.kernels)
    ranked = sorted(rows.items(), key=lambda item: -max(item[1][1], item[1][2]))
    return tuple(OpCost(op, int(n), host_s, kernel_s) for op, (n, host_s, kernel_s) in ranked[:COSTLIEST])


def _provenance(calibration: Calibration, host: HostCosts) -> dict[str, Any]:
    environment = host.environment
    made = datetime.fromisoformat(environment.date)
    made = made if made.tzinfo else made.replace(tzinfo=UTC)
    return {
        "gpu": calibration.gpu,
        "device": calibration.device.name,
        "provenance": calibration.provenance,
        "host_provenance": host.provenance,
        "date": environment.date,
        "age_days": max((datetime.now(UTC) - made).days, 0),
        "host": environment.cpu,
        "versions": environment.versions,
    }


def _notes(graph: Graph, host: HostCosts) -> tuple[str, ...]:
    theirs = host.environment.versions
    differ = [
        f"{package} {version} (calibrated with {theirs[package]})"
        for package, version in graph.versions.items()
        if package != "python" and package in theirs and theirs[package].split("+")[0] != version.split("+")[0]
    ]
    scaled = f", scaled to {host.name}" if host.name else ""
    unmeasured = (
        f"host costs are those of a machine with an {host.reference_gpu}{scaled}: "
        "nobody measured this runtime with this GPU"
    )
    captured = f"captured with {', '.join(differ)}"
    return tuple(note for note, holds in ((unmeasured, host.is_unmeasured), (captured, differ)) if holds)


def check_batch(batch: int) -> int:
    """A batch size that can be: raises PredictorError below 1."""
    if batch < 1:
        raise PredictorError(f"batch must be 1 or more, not {batch}")
    return batch
