"""The one exception type of the program: its message names the cause and the remedy, in one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

PACKAGE = "framework-tax-predictor"
"""What pip calls this program."""

EXTRAS = {
    "torch": "torch",
    "transformers": "torch",
    "fvcore": "torch",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "onnxscript": "onnx",
    "sklearn": "calibrate",
    "scipy": "calibrate",
    "joblib": "calibrate",
    "cloudpickle": "search",
    "tqdm": "search",
    "pandas": "search",
    "torchvision": "vision",
    "timm": "vision",
    "diffusers": "diffusion",
}
"""Library as it is imported -> the extra that installs it, see pyproject.toml. All others are always installed."""


class PredictorError(Exception):
    """A request that cannot be answered: unknown name, bad input, missing or broken calibration."""


class CannotRunError(PredictorError):
    """A runtime that cannot run a model: not a mistake in the request, an answer to it."""


class NotExportedError(CannotRunError):
    """A module that would have to be exported to ONNX first, which takes seconds."""


class MissingLibraryError(PredictorError):
    """A library that is not installed: the message names the extra that brings it."""


def needs(library: str) -> MissingLibraryError:
    """The error for a library that is missing.

    >>> str(needs("torch"))
    "this needs torch: pip install 'framework-tax-predictor[torch]'"
    """
    return MissingLibraryError(f"this needs {library}: pip install '{PACKAGE}[{EXTRAS[library]}]'")


def missing_library(error: ImportError) -> MissingLibraryError | None:
    """The same after a failed import; None where no extra brings what is missing, or it is there and broken: a fault.

    >>> missing_library(ModuleNotFoundError(name="torch.nn")), missing_library(ImportError(name="torch"))
    (None, None)
    """
    missing = isinstance(error, ModuleNotFoundError) and error.name in EXTRAS
    return needs(str(error.name)) if missing else None


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
