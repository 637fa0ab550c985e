"""Where a measurement was made: GPU, driver, clocks, CPU, framework versions, date; and what must agree."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from calibrate.samples.store import SampleFile
from predictor.calibration.files import is_named
from predictor.calibration.load import Calibration
from predictor.errors import PredictorError

_PACKAGES = ("torch", "transformers", "fvcore", "numpy", "scikit-learn")


def cpu_model() -> str:
    """The processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _nvidia_smi(query: str) -> str:
    command = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"]
    try:
        return (
            subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
            .stdout.strip()
            .split("\n")[0]
        )
    except (OSError, subprocess.SubprocessError):
        return ""


def versions() -> dict[str, str]:
    """Versions of Python and the packages that measurements depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def describe(device: str, probe_s: float) -> dict[str, Any]:
    """The environment as plain data. probe_s: the host probe, seconds per call."""
    import torch

    found: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "cores": torch.get_num_threads() if device == "cpu" else os.cpu_count() or 1,
        "system": platform.system(),
        "versions": versions(),
        "probe_s": probe_s,
    }
    if device == "cuda":
        found |= {
            "gpu": torch.cuda.get_device_name(),
            "cuda": str(torch.version.cuda),
            "cudnn": torch.backends.cudnn.version(),
            "driver": _nvidia_smi("driver_version"),
            "sm_clock": _nvidia_smi("clocks.max.sm"),
            "memory_clock": _nvidia_smi("clocks.max.mem"),
        }
    return found


def check_machine(file: SampleFile, device: str, option: str) -> None:
    """Samples of different machines never mix: raises PredictorError. option: which names another place for them."""
    recorded, here = file.samples["environment"]["environment"], describe(device, 0.0)
    for key in ("gpu", "cpu"):
        if recorded.get(key) != here.get(key):
            raise PredictorError(
                f"{file.path} holds samples of another machine ({recorded.get(key)}, not {here.get(key)}): "
                f"choose another {option}"
            )


def check_gpu(file: SampleFile, calibration: Calibration) -> None:
    """Measurements are held against a calibration of the same GPU only: raises PredictorError.

    One that nobody calibrated is known by its name alone.
    """
    measured = file.samples.get("environment", {}).get("environment", {}).get("gpu")
    calibrated = calibration.device.environment.gpu or None
    nobody_did = calibrated is None and not calibration.lanes.serial
    same = is_named(calibration.gpu, measured or "") if nobody_did else measured == calibrated
    if not same:
        raise PredictorError(
            f"{file.path} was measured on {measured or 'a CPU'}, not on {calibrated or calibration.device.name}"
        )


def check_device(gpu: str) -> str:
    """ "cuda" or "cpu" for a GPU name. Raises PredictorError where this machine does not have it."""
    if gpu == "cpu":
        return "cpu"
    import torch

    if not torch.cuda.is_available():
        raise PredictorError(
            f"{gpu} needs CUDA, and torch finds none here (torch {torch.__version__}); --device cpu works"
        )
    here = torch.cuda.get_device_name()
    if not is_named(gpu, here):
        raise PredictorError(f"this machine's GPU is {here!r}, not {gpu!r}")
    return "cuda"


def interrupted() -> str:
    """What to tell a user who stops a run."""
    return f"interrupted; the samples so far are kept, run {Path(sys.argv[0]).name} again to continue"
