"""The wheel where nothing else is installed: built, put into a new environment with what it depends on and no extra,
and asked for predictions. Needs a package index; ``tests/test_package.py`` checks the same from what is installed here.

    python -m benchmarks.bare_wheel
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

COMMANDS = (
    ("predict", "bert-base", "--gpu", "a100"),
    ("predict", "bert-base", "--gpu", "a100", "--advise"),
    ("predict", "list", "models"),
    ("python", "-c", "import framework_tax as ft; print(ft.Predictor('h200'), ft.__version__)"),
)
"""What has to work without torch."""

NEEDS_TORCH = ("calibrate", "--gpu", "h200")
"""What has to say in one line which extra it needs."""


def built(folder: Path) -> Path:
    """The wheel of this checkout."""
    _run(sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--quiet", "--wheel-dir", str(folder))
    (wheel,) = folder.glob("*.whl")
    return wheel


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=tempfile.gettempdir()).stdout


def main() -> None:
    """Build, install, predict; a command that fails ends it with its error."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = built(folder)
        unpacked = sum(entry.file_size for entry in zipfile.ZipFile(wheel).infolist())
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, unpacked {unpacked / 1e6:.1f} MB")
        _run(sys.executable, "-m", "venv", str(folder / "venv"))
        programs = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
        python = str(programs / "python")
        start = time.perf_counter()
        try:
            _run(python, "-m", "pip", "install", "--quiet", str(wheel))
        except subprocess.CalledProcessError as error:
            sys.exit(f"not tested, pip cannot install what the wheel needs: {error.stderr.strip().splitlines()[-1]}")
        print(f"installed in {time.perf_counter() - start:.0f} s")
        print(_run(python, "-m", "pip", "list"))
        for command in COMMANDS:
            start = time.perf_counter()
            print(f"$ {' '.join(command)}\n{_run(str(programs / command[0]), *command[1:])}")
            print(f"({time.perf_counter() - start:.1f} s)\n")
        done = subprocess.run(
            [str(programs / NEEDS_TORCH[0]), *NEEDS_TORCH[1:]], capture_output=True, text=True, check=False
        )
        print(f"$ {' '.join(NEEDS_TORCH)}\n{done.stderr}exit code {done.returncode}")
        if done.returncode != 2 or len(done.stderr.splitlines()) != 1:
            sys.exit("not one line with exit code 2")


if __name__ == "__main__":
    main()
