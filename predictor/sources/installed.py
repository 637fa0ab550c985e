"""Libraries of models that are used where they are installed."""

from __future__ import annotations

import importlib
from typing import Any

from predictor.errors import PredictorError, one_line

EXTRAS = {"torchvision": "vision", "timm": "vision", "diffusers": "diffusion"}
"""Library -> the extra that installs it, see pyproject.toml."""


def library(name: str) -> Any:
    """The library. Raises PredictorError, which says how to install it, where it is not, or does not import."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise PredictorError(f"{name} does not import: {one_line(error)}") from error
        raise PredictorError(
            f"{name} is not installed: pip install {name}, or pip install 'framework-tax-predictor[{EXTRAS[name]}]'"
        ) from None
    except Exception as error:
        raise PredictorError(f"{name} does not import beside this torch: {one_line(error)}") from error
