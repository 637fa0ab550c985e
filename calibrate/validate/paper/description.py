"""What a figure shows: panels of lines, each a row of cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import models_zoo
from calibrate.workloads.cases import Case
from predictor.records import Report

POWERS = (1, 2, 4, 8, 16, 32, 64, 128)
"""Batch sizes of the paper's sweeps."""

TOKENS = 128
"""Length of the paper's texts where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Size:
    """What the horizontal axis shows, told by the case alone. base: of a logarithmic axis; 0: linear."""

    label: str
    of: Callable[[Case], float]
    base: int = 2


@dataclass(frozen=True, slots=True)
class Quantity:
    """What the vertical axis shows, in the unit of its label. is_latency: it has an interval and may have been
    measured.
    """

    label: str
    of: Callable[[Report], float]
    is_latency: bool = False
    logarithmic: bool = True


def macs_of(case: Case) -> float:
    """Multiply-accumulates of a case at its usual length: those of a pass of batch 1, as the zoo's index has them."""
    return float(models_zoo.index()[case.model]["macs"]) * case.batch


BATCH = Size("batch size", lambda case: case.batch)
LENGTH = Size("length (tokens)", lambda case: case.length or TOKENS)
MACS = Size("multiply-accumulates of a pass (G)", lambda case: macs_of(case) * 1e-9, base=10)
LATENCY = Quantity("latency (ms)", lambda report: report.latency_s * 1e3, is_latency=True)
HOST = Quantity("host time (ms)", lambda report: report.host_s * 1e3)
KERNELS = Quantity("kernel time (ms)", lambda report: report.kernel_s * 1e3)
BUSY = Quantity("device busy (%)", lambda report: report.busy_share * 100, logarithmic=False)
SMS = Quantity("SMs active (%)", lambda report: report.breakdown.sms_active * 100, logarithmic=False)


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
    x: Size = BATCH
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

HOSTED = {"eager": "PyTorch", "torchscript": "TorchScript", "cudagraph": "CUDA graphs"}
"""The three of torch itself."""


def runtimes(model: str, dtype: str, batches: Sequence[int] = POWERS, tokens: Sequence[int] = (0,)) -> tuple[Line, ...]:
    """A line for each of the three runtimes."""
    return tuple(Line(label, sweep(model, name, dtype, batches, tokens)) for name, label in RUNTIMES.items())


def at_index(cases: Sequence[Case], label: str) -> Size:
    """An axis on which the cases stand side by side."""
    places = {case: index for index, case in enumerate(cases)}
    return Size(label, lambda case: places[case], base=0)
