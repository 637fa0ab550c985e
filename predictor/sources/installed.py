"""Libraries that models come from, used where they are installed."""

from __future__ import annotations

import importlib
from typing import Any

from predictor.errors import PredictorError, needs, one_line


def library(name: str) -> Any:
    """A library of ``errors.EXTRAS``. Raises PredictorError where it is missing, which says how to install it, and
    where it does not import.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            raise needs(name) from None
        raise PredictorError(f"{name} does not import: {one_line(error)}") from error
    except Exception as error:
        raise PredictorError(f"{name} does not import beside this torch: {one_line(error)}") from error
