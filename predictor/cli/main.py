"""The command ``predict``: its commands, a file each. Adding one: its file, and a line in ``COMMANDS``."""

from __future__ import annotations

import atexit
import gc
import inspect
from collections.abc import Callable

import typer

from predictor.cli.cache import cache
from predictor.cli.diff import diff
from predictor.cli.group import DEFAULT, Default, Group
from predictor.cli.kernel import kernel
from predictor.cli.list import list_
from predictor.cli.predict import EPILOG, predict
from predictor.cli.terminal import APP, run

COMMANDS: dict[str, Callable[..., None]] = {
    "list": list_,
    "kernel": kernel,
    "diff": diff,
    "cache": cache,
}
"""Name -> function of every command besides the default one."""

SHELL = "--install-completion    Complete names in this shell."
"""An option of the group."""

app = typer.Typer(cls=Group, **APP)
_others = [f"  predict {name:8} {inspect.getdoc(function)}".partition("\n")[0] for name, function in COMMANDS.items()]
_epilog = "\n".join([EPILOG, "", "[bold]Other commands[/bold] (-h tells more)", *_others, f"  predict {SHELL}"])
app.command(DEFAULT, cls=Default, hidden=True, epilog=_epilog)(predict)
for _name, _function in COMMANDS.items():
    app.command(_name)(_function)


def main() -> None:
    """Entry point. One prediction makes no garbage worth collecting: doing without saves a second."""
    gc.disable()
    atexit.register(gc.freeze)
    run(app)
