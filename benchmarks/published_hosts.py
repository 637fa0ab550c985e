"""How much hosts differ: the spread of published latencies at batch 1 over sessions, each a machine of its own.

python benchmarks/published_hosts.py published_latency_2022.csv
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from calibrate.samples.model_latencies import UNRELIABLE

MODELS = ("bert", "albert", "mobile_bert", "funnel_transformer", "mobilenet_v2", "efficientnet", "shufflenet")
"""Bound by the host at batch 1 on every GPU."""


def main(path: Path) -> None:
    """Print the standard deviation of log latency of each model, by runtime."""
    sessions: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["batch"] == "1" and row["session"] not in UNRELIABLE:
                sessions[row["runtime"]][row["session"]][row["model"]] = float(row["latency_ms"])
    for runtime, found in sessions.items():
        whole = [own for own in found.values() if set(MODELS) <= set(own)]
        if len(whole) > 2:
            spread = {m: float(np.std(np.log([own[m] for own in whole]), ddof=1)) for m in MODELS}
            said = ", ".join(f"{model} {one:.2f}" for model, one in spread.items())
            print(f"{runtime}: {np.mean(list(spread.values())):.2f} over {len(whole)} sessions ({said})")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
