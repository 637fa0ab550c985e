"""The batch size from which a model is bound by the device, predicted and measured, of the zoo in eager mode:

    python -m benchmarks.crossover calibrations/h100/validation --gpu h100

Measured are latency and, under the profiler, kernel time at batches 1, 8, 32 and 128. The measured crossover is where
the kernels, with the gaps between them, take as long as the pass does while the host bounds it: the median latency of
batches whose device is busy for less than ``IDLE``. Between two batches the device time is interpolated in the
logarithm of the batch ("log"), and as a line in the batch ("line"), which is what kernel time is. Two predictions: as
``Plan.crossover`` tells it ("shipped"), and with the host scaled by its probe beside the measurement ("probed"), as
``validate`` does. Beyond the last batch both are "-".
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibrate.samples.store import SampleFile
from calibrate.validate.accuracy import Row, rows
from predictor.advice import question
from predictor.advice.crossover import grid, interpolated
from predictor.advice.passes import passes
from predictor.calibration.load import load_calibration
from predictor.sources import plan_of

IDLE = 0.8
"""Share of a pass below which a busy device does not bound it, as in ``validate``."""

LARGEST = 128
"""Batch size of the measurements."""

RIGHT = 1.25
"""Factor within which a crossover counts as right."""


def measured(of_model: list[Row], gap_s: float, line: bool) -> float | None:
    """The measured crossover; line: device time is a line in the batch, else in its logarithm."""
    of_model = sorted(of_model, key=lambda row: row.batch)
    batches = np.array([row.batch for row in of_model])
    latency_s = np.array([row.measured.seconds for row in of_model])
    device_s = np.array([(row.kernel_s or 0.0) + gap_s * row.launches for row in of_model])
    idle = device_s < IDLE * latency_s
    if not idle.any():
        return 1.0
    host_s = np.full(len(batches), np.median(latency_s[idle]))
    if line:
        finer: NDArray[np.int64] = np.arange(1, batches[-1] + 1)
        return interpolated(finer, np.full(len(finer), host_s[0]), np.interp(finer, batches, device_s))
    return interpolated(batches, host_s, device_s)


def compared(data: Path, gpu: str, host_name: str | None) -> None:
    """Print the table of a GPU. host_name: whose costs are predicted with, None: the GPU's own."""
    calibration = load_calibration(gpu)
    host = calibration.host("eager", host_name)
    gap_s = calibration.lanes_of(host).gap_s
    models: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows(SampleFile(data / "eager.jsonl.gz"), calibration, "eager"):
        if row.kernel_s is not None:
            models[row.model, row.dtype].append(row)
    print(f"{'model':14} {'dtype':5} {'log':>6} {'line':>6} {'shipped':>8} {'probed':>7}   probed over log, line")
    right: dict[str, list[bool]] = defaultdict(list)
    for (model, dtype), of_model in sorted(models.items()):
        predicted = passes(question(plan_of(model), gpu, "eager", dtype, host=host_name), grid(LARGEST))
        scale = float(np.median([row.measured.probe_s for row in of_model])) / host.probe_s
        answers = {
            "log": measured(of_model, gap_s, line=False),
            "line": measured(of_model, gap_s, line=True),
            "shipped": interpolated(predicted.batches, predicted.host_s, predicted.device_s),
            "probed": interpolated(predicted.batches, predicted.host_s * scale, predicted.device_s),
        }
        for way in ("log", "line"):
            for prediction in ("shipped", "probed"):
                right[f"{dtype}, {prediction}, {way}"].append(_off(answers[prediction], answers[way]) <= RIGHT)
        offs = ", ".join(f"{_off(answers['probed'], answers[way]):.2f}" for way in ("log", "line"))
        columns = [f"{batch:.1f}" if batch is not None else "-" for batch in answers.values()]
        print(f"{model:14} {dtype:5} {columns[0]:>6} {columns[1]:>6} {columns[2]:>8} {columns[3]:>7}   {offs}")
    for name, of_models in sorted(right.items()):
        print(f"within a factor {RIGHT} ({name}): {sum(of_models)} of {len(of_models)}")


def _off(predicted: float | None, actual: float | None) -> float:
    """Factor between two crossovers; 1 where both are beyond the last batch."""
    if predicted is None and actual is None:
        return 1.0
    first, second = predicted or float(LARGEST), actual or float(LARGEST)
    return max(first, second) / min(first, second)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--gpu", required=True)
    parser.add_argument("--host", help="whose costs are predicted with, see predict list hosts; default: the GPU's")
    arguments = parser.parse_args()
    compared(arguments.data, arguments.gpu, arguments.host)


if __name__ == "__main__":
    main()
