"""Optimising an ONNX file in a process of its own, with limits on time and memory, see ``worker``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from predictor import onnx_runtime
from predictor.capture.onnx_files.bindings import Bound
from predictor.capture.onnx_files.reading import OnnxFile
from predictor.errors import CannotRunError, PredictorError

SECONDS = "PREDICTOR_ONNX_SECONDS"
"""Environment variable that raises the limit of time."""

LIMIT_S = 8.0
"""Seconds that optimising a file may take, a judgement: a file of 20 MB takes one."""

MEMORY = 6 * 2**30
"""Bytes that it may take, besides its weights; a judgement: onnx and ONNX Runtime take one GiB of addresses."""

MEMORY_FOLDER = Path("/dev/shm")
"""Where files in between are written if they can be written nowhere else."""


def optimise(file: OnnxFile, bound: Bound, trips: int | None) -> dict[str, Any]:
    """Nodes and tensors of a file after ONNX Runtime's optimisations, see ``nodes.Reader.data``.

    Raises CannotRunError where ONNX Runtime cannot run it, PredictorError where a size is not known and where the
    limits end it.
    """
    onnx_runtime.check()
    asked = {"shapes": bound.shapes, "dims": bound.dims, "trips": trips, "memory": MEMORY}
    limit_s = _limit_s()
    with _folder() as folder:
        command = [sys.executable, "-P", "-m", "predictor.capture.onnx_files.worker", str(folder)]
        try:
            done = subprocess.run(
                command,
                input=json.dumps(asked).encode() + b"\n" + file.model,
                capture_output=True,
                timeout=limit_s,
                check=False,
                env=_environment(os.environ),
            )
        except subprocess.TimeoutExpired:
            raise PredictorError(
                f"{file.path}: optimising it takes longer than {limit_s:g} s: simplify it, or raise {SECONDS}"
            ) from None
        except OSError as error:
            raise PredictorError(f"{file.path}: no process can be started to optimise it: {error.strerror}") from None
    data = _answer(done.stdout)
    if data is None:
        raise PredictorError(f"{file.path}: {_ended(done)}")
    if "refused" in data:
        kind = CannotRunError if data["cannot"] else PredictorError
        raise kind(f"{file.path}: {data['refused']}")
    return data


def optimise_here(file: OnnxFile, bound: Bound) -> dict[str, Any]:
    """The same in this process, without limits: of a file that this program has written itself, which saves half a
    second.
    """
    import onnx

    from predictor.capture.onnx_files.worker import data_of

    model = onnx.ModelProto()
    model.ParseFromString(file.model)
    with _folder() as folder:
        return data_of(model, bound.shapes, bound.dims, None, folder)


def _ended(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    if done.returncode < 0:
        return f"optimising it ended with signal {-done.returncode}: it is damaged, or takes too much memory"
    return f"optimising it failed: {lines[-1][:200] if lines else f'status {done.returncode}'}"


def _answer(content: bytes) -> dict[str, Any] | None:
    try:
        data = json.loads(content)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    """What the process sees: where this one imports from, no telemetry, one thread."""
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    return {
        **ours,
        "PYTHONPATH": paths,
        onnx_runtime.TELEMETRY: "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _limit_s() -> float:
    said = os.environ.get(SECONDS)
    try:
        limit = LIMIT_S if said is None else float(said)
    except ValueError:
        limit = 0.0
    if not limit > 0:
        raise PredictorError(f"the environment variable {SECONDS} is no positive number: {said!r}")
    return limit


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for files in between, empty again afterwards."""
    for where in (None, MEMORY_FOLDER):
        try:
            folder = tempfile.TemporaryDirectory(dir=where, ignore_cleanup_errors=True)
            break
        except OSError as error:
            last = error
    else:
        raise PredictorError(f"no folder for temporary files can be written ({last.strerror}): set TMPDIR")
    with folder as path:
        yield Path(path)
