"""Predictions without end in one process: ``python -m benchmarks.memory``.

Small modules of many kinds are made anew each time and predicted. Prints the resident memory and the number of objects
that Python's garbage collector knows, every so many predictions; exits with 1 where they grow after the first
``--settled``, or where a prediction depends on its order, thread or context.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.coverage_idioms import IDIOMS
from predictor.errors import PredictorError
from predictor.predict import Predictor

GROWTH_BYTES = 8e6
"""Resident memory may grow by so much after it has settled: allocators round up."""

GROWTH_OBJECTS = 500
"""Objects likewise: caches of torch that are bounded fill up."""

HEAVY = ("generate", "experts_fp32", "experts_fp16", "experts_bf16", "flexible_attention_masked", "compiled")
"""Idioms that take long and are left out."""

OF_THE_MAIN_THREAD = ("coroutine_inside",)
"""Idioms for which Python itself does more in its main thread, which installs signal handlers for ``asyncio.run``."""

MADE_ONCE = ("traced", "exported_program", "exported_module")
"""Idioms that are predicted many times, but made once: torch keeps some of what it traces and exports for ever."""


class _Own(nn.Module):
    """A class made anew for each prediction, as a search over architectures makes them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, width)


def _fresh(number: int) -> tuple[nn.Module, Any, str]:
    """A module of a class of its own."""
    width = 8 * (1 + number % 5)

    def forward(self: Any, x: Tensor) -> Tensor:
        return torch.relu(self.layer(x))

    kind = type(f"Own{number}", (_Own,), {"forward": forward})
    return kind(width), torch.rand(2, width), "fp16"


def makers(only: str = "") -> list[Callable[[int], tuple[Any, Any, str]]]:
    """What makes a module, its inputs and the dtype, of the number of the prediction."""
    idioms = {
        name: build
        for name, build in IDIOMS.items()
        if not name.startswith(HEAVY + OF_THE_MAIN_THREAD) and only in name
    }
    idioms |= {name: cache(idioms[name]) for name in MADE_ONCE if name in idioms}
    return [*(lambda number, build=build: build() for build in idioms.values()), *[_fresh] * 20]  # type: ignore[misc]


def predicted(made: tuple[Any, Any, str], runtime: str = "eager") -> float | str:
    """Seconds, or what a refusal says."""
    module, inputs, dtype = made
    try:
        return Predictor("h200", runtime, dtype).latency(module, inputs)
    except PredictorError as error:
        return str(error)


def resident_bytes() -> int:
    """Resident memory of the process (Linux)."""
    with open("/proc/self/statm", encoding="utf-8") as statm:
        return int(statm.read().split()[1]) * 4096


def sizes(predictions: int, every: int, making: list[Callable[[int], Any]]) -> Iterator[tuple[int, int, int]]:
    """(Predictions, bytes, objects) every so many predictions."""
    for number in range(1, predictions + 1):
        predicted(making[number % len(making)](number))
        if number % every == 0:
            gc.collect()
            yield number, resident_bytes(), len(gc.get_objects())


def differing(making: list[Callable[[int], Any]], threads: int) -> list[str]:
    """Idioms whose prediction depends on the order, on threads that predict beside, or on torch's contexts."""
    made = [make(number) for number, make in enumerate(making)]
    alone = [predicted(one) for one in made]
    order = list(range(len(made)))
    random.Random(1).shuffle(order)
    shuffled = {number: predicted(made[number]) for number in order}
    with ThreadPoolExecutor(threads) as pool:
        beside = list(pool.map(predicted, made))
    with ExitStack() as stack:
        for context in (torch.device("meta"), torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode()):
            stack.enter_context(context)
        inside = [predicted(one) for one in made]
    return [
        f"{number}: alone {alone[number]}, {how} {other}"
        for number in range(len(made))
        for how, other in (
            ("in another order", shuffled[number]),
            (f"with {threads} threads", beside[number]),
            ("in contexts", inside[number]),
        )
        if other != alone[number]
    ]


def main() -> int:
    """Figures, and whether memory grows or predictions differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", type=int, default=2000)
    parser.add_argument("--settled", type=int, default=200, help="predictions after which nothing may grow")
    parser.add_argument("--every", type=int, default=100, help="predictions between two looks")
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--only", default="", help="idioms whose names hold this")
    options = parser.parse_args()
    torch.set_num_threads(1)
    making, start = makers(options.only), time.monotonic()
    different = differing(making, options.threads)
    print(f"{len(making)} modules alone, shuffled, in {options.threads} threads, in contexts: {len(different)} differ")
    print("\n".join(different))
    seen = []
    for number, resident, objects in sizes(options.predictions, options.every, making):
        seen.append((number, resident, objects))
        print(
            f"{number:6} predictions {resident / 1e6:9.1f} MB {objects:9} objects {threading.active_count():3} threads "
            f"{time.monotonic() - start:7.1f} s",
            flush=True,
        )
    settled = [row for row in seen if row[0] >= options.settled]
    grown, more = settled[-1][1] - settled[0][1], settled[-1][2] - settled[0][2]
    print(f"after {settled[0][0]} predictions: {grown / 1e6:+.1f} MB, {more:+} objects")
    return int(bool(different) or grown > GROWTH_BYTES or more > GROWTH_OBJECTS)


if __name__ == "__main__":
    sys.exit(main())
