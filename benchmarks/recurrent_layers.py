"""Recurrent layers of torch: measure them on the GPU at hand, or read what was measured.

    python -m benchmarks.recurrent_layers --out FILE.jsonl
    python -m benchmarks.recurrent_layers --read calibrations/h200/samples/recurrent.jsonl.gz [--fit h200 h100]

Seeded random layers (LSTM, GRU, RNN; any width, steps, batch, depth, one way or both, fp16, fp32): first, of all, the
host's seconds of a call (the device drained before and after), then by the profiler the kernels by name, with how many
and nanoseconds. A row is on disk as it is taken.

Read, every layer is captured and lowered: of how many its kernels are the profile's, and how far its kernels' times
are off, where those of the even rows alone were learnt from. With ``--fit`` all are, and the fits written into the
calibrations that are named: the first is of the GPU that was measured, the others are of its multiprocessors.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from msgspec import structs
from numpy.typing import NDArray

from calibrate.fit.kernel_tables import merged
from calibrate.fit.kernels import by_fit, fit_family, floor_and_residual, work_of
from calibrate.measure.timers import pass_seconds, profile_events, short_name, tight_seconds
from calibrate.samples.kernels import MeasuredKernel
from predictor.calibration import files
from predictor.calibration.load import load_calibration
from predictor.calibration.schema import Device, Kernels
from predictor.capture.recorder import capture
from predictor.kernels.families import FAMILIES
from predictor.records import Kernel, Trait
from predictor.runtimes.eager import lowering as eager

Row = Mapping[str, Any]

CELLS = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU, "RNN": torch.nn.RNN}


def drawn(number: int) -> dict[str, Any]:
    """The layer of a number."""
    rng = np.random.default_rng([7, number])

    def pick(*values: Any) -> Any:
        return values[int(rng.integers(len(values)))]

    hidden = pick(16, 32, 48, 64, 80, 90, 96, 100, 128, 128, 150, 160, 192, 256, 256, 300, 320, 384, 400, 512, 512, 640)
    return {
        "cell": pick("LSTM", "LSTM", "LSTM", "GRU", "GRU", "RNN"),
        "inputs": pick(hidden, hidden, 32, 40, 64, 80, 128, 256, 512),
        "hidden": pick(hidden, hidden, hidden, hidden, 768, 1024),
        "layers": pick(1, 1, 1, 2, 2, 3),
        "both_ways": pick(False, False, True),
        "batch": pick(1, 1, 2, 4, 8, 16, 16, 32, 64, 128),
        "steps": pick(1, 4, 8, 16, 24, 36, 64, 64, 100, 128, 192, 256, 400),
        "dtype": pick("float16", "float16", "float32"),
    }


def module_of(layer: Row) -> torch.nn.Module:
    """The layer's module, in evaluation mode."""
    sizes = layer["inputs"], layer["hidden"], layer["layers"]
    options = {"batch_first": True, "bidirectional": layer["both_ways"]}
    module: torch.nn.Module = CELLS[layer["cell"]](*sizes, **options).eval()
    return module


def made(layer: Row) -> Callable[[], Any]:
    """The layer on the device, as a call."""
    dtype = getattr(torch, layer["dtype"])
    module = module_of(layer).to("cuda", dtype)
    x = torch.randn(layer["batch"], layer["steps"], layer["inputs"], device="cuda", dtype=dtype)

    def run() -> Any:
        with torch.inference_mode():
            return module(x)

    return run


def measure(out: Path, count: int, seconds: float) -> None:
    """Measure until the time is over."""
    start, rows = time.monotonic(), []
    for number in range(count):
        if time.monotonic() - start > 0.5 * seconds:
            break
        layer = drawn(number)
        run = made(layer)
        pass_seconds(run, "cuda", 3)
        host = [tight_seconds(run, "cuda", 3) for _ in range(4)]
        rows.append({**layer, "host_s": host, "pass_s": pass_seconds(run, "cuda", 6)})
    with out.open("a") as file:
        for row in rows:
            if time.monotonic() - start > seconds:
                break
            run = made(row)
            run()
            kernels: dict[str, list[int]] = defaultdict(lambda: [0, 0])
            for event in profile_events(run):
                kernels[short_name(event.name)][0] += 1
                kernels[short_name(event.name)][1] += event.duration_ns
            file.write(json.dumps({**row, "gpu": torch.cuda.get_device_name(), "kernels": kernels}) + "\n")
            file.flush()
    print(f"{time.monotonic() - start:.0f} s: {len(rows)} layers")


def rows_of(path: Path) -> list[Row]:
    """What was measured."""
    with gzip.open(path, "rt") as file:
        return [json.loads(line) for line in file]


OWN = ("recurrence", "recurrent_cell")
"""Families whose kernels go by names of their own."""

OTHERS = re.compile("elementwise_kernel|persistRNN|region_transform|Mem(set|cpy) ")
"""Kernels of a layer besides those and its products."""


def kernels_of(row: Row) -> tuple[Kernel, ...]:
    """The kernels of a layer as they are predicted, one by one."""
    return _kernels(tuple((name, row[name]) for name in drawn(0)))


@cache
def _kernels(layer: tuple[tuple[str, Any], ...]) -> tuple[Kernel, ...]:
    row = dict(layer)
    dtype = {"float16": "fp16", "float32": "fp32"}[row["dtype"]]
    with torch.device("meta"):
        module, x = module_of(row), torch.empty(row["batch"], row["steps"], row["inputs"])
    calls = eager.lower(capture(module, (x,), dtype)).calls
    found = (kernel for call in calls if call.trait is Trait.RNN for kernel in call.kernels)
    return tuple(kernel for kernel in found for _ in range(kernel.times))


def counted(row: Row) -> tuple[Counter[str], Counter[str]]:
    """Kernels by family that are predicted, and by names that were measured: all products are one family."""
    found: Counter[str] = Counter()
    for name, (count, _) in row["kernels"].items():
        own = next((family for family in OWN if re.search(FAMILIES[family].profiler_names, name)), "")
        if own or not (OTHERS.search(name) or "splitKreduce" in name):
            found[own or "product"] += count
    names = {"gemm": "product", "recurrent_product": "product", **dict(zip(OWN, OWN, strict=True))}
    return Counter(names[k.family] for k in kernels_of(row) if k.family in names), found


def samples_of(row: Row) -> Iterator[MeasuredKernel]:
    """Kernels of a layer whose times the profile tells apart: those with names of their own, and the products of the
    states, where no other are as many.
    """
    kernels = kernels_of(row)
    for family in (*OWN, "recurrent_product"):
        same = [kernel for kernel in kernels if kernel.family == family]
        if not same:
            continue
        if family in OWN:
            taken = [
                found for name, found in row["kernels"].items() if re.search(FAMILIES[family].profiler_names, name)
            ]
        else:
            products = [
                found for name, found in row["kernels"].items() if not OTHERS.search(name) and "RNN" not in name
            ]
            taken = [found for found in products if found[0] == len(same)]
        if taken and (family in OWN or (len(taken) == 1 and row["steps"] > 1)):
            seconds = sum(nanoseconds for _, nanoseconds in taken) / len(same) * 1e-9
            launches = max(round(sum(count for count, _ in taken) / len(same)), 1)
            yield MeasuredKernel(family, same[0].dtype, dict(same[0].dims), seconds, launches)


def read(path: Path) -> None:
    """Print how far what is predicted is from what was measured."""
    rows, device = rows_of(path), load_calibration(path.parent.parent.name).device
    alike: Counter[tuple[int, str]] = Counter()
    for number, row in enumerate(rows):
        predicted, found = counted(row)
        alike[number % 2, "single kernels"] += predicted["recurrence"] > 0
        alike[number % 2, "layers"] += 1
        alike[number % 2, "whom one kernel runs"] += (predicted["recurrence"] > 0) == (found["recurrence"] > 0)
        alike[number % 2, "products"] += abs(predicted["product"] - found["product"]) <= 0.05 * found["product"]
    for (number, name), count in sorted(alike.items()):
        print(("learnt from", "held out")[number], name, count)
    for family, name, errors in unseen_errors(rows[::2], rows[1::2], device):
        mean, median = (float(how(np.abs(np.expm1(errors)))) for how in (np.mean, np.median))
        print(f"{family} {name}: {len(errors)} held out, mean error {mean:.1%}, median {median:.1%}")


def unseen_errors(
    learnt: Sequence[Row], held_out: Sequence[Row], device: Device
) -> Iterator[tuple[str, str, NDArray[np.float64]]]:
    """Family and units, and errors of log time of the kernels of rows, by a fit of those of others."""
    known = by_fit([sample for row in learnt for sample in samples_of(row)])
    for (family, name), group in by_fit([sample for row in held_out for sample in samples_of(row)]).items():
        floor_s, residual = floor_and_residual(known[family, name], family, device)
        base_s, features = work_of(group, family, device)
        seconds = np.array([sample.seconds for sample in group])
        yield family, name, np.log((base_s + floor_s) / seconds) + residual.predict(features)


def fit(path: Path, gpus: Sequence[str]) -> None:
    """Write the fits of all rows into calibrations."""
    samples = [sample for row in rows_of(path) for sample in samples_of(row)]
    for gpu in gpus:
        folder = files.find(gpu)
        kernels = files.read(folder / "kernels.json", Kernels, gpu)
        source = "" if gpu == gpus[0] else f"{gpus[0]}'s, which has the same multiprocessors"
        device = load_calibration(gpu).device
        fits = [
            fit_family(group, family, device, provenance="derived" if source else "measured", source=source)
            for (family, _), group in by_fit(samples).items()
        ]
        files.write_calibration(folder, [structs.replace(kernels, fits=merged(kernels.fits, fits))])
        for one in fits:
            print(f"{gpu} {one.family} {one.units}: {one.error.samples} samples, {one.error.mape:.1%} on unseen ones")


def main() -> None:
    """Measure, or read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="measure into this file")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--read", type=Path, help="read this file")
    parser.add_argument("--fit", nargs="+", default=[], metavar="GPU", help="write the fits of what is read")
    options = parser.parse_args()
    if options.out:
        measure(options.out, options.count, options.seconds)
    if options.read:
        read(options.read)
    if options.fit:
        fit(options.read, options.fit)


if __name__ == "__main__":
    main()
