"""Measure recurrent layers of torch on the GPU at hand: ``python -m benchmarks.recurrent_layers --out FILE.jsonl``.

Seeded random layers (LSTM, GRU, RNN; any width, steps, batch, depth, one way or both, fp16, fp32): first, of all, the
host's seconds of a call (the device drained before and after), then by the profiler the kernels by name, with how many
and nanoseconds. A row is on disk as it is taken. How a library runs such a layer (a product a step, or one kernel for
all steps) is read off these rows: see ``docs/accuracy.md``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from calibrate.measure.timers import pass_seconds, profile_events, short_name, tight_seconds

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


def made(layer: dict[str, Any]) -> Callable[[], Any]:
    """The layer on the device, as a call."""
    dtype = getattr(torch, layer["dtype"])
    sizes = layer["inputs"], layer["hidden"], layer["layers"]
    options = {"batch_first": True, "bidirectional": layer["both_ways"]}
    module = CELLS[layer["cell"]](*sizes, **options).to("cuda", dtype).eval()
    x = torch.randn(layer["batch"], layer["steps"], layer["inputs"], device="cuda", dtype=dtype)

    def run() -> Any:
        with torch.inference_mode():
            return module(x)

    return run


def main() -> None:
    """Measure until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=120.0)
    options = parser.parse_args()
    start, rows = time.monotonic(), []
    for number in range(options.count):
        if time.monotonic() - start > 0.5 * options.seconds:
            break
        layer = drawn(number)
        run = made(layer)
        pass_seconds(run, "cuda", 3)
        host = [tight_seconds(run, "cuda", 3) for _ in range(4)]
        rows.append({**layer, "host_s": host, "pass_s": pass_seconds(run, "cuda", 6)})
    with options.out.open("a") as file:
        for row in rows:
            if time.monotonic() - start > options.seconds:
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


if __name__ == "__main__":
    main()
