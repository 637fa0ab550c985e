"""How far kernel times are off on GPUs that nobody measured, before anything is fitted to those: the H200's kernels
transferred by datasheets, against published passes that the device bounds.

python benchmarks/transferred_kernels.py published_latency_2022.csv
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from calibrate.fit.errors import log_sd
from calibrate.fit.model_latencies import Model, table_of
from calibrate.samples.model_latencies import read_passes

DEVICE_BOUND = 1.3
"""How many times as long as the host, as fitted, the device must take."""


def main(path: Path) -> None:
    """Print bias and standard deviation of log time, by GPU and dtype."""
    table = table_of(read_passes(path), "h200")
    model = Model(table)
    rows = np.arange(len(table.rows))
    host_s, kernel_s = model.predicted(model.fit(rows), rows)
    ratios = np.log(table.kernel_s.sum(axis=1) / table.measured)
    bound = kernel_s > DEVICE_BOUND * host_s
    groups = sorted({(row.gpu, row.dtype) for row in table.rows})
    for gpu, dtype in groups:
        own = bound & np.array([(row.gpu, row.dtype) == (gpu, dtype) for row in table.rows])
        bias, deviation = ratios[own].mean(), log_sd(ratios[own])
        print(f"{gpu:8} {dtype:5} {own.sum():4} passes, bias {bias:+.2f}, deviation {deviation:.2f}")
    print(f"all: {log_sd(ratios[bound]):.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
