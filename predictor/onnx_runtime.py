"""ONNX Runtime, imported in one place: without its telemetry, which writes node names to disk and looks up a host."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

TELEMETRY = "ORT_DISABLE_TELEMETRY"


def load(module: str = "onnxruntime") -> ModuleType:
    """The module ``onnxruntime``, or one in it. Its telemetry has to be switched off before it is imported first."""
    os.environ.setdefault(TELEMETRY, "1")
    return importlib.import_module(module)
