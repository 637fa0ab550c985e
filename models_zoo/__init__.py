"""The model zoo: one file per model, found by its name.

Each file has ``build() -> module``, the model from its ``transformers`` configuration with random weights, and
``inputs(batch) -> keyword arguments`` of the size used in The Framework Tax (Fernandez et al., EMNLP 2023): 128
tokens, 3 x 224 x 224 pixels, 2 s of 16 kHz audio. Parameters are made on torch's default device, so ``with
torch.device("meta")`` builds a model without data.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

PREFIX = "models_zoo."


def names() -> list[str]:
    """Names of the zoo's models, as users type them ("bert-base")."""
    return sorted(m.name.replace("__", "-") for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def _module(name: str) -> Any:
    if name not in names():
        raise KeyError(name)
    return importlib.import_module(PREFIX + name.replace("-", "__"))


def build(name: str, batch: int = 1) -> tuple[Any, dict[str, Any]]:
    """(module in evaluation mode, keyword inputs) of a zoo model. Raises KeyError for an unknown name."""
    found = _module(name)
    return found.build().eval(), found.inputs(batch)


def build_inputs(name: str, batch: int) -> dict[str, Any]:
    """The keyword inputs of a zoo model alone."""
    inputs: dict[str, Any] = _module(name).inputs(batch)
    return inputs
