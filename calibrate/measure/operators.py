"""Host cost of single operators: one small example of each, called in a tight loop and in turn with the others."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from calibrate.measure.timers import Probe, launch_counts, tight_seconds
from calibrate.samples.records import ExampleLaunches, HostRound
from calibrate.samples.store import SampleFile
from calibrate.workloads.device import Run, synchronize
from predictor.capture.recorder import capture
from predictor.errors import PredictorError
from predictor.kernels.families import FAMILIES
from predictor.ops import Operands, rows
from predictor.pricing.program import HOST_ELEMENTS
from predictor.records import HostRow, Kernel
from predictor.runtimes.eager import lowering as eager

DTYPES = {"fp32": torch.float32, "fp16": torch.float16}


def operands(dtype: torch.dtype, device: str, large: bool) -> Operands:
    """What examples of operators are built of. large: as in a model at batch 1, where the device is a GPU.

    Called in inference mode, as models are: activations are inference tensors then, and weights are not.
    """
    rows, width, channels, side = (128, 768, 256, 14) if large else (4, 16, 16, 4)

    def activation(*shape: int) -> torch.Tensor:
        return torch.rand(shape, device=device, dtype=dtype)

    def weight(*shape: int) -> torch.Tensor:
        with torch.inference_mode(False):
            return torch.nn.Parameter(activation(*shape))

    def integers(*shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=torch.int64, device=device)

    heads = activation(1, rows, max(width // 64, 4), min(width // 4, 64))
    return Operands(
        torch=torch,
        functional=F,
        device=device,
        dtype=dtype,
        x=activation(1, rows, width),
        y=activation(1, rows, width),
        matrix=activation(rows, width),
        sequence=activation(1, width, rows),
        square=activation(1, rows, rows),
        column=activation(1, rows, 1),
        scalar=activation(1),
        heads=heads.transpose(1, 2),
        heads_last=heads,
        image=activation(1, channels, side, side),
        weight=weight(width, width),
        vector=weight(width),
        channels=weight(channels),
        window=weight(channels, channels, 3, 3),
        depthwise_window=weight(channels, 1, 3, 3),
        grouped_window=activation(channels, channels // 4, 3, 3),
        window_1d=weight(width, width, 3),
        depthwise_window_1d=activation(width, 1, 3),
        grouped_window_1d=activation(width, width // 4, 1),
        ids=integers(1, rows),
        index=integers(1, rows, 8),
        mask=torch.zeros(1, rows, width, dtype=torch.bool, device=device),
        on_host=torch.ones(64, 64),
    )


def examples(dtype: torch.dtype, device: str, large: bool) -> dict[str, Run]:
    """Row of the host costs -> a call that it is measured with, as a model would call it: of every operator that has an
    example, on each of its paths; of nothing; and of tensors on the CPU, with few and with many elements.
    """
    given = operands(dtype, device, large)
    few, many = torch.ones(8), torch.ones(HOST_ELEMENTS)
    return {
        "nothing": lambda: None,
        **{
            HostRow(row.aten[0], variant).label: build(given)
            for row in rows()
            for variant, build in row.examples.items()
        },
        "host": partial(operator.add, few, few),
        "host view": partial(few.unsqueeze, 0),
        "host many": partial(operator.add, many, many),
        "host many heavy": partial(many.log),
    }


def mixed_seconds(table: Mapping[str, Run], device: str, passes: int, seed: int) -> dict[str, tuple[float, ...]]:
    """Host seconds of each call when it follows other ones, of every pass: each example once a pass, in any order.

    A tight loop finds its instructions in the cache; a model, which calls many operators in turn, does not.
    """
    rng = np.random.default_rng(seed)
    names = list(table)
    call_seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(passes):
        synchronize(device)
        for position in rng.permutation(len(names)):
            call = table[names[position]]
            start = time.perf_counter()
            call()
            call_seconds[names[position]].append(time.perf_counter() - start)
    return {name: tuple(seconds) for name, seconds in call_seconds.items()}


@torch.inference_mode()
def run_launches(file: SampleFile) -> None:
    """Kernels that each example launches. Uses the profiler, so it comes after everything that times the host."""
    if not file.has(ExampleLaunches):
        launches = {}
        for dtype, table in _tables("cuda").items():
            for call in table.values():  # what is loaded and tuned once
                call()
            launches[dtype] = dict(zip(table, launch_counts(list(table.values())), strict=True))
        file.append([ExampleLaunches(launches)])


def _tables(device: str) -> dict[str, dict[str, Run]]:
    cuda = device == "cuda"
    return {name: examples(dtype, device, cuda) for name, dtype in DTYPES.items() if cuda or name == "fp32"}


def example_kernels() -> dict[str, dict[str, Kernel]]:
    """Operator -> dtype -> the kernel on matrix units in its example on a GPU, for those that have one."""
    kernels: dict[str, dict[str, Kernel]] = {}
    for name, dtype in DTYPES.items():
        for op, call in examples(dtype, "meta", large=True).items():
            try:
                program = eager.lower(capture(_Example(call), torch.empty(1), name))
            except PredictorError:  # looks at data
                continue
            kernel = next((k for c in program.calls for k in c.kernels if FAMILIES[k.family].matrix), None)
            if kernel is not None:
                kernels.setdefault(op, {})[name] = kernel
    return kernels


class _Example(torch.nn.Module):
    def __init__(self, call: Run) -> None:
        super().__init__()
        self.call = call

    def forward(self, _: torch.Tensor) -> Any:
        return self.call()


@torch.inference_mode()
def run_host(file: SampleFile, device: str, rounds: int, advance: Callable[[int], None]) -> None:
    """Every example in tight loops and mixed with the others, in interleaved rounds, the host probe beside each."""
    tables = _tables(device)
    probe = Probe(device)
    for table in tables.values():
        for call in table.values():
            tight_seconds(call, device, 20)
    for number in range(rounds):
        if not file.has(HostRound, number):
            first = probe()
            tight = {
                dtype: {op: tuple(tight_seconds(call, device, 25) for _ in range(4)) for op, call in table.items()}
                for dtype, table in tables.items()
            }
            second = probe()
            mixed = {dtype: mixed_seconds(table, device, 40, number) for dtype, table in tables.items()}
            file.append([HostRound(number, tight, mixed, (first, second, probe()))])
        advance(1)
