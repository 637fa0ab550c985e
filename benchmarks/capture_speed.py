"""How long a prediction of a new module takes: ``python -m benchmarks.capture_speed``.

Beside it, in the same rounds: the slow way (every result computed anew, ``signatures.SLOW``), fvcore's
count of the same module, and its own forward on the meta device. Medians of CPU time, one thread. A module is
never predicted twice: a known kind means that another one of its class was predicted before, with the same shapes, or
with others ("at new shapes"); of a search space each round takes another network. Also: how time grows with the number
of operators, and loops of recurrent cells. ``--only`` takes some of the rows.
"""

from __future__ import annotations

import argparse
import copy
import logging
import os
import random
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn
from torch.utils._pytree import tree_map_only

import models_zoo
from predictor.capture.signatures import SLOW
from predictor.graph.inputs import call_arguments
from predictor.predict import Predictor

GPU, DTYPE = "h200", "fp16"
WARM = 3
"""Modules of a kind that are predicted before the first is timed."""

MOST_OF_FVCORE, MOST_OF_FORWARD = 0.15, 0.7
"""What a prediction may take of either."""

Make = Callable[[int], tuple[nn.Module, Any]]
"""The number of a module -> a new one and its inputs."""

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Row:
    """Milliseconds of one kind of module."""

    name: str
    predicted: float
    slow: float
    fvcore: float
    forward: float

    @property
    def holds(self) -> bool:
        """Whether both bars are kept."""
        return self.predicted <= min(MOST_OF_FVCORE * self.fvcore, MOST_OF_FORWARD * self.forward)


def _zoo(name: str, length: int = 0, step: int = 0) -> Make:
    return lambda number: models_zoo.build(name, 1, length + step * number or None)


def _images(build: Callable[[], nn.Module], name: str | None, side: int, step: int = 0) -> Make:
    def make(number: int) -> tuple[nn.Module, Any]:
        images = torch.rand(1, 3, *[side + step * number] * 2)
        return build(), {name: images} if name else (images,)

    return make


def _swin() -> nn.Module:
    from transformers import SwinConfig, SwinModel

    return SwinModel(SwinConfig(depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24], embed_dim=96))


def _resnet50() -> nn.Module:
    module: nn.Module = models_zoo.build("resnet50", 1)[0]
    return module


_CELLS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def _nasbench201(number: int) -> tuple[nn.Module, Any]:
    from benchmarks import search_networks

    drawn = random.Random(number)
    nodes = ["|" + "|".join(f"{drawn.choice(_CELLS)}~{i}" for i in range(n)) + "|" for n in (1, 2, 3)]
    return search_networks.nasbench201("+".join(nodes)), (torch.rand(1, 3, 32, 32),)


def _ofa(number: int) -> tuple[nn.Module, Any]:
    from benchmarks import search_networks

    return search_networks.ofa_mobilenetv3(search_networks.random_ofa(number)), (torch.rand(1, 3, 224, 224),)


KINDS: dict[str, Make] = {
    "bert-base": _zoo("bert-base", 128),
    "resnet50": _images(_resnet50, "pixel_values", 224),
    "swin": _images(_swin, "pixel_values", 224),
    "funnel": _zoo("funnel", 128),
    "nasbench201": _nasbench201,
    "ofa-mobilenetv3": _ofa,
    "bert-base at new shapes": _zoo("bert-base", 128, 3),
    "resnet50 at new shapes": _images(_resnet50, "pixel_values", 192, 32),
    "swin at new shapes": _images(_swin, "pixel_values", 224, 32),
    "funnel at new shapes": _zoo("funnel", 64, 8),
}


def _cpu_ms(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return 1e3 * (time.process_time() - start)


class _Called(nn.Module):
    """A module with positional arguments alone, as fvcore calls it."""

    def __init__(self, module: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.module, self.names = module, names

    def forward(self, *values: Any) -> Any:
        return self.module(**dict(zip(self.names, values, strict=True))) if self.names else self.module(*values)


def _count(module: nn.Module, inputs: Any) -> None:
    args, kwargs = call_arguments(inputs)
    with torch.no_grad():
        analysis = FlopCountAnalysis(_Called(module, tuple(kwargs)), tuple(kwargs.values()) or args)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()


def _forward_ms(module: nn.Module, inputs: Any) -> float:
    args, kwargs = tree_map_only(torch.Tensor, lambda t: t.to("meta"), call_arguments(inputs))
    on_meta = copy.deepcopy(module).to("meta")
    with torch.inference_mode():
        try:
            return _cpu_ms(lambda: on_meta(*args, **kwargs))
        except Exception:  # it mixes tensors that it makes with those of the device
            with torch.device("meta"):
                return _cpu_ms(lambda: on_meta(*args, **kwargs))


def measured(name: str, make: Make, rounds: int) -> Row:
    """Time one kind of module."""
    predictor = Predictor(GPU, "eager", DTYPE)
    for _ in range(WARM):
        module, inputs = make(next(_numbers))
        predictor.predict(module.eval(), inputs)
        _forward_ms(module, inputs)
    _count(module, inputs)
    rows = []
    for _ in range(rounds):
        module, inputs = make(next(_numbers))
        module.eval()
        predicted = _cpu_ms(partial(predictor.predict, module, inputs))
        forward = _forward_ms(module, inputs)
        counted = _cpu_ms(partial(_count, module, inputs))
        os.environ[SLOW] = "1"
        slow = _cpu_ms(partial(predictor.predict, module, inputs))
        del os.environ[SLOW]
        rows.append((predicted, slow, counted, forward))
    return Row(name, *(statistics.median(column) for column in zip(*rows, strict=True)))


class _Chain(nn.Module):
    def __init__(self, operators: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(operators // 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class _Cells(nn.Module):
    def __init__(self, steps: int) -> None:
        super().__init__()
        self.cell, self.steps = nn.LSTMCell(64, 64), steps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = None
        for _ in range(self.steps):
            state = self.cell(x, state)
        return state[0]


class _Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LSTM(64, 64, num_layers=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layer(x)[0]
        return result


LONG: dict[str, Callable[[], tuple[nn.Module, Any]]] = {
    "1,000 operators": lambda: (_Chain(1000), torch.rand(1, 8)),
    "5,000 operators": lambda: (_Chain(5000), torch.rand(1, 8)),
    "20,000 operators": lambda: (_Chain(20_000), torch.rand(1, 8)),
    "LSTM, 1,000 steps": lambda: (_Layer(), torch.rand(1000, 1, 64)),
    "500 LSTM cells": lambda: (_Cells(500), torch.rand(1, 64)),
}


def main() -> None:
    """Print a row a kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="rows whose names hold one of these, with commas between them")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    named = options.only.split(",")
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    print(
        f"{'CPU ms, one thread':24} {'predict':>8} {'slow way':>9} {'fvcore':>8} {'forward':>8}   of fvcore, of forward"
    )
    for name, make in KINDS.items():
        if not any(part in name for part in named):
            continue
        try:
            row = measured(name, make, options.rounds)
        except ImportError as error:
            print(f"{name:24} left out, {error}")
            continue
        print(
            f"{name:24} {row.predicted:8.1f} {row.slow:9.1f} {row.fvcore:8.1f} {row.forward:8.1f}"
            f"   {row.predicted / row.fvcore:9.2f}  {row.predicted / row.forward:10.2f}"
            f"  {'' if row.holds else 'over the bar'}",
            flush=True,
        )
    for name, make_long in LONG.items():
        if not any(part in name for part in named):
            continue
        predictor = Predictor(GPU, "eager", DTYPE)
        predictor.predict(*make_long())
        module, inputs = make_long()
        print(f"{name:24} {_cpu_ms(partial(predictor.predict, module, inputs)):8.1f}", flush=True)


if __name__ == "__main__":
    main()
