"""The public names of ``predictor`` under a name that no other distribution installs.

>>> from framework_tax import Predictor, plan
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import predictor

if TYPE_CHECKING:
    from predictor import *  # noqa: F403

__version__ = predictor.__version__
__all__ = predictor.__all__


def __getattr__(name: str) -> Any:
    """A public name, imported on first use as ``predictor`` does."""
    if name in predictor.__all__:
        return getattr(predictor, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
