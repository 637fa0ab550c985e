"""The command ``predict diff``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from predictor.cli.terminal import complain


def diff(
    before: Annotated[Path, typer.Argument(metavar="BEFORE.json", help="A report of predict MODEL --json.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER.json", help="Another one.")],
    top: Annotated[int, typer.Option(metavar="N", min=1, help="Rows of operators, and of modules.")] = 15,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, times in seconds, every part.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Tell what got slower between two reports.

    Example: predict my_net.py:build --gpu a100 --json > new.json; predict diff old.json new.json
    """
    with complain(debug, as_json):
        from predictor.report import _difference

        found = _difference.difference(_difference.read(before), _difference.read(after))
        typer.echo(_difference.render_json(found) if as_json else _difference.render_text(found, top))
