"""Models by name: the zoo's, the generated ones that the host coefficients are fitted on (none is both), and users'
own, ``path/to/file.py:factory``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._pytree import tree_map_only

import models_zoo
from calibrate.workloads import architectures, loops, modules
from predictor.sources import load_model

Source = Callable[[int, tuple[int, ...]], tuple[torch.nn.Module, Any]]
SOURCES: dict[str, Source] = {
    "generated": modules.generate,
    "library": architectures.generate,
    "deep": architectures.deep,
    "loops": loops.generate,
}
"""Where generated models come from: "library/3" is the third of its source."""


def build(name: str, device: str, batch: int = 1) -> tuple[torch.nn.Module, Any]:
    """(module, inputs) of a zoo model, of a factory, or of "source/seed" (what follows is ignored), in sizes for a
    device.
    """
    source, *rest = name.split("/")
    if name in models_zoo.names():
        return models_zoo.build(name, batch)
    if source not in SOURCES:
        return load_model(name, batch)[:2]
    widths = modules.GPU_WIDTHS if device == "cuda" else modules.CPU_WIDTHS
    module, inputs = SOURCES[source](int(rest[0]), widths)
    return module, tree_map_only(torch.Tensor, lambda t: t.repeat(batch, *[1] * (t.dim() - 1)), inputs)


def build_inputs(name: str, device: str, batch: int) -> Any:
    """The inputs alone."""
    return models_zoo.build_inputs(name, batch) if name in models_zoo.names() else build(name, device, batch)[1]
