"""Launches and kernel time of the generated modules under every runtime, predicted and profiled: models that no rule of
fusion was written with. Their host costs, and the kernels that a runtime alone makes, are fitted on these modules.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from calibrate.fit import runtimes
from calibrate.samples.files import Samples
from predictor.calibration.load import load_calibration


def main(gpu: str) -> None:
    """A line for each runtime."""
    calibration = load_calibration(gpu)
    file = Samples.of(Path(calibration.folder)).runtimes
    print(f"{'runtime':18} {'modules':>7} {'launches':>9} {'kernel time':>12}")
    for name in runtimes.fitted():
        ran = runtimes.modules(file, name, calibration, calibration.own_host("eager"))
        ran = [one for one in ran if one.names and not one.model.startswith("loops")]
        pairs = [[k for call in one.priced for k in call.kernels] for one in ran]
        both = list(zip(pairs, ran, strict=True))
        launches = [abs(sum(k.launches for k in own) / len(one.names) - 1) for own, one in both]
        seconds = [abs(sum(k.seconds for k in own) / sum(one.kernels_s) - 1) for own, one in both]
        print(f"{name:18} {len(ran):>7} {np.mean(launches):>9.1%} {np.mean(seconds):>12.1%}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "h200")
