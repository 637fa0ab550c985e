"""What a figure shows: panels of lines, each a row of cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from calibrate.workloads.cases import Case
from predictor.records import Report

POWERS = (1, 2, 4, 8, 16, 32, 64, 128)
"""Batch sizes of the paper's sweeps."""

TOKENS = 128
"""Length of the paper's texts where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """What an axis shows, in the unit of its label. is_latency: it has an interval and may have been measured.

    logarithmic: shown on a logarithmic axis of base 2 (sizes), 10 (times), or on a linear one where 0.
    """

    label: str
    of: Callable[[Case, Report], float]
    is_latency: bool = False
    logarithmic: int = 10


BATCH = Quantity("batch size", lambda case, _: case.batch, logarithmic=2)
LENGTH = Quantity("length (tokens)", lambda case, _: case.length or TOKENS, logarithmic=2)
MACS = Quantity("multiply-accumulates of a pass (G)", lambda _, report: report.macs * 1e-9)
LATENCY = Quantity("latency (ms)", lambda _, report: report.latency_s * 1e3, is_latency=True)
HOST = Quantity("host time (ms)", lambda _, report: report.host_s * 1e3)
KERNELS = Quantity("kernel time (ms)", lambda _, report: report.kernel_s * 1e3)
BUSY = Quantity("device busy (%)", lambda _, report: report.busy_share * 100, logarithmic=0)
SMS = Quantity("SMs active (%)", lambda _, report: report.breakdown.sms_active * 100, logarithmic=0)


@dataclass(frozen=True, slots=True)
class Line:
    """Cases that are joined. gpu: another than the one that is asked for; y: what is shown of each."""

    label: str
    cases: tuple[Case, ...]
    gpu: str = ""
    y: Quantity = LATENCY


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines over one axis. ticks: names of x = 0, 1, 2, ... where it is no size; joined: whether lines are drawn."""

    title: str
    lines: tuple[Line, ...]
    x: Quantity = BATCH
    ticks: tuple[str, ...] = ()
    joined: bool = True
    y_label: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure or table of the paper. says: what it shows, one sentence."""

    title: str
    says: str
    panels: tuple[Panel, ...]


def sweep(
    model: str,
    runtime: str = "eager",
    dtype: str = "fp16",
    batches: Sequence[int] = POWERS,
    tokens: Sequence[int] = (0,),
    lengths: str = "",
) -> tuple[Case, ...]:
    """Cases of one model over batches, at each length (0: its usual one)."""
    return tuple(
        Case(model, batch, dtype, runtime, 0 if length == TOKENS else length, lengths)
        for length in tokens
        for batch in batches
    )


def models(names: Sequence[str], dtype: str = "fp16", runtime: str = "eager") -> tuple[Line, ...]:
    """A line over the batch for each model."""
    return tuple(Line(name, sweep(name, runtime, dtype)) for name in names)


RUNTIMES = {"eager": "PyTorch", "torchscript": "TorchScript", "onnx": "ONNX Runtime"}
"""The three that most figures compare, and their names there."""


def runtimes(model: str, dtype: str, batches: Sequence[int] = POWERS, tokens: Sequence[int] = (0,)) -> tuple[Line, ...]:
    """A line for each of the three runtimes."""
    return tuple(Line(label, sweep(model, name, dtype, batches, tokens)) for name, label in RUNTIMES.items())


def at_index(cases: Sequence[Case], label: str) -> Quantity:
    """An axis on which the cases stand side by side."""
    places = {case: index for index, case in enumerate(cases)}
    return Quantity(label, lambda case, _: places[case], logarithmic=0)
