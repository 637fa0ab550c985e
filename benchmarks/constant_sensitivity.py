"""What the constants that nobody measured decide: halves and doubles each, predicts again and prints the rows of
``docs/constants.md``. ``python benchmarks/constant_sensitivity.py [NAME ...]``, all constants without a name.

A constant of pricing is judged on the recorded programs of the H200's validation and of the models that nobody had
seen on the H100. A constant of lowering is judged on the shipped graphs of the zoo, lowered again and held against the
same measurements of the H200; where no zoo model depends on it, on a small module. The zoo's graphs are those
of today's transformers, so their error is larger than that of the recorded programs; what counts is how it changes.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from calibrate.samples.rounds import Measurement
from calibrate.samples.store import SUFFIX, SampleFile
from calibrate.validate import accuracy
from predictor import plan, runtimes
from predictor.calibration.files import SHIPPED
from predictor.calibration.load import forget, load_calibration
from predictor.pricing.program import price
from predictor.records import Graph, Target
from predictor.sources import plan_of
from predictor.timeline.queue import queue

BATCHES = (1, 32)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Predictions of one table: latencies; what was measured, none for a small module; within their interval or not;
    upper end of the interval over the latency.
    """

    predicted_s: tuple[float, ...]
    measured_s: tuple[float, ...] = ()
    covered: tuple[bool, ...] = ()
    widths: tuple[float, ...] = ()

    @property
    def mape(self) -> str:
        """Mean absolute error relative to the measurements."""
        if not self.measured_s:
            return "-"
        return f"{np.mean(np.abs(np.array(self.predicted_s) / np.array(self.measured_s) - 1)):.2%}"

    @property
    def inside(self) -> str:
        """Share of the measurements within their 90 % interval."""
        return f"{np.mean(self.covered):.1%}" if self.covered else "-"

    @property
    def width(self) -> str:
        """How far the upper ends of the intervals are from the latencies, on average."""
        return f"{np.mean(self.widths) - 1:.1%}" if self.widths else "-"

    def change(self, other: Outcome) -> str:
        """Largest relative change of a latency from another outcome."""
        ratios = np.array(self.predicted_s) / np.array(other.predicted_s) - 1
        return f"{ratios[np.argmax(np.abs(ratios))]:+.1%}"


@cache
def measurements(gpu: str, folder: str, runtime: str) -> SampleFile:
    """The recorded measurements of a runtime."""
    return SampleFile(SHIPPED / gpu / folder / f"{runtime}{SUFFIX}", lambda line: None)


DERIVED = {("h100", "unseen"): "calibrations/h100/datasheet.json"}
"""Measurements that are predicted from a datasheet alone, by GPU and folder."""


def recorded(gpu: str, folder: str, runtime: str) -> Outcome:
    """A runtime's recorded programs, priced again."""
    calibration = load_calibration(DERIVED.get((gpu, folder), gpu))
    rows = accuracy.rows(measurements(gpu, folder, runtime), calibration, runtime)
    rows = [row for row in rows if row.dtype == "fp16"]
    return Outcome(
        tuple(row.predicted["queue"] for row in rows),
        tuple(row.measured.seconds for row in rows),
        tuple(row.covered for row in rows),
        tuple(row.interval_s[1] / row.predicted["queue"] for row in rows),
    )


@cache
def measured(runtime: str) -> dict[tuple[str, int], Measurement]:
    """(Model, batch) -> measurement on the H200 in half precision."""
    rows = accuracy.rows(measurements("h200", "validation", runtime), load_calibration("h200"), runtime)
    return {(r.model, r.batch): r.measured for r in rows if r.dtype == "fp16" and r.batch in BATCHES}


@cache
def graph_of_zoo(model: str, runtime: str, batch: int) -> Graph:
    """A zoo model's shipped graph."""
    return plan_of(model).graph("fp16", runtime, batch)


def zoo(runtime: str) -> Outcome:
    """The zoo's graphs, lowered and priced again, host times scaled by the probe beside each measurement."""
    calibration = load_calibration("h200")
    host = calibration.host(runtime)
    target = Target(host.environment.torch, calibration.architecture)
    predicted, seconds = [], []
    for (model, batch), one in measured(runtime).items():
        program = runtimes.load(runtime).lower(graph_of_zoo(model, runtime, batch), target)
        scale = one.probe_s / host.probe_s
        priced = price(program, calibration, host).with_host_scaled(scale)
        predicted.append(queue(priced, calibration.lanes_of(host), host.fixed_s * scale).latency_s)
        seconds.append(one.seconds)
    return Outcome(tuple(predicted), tuple(seconds))


def small(runtime: str, build: Callable[[Any], tuple[Any, Any]]) -> Outcome:
    """A small module's latency on the H200."""
    import torch

    return Outcome((plan(*build(torch)).report("h200", runtime, "fp16").latency_s,))


def lstm(torch: Any) -> tuple[Any, Any]:
    """Two layers, 64 steps of 8 sequences."""
    return torch.nn.LSTM(512, 512, num_layers=2, device="meta"), torch.zeros(64, 8, 512, device="meta")


def window(torch: Any) -> tuple[Any, Any]:
    """An average over 7 x 7 pixels, between two pointwise operators."""
    module = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.AvgPool2d(7, 1, 3), torch.nn.ReLU())
    return module, torch.zeros(32, 256, 28, 28, device="meta")


def without_pixels(torch: Any) -> tuple[Any, Any]:
    """A batch norm of vectors that no linear layer before it can take in."""
    module = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.BatchNorm1d(4096), torch.nn.ReLU())
    return module.eval(), torch.zeros(1024, 4096)


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant of a module, and the tables that it is judged by. default: of a function, where it is one's default
    argument.
    """

    module: str
    name: str
    tables: tuple[tuple[str, Callable[[], Outcome]], ...]
    default: str = ""

    @property
    def value(self) -> Any:
        """As it is now."""
        return getattr(importlib.import_module(self.module), self.name)


def _recorded(gpu: str, folder: str, *runtimes: str) -> tuple[tuple[str, Callable[[], Outcome]], ...]:
    return tuple((f"{gpu} {folder}, {name}", lambda name=name: recorded(gpu, folder, name)) for name in runtimes)


def _zoo(*runtimes: str) -> tuple[tuple[str, Callable[[], Outcome]], ...]:
    return tuple((f"h200 zoo, {name}", lambda name=name: zoo(name)) for name in runtimes)


EVERY = ("eager", "torchscript", "cudagraph", "compile", "compile-cudagraph", "onnx", "onnx-cudagraph")
GRAPHS = ("cudagraph", "compile-cudagraph", "onnx-cudagraph")
COMPILED = _zoo("compile", "compile-cudagraph")
EAGER = _recorded("h200", "validation", "eager")
INTERVALS, COMPILE = "predictor.pricing.intervals", "predictor.runtimes.compile"
QUEUE = "predictor.timeline.queue"
WINDOW = (("7 x 7 average, compile-cudagraph", lambda: small("compile-cudagraph", window)),)
TORCH_VECTORS = (("batch norm of vectors, cudagraph", lambda: small("cudagraph", without_pixels)),)
LAYERS = (
    ("LSTM of 2 layers, eager", lambda: small("eager", lstm)),
    ("LSTM of 2 layers, cudagraph", lambda: small("cudagraph", lstm)),
)

CONSTANTS = (
    Constant(QUEUE, "SHARE_POWER", EAGER + _recorded("h100", "unseen", *EVERY)),
    Constant(INTERVALS, "EXTRAPOLATION_ERROR", EAGER + _recorded("h100", "unseen", *EVERY)),
    Constant("predictor.pricing.transfer", "SHARPNESS", _recorded("h100", "unseen", *EVERY)),
    Constant("predictor.pricing.program", "ROOF_SHARE", _recorded("h200", "validation", *GRAPHS)),
    Constant("predictor.calibration.host_costs", "HOSTS_DIFFER", _recorded("h100", "unseen", "eager", "onnx")),
    Constant("predictor.calibration.load", "TRANSFER_ERROR", _recorded("h100", "unseen", *GRAPHS)),
    Constant("predictor.graph.coldness", "HALF_DISTANCE", EAGER, default="coldness"),
    *(Constant(f"{COMPILE}.loops", name, COMPILED) for name in ("READS_OF_REUSED", "OPERATIONS", "CASTS", "FAR")),
    *(Constant(f"{COMPILE}.loops", name, COMPILED) for name in ("OPERATIONS_OF_JOINED", "MULTIPROCESSORS")),
    Constant(f"{COMPILE}.layout", "NODES_PER_CONV", COMPILED),
    Constant(f"{COMPILE}.loops", "UNROLLED_WINDOW", WINDOW),
    Constant("predictor.ops.reductions", "TILE", TORCH_VECTORS),
    Constant("predictor.ops.ort", "POINTERS", _zoo("onnx", "onnx-cudagraph")),
    Constant("predictor.pricing.program", "IN_A_LAYER", LAYERS),
    Constant("predictor.pricing.program", "LAYERS_S", LAYERS),
)

HEAD = (
    *("constant", "value", "table", "MAPE at half, now, double", "in 90 % likewise", "half width likewise"),
    "largest change of a latency at half, double",
)


@contextmanager
def changed(constant: Constant, value: Any) -> Iterator[None]:
    """The constant at another value, in every module that imported it."""
    old, function = constant.value, None
    modules = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith(("predictor", "calibrate")) and vars(module).get(constant.name) == constant.value
    ]
    if constant.default:
        function = getattr(importlib.import_module(constant.module), constant.default)
        defaults = function.__defaults__
        function.__defaults__ = tuple(value if one == old else one for one in defaults)
    try:
        for module in modules:
            setattr(module, constant.name, value)
        forget()
        yield
    finally:
        for module in modules:
            setattr(module, constant.name, old)
        if function is not None:
            function.__defaults__ = defaults
        forget()


def rows_of(constant: Constant) -> Iterator[str]:
    """Rows of the table: constant, value, table; MAPE, share in the 90 % interval and half its width at half, now and
    at double; the largest change of a latency at half and double.
    """
    value = constant.value
    for label, table in constant.tables:
        now = table()
        found = []
        for other in (type(value)(value / 2), value * 2):
            with changed(constant, other):
                found.append(table())
        half, double = found
        yield (
            f"| {constant.name} | {value} | {label} | {half.mape}, {now.mape}, {double.mape} "
            f"| {half.inside}, {now.inside}, {double.inside} | {half.width}, {now.width}, {double.width} "
            f"| {half.change(now)}, {double.change(now)} |"
        )


def main(wanted: Sequence[str]) -> None:
    """Print the rows of the constants that are wanted, all without a name."""
    print(
        "| constant | value | table | MAPE at half, now, double | in 90 % likewise | largest change at half, double |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for constant in CONSTANTS:
        if not wanted or constant.name in wanted:
            for row in rows_of(constant):
                print(row, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
