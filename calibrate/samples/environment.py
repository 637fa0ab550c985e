"""Where a measurement was made: GPU, driver, clocks, CPU, framework versions, date; and what must agree."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from msgspec.structs import replace

from calibrate.samples.records import Environment
from calibrate.samples.store import SampleFile
from predictor.calibration.files import is_named
from predictor.calibration.load import Calibration
from predictor.errors import PredictorError

MUST_AGREE = ("gpu", "driver", "cuda", "cpu", "python", "torch", "transformers", "onnxruntime")
"""What samples must have in common before they combine: fields of an environment, and versions in it."""

PACKAGES = {
    **{name: (name,) for name in ("torch", "transformers", "fvcore", "numpy", "scikit-learn")},
    "onnxruntime": ("onnxruntime-gpu", "onnxruntime"),
}
"""Package that measurements depend on -> names that it may be installed by."""


EXPORTS, TRAINED = "exports", "trained"
"""What stands among the versions since modules are exported to ONNX as if they were trained."""


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
    """Versions of Python and the packages that measurements depend on, and what modules are exported to ONNX as."""
    installed = {"python": platform.python_version(), EXPORTS: TRAINED}
    for package, names in PACKAGES.items():
        for name in names:
            with suppress(metadata.PackageNotFoundError):
                installed.setdefault(package, metadata.version(name))
    return installed


def describe(device: str, probe_s: float) -> Environment:
    """The environment here. probe_s: the host probe, seconds per call."""
    import torch

    environment = Environment(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        cpu=cpu_model(),
        cores=torch.get_num_threads() if device == "cpu" else os.cpu_count() or 1,
        system=platform.system(),
        versions=versions(),
        probe_s=probe_s,
    )
    if device != "cuda":
        return environment
    return replace(
        environment,
        gpu=torch.cuda.get_device_name(),
        cuda=str(torch.version.cuda),
        cudnn=torch.backends.cudnn.version() or 0,
        driver=_nvidia_smi("driver_version"),
        sm_clock=_nvidia_smi("clocks.max.sm"),
        memory_clock=_nvidia_smi("clocks.max.mem"),
    )


def check_agreement(file: SampleFile, here: Environment, option: str) -> None:
    """Samples combine where what ``MUST_AGREE`` agrees: PredictorError names the first field that differs, with both
    values. A field that one of the two does not have, as older files do not have every version, is not compared.
    option: which chooses another place for the samples.
    """
    for there in file.of(Environment)[:1]:
        for field in MUST_AGREE:
            recorded, now = _value(there, field), _value(here, field)
            if recorded and now and recorded != now:
                raise PredictorError(
                    f"{file.path} holds samples of another machine: {field} {recorded} there, {now} here: "
                    f"choose another {option}"
                )


def _value(environment: Environment, field: str) -> str:
    return str(getattr(environment, field, "") or environment.versions.get(field, ""))


def exports_are_trained(file: SampleFile) -> bool:
    """Whether the modules that a file measured under ONNX Runtime were exported as if they were trained, with biases
    that older files lack (``predictor.graph.onnx_export.trained``).
    """
    return any(environment.versions.get(EXPORTS) == TRAINED for environment in file.of(Environment)[-1:])


def check_gpu(file: SampleFile, calibration: Calibration) -> None:
    """Measurements are held against a calibration of the same GPU only, whatever its host: raises PredictorError.

    A GPU that nobody calibrated is known by its name alone.
    """
    measured = next((environment.gpu for environment in file.of(Environment)), "")
    calibrated = calibration.device.environment.gpu
    derived = not calibrated and not calibration.lanes.serial
    same = is_named(calibration.gpu, measured) if derived else measured == calibrated
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
