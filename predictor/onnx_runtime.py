"""ONNX Runtime, imported in one place: without its telemetry, which writes node names to disk and looks up a host."""

from __future__ import annotations

import importlib
import importlib.util
import os
from types import ModuleType

from predictor.errors import needs

TELEMETRY = "ORT_DISABLE_TELEMETRY"


def check() -> None:
    """Raises PredictorError, which says how to install it, where ONNX Runtime is missing. Imports nothing."""
    if importlib.util.find_spec("onnxruntime") is None:
        raise needs("onnxruntime")


def load(module: str = "onnxruntime") -> ModuleType:
    """The module ``onnxruntime``, or one in it. Its telemetry has to be switched off before it is imported first.
    Raises PredictorError where it is missing.
    """
    os.environ.setdefault(TELEMETRY, "1")
    check()
    return importlib.import_module(module)
