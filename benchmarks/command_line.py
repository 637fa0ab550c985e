"""Writes ``docs/command-line.md``: the help of every command, as a terminal of 80 columns shows it. Run by
``make tables``.

    python -m benchmarks.command_line
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import typer.main

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "command-line.md"

PROGRAMS = {
    "predict": "predictor.cli.main",
    "calibrate": "calibrate.cli.calibrate",
    "validate": "calibrate.cli.validate",
}
"""Program -> the module with its ``app`` and ``main``."""

HEAD = "# Command line\n\nWhat `-h` says of every command, made by `python -m benchmarks.command_line`.\n"


def help_of(program: str, *command: str) -> str:
    """What ``PROGRAM COMMAND --help`` prints."""
    code = f"import sys; from {PROGRAMS[program]} import main; sys.argv[0] = {program!r}; main()"
    environment = {**os.environ, "COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1"}
    arguments = [sys.executable, "-c", code, *command, "--help"]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True, encoding="utf-8", env=environment)
    return "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())


def commands(program: str) -> list[str]:
    """Commands of a program that its help shows."""
    group = typer.main.get_command(importlib.import_module(PROGRAMS[program]).app)
    return [name for name, command in group.commands.items() if not command.hidden]  # type: ignore[attr-defined]


def page() -> str:
    """The page as it should be."""
    parts = [HEAD]
    for program in PROGRAMS:
        parts.append(f"## {program}\n\n```text\n{help_of(program)}\n```\n")
        for command in commands(program):
            parts.append(f"### {program} {command}\n\n```text\n{help_of(program, command)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
