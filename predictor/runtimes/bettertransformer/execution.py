"""BetterTransformer: a model's encoder layers as torch's own, run eagerly on their fast path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from predictor.runtimes.bettertransformer.conversion import converted
from predictor.runtimes.eager import execution as eager


def prepare(module: Any, inputs: Any) -> Callable[[], Any]:
    """A callable that runs one real pass of the converted module. Raises CannotRunError where there is nothing to
    convert.
    """
    return eager.prepare(converted(module), inputs)
