"""The one exception type of the program: its message names the cause and the remedy, in one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PredictorError(Exception):
    """A request that cannot be answered: unknown name, bad input, missing or broken calibration."""


class CannotRunError(PredictorError):
    """A runtime that cannot run a model: not a mistake in the request, an answer to it."""


def one_line(error: BaseException, longest: int = 500) -> str:
    """An error of someone else's code in one line: its class and what it says, cut at so many characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:longest].removesuffix(":")


def shortened(error: BaseException, longest: int = 200) -> str:
    """What an error of someone else's code says, or its class where it says nothing, in one line."""
    return " ".join((str(error).strip() or type(error).__name__).split())[:longest]


def unknown(what: str, name: str, known: Iterable[str]) -> PredictorError:
    """The error for a name that nobody knows, with the nearest known names."""
    names = sorted(known)
    spelled = {known_name.lower(): known_name for known_name in names}
    near = [spelled[word] for word in difflib.get_close_matches(name.lower(), spelled, n=3, cutoff=0.5)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names) or 'none'}"
    return PredictorError(f"unknown {what} {name!r}: {hint}")
