"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]], align: str, gap: int = 2) -> list[str]:
    """Lines of a table. rows: the header among them; align: "<" or ">", a letter a column; gap: blanks between columns.

    >>> table([("op", "count"), ("linear", "73")], "<>")
    ['op      count', 'linear     73']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        (" " * gap).join(f"{cell:{side}{width}}" for cell, side, width in zip(row, align, widths, strict=True)).rstrip()
        for row in rows
    ]
