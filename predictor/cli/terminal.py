"""What the commands share: one clear line for bad input, exit code 2, a traceback only where asked for."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer

LONGEST = 300
"""Characters of a complaint: some libraries' messages list everything that they know."""


def complaint(error: Exception) -> str:
    """An error as one line."""
    text = " ".join(str(error).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


@contextmanager
def complain(debug: bool) -> Iterator[None]:
    """Turn a PredictorError into a line on standard error and exit code 2, 3 where a runtime cannot run a model."""
    from predictor.errors import CannotRunError, PredictorError

    try:
        yield
    except PredictorError as error:
        if debug:
            traceback.print_exc()
        else:
            typer.echo(f"error: {complaint(error)}", err=True)
        raise typer.Exit(3 if isinstance(error, CannotRunError) else 2) from None


def run(app: typer.Typer) -> None:
    """Run a command; a wrong option is one line and exit code 2, as any other bad input."""
    try:
        code = app(standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("aborted", err=True)
        code = 130
    except Exception as error:
        tell = getattr(
            error, "format_message", None
        )  # what typer's errors of use have, from whichever click it carries
        if tell is None:
            raise
        typer.echo(f"error: {complaint(Exception(tell()))}", err=True)
        code = 2
    sys.exit(code if isinstance(code, int) else 0)
