"""What the commands share: one clear line for bad input, exit code 2, a traceback only where asked for."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def complain(debug: bool) -> Iterator[None]:
    """Turn a PredictorError into a line on standard error and exit code 2."""
    from predictor.errors import PredictorError

    try:
        yield
    except PredictorError as error:
        if debug:
            traceback.print_exc()
        else:
            typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
