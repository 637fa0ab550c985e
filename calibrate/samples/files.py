"""The files of samples beside a calibration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from calibrate.samples.store import SUFFIX, SampleFile, Tell

FOLDER = "samples"


@dataclass(frozen=True, slots=True)
class Samples:
    """What a calibration is fitted from. constants: environment and device; host: operators and shapes; modules:
    generated modules in eager; runtimes: under every other runtime; kernels: the sweep.
    """

    constants: SampleFile
    host: SampleFile
    modules: SampleFile
    runtimes: SampleFile
    kernels: SampleFile

    @classmethod
    def of(cls, calibration: Path, tell: Tell = print) -> Samples:
        """Those of a calibration's folder. Raises PredictorError for a damaged file."""
        names = ("constants", "host", "modules", "runtimes", "kernels")
        return cls(*(SampleFile(calibration / FOLDER / f"{name}{SUFFIX}", tell) for name in names))
