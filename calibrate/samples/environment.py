"""Where a measurement was made: GPU, driver, clocks, CPU, framework versions, date."""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from predictor.calibration.files import is_named
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
    found: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "cores": torch.get_num_threads() if device == "cpu" else _cores(),
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


def _cores() -> int:
    import os

    return os.cpu_count() or 1


def check_device(gpu: str) -> str:
    """ "cuda" or "cpu" for a GPU name. Raises PredictorError where this machine does not have it."""
    if gpu == "cpu":
        return "cpu"
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
