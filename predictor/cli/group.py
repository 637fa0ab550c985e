"""A group of commands of which one needs no name: ``predict bert-base`` is ``predict predict bert-base``."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

DEFAULT = "predict"
"""The command that is meant where the first word is none."""

OF_THE_GROUP = ("--install-completion", "--show-completion")
"""Options that are the group's own."""


class Group(TyperGroup):
    """The commands; what begins with the name of none is the default's."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command's name before arguments that begin with no command's."""
        first = args[0].partition("=")[0] if args else ""
        if first not in self.commands and first not in OF_THE_GROUP:
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


class Default(TyperCommand):
    """The default command, whose help does not call it by its name."""

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Usage: predict [OPTIONS] [MODEL]"""
        formatter.write_usage(ctx.find_root().command_path, " ".join(self.collect_usage_pieces(ctx)))
