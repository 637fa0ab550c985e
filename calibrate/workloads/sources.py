"""Models by name: the zoo's, the generated ones that the host coefficients are fitted on (none is both), and users'
own, ``path/to/file.py:factory``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._pytree import tree_map_only

import models_zoo
from calibrate.workloads.generated import source_of
from calibrate.workloads.modules import CPU_WIDTHS, GPU_WIDTHS
from predictor.sources import load_model


def build(name: str, device: str, batch: int = 1) -> tuple[torch.nn.Module, Any]:
    """(module, inputs) of a zoo model, of a factory, or of a generated model, in sizes for a device."""
    if name in models_zoo.names():
        return models_zoo.build(name, batch)
    generated = source_of(name)
    if generated is None:
        return load_model(name, batch)[:2]
    source, seed = generated
    module, inputs = source.generate(seed, GPU_WIDTHS if device == "cuda" else CPU_WIDTHS)
    return module, tree_map_only(torch.Tensor, lambda t: t.repeat(batch, *[1] * (t.dim() - 1)), inputs)


def build_inputs(name: str, device: str, batch: int) -> Any:
    """The inputs alone."""
    return models_zoo.build_inputs(name, batch) if name in models_zoo.names() else build(name, device, batch)[1]
