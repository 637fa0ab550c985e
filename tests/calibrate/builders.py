"""What several tests of the calibration make."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from calibrate.samples.model_latencies import GRAPHS
from calibrate.samples.records import Environment
from calibrate.samples.rounds import Measurement
from calibrate.validate.accuracy import Row
from predictor.graph import files
from predictor.plans import Plan
from predictor.records import CaptureMode, Graph

SHARED = Path(os.environ.get("PREDICTOR_DATA", "data")).resolve()
"""Measurements that others published, which are not part of this repository: the variable names their folder."""

PUBLISHED = SHARED / "published_latency_2022.csv"

HERE = Environment("2026-11-27T00:00:00+00:00", "a CPU", 2, "Linux", {"python": "3.12.3", "torch": "2.11.0"}, 1.5e-3)
"""Where samples were taken."""

PEAK, BANDWIDTH = 2e14, 1e12


def row(model: str, measured: float, predicted: float, bound: str, measured_bound: str, regime: str) -> Row:
    return Row(
        model=model,
        batch=1,
        dtype="fp16",
        runtime="eager",
        measured=Measurement(measured, 1e-5, 0.01, 3),
        predicted={"queue": predicted, "max": predicted / 2, "flops": 1.0},
        kernel_s=None,
        predicted_kernel_s=0.0,
        predicted_host_s=0.0,
        launches=0,
        predicted_launches=0,
        bound=bound,
        measured_bound=measured_bound,
        regime=regime,
        interval_s=(predicted / 1.2, predicted * 1.2),
        unscaled_s=predicted,
        kernels=(),
    )


def seconds_of(m: float, n: float, k: float) -> float:
    """A device that loses a third on widths that are no multiple of 64."""
    base = max(2 * m * n * k / PEAK, 2 * (m * k + n * k + m * n) / BANDWIDTH) + 4e-6
    return base * (1.0 if n % 64 == 0 else 1.5)


def gemm_table(seed: int, pairs: int = 60, column: str = "kernel_us") -> str:
    rng = np.random.default_rng(seed)
    lines = [f"m,n,k,{column}"]
    for _ in range(pairs):
        n, k = (int(2 ** rng.uniform(6, 13)) for _ in range(2))
        n -= n % 64 if rng.random() < 0.5 else 0
        for m in 2 ** rng.integers(0, 14, 8):
            lines.append(f"{m},{n},{k},{seconds_of(m, n, k) * 1e6:.4f}")
    return "\n".join(lines) + "\n"


def published_plan(model: str) -> Plan:
    """A published model, as its authors ran it."""
    return Plan(files.read(GRAPHS / f"{model}.json.gz"))


def published_graph(model: str, dtype: str = "fp16", mode: CaptureMode = CaptureMode.EAGER, batch: int = 1) -> Graph:
    """Its graph in a capture mode."""
    graphs = published_plan(model).graphs
    found = graphs.find(dtype, mode, batch, graphs.length)
    assert found is not None
    return found
