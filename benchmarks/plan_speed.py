"""How fast a plan is priced: ``python benchmarks/plan_speed.py``. Medians; every report and sweep is of batch sizes
that were not priced before.
"""

from __future__ import annotations

import pickle
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count

from predictor.calibration.files import known_gpus
from predictor.plans import Plan
from predictor.runtimes import names
from predictor.sources import plan_of

MODEL, GPU, REPEATS = "bert-base", "h200", 9


def median_ms(run: Callable[[], object], repeats: int = REPEATS) -> float:
    """Milliseconds of a call, the median of some."""
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return statistics.median(found) * 1e3


def reports(plan: Plan, batches: Iterator[int]) -> float:
    """One report after the first."""
    plan.sweep(GPU, batch=range(1, 257))
    plan.report(GPU, batch=2)
    return median_ms(lambda: plan.report(GPU, batch=next(batches)), 5 * REPEATS)


def sweep(plan: Plan, starts: Iterator[int]) -> float:
    """128 batch sizes after the first."""
    plan.sweep(GPU, batch=range(1, 1200))

    def run() -> object:
        first = next(starts)
        return plan.sweep(GPU, batch=range(first, first + 128))

    return median_ms(run)


def everywhere(plan: Plan, batches: Iterator[int]) -> float:
    """Ten GPUs under seven runtimes, after the first."""
    gpus = [gpu for gpu in known_gpus() if gpu != "cpu"][:10]

    def run() -> None:
        batch = next(batches)
        for gpu in gpus:
            for runtime in names():
                plan.report(gpu, runtime, batch=batch)

    for runtime in names():
        for gpu in gpus:
            plan.sweep(gpu, runtime, batch=[2, 3, 4, 5, 6])
    run()
    return median_ms(run)


def start_ms(*command: str) -> float:
    """A process from start to end."""
    return median_ms(lambda: subprocess.run([sys.executable, *command], check=True, capture_output=True), 5)


def main() -> None:
    """Print every figure."""
    plan = plan_of(MODEL)
    print(f"plan of {MODEL}, pickled:            {len(pickle.dumps(plan)) / 1e3:8.1f} kB")
    print(f"a report:                            {reports(plan, count(2)):8.2f} ms")
    print(f"128 batch sizes:                     {sweep(plan, count(2)):8.2f} ms")
    print(f"10 GPUs x {len(names())} runtimes:                {everywhere(plan, count(2)):8.2f} ms")
    torch_ms = start_ms("-c", "import torch")
    program = "from predictor.cli.main import main; main()"
    predict_ms = start_ms("-c", program, "--model", MODEL, "--gpu", GPU)
    print(f"predict --model {MODEL} --gpu {GPU}: {predict_ms:8.0f} ms, {predict_ms / torch_ms:.2f} x import torch")


if __name__ == "__main__":
    main()
