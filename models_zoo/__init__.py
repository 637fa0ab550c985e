"""The model zoo: one file per model, found by its name.

Each file has ``build() -> module``, the model from its ``transformers`` configuration with random weights, and
``inputs(batch) -> keyword arguments`` of the size used in The Framework Tax (Fernandez et al., EMNLP 2023): 128
tokens, 3 x 224 x 224 pixels, 2 s of 16 kHz audio; those of language models take a length too. Parameters are made on
torch's default device, so ``with torch.device("meta")`` builds a model without data. ``graphs/`` holds what was
captured of each, so that a prediction needs neither torch nor transformers.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PREFIX = "models_zoo."

INDEX = Path(__file__).parent / "graphs" / "index.json"
"""What lists say of the models: name -> parameters, MACs and launches of a pass of batch 1, see ``index``."""


def names() -> list[str]:
    """Names of the zoo's models, as users type them ("bert-base")."""
    return sorted(m.name.replace("__", "-") for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def module(name: str) -> Any:
    """The file of a zoo model. Raises KeyError for an unknown name."""
    if name not in names():
        raise KeyError(name)
    return importlib.import_module(PREFIX + name.replace("-", "__"))


def library(name: str) -> str:
    """What a zoo model is built with, "transformers" or "torchvision", told without importing it. Raises KeyError for
    an unknown name.
    """
    if name not in names():
        raise KeyError(name)
    spec = find_spec(PREFIX + name.replace("-", "__"))
    text = Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""
    return "torchvision" if "from torchvision" in text else "transformers"


def build(name: str, batch: int = 1, length: int | None = None) -> tuple[Any, dict[str, Any]]:
    """(module in evaluation mode, keyword inputs) of a zoo model. length: tokens, of a language model. Raises KeyError
    for an unknown name, ValueError for a length of a model that has none.
    """
    return module(name).build().eval(), build_inputs(name, batch, length)


def build_inputs(name: str, batch: int, length: int | None = None) -> dict[str, Any]:
    """The keyword inputs of a zoo model alone."""
    make = module(name).inputs
    if length is not None and "length" not in inspect.signature(make).parameters:
        raise ValueError(f"{name} takes no tokens: its inputs have one size")
    inputs: dict[str, Any] = make(batch) if length is None else make(batch, length)
    return inputs


def index() -> dict[str, dict[str, Any]]:
    """Name -> parameters, macs and launches of an eager pass of batch 1 at its usual size, the dtype of that pass, the
    length in tokens (0: none), the inputs' shape but for the batch, and the library that builds it; without torch.
    """
    rows: dict[str, dict[str, Any]] = json.loads(INDEX.read_text(encoding="utf-8"))
    return rows


def graphs(name: str) -> Path:
    """File with a zoo model's captured graphs (``predictor.graph.files``)."""
    return Path(__file__).parent / "graphs" / f"{name}.json.gz"
