"""What the commands share: one clear line for bad input, exit codes, and word of what takes long."""

from __future__ import annotations

import json
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import Any

import typer

LONGEST = 300
"""Characters of a complaint: some libraries' messages list everything that they know."""

EXIT_OVER_BUDGET, EXIT_ERROR, EXIT_CANNOT_RUN, EXIT_STRADDLES = 1, 2, 3, 4
"""Exit codes: the latency exceeds the budget; bad input or a fault; a runtime cannot run the model; the interval of the
latency holds the budget (``--budget-strict``). Scripts rely on them.
"""

PATIENCE_S = 2.0
"""Seconds after which a person is told what is going on."""

APP: dict[str, Any] = {
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
"""Settings of every command's ``typer.Typer``."""


def complaint(error: Exception) -> str:
    """An error as one line."""
    text = " ".join(str(error).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


@contextmanager
def complain(debug: bool, as_json: bool = False) -> Iterator[None]:
    """Turn a PredictorError, and a library that is not installed, into a line on standard error and exit code 2, 3
    where a runtime cannot run a model. as_json: into a JSON object on standard output instead.
    """
    from predictor.errors import CannotRunError, PredictorError, missing_library

    try:
        try:
            yield
        except ModuleNotFoundError as error:
            raise (missing_library(error) or error) from error
    except PredictorError as error:
        if debug:
            traceback.print_exc()
        cannot_run = isinstance(error, CannotRunError)
        code = EXIT_CANNOT_RUN if cannot_run else EXIT_ERROR
        if as_json or not debug:
            fail(complaint(error), "cannot-run" if cannot_run else "bad-request", code, as_json)
        raise typer.Exit(code) from None


def fail(message: str, kind: str, exit_code: int, as_json: bool) -> None:
    """Say what failed. kind: "usage", "bad-request", "cannot-run" or "internal"."""
    if as_json:
        typer.echo(json.dumps({"error": message, "kind": kind, "exit_code": exit_code}))
    else:
        typer.echo(f"error: {message}", err=True)


def run(app: typer.Typer) -> None:
    """Run a command; a wrong option is one line and exit code 2, as any other bad input. A fault of the program itself
    shows its traceback and has exit code 2, too: 1 means that a budget is exceeded.
    """
    as_json = _wants_json(sys.argv[1:])
    try:
        code = app(standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("aborted", err=True)
        code = 130
    except Exception as error:
        code = EXIT_ERROR
        # typer's errors of use have it, from whichever click it carries
        tell = getattr(error, "format_message", None)
        if tell is None:
            traceback.print_exc()
        if tell is not None or as_json:
            message = complaint(Exception(tell() if tell else f"{type(error).__name__}: {error}"))
            fail(message, "usage" if tell else "internal", code, as_json)
    sys.exit(code if isinstance(code, int) else 0)


def _wants_json(arguments: Sequence[str]) -> bool:
    """Whether a command line that may be wrong asks for JSON."""
    return not {"--json", "--format=json"}.isdisjoint(arguments) or ("--format", "json") in pairwise(arguments)


class Waiting:
    """Tells a person at a terminal what is going on once it has taken two seconds, for how long, and, of several parts
    that take about the same, how long the rest will.

    >>> with Waiting("reading bert") as waiting:  # doctest: +SKIP
    ...     waiting.doing("capturing bert", 2, 7)
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._parts = 0, 1
        self._start = self._first_part = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def doing(self, what: str, done: int = 0, of: int = 1) -> None:
        """What is going on from now on. done: parts that are over, of so many."""
        self._what, self._parts = what, (done, of)
        if not done:
            self._first_part = time.monotonic()

    @property
    def line(self) -> str:
        """What is said of it now."""
        done, of = self._parts
        now = time.monotonic()
        said = f"{self._what}, {now - self._start:.0f} s"
        if of > 1:
            said += f", {done + 1} of {of}"
        if done:
            said += f", about {(now - self._first_part) / done * (of - done):.0f} s left"
        return said

    def __enter__(self) -> Waiting:
        if sys.stderr.isatty():
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _tell(self) -> None:
        width = 0
        pause_s = PATIENCE_S
        while not self._over.wait(pause_s):
            pause_s = 0.5
            line = self.line[:79]
            width = max(width, len(line))
            self._write(f"\r{line:{width}}")
        if width:
            self._write(f"\r{'':{width}}\r")

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # the terminal is gone
            sys.stderr.write(text)
            sys.stderr.flush()
