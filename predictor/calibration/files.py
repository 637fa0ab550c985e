"""Files of calibrations: where they are, read and checked, written so that nobody sees a half.

The first folder that has the GPU wins: ``$PREDICTOR_CALIBRATIONS``, the user's own, the shipped one.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from predictor.errors import PredictorError, unknown

SCHEMA = 2
"""Version of the calibration files that this program writes, and the newest that it reads."""

SHIPPED = Path(__file__).resolve().parent.parent.parent / "calibrations"


def user_folder() -> Path:
    """Where ``calibrate`` writes unless told otherwise."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "predictor" / "calibrations"


def folders() -> list[Path]:
    """Folders of calibrations, the first that has a GPU wins."""
    named = os.environ.get("PREDICTOR_CALIBRATIONS")
    return [Path(p) for p in (named,) if p] + [user_folder(), SHIPPED]


def gpu_name(name: str) -> str:
    """The forgiving form of a GPU's name, without its brand: "GeForce RTX 3090" and "rtx-3090" are "3090"."""
    bare = re.sub(r"[^a-z0-9]", "", name.lower())
    return re.sub(r"^(nvidia)?(geforce|quadro|tesla)?(rtx|gtx)?(?=[a-z]?\d)", "", bare)


def is_named(gpu: str, driver: str) -> bool:
    """Whether what a driver calls a GPU ("NVIDIA H100 80GB HBM3") is of a name ("h100")."""
    return gpu_name(gpu) in gpu_name(driver)


def known_gpus() -> list[str]:
    """Names of every GPU with a calibration."""
    return sorted({d.name for f in folders() if f.is_dir() for d in f.iterdir() if (d / "device.json").is_file()})


def find(gpu: str) -> Path:
    """Folder of a GPU's calibration. Raises PredictorError for an unknown GPU."""
    wanted = gpu_name(gpu)
    for folder in folders():
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if gpu_name(path.name) == wanted and any(path.glob("*.json")):
                return path
    raise unknown("GPU", gpu, known_gpus())


def datasheets() -> dict[str, Path]:
    """GPU -> its datasheet, of those with a calibration; whoever calibrated a GPU again has none beside it."""
    paths = [folder / gpu / "datasheet.json" for folder in reversed(folders()) for gpu in known_gpus()]
    return {path.parent.name: path for path in paths if path.is_file()}


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write aside, then rename: a reader sees the old file or the new one, never a half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(_layout(data) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def _layout(value: Any, indent: str = "") -> str:
    """JSON with one entry of a mapping a line and lists on one line: readable, and small where arrays are long."""
    if not isinstance(value, Mapping) or not value:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    inner = indent + " "
    entries = (f"{inner}{json.dumps(str(key))}: {_layout(entry, inner)}" for key, entry in value.items())
    return "{\n" + ",\n".join(entries) + f"\n{indent}}}"


def read_json(path: Path, gpu: str | None) -> dict[str, Any]:
    """A calibration file, checked: complete, of a schema that is known, of the GPU that is asked for (None: of any)."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PredictorError(f"calibration file {path} is missing: run calibrate") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise PredictorError(
            f"calibration file {path} is truncated or damaged ({error}): run calibrate again"
        ) from None
    if not isinstance(data, dict) or not isinstance(data.get("schema"), int):
        raise PredictorError(f"calibration file {path} has no schema version: run calibrate again")
    if data["schema"] > SCHEMA:
        raise PredictorError(
            f"calibration file {path} has schema {data['schema']}, this program reads up to {SCHEMA}: upgrade it"
        )
    if not isinstance(data.get("gpu"), str) or (gpu is not None and gpu_name(data["gpu"]) != gpu_name(gpu)):
        raise PredictorError(f"calibration file {path} is of GPU {data.get('gpu')!r}, not {gpu!r}")
    return data
